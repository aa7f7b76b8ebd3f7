"""A thread that drives an engine: one job at a time, in the order in which they were given.

What happens is posted as messages; no widget is touched from here. A job may be stopped,
and the thread closed, from any other thread while a job runs.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

from textual.message import Message

from urial_tui.tui.messages import EngineBug

JOIN_TIMEOUT = 2.0
"""Seconds that the running job gets to store what it has when the application ends."""


class Stoppable(Protocol):
    """What ending a job and a worker takes (`engine.client.engine.Engine` has it)."""

    def cancel(self) -> None:
        """Stop the running request; any thread."""
        ...

    def close(self) -> None:
        """End the worker; any thread."""
        ...


EngineT = TypeVar("EngineT", bound=Stoppable)


class JobThread(Generic[EngineT]):
    """Owns an engine and carries out jobs on it.

    Args:
        make_engine: Called once, in the thread.
        post: Delivers a message; must be callable from any thread.
        name: The thread's.
    """

    def __init__(
        self, make_engine: Callable[[], EngineT], post: Callable[[Message], object], name: str
    ) -> None:
        self._make_engine = make_engine
        self._post = post
        self._engine: EngineT | None = None
        self._jobs: queue.SimpleQueue[Callable[[EngineT], None] | None] = queue.SimpleQueue()
        self._closing = False
        self._thread = threading.Thread(target=self._work, name=name, daemon=True)

    def start(self) -> None:
        """Start the thread; jobs given before are done first."""
        self._thread.start()

    def stop(self) -> None:
        """End the newest job, be it running or still to come; what it has made stays."""
        raise NotImplementedError

    def close(self) -> None:
        """End the running job and the worker process; safe to call twice."""
        self._closing = True
        self.stop()
        self._jobs.put(None)
        if self._thread.is_alive():
            self._thread.join(JOIN_TIMEOUT)
        if self._engine is not None:
            self._engine.close()
        if self._thread.is_alive():
            self._thread.join(JOIN_TIMEOUT)

    def _give(self, job: Callable[[EngineT], None]) -> None:
        self._jobs.put(job)

    # -- in the thread --------------------------------------------------------------

    def _work(self) -> None:
        try:
            self._engine = self._make_engine()
            self._made(self._engine)
            while (job := self._jobs.get()) is not None and not self._closing:
                job(self._engine)
        except Exception as error:  # noqa: BLE001  # the edge of the thread: the screen raises it
            self._tell(EngineBug(error))

    def _made(self, engine: EngineT) -> None:
        """Called with the new engine, before the first job."""

    def _tell(self, message: Message) -> None:
        if not self._closing:
            self._post(message)
