"""A screen as its user has it: what is pressed, and what is seen.

The page of a screen adds what is done there in the words of who does it, so that a test reads
as a sentence. A page asserts nothing: what ought to be seen is the test's to say.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeVar

from textual.app import App
from textual.pilot import Pilot
from textual.screen import Screen
from textual.widgets import Static

from tests.tui.looking import screen_text, shows, status, type_text, wait_until
from urial_tui.tui.chat.chat_screen import ChatScreen
from urial_tui.tui.widgets.prompt import Prompt

Shown = TypeVar("Shown", bound=Screen[Any])
Other = TypeVar("Other", bound=Screen[Any])

Another = TypeVar("Another", bound="Page[Any]")


class Page(Generic[Shown]):
    """A screen, driven by its keys.

    Args:
        pilot: Of an application that shows the screen, or one from which `opens` leads to it.
    """

    kind: type[Shown]
    """Of the screen."""
    key = ""
    """It opens the screen from the chat."""

    def __init__(self, pilot: Pilot[None]) -> None:
        self.pilot = pilot
        self._last: Shown | None = None
        self._find()

    async def opens(self) -> None:
        """From the chat."""
        await self.pilot.press(self.key)
        await self.arrives()

    async def arrives(self) -> None:
        """Wait until the screen is there, with what is wanted of it from the start."""
        await self.is_on(self.kind)

    @property
    def app(self) -> App[Any]:
        return self.pilot.app

    # -- what is seen -----------------------------------------------------------------

    @property
    def screen(self) -> Shown:
        """The screen, maybe below a dialog or another screen, or gone since."""
        self._find()
        assert self._last is not None, f"no {self.kind.__name__} was there yet"
        return self._last

    def _find(self) -> None:
        there = (one for one in self.app.screen_stack if isinstance(one, self.kind))
        self._last = next(there, self._last)

    @property
    def is_on_top(self) -> bool:
        """Whether it is the screen that is seen."""
        return isinstance(self.app.screen, self.kind)

    @property
    def text(self) -> str:
        """All that is seen, line by line."""
        return screen_text(self.pilot)

    @property
    def lines(self) -> list[str]:
        return self.text.split("\n")

    @property
    def status(self) -> str:
        """The last line."""
        return status(self.pilot)

    def shows(self, text: str) -> bool:
        return shows(self.pilot, text)

    def told_in(self, selector: str) -> str:
        """What a text of the topmost screen says, also outside of the window."""
        return str(self.app.screen.query_one(selector, Static).content)

    # -- what is done -----------------------------------------------------------------

    async def presses(self, *keys: str) -> None:
        await self.pilot.press(*keys)
        # One of them may have ended it.
        if self.app.is_running:
            await self.pilot.pause()

    async def pauses(self) -> None:
        """Let the application do what it has to do."""
        await self.pilot.pause()

    async def types(self, text: str) -> None:
        await type_text(self.pilot, text)

    async def resizes(self, width: int, height: int) -> None:
        """Have a window of another size."""
        await self.pilot.resize_terminal(width, height)

    async def until(self, predicate: Callable[[], bool]) -> None:
        """Wait for something."""
        await wait_until(self.pilot, predicate)

    async def works_no_more(self) -> None:
        """Wait until all that the screen has begun in the background is done."""
        await self.until(
            lambda: all(
                worker.is_finished for worker in self.app.workers if worker.node is self.screen
            )
        )

    async def reads(self, text: str) -> None:
        """Wait until it is seen."""
        await self.until(lambda: self.shows(text))

    async def loses(self, text: str) -> None:
        """Wait until it is no longer seen."""
        await self.until(lambda: not self.shows(text))

    async def status_reads(self, text: str) -> None:
        """Wait until the last line says so."""
        await self.until(lambda: text in self.status)

    def top(self, kind: type[Other]) -> Other:
        """The screen on top, which is of this kind."""
        screen = self.app.screen
        assert isinstance(screen, kind)
        return screen

    async def is_on(self, kind: type[Other]) -> Other:
        """Wait for another screen on top."""
        await self.until(lambda: isinstance(self.app.screen, kind))
        return self.top(kind)

    async def leads_to(self, page: type[Another], key: str = "") -> Another:
        """Open another screen by its key, or by this one; its page."""
        opened = page(self.pilot)
        await self.pilot.press(key or page.key)
        await opened.arrives()
        return opened

    async def is_back(self) -> None:
        """Wait until nothing is on top of it any more."""
        await self.until(lambda: self.is_on_top)

    async def leaves(self) -> None:
        """Back to the chat."""
        while not isinstance(self.app.screen, ChatScreen):
            await self.presses("escape")


class PromptPage(Page[Shown]):
    """A screen on which something is asked."""

    @property
    def prompt(self) -> Prompt:
        return self.screen.query_one(Prompt)

    async def asks(self, question: str) -> None:
        """Type a question, and send it."""
        await self.types(question)
        await self.pilot.press("enter")
