"""Progress of long work on standard error: a line that is rewritten, and sentences above it."""

from __future__ import annotations

from collections.abc import Sequence

import click

from urial_tui.cli.output import ProgressLine
from urial_tui.engine.wire.protocol import Notice
from urial_tui.evaluate.pace import Waiting
from urial_tui.sanitize import sanitize_line
from urial_tui.wording import unpacked

_NAMED = 3
"""Of many sentences of one kind those that are told one by one."""


class WorkLine(ProgressLine):
    """A progress line beside which things can be said; each reason to wait is said once."""

    def __init__(self) -> None:
        super().__init__()
        self._waited_for: set[str] = set()
        """Why something is waited for, where that was said."""

    def tell(self, step: object, words: str) -> None:
        """Show what a step of the work is in words, "" for nothing new.

        Whoever sees no line, or a new one only now and then, would wonder why nothing comes while
        something is waited for: that is a sentence of its own.
        """
        if isinstance(step, Notice):
            self.say(step.message)
        elif isinstance(step, Waiting) and words and step.why not in self._waited_for:
            self._waited_for.add(step.why)
            self.say(words)
        elif words:
            self.show(words)

    def unpacking(self, done: int, total: int) -> None:
        """Show that a packaged model is put together: bytes done and in all."""
        self.show(unpacked(done, total))

    def say(self, message: str) -> None:
        """Print a sentence for the user."""
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
