"""Editing a text in the user's own editor ($VISUAL, $EDITOR), in a temporary file.

The text lies in a directory of its own that only its owner can enter, and that goes
afterwards with all that the editor put there. What an editor saved before it failed is
kept.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from urial_tui.errors import UrialError
from urial_tui.sanitize import sanitize_line

FALLBACKS = ("editor", "nano", "vim", "vi")
_NAME = "urial.md"
_HINT = "Set VISUAL or EDITOR to an editor that is installed."


def editor_command(environ: Mapping[str, str] = os.environ) -> list[str]:
    """The editor as a command: $VISUAL, else $EDITOR, else the first usual one that is there.

    Raises:
        UrialError: It can't be found, or the variable is no command.
    """
    path = environ.get("PATH")
    for variable in ("VISUAL", "EDITOR"):
        if not (written := environ.get(variable, "").strip()):
            continue
        try:
            command = shlex.split(written)
        except ValueError as error:
            raise UrialError(
                f"{variable} is no command: {error}.", "Correct its quotes."
            ) from error
        if command and shutil.which(command[0], path=path):
            return command
        raise UrialError(f"The editor {sanitize_line(written)!r} is not there.", _HINT)
    for name in FALLBACKS:
        if shutil.which(name, path=path):
            return [name]
    raise UrialError("There is no editor.", _HINT)


def edit_text(text: str, command: list[str]) -> str:
    """Have the user change a text; returns when the editor ends.

    A line break that the editor puts at the end goes again.

    Raises:
        UrialError: The editor could not be started, or failed.
    """
    directory = Path(tempfile.mkdtemp(prefix="urial-"))
    file = directory / _NAME
    kept = False
    try:
        file.touch(mode=0o600)
        file.write_text(text, encoding="utf-8", errors="replace", newline="")
        with _interrupts_for_the_editor():
            done = subprocess.run([*command, str(file)], check=False)
        changed = file.read_text(encoding="utf-8", errors="replace")
        if done.returncode != 0:
            kept = changed.rstrip("\n") != text.rstrip("\n")
            raise UrialError(
                f"The editor ended with code {done.returncode}; your text is as it was.",
                f"What it saved is in {file}." if kept else "",
            )
    except OSError as error:
        raise UrialError(
            f"The editor {sanitize_line(command[0])!r} can't be used: {error.strerror}.", _HINT
        ) from error
    finally:
        if not kept:
            shutil.rmtree(directory, ignore_errors=True)
    return changed if text.endswith("\n") else changed.removesuffix("\n")


@contextlib.contextmanager
def _interrupts_for_the_editor() -> Iterator[None]:
    """Ctrl+C is the editor's while it runs.

    A handler rather than SIG_IGN, which the editor would inherit.
    """
    before = signal.signal(signal.SIGINT, lambda number, frame: None)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
