"""One side's logits on disk, for two models that don't fit into memory together.

The first model's rows are written, the model is freed, and the rows are read back beside
the second model's, a chunk at a time. What comes back is bit for bit what was written, so
both ways of comparing give the same digits.

Layout: magic (8 bytes), then little-endian u32 version (1), u32 vocabulary size V, u64 rows
n, and n rows of V float32 logits. A file gets its name only when it is whole.

The rows are not packed. Of a logit's 32 bits some 27 are noise to any lossless coder, and
coders that find the rest are slower than the disk; 16-bit forms would move a KL divergence
by about 1e-4, which is what a good quantisation does.
"""

from __future__ import annotations

import io
import os
import struct
from pathlib import Path
from types import TracebackType

import numpy as np

from urial_tui.engine.wire.scores import Floats
from urial_tui.errors import EngineError
from urial_tui.files import NewFile, make_directory, open_regular, reason

_MAGIC = b"URIALROW"
_VERSION = 1
_HEAD = struct.Struct("<8sIIQ")
_DTYPE = np.dtype("<f4")


class SpillError(EngineError):
    """The logits can't be put aside, or what was put aside is not there any more."""


class SpillWriter:
    """Writes rows; `finish` gives the file its name. Left as a context before, it leaves none.

    Args:
        path: The file; one that exists is replaced when this one is whole.
        n_vocab: Logits a row.

    Raises:
        SpillError: The directory can't be written.
    """

    def __init__(self, path: Path, n_vocab: int) -> None:
        self._n_vocab = n_vocab
        self._rows = 0
        self._new: NewFile | None = None
        try:
            make_directory(path.parent)
            self._new = NewFile(path)
            self._new.file.write(self._header())
        except OSError as error:
            self._abandon()
            raise _unwritable(error) from error

    def append(self, rows: Floats) -> None:
        """Add rows: float32 (m, n_vocab).

        Raises:
            SpillError: The disk is full or fails; nothing is left of the file.
        """
        if rows.dtype != np.float32 or rows.ndim != 2 or rows.shape[1] != self._n_vocab:
            raise ValueError(f"rows of {rows.dtype} {rows.shape}")
        try:
            self._unfinished.file.write(np.ascontiguousarray(rows, _DTYPE).data)
        except OSError as error:
            self._abandon()
            raise _unwritable(error) from error
        self._rows += len(rows)

    def finish(self) -> int:
        """Complete the file and give it its name; the number of its rows.

        Raises:
            SpillError: The disk fails; nothing is left of the file.
        """
        new = self._unfinished
        try:
            new.file.seek(0)
            new.file.write(self._header())
            new.put()
        except OSError as error:
            self._abandon()
            raise _unwritable(error) from error
        self._new = None
        return self._rows

    def __enter__(self) -> SpillWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._abandon()

    def _header(self) -> bytes:
        return _HEAD.pack(_MAGIC, _VERSION, self._n_vocab, self._rows)

    @property
    def _unfinished(self) -> NewFile:
        if self._new is None:
            raise ValueError("finished or abandoned before")
        return self._new

    def _abandon(self) -> None:
        if self._new is not None:
            self._new.discard()
            self._new = None


class SpillReader:
    """Reads rows of a whole file. `n_vocab`, `rows`: what the file holds.

    Raises:
        SpillError: There is no such file, or it is none of ours or of another length.
    """

    def __init__(self, path: Path) -> None:
        try:
            # Rows are read once, each in a piece: a buffer would copy them, and go on giving what
            # the file has lost.
            with open_regular(path) as opened:
                self._file = io.FileIO(os.dup(opened.fileno()), "rb")
        except OSError as error:
            raise _unreadable(reason(error)) from error
        try:
            self.n_vocab, self.rows = self._check()
        except BaseException:
            self._file.close()
            raise

    def read(self, start: int, out: Floats) -> Floats:
        """Rows from `start` on into `out`, float32 (m, n_vocab); the rows that were filled.

        Fewer than m are filled only at the file's end.

        Raises:
            SpillError: The file was cut short since it was opened, or the disk fails.
        """
        if out.dtype != _DTYPE or out.ndim != 2 or out.shape[1] != self.n_vocab:
            raise ValueError(f"room of {out.dtype} {out.shape}")
        if not out.flags.c_contiguous:
            raise ValueError("room that is not contiguous")
        filled = out[: max(min(len(out), self.rows - start), 0)]
        if not filled.size:
            return filled
        room = filled.data.cast("B")
        try:
            self._file.seek(_HEAD.size + start * self.n_vocab * _DTYPE.itemsize)
            while room:
                count = self._file.readinto(room)
                if not count:
                    raise _unreadable("it was cut short")
                room = room[count:]
        except OSError as error:
            raise _unreadable(error.strerror or str(error)) from error
        return filled

    def close(self) -> None:
        """Close the file; it stays where it is."""
        self._file.close()

    def __enter__(self) -> SpillReader:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _check(self) -> tuple[int, int]:
        head = self._file.read(_HEAD.size)
        if len(head) != _HEAD.size:
            raise _unreadable("it is too short")
        magic, version, n_vocab, rows = _HEAD.unpack(head)
        if magic != _MAGIC or version != _VERSION or not n_vocab:
            raise _unreadable("it is not a file of logits")
        size = os.fstat(self._file.fileno()).st_size
        if size != _HEAD.size + rows * n_vocab * _DTYPE.itemsize:
            raise _unreadable("its length is not what it should be")
        return n_vocab, rows


def _unwritable(error: OSError) -> SpillError:
    return SpillError(
        f"The first model's predictions can't be put aside: {reason(error)}.",
        "Free some disk space, compare fewer tokens, or use models that fit into memory together.",
    )


def _unreadable(reason: str) -> SpillError:
    return SpillError(
        f"The first model's predictions can't be read back: {reason}.", "Run the comparison again."
    )
