"""Requests for model files and for the hub's word on them: where they may go, and what comes back.

A connection is opened only for an address that the user gave, or the hub where that was named, and
where it sends requests on: https, or this very machine; through the proxy that the environment
names, but to this machine never. The user's token goes to the hub's own host and to no other, and
what a proxy is told is shown to nobody. No body is unpacked, and nobody is waited for without end.
"""

from __future__ import annotations

import contextlib
import re
import socket
import threading
import time
import urllib.request
from collections.abc import Callable, Generator, Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager
from functools import partial
from queue import Empty, SimpleQueue
from typing import Any, Final

import httpx
import msgspec

from urial_tui import wording
from urial_tui.errors import ModelError
from urial_tui.http_answers import is_packed, why_unreachable
from urial_tui.models.addresses import checked_url, host_of, origin_of
from urial_tui.models.attempts import Limits, retry_after
from urial_tui.models.clients import Clients, told_of_proxy
from urial_tui.models.host_answers import (
    MAX_REDIRECTS,
    MOVED,
    check_online,
    check_status,
    endless,
    next_address,
    packed,
    unusual_status,
    unverified,
    why_later,
)
from urial_tui.models.user_token import UserToken

KEPT: Final = "What came is kept: the same command goes on from there."
MOMENTARY: Final = frozenset({408, 425, 429, 500, 502, 503, 504})
"""Statuses behind which another one may come."""

Response = httpx.Response
"""The head of an answer, and its body as it comes."""


class Source(msgspec.Struct, frozen=True, kw_only=True):
    """A file to download. `hub`: whether it is the hub's; `size` 0 and `sha256` "" if unknown."""

    url: str
    name: str
    hub: bool = False
    size: int = 0
    sha256: str = ""


class Cancelled(Exception):
    """A download was ended as it was asked to; what came is kept."""


class Unreachable(ModelError):
    """There is no connection to a host."""


class Broken(Exception):
    """A transient failure, to be retried: why, and after how many seconds at least."""

    def __init__(self, why: str, after: float = 0.0, hint: str = KEPT) -> None:
        super().__init__(why)
        self.why, self.after, self.hint = why, after, hint


class HttpConnection:
    """An HTTP client that sends requests one at a time, and can be cancelled from any thread.

    Args:
        limits: How long a host is waited for.
        cancelled: Set to end what is asked.
    """

    def __init__(self, limits: Limits, cancelled: threading.Event) -> None:
        self._limits = limits
        self._cancelled = cancelled
        self._token = UserToken()
        self._sockets: list[socket.socket] = []
        """Of connections that were opened, the newest last."""
        self._waking: SimpleQueue[None] | None = None
        """Wakes whoever waits for the head of an answer."""
        silence = self._limits.silence
        with told_of_proxy():
            self._clients = Clients(httpx.Client, min(self._limits.connect, silence), silence)

    def close(self) -> None:
        """Close the clients, and their connections."""
        for client in self._clients.made:
            client.close()

    def interrupt(self) -> None:
        """Wake whoever waits for an answer, once `cancelled` is set; from any thread."""
        if self._waking is not None:
            self._waking.put(None)
        self._shut()

    def _shut(self) -> None:
        """End what is read from any connection."""
        for one in tuple(self._sockets):
            _shut_down(one)

    @contextmanager
    def within(self, seconds: float, host: str) -> Iterator[None]:
        """Bound the time in which a body is read: a timeout of all reads together.

        Raises:
            Broken: It took longer.
        """
        with self._watched(seconds, lambda: False) as late:
            try:
                yield
            except httpx.HTTPError as error:
                if late.is_set():
                    raise _not_in_time(host) from error
                raise
            if late.is_set():
                # Where no length was said, that looks like the end of the body.
                raise _not_in_time(host)

    def body(self, response: Response, missing: Callable[[], int]) -> Generator[bytes, None, None]:
        """The bytes of a body as they come: at least `slow_bytes` of them in any `slow_seconds`.

        Only they count: what wraps them may come a byte at a time without end, and no timeout of a
        read would tell. Only waiting for them counts: what is done with them may take its time.

        Args:
            response: Has it.
            missing: Tells how many of its bytes are still to come.

        Raises:
            ModelError: Fewer came, and some are missing.
        """
        limits = self._limits
        before, came, taken, taking = missing(), 0, 0.0, False

        def go_on() -> bool:
            nonlocal before, came, taken
            if taking:
                return True
            left, mostly_taken = missing(), taken > limits.slow_seconds / 2
            before, came, taken = left, before - left, 0.0
            return mostly_taken or came >= limits.slow_bytes

        with self._watched(limits.slow_seconds, go_on) as late:
            try:
                for chunk in response.iter_raw():
                    began, taking = time.monotonic(), True
                    yield chunk
                    taken, taking = taken + time.monotonic() - began, False
            except httpx.HTTPError:
                if not late.is_set():
                    raise
            if late.is_set() and missing() > 0:
                raise ModelError(
                    f"The host {host_of(str(response.url))} sends hardly anything: {came:,} bytes "
                    f"in {wording.duration(limits.slow_seconds)}.",
                    f"Try again later. {KEPT}",
                )

    @contextmanager
    def _watched(self, seconds: float, go_on: Callable[[], bool]) -> Iterator[threading.Event]:
        """End what is read once `go_on`, which is asked every so many seconds, says no.

        Yields:
            What is set then.
        """
        over, late = threading.Event(), threading.Event()

        def watch() -> None:
            while not over.wait(seconds):
                if not go_on():
                    late.set()
                    self._shut()
                    return

        threading.Thread(target=watch, name="slowness", daemon=True).start()
        try:
            yield late
        finally:
            over.set()

    @contextmanager
    def told(self, host: str) -> Iterator[None]:
        """Failures of a connection, in a sentence.

        Raises:
            Cancelled: It was ended as it was asked to, which is what failed.
        """
        try:
            with told(host):
                yield
        except (Broken, Unreachable):
            if self._cancelled.is_set():
                raise Cancelled from None
            raise

    def _opened(self, late: threading.Event, event: str, info: Mapping[str, Any]) -> None:
        """Keep the socket of a connection that was opened, so that it can be interrupted.

        `late`: set where nobody waits any more for what it was opened for.
        """
        # What is encrypted later gets another socket, and so does what goes through a proxy.
        if not event.endswith((".connect_tcp.complete", ".start_tls.complete")):
            return
        opened = info["return_value"].get_extra_info("socket")
        if opened is not None:
            self._sockets = [one for one in self._sockets if one.fileno() >= 0] + [opened]
            if self._cancelled.is_set():
                self.interrupt()
            elif late.is_set():
                _shut_down(opened)

    @contextmanager
    def response(
        self,
        method: str,
        source: Source,
        headers: dict[str, str],
        linked: dict[str, str] | None = None,
    ) -> Iterator[httpx.Response]:
        """The answer of an address, or of where it sends us.

        `linked` takes what the hub's own answers tell of the file, before they send us on.

        Raises:
            ModelError: There is none.
            Broken: There may be one later.
        """
        if source.hub:
            check_online()
        url = checked_url(source.url)
        home = origin_of(url)
        until = time.monotonic() + self._limits.head
        for _ in range(MAX_REDIRECTS + 1):
            if self._cancelled.is_set():
                raise Cancelled
            at_home = origin_of(url) == home
            own = self._token.header(url) if source.hub else {}
            with (
                self.told(host_of(url)),
                contextlib.closing(self._sent(method, url, headers | own, until)) as response,
            ):
                if linked is not None and source.hub and at_home:
                    linked.update(
                        (key, value[:200])
                        for key, value in response.headers.items()
                        if key in ("x-linked-etag", "x-linked-size", "x-repo-commit")
                    )
                if response.status_code not in MOVED:
                    if is_packed(response.headers):
                        raise packed(host_of(url), "Look for another source.")
                    yield response
                    return
                url = next_address(url, response.headers.get("Location", ""))
        raise endless(source.url)

    def _sent(self, method: str, url: str, headers: dict[str, str], until: float) -> httpx.Response:
        """Send a request; its answer, once that has a head.

        Nothing can wake who looks a name up or connects. So a thread does that, and is left to
        itself where all is cancelled meanwhile, or where it takes too long: each byte of a head
        starts the timeout of httpx anew.

        Args:
            method, url, headers: What is sent.
            until: When nobody waits for it any more, by the monotonic clock.

        Raises:
            Cancelled: It was.
            Broken: It took too long.
        """
        late = threading.Event()
        client = self._clients.of(url)
        request = client.build_request(
            method, url, headers=headers, extensions={"trace": partial(self._opened, late)}
        )
        answer: Future[httpx.Response] = Future()
        # Unlike an Event, it may be woken by a signal's handler.
        waking: SimpleQueue[None] = SimpleQueue()
        self._waking = waking
        if self._cancelled.is_set():
            raise Cancelled

        def send() -> None:
            try:
                answer.set_result(client.send(request, stream=True))
            except BaseException as error:  # noqa: BLE001  # raised where it is waited for
                answer.set_exception(error)

        answer.add_done_callback(lambda _: waking.put(None))
        threading.Thread(target=send, name="request", daemon=True).start()
        with contextlib.suppress(Empty):
            waking.get(timeout=max(0.0, until - time.monotonic()))
        if answer.done():
            return answer.result()
        answer.add_done_callback(_close)
        if self._cancelled.is_set():
            raise Cancelled
        late.set()
        self._shut()
        raise _not_in_time(host_of(url))

    def check(self, response: httpx.Response, source: Source, good: set[int]) -> None:
        """Say why an answer is none.

        Raises:
            ModelError: It is none.
            Broken: There may be one later.
        """
        host, after = host_of(str(response.url)), response.headers.get("Retry-After", "")
        self.check_status(response.status_code, host, source, good, retry_after(after))

    def check_status(
        self, status: int, host: str, source: Source, good: set[int], after: float
    ) -> None:
        """As `check`, by a status, and the seconds for which the host wants not to be asked.

        Raises:
            ModelError: It is none.
            Broken: There may be one later.
        """
        if status in good:
            return
        check_status(status, host, source.name)
        if status in MOMENTARY:
            why = why_later(status, host, source.name)
            if after > self._limits.longest_wait:
                raise ModelError(
                    why, f"It wants to be asked again in {wording.duration(after)}. {KEPT}"
                )
            raise Broken(why, after, f"Try again in some minutes. {KEPT}")
        raise ModelError(unusual_status(status, host, source.name), "Try again later.")


def _shut_down(one: socket.socket) -> None:
    """End what is read from a socket."""
    with contextlib.suppress(OSError):
        # Not the method of an encrypted one, which would take it apart under its reader.
        socket.socket.shutdown(one, socket.SHUT_RDWR)


def _not_in_time(host: str) -> Broken:
    return Broken(f"The host {host} did not answer in time.")


def _close(answer: Future[httpx.Response]) -> None:
    """Close an answer that nobody waits for any more."""
    with contextlib.suppress(Exception):
        answer.result().close()


def proxy_hint() -> str:
    """What to look at where there is no connection and a proxy may be why; "" without one."""
    named = urllib.request.getproxies()
    return " A proxy is named in the environment." if named.keys() & {"https", "all"} else ""


def refused_by_proxy(host: str, error: httpx.ProxyError) -> ModelError | Broken:
    """That a proxy does not let through to a host, by the status that it answered."""
    found = re.match(r"[1-5][0-9]{2}\b", str(error), re.ASCII)
    status = int(found[0]) if found else 0
    answered = f" It answers with status {status}." if status else ""
    why = f"The proxy of the environment does not let through to {host}.{answered}"
    if status in MOMENTARY:
        return Broken(why, hint=f"Try again later. {KEPT}")
    return ModelError(
        why,
        "It wants another name or password: HTTPS_PROXY has them before the host, as in "
        "http://NAME:PASSWORD@HOST:PORT."
        if status == 407
        else "Look at HTTPS_PROXY, or name the host in NO_PROXY to do without the proxy.",
    )


@contextmanager
def told(host: str) -> Iterator[None]:
    """Failures of a connection, in a sentence."""
    try:
        yield
    except httpx.ConnectError as error:
        if "CERTIFICATE_VERIFY_FAILED" in str(error):
            raise unverified(host) from error
        raise Unreachable(
            f"The host {host} can't be reached{why_unreachable(error)}.",
            f"Look at the address and at the connection to the network.{proxy_hint()}",
        ) from error
    except httpx.ProxyError as error:
        raise refused_by_proxy(host, error) from error
    except httpx.TimeoutException as error:
        raise _not_in_time(host) from error
    except (httpx.HTTPError, httpx.InvalidURL, UnicodeError) as error:
        raise Broken(f"The connection to {host} broke off before all was there.") from error
