"""Giving files names as models, and taking them away again.

A file of anywhere gets a link in the models directory and is never copied. What is removed is a
file of the models directory or of Hugging Face's cache, never of another program; of a link the
link alone, and of the cache only what no other revision has.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Mapping
from pathlib import Path

import msgspec

from urial_tui import paths
from urial_tui.errors import ModelError, UsageError
from urial_tui.files import is_same, is_there, make_directory, reason
from urial_tui.models import hub_cache
from urial_tui.models.addresses import is_safe
from urial_tui.models.catalogue import CatalogueEntry, load_catalogue, meant_by
from urial_tui.models.discovery import discover
from urial_tui.models.header import open_model, whole_header
from urial_tui.models.registry import list_models, split_adapter
from urial_tui.models.stores import hub
from urial_tui.models.stores.file_names import part_of
from urial_tui.sanitize import quoted
from urial_tui.settings import load_settings


class Removal(msgspec.Struct, frozen=True, kw_only=True):
    """What would be removed. `uses`: what else uses it, in words; `frees`: bytes."""

    name: str
    files: tuple[Path, ...]
    frees: int
    uses: tuple[str, ...]


def add(file: Path, name: str = "") -> tuple[Path, ...]:
    """Make a file of anywhere a model of the models directory; the links, for all its parts.

    Args:
        file: A GGUF file, of several the first.
        name: What it will be called: a file's name, or a name of the catalogue, whose file it is
            then taken for. "" for its own.

    Raises:
        UsageError: The name is taken, or can't be one.
        ModelError: It is no GGUF file, or nothing can be written.
        SettingsError: The catalogue is unsound.
    """
    with open_model(file) as opened:
        whole_header(file, opened)
    files = _with_parts(file)
    links = [paths.models_dir() / one for one in _names(files, name or file.name)]
    for link, one in zip(links, files, strict=True):
        if not is_there(one):
            raise ModelError(
                f"Of the model's {len(files)} parts {quoted(one.name)} is missing.",
                "Put all parts into one directory.",
            )
        if os.path.lexists(link) and not is_same(link, one):
            raise UsageError(
                f"There is another file named {quoted(link.name)} in the models directory.",
                "Give a name that is free with --name, or remove that one.",
            )
    try:
        make_directory(paths.models_dir())
        for link, one in zip(links, files, strict=True):
            if not os.path.lexists(link):
                _link(link, one)
    except OSError as error:
        raise ModelError(
            f"No link can be made in {quoted(str(paths.models_dir()))}: {reason(error)}.",
            "It has to be a directory that you may write to.",
        ) from error
    return tuple(links)


def removal(name: str) -> Removal:
    """What removing a model would remove, and what else uses it. Nothing is done yet.

    Args:
        name: As in `urial models list`, or a name of a file in the hub's cache.

    Raises:
        ModelError: There is no such model here, or it is not ours to remove.
        SettingsError: The catalogue or the settings are unsound.
    """
    catalogue = load_catalogue()
    path = _path(name, catalogue)
    files = tuple(one for one in _with_parts(path) if os.path.lexists(one))
    directory = paths.models_dir()
    ours = path.parent == directory
    if not ours and hub_cache.blob_of(path) is None:
        raise ModelError(
            f"The file {quoted(str(path))} belongs to another program, or to you.",
            "Remove it there.",
        )
    frees, uses = 0, list(_uses(name, path, catalogue))
    for one in files:
        if ours:
            if not one.is_symlink():
                frees += one.stat().st_size if one.stat().st_nlink == 1 else 0
                uses += _linked(directory, one)
            continue
        blob = hub_cache.blob_of(one)
        others = [] if blob is None else [link for link in hub_cache.links_to(blob) if link != one]
        uses += [f"another revision has it, too: {link}" for link in others]
        if blob is not None and not others:
            frees += blob.stat().st_size
            uses += _linked(directory, blob)
    return Removal(name=name, files=files, frees=frees, uses=tuple(dict.fromkeys(uses)))


def remove(planned: Removal) -> int:
    """Remove what was planned; the bytes that are freed.

    Raises:
        ModelError: It can't be removed.
    """
    freed = 0
    for path in planned.files:
        try:
            if hub_cache.blob_of(path) is not None and path.parent != paths.models_dir():
                freed += hub_cache.remove_link(path)
            else:
                status = path.lstat()
                path.unlink()
                freed += (
                    status.st_size if stat.S_ISREG(status.st_mode) and status.st_nlink == 1 else 0
                )
        except OSError as error:
            raise ModelError(
                f"{quoted(str(path))} can't be removed: {reason(error)}.",
                "It has to be in a directory that you may write to.",
            ) from error
    return freed


def _with_parts(path: Path) -> list[Path]:
    part = part_of(path.name)
    if part is None:
        return [path]
    stem, number, parts = part
    if number != 1 or not 1 <= parts <= 1000:
        raise ModelError(
            f"The file {quoted(path.name)} is one of {parts} parts of a model, and not the first.",
            f"Name the one that ends in -00001-of-{parts:05d}.gguf.",
        )
    return [path.with_name(f"{stem}-{one:05d}-of-{parts:05d}.gguf") for one in range(1, parts + 1)]


def _names(files: list[Path], name: str) -> list[str]:
    """What the files are called in the models directory."""
    entry = load_catalogue().get(name)
    if entry is not None and not entry.base:
        name = entry.file_name
    name = name if name.lower().endswith(".gguf") else f"{name}.gguf"
    if not is_safe(name) or "/" in name:
        raise UsageError(
            f"{quoted(name)} can't be a model's name.",
            "Give a file's name with --name, without a directory and without a dot at its start.",
        )
    if len(files) == 1:
        return [name]
    part = part_of(name)
    stem = part[0] if part else name[: -len(".gguf")]
    return [f"{stem}-{one:05d}-of-{len(files):05d}.gguf" for one in range(1, len(files) + 1)]


def _link(link: Path, file: Path) -> None:
    target = Path(os.path.abspath(file))  # noqa: PTH100  # a link in the cache stays that link
    try:
        link.symlink_to(target)
    except OSError:
        # File systems without symbolic links.
        os.link(target, link)


def _path(name: str, catalogue: Mapping[str, CatalogueEntry]) -> Path:
    """Where a model lies, whatever is in its file.

    Raises:
        ModelError: It does not.
    """
    for status in list_models(catalogue):
        if status.name != name:
            continue
        if status.entry is not None and status.entry.base:
            raise ModelError(
                f"The model {name} is {status.entry.base} with an adapter that comes with "
                "urial-tui, and has no file of its own.",
                f"`urial models remove {status.entry.base}` removes the model below it.",
            )
        if status.state == "disk":
            return status.place
        raise ModelError(
            f"The model {name} is not on this machine.",
            "pip uninstalls the package that carries it."
            if status.state == "package"
            else "There is nothing to remove.",
        )
    for model in discover().models:
        if name == model.name or name in model.aliases:
            return model.path
    inside = paths.models_dir() / name
    # Also a link to what is not there any more.
    if is_safe(name) and "/" not in name and os.path.lexists(inside):
        return inside
    raise ModelError(
        f"There is no model named {quoted(name)} on this machine.",
        f"{meant_by(name, catalogue)}`urial models list` shows those there are.",
    )


def _uses(name: str, path: Path, catalogue: Mapping[str, CatalogueEntry]) -> list[str]:
    """What uses a model by any name of it, clauses."""
    names = [
        entry.name
        for entry in catalogue.values()
        if not entry.base and entry.name != name and _is_file_of(entry, path)
    ]
    adapters = [one.name for one in catalogue.values() if one.base in (name, *names)]
    found = [f"the model {one} of the catalogue is this file" for one in names]
    found += [f"the adapter {one} needs it" for one in adapters]
    chosen = split_adapter(load_settings().chat.model)[0]
    if chosen in (name, *names, path.name) or paths.typed_path(chosen) == path:
        found.append("your settings name it as the model to start with")
    elif chosen in adapters:
        found.append(f"your settings name {chosen} as the model to start with")
    return found


def _is_file_of(entry: CatalogueEntry, path: Path) -> bool:
    places = (paths.models_dir() / entry.file_name, _cached(entry))
    return any(place is not None and is_same(place, path) for place in places)


def _cached(entry: CatalogueEntry) -> Path | None:
    return hub.find_file(entry.repository, entry.file)


def _linked(directory: Path, file: Path) -> list[str]:
    """Which links of the models directory lead to a file, clauses."""
    links: list[Path] = []
    with contextlib.suppress(OSError):
        links = sorted(path for path in directory.iterdir() if path.is_symlink())
    return [
        f"a link in the models directory leads to it: {link.name}"
        for link in links
        if is_same(link, file)
    ]
