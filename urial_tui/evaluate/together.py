"""A merge of the events of concurrent calls, as they come."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator, Sequence
from typing import TypeVar

from urial_tui.engine.client.call import Call
from urial_tui.engine.wire.events import Event
from urial_tui.errors import EngineDied, EngineError

T = TypeVar("T")


def read_together(
    calls: Sequence[Call[T]], at_once: int
) -> Iterator[tuple[int, Event | EngineError]]:
    """The events of all calls, each with the number of its call, from 0.

    A call that fails has its error as its last event. Closing the iterator closes the calls.

    Args:
        calls: Carried out in their order.
        at_once: How many of them may be in progress at a time; those behind them are silent.

    Raises:
        EngineDied: The worker ended, once all that came before is read.
    """
    events: queue.SimpleQueue[tuple[int, Event | EngineError] | None] = queue.SimpleQueue()
    waiting = iter(enumerate(calls))
    turn = threading.Lock()

    def read() -> None:
        try:
            while True:
                with turn:
                    number, call = next(waiting, (0, None))
                if call is None:
                    return
                try:
                    for event in call:
                        events.put((number, event))
                except EngineError as error:
                    events.put((number, error))
        finally:
            events.put(None)

    readers = [threading.Thread(target=read, daemon=True) for _ in range(min(at_once, len(calls)))]
    death: EngineDied | None = None
    try:
        for reader in readers:
            reader.start()
        left = len(readers)
        while left:
            found = events.get()
            if found is None:
                left -= 1
            elif isinstance(found[1], EngineDied):
                death = found[1]
            else:
                yield found
    finally:
        for call in calls:
            call.close()
    if death is not None:
        raise death
