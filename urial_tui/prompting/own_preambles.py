"""The user's own preambles: under which names they can be kept, and keeping them.

One that comes with the program is never written: a changed one gets a name of its own.
"""

from __future__ import annotations

from pathlib import Path

from urial_tui import paths
from urial_tui.errors import PreambleError, UsageError
from urial_tui.files import is_there, reason
from urial_tui.prompting.preamble import Preamble
from urial_tui.prompting.preamble_file import MAX_BYTES, toml_text, write_preamble_file
from urial_tui.prompting.soundness import NAME, check_sound
from urial_tui.sanitize import quoted, sanitize_line
from urial_tui.wording import size

_DELETED = ".deleted"
"""Behind the name of a file that was deleted, so that it is no preamble."""


def own_path(name: str) -> Path:
    """The file of the user's own preamble of that name, which need not be there.

    Raises:
        PreambleError: None can have that name, or one that comes with the program has it.
    """
    if not NAME.fullmatch(name):
        raise PreambleError(
            f"A preamble can't be called {quoted(name)}.",
            "Use lower-case letters, digits, and single dots or dashes between them.",
        )
    path = paths.user_prompts_dir() / f"{name}.toml"
    if is_there(paths.shipped_prompts_dir() / path.name) and not is_there(path):
        raise PreambleError(
            f"The program has a preamble named {name}.", "Choose a name that is not taken."
        )
    return path


def free_name(name: str) -> str:
    """A name like this one that nothing has."""
    base = name if NAME.fullmatch(name) else "preamble"
    taken = (paths.shipped_prompts_dir(), paths.user_prompts_dir())
    number = 1
    while True:
        found = f"{base}-own" if number == 1 else f"{base}-own-{number}"
        if not any(is_there(directory / f"{found}.toml") for directory in taken):
            return found
        number += 1


def delete_own(path: Path) -> Path:
    """Take one of the user's own preambles out of the list; `bring_back_own` undoes it.

    Returns:
        Where its file is from now on, beside where it was; what was deleted there before goes.

    Raises:
        PreambleError: It is none of the user's own, or can't be moved.
    """
    if path.parent != paths.user_prompts_dir():
        raise PreambleError(
            f"{sanitize_line(path.stem)} comes with the program.", "Only your own can be deleted."
        )
    kept = path.with_name(path.name + _DELETED)
    try:
        path.replace(kept)
    except OSError as error:
        raise PreambleError(
            f"{sanitize_line(str(path))} can't be deleted: {reason(error)}.",
            "See whether you may write in that directory.",
        ) from error
    return kept


def bring_back_own(kept: Path) -> Path:
    """Put a preamble back that was deleted: its file.

    Args:
        kept: What `delete_own` returned.

    Raises:
        PreambleError: Its name is taken by now, or it can't be moved.
    """
    path = kept.with_name(kept.name.removesuffix(_DELETED))
    if is_there(path):
        raise PreambleError(
            f"There is a preamble of yours named {sanitize_line(path.stem)} again.",
            f"What was deleted is still in {sanitize_line(str(kept))}.",
        )
    try:
        kept.rename(path)
    except OSError as error:
        raise PreambleError(
            f"{sanitize_line(str(kept))} can't be brought back: {reason(error)}.",
            "See whether it is still there, and whether you may write in that directory.",
        ) from error
    return path


def save_own(preamble: Preamble, *, replace: bool) -> Preamble:
    """Save a preamble under its name: returns it as it was written.

    Args:
        preamble: What is kept.
        replace: Whether a file of the user's own of that name goes.

    Raises:
        UsageError: There is one, and it is not to go.
        PreambleError: It could not work, no preamble can have that name, or it can't be written;
            nothing has changed then.
    """
    path, trimmed = own_path(preamble.name), preamble.trimmed()
    check_sound(trimmed, path)
    text = toml_text(trimmed)
    length = len(text.encode("utf-8", "replace"))
    if length > MAX_BYTES:
        raise PreambleError(
            f"The preamble has {size(length)}, and a file of one may have {size(MAX_BYTES)}.",
            "Shorten it: it would fill any context.",
        )
    try:
        write_preamble_file(path, text, replace=replace)
    except UsageError as error:
        raise UsageError(f"There is a preamble of yours named {preamble.name}.") from error
    except PreambleError as error:
        raise PreambleError(
            sanitize_line(error.message), "Free some space, or see whether you may write there."
        ) from error
    return trimmed
