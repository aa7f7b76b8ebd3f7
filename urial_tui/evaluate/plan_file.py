"""The plan of an evaluation's file: its parameters, saved beside it, by which it is resumed.

A plan of FILE is FILE.plan. Nothing of what counts depends on it: where it is missing, the file is
what it is, and only whoever began it can go on.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Final

import msgspec

from urial_tui.evaluate.endpoint_address import ENGINE, address_of
from urial_tui.evaluate.items import EvaluateError
from urial_tui.evaluate.judged_runs import JudgeChoice
from urial_tui.evaluate.planned_run import RunChoice
from urial_tui.files import is_there, make_directory, read_bytes, reason, replacing
from urial_tui.sanitize import sanitize_line

PlanChoice = RunChoice | JudgeChoice

_MAX_BYTES: Final = 1024 * 1024
LONGEST: Final = 60
"""Characters that a file's name takes from a name of something else."""
_NO_NAME: Final = re.compile(r"[^\w.+-]+")


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """The parameters of a run or a judging, as they were chosen.

    `of`: what the outputs call who answers, or those who are judged. `total`: how many items or
    judgements that is; 0 where that is not known.
    """

    choice: PlanChoice
    of: tuple[str, ...] = ()
    total: int = 0


def plan_path(path: Path) -> Path:
    """Where the plan of a file is."""
    return path.with_name(f"{path.name}.plan")


def read_plan(path: Path) -> Plan | None:
    """The plan of a file; None where there is none that can be read."""
    try:
        data = read_bytes(plan_path(path), _MAX_BYTES)
        plan = msgspec.json.decode(data, type=Plan, dec_hook=_read)
    except (OSError, msgspec.MsgspecError, ValueError, RecursionError):
        return None
    # Files may have been moved together; what is gone on with is the one beside it.
    return msgspec.structs.replace(plan, choice=msgspec.structs.replace(plan.choice, out=path))


def write_plan(plan: Plan) -> None:
    """Keep a plan beside its file.

    Raises:
        EvaluateError: It can't be written.
    """
    path = plan_path(plan.choice.out)
    try:
        make_directory(path.parent)
        with replacing(path) as file:
            file.write(msgspec.json.encode(plan, enc_hook=str))
    except OSError as error:
        raise EvaluateError(
            f"The plan {sanitize_line(str(path))} can't be written: {reason(error)}.",
            "Free some space, or see to it that the directory can be written to.",
        ) from error


def placed(choice: PlanChoice, stem: str) -> PlanChoice:
    """A choice with the file that it is kept in: that of the same choice, or a new one.

    Args:
        choice: Its file says which directory.
        stem: What the file is called, if no other choice has that name.
    """
    number = 1
    while True:
        name = f"{stem}.json" if number == 1 else f"{stem}-{number}.json"
        path = choice.out.with_name(name)
        here = msgspec.structs.replace(choice, out=path)
        plan = read_plan(path)
        if (plan is not None and plan.choice == here) or not _is_taken(path):
            return here
        number += 1


def stem_of(choice: PlanChoice, set_name: str) -> str:
    """A name for the file of a choice that says what it is.

    Args:
        choice: It.
        set_name: That of the items that a run asks.

    Raises:
        EvaluateError: The address of its endpoint is none.
    """
    if isinstance(choice, RunChoice):
        asked = [_answerer(choice), _short(choice.context or choice.preamble), _short(set_name)]
        return ".".join(asked + ([f"first-{choice.limit}"] if choice.limit else []))
    of = choice.outputs.stem
    if choice.against is not None:
        of = f"{of[:LONGEST]}.vs.{choice.against.stem[:LONGEST]}"
    return f"{of}.by.{_short(choice.judge)}"


def _answerer(choice: RunChoice) -> str:
    """The model of a run as a part of a file's name, with the endpoint that has it."""
    if choice.engine is None:
        return _short(choice.model)
    host = _short(address_of(choice.engine, ENGINE).host)
    return f"{_short(choice.model)}-at-{host}"[:LONGEST]


def _short(name: str | None) -> str:
    """A model, a context or a set as a part of a file's name."""
    parts = [re.split(r"[/\\]", part)[-1] for part in (name or "").split("+")]
    for ending in (".gguf", ".toml", ".jsonl", ".json"):
        parts = [part.removesuffix(ending) for part in parts]
    return _NO_NAME.sub("-", "+".join(parts))[:LONGEST].strip(".-+") or "unnamed"


def _is_taken(path: Path) -> bool:
    return any(map(is_there, (path, path.with_name(f"{path.name}.part"), plan_path(path))))


def _read(kind: type, value: Any) -> Any:
    if kind is Path and isinstance(value, str):
        return Path(value)
    raise ValueError(f"no {kind.__name__}")
