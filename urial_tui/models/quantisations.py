"""The quantisations of a model that a repository has, and which of them suits a machine."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import PurePosixPath

import msgspec

from urial_tui.models.addresses import DEFAULT_QUANT, quant_of
from urial_tui.models.host_answers import HubFile
from urial_tui.models.stores.file_names import part_of
from urial_tui.models.verdict import Fit

_NO_MODELS = ("mmproj", "imatrix")


class Quantisation(msgspec.Struct, frozen=True, kw_only=True):
    """A file of a repository, or the first of several. `name`: what `pull` downloads it by.

    `size` of all parts in bytes, 0 if unknown. `usual`: what is taken where nothing speaks against
    it: the catalogue's own, or Q4_K_M.
    """

    name: str
    file: str
    quantisation: str
    size: int
    parts: int = 1
    usual: bool = False


def quantisations(
    repository: str, files: Sequence[HubFile], entry_file: str = "", entry_name: str = ""
) -> tuple[Quantisation, ...]:
    """The models among a repository's files, the smallest first; foreign text.

    Args:
        repository: OWNER/NAME.
        files: What the hub says that it has.
        entry_file: The file that the catalogue means, "" where it means none.
        entry_name: What the catalogue calls that.
    """
    whole: dict[tuple[str, int], list[HubFile]] = {}
    for file in files:
        base = PurePosixPath(file.name).name.lower()
        if not base.endswith(".gguf") or base.startswith("._"):
            continue
        if any(word in base for word in _NO_MODELS):
            continue
        part = part_of(file.name)
        key = (file.name, 1) if part is None else (part[0], part[2])
        whole.setdefault(key, []).append(file)
    found = []
    for (_, parts), group in whole.items():
        first = min(group, key=lambda file: file.name)
        if len(group) != parts:
            continue
        own = bool(entry_file) and first.name == entry_file
        sizes = [file.size for file in group]
        found.append(
            Quantisation(
                name=entry_name if own else f"hf.co/{repository}/{first.name}",
                file=first.name,
                quantisation=quant_of(first.name),
                size=sum(sizes) if all(sizes) else 0,
                parts=parts,
                usual=own or (not entry_file and quant_of(first.name).upper() == DEFAULT_QUANT),
            )
        )
    return tuple(sorted(found, key=lambda one: (one.size, one.file)))


def suiting(found: Sequence[Quantisation], fit: Callable[[Quantisation], Fit]) -> int:
    """The place of the one to offer: the usual one if it fits, else the largest that does.

    Where none is usual, it is the one in the middle of those that fit, for the largest are weights
    as they were trained. Where none fits it is the smallest; 0 where there are none.
    """
    fitting = [place for place, one in enumerate(found) if one.size and fit(one).verdict == "fits"]
    if not fitting:
        return 0
    usual = [place for place in fitting if found[place].usual]
    if usual:
        return usual[0]
    return fitting[-1] if any(one.usual for one in found) else fitting[len(fitting) // 2]
