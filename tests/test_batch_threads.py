"""How many threads evaluate batches on a busy machine."""

from __future__ import annotations

import pytest

from urial_tui.engine.worker.batch_threads import FIRST_RETRY, LAST_RETRY, BatchThreads


class Machine:
    """A clock, and the share of the asked processor time that a process gets."""

    def __init__(self) -> None:
        self.now = self.given = 0.0

    def evaluate(self, threads: BatchThreads, seconds: float, share: float, sides: int = 1) -> int:
        """A batch of so many seconds; the threads for the next one."""
        with threads.measured(sides):
            self.now += seconds
            self.given += seconds * threads.threads * sides * share
        return threads.threads


def made(full: int) -> tuple[Machine, BatchThreads]:
    machine = Machine()
    return machine, BatchThreads(full, lambda: machine.now, lambda: machine.given)


def test_a_calm_machine_keeps_all_threads() -> None:
    machine, threads = made(4)
    assert {machine.evaluate(threads, 0.4, 0.98) for _ in range(50)} == {4}


def test_a_machine_that_is_busy_from_the_start_is_noticed_with_the_first_batch() -> None:
    machine, threads = made(4)
    assert machine.evaluate(threads, 0.4, 0.5) == 2
    assert machine.evaluate(threads, 0.4, 0.5) == 1
    assert machine.evaluate(threads, 0.4, 0.5) == 1


def test_all_threads_are_tried_again_later() -> None:
    machine, threads = made(2)
    machine.evaluate(threads, 0.4, 0.5)
    assert machine.evaluate(threads, FIRST_RETRY / 2, 1.0) == 1
    assert machine.evaluate(threads, FIRST_RETRY, 1.0) == 2


def lowered_for(machine: Machine, threads: BatchThreads) -> float:
    """Disturb one batch of all threads: the seconds until all are tried again."""
    assert machine.evaluate(threads, 0.1, 0.5) == 1
    began = machine.now
    while machine.evaluate(threads, 0.1, 1.0) == 1:
        pass
    return machine.now - began


def test_a_machine_that_stays_busy_is_tried_less_and_less() -> None:
    machine, threads = made(2)
    pauses = [lowered_for(machine, threads) for _ in range(8)]
    wanted = [0.5, 1, 2, 4, 8, 10, 10, 10]
    assert pauses == pytest.approx(wanted, abs=0.11)


def test_a_disturbance_now_and_then_costs_little() -> None:
    machine, threads = made(2)
    for _ in range(5):
        lowered = lowered_for(machine, threads)
        assert lowered == pytest.approx(FIRST_RETRY, abs=0.11)
        assert machine.evaluate(threads, LAST_RETRY, 1.0) == 2
        assert machine.evaluate(threads, 0.1, 1.0) == 2


def test_short_batches_are_judged_together() -> None:
    machine, threads = made(2)
    assert machine.evaluate(threads, 0.0005, 0.1) == 2, "too short to tell"
    assert {machine.evaluate(threads, 0.0005, 0.1) for _ in range(5)} == {2, 1}


def test_sides_that_are_evaluated_together_share_the_time() -> None:
    machine, threads = made(2)
    assert machine.evaluate(threads, 0.4, 0.9, sides=2) == 2
    assert machine.evaluate(threads, 0.4, 0.5, sides=2) == 1


def test_one_thread_stays_one() -> None:
    machine, threads = made(1)
    assert machine.evaluate(threads, 5.0, 0.1) == 1
