"""Steps that are read in another thread while an event loop goes on."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator
from typing import Any, TypeVar

StepT = TypeVar("StepT")
T = TypeVar("T")


class _Ended(Exception):  # no error
    """A generator has returned a value."""

    def __init__(self, value: Any) -> None:
        self.value = value


async def in_thread(
    steps: Generator[StepT, None, T],
    take: Callable[[StepT], object],
    cancel: Callable[[], object],
) -> T:
    """Read steps in a thread: what comes of them at last.

    Args:
        steps: Read to their end, or closed.
        take: Gets each step, in the event loop.
        cancel: Has the step that is waited for end, where the task is cancelled; any thread.
    """

    def advance() -> StepT:
        try:
            return next(steps)
        except StopIteration as end:
            # A future can't hold this one.
            raise _Ended(end.value) from None

    loop = asyncio.get_running_loop()
    try:
        while True:
            coming = loop.run_in_executor(None, advance)
            try:
                step = await asyncio.shield(coming)
            except asyncio.CancelledError:
                cancel()
                await asyncio.wait([coming])
                # Whatever it ended with, nobody asks any more.
                coming.exception()
                raise
            take(step)
    except _Ended as ended:
        value: T = ended.value
        return value
    finally:
        steps.close()
