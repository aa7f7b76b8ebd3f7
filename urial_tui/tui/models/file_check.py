"""Verifying a model's files in the background: header, size, parts and checksum."""

from __future__ import annotations

from collections.abc import Sequence

from urial_tui.models.verification import CheckedFile, verify
from urial_tui.sanitize import shortened
from urial_tui.tui.frame.stoppable import Stoppable
from urial_tui.tui.models.model_list import ModelList
from urial_tui.tui.widgets.list_view import ListView


class FileCheck:
    """Checks the model under the bar, one at a time.

    Args:
        view: Has the bar; tells how far it is and what came of it.
    """

    def __init__(self, view: ListView[ModelList]) -> None:
        self._view = view
        self._going: Stoppable[[int, int]] | None = None

    def begin(self) -> None:
        """Check the model under the bar."""
        row = self._view.listed.row
        if row is None:
            return
        if row.listed.state != "here":
            self._view.say(f"{row.name} has no file here yet that could be checked.")
        elif self._going is None:
            self._going = Stoppable(self._tell)
            self._view.say(f"Checking {row.name}. {self._view.key('models.back')} stops that.")
            self._view.work("verify", self._check, row.name, self._going)

    def stop(self) -> bool:
        """End the one that runs; whether there was one."""
        going = self._going
        if going is None or going.stopped:
            return False
        going.stop()
        return True

    async def _check(self, name: str, going: Stoppable[[int, int]]) -> None:
        files = await self._view.in_thread(lambda: list(verify([name], going)))
        self._going = None
        if not self._view.alive:
            return
        self._view.hints.state = ""
        if files is not None:
            self._view.say(checked_words(name, files))
        elif going.stopped:
            self._view.say("The check was stopped.")

    def _tell(self, done: int, total: int) -> None:
        if self._view.alive and self._going is not None:
            self._view.hints.state = f"checking {done / total:.0%}" if total else "checking"


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
