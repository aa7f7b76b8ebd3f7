"""A plot of a number over the positions of an answer, in braille dots."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from textual.content import Content
from textual.reactive import reactive
from textual.widget import Widget

_DOTS = ((0x40, 0x04, 0x02, 0x01), (0x80, 0x20, 0x10, 0x08))
"""Bits of a braille character: its two columns of dots, each from the bottom."""


def heights(values: Sequence[float], columns: int, rows: int) -> list[int]:
    """Dots (0 to `rows`) of each of `columns` columns of a plot of values in [0, 1].

    Each column stands for the positions that fall into it and shows the greatest of them,
    so that no peak is lost; with fewer values than columns each is drawn wider. What is
    not 0 has a dot.
    """
    n = len(values)
    found = []
    for column in range(columns if n else 0):
        first = column * n // columns
        last = max(first + 1, (column + 1) * n // columns)
        value = max(values[first:last])
        found.append(max(int(value > 0), round(value * rows)))
    return found


def draw(dots: Sequence[int], rows: int) -> list[str]:
    """Lines of braille characters for the columns of dots, the top line first."""
    lines = []
    for line in reversed(range(rows)):
        characters = []
        for cell in range(0, len(dots), 2):
            bits = 0
            for side, height in enumerate(dots[cell : cell + 2]):
                for bit in _DOTS[side][: max(0, min(4, height - 4 * line))]:
                    bits |= bit
            characters.append(chr(0x2800 + bits))
        lines.append("".join(characters))
    return lines


class Curve(Widget):
    """A title with the number at the cursor and the greatest one, and the plot under it.

    Args:
        title: What is drawn.
        shown: How one value is written.
        scale: A value's height, before all are divided by the greatest.
        full: The value that fills the plot; the greatest one unless given.
    """

    values: reactive[tuple[float, ...]] = reactive(())
    cursor: reactive[int] = reactive(0)

    def __init__(
        self,
        title: str,
        *,
        shown: Callable[[float], str],
        scale: Callable[[float], float] = float,
        full: float | None = None,
        id: str | None = None,
    ) -> None:
        super().__init__(id=id)
        self._title = title
        self._shown = shown
        self._scale = scale
        self._full = full

    def render(self) -> Content:
        """The title's line and as many lines of dots as there is room for."""
        width, height = self.content_size
        if not self.values or width < 4:
            return Content.styled(self._title, "$quiet")
        finite = [value for value in self.values if math.isfinite(value)]
        top = max(finite, default=0.0)
        here = self.values[min(self.cursor, len(self.values) - 1)]
        facts = Content.assemble(
            self._shown(here), ("  max ", "$quiet"), (self._shown(top), "$quiet")
        )
        title = Content.styled(self._title, "bold $secondary")
        gap = max(1, width - title.cell_length - facts.cell_length)
        lines = [Content.assemble(title, " " * gap, facts).truncate(width)]
        full = self._scale(top if self._full is None else self._full)
        shares = [
            min(1.0, self._scale(value) / full) if math.isfinite(value) and full > 0 else 1.0
            for value in self.values
        ]
        if full <= 0:
            shares = [0.0] * len(shares)
        rows = max(1, height - 1)
        cell = max(0, min(width - 1, round((self.cursor + 0.5) * width / len(self.values) - 0.5)))
        lines += [
            Content.assemble(
                (line[:cell], "$foreground"),
                (line[cell], "$background on $primary"),
                (line[cell + 1 :], "$foreground"),
            )
            for line in draw(heights(shares, 2 * width, 4 * rows), rows)
        ]
        return Content("\n").join(lines)
