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

import msgspec
from msgspec import UNSET, UnsetType

from urial_tui import __version__, paths
from urial_tui.compare.runner import Comparison
from urial_tui.engine.wire.values import ModelInfo
from urial_tui.processor import processor_name


class FileRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A file that was used. `size`: bytes; None, as `sha256`, where that is not known."""

    name: str
    size: int | None
    sha256: str | None


class RunRecord(msgspec.Struct, frozen=True, kw_only=True):
    """The key `run` of a document: by what something was made, when, and from which files.

    Of the limits, those that mean something for what was made.
    """

    program: str
    library: str
    build: str
    processor: str
    time: str
    command: str
    max_tokens: int | UnsetType = UNSET
    top_k: int | UnsetType = UNSET
    window: int | UnsetType = UNSET
    skip: int | UnsetType = UNSET
    parallel: int | UnsetType = UNSET
    n_ctx: int | UnsetType = UNSET
    kv_type: str
    files: Mapping[str, tuple[FileRecord, ...]]


def provenance(
    comparison: Comparison, *, limits: Mapping[str, int], command: Sequence[str]
) -> RunRecord:
    """The record of a comparison.

    Args:
        comparison: Open.
        limits: `max_tokens` and the like, by their name.
        command: The command line, without what a shell took from it.
    """
    info = comparison.aligned_info
    base, aligned = comparison.base, comparison.aligned
    files = {
        "base": file_records(base.path, base.adapter, comparison.base_info),
        "aligned": file_records(aligned.path, aligned.adapter, info),
    }
    return run_record(info, files, limits=limits, command=command)


def run_record(
    info: ModelInfo,
    files: Mapping[str, tuple[FileRecord, ...]],
    *,
    limits: Mapping[str, int],
    command: Sequence[str],
) -> RunRecord:
    """The record of what was made now.

    Args:
        info: Of the model that was loaded.
        files: The models' files, by what each model was for.
        limits: `max_tokens` and the like, by their name.
        command: The command line, without what a shell took from it.
    """
    return RunRecord(
        program=f"urial-tui {__version__}",
        library=f"llama-cpp-python {importlib.metadata.version('llama-cpp-python')}",
        build=info.library,
        processor=processor_name(),
        time=datetime.fromtimestamp(time.time(), UTC).isoformat(timespec="seconds"),
        command=shlex.join(map(without_home, command)),
        kv_type=info.kv_type,
        files=files,
        **limits,
    )


def file_records(path: Path, adapter: Path | None, info: ModelInfo) -> tuple[FileRecord, ...]:
    """The files of a model and of its adapter."""
    found = []
    for file, content in ((path, info.content), (adapter, info.adapter_content)):
        if file is not None:
            try:
                size = file.stat().st_size
            except OSError:
                size = None
            found.append(FileRecord(name=file.name, size=size, sha256=content or None))
    return tuple(found)


def without_home(text: str) -> str:
    """A word of a command line with `~` in place of the home directory."""
    home = os.path.normpath(paths.home())
    if home == os.sep:
        return text
    return "+".join(
        f"~{part[len(home) :]}" if part == home or part.startswith(home + os.sep) else part
        for part in text.split("+")
    )
