"""All models in one list: those that are here, wherever they lie, and those that can be downloaded.

First what this machine has: models of the catalogue, then what was found, then downloads that were
interrupted; behind them the rest of the catalogue. What takes long (headers) is looked up one by
one, by `look`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import msgspec

from urial_tui.engine.wire.limits import Purpose
from urial_tui.engine.wire.values import Device, EngineOptions
from urial_tui.memory import memory_now
from urial_tui.models.catalogue import CatalogueEntry, load_catalogue
from urial_tui.models.discovery import FoundModel, Progress, discover
from urial_tui.models.header import inspect_header
from urial_tui.models.inspection import inspect_file
from urial_tui.models.kinds import ModelKind
from urial_tui.models.origin import Guess
from urial_tui.models.registry import ModelStatus, list_entries
from urial_tui.models.speed import ExpectedSpeed, expected_speed, load_speeds, weights_read
from urial_tui.models.stores.file_names import quantisation_of
from urial_tui.models.stores.sighting import StoreName
from urial_tui.models.unfinished import Unfinished, unfinished
from urial_tui.models.verdict import Fit, fit_of_file, fit_of_size
from urial_tui.settings import load_settings

ListedState = Literal["here", "package", "unfinished", "absent"]


class Listed(msgspec.Struct, frozen=True, kw_only=True):
    """A model that is here or can be; texts and paths of files are foreign.

    `name`: what it is as MODEL, or what `pull` takes. `path`: its file, if it is here. `store`:
    None for the models directory. `size` in bytes, 0 if unknown, and `done` those that an
    interrupted download has. `default`: whether the settings name it.
    """

    name: str
    state: ListedState
    size: int
    path: Path | None = None
    store: StoreName | None = None
    entry: CatalogueEntry | None = None
    kind: ModelKind = "model"
    quantisation: str = ""
    architecture: str = ""
    parts: int = 1
    problems: tuple[str, ...] = ()
    done: int = 0
    left: tuple[Path, ...] = ()
    partner: str = ""
    default: bool = False

    @property
    def is_here(self) -> bool:
        """Whether it can be loaded."""
        return self.state in ("here", "package")


class Overview(msgspec.Struct, frozen=True, kw_only=True):
    """The list, and how many files were left out of it."""

    models: tuple[Listed, ...]
    left_out: int


class Looked(msgspec.Struct, frozen=True, kw_only=True):
    """What a file's header told, or its size alone. None for what is not known or makes no sense.

    `trouble`: why it can't be used, a sentence.
    """

    fit: Fit | None = None
    speed: ExpectedSpeed | None = None
    guess: Guess | None = None
    trouble: str = ""


def overview(progress: Progress | None = None) -> Overview:
    """List everything; opens no connection.

    Args:
        progress: As of `discovery.discover`.

    Raises:
        SettingsError: The catalogue or the settings are unsound.
    """
    catalogue = load_catalogue()
    default = load_settings().chat.model
    entries = list_entries(catalogue)
    found = discover(progress=progress)
    by_file = {model.identity: model for model in found.models}
    partial = {(one.repository, one.file): one for one in unfinished()}
    here: list[Listed] = []
    absent: list[Listed] = []
    taken = set[tuple[int, int]]()
    for status in entries:
        entry = status.entry
        assert entry is not None
        if status.state == "absent":
            # An adapter's file is that of the model below it.
            one = None if entry.base else partial.pop((entry.repository, entry.file), None)
            absent.append(_absent(status, entry, one))
            continue
        identity = _identity(status.place)
        taken |= {identity} if identity else set()
        model = by_file.get(identity) if identity else None
        here.append(_of_entry(status, entry, model))
    here += [_found(model) for model in found.models if model.identity not in taken]
    here += [row for row in absent if row.state == "unfinished"]
    here += [_unfinished(one) for one in partial.values()]
    rows = [*here, *(row for row in absent if row.state == "absent")]
    return Overview(
        models=tuple(_marked(row, default) for row in rows), left_out=len(found.left_out)
    )


def look(listed: Listed, options: EngineOptions, devices: Sequence[Device] | None = None) -> Looked:
    """Read the header of one that is here, or go by the size of one that is not.

    Args:
        listed: Which one.
        options: How it would be loaded.
        devices: What the engine computes on; None where that is not known yet.

    Raises:
        ModelError: The file is none that can be read.
    """
    memory, speeds = memory_now(), load_speeds(options)
    if listed.kind == "adapter":
        return Looked()
    if listed.state != "here" or listed.path is None:
        if not listed.size:
            return Looked()
        parameters = listed.entry.parameters if listed.entry else ""
        return Looked(
            fit=fit_of_size(listed.size, options, memory, parameters=parameters, devices=devices),
            speed=expected_speed(speeds, "", weights_read(listed.size, listed.name), 0),
        )
    # What is told below of any header is no use where the file can't be loaded.
    inspect_header(listed.path, listed.kind)
    told = inspect_file(listed.path, options, speeds=speeds)
    purpose: Purpose = "embedding" if listed.kind == "embedding" else "chat"
    return Looked(
        fit=fit_of_file(listed.path, options, memory, purpose=purpose, devices=devices),
        speed=told.speed,
        guess=told.guess,
    )


def _of_entry(status: ModelStatus, entry: CatalogueEntry, model: FoundModel | None) -> Listed:
    in_package = status.state == "package"
    return Listed(
        name=entry.name,
        state="package" if in_package else "here",
        size=model.size if model else status.size,
        path=None if in_package else status.place,
        store=status.store,
        entry=entry,
        quantisation=model.quantisation if model else quantisation_of(entry.file),
        architecture=model.architecture if model else "",
        parts=model.parts if model else 1,
        problems=model.problems if model else (),
        partner=entry.partner,
    )


def _absent(status: ModelStatus, entry: CatalogueEntry, part: Unfinished | None) -> Listed:
    return Listed(
        name=entry.name,
        state="absent" if part is None else "unfinished",
        size=status.size if part is None else part.size or status.size,
        entry=entry,
        quantisation=quantisation_of(entry.file),
        partner=entry.partner,
        done=0 if part is None else part.done,
        left=() if part is None else part.files,
    )


def _found(model: FoundModel) -> Listed:
    return Listed(
        name=model.name,
        state="here",
        size=model.size,
        path=model.path,
        store=None if model.store == "models" else model.store,
        kind=model.kind,
        quantisation=model.quantisation,
        architecture=model.architecture,
        parts=model.parts,
        problems=model.problems,
    )


def _unfinished(part: Unfinished) -> Listed:
    return Listed(
        name=part.name,
        state="unfinished",
        size=part.size,
        quantisation=quantisation_of(part.file or part.name),
        done=part.done,
        left=part.files,
    )


def _marked(row: Listed, default: str) -> Listed:
    is_default = default == row.name or (row.path is not None and default == str(row.path))
    return msgspec.structs.replace(row, default=True) if is_default else row


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino
