"""Steps that a thread reads for a task: in their order, to the end, and however it is cancelled."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor

import pytest

from urial_tui.errors import ModelError
from urial_tui.runtime.in_thread import in_thread

PATIENCE = 60.0


class Waiting:
    """Steps that wait in the middle for what cancels them, the `needed`-th time that it does."""

    def __init__(self, needed: int = 1) -> None:
        self.waits = threading.Event()
        self.closed_in = ""
        self._needed = needed
        self._enough = threading.Event()

    def cancel(self) -> None:
        self._needed -= 1
        if not self._needed:
            self._enough.set()

    def steps(self) -> Generator[int, None, str]:
        try:
            yield 1
            self.waits.set()
            assert self._enough.wait(PATIENCE)
            yield 2
            return "the end"
        finally:
            self.closed_in = threading.current_thread().name


async def reached(event: threading.Event) -> None:
    assert await asyncio.to_thread(event.wait, PATIENCE)


async def test_steps_are_taken_in_the_loop_and_what_comes_of_them_is_returned() -> None:
    waiting, taken = Waiting(), list[tuple[int, str]]()
    waiting.cancel()
    ended = await in_thread(
        waiting.steps(),
        lambda step: taken.append((step, threading.current_thread().name)),
        waiting.cancel,
    )
    here = threading.current_thread().name
    assert (taken, ended) == ([(1, here), (2, here)], "the end")


@pytest.mark.parametrize("times", [1, 3])
async def test_a_step_is_waited_for_however_often_it_is_cancelled(times: int) -> None:
    waiting, taken = Waiting(times), list[int]()
    task = asyncio.ensure_future(in_thread(waiting.steps(), taken.append, waiting.cancel))
    await reached(waiting.waits)
    for _ in range(times):
        task.cancel()
        await asyncio.sleep(0.01)
    with pytest.raises(asyncio.CancelledError):
        await task
    assert taken == [1]
    assert waiting.closed_in not in ("", threading.current_thread().name)


async def test_what_can_not_be_taken_closes_the_steps() -> None:
    waiting = Waiting()

    def take(step: int) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await in_thread(waiting.steps(), take, waiting.cancel)
    assert waiting.closed_in


@pytest.mark.parametrize("taken_before", [0, 2])
async def test_what_the_steps_raise_is_raised(taken_before: int) -> None:
    def steps() -> Generator[int, None, None]:
        yield from range(taken_before)
        raise ModelError("There is no such model.")

    taken: list[int] = []
    with pytest.raises(ModelError, match="no such model"):
        await in_thread(steps(), taken.append, pytest.fail)
    assert taken == [*range(taken_before)]


async def test_a_step_is_taken_before_the_next_one_is_asked_for() -> None:
    order: list[str] = []

    def steps() -> Generator[int, None, None]:
        for number in range(3):
            order.append(f"made {number}")
            yield number
        order.append("ended")

    await in_thread(steps(), lambda number: order.append(f"taken {number}"), pytest.fail)
    assert order == [
        *(f"{did} {number}" for number in range(3) for did in ("made", "taken")),
        "ended",
    ]


async def test_a_step_that_does_not_obey_is_waited_for_and_closed_behind_it() -> None:
    """Two things at a time would be asked of what belongs to the steps."""
    order: list[str] = []
    begun, ends = threading.Event(), threading.Event()

    def steps() -> Generator[int, None, None]:
        try:
            begun.set()
            assert ends.wait(PATIENCE)
            order.append("ended")
            yield 1
            order.append("went on")
        finally:
            order.append("closed")

    taken: list[int] = []
    task = asyncio.ensure_future(
        in_thread(steps(), taken.append, lambda: order.append("cancelled"))
    )
    await reached(begun)
    for _ in range(2):
        task.cancel()
        await asyncio.wait([task], timeout=0.05)
        assert not task.done()
    ends.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert order == ["cancelled", "cancelled", "ended", "closed"]
    assert taken == []


async def test_what_a_cancelled_step_raises_is_not_told() -> None:
    begun, cancelled = threading.Event(), threading.Event()

    def steps() -> Generator[int, None, None]:
        begun.set()
        if not cancelled.wait(PATIENCE):
            yield 1
        raise ModelError("Stopped.")

    taken: list[int] = []
    task = asyncio.ensure_future(in_thread(steps(), taken.append, cancelled.set))
    await reached(begun)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert taken == []


async def test_a_step_whose_thread_comes_late_is_not_begun_any_more() -> None:
    begun: list[str] = []
    held, free = threading.Event(), threading.Event()

    def hold() -> None:
        held.set()
        assert free.wait(PATIENCE)

    def steps() -> Generator[int, None, None]:
        begun.append("begun")
        yield 1

    with ThreadPoolExecutor(1) as only:
        holding = only.submit(hold)
        while not held.is_set():
            await asyncio.sleep(0.001)
        asyncio.get_running_loop().set_default_executor(only)
        task = asyncio.ensure_future(in_thread(steps(), lambda number: None, lambda: None))
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task], timeout=0.05)
        free.set()
        with pytest.raises(asyncio.CancelledError):
            await task
        holding.result()
    assert begun == []


async def test_what_a_cancelled_task_would_have_returned_is_discarded() -> None:
    begun, cancelled = threading.Event(), threading.Event()

    def steps() -> Generator[int, None, str]:
        begun.set()
        if not cancelled.wait(PATIENCE):
            yield 1
        return "loaded"

    discarded: list[str] = []
    task = asyncio.ensure_future(
        in_thread(steps(), lambda number: None, cancelled.set, discard=discarded.append)
    )
    await reached(begun)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert discarded == ["loaded"]


async def test_a_step_that_waits_while_it_is_closed_keeps_no_loop_waiting() -> None:
    begun, goes_on = threading.Event(), threading.Event()

    def steps() -> Generator[int, None, None]:
        try:
            yield 1
        finally:
            begun.set()
            assert goes_on.wait(PATIENCE)

    def take(step: int) -> None:
        raise ZeroDivisionError

    task = asyncio.ensure_future(in_thread(steps(), take, lambda: None))
    await reached(begun)
    goes_on.set()
    with pytest.raises(ZeroDivisionError):
        await task
