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
        cancel: Has the step that is waited for end, where the task is cancelled, each time that it
            is; any thread.
    """

    def advance() -> StepT:
        try:
            return next(steps)
        except StopIteration as end:
            # A future can't hold this one.
            raise _Ended(end.value) from None

    try:
        while True:
            take(await _whole(advance, cancel))
    except _Ended as ended:
        value: T = ended.value
        return value
    finally:
        # It may have to wait for something, too.
        await _whole(steps.close, cancel)


async def _whole(do: Callable[[], T], cancel: Callable[[], object]) -> T:
    """What comes of a function in a thread, which nobody leaves alone before its end."""
    doing = asyncio.get_running_loop().run_in_executor(None, do)
    try:
        return await asyncio.shield(doing)
    except asyncio.CancelledError:
        cancel()
        while not doing.done():
            try:
                await asyncio.wait([doing])
            except asyncio.CancelledError:
                cancel()
        # Whatever it ended with, nobody asks any more.
        doing.exception()
        raise
