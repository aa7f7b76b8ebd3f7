"""Conversations and turns as rows of the database, and rows as values again.

A row may be damaged, or written by another program. What can't be is made something that can,
column by column: that costs what the column holds, never the text, and no reader has to expect
it. A turn follows one that was made before it in the same conversation; one that does not
has lost its place. A question without a place begins the conversation, an answer without one
is left out, and `Turns` says how many they are.
"""

from __future__ import annotations

import sys
from array import array
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple, get_args

import msgspec

from urial_tui.chat.turns import (
    ConversationRecord,
    Role,
    Timings,
    TurnRecord,
    TurnStop,
    possible_time,
)
from urial_tui.engine.wire.values import Sampling
from urial_tui.prompting.preamble import Example
from urial_tui.sanitize import storable

CONVERSATION = "id, title, created, updated, model, preamble, leaf"
TURN = tuple(TurnRecord.__struct_fields__)
TURNS_OF = f"SELECT {', '.join(TURN)} FROM turns WHERE conversation_id = ? ORDER BY id"
"""The query for what `turns_from` reads."""
_TEXTS = ("text", "ids_key", "tail", "stopped_by", "model", "preamble")
_ROLES, _STOPS = get_args(Role), get_args(TurnStop)


class Turns(NamedTuple):
    """The turns of a conversation that have a place in it, parents before their children.

    `displaced`: how many had lost theirs.
    """

    turns: list[TurnRecord]
    displaced: int


def conversation_row(record: ConversationRecord) -> tuple[object, ...]:
    """The values of the columns of `CONVERSATION`."""
    return (
        record.id,
        storable(record.title),
        record.created,
        record.updated,
        storable(record.model),
        storable(record.preamble),
        record.leaf,
    )


def conversation_from(row: Sequence[Any]) -> ConversationRecord:
    """The conversation of a row of `CONVERSATION`, followed by the number of its turns."""
    return ConversationRecord(
        id=row[0],
        title=_text(row[1]),
        created=possible_time(row[2]),
        updated=possible_time(row[3]),
        model=_text(row[4]),
        preamble=_text(row[5]),
        leaf=row[6] if isinstance(row[6], int) else None,
        turns=row[7],
    )


def turn_row(turn: TurnRecord) -> tuple[object, ...]:
    """The values of the columns of `TURN`."""
    values = {name: getattr(turn, name) for name in TURN}
    for name in _TEXTS:
        values[name] = storable(values[name])
    values["ids"] = None if turn.ids is None else pack(turn.ids)
    values["timings"] = msgspec.json.encode(turn.timings).decode()
    values["sampling"] = (
        "" if turn.sampling is None else msgspec.json.encode(turn.sampling).decode()
    )
    values["examples"] = _written(turn.examples)
    return tuple(values.values())


def turns_from(rows: Iterable[Sequence[Any]]) -> Turns:
    """The turns of all rows of one conversation, which come in the order of their ids."""
    kept: dict[int, TurnRecord] = {}
    displaced = 0
    for row in rows:
        turn = _turn_from(row)
        if turn is not None and (turn.parent_id is None or turn.parent_id in kept):
            kept[turn.id] = turn
            continue
        displaced += 1
        if turn is not None and turn.role == "user":
            kept[turn.id] = msgspec.structs.replace(turn, parent_id=None)
    return Turns(list(kept.values()), displaced)


def pack(ids: Sequence[int]) -> bytes:
    """Token ids as little-endian int32."""
    packed = array("i", ids)
    if sys.byteorder == "big":
        packed.byteswap()
    return packed.tobytes()


def unpack(blob: bytes) -> tuple[int, ...]:
    """The token ids that `pack` made bytes of."""
    unpacked = array("i")
    unpacked.frombytes(blob)
    if sys.byteorder == "big":
        unpacked.byteswap()
    return tuple(unpacked)


def _turn_from(row: Sequence[Any]) -> TurnRecord | None:
    values = dict(zip(TURN, row, strict=True))
    if values["role"] not in _ROLES:
        return None
    for name in _TEXTS:
        values[name] = _text(values[name])
    blob = values["ids"]
    values["ids"] = unpack(blob) if isinstance(blob, bytes) and len(blob) % 4 == 0 else None
    values["created"] = possible_time(values["created"])
    if values["stop_reason"] not in (None, *_STOPS):
        values["stop_reason"] = "failed"
    if not isinstance(values["generated"], int):
        values["generated"] = 0
    if not isinstance(values["context_from"], int):
        values["context_from"] = None
    try:
        values["timings"] = msgspec.json.decode(values["timings"], type=Timings)
    except (msgspec.DecodeError, TypeError):
        values["timings"] = Timings()
    try:
        values["sampling"] = msgspec.json.decode(values["sampling"] or "null", type=Sampling | None)
    except (msgspec.DecodeError, TypeError):
        values["sampling"] = None
    values["examples"] = _examples_from(values["examples"])
    return TurnRecord(**values)


def _written(examples: Sequence[Example] | None) -> str:
    """Examples as a list of pairs."""
    if examples is None:
        return ""
    pairs = [(storable(one.query), storable(one.answer)) for one in examples]
    return msgspec.json.encode(pairs).decode()


def _examples_from(written: object) -> tuple[Example, ...] | None:
    """The examples of a column; None where there are none, or it is damaged."""
    if not isinstance(written, str) or not written:
        return None
    try:
        pairs = msgspec.json.decode(written, type=list[tuple[str, str]])
    except (msgspec.DecodeError, RecursionError):
        return None
    return tuple(Example(query=query, answer=answer) for query, answer in pairs)


def _text(value: object) -> str:
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return value if isinstance(value, str) else "" if value is None else str(value)
