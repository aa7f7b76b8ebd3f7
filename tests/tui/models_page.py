"""The screens about models as their user has them: what is pressed, and what is seen."""

from __future__ import annotations

from collections.abc import Callable

from textual.pilot import Pilot
from textual.widgets import OptionList, Static

from tests.tui.conftest import screen_text, shows, wait_until
from urial_tui.tui.app import UrialApp
from urial_tui.tui.models.details_screen import DetailsScreen
from urial_tui.tui.models.downloads import DownloadState
from urial_tui.tui.models.model_list import ModelRow
from urial_tui.tui.models.models_screen import ModelsScreen
from urial_tui.tui.models.pull_screen import PullScreen
from urial_tui.tui.models.remove_screen import RemoveScreen


class ModelsPage:
    """The screens, driven by their keys.

    Args:
        pilot: Of an application whose chat is there.
    """

    def __init__(self, pilot: Pilot[None]) -> None:
        self.pilot = pilot

    async def opens(self) -> None:
        """From the chat; all that is in view was looked at."""
        await self.pilot.press("alt+m")
        await self.until(lambda: isinstance(self.pilot.app.screen, ModelsScreen))
        await self.settles()

    async def settles(self) -> None:
        """Wait until there are rows, with all that is told of them."""
        await self.until(lambda: self.screen.is_settled)

    @property
    def app(self) -> UrialApp:
        app = self.pilot.app
        assert isinstance(app, UrialApp)
        return app

    @property
    def screen(self) -> ModelsScreen:
        return next(
            screen for screen in self.pilot.app.screen_stack if isinstance(screen, ModelsScreen)
        )

    @property
    def text(self) -> str:
        return screen_text(self.pilot)

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

    def shows(self, text: str) -> bool:
        return shows(self.pilot, text)

    def row(self, name: str) -> ModelRow:
        return next(row for row in self.screen.models.rows if row.name == name)

    def line(self, name: str) -> str:
        """The line of a row on the screen."""
        return next(line for line in self.text.splitlines() if f" {name} " in f"{line} ")

    async def until(self, predicate: Callable[[], bool]) -> None:
        await wait_until(self.pilot, predicate)

    async def presses(self, *keys: str) -> None:
        await self.pilot.press(*keys)
        await self.pilot.pause()

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
        await self.until(lambda: isinstance(self.pilot.app.screen, PullScreen))
        dialog = self.pilot.app.screen
        assert isinstance(dialog, PullScreen)
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
        """Wait until a download has."""
        await self.until(
            lambda: (state := self.app.downloads.state(name)) is not None and not state.is_open
        )
        return self.download(name)

    async def looks_at_details(self) -> DetailsScreen:
        await self.presses("i")
        await self.until(lambda: isinstance(self.pilot.app.screen, DetailsScreen))
        screen = self.pilot.app.screen
        assert isinstance(screen, DetailsScreen)
        told = screen.query_one("#model-details", Static)
        await self.until(lambda: not str(told.content).startswith("Reading"))
        return screen

    async def is_asked_to_remove(self) -> RemoveScreen:
        await self.until(lambda: isinstance(self.pilot.app.screen, RemoveScreen))
        screen = self.pilot.app.screen
        assert isinstance(screen, RemoveScreen)
        return screen
