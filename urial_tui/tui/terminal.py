"""What terminals send, where Textual takes it for something else or gives up on it."""

from __future__ import annotations

import codecs
from functools import partial
from typing import cast

from textual._ansi_sequences import ANSI_SEQUENCES_KEYS
from textual.drivers import linux_driver
from textual.keys import Keys


def understand_input() -> None:
    """Have the driver take Alt+Enter for what it is, and bytes that are no UTF-8 for U+FFFD.

    Without a newer keyboard protocol, Alt+Enter is ESC CR, which Textual takes for Enter. A
    byte that is no UTF-8 (an old mouse protocol, a Latin-1 keyboard, a pasted file) would end
    the thread that reads the keys, and the application with it.
    """
    cast(dict[str, object], ANSI_SEQUENCES_KEYS)["\x1b\r"] = (Keys.ControlJ,)
    linux_driver.getincrementaldecoder = _tolerant  # type: ignore[assignment, attr-defined]


def _tolerant(encoding: str) -> partial[codecs.IncrementalDecoder]:
    return partial(codecs.getincrementaldecoder(encoding), errors="replace")
