"""Addresses of llama.cpp's RPC servers, which compute layers of a model on other machines.

An address is HOST:PORT. Nothing is asked of the network here: `server_probe` does that.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Sequence

from urial_tui.sanitize import quoted, sanitize_line

MOST_SERVERS = 16
"""As many as llama.cpp takes (ggml-rpc.h, GGML_RPC_MAX_SERVERS)."""

MOST_DEVICES = 64
"""Devices of one server, at most."""

_LONGEST_NAME = 253
_LABEL = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?")
_NUMBERS = re.compile(r"[0-9.]+")
_PORT = re.compile(r"[0-9]{1,5}")

UNENCRYPTED = (
    "What goes to an RPC server is not encrypted, and nobody who answers there is checked: "
    "texts, weights and answers can be read and changed on the way. A server does what anyone "
    "who reaches it says. Use it in a network of your own."
)
"""What has to be said wherever servers are used."""


def mistake_in(address: str) -> str:
    """What is wrong with an address, as a clause; "" where nothing is."""
    host, colon, port = address.rpartition(":")
    if not colon or not host:
        return f"{quoted(address)} is not HOST:PORT"
    if ":" in host:
        return f"{quoted(address)} has no IPv4 address or name in front of its port"
    if not _PORT.fullmatch(port) or not 1 <= int(port) <= 65_535:
        return f"the port of {quoted(address)} is not between 1 and 65535"
    if _NUMBERS.fullmatch(host):
        try:
            ipaddress.IPv4Address(host)
        except ValueError:
            return f"{quoted(host)} is no IPv4 address"
        return ""
    labels = host.split(".")
    if len(host) > _LONGEST_NAME or not all(_LABEL.fullmatch(label) for label in labels):
        return f"{quoted(host)} is no name of a machine"
    return ""


def mistake_among(addresses: Sequence[str]) -> str:
    """What is wrong with a list of addresses, as a clause; "" where nothing is."""
    if len(addresses) > MOST_SERVERS:
        return f"there are {len(addresses)} servers, and llama.cpp takes {MOST_SERVERS}"
    seen = set[str]()
    for address in addresses:
        if wrong := mistake_in(address):
            return wrong
        if address.lower() in seen:
            return f"{quoted(address)} is there twice"
        seen.add(address.lower())
    return ""


def host_and_port(address: str) -> tuple[str, int]:
    """The two parts of an address that is sound.

    Returns:
        The host, and the port as a number.
    """
    host, _, port = address.rpartition(":")
    return host, int(port)


def whereabouts(servers: Sequence[str]) -> str:
    """Where a model is computed, in a sentence, given the servers that hold layers of it."""
    if not servers:
        return "Everything runs on this machine."
    return f"Layers of the model run on {listed(servers)}, unencrypted on the way."


def listed(addresses: Iterable[str]) -> str:
    """Addresses in a sentence."""
    *most, last = [sanitize_line(address) for address in addresses]
    return f"{', '.join(most)} and {last}" if most else last
