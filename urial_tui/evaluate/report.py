"""The report of an evaluation: one JSON document, of which everything that is shown is a view.

What can be measured without a judge comes first and is always there; then what judges say, each by
its own name, for scores of two judges are on two scales. Intervals are 95 % over items. What was
not measured is null, and counted. docs/json.md has the keys.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import combinations
from statistics import fmean
from typing import Any, Final, TypedDict, get_args

import msgspec

from urial_tui.evaluate import published
from urial_tui.evaluate.contests import contests
from urial_tui.evaluate.evaluation import EvaluatedRun, Evaluation
from urial_tui.evaluate.held_judges import held_judges
from urial_tui.evaluate.items import Category, Item
from urial_tui.evaluate.judgements import AspectScore
from urial_tui.evaluate.means import RESAMPLES, mean_of, paired_difference, share_of
from urial_tui.evaluate.measures import AnswerMeasures, OutputMeasures, measure_run, summarise
from urial_tui.evaluate.scored import (
    BOUNDS,
    ScoreTable,
    plain_mean,
    score_mean,
    score_table,
    values_of,
)
from urial_tui.evaluate.shown_preamble import LeakSource, PreamblesByContent

GROUP_RESAMPLES: Final = 2000
"""Draws of the intervals of a group, of which there are many."""

_MEASURED: Final[tuple[str, ...]] = (
    *("words", "tokens", "distinct_1", "distinct_2", "repeated"),
    *("bits_per_byte", "unshifted", "marginal", "shift"),
)
"""Measures of an answer that are numbers; of an item they are the mean of its answers'."""
_BY: Final[dict[str, Callable[[Item], tuple[str, ...]]]] = {
    "category": lambda item: (item.category,),
    "task_types": lambda item: item.task_types,
    "topics": lambda item: item.topics,
    "dataset": lambda item: (item.dataset,) if item.dataset else (),
}
"""What items are grouped by, by the names of its keys in the document."""


class _Draws(TypedDict):
    """How intervals are drawn."""

    resamples: int
    seed: int


def report(
    evaluation: Evaluation,
    *,
    preambles: PreamblesByContent | None = None,
    reference: str | None = None,
    resamples: int = RESAMPLES,
    seed: int = 0,
    progress: Callable[[str], None] = lambda words: None,
) -> dict[str, Any]:
    """The document, see docs/json.md.

    Args:
        evaluation: What was read.
        preambles: Those whose examples are looked for in the answers written under them; by
            default none.
        reference: The judge that the others are held to; people unless given.
        resamples: Draws of the intervals; groups have at most `GROUP_RESAMPLES`.
        seed: Of the draws.
        progress: Told what is done; a thousand answers take some seconds.

    Raises:
        UsageError: Nobody of the reference's name has judged the runs.
    """
    calibrations = held_judges(evaluation, reference)
    known = preambles or PreamblesByContent(())
    runs: list[_Measured] = []
    for number, run in enumerate(evaluation.runs, start=1):
        progress(f"measuring run {number} of {len(evaluation.runs)}")
        runs.append(_Measured(run, evaluation.items, known.of(run.outputs.values())))
    progress("comparing the runs")
    draws: _Draws = {"resamples": resamples, "seed": seed}
    group_draws: _Draws = {"resamples": min(resamples, GROUP_RESAMPLES), "seed": seed}
    names = [run.run.name for run in runs]
    return {
        "set": {"name": evaluation.set_name, "items": evaluation.set_items},
        "preamble": None if known.untold is None else known.untold.name,
        "files": msgspec.to_builtins(evaluation.files),
        "runs": [_run(run, draws) for run in runs],
        "differences": [_difference(*pair, draws) for pair in combinations(runs, 2)],
        "contests": msgspec.to_builtins(contests(evaluation.comparisons, names, **draws)),
        "calibrations": calibrations,
        "groups": _groups(evaluation.items, runs, group_draws),
        "published": {
            "source": published.SOURCE,
            "judge": published.JUDGE,
            "set": published.SET,
            "items": published.ITEMS,
            "rows": msgspec.to_builtins(published.ROWS),
        },
        "items": _items(evaluation, runs),
    }


# -- runs ------------------------------------------------------------------------------


class _Measured:
    """A run with what was measured of it, and its scores by judge."""

    def __init__(self, run: EvaluatedRun, items: Sequence[Item], source: LeakSource) -> None:
        self.run = run
        self.source = source
        self.items = [item for item in items if str(item.id) in run.outputs]
        self.outputs = [run.outputs[str(item.id)] for item in self.items]
        found = measure_run(zip(self.outputs, self.items, strict=True), source.preamble)
        self.measures: dict[str, OutputMeasures] = {
            str(item.id): measured for item, measured in zip(self.items, found, strict=True)
        }
        self.scores: dict[str, ScoreTable] = {
            judge: score_table(run, judge, items) for judge in run.judged
        }

    def values(self, measure: str) -> dict[str, float | None]:
        """A measure of each item."""
        return {key: _of_item(measured, measure) for key, measured in self.measures.items()}

    def refusals(self, category: Category | None = None) -> dict[str, bool]:
        """Whether it refuses, of each item of a category."""
        return {
            key: measured.refuses
            for key, measured in self.measures.items()
            if category in (None, measured.category)
        }


def _of_item(measured: OutputMeasures, measure: str) -> float | None:
    """The mean of an item's answers, of which all have to be measured."""
    values: list[float | None] = [getattr(answer, measure) for answer in measured.answers]
    known = [value for value in values if value is not None]
    return fmean(known) if known and len(known) == len(values) else None


def _run(measured: _Measured, draws: _Draws) -> dict[str, Any]:
    run = measured.run
    return {
        "name": run.name,
        "generator": run.generator,
        "file": run.file or None,
        "preamble": measured.source.name or None,
        "examples_known": measured.source.preamble is not None,
        "items": len(measured.items),
        "categories": {
            category: sum(item.category == category for item in measured.items)
            for category in get_args(Category)
        },
        "measures": msgspec.to_builtins(
            summarise(measured.outputs, list(measured.measures.values()), **draws)
        ),
        "judges": [
            {
                "judge": judge,
                "items": len(run.judged[judge]),
                "aspects": {
                    aspect: msgspec.to_builtins(score_mean(scores, **draws))
                    for aspect, scores in table.items()
                },
            }
            for judge, table in measured.scores.items()
        ],
    }


# -- differences -----------------------------------------------------------------------


def _difference(first: _Measured, second: _Measured, draws: _Draws) -> dict[str, Any]:
    """First minus second over the items that both have answered."""
    shared = [key for key in first.measures if key in second.measures]

    def paired(
        one: Mapping[str, float | None],
        other: Mapping[str, float | None],
        bounds: tuple[float, float] | None = None,
    ) -> Any:
        keys = [key for key in shared if key in one and key in other]
        return msgspec.to_builtins(
            paired_difference(
                [one[key] for key in keys], [other[key] for key in keys], bounds=bounds, **draws
            )
        )

    refused = {
        category: paired(first.refusals(category), second.refusals(category), (0.0, 1.0))
        for category in get_args(Category)
    }
    return {
        "first": first.run.name,
        "second": second.run.name,
        "items": len(shared),
        "measures": {
            **{name: paired(first.values(name), second.values(name)) for name in _MEASURED},
            **{f"refused_{category}": found for category, found in refused.items()},
        },
        "judges": [
            {
                "judge": judge,
                "aspects": {
                    aspect: paired(
                        values_of(scores), values_of(second.scores[judge][aspect]), BOUNDS
                    )
                    for aspect, scores in table.items()
                    if aspect in second.scores[judge]
                },
            }
            for judge, table in first.scores.items()
            if judge in second.scores
        ],
    }


# -- groups ----------------------------------------------------------------------------


def _groups(
    items: Sequence[Item], runs: Sequence[_Measured], draws: _Draws
) -> dict[str, list[dict[str, Any]]]:
    """For each field its groups, the largest first; an item may be in several."""
    groups: dict[str, list[dict[str, Any]]] = {}
    for field, labels_of in _BY.items():
        members: dict[str, set[str]] = {}
        for item in items:
            for label in labels_of(item):
                members.setdefault(label, set()).add(str(item.id))
        ordered = sorted(members.items(), key=lambda each: (-len(each[1]), each[0]))
        groups[field] = [
            {
                "value": label,
                "items": len(keys),
                "runs": [_in_group(run, keys, draws) for run in runs],
            }
            for label, keys in ordered
        ]
    return groups


def _in_group(run: _Measured, keys: set[str], draws: _Draws) -> dict[str, Any]:
    def part(scores: Mapping[str, AspectScore | None]) -> dict[str, AspectScore | None]:
        return {key: score for key, score in scores.items() if key in keys}

    words = [value for key, value in run.values("words").items() if key in keys]
    refused = [value for key, value in run.refusals().items() if key in keys]
    return {
        "run": run.run.name,
        "items": len(words),
        "words": msgspec.to_builtins(mean_of(words, **draws)),
        "refused": msgspec.to_builtins(share_of(refused)),
        "judges": [
            {
                "judge": judge,
                "aspects": {
                    aspect: msgspec.to_builtins(plain_mean(found, **draws))
                    for aspect, scores in table.items()
                    if (found := part(scores))
                },
            }
            for judge, table in run.scores.items()
        ],
    }


# -- items -----------------------------------------------------------------------------


def _items(evaluation: Evaluation, runs: Sequence[_Measured]) -> list[dict[str, Any]]:
    compared: dict[str, list[dict[str, Any]]] = {}
    for one in evaluation.comparisons:
        said = one.judgement
        compared.setdefault(str(said.id), []).append(
            {
                "A": one.first,
                "B": one.second,
                "judge": said.judge,
                "preferences": msgspec.to_builtins(said.preferences),
            }
        )
    return [
        {
            **msgspec.to_builtins(item),
            "answers": [
                _answered(run, str(item.id)) for run in runs if str(item.id) in run.measures
            ],
            "comparisons": compared.get(str(item.id), []),
        }
        for item in evaluation.items
    ]


def _answered(run: _Measured, key: str) -> dict[str, Any]:
    measured = run.measures[key]
    output = run.run.outputs[key]
    return {
        "run": run.run.name,
        "refuses": measured.refuses,
        "turns": [
            {"instruction": exchange.instruction, "output": exchange.output, **_measures(answer)}
            for exchange, answer in zip(output.exchanges, measured.answers, strict=True)
        ],
        "scores": [
            {
                "judge": judge,
                "aspects": {
                    aspect: _score(scores[key]) for aspect, scores in table.items() if key in scores
                },
            }
            for judge, table in run.scores.items()
        ],
    }


def _measures(answer: AnswerMeasures) -> dict[str, Any]:
    found = msgspec.to_builtins(answer)
    assert isinstance(found, dict)
    return found


def _score(score: AspectScore | None) -> dict[str, Any]:
    """A score with its reason; what the official tool makes of it is told of the whole alone."""
    if score is None:
        return {"score": None, "reason": "", "unscored": "not judged"}
    return {"score": score.score, "reason": score.reason, "unscored": score.unscored or None}
