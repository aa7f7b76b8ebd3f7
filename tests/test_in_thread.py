"""Steps that a thread reads for a task: in their order, to the end, and however it is cancelled."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Generator

import pytest

from urial_tui.runtime.in_thread import in_thread

PATIENCE = 20.0


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
