"""How a comparison was made: what somebody else needs to make it again, or to doubt it.

It goes into the document and the report. Nothing in it names the person: of paths below the
home directory only the rest is told.
"""

from __future__ import annotations

import importlib.metadata
import os
import shlex
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from urial_tui import __version__, paths
from urial_tui.compare.sides import Side
from urial_tui.engine.protocol import EngineOptions
from urial_tui.processor import processor_name


def provenance(
    sides: Mapping[str, Side],
    *,
    options: EngineOptions,
    limits: Mapping[str, int],
    command: Sequence[str],
) -> dict[str, Any]:
    """The key `run` of the document.

    Args:
        sides: By name, base and aligned.
        options: How both were loaded.
        limits: `max_tokens` and the like, by their name.
        command: The command line, without what a shell took from it.
    """
    return {
        "program": f"urial-tui {__version__}",
        "library": f"llama-cpp-python {importlib.metadata.version('llama-cpp-python')}",
        "processor": processor_name(),
        "time": datetime.fromtimestamp(time.time(), UTC).isoformat(timespec="seconds"),
        "command": shlex.join(map(without_home, command)),
        **limits,
        "kv_type": options.kv_type,
        "files": {name: _files(side) for name, side in sides.items()},
    }


def without_home(text: str) -> str:
    """A word of a command line with `~` in place of the home directory."""
    home = os.path.normpath(paths.home())
    if home == os.sep:
        return text
    return "+".join(
        f"~{part[len(home) :]}" if part == home or part.startswith(home + os.sep) else part
        for part in text.split("+")
    )


def _files(side: Side) -> list[dict[str, Any]]:
    """The names and sizes (bytes, None where that can't be told) of a side's files."""
    found = []
    for path in (side.path, side.adapter):
        if path is not None:
            try:
                size = path.stat().st_size
            except OSError:
                size = None
            found.append({"name": path.name, "size": size})
    return found
