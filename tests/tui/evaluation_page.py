"""The evaluation screen as its user has it: what is pressed, and what is seen."""

from __future__ import annotations

from pathlib import Path

from textual.widgets import Input

from tests.tui.held import Held
from tests.tui.page import Page
from urial_tui.evaluate.job import JobState
from urial_tui.tui.evaluate.evaluate_screen import EvaluateScreen
from urial_tui.tui.evaluate.judge_screen import JudgeScreen
from urial_tui.tui.evaluate.mark_list import MarkList
from urial_tui.tui.evaluate.new_runs_screen import NewRunsScreen
from urial_tui.tui.evaluate.report_screen import ReportScreen


class EvaluationPage(Page[EvaluateScreen]):
    """The screen, driven by its keys."""

    kind = EvaluateScreen
    key = "alt+e"

    async def arrives(self) -> None:
        await super().arrives()
        await self.reads("Evaluations")

    @property
    def states(self) -> list[JobState]:
        """Of the jobs, in their order."""
        return [job.going.state for job in self.screen.queue.jobs]

    # -- new runs ---------------------------------------------------------------------

    async def chooses_new(self) -> None:
        """Open the dialog."""
        await self.presses("n")
        await self.is_on(NewRunsScreen)

    async def fills(
        self, items: Path | None = None, *, contexts: tuple[str, ...] = (), **others: object
    ) -> None:
        """Fill the dialog in: lines by typing, other contexts by marking them.

        Args:
            items: The file.
            contexts: Those that are marked in the end; those at the start unless given.
            others: limit, parallel, tokens, seed, aligned, endpoint, there.
        """
        dialog = self.pilot.app.screen
        assert isinstance(dialog, NewRunsScreen)
        if contexts:
            dialog.query_one("#run-contexts", MarkList).mark(contexts)
        for name, typed in (("items", items), *others.items()):
            if typed is not None:
                line = dialog.query_one(f"#run-{name}", Input)
                line.value = str(typed)
        await self.pilot.pause()

    async def starts(
        self, items: Path | None = None, *, contexts: tuple[str, ...] = (), **others: object
    ) -> None:
        """New runs, from the dialog on."""
        await self.chooses_new()
        await self.fills(items, contexts=contexts, **others)
        await self.presses("enter")
        await self.until(lambda: bool(self.screen.queue.jobs) and self.is_on_top)

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
        await self.is_on(JudgeScreen)
        if judge:
            await self.types(judge)
        await self.presses("enter")
        await self.is_back()

    async def judges_at(self, endpoint: str, name: str = "") -> None:
        """Have what is chosen judged by a model behind an endpoint, from the dialog on."""
        if not isinstance(self.pilot.app.screen, JudgeScreen):
            await self.presses("j")
            await self.is_on(JudgeScreen)
        for line, typed in (("endpoint", endpoint), ("there", name)):
            self.pilot.app.screen.query_one(f"#judge-{line}", Input).value = typed
        await self.pilot.pause()
        await self.presses("enter")

    async def reports(self) -> None:
        """Open the report of what is chosen."""
        await self.presses("r")
        await self.is_on(ReportScreen)
        await self.reads("Runs")
