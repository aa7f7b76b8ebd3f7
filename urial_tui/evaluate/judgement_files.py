"""Files of judgements: a JSON list, as the official tool writes and reads them.

An aspect without a score is left out of the `parsed_result` that is written, and a result that
could not be read has none: the official tool then counts what is scored, and nothing else. Why
there is no score stands under `urial`, which it passes over.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, get_args

import msgspec

from urial_tui.evaluate.items import EvaluateError
from urial_tui.evaluate.judgements import (
    ASPECTS,
    Aspect,
    AspectScore,
    Chances,
    Judgement,
    Mode,
    PairJudgement,
    PairMode,
    Preference,
    Unscored,
    preferences_of,
    scores_of,
    with_chances,
)
from urial_tui.files import read_text, reason, replacing
from urial_tui.json_text import NotJSON, key_twice, parsed
from urial_tui.question_file import NAMED_KEYS
from urial_tui.sanitize import quoted, sanitize_line, storable

MAX_JUDGEMENTS_BYTES = 512 * 1024 * 1024
_UNREAD = "N/A"
"""What stands as `result` where there is none."""
_FLAT = ("score", "pairwise")
"""Modes whose parsed result is that of one aspect."""


class JudgementSet(msgspec.Struct, frozen=True, kw_only=True):
    """The judgements of a file in their order: of single answers, and of pairs.

    `unused`: for each key of the records that was not used, how many of them have it; aspects
    that are none of ours among them.
    """

    name: str
    judgements: tuple[Judgement, ...]
    pairs: tuple[PairJudgement, ...] = ()
    unused: Mapping[str, int] = {}


class _Config(msgspec.Struct, frozen=True):
    """How a judge was asked."""

    mode: str
    gpt: str | None = None
    max_words: int | None = None


class _Ours(msgspec.Struct, frozen=True):
    """What only this program knows of a judgement."""

    key: str = ""
    unscored: dict[Aspect, Unscored] = {}
    chances: dict[Aspect, Chances] = {}
    seed: int | None = None


class _Record(msgspec.Struct, frozen=True, kw_only=True):
    """What every record has."""

    id: int | str
    input: str
    eval_config: _Config
    prompt: str | None = None
    result: str | None = None
    parsed_result: Any = None
    urial: _Ours = _Ours()


class _Scored(_Record, frozen=True, kw_only=True):
    """The judgement of an answer, as it stands in the file."""

    output_cand: str
    generator_cand: str | None = None


class _Compared(_Record, frozen=True, kw_only=True):
    """The judgement of two answers, as it stands in the file."""

    output_A: str
    output_B: str
    generator_A: str
    generator_B: str


def read_judgements(path: Path) -> JudgementSet:
    """The judgements of a file, the official tool's or our own.

    Raises:
        EvaluateError: It can't be read, has no judgement, or has a record that is none.
    """
    shown = sanitize_line(str(path))
    judgements: list[Judgement] = []
    pairs: list[PairJudgement] = []
    unused: Counter[str] = Counter()
    seen: dict[tuple[str, ...], int] = {}
    for number, value in enumerate(_values(path, shown), start=1):
        record = _record(value, number, shown)
        one: tuple[str, ...] = (record.eval_config.mode, str(record.id))
        if isinstance(record, _Scored):
            judgements.append(_judgement(record))
        else:
            # Both orders of two answers may be judged, and answers of one generator.
            shown_as = (record.generator_A, record.output_A, record.generator_B, record.output_B)
            one = (*one, *shown_as)
            pairs.append(_pair(record))
        if number != (first := seen.setdefault(one, number)):
            raise EvaluateError(
                f"Record {number} of {shown} judges the same as record {first}: "
                f"{quoted(str(record.id), 40)}.",
                "Take one of them out.",
            )
        unused.update(_unused(value, record))
    if not judgements and not pairs:
        raise EvaluateError(f"There is no judgement in {shown}.", "Name another file.")
    return JudgementSet(
        name=storable(path.name),
        judgements=tuple(judgements),
        pairs=tuple(pairs),
        unused=dict(unused.most_common()),
    )


def judgement_of(value: object, number: int, shown: str) -> Judgement | PairJudgement:
    """The judgement of a record.

    Args:
        value: The record.
        number: Which of its file it is, from 1.
        shown: The file's name.

    Raises:
        EvaluateError: It is none.
    """
    record = _record(value, number, shown)
    return _judgement(record) if isinstance(record, _Scored) else _pair(record)


def write_judgements(path: Path, judgements: Iterable[Judgement | PairJudgement]) -> None:
    """Write a file of judgements, a record a line; it appears whole or not at all.

    Raises:
        OSError: It can't be written; what was there is as it was.
    """
    lines = (json.dumps(document(one), ensure_ascii=False) for one in judgements)
    text = ",\n".join(lines)
    with replacing(path) as file:
        file.write(f"[\n{text}\n]\n".encode("utf-8", "replace") if text else b"[]\n")


def document(judgement: Judgement | PairJudgement) -> dict[str, Any]:
    """A record of the file, see docs/json.md."""
    said: Mapping[Aspect, AspectScore | Preference]
    record: dict[str, Any] = {"id": judgement.id, "input": judgement.input}
    if isinstance(judgement, Judgement):
        record |= {"output_cand": judgement.output, "generator_cand": judgement.generator}
        said = judgement.scores
    else:
        record |= {
            "output_A": judgement.output_a,
            "output_B": judgement.output_b,
            "generator_A": judgement.generator_a,
            "generator_B": judgement.generator_b,
        }
        said = judgement.preferences
    record["eval_config"] = {
        "mode": judgement.mode,
        "gpt": judgement.judge,
        "max_words": judgement.max_words,
    }
    record |= {"prompt": judgement.prompt, "result": judgement.result or _UNREAD}
    parsed = {aspect: _said(one) for aspect, one in said.items() if not one.unscored}
    if judgement.mode in _FLAT and parsed:
        record["parsed_result"] = parsed["overall"]
    elif judgement.mode not in _FLAT and judgement.parsed:
        record["parsed_result"] = parsed
    unscored = {aspect: one.unscored for aspect, one in said.items() if one.unscored}
    chances = {
        aspect: msgspec.to_builtins(one.chances)
        for aspect, one in said.items()
        if isinstance(one, AspectScore) and one.chances is not None
    }
    ours: dict[str, Any] = {
        **({"key": judgement.key} if judgement.key else {}),
        **({"unscored": unscored} if unscored else {}),
        **({"chances": chances} if chances else {}),
    }
    if isinstance(judgement, PairJudgement) and judgement.seed is not None:
        ours["seed"] = judgement.seed
    if ours:
        record["urial"] = ours
    return record


def _said(one: AspectScore | Preference) -> dict[str, Any]:
    if isinstance(one, Preference):
        return {"reason": one.reason, "preference": one.choice}
    written = one.score if one.chances is None else one.official
    whole = written is not None and float(written).is_integer()
    return {"reason": one.reason, "score": int(written or 0) if whole else written}


def _values(path: Path, shown: str) -> list[Any]:
    try:
        values = parsed(read_text(path, MAX_JUDGEMENTS_BYTES))
    except OSError as error:
        raise EvaluateError(
            f"The judgements in {shown} can't be read: {reason(error)}.", "Name another file."
        ) from error
    except NotJSON as error:
        raise EvaluateError(
            f"The file {shown} is not JSON: {sanitize_line(str(error))}.", "Name another file."
        ) from error
    if not isinstance(values, list):
        raise EvaluateError(
            f"The file {shown} is no list of judgements.",
            "Judgements are a JSON list, with a record for each answer.",
        )
    return values


def _record(value: object, number: int, shown: str) -> _Scored | _Compared:
    """A record whose form and mode are known."""
    if (twice := key_twice(value)) is not None:
        raise EvaluateError(
            f"Record {number} of {shown} has the key {quoted(twice, 40)} twice.",
            "Leave one of them.",
        )
    if not isinstance(value, dict) or not isinstance(value.get("eval_config"), dict):
        keys = list(value)[:NAMED_KEYS] if isinstance(value, dict) else []
        raise EvaluateError(
            f"Record {number} of {shown} is no judgement of an answer"
            + (f" (its keys are {', '.join(quoted(key, 40) for key in keys)})." if keys else "."),
            "A judgement has an eval_config; name a file of judgements.",
        )
    mode = value["eval_config"].get("mode")
    if mode not in (*get_args(Mode), *get_args(PairMode)):
        raise EvaluateError(
            f"Record {number} of {shown} was judged in the mode {quoted(mode, 40)}, which gives "
            "no scores that are known here.",
            f"The modes that are read are {', '.join((*get_args(Mode), *get_args(PairMode)))}.",
        )
    kind: type[_Scored | _Compared] = _Scored if mode in get_args(Mode) else _Compared
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        raise EvaluateError(
            f"Record {number} of {shown} is no judgement of the mode {mode}: "
            f"{sanitize_line(_in_words(error))}.",
            "docs/json.md has the keys.",
        ) from error


def _judgement(record: _Scored) -> Judgement:
    mode: Mode = msgspec.convert(record.eval_config.mode, Mode)
    return Judgement(
        id=_id(record.id),
        input=storable(record.input),
        output=storable(record.output_cand),
        generator=storable(record.generator_cand or ""),
        mode=mode,
        scores=with_chances(
            scores_of(record.parsed_result, mode, record.urial.unscored), record.urial.chances
        ),
        **_common(record),
    )


def _pair(record: _Compared) -> PairJudgement:
    mode: PairMode = msgspec.convert(record.eval_config.mode, PairMode)
    return PairJudgement(
        id=_id(record.id),
        input=storable(record.input),
        output_a=storable(record.output_A),
        output_b=storable(record.output_B),
        generator_a=storable(record.generator_A),
        generator_b=storable(record.generator_B),
        mode=mode,
        preferences=preferences_of(record.parsed_result, mode, record.urial.unscored),
        seed=record.urial.seed,
        **_common(record),
    )


def _common(record: _Record) -> dict[str, Any]:
    """What judgements of one answer and of two have alike."""
    config = record.eval_config
    result = "" if record.result in (None, _UNREAD) else record.result
    return {
        "judge": storable(config.gpt or ""),
        "max_words": -1 if config.max_words is None else config.max_words,
        "prompt": storable(record.prompt or ""),
        "result": storable(result or ""),
        "parsed": isinstance(record.parsed_result, dict),
        "key": storable(record.urial.key),
    }


def _id(value: int | str) -> int | str:
    return storable(value) if isinstance(value, str) else value


def _unused(value: dict[str, Any], record: _Scored | _Compared) -> list[str]:
    """The keys of a record that mean nothing here, and the aspects that are none of ours."""
    keys = [storable(key) for key in value if key not in record.__struct_fields__]
    parsed = record.parsed_result
    if isinstance(parsed, dict) and record.eval_config.mode not in _FLAT:
        keys += [f"parsed_result.{storable(key)}" for key in parsed if key not in ASPECTS]
    return keys


def _in_words(error: Exception) -> str:
    """A validation message with keys instead of JSON paths."""
    message = re.sub(r"^Object missing required field `(.*?)`", r"it has no \1", str(error))
    return re.sub(r" - at `\$\.?(.*)`$", lambda m: f" (at {m[1]})" if m[1] else "", message)
