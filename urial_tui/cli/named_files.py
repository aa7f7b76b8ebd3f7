"""The files that a command's options name: nothing is written over what is read."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from urial_tui.errors import UsageError
from urial_tui.files import is_directory, is_same, is_there, reason
from urial_tui.paths import typed_path
from urial_tui.sanitize import sanitize_line

_READ = (
    *("queries", "text_file", "base", "aligned", "base_context", "aligned_context"),
    *("items", "model", "preamble", "context", "outputs", "against", "judge", "files"),
    *("answers", "like", "names", "pool"),
)
_ARGUMENTS = {"files": "FILE", "names": "NAME", "pool": "POOL.jsonl"}
_WRITTEN = ("html", "markdown", "out")


def check_written(options: Mapping[str, Any]) -> None:
    """Validate the files that options name: none is written that is read, or written twice, by
    whatever names.

    Raises:
        UsageError: Two options name one file, or nothing can be written to what one names.
    """
    written = [(f"--{name}", options[name]) for name in _WRITTEN if options.get(name)]
    for output, path in written:
        _check_place(output, path)
    named = list(written)
    for name in _READ:
        option = _ARGUMENTS.get(name) or f"--{name.removesuffix('_file').replace('_', '-')}"
        value = options.get(name) or ""
        for text in map(str, value if isinstance(value, tuple) else (value,)):
            # A model may have an adapter behind it.
            parts = {text, *text.split("+")}
            named += [(option, path) for path in map(typed_path, parts) if is_there(path)]
    for output, path in written:
        for option, other in named:
            if option != output and is_same(path, other):
                raise UsageError(
                    f"{option} and {output} name the same file, {sanitize_line(str(path))}.",
                    f"Name another file with {output}.",
                )


def _check_place(output: str, path: Path) -> None:
    """What is told after hours of computing could have been told before them."""
    directory = path.absolute().parent
    if is_directory(path):
        trouble = "it is a directory"
    elif not is_directory(directory):
        trouble = "there is no such directory"
    elif not os.access(directory, os.W_OK):
        trouble = "its directory can't be written to"
    else:
        try:
            # A name that is there, or is missing, can be; one that is too long is neither.
            os.lstat(path)
        except (FileNotFoundError, ValueError):
            return
        except OSError as error:
            trouble = reason(error)
        else:
            return
    raise UsageError(
        f"{output} can't be written to {sanitize_line(str(path))}: {trouble}.",
        f"Choose another place with {output}.",
    )
