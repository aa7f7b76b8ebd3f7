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
from collections.abc import Callable, Mapping
from pathlib import Path

from urial_tui import paths
from urial_tui.clipboards import (
    ClipboardProgram,
    ignores_osc52,
    is_remote,
    programs,
    takes_osc52,
)
from urial_tui.errors import UrialError
from urial_tui.files import make_directory, reason, replacing
from urial_tui.wording import amount

TERMINAL_LIMIT = 74_994
"""Bytes. Several terminals take at most 100,000 bytes of OSC 52: 8 for itself, the rest base64."""

_TIMEOUT = 2.0
"""Seconds that a program gets."""


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
    for program in programs(environ):
        if _run(program, text, environ):
            return f"Copied {what}{program.how}."
    size = len(text.encode("utf-8", "replace"))
    deaf = ignores_osc52(environ)
    if size <= TERMINAL_LIMIT and not deaf:
        ask_terminal(text)
        if takes_osc52(environ):
            return f"Copied {what} through the terminal (OSC 52)."
        return f"Sent {what} to the terminal's clipboard (OSC 52), which it may ignore."
    path = _write(text)
    why = (
        f"this terminal has no clipboard for us{_what_helps(environ)}"
        if deaf
        else f"a terminal takes at most {TERMINAL_LIMIT:,} bytes at once"
    )
    return f"Copied {what} to {path}: {why}."


def _what_helps(environ: Mapping[str, str]) -> str:
    """What would let a program set the clipboard, where this machine has one."""
    if is_remote(environ):
        return ""
    if environ.get("WAYLAND_DISPLAY"):
        return "; wl-clipboard (wl-copy) would have one"
    return "; xclip would have one" if environ.get("DISPLAY") else ""


def _run(program: ClipboardProgram, text: str, environ: Mapping[str, str]) -> bool:
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
