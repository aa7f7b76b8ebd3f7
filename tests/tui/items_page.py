"""The items of an evaluation as their user has them: what is sought, and what is looked at."""

from __future__ import annotations

from tests.tui.evaluations import AlonePage
from urial_tui.tui.evaluate.items_screen import ItemsScreen
from urial_tui.tui.widgets.heading_line import HeadingLine


class ItemsPage(AlonePage[ItemsScreen]):
    """The screen, driven by its keys."""

    kind = ItemsScreen

    @property
    def head(self) -> str:
        return str(self.screen.query_one(HeadingLine).render())

    @property
    def listed(self) -> list[int]:
        """The places of the items in the list."""
        return list(self.screen.listed.rows)

    @property
    def columns(self) -> list[str]:
        """The answers in the columns that are shown."""
        return ["\n".join(column.texts) for column in self.screen.pane.columns]

    async def is_measured(self) -> None:
        """Wait until all answers are measured and the list says so."""
        await self.is_read()
        await self.until(lambda: "measured" not in self.head)

    async def is_read(self) -> None:
        await self.until(lambda: "run" in self.head)

    async def lists(self, *places: int) -> None:
        await self.until(lambda: self.listed == list(places))

    async def selects(self, place: int) -> None:
        """Wait until the bar stands there."""
        await self.until(lambda: self.screen.listed.place == place)

    async def seeks(self, words: str) -> None:
        await self.types(words)

    async def filters(self, key: str) -> None:
        """Press the key of a filter."""
        await self.pilot.press(key)

    async def shows_all(self) -> None:
        """Take back what was sought."""
        await self.pilot.press("escape")

    async def moves(self, *keys: str) -> None:
        """The bar in the list."""
        await self.pilot.press(*keys)

    async def looks_at_item(self) -> None:
        """Look at the selected item alone."""
        await self.pilot.press("enter")
        await self.until(lambda: self.screen.is_alone and bool(self.columns))

    async def turns(self, *keys: str) -> None:
        """To other answers to the item, or to the items before and after."""
        await self.pilot.press(*keys)

    async def goes_back_to_list(self) -> None:
        await self.pilot.press("escape")
