"""The history of the prompt: back through earlier questions, and forward to what was being typed.

Whatever was typed, before or into an earlier question, is there again when one comes back
to it, until something is sent.
"""

from __future__ import annotations

from collections.abc import Sequence

_DRAFT = -1


class Recall:
    """A cursor in the history of earlier questions."""

    def __init__(self) -> None:
        self.earlier: Sequence[str] = ()
        """Earlier questions, newest first."""
        self._place = _DRAFT
        self._left: dict[int, str] = {}
        """The texts as they were left, by place."""

    def step(self, distance: int, text: str) -> str | None:
        """Leave `text` and go `distance` places back; None where there is nothing."""
        place = self._place + distance
        if not _DRAFT <= place < len(self.earlier):
            return None
        self._left[self._place] = text
        self._place = place
        return self._left.get(place, "" if place == _DRAFT else self.earlier[place])

    def forget(self) -> None:
        """Reset to the newest place; what was typed is gone."""
        self._place = _DRAFT
        self._left.clear()
