"""Corrected scores, against worked values, statsmodels, and simulations with a known truth.

What is compared with is imported where it is used: it is slow to, and each worker collects all.
"""

from __future__ import annotations

import math

import numpy as np
import pytest

from urial_tui.evaluate.correction import (
    corrected_difference,
    corrected_mean,
    corrected_share,
    error_difference,
    quality_difference,
    quality_of,
)
from urial_tui.shares import Z95, wilson

Label = tuple[float, float]
TRIALS = 250
FOUR_DEVIATIONS = 4 * math.sqrt(0.95 * 0.05 / TRIALS)

JUDGED = [4.0, 5.0, 3.0, 4.0, 5.0, 5.0, 2.0, 4.0]
LABELS = [(4.0, 3.0), (5.0, 5.0), (4.0, 2.0), (3.0, 3.0), (5.0, 4.0)]


def welch(one: list[float], other: list[float]) -> tuple[float, float]:
    from statsmodels.stats.weightstats import CompareMeans, DescrStatsW

    low, high = CompareMeans(DescrStatsW(one), DescrStatsW(other)).tconfint_diff(usevar="unequal")
    return float(low), float(high)


def verdicts(judge_right: int, right: int, judge_wrong: int, wrong: int) -> list[tuple[bool, bool]]:
    """Labels: of `right` answers the judge sees `judge_right`, of `wrong` ones `judge_wrong`."""
    return (
        [(True, True)] * judge_right
        + [(False, True)] * (right - judge_right)
        + [(False, False)] * judge_wrong
        + [(True, False)] * (wrong - judge_wrong)
    )


# -- scores on a scale -----------------------------------------------------------------


def test_labels_of_another_run_take_the_mean_error_away() -> None:
    found = corrected_mean([*JUDGED, None], LABELS, of_run=False)
    assert found.raw == 4.0
    assert found.corrected == pytest.approx(4.0 - 0.8)
    errors = [judge - right for judge, right in LABELS]
    assert found.interval == pytest.approx(welch(JUDGED, errors), abs=1e-9)
    assert (found.count, found.labels, found.note) == (8, 5, "")


def test_labels_of_the_run_are_judged_answers_too() -> None:
    found = corrected_mean(JUDGED, LABELS)
    everything = JUDGED + [judge for judge, _ in LABELS]
    assert found.raw == pytest.approx(np.mean(everything))
    assert found.corrected == pytest.approx(float(np.mean(everything)) - 0.8)
    assert found.count == 13
    weight = 8 / 13
    expected = welch(
        [weight * score for score in JUDGED], [weight * judge - right for judge, right in LABELS]
    )
    assert found.interval == pytest.approx(expected, abs=1e-9)


def test_where_all_answers_are_labelled_the_labels_are_all_there_is() -> None:
    from statsmodels.stats.weightstats import DescrStatsW

    found = corrected_mean([], LABELS)
    right = [right for _, right in LABELS]
    expected = DescrStatsW(right).tconfint_mean()
    assert found.corrected == pytest.approx(np.mean(right))
    assert found.interval == pytest.approx(tuple(map(float, expected)), abs=1e-9)


def test_what_is_corrected_stays_on_the_scale() -> None:
    found = corrected_mean([5.0] * 9 + [4.0], [(1.0, 5.0), (2.0, 5.0), (1.0, 4.0)], bounds=(1, 5))
    assert found.corrected == 5.0
    assert found.interval is not None
    assert found.interval[1] == 5.0


@pytest.mark.parametrize(
    ("judged", "labels", "of_run", "note"),
    [
        ([4.0, 5.0], [], True, "fewer than two answers are labelled"),
        ([4.0, 5.0], [(4.0, 3.0)], True, "fewer than two answers are labelled"),
        ([None], LABELS, False, "no answer of the run was scored"),
        ([4.0], LABELS, True, "of one scored answer nothing follows for others"),
    ],
)
def test_what_can_not_be_told_is_not(
    judged: list[float | None], labels: list[Label], of_run: bool, note: str
) -> None:
    found = corrected_mean(judged, labels, of_run=of_run)
    assert (found.corrected, found.interval, found.note) == (None, None, note)


def test_a_judge_without_a_spread_of_errors_is_noted() -> None:
    found = corrected_mean(JUDGED, [(4.0, 3.0), (5.0, 4.0), (3.0, 2.0)])
    assert found.corrected is not None
    assert "same on all labels" in found.note


@pytest.mark.parametrize("of_run", [True, False])
def test_the_truth_is_recovered_where_the_raw_mean_does_not(of_run: bool) -> None:
    """A judge that is a point too kind to bad answers; 25 labels beside 200 answers."""
    random = np.random.default_rng(8)
    chances = np.array([0.3, 0.2, 0.2, 0.2, 0.1])
    truth = float(np.arange(1, 6) @ chances)
    raw_covers = covers = 0
    total = 0.0
    for _ in range(TRIALS):
        right = random.choice(np.arange(1.0, 6.0), p=chances, size=225)
        judge = np.clip(right + (right <= 3) + random.integers(-1, 2, 225), 1, 5)
        labels = list(zip(judge[:25].tolist(), right[:25].tolist(), strict=True))
        found = corrected_mean(judge[25:].tolist(), labels, of_run=of_run, bounds=(1, 5))
        assert found.interval is not None
        assert found.corrected is not None
        covers += found.interval[0] <= truth <= found.interval[1]
        total += found.corrected / TRIALS
        half = Z95 * judge.std(ddof=1) / 15
        raw_covers += abs(judge.mean() - truth) <= half
    assert total == pytest.approx(truth, abs=0.06)
    assert raw_covers == 0
    assert abs(covers / TRIALS - 0.95) <= FOUR_DEVIATIONS


def test_a_win_rate_with_ties_is_a_mean() -> None:
    found = corrected_mean([1, 0.5, 1, 0, 1], [(1, 1), (1, 0.5), (0.5, 0)], bounds=(0, 1))
    assert found.raw == pytest.approx(6 / 8)
    assert found.corrected == pytest.approx(6 / 8 - 1 / 3)


# -- two runs --------------------------------------------------------------------------


def test_a_difference_takes_each_run_by_its_own_labels() -> None:
    pairs = list(zip(JUDGED, reversed(JUDGED), strict=True))
    second = [(4.0, 4.0), (3.0, 4.0), (2.0, 2.0)]
    found = corrected_difference(pairs, LABELS, second)
    assert found.raw == 0.0
    assert found.corrected == pytest.approx(-0.8 - 1 / 3)
    assert found.interval is not None
    assert found.interval[0] < -1.1 < found.interval[1]
    assert found.labels == 8


def test_the_better_run_is_found_though_the_judge_prefers_the_other() -> None:
    random = np.random.default_rng(4)
    covers = better = 0
    for _ in range(TRIALS):
        right = random.normal(3.5, 0.8, (200, 2)) - [0.0, 0.5]
        judge = right + np.array([-0.5, 0.5]) + random.normal(0, 0.4, (200, 2))
        pairs = [(float(a), float(b)) for a, b in judge[60:]]
        labels = [
            [(float(j), float(r)) for j, r in zip(judge[s, k], right[s, k], strict=True)]
            for k, s in ((0, slice(30)), (1, slice(30, 60)))
        ]
        found = corrected_difference(pairs, labels[0], labels[1])
        assert found.interval is not None
        assert found.raw is not None
        assert found.corrected is not None
        assert found.raw < 0
        better += found.corrected > 0
        covers += found.interval[0] <= 0.5 <= found.interval[1]
        told = error_difference(labels[0], labels[1], raw_difference=found.raw)
        assert told.differs
        assert told.may_reverse
    # The estimate lies 3.3 of its standard deviations above 0.
    assert better >= 0.99 * TRIALS
    assert abs(covers / TRIALS - 0.95) <= FOUR_DEVIATIONS


@pytest.mark.parametrize(
    ("pairs", "first", "note"),
    [
        ([(1.0, 2.0)] * 3, LABELS[:1], "fewer than two answers of a run are labelled"),
        ([(1.0, 2.0)], LABELS, "fewer than two items were scored in both runs"),
    ],
)
def test_a_difference_that_can_not_be_told(
    pairs: list[Label], first: list[Label], note: str
) -> None:
    found = corrected_difference(pairs, first, LABELS)
    assert (found.corrected, found.interval, found.note) == (None, None, note)


def test_the_difference_of_errors_has_the_interval_of_welch() -> None:
    second = [(4.0, 4.0), (3.0, 4.0), (2.0, 2.0)]
    found = error_difference(LABELS, second, raw_difference=0.1)
    assert found.first == pytest.approx(0.8)
    assert found.second == pytest.approx(-1 / 3)
    expected = welch([1, 0, 2, 0, 1], [0, -1, 0])
    assert found.interval == pytest.approx(expected, abs=1e-9)
    assert found.may_reverse


@pytest.mark.parametrize(
    ("raw", "expected"), [(None, None), (5.0, False), (0.2, True), (-5.0, False), (0.0, True)]
)
def test_errors_reverse_only_what_is_smaller_than_their_difference(
    raw: float | None, expected: bool | None
) -> None:
    found = error_difference(LABELS, LABELS, raw_difference=raw)
    assert found.may_reverse is expected
    assert not found.differs


def test_without_labels_nothing_is_said_of_errors() -> None:
    found = error_difference(LABELS, [])
    assert (found.second, found.difference, found.interval) == (None, None, None)
    assert not found.differs


# -- verdicts --------------------------------------------------------------------------


def test_quality_is_counted_among_right_and_wrong_answers() -> None:
    found = quality_of(verdicts(9, 10, 16, 20))
    assert (found.sensitivity.share, found.specificity.share) == (0.9, 0.8)
    assert found.sensitivity.interval == wilson(9, 10)
    assert found.youden == pytest.approx(0.7)
    middle = 10 / 12 + 17 / 22 - 1
    half = Z95 * math.sqrt(10 / 12 * 2 / 12 / 12 + 17 / 22 * 5 / 22 / 22)
    assert found.youden_interval == pytest.approx((middle - half, middle + half), abs=1e-12)
    assert quality_of(verdicts(3, 4, 0, 0)).youden is None


def test_a_share_is_corrected_by_sensitivity_and_specificity() -> None:
    judged = [True] * 70 + [False] * 30 + [None]
    found = corrected_share(judged, verdicts(18, 20, 24, 30))
    assert found.raw == 0.7
    assert found.corrected == pytest.approx((0.7 + 0.8 - 1) / 0.7)
    # The formula of the interval, step by step.
    n, p = 100 + Z95**2, (70 + Z95**2 / 2) / (100 + Z95**2)
    q0, q1 = 25 / 32, 19 / 22
    theta = (p + q0 - 1) / (q0 + q1 - 1)
    v0, v1 = q0 * (1 - q0) / 32, q1 * (1 - q1) / 22
    middle = theta + 2 * Z95**2 * (theta * v1 - (1 - theta) * v0)
    root = math.sqrt(p * (1 - p) / n + (1 - theta) ** 2 * v0 + theta**2 * v1)
    half = Z95 * root / (q0 + q1 - 1)
    assert found.interval == pytest.approx((middle - half, middle + half), abs=1e-12)
    assert (found.count, found.labels, found.note) == (100, 50, "")


@pytest.mark.parametrize("truth", [0.3, 0.85])
def test_the_share_is_recovered_where_the_raw_one_is_not(truth: float) -> None:
    random = np.random.default_rng(6)
    raw_covers = covers = 0
    total = 0.0
    for _ in range(TRIALS):
        right = random.random(300) < truth
        judge = np.where(right, random.random(300) < 0.85, random.random(300) < 0.3)
        known = [random.random(40) < chance for chance in (0.85, 0.3)]
        labels = [(bool(v), True) for v in known[0]] + [(bool(v), False) for v in known[1]]
        found = corrected_share(judge.tolist(), labels)
        assert found.interval is not None
        assert found.corrected is not None
        covers += found.interval[0] <= truth <= found.interval[1]
        total += found.corrected / TRIALS
        low, high = wilson(int(judge.sum()), 300)
        raw_covers += low <= truth <= high
    assert total == pytest.approx(truth, abs=0.02)
    assert raw_covers / TRIALS < 0.6
    assert abs(covers / TRIALS - 0.95) <= FOUR_DEVIATIONS


@pytest.mark.parametrize(
    ("judged", "labels", "note"),
    [
        ([None], verdicts(9, 10, 9, 10), "no answer of the run was scored"),
        ([True, False], verdicts(9, 10, 0, 0), "no label is right, or none is wrong"),
        ([True, False], verdicts(5, 10, 5, 10), "on the labels the judge is no better than chance"),
    ],
)
def test_a_share_that_can_not_be_told_is_not(
    judged: list[bool | None], labels: list[tuple[bool, bool]], note: str
) -> None:
    found = corrected_share(judged, labels)
    assert (found.corrected, found.interval, found.note) == (None, None, note)


def test_a_judge_that_may_toss_coins_is_noted() -> None:
    found = corrected_share([True] * 5 + [False] * 5, verdicts(3, 5, 3, 5))
    assert found.note == "the labels do not show that the judge is better than chance"
    assert found.interval == (0.0, 1.0)


def test_youdens_index_of_two_runs() -> None:
    found = quality_difference(verdicts(95, 100, 95, 100), verdicts(60, 100, 60, 100))
    assert found.difference == pytest.approx(0.9 - 0.2)
    assert found.differs
    same = quality_difference(verdicts(9, 10, 9, 10), verdicts(8, 10, 9, 10))
    assert not same.differs
    assert quality_difference([], verdicts(8, 10, 9, 10)).difference is None


def test_scores_that_are_no_numbers_are_refused() -> None:
    with pytest.raises(ValueError, match="finite"):
        corrected_mean([math.nan, 2.0], LABELS)
    with pytest.raises(ValueError, match="finite"):
        error_difference([(math.inf, 2.0)], LABELS)
