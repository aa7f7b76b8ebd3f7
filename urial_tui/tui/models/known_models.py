"""A cache of what is known of each model, as rows; headers are read lazily for those in view."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from urial_tui.engine.wire.values import Device, EngineOptions
from urial_tui.errors import UrialError
from urial_tui.mistakes import explaining
from urial_tui.models.overview import Listed, Looked, look
from urial_tui.tui.models.downloads import Downloads
from urial_tui.tui.models.model_list import ModelList, ModelRow
from urial_tui.tui.models.scan import Scan
from urial_tui.tui.widgets.list_view import ListView


class KnownModels:
    """Makes the rows of what a scan found, and completes those that can be seen.

    Args:
        view: Shows the rows.
        scan: Finds models.
        downloads: May have others.
        options: Of the engine.
        in_use: What the chat's model is called.
        devices: What the engine computes on; None where that is not known yet.
    """

    def __init__(
        self,
        view: ListView[ModelList],
        scan: Scan,
        downloads: Downloads,
        options: EngineOptions,
        *,
        in_use: str,
        devices: Callable[[], Sequence[Device] | None],
    ) -> None:
        self._view = view
        self._scan = scan
        self._downloads = downloads
        self._options = options
        self._in_use = in_use
        self._devices = devices
        self._looked: dict[tuple[str, str, int], Looked] = {}
        self._reading = False
        self.when_read: Callable[[], object] = lambda: None

    @property
    def is_settled(self) -> bool:
        """Whether there are rows, and the headers of all that is in view were read."""
        return self._scan.overview is not None and not self._reading and not self._unread()

    @property
    def rows(self) -> list[ModelRow]:
        """All: first what is here, or comes though nothing else lists it; then by what comes."""
        found, states = self._scan.models, self._downloads.states
        known = {one.name for one in found}
        more = [
            Listed(name=state.name, state="unfinished", size=state.pace.total)
            for state in states
            if state.name not in known and (state.is_open or state.stage == "failed")
        ]
        coming = {state.name for state in states if state.is_open}
        absent = [one for one in found if not one.is_here]
        absent.sort(key=lambda one: one.name not in coming)
        return [self._row(one) for one in (*(one for one in found if one.is_here), *more, *absent)]

    def forget(self) -> None:
        """Invalidate what is known: files may be others, and other memory free."""
        self._looked = {}

    def read(self) -> None:
        """Read the headers of what is in view, if that is not being done."""
        if self._scan.overview is not None and not self._reading and self._unread():
            self._view.work_alone("headers", self._read)

    def _row(self, listed: Listed) -> ModelRow:
        return ModelRow(
            listed=listed,
            looked=self._looked.get(_key(listed)),
            download=self._downloads.state(listed.name),
            in_use=self._in_use in (listed.name, str(listed.path)),
        )

    def _unread(self) -> list[Listed]:
        return [row.listed for row in self._view.listed.in_view if row.looked is None]

    async def _read(self) -> None:
        """One header after another."""
        self._reading = True
        try:
            while self._view.alive and (waiting := self._unread()):
                listed = waiting[0]
                looked = await asyncio.to_thread(self._look_at, listed, self._devices())
                self._looked[_key(listed)] = looked
                if self._view.alive:
                    self._view.listed.change(self._row(listed))
                    self.when_read()
        finally:
            self._reading = False

    def _look_at(self, listed: Listed, devices: Sequence[Device] | None) -> Looked:
        """In a thread."""
        try:
            with explaining():
                return look(listed, self._options, devices)
        except UrialError as error:
            return Looked(trouble=error.message)


def _key(listed: Listed) -> tuple[str, str, int]:
    return listed.name, listed.state, listed.size
