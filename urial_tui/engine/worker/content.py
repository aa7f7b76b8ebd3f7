"""What is in a file, told by its SHA-256: equal only for files that agree in every byte.

Reading gigabytes takes seconds (1.3 GB/s with the processor's SHA instructions; BLAKE2b came to
0.5), so a digest is remembered, on disk and in this process, under what changes whenever the file
does: device, inode, size, modification time and change time. The last one can't be set by programs
that restore the modification time (rsync -t, tar). A file that changed within the last seconds is
not remembered: it may change again without another time being seen. Where files have other inodes
at each look, or the directory can't be written, a digest is computed again; it is never wrong for
that. A file system without change times (FAT) shows a change only where the modification time or
the size shows it.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import secrets
import sys
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import msgspec

from urial_tui import files

MEMORY_NAME = "contents.json"
SETTLED = 3.0
"""Seconds after which a file's times tell one version from the next. FAT counts in twos."""

_BLOCK = 1 << 20
_MAX_ENTRIES = 512
_MAX_MEMORY_BYTES = 1 << 20
_PART = re.compile(r"-(\d{5})-of-(\d{5})\.gguf$")
# Windows has the time of creation there.
_CHANGE_TIMES = sys.platform != "win32"


class DigestStopped(Exception):
    """The digest is not wanted any more."""


class _Entry(msgspec.Struct, frozen=True, array_like=True):
    """A version of a file, and its digest."""

    size: int
    modified: int
    changed: int
    sha256: str


class _Memory(msgspec.Struct, frozen=True):
    """The file on disk; by "device:inode", the newest last."""

    version: int
    files: dict[str, _Entry]


class Contents:
    """Digests of files.

    Args:
        directory: Where they are remembered, in one small file.
    """

    def __init__(self, directory: Path) -> None:
        self._path = directory / MEMORY_NAME
        self._known: dict[str, _Entry] = {}

    def digest(self, path: Path, stopped: Callable[[], bool] = lambda: False) -> str:
        """The SHA-256 of a file's content, in hexadecimal.

        Args:
            path: A regular file.
            stopped: Asked now and then, from the thread that calls.

        Raises:
            OSError: It can't be read.
            Stopped: `stopped` said so.
        """
        with files.open_regular(path) as file:
            before = os.fstat(file.fileno())
            entry = self._recall(before)
            if entry is not None:
                return entry.sha256
            digest = hashlib.sha256()
            block = memoryview(bytearray(_BLOCK))
            while length := file.readinto(block):
                digest.update(block[:length])
                if stopped():
                    raise DigestStopped
            found = digest.hexdigest()
            if version_of(os.fstat(file.fileno())) == version_of(before):
                self._remember(before, found)
            return found

    def together(self, paths: Iterable[Path], stopped: Callable[[], bool] = lambda: False) -> str:
        """The digest of several files in their order; that of a single one is its own.

        Raises:
            OSError: One can't be read.
            Stopped: `stopped` said so.
        """
        digests = [self.digest(path, stopped) for path in paths]
        if len(digests) == 1:
            return digests[0]
        return hashlib.sha256("\n".join(digests).encode()).hexdigest()

    # -- the memory -------------------------------------------------------------------

    def _recall(self, status: os.stat_result) -> _Entry | None:
        key = _key(status)
        entry = self._known.get(key)
        if entry is None or not _matches(entry, status):
            entry = self._read().get(key)
        if entry is None or not _matches(entry, status):
            return None
        self._known[key] = entry
        return entry

    def _remember(self, status: os.stat_result, sha256: str) -> None:
        newest = max(status.st_mtime, status.st_ctime)
        if not _CHANGE_TIMES or time.time() - newest < SETTLED:
            return
        key = _key(status)
        entry = _Entry(status.st_size, status.st_mtime_ns, status.st_ctime_ns, sha256)
        self._known[key] = entry
        kept = self._read()
        kept.pop(key, None)
        kept[key] = entry
        for old in list(kept)[: max(0, len(kept) - _MAX_ENTRIES)]:
            del kept[old]
        # It costs time next time, nothing else.
        with contextlib.suppress(OSError):
            files.make_directory(self._path.parent)
            with files.replacing(self._path) as file:
                file.write(msgspec.json.encode(_Memory(version=1, files=kept)))

    def _read(self) -> dict[str, _Entry]:
        try:
            data = files.read_bytes(self._path, _MAX_MEMORY_BYTES)
            memory = msgspec.json.decode(data, type=_Memory)
        except (OSError, msgspec.MsgspecError, ValueError):
            return {}
        return memory.files if memory.version == 1 else {}


class FileDigest:
    """The digest of a file, or of all parts of a model, while something else loads it.

    Args:
        contents: Knows or computes it.
        path: The file, or the first part.
    """

    def __init__(self, contents: Contents, path: Path) -> None:
        self._contents = contents
        self._paths = part_files(path)
        self._versions = self._look()
        self._stop = False
        self._digest = ""
        self._thread = threading.Thread(target=self._read, name="contents", daemon=True)
        self._thread.start()

    def result(self) -> str:
        """The digest of what was loaded meanwhile.

        Where that can't be told, for a file changed while it was loaded, it is one that no file
        has.
        """
        self._thread.join()
        if not self._digest or self._look() != self._versions:
            return f"unknown-{secrets.token_hex(16)}"
        return self._digest

    def stop(self) -> None:
        """The digest is not wanted any more."""
        self._stop = True
        self._thread.join()

    def _read(self) -> None:
        with contextlib.suppress(OSError, DigestStopped):
            self._digest = self._contents.together(self._paths, lambda: self._stop)

    def _look(self) -> list[tuple[int, ...]]:
        with contextlib.suppress(OSError):
            return [version_of(path.stat()) for path in self._paths]
        return []


def version_of(status: os.stat_result) -> tuple[int, int, int, int, int]:
    """The stat signature of a file: another one whenever it, or that of its name, has changed."""
    return (
        status.st_dev,
        status.st_ino,
        status.st_size,
        status.st_mtime_ns,
        status.st_ctime_ns,
    )


def part_files(path: Path) -> list[Path]:
    """The files of a model that is split (NAME-00001-of-00003.gguf …), or the one file."""
    found = _PART.search(path.name)
    if found is None:
        return [path]
    count = int(found[2])
    stem = path.name[: found.start()]
    parts = [
        path.with_name(f"{stem}-{part:05d}-of-{count:05d}.gguf") for part in range(1, count + 1)
    ]
    # A single file may be named so by chance.
    return parts if path in parts and all(map(files.is_file, parts)) else [path]


def file_states(path: Path) -> tuple[tuple[int, ...], ...]:
    """What tells the files of a model from others of their names: place, size and times."""
    found = []
    for file in part_files(path):
        with contextlib.suppress(OSError):
            status = file.stat()
            found.append((status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns))
    return tuple(found)


def _key(status: os.stat_result) -> str:
    return f"{status.st_dev}:{status.st_ino}"


def _matches(entry: _Entry, status: os.stat_result) -> bool:
    return (
        (entry.size, entry.modified, entry.changed)
        == (status.st_size, status.st_mtime_ns, status.st_ctime_ns)
    ) and re.fullmatch(r"[0-9a-f]{64}", entry.sha256) is not None
