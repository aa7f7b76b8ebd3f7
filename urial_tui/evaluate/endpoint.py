"""An HTTP client of an OpenAI-compatible endpoint: one request, and its outcome.

A connection goes to the address that was given and to no other: no redirect is followed, and no
proxy and no password is taken from the environment. What comes back is a stranger's: bounded in
time and size, and never unpacked. The key stands in one header of the requests and nowhere else: in
no sentence, no file and no log.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Any, Final, Self

import httpx
import msgspec

from urial_tui import __version__
from urial_tui.evaluate.endpoint_address import AT_ONCE, JUDGE, Address, Service, public
from urial_tui.evaluate.endpoint_errors import EndpointError, words_of_error
from urial_tui.http_answers import is_packed, seconds_to_wait, why_unreachable
from urial_tui.models.clients import authorities
from urial_tui.sanitize import quoted
from urial_tui.wording import capital, duration, size

MAX_BYTES: Final = 16 * 1024 * 1024
"""Of an answer. The chances of every token of a long judgement take some 3 MB."""

LONGEST_WAIT: Final = 600.0
"""Seconds that an endpoint may ask to wait; for more than that nobody wants to sit there."""

_MAX_ERROR: Final = 64 * 1024
_ERROR_SECONDS: Final = 10.0
_MAX_WORDS: Final = 300
_MOMENTARY: Final = frozenset({408, 409, 425})
"""Status codes below 500 of what may go well a moment later."""


class EndpointSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How an endpoint is asked.

    url             its address, with or without a path; without one it is `/v1`
    model           the model's name there
    service         what it is asked for
    concurrency     most questions at once
    per_minute      most requests a minute; None for any number
    attempts        of a question, before it is given up
    connect         seconds until there is a connection,
    silence         without a byte: nothing comes while a reply is written,
    whole           and for all of an answer
    reply_tokens    most tokens of a reply; None for what its form needs. A judge that thinks
                    first needs more.
    logprobs        whether the chances of the scores are asked for
    """

    url: str
    model: str
    service: Service = JUDGE
    concurrency: int = AT_ONCE
    per_minute: float | None = None
    attempts: int = 6
    connect: float = 10.0
    silence: float = 300.0
    whole: float = 600.0
    reply_tokens: int | None = None
    logprobs: bool = True


class EndpointAnswer(msgspec.Struct, frozen=True):
    """An answer; whether it can be read is to be seen."""

    body: bytes


class Again(msgspec.Struct, frozen=True, kw_only=True):
    """No answer, but there may be one later.

    `why`: a sentence. `after`: the seconds that the endpoint asks to wait. `limited`: it is well,
    and was asked too often.
    """

    why: str
    after: float | None = None
    limited: bool = False


class Declined(msgspec.Struct, frozen=True, kw_only=True):
    """The endpoint does not take this request, now or later.

    `why`: a sentence. `words`: what it says itself, to be looked at and not to be shown.
    """

    why: str
    words: str = ""


EndpointOutcome = EndpointAnswer | Again | Declined


class Endpoint:
    """An address with its connections, which are open within `async with`.

    Args:
        address: Where requests go.
        settings: How long an answer may take, and how many may be awaited at once.
        key: The endpoint's key.
        date: Gives the seconds since 1970.
    """

    def __init__(
        self,
        address: Address,
        settings: EndpointSettings,
        key: str | None,
        date: Callable[[], float],
    ) -> None:
        self._address = address
        self._settings = settings
        self._key = key
        self._date = date
        headers = {
            "Accept": "application/json",
            "Accept-Encoding": "identity",
            "Content-Type": "application/json",
            "User-Agent": f"urial-tui/{__version__}",
        }
        if key:
            headers["Authorization"] = f"Bearer {key}"
        self._client = httpx.AsyncClient(
            headers=headers,
            verify=authorities() if address.encrypted else False,
            follow_redirects=False,
            trust_env=False,
            timeout=httpx.Timeout(
                connect=settings.connect, read=settings.silence, write=settings.silence, pool=None
            ),
            limits=httpx.Limits(max_connections=settings.concurrency),
        )

    async def __aenter__(self) -> Self:
        await self._client.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None = None,
        error: BaseException | None = None,
        trace: TracebackType | None = None,
    ) -> None:
        await self._client.__aexit__(kind, error, trace)

    async def ask(self, body: bytes) -> EndpointOutcome:
        """Send a request.

        Raises:
            EndpointError: No request to this address will be answered.
        """
        host = self._address.host
        try:
            async with (
                asyncio.timeout(self._settings.whole),
                self._client.stream("POST", self._address.url, content=body) as response,
            ):
                return await self._outcome(response)
        except TimeoutError:
            limit = duration(self._settings.whole)
            return Again(why=f"The endpoint {host} took longer than {limit} to answer.")
        except httpx.ConnectError as error:
            if "CERTIFICATE_VERIFY_FAILED" in str(error):
                raise EndpointError(
                    f"The certificate of {host} can't be verified.",
                    "Look at the address, or name the file of its authority in SSL_CERT_FILE.",
                ) from error
            return Again(why=f"The endpoint {host} can't be reached{why_unreachable(error)}.")
        except httpx.ConnectTimeout:
            limit = duration(self._settings.connect)
            return Again(why=f"The endpoint {host} can't be reached: nothing came for {limit}.")
        except httpx.TimeoutException:
            limit = duration(self._settings.silence)
            return Again(why=f"The endpoint {host} said nothing for {limit}.")
        except httpx.TransportError:
            return Again(why=f"The connection to {host} broke off before the answer was there.")

    async def _outcome(self, response: httpx.Response) -> EndpointOutcome:
        host = self._address.host
        if response.is_success:
            if is_packed(response.headers):
                return Declined(why=f"The endpoint {host} packed its answer, which nobody asked.")
            body = await _read(response, MAX_BYTES)
            if len(body) > MAX_BYTES:
                return Declined(why=f"The endpoint {host} sent more than {size(MAX_BYTES)}.")
            return EndpointAnswer(body)
        status = response.status_code
        if 300 <= status < 400:
            raise self._elsewhere(response)
        words = self._hidden(words_of_error(await _read_error(response)))
        told = f": {quoted(words, _MAX_WORDS)}." if words else "."
        if status == 429 and "insufficient_quota" not in words:
            return self._later(response, f"The endpoint {host} is asked too often{told}")
        self._check(status, told)
        why = f"The endpoint {host} answered with status {status}{told}"
        if status in _MOMENTARY or (status >= 500 and status != 501):
            later = self._later(response, why)
            return Again(why=why, after=later.after)
        return Declined(why=why, words=words)

    def _check(self, status: int, told: str) -> None:
        """Give up where any other request would fare alike.

        Raises:
            EndpointError: It would.
        """
        host, model = self._address.host, quoted(self._settings.model)
        service = self._settings.service
        in_variable = f"in the environment variable {service.key}"
        match status:
            case 401 if self._key is None:
                raise EndpointError(
                    f"The endpoint {host} wants a key{told}", f"Give it {in_variable}."
                )
            case 401:
                raise EndpointError(
                    f"The endpoint {host} does not accept the key{told}",
                    f"Look at the key {in_variable}.",
                )
            case 402 | 429:
                raise EndpointError(
                    f"The endpoint {host} answers no more on this account{told}",
                    f"Look at its balance and limits, then {service.again}: {service.kept}.",
                )
            case 403:
                raise EndpointError(
                    f"The endpoint {host} does not allow the use of {model}{told}",
                    f"Look at {service.model} and at the key {in_variable}.",
                )
            case 404 | 405 | 410:
                raise EndpointError(
                    f"The endpoint {host} has no model {model}, or it is not at this address{told}",
                    f"Look at {service.model} and at the path of {service.address}.",
                )

    def _later(self, response: httpx.Response, why: str) -> Again:
        """Ask again, when the endpoint says.

        Raises:
            EndpointError: That is too long to wait for.
        """
        after = seconds_to_wait(response.headers.get("Retry-After", ""), self._date())
        if after is not None and after > LONGEST_WAIT:
            service = self._settings.service
            raise EndpointError(
                f"The endpoint {self._address.host} takes no request for {duration(after)}.",
                f"{capital(service.again)} then: {service.kept}.",
            )
        return Again(why=why, after=after, limited=True)

    def _elsewhere(self, response: httpx.Response) -> EndpointError:
        place = self._hidden(public(response.headers.get("Location", "")))
        to = f" on to {quoted(place, 200)}" if place else " elsewhere"
        return EndpointError(
            f"The endpoint {self._address.host} sends requests{to}, where they don't go.",
            f"If you trust that place, make it {self._settings.service.address}.",
        )

    def _hidden(self, text: str) -> str:
        return text.replace(self._key, "…") if self._key else text


async def _read(response: httpx.Response, limit: int) -> bytes:
    """The body as it was sent, or a little more than `limit` of it."""
    body = bytearray()
    async for chunk in response.aiter_raw():
        body += chunk
        if len(body) > limit:
            break
    return bytes(body)


async def _read_error(response: httpx.Response) -> bytes:
    """As much of an error's body as comes soon; the status counts without it."""
    if is_packed(response.headers):
        return b""
    with contextlib.suppress(httpx.TransportError, TimeoutError):
        async with asyncio.timeout(_ERROR_SECONDS):
            return (await _read(response, _MAX_ERROR))[:_MAX_ERROR]
    return b""


class Loop(asyncio.SelectorEventLoop):
    """An event loop that nobody has to wait for when a name is not found.

    The usual one looks names up in threads that Python waits for before it ends.
    """

    async def getaddrinfo(self, host: Any, port: Any, **rest: Any) -> Any:
        """Look a name up in a thread that is left alone if this is cancelled."""
        found: asyncio.Future[Any] = self.create_future()

        def tell(finish: Callable[[Any], None], value: Any) -> None:
            if not found.done():
                finish(value)

        def look() -> None:
            try:
                done: tuple[Callable[[Any], None], Any] = (
                    found.set_result,
                    socket.getaddrinfo(host, port, **rest),
                )
            except OSError as error:
                done = (found.set_exception, error)
            except UnicodeError as error:
                # No name that there could be.
                done = (found.set_exception, OSError(str(error)))
            with contextlib.suppress(RuntimeError):
                # The loop may be closed by now.
                self.call_soon_threadsafe(tell, *done)

        threading.Thread(target=look, daemon=True).start()
        return await found
