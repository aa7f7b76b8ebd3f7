"""Files: read within bounds, written atomically (whole or not at all).

Only regular files are read: a pipe would hang, a device may never end. Nothing is read
beyond a limit that the caller states. A file that is written appears under its name
complete, or not at all; a link stays a link, and a file that is replaced keeps its mode. A
new one, and a new directory, is its owner's alone unless it is meant to be handed on.

Whatever goes wrong is an `OSError`, and `reason` completes "… can't be read: ".
"""

from __future__ import annotations

import codecs
import contextlib
import errno
import io
import os
import secrets
import stat
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

from urial_tui import wording

_BLOCK = 1024 * 1024
_PRIVATE, _SHARED = 0o600, 0o666
_CAREFUL = os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_NUL = "its name holds a NUL character"
_KINDS = (
    (stat.S_ISDIR, "it is a directory"),
    (stat.S_ISFIFO, "it is a pipe, not a file"),
    (stat.S_ISSOCK, "it is a socket, not a file"),
    (stat.S_ISCHR, "it is a device, not a file"),
    (stat.S_ISBLK, "it is a device, not a file"),
)
# UTF-32's little-endian mark starts with UTF-16's.
_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)


class Refused(OSError):
    """What a file is, or what it holds, is not what it has to be; `strerror` says why."""

    def __init__(self, why: str) -> None:
        super().__init__(errno.EINVAL, why)


def reason(error: Exception) -> str:
    """Why it failed, in the system's words: without a full stop, and without the file's name."""
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


# -- reading ---------------------------------------------------------------------------


def open_regular(path: Path) -> io.BufferedReader:
    """A regular file (or a link to one), opened for reading; never waits for one.

    Raises:
        Refused: It is something else.
        OSError: It can't be opened.
    """
    try:
        # First without opening: to open a device can do something.
        _check_regular(path.stat().st_mode)
        # What was put in its place meanwhile must not hang either.
        handle = os.open(path, os.O_RDONLY | _CAREFUL)
    except ValueError as error:
        raise Refused(_NUL) from error
    try:
        _check_regular(os.fstat(handle).st_mode)
        return os.fdopen(handle, "rb")
    except BaseException:
        os.close(handle)
        raise


def read_bytes(path: Path, limit: int) -> bytes:
    """What a regular file holds.

    Args:
        path: The file.
        limit: Bytes that it may have.

    Raises:
        Refused: It is no regular file, or longer.
        OSError: It can't be read.
    """
    with open_regular(path) as file:
        if os.fstat(file.fileno()).st_size > limit:
            raise _too_long(limit)
        return read_stream(file, limit)


def read_text(path: Path, limit: int) -> str:
    """The text of a regular file; line ends are as they stand there. See `decoded`.

    Raises:
        Refused: It is no regular file, longer than `limit` bytes, or no text.
        OSError: It can't be read.
    """
    return decoded(read_bytes(path, limit))


def read_stream(stream: BinaryIO, limit: int) -> bytes:
    """All that is left of a stream that may never end, such as standard input.

    Raises:
        Refused: It is more than `limit` bytes.
        OSError: It can't be read.
    """
    blocks: list[bytes] = []
    left = limit + 1
    while left and (block := stream.read(min(left, _BLOCK))):
        blocks.append(block)
        left -= len(block)
    if not left:
        raise _too_long(limit)
    return b"".join(blocks)


def decoded(data: bytes) -> str:
    """Text from its bytes: UTF-8, or what a byte order mark says; the mark is no part of it.

    UTF-16 and UTF-32 without a mark would pass for UTF-8 with NUL characters in it; text
    has none, so these are refused.

    Raises:
        Refused: It is no such text; the first byte that can't be is named, from 0.
    """
    mark, encoding = next((known for known in _MARKS if data.startswith(known[0])), (b"", "utf-8"))
    try:
        text = data[len(mark) :].decode(encoding)
    except UnicodeDecodeError as error:
        name = encoding[:6].upper().rstrip("-")
        place = len(mark) + error.start
        raise Refused(f"it is not {name} text (byte {place:,} can't be)") from error
    if "\0" in text:
        place = len(mark) + len(text[: text.index("\0")].encode(encoding))
        hint = " as in UTF-16 without a byte order mark" if not mark and _looks_wide(data) else ""
        raise Refused(f"it is not text (byte {place:,} is NUL{hint})")
    return text


def is_file(path: Path) -> bool:
    """Whether there is a regular file, or a link to one; False for names that can't be."""
    return os.path.isfile(path)  # noqa: PTH113  # pathlib's raises for such names


def is_directory(path: Path) -> bool:
    """Whether there is a directory, or a link to one; False for names that can't be."""
    return os.path.isdir(path)  # noqa: PTH112


def is_there(path: Path) -> bool:
    """Whether there is anything of this name; False for names that can't be."""
    return os.path.exists(path)  # noqa: PTH110  # pathlib's raises for such names


def is_same(first: Path, second: Path) -> bool:
    """Whether two paths name one file, be it through links; also one that is not there yet."""
    with contextlib.suppress(OSError, ValueError):
        return os.path.samefile(first, second)  # noqa: PTH121
    return os.path.realpath(first) == os.path.realpath(second)


# -- writing ---------------------------------------------------------------------------


class NewFile:
    """An atomic write: what is written to `file` is seen once it is `put` in its place.

    Left as a context before, it leaves nothing behind.

    Args:
        path: Where it goes; its directory exists. What is there has to be a regular file.
        private: Whether a new file is its owner's alone; else the umask decides.

    Raises:
        Refused: Something else than a regular file is there.
        OSError: The directory can't be written.
    """

    def __init__(self, path: Path, *, private: bool = True) -> None:
        self._path = path
        try:
            self._target = Path(os.path.realpath(path))
            mode = _mode_of(self._target)
            self._part: Path | None = self._target.with_name(f".urial-{secrets.token_hex(8)}.part")
            handle = os.open(
                self._part,
                os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC,
                _PRIVATE if private else _SHARED,
            )
        except ValueError as error:
            raise Refused(_NUL) from error
        self.file: BinaryIO = io.BufferedRandom(io.FileIO(handle, "r+b"))
        if mode is not None:
            # Some file systems know no modes.
            with contextlib.suppress(OSError):
                os.fchmod(handle, mode)

    def sync(self) -> None:
        """See to it that what was written outlives a power cut.

        Raises:
            OSError: It can't be written.
        """
        self.file.flush()
        os.fsync(self.file.fileno())

    def put(self) -> None:
        """Give the file its name, in place of what had it.

        Raises:
            OSError: It can't be written.
        """
        self._finished().replace(self._target)
        self._placed()

    def put_if_free(self) -> None:
        """Give the file its name, unless that is taken.

        Raises:
            FileExistsError: It is.
            OSError: It can't be written.
        """
        part = self._finished()
        if os.path.lexists(self._path):
            raise FileExistsError(errno.EEXIST, "it is there already")
        try:
            os.link(part, self._target)
        except FileExistsError:
            raise
        except OSError:
            # File systems without links: the moment in between can't be helped there.
            if os.path.lexists(self._target):
                raise FileExistsError(errno.EEXIST, "it is there already") from None
            part.replace(self._target)
        else:
            part.unlink()
        self._placed()

    def discard(self) -> None:
        """Leave nothing behind; what was put in its place stays."""
        if self._part is not None:
            with contextlib.suppress(OSError):
                self.file.close()
            with contextlib.suppress(OSError):
                self._part.unlink()
            self._part = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.discard()

    def _finished(self) -> Path:
        if self._part is None:
            raise ValueError("put or abandoned before")
        self.file.close()
        return self._part

    def _placed(self) -> None:
        """The new name lasts through a power cut, where the system can do that."""
        self._part = None
        sync_directory(self._target.parent)


@contextlib.contextmanager
def replacing(path: Path, *, private: bool = True) -> Iterator[BinaryIO]:
    """A context manager for an atomic write: the file replaces `path` when the block ends well.

    Raises:
        Refused: Something else than a regular file is there.
        OSError: It can't be written; what was there is as it was.
    """
    with NewFile(path, private=private) as new:
        yield new.file
        new.sync()
        new.put()


def sync(path: Path) -> None:
    """See to it that what somebody else wrote to a file outlives a power cut.

    Raises:
        OSError: It can't be written.
    """
    handle = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sync_directory(path: Path) -> None:
    """The names in a directory outlive a power cut, where the system can do that (fsync)."""
    with contextlib.suppress(OSError):
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def open_private(path: Path) -> io.FileIO:
    """A regular file to read and to append to; a new one is its owner's alone.

    Raises:
        Refused: Something else is there.
        OSError: It can't be opened.
    """
    flags = os.O_RDWR | os.O_APPEND | os.O_CREAT
    try:
        _mode_of(path)
        handle = os.open(path, flags | _CAREFUL, _PRIVATE)
    except ValueError as error:
        raise Refused(_NUL) from error
    try:
        _check_regular(os.fstat(handle).st_mode)
        return io.FileIO(handle, "a+")
    except BaseException:
        os.close(handle)
        raise


def make_directory(path: Path) -> None:
    """Make a directory, with those above it that are missing, for its owner alone.

    Raises:
        OSError: It can't be made, or something else has its name.
    """
    if path.is_dir():
        return
    try:
        path.mkdir(mode=0o700, exist_ok=True)
    except FileNotFoundError:
        make_directory(path.parent)
        path.mkdir(mode=0o700, exist_ok=True)


def _check_regular(mode: int) -> None:
    if not stat.S_ISREG(mode):
        raise Refused(next((what for test, what in _KINDS if test(mode)), "it is no file"))


def _mode_of(path: Path) -> int | None:
    """The mode of a file that is to be replaced; None where there is none."""
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        return None
    _check_regular(mode)
    return stat.S_IMODE(mode)


def _looks_wide(data: bytes) -> bool:
    """Whether every second byte of the start is mostly NUL, as in European UTF-16."""
    start = data[:4096]
    return any(start[side::2].count(0) * 2 > len(start[side::2]) for side in (0, 1))


def _too_long(limit: int) -> Refused:
    return Refused(f"it is longer than {wording.limit(limit)}")
