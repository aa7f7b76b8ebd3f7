"""The filter of the list of models: those here, those to download, or all; and a search."""

from __future__ import annotations

from collections.abc import Callable

from urial_tui.tui.models.model_list import ModelList, ModelRow
from urial_tui.tui.models.model_search import ModelSearch
from urial_tui.tui.models.model_words import words_of

_SHOWN = ("all", "here", "to download")


class ListFilter:
    """The filter's state; the search line is there while it has words or the focus.

    Args:
        search: Where words are typed.
        listed: What was found.
    """

    def __init__(self, search: ModelSearch, listed: ModelList) -> None:
        self._search = search
        self._listed = listed
        search.display = False
        self.shown = _SHOWN[0]
        self.when_changed: Callable[[], object] = lambda: None
        self.when_turned: Callable[[], object] = lambda: None
        """Called where other keys do something."""

    @property
    def words(self) -> str:
        """What is typed."""
        return self._search.value

    @property
    def narrowed(self) -> str:
        """What is shown, where that is not all."""
        return "" if self.shown == _SHOWN[0] else self.shown

    @property
    def only_here(self) -> bool:
        """Whether what is not on this machine is left out."""
        return self.shown == _SHOWN[1]

    def takes(self, row: ModelRow) -> bool:
        """Whether a model is wanted."""
        if self.narrowed and row.listed.is_here != self.only_here:
            return False
        words = self.words.casefold().split()
        text = words_of(row).casefold() if words else ""
        return all(word in text for word in words)

    def search(self) -> None:
        """Type what is looked for."""
        self._search.display = True
        self._search.focus()
        self.when_turned()

    def leave(self) -> None:
        """Go to what was found."""
        self._search.display = bool(self.words)
        self._listed.focus()
        self.when_turned()

    def end(self) -> bool:
        """List all again that a search has left out; whether there was one."""
        if not self._search.display:
            return False
        self._search.value = ""
        self.leave()
        return True

    def move(self, rows: int) -> None:
        """Select another row while one types."""
        if rows < 0:
            self._listed.action_cursor_up()
        else:
            self._listed.action_cursor_down()

    def turn(self) -> None:
        """Show those here, those that can be downloaded, or all."""
        self.shown = _SHOWN[(_SHOWN.index(self.shown) + 1) % len(_SHOWN)]
        self.when_changed()
