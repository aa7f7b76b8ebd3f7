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
from urial_tui.models.connection import KEPT, Source
from urial_tui.models.disk_space import check_space
from urial_tui.models.download import Downloader
from urial_tui.models.host_answers import MAX_SIZE, HubFile
from urial_tui.models.hub_cache import Spot
from urial_tui.models.partial import Partial, bytes_there
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


class _Planned(msgspec.Struct, frozen=True, kw_only=True):
    """A file as it is to be had. `target`: where it is written, `suffix` while it is not whole.

    `size` in bytes, 0 if unknown; `spot`: where the hub's file is in the cache.
    """

    source: Source
    target: Path
    suffix: str
    size: int
    spot: Spot | None = None

    @property
    def is_here(self) -> bool:
        """Whether it is there already; one of another size was cut off by something else."""
        try:
            return is_file(self.target) and self.source.size in (0, self.target.stat().st_size)
        except OSError:
            return False

    @property
    def there(self) -> int:
        """Bytes that came of it so far."""
        return bytes_there(self.target, self.suffix)


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
    """Download what `name` means, or what of it is not here yet, if there is room for all of that.

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
    planned = (
        _at_hub(wanted, downloader) if wanted.repository else _at_addresses(wanted, downloader)
    )
    _check_room(planned)
    files = tuple(_get(file, downloader, told, wanted.revision == _MAIN) for file in planned)
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


def _at_hub(wanted: WantedFiles, downloader: Downloader) -> list[_Planned]:
    """The files as the hub has them, which is asked for each."""
    planned = []
    for file in wanted.files:
        at = f"{wanted.repository}/resolve/{quote(wanted.revision)}/{quote(file)}"
        source = Source(url=f"{hub_endpoint()}/{at}", name=file, hub=True)
        head = downloader.head(source)
        if head.status != 200:
            # The request for the file itself says why, in its sentence.
            downloader.check(source, head)
        tag = head.tag.removeprefix("W/").strip('"')
        if wanted.sha256 and head.sha256 and head.sha256 != wanted.sha256:
            raise ModelError(
                f"The hub has another file as {quoted(file)} than the catalogue means: its "
                "checksum is another one.",
                "Correct the sha256 in your models.toml, or tell those who maintain the catalogue.",
            )
        spot = Spot(wanted.repository, file, head.commit, wanted.sha256 or tag)
        sha256 = wanted.sha256 or head.sha256
        planned.append(
            _Planned(
                source=msgspec.structs.replace(source, size=head.size, sha256=sha256),
                target=spot.blob,
                suffix=_BLOB_SUFFIX,
                size=head.size,
                spot=spot,
            )
        )
    return planned


def _at_addresses(wanted: WantedFiles, downloader: Downloader) -> list[_Planned]:
    """The files of plain addresses. Of several the hosts are asked how long they are."""
    planned, asks = [], len(wanted.files) > 1
    for url in wanted.files:
        name = unquote(urlsplit(url).path).rsplit("/", 1)[-1]
        one = _Planned(
            source=Source(url=url, name=name, sha256=wanted.sha256),
            target=paths.models_dir() / name,
            suffix=".incomplete",
            size=0,
        )
        if is_there(one.target) and not is_file(one.target):
            raise ModelError(
                f"In the place of {quoted(name)} there is no file: {quoted(str(one.target))}.",
                "Move it away.",
            )
        if asks and not one.is_here:
            # Who does not tell is asked for the file itself, and that says what is wrong.
            try:
                head = downloader.head(one.source)
            except ModelError:
                asks = False
            else:
                asks = head.status == 200
                one = msgspec.structs.replace(one, size=head.size if asks else 0)
        planned.append(one)
    return planned


def _check_room(planned: list[_Planned]) -> None:
    """Check that what is still to come of all files fits, as far as that is known.

    Raises:
        ModelError: It does not.
    """
    to_come = [one for one in planned if 0 < one.size <= MAX_SIZE and not one.is_here]
    if not to_come:
        return
    what = quoted(planned[0].source.name)
    if len(planned) > 1:
        what = f"the {len(planned):,} parts of {what}"
    there = any(one.there or one.is_here for one in planned)
    check_space(
        planned[0].target.parent,
        sum(max(0, one.size - one.there) for one in to_come),
        what,
        f"Make room there. {KEPT}" if there else "Make room there and try again.",
    )


def _get(
    planned: _Planned, downloader: Downloader, told: Told | None, is_newest: bool
) -> PulledFile:
    """Have a file here.

    Args:
        planned: It.
        downloader, told: As of `pull`.
        is_newest: Whether its revision is the newest that the hub has.
    """
    source, target, spot = planned.source, planned.target, planned.spot
    try:
        new, digest = not planned.is_here, source.sha256
        if new:
            if told:
                told(source.name)
            digest = _download(planned, downloader)
        path = target
        if spot is not None:
            path = spot.place()
            if is_newest:
                spot.note_main()
        return PulledFile(path=path, size=path.stat().st_size, sha256=digest, new=new)
    except OSError as error:
        raise _unwritable(source.name, target, error) from error


def _download(planned: _Planned, downloader: Downloader) -> str:
    source = planned.source
    with Partial(planned.target, planned.suffix, called=source.name) as partial:
        if planned.is_here:
            # Another one was done between the look and the lock.
            return source.sha256
        digest = downloader.fetch(source, partial)
        partial.finish()
        return digest


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
