"""The terminal and the locale, as far as they can be known without asking the terminal anything.

Of the environment only the variables that are named here are looked at.
"""

from __future__ import annotations

import locale
import os
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

from urial_tui.clipboards import ignores_osc52, programs, takes_osc52
from urial_tui.doctor.finding import Fact
from urial_tui.sanitize import quoted

_SMALLEST = (60, 16)
_KEYS = ("xterm-kitty", "xterm-ghostty", "foot", "alacritty", "wezterm")
"""Values of TERM, at their start, of terminals that tell all keys apart (kitty's protocol)."""
_KEY_PROGRAMS = ("WezTerm", "ghostty", "iTerm.app", "kitty")


class Screen(NamedTuple):
    """What standard output is. `size` (columns, rows), None where it is no terminal."""

    size: tuple[int, int] | None
    encoding: str


def this_screen() -> Screen:
    """That of this process."""
    try:
        width, height = os.get_terminal_size(sys.stdout.fileno())
        found: tuple[int, int] | None = (width, height)
    except (OSError, ValueError, AttributeError):
        found = None
    return Screen(found, getattr(sys.stdout, "encoding", None) or locale.getencoding())


def terminal(
    screen: Screen,
    environ: Mapping[str, str] = os.environ,
    which: Callable[[str], str | None] = shutil.which,
) -> Iterator[Fact]:
    """Size, colours, keys, clipboard and encoding.

    Args:
        screen: Standard output.
        environ: Says what the terminal is.
        which: Where a program is, None if it is not there.
    """
    name = environ.get("TERM", "")
    if screen.size is None:
        yield Fact("standard output is no terminal", "note")
    else:
        width, height = screen.size
        small = width < _SMALLEST[0] or height < _SMALLEST[1]
        yield Fact(
            f"{width} columns and {height} rows",
            "warning" if small else "good",
            "Make the window larger: the application shows little in this one." if small else "",
        )
    if name in ("", "dumb", "unknown"):
        yield Fact(
            f"TERM is {quoted(name)}: the application can't draw there",
            "warning" if screen.size else "note",
            "Set TERM to what your terminal is, mostly xterm-256color." if screen.size else "",
        )
    else:
        yield Fact(f"TERM is {quoted(name)}; {_colours(name, environ)}")
    if environ.get("NO_COLOR"):
        yield Fact("NO_COLOR is set: no colours", "note")
    if screen.size is not None:
        yield _keys(name, environ)
    yield _clipboard(environ, which)
    yield from _encoding(screen.encoding)


def _colours(name: str, environ: Mapping[str, str]) -> str:
    if environ.get("COLORTERM", "").lower() in ("truecolor", "24bit") or "direct" in name:
        return "16 million colours"
    return "256 colours" if "256" in name else "perhaps 16 million colours (COLORTERM is not set)"


def _keys(name: str, environ: Mapping[str, str]) -> Fact:
    program = environ.get("TERM_PROGRAM", "")
    if not environ.get("TMUX") and (name.startswith(_KEYS) or program in _KEY_PROGRAMS):
        return Fact("keys: the terminal knows a protocol that tells all of them apart")
    return Fact(
        "keys: Shift+Enter may not be told from Enter; Alt+Enter and Ctrl+J always are", "note"
    )


def _clipboard(environ: Mapping[str, str], which: Callable[[str], str | None]) -> Fact:
    for program in programs(environ):
        if which(program.command[0]):
            return Fact(f"clipboard: by {program.command[0]}")
    if takes_osc52(environ):
        return Fact("clipboard: through the terminal (OSC 52)")
    if ignores_osc52(environ):
        return Fact(
            "clipboard: none; what is copied goes into a file",
            "note",
            "Install wl-clipboard (Wayland) or xclip (X11) for one, where the screen is here.",
        )
    return Fact("clipboard: through the terminal (OSC 52), which it may ignore", "note")


def _encoding(encoding: str) -> Iterator[Fact]:
    if encoding.lower().replace("-", "").replace("_", "") == "utf8":
        yield Fact("text is UTF-8")
    else:
        yield Fact(
            f"text is {quoted(encoding)}, which lacks most letters",
            "warning",
            "Set LC_ALL to a UTF-8 locale, such as C.UTF-8.",
        )
