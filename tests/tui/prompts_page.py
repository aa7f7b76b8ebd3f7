"""The screens about preambles as their user has them: what is pressed, and what is seen."""

from __future__ import annotations

from pathlib import Path

from tests.tui.page import Page
from urial_tui.evaluate.job import JobState
from urial_tui.tui.prompts.edit_screen import EditScreen
from urial_tui.tui.prompts.import_screen import PreambleImportScreen
from urial_tui.tui.prompts.preamble_list import PreambleRow
from urial_tui.tui.prompts.prompts_screen import PromptsScreen
from urial_tui.tui.prompts.reaching_screen import ReachingScreen
from urial_tui.tui.prompts.save_screen import SaveScreen
from urial_tui.tui.prompts.text_field import TextField
from urial_tui.tui.prompts.versions_screen import VersionsScreen
from urial_tui.tui.widgets.hint_line import HintLine
from urial_tui.tui.widgets.path_line import PathLine


class PromptsPage(Page[PromptsScreen]):
    """The screens, driven by their keys."""

    kind = PromptsScreen
    key = "alt+p"

    async def lists(self) -> None:
        """Wait until there are rows."""
        await self.until(lambda: bool(self.screen.preambles.rows))

    @property
    def states(self) -> list[JobState]:
        """Of the jobs, in their order."""
        return [job.going.state for job in self.screen.queue.jobs]

    def line(self, start: str) -> str:
        """The line of the screen whose text starts so."""
        return next(line for line in self.text.splitlines() if line.lstrip(" ◆").startswith(start))

    def row(self, name: str) -> PreambleRow:
        return next(row for row in self.screen.preambles.rows if row.name == name)

    @property
    def selected(self) -> str:
        """The name of what is under the bar; "" where nothing is."""
        row = self.screen.preambles.row
        return "" if row is None else row.name

    async def goes_to(self, name: str) -> None:
        """Have the bar stand on a preamble."""
        names = [row.name for row in self.screen.preambles.rows]
        self.screen.preambles.highlighted = names.index(name)
        await self.pilot.pause()

    async def counts(self) -> None:
        """Wait until the tokens of all that can be used are known, and what is kept of them."""
        await self.until(
            lambda: all(
                row.cost is not None
                for row in self.screen.preambles.rows
                if row.entry.preamble is not None
            )
        )
        await self.works_no_more()

    async def looks_at_tokens(self) -> ReachingScreen:
        """Of what is under the bar, once they are there."""
        await self.presses("t")
        screen = await self.is_on(ReachingScreen)
        await self.until(lambda: bool(screen.tokens))
        return screen

    @property
    def hints(self) -> str:
        """The keys that the screen on top names, with what they do."""
        line = self.pilot.app.screen.query_one(HintLine)
        return ",".join(f"{key} {what}" for key, what in line.keys)

    # -- changing ---------------------------------------------------------------------

    @property
    def editor(self) -> EditScreen:
        return self.top(EditScreen)

    async def edits(self, name: str) -> EditScreen:
        """Open a preamble to change it."""
        await self.goes_to(name)
        await self.presses("e")
        await self.is_on(EditScreen)
        await self.pilot.pause()
        return self.editor

    async def shows_part(self, number: int) -> None:
        """The texts of an example, or of 0, which is the system text."""
        self.editor.parts.highlighted = number
        await self.pilot.pause()

    async def writes(self, field: str, text: str) -> None:
        """Replace what stands in a field, "first" or "second"."""
        area = self.editor.query_one(f"#edit-{field}", TextField)
        area.focus()
        area.put("")
        area.insert(text)
        await self.pilot.pause()

    def field(self, field: str) -> str:
        return self.editor.query_one(f"#edit-{field}", TextField).full_text

    async def saves(self, name: str | None = None, **lines: str) -> None:
        """Open the dialog, fill it in, and send it; `lines`: title, description."""
        await self.presses("ctrl+s")
        await self.is_on(SaveScreen)
        for line, text in (("name", name), *lines.items()):
            if text is not None:
                self.pilot.app.screen.query_one(f"#save-{line}", PathLine).value = text
        await self.pilot.pause()
        await self.presses("enter")

    @property
    def verdict(self) -> str:
        """What the dialog says of what was sent."""
        return self.told_in("#save-verdict")

    async def is_saved(self) -> None:
        await self.is_on(EditScreen)
        await self.pilot.pause()

    # -- trying -----------------------------------------------------------------------

    @property
    def trial(self) -> VersionsScreen:
        return self.top(VersionsScreen)

    async def tries(self, *names: str) -> None:
        """Mark these, and open what tries them."""
        for name in names:
            await self.goes_to(name)
            await self.presses("space")
        await self.presses("y")
        await self.is_on(VersionsScreen)
        await self.pilot.pause()

    async def asks(self, question: str) -> None:
        await self.types(question)
        await self.presses("enter")

    async def is_answered(self) -> None:
        await self.until(lambda: not self.trial.answering)

    @property
    def answers(self) -> tuple[str, str]:
        left, right = (side.text.source for side in self.trial.sides)
        return left, right

    # -- importing --------------------------------------------------------------------

    async def imports(self, file: Path | str, name: str = "") -> None:
        """Open the dialog, fill it in, and send it."""
        await self.presses("i")
        await self.is_on(PreambleImportScreen)
        for line, text in (("file", str(file)), ("name", name)):
            self.pilot.app.screen.query_one(f"#import-{line}", PathLine).value = text
        await self.pilot.pause()
        await self.presses("enter")

    @property
    def import_verdict(self) -> str:
        """What the dialog says of what was sent."""
        return self.told_in("#preamble-verdict")
