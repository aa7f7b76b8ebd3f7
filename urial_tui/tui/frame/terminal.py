"""Workarounds for terminals: what they send and take where Textual fails at it."""

from __future__ import annotations

import codecs
from collections.abc import Callable
from functools import partial
from typing import Protocol, cast

from textual.drivers.linux_driver import LinuxDriver
from textual.keys import Keys

from urial_tui.tui.frame.private_names import (
    WriterThread,
    app_of,
    queue_of,
    use_in_driver,
    use_sequence,
)


class TerminalOutput(WriterThread):
    """The thread that writes to the terminal; once that is gone, it drops what it gets.

    Textual's own would die, and whoever writes would wait for it for ever.
    """

    def run(self) -> None:
        """Write until told to stop."""
        try:
            super().run()
        except (OSError, ValueError):
            while queue_of(self).get() is not None:
                pass


class ReadsTerminal(Protocol):
    """An application that wants to know when nothing can be read any more."""

    on_input_lost: Callable[[], None]


class TerminalDriver(LinuxDriver):
    """A driver for which a terminal that can't be read any more is no error."""

    def run_input_thread(self) -> None:
        """Read keys; tell the application when that has become impossible."""
        try:
            super().run_input_thread()
        except OSError:
            cast(ReadsTerminal, app_of(self)).on_input_lost()


def understand_input() -> None:
    """Patch the driver: Alt+Enter is a key of its own, and invalid UTF-8 becomes U+FFFD.

    Without a newer keyboard protocol, Alt+Enter is ESC CR, which Textual takes for Enter. A
    byte that is no UTF-8 (an old mouse protocol, a Latin-1 keyboard, a pasted file) would end
    the thread that reads the keys, and the application with it.
    """
    use_sequence("\x1b\r", (Keys.ControlJ,))
    use_in_driver("getincrementaldecoder", _tolerant)
    use_in_driver("WriterThread", TerminalOutput)


def _tolerant(encoding: str) -> partial[codecs.IncrementalDecoder]:
    return partial(codecs.getincrementaldecoder(encoding), errors="replace")
