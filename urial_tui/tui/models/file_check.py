"""The check of a model's files that runs: header, size, parts and checksum, one model at a time."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence

from urial_tui.models.verification import CheckedFile, verify
from urial_tui.sanitize import shortened
from urial_tui.tui.frame.screen_view import ScreenView
from urial_tui.tui.models.model_list import ModelList
from urial_tui.tui.widgets.hint_line import HintLine
from urial_tui.tui.widgets.notice_line import NoticeLine


class _Ended(Exception):
    """It is not wanted any more."""


class FileCheck:
    """Checks the model under the bar.

    Args:
        view: Of the screen.
        listed: Has the bar.
        notice: Tells what came of it.
        hints: Tell how far it is.
    """

    def __init__(
        self, view: ScreenView, listed: ModelList, notice: NoticeLine, hints: HintLine
    ) -> None:
        self._view = view
        self._listed = listed
        self._notice = notice
        self._hints = hints
        self._running: threading.Event | None = None
        """Ends the one that runs."""

    def begin(self) -> None:
        """Check the model under the bar."""
        row = self._listed.row
        if row is None:
            return
        if row.listed.state != "here":
            self._notice.say(f"{row.name} has no file here yet that could be checked.")
        elif self._running is None:
            self._running = threading.Event()
            self._notice.say(f"Checking {row.name}. {self._view.key('models.back')} stops that.")
            self._view.work_alone("verify", self._check, row.name, self._running)

    def stop(self) -> bool:
        """End the one that runs; whether there was one."""
        ended = self._running
        if ended is None or ended.is_set():
            return False
        ended.set()
        return True

    async def _check(self, name: str, ended: threading.Event) -> None:
        loop = asyncio.get_running_loop()

        def progress(done: int, total: int) -> None:
            if ended.is_set():
                raise _Ended
            share = f"{done / total:.0%}" if total else ""
            loop.call_soon_threadsafe(self._tell, f"checking {share}")

        def check() -> list[CheckedFile]:
            try:
                return list(verify([name], progress))
            except _Ended:
                return []

        files = await self._notice.in_thread(check)
        self._running = None
        self._tell("")
        if files is not None:
            self._notice.say(checked_words(name, files) if files else "The check was stopped.")

    def _tell(self, words: str) -> None:
        if self._view.alive:
            self._hints.state = words if self._running is not None else ""


def checked_words(name: str, files: Sequence[CheckedFile]) -> str:
    """What came of a check, a sentence or two."""
    wrong = [(file, why) for file in files for why in file.wrong]
    if wrong:
        more = f" And {len(wrong) - 1:,} more." if len(wrong) > 1 else ""
        of = f" ({wrong[0][0].path.name})" if len(files) > 1 else ""
        return shortened(f"✖ {name} is not whole{of}: {wrong[0][1]}{more}", 400)
    by = {file.checked_by for file in files}
    if by == {"nothing"}:
        return f"✔ {name} is whole, as far as its header tells; no checksum is known."
    whose = "the catalogue's" if "catalogue" in by else "the hub's"
    return f"✔ {name} is whole: its checksum is {whose}."
