"""What the user wrote or keeps: settings, catalogue, preambles, themes, evaluated preambles.

Each file is read as the program reads it; what is wrong with one is its reader's own sentence.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from urial_tui import paths
from urial_tui.doctor.finding import Fact
from urial_tui.engine.preamble_store import PreambleStore
from urial_tui.errors import UrialError
from urial_tui.models.catalogue import load_catalogue
from urial_tui.models.registry import list_models
from urial_tui.prompting.preamble_file import list_preambles
from urial_tui.settings import Settings, load_settings
from urial_tui.wording import amount, size

ReadThemes = Callable[[], tuple[int, Sequence[UrialError]]]
"""How many themes of the user can be used, and what is wrong with the others."""


def own_files(read_themes: ReadThemes) -> Iterator[Fact]:
    """What of them can be read, and what can't and why."""
    yield from _guarded(_settings)
    yield from _guarded(_catalogue)
    yield from _guarded(_preambles)
    yield from _guarded(lambda: _themes(read_themes))


def caches() -> Iterator[Fact]:
    """How many evaluated preambles there are, and how near they are to their limit."""
    try:
        limit = load_settings().engine.cache_limit_mb * 1_000_000
    except UrialError:
        limit = Settings().engine.cache_limit_mb * 1_000_000
    directory = paths.preamble_cache_dir()
    try:
        entries = PreambleStore(directory, limit).entries()
    except OSError as error:
        yield Fact(
            f"{directory} can't be read: {error.strerror or error}",
            "warning",
            "Check who may read and write there.",
        )
        return
    used = sum(entry.size for entry in entries)
    yield Fact(
        f"{amount(len(entries), 'evaluated preamble')}, {size(used)} of at most {size(limit)}"
    )


def _guarded(part: Callable[[], Iterator[Fact]]) -> Iterator[Fact]:
    try:
        yield from part()
    except UrialError as error:
        yield Fact(error.message, "warning", error.hint)


def _settings() -> Iterator[Fact]:
    load_settings()
    path = paths.settings_file()
    yield Fact(f"settings: {path}" if path.exists() else "settings: the defaults")


def _catalogue() -> Iterator[Fact]:
    here = sum(status.state != "absent" for status in list_models(load_catalogue()))
    yield Fact(
        f"models: {here} can be used",
        "good" if here else "note",
        "" if here else "`urial models list` has commands that get one.",
    )


def _preambles() -> Iterator[Fact]:
    entries = list_preambles()
    wrong = [entry for entry in entries if entry.error]
    yield Fact(f"preambles: {len(entries) - len(wrong)} can be used")
    for entry in wrong:
        yield Fact(entry.error, "warning", f"Correct or remove {entry.path}.")


def _themes(read_themes: ReadThemes) -> Iterator[Fact]:
    count, troubles = read_themes()
    if count:
        yield Fact(f"themes: {count} of your own")
    for error in troubles:
        yield Fact(error.message, "warning", error.hint)
