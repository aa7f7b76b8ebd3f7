"""The client's end of the engine: starts the worker, streams its events, cancels, restarts.

One `Engine` owns at most one worker process and runs one request at a time; only `cancel`
may be called from another thread meanwhile. Requests are iterators of events that end
with the request's final event. An iterator that is closed early cancels its request and
reads it to the end, so that the next one starts on a clean line. `Failed` is raised as
`EngineError`; a worker that is gone is raised as `EngineDied` and is started afresh by the
next `load`.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import sys
import threading
from collections.abc import Callable, Generator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec

from urial_tui import paths
from urial_tui.engine.frames import ProtocolError, decode_event
from urial_tui.engine.process import Launch, Process, WorkerProcess
from urial_tui.engine.protocol import (
    VERSION,
    Cancel,
    Command,
    EngineOptions,
    Event,
    Failed,
    Finished,
    Generate,
    Loaded,
    LoadModel,
    ModelInfo,
    PreambleReady,
    PreparePreamble,
    ReadVocabulary,
    Ready,
    Sampling,
    Score,
    Scored,
    Shutdown,
    Slot,
    StopRules,
    Tokenize,
    Tokenized,
    Trace,
    Traced,
    Turn,
    Unload,
    Unloaded,
    VocabularyRead,
    Watch,
)
from urial_tui.engine.worker_log import WorkerLog
from urial_tui.errors import EngineDied, EngineError
from urial_tui.sanitize import sanitize_line

_HANDOVER = 0.5
"""Seconds that a request gets to notice that its worker has ended."""


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
        self._log = WorkerLog(self.log_file)
        self._cache_dir = cache_dir or paths.preamble_cache_dir()
        self._program = tuple(program or (sys.executable, "-P", "-m", "urial_tui.engine.worker"))
        self._launch = launch or _default_launch()
        self._process: Process | None = None
        self._on_end: Callable[[], None] = lambda: None
        self._ready = False
        self._ids = itertools.count(1)
        self._current: int | None = None
        self._request = threading.Lock()
        self._writing = threading.Lock()

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

    def tokenize(self, turns: Sequence[Turn]) -> tuple[tuple[tuple[int, ...], ...], ...]:
        """The token ids of each turn's segments, nested as they came."""
        for event in self._run(Tokenize(id=next(self._ids), turns=tuple(turns))):
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
    ) -> Generator[Event, None, None]:
        """Answer the last turn; see `protocol.Generate` for the arguments.

        Yields PrefillProgress*, PreambleReady, TurnsDropped?, PromptReady,
        (TextDelta | Shifts)*, Finished (and Notice anywhere).
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
        """Ask the running request, if any, to end; safe from any thread or signal handler."""
        current = self._current
        if current is None:
            return
        if self._writing.acquire(blocking=False):
            try:
                self._write_cancel(current)
            finally:
                self._writing.release()
            return

        def wait_and_cancel() -> None:
            with self._writing:
                self._write_cancel(current)

        # Who called from a signal handler may hold the lock itself, in mid-frame.
        threading.Thread(target=wait_and_cancel, name="cancel", daemon=True).start()

    @property
    def busy(self) -> bool:
        """Whether a request runs that `cancel` would end."""
        return self._current is not None

    # -- the process ----------------------------------------------------------------

    @property
    def alive(self) -> bool:
        """Whether the worker runs."""
        return self._process is not None and self._process.alive

    @property
    def pid(self) -> int | None:
        """The worker's process id, None when there is none."""
        return self._process.pid if self._process else None

    def start(self) -> None:
        """Start the worker without waiting for it; `load` does so where that was not done.

        Raises:
            EngineError: The process can't be started.
        """
        if self.alive:
            return
        self._discard()
        self._process = self._launch(
            [*self._program, os.fspath(self._cache_dir)], self._log, self._on_end
        )

    def watch(self, listener: Callable[[], None]) -> None:
        """Have `listener` called at the end of each worker that is started from now on.

        It runs in a thread of its own, also where the worker was asked to go; what it is to
        do is to have `take_death` called.
        """
        self._on_end = listener

    def take_death(self) -> EngineDied | None:
        """Why the worker ended while nothing was asked of it: told once, then there is none.

        None while it runs, and while a request runs: that one raises it.
        """
        if not self._request.acquire(blocking=False):
            return None
        try:
            ended = self._process is not None and self._process.ended
            return self._death() if ended else None
        finally:
            self._request.release()

    def close(self) -> None:
        """End the worker; it is killed if it does not go by itself."""
        process = self._process
        if process is None:
            return
        with contextlib.suppress(OSError, EngineDied):
            self._send(Shutdown())
        process.finish()
        # Another thread that reads finds the line closed and lets go; taking the file
        # descriptor from under it could give it another file's.
        reading_ended = self._request.acquire(timeout=_HANDOVER)
        self._discard()
        if reading_ended:
            self._request.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _kill(self) -> None:
        """End the worker at once."""
        if self._process is not None:
            self._process.kill()
        self._discard()

    def _discard(self) -> None:
        """Reap the process; nothing is loaded any more."""
        process, self._process = self._process, None
        self._ready = False
        self.info = self.second_info = None
        if process is not None:
            process.reap()

    # -- the line -------------------------------------------------------------------

    def _run(self, command: Command) -> Generator[Event, None, None]:
        assert not isinstance(command, Cancel | Shutdown)
        if not self._request.acquire(blocking=False):
            raise EngineError("The engine is busy with another request.", "Wait, or stop it first.")
        final = (_FINAL_EVENT[type(command)], Failed)
        pending = False
        try:
            self._await_ready()
            self._current = command.id
            self._send(command)
            pending = True
            while pending:
                event = self._receive()
                if getattr(event, "id", None) != command.id:
                    continue
                pending = not isinstance(event, final)
                if isinstance(event, Failed):
                    raise EngineError(event.message, event.hint)
                yield event
        except GeneratorExit:
            if pending:
                self._drain(command.id, final)
            raise
        except KeyboardInterrupt:
            # It may have cut a frame in two; only a new worker has a line to trust.
            self._kill()
            raise
        finally:
            self._current = None
            self._request.release()

    def _drain(self, request: int, final: tuple[type, ...]) -> None:
        """Cancel an abandoned request and read past its final event."""
        self.cancel()
        try:
            while True:
                event = self._receive()
                if isinstance(event, final) and getattr(event, "id", None) == request:
                    return
        except EngineDied:
            pass
        except KeyboardInterrupt:
            self._kill()
            raise

    def _await_ready(self) -> None:
        if self._process is None:
            raise EngineError("No model is loaded.", "Load a model first.")
        if self._ready:
            return
        event = self._receive()
        if isinstance(event, Failed):
            self._discard()
            raise EngineError(event.message, event.hint)
        if not isinstance(event, Ready) or event.version != VERSION:
            self._discard()
            raise EngineError(
                "The engine process is of another version than the program.",
                "Install urial-tui again.",
            )
        self._ready = True

    def _send(self, command: Command) -> None:
        process = self._process
        if process is None:
            raise self._death()
        try:
            with self._writing:
                process.write(command)
        except UnicodeEncodeError as error:
            raise EngineError(
                "A file name or a text holds characters that are not valid Unicode: "
                f"{sanitize_line(error.object)[:80]}.",
                "Rename the file, or correct the text.",
            ) from error
        except (OSError, ValueError) as error:
            raise self._death() from error

    def _write_cancel(self, request: int) -> None:
        """Write a Cancel frame; the caller holds the lock. A dead worker is found by the reader."""
        process = self._process
        if process is not None:
            with contextlib.suppress(OSError, ValueError):
                process.write(Cancel(id=request))

    def _receive(self) -> Event:
        process = self._process
        if process is None:
            raise self._death()
        try:
            frame = process.read()
            if frame is None:
                raise self._death()
            return decode_event(frame)
        except ProtocolError as error:
            self._kill()
            raise EngineDied(
                "The engine sent something that this program does not understand, so it was ended.",
                "Load the model again; nothing of the conversation is lost. "
                f"Its log is {self.log_file}.",
            ) from error
        except (OSError, ValueError) as error:
            raise self._death() from error

    def _death(self) -> EngineDied:
        """Why the worker ended, in a sentence; the process is reaped."""
        process = self._process
        self._discard()
        if process is None:
            return EngineDied("The engine is not running.", "Load the model again.")
        return process.death()


def _default_launch() -> Launch:
    directory = paths.recordings_dir()
    if directory is None:
        return WorkerProcess
    from urial_tui.engine.recording import Recorder

    return Recorder(directory).launch


_FINAL_EVENT: dict[type, type] = {
    LoadModel: Loaded,
    PreparePreamble: PreambleReady,
    Tokenize: Tokenized,
    Generate: Finished,
    Unload: Unloaded,
    ReadVocabulary: VocabularyRead,
    Score: Scored,
    Trace: Traced,
}
