"""The calibration of a judge: its judgements beside reference judgements of the same answers.

Answers are the same where item, generator and text are. What both have said of them shows how far
the judge agrees, and how it errs; with that, what it says of a whole run is corrected. The
reference is a better judge, or people: votes are judgements of pairs.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from itertools import combinations
from typing import NamedTuple

import msgspec

from urial_tui.evaluate.agreement import Agreement, agreement
from urial_tui.evaluate.correction import (
    FEWEST_LABELS,
    Corrected,
    ErrorDifference,
    JudgedVerdict,
    Label,
    Quality,
    corrected_difference,
    corrected_mean,
    corrected_share,
    error_difference,
    quality_difference,
    quality_of,
)
from urial_tui.evaluate.items import EvaluateError
from urial_tui.evaluate.judge import Judged
from urial_tui.evaluate.judge_document import PREFERRED, pair_outcomes
from urial_tui.evaluate.judgements import (
    ASPECTS,
    HIGHEST,
    LOWEST,
    Aspect,
    Judgement,
    PairJudgement,
)
from urial_tui.evaluate.means import Share, share_of

_PREFERRED_BOUNDS = (0.0, 1.0)


class TwoRuns(msgspec.Struct, frozen=True, kw_only=True):
    """Two runs that one judge has judged.

    `errors`: how the judge's mean error differs between them. `quality`: how Youden's index of its
    verdicts does, who has won; None where no pairs were judged. `corrected`: first minus second on
    the items that are scored in both.
    """

    first: str
    second: str
    errors: ErrorDifference
    quality: ErrorDifference | None
    corrected: Corrected


class Wins(msgspec.Struct, frozen=True, kw_only=True):
    """The judge's verdicts on who has won outright; a tie is none.

    `quality`: on all labels. `runs`: the share of its pairs that a run has won, as judged and
    corrected by how often the judge's verdicts are right.
    """

    quality: Quality
    runs: Mapping[str, Corrected]


class AspectCalibration(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a judge in an aspect.

    `agreement`: with the reference; of pairs, whose values are 1, 0.5 and 0 for what the first
    answer has won, tied or lost. `same`: share on which both say the same, scores as whole ones.
    `runs`: the mean of each run's scores, or the win rate of its answers with ties as halves, as
    judged and corrected. `wins`: None where no pairs were judged. `differences`: between every two
    runs.
    """

    agreement: Agreement
    same: Share
    runs: Mapping[str, Corrected]
    wins: Wins | None
    differences: tuple[TwoRuns, ...]


class Calibration(msgspec.Struct, frozen=True, kw_only=True):
    """A judge beside a reference.

    `pairs`: whether both have judged pairs of answers. `matched`: answers, or pairs, that both
    have judged; `judged_alone`, `reference_alone`: that one of them has.
    """

    judge: str
    reference: str
    pairs: bool
    matched: int
    judged_alone: int
    reference_alone: int
    aspects: Mapping[Aspect, AspectCalibration]


class _Said(NamedTuple):
    """What was said of an answer or a pair: of which item, whose run, the value of each aspect."""

    item: Hashable
    run: str
    values: Mapping[Aspect, float | None]


def against(first: str, second: str) -> str:
    """What two runs that were judged as pairs are called together."""
    return f"{first} against {second}"


def calibrate(judged: Sequence[Judged], reference: Sequence[Judged]) -> Calibration:
    """Calibrate a judge by a reference.

    A reference that says something of the whole alone ("overall") is set beside every aspect.

    Raises:
        EvaluateError: They have judged nothing in common, or one of them scores and the other one
            compares.
    """
    pairs = _are_pairs(judged)
    if pairs != _are_pairs(reference):
        raise EvaluateError(
            "One of the two has judged answers, the other one pairs of answers.",
            "Name two files of the same kind.",
        )
    ours, theirs = (_pairs(each) if pairs else _scores(each) for each in (judged, reference))
    matched = [key for key in ours if key in theirs]
    if not matched:
        raise EvaluateError(
            "The two have judged no answer in common: the item, the generator and the text have "
            "to be the same.",
            "Judge the same outputs twice, or name another reference.",
        )
    aspects = {
        aspect: _aspect(aspect, ours, theirs, pairs)
        for aspect in ASPECTS
        if any(aspect in said.values for said in ours.values())
    }
    return Calibration(
        judge=_names(judged),
        reference=_names(reference),
        pairs=pairs,
        matched=len(matched),
        judged_alone=len(ours) - len(matched),
        reference_alone=len(theirs) - len(matched),
        aspects=aspects,
    )


# -- what is the same --------------------------------------------------------------------


def _are_pairs(judged: Sequence[Judged]) -> bool:
    kinds = {isinstance(one, PairJudgement) for one in judged}
    if len(kinds) > 1:
        raise EvaluateError(
            "A file holds judgements of answers and of pairs.", "Calibrate with one kind of them."
        )
    return kinds == {True}


def _scores(judged: Sequence[Judged]) -> dict[Hashable, _Said]:
    found: dict[Hashable, _Said] = {}
    for one in judged:
        assert isinstance(one, Judgement)
        values = {aspect: score.score for aspect, score in one.scores.items()}
        key = (str(one.id), one.generator, one.output)
        # Safety and the other aspects of an answer may stand in two judgements.
        known = found[key].values if key in found else {}
        found[key] = _Said(str(one.id), one.generator, {**known, **values})
    return found


def _pairs(judged: Sequence[Judged]) -> dict[Hashable, _Said]:
    """What pairs come to, seen from the answer that comes first by generator and text."""
    found: dict[Hashable, _Said] = {}
    pairs = [one for one in judged if isinstance(one, PairJudgement)]
    for one in pair_outcomes(pairs, alone=True):
        sides = sorted((one.first, one.second))
        value = None if one.outcome is None else PREFERRED[one.outcome]
        if value is not None and sides[0] != one.first:
            value = 1 - value
        key = (str(one.id), *sides)
        run = against(sides[0][0], sides[1][0])
        known = found[key].values if key in found else {}
        found[key] = _Said(str(one.id), run, {**known, one.aspect: value})
    return found


class _Run:
    """What the judge has said of a run in an aspect, with labels where there are some.

    An item that stands in it more than once is told apart by its turn.
    """

    def __init__(self) -> None:
        self.labels: dict[tuple[Hashable, int], Label] = {}
        self.rest: dict[tuple[Hashable, int], float | None] = {}
        self._seen: Counter[Hashable] = Counter()

    def add(self, item: Hashable, given: float | None, right: float | None) -> None:
        """Take in what the judge says of an answer, and what is right; None is not known."""
        place = (item, self._seen[item])
        self._seen[item] += 1
        if given is None or right is None:
            self.rest[place] = given
        else:
            self.labels[place] = (given, right)

    @property
    def verdicts(self) -> list[JudgedVerdict]:
        """Of the labelled pairs, whether the run has won."""
        return [(given == 1, right == 1) for given, right in self.labels.values()]


def _aspect(
    aspect: Aspect,
    ours: Mapping[Hashable, _Said],
    theirs: Mapping[Hashable, _Said],
    pairs: bool,
) -> AspectCalibration:
    judge: list[float | None] = []
    right: list[float | None] = []
    runs: dict[str, _Run] = {}
    for key, said in ours.items():
        if aspect not in said.values:
            continue
        given = said.values[aspect]
        other = theirs[key].values if key in theirs else {}
        known = other.get(aspect, other.get("overall"))
        if key in theirs:
            judge.append(given)
            right.append(known)
        runs.setdefault(said.run, _Run()).add(said.item, given, known)
    runs = dict(sorted(runs.items()))
    low, high = _PREFERRED_BOUNDS if pairs else (float(LOWEST), float(HIGHEST))
    means = {
        name: corrected_mean(list(run.rest.values()), list(run.labels.values()), bounds=(low, high))
        for name, run in runs.items()
    }
    found = agreement(judge, right)
    equal = [
        None if one is None or other is None else one == other
        for one, other in zip(judge, right, strict=True)
    ]
    return AspectCalibration(
        agreement=found,
        same=share_of(equal) if pairs else found.same,
        runs=means,
        wins=_wins(runs) if pairs else None,
        differences=tuple(
            TwoRuns(
                first=one,
                second=other,
                errors=error_difference(
                    list(runs[one].labels.values()),
                    list(runs[other].labels.values()),
                    raw_difference=_minus(means[one].raw, means[other].raw),
                ),
                quality=quality_difference(runs[one].verdicts, runs[other].verdicts)
                if pairs
                else None,
                corrected=_difference(runs[one], runs[other], (low - high, high - low)),
            )
            for one, other in combinations(runs, 2)
        ),
    )


def _wins(runs: Mapping[str, _Run]) -> Wins:
    """A run's own labels correct it, those of all runs where its own show no win, or no other."""
    every = [verdict for run in runs.values() for verdict in run.verdicts]
    return Wins(
        quality=quality_of(every),
        runs={name: _won(run, every) for name, run in runs.items()},
    )


def _won(run: _Run, every: Sequence[JudgedVerdict]) -> Corrected:
    own = run.verdicts
    judged = [value == 1 for value in run.rest.values() if value is not None]
    if own and not judged:
        # Nothing is left to be estimated.
        known = share_of([right for _, right in own])
        return Corrected(
            raw=share_of([given for given, _ in own]).share,
            corrected=known.share,
            interval=known.interval,
            count=len(own),
            labels=len(own),
            note="",
        )
    enough = len({right for _, right in own}) == 2
    found = corrected_share(judged, own if enough else every)
    if enough or found.corrected is None or len(own) == len(every):
        return found
    note = "wins are corrected by labels of other runs, too: right where the judge errs alike"
    return msgspec.structs.replace(found, note="; ".join(filter(None, (note, found.note))))


def _difference(first: _Run, second: _Run, bounds: tuple[float, float]) -> Corrected:
    """First minus second, by the items that are labelled in both runs if there are some."""
    both = {place: None for place in first.labels if place in second.labels}
    labels = [
        (
            first.labels[place][0] - second.labels[place][0],
            first.labels[place][1] - second.labels[place][1],
        )
        for place in both
    ]
    one, other = _given(first), _given(second)
    if len(labels) >= FEWEST_LABELS:
        rest = [one[place] - other[place] for place in one if place in other and place not in both]
        return corrected_mean(rest, labels, bounds=bounds)
    return corrected_difference(
        [
            (one[place], other[place])
            for place in one
            if place in other and place not in first.labels and place not in second.labels
        ],
        list(first.labels.values()),
        list(second.labels.values()),
    )


def _given(run: _Run) -> dict[tuple[Hashable, int], float]:
    """What the judge says, labelled or not."""
    given = {place: label[0] for place, label in run.labels.items()}
    return given | {place: value for place, value in run.rest.items() if value is not None}


def _minus(one: float | None, other: float | None) -> float | None:
    return None if one is None or other is None else one - other


def _names(judged: Sequence[Judged]) -> str:
    return ", ".join(dict.fromkeys(one.judge or "?" for one in judged))
