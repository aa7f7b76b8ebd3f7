"""A widget for an answer, token by token: each in its own style, with a cursor over them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, NamedTuple

from rich.cells import chop_cells
from rich.segment import Segment
from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Region, Size
from textual.message import Message
from textual.reactive import reactive
from textual.scroll_view import ScrollView
from textual.strip import Strip

from urial_tui.tui.drawing.token_text import cell_width, visible


class StripToken(NamedTuple):
    """A token of the answer. `style`: its component class, without "token-strip--"; `halt`: the
    keys that go from one conspicuous token to the next stop here."""

    text: str
    style: str
    halt: bool = False


class StripPiece(NamedTuple):
    """The token at an index, or a part of a long one, at column `x` of a line."""

    at: int
    text: str
    x: int
    width: int


def lay_out(texts: Sequence[str], width: int) -> list[list[StripPiece]]:
    """Lines of at most `width` columns (1 or more), broken at words where that is possible.

    Args:
        texts: The tokens' texts; one with a newline ends its line.
        width: In columns.
    """
    lines: list[list[StripPiece]] = [[]]
    x = 0
    for word in _words(texts):
        room = sum(cell_width(shown) for _, shown, _ in word)
        if x and x + room > width:
            lines.append([])
            x = 0
            first, shown, ends = word[0]
            if len(shown) > 1 and shown.startswith(" "):
                word[0] = (first, shown[1:], ends)
        for index, shown, ends in word:
            for part in _parts(shown, width):
                size = cell_width(part)
                if x and x + size > width:
                    lines.append([])
                    x = 0
                lines[-1].append(StripPiece(index, part, x, size))
                x += size
            if ends:
                lines.append([])
                x = 0
    if not lines[-1]:
        lines.pop()
    return lines


def _words(texts: Sequence[str]) -> list[list[tuple[int, str, bool]]]:
    """Tokens that are better not parted by a line's end: (index, shown, ends its line)."""
    words: list[list[tuple[int, str, bool]]] = []
    apart = True
    for index, text in enumerate(texts):
        shown = visible(text)
        if apart or text[:1].isspace():
            words.append([])
        words[-1].append((index, shown, "\n" in text))
        apart = text[-1:].isspace() or not text.isascii()
    return words


def _parts(shown: str, width: int) -> list[str]:
    return [shown] if cell_width(shown) <= width else chop_cells(shown, width)


class TokenStrip(ScrollView, can_focus=True):
    """Shows tokens, or plain text while there are none; the cursor is on a token.

    Subclasses name the styles, and the keys that lead to conspicuous tokens.
    """

    BINDING_GROUP_TITLE = "Tokens"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left", "move(-1)", "Token before", id="strip.token_before"),
        Binding("right", "move(1)", "Token after", id="strip.token_after"),
        Binding("up", "line(-1)", "Line above", id="strip.line_above"),
        Binding("down", "line(1)", "Line below", id="strip.line_below"),
        Binding("pageup", "page(-1)", "Page up", id="strip.page_up"),
        Binding("pagedown", "page(1)", "Page down", id="strip.page_down"),
        Binding("home", "go(0)", "First token", id="strip.first_token"),
        Binding("end", "go(-1)", "Last token", id="strip.last_token"),
    ]
    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "token-strip--plain",
        "token-strip--special",
        "token-strip--cursor",
    }

    cursor: reactive[int] = reactive(0)

    class Moved(Message):
        """The cursor is on the token at `index`."""

        def __init__(self, index: int) -> None:
            super().__init__()
            self.index = index

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._tokens: tuple[StripToken, ...] = ()
        self._text = ""
        self._lines: list[list[StripPiece]] = []
        self._line_of: dict[int, int] = {}

    # -- what is shown --------------------------------------------------------------

    def show(self, tokens: Sequence[StripToken]) -> None:
        """Show tokens, the cursor on the first."""
        self._tokens, self._text = tuple(tokens), ""
        self.scroll_home(animate=False, immediate=True)
        self._wrap()
        self.set_reactive(TokenStrip.cursor, 0)
        if tokens:
            self.post_message(self.Moved(0))

    def add(self, tokens: Sequence[StripToken]) -> None:
        """Show more tokens behind those that are there; the cursor stays."""
        if not self._tokens:
            self.show(tokens)
            return
        self._tokens += tuple(tokens)
        self._wrap()

    def show_text(self, text: str) -> None:
        """Show text that is not in tokens yet, its end in view."""
        self._tokens, self._text = (), text
        self._wrap()
        self.call_after_refresh(self._show_end)

    @property
    def text(self) -> str:
        """What is shown without tokens."""
        return self._text

    def _wrap(self) -> None:
        width = max(1, self.scrollable_content_region.width or self.size.width)
        if self._tokens:
            texts: Sequence[str] = [token.text for token in self._tokens]
        else:
            texts = _chunks(self._text)
        self._lines = lay_out(texts, width)
        self._line_of = {}
        for number, line in enumerate(self._lines):
            for piece in line:
                self._line_of.setdefault(piece.at, number)
        self.virtual_size = Size(width, len(self._lines))
        self.refresh()

    def on_resize(self, event: events.Resize) -> None:
        """Another width breaks the lines elsewhere."""
        self._wrap()
        self.call_after_refresh(self._show_cursor)

    def render_line(self, y: int) -> Strip:
        """One line, with the tokens' styles."""
        width = self.size.width
        number = y + round(self.scroll_y)
        base = self.rich_style
        if number >= len(self._lines):
            return Strip.blank(width, base)
        segments = []
        for piece in self._lines[number]:
            style = base + self.get_component_rich_style(self._class_of(piece.at), partial=True)
            if self._tokens and piece.at == self.cursor:
                style += self.get_component_rich_style("token-strip--cursor", partial=True)
            segments.append(Segment(piece.text, style))
        return Strip(segments).adjust_cell_length(width, base)

    def _class_of(self, index: int) -> str:
        return f"token-strip--{self._tokens[index].style if self._tokens else 'plain'}"

    # -- the cursor -----------------------------------------------------------------

    def validate_cursor(self, cursor: int) -> int:
        """Never outside of the answer."""
        return max(0, min(cursor, len(self._tokens) - 1))

    def watch_cursor(self) -> None:
        """Keep the cursor in view, and tell where it is."""
        self._show_cursor()
        self.refresh()
        if self._tokens:
            self.post_message(self.Moved(self.cursor))

    def action_move(self, by: int) -> None:
        """Go to the token `by` further."""
        self.cursor += by

    def action_go(self, index: int) -> None:
        """Go to a token; -1 is the last one."""
        self.cursor = index if index >= 0 else len(self._tokens) - 1

    def action_line(self, by: int) -> None:
        """Go to the token that stands nearest to the cursor in another line."""
        if not self._tokens:
            self.scroll_relative(y=by, animate=False)
            return
        here = self._line_of[self.cursor]
        there = max(0, min(here + by, len(self._lines) - 1))
        if there == here:
            self.cursor = 0 if by < 0 else len(self._tokens) - 1
            return
        x = next(piece.x for piece in self._lines[here] if piece.at == self.cursor)
        # A long token goes on in the next line: there is none other to go to.
        line = [piece for piece in self._lines[there] if piece.at != self.cursor]
        nearest = min(line or self._lines[there], key=lambda piece: abs(piece.x - x))
        self.cursor = nearest.at if line else self.cursor + (1 if by > 0 else -1)

    def action_page(self, by: int) -> None:
        """Go up or down by as many lines as are in view."""
        self.action_line(by * max(1, self.size.height - 1))

    def action_halt(self, by: int) -> None:
        """Go to the next conspicuous token, or to the one before; stay where there is none."""
        index = self.cursor + by
        while 0 <= index < len(self._tokens):
            if self._tokens[index].halt:
                self.cursor = index
                return
            index += by
        self.app.bell()

    def on_click(self, event: events.Click) -> None:
        """Go to the token that was clicked."""
        number = event.y + round(self.scroll_y)
        if self._tokens and number < len(self._lines):
            for piece in self._lines[number]:
                if piece.x <= event.x < piece.x + piece.width:
                    self.cursor = piece.at

    def _show_end(self) -> None:
        # Tokens may have come in the place of the text.
        if not self._tokens:
            self.scroll_end(animate=False, immediate=True)

    def _show_cursor(self) -> None:
        line = self._line_of.get(self.cursor)
        if self._tokens and line is not None:
            self.scroll_to_region(Region(0, line, 1, 1), animate=False, force=True)


def _chunks(text: str) -> list[str]:
    """Plain text in pieces to break lines between: words with the blanks in front of them."""
    chunks: list[str] = []
    for line in text.splitlines(keepends=True):
        word = ""
        for character in line:
            if character == " " and word.strip():
                chunks.append(word)
                word = ""
            word += character
        chunks.append(word)
    return chunks
