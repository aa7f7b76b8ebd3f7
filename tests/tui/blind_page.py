"""Blind judging as its user has it: two answers without a name, and which one is better."""

from __future__ import annotations

from functools import partial

from tests.tui.evaluations import AlonePage
from urial_tui.tui.drawing.answer_text import AnswerText
from urial_tui.tui.evaluate.blind_screen import BlindScreen


class BlindPage(AlonePage[BlindScreen]):
    """The screen, driven by its keys."""

    kind = BlindScreen

    @property
    def answers(self) -> tuple[str, str]:
        """The answers at the left and at the right."""
        left, right = self.screen.columns
        return "\n".join(left.texts), "\n".join(right.texts)

    async def is_at(self, phase: str) -> None:
        await self.until(lambda: self.screen.sitting.phase == phase)

    async def judges(self, key: str) -> None:
        """Press the key of a verdict, and wait until what it does is done."""
        await self.pilot.press(key)
        await self.until(lambda: not self.screen.sitting.busy)

    async def undoes(self) -> None:
        """Take the last verdict back, and wait until that is done."""
        await self.judges("u")

    async def clicks(self, verdict: str) -> None:
        await self.pilot.click(f"#verdict-{verdict}")

    async def judges_all(self, better: str) -> list[tuple[str, str]]:
        """Prefer the answers with this in them, to the last pair; what was shown."""
        seen = []
        while self.screen.sitting.phase == "judging":
            seen.append(self.answers)
            before = self.screen.sitting.judging.done if self.screen.sitting.judging else 0
            await self.judges("a" if better in self.answers[0] else "b")
            await self.until(partial(self._has_judged, before + 1))
        return seen

    def _has_judged(self, count: int) -> bool:
        judging = self.screen.sitting.judging
        return judging is not None and judging.done == count and not self.screen.sitting.busy

    async def does(self, *actions: str) -> None:
        """One after another, faster than any of them is written."""
        for action in actions:
            await self.screen.run_action(action)

    async def ends(self) -> None:
        """Judge no more of them: what came of it so far, or the screen below."""
        await self.pilot.press("escape")

    async def looks_at_result(self) -> None:
        """Once all are judged."""
        await self.pilot.press("r")

    async def turns_view(self) -> None:
        """To the next of the ways in which the answers stand."""
        await self.presses("v")

    async def scrolls(self, *keys: str) -> None:
        await self.pilot.press(*keys)

    def follows(self, address: str) -> None:
        """Click a link in the answer at the left."""
        left, _ = self.screen.columns
        left.query_one(AnswerText).action_link(address)
