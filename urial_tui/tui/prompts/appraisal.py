"""A background check of a preamble: what it costs with the loaded model, and its findings."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from urial_tui.prompting.check import Finding, by_severity
from urial_tui.prompting.preamble import Preamble
from urial_tui.tui.prompts.laboratory import Cost, Laboratory


class Appraisal:
    """Checks and counts a preamble that changes; the last result stays until the next.

    Args:
        laboratory: Counts and checks.
    """

    def __init__(self, laboratory: Laboratory) -> None:
        self._laboratory = laboratory
        self._found: tuple[Finding, ...] = ()
        self._model: object | None = None
        self.cost: Cost | None = None
        self.when_known: Callable[[], object] = lambda: None

    @property
    def findings(self) -> list[Finding]:
        """All of them, the worst first."""
        of_model = () if self.cost is None else self.cost.findings
        return by_severity([*self._found, *of_model])

    def is_of_another_model(self) -> bool:
        """Whether another model is loaded by now; what that one would cost is not known."""
        if self._laboratory.model is self._model:
            return False
        self.cost = None
        return True

    async def make(self, preamble: Preamble) -> None:
        """Check and count a preamble."""
        self._model = self._laboratory.model
        self._found = await self._laboratory.check(preamble, Path(f"{preamble.name}.toml"))
        self.when_known()
        self.cost = await self._laboratory.cost(preamble)
        self.when_known()
