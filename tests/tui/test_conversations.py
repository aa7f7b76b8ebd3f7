"""The stored conversations, looked after by keys and by the mouse."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import msgspec
import pytest
from textual.widgets import Input

from tests.scripted import Gate, ScriptedEngine, answer, delta
from tests.tui.conftest import Chatting
from tests.tui.conversations_page import ConversationsPage
from tests.tui.stored import THEN, put, put_some
from urial_tui.chat.export import exported, whole_conversation
from urial_tui.chat.store import Store
from urial_tui.chat.turns import WholeConversation, new_id
from urial_tui.errors import StoreError
from urial_tui.settings import Settings
from urial_tui.tui.chat.header_line import HeaderLine
from urial_tui.tui.chat.transcript import Transcript
from urial_tui.tui.conversations.conversation_list import ConversationList
from urial_tui.tui.conversations.conversations_screen import ConversationsScreen
from urial_tui.tui.conversations.search_line import SearchLine


class TestFinding:
    async def test_everything_is_listed_the_newest_first(
        self, chatting: Chatting, store: Store
    ) -> None:
        wholes = put_some(store)
        async with chatting() as chat:
            stored = await chat.leads_to(ConversationsPage)
            seen = []
            for _ in wholes:
                seen.append(stored.selected)
                await stored.presses("down")
            assert seen == [whole.record.title for whole in wholes]
            assert stored.selected == wholes[-1].record.title
            await stored.presses("ctrl+home")
            assert stored.selected == wholes[0].record.title

    async def test_typing_finds_and_says_how_many(self, chatting: Chatting, store: Store) -> None:
        put_some(store)
        async with chatting() as chat:
            stored = await chat.leads_to(ConversationsPage)
            await stored.seeks("shade", "1 of 4 found")
            assert stored.selected == "Plan a garden"
            assert stored.shows("ivy grow in the shade. Water them")
            await stored.presses("escape")
            await stored.reads("4 stored")
            assert stored.selected == "Plan a garden"

    async def test_the_words_are_marked_without_colour_as_well(
        self, chatting: Chatting, store: Store
    ) -> None:
        put_some(store)
        async with chatting() as chat:
            stored = await chat.leads_to(ConversationsPage)
            await stored.seeks("shade", "1 of 4 found")
            marked = [
                segment.text
                for strip in stored.app.screen._compositor.render_strips()
                for segment in strip
                if segment.style is not None and segment.style.underline and segment.text.strip()
            ]
            assert marked == ["shade", "shade"]

    async def test_one_in_which_something_is_not_sent_says_so(
        self, chatting: Chatting, store: Store
    ) -> None:
        whole = put_some(store)[1]
        store.keep_draft(whole.record.id, "question", "And in the sun?")
        async with chatting() as chat:
            stored = await chat.leads_to(ConversationsPage)
            said = [line for line in stored.lines if "typed, not sent" in line]
            assert len(said) == 1
            assert "typed, not sent · mistral-7b · urial-k8 · 2 turns" in said[0]
            await stored.seeks("shade", "1 of 4 found")
            assert stored.shows("typed, not sent · mistral-7b")

    async def test_what_is_not_found_is_explained(self, chatting: Chatting, store: Store) -> None:
        put_some(store)
        async with chatting() as chat:
            stored = await chat.leads_to(ConversationsPage)
            await stored.seeks("elsewhere", "0 of 4 found")
            assert stored.shows("Nothing holds “elsewhere”.")
            assert stored.shows("All words have to be in one turn, or in the title.")
            assert stored.lines[-1] == " Ctrl+L imports  Esc back"
            await stored.presses("enter", "f2", "delete", "ctrl+e", "down", "pagedown")
            assert isinstance(stored.app.screen, ConversationsScreen)
            await stored.presses("escape")
            await stored.reads("4 stored")
            await stored.presses("escape")
            await chat.is_back()

    async def test_thousands_are_listed_and_gone_through(
        self, chatting: Chatting, store: Store
    ) -> None:
        head = put(store, "Number 0")
        store.add(
            WholeConversation(
                msgspec.structs.replace(
                    head.record, id=new_id(), title=f"Number {number}", updated=THEN + number
                ),
                (),
            )
            for number in range(1, 5000)
        )
        async with chatting() as chat:
            stored = await chat.leads_to(ConversationsPage)
            assert stored.shows("5,000 stored")
            await stored.presses("ctrl+end")
            assert stored.selected == "Number 0"
            await stored.reads("Number 0")
            await stored.presses("pageup", "pageup")
            assert stored.selected not in ("Number 0", "Number 4999")
            await stored.seeks("4321", "1 of 5,000 found")
            assert stored.selected == "Number 4321"

    async def test_a_hostile_title_is_shown_as_it_is(
        self, chatting: Chatting, store: Store
    ) -> None:
        put(store, "\x1b[31m[red]x[/red]\u202e" + "w" * 300)
        put(store, "")
        async with chatting() as chat:
            stored = await chat.leads_to(ConversationsPage)
            assert stored.shows("␛[31m[red]x[/red]<U+202E>ww")
            assert stored.shows("(no title)")
            assert "\x1b" not in stored.text

    async def test_what_was_pasted_into_the_search_is_harmless(
        self, chatting: Chatting, store: Store
    ) -> None:
        put_some(store)
        async with chatting() as chat:
            stored = await chat.leads_to(ConversationsPage)
            stored.app.screen.query_one(Input).insert_text_at_cursor("\x1b[31m x")
            await stored.reads("Nothing holds “␛[31m x”")

    async def test_a_database_that_fails_is_told_of(
        self, chatting: Chatting, store: Store, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        put_some(store)

        def fail(*arguments: object) -> None:
            raise StoreError("The disk is gone.", "Look for it.")

        async with chatting() as chat:
            stored = await chat.leads_to(ConversationsPage)
            for name in ("delete", "rename", "bring_back"):
                monkeypatch.setattr(store, name, fail)
            for keys in (["delete"], ["f2", "enter"], ["ctrl+z"]):
                await stored.presses(*keys)
                await stored.reads("✖ The disk is gone. Look for it.")
                await stored.types("x")
                await stored.loses("The disk is gone")
                await stored.presses("backspace")
                await stored.reads("4 stored")


class TestOpening:
    async def test_a_hit_opens_at_its_turn(self, chatting: Chatting, store: Store) -> None:
        texts = [text for n in range(12) for text in (f"Question {n}", f"Answer {n}. " * 20)]
        texts[4] = "Where is the needle?"
        put(store, "Long", *texts)
        async with chatting() as chat:
            stored = await chat.leads_to(ConversationsPage)
            await stored.types("needle")
            await stored.presses("enter")
            await chat.until(lambda: chat.is_on_top and chat.shows("Where is the needle?"))
            marked = chat.screen.query_one(Transcript).marked
            assert marked is not None
            assert marked.turn_id == store.turns(chat.screen.conversation.record.id)[4].id
            assert not chat.shows("Question 11")

    async def test_the_path_leads_through_the_turn_that_was_found(
        self, chatting: Chatting, store: Store
    ) -> None:
        whole = put(store, "Two", "Hello", "The first answer")
        _, first = whole.turns
        other = msgspec.structs.replace(first, id=new_id(), text="The second answer")
        store.save_answer(other)
        async with chatting() as chat:
            stored = await chat.leads_to(ConversationsPage)
            await stored.types("first")
            await stored.presses("enter")
            await chat.until(lambda: chat.is_on_top and chat.shows("The first answer"))
            assert chat.answers == ["The first answer"]
            await chat.presses("u")
            await chat.has_answers("The second answer")

    async def test_it_opens_where_one_stood_last_and_at_the_end(
        self, chatting: Chatting, store: Store, engine: ScriptedEngine
    ) -> None:
        async with chatting() as chat:
            await chat.exchanges("one", "First.")
            engine.enqueue(*answer("Second."))
            await chat.presses("f5")
            await chat.has_answers("Second.")
            await chat.presses("alt+left")
            await chat.has_answers("First.")
            leaf = chat.screen.conversation.leaf
            assert leaf is not None
            await chat.until(lambda: store.conversations()[0].leaf == leaf.id)
        async with chatting() as chat:
            stored = await chat.leads_to(ConversationsPage)
            await stored.presses("enter")
            await chat.until(lambda: chat.is_on_top and chat.answers == ["First."])
            assert chat.screen.query_one(Transcript).is_vertical_scroll_end

    async def test_the_open_one_is_selected_and_goes_on_unharmed(
        self, chatting: Chatting, store: Store, engine: ScriptedEngine
    ) -> None:
        put_some(store)
        gate = Gate()
        engine.enqueue(delta("Half"), gate, *answer(" done"))
        async with chatting() as chat:
            put(store, "Newer than all", updated=9e9)
            await chat.asks("one")
            await chat.reads("Half")
            stored = await chat.leads_to(ConversationsPage)
            assert stored.selected == "one"
            await stored.presses("enter")
            await chat.is_back()
            gate.open()
            await chat.reads("done")

    async def test_the_preamble_is_restored_where_it_is_there(
        self, chatting: Chatting, store: Store
    ) -> None:
        put(store, "Another", preamble="urial-k3")
        async with chatting() as chat:
            stored = await chat.leads_to(ConversationsPage)
            await stored.presses("enter")
            await chat.until(lambda: chat.is_on_top and chat.shows("An answer."))
            assert chat.screen.query_one(HeaderLine).preamble == "urial-k3"
            (notice,) = [one.message for one in chat.app._notifications]
            assert notice == "This was written under urial-k3; tiny under urial-k3 goes on."
            await chat.exchanges("And?", "More.")
            assert chat.screen.choice.preamble.name == "urial-k3"
            assert store.turns(chat.screen.conversation.record.id)[-1].preamble == "urial-k3"

    async def test_what_is_not_there_any_more_is_told(
        self, chatting: Chatting, store: Store
    ) -> None:
        put(store, "Another", model="gone-7b", preamble="gone")
        async with chatting() as chat:
            stored = await chat.leads_to(ConversationsPage)
            await stored.presses("enter")
            await chat.until(lambda: chat.is_on_top and len(chat.app._notifications) > 0)
            (notice,) = [one.message for one in chat.app._notifications]
            assert notice == (
                "This was written with gone-7b under gone, which is not here; "
                "tiny under urial-k1 goes on."
            )

    async def test_the_mouse_selects_and_then_opens(self, chatting: Chatting, store: Store) -> None:
        put_some(store)
        async with chatting() as chat:
            stored = await chat.leads_to(ConversationsPage)
            await stored.pilot.click(ConversationList, offset=(10, 3))
            await stored.selects("Plan a garden")
            await stored.pilot.click(ConversationList, offset=(10, 2))
            await chat.until(lambda: chat.is_on_top and chat.shows("Ferns"))


class TestPreview:
    async def test_it_shows_the_selected_one_where_there_is_room(
        self, chatting: Chatting, store: Store
    ) -> None:
        put_some(store)
        async with chatting(size=(120, 40)) as chat:
            stored = await chat.leads_to(ConversationsPage)
            await stored.reads("And a large one?")
            await stored.presses("down")
            await stored.reads("What grows in the shade")
            await stored.resizes(80, 24)
            await stored.loses("What grows in the shade")

    async def test_it_starts_at_the_turn_that_was_found(
        self, chatting: Chatting, store: Store
    ) -> None:
        put_some(store)
        async with chatting(size=(120, 40)) as chat:
            stored = await chat.leads_to(ConversationsPage)
            await stored.seeks("large", "1 of 4 found")
            await stored.reads("… 2 turns before")

    async def test_of_a_long_turn_it_shows_where_the_word_stands(
        self, chatting: Chatting, store: Store
    ) -> None:
        put(store, "Long", "Hello", "x " * 5000 + "needle " + "y " * 5000)
        async with chatting(size=(120, 40)) as chat:
            stored = await chat.leads_to(ConversationsPage)
            await stored.seeks("needle", "1 of 1 found")
            await stored.reads("x needle y")


class TestRenaming:
    async def test_the_title_is_changed_where_it_stands(
        self, chatting: Chatting, store: Store
    ) -> None:
        put_some(store)
        async with chatting() as chat:
            stored = await chat.leads_to(ConversationsPage)
            await stored.presses("down")
            await stored.starts_renaming()
            await stored.presses("end", "s")
            assert "Plan a gardens" in stored.lines[6]
            assert stored.shows("Enter keeps the title  Esc leaves it as it was")
            await stored.presses("enter")
            await stored.selects("Plan a gardens")
            assert store.conversations()[1].title == "Plan a gardens"

    async def test_leaving_it_or_an_empty_one_changes_nothing(
        self, chatting: Chatting, store: Store
    ) -> None:
        wholes = put_some(store)
        async with chatting() as chat:
            stored = await chat.leads_to(ConversationsPage)
            await stored.starts_renaming()
            await stored.presses("end", "x", "escape")
            await stored.until(lambda: isinstance(stored.app.focused, SearchLine))
            await stored.starts_renaming()
            await stored.presses(*["backspace"] * 30, "enter")
            await stored.reads("The title is empty.")
            assert store.title(wholes[0].record.id) == "How do I read a file?"
            await stored.seeks("shade", "1 of 4 found")

    async def test_the_open_one_has_its_new_title(self, chatting: Chatting, store: Store) -> None:
        async with chatting() as chat:
            await chat.exchanges("one", "First.")
            stored = await chat.leads_to(ConversationsPage)
            await stored.starts_renaming()
            await stored.presses("end", *"more", "enter")
            await stored.selects("onemore")
            await stored.presses("escape")
            await chat.is_back()
            assert chat.screen.query_one(HeaderLine).title_text == "onemore"
            await chat.exchanges("two", "Second.")
            assert chat.screen.query_one(HeaderLine).title_text == "onemore"


class TestDeleting:
    async def test_it_can_be_undone(self, chatting: Chatting, store: Store) -> None:
        put_some(store)
        async with chatting() as chat:
            stored = await chat.leads_to(ConversationsPage)
            await stored.presses("delete")
            await stored.reads("3 stored")
            assert stored.shows("Deleted “How do I read a file?”. Ctrl+Z brings it back.")
            assert stored.selected == "Plan a garden"
            await stored.presses("ctrl+z")
            await stored.reads("4 stored")
            assert stored.selected == "How do I read a file?"
            assert stored.shows("“How do I read a file?” is back.")
            await stored.presses("ctrl+z")
            await stored.reads("Nothing is deleted")

    async def test_within_a_search_it_erases_first(self, chatting: Chatting, store: Store) -> None:
        put_some(store)
        async with chatting() as chat:
            stored = await chat.leads_to(ConversationsPage)
            await stored.seeks("shadex", "0 of 4 found")
            await stored.presses("left", "delete")
            await stored.reads("1 of 4 found")
            await stored.presses("delete")
            await stored.reads("0 of 3 found")
            assert stored.shows("Deleted “Plan a garden”")

    async def test_the_last_one_leaves_an_empty_list(
        self, chatting: Chatting, store: Store
    ) -> None:
        put(store, "Only one")
        async with chatting() as chat:
            stored = await chat.leads_to(ConversationsPage)
            await stored.presses("delete")
            await stored.reads("There are none yet.")
            assert stored.shows("What you ask in the chat is stored here as you go.")
            assert stored.shows("Ctrl+L takes in")
            assert stored.lines[-1] == " Ctrl+L imports  Esc back"

    async def test_the_open_one_makes_way_for_a_new_one(
        self, chatting: Chatting, store: Store
    ) -> None:
        async with chatting() as chat:
            await chat.exchanges("one", "First.")
            stored = await chat.leads_to(ConversationsPage)
            await stored.presses("delete")
            await stored.reads("Deleted “one”")
            await stored.presses("escape")
            await chat.until(lambda: chat.is_on_top and chat.shows("Chat with a base"))
            await chat.exchanges("two", "Second.")
            assert [one.title for one in store.conversations()] == ["two"]
            assert store.bring_back() is not None

    async def test_the_open_one_stays_where_it_was_brought_back(
        self, chatting: Chatting, store: Store
    ) -> None:
        async with chatting() as chat:
            await chat.exchanges("one", "First.")
            stored = await chat.leads_to(ConversationsPage)
            await stored.presses("delete")
            await stored.reads("Deleted “one”")
            await stored.presses("ctrl+z")
            await stored.reads("is back")
            await stored.presses("escape")
            await chat.is_back()
            assert chat.answers == ["First."]

    async def test_one_that_another_program_deleted_is_told_of(
        self, chatting: Chatting, store: Store
    ) -> None:
        whole = put(store, "Only one")
        async with chatting() as chat:
            stored = await chat.leads_to(ConversationsPage)
            store.delete(whole.record.id)
            await stored.presses("enter")
            await chat.until(lambda: chat.is_on_top and chat.shows("no longer in the"))


class TestFiles:
    @pytest.fixture(autouse=True)
    def here(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        directory = tmp_path / "here"
        directory.mkdir()
        monkeypatch.chdir(directory)
        return directory

    async def test_an_export_comes_back_by_an_import(
        self, chatting: Chatting, store: Store, here: Path
    ) -> None:
        whole = put_some(store)[0]
        async with chatting(size=(120, 40)) as chat:
            stored = await chat.leads_to(ConversationsPage)
            await stored.starts_exporting("How-do-I-read-a-file.md")
            await stored.presses("enter")
            await stored.reads("Wrote ")
            (file,) = here.iterdir()
            assert file.read_text().startswith("---\nformat: urial-tui 1\n")
            await stored.starts_importing()
            await stored.types("How")
            await stored.reads(file.name)
            await stored.presses("right", "enter")
            await stored.reads("Took in “How do I read a file?”.")
            await stored.reads("5 stored")
            copies = [one for one in store.conversations() if one.title == whole.record.title]
            assert len(copies) == 2

    async def test_the_form_and_the_ending_of_the_path_go_together(
        self, chatting: Chatting, store: Store, here: Path
    ) -> None:
        whole = put_some(store)[0]
        async with chatting(size=(120, 40)) as chat:
            stored = await chat.leads_to(ConversationsPage)
            await stored.starts_exporting("How-do-I-read-a-file.md")
            await stored.presses("tab")
            await stored.reads("How-do-I-read-a-file.json")
            await stored.presses("enter")
            await stored.reads("Wrote ")
            (file,) = here.iterdir()
            assert file.suffix == ".json"
            store.delete(whole.record.id)
            store.purge(older_than=-1)
            await stored.starts_importing()
            await stored.types(file.name)
            await stored.presses("enter")
            await stored.reads("Took in")
            assert whole_conversation(store, whole.record.id).turns == whole.turns

    async def test_what_is_stored_already_is_said_and_selected(
        self, chatting: Chatting, store: Store, here: Path
    ) -> None:
        whole = put_some(store)[1]
        (here / "kept.json").write_text(
            exported([whole_conversation(store, whole.record.id)], "json")
        )
        async with chatting(size=(120, 40)) as chat:
            stored = await chat.leads_to(ConversationsPage)
            await stored.starts_importing()
            await stored.types("kept.json")
            await stored.presses("enter")
            await stored.reads("is stored already, and was left as it is.")
            await stored.reads("4 stored")
            await stored.presses("enter")
            await chat.is_back()
            await chat.reads(whole.turns[0].text)

    async def test_a_file_that_is_there_is_replaced_by_another_enter_only(
        self, chatting: Chatting, store: Store, here: Path
    ) -> None:
        put_some(store)
        mine = here / "mine.md"
        mine.write_text("mine")
        async with chatting(size=(120, 40)) as chat:
            stored = await chat.leads_to(ConversationsPage)
            await stored.starts_exporting("How-do-I-read-a-file.md")
            await stored.presses("ctrl+a", "ctrl+k")
            await stored.types("mine.md")
            await stored.presses("enter")
            await stored.reads("Enter again replaces it.")
            assert mine.read_text() == "mine"
            await stored.presses("enter")
            await stored.reads("Wrote ")
            assert "How do I read a file?" in mine.read_text()

    @pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
    async def test_a_place_that_can_not_be_written_is_told_of(
        self, chatting: Chatting, store: Store, here: Path
    ) -> None:
        put_some(store)
        here.chmod(0o500)
        async with chatting(size=(120, 40)) as chat:
            stored = await chat.leads_to(ConversationsPage)
            await stored.starts_exporting("How-do-I-read-a-file.md")
            await stored.presses("enter")
            await stored.reads("can't be written")
        here.chmod(0o700)

    async def test_a_file_that_is_no_export_is_explained(
        self, chatting: Chatting, store: Store, here: Path
    ) -> None:
        (here / "bad.json").write_text("{")
        (here / "letter.md").write_text("Dear all")
        async with chatting(size=(120, 40)) as chat:
            stored = await chat.leads_to(ConversationsPage)
            await stored.starts_importing()
            await stored.presses("enter")
            await stored.reads("Type the path of a file.")
            await stored.types("bad.json")
            await stored.presses("enter")
            await stored.reads("This is no export of urial-tui.")
            await stored.presses("ctrl+a", "ctrl+k")
            await stored.types("letter.md")
            await stored.presses("enter")
            await stored.reads("There are no turns in this file.")
            # The line may break anywhere in between.
            assert stored.shows("Start")
            assert stored.shows('"## Assistant".')
            await stored.presses("escape")
            await stored.is_on(ConversationsScreen)
            assert store.count() == 0


class TestKeys:
    async def test_what_the_last_line_says_follows_the_users_keys(
        self, chatting: Chatting, store: Store
    ) -> None:
        put_some(store)
        settings = Settings(keys={"conversations.delete": "f8"})
        async with chatting(settings=settings) as chat:
            stored = await chat.leads_to(ConversationsPage)
            assert stored.shows("F8 deletes")
            await stored.presses("f8")
            await stored.reads("3 stored")


async def test_a_search_that_takes_long_holds_up_no_key(
    chatting: Chatting, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_some(store)
    gate = threading.Event()
    count = store.count

    def slow() -> int:
        gate.wait(60)
        return count()

    async with chatting() as chat:
        stored = await chat.leads_to(ConversationsPage)
        monkeypatch.setattr(store, "count", slow)
        await stored.types("garden")
        await stored.presses("down")
        assert stored.app.screen.query_one(Input).value == "garden"
        await stored.selects("Plan a garden")
        gate.set()
        await stored.reads("1 of 4 found")
