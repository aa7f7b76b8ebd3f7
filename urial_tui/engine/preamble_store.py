"""Evaluated preambles on disk.

A file is used only for exactly what it was made from: its key covers the model's content,
the adapter, the token ids, the library and every setting that shapes the state. Length and
checksum are verified before the bytes reach the native library, which would abort on a
truncated state and silently accept a damaged one. Files appear atomically; a full or
read-only disk costs the speed-up, never an answer.

Layout: magic, SHA-256 of all that follows, 4-byte little-endian length of the header, the
header (msgpack), the state.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import struct
import time
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import msgspec

from urial_tui import wording
from urial_tui.engine.wire.values import NUMERICS, DeviceLayers
from urial_tui.files import make_directory, open_regular, replacing

_HEAD = struct.Struct("<8s32sI")
_MAGIC = b"URIALKV1"
_MAX_HEADER = 64 * 1024 * 1024
_SUFFIX = ".kv"
MIN_TOKENS = 32
"""Shorter preambles are evaluated faster than it is worth keeping them."""


class StateKey(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that a state depends on. Two equal keys mean interchangeable states.

    `model`, `adapter`: digests of their content; `library`: of the build. `placement`: which
    devices hold the layers, since each rounds in its own way.
    """

    model: str
    adapter: str
    adapter_scale: float
    tokens: tuple[int, ...]
    library: str
    kv_type: str
    flash_attention: bool
    swa_full: bool
    unified: bool
    n_batch: int
    gpu_layers: int
    placement: tuple[DeviceLayers, ...] = ()
    numerics: int = NUMERICS

    def digest(self) -> str:
        """A file name for this key."""
        return hashlib.sha256(msgspec.msgpack.encode(self)).hexdigest()[:40]


class _Header(msgspec.Struct, frozen=True, kw_only=True):
    """What precedes the state in a file."""

    key: StateKey
    model_name: str
    size: int


@dataclass(frozen=True)
class StoredPreamble:
    """One file. `size` in bytes; `used` and `created` in seconds since the epoch."""

    path: Path
    model: str
    tokens: int
    size: int
    used: float


class PreambleStore:
    """The state files of one directory.

    Args:
        directory: Where they are; made when the first one is written.
        limit_bytes: The least recently used files go when all of them exceed this; 0: none is
            kept.
    """

    def __init__(self, directory: Path, limit_bytes: int) -> None:
        self.directory = directory
        self._limit = limit_bytes

    def load(self, key: StateKey) -> bytearray | None:
        """The verified state for a key; None where there is none or it is damaged.

        A damaged file is removed.
        """
        path = self._path(key)
        try:
            with open_regular(path) as file:
                digest, header, packed = _read_header(file)
                if header.key != key:
                    raise ValueError("another file's content")
                if os.fstat(file.fileno()).st_size != file.tell() + header.size:
                    raise ValueError("another length")
                state = bytearray(header.size)
                if file.readinto(state) != header.size:
                    raise ValueError("another length")
            if _digest(packed, state) != digest:
                raise ValueError("another checksum")
        except FileNotFoundError:
            return None
        except (OSError, ValueError, MemoryError, msgspec.MsgspecError):
            self.discard(key)
            return None
        with contextlib.suppress(OSError):
            os.utime(path)
        return state

    def save(self, key: StateKey, model_name: str, state: bytes | bytearray) -> None:
        """Write a state atomically and make room for it.

        Raises:
            OSError: It can't be written, or is larger than all files may be together
                (EFBIG); nothing is left behind.
        """
        if len(state) > self._limit > 0:
            raise OSError(
                errno.EFBIG,
                f"it has {wording.size(len(state))} and engine.cache_limit_mb allows "
                f"{wording.size(self._limit)}",
            )
        if not self._limit:
            return
        make_directory(self.directory)
        self._evict(self._limit - len(state), keep=self._path(key))
        header = msgspec.msgpack.encode(_Header(key=key, model_name=model_name, size=len(state)))
        with replacing(self._path(key)) as file:
            file.write(_HEAD.pack(_MAGIC, _digest(header, state), len(header)) + header)
            file.write(state)

    def discard(self, key: StateKey) -> None:
        """Remove a key's file, if it can be."""
        with contextlib.suppress(OSError):
            self._path(key).unlink()

    def entries(self) -> list[StoredPreamble]:
        """The readable files, most recently used first. No state is read.

        Raises:
            OSError: The directory exists and can't be read.
        """
        found = []
        for path in self._files():
            with contextlib.suppress(OSError, ValueError, msgspec.MsgspecError):
                with open_regular(path) as file:
                    _, header, _ = _read_header(file)
                status = path.stat()
                found.append(
                    StoredPreamble(
                        path=path,
                        model=header.model_name,
                        tokens=len(header.key.tokens),
                        size=status.st_size,
                        used=status.st_mtime,
                    )
                )
        return sorted(found, key=lambda entry: entry.used, reverse=True)

    def clear(self, older_than: float | None = None) -> int:
        """Remove all files (or those not used for `older_than` seconds); the bytes freed.

        Raises:
            OSError: The directory or a file can't be removed.
        """
        freed = 0
        limit = time.time() - (older_than or 0.0)
        for path in [*self._files(), *self._leftovers()]:
            status = path.stat()
            if older_than is None or status.st_mtime < limit:
                path.unlink()
                freed += status.st_size
        return freed

    def _path(self, key: StateKey) -> Path:
        return self.directory / f"{key.digest()}{_SUFFIX}"

    def _files(self) -> list[Path]:
        return sorted(self.directory.glob(f"*{_SUFFIX}")) if self.directory.is_dir() else []

    def _leftovers(self) -> list[Path]:
        """Unfinished files of a process that was killed while it wrote."""
        return sorted(self.directory.glob("*.part")) if self.directory.is_dir() else []

    def _evict(self, target: int, keep: Path) -> None:
        """Remove the least recently used files until all of them fit in `target` bytes."""
        hour_ago = time.time() - 3600
        files = []
        for path in self._leftovers():
            with contextlib.suppress(OSError):
                if path.stat().st_mtime < hour_ago:
                    path.unlink()
        for path in self._files():
            with contextlib.suppress(OSError):
                status = path.stat()
                files.append((status.st_mtime, status.st_size, path))
        total = sum(size for _, size, path in files if path != keep)
        for _, size, path in sorted(files):
            if total <= target:
                return
            if path != keep:
                with contextlib.suppress(OSError):
                    path.unlink()
                    total -= size


def _digest(header: bytes, state: bytes | bytearray) -> bytes:
    digest = hashlib.sha256(header)
    digest.update(state)
    return digest.digest()


def _read_header(file: BinaryIO) -> tuple[bytes, _Header, bytes]:
    """(digest, header, packed header); the file is left at the start of the state.

    Raises:
        ValueError: It is no such file.
        msgspec.MsgspecError: Its header is damaged.
    """
    head = file.read(_HEAD.size)
    if len(head) != _HEAD.size:
        raise ValueError("too short")
    magic, digest, length = _HEAD.unpack(head)
    if magic != _MAGIC or length > _MAX_HEADER:
        raise ValueError("not a state file")
    packed = file.read(length)
    if len(packed) != length:
        raise ValueError("too short")
    return digest, msgspec.msgpack.decode(packed, type=_Header), packed
