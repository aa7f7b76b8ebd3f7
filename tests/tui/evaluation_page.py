"""The evaluation screen as its user has it: what is pressed, and what is seen."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from textual.pilot import Pilot
from textual.widgets import Input

from tests.tui.conftest import screen_text, shows, type_text, wait_until
from tests.tui.held import Held
from urial_tui.evaluate.job import JobState
from urial_tui.tui.chat.chat_screen import ChatScreen
from urial_tui.tui.evaluate.evaluate_screen import EvaluateScreen
from urial_tui.tui.evaluate.judge_screen import JudgeScreen
from urial_tui.tui.evaluate.mark_list import MarkList
from urial_tui.tui.evaluate.new_runs_screen import NewRunsScreen
from urial_tui.tui.evaluate.report_screen import ReportScreen


class EvaluationPage:
    """The screen, driven by its keys.

    Args:
        pilot: Of an application whose chat is there.
    """

    def __init__(self, pilot: Pilot[None]) -> None:
        self.pilot = pilot

    async def opens(self) -> None:
        """From the chat."""
        await self.pilot.press("alt+e")
        await self.until(lambda: isinstance(self.pilot.app.screen, EvaluateScreen))
        await self.until(lambda: self.shows("Evaluations"))

    @property
    def screen(self) -> EvaluateScreen:
        return next(
            screen for screen in self.pilot.app.screen_stack if isinstance(screen, EvaluateScreen)
        )

    @property
    def states(self) -> list[JobState]:
        """Of the jobs, in their order."""
        return [job.going.state for job in self.screen.queue.jobs]

    @property
    def text(self) -> str:
        return screen_text(self.pilot)

    def shows(self, text: str) -> bool:
        return shows(self.pilot, text)

    async def until(self, predicate: Callable[[], bool]) -> None:
        await wait_until(self.pilot, predicate)

    async def presses(self, *keys: str) -> None:
        await self.pilot.press(*keys)
        await self.pilot.pause()

    # -- new runs ---------------------------------------------------------------------

    async def chooses_new(self) -> None:
        """Open the dialog."""
        await self.presses("n")
        await self.until(lambda: isinstance(self.pilot.app.screen, NewRunsScreen))

    async def fills(
        self, items: Path | None = None, *, contexts: tuple[str, ...] = (), **numbers: int
    ) -> None:
        """Fill the dialog in: lines by typing, other contexts by marking them.

        Args:
            items: The file.
            contexts: Those that are marked in the end; those at the start unless given.
            numbers: limit, parallel, tokens.
        """
        dialog = self.pilot.app.screen
        assert isinstance(dialog, NewRunsScreen)
        if contexts:
            dialog.query_one("#run-contexts", MarkList).mark(contexts)
        for name, typed in (("items", items), *numbers.items()):
            if typed is not None:
                line = dialog.query_one(f"#run-{name}", Input)
                line.value = str(typed)
        await self.pilot.pause()

    async def starts(
        self, items: Path | None = None, *, contexts: tuple[str, ...] = (), **numbers: int
    ) -> None:
        """New runs, from the dialog on."""
        await self.chooses_new()
        await self.fills(items, contexts=contexts, **numbers)
        await self.presses("enter")
        await self.until(
            lambda: bool(self.screen.queue.jobs) and self.pilot.app.screen is self.screen
        )

    async def stops(self, held: Held | None = None) -> None:
        """What is being done, which may stand still, and wait for its end."""
        await self.presses("escape")
        if held is not None:
            held.go_on()
        await self.ends()

    async def ends(self) -> None:
        """Wait until nothing is being done any more, and the list is read again."""
        await self.until(lambda: not self.screen.queue.busy)
        await self.pilot.pause()

    async def lists(self, number: int) -> None:
        """From what was done to the list of so many."""
        if not self.screen.evaluations.display:
            await self.presses("l")
        await self.until(lambda: len(self.screen.evaluations.rows) == number)

    # -- judges and reports -------------------------------------------------------------

    async def judges(self, judge: str = "") -> None:
        """Have what is chosen judged by the model under the bar, or by this one."""
        await self.presses("j")
        await self.until(lambda: isinstance(self.pilot.app.screen, JudgeScreen))
        if judge:
            await type_text(self.pilot, judge)
        await self.presses("enter")
        await self.until(lambda: self.pilot.app.screen is self.screen)

    async def reports(self) -> None:
        """Open the report of what is chosen."""
        await self.presses("r")
        await self.until(lambda: isinstance(self.pilot.app.screen, ReportScreen))
        await self.until(lambda: self.shows("Runs"))

    async def leaves(self) -> None:
        """Back to the chat."""
        while not isinstance(self.pilot.app.screen, ChatScreen):
            await self.presses("escape")
