"""What the hosts of model files answer, and what that means: nothing here opens a connection.

An answer is a stranger's. One that is of no use becomes a sentence with what to do, the same
wherever it was asked for, be it a header that is read or a file that is downloaded.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urljoin

import msgspec

from urial_tui.errors import ModelError
from urial_tui.models.addresses import (
    TOKEN_KEPT,
    checked_url,
    host_of,
    is_loopback,
    is_safe,
    keeps_token,
    offline_variable,
    public,
)
from urial_tui.sanitize import quoted

MAX_SIZE: Final = 1 << 46
"""Bytes of a file; no model is so long."""
MAX_LISTING: Final = 8 * 1024 * 1024
"""Bytes of the hub's list of a repository's files."""
MAX_REDIRECTS: Final = 5
MOVED: Final = {301, 302, 303, 307, 308}
"""Statuses that send a request on."""


class HubFile(msgspec.Struct, frozen=True, kw_only=True):
    """A file of a repository; `size` 0 if unknown."""

    name: str
    size: int = 0


def check_online() -> None:
    """Refuse to ask the hub where the user wants nothing to be asked of it.

    Raises:
        ModelError: That is so.
    """
    if variable := offline_variable():
        raise ModelError(
            f"{variable} is set, so nothing is read from the hub.",
            "Remove that variable, or name a file on this machine.",
        )


def next_address(url: str, place: str) -> str:
    """Where a redirect leads from an address, by its Location.

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


def endless(url: str) -> ModelError:
    """That an address leads to others and never to a file."""
    return ModelError(
        f"The host {host_of(url)} sends requests from one address to the next without end.",
        "Look at the address.",
    )


def endless_list(host: str) -> ModelError:
    """That the hub's list of files is longer than `MAX_LISTING`."""
    return ModelError(f"The hub {host} sent a list without end.", "Try again later.")


def packed(host: str, hint: str) -> ModelError:
    """That a body was compressed, though it must not be."""
    return ModelError(f"The host {host} packed what it sent, which nobody asked.", hint)


def unverified(host: str) -> ModelError:
    """That a host's certificate is not to be trusted."""
    return ModelError(
        f"The certificate of {host} can't be verified.",
        "Look at the address, or name the file of its authority in SSL_CERT_FILE.",
    )


def check_no_page(headers: Mapping[str, str], host: str, name: str) -> None:
    """Refuse a page for people, by its headers, in place of the file `name`.

    Raises:
        ModelError: It is one.
    """
    if headers.get("Content-Type", "").lower().startswith("text/html"):
        raise ModelError(
            f"The host {host} answers with a web page in place of {quoted(name)}.",
            "Give the address of the file itself, and a token where one is wanted (HF_TOKEN).",
        )


def asked_too_often(host: str) -> str:
    """What status 429 means, a sentence."""
    return f"The host {host} is asked too often."


def why_later(status: int, host: str, name: str) -> str:
    """What a status says behind which another one may come."""
    return asked_too_often(host) if status == 429 else unusual_status(status, host, name)


def unusual_status(status: int, host: str, name: str) -> str:
    """That a status is none that says what is wrong, a sentence."""
    return f"The host {host} answered with status {status} for {quoted(name, 120)}."


def check_status(status: int, host: str, name: str) -> None:
    """Say what the file `name` can't be had for, where the status tells for good.

    Raises:
        ModelError: It may not be had, or is not there.
    """
    shown = quoted(name, 120)
    match status:
        case 401 | 403:
            raise ModelError(
                f"The host {host} does not give {shown} to everybody (status {status}).",
                f"If it is the hub: {TOKEN_KEPT} is set, so that your token is sent to nobody; "
                "remove it where the model wants one."
                if keeps_token()
                else "If it is the hub: accept the licence on the model's page, and give your "
                "token in the environment variable HF_TOKEN, or log in with `hf auth login`.",
            )
        case 404 | 410:
            raise ModelError(
                f"There is no {shown} at {host}.",
                "Look at the name, with its large and small letters.",
            )


def hub_files(body: bytes, host: str) -> list[HubFile]:
    """The files of a repository, by the hub's document on it; those with no safe name are left out.

    Raises:
        ModelError: It is no such document.
    """
    try:
        document: Any = json.loads(body)
        found = [(one["rfilename"], one.get("size")) for one in document["siblings"]]
    except (ValueError, RecursionError, KeyError, TypeError, AttributeError) as error:
        raise ModelError(
            f"The host {host} does not answer as the hub does.",
            "Look at HF_ENDPOINT, if it is set.",
        ) from error
    return [
        HubFile(name=name, size=size if isinstance(size, int) and 0 < size <= MAX_SIZE else 0)
        for name, size in found
        if isinstance(name, str) and is_safe(name)
    ]
