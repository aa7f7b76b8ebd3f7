"""The text files that URIAL's authors publish, as preambles of ours and back.

Such a file is what stands in front of the first turn: a system text under `# Instruction`, then
for each example its query and its answer, each under its heading (see `published_layout`). Their
runner puts a newline behind the file, and then the turn in the same shape, up to where its answer
starts.

What is read renders to the same text, to the character: where an example stands in other white
space than a turn, it gets templates of its own. What a file has that no preamble can hold is told.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

from urial_tui import wording
from urial_tui.errors import PreambleError
from urial_tui.files import decoded, read_bytes, reason
from urial_tui.prompting.preamble import Example, Preamble, PromptFormat
from urial_tui.prompting.preamble_file import MAX_BYTES, toml_text
from urial_tui.prompting.published_layout import (
    FENCE,
    ExampleBlock,
    Layout,
    LayoutError,
    is_published,
    layout_of,
)
from urial_tui.prompting.render import answer_template, open_turn, preamble_text
from urial_tui.prompting.soundness import NAME, check_sound
from urial_tui.prompting.stops import answer_end, format_rules
from urial_tui.sanitize import quoted, sanitize_line

_SYSTEM = "# Instruction\n\n{system}\n\n"
_BARE_CODE = (
    "An example holds a code block without a language, so that a closing fence alone ends no "
    "answer: one ends where a query follows, or where the model ends its text."
)

_SYSTEM_HEAD = re.compile(r"\s*# Instruction[ \t]*\n\s*")
_OTHER_HEADING = re.compile(r"^#* ?(User|Human|Question|Assistant):[ \t]*$", re.MULTILINE)


class Imported(NamedTuple):
    """A preamble that was made of a file, and what of the file is not in it, in sentences."""

    preamble: Preamble
    notes: tuple[str, ...]


class Published(NamedTuple):
    """A preamble as a published file, and what of it is not in that, in sentences."""

    text: str
    notes: tuple[str, ...]


def import_published(path: Path, name: str) -> Imported:
    """The preamble that a published file is.

    Args:
        path: The file.
        name: What the preamble is called.

    Raises:
        PreambleError: The file can't be read, or has another layout; or the name can't be one.
    """
    text, notes = _read(path)
    layout = layout_of(text)
    # A file that ends in an open turn is all that the model is shown.
    is_open = layout.is_open(text)
    text = text if is_open else text + "\n"
    start = layout.starts(text)
    head = text if start is None else text[: start.start()]
    try:
        blocks = list(layout.blocks(text, len(head)))
    except LayoutError as error:
        raise _refused(path, str(error)) from error
    system, system_format = _system(head)
    if not blocks and (_OTHER_HEADING.search(text) or not _SYSTEM_HEAD.match(text)):
        raise _refused(path, _without_headings(text))
    if not (system or blocks):
        raise _refused(path, "nothing stands under `# Instruction`")
    asked = ""
    query_format, answer_format = layout.turn_of(blocks)
    if blocks and blocks[-1].open:
        turn = blocks.pop()
        query_format, answer_format, asked = turn.query_format, turn.answer_format, turn.query
        notes.append(
            "The open turn at its end is the format of a turn; its query is left out: "
            f"{quoted(asked)}."
        )
    notes += [
        f"Example {number} stands beside a query or an answer that is none of its own: they are "
        "kept in its templates."
        for number, block in enumerate(blocks, 1)
        if block.lone
    ]
    if blocks and not system and system_format:
        # Blank lines in front of the first query.
        first = blocks[0]
        blocks[0] = first._replace(query_format=system_format + first.query_format)
        system_format = ""
    form = PromptFormat(system=system_format, query=query_format, answer=answer_format)
    examples = tuple(_example(block, form) for block in blocks)
    form, more = _with_stops(form, examples, layout)
    shown = sanitize_line(path.name)
    preamble = Preamble(
        name=name,
        title=sanitize_line(path.stem),
        description=f"Imported from {shown}.",
        method="urial" if system else "vanilla-icl",
        system=system,
        format=form,
        examples=examples,
    )
    _check(preamble, text, asked if is_open else None, path)
    return Imported(preamble, (*notes, *more))


def name_for(path: Path) -> str:
    """What a preamble may be called that is made of this file; "" where nothing is left."""
    words = re.findall(r"[a-z0-9.]+", path.stem.lower())
    name = "-".join(word.strip(".") for word in words if word.strip("."))
    return name if NAME.fullmatch(name) else ""


def published_text(preamble: Preamble) -> Published:
    """A preamble as a published file.

    Where its turns have the published shape the file is what the model is shown, to the
    character; another format is left out, and its texts are put into that shape.

    Raises:
        PreambleError: It has neither a system text nor examples.
    """
    if not (preamble.system or preamble.examples):
        if preamble.retrieval is not None:
            raise PreambleError(
                f"All that the preamble {preamble.name} shows is retrieved for each question: it "
                "has neither a system text nor examples of its own.",
                "Make the index with --like and a preamble that has a system text.",
            )
        raise PreambleError(
            f"The preamble {preamble.name} has neither a system text nor examples.",
            "There is nothing to be written into a file of this layout.",
        )
    notes = []
    form = preamble.format
    examples = preamble.examples
    if not is_published(form.query, form.answer):
        notes.append("Its format is left out: the texts stand in the published one.")
        usual = Layout()
        form = PromptFormat(system=_SYSTEM, query=usual.query_format, answer=usual.answer_format)
        examples = tuple(Example(query=one.query, answer=one.answer) for one in examples)
    fenced = [str(n) for n, one in enumerate(examples, 1) if FENCE in one.answer]
    if fenced and FENCE in form.answer:
        notes.append(
            "The published runner deletes the fences of answers: "
            f"{'example' if len(fenced) == 1 else 'examples'} {', '.join(fenced)} will lose theirs."
        )
    if preamble.rules is not None:
        notes.append("Its rules are left out.")
    if preamble.retrieval is not None:
        notes.append(
            f"Its examples, which are retrieved for each question from {preamble.retrieval.index}, "
            "are left out: what is written is what stands in front of them."
        )
    text = preamble_text(msgspec.structs.replace(preamble, format=form, examples=examples))
    # The runner puts it there.
    return Published(text.removesuffix("\n"), tuple(notes))


def _read(path: Path) -> tuple[str, list[str]]:
    """What the runner reads from a file."""
    try:
        data = read_bytes(path, MAX_BYTES)
        text = decoded(data)
    except OSError as error:
        raise PreambleError(
            f"{sanitize_line(str(path))} can't be read: {reason(error)}.",
            "Give it a text file of the published layout.",
        ) from error
    notes = []
    if text.encode() != data:
        notes.append("The byte order mark at its start is left out.")
    if "\r" in text:
        # Python's text files, and with them the runner, do the same.
        text = text.replace("\r\n", "\n").replace("\r", "\n")
        notes.append("Its Windows line ends are read as plain ones, as the published runner does.")
    # A file that ends in an open turn is all that the model is shown.
    return text, notes


def _system(head: str) -> tuple[str, str]:
    """(the system text, its template) of what stands in front of the examples."""
    heading = _SYSTEM_HEAD.match(head)
    opened = heading.group() if heading else head[: len(head) - len(head.lstrip())]
    text = head[len(opened) :].strip()
    if not text:
        return "", head
    behind = head[len(opened) + len(text) :]
    return text, opened + "{system}" + behind


def _example(block: ExampleBlock, form: PromptFormat) -> Example:
    return Example(
        query=block.query,
        answer=block.answer,
        query_format="" if block.query_format == form.query else block.query_format,
        answer_format="" if block.answer_format == form.answer else block.answer_format,
    )


def _with_stops(
    form: PromptFormat, examples: Sequence[Example], layout: Layout
) -> tuple[PromptFormat, list[str]]:
    """The format with stop rules that leave all examples whole, and what is to be told of them."""
    notes: list[str] = []
    answers = [example.answer for example in examples]
    headings = tuple(stop for stop in layout.stops if not any(stop in answer for answer in answers))
    fenced = msgspec.structs.replace(form, stop=headings, fence=FENCE)
    rules = format_rules(fenced)
    if layout.fenced and all(
        answer_end(f"{answer}\n{FENCE}\n", rules) == len(answer) for answer in answers
    ):
        return fenced, notes
    # A code block without a language would end the answer at its first line.
    ends = dict.fromkeys(
        answer_template(example, form).partition("{answer}")[2] + f"{layout.query}\n"
        for example in (*examples, Example(query="", answer=""))
    )
    if layout.fenced:
        notes.append(_BARE_CODE)
    return msgspec.structs.replace(form, stop=(*ends, *headings)), notes


def _check(preamble: Preamble, text: str, asked: str | None, path: Path) -> None:
    """What was made of a file is sound, and renders to what was read; `asked`: its open turn's
    query, None where there is none.
    """
    check_sound(preamble, Path(f"{preamble.name}.toml"))
    if len(toml_text(preamble).encode()) > MAX_BYTES:
        raise _refused(path, f"as TOML it would be longer than {wording.limit(MAX_BYTES)}")
    shown = preamble_text(preamble)
    if asked is not None:
        shown, text = shown + open_turn(preamble, asked), text.rstrip() + "\n"
    if shown != text:
        raise _refused(path, "it can't be rendered again as it stands there")


def _without_headings(text: str) -> str:
    other = _OTHER_HEADING.search(text)
    found = f"; it has the heading {quoted(other.group().strip())}" if other else ""
    return f"it holds no query under the heading `# Query:` or `# User:`{found}"


def _refused(path: Path, why: str) -> PreambleError:
    return PreambleError(
        f"{sanitize_line(str(path))} is no file of the published layout: {why}.",
        "docs/preambles.md shows the layout; correct the file at that place.",
    )
