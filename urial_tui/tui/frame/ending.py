"""A guard against late callbacks: whether a screen that may be about to end can still show
something.
"""

from __future__ import annotations

from typing import Any

from textual.screen import Screen


def has_widgets(screen: Screen[Any]) -> bool:
    """Whether a screen still has its widgets: no longer once it or the application
    has begun to end.
    """
    # While its widgets are being removed, one after the other, a screen is attached, not displayed.
    return screen.app.is_running and screen.is_attached and screen.display
