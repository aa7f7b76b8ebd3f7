"""Changing a preamble in the application: what is counted, what is kept, what is saved."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.scripted import ScriptedEngine
from tests.tui.conftest import Opened, type_text
from tests.tui.test_prompts_screen import MINE, Prompts, laboratory, own
from urial_tui import paths
from urial_tui.chat.store import Store
from urial_tui.engine.wire.values import ModelInfo, Rules
from urial_tui.prompting.preamble_file import find_preamble
from urial_tui.prompting.render import preamble_text
from urial_tui.tui.app import UrialApp
from urial_tui.tui.prompts.prompts_screen import PromptsScreen

__all__ = ["laboratory", "own"]


class TestChanging:
    async def test_the_parts_are_the_system_text_and_the_examples(
        self, laboratory: Prompts, own: Path
    ) -> None:
        async with laboratory() as page:
            await page.edits("mine")
            assert page.shows("System text")
            assert page.field("first") == "I answer."
            await page.shows_part(1)
            assert page.field("first") == "How many?"
            assert page.field("second") == "Three of them."
            assert page.shows("Query of example 1")
            assert page.shows("saved")
            assert not page.editor.changed

    async def test_tokens_are_counted_anew_when_something_is_typed(
        self, laboratory: Prompts, own: Path
    ) -> None:
        async with laboratory() as page:
            await page.edits("mine")
            await page.until(lambda: page.shows("39 tokens,"))
            await page.writes("first", "I answer briefly.")
            await page.until(lambda: page.shows("47 tokens,"))
            assert page.shows("not saved")
            expected = preamble_text(page.editor.edited.result)
            assert expected.startswith("I answer briefly.\n")
            assert len(expected) == 47

    async def test_what_is_found_is_told_while_it_is_typed(
        self, laboratory: Prompts, own: Path
    ) -> None:
        async with laboratory(size=(120, 40)) as page:
            await page.edits("mine")
            await page.until(lambda: page.shows("Nothing found"))
            await page.shows_part(1)
            await page.writes("second", "Three of")
            await page.until(lambda: page.shows("It ends within a sentence."))
            assert page.shows("1 ▲ How many?")
            await page.writes("second", "Three.")
            await page.until(lambda: not page.shows("It ends within a sentence."))

    async def test_examples_are_added_moved_deleted_and_brought_back(
        self, laboratory: Prompts, own: Path
    ) -> None:
        async with laboratory() as page:
            screen = await page.edits("mine")

            def queries() -> list[str]:
                return [example.query for example in screen.edited.preamble.examples]

            await page.shows_part(1)
            await page.presses("f2")
            await type_text(page.pilot, "and you?")
            assert queries() == ["How many?", "and you?"]
            await page.presses("alt+up")
            assert queries() == ["and you?", "How many?"]
            assert page.field("first") == "and you?"
            await page.presses("f3")
            assert queries() == ["How many?"]
            assert page.shows("Example 1 is deleted; Alt+U brings it back.")
            await page.presses("alt+u")
            assert queries() == ["and you?", "How many?"]
            assert page.field("first") == "and you?"

    @pytest.mark.parametrize("size", [(80, 24), (60, 20)])
    async def test_the_hints_name_the_keys_that_do_something(
        self, laboratory: Prompts, own: Path, size: tuple[int, int]
    ) -> None:
        async with laboratory(size=size) as page:
            await page.edits("mine")
            listed = "Ctrl+S save,Enter write,Esc back,F1 keys,F2 add,F4 tokens"
            assert page.hints == listed
            await page.presses("enter")
            assert page.hints == "Ctrl+S save,Tab next,Esc list,F1 keys,F2 add,F4 tokens"
            await page.presses("escape")
            await page.shows_part(1)
            assert page.hints == listed.replace("add,", "add,F3 delete,")
            await page.presses("f2", "escape")
            start = listed.replace("F4 tokens", "F3 delete")
            changed = "F4 tokens,F5 try,F8 discard"
            assert page.hints == f"{start},{changed},Alt+↑ up,Alt+↓ down"
            for key in ("Esc back", "F1 keys", "F8 discard"):
                assert page.shows(key)
            await page.presses("f3")
            assert page.hints == f"{start},Alt+U undelete,F4 tokens", "it is as it was saved"

    async def test_the_system_text_is_not_deleted_by_the_key_for_examples(
        self, laboratory: Prompts, own: Path
    ) -> None:
        async with laboratory() as page:
            await page.edits("mine")
            await page.presses("f3")
            assert page.shows("Only examples can be deleted")
            assert not page.editor.changed

    async def test_what_reaches_the_model_is_what_stands_there_now(
        self, laboratory: Prompts, own: Path
    ) -> None:
        async with laboratory() as page:
            await page.edits("mine")
            await page.writes("first", "Other words.")
            await page.presses("f4")
            await page.until(lambda: page.shows("What reaches the model"))
            await page.until(lambda: page.shows("Other·words."))
            await page.presses("escape")
            assert page.editor.changed


class TestTheFormat:
    async def test_headings_fences_and_stop_strings_are_changed_and_saved(
        self, laboratory: Prompts, own: Path
    ) -> None:
        async with laboratory(size=(120, 40)) as page:
            await page.edits("mine")
            await page.shows_part(3)
            assert (page.field("first"), page.field("second")) == ("Q: {query}\n", "{answer}\n\n")
            await page.writes("first", "Asked: {query}\n")
            await page.until(lambda: page.shows("✖"))
            await page.shows_part(4)
            assert page.field("first") == "\\n\\nQ:\n\\nQ:"
            await page.writes("first", "\\n\\nAsked:\n\\nAsked:")
            await page.until(lambda: page.shows("Nothing found"))
            await page.shows_part(1)
            assert page.field("first") == "How many?"
            await page.saves()
            await page.is_saved()
            saved = find_preamble("mine")
            assert saved.format.query == "Asked: {query}\n"
            assert saved.format.stop == ("\n\nAsked:", "\nAsked:")
            assert preamble_text(saved).endswith("Asked: How many?\nThree of them.\n\n")

    async def test_rules_count_from_when_they_can_be_read_on(
        self, laboratory: Prompts, own: Path
    ) -> None:
        async with laboratory() as page:
            screen = await page.edits("mine")
            await page.shows_part(5)
            assert page.field("first") == ""
            await page.writes("first", "end_bias = ")
            assert page.shows("✖ These are no rules: ")
            before = screen.edited.result
            assert before.rules is None
            await page.writes("first", "end_bias = 5")
            assert not page.shows("These are no rules")
            after = screen.edited.result
            assert after.rules == Rules(end_bias=5.0)
            await page.shows_part(2)
            assert page.shows("What {system} stands in")
            await page.presses("f2")
            assert len(screen.edited.preamble.examples) == 2
            assert page.shows("Query of example 2")


class TestSaving:
    async def test_a_shipped_one_is_copied_under_a_name_of_its_own(
        self, laboratory: Prompts
    ) -> None:
        shipped = paths.shipped_prompts_dir() / "urial-k1.toml"
        before = shipped.read_bytes()
        async with laboratory() as page:
            await page.edits("urial-k1")
            assert page.shows("urial-k1  comes with the program")
            await page.writes("first", "Answer well.")
            assert page.shows("urial-k1  not saved")
            await page.saves()
            await page.is_saved()
            assert page.shows("urial-k1-own  saved")
            assert page.shows("urial-k1-own is saved among your preambles.")
            saved = find_preamble("urial-k1-own")
            assert saved.system == "Answer well."
            assert saved.examples == find_preamble("urial-k1").examples
            assert not page.editor.changed
            await page.presses("escape", "escape")
            await page.until(lambda: isinstance(page.pilot.app.screen, PromptsScreen))
            await page.until(lambda: page.selected == "urial-k1-own")
        assert shipped.read_bytes() == before
        assert not (paths.user_prompts_dir() / "urial-k1.toml").exists()

    async def test_the_name_of_a_shipped_one_is_refused(self, laboratory: Prompts) -> None:
        async with laboratory() as page:
            await page.edits("urial-k1")
            await page.saves("urial-k3")
            await page.until(lambda: "✖ The program has a preamble named urial-k3." in page.verdict)
            assert not paths.user_prompts_dir().exists()

    async def test_a_taken_name_has_to_be_confirmed(self, laboratory: Prompts, own: Path) -> None:
        before = find_preamble("mine")
        async with laboratory() as page:
            await page.edits("urial-k1")
            await page.saves("mine")
            await page.until(lambda: "Enter again replaces it." in page.verdict)
            assert find_preamble("mine") == before
            await page.presses("enter")
            await page.is_saved()
        assert find_preamble("mine").examples == find_preamble("urial-k1").examples

    async def test_ones_own_is_saved_in_its_place_with_other_words_about_it(
        self, laboratory: Prompts, own: Path
    ) -> None:
        async with laboratory() as page:
            await page.edits("mine")
            await page.writes("first", "I answer well.")
            await page.saves(title="My own", description="For me.")
            await page.is_saved()
        found = find_preamble("mine")
        assert (found.title, found.description, found.system) == (
            "My own",
            "For me.",
            "I answer well.",
        )

    async def test_what_changed_on_the_disk_meanwhile_has_to_be_confirmed(
        self, laboratory: Prompts, own: Path
    ) -> None:
        async with laboratory() as page:
            await page.edits("mine")
            await page.writes("first", "Mine.")
            (own / "mine.toml").write_text(MINE.replace("I answer.", "Another editor's."))
            await page.saves()
            await page.until(lambda: "mine has changed on the disk since." in page.verdict)
            assert find_preamble("mine").system == "Another editor's."
            await page.presses("enter")
            await page.is_saved()
        assert find_preamble("mine").system == "Mine."

    async def test_one_that_was_deleted_meanwhile_is_there_again(
        self, laboratory: Prompts, own: Path
    ) -> None:
        async with laboratory() as page:
            await page.edits("mine")
            (own / "mine.toml").unlink()
            await page.writes("first", "Still mine.")
            await page.saves()
            await page.is_saved()
        assert find_preamble("mine").system == "Still mine."

    async def test_a_full_disk_keeps_the_file_and_what_was_typed(
        self, laboratory: Prompts, own: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        real = os.fsync

        def full(handle: int) -> None:
            if ".urial-" in str(Path(f"/proc/self/fd/{handle}").readlink()):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            real(handle)

        async with laboratory() as page:
            await page.edits("mine")
            await page.writes("first", "Typed.")
            monkeypatch.setattr(os, "fsync", full)
            await page.saves()
            await page.until(lambda: "No space left on device" in page.verdict)
            await page.presses("escape")
            assert page.field("first") == "Typed."
            assert find_preamble("mine").system == "I answer."
            monkeypatch.setattr(os, "fsync", real)
            await page.saves()
            await page.is_saved()
        assert find_preamble("mine").system == "Typed."

    async def test_what_could_not_work_is_not_saved(self, laboratory: Prompts, own: Path) -> None:
        async with laboratory() as page:
            await page.edits("mine")
            await page.shows_part(1)
            await page.writes("second", "One.\n\nQ: Two?")
            await page.saves()
            await page.until(lambda: "would be cut" in page.verdict)
        assert find_preamble("mine").examples[0].answer == "Three of them."


class TestKeeping:
    async def test_what_was_typed_outlives_the_application(
        self, laboratory: Prompts, own: Path, store: Store, make_app: Any
    ) -> None:
        async with laboratory() as page:
            await page.edits("mine")
            await page.shows_part(1)
            await page.writes("second", "Four.\x1b[31m “Yes”")
        with Store(store.path) as second:
            async with laboratory(store=second) as page:
                assert "mine ✎" in page.line("mine")
                await page.edits("mine")
                assert page.shows("This goes on with what was not saved")
                await page.shows_part(1)
                assert page.field("second") == "Four.\x1b[31m “Yes”"
                assert page.shows("Four.␛[31m")
                await page.presses("f8")
                assert page.shows("It is as it was saved; Alt+U brings back what was made of it.")
                assert page.field("first") == "I answer."
                assert not page.editor.changed
                await page.presses("alt+u")
                assert page.editor.changed
                await page.shows_part(1)
                assert page.field("second") == "Four.\x1b[31m “Yes”"
                await page.presses("f8")
                assert not page.editor.changed
                await page.presses("escape")
                await page.until(lambda: isinstance(page.pilot.app.screen, PromptsScreen))
                await page.until(lambda: not page.row("mine").drafted)

    async def test_what_was_discarded_is_gone_once_something_else_is_changed(
        self, laboratory: Prompts, own: Path
    ) -> None:
        async with laboratory() as page:
            await page.edits("mine")
            await page.writes("first", "One.")
            await page.presses("f8")
            await page.writes("first", "Two.")
            await page.presses("escape", "alt+u")
            assert page.shows("No example was deleted.")
            assert page.field("first") == "Two."

    async def test_it_is_on_the_disk_a_moment_after_it_was_typed(
        self, laboratory: Prompts, own: Path, store: Store
    ) -> None:
        async with laboratory() as page:
            await page.edits("mine")
            await page.writes("first", "Typed a moment ago.")
            await page.until(
                lambda: any("Typed a moment ago." in text for _, _, text in store.drafts())
            )

    async def test_what_was_made_of_a_file_that_is_gone_can_be_gone_on_with(
        self, laboratory: Prompts, own: Path
    ) -> None:
        async with laboratory() as page:
            await page.edits("mine")
            await page.writes("first", "Typed.")
            await page.presses("escape", "escape")
            (own / "mine.toml").unlink()
            await page.presses("f5")
            await page.until(lambda: page.shows("can't be used"))
            await page.edits("mine")
            assert page.field("first") == "Typed."
            await page.saves()
            await page.is_saved()
        assert find_preamble("mine").system == "Typed."

    async def test_where_nothing_is_kept_leaving_is_asked_twice(
        self, laboratory: Prompts, own: Path
    ) -> None:
        async with laboratory(store=None) as page:
            await page.edits("mine")
            await page.writes("first", "Typed.")
            await page.presses("escape", "escape")
            assert page.shows("It is not saved, and nothing is kept here: Ctrl+S saves")
            await page.presses("escape")
            assert isinstance(page.pilot.app.screen, PromptsScreen)

    async def test_an_unsound_one_can_be_mended(self, laboratory: Prompts, own: Path) -> None:
        (own / "mine.toml").write_text(MINE.replace("Three of them.", "Three.\\n\\nQ: And?"))
        async with laboratory() as page:
            assert "can't be used" in page.line("mine")
            await page.edits("mine")
            await page.shows_part(1)
            await page.writes("second", "Three.")
            await page.saves()
            await page.is_saved()
        assert find_preamble("mine").examples[0].answer == "Three."

    async def test_another_model_counts_what_stands_there(
        self, laboratory: Prompts, own: Path, engine: ScriptedEngine
    ) -> None:
        async with laboratory() as page:
            await page.edits("mine")
            await page.writes("first", "Typed.")
            await page.until(lambda: page.shows("0.9% of context"))
            engine.loadable = smaller(engine.loadable)
            app = page.pilot.app
            assert isinstance(app, UrialApp)
            app.chat.models.load()
            await page.until(lambda: page.shows("3.5% of context"))
            assert page.field("first") == "Typed."

    async def test_a_very_long_text_is_kept_whole(self, laboratory: Prompts, own: Path) -> None:
        long = "word " * 50_000 + "end."
        (own / "mine.toml").write_text(MINE.replace("Three of them.", long))
        async with laboratory() as page:
            await page.edits("mine")
            await page.shows_part(1)
            assert page.shows("[long text 1: 250,004 characters]")
            await page.writes("first", "Another query?")
            await page.saves()
            await page.is_saved()
        (example,) = find_preamble("mine").examples
        assert (example.query, example.answer) == ("Another query?", long)


def smaller(info: ModelInfo) -> ModelInfo:
    """The same model with a context of 1,024 tokens."""
    return msgspec.structs.replace(info, n_ctx=1024)


@pytest.mark.parametrize("size", [(60, 20), (80, 24), (120, 40)])
async def test_texts_and_keys_are_there_at_any_size(
    laboratory: Prompts, own: Path, opened: Opened, size: tuple[int, int]
) -> None:
    async with laboratory(size=size) as page:
        await page.edits("mine")
        await page.shows_part(1)
        for text in ("System text", "Query of example 1", "How many?", "Three of them.", "Ctrl+S"):
            assert page.shows(text), text
        await page.presses("f1")
        await page.until(lambda: page.shows("Save as your own") or page.shows("Change a preamble"))


async def test_a_preamble_with_a_finding_in_every_line_can_be_changed(
    laboratory: Prompts, own: Path
) -> None:
    examples = "".join(
        f'[[examples]]\nquery = "Why {n}?"\nanswer = "Because of {n}, and"\n' for n in range(1500)
    )
    (own / "mine.toml").write_text(MINE + examples)
    async with laboratory(size=(120, 40)) as page:
        await page.edits("mine")
        await page.until(lambda: page.shows("warnings"))
        await page.shows_part(1501)
        assert page.field("first") == "Why 1499?"
        await page.writes("second", "So.")
        await page.saves()
        await page.is_saved()
    assert find_preamble("mine").examples[-1].answer == "So."
