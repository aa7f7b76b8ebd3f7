"""Addresses of model files as a user writes them, in one grammar for all that takes them.

hf.co/OWNER/REPO[:QUANT] is a repository; hf.co/OWNER/REPO/FILE.gguf, the page of a file there, and
https://… are files.

Nothing here opens a connection. Plain http is for this very machine (loopback) alone.
"""

from __future__ import annotations

import ipaddress
import os
import re
from pathlib import PurePosixPath
from typing import Final
from urllib.parse import quote, unquote, urlsplit

import msgspec

from urial_tui.errors import ModelError
from urial_tui.models.parts import MAX_PARTS
from urial_tui.models.stores.file_names import part_of, quantisation_in
from urial_tui.sanitize import quoted

HUB: Final = "https://huggingface.co"
DEFAULT_QUANT: Final = "Q4_K_M"
"""What a repository's name alone stands for where it has several quantisations."""
TOKEN_KEPT: Final = "HF_HUB_DISABLE_IMPLICIT_TOKEN"
"""The environment variable of the hub's own library by which a token is sent to nobody."""

_LONGEST: Final = 8192
"""Characters of an address; those that are signed have some two thousand."""
_PREFIXES: Final = ("https://hf.co/", "https://huggingface.co/", "hf.co/", "huggingface.co/")
_NAME: Final = r"[A-Za-z0-9][\w.-]{0,95}"
_REPOSITORY: Final = re.compile(
    rf"(?P<repository>{_NAME}/{_NAME}?)(:(?P<quant>[\w.-]{{1,64}}))?", re.ASCII
)
_PAGE: Final = re.compile(
    rf"(?P<repository>{_NAME}/{_NAME})/(blob|resolve)/(?P<revision>[\w.-]{{1,100}})/(?P<file>.+)",
    re.ASCII,
)
_FILE: Final = re.compile(
    rf"(?P<repository>{_NAME}/{_NAME})/(?!(blob|resolve)/)(?P<file>.+\.gguf)",
    re.ASCII | re.IGNORECASE,
)
_ON: Final = {"1", "ON", "YES", "TRUE"}
_EXAMPLE: Final = "Give one such as hf.co/OWNER/REPO:Q4_K_M or https://HOST/FILE.gguf."


class HubAddress(msgspec.Struct, frozen=True, kw_only=True):
    """A repository of the hub. `quant`: which of its files, "" for the usual one."""

    repository: str
    quant: str = ""


class FileAddress(msgspec.Struct, frozen=True, kw_only=True):
    """A file. `hub`: whether it is the hub's, which gets the user's token."""

    url: str
    hub: bool = False

    @property
    def file_name(self) -> str:
        """The last part of its path."""
        return PurePosixPath(urlsplit(self.url).path).name or "model.gguf"


def is_address(text: str) -> bool:
    """Whether a user's MODEL is meant to be an address."""
    return text.lower().startswith(("https://", "http://", "hf.co/", "huggingface.co/"))


def parse_address(text: str) -> HubAddress | FileAddress:
    """What an address names.

    Raises:
        ModelError: It is none, or one that is not read from.
    """
    lower = text.lower()
    for prefix in _PREFIXES:
        if lower.startswith(prefix):
            rest = text[len(prefix) :].removesuffix("/")
            if page := _PAGE.fullmatch(rest.partition("?")[0]):
                path = quote(
                    f"{page['repository']}/resolve/{page['revision']}/{page['file']}", "/%"
                )
                return FileAddress(url=checked_url(f"{hub_endpoint()}/{path}"), hub=True)
            file = _FILE.fullmatch(rest)
            if file and is_safe(file["file"]):
                return hub_file(file["repository"], file["file"])
            found = _REPOSITORY.fullmatch(rest)
            if not found:
                raise ModelError(f"{quoted(text)} names no repository of the hub.", _EXAMPLE)
            return HubAddress(repository=found["repository"], quant=found["quant"] or "")
    url = checked_url(text)
    return FileAddress(url=url, hub=origin_of(url) == origin_of(hub_endpoint()))


def checked_url(text: str, *, loopback: bool = True) -> str:
    """An address that may be read from: https, or http on this machine; no password in it.

    Args:
        text: The address.
        loopback: Whether this machine may be named by it.

    Raises:
        ModelError: It may not.
    """
    wrong = f"{quoted(public(text))} is no address of a model file"
    try:
        usable = len(text) <= _LONGEST and text.isprintable() and " " not in text
        parts = urlsplit(text if usable else "")
        host = parts.hostname or ""
        _ = parts.port
    except ValueError as error:
        raise ModelError(f"{wrong}.", _EXAMPLE) from error
    if parts.scheme not in ("https", "http") or not host:
        raise ModelError(f"{wrong}.", _EXAMPLE)
    if "@" in parts.netloc:
        raise ModelError(f"{wrong}: it holds a name or a password.", "Leave out what is before @.")
    if parts.scheme == "http" and not (loopback and _is_loopback(host)):
        raise ModelError(
            f"{quoted(public(text))} is not encrypted, and nothing is read from there.",
            "Give the https:// address of the file.",
        )
    return text


def hub_endpoint() -> str:
    """Where the hub is: HF_ENDPOINT, or huggingface.co.

    Raises:
        ModelError: HF_ENDPOINT holds no address.
    """
    named = os.environ.get("HF_ENDPOINT", "").strip().rstrip("/")
    if not named:
        return HUB
    try:
        return checked_url(named)
    except ModelError as error:
        raise ModelError(
            f"The environment variable HF_ENDPOINT holds {quoted(public(named))}, where nothing "
            "can be read.",
            "Give it an https:// address, or remove it.",
        ) from error


def hub_file(repository: str, file: str) -> FileAddress:
    """The address of a file of a repository, in its newest revision.

    Raises:
        ModelError: HF_ENDPOINT holds no address.
    """
    path = quote(f"{repository}/resolve/main/{file}")
    return FileAddress(url=f"{hub_endpoint()}/{path}", hub=True)


def in_repository(address: FileAddress) -> tuple[str, str, str] | None:
    """Where a file of the hub lies: repository, revision, and its path there; None for others.

    Raises:
        ModelError: HF_ENDPOINT holds no address.
    """
    if not address.hub:
        return None
    path = unquote(urlsplit(address.url).path)
    below = path.removeprefix(urlsplit(hub_endpoint()).path).strip("/").split("/")
    if len(below) < 5 or below[2] not in ("resolve", "blob") or not is_safe("/".join(below)):
        return None
    return "/".join(below[:2]), below[3], "/".join(below[4:])


def hub_token() -> str:
    """The user's token for the hub, HF_TOKEN; "" without one.

    Raises:
        ModelError: It can't be one.
    """
    token = os.environ.get("HF_TOKEN", "").strip()
    if not re.fullmatch("[!-~]*", token):
        raise ModelError(
            "The environment variable HF_TOKEN holds what can't be a token.",
            "A token is one word of ASCII characters.",
        )
    return token


def keeps_token() -> bool:
    """Whether the user's token goes nowhere by itself: HF_HUB_DISABLE_IMPLICIT_TOKEN is on."""
    return os.environ.get(TOKEN_KEPT, "").strip().upper() in _ON


def offline_variable() -> str:
    """The environment variable by which the user wants nothing asked of the hub, "" without one.

    As the hub's own library has it, TRANSFORMERS_OFFLINE counts where HF_HUB_OFFLINE says nothing.
    """
    for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"):
        if value := os.environ.get(name, "").strip():
            return name if value.upper() in _ON else ""
    return ""


def origin_of(url: str) -> tuple[str, str, int | None]:
    """Scheme, host and port of an address: who gets what is sent there.

    Returns:
        The scheme, the host, and the port; None for the usual one.
    """
    parts = urlsplit(url)
    port = parts.port or {"https": 443, "http": 80}.get(parts.scheme)
    return parts.scheme, (parts.hostname or "").lower(), port


def host_of(url: str) -> str:
    """The host of an address as people call it, with a port that is named."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    named = f"[{host}]" if ":" in host else host
    return named if parts.port is None else f"{named}:{parts.port}"


def is_loopback(url: str) -> bool:
    """Whether an address is on this machine."""
    return _is_loopback(urlsplit(url).hostname or "")


def public(url: str) -> str:
    """An address as it may be shown: no password, and nothing behind its path."""
    return re.sub(r"//[^/]*@", "//…@", re.split("[?#]", url, maxsplit=1)[0])


def is_safe(name: str) -> bool:
    """Whether a file's path in a repository can be one below a directory here."""
    parts = name.split("/")
    return (
        0 < len(name) <= 500
        and name.isprintable()
        and "\\" not in name
        and len(parts) <= 8
        and all(part and not part.startswith(".") and len(part.encode()) <= 200 for part in parts)
    )


def choose_file(address: HubAddress, files: list[str]) -> str:
    """Which file of a repository is meant: its first part, where it has several.

    Raises:
        ModelError: There is none, or none of that quantisation, or there are several.
    """
    shown = quoted(address.repository, 120)
    models = [name for name in files if _is_model(name)]
    if not models:
        raise ModelError(
            f"The repository {shown} holds no .gguf file of a model.",
            "Name a repository with GGUF files; their names often end in -GGUF.",
        )
    wanted = address.quant or DEFAULT_QUANT
    fitting = [name for name in models if _names_quant(name, wanted)]
    if not fitting and not address.quant and len(models) == 1:
        return models[0]
    if len(fitting) == 1:
        return fitting[0]
    there = ", ".join(dict.fromkeys(map(quant_of, models)))[:600]
    if not fitting:
        raise ModelError(
            f"The repository {shown} has no file of the quantisation {quoted(wanted)}.",
            f"There are: {there}. Name one behind a colon.",
        )
    listed = ", ".join(quoted(name) for name in fitting[:4])
    raise ModelError(
        f"The repository {shown} has several files of the quantisation {quoted(wanted)}: {listed}.",
        "Give the address of the one that you mean: https://huggingface.co/OWNER/REPO/blob/main/"
        "FILE.",
    )


def quant_of(name: str) -> str:
    """The quantisation that a file's name tells; the name itself where it tells none."""
    file = PurePosixPath(name).name
    part = part_of(file)
    stem = part[0] if part else file.removesuffix(".gguf")
    return quantisation_in(stem) or stem


def part_names(name: str, parts: int) -> list[str]:
    """The names of all parts of a model, by that of its first.

    Raises:
        ModelError: It is not named like a first part.
    """
    found = part_of(name)
    if parts <= 1:
        return [name]
    if parts > MAX_PARTS or not found or found[1:] != (1, parts):
        raise ModelError(
            f"The file {quoted(PurePosixPath(name).name)} is one of {parts} parts of a model, and "
            "not named like the first.",
            f"Name the one whose name ends in -00001-of-{parts:05d}.gguf."
            if parts <= MAX_PARTS
            else "Choose another file.",
        )
    return [f"{found[0]}-{part:05d}-of-{parts:05d}.gguf" for part in range(1, parts + 1)]


def _is_model(name: str) -> bool:
    lower = PurePosixPath(name).name.lower()
    part = part_of(name)
    return (
        lower.endswith(".gguf")
        and not lower.startswith(("mmproj", "._", "imatrix"))
        and "mmproj" not in lower
        and (part is None or part[1] == 1)
    )


def _names_quant(name: str, wanted: str) -> bool:
    return quant_of(name).lower() == wanted.lower()


def _is_loopback(host: str) -> bool:
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
