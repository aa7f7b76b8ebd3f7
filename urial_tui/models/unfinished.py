"""Downloads that were interrupted, by what lies beside the place where each file will be.

The journal of a download names its address; by that it is a name that `pull` goes on with. What is
damaged or of something else is passed over: it is in nobody's way.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

import msgspec

from urial_tui import paths
from urial_tui.errors import ModelError, UrialError
from urial_tui.files import Refused, read_bytes, reason
from urial_tui.models.addresses import checked_url, hub_endpoint, is_safe, origin_of
from urial_tui.models.host_answers import MAX_SIZE
from urial_tui.models.partial import Partial, PartialNote
from urial_tui.models.stores import hub
from urial_tui.models.stores.file_names import part_of
from urial_tui.sanitize import quoted

_MOST: Final = 1000
"""Journals that are read."""
_MAX_JOURNAL: Final = 64 * 1024
_SUFFIXES: Final = (".urial.incomplete", ".incomplete")
_PATTERNS: Final = ("models--*/blobs/*.urial.incomplete.json", "*.incomplete.json")


class Unfinished(msgspec.Struct, frozen=True, kw_only=True):
    """A file of which a part is here. `name`: what `pull` goes on with it by.

    `repository` and `file` are "" for a plain address. `done` and `size` in bytes, `size` 0 if
    unknown; `files`: the part and its journal.
    """

    name: str
    done: int
    size: int
    files: tuple[Path, ...]
    repository: str = ""
    file: str = ""


_NO_JOURNAL = (OSError, ValueError, RecursionError, msgspec.MsgspecError, Refused, UrialError)
"""What reading something else raises."""


def unfinished() -> tuple[Unfinished, ...]:
    """Those of Hugging Face's cache, then those of the models directory."""
    found = []
    for journal in islice(_journals(), _MOST):
        with contextlib.suppress(*_NO_JOURNAL):
            read = msgspec.json.decode(read_bytes(journal, _MAX_JOURNAL), type=PartialNote)
            part = journal.with_suffix("")
            done = part.stat().st_size
            one = _named(read, done, (part, journal))
            if done and one is not None:
                found.append(one)
    return tuple(found)


def _journals() -> Iterator[Path]:
    for directory, pattern in zip(
        (hub.directories()[0], paths.models_dir()), _PATTERNS, strict=True
    ):
        with contextlib.suppress(OSError):
            yield from sorted(islice(directory.glob(pattern), _MOST))


def _named(journal: PartialNote, done: int, files: tuple[Path, ...]) -> Unfinished | None:
    """What a journal is of; None for what can't be gone on with."""
    size = journal.size if 0 < journal.size <= MAX_SIZE else 0
    url = checked_url(journal.url)
    below = unquote(urlsplit(url).path).strip("/").split("/")
    if "blobs" not in files[0].parts[-2:-1]:
        return Unfinished(name=url, done=done, size=size, files=files)
    with contextlib.suppress(ModelError):
        endpoint = hub_endpoint()
        if origin_of(url) == origin_of(endpoint):
            start = [part for part in urlsplit(endpoint).path.split("/") if part]
            below = below[len(start) :]
    if len(below) < 5 or below[2] != "resolve" or not is_safe("/".join(below)):
        return None
    repository, file = "/".join(below[:2]), "/".join(below[4:])
    part = part_of(file)
    if part is not None:
        file = f"{part[0]}-00001-of-{part[2]:05d}.gguf"
    return Unfinished(
        name=f"hf.co/{repository}/{file}",
        done=done,
        size=size,
        files=files,
        repository=repository,
        file=file,
    )


def discard(files: tuple[Path, ...]) -> int:
    """Remove what came of a download; the bytes that are freed.

    Args:
        files: As of `Unfinished`.

    Raises:
        ModelError: It goes on at this moment, or can't be removed.
    """
    part = files[0]
    suffix = next(one for one in _SUFFIXES if part.name.endswith(one))
    try:
        with Partial(part.with_name(part.name.removesuffix(suffix)), suffix) as partial:
            size = part.stat().st_size
            partial.discard()
    except OSError as error:
        raise ModelError(
            f"{quoted(str(part))} can't be removed: {reason(error)}.",
            "It has to be in a directory that you may write to.",
        ) from error
    return size
