"""Downloads files of models over HTTP, goes on where one was interrupted, and checks what came.

What comes is a stranger's: a range has to be the one that was asked for, and sizes and the checksum
have to be those that are known. Where requests may go is `connection`'s.
"""

from __future__ import annotations

import contextlib
import errno
import re
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Final, Self, TypeVar
from urllib.parse import quote

import msgspec

from urial_tui.errors import ModelError
from urial_tui.files import reason
from urial_tui.models.addresses import host_of, hub_endpoint, public
from urial_tui.models.attempts import Attempts, Limits, retry_after
from urial_tui.models.connection import (
    KEPT,
    MOMENTARY,
    Broken,
    Cancelled,
    HttpConnection,
    Response,
    Source,
    Unreachable,
)
from urial_tui.models.disk_space import check_space
from urial_tui.models.host_answers import (
    MAX_LISTING,
    MAX_SIZE,
    HubFile,
    check_no_page,
    endless_list,
    hub_files,
    why_later,
)
from urial_tui.models.partial import Partial, PartialNote
from urial_tui.sanitize import quoted

T = TypeVar("T")

_FULL: Final = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_SHA256: Final = re.compile(r"[0-9a-f]{64}")
_PROGRESS_BYTES: Final = 1024 * 1024
_BUSY: Final = (429, 503)

Progress = Callable[[int, int], object]
"""Called with the bytes of a file that are there, and its bytes in all, 0 if unknown."""


class FileHead(msgspec.Struct, frozen=True, kw_only=True):
    """What a host tells of a file, without sending it: 0 and "" for what it does not tell."""

    status: int
    size: int = 0
    sha256: str = ""
    tag: str = ""
    commit: str = ""
    after: float = 0.0

    @property
    def is_busy(self) -> bool:
        """Whether the host wants to be asked again later; after `after` seconds, if it says so."""
        return self.status in _BUSY


class _Busy(Broken):
    """A host is to be asked again later."""

    def __init__(self, head: FileHead, why: str) -> None:
        super().__init__(why, head.after)
        self.head = head


class _Changed(Exception):
    """What is there does not belong to what the host has."""


class Downloader:
    """Opens connections and downloads files, one at a time; open within `with`.

    Args:
        progress: Told of what came.
        limits: How long and how often is tried.
        read: Told of what lay there and is read before more of it comes.
        retry: Told why something is going to be asked for again, a sentence.
    """

    def __init__(
        self,
        progress: Progress | None = None,
        limits: Limits | None = None,
        *,
        read: Progress | None = None,
        retry: Callable[[str], object] | None = None,
    ) -> None:
        self._progress = progress
        self._read = read
        self._retry = retry
        self._limits = limits or Limits()
        self._cancelled = threading.Event()
        self._connection = HttpConnection(self._limits, self._cancelled)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None = None,
        error: BaseException | None = None,
        trace: TracebackType | None = None,
    ) -> None:
        self._connection.close()

    def cancel(self) -> None:
        """End what is being downloaded, at once where a host is silent; from any thread.

        What came is kept.
        """
        self._cancelled.set()
        self._connection.interrupt()

    def head(self, source: Source) -> FileHead:
        """Ask what a host has, by a HEAD request; one that is busy is asked again, within bounds.

        So is the hub where the connection breaks off or a status may pass. Other hosts may do so at
        every HEAD, and send the file all the same.

        Raises:
            ModelError: The host can't be asked.
            Cancelled: It was asked to end.
        """

        def ask() -> FileHead:
            try:
                head = self._head(source)
            except Broken as error:
                if source.hub:
                    raise
                raise ModelError(error.why, "Try again later.") from error
            passes = head.status in (MOMENTARY if source.hub else _BUSY)
            if passes and head.after <= self._limits.longest_wait:
                raise _Busy(head, why_later(head.status, host_of(source.url), source.name))
            return head

        try:
            return self._again(ask)
        except _Busy as busy:
            return busy.head
        except Broken as error:
            raise ModelError(error.why, "Try again later.") from error

    def _again(self, ask: Callable[[], T]) -> T:
        """What a host answers, which is asked again, within bounds, where that breaks.

        Raises:
            Broken: It breaks each time.
            Cancelled: It was asked to end.
        """
        attempts = Attempts(self._limits)
        while True:
            began = time.monotonic()
            try:
                return ask()
            except Broken as error:
                pause = attempts.pause(time.monotonic() - began, error.after)
                if pause is None:
                    raise
                self._wait(pause, error.why)

    def _head(self, source: Source) -> FileHead:
        linked: dict[str, str] = {}
        with self._connection.response("HEAD", source, {}, linked) as response:
            headers = response.headers
            tag = linked.get("x-linked-etag") or headers.get("ETag", "")
            bare = _bare(tag)
            return FileHead(
                status=response.status_code,
                size=_number(linked.get("x-linked-size") or headers.get("Content-Length", "")),
                sha256=bare if _SHA256.fullmatch(bare) else "",
                tag=tag,
                commit=linked.get("x-repo-commit", ""),
                after=retry_after(headers.get("Retry-After", "")),
            )

    def check(self, source: Source, head: FileHead) -> None:
        """Say why there is no file, by what its host answered.

        Raises:
            ModelError: There is none.
        """
        try:
            self._connection.check_status(
                head.status, host_of(source.url), source, {200}, head.after
            )
        except Broken as error:
            raise ModelError(error.why, error.hint) from error

    def files(self, repository: str) -> list[HubFile]:
        """The files of a repository of the hub, which is asked again where that breaks off.

        Raises:
            ModelError: There is no such repository, or the hub can't be asked.
            Cancelled: It was asked to end.
        """
        url = f"{hub_endpoint()}/api/models/{quote(repository, '/')}?blobs=true"
        source = Source(url=url, name=repository, hub=True)
        try:
            return self._again(lambda: self._files(source))
        except Broken as error:
            raise ModelError(error.why, "Try again later.") from error

    def _files(self, source: Source) -> list[HubFile]:
        host = host_of(source.url)
        with self._connection.response("GET", source, {}) as response:
            self._connection.check(response, source, {200})
            body = bytearray()
            with self._connection.within(self._limits.listing, host):
                for chunk in response.iter_raw():
                    body += chunk
                    if len(body) > MAX_LISTING:
                        raise endless_list(host)
        return hub_files(bytes(body), host)

    def fetch(self, source: Source, partial: Partial) -> str:
        """Download a file into `partial`, or what of it is not there yet; its SHA-256.

        Raises:
            ModelError: It can't be had, or is not what it has to be.
            Cancelled: It was asked to end.
        """
        try:
            return self._fetch(source, partial)
        except OSError as error:
            place = quoted(str(partial.path.parent))
            if error.errno in _FULL:
                raise ModelError(
                    f"The disk is full: {quoted(source.name)} can't be written to {place}.",
                    f"Make room there. {KEPT}",
                ) from error
            raise ModelError(
                f"{quoted(source.name)} can't be written to {place}: {reason(error)}.",
                "It needs a directory that you may write to.",
            ) from error

    def _fetch(self, source: Source, partial: Partial) -> str:
        journal = PartialNote(url=public(source.url), size=source.size, sha256=source.sha256)
        partial.begin(journal, self._hashed)
        resumed = partial.size > 0
        attempts, changes, came = Attempts(self._limits), 0, False
        while True:
            before, began = partial.size, time.monotonic()
            try:
                self._receive(source, partial)
                if source.sha256 in ("", partial.sha256):
                    return partial.sha256
                partial.restart(journal)
                if not resumed:
                    raise ModelError(
                        f"What came as {quoted(source.name)} is not that file: its checksum is "
                        "another one.",
                        "Nothing of it was kept. Try again later, or look at the address.",
                    )
                resumed = False
            except _Changed as error:
                partial.restart(journal)
                changes += 1
                resumed = False
                if changes > 1:
                    raise ModelError(
                        f"The host {host_of(source.url)} sends something else of "
                        f"{quoted(source.name)} each time.",
                        "Try again later, or look for another source.",
                    ) from error
            except (Broken, Unreachable) as error:
                if isinstance(error, Unreachable):
                    if not came:
                        raise
                    error = Broken(error.message)
                more = partial.size - before
                if more >= _PROGRESS_BYTES:
                    attempts.start_anew()
                vain = 0.0 if more >= self._limits.slow_bytes else time.monotonic() - began
                pause = attempts.pause(vain, error.after)
                if pause is None:
                    raise ModelError(error.why, error.hint) from error
                came = came or more > 0
                resumed = resumed or partial.size > 0
                self._wait(pause, error.why)

    def _receive(self, source: Source, partial: Partial) -> None:
        """One request for what is missing, and all that comes of it.

        Raises:
            Broken: It ended early.
            _Changed: What is there is of no use.
        """
        journal, offset = partial.journal, partial.size
        if journal is None:
            raise ValueError("not begun")
        if journal.size and offset == journal.size:
            return
        headers = {}
        if offset:
            headers["Range"] = f"bytes={offset}-"
            if not source.sha256 and journal.tag:
                headers["If-Range"] = journal.tag
        with self._connection.response("GET", source, headers) as response:
            size = self._checked_size(response, source, partial)
            if response.status_code == 416:
                return
            if response.status_code == 200 and offset:
                # The whole file comes: it changed, or ranges are not known there.
                partial.restart(journal)
            partial.note(
                msgspec.structs.replace(
                    journal, tag=response.headers.get("ETag", "")[:1024], size=size
                )
            )
            self._check_space(source, partial, size)
            self._write(response, source, partial, size)

    def _checked_size(self, response: Response, source: Source, partial: Partial) -> int:
        """The size of the whole file, by an answer that can be used.

        Raises:
            ModelError: It can't be used.
            _Changed: What is there is of no use.
        """
        host, name, offset = host_of(str(response.url)), quoted(source.name), partial.size
        self._connection.check(response, source, {200, 206, 416})
        journal = partial.journal or PartialNote(url="")
        said = _content_range(response.headers.get("Content-Range", ""))
        if response.status_code == 416:
            whole = said[2] if said else 0
            if offset and whole == offset and source.size in (0, whole):
                return whole
            if offset:
                raise _Changed
            raise ModelError(
                f"The host {host} does not give {name} from its start.", "Look at the address."
            )
        check_no_page(response.headers, host, source.name)
        length = _number(response.headers.get("Content-Length", ""))
        if response.status_code == 200:
            if "Content-Range" in response.headers:
                if offset:
                    # Whether that is the rest or the whole can't be told.
                    raise _Changed
                if said is None or said[0] != 0 or said[1] != said[2] - 1:
                    raise self._another(host, name)
                length = length or said[2]
            size = length
        else:
            if said is None or said[0] != offset or (length and length != said[1] + 1 - said[0]):
                raise self._another(host, name)
            size = said[2]
            tag = response.headers.get("ETag", "")
            if offset and not source.sha256 and (not tag or tag != journal.tag):
                raise _Changed
        if not 0 < (size or source.size) <= MAX_SIZE:
            raise ModelError(
                f"The host {host} does not say how long {name} is, or that no file can be so long.",
                "Look at the address.",
            )
        known = source.size or (journal.size if offset and response.status_code == 206 else 0)
        if known and size and size != known:
            if not source.size:
                raise _Changed
            raise ModelError(
                f"The host {host} has {size:,} bytes of {name}, which has {known:,}.",
                "Try again later, or look at the address.",
            )
        return size or source.size

    def _another(self, host: str, name: str) -> ModelError:
        return ModelError(
            f"The host {host} sent another range of {name} than it was asked for.",
            f"Try again later, or look for another source. {KEPT}",
        )

    def _check_space(self, source: Source, partial: Partial, size: int) -> None:
        check_space(
            partial.path.parent,
            size - partial.size,
            quoted(source.name),
            f"Make room there. {KEPT}" if partial.size else "Make room there and try again.",
        )

    def _write(self, response: Response, source: Source, partial: Partial, size: int) -> None:
        host = host_of(str(response.url))
        body = self._connection.body(response, lambda: size - partial.size)
        with self._connection.told(host), contextlib.closing(body):
            for chunk in body:
                if self._cancelled.is_set():
                    raise Cancelled
                if partial.size + len(chunk) > size:
                    raise ModelError(
                        f"The host {host} sent more of {quoted(source.name)} than it said.",
                        "Look at the address.",
                    )
                first = partial.size < 4
                partial.append(chunk)
                if first and partial.size >= 4 and partial.start() != b"GGUF":
                    partial.restart(PartialNote(url=public(source.url)))
                    raise ModelError(
                        f"What the host {host} sends as {quoted(source.name)} is no GGUF file.",
                        "Give the address of a .gguf file itself.",
                    )
                if self._progress:
                    self._progress(partial.size, size)
        if partial.size < size:
            raise Broken(f"The connection to {host} broke off before {quoted(source.name)} ended.")
        if partial.start() != b"GGUF":
            raise ModelError(
                f"What the host {host} sends as {quoted(source.name)} is no GGUF file.",
                "Give the address of a .gguf file itself.",
            )

    def _hashed(self, done: int, total: int) -> None:
        if self._cancelled.is_set():
            raise Cancelled
        if self._read:
            self._read(done, total)

    def _wait(self, seconds: float, why: str) -> None:
        if self._retry:
            self._retry(why)
        if self._cancelled.wait(seconds):
            raise Cancelled


def _content_range(text: str) -> tuple[int, int, int] | None:
    """First byte, last byte and size of `Content-Range`; 0, 0 and size of that of a 416."""
    if found := re.fullmatch(r"bytes (\d{1,18})-(\d{1,18})/(\d{1,18})", text.strip(), re.ASCII):
        first, last, size = map(int, found.groups())
        return (first, last, size) if first <= last < size else None
    if found := re.fullmatch(r"bytes \*/(\d{1,18})", text.strip(), re.ASCII):
        return 0, 0, int(found[1])
    return None


def _number(text: str) -> int:
    return int(text) if re.fullmatch(r"[0-9]{1,18}", text) else 0


def _bare(tag: str) -> str:
    return tag.removeprefix("W/").strip('"')
