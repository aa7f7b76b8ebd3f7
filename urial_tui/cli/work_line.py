"""The progress bar of work on models: shows its steps, and says why something is waited for."""

from __future__ import annotations

from urial_tui.cli.progress_line import ProgressLine
from urial_tui.engine.wire.events import Notice
from urial_tui.evaluate.rate_limit import Postponed


class WorkLine(ProgressLine):
    """A progress line that is told the steps of work; each reason to wait is said once."""

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
        elif isinstance(step, Postponed) and words and step.why not in self._waited_for:
            self._waited_for.add(step.why)
            self.say(words)
        elif words:
            self.show(words)
