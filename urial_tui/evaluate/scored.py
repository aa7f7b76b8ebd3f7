"""The scores of a run by one judge: one an item and aspect, or why there is none.

Every item that an aspect applies to is in the table, judged or not, so that what is missing in a
mean is counted: an item that nobody judged as well as one that got no score.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from urial_tui.evaluate.aspects import aspects_of
from urial_tui.evaluate.evaluation import EvaluatedRun
from urial_tui.evaluate.items import Item
from urial_tui.evaluate.judgements import ASPECTS, HIGHEST, LOWEST, Aspect, AspectScore
from urial_tui.evaluate.means import RESAMPLES, Mean, mean_of

NOT_JUDGED: Final = "not judged"
"""Stands among the reasons why there is no score."""
BOUNDS: Final = (float(LOWEST), float(HIGHEST))


class OfficialMean(msgspec.Struct, frozen=True, kw_only=True):
    """What the official tool makes of the same judgements: a mean over `count` of them."""

    mean: float
    count: int


class ScoreMean(msgspec.Struct, frozen=True, kw_only=True):
    """The mean score of an aspect.

    `mean`, `interval`: of the `count` items with a score. `missing`: the other items that the
    aspect applies to; `unscored`: how many of these for which reason. `official`: None where the
    official tool has nothing to count.
    """

    mean: float | None
    interval: tuple[float, float] | None
    count: int
    missing: int
    unscored: dict[str, int]
    official: OfficialMean | None


ScoreTable = Mapping[Aspect, Mapping[str, AspectScore | None]]
"""By aspect and item; None where an item was not judged."""


def score_table(run: EvaluatedRun, judge: str, items: Sequence[Item]) -> ScoreTable:
    """The scores that a judge gave to a run's answers.

    Args:
        run: What was judged.
        judge: One of those that judged it.
        items: Of the evaluation; those that the run has not answered are left out.
    """
    judged = run.judged.get(judge, {})
    said: dict[str, dict[Aspect, AspectScore]] = {}
    for item in items:
        if (key := str(item.id)) in run.outputs:
            said[key] = {
                aspect: score
                for judgement in judged.get(key, ())
                for aspect, score in judgement.scores.items()
            }
    found = {aspect for scores in said.values() for aspect in scores}
    return {
        aspect: {
            key: said[key].get(aspect)
            for item in items
            if (key := str(item.id)) in said and (aspect in said[key] or _applies(aspect, item))
        }
        for aspect in ASPECTS
        if aspect in found
    }


def values_of(scores: Mapping[str, AspectScore | None]) -> dict[str, float | None]:
    """The bare numbers of an aspect, by item."""
    return {key: score.score if score else None for key, score in scores.items()}


def score_mean(
    scores: Mapping[str, AspectScore | None], *, resamples: int = RESAMPLES, seed: int = 0
) -> ScoreMean:
    """The mean of an aspect, with its interval and what is missing in it."""
    mean = plain_mean(scores, resamples=resamples, seed=seed)
    why = Counter(
        NOT_JUDGED if score is None else score.unscored
        for score in scores.values()
        if score is None or score.score is None
    )
    official = [score.official for score in scores.values() if score and score.official is not None]
    return ScoreMean(
        mean=mean.mean,
        interval=mean.interval,
        count=mean.count,
        missing=mean.missing,
        unscored=dict(why.most_common()),
        official=OfficialMean(mean=sum(official) / len(official), count=len(official))
        if official
        else None,
    )


def plain_mean(
    scores: Mapping[str, AspectScore | None], *, resamples: int = RESAMPLES, seed: int = 0
) -> Mean:
    """The mean of an aspect alone."""
    return mean_of(list(values_of(scores).values()), bounds=BOUNDS, resamples=resamples, seed=seed)


def _applies(aspect: Aspect, item: Item) -> bool:
    return aspect == "overall" or aspect in aspects_of(item.category)
