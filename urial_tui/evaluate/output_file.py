"""Files of outputs: a JSON list, as the official scorer reads and writes them.

Other programs' files are read as well as our own. Of a record, what is not known here is left
alone; what has to be there and is not, or is something else, is refused with the record's number.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec

from urial_tui.evaluate.items import EvaluateError
from urial_tui.evaluate.outputs import AnsweredTurn, Ending, Output, ShownPreamble
from urial_tui.evaluate.token_reading import Count, TextReading
from urial_tui.files import read_bytes, reason, replacing
from urial_tui.json_text import NotJSON, made_whole
from urial_tui.prompting.pool import Pair, examples_of, pairs_of
from urial_tui.sanitize import sanitize_line

MAX_BYTES = 1024 * 1024 * 1024


class _Turn(msgspec.Struct, frozen=True):
    """One of several turns."""

    instruction: str
    output: str


class _Told(msgspec.Struct, frozen=True, kw_only=True):
    """What only this program knows of an answer."""

    tokens: Count | None = None
    ids: tuple[int, ...] = ()
    ending: Ending = ""
    detail: str = ""
    seed: int | None = None
    retrieved: tuple[Pair, ...] = ()
    reference: TextReading | None = None
    aligned: TextReading | None = None


class _Ours(msgspec.Struct, frozen=True, kw_only=True):
    """What only this program knows of a record."""

    key: str
    exchanges: tuple[_Told, ...]
    parallel: int | None = None
    seed: int | None = None
    preamble: ShownPreamble | None = None


class _Record(msgspec.Struct, frozen=True, kw_only=True):
    """A record as it stands in the file."""

    id: int | str
    instruction: str
    output: str
    generator: str
    source_id: str | int | None = None
    dataset: str | None = None
    category: str | None = None
    datasplit: str | None = None
    turns: tuple[_Turn, ...] = ()
    urial: _Ours | None = None


def document(output: Output) -> dict[str, Any]:
    """A record of the file, see docs/json.md."""
    first = output.exchanges[0]
    record: dict[str, Any] = {
        "id": output.id,
        "instruction": first.instruction,
        "source_id": output.source_id,
        "dataset": output.dataset,
        "category": output.category,
        "output": first.output,
        "generator": output.generator,
        "datasplit": output.datasplit,
    }
    if len(output.exchanges) > 1:
        record["turns"] = [
            {"instruction": exchange.instruction, "output": exchange.output}
            for exchange in output.exchanges
        ]
    if output.key:
        record["urial"] = {
            "key": output.key,
            "parallel": output.parallel,
            "seed": output.seed,
            "exchanges": [_told(exchange) for exchange in output.exchanges],
        }
        if output.preamble is not None:
            record["urial"]["preamble"] = msgspec.to_builtins(output.preamble)
    return record


def _told(exchange: AnsweredTurn) -> dict[str, Any]:
    """What only this program knows of an answer; what is not known has no key."""
    told: dict[str, Any] = {
        "tokens": exchange.tokens,
        "ending": exchange.ending,
        "detail": exchange.detail,
        "seed": exchange.seed,
        "ids": exchange.ids,
    }
    if exchange.retrieved:
        told["retrieved"] = msgspec.to_builtins(pairs_of(exchange.retrieved))
    for name, reading in (("reference", exchange.reference), ("aligned", exchange.aligned)):
        if reading is not None:
            told[name] = msgspec.to_builtins(reading)
    return told


def write_outputs(path: Path, outputs: Iterable[Output]) -> None:
    """Write a file of outputs, a record a line; it appears whole or not at all.

    Raises:
        OSError: It can't be written; what was there is as it was.
    """
    lines = (json.dumps(document(output), ensure_ascii=False) for output in outputs)
    text = ",\n".join(lines)
    with replacing(path) as file:
        file.write(f"[\n{text}\n]\n".encode("utf-8", "replace") if text else b"[]\n")


def read_outputs(path: Path) -> tuple[Output, ...]:
    """The outputs of a file.

    Raises:
        EvaluateError: It can't be read, or holds something else.
        FileNotFoundError: There is no such file.
    """
    shown = sanitize_line(str(path))
    try:
        data = read_bytes(path, MAX_BYTES)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise EvaluateError(
            f"The outputs in {shown} can't be read: {reason(error)}.", "Name another file."
        ) from error
    records = _records(data, shown)
    return tuple(_output(record, number, shown) for number, record in enumerate(records, start=1))


def _records(data: bytes, shown: str) -> list[msgspec.Raw]:
    """The records as JSON; halves of characters, which some programs write, are made whole."""
    with contextlib.suppress(msgspec.MsgspecError, ValueError, RecursionError):
        return msgspec.json.decode(data, type=list[msgspec.Raw])
    try:
        return msgspec.json.decode(made_whole(data), type=list[msgspec.Raw])
    except (NotJSON, msgspec.MsgspecError) as error:
        why = f": {sanitize_line(str(error))}" if isinstance(error, NotJSON) else ""
        raise EvaluateError(
            f"The file {shown} is no JSON list, and so no file of outputs{why}.",
            "Name another file.",
        ) from error


def _output(raw: msgspec.Raw, number: int, shown: str) -> Output:
    try:
        record = msgspec.json.decode(raw, type=_Record)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        why = "it is nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise EvaluateError(
            f"Record {number} of {shown} is no output of a model: {sanitize_line(why)}.",
            "It needs an id, an instruction, an output and a generator.",
        ) from error
    turns = record.turns or (_Turn(record.instruction, record.output),)
    ours = record.urial
    told = ours.exchanges if ours is not None else (_Told(),) * len(turns)
    if len(told) != len(turns):
        raise EvaluateError(
            f"Record {number} of {shown} has {len(turns)} answers, and tells of {len(told)}.",
            "Somebody has changed it: take the record out.",
        )
    exchanges = tuple(
        AnsweredTurn(
            instruction=turn.instruction,
            output=turn.output,
            tokens=more.tokens,
            ids=more.ids,
            ending=more.ending,
            detail=more.detail,
            seed=more.seed,
            retrieved=examples_of(more.retrieved),
            reference=more.reference,
            aligned=more.aligned,
        )
        for turn, more in zip(turns, told, strict=True)
    )
    return Output(
        id=record.id,
        exchanges=exchanges,
        generator=record.generator,
        category="safety" if (record.category or "").strip().lower() == "safety" else "regular",
        dataset=record.dataset or "",
        source_id="" if record.source_id is None else str(record.source_id),
        datasplit=record.datasplit or "",
        key=ours.key if ours is not None else "",
        parallel=ours.parallel if ours is not None else None,
        seed=ours.seed if ours is not None else None,
        preamble=ours.preamble if ours is not None else None,
    )
