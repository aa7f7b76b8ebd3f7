"""A file that is being downloaded: what came so far, and the journal of what that belongs to.

Both lie beside the place where the file will be, as NAME.incomplete and NAME.incomplete.json. What
came is hashed while it is written, and anew when it is found again; nothing stands under the final
name before all of it is there. A lock that ends with its process keeps a second one away; where
the file system has none, nothing is downloaded.

It is no `files.NewFile`: what came has to outlive the process under a name that is known.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import msgspec

from urial_tui.errors import ModelError
from urial_tui.file_lock import InUse, open_locked
from urial_tui.files import (
    Refused,
    make_directory,
    open_regular,
    read_bytes,
    replacing,
    sync_directory,
)
from urial_tui.sanitize import quoted, sanitize_line

BLOCK: Final = 1024 * 1024
"""Bytes that are hashed at once, and more than what is fetched again after a crash."""

_SUFFIX: Final = ".incomplete"
_MAX_JOURNAL: Final = 64 * 1024


class PartialNote(msgspec.Struct, frozen=True, kw_only=True):
    """What the bytes that are there belong to; "" and 0 for what is not known.

    `url` without what stands behind a `?`, `tag` the ETag, `size` of the whole file in bytes.
    """

    url: str
    tag: str = ""
    size: int = 0
    sha256: str = ""


def bytes_there(target: Path, suffix: str) -> int:
    """How many bytes came of a file that is not whole; 0 where none did.

    Args:
        target: Where the file will be.
        suffix: As of `Partial`.
    """
    try:
        return target.with_name(f"{target.name}{suffix}").stat().st_size
    except OSError:
        return 0


class Partial:
    """The bytes of a file that are there so far, locked while it is open.

    Args:
        target: Where the file will be.
        suffix: What is put behind its name, before it is complete.
        write: Writes bytes to a descriptor, and says how many.
        called: What the file is called where its user is told of it; else by its target.

    Raises:
        ModelError: Another process downloads this file, or it can't be locked.
        OSError: It can't be opened.
    """

    def __init__(
        self,
        target: Path,
        suffix: str = _SUFFIX,
        write: Callable[[int, memoryview], int] = os.write,
        called: str = "",
    ) -> None:
        self.target = target
        self._called = called or target.name
        self.path = target.with_name(f"{target.name}{suffix}")
        self._journal_path = self.path.with_name(f"{self.path.name}.json")
        self._write = write
        make_directory(target.parent)
        self._file = self._locked()
        self._handle = self._file.fileno()
        self._hash = hashlib.sha256()
        self.size = 0
        self.journal: PartialNote | None = None

    def begin(
        self, journal: PartialNote, going: Callable[[int, int], object] | None = None
    ) -> None:
        """Go on with what is there, where it belongs to the same file; else begin anew.

        A file is the same by its checksum, or by its address, size and ETag. What is there is
        hashed; `going` is told how many bytes of how many.

        Raises:
            OSError: It can't be read or written.
        """
        found = self._read_journal()
        there = os.fstat(self._handle).st_size
        if found is None or not _same(found, journal) or (journal.size and there > journal.size):
            self.restart(journal)
            return
        self.journal = msgspec.structs.replace(journal, tag=found.tag, size=found.size)
        self._hash, self.size = hashlib.sha256(), 0
        os.lseek(self._handle, 0, os.SEEK_SET)
        while block := os.read(self._handle, BLOCK):
            self._hash.update(block)
            self.size += len(block)
            if going:
                going(self.size, there)

    def restart(self, journal: PartialNote) -> None:
        """Throw away what is there, and note what comes.

        Raises:
            OSError: It can't be written.
        """
        # In this order: bytes are never there under the note of others.
        os.ftruncate(self._handle, 0)
        os.lseek(self._handle, 0, os.SEEK_SET)
        self._hash, self.size = hashlib.sha256(), 0
        self.note(journal)

    def note(self, journal: PartialNote) -> None:
        """Note what the bytes belong to.

        Raises:
            OSError: It can't be written.
        """
        if journal != self.journal or not self._journal_path.exists():
            with replacing(self._journal_path) as file:
                file.write(msgspec.json.encode(journal))
            self.journal = journal

    def append(self, data: bytes) -> None:
        """Write more bytes; what was written counts, also where the rest can't be.

        Raises:
            OSError: They can't be written.
        """
        left = memoryview(data)
        while left:
            count = self._write(self._handle, left)
            self._hash.update(left[:count])
            self.size += count
            left = left[count:]

    def start(self) -> bytes:
        """The first four bytes, as far as they are there."""
        return os.pread(self._handle, 4, 0)

    @property
    def sha256(self) -> str:
        """Of the bytes that are there."""
        return self._hash.hexdigest()

    def finish(self, target: Path | None = None) -> Path:
        """Give the whole file its name, durably; where it is then.

        Args:
            target: The name, where it is another than was thought.

        Raises:
            OSError: It can't be written.
        """
        target = self.target if target is None else target
        os.fsync(self._handle)
        self.path.replace(target)
        self._journal_path.unlink(missing_ok=True)
        sync_directory(target.parent)
        return target

    def discard(self) -> None:
        """Delete what came, and the note of what it belongs to."""
        for path in (self._journal_path, self.path):
            with contextlib.suppress(OSError):
                path.unlink()

    def close(self) -> None:
        """Let others go on with it. What came stays, but nothing of nothing."""
        if self._file.closed:
            return
        with contextlib.suppress(OSError):
            if not self.size and os.path.samestat(os.fstat(self._handle), self.path.stat()):
                self.discard()
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _locked(self) -> io.FileIO:
        name = quoted(self._called, 120)
        try:
            file, trouble = open_locked(self.path, _open)
        except InUse as error:
            raise ModelError(
                f"The file {name} is being downloaded already, by another urial.",
                "Wait until that is done, or end it; what came is kept.",
            ) from error
        if trouble:
            file.close()
            raise ModelError(
                f"The file {name} can't be locked in {quoted(str(self.path.parent))} "
                f"({sanitize_line(trouble)}), so a second download could spoil it.",
                "Have models on a disk of this machine: `urial doctor` names their directories.",
            )
        return file

    def _read_journal(self) -> PartialNote | None:
        try:
            found = msgspec.json.decode(
                read_bytes(self._journal_path, _MAX_JOURNAL), type=PartialNote
            )
        except (OSError, Refused, msgspec.DecodeError, ValueError, RecursionError):
            return None
        return found


def _same(found: PartialNote, wanted: PartialNote) -> bool:
    """Whether bytes noted as one file's can be gone on with as another's."""
    if wanted.size and found.size and wanted.size != found.size:
        return False
    if wanted.sha256:
        return found.sha256 == wanted.sha256
    return found.url == wanted.url and bool(found.tag) and not found.tag.startswith("W/")


def _open(path: Path) -> io.FileIO:
    if path.exists():
        # Something else than a file is told before it is opened for writing.
        open_regular(path).close()
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
    return io.FileIO(os.open(path, flags, 0o666), "r+b")
