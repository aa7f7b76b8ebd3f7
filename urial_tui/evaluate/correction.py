"""Bias correction of a judge's scores, by its errors on a small labelled set.

A label is a judge's score of an answer beside the right one. Labelled answers are to be chosen at
random: an error that is measured on the easy ones corrects the easy ones. Every interval is 95 %
and holds the uncertainty of both samples, the judged answers and the labels, by Student's t.

Verdicts (safe or not, won or not) are corrected by the judge's sensitivity and specificity, scores
on a scale and win rates with ties by its mean error. A correction belongs to the run whose answers
were labelled. Taking it over for another run is right only where the judge errs there as much;
where it does not, the better run may come out as the worse one (Fiedler, "Bias and uncertainty in
LLM-as-a-judge estimation", arXiv 2605.06939). `error_difference` and `quality_difference` tell
whether two runs may share one.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from urial_tui.evaluate import student
from urial_tui.evaluate.means import Share, share_of
from urial_tui.shares import Z95, Interval

FEWEST_LABELS: Final = 2
"""So many labels have a spread."""

Label = tuple[float, float]
"""(the judge's score, the right one)."""
JudgedVerdict = tuple[bool, bool]
"""(what the judge says, what is right)."""

_Values = NDArray[np.float64]


class Corrected(msgspec.Struct, frozen=True, kw_only=True):
    """A mean or a share as the judge has it, and corrected; None where it can't be told.

    `count`: judged answers, those with a label included where they are part of the run. `note`:
    why it can't be told, or what to bear in mind; "" for nothing.
    """

    raw: float | None
    corrected: float | None
    interval: Interval | None
    count: int
    labels: int
    note: str


class Quality(msgspec.Struct, frozen=True, kw_only=True):
    """How good the judge's verdicts are.

    `sensitivity`: share of what is right that it calls so; `specificity`: of what is not.
    `youden`: their sum minus 1; 1 is a judge without errors, 0 one that tosses a coin.
    """

    sensitivity: Share
    specificity: Share
    youden: float | None
    youden_interval: Interval | None


class ErrorDifference(msgspec.Struct, frozen=True, kw_only=True):
    """How much more a judge errs on the first run than on the second; None without labels.

    For scores, of the mean error; for verdicts, of Youden's index. `differs`: 0 is not in the
    interval. `may_reverse`: one correction for both runs might name the wrong one as the better;
    None where that was not asked.
    """

    first: float | None
    second: float | None
    difference: float | None
    interval: Interval | None
    differs: bool
    may_reverse: bool | None


def corrected_mean(
    judged: Sequence[float | None],
    labels: Sequence[Label],
    *,
    of_run: bool = True,
    bounds: Interval | None = None,
) -> Corrected:
    """The mean of scores on a scale, or of preferences, less the judge's mean error.

    The estimate is w · mean(judged) + mean(right - w · judge's) over the labels, which is free of
    the judge's bias for every weight w: prediction-powered inference (Angelopoulos and others,
    arXiv 2301.09633 for w = 1, 2311.01453 for others). Where the N judged and n labelled answers
    are one run, w = N / (N + n): the judge's mean of all of them, less its mean error.

    Args:
        judged: The judge's scores of the answers without a label; None is unscored.
        labels: Of other answers.
        of_run: Whether the labelled answers are part of the run; else w = 1.
        bounds: The ends of the scale; what is corrected stays within them.

    Raises:
        ValueError: A score is not finite.
    """
    scores = _values([score for score in judged if score is not None])
    given, right = _columns(labels)
    weight = len(scores) / (len(scores) + len(given)) if of_run and len(given) else 1.0
    counted = np.concatenate((scores, given)) if of_run else scores
    raw = float(counted.mean()) if len(counted) else None
    missing = "" if len(given) >= FEWEST_LABELS else "fewer than two answers are labelled"
    if not missing and not len(scores) and not of_run:
        missing = "no answer of the run was scored"
    if not missing and len(scores) == 1:
        missing = "of one scored answer nothing follows for others"
    if missing:
        return _untold(raw, len(counted), len(given), missing)
    errors = right - weight * given
    terms = [(weight, scores), (1.0, errors)] if len(scores) else [(1.0, errors)]
    value, interval = _sum_of_means(terms)
    note = ""
    if float(np.ptp(given - right)) == 0.0:
        note = "the judge errs by the same on all labels, so the interval knows no error of it"
    return Corrected(
        raw=raw,
        corrected=_within(value, bounds),
        interval=(_within(interval[0], bounds), _within(interval[1], bounds)),
        count=len(counted),
        labels=len(given),
        note=note,
    )


def corrected_difference(
    judged: Sequence[tuple[float, float]],
    first_labels: Sequence[Label],
    second_labels: Sequence[Label],
) -> Corrected:
    """The difference of two runs, first minus second, each corrected by its own labels.

    Args:
        judged: The judge's scores of both runs' answers to an item, where neither has a label.
        first_labels: Of the first run's answers.
        second_labels: Of the second run's answers.

    Raises:
        ValueError: A score is not finite.
    """
    one, other = _columns(judged)
    (given, right), (given2, right2) = _columns(first_labels), _columns(second_labels)
    labels = len(given) + len(given2)
    differences = one - other
    raw = float(differences.mean()) if len(differences) else None
    if min(len(given), len(given2)) < FEWEST_LABELS:
        return _untold(raw, len(one), labels, "fewer than two answers of a run are labelled")
    if len(differences) < 2:
        return _untold(raw, len(one), labels, "fewer than two items were scored in both runs")
    value, interval = _sum_of_means(
        [(1.0, differences), (-1.0, given - right), (1.0, given2 - right2)]
    )
    return Corrected(
        raw=raw, corrected=value, interval=interval, count=len(one), labels=labels, note=""
    )


def error_difference(
    first: Sequence[Label], second: Sequence[Label], *, raw_difference: float | None = None
) -> ErrorDifference:
    """How the judge's mean error differs between two runs, as if their labels were independent.

    Args:
        first: Labels of the first run's answers.
        second: Of the second run's.
        raw_difference: The judge's mean of the first run minus that of the second. One correction
            for both leaves it as it is; if the difference of the errors may be larger, the sign
            may be wrong.

    Raises:
        ValueError: A score is not finite.
    """
    errors = [given - right for given, right in (_columns(first), _columns(second))]
    one, other = (float(each.mean()) if len(each) else None for each in errors)
    if min(len(each) for each in errors) < FEWEST_LABELS or one is None or other is None:
        return _unknown_difference(one, other)
    value, interval = _sum_of_means([(1.0, errors[0]), (-1.0, errors[1])])
    return ErrorDifference(
        first=one,
        second=other,
        difference=value,
        interval=interval,
        differs=not interval[0] <= 0 <= interval[1],
        may_reverse=_may_reverse(raw_difference, interval),
    )


def quality_of(labels: Sequence[JudgedVerdict]) -> Quality:
    """Sensitivity and specificity with Wilson's intervals, and Youden's index with its own.

    The index's interval is of the normal distribution, with one hit and one miss added to both.
    """
    found = [verdict for verdict, right in labels if right]
    others = [not verdict for verdict, right in labels if not right]
    sensitivity, specificity = share_of(found), share_of(others)
    if sensitivity.share is None or specificity.share is None:
        return Quality(
            sensitivity=sensitivity, specificity=specificity, youden=None, youden_interval=None
        )
    middle, error = _smoothed_youden(sensitivity, specificity)
    return Quality(
        sensitivity=sensitivity,
        specificity=specificity,
        youden=sensitivity.share + specificity.share - 1,
        youden_interval=(max(-1.0, middle - Z95 * error), min(1.0, middle + Z95 * error)),
    )


def quality_difference(
    first: Sequence[JudgedVerdict], second: Sequence[JudgedVerdict]
) -> ErrorDifference:
    """How Youden's index of the judge differs between two runs (ΔJ of arXiv 2605.06939)."""
    one, other = quality_of(first), quality_of(second)
    if one.youden is None or other.youden is None:
        return _unknown_difference(one.youden, other.youden)
    (middle, error), (middle2, error2) = (
        _smoothed_youden(quality.sensitivity, quality.specificity) for quality in (one, other)
    )
    half = Z95 * math.hypot(error, error2)
    interval = (middle - middle2 - half, middle - middle2 + half)
    return ErrorDifference(
        first=one.youden,
        second=other.youden,
        difference=one.youden - other.youden,
        interval=interval,
        differs=not interval[0] <= 0 <= interval[1],
        may_reverse=None,
    )


def corrected_share(judged: Sequence[bool | None], labels: Sequence[JudgedVerdict]) -> Corrected:
    """The share of right answers, from the judge's verdicts and how often those are right.

    With the share p that the judge calls right, its specificity q0 and sensitivity q1, it is
    (p + q0 - 1) / (q0 + q1 - 1) (Rogan and Gladen, American Journal of Epidemiology 107, 1978), and
    its interval is that of Lang and Reiczigel (Preventive Veterinary Medicine 113, 2014), as "How
    to correctly report LLM-as-a-judge evaluations" (arXiv 2511.21140) has them for judges.

    Args:
        judged: Verdicts on the answers without a label; None is unscored.
        labels: Of other answers, of this run or of one that the judge errs on as much. They are no
            part of the share, neither raw nor corrected.
    """
    known = share_of(judged)
    quality = quality_of(labels)
    sensitivity, specificity = quality.sensitivity, quality.specificity
    if known.share is None:
        return _untold(None, 0, len(labels), "no answer of the run was scored")
    if sensitivity.share is None or specificity.share is None or quality.youden is None:
        return _untold(known.share, known.count, len(labels), "no label is right, or none is wrong")
    if quality.youden <= 0:
        return _untold(
            known.share,
            known.count,
            len(labels),
            "on the labels the judge is no better than chance",
        )
    n, p = known.count + Z95**2, (known.hits + Z95**2 / 2) / (known.count + Z95**2)
    m0, q0 = specificity.count + 2, (specificity.hits + 1) / (specificity.count + 2)
    m1, q1 = sensitivity.count + 2, (sensitivity.hits + 1) / (sensitivity.count + 2)
    # Of very few labels, an index above 0 may be none once a hit and a miss are added to both.
    better = q0 + q1 - 1
    if better <= 0:
        return _untold(
            known.share, known.count, len(labels), "there are too few labels to tell its errors"
        )
    share = (p + q0 - 1) / better
    error0, error1 = q0 * (1 - q0) / m0, q1 * (1 - q1) / m1
    shift = 2 * Z95**2 * (share * error1 - (1 - share) * error0)
    half = Z95 / better * math.sqrt(p * (1 - p) / n + (1 - share) ** 2 * error0 + share**2 * error1)
    low = quality.youden_interval[0] if quality.youden_interval else 0.0
    return Corrected(
        raw=known.share,
        corrected=_within((known.share + specificity.share - 1) / quality.youden, (0, 1)),
        interval=(_within(share + shift - half, (0, 1)), _within(share + shift + half, (0, 1))),
        count=known.count,
        labels=len(labels),
        note="" if low > 0 else "the labels do not show that the judge is better than chance",
    )


# -- the parts -------------------------------------------------------------------------


def _sum_of_means(terms: Sequence[tuple[float, _Values]]) -> tuple[float, Interval]:
    """Σ weight · mean of independent samples of two values or more, with Welch's interval.

    The degrees of freedom are Satterthwaite's.
    """
    value = sum(weight * float(values.mean()) for weight, values in terms)
    parts = [weight**2 * float(values.var(ddof=1)) / len(values) for weight, values in terms]
    variance = sum(parts)
    if variance == 0.0:
        return value, (value, value)
    freedom = variance**2 / sum(
        part**2 / (len(values) - 1) for part, (_, values) in zip(parts, terms, strict=True)
    )
    half = student.quantile(0.975, freedom) * math.sqrt(variance)
    return value, (value - half, value + half)


def _smoothed_youden(sensitivity: Share, specificity: Share) -> tuple[float, float]:
    """(Youden's index, its standard error) with one hit and one miss added to both shares."""
    total, variance = -1.0, 0.0
    for share in (sensitivity, specificity):
        q = (share.hits + 1) / (share.count + 2)
        total += q
        variance += q * (1 - q) / (share.count + 2)
    return total, math.sqrt(variance)


def _may_reverse(raw: float | None, errors: Interval) -> bool | None:
    """Whether raw minus a difference of errors in that interval may have the other sign."""
    if raw is None:
        return None
    return errors[1] > raw if raw > 0 else errors[0] < raw if raw < 0 else True


def _columns(pairs: Sequence[tuple[float, float]]) -> tuple[_Values, _Values]:
    table = _values([value for pair in pairs for value in pair]).reshape(-1, 2)
    return table[:, 0], table[:, 1]


def _values(values: Sequence[float]) -> _Values:
    array = np.array(values, np.float64)
    if not np.isfinite(array).all():
        raise ValueError("a score is finite")
    return array


def _within(value: float, bounds: Interval | None) -> float:
    return value if bounds is None else min(max(value, bounds[0]), bounds[1])


def _untold(raw: float | None, count: int, labels: int, note: str) -> Corrected:
    return Corrected(raw=raw, corrected=None, interval=None, count=count, labels=labels, note=note)


def _unknown_difference(first: float | None, second: float | None) -> ErrorDifference:
    return ErrorDifference(
        first=first, second=second, difference=None, interval=None, differs=False, may_reverse=None
    )
