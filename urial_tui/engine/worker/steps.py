"""Cooperative multitasking: generators that work a batch at a time, so that others get their turn.

A generator does it: it yields in front of each evaluation, and returns what came out. The
scheduler takes the steps of several in turn.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import TypeVar

from urial_tui.engine.wire.events import Event

T = TypeVar("T")

Steps = Generator[None, None, T]
"""Yields in front of each evaluation of a batch; returns a result."""


Emit = Callable[[Event], None]
"""Takes the events that tell how the work goes."""


def complete(steps: Steps[T]) -> T:
    """Run a generator of steps to its end: its result."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            result: T = end.value
            return result
