"""A model file at an address, read in ranges: as much of it as its header takes, and no more.

A connection is opened only for an address that the user gave, and where that sends it. What comes
back is a stranger's: every answer has to be the very range that was asked for, and bytes, time and
redirects are bounded. The user's token goes to the hub's own host and to no other, and no proxy
and no password is taken from the environment.
"""

from __future__ import annotations

import asyncio
import errno
import json
import os
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager
from types import TracebackType
from typing import Any, Final, Self, TypeVar
from urllib.parse import quote, urljoin

import httpx

from urial_tui import __version__, wording
from urial_tui.errors import ModelError
from urial_tui.models.addresses import (
    FileAddress,
    HubAddress,
    checked_url,
    choose_file,
    host_of,
    hub_endpoint,
    hub_token,
    is_loopback,
    is_offline,
    origin_of,
    public,
)
from urial_tui.models.gguf_file import MAX_KEPT_BYTES
from urial_tui.sanitize import quoted, sanitize_line

MAX_BYTES: Final = 64 * 1024 * 1024
"""Of all files of a model together: the longest headers have some 20 MB."""
MAX_LISTING: Final = 8 * 1024 * 1024
MAX_REDIRECTS: Final = 5
MAX_SIZE: Final = 1 << 46

_FIRST: Final = 256 * 1024
_LARGEST: Final = 1024 * 1024
_CONNECT: Final = 10.0
_SILENCE: Final = 15.0
WHOLE: Final = 120.0
"""Seconds for everything together."""
_MOVED: Final = {301, 302, 303, 307, 308}
_DOWNLOAD: Final = "Download the file, and inspect it then."

T = TypeVar("T")
Progress = Callable[[int], object]
"""Called with the bytes read."""


class Remote:
    """Reads files at addresses, within its bounds; open within `with`.

    Each reading runs an event loop of its own until it is done, so that its time can be bounded
    whatever the other side does; it is not for the thread of another loop.

    Args:
        progress: Told of what is read.
        seconds: For everything together.
    """

    def __init__(self, progress: Progress | None = None, seconds: float = WHOLE) -> None:
        self._progress = progress
        self._seconds = seconds
        self._end = time.monotonic() + seconds
        self.bytes_read = 0
        # Authorities that httpx knows, and those of this machine (SSL_CERT_FILE, too).
        verify = httpx.create_ssl_context(trust_env=False)
        verify.load_default_certs()
        silence = min(_SILENCE, seconds)
        self._runner = asyncio.Runner()
        self._client = httpx.AsyncClient(
            headers={"Accept-Encoding": "identity", "User-Agent": f"urial-tui/{__version__}"},
            verify=verify,
            follow_redirects=False,
            trust_env=False,
            timeout=httpx.Timeout(
                connect=min(_CONNECT, seconds), read=silence, write=silence, pool=None
            ),
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None = None,
        error: BaseException | None = None,
        trace: TracebackType | None = None,
    ) -> None:
        try:
            self._runner.run(self._client.aclose())
        finally:
            self._runner.close()

    def find(self, address: HubAddress) -> FileAddress:
        """The file that a repository's address means, by the hub's list of its files.

        Raises:
            ModelError: There is no such repository or file, or the hub can't be asked.
        """
        url = f"{hub_endpoint()}/api/models/{quote(address.repository, '/')}"
        body = self._run(self._listing(FileAddress(url=url, hub=True), address.repository))
        if len(body) > MAX_LISTING:
            raise ModelError(f"The hub {host_of(url)} sent a list without end.", "Try again later.")
        name = choose_file(address, _files_of(body, host_of(url)))
        path = quote(f"{address.repository}/resolve/main/{name}", "/")
        return FileAddress(url=f"{hub_endpoint()}/{path}", hub=True)

    def open(self, address: FileAddress) -> RemoteFile:
        """A file, of which the first block is read.

        Raises:
            ModelError: It is not there, or can't be read in ranges.
        """
        return RemoteFile(self, address)

    def read_range(self, address: FileAddress, start: int, end: int) -> _Range:
        """The bytes of a file from `start` up to `end`, fewer only where it ends before that.

        Raises:
            ModelError: They can't be had, or something else came.
        """
        self._charge(0, start, end)
        return self._run(self._range(address, start, end))

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        """Do it in the time that is left.

        Raises:
            ModelError: It takes longer, or fails.
        """

        async def bounded() -> T:
            async with asyncio.timeout(max(0.0, self._end - time.monotonic())):
                return await work

        try:
            return self._runner.run(bounded())
        except TimeoutError as error:
            raise self._late() from error

    async def _listing(self, address: FileAddress, repository: str) -> bytes:
        async with self._response(address, {}) as response:
            self._check(response, repository, {200})
            return await self._body(response, MAX_LISTING)

    async def _range(self, address: FileAddress, start: int, end: int) -> _Range:
        name = address.file_name
        headers = {"Range": f"bytes={start}-{end - 1}"}
        async with self._response(address, headers) as response:
            host = host_of(str(response.url))
            if response.status_code == 416:
                raise ModelError(
                    f"The file {quoted(name)} is empty."
                    if start == 0
                    else f"The file {quoted(name)} changed while it was read, or {host} says a "
                    "wrong size of it.",
                    "Try again, or choose another file.",
                )
            self._check(response, name, {200, 206})
            if response.headers.get("Content-Type", "").lower().startswith("text/html"):
                raise ModelError(
                    f"The host {host} answers with a web page in place of {quoted(name)}.",
                    "Give the address of the file itself, and a token where one is wanted "
                    "(HF_TOKEN).",
                )
            if response.status_code == 200:
                raise ModelError(
                    f"The host {host} does not read files in ranges: it sends all of "
                    f"{quoted(name)}.",
                    _DOWNLOAD,
                )
            first, last, size = _content_range(response, host)
            if (first, last) != (start, min(end, size) - 1) or not 0 < size <= MAX_SIZE:
                raise ModelError(
                    f"The host {host} sent another range of {quoted(name)} than it was asked for.",
                    _DOWNLOAD,
                )
            count = last + 1 - first
            content = await self._body(response, count)
            if len(content) != count:
                much = "more" if len(content) > count else "less"
                raise ModelError(
                    f"The host {host} sent {much} of {quoted(name)} than it said.", "Try again."
                )
            return _Range(content=content, size=size, tag=response.headers.get("ETag", ""))

    def _charge(self, count: int, start: int = 0, end: int = 0) -> None:
        """Count what was read.

        Raises:
            ModelError: It is too much, or took too long.
        """
        self.bytes_read += count
        if self.bytes_read + end - start > MAX_BYTES:
            raise ModelError(
                f"The model's header is longer than {wording.size(MAX_BYTES)}, and no more is "
                "read.",
                _DOWNLOAD,
            )
        if time.monotonic() > self._end:
            raise self._late()
        if self._progress and count:
            self._progress(self.bytes_read)

    def _late(self) -> ModelError:
        return ModelError(
            f"Reading the header took longer than {wording.duration(self._seconds)}.",
            f"Try again on a better line. {_DOWNLOAD}",
        )

    async def _body(self, response: httpx.Response, limit: int) -> bytes:
        """The body as it was sent, or a little more than `limit` of it."""
        if response.headers.get("Content-Encoding", "identity").strip().lower() not in (
            "",
            "identity",
        ):
            raise ModelError(
                f"The host {host_of(str(response.url))} packed what it sent, which nobody asked.",
                _DOWNLOAD,
            )
        body = bytearray()
        async for chunk in response.aiter_raw():
            body += chunk
            self._charge(len(chunk))
            if len(body) > limit:
                break
        return bytes(body)

    @asynccontextmanager
    async def _response(
        self, address: FileAddress, headers: dict[str, str]
    ) -> AsyncIterator[httpx.Response]:
        """The answer of an address, or of where it sends us.

        Raises:
            ModelError: There is none.
        """
        if address.hub and is_offline():
            raise ModelError(
                "HF_HUB_OFFLINE is set, so nothing is read from the hub.",
                "Remove that variable, or name a file on this machine.",
            )
        url = address.url
        home = origin_of(url)
        token = hub_token() if address.hub else ""
        for _ in range(MAX_REDIRECTS + 1):
            own = {"Authorization": f"Bearer {token}"} if token and origin_of(url) == home else {}
            with _told(host_of(url)):
                async with self._client.stream("GET", url, headers=headers | own) as response:
                    if response.status_code not in _MOVED:
                        yield response
                        return
                    url = self._next(url, response.headers.get("Location", ""))
                    self._charge(0)
        raise ModelError(
            f"The host {host_of(address.url)} sends requests from one address to the next without "
            "end.",
            "Look at the address.",
        )

    def _next(self, url: str, place: str) -> str:
        """Where a redirect leads.

        Raises:
            ModelError: Nothing is read from there.
        """
        try:
            return checked_url(urljoin(url, place), loopback=is_loopback(url))
        except (ModelError, ValueError) as error:
            raise ModelError(
                f"The host {host_of(url)} sends requests on to {quoted(public(place), 200)}, where "
                "they don't go.",
                "Look at the address.",
            ) from error

    def _check(self, response: httpx.Response, name: str, good: set[int]) -> None:
        """Say why an answer is none.

        Raises:
            ModelError: It is none.
        """
        status, host, shown = response.status_code, host_of(str(response.url)), quoted(name, 120)
        if status in good:
            return
        match status:
            case 401 | 403:
                raise ModelError(
                    f"The host {host} does not give {shown} to everybody (status {status}).",
                    "If it is the hub: accept the licence on the model's page, and give your token "
                    "in the environment variable HF_TOKEN.",
                )
            case 404 | 410:
                raise ModelError(
                    f"There is no {shown} at {host}.",
                    "Look at the name, with its large and small letters.",
                )
            case 429:
                raise ModelError(
                    f"The host {host} is asked too often.", "Try again in some minutes."
                )
        raise ModelError(
            f"The host {host} answered with status {status} for {shown}.", "Try again later."
        )


class _Range:
    """A range of a file. `size`: of the whole file; `tag`: its ETag."""

    def __init__(self, *, content: bytes, size: int, tag: str) -> None:
        self.content = content
        self.size = size
        self.tag = tag


class RemoteFile:
    """A file at an address, as `gguf_file.Bytes`: blocks are read when they are needed, and kept.

    What is passed over is not read. Blocks grow from one to the next: a header is short, or else
    mostly vocabulary.
    """

    def __init__(self, remote: Remote, address: FileAddress) -> None:
        self._remote = remote
        self.address = address
        self._position = 0
        self._blocks: dict[int, bytes] = {}
        self._next = 2 * _FIRST
        first = remote.read_range(address, 0, _FIRST)
        self.size, self._tag = first.size, first.tag
        self._blocks[0] = first.content

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        """Go to a position; where that is."""
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self.size}[whence]
        self._position = max(0, start + offset)
        return self._position

    def read(self, size: int, /) -> bytes:
        """The bytes that follow: all of them, or those of `MAX_KEPT_BYTES` and what is there.

        Raises:
            ModelError: They can't be had.
        """
        wanted = min(max(0, size), max(0, self.size - self._position))
        least = min(wanted, MAX_KEPT_BYTES)
        parts: list[bytes] = []
        count = 0
        while count < wanted:
            part = self._kept(self._position, wanted - count)
            if not part:
                if count >= least:
                    break
                self._read_block(self._position)
                continue
            parts.append(part)
            count += len(part)
            self._position += len(part)
        return b"".join(parts)

    def _kept(self, position: int, size: int) -> bytes:
        """What is kept from a position on, of one block."""
        for start, block in reversed(self._blocks.items()):
            offset = position - start
            if 0 <= offset < len(block):
                return block[offset : offset + size]
        return b""

    def _read_block(self, start: int) -> None:
        later = [place for place in self._blocks if place > start]
        before = max(place + len(block) for place, block in self._blocks.items() if place <= start)
        if start - before > MAX_KEPT_BYTES:
            # Behind what was passed over there may be little left.
            self._next = _FIRST
        end = min(start + self._next, self.size, *later)
        found = self._remote.read_range(self.address, start, end)
        if found.size != self.size or found.tag != self._tag:
            raise ModelError(
                f"The file {quoted(self.address.file_name)} changed while it was read.",
                "Try again.",
            )
        self._blocks[start] = found.content
        self._next = min(2 * self._next, _LARGEST)


@contextmanager
def _told(host: str) -> Iterator[None]:
    """Failures of a connection, in a sentence."""
    try:
        yield
    except httpx.ConnectError as error:
        if "CERTIFICATE_VERIFY_FAILED" in str(error):
            raise ModelError(
                f"The certificate of {host} can't be verified.",
                "Look at the address, or name the file of its authority in SSL_CERT_FILE.",
            ) from error
        raise ModelError(
            f"The host {host} can't be reached{_why(error)}.",
            "Look at the address and at the connection to the network.",
        ) from error
    except httpx.TimeoutException as error:
        raise ModelError(f"The host {host} did not answer in time.", "Try again later.") from error
    except (httpx.HTTPError, httpx.InvalidURL, UnicodeError) as error:
        raise ModelError(
            f"The connection to {host} broke off before the answer was there.", "Try again."
        ) from error


def _why(error: BaseException) -> str:
    """Why there is no connection, in the system's words behind a colon; "" where it has none."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, BaseExceptionGroup):
            # One for each address of a name.
            cause = cause.exceptions[0]
        if isinstance(cause, OSError) and cause.errno:
            # What asyncio says in place of the system's words is for programmers.
            known = cause.errno in errno.errorcode
            words = os.strerror(cause.errno) if known else cause.strerror or ""
            return f": {sanitize_line(words[:1].lower() + words[1:])}" if words else ""
        cause = cause.__cause__ or cause.__context__
    return ""


def _content_range(response: httpx.Response, host: str) -> tuple[int, int, int]:
    """First byte, last byte and size that an answer says it is of."""
    text = response.headers.get("Content-Range", "").strip()
    unit, _, rest = text.partition(" ")
    places, _, size = rest.strip().partition("/")
    first, _, last = places.partition("-")
    if unit.lower() == "bytes" and all(
        part.isascii() and part.isdigit() and len(part) < 20 for part in (first, last, size)
    ):
        return int(first), int(last), int(size)
    raise ModelError(
        f"The host {host} does not say which bytes it sent: {quoted(text) if text else 'nothing'}.",
        _DOWNLOAD,
    )


def _files_of(body: bytes, host: str) -> list[str]:
    """The files of a repository, by the hub's document on it."""
    try:
        document: Any = json.loads(body)
        named = [one["rfilename"] for one in document["siblings"]]
    except (ValueError, RecursionError, KeyError, TypeError) as error:
        raise ModelError(
            f"The host {host} does not answer as the hub does.",
            "Look at HF_ENDPOINT, if it is set.",
        ) from error
    return [
        name
        for name in named
        if isinstance(name, str)
        and 0 < len(name) < 1000
        and name.isprintable()
        and ".." not in name.split("/")
    ]
