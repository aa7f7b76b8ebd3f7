"""Disk space: what is free in a directory, and whether what has to go there fits.

A directory need not be there yet. Where what is free can't be told, nothing is said: writing shows.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from urial_tui import wording
from urial_tui.errors import ModelError
from urial_tui.sanitize import quoted


def free_space(directory: Path) -> int | None:
    """Bytes that are free where a directory is or will be; None where that is not known."""
    for path in (directory, *directory.parents):
        try:
            return shutil.disk_usage(path).free
        except OSError:
            continue
    return None


def check_space(directory: Path, needed: int, what: str, hint: str) -> None:
    """Check that so many bytes more fit into a directory.

    Args:
        directory: Where they go.
        needed: How many.
        what: What they are of, as it stands in the sentence.
        hint: What to do.

    Raises:
        ModelError: They don't.
    """
    free = free_space(directory)
    if free is not None and free < needed:
        raise ModelError(
            f"The disk is too full for {what}: it needs {wording.size(needed)} in "
            f"{quoted(str(directory))}, where {wording.size(free)} are free and "
            f"{wording.size(needed - free)} are missing.",
            hint,
        )
