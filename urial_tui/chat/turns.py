"""Turns and conversations as values, and the ids that link them.

An id is made by whoever makes the turn and grows with time, so a turn has its identity
before, and whether or not, it reaches the disk; and the newest turn has the greatest id.
"""

from __future__ import annotations

import re
import secrets
import threading
import time
from typing import Literal

import msgspec

from urial_tui.engine.wire.values import Sampling
from urial_tui.prompting.preamble import Example
from urial_tui.sanitize import storable
from urial_tui.wording import started

Role = Literal["user", "assistant"]
TurnStop = Literal["eos", "stop", "length", "cancelled", "failed", "died", "edited"]
"""Why an answer ended: as the engine says it, because the engine refused or died, or because
the user wrote it."""

TITLE_LENGTH = 60
"""Of titles that are made."""
MAX_TITLE_LENGTH = 200
"""Of titles that are given."""

LATEST = 253_402_127_999.0
"""Seconds since 1970 at the end of 9999-12-29: two days later, some zones are in the year 10000."""

_LAST_ID = 0
_ID_LOCK = threading.Lock()


def new_id(after: int = 0) -> int:
    """A positive 63-bit id: milliseconds since 1970, then 20 random bits.

    It is greater than all ids made before in this process and than `after` (the parent's,
    which may have been made under a clock that was ahead).
    """
    global _LAST_ID
    with _ID_LOCK:
        made = (time.time_ns() // 1_000_000 << 20) | secrets.randbits(20)
        _LAST_ID = max(made, _LAST_ID + 1, after + 1)
        return _LAST_ID


def possible_time(value: object) -> float:
    """Seconds since 1970 of which every zone can make a date; what can't be is moved there."""
    if not isinstance(value, int | float) or value != value:
        return 0.0
    return float(min(max(value, 0), LATEST))


class Timings(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What an answer cost. Seconds, tokens per second, tokens."""

    prompt_s: float = 0.0
    first_token_s: float = 0.0
    decode_s: float = 0.0
    prefill_tokens_per_s: float = 0.0
    decode_tokens_per_s: float = 0.0
    reused: int = 0
    prefilled: int = 0
    used: int = 0


class ConversationRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A conversation without its turns. `created`, `updated`: seconds since 1970.

    `leaf` is the turn where one stood last, None for the newest. `turns` counts all turns
    of the tree; it is filled when read and ignored when written.
    """

    id: int
    title: str
    created: float
    updated: float
    model: str
    preamble: str
    leaf: int | None = None
    turns: int = 0


class TurnRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One turn of the tree.

    `text` is what the user typed or what the answer shows. `ids` are the turn's tokens as
    they stand in the context, None where they are not known; they mean something only to
    the model and format that `ids_key` stands for. `tail` is the text that follows an
    answer's `ids` before the next turn. `stop_reason` is None for questions, and for an
    answer that is still being written, or was when the program ended. `context_from` is
    the id of the oldest question that was still in the context when the answer was made,
    None if all were. `sampling`: how an answer's tokens were chosen, None where that is not
    known. `examples`: those that were retrieved for an answer, as they stood in front of it; None
    where none were retrieved, or that is not known.
    """

    id: int
    conversation_id: int
    parent_id: int | None
    role: Role
    text: str
    created: float
    ids: tuple[int, ...] | None = None
    ids_key: str = ""
    tail: str = ""
    stop_reason: TurnStop | None = None
    stopped_by: str = ""
    model: str = ""
    preamble: str = ""
    generated: int = 0
    context_from: int | None = None
    timings: Timings = Timings()
    sampling: Sampling | None = None
    examples: tuple[Example, ...] | None = None


class WholeConversation(msgspec.Struct, frozen=True):
    """A conversation with all its turns, parents before their children."""

    record: ConversationRecord
    turns: tuple[TurnRecord, ...]
    displaced: int = 0
    """Turns that had lost their place when it was read; see `rows`."""

    @property
    def damage(self) -> str:
        """What is to be said of them; "" where there are none."""
        return damage_of(self.displaced)


def damage_of(displaced: int) -> str:
    """The sentence on turns that had lost their place in the database; "" for none."""
    if not displaced:
        return ""
    turns = (
        "1 turn of this conversation has"
        if displaced == 1
        else (f"{displaced:,} turns of this conversation have")
    )
    return (
        f"The database is damaged: {turns} lost the turn before. "
        "Questions without one stand at the beginning, answers are left out."
    )


def renumbered(whole: WholeConversation) -> WholeConversation:
    """The same conversation under new ids, in the same order."""
    ids: dict[int | None, int | None] = {None: None}
    record = msgspec.structs.replace(whole.record, id=new_id())
    turns: list[TurnRecord] = []
    for turn in whole.turns:
        made = new_id()
        ids[turn.id] = made
        turns.append(
            msgspec.structs.replace(
                turn,
                id=made,
                conversation_id=record.id,
                parent_id=ids[turn.parent_id],
                context_from=ids.get(turn.context_from),
            )
        )
    record = msgspec.structs.replace(record, leaf=ids.get(record.leaf))
    return WholeConversation(record, tuple(turns))


def plain(text: str) -> str:
    """What was typed, as it is stored: without blank lines around it and carriage returns."""
    # What can't be written as UTF-8 can be neither stored nor sent to the worker.
    text = storable(text).replace("\r\n", "\n").replace("\r", "\n")
    return re.sub(r"\A(?:[ \t]*\n)+", "", text).rstrip()


def one_line(title: str) -> str:
    """A title without line breaks and runs of white space, and of a bearable length."""
    return " ".join(title.split())[:MAX_TITLE_LENGTH].rstrip()


def title_of(question: str) -> str:
    """A conversation's title from its first question: one line, cut at a word."""
    return started(question, TITLE_LENGTH)
