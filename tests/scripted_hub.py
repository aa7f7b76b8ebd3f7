"""A hub on loopback with one repository, which can hold back what it sends."""

from __future__ import annotations

import contextlib
import hashlib
import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.file_server import FileServer, Request

COMMIT = "c" * 40
REPOSITORY = "ada/tiny-GGUF"


def log_in(directory: Path, token: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave a token where `hf auth login` does, and none in the environment."""
    file = directory / "token"
    file.write_text(token)
    monkeypatch.delenv("HF_TOKEN", raising=False)
    # The library reads the variable that names it only once.
    monkeypatch.setattr("huggingface_hub.constants.HF_TOKEN_PATH", str(file))


class Hub(FileServer):
    """Serves `content` of the files of `ada/tiny-GGUF` by their names.

    After `held` bytes of a file it sends nothing before `goes_on` is set; `stopped` is set then.
    """

    def __init__(self, content: dict[str, bytes]) -> None:
        super().__init__(act=self.serve)
        self.content = content
        self.commit = COMMIT
        self.held: int | None = None
        self.stopped = threading.Event()
        self.goes_on = threading.Event()

    def serve(self, request: Request) -> None:
        place = request.place
        if place == "/api/models/ada/tiny-GGUF":
            siblings = [
                {"rfilename": name, "size": len(content)} for name, content in self.content.items()
            ]
            request.reply(200, json.dumps({"siblings": siblings}).encode())
            return
        if place.startswith("/blob/"):
            self._send(request, self.content[place.removeprefix("/blob/")])
            return
        name = place.removeprefix("/ada/tiny-GGUF/resolve/main/")
        if name not in self.content:
            request.reply(404)
            return
        content = self.content[name]
        request.reply(
            302,
            Location=f"/blob/{name}",
            X_Linked_Etag=f'"{hashlib.sha256(content).hexdigest()}"',
            X_Linked_Size=str(len(content)),
            X_Repo_Commit=self.commit,
        )

    def _send(self, request: Request, content: bytes) -> None:
        asked = request.headers["Range"]
        first, _, last = (asked or "bytes=0-").removeprefix("bytes=").partition("-")
        whole, start = len(content), int(first)
        content = content[: int(last) + 1] if last else content
        request.send_response(206 if asked else 200)
        if asked:
            said = f"bytes {start}-{len(content) - 1}/{whole}"
            request.send_header("Content-Range", said)
        request.send_header("Content-Length", str(len(content) - start))
        request.end_headers()
        if request.command == "HEAD":
            return
        held = self.held
        if held is not None and start < held:
            request.wfile.write(content[start:held])
            start = held
            self.stopped.set()
            self.goes_on.wait(30)
        request.wfile.write(content[start:])

    @property
    def sent(self) -> list[str]:
        """The files that were sent or asked for by HEAD."""
        return [one[0] for one in self.requests if one[0].startswith("/blob/")]

    @property
    def ranges(self) -> list[str | None]:
        """The ranges of files that were asked for."""
        return [one[1] for one in self.requests if one[0].startswith("/blob/")]


@contextlib.contextmanager
def hub_with(content: dict[str, bytes], monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A hub that the program takes for the one that there is."""
    for name in ("LLAMA_CACHE", "HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "HF_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    monkeypatch.setenv("HF_TOKEN", "hf_x")
    with Hub(content) as server:
        monkeypatch.setenv("HF_ENDPOINT", server.url)
        try:
            yield server
        finally:
            server.goes_on.set()
