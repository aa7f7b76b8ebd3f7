"""The settings and the preamble at start-up, with defaults where the user's files are broken.

On the command line a file that is unsound ends the command. The application starts beside it,
with the defaults in the place of what it can't use, and says so; the file stays as it is.
"""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from urial_tui.errors import PreambleError, SettingsError, UrialError
from urial_tui.prompting.preamble import Preamble
from urial_tui.prompting.preamble_file import find_preamble
from urial_tui.settings import Settings, load_settings
from urial_tui.tui.frame.keys import ENTER_KEYS, keymap


class StartingPoint(NamedTuple):
    """Sound settings, a preamble, and what is wrong with the files that are not used."""

    settings: Settings
    preamble: Preamble
    troubles: tuple[UrialError, ...]


def starting_point(preamble: str | None = None) -> StartingPoint:
    """The user's settings and preamble, as far as they can be used.

    Args:
        preamble: A name or a path; the settings' preamble unless given.

    Raises:
        PreambleError: There is no preamble of the name that was given, or it is unsound, and so
            is the one that stands in for the settings'.
    """
    troubles: list[UrialError] = []
    settings = Settings()
    try:
        settings = load_settings()
        keymap(settings.keys, ENTER_KEYS[settings.chat.enter])
    except SettingsError as error:
        troubles.append(SettingsError(error.message, f"It is left out. {error.hint}".strip()))
        settings = msgspec.structs.replace(settings, keys={})
    if preamble is not None:
        return StartingPoint(settings, find_preamble(preamble), tuple(troubles))
    try:
        chosen = find_preamble(settings.chat.preamble)
    except PreambleError as error:
        standing_in = Settings().chat.preamble
        if settings.chat.preamble == standing_in:
            standing_in = "zero-shot"
        chosen = find_preamble(standing_in)
        troubles.append(
            PreambleError(error.message, f"{chosen.name} stands in for it. {error.hint}".strip())
        )
    return StartingPoint(settings, chosen, tuple(troubles))
