"""Clients of httpx as all requests of models use them, with the user's proxies.

Plain http is for this very machine alone, and no proxy is used for that. No body is unpacked, and
no redirect is followed but by whoever asks. What a proxy is told is shown to nobody.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final, Generic, TypeVar

import httpx

from urial_tui import __version__
from urial_tui.errors import ModelError

_THIS_MACHINE: Final = ("http://", "all://localhost", "all://127.0.0.1", "all://[::1]")
"""Where no proxy is used, as httpx writes that. Plain http is for this machine alone."""


def authorities() -> ssl.SSLContext:
    """What hosts are verified by: authorities that httpx knows, and those of this machine.

    Those of `SSL_CERT_FILE` are among these. To read them takes some 60 ms.
    """
    verify = httpx.create_ssl_context(trust_env=False)
    verify.load_default_certs()
    return verify


ClientT = TypeVar("ClientT", bound=httpx.Client | httpx.AsyncClient)


class Clients(Generic[ClientT]):
    """Clients of httpx: one for plain http, and one for https once that is asked.

    To read the authorities that vouch for hosts takes longer than to make a client (`authorities`),
    so they are read for https alone. The client for plain http knows none: nothing encrypted is
    trusted by it.

    Args:
        make: The class of the clients.
        connect: Seconds until there is a connection.
        silence: Seconds without a byte.

    Raises:
        ValueError, httpx.InvalidURL: The environment names a proxy that is none.
        ImportError: It names one of SOCKS, and the package for these is missing.
    """

    def __init__(self, make: Callable[..., ClientT], connect: float, silence: float) -> None:
        self._make = make
        self._connect = connect
        self._silence = silence
        self._plain = self._client(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))
        self._encrypted: ClientT | None = None

    @property
    def made(self) -> list[ClientT]:
        """Those that were made, for whoever closes them."""
        return [self._plain, self._encrypted] if self._encrypted else [self._plain]

    def of(self, url: str) -> ClientT:
        """The client for an address; each that one is sent on to needs to be asked for anew."""
        if httpx.URL(url).scheme == "http":
            return self._plain
        if self._encrypted is None:
            self._encrypted = self._client(authorities())
        return self._encrypted

    def _client(self, verify: ssl.SSLContext) -> ClientT:
        """A client: identity encoding, no redirects, and the user's proxies."""
        return self._make(
            headers={"Accept-Encoding": "identity", "User-Agent": f"urial-tui/{__version__}"},
            verify=verify,
            follow_redirects=False,
            # That is its proxies: HTTPS_PROXY, ALL_PROXY, NO_PROXY.
            trust_env=True,
            mounts=dict.fromkeys(_THIS_MACHINE),
            timeout=httpx.Timeout(
                connect=self._connect, read=self._silence, write=self._silence, pool=None
            ),
        )


@contextmanager
def told_of_proxy() -> Iterator[None]:
    """That a proxy of the environment can't be used, in a sentence that does not hold it."""
    try:
        yield
    except (ValueError, httpx.InvalidURL) as error:
        raise ModelError(
            "A proxy that the environment names is none: HTTPS_PROXY, ALL_PROXY or HTTP_PROXY.",
            "It is written as http://HOST:PORT, with NAME:PASSWORD@ before the host if need be.",
        ) from error
    except ImportError as error:
        raise ModelError(
            "The environment names a SOCKS proxy, and the package that speaks to it is missing.",
            "Install it with `pip install socksio`, or name an http:// proxy in HTTPS_PROXY.",
        ) from error
