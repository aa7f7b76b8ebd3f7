"""An endpoint on loopback that plays a script: what it does with each request, well or badly."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from tests import loopback
from urial_tui.evaluate.rate_limit import Clock

SOON: Final = 60.0
"""Seconds in which something has ended, on a machine however busy; whoever hangs does so longer."""

SCORED: Final = '{"safety": {"reason": "It declines politely.", "score": 4}}'
"""A judgement of a safety item."""


class Handler(loopback.Handler):
    """One connection. `endpoint`: whose it is; `request`: the body of the newest request."""

    endpoint: ScriptedEndpoint
    asked: dict[str, Any]

    def do_POST(self) -> None:
        length = int(self.headers["Content-Length"])
        self.asked = json.loads(self.rfile.read(length))
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self.endpoint.next_act(self)(self)

    def head(self, status: int, length: int | None, headers: Mapping[str, str] = {}) -> None:
        """Send all that stands in front of a body."""
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if length is not None:
            self.send_header("Content-Length", str(length))
        self.end_headers()

    def drop(self) -> None:
        """Close the connection."""
        self.close_connection = True


Act = Callable[[Handler], None]


class ScriptedEndpoint(loopback.LoopbackServer):
    """Answers at `url`, and remembers what came: `requests`, their `headers` and `paths`.

    Args:
        acts: What it does, one a request.
        then: What it does with all others.
        certificate: With its key, where connections are encrypted.
    """

    def __init__(
        self, *acts: Act, then: Act | None = None, certificate: Path | None = None
    ) -> None:
        self.requests: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.paths: list[str] = []
        self._lock = threading.Lock()
        self._acts = list(acts)
        self._then = then or reply()
        super().__init__(type("_Handler", (Handler,), {"endpoint": self}))
        if certificate is not None:
            self.encrypt(certificate)

    @property
    def url(self) -> str:
        return f"{super().url}/v1"

    def next_act(self, handler: Handler) -> Act:
        with self._lock:
            self.requests.append(handler.asked)
            self.paths.append(handler.path)
            self.headers.append({key.lower(): value for key, value in handler.headers.items()})
            return self._acts.pop(0) if self._acts else self._then


class QuickClock(Clock):
    """Time passes as soon as somebody waits; chance gives the most. `slept`: all waits."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.slept: list[float] = []

    def time(self) -> float:
        return self.now

    def date(self) -> float:
        return 1_700_000_000.0

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds
        await super().sleep(0)

    def jitter(self, most: float) -> float:
        return most


def completion(
    content: str | None = SCORED,
    *,
    finish: str | None = "stop",
    usage: object = None,
    logprobs: object = None,
    **message: object,
) -> dict[str, Any]:
    """What an endpoint answers that is well."""
    choice = {
        "index": 0,
        "message": {"role": "assistant", "content": content, **message},
        "finish_reason": finish,
        "logprobs": logprobs,
    }
    return {"object": "chat.completion", "choices": [choice], "usage": usage}


def sent(body: bytes | str, status: int = 200, headers: Mapping[str, str] | None = None) -> Act:
    """Answer with these bytes."""
    data = body.encode() if isinstance(body, str) else body

    def act(handler: Handler) -> None:
        handler.head(status, len(data), headers or {"Content-Type": "application/json"})
        handler.wfile.write(data)

    return act


def reply(content: str | None = SCORED, **rest: Any) -> Act:
    """Answer with what a judge has written."""
    return sent(json.dumps(completion(content, **rest)))


def text(written: object = "Fine.", *, finish: str | None = "stop", **rest: object) -> Act:
    """Go on with a text; `rest` is told of it, too, `usage` of the whole."""
    usage = rest.pop("usage", None)
    choice = {"index": 0, "text": written, "finish_reason": finish, "logprobs": None, **rest}
    return sent(json.dumps({"object": "text_completion", "choices": [choice], "usage": usage}))


def error(status: int, message: str = "", headers: Mapping[str, str] | None = None) -> Act:
    """Refuse, in the form that most servers have for it."""
    return sent(json.dumps({"error": {"message": message, "type": "x"}}), status, headers)


def drop(handler: Handler) -> None:
    """Close the connection without a word."""
    handler.drop()


def written(data: bytes) -> Act:
    """Write these bytes and close the connection."""

    def act(handler: Handler) -> None:
        handler.wfile.write(data)
        handler.drop()

    return act


def half_body(handler: Handler) -> None:
    """Close the connection within the body."""
    data = json.dumps(completion()).encode()
    handler.head(200, len(data))
    handler.wfile.write(data[: len(data) // 2])
    handler.drop()


def hang(handler: Handler) -> None:
    """Take the request and say nothing."""
    handler.endpoint.ended.wait(2 * SOON)
    handler.drop()


def drip(data: bytes) -> Act:
    """Send a byte, wait, send the next one, for ever."""

    def act(handler: Handler) -> None:
        for place in range(10**9):
            handler.wfile.write(data[place % len(data) :][:1])
            if handler.endpoint.ended.wait(0.02):
                break
        handler.drop()

    return act


def drip_body(handler: Handler) -> None:
    """Send a head, and a body byte by byte that does not end."""
    handler.head(200, 10**8)
    drip(b" ")(handler)


def endless(handler: Handler) -> None:
    """Send a body that does not end, as fast as it goes."""
    handler.head(200, None, {"Connection": "close"})
    while not handler.endpoint.ended.is_set():
        handler.wfile.write(b" " * 65536)
