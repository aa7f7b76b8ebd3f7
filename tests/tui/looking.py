"""What an application shows, and waiting until it shows it, without sleeping."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from textual.events import Key
from textual.keys import _character_to_key
from textual.pilot import Pilot

PATIENCE = 60.0
"""Seconds after which what was waited for is not going to happen."""


async def wait_until(pilot: Pilot[None], predicate: Callable[[], bool]) -> None:
    """Let the application work until `predicate` holds."""
    deadline = time.monotonic() + PATIENCE
    while not predicate():
        if time.monotonic() > deadline:
            raise AssertionError(f"it did not happen; the screen shows:\n{screen_text(pilot)}")
        await pilot.pause()
        await asyncio.sleep(0.005)
    await pilot.pause()


async def type_text(pilot: Pilot[None], text: str) -> None:
    """Press the keys that type `text`, faster than anybody, and wait until all are taken."""
    for character in text:
        key = "ctrl+j" if character == "\n" else _character_to_key(character)
        pilot.app.post_message(Key(key, None if character == "\n" else character))
    # From the application to what has the focus, and from there to who listens.
    for _ in range(3):
        await pilot._wait_for_screen()
    await pilot.pause()


def screen_text(pilot: Pilot[None]) -> str:
    """What the screen shows, line by line."""
    app = pilot.app
    width, height = app.size
    strips = app.screen._compositor.render_strips()
    lines = ["".join(segment.text for segment in strip).rstrip() for strip in strips[:height]]
    return "\n".join(line[:width] for line in lines)


def status(pilot: Pilot[None]) -> str:
    """The last line of the screen."""
    return screen_text(pilot).rpartition("\n")[2]


def shows(pilot: Pilot[None], text: str) -> bool:
    return text in screen_text(pilot)
