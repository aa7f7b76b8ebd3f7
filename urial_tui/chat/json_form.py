"""Conversations as a JSON document: everything that is stored, to be taken in again whole.

docs/json.md describes it. Ids are strings, for many readers of JSON round numbers of this
size. What is read may come from anywhere: it is checked before anything of it is used.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Annotated, Literal

import msgspec

from urial_tui.chat.turns import (
    ConversationRecord,
    Role,
    Timings,
    TurnRecord,
    TurnStop,
    WholeConversation,
    new_id,
    one_line,
    possible_time,
    renumbered,
)
from urial_tui.engine.wire.values import Sampling
from urial_tui.errors import ExportError, SettingsError
from urial_tui.prompting.pool import Pair, examples_of, pairs_of
from urial_tui.prompting.rules import rules_mistake
from urial_tui.prompting.soundness import MOST_EXAMPLES
from urial_tui.settings import described

FORMAT = "urial-tui conversations"
VERSION = 1

Id = Annotated[str, msgspec.Meta(pattern="^[1-9][0-9]{0,18}$")]
Seconds = Annotated[float, msgspec.Meta(ge=0, le=253_402_300_799)]
Token = Annotated[int, msgspec.Meta(ge=0, lt=2**31)]
Count = Annotated[int, msgspec.Meta(ge=0, lt=2**53)]

# What JSON allows and a terminal may obey: DEL, C1, bidirectional controls, separators.
_ESCAPED = re.compile(
    "[\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufff9-\ufffb]"
)


Examples = Annotated[tuple[Pair, ...], msgspec.Meta(max_length=MOST_EXAMPLES)]


class _Turn(msgspec.Struct, frozen=True, kw_only=True):
    id: Id
    parent: Id | None
    role: Role
    text: str
    created: Seconds
    ids: tuple[Token, ...] | None = None
    ids_key: str = ""
    tail: str = ""
    stop_reason: TurnStop | None = None
    stopped_by: str = ""
    model: str = ""
    preamble: str = ""
    generated: Count = 0
    context_from: Id | None = None
    timings: Timings = Timings()
    sampling: Sampling | None = None
    examples: Examples | None = None


class _Conversation(msgspec.Struct, frozen=True, kw_only=True):
    id: Id
    title: str
    created: Seconds
    updated: Seconds
    model: str = ""
    preamble: str = ""
    leaf: Id | None = None
    turns: tuple[_Turn, ...]


class _Document(msgspec.Struct, frozen=True, kw_only=True):
    format: str
    version: int
    conversations: tuple[_Conversation, ...]


class _Head(msgspec.Struct, frozen=True):
    """What says whether the rest can be read."""

    format: Literal["urial-tui conversations"]
    version: int


def to_json(conversations: Iterable[WholeConversation]) -> str:
    """The document, on one line that ends with a newline."""
    document = _Document(
        format=FORMAT, version=VERSION, conversations=tuple(map(_written, conversations))
    )
    text = msgspec.json.encode(document).decode()
    return _ESCAPED.sub(lambda match: f"\\u{ord(match.group()):04x}", text) + "\n"


def from_json(data: bytes) -> tuple[WholeConversation, ...]:
    """The conversations of a document.

    Their ids are those of the document, unless these can't be of this program's making.

    Raises:
        ExportError: It is not such a document, of a newer version, or damaged.
    """
    try:
        head = msgspec.json.decode(data, type=_Head)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ExportError(
            "This is no export of urial-tui.",
            "A .json file from `urial chats export --format json` can be imported.",
        ) from error
    if head.version > VERSION:
        raise ExportError(
            "This export was written by a newer version of urial-tui.",
            "Install that version to import it.",
        )
    try:
        document = msgspec.json.decode(data, type=_Document)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise _damaged(str(error)) from error
    if not document.conversations:
        raise ExportError("There is no conversation in this export.")
    return tuple(map(_read, document.conversations))


def _written(whole: WholeConversation) -> _Conversation:
    record = whole.record
    return _Conversation(
        id=str(record.id),
        title=record.title,
        created=record.created,
        updated=record.updated,
        model=record.model,
        preamble=record.preamble,
        leaf=_id_text(record.leaf),
        turns=tuple(
            _Turn(
                id=str(turn.id),
                parent=_id_text(turn.parent_id),
                role=turn.role,
                text=turn.text,
                created=turn.created,
                ids=turn.ids,
                ids_key=turn.ids_key,
                tail=turn.tail,
                stop_reason=turn.stop_reason,
                stopped_by=turn.stopped_by,
                model=turn.model,
                preamble=turn.preamble,
                generated=turn.generated,
                context_from=_id_text(turn.context_from),
                timings=turn.timings,
                sampling=turn.sampling,
                examples=None if turn.examples is None else pairs_of(turn.examples),
            )
            for turn in whole.turns
        ),
    )


def _read(read: _Conversation) -> WholeConversation:
    _check_tree(read)
    known = {turn.id for turn in read.turns}
    turns = tuple(
        TurnRecord(
            id=int(turn.id),
            conversation_id=int(read.id),
            parent_id=None if turn.parent is None else int(turn.parent),
            role=turn.role,
            text=turn.text,
            created=possible_time(turn.created),
            ids=turn.ids,
            ids_key=turn.ids_key,
            tail=turn.tail,
            stop_reason=turn.stop_reason,
            stopped_by=turn.stopped_by,
            model=turn.model,
            preamble=turn.preamble,
            generated=turn.generated,
            context_from=_known(turn.context_from, known),
            timings=turn.timings,
            sampling=_possible(turn.sampling),
            examples=None if turn.examples is None else examples_of(turn.examples),
        )
        for turn in read.turns
    )
    record = ConversationRecord(
        id=int(read.id),
        title=one_line(read.title),
        created=possible_time(read.created),
        updated=possible_time(read.updated),
        model=read.model,
        preamble=read.preamble,
        leaf=_known(read.leaf, known),
        turns=len(turns),
    )
    whole = WholeConversation(record, turns)
    ids = [turn.id for turn in turns]
    # Ids grow with time, and a child's is greater than its parent's.
    sound = ids == sorted(ids) and max(ids[-1], record.id) < new_id()
    return whole if sound else renumbered(whole)


def _check_tree(read: _Conversation) -> None:
    """Parents before children, each once, and answers only to questions."""
    if not read.turns:
        raise _damaged(f"the conversation {read.id} has no turns")
    roles: dict[str | None, Role | None] = {None: None}
    for turn in read.turns:
        if turn.id in roles:
            raise _damaged(f"the turn {turn.id} is there twice")
        if turn.parent not in roles:
            raise _damaged(f"the turn {turn.id} follows one that does not stand before it")
        if turn.role == "assistant" and roles[turn.parent] != "user":
            raise _damaged(f"the answer {turn.id} follows no question")
        roles[turn.id] = turn.role


def _possible(sampling: Sampling | None) -> Sampling | None:
    """What the settings allow; None, for not known, where it can't have been."""
    try:
        for setting in described():
            if sampling is not None and setting.section == "sampling":
                setting.check(getattr(sampling, setting.name))
    except SettingsError:
        return None
    if sampling is not None and sampling.rules is not None and rules_mistake(sampling.rules):
        return None
    return sampling


def _known(turn_id: str | None, known: set[str]) -> int | None:
    return int(turn_id) if turn_id is not None and turn_id in known else None


def _id_text(turn_id: int | None) -> str | None:
    return None if turn_id is None else str(turn_id)


def _damaged(what: str) -> ExportError:
    return ExportError(f"This export is damaged: {what}.", "Export the conversation again.")
