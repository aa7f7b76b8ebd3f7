"""Model files that come in a Python package, in chunks.

llama.cpp maps one whole file, so the chunks are put together in the models directory when
the model is first used. The file appears there under its name complete and verified, or
not at all; a second process that does the same at the same time ends with the same file.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib
import importlib.util
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import BinaryIO

from urial_tui import wording
from urial_tui.errors import ModelError
from urial_tui.files import NewFile, make_directory, reason
from urial_tui.models.catalogue import CatalogueEntry
from urial_tui.models.disk_space import check_space
from urial_tui.sanitize import sanitize_line

Progress = Callable[[int, int], object]
"""Called with the bytes done and the bytes in all."""

_BLOCK = 4 * 1024 * 1024
_STALE_S = 3600


def is_packaged(entry: CatalogueEntry) -> bool:
    """Whether the package that carries the entry's file is installed. Imports nothing."""
    return bool(entry.package) and importlib.util.find_spec(_module(entry.package)) is not None


def assemble(entry: CatalogueEntry, target: Path, progress: Progress | None = None) -> None:
    """Put the chunks of the entry's package together as `target`.

    Raises:
        ModelError: The package is incomplete, its content is not the expected one, or the
            file can't be written; nothing is left behind.
    """
    chunks = _chunks(entry)
    total = sum(chunk.stat().st_size for chunk in chunks)
    shown = sanitize_line(str(target))
    try:
        make_directory(target.parent)
        _remove_stale_parts(target.parent)
        check_space(target.parent, total, "the model", "Make room there and try again.")
        with NewFile(target, private=False) as new:
            digest = _copy(chunks, new.file, total, progress)
            if digest != entry.sha256:
                raise ModelError(
                    f"The package {entry.package} is damaged: its model file has another checksum.",
                    "Install it again: pip install --force-reinstall --no-cache-dir "
                    f"{entry.package}.",
                )
            new.sync()
            new.put()
    except OSError as error:
        raise ModelError(
            f"The model {entry.name} can't be written to {shown}: {reason(error)}.",
            f"It needs {wording.size(total)} in a directory that you may write to.",
        ) from error


def _module(package: str) -> str:
    return package.replace("-", "_")


def _chunks(entry: CatalogueEntry) -> Sequence[Path]:
    """The chunk files in order, all of them present."""
    repair = f"Install it again: pip install --force-reinstall {entry.package}."
    try:
        package = importlib.import_module(_module(entry.package))
        chunks = [Path(chunk) for chunk in package.chunk_paths()]
    except (ImportError, AttributeError, OSError) as error:
        raise ModelError(
            f"The package {entry.package} is incomplete: {sanitize_line(str(error))}.", repair
        ) from error
    missing = [chunk for chunk in chunks if not chunk.is_file()]
    if missing or not chunks:
        name = missing[0].name if missing else "every chunk"
        raise ModelError(f"The package {entry.package} lacks {sanitize_line(name)}.", repair)
    return chunks


def _copy(chunks: Sequence[Path], output: BinaryIO, total: int, progress: Progress | None) -> str:
    """Write the chunks one after the other; the SHA-256 of what was written."""
    digest = hashlib.sha256()
    done = 0
    for chunk in chunks:
        with chunk.open("rb") as source:
            while block := source.read(_BLOCK):
                output.write(block)
                digest.update(block)
                done += len(block)
                if progress:
                    progress(done, total)
    return digest.hexdigest()


def _remove_stale_parts(directory: Path) -> None:
    """Remove what processes left that were killed while they wrote."""
    limit = time.time() - _STALE_S
    for path in directory.glob(".*.part"):
        with contextlib.suppress(OSError):
            if path.stat().st_mtime < limit:
                path.unlink()
