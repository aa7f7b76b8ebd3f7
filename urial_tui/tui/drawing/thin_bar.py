"""A renderer of scroll bars as thin as the other lines of the screen."""

from __future__ import annotations

from rich.color import Color
from rich.segment import Segment, Segments
from rich.style import Style
from textual.scrollbar import ScrollBarRender

_THUMB = "▐"


class ThinBar(ScrollBarRender):
    """Half a cell wide where a bar is vertical; a click still finds the whole cell."""

    VERTICAL_BARS = (" ",) * 8  # type: ignore[assignment]  # no ends of less than a line

    @classmethod
    def render_bar(
        cls,
        size: int = 25,
        virtual_size: float = 50,
        window_size: float = 20,
        position: float = 0,
        thickness: int = 1,
        vertical: bool = True,
        back_color: Color = Color.parse("#555555"),  # noqa: B008  # Textual's own
        bar_color: Color = Color.parse("bright_magenta"),  # noqa: B008
    ) -> Segments:
        """As Textual draws it, but for the thumb of a vertical bar."""
        drawn = super().render_bar(
            size, virtual_size, window_size, position, thickness, vertical, back_color, bar_color
        )
        if vertical:
            drawn.segments = [_thin(segment, thickness, back_color) for segment in drawn.segments]
        return drawn


def _thin(segment: Segment, thickness: int, back: Color) -> Segment:
    style = segment.style
    if style is None or not style.reverse:
        return segment
    thumb = Style(color=style.color, bgcolor=back, meta=style.meta)
    return Segment(_THUMB.rjust(thickness), thumb)
