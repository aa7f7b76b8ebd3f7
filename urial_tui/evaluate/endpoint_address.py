"""The URL of an endpoint, what it is asked for, and the API key that it may want."""

from __future__ import annotations

import functools
import ipaddress
import os
import re
from typing import Final
from urllib.parse import urlsplit

import msgspec

from urial_tui.evaluate.items import EvaluateError
from urial_tui.sanitize import quoted

LONGEST_URL: Final = 2000
"""Characters of an address."""
_EXAMPLE: Final = "Give one such as http://localhost:8080/v1."

AT_ONCE: Final = 4
"""Questions that are under way together where nobody said how many."""


class Service(msgspec.Struct, frozen=True, kw_only=True):
    """What an endpoint is asked for, and how a sentence names what the user has to look at.

    `path`: behind the address. `key`: the environment variable with the key, if one is wanted.
    `kept`: what is not lost, a clause. The rest are the words of a command line, or of a screen:
    `model` and `address` name these, `again` goes on.
    """

    path: str
    key: str
    kept: str
    model: str
    address: str
    again: str = "run the same command again"


JUDGE: Final = Service(
    path="/chat/completions",
    key="URIAL_JUDGE_KEY",
    kept="what has been judged is kept",
    model="the model's name (--judge)",
    address="the address (--endpoint)",
)
"""Judges answers."""

ENGINE: Final = Service(
    path="/completions",
    key="URIAL_ENGINE_KEY",
    kept="what has been answered is kept",
    model="the model's name (-m)",
    address="the address (--engine)",
)
"""Goes on with texts, in place of the engine."""

_PATHS: Final = (JUDGE.path, ENGINE.path)


class Address(msgspec.Struct, frozen=True, kw_only=True):
    """Where requests go. `url`: the whole of it; `host`: what people call it, with its port."""

    url: str
    host: str
    encrypted: bool
    loopback: bool


def address_of(url: str, service: Service = JUDGE) -> Address:
    """Where the completions of an endpoint are.

    An address without a path gets `/v1`, as all such servers have it; any other path stays. The
    whole address, with `/chat/completions`, will do as well. The host's name is ASCII (xn--… for
    others), so that no letter can pass for another one.

    Args:
        url: What the user gave.
        service: What it is asked for.

    Raises:
        EvaluateError: It is no address, or holds what does not belong there.
    """
    url = url.strip()
    wrong = functools.partial(EvaluateError, f"{quoted(public(url))} is no address of an endpoint.")
    try:
        parts = urlsplit(url if url.isprintable() and len(url) <= LONGEST_URL else "")
        host, port = parts.hostname or "", parts.port
    except ValueError as error:
        raise wrong(_EXAMPLE) from error
    if parts.scheme not in ("http", "https"):
        raise wrong(_EXAMPLE)
    if "@" in parts.netloc:
        raise wrong(f"Put the key into the environment variable {service.key}.")
    if parts.query or parts.fragment:
        raise wrong("Leave out what stands behind its path, from ? or # on.")
    if not _is_host(host):
        raise wrong(_EXAMPLE)
    path = parts.path.rstrip("/") or "/v1"
    for whole in _PATHS:
        path = path.removesuffix(whole)
    named = f"[{host}]" if ":" in host else host
    return Address(
        url=f"{parts.scheme}://{parts.netloc}{path}{service.path}",
        host=named if port is None else f"{named}:{port}",
        encrypted=parts.scheme == "https",
        loopback=_is_loopback(host),
    )


def key_of_environment(service: Service = JUDGE) -> str | None:
    """The API key from the environment, None where there is none.

    Raises:
        EvaluateError: It can't be one.
    """
    key = os.environ.get(service.key, "").strip()
    if not re.fullmatch("[!-~]*", key):
        raise EvaluateError(
            f"The environment variable {service.key} holds what can't be a key.",
            "A key is one word of ASCII characters.",
        )
    return key or None


def caution(address: Address, key: str | None) -> str:
    """What a user should know before anything is sent, a sentence; "" if there is nothing."""
    if not key or address.encrypted or address.loopback:
        return ""
    return (
        f"The key goes to {address.host} without encryption: whoever listens in the network can "
        "read it."
    )


def public(url: str) -> str:
    """An address as it may be shown: no password, and nothing behind its path."""
    return re.sub(r"//[^/]*@", "//…@", re.split("[?#]", url, maxsplit=1)[0])


def _is_host(host: str) -> bool:
    """Whether it is a name or a number that a host may have."""
    if re.fullmatch(r"[0-9.]+|.*:.*", host):
        try:
            ipaddress.ip_address(host)
        except ValueError:
            return False
        return "%" not in host
    return re.fullmatch(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*\.?", host) is not None


def _is_loopback(host: str) -> bool:
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
