"""Copying text out of the application, and saying how that was done.

A program that sets the clipboard says whether it did. A terminal that is asked with OSC 52
does not answer, and some ignore it. So in this order: a program of this machine, unless the
terminal is on another one; tmux, which keeps the text and passes it on; the terminal, unless
it is known to ignore it; a file. A program gets the text on its standard input, never as an
argument. Nothing is called copied that may not have arrived.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from urial_tui import paths
from urial_tui.errors import UrialError
from urial_tui.files import make_directory, reason, replacing
from urial_tui.wording import amount

TERMINAL_LIMIT = 74_994
"""Bytes. Several terminals take at most 100,000 bytes of OSC 52: 8 for itself, the rest base64."""

_TIMEOUT = 2.0
"""Seconds that a program gets."""

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


class _Program(NamedTuple):
    command: tuple[str, ...]
    how: str = ""
    encoding: str = "utf-8"


def copy(
    text: str,
    ask_terminal: Callable[[str], object],
    what: str = "",
    environ: Mapping[str, str] = os.environ,
) -> str:
    """Copy `text` in the first way that works; starts programs and may take seconds.

    Args:
        text: What is copied, as it is.
        ask_terminal: Has the terminal set its clipboard, by OSC 52.
        what: Names the text; its length unless given.
        environ: Tells what this machine and this terminal are.

    Returns:
        What was copied and how: a sentence.

    Raises:
        UrialError: There was no way.
    """
    what = what or amount(len(text), "character")
    for program in _programs(environ):
        if _run(program, text, environ):
            return f"Copied {what}{program.how}."
    size = len(text.encode("utf-8", "replace"))
    deaf = _is_one_of(_DEAF, environ)
    if size <= TERMINAL_LIMIT and not deaf:
        ask_terminal(text)
        if _is_one_of(_TAKING, environ):
            return f"Copied {what} through the terminal (OSC 52)."
        return f"Sent {what} to the terminal's clipboard (OSC 52), which it may ignore."
    path = _write(text)
    why = (
        f"this terminal has no clipboard for us{_what_helps(environ)}"
        if deaf
        else f"a terminal takes at most {TERMINAL_LIMIT:,} bytes at once"
    )
    return f"Copied {what} to {path}: {why}."


def _is_one_of(known: Iterable[tuple[str, str]], environ: Mapping[str, str]) -> bool:
    return any(environ.get(name) and environ[name].startswith(start) for name, start in known)


def _what_helps(environ: Mapping[str, str]) -> str:
    """What would let a program set the clipboard, where this machine has one."""
    if _is_remote(environ):
        return ""
    if environ.get("WAYLAND_DISPLAY"):
        return "; wl-clipboard (wl-copy) would have one"
    return "; xclip would have one" if environ.get("DISPLAY") else ""


def _is_remote(environ: Mapping[str, str]) -> bool:
    return bool(environ.get("SSH_CONNECTION") or environ.get("SSH_TTY"))


def _programs(environ: Mapping[str, str]) -> Iterator[_Program]:
    """What can set a clipboard that the user has at hand."""
    if not _is_remote(environ):
        if sys.platform == "darwin":
            yield _Program(("pbcopy",))
        if environ.get("WAYLAND_DISPLAY"):
            yield _Program(("wl-copy",))
        if environ.get("DISPLAY"):
            yield _Program(("xclip", "-selection", "clipboard"))
            yield _Program(("xsel", "--clipboard", "--input"))
        if environ.get("WSL_DISTRO_NAME"):
            yield _Program(("clip.exe",), encoding="utf-16")
    if environ.get("TMUX"):
        yield _Program(("tmux", "load-buffer", "-w", "-"), how=" through tmux")


def _run(program: _Program, text: str, environ: Mapping[str, str]) -> bool:
    found = shutil.which(program.command[0], path=environ.get("PATH"))
    if found is None:
        return False
    try:
        done = subprocess.run(
            [found, *program.command[1:]],
            input=text.encode(program.encoding, "replace"),
            # Some stay in the background to hand the text out; they must not hold our pipes.
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=dict(environ),
            timeout=_TIMEOUT,
            check=False,
            start_new_session=True,
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


def _write(text: str) -> Path:
    path = paths.copied_file()
    try:
        make_directory(path.parent)
        with replacing(path) as file:
            file.write(text.encode("utf-8", "replace"))
    except OSError as error:
        raise UrialError(
            f"Nothing was copied: {path.parent} can't be written ({reason(error)}).",
            "Make room there, or mark the text with the mouse and Shift.",
        ) from error
    return path
