"""A call: something that a worker was asked to do, its events as they come, and what comes of it.

A call is sent when it is made, and many may be open at a time. It is read by one thread or task: as
an iterator, an asynchronous iterator, or to its end by `result` and `await`. It ends with its final
event (of several answers to one question, the last one's); `Failed` is raised as `EngineError` in
its place, the end of the worker as `EngineDied`. Where nothing comes for long there is `Silence`
among the events.
"""

from __future__ import annotations

import asyncio
import contextlib
import queue
import threading
from collections.abc import AsyncIterator, Callable, Generator, Iterator
from typing import Generic, Protocol, TypeVar, cast

from urial_tui.engine.wire.commands import (
    Embed,
    FindDevices,
    Generate,
    LoadModel,
    PreparePreamble,
    ReadVocabulary,
    Request,
    ScoreBoth,
    ScoreSide,
    ScoreStored,
    Tokenize,
    Trace,
    Unload,
)
from urial_tui.engine.wire.events import (
    DevicesFound,
    Embedded,
    Event,
    Failed,
    Finished,
    Loaded,
    PreambleReady,
    Scored,
    Silence,
    Tokenized,
    Traced,
    Unloaded,
    VocabularyRead,
)
from urial_tui.engine.wire.patience import LOOK_EVERY, Patience, Teller
from urial_tui.errors import EngineError

FINAL_EVENT: dict[type, type] = {
    FindDevices: DevicesFound,
    LoadModel: Loaded,
    Unload: Unloaded,
    PreparePreamble: PreambleReady,
    Tokenize: Tokenized,
    Generate: Finished,
    ReadVocabulary: VocabularyRead,
    ScoreBoth: Scored,
    ScoreSide: Scored,
    ScoreStored: Scored,
    Trace: Traced,
    Embed: Embedded,
}
"""What a command is answered with at last, if it does not fail."""

T = TypeVar("T")

EventSteps = Generator[Event, None, T]
"""Events, and what comes of them at last."""


class CallLine(Protocol):
    """The protocol of a connection, as a call needs it (`connection.Connection` is one)."""

    patience: Patience

    def cancel(self, request: int) -> None:
        """Ask for the end of a request; any thread, and signal handlers."""
        ...

    def give_up(self) -> None:
        """End a worker that has not obeyed for too long; any thread."""
        ...


class _End:
    """Behind the final event."""


class Call(Generic[T]):
    """A request that is being carried out.

    Args:
        line: The way to the worker.
        command: What it was asked.
        conclude: Makes the result of the final event; called in the thread that reads the line.
        discard: Gets a result that came though the call was closed, for nobody else has it; called
            in any thread.
    """

    def __init__(
        self,
        line: CallLine,
        command: Request,
        conclude: Callable[[Event], T],
        discard: Callable[[T], object] | None = None,
    ) -> None:
        self.command = command
        self.over = False
        """Whether its end has come; there may be events left to read."""
        self.cancelled = False
        """Whether somebody asked for its end."""
        self._line = line
        self._conclude = conclude
        self._discard = discard
        self._final = FINAL_EVENT[type(command)]
        self._left = {*range(max(1, command.samples))} if isinstance(command, Generate) else {0}
        """Numbers of the answers that have not ended."""
        self._events: queue.SimpleQueue[Event | EngineError | _End] = queue.SimpleQueue()
        self._teller = Teller(line.patience)
        self._waiter: tuple[asyncio.AbstractEventLoop, asyncio.Future[None]] | None = None
        self._closed = False
        self._read = False
        """Whether the end has been read."""
        self._error: EngineError | None = None
        self._result: T | None = None
        self._lock = threading.Lock()
        """Held while it is decided who has the result of a call that is closed."""

    # -- for who asked -----------------------------------------------------------------

    def cancel(self) -> None:
        """Ask for its end, however often; any thread or signal handler.

        It ends with its own final event. A worker that does not obey is ended.
        """
        if not (self.cancelled or self.over):
            self.cancelled = True
            self._line.cancel(self.command.id)

    def close(self) -> None:
        """Cancel it, if it is not over, and hear no more of it; what came of it is discarded."""
        self.cancel()
        self._closed = True
        self._drop_result()

    def result(self) -> T:
        """What came of it; reads to the end.

        Raises:
            EngineError: The worker refused it.
            EngineDied: The worker has ended.
        """
        for _ in self:
            pass
        return self._concluded()

    def steps(self) -> EventSteps[T]:
        """Its events as a generator that returns the result; closing that closes the call."""
        try:
            yield from self
        except BaseException:
            self.close()
            raise
        return self._concluded()

    def __iter__(self) -> Iterator[Event]:
        return self

    def __next__(self) -> Event:
        while not self._read:
            try:
                event = self._taken(self._events.get(timeout=LOOK_EVERY))
            except queue.Empty:
                event = self._silence()
            if event is not None:
                return event
        raise StopIteration

    def __aiter__(self) -> AsyncIterator[Event]:
        return self

    async def __anext__(self) -> Event:
        # Where many have come at once, the loop has its turn between two of them.
        await asyncio.sleep(0)
        while not self._read:
            try:
                event = self._taken(self._events.get_nowait())
            except queue.Empty:
                event = None if await self._comes() else self._silence()
            if event is not None:
                return event
        raise StopAsyncIteration

    def __await__(self) -> Generator[None, None, T]:
        return self._last().__await__()

    async def _last(self) -> T:
        async for _ in self:
            pass
        return self._concluded()

    async def _comes(self) -> bool:
        """Wait a moment for something to come."""
        loop = asyncio.get_running_loop()
        waiting = loop.create_future()
        self._waiter = loop, waiting
        try:
            # What came before it was known that somebody waits has woken nobody.
            if self._events.empty():
                await asyncio.wait_for(waiting, LOOK_EVERY)
        except TimeoutError:
            return False
        finally:
            self._waiter = None
        return True

    def _taken(self, item: Event | EngineError | _End) -> Event | None:
        if isinstance(item, _End):
            self._read = True
            return None
        if isinstance(item, EngineError):
            self._read, self._error = True, item
            raise item
        return item

    def _concluded(self) -> T:
        if self._error is not None:
            raise self._error
        return cast(T, self._result)

    def _silence(self) -> Silence | None:
        patience = self._line.patience
        left = patience.ends_in
        if left is not None and left <= 0:
            self._line.give_up()
        if not self._teller.due():
            return None
        return Silence(id=self.command.id, seconds=patience.silent_for, ends_in=left)

    # -- for who reads the line ----------------------------------------------------------

    def take(self, event: Event) -> None:
        """An event that carries its id."""
        sample = getattr(event, "sample", 0)
        if self.over or sample not in self._left:
            return
        if isinstance(event, Failed):
            self.fail(EngineError(event.message, event.hint))
            return
        if isinstance(event, self._final):
            self._left.remove(sample)
        if not self._left:
            self._result = self._conclude(event)
            self.over = True
            if self._closed:
                self._drop_result()
        self._put(event)
        if self.over:
            self._put(_End())

    def _drop_result(self) -> None:
        """Discard what came of it, once, where it is to be."""
        if self._discard is None:
            return
        with self._lock:
            result, self._result = self._result, None
        if result is not None:
            self._discard(result)

    def fail(self, error: EngineError) -> None:
        """It ends with this error."""
        self.over = True
        self._put(error)

    def _put(self, item: Event | EngineError | _End) -> None:
        if self._closed and not self.over:
            return
        self._events.put(item)
        waiter = self._waiter
        if waiter is not None:
            loop, waiting = waiter
            # A loop that is closed has nobody who waits.
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(_wake, waiting)


def _wake(waiting: asyncio.Future[None]) -> None:
    if not waiting.done():
        waiting.set_result(None)


def follow(steps: EventSteps[T], take: Callable[[Event], object]) -> T:
    """Read a call to its end: each event goes to a callback, and the result is returned."""
    while True:
        try:
            event = next(steps)
        except StopIteration as end:
            return cast(T, end.value)
        take(event)
