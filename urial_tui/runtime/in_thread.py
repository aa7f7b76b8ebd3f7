"""Runs generators in a thread for an asyncio event loop, which goes on meanwhile."""

from __future__ import annotations

import asyncio
import contextlib
import functools
from collections.abc import Callable, Generator
from typing import Any, ParamSpec, TypeVar

StepT = TypeVar("StepT")
T = TypeVar("T")
P = ParamSpec("P")


class _Ended(Exception):  # no error
    """A generator has returned a value."""

    def __init__(self, value: Any) -> None:
        self.value = value


class _Stopped(Exception):  # no error
    """A step was not begun, for its task had been cancelled."""


async def in_thread(
    steps: Generator[StepT, None, T],
    take: Callable[[StepT], object],
    cancel: Callable[[], object],
    discard: Callable[[T], object] = lambda result: None,
) -> T:
    """Read a generator in a thread, with a callback in the event loop: what comes of it at last.

    Args:
        steps: Read to their end, or closed.
        take: Gets each step, in the event loop.
        cancel: Has the step that is waited for end, where the task is cancelled, each time that it
            is; any thread.
        discard: Gets what came of it all the same though the task was cancelled, for nobody else
            does.
    """

    ended: list[T] = []
    cancelled = False

    def stop() -> None:
        nonlocal cancelled
        cancelled = True
        cancel()

    def advance() -> StepT:
        if cancelled:
            # A thread that began late: what it would begin now, nobody could cancel any more.
            raise _Stopped
        try:
            return next(steps)
        except StopIteration as end:
            ended.append(end.value)
            # A future can't hold the other one.
            raise _Ended(end.value) from None

    try:
        while True:
            take(await _whole(advance, stop))
    except _Ended as end:
        value: T = end.value
        return value
    except asyncio.CancelledError:
        for result in ended:
            discard(result)
        raise
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


def in_loop(take: Callable[P, object]) -> Callable[P, None]:
    """Wrap a callback for other threads: it is called in the event loop that runs now.

    A loop that is closed has nobody to tell.
    """
    loop = asyncio.get_running_loop()

    def tell(*given: P.args, **named: P.kwargs) -> None:
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(functools.partial(take, *given, **named))

    return tell
