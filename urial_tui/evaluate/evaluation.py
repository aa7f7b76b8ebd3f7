"""An evaluation, loaded from files: runs beside each other on the same items, with judgements.

A file is recognised by its content, outputs or judgements. A run is what one generator answered in
one file of outputs; answers that are only known from their judgements are a run as well. A
judgement counts for the run whose answer it judges, to the letter: one of an answer that has been
written anew since is left out, and counted. All runs answer the same items, of which each may have
a part; an id that stands for two questions is refused, for nothing could be compared.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import msgspec

from urial_tui.errors import UsageError
from urial_tui.evaluate.blind_judging import VOTERS
from urial_tui.evaluate.gathering import GatheredRun, join, runs_of
from urial_tui.evaluate.items import Category, EvaluateError, Item, ItemSet
from urial_tui.evaluate.judgement_files import (
    MAX_JUDGEMENTS_BYTES,
    JudgementSet,
    read_judgements,
)
from urial_tui.evaluate.judgements import Judgement, PairJudgement
from urial_tui.evaluate.output_file import read_outputs
from urial_tui.evaluate.outputs import Output
from urial_tui.evaluate.own_items import own_items
from urial_tui.files import is_same, read_text, reason
from urial_tui.json_text import NotJSON, parsed
from urial_tui.question_file import NAMED_KEYS
from urial_tui.sanitize import quoted, sanitize_line, storable

EvaluationKind = Literal["outputs", "judgements"]
"""What a file holds."""


class ReadFile(msgspec.Struct, frozen=True, kw_only=True):
    """A file that was read.

    `records`: how many it has. `unmatched`: judgements in it of answers that no run has any more,
    which are left out. `unused`: keys of its records that mean nothing here, with their counts.
    """

    name: str
    kind: EvaluationKind
    records: int
    unmatched: int = 0
    unused: Mapping[str, int] = {}


class EvaluatedRun(msgspec.Struct, frozen=True, kw_only=True):
    """The answers of a generator, and what judges said of them.

    `name`: short, and no other run's. `file`: of its outputs; "" where its answers are known from
    judgements. `outputs`: by the item's id, as text. `judged`: by judge, and then by item.
    """

    name: str
    generator: str
    file: str
    outputs: Mapping[str, Output]
    judged: Mapping[str, Mapping[str, tuple[Judgement, ...]]]


class JudgedPair(msgspec.Struct, frozen=True, kw_only=True):
    """What a judge said of one answer beside another. `first` stood as A, `second` as B."""

    first: str
    second: str
    judgement: PairJudgement


class Evaluation(msgspec.Struct, frozen=True, kw_only=True):
    """Runs on the same items, with all that was said of them.

    `set_name`, `set_items`: of the set of items, where they are known: the files may tell the name
    alone. `items`: those that a run has answered, in order. `comparisons`: of two runs each, by
    their names.
    """

    set_name: str | None
    set_items: int | None
    items: tuple[Item, ...]
    runs: tuple[EvaluatedRun, ...]
    comparisons: tuple[JudgedPair, ...]
    files: tuple[ReadFile, ...]


def read_evaluation(
    paths: Sequence[Path], items: ItemSet | None = None, votes: Sequence[PairJudgement] = ()
) -> Evaluation:
    """What the files hold, put together.

    Args:
        paths: Files of outputs and of judgements, in any order.
        items: What was asked. Without them, the program's own where these were, else what the
            files tell of their items.
        votes: What was voted on in the chat, to be counted as a file of judgements is.

    Raises:
        UsageError: A file is named twice.
        EvaluateError: A file can't be read, is neither, or does not fit the others.
    """
    check_named_once(paths)
    runs: list[GatheredRun] = []
    judgements: list[tuple[Path, JudgementSet]] = []
    read: dict[Path, ReadFile] = {}
    for path in paths:
        if kind_of(path) == "judgements":
            found = read_judgements(path)
            judgements.append((path, found))
        else:
            outputs = _read_outputs(path)
            runs += runs_of(path, outputs)
            read[path] = ReadFile(name=storable(path.name), kind="outputs", records=len(outputs))
    _check_shared(runs)
    places = list(paths)
    if votes:
        place = Path(VOTERS)
        judgements.append((place, JudgementSet(name=VOTERS, judgements=(), pairs=tuple(votes))))
        places.append(place)
    compared: list[tuple[GatheredRun, GatheredRun, PairJudgement]] = []
    for path, found in judgements:
        read[path] = ReadFile(
            name=storable(path.name),
            kind="judgements",
            records=len(found.judgements) + len(found.pairs),
            unmatched=join(runs, compared, path, found),
            unused=found.unused,
        )
    known, name, size = _items(runs, items)
    names = _names(runs)
    return Evaluation(
        set_name=name,
        set_items=size,
        items=known,
        runs=tuple(_finished(run, name) for run, name in zip(runs, names, strict=True)),
        comparisons=tuple(
            JudgedPair(
                first=names[runs.index(first)], second=names[runs.index(second)], judgement=said
            )
            for first, second, said in compared
        ),
        files=tuple(read[path] for path in places),
    )


# -- runs ------------------------------------------------------------------------------


def _finished(run: GatheredRun, name: str) -> EvaluatedRun:
    return EvaluatedRun(
        name=name,
        generator=run.generator,
        file=storable(run.path.name) if run.path is not None else "",
        outputs=run.outputs,
        judged={
            judge: {key: tuple(said) for key, said in by_item.items()}
            for judge, by_item in run.judged.items()
        },
    )


def _names(runs: Sequence[GatheredRun]) -> list[str]:
    """A name for each run: its generator's, of a file's path the last part where that suffices."""
    short = [_short(run.generator).strip() for run in runs]
    names = [
        name if name and short.count(name) == 1 else run.generator or "unnamed"
        for name, run in zip(short, runs, strict=True)
    ]
    names = [
        f"{name} ({run.source.name})" if names.count(name) > 1 else name
        for name, run in zip(names, runs, strict=True)
    ]
    return [
        storable(f"{name} #{names[: at + 1].count(name)}" if names.count(name) > 1 else name)
        for at, name in enumerate(names)
    ]


def _short(generator: str) -> str:
    """A file's name, by which the official tool calls who has written it; all else as it is.

    A slash may stand in the name of a model or of a context.
    """
    if not generator.endswith(".json"):
        return generator
    return generator.rsplit("/", 1)[-1].removesuffix(".json")


# -- items -----------------------------------------------------------------------------


def _items(
    runs: Sequence[GatheredRun], items: ItemSet | None
) -> tuple[tuple[Item, ...], str | None, int | None]:
    """The items that were answered, and the name and the size of their set where it is known."""
    _check_questions(runs)
    outputs: dict[str, Output] = {}
    for run in runs:
        for key, output in run.outputs.items():
            known = outputs.get(key)
            # Whoever has most turns tells most of the item.
            if known is None or len(output.exchanges) > len(known.exchanges):
                outputs[key] = output
    if items is None:
        own = own_items()
        by_id = {str(item.id): item for item in own.items}
        if all(key in by_id and _asks(by_id[key], output) for key, output in outputs.items()):
            items = own
    if items is None:
        safety = set[str]().union(*(run.safety for run in runs))
        told = tuple(_told(key, output, runs, safety) for key, output in outputs.items())
        splits = {output.datasplit for run in runs for output in run.outputs.values()}
        return told, splits.pop() or None if len(splits) == 1 else None, None
    by_id = {str(item.id): item for item in items.items}
    for run in runs:
        for key, output in run.outputs.items():
            if key not in by_id or not _asks(by_id[key], output):
                what = "asks something else there" if key in by_id else "is not among them"
                raise EvaluateError(
                    f"The answers in {sanitize_line(str(run.source))} are not to the items of "
                    f"{sanitize_line(items.name)}: item {quoted(key, 40)} {what}.",
                    "Name the file of the items that were answered with --items, or none.",
                )
    answered = tuple(item for item in items.items if str(item.id) in outputs)
    return answered, items.name, len(items.items)


def _asks(item: Item, output: Output) -> bool:
    """Whether an output answers an item; a judgement may tell of one of its turns alone."""
    asked = [exchange.instruction for exchange in output.exchanges]
    return asked == list(item.turns[: len(asked)]) or (len(asked) == 1 and asked[0] in item.turns)


def _told(key: str, output: Output, runs: Sequence[GatheredRun], safety: set[str]) -> Item:
    """An item as the files tell of it."""
    told = [run.outputs[key] for run in runs if key in run.outputs]
    safe = key in safety or any(one.category == "safety" for one in told)
    category: Category = "safety" if safe else "regular"
    return Item(
        id=output.id,
        turns=tuple(exchange.instruction for exchange in output.exchanges),
        category=category,
        dataset=next((one.dataset for one in told if one.dataset), ""),
        source_id=next((one.source_id for one in told if one.source_id), ""),
    )


def _check_questions(runs: Sequence[GatheredRun]) -> None:
    """An id stands for the same question in all runs."""
    seen: dict[str, tuple[Output, GatheredRun]] = {}
    for run in runs:
        for key, output in run.outputs.items():
            first, other = seen.setdefault(key, (output, run))
            asked = {exchange.instruction for exchange in output.exchanges}
            if not asked & {exchange.instruction for exchange in first.exchanges}:
                raise EvaluateError(
                    f"Item {quoted(key, 40)} is one question in {sanitize_line(str(other.source))} "
                    f"and another in {sanitize_line(str(run.source))}: these are answers to "
                    "different sets.",
                    "Make a report of each.",
                )


def _check_shared(runs: Sequence[GatheredRun]) -> None:
    """Files of outputs have items in common, or there is nothing to lay side by side."""
    for run in runs[1:]:
        others = [other for other in runs if other.path != run.path]
        if others and not any(other.outputs.keys() & run.outputs.keys() for other in others):
            raise EvaluateError(
                f"The answers in {sanitize_line(str(run.source))} are to none of the items that "
                f"{sanitize_line(str(others[0].source))} has answers to.",
                "Make a report of each.",
            )


# -- files -----------------------------------------------------------------------------


def check_named_once(paths: Sequence[Path]) -> None:
    """Look whether no file is named twice, be it by another path.

    Raises:
        UsageError: One is.
    """
    for at, path in enumerate(paths):
        if any(is_same(path, other) for other in paths[:at]):
            raise UsageError(
                f"The file {sanitize_line(str(path))} is named twice.", "Name it once."
            )


def _read_outputs(path: Path) -> tuple[Output, ...]:
    try:
        return read_outputs(path)
    except FileNotFoundError as error:
        # It was there a moment ago, when its kind was looked at.
        raise EvaluateError(
            f"The file {sanitize_line(str(path))} can't be read: {reason(error)}.",
            "Name another file.",
        ) from error


def kind_of(path: Path) -> EvaluationKind:
    """What a file holds, by its first record; the rest is its reader's.

    Raises:
        EvaluateError: It can't be read, or holds neither.
    """
    shown = sanitize_line(str(path))
    for record in _records(path, shown):
        if isinstance(record, dict) and "eval_config" in record:
            return "judgements"
        if isinstance(record, dict) and "output" in record:
            return "outputs"
        keys = list(record)[:NAMED_KEYS] if isinstance(record, dict) else []
        raise EvaluateError(
            f"The file {shown} holds neither answers nor judgements"
            + (f" (the keys of its records are {', '.join(map(_key, keys))})." if keys else "."),
            "Name a file that `urial eval run` or a judge has written.",
        )
    raise EvaluateError(f"There is no record in {shown}.", "Name another file.")


def _records(path: Path, shown: str) -> Iterator[Any]:
    try:
        values = parsed(read_text(path, MAX_JUDGEMENTS_BYTES))
    except OSError as error:
        raise EvaluateError(
            f"The file {shown} can't be read: {reason(error)}.", "Name another file."
        ) from error
    except NotJSON as error:
        raise EvaluateError(
            f"The file {shown} is not JSON: {sanitize_line(str(error))}.",
            "Name a file that `urial eval run` or a judge has written.",
        ) from error
    if not isinstance(values, list):
        raise EvaluateError(
            f"The file {shown} is no list of answers or judgements.",
            "Name a file that `urial eval run` or a judge has written.",
        )
    return iter(values)


def _key(key: str) -> str:
    return quoted(key, 40)
