"""A background scan for models: files are looked through again whenever they may have changed.

What was found stays until the next look is over.
"""

from __future__ import annotations

from collections.abc import Callable

from urial_tui import wording
from urial_tui.models.overview import Listed, Overview, overview
from urial_tui.tui.frame.stoppable import Stoppable
from urial_tui.tui.models.model_list import ModelList
from urial_tui.tui.widgets.list_view import ListView

_TELL_EVERY = 0.1
"""Seconds between two looks at how far it is."""


class Scan:
    """Scans in a thread, and calls back when there is something to show.

    Args:
        view: Where it is told what is wrong.
    """

    def __init__(self, view: ListView[ModelList]) -> None:
        self._view = view
        self._going: Stoppable[[int, int]] | None = None
        self.is_over = False
        """Whether the scan that was begun last has ended."""
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

    def partners(self, listed: Listed) -> list[Listed]:
        """The models that stand beside this one in the catalogue; those that are here first."""
        beside = [
            one
            for one in self.models
            if one.name == listed.partner or (one.partner and one.partner == listed.name)
        ]
        return sorted(beside, key=lambda one: not one.is_here)

    def look(self) -> None:
        """Look for files, and what is free now."""
        self.stop()
        self.is_over = False
        self._view.work_alone("look", self._look)

    def stop(self) -> None:
        """Look no further."""
        if self._going is not None:
            self._going.stop()

    async def _look(self) -> None:
        self._going = going = Stoppable[[int, int]](
            lambda done, total: self._tell(wording.looked_at(done, total)), _TELL_EVERY
        )
        found = await self._view.in_thread(lambda: overview(going))
        if self._view.alive:
            self.is_over = True
            self.progress = ""
            self.failed = found is None
            # What was found before stays.
            self.overview = found or self.overview or Overview(models=(), left_out=0)
            self.when_found()

    def _tell(self, words: str) -> None:
        self.progress = words
        if self._view.alive:
            self.when_told()
