"""A model file at an address, read in ranges: as much of it as its header takes, and no more.

A connection is opened only for an address that the user gave, and where that sends it. What comes
back is a stranger's: every answer has to be the very range that was asked for, and bytes, time and
redirects are bounded. The user's token goes to the hub's own host and to no other. Proxies are
those of the environment, as for downloads.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager
from types import TracebackType
from typing import Any, Final, Self, TypeVar
from urllib.parse import quote

import httpx

from urial_tui import wording
from urial_tui.errors import ModelError
from urial_tui.http_answers import is_packed, why_unreachable
from urial_tui.models.addresses import (
    FileAddress,
    HubAddress,
    choose_file,
    host_of,
    hub_endpoint,
)
from urial_tui.models.clients import Clients, told_of_proxy
from urial_tui.models.connection import Broken, proxy_hint, refused_by_proxy
from urial_tui.models.gguf_file import MAX_KEPT_BYTES
from urial_tui.models.host_answers import (
    MAX_LISTING,
    MAX_REDIRECTS,
    MAX_SIZE,
    MOVED,
    asked_too_often,
    check_no_page,
    check_online,
    check_status,
    endless,
    endless_list,
    hub_files,
    next_address,
    packed,
    unusual_status,
    unverified,
)
from urial_tui.models.user_token import UserToken
from urial_tui.sanitize import quoted

MAX_BYTES: Final = 64 * 1024 * 1024
"""Of all files of a model together: the longest headers have some 20 MB."""

_FIRST: Final = 256 * 1024
_LARGEST: Final = 1024 * 1024
_CONNECT: Final = 10.0
_SILENCE: Final = 15.0
WHOLE: Final = 120.0
"""Seconds for everything together."""
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
        self._token = UserToken()
        self._runner = asyncio.Runner()
        silence = min(_SILENCE, seconds)
        try:
            with told_of_proxy():
                self._clients = Clients(httpx.AsyncClient, min(_CONNECT, seconds), silence)
        except ModelError:
            self._runner.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None = None,
        error: BaseException | None = None,
        trace: TracebackType | None = None,
    ) -> None:
        try:
            self._runner.run(self._close())
        finally:
            self._runner.close()

    async def _close(self) -> None:
        for client in self._clients.made:
            await client.aclose()

    def find(self, address: HubAddress) -> FileAddress:
        """The file that a repository's address means, by the hub's list of its files.

        Raises:
            ModelError: There is no such repository or file, or the hub can't be asked.
        """
        url = f"{hub_endpoint()}/api/models/{quote(address.repository, '/')}"
        body = self._run(self._listing(FileAddress(url=url, hub=True), address.repository))
        if len(body) > MAX_LISTING:
            raise endless_list(host_of(url))
        files = [file.name for file in hub_files(body, host_of(url))]
        name = choose_file(address, files)
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
            check_no_page(response.headers, host, name)
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
        if is_packed(response.headers):
            raise packed(host_of(str(response.url)), _DOWNLOAD)
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
        if address.hub:
            check_online()
        url = address.url
        for _ in range(MAX_REDIRECTS + 1):
            own = self._token.header(url) if address.hub else {}
            with _told(host_of(url)):
                client = self._clients.of(url)
                async with client.stream("GET", url, headers=headers | own) as response:
                    if response.status_code not in MOVED:
                        yield response
                        return
                    url = next_address(url, response.headers.get("Location", ""))
                    self._charge(0)
        raise endless(address.url)

    def _check(self, response: httpx.Response, name: str, good: set[int]) -> None:
        """Say why an answer is none.

        Raises:
            ModelError: It is none.
        """
        status, host = response.status_code, host_of(str(response.url))
        if status in good:
            return
        check_status(status, host, name)
        if status == 429:
            raise ModelError(asked_too_often(host), "Try again in some minutes.")
        raise ModelError(unusual_status(status, host, name), "Try again later.")


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
            raise unverified(host) from error
        raise ModelError(
            f"The host {host} can't be reached{why_unreachable(error)}.",
            f"Look at the address and at the connection to the network.{proxy_hint()}",
        ) from error
    except httpx.ProxyError as error:
        refused = refused_by_proxy(host, error)
        if isinstance(refused, Broken):
            refused = ModelError(refused.why, "Try again later.")
        raise refused from error
    except httpx.TimeoutException as error:
        raise ModelError(f"The host {host} did not answer in time.", "Try again later.") from error
    except (httpx.HTTPError, httpx.InvalidURL, UnicodeError) as error:
        raise ModelError(
            f"The connection to {host} broke off before the answer was there.", "Try again."
        ) from error


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
