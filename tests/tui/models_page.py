"""The screens about models as their user has them: what is pressed, and what is seen."""

from __future__ import annotations

from textual.widgets import OptionList, Static

from tests.tui.page import Page
from urial_tui.tui.app import UrialApp
from urial_tui.tui.models.details_screen import DetailsScreen
from urial_tui.tui.models.downloads import DownloadState
from urial_tui.tui.models.model_list import ModelRow
from urial_tui.tui.models.models_screen import ModelsScreen
from urial_tui.tui.models.pull_screen import PullScreen
from urial_tui.tui.models.remove_screen import RemoveScreen
from urial_tui.tui.models.template_screen import TemplateScreen


class ModelsPage(Page[ModelsScreen]):
    """The screens, driven by their keys."""

    kind = ModelsScreen
    key = "alt+m"

    async def arrives(self) -> None:
        """All that is in view was looked at."""
        await super().arrives()
        await self.settles()

    async def settles(self) -> None:
        """Wait until there are rows, with all that is told of them now."""
        await self.until(lambda: self.screen.is_settled)

    @property
    def app(self) -> UrialApp:
        app = self.pilot.app
        assert isinstance(app, UrialApp)
        return app

    @property
    def notice(self) -> str:
        return str(self.screen.query_one("#models-notice", Static).content)

    @property
    def told(self) -> str:
        """What is told of the row under the bar, as far as it goes below the window."""
        return str(self.screen.query_one("#models-detail", Static).content)

    @property
    def names(self) -> list[str]:
        return [row.name for row in self.screen.models.rows]

    def row(self, name: str) -> ModelRow:
        return next(row for row in self.screen.models.rows if row.name == name)

    def line(self, name: str) -> str:
        """The line of a row on the screen."""
        return next(line for line in self.lines if f" {name} " in f"{line} ")

    async def goes_to(self, name: str) -> None:
        """Have the bar stand on a model, and wait for what is told of it."""
        await self.until(lambda: name in self.names)
        self.screen.models.highlighted = self.names.index(name)
        await self.pilot.pause()
        await self.settles()

    def download(self, name: str) -> DownloadState:
        state = self.app.downloads.state(name)
        assert state is not None
        return state

    async def asks_to_pull(self, name: str) -> PullScreen:
        """Open the dialog, and wait until the hub has answered."""
        await self.goes_to(name)
        await self.presses("p")
        return await self.is_asked_what()

    async def is_asked_what(self) -> PullScreen:
        dialog = await self.is_on(PullScreen)
        await self.until(lambda: bool(dialog.query("#pull-asking")))
        asking = dialog.query_one("#pull-asking", Static)
        await self.until(lambda: not str(asking.content).startswith("Asking"))
        return dialog

    @staticmethod
    def chosen(dialog: PullScreen) -> str:
        """What is under the dialog's bar."""
        place = dialog.query_one("#pull-list", OptionList).highlighted
        assert place is not None
        return dialog.found[place].name

    async def ends(self, name: str) -> DownloadState:
        """Wait until a download has, and until that is told where it is on top."""
        await self.until(
            lambda: (state := self.app.downloads.state(name)) is not None and not state.is_open
        )
        if self.is_on_top:
            await self.settles()
        return self.download(name)

    async def looks_at_details(self) -> DetailsScreen:
        await self.presses("i")
        screen = await self.is_on(DetailsScreen)
        await self.until(lambda: not self.told_in("#model-details").startswith("Reading"))
        return screen

    async def looks_at_the_template(self, name: str) -> TemplateScreen:
        await self.goes_to(name)
        await self.looks_at_details()
        await self.presses("t")
        return await self.is_on(TemplateScreen)

    async def is_asked_to_remove(self) -> RemoveScreen:
        return await self.is_on(RemoveScreen)
