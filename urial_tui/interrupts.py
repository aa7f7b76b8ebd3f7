"""SIGINT handlers that lose no Ctrl-C.

Python raises `KeyboardInterrupt` wherever it happens to be, and drops it where that is a callback
of its own. So it is remembered as well, and looked at once more behind what imports much. In the
callback of an import's lock, where it would be printed and dropped, it is only remembered. A
process that ignores Ctrl-C, as in the background of a shell, goes on ignoring it.
"""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Final, NoReturn

EXIT_CODE = 130
"""What a program exits with that was interrupted."""

_IMPORTS: Final = "<frozen importlib._bootstrap>"

_seen = False


def end_at_once() -> None:
    """Have Ctrl-C end the process without an exception: nothing has been begun yet."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _leave)


def remember() -> None:
    """Have Ctrl-C raise `KeyboardInterrupt`, and `check` too from then on."""
    if signal.getsignal(signal.SIGINT) is _leave:
        signal.signal(signal.SIGINT, _raise)


def check() -> None:
    """Raise `KeyboardInterrupt` if there was a Ctrl-C."""
    if _seen:
        raise KeyboardInterrupt


@contextlib.contextmanager
def handled(handler: Callable[[int, FrameType | None], object]) -> Iterator[None]:
    """A context manager for a SIGINT handler; a Ctrl-C that came before is raised at once."""
    before = signal.signal(signal.SIGINT, handler)
    try:
        check()
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _leave(_signal: int, _frame: FrameType | None) -> NoReturn:
    os._exit(EXIT_CODE)


def _raise(_signal: int, frame: FrameType | None) -> None:
    global _seen
    _seen = True
    if not _is_dropped(frame):
        raise KeyboardInterrupt


def _is_dropped(frame: FrameType | None) -> bool:
    """Whether an exception would only be printed: in the callback that removes an import's lock."""
    while frame is not None:
        code = frame.f_code
        if code.co_name == "cb" and code.co_filename == _IMPORTS:
            return True
        frame = frame.f_back
    return False
