"""What terminals send and take, where Textual mistakes it or gives up on it."""

from __future__ import annotations

import codecs
from collections.abc import Callable
from functools import partial
from typing import Protocol, cast

from textual._ansi_sequences import ANSI_SEQUENCES_KEYS
from textual.drivers import linux_driver
from textual.drivers._writer_thread import WriterThread
from textual.drivers.linux_driver import LinuxDriver
from textual.keys import Keys


class Output(WriterThread):
    """Writes to the terminal; where that is gone, it goes on taking what nobody can see.

    Textual's own would die, and whoever writes would wait for it for ever.
    """

    def run(self) -> None:
        """Write until told to stop."""
        try:
            super().run()
        except (OSError, ValueError):
            while self._queue.get() is not None:
                pass


class Reads(Protocol):
    """An application that wants to know when nothing can be read any more."""

    on_input_lost: Callable[[], None]


class TerminalDriver(LinuxDriver):
    """Reads keys until the terminal can't be read, which is no mistake of ours."""

    def run_input_thread(self) -> None:
        """Read keys; tell the application when that has become impossible."""
        try:
            super().run_input_thread()
        except OSError:
            cast(Reads, self._app).on_input_lost()


def understand_input() -> None:
    """Have the driver take Alt+Enter for what it is, and bytes that are no UTF-8 for U+FFFD.

    Without a newer keyboard protocol, Alt+Enter is ESC CR, which Textual takes for Enter. A
    byte that is no UTF-8 (an old mouse protocol, a Latin-1 keyboard, a pasted file) would end
    the thread that reads the keys, and the application with it.
    """
    cast(dict[str, object], ANSI_SEQUENCES_KEYS)["\x1b\r"] = (Keys.ControlJ,)
    linux_driver.getincrementaldecoder = _tolerant  # type: ignore[assignment, attr-defined]
    linux_driver.WriterThread = Output  # type: ignore[attr-defined]


def _tolerant(encoding: str) -> partial[codecs.IncrementalDecoder]:
    return partial(codecs.getincrementaldecoder(encoding), errors="replace")
