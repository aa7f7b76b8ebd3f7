"""Flash attention that does not split the cells of a token between threads.

llama.cpp's CPU back end splits them where a token is evaluated alone, so that its logits depend on
how many threads there are. A switch of that back end (`use_ref`) has each of them take whole heads
instead, as it does in a batch; in a batch the switch would cost its tiles, so it is on for single
tokens only. The back end belongs to the scheduler of a context, which is handed out by a C++ method
of the library alone; where a build does not export it, nothing can be switched.
"""

from __future__ import annotations

import ctypes
from typing import Any

from urial_tui.engine.native.devices import library
from urial_tui.engine.native.llama import lib

_SCHEDULER = "_ZNK13llama_context9get_schedEv"
"""llama_context::get_sched() const, by the name that GCC and Clang give it."""

_CPU = 0
"""GGML_BACKEND_DEVICE_TYPE_CPU."""


class WholeCells:
    """The switch of a context.

    Args:
        handle: The context.
    """

    def __init__(self, handle: Any) -> None:
        self._set: Any = None
        self._back_end: int | None = None
        self._on = False
        try:
            self._find(handle)
        except (AttributeError, ImportError, OSError):
            self._set = None

    @property
    def found(self) -> bool:
        """Whether there is such a switch."""
        return self._set is not None

    def switch(self, tokens: int) -> None:
        """Set it as a batch of so many tokens needs it."""
        if self._set is not None and self._on != (tokens == 1):
            self._on = not self._on
            self._set(self._back_end, self._on)

    def _find(self, handle: Any) -> None:
        """Find the back end and its function.

        Raises:
            AttributeError: The library does not have what is needed.
        """
        ggml, pointer = library(), ctypes.c_void_p
        address = ctypes.cast(getattr(lib._lib, _SCHEDULER), pointer).value or 0
        scheduler = ctypes.CFUNCTYPE(pointer, pointer)(address)(handle)
        for number in range(ggml.ggml_backend_sched_get_n_backends(scheduler)):
            found = ggml.ggml_backend_sched_get_backend(scheduler, number)
            device = ggml.ggml_backend_get_device(found)
            if ggml.ggml_backend_dev_type(device) != _CPU:
                continue
            place = ggml.ggml_backend_reg_get_proc_address(
                ggml.ggml_backend_dev_backend_reg(device), b"ggml_backend_cpu_set_use_ref"
            )
            if place:
                prototype = ctypes.CFUNCTYPE(None, pointer, ctypes.c_bool)
                self._back_end, self._set = found, prototype(place)
