"""Folding: long text in the prompt is shown as one label.

In the prompt "[pasted text 2: 2,143 lines]" stands for the text; what is sent has the text in
its place, as it was. A label is one thing: nothing is written into it, and what takes a part
of it away takes all of it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from urial_tui.wording import amount

Location = tuple[int, int]
"""Line and column, from 0."""

_LABEL = re.compile(r"\[(?:pasted|long) text \d+: [\d,]+ (?:lines|characters?)\]")


class Folds:
    """The texts behind the labels."""

    def __init__(self) -> None:
        self._texts: dict[str, str] = {}

    def fold(self, text: str, kind: str) -> str:
        """A label for a text; `kind` is "pasted" or "long"."""
        lines = text.count("\n") + 1
        size = amount(lines, "line") if lines > 1 else amount(len(text), "character")
        label = f"[{kind} text {len(self._texts) + 1}: {size}]"
        self._texts[label] = text
        return label

    def unfold(self, text: str) -> str:
        """The text with what its labels stand for."""
        return _LABEL.sub(lambda found: self._texts.get(found[0], found[0]), text)

    def spans(self, line: str) -> Iterator[tuple[int, int]]:
        """Where labels start and end in a line."""
        for found in _LABEL.finditer(line):
            if found[0] in self._texts:
                yield found.span()

    def around(
        self, top: Location, top_line: str, bottom: Location, bottom_line: str
    ) -> tuple[Location, Location]:
        """A range with the whole of each label that it takes a part of.

        An empty range inside a label, where something is to be inserted, goes behind it.

        Returns:
            The start and the end.
        """
        inside = self._label_around(top, top_line)
        if top == bottom:
            return (inside[1], inside[1]) if inside else (top, bottom)
        behind = self._label_around(bottom, bottom_line)
        return inside[0] if inside else top, behind[1] if behind else bottom

    def _label_around(self, place: Location, line: str) -> tuple[Location, Location] | None:
        row, column = place
        for start, end in self.spans(line):
            if start < column < end:
                return (row, start), (row, end)
        return None
