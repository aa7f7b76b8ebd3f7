"""The number of threads gives way while the machine is busy."""

from __future__ import annotations

from urial_tui.engine.native.threads import ThreadGovernor, physical_cores


def _feed(governor: ThreadGovernor, seconds: float, now: float) -> int:
    for _ in range(governor.WINDOW):
        threads = governor.observe(seconds, now)
    return threads


def test_a_calm_machine_keeps_all_threads() -> None:
    governor = ThreadGovernor(2)
    assert [_feed(governor, 0.010, t) for t in range(20)] == [2] * 20


def test_a_collapse_lowers_the_threads_and_they_come_back_later() -> None:
    governor = ThreadGovernor(2)
    _feed(governor, 0.010, 0.0)
    assert _feed(governor, 0.040, 1.0) == 1
    assert _feed(governor, 0.020, 2.0) == 1
    assert _feed(governor, 0.020, 2.0 + governor.RETRY) == 2


def test_where_fewer_threads_do_not_help_all_are_used_again_and_it_is_left_at_that() -> None:
    governor = ThreadGovernor(4)
    _feed(governor, 0.010, 0.0)
    assert _feed(governor, 0.030, 1.0) == 2
    assert _feed(governor, 0.060, 2.0) == 4
    assert _feed(governor, 0.030, 3.0) == 4, "a longer context is slower, not busier"


def test_one_thread_stays_one() -> None:
    governor = ThreadGovernor(1)
    assert _feed(governor, 0.01, 0.0) == 1
    assert _feed(governor, 9.0, 1.0) == 1


def test_at_least_one_core_is_found() -> None:
    assert physical_cores() >= 1
