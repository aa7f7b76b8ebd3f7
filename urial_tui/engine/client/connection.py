"""The connection to one worker: a thread that writes commands, one that reads events, and its end.

Every event goes to the call that it answers. When the worker ends, for whatever reason, every open
call ends with the same sentence, and a later one is told that nothing is loaded.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from urial_tui.engine.client.call import Call
from urial_tui.engine.client.loads import Loads
from urial_tui.engine.client.process import EXIT_TIMEOUT, Process
from urial_tui.engine.wire.commands import Cancel, Command, Request, Shutdown
from urial_tui.engine.wire.events import Event, Failed, Ready
from urial_tui.engine.wire.frames import VERSION, ProtocolError, decode_event, encode
from urial_tui.engine.wire.patience import Patience
from urial_tui.engine.wire.values import Device
from urial_tui.errors import EngineDied, EngineError
from urial_tui.sanitize import sanitize_line

T = TypeVar("T")

_HANDOVER = 0.5
"""Seconds that the writing thread gets to notice that the worker has ended."""


class Connection:
    """A connection to a worker; calls go out over it, and their events come back.

    Args:
        process: The worker, which was just started.
        ids: Numbers for requests; never the same twice in the life of a program.
        loads: What is known of the models that were loaded before.
        on_end: Called in the reading thread when the worker has ended, with the reason where no
            call was told it and nobody asked for it.
        log_shown: Where the worker's output is, for messages.
    """

    def __init__(
        self,
        process: Process,
        ids: Iterator[int],
        loads: Loads,
        on_end: Callable[[EngineDied | None], None],
        log_shown: str,
    ) -> None:
        self.patience = Patience()
        self.over = False
        """Whether the worker is gone."""
        self._process = process
        self._ids = ids
        self._loads = loads
        self._on_end = on_end
        self._log_shown = log_shown
        self._calls: dict[int, Call[Any]] = {}
        self._lock = threading.Lock()
        """Held while calls come and go; never where a signal may interrupt a cancellation."""
        self._commands: queue.SimpleQueue[Command | None] = queue.SimpleQueue()
        self._ready = threading.Event()
        """Set when it is known whether the worker serves."""
        self._greeted = False
        """Whether the worker said what it is."""
        self._devices: tuple[Device, ...] = ()
        self._library = ""
        self._backends: tuple[str, ...] = ()
        self._closing = False
        self._ended = False
        """Whether the end of the events was read."""
        self._gave_up_at = 0.0
        self._gave_up_after = 0.0
        """Seconds of silence for which the worker was ended; 0 where it was not."""
        self._error: EngineError | None = None
        """What every open call was told at the end."""
        self._writer = threading.Thread(target=self._write, name="worker-commands", daemon=True)
        self._reader = threading.Thread(target=self._read, name="worker-events", daemon=True)
        self._writer.start()
        self._reader.start()

    @property
    def pid(self) -> int | None:
        """The worker's process id."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether the worker runs."""
        return not self.over and self._process.alive

    @property
    def calls(self) -> tuple[Call[Any], ...]:
        """Those that are open, the oldest first; safe in a signal handler.

        One whose end can be read is not, though the thread that read it has not put it away.
        """
        return tuple(call for call in tuple(self._calls.values()) if not call.over)

    def devices(self) -> tuple[Device, ...]:
        """What the worker computes on, as it says when it is up.

        Raises:
            EngineError: It is none that serves this program.
            EngineDied: It ended, or is being ended before it said anything.
        """
        self._ready.wait()
        if self._ended:
            # Its end was read before the reason is known.
            self.wait()
        if self._error is not None:
            raise self._error
        if not self._greeted:
            raise _closed()
        return self._devices

    def library(self) -> str:
        """What the worker's native library was built for; raises as `devices` does."""
        self.devices()
        return self._library

    def backends(self) -> tuple[str, ...]:
        """The back ends that the worker's library was built for; raises as `devices` does."""
        self.devices()
        return self._backends

    def number(self) -> int:
        """An id for a request."""
        return next(self._ids)

    def call(
        self,
        command: Request,
        conclude: Callable[[Event], T],
        discard: Callable[[T], object] | None = None,
    ) -> Call[T]:
        """Send a command; where that can't be, the call ends with the reason.

        Once the worker is gone, that is why it went: it may have ended since it was last asked.
        """
        call = Call(self, command, conclude, discard)
        error = _unsendable(command)
        with self._lock:
            if error is None and not self.over:
                if not self._calls:
                    self.patience.heard()
                self._stopped()
                self._calls[command.id] = call
                self._commands.put(command)
                return call
        call.fail(error or self._gone())
        return call

    def _gone(self) -> EngineError:
        """Why the worker is no more, for another thread to raise."""
        if self._error is None:
            return EngineError("No model is loaded.", "Load a model first.")
        return type(self._error)(self._error.message, self._error.hint)

    def cancel(self, request: int) -> None:
        """Ask for the end of a request."""
        self.patience.stop()
        self._commands.put(Cancel(id=request))

    def give_up(self) -> None:
        """End a worker that does not stop when it is asked to."""
        if not self._gave_up_at:
            self._gave_up_at = time.monotonic()
            self._gave_up_after = self.patience.silent_for
            self._process.kill()
        elif time.monotonic() - self._gave_up_at > EXIT_TIMEOUT:
            # One that waits for a disk that does not answer can't even be killed.
            self._end(None)

    def close(self) -> None:
        """End the worker; it is killed if it does not go by itself."""
        self._closing = True
        self._commands.put(Shutdown())
        self._commands.put(None)
        self._ready.set()
        self._reader.join(EXIT_TIMEOUT)
        if self._reader.is_alive():
            self._process.kill()
            self._reader.join(EXIT_TIMEOUT)
            self._end(None)

    def wait(self) -> None:
        """Wait until a worker that has ended is gone."""
        self._reader.join(EXIT_TIMEOUT)

    # -- the threads --------------------------------------------------------------------

    def _write(self) -> None:
        self._ready.wait()
        try:
            # Asking one that has ended would make its last words old ones.
            while (command := self._commands.get()) is not None and not self._ended:
                self._process.write(command)
        except OSError:
            # The thread that reads finds the end.
            pass
        self._process.hang_up()

    def _read(self) -> None:
        error: EngineError | None = None
        greeted = False
        try:
            while (frame := self._process.read()) is not None:
                self.patience.heard()
                event = decode_event(frame)
                if greeted:
                    self._take(event)
                else:
                    self._greet(event)
                    greeted = True
        except ProtocolError:
            error = EngineDied(
                "The engine sent something that this program does not understand, so it was ended.",
                "Load the model again; nothing of the conversation is lost. If it happens again, "
                f"`urial doctor` tests the engine. Its log is {self._log_shown}.",
            )
        except EngineError as refused:
            error = refused
        except (OSError, ValueError):
            pass
        if error is not None:
            self._process.kill()
        self._ended = True
        self._commands.put(None)
        self._ready.set()
        self._writer.join(_HANDOVER)
        self._process.reap()
        self._end(error)

    def _greet(self, event: Event) -> None:
        if isinstance(event, Failed):
            raise EngineError(event.message, event.hint)
        if not isinstance(event, Ready) or event.version != VERSION:
            raise EngineError(
                "The engine process is of another version than the program.",
                "Install urial-tui again; `urial doctor` names the versions that are there.",
            )
        self._devices = event.devices
        self._library = event.library
        self._greeted = True
        self._backends = event.backends
        self._ready.set()

    def _take(self, event: Event) -> None:
        call = self._calls.get(getattr(event, "id", 0))
        if call is None:
            return
        self._loads.saw(call.command, event)
        call.take(event)
        if call.over:
            with self._lock:
                self._calls.pop(call.command.id, None)
                self._stopped()

    def _stopped(self) -> None:
        """Nobody waits for an end any more, unless a call that is still open was cancelled."""
        if not any(call.cancelled for call in self._calls.values()):
            self.patience.stopped()

    def _end(self, error: EngineError | None) -> None:
        """The worker is gone: all that is open ends; the first reason counts."""
        with self._lock:
            if self.over:
                return
            calls = self.calls
            self._calls.clear()
            command = calls[0].command if calls else None
            moment = self._loads.ended(command, self._gave_up_after)
            if error is None and self._closing:
                error = _closed()
            elif error is None:
                error = self._process.death(moment)
            self._error = error
            self.over = True
        for call in calls:
            # Each thread that raises it adds where it was.
            call.fail(self._gone())
        told = bool(calls) or self._closing
        self._on_end(error if isinstance(error, EngineDied) and not told else None)


def _closed() -> EngineDied:
    """That a worker was asked to go."""
    return EngineDied("The engine is not running.", "Load the model again.")


def _unsendable(command: Command) -> EngineError | None:
    try:
        encode(command)
    except UnicodeEncodeError as error:
        return EngineError(
            "A file name or a text holds characters that are not valid Unicode: "
            f"{sanitize_line(error.object)[:80]}.",
            "Rename the file, or correct the text.",
        )
    return None
