"""Directories of the user's own: this program's models directory, and those of the settings."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from urial_tui import paths
from urial_tui.files import is_directory
from urial_tui.models.stores.file_names import is_model_name, quantisation_of, unfinished
from urial_tui.models.stores.sighting import LeftOut, Sighting, StoreName, look_at
from urial_tui.models.stores.walk import Walk


def of_program(walk: Walk) -> Iterator[Sighting | LeftOut]:
    """Every .gguf file of the models directory."""
    yield from _files("models", paths.models_dir(), walk)


def of_user(walk: Walk, named: Sequence[str]) -> Iterator[Sighting | LeftOut]:
    """Every .gguf file of these directories; a relative path is none."""
    for text in named:
        directory = paths.typed_path(text)
        if not directory.is_absolute():
            why = "models.directories has to name it from the root, or from ~"
            yield LeftOut(path=directory, store="directory", why=why)
        elif not is_directory(directory):
            why = "models.directories names it, and there is no such directory"
            yield LeftOut(path=directory, store="directory", why=why)
        else:
            yield from _files("directory", directory, walk)


def _files(store: StoreName, directory: Path, walk: Walk) -> Iterator[Sighting | LeftOut]:
    for path in walk.files(directory):
        if why := unfinished(path.name):
            yield LeftOut(path=path, store=store, why=why)
        elif is_model_name(path.name):
            status = look_at(path)
            if isinstance(status, str):
                yield LeftOut(path=path, store=store, why=status)
                continue
            yield Sighting(
                path=path,
                store=store,
                names=(path.name,),
                size=status.size,
                modified=status.modified,
                device=status.device,
                inode=status.inode,
                quantisation=quantisation_of(path.name.removesuffix(".gguf")),
            )
