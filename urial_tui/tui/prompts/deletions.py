"""Deleting the user's own preambles, with a confirmation and an undo."""

from __future__ import annotations

from pathlib import Path

from urial_tui.prompting.own_preambles import bring_back_own, delete_own
from urial_tui.prompting.preamble_file import PreambleEntry
from urial_tui.tui.prompts.known_preambles import KnownPreambles
from urial_tui.tui.prompts.preamble_list import PreambleList
from urial_tui.tui.widgets.list_view import ListView


class Deletions:
    """Deletes what is under the bar once the key is pressed again.

    Args:
        view: Has the bar.
        known: Looks again afterwards.
    """

    def __init__(self, view: ListView[PreambleList], known: KnownPreambles) -> None:
        self._view = view
        self._known = known
        self._asked: PreambleEntry | None = None
        """What goes when it is said once more."""
        self._deleted: list[Path] = []
        """Where the files of those are that were deleted, the newest last."""

    @property
    def can_bring_back(self) -> bool:
        """Whether a preamble was deleted that is not back."""
        return bool(self._deleted)

    def look_at_row(self) -> None:
        """Take the question back that was asked about another row than that under the bar."""
        row = self._view.listed.row
        if self._asked is not None and (row is None or row.entry != self._asked):
            self.forget()
            self._view.forget_notice()

    def forget(self) -> None:
        """Take the question back: the key asks again."""
        self._asked = None

    def delete(self) -> None:
        """Delete the user's own preamble under the bar, once that is confirmed."""
        row = self._view.listed.row
        if self._view.comes_too_early() or row is None:
            return
        if row.entry.origin != "user":
            self._view.say(f"{row.name} comes with the program; only your own can be deleted.")
        elif self._asked != row.entry:
            self._asked = row.entry
            again = self._view.key("prompts.delete")
            self._view.say(f"▲ {again} again deletes {row.name}, {row.entry.path}.")
        else:
            self._asked = None
            self._view.work_alone("delete", self._delete, row.entry)

    def bring_back(self) -> None:
        """Bring back what was deleted last."""
        if self._deleted:
            self._view.work_alone("delete", self._bring_back, self._deleted[-1])
        else:
            self._view.say("No preamble was deleted here.")

    async def _delete(self, entry: PreambleEntry) -> None:
        kept = await self._view.in_thread(lambda: delete_own(entry.path))
        if kept is not None:
            self._deleted.append(kept)
            back = self._view.key("prompts.bring_back")
            self._known.look()
            self._view.say(
                f"{entry.name} is deleted; {back} brings it back. Its file is {kept.name} now."
            )

    async def _bring_back(self, kept: Path) -> None:
        path = await self._view.in_thread(lambda: bring_back_own(kept))
        if path is not None:
            self._deleted.remove(kept)
            self._view.listed.seek(path.stem)
            self._known.look()
            self._view.say(f"{path.stem} is back.")
