"""How something was measured: what somebody else needs to do it again, or to doubt it.

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
from pathlib import Path
from typing import Any

from urial_tui import __version__, paths
from urial_tui.compare.runner import Comparison
from urial_tui.engine.wire.protocol import ModelInfo
from urial_tui.processor import processor_name


def provenance(
    comparison: Comparison, *, limits: Mapping[str, int], command: Sequence[str]
) -> dict[str, Any]:
    """The key `run` of the document.

    Args:
        comparison: Open.
        limits: `max_tokens` and the like, by their name.
        command: The command line, without what a shell took from it.
    """
    info = comparison.aligned_info
    return {
        **made(info, limits=limits, command=command),
        "files": {
            "base": model_files(
                comparison.base.path, comparison.base.adapter, comparison.base_info
            ),
            "aligned": model_files(comparison.aligned.path, comparison.aligned.adapter, info),
        },
    }


def made(info: ModelInfo, *, limits: Mapping[str, int], command: Sequence[str]) -> dict[str, Any]:
    """By what something was made, and when.

    Args:
        info: Of the model that was loaded.
        limits: `max_tokens` and the like, by their name.
        command: The command line, without what a shell took from it.
    """
    return {
        "program": f"urial-tui {__version__}",
        "library": f"llama-cpp-python {importlib.metadata.version('llama-cpp-python')}",
        "build": info.library,
        "processor": processor_name(),
        "time": datetime.fromtimestamp(time.time(), UTC).isoformat(timespec="seconds"),
        "command": shlex.join(map(without_home, command)),
        **limits,
        "kv_type": info.kv_type,
    }


def model_files(path: Path, adapter: Path | None, info: ModelInfo) -> list[dict[str, Any]]:
    """A model and its adapter: names, sizes (bytes, None where unknown) and SHA-256."""
    found = []
    for file, content in ((path, info.content), (adapter, info.adapter_content)):
        if file is not None:
            try:
                size = file.stat().st_size
            except OSError:
                size = None
            found.append({"name": file.name, "size": size, "sha256": content or None})
    return found


def without_home(text: str) -> str:
    """A word of a command line with `~` in place of the home directory."""
    home = os.path.normpath(paths.home())
    if home == os.sep:
        return text
    return "+".join(
        f"~{part[len(home) :]}" if part == home or part.startswith(home + os.sep) else part
        for part in text.split("+")
    )
