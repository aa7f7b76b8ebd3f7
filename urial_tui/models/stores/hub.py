"""Hugging Face's cache, which llama.cpp fills as well: models--OWNER--NAME/snapshots/COMMIT/FILE.

A file of a snapshot is a link to one in `blobs`; `refs/main` names the newest commit, which comes
first and without its number. Where an older commit has another file of the same name, that is
called by its commit.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import msgspec

from urial_tui import paths
from urial_tui.files import is_directory, read_text
from urial_tui.models.stores.file_names import is_model_name, part_of, quantisation_of, unfinished
from urial_tui.models.stores.sighting import LeftOut, Sighting, look_at
from urial_tui.models.stores.walk import Walk

_FOLDER = re.compile(r"models--([\w.-]+)")
_COMMIT = re.compile(r"[0-9a-f]{7,64}")
_LIBRARY = (
    ("HF_HUB_CACHE", ""),
    ("HUGGINGFACE_HUB_CACHE", ""),
    ("HF_HOME", "hub"),
    ("XDG_CACHE_HOME", "huggingface/hub"),
)
"""Variables that move the library's cache, and what lies below them; the first that is set counts.
"""
_SHORT_COMMIT = 8
_DEEP = 3
"""Folders that a file may lie in inside its repository."""


def directories() -> tuple[Path, ...]:
    """The caches, the one that is written to first.

    That is LLAMA_CACHE where it is set, as llama.cpp has it; the library, which does not know that
    variable, goes by the others, and by ~/.cache/huggingface/hub where none is set.
    """
    named = os.environ.get("LLAMA_CACHE")
    found = [paths.typed_path(named)] if named else []
    for variable, below in _LIBRARY:
        if value := os.environ.get(variable):
            found.append(paths.typed_path(value) / below)
            break
    else:
        found.append(paths.home() / ".cache" / "huggingface" / "hub")
    return tuple(dict.fromkeys(found))


def find_file(repository: str, file: str) -> Path | None:
    """A repository's file in its newest revision here, or in any other; None where it is not.

    A link to what is not there, such as a download that was given up, is no file.
    """
    for directory in directories():
        folder = directory / folder_of(repository)
        if not is_directory(folder):
            continue
        for snapshot in _snapshots(folder, Walk("hub")):
            path = snapshot / file
            if not isinstance(look_at(path), str):
                return path
    return None


def sightings(walk: Walk) -> Iterator[Sighting | LeftOut]:
    """Every .gguf file of the caches, the newest revision's first."""
    for directory in directories():
        for folder in walk.directories(directory):
            if _FOLDER.fullmatch(folder.name):
                yield from _repository(folder, walk)


def folder_of(repository: str) -> str:
    """The name of a repository's folder in a cache."""
    return f"models--{repository.replace('/', '--')}"


def _repository(folder: Path, walk: Walk) -> Iterator[Sighting | LeftOut]:
    repository = folder.name.removeprefix("models--").replace("--", "/", 1)
    seen = set[str]()
    for snapshot in _snapshots(folder, walk):
        for path in walk.files(snapshot, _DEEP):
            if why := unfinished(path.name):
                yield LeftOut(path=path, store="hub", why=why)
            elif is_model_name(path.name):
                found = _file(path, repository, snapshot)
                if isinstance(found, Sighting):
                    if found.file in seen:
                        found = _older(found)
                    seen.add(found.file)
                yield found
    if seen:
        for blob in walk.files_in(folder / "blobs"):
            if blob.name.endswith(".incomplete"):
                yield LeftOut(
                    path=blob, store="hub", why=f"an unfinished download from {repository}"
                )


def _snapshots(folder: Path, walk: Walk) -> list[Path]:
    """A repository's revisions that are here: the newest first, by `refs/main`, else by time."""
    found = [path for path in walk.directories(folder / "snapshots") if _is_commit(path.name)]
    main = _main(folder)
    return sorted(found, key=lambda path: (path.name != main, -_changed(path), path.name))


def _main(folder: Path) -> str:
    try:
        text = read_text(folder / "refs" / "main", 1024).strip()
    except OSError:
        return ""
    return text if _is_commit(text) else ""


def _is_commit(text: str) -> bool:
    return _COMMIT.fullmatch(text) is not None


def _changed(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0


def _file(path: Path, repository: str, snapshot: Path) -> Sighting | LeftOut:
    status = look_at(path)
    if isinstance(status, str):
        return LeftOut(path=path, store="hub", why=status)
    file = path.relative_to(snapshot).as_posix()
    part = part_of(file)
    quantisation = quantisation_of(part[0] if part else file.removesuffix(".gguf"))
    at = f"hf.co/{repository}"
    return Sighting(
        path=path,
        store="hub",
        names=(*((f"{at}:{quantisation}",) if quantisation else ()), f"{at}/{file}"),
        also=(at,),
        size=status.size,
        modified=status.modified,
        device=status.device,
        inode=status.inode,
        repository=repository,
        file=file,
        revision=snapshot.name,
        quantisation=quantisation,
    )


def _older(found: Sighting) -> Sighting:
    """A file of a revision that is not the newest, where a newer one has one of this name."""
    at = f"hf.co/{found.repository}@{found.revision[:_SHORT_COMMIT]}"
    names = (*((f"{at}:{found.quantisation}",) if found.quantisation else ()), f"{at}/{found.file}")
    return msgspec.structs.replace(found, names=names, also=())
