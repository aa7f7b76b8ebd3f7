"""A cache of the headers of model files: only those of changed files are read again.

A file is known by its path, size, time of change and inode. The index is a cache: where it is
missing, damaged or can't be written, headers are read again, and nobody is told.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import msgspec

from urial_tui import paths
from urial_tui.errors import ModelError, UrialError
from urial_tui.files import make_directory, open_regular, read_bytes, reason, replacing
from urial_tui.models.gguf_file import HEAD, Metadata
from urial_tui.models.header import check_gguf
from urial_tui.models.kinds import ModelKind
from urial_tui.models.part_mark import parts_told
from urial_tui.models.stores.file_names import part_of
from urial_tui.models.stores.sighting import Sighting
from urial_tui.sanitize import sanitize_line, shortened

_VERSION = 2
"""To be raised whenever the same header would be told in another way."""
_MAX_BYTES = 64 * 1024 * 1024
_KINDS: tuple[ModelKind, ...] = ("model", "adapter", "embedding")
_LONGEST = 300
"""Characters of a reason or an architecture: both may be foreign text."""


class Facts(msgspec.Struct, frozen=True, array_like=True):
    """What a file is, as its header tells.

    `kind` is "" for what is none of these, and `why` says so: "FILE " + `why`. `parts`: files
    that the model is split into; of one that is named like a part, only as far as that is told
    before the vocabulary.
    """

    kind: Literal["model", "adapter", "embedding", ""]
    why: str = ""
    architecture: str = ""
    parts: int = 1


class _Seen(msgspec.Struct, frozen=True, array_like=True):
    size: int
    modified: int
    inode: int
    facts: Facts


class _Index(msgspec.Struct, frozen=True):
    version: int
    # Bytes, because a path need not be text.
    files: dict[bytes, _Seen]


class FileIndex:
    """Reads headers through the cache; as a context manager it is written back at the end.

    `read` counts the headers that had to be read.
    """

    def __init__(self, path: Path | None = None) -> None:
        self._path = path
        self._before: dict[bytes, _Seen] = {}
        self._now: dict[bytes, _Seen] = {}
        self.read = 0
        with contextlib.suppress(UrialError):
            # Without a home directory there is no cache either.
            self._path = path or paths.model_index_file()
            self._before = _stored(self._path)

    def facts(self, found: Sighting) -> Facts:
        """Read what a file is, through the cache."""
        key = os.fsencode(found.path)
        known = self._before.get(key)
        asked = found.size, found.modified, found.inode
        if known is not None and (known.size, known.modified, known.inode) == asked:
            self._now[key] = known
            return known.facts
        self.read += 1
        try:
            facts = read_facts(found.path)
        except OSError as error:
            # Not kept: rights may change without the file.
            return Facts(kind="", why=f"can't be read: {reason(error)}")
        self._now[key] = _Seen(*asked, facts)
        return facts

    def __enter__(self) -> FileIndex:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None:
            # What was not come to may still be there.
            self._now = self._before | self._now
        if self._path is None or self._now == self._before:
            return
        index = _Index(version=_VERSION, files=self._now)
        with contextlib.suppress(OSError):
            make_directory(self._path.parent)
            with replacing(self._path) as file:
                file.write(msgspec.msgpack.encode(index))


def read_facts(path: Path) -> Facts:
    """What a file is, from its first bytes; and whether it is a part, from all of its header.

    Raises:
        OSError: It can't be opened or read.
    """
    with open_regular(path) as file:
        head = file.read(HEAD.size)
    refused = ""
    for kind in _KINDS:
        try:
            header = check_gguf(path, kind)
        except ModelError as error:
            # What it is not as a model tells most.
            refused = refused or _without_path(error.message, path)
            continue
        has_tensors = len(head) < HEAD.size or HEAD.unpack(head)[2] > 0
        if not has_tensors and header.parts == 1 and part_of(path.name) is None:
            return Facts(kind="", why="holds no weights, only a vocabulary")
        return Facts(
            kind=kind,
            architecture=shortened(sanitize_line(header.architecture), _LONGEST),
            parts=min(_parts(path, header), 1 << 31),
        )
    return Facts(kind="", why=refused)


def _parts(path: Path, header: Metadata) -> int:
    # Those that are named like parts are put together by their names.
    return header.parts if part_of(path.name) else parts_told(path, header)


def _without_path(message: str, path: Path) -> str:
    """A sentence about a file, to stand behind its name."""
    for start in _starts(path):
        if message.startswith(start):
            message = message[len(start) :]
            break
    return shortened(message.rstrip("."), _LONGEST)


def _starts(path: Path) -> Iterator[str]:
    for start in ("The file", "The model file"):
        yield f"{start} {sanitize_line(str(path))} "


def _stored(path: Path) -> dict[bytes, _Seen]:
    try:
        index = msgspec.msgpack.decode(read_bytes(path, _MAX_BYTES), type=_Index)
    except (OSError, msgspec.DecodeError, ValueError, RecursionError):
        return {}
    return index.files if index.version == _VERSION else {}
