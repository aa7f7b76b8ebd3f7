"""Progress that is told of by a thread, which ends once nobody wants its work any more."""

from __future__ import annotations

import asyncio

import pytest

from urial_tui.tui.frame.stoppable import Ended, Stoppable


async def test_progress_is_told_until_the_work_is_stopped() -> None:
    told = list[int]()
    going = Stoppable(told.append)

    def work() -> None:
        going(1)
        going.stop()
        going(2)

    with pytest.raises(Ended):
        await asyncio.to_thread(work)
    assert going.stopped
    await asyncio.sleep(0)
    assert told == [1]


async def test_more_progress_than_can_be_read_is_not_told() -> None:
    told = list[int]()
    going = Stoppable(told.append, every=1e9)

    def work() -> None:
        for done in range(1000):
            going(done)

    await asyncio.to_thread(work)
    await asyncio.sleep(0)
    assert told == [0]
