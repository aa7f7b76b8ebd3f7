"""Getting a model onto this machine: which files a name means, where they go, and that they do.

A name of the catalogue and a repository of the hub are downloaded into Hugging Face's cache, where
other programs find them, too; a plain address into the models directory. A model in parts is there
when all of them are.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final
from urllib.parse import quote, unquote, urlsplit

import msgspec

from urial_tui import paths, wording
from urial_tui.errors import ModelError
from urial_tui.files import is_file, is_there, reason
from urial_tui.models.addresses import (
    DEFAULT_QUANT,
    FileAddress,
    HubAddress,
    choose_file,
    hub_endpoint,
    in_repository,
    is_address,
    is_safe,
    parse_address,
    part_names,
    quant_of,
)
from urial_tui.models.catalogue import find_entry, load_catalogue
from urial_tui.models.connection import Source
from urial_tui.models.download import Downloader
from urial_tui.models.host_answers import HubFile
from urial_tui.models.hub_cache import Spot
from urial_tui.models.partial import Partial
from urial_tui.models.stores.file_names import part_of
from urial_tui.sanitize import quoted

_BLOB_SUFFIX: Final = ".urial.incomplete"
"""Not the library's own ".incomplete", on which it would go on writing."""
_MAIN: Final = "main"

Told = Callable[[str], object]
"""Called with a file's name when its download begins."""


class WantedFiles(msgspec.Struct, frozen=True, kw_only=True):
    """The files of a model to download, the first part first.

    `repository` is "" for a plain address, and `files` are then addresses. `sha256` of a single
    file, where the catalogue has it.
    """

    files: tuple[str, ...]
    repository: str = ""
    revision: str = _MAIN
    sha256: str = ""


class PulledFile(msgspec.Struct, frozen=True, kw_only=True):
    """A file that is here. `new`: whether it was downloaded just now."""

    path: Path
    size: int
    sha256: str
    new: bool


class Pulled(msgspec.Struct, frozen=True, kw_only=True):
    """A model that is here, with all its parts. `name`: what it is as MODEL."""

    name: str
    files: tuple[PulledFile, ...]

    @property
    def path(self) -> Path:
        """Its file, or its first part."""
        return self.files[0].path


def pull(name: str, downloader: Downloader, told: Told | None = None) -> Pulled:
    """Download what `name` means, or what of it is not here yet.

    Args:
        name: A name of the catalogue, or an address of a repository or a file.
        downloader: Opens the connections.
        told: Told of each file that is downloaded.

    Raises:
        ModelError: There is no such model, or it can't be had.
        SettingsError: The catalogue is unsound.
        Cancelled: It was asked to end; what came is kept.
    """
    wanted = find(name, downloader)
    get = _from_hub if wanted.repository else _from_address
    files = tuple(get(wanted, file, downloader, told) for file in wanted.files)
    shown = name if not is_address(name) else _name(wanted, files[0])
    return Pulled(name=shown, files=files)


def find(name: str, downloader: Downloader) -> WantedFiles:
    """The files that `name` means; only a repository without a file's name is asked for.

    Raises:
        ModelError: There is no such model.
        SettingsError: The catalogue is unsound.
    """
    if not is_address(name):
        catalogue = load_catalogue()
        entry = find_entry(name, catalogue)
        entry = catalogue[entry.base] if entry.base else entry
        return WantedFiles(
            repository=entry.repository, files=_parts(entry.file), sha256=entry.sha256
        )
    address = parse_address(name)
    if isinstance(address, HubAddress):
        files = downloader.files(address.repository)
        return WantedFiles(repository=address.repository, files=_parts(_chosen(address, files)))
    return _of_address(address)


def _chosen(address: HubAddress, files: list[HubFile]) -> str:
    """The file that is meant; says what there is, with sizes, where it is not there."""
    names = [file.name for file in files]
    try:
        return choose_file(address, names)
    except ModelError as error:
        sizes: dict[str, int] = {}
        for file in files:
            base = file.name.rsplit("/", 1)[-1].lower()
            if base.endswith(".gguf") and "mmproj" not in base and "imatrix" not in base:
                quant = quant_of(file.name)
                sizes[quant] = sizes.get(quant, 0) + file.size
        wanted = (address.quant or DEFAULT_QUANT).lower()
        if not sizes or any(quant.lower() == wanted for quant in sizes):
            raise
        there = ", ".join(
            f"{quant} ({wording.size(size)})" if size else quant for quant, size in sizes.items()
        )
        raise ModelError(
            error.message, f"There are: {there[:600]}. Name one behind a colon."
        ) from error


def _parts(file: str) -> tuple[str, ...]:
    """All files of the model that starts with, or has, this one."""
    part = part_of(file)
    return (file,) if part is None else tuple(part_names(file, part[2]))


def _of_address(address: FileAddress) -> WantedFiles:
    if place := in_repository(address):
        repository, revision, file = place
        return WantedFiles(repository=repository, revision=revision, files=_parts(file))
    name = unquote(urlsplit(address.url).path).rsplit("/", 1)[-1]
    if not (is_safe(name) and name.lower().endswith(".gguf")):
        raise ModelError(
            f"The address names no .gguf file, but {quoted(name)}.",
            "Give the address of the file itself.",
        )
    part = part_of(name)
    if part is None:
        return WantedFiles(files=(address.url,))
    if urlsplit(address.url).query:
        raise ModelError(
            f"The file {quoted(name)} is one of {part[2]} parts, and what stands behind the ? of "
            "its address is for this one alone.",
            "Download the parts one by one into the models directory.",
        )
    parent = address.url.rsplit("/", 1)[0]
    return WantedFiles(files=tuple(f"{parent}/{quote(one)}" for one in part_names(name, part[2])))


def _from_hub(
    wanted: WantedFiles, file: str, downloader: Downloader, told: Told | None
) -> PulledFile:
    at = f"{wanted.repository}/resolve/{quote(wanted.revision)}/{quote(file)}"
    source = Source(url=f"{hub_endpoint()}/{at}", name=file, hub=True)
    head = downloader.head(source)
    if head.status != 200:
        # The request for the file itself says why, in its sentence.
        downloader.check(source, head)
    tag = head.tag.removeprefix("W/").strip('"')
    if wanted.sha256 and head.sha256 and head.sha256 != wanted.sha256:
        raise ModelError(
            f"The hub has another file as {quoted(file)} than the catalogue means: its checksum is "
            "another one.",
            "Correct the sha256 in your models.toml, or tell those who maintain the catalogue.",
        )
    spot = Spot(wanted.repository, file, head.commit, wanted.sha256 or tag)
    source = msgspec.structs.replace(source, size=head.size, sha256=wanted.sha256 or head.sha256)
    try:
        new = not _is_whole(spot.blob, head.size)
        if new:
            if told:
                told(file)
            _download(source, spot.blob, _BLOB_SUFFIX, downloader, head.size)
        path = spot.place()
        if wanted.revision == _MAIN:
            spot.note_main()
        size = path.stat().st_size
    except OSError as error:
        raise _unwritable(file, spot.blob, error) from error
    return PulledFile(path=path, size=size, sha256=source.sha256, new=new)


def _from_address(
    wanted: WantedFiles, url: str, downloader: Downloader, told: Told | None
) -> PulledFile:
    name = unquote(urlsplit(url).path).rsplit("/", 1)[-1]
    target = paths.models_dir() / name
    try:
        if is_there(target):
            if not is_file(target):
                raise ModelError(
                    f"In the place of {quoted(name)} there is no file: {quoted(str(target))}.",
                    "Move it away.",
                )
            return PulledFile(path=target, size=target.stat().st_size, sha256="", new=False)
        if told:
            told(name)
        digest = _download(
            Source(url=url, name=name, sha256=wanted.sha256), target, ".incomplete", downloader
        )
        return PulledFile(path=target, size=target.stat().st_size, sha256=digest, new=True)
    except OSError as error:
        raise _unwritable(name, target, error) from error


def _download(
    source: Source, target: Path, suffix: str, downloader: Downloader, size: int = 0
) -> str:
    with Partial(target, suffix, called=source.name) as partial:
        if _is_whole(target, size):
            # Another one was done between the look and the lock.
            return source.sha256
        digest = downloader.fetch(source, partial)
        partial.finish()
        return digest


def _is_whole(blob: Path, size: int) -> bool:
    """Whether a file is there; one of another size was cut off by something else."""
    try:
        return is_file(blob) and size in (0, blob.stat().st_size)
    except OSError:
        return False


def _name(wanted: WantedFiles, first: PulledFile) -> str:
    """What the model is as MODEL."""
    if not wanted.repository:
        return first.path.name
    return f"hf.co/{wanted.repository}/{wanted.files[0]}"


def _unwritable(name: str, place: Path, error: OSError) -> ModelError:
    return ModelError(
        f"{quoted(name)} can't be written to {quoted(str(place.parent))}: {reason(error)}.",
        "It needs a directory that you may write to.",
    )
