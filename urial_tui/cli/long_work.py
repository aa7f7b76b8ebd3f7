"""SIGINT during long work: Ctrl-C ends it, what is done is kept, and the next run goes on."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Protocol

from urial_tui import interrupts
from urial_tui.errors import EngineDied, EngineError, ModelError


class CancellableWork(Protocol):
    """Work that can be cancelled from a signal handler."""

    def cancel(self) -> None:
        """Begin nothing more; from a signal handler."""
        ...


class LongWork:
    """The first Ctrl-C ends the work, a second one the program.

    Args:
        busy: Whether there is something to end before the work has begun.
        cancel: Ends what runs.
        kept: Says that what is done is kept, and how it goes on.
    """

    def __init__(self, busy: Callable[[], bool], cancel: Callable[[], object], kept: str) -> None:
        self.kept = kept
        self.interrupted = False
        self._busy = busy
        self._cancel = cancel
        self._work: CancellableWork | None = None

    @contextlib.contextmanager
    def interruptible(self) -> Iterator[None]:
        """While this lasts, Ctrl-C does that."""

        def interrupt(_signal: int, _frame: FrameType | None) -> None:
            if self.interrupted or not (self._work or self._busy()):
                raise KeyboardInterrupt
            self.interrupted = True
            if self._work is not None:
                self._work.cancel()
            self._cancel()

        with interrupts.handled(interrupt):
            yield

    def begin(self, work: CancellableWork) -> None:
        """The work begins; at once it ends, where Ctrl-C came before."""
        self._work = work
        if self.interrupted:
            # It came between the look at it and the line above.
            work.cancel()

    @contextlib.contextmanager
    def ending(self) -> Iterator[None]:
        """What fails because it was ended is no failure, and who dies leaves what is done.

        Raises:
            EngineDied: The worker ended by itself; says that what is done is kept.
        """
        try:
            yield
        except EngineDied as error:
            if not self.interrupted:
                hint = error.hint if self._work is None else self.kept
                raise EngineDied(error.message, hint) from error
        except (EngineError, ModelError):
            # An engine and a renderer of templates that are ended say so in their own ways.
            if not self.interrupted:
                raise
