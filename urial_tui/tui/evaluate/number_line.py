"""An input for a whole number that may be left empty."""

from __future__ import annotations

from textual.widgets import Input


class NumberLine(Input):
    """Digits only, and no number below 1.

    Args:
        most: The largest number.
        placeholder: What it means to leave it empty.
        id: Its name.
    """

    def __init__(self, most: int, placeholder: str, id: str) -> None:  # Textual's name
        super().__init__(
            placeholder=placeholder,
            id=id,
            restrict=r"([1-9][0-9]*)?",
            max_length=len(str(most)),
            classes="evaluate-line",
        )
        self._most = most

    @property
    def number(self) -> int | None:
        """The number, None where there is none; what is too large is the largest."""
        typed = int(self.value) if self.value.isascii() and self.value.isdigit() else 0
        return min(typed, self._most) or None
