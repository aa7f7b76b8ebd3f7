"""A preamble that is being changed, beside the file that it came from.

What is not saved is kept as a draft; one that comes with the program is saved as a copy.
"""

from __future__ import annotations

from typing import Protocol

import msgspec

from urial_tui.errors import PreambleError, UsageError
from urial_tui.files import is_there
from urial_tui.prompting.edited import EditedPreamble
from urial_tui.prompting.own_preambles import free_name, own_path, save_own
from urial_tui.prompting.preamble import Preamble
from urial_tui.prompting.preamble_file import PreambleEntry, read_preamble


class PreambleDrafts(Protocol):
    """Keeps what is not saved."""

    def keep_draft(self, name: str, preamble: Preamble) -> None:
        """Remember what was made of the preamble of that name."""

    def forget_draft(self, name: str) -> None:
        """There is nothing that is not saved."""


class ChangedPreamble:
    """Knows what is not saved.

    Args:
        drafts: Keep that.
        entry: The preamble's file as it was found.
        preamble: What is in it, or what was made of that before.
    """

    def __init__(self, drafts: PreambleDrafts, entry: PreambleEntry, preamble: Preamble) -> None:
        self.edited = EditedPreamble(preamble)
        self.name = entry.name
        """Under which what is not saved is kept."""
        self.saved_as: str | None = None
        self._drafts = drafts
        self._entry = entry
        self._discarded: EditedPreamble | None = None

    @property
    def saved(self) -> Preamble | None:
        """What is in the file; None without one."""
        return self._entry.preamble

    @property
    def unsaved(self) -> bool:
        """Whether there is something that is not saved."""
        return self.edited.result != self.saved

    @property
    def shipped(self) -> bool:
        """Whether its file comes with the program: what is saved becomes another one."""
        return self._entry.origin == "shipped"

    def keep(self) -> None:
        """Keep what is not saved, outside this screen."""
        if self.unsaved:
            self._discarded = None
            self._drafts.keep_draft(self.name, self.edited.preamble)
        else:
            self._drafts.forget_draft(self.name)

    def discard(self) -> bool:
        """Take what is in the file; whether there is one."""
        if self.saved is None:
            return False
        if self.unsaved:
            self._discarded = self.edited
        self.edited = EditedPreamble(self.saved)
        self.keep()
        return True

    @property
    def can_undo_discard(self) -> bool:
        """Whether something was discarded, and nothing changed since."""
        return self._discarded is not None

    def undo_discard(self) -> bool:
        """Take what was discarded; whether there is anything."""
        if self._discarded is None:
            return False
        self.edited = self._discarded
        self.keep()
        return True

    def proposed(self) -> Preamble:
        """What would be saved, under a name of the user's own."""
        preamble = self.edited.result
        if self.shipped:
            return msgspec.structs.replace(preamble, name=free_name(self.name))
        return preamble

    def save(self, named: Preamble, confirmed: bool) -> Preamble:
        """Write it to a file of the user's own; may take long, for a thread.

        Args:
            named: What was proposed, as the user names it.
            confirmed: Whether another file may be replaced.

        Raises:
            UrialError: As `save_own`, or the file is another one by now.
        """
        entry = self._entry
        own = entry.origin == "user" and named.name == entry.name
        try:
            return save_own(named, replace=confirmed or (own and _is_as_it_was(entry)))
        except UsageError as error:
            if own:
                raise UsageError(f"{entry.name} has changed on the disk since.") from error
            raise

    def go_on_with(self, saved: Preamble) -> None:
        """This was saved: what is changed from here on is compared with it."""
        self._drafts.forget_draft(self.name)
        self.name = self.saved_as = saved.name
        self._entry = PreambleEntry(
            name=saved.name, path=own_path(saved.name), origin="user", preamble=saved
        )
        self.edited.call(saved.name, saved.title, saved.description)


def _is_as_it_was(entry: PreambleEntry) -> bool:
    """Whether a file still holds what was read from it."""
    try:
        return read_preamble(entry.path) == entry.preamble
    except PreambleError:
        return not is_there(entry.path)
