"""LM Studio's models: OWNER/NAME/FILE.gguf below its home, or in the directory that it was told."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec

from urial_tui import paths
from urial_tui.files import read_bytes, read_text
from urial_tui.models.stores.file_names import is_model_name, quantisation_of, unfinished
from urial_tui.models.stores.sighting import LeftOut, Sighting, look_at
from urial_tui.models.stores.walk import Walk

_POINTER = ".lmstudio-home-pointer"
_MAX_POINTER, _MAX_SETTINGS = 16 * 1024, 1024 * 1024


class _Settings(msgspec.Struct):
    downloads: str = msgspec.field(default="", name="downloadsFolder")


def directories() -> tuple[Path, ...]:
    """Where its models lie: by its pointer to its home, by its settings there, and as usual."""
    home = paths.home()
    homes = [home / ".lmstudio", home / ".cache" / "lm-studio"]
    if pointed := _pointer(home / _POINTER):
        homes.insert(0, pointed)
    found = []
    for place in homes:
        if told := _downloads(place / "settings.json"):
            found.append(told)
        found.append(place / "models")
    return tuple(dict.fromkeys(found))


def sightings(walk: Walk) -> Iterator[Sighting | LeftOut]:
    """Every .gguf file of its directories."""
    for directory in directories():
        for path in walk.files(directory):
            if why := unfinished(path.name):
                yield LeftOut(path=path, store="lmstudio", why=why)
            elif is_model_name(path.name):
                yield _file(path, directory)


def _pointer(path: Path) -> Path | None:
    try:
        lines = read_text(path, _MAX_POINTER).strip().splitlines()
    except OSError:
        return None
    return _absolute(lines[0]) if lines else None


def _downloads(path: Path) -> Path | None:
    try:
        told = msgspec.json.decode(read_bytes(path, _MAX_SETTINGS), type=_Settings)
    except (OSError, msgspec.DecodeError, ValueError, RecursionError):
        return None
    return _absolute(told.downloads)


def _absolute(text: str) -> Path | None:
    path = paths.typed_path(text.strip())
    return path if path.is_absolute() else None


def _file(path: Path, directory: Path) -> Sighting | LeftOut:
    status = look_at(path)
    if isinstance(status, str):
        return LeftOut(path=path, store="lmstudio", why=status)
    below = path.relative_to(directory)
    repository = "/".join(below.parts[:2]) if len(below.parts) > 2 else ""
    name = f"lmstudio/{below.as_posix()}"
    return Sighting(
        path=path,
        store="lmstudio",
        names=(name,),
        also=(name[: -len(".gguf")],),
        size=status.size,
        modified=status.modified,
        device=status.device,
        inode=status.inode,
        repository=repository,
        file="/".join(below.parts[2:]) if repository else "",
        quantisation=quantisation_of(path.name.removesuffix(".gguf")),
    )
