"""The client's end of the engine: starts the worker, streams its events, cancels, restarts.

One `Engine` owns at most one worker process and runs one request at a time; only `cancel`
may be called from another thread meanwhile. Requests are iterators of events (`connection`
says how they end), with `Silence` among them where nothing comes for long. A worker that is
gone, or does not stop when it is asked to and is ended for that, is raised as `EngineDied`
and is started afresh by the next `load`.
"""

from __future__ import annotations

import itertools
import os
import sys
from collections.abc import Callable, Generator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec

from urial_tui import paths
from urial_tui.engine.client.connection import Connection, Request
from urial_tui.engine.client.process import Launch, WorkerProcess
from urial_tui.engine.wire.patience import stop_within
from urial_tui.engine.wire.protocol import (
    Device,
    EngineOptions,
    Event,
    Generate,
    Grammar,
    Loaded,
    LoadModel,
    ModelInfo,
    PreparePreamble,
    ReadVocabulary,
    Sampling,
    Score,
    Slot,
    StopRules,
    Tokenize,
    Tokenized,
    Trace,
    Turn,
    Unload,
    VocabularyRead,
    Watch,
)
from urial_tui.engine.wire.worker_log import WorkerLog
from urial_tui.errors import EngineDied


class Engine:
    """A language model in a process of its own.

    Args:
        log_file: Where the worker's output goes; by default a new file in `paths.log_dir()`.
        cache_dir: Where evaluated preambles are kept; by default `paths.preamble_cache_dir()`.
        program: The worker's command line, for tests.
        launch: Starts a worker; by default one that is recorded where `paths.recordings_dir()`
            says so.
    """

    def __init__(
        self,
        *,
        log_file: Path | None = None,
        cache_dir: Path | None = None,
        program: Sequence[str] | None = None,
        launch: Launch | None = None,
    ) -> None:
        self.info: ModelInfo | None = None
        self.second_info: ModelInfo | None = None
        self.log_file = log_file or paths.log_dir() / f"engine-{os.getpid()}-{id(self):x}.log"
        command = [
            *(program or (sys.executable, "-P", "-m", "urial_tui.engine.worker.main")),
            os.fspath(cache_dir or paths.preamble_cache_dir()),
        ]
        log, start = WorkerLog(self.log_file), launch or _default_launch()
        self._line = Connection(
            lambda on_end: start(command, log, on_end), self._forget, str(self.log_file)
        )
        self._ids = itertools.count(1)

    # -- requests -------------------------------------------------------------------

    def load(
        self,
        path: Path,
        *,
        adapter: Path | None = None,
        options: EngineOptions | None = None,
        slot: Slot = "main",
    ) -> Generator[Event, None, None]:
        """Load a model, starting the worker if need be: LoadProgress*, Loaded.

        What is loaded is told by `info` (slot main) and `second_info`.

        Raises:
            EngineError: The file is no model, or does not fit.
            EngineDied: The worker ended.
        """
        command = LoadModel(
            id=next(self._ids),
            path=os.fspath(path.absolute()),
            adapter=os.fspath(adapter.absolute()) if adapter else None,
            options=options or EngineOptions(),
            slot=slot,
        )
        self.start()
        self._note(slot, None)
        for event in self._run(command):
            if isinstance(event, Loaded):
                self._note(slot, event.info)
            yield event

    def unload(self, slot: Slot) -> None:
        """Free what is loaded in a slot."""
        self._note(slot, None)
        for _ in self._run(Unload(id=next(self._ids), slot=slot)):
            pass

    def _note(self, slot: Slot, info: ModelInfo | None) -> None:
        if slot == "main":
            self.info = info
        else:
            self.second_info = info

    def prepare(
        self, preamble: Turn, slot: Slot = "main", *, turns: Sequence[Turn] = ()
    ) -> Generator[Event, None, None]:
        """Evaluate and pin a preamble: PrefillProgress*, PreambleReady.

        With `turns` the finished turns of a conversation are read ahead of its next question.
        """
        command = PreparePreamble(
            id=next(self._ids), preamble=preamble, turns=tuple(turns), slot=slot
        )
        return self._run(command)

    def tokenize(
        self, turns: Sequence[Turn], *, start: bool = False
    ) -> tuple[tuple[tuple[int, ...], ...], ...]:
        """The token ids of each turn's segments, nested as they came.

        `start`: each turn stands at the start of a context, and BOS is its first segment.
        """
        for event in self._run(Tokenize(id=next(self._ids), turns=tuple(turns), start=start)):
            if isinstance(event, Tokenized):
                return event.turns
        raise AssertionError("unreachable: a request ends with its final event")

    def generate(
        self,
        *,
        preamble: Turn,
        turns: Sequence[Turn],
        sampling: Sampling | None = None,
        stops: StopRules | None = None,
        close: str = "",
        max_tokens: int = 512,
        prefix: Turn = (),
        watch: Watch | None = None,
        samples: int = 1,
        grammar: Grammar | None = None,
    ) -> Generator[Event, None, None]:
        """Answer the last turn; see `protocol.Generate` for the arguments.

        Yields PrefillProgress*, PreambleReady, TurnsDropped?, PromptReady,
        (TextDelta | Shifts)*, Finished (and Notice anywhere). The events of several answers
        (`samples`) come in any order, by their `sample`, with a Finished for each.
        """
        return self._run(
            Generate(
                id=next(self._ids),
                preamble=preamble,
                turns=tuple(turns),
                sampling=sampling or Sampling(),
                stops=stops or StopRules(),
                close=close,
                max_tokens=max_tokens,
                prefix=prefix,
                watch=watch,
                samples=samples,
                grammar=grammar,
            )
        )

    def vocabulary(self, slot: Slot) -> VocabularyRead:
        """Bytes and types of all tokens of the model in a slot."""
        for event in self._run(ReadVocabulary(id=next(self._ids), slot=slot)):
            if isinstance(event, VocabularyRead):
                return event
        raise AssertionError("unreachable: a request ends with its final event")

    def score(self, request: Score) -> Generator[Event, None, None]:
        """Force an answer on both models: PrefillProgress*, Scored. The id is set here."""
        return self._run(msgspec.structs.replace(request, id=next(self._ids)))

    def trace(self, request: Trace) -> Generator[Event, None, None]:
        """Read an answer again: PrefillProgress*, TracedTokens*, Traced. The id is set here."""
        return self._run(msgspec.structs.replace(request, id=next(self._ids)))

    def cancel(self) -> None:
        """Ask the running request, if any, to end; safe from any thread or signal handler.

        A worker that does not within `patience.stop_within` is ended.
        """
        self._line.cancel()

    @property
    def busy(self) -> bool:
        """Whether a request runs that `cancel` would end."""
        return self._line.busy

    # -- the process ----------------------------------------------------------------

    @property
    def alive(self) -> bool:
        """Whether the worker runs."""
        return self._line.alive

    @property
    def pid(self) -> int | None:
        """The worker's process id, None when there is none."""
        return self._line.pid

    def start(self) -> None:
        """Start the worker without waiting for it; `load` does so where that was not done.

        Raises:
            EngineError: The process can't be started.
        """
        self._line.start()

    def devices(self) -> tuple[Device, ...]:
        """What the worker computes on; it is started where it does not run.

        Raises:
            EngineError: It can't be started, or another request runs.
            EngineDied: It ended.
        """
        return self._line.devices()

    def watch(self, listener: Callable[[], None]) -> None:
        """Have `listener` called at the end of each worker that is started from now on.

        It runs in a thread of its own, also where the worker was asked to go; what it is to
        do is to have `take_death` called.
        """
        self._line.watch(listener)

    def take_death(self) -> EngineDied | None:
        """Why the worker ended while nothing was asked of it: told once, then there is none.

        None while it runs, and while a request runs: that one raises it.
        """
        return self._line.take_death()

    def close(self) -> None:
        """End the worker; it is killed if it does not go by itself."""
        self._line.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _run(self, request: Request) -> Generator[Event, None, None]:
        return self._line.run(request, stop_within(self.info or self.second_info))

    def _forget(self) -> None:
        """The worker is gone, and what was loaded with it."""
        self.info = self.second_info = None


def _default_launch() -> Launch:
    directory = paths.recordings_dir()
    if directory is None:
        return WorkerProcess
    from urial_tui.engine.client.recording import Recorder

    return Recorder(directory).launch
