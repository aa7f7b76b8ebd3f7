"""Loading the items of an evaluation in the background: read, then measured bit by bit.

The files are read in a thread, and the measures of all answers follow in another one, so thousands
of answers keep no key waiting.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from urial_tui.errors import UrialError
from urial_tui.evaluate.browsing import Browser, open_browser
from urial_tui.evaluate.items import ItemSet
from urial_tui.mistakes import explaining
from urial_tui.sanitize import sanitize_line
from urial_tui.tui.frame.screen_view import ScreenView

_TELL_EVERY = 0.5
"""Seconds between two looks at how far the measuring is."""
_REST = 0.01
"""Seconds for which the measuring leaves the processor to the keys, every few answers."""


class ItemBrowsing:
    """Has a browser once the files are read.

    Args:
        view: Of the screen.
        paths: Files of outputs and of judgements, in any order.
        items: What was asked, where that is known.
    """

    def __init__(self, view: ScreenView, paths: Sequence[Path], items: ItemSet | None) -> None:
        self._view = view
        self._paths = tuple(paths)
        self._items = items
        self._ended = threading.Event()
        """Set where nothing is to be measured any more."""
        self.browser: Browser | None = None
        self.when_known: Callable[[], object] = lambda: None
        """Called whenever there is more to find."""
        self.when_failed: Callable[[UrialError], object] = lambda error: None

    def begin(self) -> None:
        """Read and measure in the background."""
        self._view.work("read", self._read)

    def end(self) -> None:
        """Measure no more."""
        self._ended.set()

    async def _read(self) -> None:
        try:
            with explaining():
                browser = await asyncio.to_thread(open_browser, self._paths, self._items)
        except UrialError as error:
            if self._view.alive:
                self.when_failed(error)
            return
        if self._view.alive:
            self.browser = browser
            self.when_known()
            await self._measure(browser)

    async def _measure(self, browser: Browser) -> None:
        """Measure all answers in a thread, and say how far that is."""
        measuring = asyncio.ensure_future(
            asyncio.to_thread(browser.measure_all, lambda: not self._ended.wait(_REST))
        )
        try:
            while not measuring.done():
                await asyncio.wait([measuring], timeout=_TELL_EVERY)
                if self._view.alive:
                    self.when_known()
            with explaining():
                await measuring
        except UrialError as error:
            if self._view.alive:
                told = sanitize_line(str(error))
                self._view.screen.notify(told, severity="error", markup=False)
