"""Formatting of numbers about tokens: probabilities, divergences, bars, named facts."""

from __future__ import annotations

import math

from textual.content import Content

from urial_tui.tui.drawing.token_text import cell_width

_EIGHTHS = " ▏▎▍▌▋▊▉"


def facts(*facts: tuple[str, str]) -> Content:
    """Names with what they are, in one line."""
    parts = [Content.assemble((f"{name} ", "$quiet"), value) for name, value in facts]
    return Content("  ").join(parts)


def fit(text: str, width: int) -> str:
    """A text of exactly `width` columns."""
    shown = Content(text).truncate(width, ellipsis=True).plain
    return shown + " " * (width - cell_width(shown))


def bar(share: float, width: int) -> str:
    """A bar of up to `width` columns, to an eighth of one; what is not 0 is seen."""
    eighths = round(max(0.0, min(1.0, share)) * width * 8)
    eighths = eighths or int(share > 0 and width > 0)
    return "█" * (eighths // 8) + _EIGHTHS[eighths % 8].strip()


def percent(share: float | None) -> str:
    """A probability in at most six columns."""
    if share is None:
        return "-"
    if 0 < share < 0.0005:
        return "<0.1%"
    return f"{share:.1%}"


def number(value: float | None, digits: int = 3) -> str:
    """A divergence or an entropy in nats; one without a number is infinite."""
    if value is None or not math.isfinite(value):
        return "∞"
    return f"{value:.{digits}f}"
