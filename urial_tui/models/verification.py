"""Checking model files: headers, sizes, parts and checksums, on the disk and at their sources.

A checksum is compared with the catalogue's, else with the name that Hugging Face's cache gives a
file; where there is neither, that is said, and nothing is wrong with it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Literal
from urllib.parse import quote

import msgspec

from urial_tui import paths, wording
from urial_tui.errors import ModelError
from urial_tui.files import open_regular, reason
from urial_tui.models.addresses import host_of, hub_endpoint
from urial_tui.models.catalogue import CatalogueEntry, load_catalogue
from urial_tui.models.connection import Source
from urial_tui.models.discovery import FoundModel, discover
from urial_tui.models.download import Downloader
from urial_tui.models.header import open_model, whole_header
from urial_tui.models.hub_cache import sha256_of
from urial_tui.models.partial import BLOCK
from urial_tui.models.registry import list_models, resolve
from urial_tui.models.stores.file_names import part_of
from urial_tui.sanitize import sanitize_line

CheckedBy = Literal["catalogue", "hub", "nothing"]

Progress = Callable[[int, int], object]
"""Called with the bytes of a file that were read, and its bytes in all."""


class CheckedFile(msgspec.Struct, frozen=True, kw_only=True):
    """A file that was checked. `checked_by`: where its right checksum is from.

    `wrong`: what is wrong, sentences; empty where nothing is. `size` in bytes; `sha256` is "" where
    it was not worked out.
    """

    name: str
    path: Path
    size: int
    sha256: str
    checked_by: CheckedBy
    wrong: tuple[str, ...]


class CheckedSource(msgspec.Struct, frozen=True, kw_only=True):
    """A source of the catalogue that was asked. `status` 0: there was no answer.

    `unchecked`: why nothing is known of it; "" where it was checked.
    """

    name: str
    url: str
    status: int
    size: int
    sha256: str
    wrong: tuple[str, ...]
    notes: tuple[str, ...] = ()
    unchecked: str = ""


def verify(names: Iterable[str], progress: Progress | None = None) -> Iterator[CheckedFile]:
    """Check the files of models.

    Args:
        names: As MODEL; none of them for all that the catalogue has, the models directory holds and
            Hugging Face's cache has.
        progress: Told of what is read.

    Raises:
        ModelError: There is no model of that name.
        SettingsError: The catalogue is unsound.
    """
    wanted = list(names)
    for name, path, entry in _named(wanted) if wanted else _all():
        yield from _model(name, path, entry, progress)


def verify_sources(downloader: Downloader) -> Iterator[CheckedSource]:
    """Ask for each file of the catalogue whether it is there and still the same.

    A host that goes on asking to wait is asked no more: the rest is not checked.

    Raises:
        ModelError: The hub can't be asked at all.
        SettingsError: The catalogue is unsound.
    """
    answered = False
    busy: CheckedSource | None = None
    for entry in load_catalogue().values():
        if entry.base:
            continue
        if busy is not None:
            yield msgspec.structs.replace(busy, name=entry.name, url=_url(entry), status=0)
            continue
        try:
            source = _source(entry, downloader)
        except ModelError as error:
            if not answered:
                # There is no network, or it is not to be used: that is said once.
                raise
            url = _url(entry)
            yield CheckedSource(
                name=entry.name, url=url, status=0, size=0, sha256="", wrong=(str(error),)
            )
        else:
            answered = True
            busy = source if source.unchecked else None
            yield source


def _named(names: list[str]) -> Iterator[tuple[str, Path, CatalogueEntry | None]]:
    catalogue = load_catalogue()
    statuses = {status.name: status for status in list_models(catalogue)}
    for name in names:
        status = statuses.get(name)
        if status is not None and status.state == "disk":
            entry = status.entry
            yield name, status.place, catalogue[entry.base] if entry and entry.base else entry
            continue
        found = _found(name)
        yield name, found.path if found else resolve(name).path, None


def _found(name: str) -> FoundModel | None:
    return next((one for one in discover().models if name in (one.name, *one.aliases)), None)


def _all() -> Iterator[tuple[str, Path, CatalogueEntry | None]]:
    seen = set[Path]()
    for status in list_models():
        if status.state != "disk" or (status.entry is not None and status.entry.base):
            continue
        if status.store in (None, "hub"):
            seen.add(status.place)
            yield status.name, status.place, status.entry
    for path in sorted(paths.models_dir().glob("*.gguf")):
        # A link to nothing is in no list.
        if path.is_symlink() and not path.exists() and path not in seen:
            yield path.name, path, None


def _model(
    name: str, path: Path, entry: CatalogueEntry | None, progress: Progress | None
) -> Iterator[CheckedFile]:
    for part in _parts(path):
        of_catalogue = entry.sha256 if entry is not None and part == path else ""
        yield _file(name, part, of_catalogue, progress)


def _parts(path: Path) -> list[Path]:
    part = part_of(path.name)
    if part is None or not 1 <= part[2] <= 1000:
        return [path]
    stem, _, parts = part
    return [path.with_name(f"{stem}-{one:05d}-of-{parts:05d}.gguf") for one in range(1, parts + 1)]


def _file(name: str, path: Path, of_catalogue: str, progress: Progress | None) -> CheckedFile:
    expected = of_catalogue or sha256_of(path)
    by: CheckedBy = "catalogue" if of_catalogue else "hub" if expected else "nothing"
    wrong: list[str] = []
    size, digest = 0, ""
    try:
        with open_model(path) as file:
            header = whole_header(path, file)
        size = header.size
        if header.expected_size > size:
            wrong.append(f"It is cut off: {size:,} of {header.expected_size:,} bytes are there.")
    except (ModelError, OSError) as error:
        wrong.append(error.message if isinstance(error, ModelError) else f"{reason(error)}.")
    if expected:
        try:
            digest = _sha256(path, progress)
        except OSError as error:
            if not wrong:
                wrong.append(f"It can't be read: {reason(error)}.")
        else:
            if digest != expected:
                whose = "the catalogue's" if by == "catalogue" else "the hub's"
                wrong.append(f"Its checksum is {digest[:12]}…, and {whose} is {expected[:12]}….")
    return CheckedFile(
        name=name,
        path=path,
        size=size,
        sha256=digest,
        checked_by=by,
        wrong=tuple(map(sanitize_line, wrong)),
    )


def _sha256(path: Path, progress: Progress | None) -> str:
    digest, done = hashlib.sha256(), 0
    with open_regular(path) as file:
        size = path.stat().st_size
        while block := file.read(BLOCK):
            digest.update(block)
            done += len(block)
            if progress:
                progress(done, size)
    return digest.hexdigest()


def _source(entry: CatalogueEntry, downloader: Downloader) -> CheckedSource:
    wrong, notes = [], []
    head = downloader.head(Source(url=_url(entry), name=entry.file, hub=True))
    status, size, sha256 = head.status, head.size, head.sha256
    unchecked = ""
    if head.is_busy:
        host = host_of(_url(entry))
        wait = f" ({wording.duration(head.after)})" if head.after else ""
        unchecked = f"It is not checked: the host {host} asks to wait{wait}."
        size, sha256 = 0, ""
    elif status in (401, 403):
        notes.append("It is given to those alone who accepted its licence.")
    elif status != 200:
        wrong.append(f"The host answers with status {status}.")
    else:
        if entry.size and size and size != entry.size:
            notes.append(f"It has {size:,} bytes; the catalogue says {entry.size:,}.")
        if entry.sha256 and sha256 and sha256 != entry.sha256:
            wrong.append("Its checksum is not the catalogue's.")
        if unknown := _unknown(entry):
            notes.append(f"The catalogue knows no {unknown}.")
    return CheckedSource(
        name=entry.name,
        url=_url(entry),
        status=status,
        size=size,
        sha256=sha256,
        wrong=tuple(wrong),
        notes=tuple(notes),
        unchecked=unchecked,
    )


def _unknown(entry: CatalogueEntry) -> str:
    """What of a file the catalogue does not know, so that it was not compared."""
    known = {"size": entry.size, "checksum": entry.sha256}
    return " and no ".join(name for name, value in known.items() if not value)


def _url(entry: CatalogueEntry) -> str:
    """The file at the hub, or at the mirror that the user named."""
    return f"{hub_endpoint()}/{entry.repository}/resolve/main/{quote(entry.file)}"
