"""The window of a virtual list: which questions of a long conversation are widgets.

It moves along with the view.
"""

from __future__ import annotations

from typing import NamedTuple

SHOWN = 16
"""Questions with their answers that are made at first."""
MORE = 8
"""How many are made when one comes near to the end of those that are there."""
MOST = 48
"""How many there are at most, unless an answer is being written."""


class Window(NamedTuple):
    """A range of the questions: of `total` those from `first` to the one before `end`."""

    first: int = 0
    end: int = 0
    total: int = 0

    @property
    def at_end(self) -> bool:
        """Whether the newest question is in it."""
        return self.end == self.total

    def holds(self, number: int) -> bool:
        """Whether a question is in it."""
        return self.first <= number < self.end

    def oldest(self) -> Window:
        """A window with the first questions."""
        return self._replace(first=0, end=min(self.total, SHOWN))

    def newest(self) -> Window:
        """A window with the last questions."""
        return self._replace(first=max(0, self.total - SHOWN), end=self.total)

    def around(self, number: int) -> Window:
        """A window with a question and some before it."""
        first = max(0, number - MORE)
        return self._replace(first=first, end=min(self.total, first + SHOWN))

    def back_to(self, number: int) -> Window:
        """This window, extended back to some questions before a given one."""
        return self._replace(first=max(0, number - MORE))

    def with_earlier(self) -> Window:
        """This window, extended by some questions before it."""
        return self.back_to(self.first)

    def with_later(self) -> Window:
        """This window, extended by some questions behind it."""
        return self._replace(end=min(self.total, self.end + MORE))

    def without_later(self) -> Window:
        """This window, cut at its end to the most that there may be."""
        return self._replace(end=min(self.end, self.first + MOST))

    def without_earlier(self) -> Window:
        """This window, cut at its start to the most that there may be."""
        return self._replace(first=max(self.first, self.end - MOST))
