"""A server of files on loopback that answers ranges, or does what a test wants instead."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Mapping
from typing import Final

from tests.loopback import Handler, LoopbackServer

TAG: Final = '"one"'


class Request(Handler):
    """A request that came. `server_of`: who answers it."""

    server_of: FileServer

    def do_GET(self) -> None:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self.server_of.answer(self)

    do_HEAD = do_GET

    @property
    def place(self) -> str:
        """The path that is asked for."""
        return self.path.partition("?")[0]

    @property
    def wanted(self) -> tuple[int, int]:
        """First and last byte of the range that is asked for."""
        found = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers["Range"])
        assert found
        return int(found[1]), int(found[2])

    def reply(self, status: int, body: bytes = b"", **headers: str) -> None:
        """Answer; header names with "_" for "-", and "Content-Length" unless it is given."""
        self.send_response(status)
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        for name, value in {"Content-Length": str(len(body)), **given}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def reply_range(
        self, content: bytes, start: int | None = None, end: int | None = None, **headers: str
    ) -> None:
        """Answer with the range that is asked for, or with another one."""
        first, last = self.wanted
        first, last = first if start is None else start, last if end is None else end
        last = min(last, len(content) - 1)
        if first > last:
            self.reply(416, Content_Range=f"bytes */{len(content)}")
            return
        said = {"Content_Range": f"bytes {first}-{last}/{len(content)}", "ETag": TAG}
        self.reply(206, content[first : last + 1], **(said | headers))


Act = Callable[[Request], None]


class FileServer(LoopbackServer):
    """Serves `files` by their paths, and remembers what came.

    Args:
        files: What is served; without one of its path a request gets a 404.
        act: What is done instead, with any request.
    """

    def __init__(self, files: Mapping[str, bytes] | None = None, act: Act | None = None) -> None:
        self.files = dict(files or {})
        self.act = act
        self.requests: list[tuple[str, str | None, str | None]] = []
        super().__init__(type("_Request", (Request,), {"server_of": self}))

    def answer(self, request: Request) -> None:
        range_, key = request.headers["Range"], request.headers["Authorization"]
        self.requests.append((request.place, range_, key))
        if self.act is not None:
            self.act(request)
            return
        content = self.files.get(request.place)
        if content is None:
            request.reply(404)
        elif range_ is None:
            request.reply(200, content)
        else:
            request.reply_range(content)
