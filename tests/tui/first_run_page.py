"""The screen where there is no model as its user has it: three ways to one."""

from __future__ import annotations

from textual.widgets import DataTable, Input

from tests.tui.page import Page
from urial_tui.tui.frame.first_run import FirstRunScreen
from urial_tui.tui.widgets.model_file import ModelTree


class FirstRunPage(Page[FirstRunScreen]):
    """The screen, driven by its keys; it opens by itself."""

    kind = FirstRunScreen

    async def arrives(self) -> None:
        """What is on the machine was looked at."""
        await self.until(lambda: self.shows("Choose a model") and self.shows("Gemma 3 270M"))

    async def offers_demo(self) -> None:
        """Wait until the demo model is one key away."""
        await self.reads("Use the demo model")

    async def clicks_demo(self) -> None:
        await self.pilot.click("#use-demo")

    @property
    def path(self) -> Input:
        """The line that names a file."""
        return self.screen.query_one("#file-path", Input)

    async def goes_to_files(self) -> None:
        await self.presses("f3")
        await self.until(lambda: self.path.has_focus)

    async def goes_to_tree(self) -> None:
        """Have the keys move in the tree of files."""
        self.screen.query_one(ModelTree).focus()
        await self.pauses()

    async def goes_to_catalogue(self) -> None:
        await self.presses("f4")
        await self.until(lambda: self.screen.query_one(DataTable).has_focus)

    async def names(self, path: str, said: str) -> None:
        """Put a path into the line, and wait for what is said of it."""
        self.path.value = path
        await self.reads(said)

    async def leads_to_chat(self) -> None:
        """Wait until the chat has a model."""
        await self.status_reads("ready")
