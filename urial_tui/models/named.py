"""What MODEL stands for, here or not: everything that can be told of it without asking anybody.

MODEL is all that `registry` resolves and `pull` downloads: a name of the catalogue, a path or a
file's name, a name or an alias in another program's store, an address of a repository or a file,
each with an adapter behind a `+`. No connection is opened and nothing is unpacked.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final
from urllib.parse import quote, unquote, urlsplit

import msgspec

from urial_tui import paths
from urial_tui.errors import ModelError
from urial_tui.models.addresses import (
    FileAddress,
    HubAddress,
    in_repository,
    is_address,
    parse_address,
    public,
    quant_of,
)
from urial_tui.models.catalogue import CatalogueEntry, load_catalogue
from urial_tui.models.kinds import ModelKind
from urial_tui.models.registry import (
    ModelStatus,
    adapter_path,
    identity,
    list_models,
    resolve,
    split_adapter,
)
from urial_tui.models.stores import hub

_KINDS: Final[tuple[ModelKind, ...]] = ("model", "embedding", "adapter")


class NamedModel(msgspec.Struct, frozen=True, kw_only=True):
    """A model that was named. `page`: where its file is published, "" where that is not known."""

    status: ModelStatus
    adapter: Path | None = None
    page: str = ""


def named_model(model: str) -> NamedModel:
    """What a user's MODEL stands for.

    Raises:
        ModelError: It stands for nothing, for several models, or for what is no model.
        SettingsError: The catalogue or the settings are unsound.
    """
    catalogue = load_catalogue()
    listed = list_models(catalogue)
    if any(one.name == model for one in listed):
        name, adapter = model, None
    else:
        name, adapter = split_adapter(model)
    told = _told(name, listed, catalogue)
    if adapter is None:
        return told
    return msgspec.structs.replace(told, adapter=adapter_path(adapter))


def _told(
    name: str, listed: Sequence[ModelStatus], catalogue: Mapping[str, CatalogueEntry]
) -> NamedModel:
    for status in listed:
        if status.name == name:
            return _with_page(status)
    if is_address(name):
        here = None if "://" in name else _here_or_none(name)
        return _of_address(name, listed, catalogue) if here is None else _of_file(here, listed)
    return _of_file(_here(name), listed)


def _with_page(status: ModelStatus) -> NamedModel:
    return NamedModel(status=status, page=status.entry.source_url if status.entry else "")


def _here(name: str) -> Path:
    """The file on this machine that a name stands for, whatever kind of model it is.

    Raises:
        ModelError: There is none.
    """
    first: ModelError | None = None
    for kind in _KINDS:
        try:
            return resolve(name, kind=kind).path
        except ModelError as error:
            # What is wrong with it as a model tells most.
            first = first or error
    assert first is not None
    raise first


def _here_or_none(name: str) -> Path | None:
    try:
        return _here(name)
    except ModelError:
        return None


def _of_file(path: Path, listed: Sequence[ModelStatus]) -> NamedModel:
    file = identity(path)
    for status in listed:
        if status.state == "disk" and identity(status.place) == file:
            return _with_page(status)
    try:
        size = path.stat().st_size
    except OSError:
        size = 0
    return NamedModel(status=ModelStatus(name=path.name, state="disk", place=path, size=size))


def _of_address(
    name: str, listed: Sequence[ModelStatus], catalogue: Mapping[str, CatalogueEntry]
) -> NamedModel:
    """What an address names that is not here, by the catalogue where it has that file.

    Raises:
        ModelError: It is no address.
    """
    address = parse_address(name)
    entry = next((one for one in catalogue.values() if _is_of(address, one)), None)
    if entry is not None:
        return _with_page(next(one for one in listed if one.name == entry.name))
    if isinstance(address, HubAddress):
        place = hub.directories()[0] / hub.folder_of(address.repository)
        page = f"https://huggingface.co/{address.repository}"
    elif in_hub := in_repository(address):
        repository, revision, file = in_hub
        place = hub.directories()[0] / hub.folder_of(repository)
        page = f"https://huggingface.co/{repository}/blob/{quote(revision)}/{quote(file)}"
    else:
        place = paths.models_dir() / unquote(address.file_name)
        page = public(address.url)
        if place.is_file():
            return _of_file(place, listed)
    return NamedModel(status=ModelStatus(name=name, state="absent", place=place, size=0), page=page)


def _is_of(address: HubAddress | FileAddress, entry: CatalogueEntry) -> bool:
    """Whether an address means the file of an entry."""
    if entry.base:
        return False
    if isinstance(address, FileAddress):
        path = unquote(urlsplit(address.url).path)
        return address.hub and path.endswith(f"/{entry.repository}/resolve/main/{entry.file}")
    quant = address.quant.casefold()
    return address.repository.casefold() == entry.repository.casefold() and (
        not quant or quant == quant_of(entry.file).casefold()
    )
