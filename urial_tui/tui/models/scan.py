"""The models that there are: files looked through in a thread, whenever something may have changed.

What was found stays until the next look is over.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable

from urial_tui import wording
from urial_tui.models.overview import Listed, Overview, overview
from urial_tui.tui.frame.screen_view import ScreenView
from urial_tui.tui.widgets.notice_line import NoticeLine

_TELL_EVERY = 0.1
"""Seconds between two looks at how far it is."""


class _Ended(Exception):
    """What was being read is not wanted any more."""


class Scan:
    """Looks, and tells when there is something to show.

    Args:
        view: Of the screen.
        notice: Where it is told what is wrong.
    """

    def __init__(self, view: ScreenView, notice: NoticeLine) -> None:
        self._view = view
        self._notice = notice
        self._ended = threading.Event()
        self.overview: Overview | None = None
        self.failed = False
        """Whether nothing could be listed when that was tried last; the notice says why."""
        self.progress = ""
        """How far the files are looked through, in words."""
        self.when_told: Callable[[], object] = lambda: None
        self.when_found: Callable[[], object] = lambda: None

    @property
    def models(self) -> tuple[Listed, ...]:
        """Those that were found."""
        return () if self.overview is None else self.overview.models

    def named(self, name: str) -> Listed | None:
        """The model of that name."""
        return next((one for one in self.models if one.name == name), None)

    def look(self) -> None:
        """Look for files, and what is free now."""
        self._view.work_alone("look", self._look)

    def close(self) -> None:
        """Look no further."""
        self._ended.set()

    async def _look(self) -> None:
        loop = asyncio.get_running_loop()
        told = 0.0

        def progress(done: int, total: int) -> None:
            nonlocal told
            if self._ended.is_set():
                raise _Ended
            now = time.monotonic()
            if now - told >= _TELL_EVERY:
                told = now
                loop.call_soon_threadsafe(self._tell, wording.looked_at(done, total))

        def find() -> Overview | None:
            try:
                return overview(progress)
            except _Ended:
                return None

        found = await self._notice.in_thread(find)
        if self._view.alive:
            self.progress = ""
            self.failed = found is None
            # What was found before stays.
            self.overview = found or self.overview or Overview(models=(), left_out=0)
            self.when_found()

    def _tell(self, words: str) -> None:
        self.progress = words
        if self._view.alive:
            self.when_told()
