"""Models found where this and other programs keep them, each once, by a name that works as MODEL.

Nothing is copied and nothing is written but the index of headers. A file that is found in two
places counts where it is found first: the models directory, the directories of the settings, then
the caches of Hugging Face, llama.cpp, LM Studio and Ollama. Whatever is not shown as a model is
told with the reason.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

from urial_tui.errors import ModelError
from urial_tui.models.addresses import DEFAULT_QUANT
from urial_tui.models.file_index import Facts, FileIndex
from urial_tui.models.kinds import ModelKind
from urial_tui.models.parts import MAX_PARTS
from urial_tui.models.stores import directories, hub, llama_cache, lm_studio, ollama
from urial_tui.models.stores.file_names import part_of
from urial_tui.models.stores.sighting import LeftOut, Sighting, StoreName
from urial_tui.models.stores.walk import Walk
from urial_tui.sanitize import sanitize_line
from urial_tui.settings import load_settings

PREFIXES = ("hf.co/", "ollama/", "lmstudio/")
"""What the name of a model in another program's store starts with."""

Progress = Callable[[int, int], object]
"""Called where a header had to be read: files that were looked at, and all there are. An exception
ends the search, and what was read by then is remembered."""

_SHOWN = 6
"""Candidates that a sentence names."""


class FoundModel(msgspec.Struct, frozen=True, kw_only=True):
    """A model file on this machine, or the first of several; texts and paths are foreign.

    `name`: what it is as MODEL. `aliases`: other names that stand for it, or for it among others.
    `size`: of all `parts` in bytes. `kind`: a model, an embedding model or a LoRA adapter.
    `problems`: what belongs to it and can't be used; the file itself can.
    """

    name: str
    path: Path
    store: StoreName
    kind: ModelKind
    size: int
    parts: int = 1
    architecture: str = ""
    quantisation: str = ""
    repository: str = ""
    file: str = ""
    revision: str = ""
    tag: str = ""
    aliases: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()
    identity: tuple[int, int] = (0, 0)


class Discovery(msgspec.Struct, frozen=True, kw_only=True):
    """All that was found, in the order of the stores; `headers_read` of files that had changed."""

    models: tuple[FoundModel, ...]
    left_out: tuple[LeftOut, ...]
    headers_read: int


class _Whole(NamedTuple):
    """A model before it has its name: its first file, the size and number of all, what it is."""

    first: Sighting
    size: int
    parts: int
    facts: Facts


def discover(named: Sequence[str] | None = None, progress: Progress | None = None) -> Discovery:
    """Look through all stores.

    Args:
        named: Directories of the user's, unless those of the settings are meant.
        progress: Told of files that are new or have changed.

    Raises:
        SettingsError: The settings can't be read.
    """
    if named is None:
        named = load_settings().models.directories
    left_out: list[LeftOut] = []
    files = list(_all(named, left_out))
    with FileIndex() as index:
        joined = list(_joined(files, left_out))
        wholes = list(_wholes(joined, index, left_out, progress))
    models, doubles = _told_once(wholes)
    found = _named(models, doubles)
    names = {model.identity: model.name for model in found}
    left_out += [
        LeftOut(
            path=double.first.path,
            store=double.first.store,
            why=f"the same file as {names[model.first.identity]}"
            if double.first.identity == model.first.identity
            else f"a copy of {names[model.first.identity]}",
        )
        for model, double in doubles
    ]
    return Discovery(models=found, left_out=tuple(left_out), headers_read=index.read)


def find_model(name: str, kind: ModelKind) -> FoundModel | None:
    """The file that a name stands for; None where there is none.

    Args:
        name: A name, or an alias.
        kind: What is wanted; where none of these is meant, it may be something else.

    Raises:
        ModelError: The name stands for several, which are named.
        SettingsError: The settings can't be read.
    """
    models = discover().models
    return chosen(name, [one for one in models if one.kind == kind]) or chosen(name, models)


def chosen(name: str, models: Sequence[FoundModel]) -> FoundModel | None:
    """That of the models which a name stands for; see `find_model`."""
    for one in models:
        if one.name == name:
            return one
    plain = name.casefold()
    meant = [
        one
        for one in models
        if plain in (one.name.casefold(), *(alias.casefold() for alias in one.aliases))
    ]
    if len(meant) > 1:
        usual = [one for one in meant if one.quantisation == DEFAULT_QUANT]
        meant = usual if len(usual) == 1 else meant
    if len(meant) > 1:
        named = ", ".join(sanitize_line(one.name) for one in meant[:_SHOWN])
        more = f" and {len(meant) - _SHOWN} more" if len(meant) > _SHOWN else ""
        raise ModelError(
            f"The name '{sanitize_line(name)}' stands for several models on this machine.",
            f"Say which: {named}{more}.",
        )
    return meant[0] if meant else None


def no_such_model(name: str) -> ModelError:
    """That no store has a model of this name."""
    return ModelError(
        f"There is no model '{sanitize_line(name)}' on this machine.",
        "`urial models discover` shows those that other programs have here.",
    )


def _all(named: Sequence[str], left_out: list[LeftOut]) -> Iterator[Sighting]:
    """The files of all stores; what is none goes to `left_out`, store by store."""
    stores: tuple[tuple[StoreName, Callable[[Walk], Iterator[Sighting | LeftOut]]], ...] = (
        ("models", directories.of_program),
        ("directory", lambda walk: directories.of_user(walk, named)),
        ("hub", hub.sightings),
        ("llama.cpp", llama_cache.sightings),
        ("lmstudio", lm_studio.sightings),
        ("ollama", ollama.sightings),
    )
    for name, sightings in stores:
        walk = Walk(name)
        for seen in sightings(walk):
            if isinstance(seen, LeftOut):
                left_out.append(seen)
            else:
                yield seen
        left_out += walk.left_out


# -- several files, one model ----------------------------------------------------------


def _joined(
    files: Iterable[Sighting], left_out: list[LeftOut]
) -> Iterator[tuple[Sighting, int, int]]:
    """The first file of every model, with the size and the number of all its files."""
    split: dict[tuple[Path, str, int], dict[int, Sighting]] = {}
    for file in files:
        part = part_of(file.path.name)
        if part is None:
            yield file, file.size, 1
            continue
        stem, number, count = part
        split.setdefault((file.path.parent, stem, count), {})[number] = file
    for (_, _, count), found in split.items():
        missing = [number for number in range(1, min(count, MAX_PARTS) + 1) if number not in found]
        if missing or not 0 < count <= MAX_PARTS:
            some = next(iter(found.values()))
            why = _incomplete(count, missing)
            left_out.append(LeftOut(path=some.path, store=some.store, why=why))
        else:
            yield found[1], sum(file.size for file in found.values()), count


def _incomplete(count: int, missing: Sequence[int]) -> str:
    if not 0 < count <= MAX_PARTS or len(missing) == count:
        return "its name says that it is a part of a model, and not which"
    listed = ", ".join(map(str, missing[:5])) + (" and more" if len(missing) > 5 else "")
    are = "is" if len(missing) == 1 else "are"
    return f"of its {count:,} parts {listed} {are} missing"


def _wholes(
    files: Sequence[tuple[Sighting, int, int]],
    index: FileIndex,
    left_out: list[LeftOut],
    progress: Progress | None,
) -> Iterator[_Whole]:
    """Those that are models, by their headers."""
    for number, (first, size, parts) in enumerate(files, 1):
        before = index.read
        facts = index.facts(first)
        if progress and index.read > before:
            progress(number, len(files))
        why = facts.why
        if facts.kind and facts.parts > 1 and parts == 1:
            why = f"one of {facts.parts:,} parts, and not named like one"
        if why:
            left_out.append(LeftOut(path=first.path, store=first.store, why=why))
        else:
            yield _Whole(first, size, parts, facts)


def _told_once(wholes: Sequence[_Whole]) -> tuple[list[_Whole], list[tuple[_Whole, _Whole]]]:
    """The models, and those that were there before: each with the one that it doubles."""
    # A link to the first part of a model has no other parts beside it, wherever it is found.
    by_file = {whole.first.identity: whole for whole in reversed(wholes) if whole.parts > 1}
    by_source: dict[tuple[str, str, int], _Whole] = {}
    models, doubles = [], []
    for whole in wholes:
        first = whole.first
        source = (first.repository.casefold(), first.file, whole.size)
        before = by_file.get(first.identity)
        if before is None and first.store in ("hub", "llama.cpp") and first.repository:
            copy = by_source.setdefault(source, whole)
            # Two revisions may be as long as each other and differ.
            if copy is not whole and _same_revision(copy.first, first):
                before = copy
        if before is not None and before is not whole:
            doubles.append((before, whole))
            continue
        by_file[first.identity] = whole
        models.append(whole)
    return models, doubles


def _same_revision(one: Sighting, other: Sighting) -> bool:
    return one.revision == other.revision or not (one.revision and other.revision)


# -- names -----------------------------------------------------------------------------


def _named(
    wholes: Sequence[_Whole], doubles: Sequence[tuple[_Whole, _Whole]]
) -> tuple[FoundModel, ...]:
    others: dict[tuple[int, int], list[str]] = {}
    for model, double in doubles:
        others.setdefault(model.first.identity, []).extend(_aliases(double.first))
    found = []
    for whole, name in zip(wholes, _names([whole.first for whole in wholes]), strict=True):
        first = whole.first
        aliases = dict.fromkeys((*_aliases(first), *others.get(first.identity, ())))
        aliases.pop(name, None)
        assert whole.facts.kind
        found.append(
            FoundModel(
                name=name,
                path=first.path,
                store=first.store,
                kind=whole.facts.kind,
                size=whole.size,
                parts=whole.parts,
                architecture=whole.facts.architecture,
                quantisation=first.quantisation,
                repository=first.repository,
                file=first.file,
                revision=first.revision,
                tag=first.tag,
                aliases=tuple(aliases),
                problems=first.notes,
                identity=first.identity,
            )
        )
    return tuple(found)


def _names(files: Sequence[Sighting]) -> list[str]:
    """A name for each that no other has: the best that is free, in the end the path."""
    offered = [[*filter(_is_typed, file.names), str(file.path)] for file in files]
    at = [0] * len(files)
    while True:
        counts = Counter(names[place] for names, place in zip(offered, at, strict=True))
        moved = False
        for number, (names, place) in enumerate(zip(offered, at, strict=True)):
            # What lies in the models directory is found there by its file's name in any case.
            own = files[number].store == "models"
            if counts[names[place]] > 1 and place + 1 < len(names) and not own:
                at[number] += 1
                moved = True
        if not moved:
            return [names[place] for names, place in zip(offered, at, strict=True)]


def _aliases(file: Sighting) -> tuple[str, ...]:
    return (*filter(_is_typed, file.names), *file.also)


def _is_typed(name: str) -> bool:
    """Whether a name can be typed, and is not cut at a `+`, behind which an adapter stands."""
    return name.isprintable() and "+" not in name
