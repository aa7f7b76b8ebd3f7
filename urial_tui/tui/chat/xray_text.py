"""A widget for an answer as it was written, each token coloured by a second side's rank.

It is drawn in blocks: what stands before the last line that is wholly ranked is drawn once, so
that drawing what grows does not cost more, the longer the answer is.
"""

from __future__ import annotations

from typing import Final

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.timer import Timer
from textual.widgets import Static

from urial_tui.compare.shift_map import ShiftMap
from urial_tui.engine.wire.shift_class import ShiftClass
from urial_tui.sanitize import sanitize, sanitize_line

BLOCK: Final = 400
"""Characters, at least, of what is drawn once."""

PACE: Final = 1 / 12
"""Seconds, at least, between two drawings of what grows."""

STYLES: Final[dict[ShiftClass | None, str]] = {
    "unshifted": "$unshifted",
    "marginal": "$marginal underline",
    "shifted": "$shifted bold reverse",
    "absent": "$absent bold reverse",
    None: "$quiet",
}
"""Those of the compare screen: told apart without colour, too."""


CLASSES: Final[tuple[ShiftClass, ...]] = ("unshifted", "marginal", "shifted")
"""Whose shares are always told; that of absent tokens only where there are any."""


class XrayText(Vertical):
    """A coloured text, and under it a line with the shares of the classes.

    Args:
        reading: What is said of the text; None where nobody read it along.
        text: What is written so far, as the model wrote it.
    """

    def __init__(self, reading: ShiftMap | None = None, text: str = "") -> None:
        super().__init__()
        self.text = text
        self._reading = reading
        self._drawn = 0
        """Characters in blocks that are not drawn again."""
        self._due = False
        self._rest: Timer | None = None
        self.display = reading is not None

    def compose(self) -> ComposeResult:
        """The text that still changes, and the shares; blocks come in front."""
        yield Static(classes="xray-tail", markup=False)
        yield Static(classes="xray-shares", markup=False)

    def on_mount(self) -> None:
        """Draw what is known of the text so far."""
        self.draw()

    @property
    def reading(self) -> ShiftMap | None:
        """The ranks of the text; None hides it."""
        return self._reading

    @reading.setter
    def reading(self, reading: ShiftMap | None) -> None:
        if reading is not self._reading:
            self._reading = reading
            self._start_again()
        self.display = reading is not None
        self.draw()

    def write(self, text: str) -> None:
        """Append to the text."""
        self.text += text
        self.draw_soon()

    def finish(self, text: str) -> None:
        """Take the text as it was stored."""
        if text != self.text:
            self.text = text
            self._start_again()
        self.draw()

    def draw_soon(self) -> None:
        """Schedule a drawing, throttled to the pace that drawing allows."""
        self._due = True
        if self._rest is None and self.is_mounted:
            self._rested()

    def _rested(self) -> None:
        self._rest = self.set_timer(PACE, self._rested) if self._due else None
        if self._due:
            self._due = False
            self.draw()

    def draw(self) -> None:
        """Draw what is ranked by now, unless it is hidden."""
        reading = self._reading
        if reading is None or not self.is_mounted:
            return
        tail = self.query_one(".xray-tail", Static)
        settled = self.text.rfind("\n", self._drawn, min(reading.through, len(self.text)))
        if settled - self._drawn >= BLOCK:
            block = coloured(self.text, reading, self._drawn, settled)
            self.mount(Static(block, classes="xray-block", markup=False), before=tail)
            self._drawn = settled + 1
        tail.update(coloured(self.text, reading, self._drawn, len(self.text)))
        shares = shares_line(reading, len(self.text), self.content_size.width)
        self.query_one(".xray-shares", Static).update(shares)

    def on_resize(self) -> None:
        """Another width may break the shares elsewhere."""
        self.draw()

    def _start_again(self) -> None:
        self._drawn = 0
        if self.is_mounted:
            self.query(".xray-block").remove()


def coloured(text: str, reading: ShiftMap, start: int, end: int) -> Content:
    """A part of a text, safe to show, in the colours of a reading."""
    parts = []
    for stretch in reading.stretches(start, end):
        part = text[stretch.start : stretch.end]
        if part.endswith("\r") and text.startswith("\n", stretch.end):
            # Both are one line's end, whichever tokens wrote them.
            part = part[:-1]
        parts.append((sanitize(part), STYLES[stretch.kind]))
    return Content.assemble(*parts)


def shares_line(reading: ShiftMap, length: int, width: int) -> Content:
    """A line with the second side's name, and the share of each class of the ranked tokens.

    Args:
        reading: What is said of the answer.
        length: Of the answer, in characters.
        width: Columns, above which the shares go to a line of their own.
    """
    counts = reading.counts(length)
    total = counts.total()
    head = Content.assemble(("x-ray: ranks on ", "$quiet"), sanitize_line(reading.side))
    if not total:
        return head
    absent: tuple[ShiftClass, ...] = ("absent",) if counts["absent"] else ()
    shown = [
        Content.styled(f"{counts[kind] / total:.0%} {kind}", STYLES[kind])
        for kind in CLASSES + absent
    ]
    shares = Content.styled(" · ", "$quiet").join(shown)
    fits = head.cell_length + 2 + shares.cell_length <= width
    return Content.assemble(head, "  " if fits else "\n", shares)
