"""GBNF, llama.cpp's way to write a grammar down, as a grammar that llguidance follows exactly.

The rules stay rules and every character becomes a terminal of its own. So it is the parser that
decides what a text consists of, never the lexer, which takes the longest match and does not come
back: of `[a-z]+ "e"` it would swallow the e. The converter that comes with llguidance makes
terminals of whole rules, takes `[a&&b]` for an intersection and loses `\\u00e9`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from urial_tui.errors import EngineError

MOST_CHARACTERS = 50_000
"""Terminals of a grammar; llguidance needs about 20 µs for each."""

_MOST_RULES = 4000
"""Parentheses count, too; as deep may llguidance recurse."""

_MOST_REPEATED = 2000

_TOKEN = re.compile(
    r"""(?P<space>[ \t]+|\#[^\r\n]*)
    |(?P<line>\r\n|\r|\n)
    |(?P<is>::=)
    |(?P<name>[a-zA-Z0-9_-]+)
    |(?P<text>"(?:[^"\\]|\\.)*")
    |(?P<set>\[(?:[^\]\\]|\\.)*\])
    |(?P<count>\{\s*[0-9]{1,6}\s*(?:,\s*(?:[0-9]{1,6}\s*)?)?\})
    |(?P<sign>[()|.*+?])""",
    re.VERBOSE | re.DOTALL,
)
_CHARACTER = re.compile(
    r"\\x([0-9a-fA-F]{2})|\\u([0-9a-fA-F]{4})|\\U([0-9a-fA-F]{8})|\\([nrt\\\"\[\]^-])|([^\\])",
    re.DOTALL,
)
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t"}
_SURROGATES = range(0xD800, 0xE000)


@dataclass
class _Group:
    """What stands between two parentheses, or behind `::=`."""

    alternatives: list[list[str]] = field(default_factory=lambda: [[]])

    def __str__(self) -> str:
        return " | ".join(" ".join(items) or '""' for items in self.alternatives)


class _Reader:
    def __init__(self, text: str) -> None:
        self._text = text
        self._position = 0
        self._characters = 0
        self._rules: dict[str, str] = {}
        self._groups: list[str] = []
        self._numbers: dict[str, str] = {"root": "start"}

    def lark(self) -> str:
        """The grammar as llguidance reads it."""
        tokens = self._tokens()
        for kind, token in tokens:
            if kind == "line":
                continue
            if kind != "name":
                raise self._wrong("the name of a rule is expected")
            if token in self._rules:
                raise self._wrong(f'the rule "{token}" is defined twice')
            if next(tokens, None) != ("is", "::="):
                raise self._wrong('"::=" is expected behind the name of a rule')
            self._rules[token] = self._body(tokens)
        if "root" not in self._rules:
            raise _refused('it has no rule "root"')
        for name in self._numbers:
            if name not in self._rules:
                raise _refused(f'the rule "{name[:60]}" is not defined')
        named = [f"{self._number(name)}: {body}" for name, body in self._rules.items()]
        if len(named) + len(self._groups) > _MOST_RULES:
            raise _refused("it has too many rules and parentheses")
        return "\n".join((*named, *self._groups))

    def _tokens(self) -> Iterator[tuple[str, str]]:
        while self._position < len(self._text):
            found = _TOKEN.match(self._text, self._position)
            if found is None:
                part = self._text[self._position]
                closed = part not in '"['
                raise self._wrong(
                    f'"{part}" means nothing here' if closed else f"a {part} is not closed"
                )
            self._position = found.end()
            if found.lastgroup != "space":
                yield found.lastgroup or "", found.group()

    def _body(self, tokens: Iterator[tuple[str, str]]) -> str:
        stack = [_Group()]
        before = "::="
        for kind, token in tokens:
            items = stack[-1].alternatives[-1]
            if kind == "line":
                if len(stack) == 1 and before not in ("|", "::="):
                    break
                continue
            before = token
            if kind == "name":
                items.append(self._number(token))
            elif kind == "text":
                items.append(self._literal(token[1:-1]))
            elif kind == "set":
                items.append(self._set(token[1:-1]))
            elif token == ".":
                items.append(self._counted("/(?s:.)/"))
            elif token == "(":
                stack.append(_Group())
                if len(stack) > _MOST_RULES:
                    raise self._wrong("parentheses are nested too deep")
            elif token == ")":
                if len(stack) == 1:
                    raise self._wrong("a parenthesis is closed that was not opened")
                group = stack.pop()
                # A rule of its own, for llguidance limits how deep parentheses are nested.
                name = f"g{len(self._groups)}"
                self._groups.append(f"{name}: {group}")
                stack[-1].alternatives[-1].append(name)
            elif token == "|":
                stack[-1].alternatives.append([])
            elif kind in ("sign", "count"):
                if not items:
                    raise self._wrong("there is nothing to repeat")
                items[-1] = self._repeated(items[-1], token)
            else:
                raise self._wrong(f'"{token}" means nothing here')
        if len(stack) > 1:
            raise self._wrong("a parenthesis is not closed")
        return str(stack[0])

    def _repeated(self, item: str, count: str) -> str:
        # A group of its own, for llguidance takes one sign behind an item and no more.
        if not count.startswith("{"):
            return f"({item}{count})"
        least, comma, most = (part.strip() for part in count[1:-1].partition(","))
        lowest, highest = int(least), int(most or least)
        if max(lowest, highest) > _MOST_REPEATED:
            raise self._wrong(f"something is repeated more than {_MOST_REPEATED:,} times")
        if highest < lowest:
            raise self._wrong("the least number of times is more than the most")
        if comma and not most:
            return f"({item}*)" if not lowest else f"({item}{{{lowest},}})"
        return f"({item}{{{lowest},{highest}}})" if highest else '("")'

    def _literal(self, text: str) -> str:
        items = [self._counted(f"/{_one(code)}/") for code, _ in self._characters_of(text)]
        return f"({' '.join(items)})" if items else '("")'

    def _set(self, text: str) -> str:
        inverted = text.startswith("^")
        characters = self._characters_of(text[1:] if inverted else text)
        parts: list[str] = []
        at = 0
        while at < len(characters):
            first = last = characters[at][0]
            at += 1
            if at + 1 < len(characters) and characters[at] == (ord("-"), True):
                last = characters[at + 1][0]
                at += 2
            if last < first:
                raise self._wrong("a range of characters is the wrong way round")
            parts.append(f"{_one(first)}-{_one(last)}")
        if not parts:
            raise self._wrong("a class of characters is empty")
        return self._counted(f"/[{'^' if inverted else ''}{''.join(parts)}]/")

    def _characters_of(self, text: str) -> list[tuple[int, bool]]:
        """The code of each, and whether it was written as it is."""
        found: list[tuple[int, bool]] = []
        at = 0
        while at < len(text):
            match = _CHARACTER.match(text, at)
            if match is None:
                raise self._wrong("what follows a backslash is not understood")
            at = match.end()
            *codes, escaped, plain = match.groups()
            code = next((int(digits, 16) for digits in codes if digits), None)
            if code is None:
                code = ord(plain or _ESCAPES.get(escaped, escaped))
            if code in _SURROGATES or code > 0x10FFFF:
                raise self._wrong("there is no such character")
            found.append((code, bool(plain)))
        return found

    def _counted(self, terminal: str) -> str:
        self._characters += 1
        if self._characters > MOST_CHARACTERS:
            raise _refused("it is too large")
        return terminal

    def _number(self, name: str) -> str:
        return self._numbers.setdefault(name, f"r{len(self._numbers)}")

    def _wrong(self, reason: str) -> EngineError:
        line = self._text.count("\n", 0, self._position) + 1
        return _refused(f"{reason} (line {line})")


def to_lark(text: str) -> str:
    """A GBNF grammar as rules for llguidance; its first one is `start`.

    Raises:
        EngineError: It is no grammar, or too large a one.
    """
    return _Reader(text).lark()


def _one(code: int) -> str:
    return f"\\x{{{code:x}}}"


def _refused(reason: str) -> EngineError:
    # What is quoted may hold what can't be shown or sent.
    shown = "".join(one if one.isprintable() else "�" for one in reason)
    return EngineError(f"The grammar can't be read: {shown}.", "Correct it.")
