"""A conversation as Markdown: one path through it, for people to read and edit.

    ---
    format: urial-tui 1
    model: "gemma-3-270m"
    ---

    # The title

    ## You

    What was asked.

    ## Assistant (gemma-3-270m)

    What was answered.

It holds the path where one stands, and of it what can be read: other versions, token ids
and how answers ended are in the JSON form alone. A line of a text that looks like the
heading of a turn gets a backslash in front, which Markdown does not show. What a text leaves
open, a fence for one, is closed by a line of its own with `_CLOSED` below it, which reading
takes away. So texts come back as they were, but for blank lines around them and what
`sanitize` makes visible.

Reading is tolerant, for people edit such files: the head may be missing, and headings of
turns may be of any level and say "User" instead of "You".
"""

from __future__ import annotations

import contextlib
import json
import re
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

import msgspec

from urial_tui.chat.open_block import closing_line
from urial_tui.chat.tree import TurnTree
from urial_tui.chat.turns import (
    ConversationRecord,
    Role,
    TurnRecord,
    WholeConversation,
    new_id,
    one_line,
    plain,
    possible_time,
    title_of,
)
from urial_tui.errors import ExportError
from urial_tui.sanitize import sanitize, sanitize_line

_FORMAT = "urial-tui 1"
_CLOSED = "<!-- urial-tui: the line above closes what the text left open -->"
_LONGEST_HEADING = 400
_LONGEST_NAME = 200
_HEADING = re.compile(
    r"(\\*)#{1,6}[ \t]{1,8}(You|User|Assistant)(?:[ \t]{1,8}\((.*)\))?:?[ \t]*", re.IGNORECASE
)
_KEY = re.compile(r"([a-z_]+):[ \t]*(.*)")


class _Part(msgspec.Struct, frozen=True):
    """A turn as it stands in the file."""

    line: int
    role: Role
    model: str
    text: str


def to_markdown(whole: WholeConversation) -> str:
    """The path on which the conversation stands; ends with a newline."""
    record = whole.record
    head = {
        "model": record.model,
        "preamble": record.preamble,
        "created": _time_text(record.created),
        "updated": _time_text(record.updated),
    }
    lines = ["---", f"format: {_FORMAT}"]
    lines += [
        f"{key}: {json.dumps(sanitize_line(value), ensure_ascii=False)}"
        for key, value in head.items()
    ]
    lines.append("---")
    if title := sanitize_line(one_line(record.title)):
        lines += ["", _escaped(f"# {title}")]
    for turn in TurnTree(whole.turns, record.leaf).path:
        text = "\n".join(map(_escaped, sanitize(plain(turn.text)).split("\n")))
        lines += ["", _heading(turn), ""]
        lines += [text] if text else ()
        if closing := closing_line(text):
            lines += [closing, _CLOSED]
    return "\n".join(lines).rstrip("\n") + "\n"


def from_markdown(text: str) -> WholeConversation:
    """The conversation of such a file, under new ids.

    Raises:
        ExportError: There are no turns in it, or they are in no order that can be.
    """
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    head, start = _head(lines)
    parts = tuple(_parts(lines, start))
    _check(parts)
    now = time.time()
    created = _time(head.get("created"), now)
    record = ConversationRecord(
        id=new_id(),
        title=_title(lines[start : parts[0].line - 1]) or title_of(parts[0].text),
        created=created,
        updated=_time(head.get("updated"), now),
        model=head.get("model", ""),
        preamble=head.get("preamble", ""),
        turns=len(parts),
    )
    turns: list[TurnRecord] = []
    for part in parts:
        turns.append(
            TurnRecord(
                id=new_id(),
                conversation_id=record.id,
                parent_id=turns[-1].id if turns else None,
                role=part.role,
                text=part.text,
                created=created,
                stop_reason="stop" if part.role == "assistant" else None,
                model=part.model or record.model,
                preamble=record.preamble,
            )
        )
    return WholeConversation(msgspec.structs.replace(record, leaf=turns[-1].id), tuple(turns))


def _heading(turn: TurnRecord) -> str:
    if turn.role == "user":
        return "## You"
    model = sanitize_line(turn.model)[:_LONGEST_NAME]
    return f"## Assistant ({model})" if model else "## Assistant"


def _turn_heading(line: str) -> re.Match[str] | None:
    """A line that is the heading of a turn, or would be without its backslashes."""
    return _HEADING.fullmatch(line) if len(line.lstrip("\\")) <= _LONGEST_HEADING else None


def _is_ours(line: str) -> bool:
    """A line that means something to reading, or would without its backslashes."""
    return bool(_turn_heading(line)) or line.lstrip("\\") == _CLOSED


def _escaped(line: str) -> str:
    return f"\\{line}" if _is_ours(line) else line


def _unescaped(line: str) -> str:
    return line[1:] if line.startswith("\\") and _is_ours(line) else line


def _without_closing(lines: Sequence[str]) -> Sequence[str]:
    """The lines of a text without those that closed what it left open."""
    end = next((place for place in range(len(lines), 0, -1) if lines[place - 1].strip()), 0)
    if end < 2 or lines[end - 1].rstrip() != _CLOSED:
        return lines
    text, closing = lines[: end - 2], lines[end - 2]
    # Somebody may have edited what stands above.
    return text if closing_line("\n".join(text)) == closing else lines[: end - 1]


def _head(lines: Sequence[str]) -> tuple[dict[str, str], int]:
    """What stands between the first two rules, and the line after them."""
    if lines[0].rstrip() != "---":
        return {}, 0
    values: dict[str, str] = {}
    for number, line in enumerate(lines[1:], start=1):
        if line.rstrip() == "---":
            return values, number + 1
        if found := _KEY.match(line):
            values[found[1]] = _value(found[2].strip())
    return {}, 0


def _value(text: str) -> str:
    """A value of the head; people leave quotes away."""
    if text.startswith('"'):
        with contextlib.suppress(ValueError):
            return one_line(str(json.loads(text)))
    return one_line(text)


def _parts(lines: Sequence[str], start: int) -> Iterator[_Part]:
    headings = [
        (number, found)
        for number, line in enumerate(lines[start:], start=start)
        if (found := _turn_heading(line)) and not found[1]
    ]
    ends = [*(number for number, _ in headings), len(lines)][1:]
    for (number, found), end in zip(headings, ends, strict=True):
        role: Role = "assistant" if found[2].lower() == "assistant" else "user"
        own = _without_closing(lines[number + 1 : end])
        text = plain("\n".join(map(_unescaped, own)))
        yield _Part(number + 1, role, one_line(found[3] or ""), text)


def _check(parts: Sequence[_Part]) -> None:
    if not parts:
        raise ExportError(
            "There are no turns in this file.",
            'Start each with a line "## You" or "## Assistant".',
        )
    before: Role | None = None
    for part in parts:
        if part.role == "assistant" and before != "user":
            raise ExportError(
                f"The answer in line {part.line} follows no question.",
                'Put a question under a line "## You" in front of it.',
            )
        if part.role == "user" and not part.text:
            raise ExportError(
                f"The question in line {part.line} is empty.", "Write it, or take the line out."
            )
        before = part.role


def _title(lines: Sequence[str]) -> str:
    """The first line in front of the turns, if it is a heading."""
    first = next((_unescaped(line) for line in lines if line.strip()), "")
    return one_line(first.removeprefix("# ")) if first.startswith("# ") else ""


def _time_text(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")


def _time(text: str | None, otherwise: float) -> float:
    with contextlib.suppress(ValueError, OverflowError):
        seconds = datetime.fromisoformat(text or "").timestamp()
        return seconds if seconds == possible_time(seconds) else otherwise
    return otherwise
