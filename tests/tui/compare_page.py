"""The compare screen as its user has it: two sides, a question, and what is told of its tokens."""

from __future__ import annotations

from tests.tui.page import PromptPage
from urial_tui.tui.compare.compare_screen import CompareScreen
from urial_tui.tui.compare.pick_side import PickSideScreen
from urial_tui.tui.drawing.token_strip import TokenStrip


class ComparePage(PromptPage[CompareScreen]):
    """The screen, driven by its keys."""

    kind = CompareScreen
    key = "f2"

    @property
    def strip(self) -> TokenStrip:
        """The tokens of the answer."""
        return self.screen.query_one(TokenStrip)

    @property
    def base(self) -> str:
        """The line of the base side."""
        return self.lines[0]

    @property
    def aligned(self) -> str:
        """The line of the aligned side."""
        return self.lines[1]

    async def asks(self, question: str = "How?") -> None:
        """Have the answer to a question compared."""
        await super().asks(question)

    async def is_compared(self) -> None:
        """Wait for the result."""
        await self.until(lambda: self.is_on_top and self.screen.result is not None)
        await self.status_reads("token")

    async def compares(self, question: str = "How?") -> None:
        """Ask, and wait for the result."""
        await self.asks(question)
        await self.is_compared()

    async def changes_base(self, *keys: str) -> None:
        """Open the dialog of the base side; press keys in it, the last of which closes it."""
        await self.pilot.press("f2")
        await self._picks("The base side", keys)

    async def changes_aligned(self, *keys: str) -> None:
        """The same of the aligned side."""
        await self.pilot.press("f3")
        await self._picks("The aligned side", keys)

    async def _picks(self, title: str, keys: tuple[str, ...]) -> None:
        await self.is_on(PickSideScreen)
        await self.reads(title)
        if keys:
            await self.pilot.press(*keys)
            await self.is_back()
