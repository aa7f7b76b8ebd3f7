"""An application with one screen of an evaluation, and what can be done on it."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from importlib import resources
from itertools import count
from typing import Any, ClassVar

from textual import on
from textual.binding import Binding, BindingType
from textual.pilot import Pilot
from textual.screen import Screen

from tests.tui.looking import wait_until
from tests.tui.page import Page, Shown
from urial_tui.settings import Settings
from urial_tui.tui.frame.configured_app import ConfiguredApp
from urial_tui.tui.frame.messages import CopyRequested


class ScreenApp(ConfiguredApp):
    """Opens a screen over an empty one."""

    CSS_PATH = str(resources.files("urial_tui.tui.frame") / "urial.tcss")
    VERTICAL_BREAKPOINTS = [(0, "-short"), (18, "-roomy")]  # noqa: RUF012  # as Textual types it
    BINDINGS: ClassVar[list[BindingType]] = [Binding("f1", "help", "Keys")]

    def __init__(self, screen: Screen[Any], settings: Settings | None = None) -> None:
        super().__init__(settings or Settings())
        self._opened = screen
        self.copied: list[str] = []
        """What was asked to be copied."""

    @on(CopyRequested)
    def copy(self, event: CopyRequested) -> None:
        self.copied.append(event.text)

    def on_mount(self) -> None:
        self.push_screen(self._opened)


@contextlib.asynccontextmanager
async def showing(
    screen: Screen[Any], *, size: tuple[int, int] = (80, 24), settings: Settings | None = None
) -> AsyncIterator[Pilot[None]]:
    """An application that shows the screen."""
    async with ScreenApp(screen, settings).run_test(size=size, notifications=True) as pilot:
        await wait_until(pilot, lambda: pilot.app.screen is screen)
        yield pilot


def slow_clock() -> Any:
    """A clock on which a second passes each time that somebody looks."""
    ticks = count()
    return lambda: float(next(ticks))


class AlonePage(Page[Shown]):
    """A screen that was opened over an empty one."""

    @property
    def app(self) -> ScreenApp:
        app = self.pilot.app
        assert isinstance(app, ScreenApp)
        return app

    async def leaves(self, *keys: str) -> None:
        """Back to the empty one: by the last of these keys, which is Esc unless told."""
        await self.pilot.press(*keys or ("escape",))
        await self.until(lambda: not self.is_on_top)
