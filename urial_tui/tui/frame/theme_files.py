"""Themes of the user: TOML files in the configuration directory, each validated as a whole."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
from textual.color import Color, ColorParseError
from textual.theme import BUILTIN_THEMES, Theme

from urial_tui import paths
from urial_tui.errors import SettingsError
from urial_tui.files import read_text, reason
from urial_tui.sanitize import quoted, sanitize_line
from urial_tui.tui.frame.themes import DEFAULTS

_LARGEST = 65_536
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")
_ALPHA = re.compile(r"\s+\d{1,3}%")


class ThemeFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The keys of a theme's file; colours that are missing are made from the others."""

    primary: str
    secondary: str | None = None
    accent: str | None = None
    foreground: str | None = None
    background: str | None = None
    surface: str | None = None
    panel: str | None = None
    success: str | None = None
    warning: str | None = None
    error: str | None = None
    dark: bool = True
    variables: dict[str, str] = {}


def read_themes(directory: Path | None = None) -> tuple[list[Theme], list[SettingsError]]:
    """The themes of a directory (the user's, unless given), and what is wrong with the others.

    A theme has the name of its file.

    Returns:
        The themes, and the errors.
    """
    directory = directory or paths.user_themes_dir()
    themes: list[Theme] = []
    troubles: list[SettingsError] = []
    for path in sorted(directory.glob("*.toml")):
        try:
            themes.append(_read(path))
        except SettingsError as error:
            troubles.append(error)
    return themes, troubles


def _read(path: Path) -> Theme:
    name = path.stem
    if not _NAME.fullmatch(name):
        raise _mistake(path, "its name has to be of letters, digits and -")
    try:
        read = msgspec.toml.decode(read_text(path, _LARGEST), type=ThemeFile)
    except OSError as error:
        raise _mistake(path, reason(error)) from error
    except (msgspec.DecodeError, ValueError) as error:
        raise _mistake(path, str(error)) from error
    except RecursionError as error:
        raise _mistake(path, "it is nested too deeply to be read") from error
    colours = {
        key: value for key, value in msgspec.structs.asdict(read).items() if isinstance(value, str)
    }
    for key, value in colours.items():
        _check_colour(path, key, value)
    known = _variables()
    for key, value in read.variables.items():
        if key not in known:
            raise _mistake(path, f"there is no variable {quoted(key)}")
        _check_colour(path, f"variables.{key}", value)
    return Theme(name, **msgspec.structs.asdict(read))


def _variables() -> set[str]:
    """What a theme can set beside its colours: our own variables, and Textual's colours."""
    made = BUILTIN_THEMES["textual-dark"].to_color_system().generate()
    return set(DEFAULTS) | {name for name in made if not name.endswith("style")}


def _check_colour(path: Path, key: str, value: str) -> None:
    try:
        colour = Color.parse(_ALPHA.sub("", value))
    except ColorParseError as error:
        raise _mistake(path, f"{key} is {quoted(value)}, which is no colour") from error
    if colour.ansi is not None:
        raise _mistake(path, f"{key} is {quoted(value)}, and has to be a colour such as #7fb8c9")


def _mistake(path: Path, what: str) -> SettingsError:
    return SettingsError(
        f"The theme {sanitize_line(path.name)} can't be used: {sanitize_line(what)}.",
        f"Correct {sanitize_line(str(path))}.",
    )
