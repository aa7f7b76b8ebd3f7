"""A preamble that is being changed beside its file: what is not saved, and what saving does."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from urial_tui import paths
from urial_tui.errors import UsageError
from urial_tui.prompting.changed_preamble import ChangedPreamble
from urial_tui.prompting.preamble import Preamble
from urial_tui.prompting.preamble_file import PreambleEntry, find_preamble, list_preambles

pytestmark = pytest.mark.usefixtures("home")


class Drafts:
    def __init__(self) -> None:
        self.kept: dict[str, Preamble] = {}

    def keep_draft(self, name: str, preamble: Preamble) -> None:
        self.kept[name] = preamble

    def forget_draft(self, name: str) -> None:
        self.kept.pop(name, None)


@pytest.fixture
def drafts() -> Drafts:
    return Drafts()


def entry_of(name: str) -> PreambleEntry:
    return next(entry for entry in list_preambles() if entry.name == name)


@pytest.fixture
def changed(drafts: Drafts) -> ChangedPreamble:
    entry = entry_of("urial-k1")
    assert entry.preamble is not None
    return ChangedPreamble(drafts, entry, entry.preamble)


def test_what_is_not_saved_is_kept_until_it_is_as_in_the_file(
    changed: ChangedPreamble, drafts: Drafts
) -> None:
    system = changed.edited.preamble.system
    changed.edited.write_system("Other words.")
    changed.keep()
    assert changed.unsaved
    assert drafts.kept["urial-k1"].system == "Other words."
    changed.edited.write_system(f"{system}\n")
    changed.keep()
    assert drafts.kept == {}


def test_it_goes_back_to_the_file(changed: ChangedPreamble, drafts: Drafts) -> None:
    changed.edited.write_system("Other words.")
    changed.keep()
    assert changed.discard()
    assert changed.edited.result == changed.saved
    assert drafts.kept == {}


def test_without_a_sound_file_there_is_nothing_to_go_back_to(drafts: Drafts) -> None:
    preamble = find_preamble("urial-k1")
    entry = PreambleEntry(name="mine", path=Path("mine.toml"), origin="user", error="It is empty.")
    changed = ChangedPreamble(drafts, entry, preamble)
    assert not changed.discard()
    assert changed.edited.result == preamble


def test_one_that_comes_with_the_program_is_saved_as_a_copy_and_then_in_place(
    changed: ChangedPreamble, drafts: Drafts
) -> None:
    changed.edited.write_system("Other words.")
    changed.keep()
    proposed = changed.proposed()
    assert proposed.name == "urial-k1-own"
    changed.go_on_with(changed.save(proposed, confirmed=False))
    assert (changed.name, changed.saved_as) == ("urial-k1-own", "urial-k1-own")
    assert not changed.unsaved
    assert drafts.kept == {}
    assert find_preamble("urial-k1-own").system == "Other words."

    changed.edited.write_system("Still other words.")
    assert changed.proposed().name == "urial-k1-own"
    changed.save(changed.proposed(), confirmed=False)
    assert find_preamble("urial-k1-own").system == "Still other words."


def test_a_file_that_somebody_else_changed_is_replaced_only_on_purpose(
    changed: ChangedPreamble,
) -> None:
    changed.go_on_with(changed.save(changed.proposed(), confirmed=False))
    path = paths.user_prompts_dir() / "urial-k1-own.toml"
    path.write_text(path.read_text().replace("title", "# theirs\ntitle", 1))
    changed.edited.write_system("Other words.")
    changed.save(changed.proposed(), confirmed=False)

    saved = msgspec.structs.replace(changed.proposed(), title="Theirs")
    changed.save(saved, confirmed=True)
    with pytest.raises(UsageError, match="urial-k1-own has changed on the disk since"):
        changed.save(changed.proposed(), confirmed=False)
