"""What of a preamble breaks a base model, or leads it astray.

A preamble that loads can work; here is what keeps it from working well. Each finding says where it
is and what to do. `token_check` looks at the same preamble through a model's vocabulary.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

import msgspec

from urial_tui.errors import PreambleError
from urial_tui.prompting.pool import plain_text
from urial_tui.prompting.preamble import Example, Preamble
from urial_tui.prompting.soundness import check_sound
from urial_tui.prompting.stops import answer_end, format_rules
from urial_tui.sanitize import UNSAFE, quoted

Severity = Literal["error", "warning", "note"]
"""An error breaks answers; a warning costs; a note is a choice that should have been made."""

_OPENING = 3
"""Words that make an opening."""
_SUBJECT = 4
"""Times that a word stands in one example alone before it is the subject."""
_LETTERS = 5
"""Of a word that can be a subject."""
_WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)*")
_FUNCTION_WORDS = frozenset(
    _WORD.findall(
        "about after again because before being could every first might other should their there "
        "these those under until where which while whose without would yours"
    )
)
"""Words of at least `_LETTERS` that are no subject, of English."""
_FENCE = re.compile(r"^[ ]{0,3}(`{3,}|~{3,})(.*)$", re.MULTILINE)
_CONTROL_TOKEN = re.compile(
    r"</?s>|<(?:bos|eos|pad|unk)>|<\|[a-z0-9_▁]{1,40}\|>|<(?:start|end)_of_turn>|\[/?INST\]|<</?SYS>>"
)
# From the start of the blanks alone: from each of them it would be the square of their number.
_BLANK_END = re.compile(r"(?<![^\S\n])[^\S\n]+$", re.MULTILINE)
_CLOSED = re.compile(r"""[.!?…:;。！？)\]}"'”’»*`~|>]$""")


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that was found.

    where    "answer of example 2", "format.query", "the system text", ...
    example  its number, from 1; None elsewhere
    line     of that text, from 1; None where it is about more than a line
    what     what was found, a sentence
    advice   what to do, a sentence
    """

    severity: Severity
    where: str
    what: str
    advice: str
    example: int | None = None
    line: int | None = None


class Text(NamedTuple):
    """A text of a preamble, and where it stands."""

    where: str
    text: str
    example: int | None = None

    def at(
        self, severity: Severity, what: str, advice: str, position: int | None = None
    ) -> Finding:
        """A finding in it; `position`: the character that it is about."""
        line = None if position is None else self.text.count("\n", 0, position) + 1
        return Finding(
            severity=severity,
            where=self.where,
            what=what,
            advice=advice,
            example=self.example,
            line=line,
        )


def check_preamble(preamble: Preamble, path: Path) -> list[Finding]:
    """All that is found without a model: errors first, then warnings and notes.

    Args:
        preamble: As it was read, sound or not.
        path: Its file.
    """
    found = [
        *_unsound(preamble, path),
        *_cut_examples(preamble),
        *_colliding_fences(preamble),
        *_control_tokens(preamble),
        *_spaces_before_answers(preamble),
        *_characters(preamble),
        *_duplicates(preamble),
        *_openings(preamble),
        *_endings(preamble),
        *_subject(preamble),
    ]
    return by_severity(found)


def by_severity(findings: Sequence[Finding]) -> list[Finding]:
    """The worst first, in the order in which they were found otherwise."""
    order = ("error", "warning", "note")
    return sorted(findings, key=lambda finding: order.index(finding.severity))


def texts(preamble: Preamble) -> list[Text]:
    """What the model is shown: the system text, the templates, the examples."""
    form = preamble.format
    found = [Text("the system text", preamble.system)]
    found += [Text(f"format.{key}", getattr(form, key)) for key in ("system", "query", "answer")]
    for number, example in enumerate(preamble.examples, 1):
        for key in ("query", "answer"):
            template = getattr(example, f"{key}_format")
            found.append(Text(f"{key}_format of example {number}", template, number))
            found.append(Text(f"{key} of example {number}", getattr(example, key), number))
    return [text for text in found if text.text]


def _unsound(preamble: Preamble, path: Path) -> Iterator[Finding]:
    """What would keep it from loading, but for answers that are cut: these are all listed."""
    rules = format_rules(preamble.format)
    whole = tuple(
        msgspec.structs.replace(example, answer="Yes.")
        if _end(example.answer, preamble) is not None
        else example
        for example in preamble.examples
    )
    try:
        if rules.strings or rules.fence:
            preamble = msgspec.structs.replace(preamble, examples=whole)
        check_sound(preamble, path)
    except PreambleError as error:
        yield Finding(severity="error", where="the file", what=error.message, advice=error.hint)


def _end(answer: str, preamble: Preamble) -> int | None:
    """Where an answer is cut; None where it stays whole."""
    rules = format_rules(preamble.format)
    if "" in rules.strings:
        return None
    return answer_end(answer, rules)


def _cut_examples(preamble: Preamble) -> Iterator[Finding]:
    rules = format_rules(preamble.format)
    for text in _of_examples(preamble):
        answers = text.where.startswith("answer")
        places: dict[int, str] = {}
        for stop in filter(str.strip, rules.strings):
            for found in re.finditer(re.escape(stop), text.text):
                places.setdefault(found.end() - len(stop.lstrip("\n")), stop)
        for place, stop in sorted(places.items()):
            yield text.at(
                "error" if answers else "warning",
                f"The stop string {quoted(stop)} stands in it.",
                "Change this text or the stop string: an answer ends there."
                if answers
                else "Word it otherwise: a model takes it for the end of the query.",
                place,
            )
        end = answer_end(text.text, msgspec.structs.replace(rules, strings=()))
        if answers and end is not None:
            yield text.at(
                "error",
                f"A line that holds only the closing fence {quoted(rules.fence)} ends the answer.",
                "Name the language of the code block, or choose another fence.",
                min(end + 1, len(text.text)),
            )


def _colliding_fences(preamble: Preamble) -> Iterator[Finding]:
    """Code blocks in the format's own fence, and blocks that nothing closes."""
    form = preamble.format
    own = {run for t in (form.query, form.answer) for run, rest in _FENCE.findall(t) if not rest}
    stops = [stop.strip() for stop in form.stop if stop.strip()]
    for text in _of_examples(preamble):
        query = text.where.startswith("query")
        block, opened = "", 0
        for found in _FENCE.finditer(text.text):
            run, rest = found.groups()
            told = not query and any(run.startswith(stop) for stop in stops)
            if any(run.startswith(fence) for fence in own) and not told and (query or rest.strip()):
                yield text.at(
                    "warning" if query else "note",
                    f"The fence {quoted(run)} is one that the format puts around its texts.",
                    "Use another fence for the code block, such as one of the other character.",
                    found.start(),
                )
            if not block:
                block, opened = run, found.start()
            elif run.startswith(block) and not rest.strip():
                block = ""
        if block:
            yield text.at(
                "warning",
                f"The code block that {quoted(block)} opens is not closed.",
                "Close it: what follows is code to a model.",
                opened,
            )


def _control_tokens(preamble: Preamble) -> Iterator[Finding]:
    for text in texts(preamble):
        for found in _CONTROL_TOKEN.finditer(text.text):
            yield text.at(
                "warning",
                f"{quoted(found.group())} is written out, and is read as these characters.",
                "Leave it out: the beginning-of-text token is put in front by the engine, and no "
                "other control token belongs into a preamble.",
                found.start(),
            )


def _spaces_before_answers(preamble: Preamble) -> Iterator[Finding]:
    """Tokens of words hold the space in front of them; one of its own makes other words likely."""
    form = preamble.format
    templates = [Text("format.answer", form.answer)]
    templates += [
        Text(f"answer_format of example {number}", example.answer_format, number)
        for number, example in enumerate(preamble.examples, 1)
    ]
    for template in templates:
        head = template.text.partition("{answer}")[0]
        if head != head.rstrip(" \t"):
            yield template.at(
                "warning",
                "A space stands right in front of the answer.",
                "Take it away: a model's words begin with their own space.",
                len(head) - 1,
            )


def _characters(preamble: Preamble) -> Iterator[Finding]:
    for text in texts(preamble):
        # Templates that an import made stand as they were published.
        blank = None if "_format" in text.where else _BLANK_END.search(text.text)
        if blank is not None:
            count = len(_BLANK_END.findall(text.text))
            lines = "a line" if count == 1 else f"{count} lines, this one first"
            yield text.at(
                "warning",
                f"There is white space at the end of {lines}.",
                "Take it away: it makes tokens that hardly any text has, and a model copies them.",
                blank.start(),
            )
        if not unicodedata.is_normalized("NFC", text.text):
            yield text.at(
                "warning",
                "It has letters that are put together from several characters (not NFC).",
                "Save it in the composed form: a model has rarely seen the other one.",
            )
        found = UNSAFE.search(text.text) or re.search("[\ufeff\u200b]", text.text)
        if found is not None:
            yield text.at(
                "warning",
                f"The control character U+{ord(found.group()):04X} stands in it.",
                "Take it away: it can't be seen, and the model may copy it.",
                found.start(),
            )


def _duplicates(preamble: Preamble) -> Iterator[Finding]:
    for key in ("query", "answer"):
        first: dict[str, int] = {}
        for number, example in enumerate(preamble.examples, 1):
            words = plain_text(getattr(example, key))
            if words in first:
                yield Finding(
                    severity="warning",
                    where=f"{key} of example {number}",
                    example=number,
                    what=f"It is that of example {first[words]} again.",
                    advice="Change one of them: a model learns from it to repeat itself.",
                )
            first.setdefault(words, number)


def _openings(preamble: Preamble) -> Iterator[Finding]:
    """A small model copies how the answers open, and goes on with what follows there."""
    by_words: dict[tuple[str, ...], list[int]] = {}
    by_sentence: dict[str, list[int]] = {}
    for number, example in enumerate(preamble.examples, 1):
        words = tuple(_WORD.findall(example.answer)[:_OPENING])
        by_words.setdefault(tuple(word.casefold() for word in words), []).append(number)
        sentence = re.match(r"[^.!?\n]{1,40}[.!?](?=\s)", example.answer)
        if sentence is not None:
            by_sentence.setdefault(sentence.group(), []).append(number)
    for numbers in by_words.values():
        if len(numbers) > 1:
            yield Finding(
                severity="warning",
                where=_several("answers", numbers),
                what=f"They open alike: {quoted(_opening(preamble.examples[numbers[0] - 1]))}.",
                advice="Let them open differently: a small model copies the opening, and then goes "
                "on with that example.",
            )
    for sentence_text, numbers in by_sentence.items():
        if len(numbers) > 1:
            yield Finding(
                severity="note",
                where=_several("answers", numbers),
                what=f"They open with the same sentence: {quoted(sentence_text)}.",
                advice="Keep it if all answers are to open so: most will.",
            )
    for number, example in enumerate(preamble.examples, 1):
        words = tuple(word.casefold() for word in _WORD.findall(example.answer)[:2])
        if len(words) > 1 and words[0] == words[1]:
            yield Finding(
                severity="warning",
                where=f"answer of example {number}",
                example=number,
                line=1,
                what=f"Its first word stands there twice: {quoted(words[0])}.",
                advice="Take one away: a model learns from it to repeat itself.",
            )


def _opening(example: Example) -> str:
    """The first words of an answer, as they stand there."""
    words = list(_WORD.finditer(example.answer))[:_OPENING]
    return example.answer[: words[-1].end()] if words else ""


def _endings(preamble: Preamble) -> Iterator[Finding]:
    for number, example in enumerate(preamble.examples, 1):
        if example.answer and not _CLOSED.search(example.answer):
            yield Finding(
                severity="warning",
                where=f"answer of example {number}",
                example=number,
                line=example.answer.count("\n") + 1,
                what="It ends within a sentence.",
                advice="Close it: a model learns from it to break off, or not to end.",
            )


def _subject(preamble: Preamble) -> Iterator[Finding]:
    """Words that the last example says over and over, and no other text does."""
    if not preamble.examples:
        return
    *others, last = preamble.examples
    number = len(preamble.examples)
    elsewhere = Counter(
        _content(preamble.system, *(t for one in others for t in (one.query, one.answer)))
    )
    counts = Counter(_content(last.query, last.answer))
    subject = [
        word for word, count in counts.most_common() if count >= _SUBJECT and word not in elsewhere
    ]
    if subject:
        named = ", ".join(f"{quoted(word)} ({counts[word]} times)" for word in subject[:3])
        yield Finding(
            severity="note",
            where=f"example {number}",
            example=number,
            what=f"It is the last one, and speaks of one subject over and over: {named}.",
            advice="A small model goes on with the last example's subject: put the most general "
            "example last.",
        )


def _content(*given: str) -> Iterator[str]:
    for text in given:
        words = (word for word in _WORD.findall(text.casefold()) if len(word) >= _LETTERS)
        yield from (word for word in words if word not in _FUNCTION_WORDS)


def _of_examples(preamble: Preamble) -> list[Text]:
    return [
        Text(f"{key} of example {number}", getattr(example, key), number)
        for number, example in enumerate(preamble.examples, 1)
        for key in ("query", "answer")
    ]


def _several(what: str, numbers: Sequence[int]) -> str:
    *most, last = map(str, numbers)
    return f"{what} of examples {', '.join(most)} and {last}"
