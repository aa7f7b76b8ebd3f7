"""A watchdog: the application ends, whatever becomes of its terminal and of its event loop.

A thread of its own waits for the terminal to hang up, for signals, and for the shell to take
the terminal back after whoever started the application has died. It asks the application to
end; one that does not end in time is ended here, after what it can still store was stored.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import termios
import threading
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any, Self

PATIENCE = 6.0
"""Seconds that the application gets to end by itself: more than closing its workers takes."""
RESCUE = 8.0
"""Seconds that storing may take where it did not."""
LOOK_EVERY = 1.0
"""Seconds between two looks at what tells nobody when it changes."""
_ASK_EVERY = 0.2

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Watchdog:
    """Watches over an application while the `with` block runs it, in the main thread.

    Args:
        terminal: The file descriptor of the terminal that it reads from.
        ask: Has the application end with an exit code; False where it can't be asked yet.
            Called in the watchdog's thread.
        rescue: Stores what there is and ends the workers, without the application's help.
        leave: Ends the process with an exit code.
    """

    def __init__(
        self,
        terminal: int,
        ask: Callable[[int], bool],
        rescue: Callable[[], None],
        leave: Callable[[int], Any] = os._exit,
    ) -> None:
        self._terminal = terminal
        self._ask = ask
        self._rescue = rescue
        self._leave = leave
        self._parent = os.getppid()
        self._ended = threading.Event()
        self._reason: int | None = None
        """The signal because of which the application is to end."""
        self._thread = threading.Thread(target=self._work, name="watchdog", daemon=True)

    def end(self, number: int, frame: FrameType | None = None) -> None:
        """Have the application end as by a signal; from any thread, and as a handler of one."""
        self._reason = self._reason or number
        self._ring()

    def __enter__(self) -> Self:
        self._ear, self._bell = os.pipe()
        os.set_blocking(self._bell, False)
        # The handlers run only where the main thread lets them; this wakes us without it.
        self._wakeup = signal.set_wakeup_fd(self._bell, warn_on_full_buffer=False)
        self._handlers = {number: signal.signal(number, self.end) for number in _SIGNALS}
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._ended.set()
        self._ring()
        self._thread.join()
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(self._wakeup)
        os.close(self._ear)
        os.close(self._bell)

    def _ring(self) -> None:
        with contextlib.suppress(OSError):
            os.write(self._bell, b"\0")

    # -- in the thread --------------------------------------------------------------

    def _work(self) -> None:
        number = self._wait()
        if number is None or self._over_after_asking(128 + number):
            return
        storing = threading.Thread(target=self._rescue, name="rescue", daemon=True)
        storing.start()
        storing.join(RESCUE)
        self._leave(128 + number)

    def _wait(self) -> int | None:
        """Why the application has to end, as a signal's number; None: it has ended."""
        poll = select.poll()
        poll.register(self._ear, select.POLLIN)
        poll.register(self._terminal, 0)
        while True:
            ready = dict(poll.poll(LOOK_EVERY * 1000))
            if self._ended.is_set():
                return None
            if self._ear in ready:
                rung = os.read(self._ear, 4096)
                # SIGINT is not among these: an editor that runs meanwhile may have taken it over.
                self._reason = self._reason or next(
                    (n for n in rung if n in (signal.SIGTERM, signal.SIGHUP)), None
                )
            if self._reason is not None:
                return self._reason
            if self._hung_up() or self._cut_off():
                return signal.SIGHUP
            if self._terminal in ready:
                # A system that can't poll terminals; looking at it now and then has to do.
                poll.unregister(self._terminal)

    def _over_after_asking(self, code: int) -> bool:
        """Ask until somebody hears; whether the application has ended in time."""
        left = PATIENCE
        while not self._ask(code):
            if self._ended.wait(_ASK_EVERY):
                return True
            left -= _ASK_EVERY
            if left <= 0:
                return False
        return self._ended.wait(left)

    def _hung_up(self) -> bool:
        """Whether the terminal is gone."""
        try:
            termios.tcgetattr(self._terminal)
        except (termios.error, OSError):
            return True
        return False

    def _cut_off(self) -> bool:
        """Whether whoever started us has died and another program has the terminal now."""
        if os.getppid() == self._parent:
            return False
        try:
            return os.tcgetpgrp(self._terminal) != os.getpgrp()
        except OSError:
            # Not the terminal that controls this process.
            return False
