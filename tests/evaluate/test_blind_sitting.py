"""What a key may do while a person judges blind: without a screen."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.evaluate.blind import FIRST, judge_all, opened, prefers, runs
from urial_tui.evaluate.blind_judging import BlindJudging
from urial_tui.evaluate.blind_sitting import REST, BlindSitting


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def judging(tmp_path: Path) -> BlindJudging:
    return opened(runs(5), tmp_path / "blind.json")


@pytest.fixture
def sitting(clock: Clock, judging: BlindJudging) -> BlindSitting:
    made = BlindSitting(clock)
    made.judging = judging
    made.begin_pair()
    return made


def test_nothing_can_be_said_before_the_files_are_read(clock: Clock) -> None:
    sitting = BlindSitting(clock)
    assert sitting.take_verdict() is None
    assert not sitting.may_undo
    assert not sitting.has_result
    assert sitting.end() is None
    assert sitting.place == ""


def test_a_verdict_counts_only_after_a_rest(
    sitting: BlindSitting, judging: BlindJudging, clock: Clock
) -> None:
    assert sitting.take_verdict() is judging
    sitting.end_writing()
    for _ in range(5):
        clock.now += REST / 2
        assert sitting.take_verdict() is None
    clock.now += REST
    assert sitting.take_verdict() is judging


def test_one_thing_is_written_at_a_time(
    sitting: BlindSitting, judging: BlindJudging, clock: Clock
) -> None:
    assert sitting.take_verdict() is judging
    clock.now += REST
    assert sitting.take_verdict() is None
    assert not sitting.may_undo
    assert sitting.take_undo() is None
    assert sitting.has_result


def test_what_was_judged_can_be_taken_back(sitting: BlindSitting, judging: BlindJudging) -> None:
    assert sitting.may_undo
    assert sitting.take_undo() is None
    judge_all(judging, prefers(FIRST), most=1)
    assert sitting.take_undo() is judging


def test_it_ends_once_and_nothing_is_judged_after_that(
    sitting: BlindSitting, judging: BlindJudging
) -> None:
    assert sitting.end() is judging
    assert sitting.end() is None
    assert sitting.take_verdict() is None
    assert not sitting.may_undo


def test_it_tells_which_pair_it_is_and_how_long_the_rest_takes(
    sitting: BlindSitting, judging: BlindJudging, clock: Clock
) -> None:
    for _ in range(3):
        assert sitting.seconds_left is None
        clock.now += 10
        assert sitting.take_verdict() is judging
        judging.judge("left")
        sitting.end_writing()
        sitting.begin_pair()
    assert sitting.place == "pair 4 of 5"
    assert sitting.seconds_left == 20
    sitting.phase = "result"
    assert sitting.place == ""
    assert sitting.seconds_left is None
