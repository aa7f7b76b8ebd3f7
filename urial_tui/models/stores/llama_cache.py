"""llama.cpp's cache as it was before it took Hugging Face's: flat, OWNER_NAME_FILE.gguf.

Which part of such a name is the owner can't be seen; `manifest=OWNER=NAME=TAG.json` beside it says
so, and in still older caches FILE.gguf.json, which holds the address.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec

from urial_tui import paths
from urial_tui.files import is_file, read_bytes
from urial_tui.models.stores.file_names import is_model_name, quantisation_of, unfinished
from urial_tui.models.stores.sighting import LeftOut, Sighting, look_at
from urial_tui.models.stores.walk import Walk

_MANIFEST = re.compile(r"manifest=([\w.-]+)=([\w.-]+)=([\w.-]+)\.json")
_ADDRESS = re.compile(r"https://(?:huggingface\.co|hf\.co)/([\w.-]+/[\w.-]+)/resolve/[^/]+/(.+)")
_MAX_BYTES = 1024 * 1024
"""Of a manifest; they have some kilobytes."""


class _File(msgspec.Struct):
    rfilename: str


class _Manifest(msgspec.Struct):
    gguf: _File = msgspec.field(name="ggufFile")


class _Address(msgspec.Struct):
    url: str


def directories() -> tuple[Path, ...]:
    """Where it may lie: LLAMA_CACHE, else in the cache directory of the system."""
    if named := os.environ.get("LLAMA_CACHE"):
        return (paths.typed_path(named),)
    if named := os.environ.get("XDG_CACHE_HOME"):
        return (paths.typed_path(named) / "llama.cpp",)
    if sys.platform == "darwin":
        return (paths.home() / "Library" / "Caches" / "llama.cpp",)
    return (paths.home() / ".cache" / "llama.cpp",)


def sightings(walk: Walk) -> Iterator[Sighting | LeftOut]:
    """Every .gguf file of the cache itself; what lies in directories below is the hub's layout."""
    for directory in directories():
        files = walk.files_in(directory)
        origins = dict(_origins(files))
        for path in files:
            if why := unfinished(path.name):
                yield LeftOut(path=path, store="llama.cpp", why=why)
            elif is_model_name(path.name):
                yield _file(path, *origins.get(path.name, _address(path)))


def _origins(files: list[Path]) -> Iterator[tuple[str, tuple[str, str, str]]]:
    """For each manifest the name of its file, and repository, path there and tag."""
    for path in files:
        if found := _MANIFEST.fullmatch(path.name):
            owner, name, tag = found.groups()
            try:
                manifest = msgspec.json.decode(read_bytes(path, _MAX_BYTES), type=_Manifest)
            except (OSError, msgspec.DecodeError, ValueError, RecursionError):
                # It only tells where the file came from.
                continue
            file = manifest.gguf.rfilename
            flat = f"{owner}_{name}_{file.replace('/', '_')}"
            yield flat, (f"{owner}/{name}", file, tag)


def _address(path: Path) -> tuple[str, str, str]:
    """The same, of caches that have no manifests; empty where nothing tells it."""
    beside = path.with_name(f"{path.name}.json")
    if is_file(beside):
        try:
            told = msgspec.json.decode(read_bytes(beside, _MAX_BYTES), type=_Address)
        except (OSError, msgspec.DecodeError, ValueError, RecursionError):
            return "", "", ""
        if found := _ADDRESS.fullmatch(told.url):
            return found[1], found[2], ""
    return "", "", ""


def _file(path: Path, repository: str, file: str, tag: str) -> Sighting | LeftOut:
    status = look_at(path)
    if isinstance(status, str):
        return LeftOut(path=path, store="llama.cpp", why=status)
    quantisation = quantisation_of(path.name.removesuffix(".gguf"))
    at = f"hf.co/{repository}"
    names: tuple[str, ...] = (path.name,)
    if repository:
        names = (
            *((f"{at}:{quantisation}",) if quantisation else ()),
            f"{at}/{file}",
            path.name,
        )
    return Sighting(
        path=path,
        store="llama.cpp",
        names=names,
        also=(at,) if repository else (),
        size=status.size,
        modified=status.modified,
        device=status.device,
        inode=status.inode,
        repository=repository,
        file=file,
        tag=tag,
        quantisation=quantisation,
    )
