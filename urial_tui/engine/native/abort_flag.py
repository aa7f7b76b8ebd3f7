"""The flag that stops a running evaluation, from any thread.

Part of the native wrapping (see `llama`).
"""

from __future__ import annotations

import ctypes
from typing import Any

from urial_tui.engine.native.llama import lib
from urial_tui.engine.wire.patience import INTERRUPTIBLE


class AbortFlag:
    """A byte that stops a running evaluation when it is set, from any thread.

    The library polls a callback of type `bool (*)(void *)`. A Python callback would take
    the GIL each time; where the calling convention returns a `size_t` and a `bool` in the
    same register, libc's `strlen` over this buffer does it for free: 0 while the first
    byte is NUL, 1 once it is set. Elsewhere the worker looks between tokens and chunks.
    """

    def __init__(self) -> None:
        self._buffer = ctypes.create_string_buffer(2)
        self.address = ctypes.cast(self._buffer, ctypes.c_void_p)
        self.callback: Any = None
        if INTERRUPTIBLE:
            strlen = ctypes.CDLL(None).strlen
            self.callback = ctypes.cast(strlen, lib.ggml_abort_callback)

    def set(self) -> None:
        """Stop what runs and what is started before `clear`."""
        self._buffer[0] = b"\x01"

    def clear(self) -> None:
        """Let evaluations run again."""
        self._buffer[0] = b"\x00"

    @property
    def is_set(self) -> bool:
        """Whether a stop was asked for."""
        return self._buffer[0] != b"\x00"
