"""Preambles while they are changed, and as the user's own files."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import msgspec
import pytest

from urial_tui import paths
from urial_tui.engine.wire.values import Rules, TokenShift
from urial_tui.errors import PreambleError, UsageError
from urial_tui.prompting.check import check_preamble
from urial_tui.prompting.edited import EditedPreamble
from urial_tui.prompting.edited_rules import rules_of, rules_text, stops_of, stops_text
from urial_tui.prompting.own_preambles import (
    bring_back_own,
    delete_own,
    free_name,
    own_path,
    save_own,
)
from urial_tui.prompting.preamble import Preamble
from urial_tui.prompting.preamble_file import find_preamble, list_preambles
from urial_tui.prompting.retrieving import retrieving_preamble
from urial_tui.prompting.soundness import check_sound


def queries(edited: EditedPreamble) -> list[str]:
    return [example.query for example in edited.preamble.examples]


class TestChanging:
    def test_examples_are_added_deleted_and_brought_back(self) -> None:
        edited = EditedPreamble(find_preamble("urial-k3"))
        first, second, third = queries(edited)
        edited.add(1)
        assert queries(edited) == [first, "", second, third]
        edited.write_example(1, "Why?", "So.")
        edited.delete(3)
        edited.delete(0)
        assert queries(edited) == ["Why?", second]
        assert edited.bring_back() == 0
        assert edited.bring_back() == 3
        assert queries(edited) == [first, "Why?", second, third]
        assert edited.bring_back() is None

    def test_what_was_typed_meanwhile_stays_where_something_is_brought_back(self) -> None:
        edited = EditedPreamble(find_preamble("urial-k3"))
        edited.delete(2)
        edited.write_system("Typed.")
        edited.write_example(0, "Typed?", "Yes.")
        edited.bring_back()
        assert edited.preamble.system == "Typed."
        assert queries(edited)[0] == "Typed?"

    def test_examples_are_reordered_within_their_number(self) -> None:
        edited = EditedPreamble(find_preamble("urial-k3"))
        first, second, third = queries(edited)
        assert edited.move(0, 1) == 1
        assert queries(edited) == [second, first, third]
        assert edited.move(2, 5) == 2
        assert edited.move(1, -7) == 0
        assert queries(edited) == [first, second, third]

    def test_the_first_example_follows_no_other(self) -> None:
        edited = EditedPreamble(find_preamble("urial-2turn"))
        place = next(n for n, one in enumerate(edited.preamble.examples) if one.follows)
        while place:
            place = edited.move(place, -1)
        assert not edited.preamble.examples[0].follows
        check_sound(edited.result, Path("urial-2turn.toml"))

    @pytest.mark.parametrize(
        ("name", "system", "examples", "method"),
        [
            ("zero-shot", "", 0, "zero-shot"),
            ("zero-shot", "Answer.", 0, "urial"),
            ("zero-shot", "", 1, "vanilla-icl"),
            ("rules", "", 0, "rules"),
            ("rules", "Answer.", 1, "urial"),
            ("urial-k1", "", 1, "vanilla-icl"),
            ("urial-k1", " \n", 0, "zero-shot"),
        ],
    )
    def test_the_method_is_one_that_allows_what_there_is(
        self, name: str, system: str, examples: int, method: str
    ) -> None:
        edited = EditedPreamble(find_preamble(name))
        edited.write_system(system)
        while len(edited.preamble.examples) > examples:
            edited.delete(0)
        while len(edited.preamble.examples) < examples:
            edited.add(0)
            edited.write_example(0, "Why?", "So it is.")
        assert edited.preamble.method == method
        check_sound(edited.result, Path(f"{name}.toml"))

    def test_a_system_text_gets_a_template_where_there_was_none(self) -> None:
        plain = find_preamble("zero-shot")
        bare = msgspec.structs.replace(
            plain, format=msgspec.structs.replace(plain.format, system="")
        )
        edited = EditedPreamble(bare)
        edited.write_system("Answer.")
        check_sound(edited.result, Path("zero-shot.toml"))

    def test_white_space_at_the_ends_is_no_part_of_it(self) -> None:
        edited = EditedPreamble(find_preamble("urial-k1"))
        before = edited.result
        example = before.examples[0]
        edited.write_system(f"\n{before.system}\n\n")
        edited.write_example(0, f" {example.query}\n", f"{example.answer}  ")
        assert edited.result == before


class TestOwn:
    def test_it_is_kept_as_it_was_and_found_by_its_name(self, home: Path) -> None:
        edited = EditedPreamble(find_preamble("urial-k3"))
        edited.write_example(1, "Was ''' heißt \x1b[31m \\n?", "Ein \"Wort\".\n\n```py\n'''\n```")
        edited.call("mine", "Mein", "Eins.")
        saved = save_own(edited.result, replace=False)
        assert find_preamble("mine") == saved == edited.result
        assert own_path("mine") == paths.user_prompts_dir() / "mine.toml"
        assert not list(paths.user_prompts_dir().glob(".urial-*"))

    def test_a_taken_name_is_refused_unless_it_may_go(self, home: Path) -> None:
        edited = EditedPreamble(find_preamble("urial-k1"))
        edited.call("mine", "A", "A.")
        save_own(edited.result, replace=False)
        edited.call("mine", "B", "B.")
        with pytest.raises(UsageError, match="There is a preamble of yours named mine"):
            save_own(edited.result, replace=False)
        assert find_preamble("mine").title == "A"
        save_own(edited.result, replace=True)
        assert find_preamble("mine").title == "B"

    @pytest.mark.parametrize("replace", [False, True])
    def test_a_shipped_one_is_never_stood_in_for(self, home: Path, replace: bool) -> None:
        shipped = find_preamble("urial-k3")
        with pytest.raises(PreambleError, match="The program has a preamble named urial-k3"):
            save_own(shipped, replace=replace)
        assert not paths.user_prompts_dir().exists()

    @pytest.mark.parametrize("name", ["", "Mine", "../x", "a b", "é", "a--b", ".a", "\x1b[m"])
    def test_a_name_that_none_can_have_is_refused(self, home: Path, name: str) -> None:
        edited = EditedPreamble(find_preamble("urial-k1"))
        edited.call(name, "A", "A.")
        with pytest.raises(PreambleError, match="A preamble can't be called") as caught:
            save_own(edited.result, replace=True)
        assert "\x1b" not in str(caught.value)

    def test_what_could_not_work_is_not_written(self, home: Path) -> None:
        edited = EditedPreamble(find_preamble("urial-k1"))
        edited.call("mine", "A", "A.")
        edited.add(0)
        with pytest.raises(PreambleError, match="query of example 1 is empty"):
            save_own(edited.result, replace=False)
        edited.write_example(0, "Why?", "So.\n\n# Query:\nNo.")
        with pytest.raises(PreambleError, match="would be cut"):
            save_own(edited.result, replace=False)
        assert not own_path("mine").exists()

    def test_one_that_is_too_long_is_not_written(self, home: Path) -> None:
        edited = EditedPreamble(find_preamble("urial-k1"))
        edited.call("mine", "A", "A.")
        edited.write_system("word " * 60_000)
        with pytest.raises(PreambleError, match="302 kB, and a file of one may have 262 kB"):
            save_own(edited.result, replace=False)
        assert not own_path("mine").exists()

    def test_a_full_disk_leaves_what_was_there(
        self, home: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        edited = EditedPreamble(find_preamble("urial-k1"))
        edited.call("mine", "A", "A.")
        save_own(edited.result, replace=False)

        def full(_: int) -> None:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        monkeypatch.setattr(os, "fsync", full)
        edited.call("mine", "B", "B.")
        with pytest.raises(PreambleError, match="No space left on device") as caught:
            save_own(edited.result, replace=True)
        assert "--" not in caught.value.hint
        assert find_preamble("mine").title == "A"
        assert [path.name for path in paths.user_prompts_dir().iterdir()] == ["mine.toml"]

    def test_a_free_name_is_like_the_one_it_is_made_of(self, home: Path) -> None:
        assert free_name("urial-k3") == "urial-k3-own"
        paths.user_prompts_dir().mkdir(parents=True)
        (paths.user_prompts_dir() / "urial-k3-own.toml").touch()
        assert free_name("urial-k3") == "urial-k3-own-2"
        assert free_name("Not one") == "preamble-own"


@pytest.mark.parametrize("entry", list_preambles(), ids=lambda entry: entry.name)
def test_every_shipped_one_is_the_same_after_it_was_opened(entry: Any) -> None:
    preamble: Preamble = entry.preamble
    edited = EditedPreamble(preamble)
    assert edited.result == preamble
    edited.write_system(preamble.system)
    for place, example in enumerate(preamble.examples):
        edited.write_example(place, example.query, example.answer)
    assert edited.result == preamble
    assert check_preamble(edited.result, entry.path) == check_preamble(preamble, entry.path)


class TestTheFormat:
    def test_templates_stop_strings_and_the_fence_are_changed(self) -> None:
        edited = EditedPreamble(find_preamble("urial-k1"))
        edited.write_system_template("{system}\n\n")
        edited.write_turns("Q:\n{query}\n\n", "A:\n{answer}\n\n")
        edited.write_ends("\\n\\nQ:\\n\n\n\\nQ:\\n", "")
        form = edited.result.format
        assert (form.system, form.query) == ("{system}\n\n", "Q:\n{query}\n\n")
        assert form.stop == ("\n\nQ:\n", "\nQ:\n")
        check_sound(edited.result, Path("urial-k1.toml"))
        edited.write_turns("Q:\n```\n{query}\n```\n\n", "A:\n```\n{answer}\n```\n\n")
        edited.write_ends("", " ```\n")
        assert (edited.result.format.stop, edited.result.format.fence) == ((), "```")
        check_sound(edited.result, Path("urial-k1.toml"))

    def test_what_cannot_work_is_found_by_the_check(self) -> None:
        edited = EditedPreamble(find_preamble("urial-k1"))
        edited.write_turns("Q:\n", "A:\n{answer}\n\n")
        worst = check_preamble(edited.result, Path("urial-k1.toml"))[0]
        assert worst.severity == "error"

    @pytest.mark.parametrize(
        "stops", [(), ("\n\n# Query:\n", "\n"), ("\\n", "a\tb\r", "\\\\", " x ")]
    )
    def test_stop_strings_survive_being_text(self, stops: tuple[str, ...]) -> None:
        assert stops_of(stops_text(stops)) == stops

    def test_rules_survive_being_text(self) -> None:
        rules = find_preamble("rules").rules
        assert rules is not None
        assert rules_of(rules_text(rules)) == rules
        assert rules_of(rules_text(None)) is None

    def test_rules_make_the_method_and_go_again(self) -> None:
        edited = EditedPreamble(find_preamble("zero-shot"))
        edited.write_rules("end_bias = 5\n[[shifts]]\ntexts = ['So']\nbias = 1")
        ruled = edited.result
        assert ruled.method == "rules"
        assert ruled.rules == Rules(end_bias=5.0, shifts=(TokenShift(texts=("So",), bias=1.0),))
        edited.write_rules(" \n")
        plain = edited.result
        assert (plain.method, plain.rules) == ("zero-shot", None)

    @pytest.mark.parametrize("text", ["end_bias =", "end = 1", "end_bias = 1e9", "[" * 9999])
    def test_what_are_no_rules_is_a_sentence_and_changes_nothing(self, text: str) -> None:
        edited = EditedPreamble(find_preamble("rules"))
        before = edited.preamble
        with pytest.raises(PreambleError, match="These are no rules: "):
            edited.write_rules(text)
        assert edited.preamble == before

    def test_what_retrieves_its_examples_goes_on_doing_so(self) -> None:
        edited = EditedPreamble(retrieving_preamble("facts"))
        edited.write_system("Be right.")
        assert edited.preamble.method == "retrieval"
        check_sound(edited.result, Path("facts.toml"))


class TestDeleting:
    def test_a_deleted_preamble_comes_back(self, home: Path) -> None:
        save_own(msgspec.structs.replace(find_preamble("urial-k1"), name="mine"), replace=False)
        path = own_path("mine")
        before = path.read_bytes()
        kept = delete_own(path)
        assert "mine" not in [entry.name for entry in list_preambles()]
        assert bring_back_own(kept) == path
        assert path.read_bytes() == before
        assert not kept.exists()

    def test_what_took_its_name_meanwhile_stays(self, home: Path) -> None:
        mine = msgspec.structs.replace(find_preamble("urial-k1"), name="mine")
        save_own(mine, replace=False)
        kept = delete_own(own_path("mine"))
        save_own(mine, replace=False)
        with pytest.raises(PreambleError, match="named mine again"):
            bring_back_own(kept)
        assert kept.exists()

    def test_what_can_not_be_deleted_is_a_sentence(self, home: Path) -> None:
        shipped = paths.shipped_prompts_dir() / "urial-k1.toml"
        with pytest.raises(PreambleError, match="comes with the program"):
            delete_own(shipped)
        assert shipped.exists()
        with pytest.raises(PreambleError, match="can't be deleted: "):
            delete_own(paths.user_prompts_dir() / "gone.toml")
        with pytest.raises(PreambleError, match="can't be brought back: "):
            bring_back_own(paths.user_prompts_dir() / "gone.toml.deleted")
