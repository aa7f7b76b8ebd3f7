"""The clipboards that this machine and this terminal have, told by the environment's variables.

A program of this machine sets its clipboard; a terminal may take text by OSC 52, and some are
known to do so and some to ignore it. Nothing is started here.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

_ANYTHING = ""
_DEAF = (
    ("VTE_VERSION", _ANYTHING),  # GNOME Terminal, Console, Tilix, Terminator, Xfce's, …
    ("STY", _ANYTHING),  # GNU Screen around it
    ("TERMINAL_EMULATOR", "JetBrains"),
    ("TERM_PROGRAM", "Apple_Terminal"),
    ("TERM", "linux"),
)
"""Terminals that are known to ignore OSC 52: a variable, and how its value starts."""
_TAKING = (
    ("TERM", "xterm-kitty"),
    ("TERM", "xterm-ghostty"),
    ("TERM", "alacritty"),
    ("TERM", "foot"),
    ("TERM", "wezterm"),
    ("TERM_PROGRAM", "WezTerm"),
    ("TERM_PROGRAM", "ghostty"),
    ("WT_SESSION", _ANYTHING),
)
"""Terminals that are known to do what OSC 52 asks, as they come."""


class ClipboardProgram(NamedTuple):
    """A program that takes text on its standard input; `how` ends a sentence on it."""

    command: tuple[str, ...]
    how: str = ""
    encoding: str = "utf-8"


def ignores_osc52(environ: Mapping[str, str]) -> bool:
    """Whether the terminal is known to ignore what asks it to set its clipboard."""
    return _is_one_of(_DEAF, environ)


def takes_osc52(environ: Mapping[str, str]) -> bool:
    """Whether the terminal is known to set its clipboard when it is asked to."""
    return _is_one_of(_TAKING, environ)


def is_remote(environ: Mapping[str, str]) -> bool:
    """Whether the terminal is on another machine."""
    return bool(environ.get("SSH_CONNECTION") or environ.get("SSH_TTY"))


def programs(environ: Mapping[str, str]) -> Iterator[ClipboardProgram]:
    """What can set a clipboard that the user has at hand."""
    if not is_remote(environ):
        if sys.platform == "darwin":
            yield ClipboardProgram(("pbcopy",))
        if environ.get("WAYLAND_DISPLAY"):
            yield ClipboardProgram(("wl-copy",))
        if environ.get("DISPLAY"):
            yield ClipboardProgram(("xclip", "-selection", "clipboard"))
            yield ClipboardProgram(("xsel", "--clipboard", "--input"))
        if environ.get("WSL_DISTRO_NAME"):
            yield ClipboardProgram(("clip.exe",), encoding="utf-16")
    if environ.get("TMUX"):
        yield ClipboardProgram(("tmux", "load-buffer", "-w", "-"), how=" through tmux")


def _is_one_of(known: Iterable[tuple[str, str]], environ: Mapping[str, str]) -> bool:
    return any(environ.get(name) and environ[name].startswith(start) for name, start in known)
