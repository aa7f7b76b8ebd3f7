"""The text files that URIAL's authors publish, as preambles of ours and back.

Such a file is what stands in front of the first turn: a system text under `# Instruction`, then
for each example its query under `# Query:` and its answer under `# Answer:`, each in a fence of
three backticks. Their runner puts a newline behind the file, and then the turn in the same shape,
up to the line behind the opening fence of its answer.

What is read renders to the same text, to the character: where an example stands in other white
space than a turn, it gets templates of its own. What a file has that no preamble can hold is told.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

from urial_tui.errors import PreambleError
from urial_tui.files import decoded, read_bytes, reason
from urial_tui.prompting.preamble import MAX_BYTES, Example, Preamble, PromptFormat
from urial_tui.prompting.preamble_file import toml_text
from urial_tui.prompting.render import answer_template, open_turn, preamble_text
from urial_tui.prompting.soundness import NAME, check_sound
from urial_tui.prompting.stops import answer_end, format_rules
from urial_tui.sanitize import quoted, sanitize_line

FENCE = "```"
_QUERY = "# Query:\n```\n{query}\n```\n\n"
_ANSWER = "# Answer:\n```\n{answer}\n```\n\n"
_SYSTEM = "# Instruction\n\n{system}\n\n"
_HEADINGS = ("\n\n# Answer:\n", "\n# Answer:\n", "\n\n# Query:\n", "\n# Query:\n")
"""Where a model that forgets the fence goes on with a turn of its own."""

_START = re.compile(r"^# Query:[ \t]*$", re.MULTILINE)
_SYSTEM_HEAD = re.compile(r"\s*# Instruction[ \t]*\n\s*")
_QUERY_OPENS = re.compile(r"# Query:[ \t]*\n\s*```")
_QUERY_ENDS = re.compile(r"```\s*^(?=# Answer:[ \t]*$)", re.MULTILINE)
_ANSWER_OPENS = re.compile(r"# Answer:[ \t]*\n\s*```")
# A fence within the answer is followed by more of it.
_ANSWER_ENDS = re.compile(r"```\s*(?:^(?=# (?:Query|Answer):[ \t]*$)|\Z)", re.MULTILINE)
_ANSWER_HEAD = re.compile(r"^# Answer:[ \t]*$", re.MULTILINE)
_OTHER_HEADING = re.compile(r"^#* ?(User|Human|Question|Assistant):[ \t]*$", re.MULTILINE)


class Imported(NamedTuple):
    """A preamble that was made of a file, and what of the file is not in it, in sentences."""

    preamble: Preamble
    notes: tuple[str, ...]


class Published(NamedTuple):
    """A preamble as a published file, and what of it is not in that, in sentences."""

    text: str
    notes: tuple[str, ...]


class _Block(NamedTuple):
    """A query and an answer with the templates that they stand in; the last answer may be open.

    `lone`: these hold a query without an answer, or an answer to no query.
    """

    query: str
    query_format: str
    answer: str
    answer_format: str
    lone: bool
    open: bool


def import_published(path: Path, name: str) -> Imported:
    """The preamble that a published file is.

    Args:
        path: The file.
        name: What the preamble is called.

    Raises:
        PreambleError: The file can't be read, or has another layout; or the name can't be one.
    """
    text, notes = _read(path)
    start = _START.search(text)
    head = text if start is None else text[: start.start()]
    blocks = list(_blocks(text, len(head), path))
    system, system_format = _system(head)
    if not blocks and (_OTHER_HEADING.search(text) or not _SYSTEM_HEAD.match(text)):
        raise _refused(path, _without_headings(text))
    if not (system or blocks):
        raise _refused(path, "nothing stands under `# Instruction`")
    asked = ""
    query_format, answer_format = _QUERY, _ANSWER
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
    form, more = _with_stops(form, examples)
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
    _check(preamble, text, asked, path)
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
        raise PreambleError(
            f"The preamble {preamble.name} has neither a system text nor examples.",
            "There is nothing to be written into a file of this layout.",
        )
    notes = []
    form = preamble.format
    examples = preamble.examples
    if (form.query, form.answer) != (_QUERY, _ANSWER):
        notes.append("Its format is left out: the texts stand in the published one.")
        form = PromptFormat(system=_SYSTEM, query=_QUERY, answer=_ANSWER)
        examples = tuple(Example(query=one.query, answer=one.answer) for one in examples)
    fenced = [str(n) for n, one in enumerate(examples, 1) if FENCE in one.answer]
    if fenced:
        notes.append(
            "The published runner deletes the fences of answers: "
            f"{'example' if len(fenced) == 1 else 'examples'} {', '.join(fenced)} will lose theirs."
        )
    if preamble.rules is not None:
        notes.append("Its rules are left out.")
    if preamble.retrieval is not None:
        notes.append("Its examples, which are retrieved for each question, are left out.")
    text = preamble_text(msgspec.structs.replace(preamble, format=form, examples=examples))
    # The runner puts it there.
    return Published(text.removesuffix("\n"), tuple(notes))


def _read(path: Path) -> tuple[str, list[str]]:
    """What the runner reads from a file, the newline behind it included."""
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
    return text if _is_open(text) else text + "\n", notes


def _is_open(text: str) -> bool:
    """Whether a text ends right behind the opening fence of an answer."""
    found = list(_ANSWER_OPENS.finditer(text))
    return bool(found) and not text[found[-1].end() :].strip()


def _system(head: str) -> tuple[str, str]:
    """(the system text, its template) of what stands in front of the examples."""
    heading = _SYSTEM_HEAD.match(head)
    opened = heading.group() if heading else head[: len(head) - len(head.lstrip())]
    text = head[len(opened) :].strip()
    if not text:
        return "", head
    behind = head[len(opened) + len(text) :]
    return text, opened + "{system}" + behind


def _blocks(text: str, at: int, path: Path) -> Iterator[_Block]:
    number = 0
    while at < len(text):
        number += 1
        opens = _QUERY_OPENS.match(text, at)
        if opens is None:
            raise _refused(path, f"the query of example {number} stands in no fence")
        end = _QUERY_ENDS.search(text, opens.end())
        if end is None:
            raise _refused(path, f"no answer follows the query of example {number}")
        opens, lone = _last_query(text, opens, end.start())
        if _ANSWER_HEAD.search(text, at, end.start()) or _START.search(
            text, opens.end(), end.start()
        ):
            raise _refused(path, f"the fence around the query of example {number} is not closed")
        query, query_format = _in_template(text, at, opens.end(), end.start(), end.end(), "query")
        opens = _ANSWER_OPENS.match(text, end.end())
        if opens is None:
            raise _refused(path, f"the answer of example {number} stands in no fence")
        closes = _ANSWER_ENDS.search(text, opens.end())
        if closes is None:
            if text[opens.end() :].strip():
                raise _refused(
                    path, f"the fence around the answer of example {number} is not closed"
                )
            # The turn that the model is to answer.
            head = text[end.end() :].rstrip() + "\n"
            yield _Block(query, query_format, "", head + "{answer}\n```\n\n", lone, open=True)
            return
        answer, answer_format = _in_template(
            text, end.end(), opens.end(), closes.start(), closes.end(), "answer"
        )
        if _START.search(answer) or _is_unclosed(answer):
            raise _refused(path, f"the fence around the answer of example {number} is not closed")
        at = closes.end()
        while (more := _ANSWER_OPENS.match(text, at)) is not None:
            # An answer to no query, which one of the published files has.
            closes = _ANSWER_ENDS.search(text, more.end())
            if closes is None:
                raise _refused(path, f"a second answer behind example {number} is not closed")
            answer_format += text[at : closes.end()]
            at, lone = closes.end(), True
        yield _Block(query, query_format, answer, answer_format, lone, open=False)


def _last_query(text: str, opens: re.Match[str], end: int) -> tuple[re.Match[str], bool]:
    """The query right in front of an answer, and whether queries without one stand before it."""
    found = opens
    while (following := _START.search(text, found.end(), end)) is not None:
        later = _QUERY_OPENS.match(text, following.start())
        closed = text[found.end() : following.start()].rstrip().endswith(FENCE)
        if later is None or not closed:
            break
        found = later
    return found, found is not opens


def _in_template(
    text: str, start: int, inner: int, inner_end: int, end: int, key: str
) -> tuple[str, str]:
    """A text between two fences, and the template that the rest of its part is."""
    content = text[inner:inner_end]
    stripped = content.strip()
    first = inner + len(content) - len(content.lstrip()) if stripped else inner_end
    last = first + len(stripped)
    return stripped, text[start:first] + "{" + key + "}" + text[last:end]


def _is_unclosed(answer: str) -> bool:
    """Whether a code block is left open, whose end was taken for the answer's."""
    inside = False
    for line in answer.splitlines():
        if line.startswith(FENCE):
            inside = not inside or line.rstrip() != FENCE
    return inside


def _example(block: _Block, form: PromptFormat) -> Example:
    return Example(
        query=block.query,
        answer=block.answer,
        query_format="" if block.query_format == form.query else block.query_format,
        answer_format="" if block.answer_format == form.answer else block.answer_format,
    )


def _with_stops(form: PromptFormat, examples: Sequence[Example]) -> tuple[PromptFormat, list[str]]:
    """The format with stop rules that leave all examples whole, and what is to be told of them."""
    notes: list[str] = []
    answers = [example.answer for example in examples]
    headings = tuple(stop for stop in _HEADINGS if not any(stop in answer for answer in answers))
    fenced = msgspec.structs.replace(form, stop=headings, fence=FENCE)
    rules = format_rules(fenced)
    if all(answer_end(answer + "\n```\n", rules) == len(answer) for answer in answers):
        return fenced, notes
    # A code block without a language would end the answer at its first line.
    ends = dict.fromkeys(
        answer_template(example, form).partition("{answer}")[2] + "# Query:\n"
        for example in (*examples, Example(query="", answer=""))
    )
    notes.append(
        "An example holds a code block without a language, so that a closing fence alone ends no "
        "answer: one ends where a query follows, or where the model ends its text."
    )
    return msgspec.structs.replace(form, stop=(*ends, *headings)), notes


def _check(preamble: Preamble, text: str, asked: str, path: Path) -> None:
    """What was made of a file is sound, and renders to what was read; `asked`: its open turn."""
    check_sound(preamble, Path(f"{preamble.name}.toml"))
    if len(toml_text(preamble).encode()) > MAX_BYTES:
        raise _refused(path, f"as TOML it would be longer than {MAX_BYTES // 1024} KiB")
    shown = preamble_text(preamble)
    if _is_open(text):
        shown, text = shown + open_turn(preamble, asked), text.rstrip() + "\n"
    if shown != text:
        raise _refused(path, "it can't be rendered again as it stands there")


def _without_headings(text: str) -> str:
    other = _OTHER_HEADING.search(text)
    found = f"; it has the heading {quoted(other.group().strip())}" if other else ""
    return f"it holds no query under the heading `# Query:`{found}"


def _refused(path: Path, why: str) -> PreambleError:
    return PreambleError(
        f"{sanitize_line(str(path))} is no file of the published layout: {why}.",
        "docs/preambles.md shows the layout; correct the file at that place.",
    )
