"""Removing models from this machine, after telling what else uses their files."""

from __future__ import annotations

from urial_tui import wording
from urial_tui.models import placing
from urial_tui.models.overview import Listed
from urial_tui.models.unfinished import discard
from urial_tui.tui.models.downloads import Downloads
from urial_tui.tui.models.model_list import ModelList, ModelRow
from urial_tui.tui.models.remove_screen import RemoveScreen
from urial_tui.tui.models.scan import Scan
from urial_tui.tui.widgets.list_view import ListView


class Removals:
    """Removes the model under the bar, or what came of it.

    Args:
        view: Has the bar.
        scan: Looks again afterwards.
        downloads: May have one of it that failed.
    """

    def __init__(self, view: ListView[ModelList], scan: Scan, downloads: Downloads) -> None:
        self._view = view
        self._scan = scan
        self._downloads = downloads

    def remove(self) -> None:
        """Ask whether it is to be done, and do it."""
        row = self._view.listed.row
        if row is None:
            return
        if row.is_coming:
            stop = self._view.key("models.stop")
            self._view.say(f"{row.name} is being downloaded; {stop} stops that first.")
        elif row.listed.state == "unfinished" and row.listed.left:
            self._view.work_alone("dialog", self._discard, row.listed)
        elif row.listed.state == "unfinished":
            # Nothing came, and nothing but the download that failed has it listed.
            self._downloads.forget(row.name)
            self._tell(f"Nothing of {row.name} was here. It is no longer listed.")
        else:
            self._view.work_alone("dialog", self._remove, row)

    async def _remove(self, row: ModelRow) -> None:
        planned = await self._view.in_thread(lambda: placing.removal(row.name))
        if planned is None:
            return
        uses = list(planned.uses)
        if row.listed.store == "hub":
            uses.insert(0, "it is in Hugging Face's cache, where other programs may use it, too")
        if row.in_use:
            uses.insert(0, "the chat answers with it")
        dialog = RemoveScreen(planned.name, planned.files, planned.frees, uses)
        if await self._view.chosen_on(dialog):
            freed = await self._view.in_thread(lambda: placing.remove(planned))
            if freed is not None:
                self._tell(f"{planned.name} was removed; {wording.size(freed)} are free.")

    async def _discard(self, listed: Listed) -> None:
        """Remove what came of an interrupted download."""
        dialog = RemoveScreen(listed.name, listed.left, listed.done, ["it is unfinished"])
        if await self._view.chosen_on(dialog):
            freed = await self._view.in_thread(lambda: discard(listed.left))
            if freed is not None:
                self._tell(f"What came of {listed.name} was removed.")

    def _tell(self, done: str) -> None:
        self._view.say(done)
        self._scan.look()
