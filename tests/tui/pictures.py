"""What stands still while a picture is taken, and what is left out of it.

A line that names keys changes with every new key and is no drawing of ours: a picture has an
empty place there, and who takes the picture says what the line reads.
"""

from __future__ import annotations

import re
from typing import Any

from textual.pilot import Pilot
from textual.screen import Screen
from textual.widget import Widget
from textual.widgets import Input, TextArea

from tests.tui.looking import screen_text

_KEYS = "HintLine, .dialog-keys, #welcome-keys, #first-run-keys"
"""All that names keys."""


def keys_told(pilot: Pilot[None]) -> str:
    """What the screen on top says of its keys, without the state beside them."""
    lines = screen_text(pilot).split("\n")
    told = []
    for widget in _telling(pilot.app.screen):
        place, state = widget.region, getattr(widget, "state", "")
        told += [
            line[place.x : place.right].removesuffix(state)
            for line in lines[place.y : place.bottom]
        ]
    return re.sub(" {2,}", "  ", "  ".join(told)).strip()


async def hold_still(pilot: Pilot[None]) -> None:
    """No cursor blinks any more, and no key is named."""
    for screen in pilot.app.screen_stack:
        for field in screen.query("Input, TextArea"):
            assert isinstance(field, Input | TextArea)
            field.cursor_blink = False
        for line in _telling(screen):
            line.visible = False
    await pilot.pause()


def _telling(screen: Screen[Any]) -> list[Widget]:
    return [line for line in screen.query(_KEYS) if line.display and line.region.height]
