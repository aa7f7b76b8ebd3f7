"""Markdown as a flat list of blocks, which can grow at its end.

A block is a paragraph, a heading, a piece of code, a table or a rule, with what stands in
front of its lines: bullets, numbers and the bars of quotes. Its text is still source; what is
in it (`emphasis`, links) is for those who draw it. Blocks are plain values, so equal ones are
drawn once.

What Markdown takes for mere syntax, and would draw nothing for, is shown as it was written: a
fence without code, a heading without words, a quote of nothing, the definition of a link.

Text that is added can only change the last block of the outermost level that has a whole line.
So what is behind the start of that block is parsed again, and nothing else; a test holds that
the blocks of a text do not depend on the pieces in which it came.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Literal, NamedTuple

from markdown_it import MarkdownIt
from markdown_it.token import Token

BlockKind = Literal["paragraph", "heading", "code", "table", "rule"]
LinkTargets = dict[str, Any]
"""What a text defines for its links, as the parser keeps it."""

QUOTE = "▎ "
BULLETS = "•◦▪"


def markdown_parser() -> MarkdownIt:
    """Markdown that shows everything a model writes.

    HTML is text, not something to leave out. Entities stay as they are written: decoded,
    they could bring back the characters that `sanitize` took out.
    """
    return MarkdownIt("gfm-like", {"html": False, "linkify": False}).disable("entity")


class Block(NamedTuple):
    """Lines that belong together.

    `lead` stands in front of the first line, `indent` in front of the others; they are equally
    wide. `gap` stands in the empty line before the block; None: there is no such line.
    `level`: of a heading. `language`: of code. `rows`: of a table, the head first.
    """

    kind: BlockKind
    text: str = ""
    lead: str = ""
    indent: str = ""
    gap: str | None = ""
    level: int = 0
    language: str = ""
    rows: tuple[tuple[str, ...], ...] = ()


class Document:
    """A Markdown text and its blocks.

    Args:
        source: The text; what can't be shown has been taken out of it.
    """

    def __init__(self, source: str = "") -> None:
        self.source = ""
        self.blocks: tuple[Block, ...] = ()
        self.references: LinkTargets = {}
        self._closed: tuple[Block, ...] = ()
        """The blocks of what can not change any more."""
        self._open_at = 0
        """Where in the source the others start."""
        self._parser = markdown_parser()
        self._parser.core.ruler.enableOnly(["normalize", "block"])
        self.append(source)

    def append(self, text: str) -> None:
        """Add text at the end."""
        self.source += text
        env: dict[str, Any] = {"references": dict(self.references)}
        tail = self.source[self._open_at :]
        parts = list(_parts(self._parser.parse(tail, env), tail))
        self.references = env["references"]
        # A line that is not at its end may still turn out to belong to the part before it.
        ended = tail.count("\n")
        last = max((n for n, part in enumerate(parts) if part.line < ended), default=0)
        if last > 0:
            self._closed = self._joined(_blocks(parts[:last]))
            self._open_at += _offset(tail, parts[last].line)
        self.blocks = self._joined(_blocks(parts[last:]))

    def _joined(self, more: Sequence[Block]) -> tuple[Block, ...]:
        """Nothing stands above the first block."""
        blocks = (*self._closed, *more)
        return (blocks[0]._replace(gap=None), *blocks[1:]) if blocks else ()


class _Part(NamedTuple):
    """The tokens of a block of the outermost level, and the line where it starts."""

    line: int
    tokens: list[Token]


def _parts(tokens: Sequence[Token], text: str) -> Iterator[_Part]:
    """The parts of a text, in its order; lines between them that hold definitions are parts too."""
    part: list[Token] = []
    end = 0
    lines = text.split("\n")
    for token in tokens:
        part.append(token)
        if token.level == 0 and token.nesting <= 0:
            start, after = part[0].map or [end, end]
            yield from _definitions(lines, end, start)
            yield _Part(line=start, tokens=part)
            part, end = [], after
    yield from _definitions(lines, end, len(lines))


def _definitions(lines: Sequence[str], start: int, end: int) -> Iterator[_Part]:
    """What links refer to, which makes no token: a paragraph of the lines that are not empty."""
    written = [number for number in range(start, end) if lines[number].strip()]
    if written:
        first = written[0]
        text = Token("inline", "", 0, content="\n".join(lines[number] for number in written))
        yield _Part(line=first, tokens=[Token("paragraph_open", "p", 1), text])


def _offset(text: str, line: int) -> int:
    """Where a line starts."""
    at = 0
    for _ in range(line):
        at = text.index("\n", at) + 1
    return at


class _Container:
    """A quote, a list or an item around the tokens that come.

    `used`: something is in it already. `bullet`, `number`, `width`: of the next item of a list.
    """

    def __init__(self, lead: str, indent: str, *, item: bool = False) -> None:
        self.lead = lead
        self.indent = indent
        self.item = item
        self.used = False
        self.number = 0
        self.width = 0
        self.bullet = ""


def _blocks(parts: Sequence[_Part]) -> list[Block]:
    """The blocks of some parts."""
    tokens = [token for part in parts for token in part.tokens]
    blocks: list[Block] = []
    around: list[_Container] = []
    rows: list[tuple[str, ...]] = []
    cells: list[str] = []
    for place, token in enumerate(tokens):
        match token.type:
            case "blockquote_open":
                around.append(_Container(QUOTE, QUOTE))
            case "bullet_list_open":
                depth = sum(bool(container.bullet) for container in around)
                around.append(_Container("", ""))
                around[-1].bullet = BULLETS[min(depth, len(BULLETS) - 1)]
            case "ordered_list_open":
                around.append(_Container("", ""))
                around[-1].number = int(token.attrGet("start") or 1)
                around[-1].width = len(f"{around[-1].number + _items(tokens, place) - 1}. ")
            case "list_item_open":
                around.append(_item(around[-1]))
            case "list_item_close" | "blockquote_close":
                if not around[-1].used:
                    tight = token.type == "list_item_close"
                    blocks.append(_placed(Block("paragraph"), around, tight=tight))
                around.pop()
            case "bullet_list_close" | "ordered_list_close":
                around.pop()
            case "inline":
                opening = tokens[place - 1]
                if opening.type in ("th_open", "td_open"):
                    cells.append(token.content)
                elif opening.type == "heading_open":
                    level = int(opening.tag[1:])
                    title = token.content or opening.markup
                    blocks.append(_placed(Block("heading", title, level=level), around))
                else:
                    block = Block("paragraph", token.content)
                    blocks.append(_placed(block, around, tight=opening.hidden))
            case "fence" | "code_block":
                language = (token.info.split() or [""])[0]
                code = token.content.rstrip("\n") or f"{token.markup}{token.info}"
                block = Block("code", code, language=language)
                blocks.append(_placed(block, around))
            case "hr":
                blocks.append(_placed(Block("rule"), around))
            case "tr_close":
                rows.append(tuple(cells))
                cells = []
            case "table_close":
                blocks.append(_placed(Block("table", rows=tuple(rows)), around))
                rows = []
            case _:
                pass
    return blocks


def _items(tokens: Sequence[Token], place: int) -> int:
    """How many items the list has whose opening token is there."""
    level = tokens[place].level
    count = 0
    for token in tokens[place + 1 :]:
        if token.level == level:
            break
        count += token.type == "list_item_open" and token.level == level + 1
    return count


def _item(parent: _Container) -> _Container:
    """The next item of a list."""
    if parent.bullet:
        lead = f"{parent.bullet} "
    else:
        lead = f"{parent.number}. ".rjust(parent.width)
        parent.number += 1
    return _Container(lead, " " * len(lead), item=True)


def _placed(block: Block, around: Sequence[_Container], *, tight: bool = False) -> Block:
    """A block with what stands in front of its lines, inside of these containers."""
    lead = "".join(container.indent if container.used else container.lead for container in around)
    indent = "".join(container.indent for container in around)
    gap = "".join(container.indent for container in around if container.used).rstrip()
    if around and around[-1].item:
        item, list_ = around[-1], around[-2]
        nested = len(around) > 2 and around[-3].item
        if item.used:
            tight = tight or block.kind == "heading"
        elif list_.used:
            tight = tight or block.kind != "paragraph"
        else:
            tight = nested and (tight or block.kind != "paragraph")
    for container in around:
        container.used = True
    return block._replace(lead=lead, indent=indent, gap=None if tight else gap)
