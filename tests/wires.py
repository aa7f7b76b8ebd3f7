"""A worker as its line has it: commands of several requests in flight, and what came of each."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

import msgspec

from urial_tui.engine.client.process import WorkerProcess
from urial_tui.engine.wire.commands import Cancel, Command, Generate, LoadModel
from urial_tui.engine.wire.events import (
    Event,
    Failed,
    Finished,
    Loaded,
    PreambleReady,
    Scored,
    TextDelta,
    Tokenized,
    Traced,
    Unloaded,
    VocabularyRead,
)
from urial_tui.engine.wire.frames import decode_event
from urial_tui.engine.wire.values import EngineOptions
from urial_tui.engine.wire.worker_log import WorkerLog

T = TypeVar("T", bound=Event)

MODEL = 1
"""The handle of the model that is loaded at once."""

_FINAL = (Failed, Finished, Loaded, Unloaded, Tokenized, VocabularyRead, Scored, Traced)


class Events(list[Event]):
    """The events of one request."""

    def all(self, kind: type[T]) -> list[T]:
        """Those of a kind."""
        return [event for event in self if isinstance(event, kind)]

    def one(self, kind: type[T]) -> T:
        """The only one of a kind."""
        (event,) = self.all(kind)
        return event

    def streamed(self, sample: int = 0) -> str:
        """The text that was handed out of an answer."""
        return "".join(event.text for event in self.all(TextDelta) if event.sample == sample)


class Wire:
    """A worker, spoken to directly.

    Args:
        directory: For its log and its preambles.
        model: Loaded at once, under the handle `MODEL`.
        options: Of the load.
    """

    def __init__(self, directory: Path, model: Path, options: EngineOptions) -> None:
        self._ids = itertools.count(1)
        self.events: dict[int, Events] = {}
        command = [sys.executable, "-P", "-m", "urial_tui.engine.worker.main"]
        self.process = WorkerProcess(
            [*command, str(directory / "cache")], WorkerLog(directory / "log")
        )
        loaded = self.run(LoadModel(id=0, model=MODEL, path=str(model), options=options))
        self.info = loaded.one(Loaded).info

    def send(self, command: Any) -> int:
        """Send a command under an id of its own, which is returned."""
        number = next(self._ids)
        named = msgspec.structs.replace(command, id=number)
        self.events[number] = Events()
        self.process.write(named)
        return number

    def cancel(self, request: int) -> None:
        """Ask a request to end."""
        self.process.write(Cancel(id=request))

    def next(self) -> Event:
        """The next event of any request."""
        frame = self.process.read()
        assert frame is not None, "the worker has ended"
        event = decode_event(frame)
        self.events.get(getattr(event, "id", 0), Events()).append(event)
        return event

    def wait(self, *requests: int, samples: int = 1) -> list[Events]:
        """Read until these have ended: what came of each."""
        while not all(self._ended(request, samples) for request in requests):
            self.next()
        return [self.events[request] for request in requests]

    def run(self, command: Command) -> Events:
        """Have one command carried out."""
        (events,) = self.wait(self.send(command), samples=getattr(command, "samples", 1))
        return events

    def run_all(self, commands: Sequence[Generate]) -> list[Events]:
        """Have all of them in flight at once."""
        return self.wait(*self.send_all(commands))

    def send_all(self, commands: Sequence[Generate]) -> list[int]:
        """Send requests that begin together: their ids."""
        last = len(commands) - 1
        return [
            self.send(msgspec.structs.replace(command, more=number < last))
            for number, command in enumerate(commands)
        ]

    def _ended(self, request: int, samples: int) -> bool:
        final = [event for event in self.events[request] if isinstance(event, _FINAL)]
        return len(final) >= samples or any(isinstance(event, Failed) for event in final)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.process.hang_up()
        self.process.reap()


def source(events: Events) -> str:
    """Where the preamble of an answer came from."""
    return events.one(PreambleReady).source
