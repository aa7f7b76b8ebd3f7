"""The queue of commands as they arrive, and cancellations as soon as they do.

A thread reads them, because a cancellation has to be seen while native code runs. When the client
goes away, everything that is being done is cancelled.
"""

from __future__ import annotations

import queue
import threading
import traceback
from collections.abc import Callable, Iterable

from urial_tui.engine.native.abort_flag import AbortFlag
from urial_tui.engine.wire.commands import Cancel, Command, Shutdown
from urial_tui.engine.wire.frames import ProtocolError, decode_command, read_frame


class Inbox:
    """The queue of what the client asks for, which a thread fills.

    Args:
        fd: Where the commands come from.
        flag: Set while all of what is being done (`doing`) is not wanted any more.
        gone: Called, in the thread that reads, when the client has gone.
    """

    def __init__(self, fd: int, flag: AbortFlag, gone: Callable[[], None]) -> None:
        self._fd = fd
        self._when_gone = gone
        self._flag = flag
        self._queue: queue.SimpleQueue[Command] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._doing: frozenset[int] = frozenset()
        self._cancelled: set[int] = set()
        self._open: set[int] = set()
        self._latest = 0
        self._gone = False
        threading.Thread(target=self._read, name="commands", daemon=True).start()

    @property
    def waiting(self) -> bool:
        """Whether there is a next command already."""
        return not self._queue.empty()

    def next(self) -> Command:
        """The next command, when it comes; `Shutdown` when the client has gone.

        A `Cancel` has been seen already, and only says that it is time to look.
        """
        return self._queue.get()

    def doing(self, requests: Iterable[int]) -> frozenset[int]:
        """These requests are worked at from now on; those of them that were cancelled.

        The flag is set as soon as all of them are.
        """
        with self._lock:
            self._doing = frozenset(requests)
            self._signal()
            return self._doing & self._cancelled

    def ended(self, request: int) -> None:
        """A request has had its final event: it can't be cancelled any more."""
        with self._lock:
            self._cancelled.discard(request)
            self._open.discard(request)

    def _put(self, command: Command) -> None:
        request = getattr(command, "id", 0)
        with self._lock:
            self._open.add(request)
            self._latest = max(self._latest, request)
        self._queue.put(command)

    def _cancel(self, request: int) -> None:
        with self._lock:
            # Requests are numbered in their order: one that is not open has ended, or will come.
            if request in self._open or request > self._latest:
                self._cancelled.add(request)
                self._signal()

    def _signal(self) -> None:
        if self._gone or (self._doing and self._doing <= self._cancelled):
            self._flag.set()
        else:
            self._flag.clear()

    def _read(self) -> None:
        try:
            while (frame := read_frame(self._fd)) is not None:
                command = decode_command(frame)
                if isinstance(command, Cancel):
                    self._cancel(command.id)
                    # Whoever waits for the next command has something to end.
                    self._queue.put(command)
                else:
                    self._put(command)
        except (OSError, ProtocolError):
            traceback.print_exc()
        finally:
            with self._lock:
                self._gone = True
                self._signal()
            self._queue.put(Shutdown())
            self._when_gone()
