"""An input for a path, with autocompletion."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from pathlib import Path

from textual.suggester import Suggester

from urial_tui import paths
from urial_tui.files import is_directory
from urial_tui.tui.widgets.safe_input import SafeInput


class PathLine(SafeInput):
    """An input for a path."""


class PathSuggester(Suggester):
    """Completes the last part of a path.

    Args:
        offered: Whether a path is one to choose, or a directory on the way to one.
    """

    def __init__(self, offered: Callable[[Path], bool]) -> None:
        super().__init__(use_cache=False, case_sensitive=True)
        self._offered = offered

    async def get_suggestion(self, value: str) -> str | None:
        """The first path to offer that starts so."""
        return await asyncio.to_thread(completion, value, self._offered)


def typed_path(text: str) -> Path | None:
    """The path that was typed, absolute; None for nothing. Surrounding quotes go."""
    text = text.strip().strip("'\"")
    if not text or "\0" in text:
        return None
    return paths.typed_path(text).absolute()


def completion(text: str, offered: Callable[[Path], bool]) -> str | None:
    """`text` with the last part of the path completed; None where nothing starts so."""
    head, _, start = text.rpartition(os.sep)
    directory = typed_path(head + os.sep) if os.sep in text else Path.cwd()
    if directory is None:
        return None
    try:
        names = sorted(os.listdir(directory))  # noqa: PTH208  # names suffice
    except OSError:
        return None
    for name in names:
        if name.startswith(start) and offered(directory / name):
            end = os.sep if is_directory(directory / name) else ""
            found = text.removesuffix(start) + name + end
            if found != text:
                return found
    return None
