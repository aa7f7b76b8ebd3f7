"""Lists the evaluations of a directory: which files there are, and what each is.

Whole files are told by what they hold: a run is judged by whoever judged its answers, not those of
another run of that name. Of a file that is not finished, its journal tells how far it is, and its
plan what it is. Nothing is locked, and nothing written.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final, Literal, TypeVar

import msgspec

from urial_tui.errors import UrialError
from urial_tui.evaluate.evaluation import kind_of
from urial_tui.evaluate.gathering import GatheredRun, judges_of, runs_of
from urial_tui.evaluate.item_files import find_items
from urial_tui.evaluate.items import EvaluateError
from urial_tui.evaluate.judge import Judged, is_scored
from urial_tui.evaluate.judgement_files import JudgementSet, read_judgements
from urial_tui.evaluate.output_file import read_outputs
from urial_tui.evaluate.plan_file import Plan, plan_path, read_plan
from urial_tui.evaluate.planned_run import RunChoice
from urial_tui.files import is_there, open_regular, reason
from urial_tui.journal import MAX_LINE_BYTES
from urial_tui.sanitize import sanitize_line

FileKind = Literal["answers", "scores", "pairs", "unknown"]
"""What a file holds: "scores" of single answers, or judgements of "pairs" of them."""

_T = TypeVar("_T")

_ENDINGS: Final = ("", ".part", ".plan")
"""What a file's name has behind it, for itself, its journal and its plan."""


class Shelved(msgspec.Struct, frozen=True, kw_only=True):
    """An evaluation on the shelf.

    `path`: of its whole file, which an unfinished one need not have. `of`: the generators whose
    answers these are, or that are judged. `set_name`: of the items, "" where that is not told.
    `done`: items that are answered, or judgements that are there, of which `scored` say something
    of every aspect. `total`: how many there are to be, None where nobody told. `judges`: who judged
    the answers, in other files, and to how many items; or who judged these, and how many. `about`:
    of judgements, for each generator the files here that hold some of the judged answers, to the
    letter. `changed`: seconds since 1970. `plan_lost`: its plan is there, and can't be read.
    `trouble`: why it is unknown, a sentence.
    """

    path: Path
    kind: FileKind
    of: tuple[str, ...] = ()
    set_name: str = ""
    done: int = 0
    scored: int = 0
    total: int | None = None
    judges: Mapping[str, int] = {}
    about: Mapping[str, tuple[Path, ...]] = {}
    changed: float = 0.0
    finished: bool = True
    plan: Plan | None = None
    plan_lost: bool = False
    trouble: str = ""


def shelf(directory: Path) -> list[Shelved]:
    """What there is, the newest first.

    Raises:
        EvaluateError: The directory can't be read.
    """
    try:
        names = {path.name for path in directory.iterdir()}
    except FileNotFoundError:
        return []
    except OSError as error:
        raise EvaluateError(
            f"The directory {sanitize_line(str(directory))} can't be read: {reason(error)}.",
            "See to it that it can be.",
        ) from error
    whole = {name.removesuffix(ending) for ending in _ENDINGS[1:] for name in names}
    every = [_shelved(directory / name) for name in whole if name.endswith(".json")]
    runs = [run for _, contents in every if contents for run in contents.runs]
    judged: dict[Path, dict[str, set[str]]] = {}
    found: list[Shelved] = []
    for one, contents in every:
        if contents is not None and contents.judgements is not None:
            by_generator = judges_of(runs, contents.judgements)
            about: dict[str, tuple[Path, ...]] = {}
            for generator, by_run in by_generator.items():
                about[generator] = _distinct([run.source for run in by_run])
                for run, judges in by_run.items():
                    by_judge = judged.setdefault(run.source, {})
                    for judge, items in judges.items():
                        by_judge.setdefault(judge, set()).update(items)
            one = msgspec.structs.replace(one, about=about)
        found.append(one)
    found = [_judged(one, judged[one.path]) if one.path in judged else one for one in found]
    return sorted(found, key=lambda one: (-one.changed, one.path.name))


class _Contents(msgspec.Struct, frozen=True):
    """What a whole file holds: the answers of runs, or judgements."""

    runs: Sequence[GatheredRun] = ()
    judgements: JudgementSet | None = None


def _judged(one: Shelved, judges: Mapping[str, set[str]]) -> Shelved:
    """A run, with those who judged its answers."""
    counts = {judge: len(items) for judge, items in judges.items()}
    return msgspec.structs.replace(one, judges=counts)


def _shelved(path: Path) -> tuple[Shelved, _Contents | None]:
    """What a file is, and what it holds, where it is whole."""
    plan = read_plan(path)
    lost = plan is None and is_there(plan_path(path))
    changed = max(map(_changed, (path.with_name(path.name + ending) for ending in _ENDINGS)))
    contents = None
    try:
        if path.exists():
            one, contents = _whole(path)
        elif path.is_symlink():
            why = f"The link {sanitize_line(str(path))} leads to no file."
            one = Shelved(path=path, kind="unknown", trouble=why)
        else:
            one = _of_plan(path, plan)
        one = _with_journal(one, plan)
    except (UrialError, OSError) as error:
        why = error.message if isinstance(error, UrialError) else f"{reason(error)}."
        one, contents = Shelved(path=path, kind="unknown", trouble=why), None
    total = plan.total if plan is not None and plan.total else one.total
    one = msgspec.structs.replace(one, plan=plan, plan_lost=lost, total=total, changed=changed)
    return one, contents


def _whole(path: Path) -> tuple[Shelved, _Contents]:
    """What a finished file is."""
    if kind_of(path) == "outputs":
        outputs = read_outputs(path)
        one = Shelved(
            path=path,
            kind="answers",
            of=_distinct([output.generator for output in outputs]),
            set_name=outputs[0].datasplit,
            done=len(outputs),
        )
        return one, _Contents(runs=runs_of(path, outputs))
    found = read_judgements(path)
    said: list[Judged] = [*found.judgements, *found.pairs]
    of = [one.generator for one in found.judgements]
    of += [name for pair in found.pairs for name in (pair.generator_a, pair.generator_b)]
    one = Shelved(
        path=path,
        kind="pairs" if found.pairs else "scores",
        of=_distinct(of),
        done=len(said),
        scored=sum(map(is_scored, said)),
        judges=Counter(each.judge for each in said),
    )
    return one, _Contents(judgements=found)


def _of_plan(path: Path, plan: Plan | None) -> Shelved:
    """What a file is to be that is not there yet."""
    if plan is None:
        return Shelved(path=path, kind="unknown", finished=False)
    choice = plan.choice
    if isinstance(choice, RunChoice):
        set_name = Path(choice.items or "").name
        return Shelved(path=path, kind="answers", of=plan.of, set_name=set_name, finished=False)
    return Shelved(
        path=path,
        kind="scores" if choice.against is None else "pairs",
        of=plan.of,
        judges={Path(choice.judge).name: 0},
        finished=False,
    )


def _with_journal(one: Shelved, plan: Plan | None) -> Shelved:
    """What is finished, and what came since."""
    part = one.path.with_name(f"{one.path.name}.part")
    if not part.exists():
        return one
    lines = list(_lines(part))
    if plan is not None and isinstance(plan.choice, RunChoice):
        turns = {str(item.id): len(item.turns) for item in find_items(plan.choice.items).items}
        answers = {(str(line.id), line.turn) for line in lines if line.reading is msgspec.UNSET}
        written = Counter(id_ for id_, _ in answers)
        done = sum(count >= turns.get(id_, 1) for id_, count in written.items())
    else:
        done = len(lines)
    return msgspec.structs.replace(one, done=max(one.done, done), finished=False)


class _Line(msgspec.Struct, frozen=True):
    """What is looked at of the lines of journals.

    `turn`: of an answer. `reading`: there where a line tells of a text that was read.
    """

    id: int | str
    turn: int = 0
    reading: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


def _lines(path: Path) -> Iterator[_Line]:
    """The lines of a journal that are whole; the head is none of them."""
    with open_regular(path) as file:
        while line := file.readline(MAX_LINE_BYTES):
            try:
                yield msgspec.json.decode(line, type=_Line)
            except (msgspec.MsgspecError, ValueError, RecursionError):
                continue


def _changed(path: Path) -> float:
    """When a file was written last, or else the link that leads to none; 0 where there is none."""
    for stat in (path.stat, path.lstat):
        with contextlib.suppress(OSError):
            return stat().st_mtime
    return 0.0


def _distinct(names: Sequence[_T]) -> tuple[_T, ...]:
    return tuple(dict.fromkeys(names))
