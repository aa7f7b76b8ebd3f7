"""The line to a worker: one request at a time on it, its cancellation, and its end.

A `Connection` owns at most one worker. Requests are iterators of events that end with the
request's final event: of several answers to one question, the last one's. An iterator that is
closed early cancels its request and reads it to the end, so that the next one starts on a clean
line. `Failed` is raised as `EngineError`; a worker that is gone, or that does not stop when it is
asked to, as `EngineDied`.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Generator

from urial_tui.engine.client.loads import Loads
from urial_tui.engine.client.process import Process
from urial_tui.engine.wire.frames import ProtocolError, decode_event
from urial_tui.engine.wire.patience import LOOK_EVERY, Patience
from urial_tui.engine.wire.protocol import (
    VERSION,
    Cancel,
    Command,
    Device,
    Event,
    Failed,
    Finished,
    Generate,
    Loaded,
    LoadModel,
    PreambleReady,
    PreparePreamble,
    ReadVocabulary,
    Ready,
    Score,
    Scored,
    Shutdown,
    Silence,
    Tokenize,
    Tokenized,
    Trace,
    Traced,
    Unload,
    Unloaded,
    VocabularyRead,
)
from urial_tui.errors import EngineDied, EngineError
from urial_tui.sanitize import sanitize_line

Request = (
    LoadModel | Unload | PreparePreamble | Tokenize | Generate | ReadVocabulary | Score | Trace
)
"""A command that is answered."""

_HANDOVER = 0.5
"""Seconds that a request gets to notice that its worker has ended."""

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


class Connection:
    """Speaks to workers, one after another.

    Args:
        launch: Starts a worker; it is given what to call at the worker's end.
        gone: Called when a worker was let go of: nothing is loaded any more.
        log_shown: Where the workers' output is, for messages.
    """

    def __init__(
        self,
        launch: Callable[[Callable[[], None]], Process],
        gone: Callable[[], None],
        log_shown: str,
    ) -> None:
        self._launch = launch
        self._gone = gone
        self._log_shown = log_shown
        self._process: Process | None = None
        self._on_end: Callable[[], None] = lambda: None
        self._ready = False
        self._devices: tuple[Device, ...] = ()
        self._loads = Loads()
        self._current: Request | None = None
        self._patience = Patience(0.0)
        self._gave_up_after = 0.0
        """Seconds of silence for which the worker was ended; 0 where it was not."""
        self._request = threading.Lock()
        self._writing = threading.Lock()

    # -- the process ----------------------------------------------------------------

    @property
    def alive(self) -> bool:
        """Whether the worker runs."""
        return self._process is not None and self._process.alive

    @property
    def pid(self) -> int | None:
        """The worker's process id, None when there is none."""
        return self._process.pid if self._process else None

    @property
    def busy(self) -> bool:
        """Whether a request runs that `cancel` would end."""
        return self._current is not None

    def start(self) -> None:
        """Start the worker without waiting for it.

        Raises:
            EngineError: The process can't be started.
        """
        if self.alive:
            return
        self._discard()
        self._process = self._launch(self._on_end)

    def devices(self) -> tuple[Device, ...]:
        """What the worker computes on, as it said when it was up; it is started if need be.

        Raises:
            EngineError: It can't be started, or a request runs.
            EngineDied: It ended.
        """
        self.start()
        if not self._request.acquire(blocking=False):
            raise EngineError("The engine is busy with another request.", "Wait, or stop it first.")
        try:
            for _ in self._await_ready():
                pass
        finally:
            self._request.release()
        return self._devices

    def watch(self, listener: Callable[[], None]) -> None:
        """Have `listener` called, in a thread of its own, at the end of workers still to start."""
        self._on_end = listener

    def take_death(self) -> EngineDied | None:
        """Why the worker ended while nothing was asked of it: told once, then there is none."""
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

    def _kill(self) -> None:
        """End the worker at once."""
        if self._process is not None:
            self._process.kill()
        self._discard()

    def _discard(self) -> None:
        """Reap the process; nothing is loaded any more."""
        process, self._process = self._process, None
        self._ready = False
        self._gone()
        if process is not None:
            process.reap()

    # -- requests -------------------------------------------------------------------

    def run(self, command: Request, stop_within: float) -> Generator[Event, None, None]:
        """Have a command carried out: its events, to the final one.

        Args:
            command: What to do.
            stop_within: Seconds that the worker gets to obey `cancel`.
        """
        if not self._request.acquire(blocking=False):
            raise EngineError("The engine is busy with another request.", "Wait, or stop it first.")
        self._patience = Patience(stop_within)
        self._current = command
        replies: _Replies | None = None
        try:
            yield from self._await_ready()
            self._send(command)
            replies = _Replies(command)
            while replies.pending:
                event = self._receive()
                if not replies.take(event):
                    continue
                self._loads.saw(command, event)
                if isinstance(event, Failed):
                    raise EngineError(event.message, event.hint)
                yield event
        except GeneratorExit:
            if replies is not None:
                self._drain(replies)
            raise
        except KeyboardInterrupt:
            # It may have cut a frame in two; only a new worker has a line to trust.
            self._kill()
            raise
        finally:
            self._current = None
            self._request.release()

    def cancel(self) -> None:
        """Ask the running request, if any, to end; safe from any thread or signal handler."""
        current = self._current
        if current is None:
            return
        patience, process = self._patience, self._process
        patience.stop()
        if self._writing.acquire(blocking=False):
            try:
                self._write_cancel(current)
            finally:
                self._writing.release()
            return

        def wait_and_cancel() -> None:
            if self._writing.acquire(timeout=patience.limit):
                try:
                    self._write_cancel(current)
                finally:
                    self._writing.release()
            elif process is not None and process is self._process:
                # It does not even read what is written to it.
                self._gave_up_after = patience.limit
                process.kill()

        # Who called from a signal handler may hold the lock itself, in mid-frame.
        threading.Thread(target=wait_and_cancel, name="cancel", daemon=True).start()

    def _drain(self, replies: _Replies) -> None:
        """Cancel an abandoned request, unless it is over, and read past its final event."""
        if not replies.pending:
            return
        self.cancel()
        try:
            while replies.pending:
                replies.take(self._receive())
        except EngineDied:
            pass
        except KeyboardInterrupt:
            self._kill()
            raise

    def _await_ready(self) -> Generator[Event, None, None]:
        if self._process is None:
            raise EngineError("No model is loaded.", "Load a model first.")
        if self._ready:
            return
        event = self._receive()
        while isinstance(event, Silence):
            yield event
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
        self._devices = event.devices

    # -- the line -------------------------------------------------------------------

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

    def _write_cancel(self, command: Request) -> None:
        """Write a Cancel frame; the caller holds the lock. A dead worker is found by the reader."""
        process = self._process
        if process is not None:
            with contextlib.suppress(OSError, ValueError):
                process.write(Cancel(id=command.id))

    def _receive(self) -> Event:
        """The next event, or that there is none yet; a worker that does not stop is ended."""
        process, patience = self._process, self._patience
        if process is None:
            raise self._death()
        try:
            while True:
                try:
                    frame = process.read(LOOK_EVERY)
                except TimeoutError:
                    left = patience.ends_in
                    if left is not None and left <= 0:
                        self._gave_up_after = patience.silent_for
                        process.kill()
                        raise self._death() from None
                    if patience.tells():
                        request = self._current.id if self._current else 0
                        return Silence(id=request, seconds=patience.silent_for, ends_in=left)
                    continue
                patience.heard()
                if frame is None:
                    raise self._death()
                return decode_event(frame)
        except ProtocolError as error:
            self._kill()
            raise EngineDied(
                "The engine sent something that this program does not understand, so it was ended.",
                "Load the model again; nothing of the conversation is lost. "
                f"Its log is {self._log_shown}.",
            ) from error
        except (OSError, ValueError) as error:
            raise self._death() from error

    def _death(self) -> EngineDied:
        """Why the worker ended, in a sentence; the process is reaped."""
        process, silent_for = self._process, self._gave_up_after
        self._gave_up_after = 0.0
        self._discard()
        if process is None:
            return EngineDied("The engine is not running.", "Load the model again.")
        return process.death(self._loads.ended(self._current, silent_for))


class _Replies:
    """Which events answer a command, and whether there are more to come.

    Where several answers are asked for, each has an end of its own; a failure ends all.
    """

    def __init__(self, command: Request) -> None:
        self._id = command.id
        self._final = _FINAL_EVENT[type(command)]
        self._asked = max(1, command.samples) if isinstance(command, Generate) else 1
        self._ended: set[int] = set()
        self._failed = False

    @property
    def pending(self) -> bool:
        """Whether the final event has not come yet."""
        return not self._failed and len(self._ended) < self._asked

    def take(self, event: Event) -> bool:
        """Count an event, if it is to this command and of an answer that was asked for."""
        sample = getattr(event, "sample", 0)
        if getattr(event, "id", None) != self._id or not 0 <= sample < self._asked:
            return False
        if isinstance(event, Failed):
            self._failed = True
        elif isinstance(event, self._final):
            self._ended.add(sample)
        return True
