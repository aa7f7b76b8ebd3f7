"""A widget for the text of an answer: streaming Markdown, drawn line by line.

An answer of a few hundred lines would be hundreds of widgets in Textual's Markdown, all to be
laid out again with each piece of text. Here a piece costs the drawing of the block that it
changes. What is added is drawn at a pace that depends on what drawing costs, so a slow
machine or a slow line shows fewer, larger steps, and keys are not kept waiting.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import NamedTuple

from rich.cells import cell_len
from textual.content import Content
from textual.geometry import Offset, Region, Size
from textual.reactive import Reactive
from textual.selection import Selection
from textual.strip import Strip
from textual.style import Style
from textual.timer import Timer
from textual.visual import Visual
from textual.widget import Widget

from urial_tui.sanitize import sanitize_line
from urial_tui.tui.drawing.markdown import Block, Document
from urial_tui.tui.drawing.markdown_lines import highlighted, inline, table
from urial_tui.tui.frame.messages import CopyRequested

FASTEST, SLOWEST = 1 / 12, 0.5
"""Seconds between two drawings of a text that grows."""
SHARE = 0.033
"""Of the time that drawing a text that grows may take."""

NARROWEST = 8
"""Cells for text behind any number of quotes and lists."""


class Drawn(NamedTuple):
    """The lines of a block, and its text as it is copied: without what wrapping adds."""

    strips: tuple[Strip, ...]
    text: tuple[str, ...]


class DrawingKey(NamedTuple):
    """A cache key: what drawn lines depend on beside the text."""

    width: int
    style: Style
    selection: Selection | None


class AnswerText(Widget):
    """Shows a Markdown text that may grow.

    Args:
        text: What it starts with; sanitised.
    """

    DEFAULT_CSS = """
    AnswerText {
        width: 1fr;
        height: auto;
    }
    """

    # Textual lays out once more when this changes; here it follows from a layout.
    virtual_size = Reactive(Size(0, 0))

    def __init__(self, text: str = "") -> None:
        super().__init__()
        self._document = Document(text)
        self._growing = False
        self._pending: list[str] = []
        self._resting = False
        """Whether something was drawn, and the next drawing has to wait."""
        self._rest: Timer | None = None
        self._drawn: dict[tuple[Block, int], Drawn] = {}
        self._drawn_for: DrawingKey | None = None
        self._fresh = False
        """Whether the lines are those of the document."""
        self._strips: list[Strip] = []
        self._text: list[str] = []

    @property
    def source(self) -> str:
        """The whole Markdown, with the end that is not drawn yet."""
        return self._document.source + "".join(self._pending)

    def update(self, text: str) -> None:
        """Show a whole text; it has been sanitised."""
        self._stop()
        self._growing = False
        self._document, self._fresh = Document(text), False
        self.refresh(layout=True)

    def append(self, text: str) -> None:
        """Add text at the end; it is drawn soon. It has been sanitised."""
        self._growing = True
        self._pending.append(text)
        if not self._resting:
            self._draw()

    # -- growing --------------------------------------------------------------------

    def _draw(self) -> None:
        """Draw what was appended since the last drawing."""
        self._resting = bool(self._pending)
        if not self._pending:
            return
        started = time.thread_time()
        self._document.append("".join(self._pending))
        self._pending.clear()
        self._fresh = False
        before = self._strips
        if self.size.width and len(self._lay_out(self.size.width)) == len(before):
            changed = [y for y, strip in enumerate(self._strips) if strip is not before[y]]
            if changed:
                lines = changed[-1] + 1 - changed[0]
                self.refresh(Region(0, changed[0], self.size.width, lines))
        else:
            self.refresh(layout=True)
        self.call_after_refresh(self._pause, started)

    def _pause(self, started: float) -> None:
        """Throttle: wait with the next drawing in proportion to what this one cost."""
        cost = time.thread_time() - started
        self._rest = self.set_timer(min(SLOWEST, max(FASTEST, cost / SHARE)), self._draw)

    def _stop(self) -> None:
        self._pending.clear()
        self._resting = False
        if self._rest is not None:
            self._rest.stop()

    def on_unmount(self) -> None:
        """Stop the timer of the next drawing."""
        self._stop()

    # -- lines ----------------------------------------------------------------------

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        """How many lines the text takes."""
        return len(self._lay_out(width))

    def render_line(self, y: int) -> Strip:
        """One line of the text."""
        strips = self._lay_out(self.size.width)
        if y < len(strips):
            return strips[y]
        return Strip.blank(self.size.width, self.visual_style.rich_style)

    def notify_style_update(self) -> None:
        """Drop the cached lines: they have the colours of another theme."""
        super().notify_style_update()
        self._drawn_for = None

    def get_selection(self, selection: Selection) -> tuple[str, str] | None:
        """The text that is selected, without the line breaks of the screen.

        Returns:
            The text, and the line break behind it.
        """
        return selection.extract("\n".join(self._text)), "\n"

    def action_link(self, href: str) -> None:
        """A model's link is shown and copied, and never opened from here."""
        what = f"the link {sanitize_line(href)} (it is not opened)"
        self.post_message(CopyRequested(href, what))

    def _lay_out(self, width: int) -> list[Strip]:
        """The lines for a width; blocks that were drawn before are not drawn again."""
        if width <= 0:
            return []
        look = DrawingKey(width, self.visual_style, self.text_selection)
        if self._fresh and look == self._drawn_for:
            return self._strips
        known = self._drawn if look == self._drawn_for else {}
        drawn: dict[tuple[Block, int], Drawn] = {}
        strips: list[Strip] = []
        text: list[str] = []
        for block in self._blocks():
            key = (block, len(text))
            drawn[key] = known.get(key) or self._draw_block(block, look, len(text))
            strips += drawn[key].strips
            text += drawn[key].text
        self._drawn, self._drawn_for, self._fresh = drawn, look, True
        self._strips, self._text = strips, text
        return strips

    def _blocks(self) -> Iterator[Block]:
        """The blocks. Code that is being written comes line by line: the lines before stay."""
        blocks = self._document.blocks
        if not (self._growing and blocks and blocks[-1].kind == "code"):
            yield from blocks
            return
        yield from blocks[:-1]
        code = blocks[-1]
        for line in code.text.split("\n"):
            yield code._replace(text=line)
            code = code._replace(lead=code.indent, gap=None)

    def _draw_block(self, block: Block, look: DrawingKey, y: int) -> Drawn:
        """The lines of a block; its text starts in line `y` of the whole text."""
        strips: list[Strip] = []
        text: list[str] = []
        if block.gap is not None:
            text.append(block.gap)
            gap = Content.styled(block.gap, "$secondary")
            strips.append(self._strip(gap, look.width, look.style).apply_offsets(0, y))
        most = max(0, look.width - NARROWEST)
        lead, indent = block.lead[:most], block.indent[:most]
        room = max(NARROWEST, look.width - cell_len(lead))
        # What is copied of code is code alone.
        copied = "" if block.kind == "code" else lead
        for line in self._lines_of(block, room):
            text.append(copied + line.plain)
            marked = self._selected(line, len(copied), look, y + len(text) - 1)
            at = 0
            for row in _rows(block, marked, room):
                at = max(at, line.plain.find(row.plain, at))
                strip = self._row(block, lead, row, look, Offset(at, y + len(text) - 1))
                strips.append(strip)
                lead = indent
            copied = copied and indent
        return Drawn(tuple(strips), tuple(text))

    def _row(self, block: Block, lead: str, row: Content, look: DrawingKey, place: Offset) -> Strip:
        """A row with what stands in front of it; `place`: where it is in the copied text."""
        if block.kind != "code":
            whole = Content.assemble((lead, "$secondary"), row)
            return self._strip(whole, look.width, look.style).apply_offsets(*place)
        edge = Content.assemble((lead, "$secondary"), (" ", "on $surface"))
        room = look.width - edge.cell_length
        code = row.pad_right(max(0, room - row.cell_length)).stylize_before("on $surface")
        left = self._strip(edge, edge.cell_length, look.style)
        return Strip.join([left, self._strip(code, room, look.style).apply_offsets(*place)])

    def _lines_of(self, block: Block, room: int) -> list[Content]:
        """The lines of a block as they were written; those of a table as they are drawn."""
        references = self._document.references
        match block.kind:
            case "code":
                return highlighted(block.text, block.language).split("\n", allow_blank=True)
            case "table":
                return table(block.rows, room, references)
            case "rule":
                return [Content.styled("─" * room, "$line")]
            case "heading":
                style = "bold underline $primary" if block.level < 3 else "bold $primary"
                content = inline(block.text, references).stylize_before(style)
            case _:
                content = inline(block.text, references)
        return content.split("\n", allow_blank=True)

    def _selected(self, line: Content, before: int, look: DrawingKey, y: int) -> Content:
        """A line in which what is selected shows; `before`: characters in front of it."""
        span = None if look.selection is None else look.selection.get_span(y)
        if span is None:
            return line
        start, end = span
        style = Style.from_styles(self.screen.get_component_styles("screen--selection"))
        return line.stylize(
            style, max(0, start - before), len(line) if end < 0 else max(0, end - before)
        )

    def _strip(self, row: Content, width: int, style: Style) -> Strip:
        """A row that fits, to its full width."""
        (strip,) = Visual.to_strips(self, row, width, 1, style, apply_selection=False, pad=True)
        return strip


def _rows(block: Block, line: Content, room: int) -> list[Content]:
    """A line as it is wrapped; code is broken anywhere."""
    if block.kind == "code":
        return line.fold(room - 2)
    return line.wrap(room) if block.kind != "table" else [line]
