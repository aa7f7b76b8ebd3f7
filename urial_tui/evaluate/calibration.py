"""The calibration of a judge: its judgements beside reference judgements of the same answers.

Answers are the same where item, generator and text are. What both have said of them shows how far
the judge agrees, and how it errs; with that, what it says of a whole run is corrected. The
reference is a better judge, or people: votes are judgements of pairs.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from itertools import combinations
from typing import NamedTuple

import msgspec

from urial_tui.evaluate.agreement import Agreement, agreement
from urial_tui.evaluate.correction import (
    Corrected,
    ErrorDifference,
    Label,
    corrected_mean,
    error_difference,
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
from urial_tui.wording import amount, fixed, percent

_PREFERRED_BOUNDS = (0.0, 1.0)

_FEWEST_RANKED = 5
"""So many are ranked alike by chance in one of 120 cases; with fewer, chance is no wonder."""


class RunErrors(msgspec.Struct, frozen=True, kw_only=True):
    """The difference of the judge's mean error between two runs."""

    first: str
    second: str
    errors: ErrorDifference


class AspectCalibration(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a judge in an aspect.

    `agreement`: with the reference; of pairs, whose values are 1, 0.5 and 0 for what the first
    answer has won, tied or lost. `same`: share on which both say the same, scores as whole ones.
    `runs`: the mean of each run's scores, or the win rate of its
    answers, as judged and corrected. `differences`: between every two runs.
    """

    agreement: Agreement
    same: Share
    runs: Mapping[str, Corrected]
    differences: tuple[RunErrors, ...]


class Calibration(msgspec.Struct, frozen=True, kw_only=True):
    """A judge beside a reference.

    `pairs`: whether both have judged pairs of answers. `matched`: answers, or pairs, that both
    have judged; `judged_alone`, `reference_alone`: that one of them has. `trust`: how far the judge
    can be trusted, in sentences.
    """

    judge: str
    reference: str
    pairs: bool
    matched: int
    judged_alone: int
    reference_alone: int
    aspects: Mapping[Aspect, AspectCalibration]
    trust: tuple[str, ...]


class _Said(NamedTuple):
    """What was said of an answer or a pair: whose run it is, and the value of each aspect."""

    run: str
    values: Mapping[Aspect, float | None]


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
    bounds = _PREFERRED_BOUNDS if pairs else (float(LOWEST), float(HIGHEST))
    aspects = {
        aspect: _aspect(aspect, ours, theirs, bounds)
        for aspect in ASPECTS
        if any(aspect in said.values for said in ours.values())
    }
    found = Calibration(
        judge=_names(judged),
        reference=_names(reference),
        pairs=pairs,
        matched=len(matched),
        judged_alone=len(ours) - len(matched),
        reference_alone=len(theirs) - len(matched),
        aspects=aspects,
        trust=(),
    )
    return msgspec.structs.replace(found, trust=tuple(_trust(found)))


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
        found[key] = _Said(one.generator, {**found.get(key, _Said("", {})).values, **values})
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
        run = f"{sides[0][0]} against {sides[1][0]}"
        found[key] = _Said(run, {**found.get(key, _Said("", {})).values, one.aspect: value})
    return found


def _aspect(
    aspect: Aspect,
    ours: Mapping[Hashable, _Said],
    theirs: Mapping[Hashable, _Said],
    bounds: tuple[float, float],
) -> AspectCalibration:
    judge: list[float | None] = []
    right: list[float | None] = []
    labels: dict[str, list[Label]] = {}
    rest: dict[str, list[float | None]] = {}
    for key, said in ours.items():
        if aspect not in said.values:
            continue
        given = said.values[aspect]
        labels.setdefault(said.run, [])
        rest.setdefault(said.run, [])
        other = theirs[key].values if key in theirs else {}
        known = other.get(aspect, other.get("overall"))
        if key in theirs:
            judge.append(given)
            right.append(known)
        if given is None or known is None:
            rest[said.run].append(given)
        else:
            labels[said.run].append((given, known))
    runs = {run: corrected_mean(rest[run], labels[run], bounds=bounds) for run in sorted(labels)}
    differences = tuple(
        RunErrors(
            first=one,
            second=other,
            errors=error_difference(
                labels[one], labels[other], raw_difference=_minus(runs[one].raw, runs[other].raw)
            ),
        )
        for one, other in combinations(sorted(labels), 2)
    )
    found = agreement(judge, right)
    equal = [
        None if one is None or other is None else one == other
        for one, other in zip(judge, right, strict=True)
    ]
    same = share_of(equal) if bounds == _PREFERRED_BOUNDS else found.same
    return AspectCalibration(agreement=found, same=same, runs=runs, differences=differences)


def _minus(one: float | None, other: float | None) -> float | None:
    return None if one is None or other is None else one - other


def _names(judged: Sequence[Judged]) -> str:
    return ", ".join(dict.fromkeys(one.judge or "?" for one in judged))


# -- in words ----------------------------------------------------------------------------


def _trust(found: Calibration) -> list[str]:
    """How far a judge can be trusted; only what the labels show is said."""
    what = amount(found.matched, "pair" if found.pairs else "answer")
    return [
        f"{found.judge} was set beside {found.reference} on {what}.",
        *_agreeing(found),
        *_ranking(found),
        *_erring(found),
    ]


def _agreeing(found: Calibration) -> list[str]:
    every = found.aspects.values()
    shares = [one.same if found.pairs else one.agreement.near for one in every]
    count = sum(share.count for share in shares)
    if not count:
        return ["Nothing that both have judged is scored on both sides."]
    share = percent(sum(share.hits for share in shares) / count, 0)
    if found.pairs:
        return [f"Both say the same in {share} of {amount(count, 'comparison')}, by aspect."]
    return [f"It is within 1 point of it on {share} of {amount(count, 'score')}."]


def _ranking(found: Calibration) -> list[str]:
    """In what the judge ranks as the reference does: where the interval is above 0."""
    better, chance, unknown = [], [], []
    for aspect, one in found.aspects.items():
        interval, rho = one.agreement.spearman_interval, one.agreement.spearman
        perfect = rho == 1 and one.agreement.count >= _FEWEST_RANKED
        if interval is None and not perfect:
            unknown.append(aspect)
        elif perfect or (interval is not None and interval[0] > 0):
            better.append(f"{aspect} ({fixed(rho, 2)})")
        else:
            chance.append(aspect)
    said = []
    if better:
        said.append(
            f"It ranks as the reference does, more or less, in {', '.join(better)}: Spearman's "
            "correlation."
        )
    if chance:
        said.append(
            f"In {', '.join(chance)} its ranking can't be told from chance: that it finds one "
            "better than another means nothing there."
        )
    if unknown:
        said.append(
            f"In {', '.join(unknown)} its ranking is unknown: too few are scored by both, or one "
            "of the two scores all alike."
        )
    return said


def _erring(found: Calibration) -> list[str]:
    """In what the judge errs to one side, and where it errs on runs by different amounts."""
    sides = []
    for aspect, one in found.aspects.items():
        bias = one.agreement.bias
        if bias.mean is None or bias.interval is None:
            continue
        if not bias.interval[0] <= 0 <= bias.interval[1]:
            side = "high" if bias.mean > 0 else "low"
            sides.append(f"{aspect} {fixed(abs(bias.mean), 2)} too {side}")
    said = [f"It scores {', '.join(sides)}: read the corrected means."] if sides else []
    said += [
        f"In {aspect} it errs by {fixed(pair.errors.first, 2)} on {pair.first} and by "
        f"{fixed(pair.errors.second, 2)} on {pair.second}: compare these two by the corrected "
        "mean of each, never by one correction for both."
        for aspect, one in found.aspects.items()
        for pair in one.differences
        if pair.errors.differs
    ]
    return said
