"""The stored conversations, looked after by keys and by the mouse."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Any

import msgspec
import pytest
from textual.pilot import Pilot
from textual.widgets import Input

from tests.scripted import Gate, ScriptedEngine, answer, delta
from tests.tui.conftest import Opened, screen_text, shows, type_text, wait_until
from tests.tui.stored import THEN, put, put_some
from tests.tui.test_chat_screen import ask, converse, markdown
from urial_tui.chat.export import whole_conversation
from urial_tui.chat.store import Store
from urial_tui.chat.turns import WholeConversation, new_id
from urial_tui.errors import StoreError
from urial_tui.settings import Settings
from urial_tui.tui.app import UrialApp
from urial_tui.tui.chat.chat_screen import ChatScreen
from urial_tui.tui.chat.header_line import HeaderLine
from urial_tui.tui.chat.transcript import Transcript
from urial_tui.tui.conversations.conversation_list import ConversationList, age
from urial_tui.tui.conversations.conversations_screen import ConversationsScreen
from urial_tui.tui.conversations.search_line import SearchLine, TitleLine


async def look(pilot: Pilot[None]) -> None:
    """Go to the stored conversations and wait until they are listed."""
    await pilot.press("ctrl+o")
    await wait_until(pilot, lambda: isinstance(pilot.app.screen, ConversationsScreen))
    await wait_until(pilot, lambda: shows(pilot, " stored"))


async def search(pilot: Pilot[None], words: str, found: str) -> None:
    """Type words and wait until the heading says what was found."""
    await type_text(pilot, words)
    await wait_until(pilot, lambda: found in screen_text(pilot).splitlines()[0])


async def start_renaming(pilot: Pilot[None]) -> None:
    await pilot.press("f2")
    await wait_until(pilot, lambda: isinstance(pilot.app.focused, TitleLine))


def chat(pilot: Pilot[None]) -> ChatScreen:
    assert isinstance(pilot.app, UrialApp)
    return pilot.app.chat


def selected(pilot: Pilot[None]) -> str:
    """The title of the selected conversation; "" for none."""
    row = pilot.app.screen.query_one(ConversationList).row
    return "" if row is None else row.hit.conversation.title


def in_chat(pilot: Pilot[None]) -> bool:
    return isinstance(pilot.app.screen, ChatScreen)


class TestFinding:
    async def test_everything_is_listed_the_newest_first(
        self, opened: Opened, store: Store
    ) -> None:
        wholes = put_some(store)
        async with opened() as pilot:
            await look(pilot)
            seen = []
            for _ in wholes:
                seen.append(selected(pilot))
                await pilot.press("down")
            assert seen == [whole.record.title for whole in wholes]
            assert selected(pilot) == wholes[-1].record.title
            await pilot.press("ctrl+home")
            assert selected(pilot) == wholes[0].record.title

    async def test_typing_finds_and_says_how_many(self, opened: Opened, store: Store) -> None:
        put_some(store)
        async with opened() as pilot:
            await look(pilot)
            await search(pilot, "shade", "1 of 4 found")
            assert selected(pilot) == "Plan a garden"
            assert shows(pilot, "ivy grow in the shade. Water them")
            await pilot.press("escape")
            await wait_until(pilot, lambda: shows(pilot, "4 stored"))
            assert selected(pilot) == "Plan a garden"

    async def test_the_words_are_marked_without_colour_as_well(
        self, opened: Opened, store: Store
    ) -> None:
        put_some(store)
        async with opened() as pilot:
            await look(pilot)
            await search(pilot, "shade", "1 of 4 found")
            marked = [
                segment.text
                for strip in pilot.app.screen._compositor.render_strips()
                for segment in strip
                if segment.style is not None and segment.style.underline and segment.text.strip()
            ]
            assert marked == ["shade", "shade"]

    async def test_what_is_not_found_is_explained(self, opened: Opened, store: Store) -> None:
        put_some(store)
        async with opened() as pilot:
            await look(pilot)
            await search(pilot, "elsewhere", "0 of 4 found")
            assert shows(pilot, "Nothing holds “elsewhere”.")
            await pilot.press("enter", "f2", "delete", "ctrl+e", "down", "pagedown")
            assert isinstance(pilot.app.screen, ConversationsScreen)
            await pilot.press("escape")
            await wait_until(pilot, lambda: shows(pilot, "4 stored"))
            await pilot.press("escape")
            await wait_until(pilot, lambda: in_chat(pilot))

    async def test_thousands_are_listed_and_gone_through(
        self, opened: Opened, store: Store
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
        async with opened() as pilot:
            await look(pilot)
            assert shows(pilot, "5,000 stored")
            await pilot.press("ctrl+end")
            assert selected(pilot) == "Number 0"
            await wait_until(pilot, lambda: shows(pilot, "Number 0"))
            await pilot.press("pageup", "pageup")
            assert selected(pilot) not in ("Number 0", "Number 4999")
            await search(pilot, "4321", "1 of 5,000 found")
            assert selected(pilot) == "Number 4321"

    async def test_a_hostile_title_is_shown_as_it_is(self, opened: Opened, store: Store) -> None:
        put(store, "\x1b[31m[red]x[/red]\u202e" + "w" * 300)
        put(store, "")
        async with opened() as pilot:
            await look(pilot)
            assert shows(pilot, "␛[31m[red]x[/red]<U+202E>ww")
            assert shows(pilot, "(no title)")
            assert "\x1b" not in screen_text(pilot)

    async def test_what_was_pasted_into_the_search_is_harmless(
        self, opened: Opened, store: Store
    ) -> None:
        put_some(store)
        async with opened() as pilot:
            await look(pilot)
            pilot.app.screen.query_one(Input).insert_text_at_cursor("\x1b[31m x")
            await wait_until(pilot, lambda: shows(pilot, "Nothing holds “␛[31m x”"))

    async def test_a_database_that_fails_is_told_of(
        self, opened: Opened, store: Store, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        put_some(store)

        def fail(*arguments: object) -> None:
            raise StoreError("The disk is gone.", "Look for it.")

        async with opened() as pilot:
            await look(pilot)
            for name in ("delete", "rename", "bring_back"):
                monkeypatch.setattr(store, name, fail)
            for keys in (["delete"], ["f2", "enter"], ["ctrl+z"]):
                await pilot.press(*keys)
                await wait_until(pilot, lambda: shows(pilot, "✖ The disk is gone. Look for it."))
                await type_text(pilot, "x")
                await wait_until(pilot, lambda: not shows(pilot, "The disk is gone"))
                await pilot.press("backspace")
                await wait_until(pilot, lambda: shows(pilot, "4 stored"))


class TestOpening:
    async def test_a_hit_opens_at_its_turn(
        self, opened: Opened, store: Store, engine: ScriptedEngine
    ) -> None:
        texts = [text for n in range(12) for text in (f"Question {n}", f"Answer {n}. " * 20)]
        texts[4] = "Where is the needle?"
        put(store, "Long", *texts)
        async with opened() as pilot:
            await look(pilot)
            await type_text(pilot, "needle")
            await pilot.press("enter")
            await wait_until(pilot, lambda: in_chat(pilot) and shows(pilot, "Where is the needle?"))
            marked = chat(pilot).query_one(Transcript).marked
            assert marked is not None
            assert marked.turn_id == store.turns(chat(pilot).conversation.record.id)[4].id
            assert not shows(pilot, "Question 11")

    async def test_the_path_leads_through_the_turn_that_was_found(
        self, opened: Opened, store: Store, engine: ScriptedEngine
    ) -> None:
        whole = put(store, "Two", "Hello", "The first answer")
        _, first = whole.turns
        other = msgspec.structs.replace(first, id=new_id(), text="The second answer")
        store.save_answer(other)
        async with opened() as pilot:
            await look(pilot)
            await type_text(pilot, "first")
            await pilot.press("enter")
            await wait_until(pilot, lambda: in_chat(pilot) and shows(pilot, "The first answer"))
            assert markdown(pilot) == ["The first answer"]
            await pilot.press("u")
            await wait_until(pilot, lambda: markdown(pilot) == ["The second answer"])

    async def test_it_opens_where_one_stood_last_and_at_the_end(
        self, opened: Opened, store: Store, engine: ScriptedEngine
    ) -> None:
        async with opened() as pilot:
            await converse(pilot, engine, "one", "First.")
            engine.enqueue(*answer("Second."))
            await pilot.press("f5")
            await wait_until(pilot, lambda: markdown(pilot) == ["Second."])
            await pilot.press("alt+left")
            await wait_until(pilot, lambda: markdown(pilot) == ["First."])
            leaf = chat(pilot).conversation.leaf
            assert leaf is not None
            await wait_until(pilot, lambda: store.conversations()[0].leaf == leaf.id)
        async with opened() as pilot:
            await look(pilot)
            await pilot.press("enter")
            await wait_until(pilot, lambda: in_chat(pilot) and markdown(pilot) == ["First."])
            assert chat(pilot).query_one(Transcript).is_vertical_scroll_end

    async def test_the_open_one_is_selected_and_goes_on_unharmed(
        self, opened: Opened, store: Store, engine: ScriptedEngine
    ) -> None:
        put_some(store)
        gate = Gate()
        engine.enqueue(delta("Half"), gate, *answer(" done"))
        async with opened() as pilot:
            put(store, "Newer than all", updated=9e9)
            await ask(pilot, "one")
            await wait_until(pilot, lambda: shows(pilot, "Half"))
            await look(pilot)
            assert selected(pilot) == "one"
            await pilot.press("enter")
            await wait_until(pilot, lambda: in_chat(pilot))
            gate.open()
            await wait_until(pilot, lambda: shows(pilot, "done"))

    async def test_the_preamble_is_restored_where_it_is_there(
        self, opened: Opened, store: Store, engine: ScriptedEngine
    ) -> None:
        put(store, "Another", preamble="urial-k3")
        async with opened() as pilot:
            await look(pilot)
            await pilot.press("enter")
            await wait_until(pilot, lambda: in_chat(pilot) and shows(pilot, "An answer."))
            assert chat(pilot).query_one(HeaderLine).preamble == "urial-k3"
            (notice,) = [one.message for one in pilot.app._notifications]
            assert notice == "This was written under urial-k3; tiny under urial-k3 goes on."
            await converse(pilot, engine, "And?", "More.")
            assert chat(pilot).choice.preamble.name == "urial-k3"
            assert store.turns(chat(pilot).conversation.record.id)[-1].preamble == "urial-k3"

    async def test_what_is_not_there_any_more_is_told(
        self, opened: Opened, store: Store, engine: ScriptedEngine
    ) -> None:
        put(store, "Another", model="gone-7b", preamble="gone")
        async with opened() as pilot:
            await look(pilot)
            await pilot.press("enter")
            await wait_until(pilot, lambda: in_chat(pilot) and len(pilot.app._notifications) > 0)
            (notice,) = [one.message for one in pilot.app._notifications]
            assert notice == (
                "This was written with gone-7b under gone, which is not here; "
                "tiny under urial-k1 goes on."
            )

    async def test_the_mouse_selects_and_then_opens(
        self, opened: Opened, store: Store, engine: ScriptedEngine
    ) -> None:
        put_some(store)
        async with opened() as pilot:
            await look(pilot)
            await pilot.click(ConversationList, offset=(10, 3))
            await wait_until(pilot, lambda: selected(pilot) == "Plan a garden")
            await pilot.click(ConversationList, offset=(10, 2))
            await wait_until(pilot, lambda: in_chat(pilot) and shows(pilot, "Ferns"))


class TestPreview:
    async def test_it_shows_the_selected_one_where_there_is_room(
        self, opened: Opened, store: Store
    ) -> None:
        put_some(store)
        async with opened(size=(120, 40)) as pilot:
            await look(pilot)
            await wait_until(pilot, lambda: shows(pilot, "And a large one?"))
            await pilot.press("down")
            await wait_until(pilot, lambda: shows(pilot, "What grows in the shade"))
            await pilot.resize_terminal(80, 24)
            await wait_until(pilot, lambda: not shows(pilot, "What grows in the shade"))

    async def test_it_starts_at_the_turn_that_was_found(self, opened: Opened, store: Store) -> None:
        put_some(store)
        async with opened(size=(120, 40)) as pilot:
            await look(pilot)
            await search(pilot, "large", "1 of 4 found")
            await wait_until(pilot, lambda: shows(pilot, "… 2 turns before"))

    async def test_of_a_long_turn_it_shows_where_the_word_stands(
        self, opened: Opened, store: Store
    ) -> None:
        put(store, "Long", "Hello", "x " * 5000 + "needle " + "y " * 5000)
        async with opened(size=(120, 40)) as pilot:
            await look(pilot)
            await search(pilot, "needle", "1 of 1 found")
            await wait_until(pilot, lambda: shows(pilot, "x needle y"))


class TestRenaming:
    async def test_the_title_is_changed_where_it_stands(self, opened: Opened, store: Store) -> None:
        put_some(store)
        async with opened() as pilot:
            await look(pilot)
            await pilot.press("down")
            await start_renaming(pilot)
            await pilot.press("end", "s")
            assert "Plan a gardens" in screen_text(pilot).splitlines()[6]
            assert shows(pilot, "Enter keeps the title  Esc leaves it as it was")
            await pilot.press("enter")
            await wait_until(pilot, lambda: selected(pilot) == "Plan a gardens")
            assert store.conversations()[1].title == "Plan a gardens"

    async def test_leaving_it_or_an_empty_one_changes_nothing(
        self, opened: Opened, store: Store
    ) -> None:
        wholes = put_some(store)
        async with opened() as pilot:
            await look(pilot)
            await start_renaming(pilot)
            await pilot.press("end", "x", "escape")
            await wait_until(pilot, lambda: isinstance(pilot.app.focused, SearchLine))
            await start_renaming(pilot)
            await pilot.press(*["backspace"] * 30, "enter")
            await wait_until(pilot, lambda: shows(pilot, "The title is empty."))
            assert store.title(wholes[0].record.id) == "How do I read a file?"
            await search(pilot, "shade", "1 of 4 found")

    async def test_the_open_one_has_its_new_title(
        self, opened: Opened, store: Store, engine: ScriptedEngine
    ) -> None:
        async with opened() as pilot:
            await converse(pilot, engine, "one", "First.")
            await look(pilot)
            await start_renaming(pilot)
            await pilot.press("end", *"more", "enter")
            await wait_until(pilot, lambda: selected(pilot) == "onemore")
            await pilot.press("escape")
            await wait_until(pilot, lambda: in_chat(pilot))
            assert chat(pilot).query_one(HeaderLine).title_text == "onemore"
            await converse(pilot, engine, "two", "Second.")
            assert chat(pilot).query_one(HeaderLine).title_text == "onemore"


class TestDeleting:
    async def test_it_can_be_undone(self, opened: Opened, store: Store) -> None:
        put_some(store)
        async with opened() as pilot:
            await look(pilot)
            await pilot.press("delete")
            await wait_until(pilot, lambda: shows(pilot, "3 stored"))
            assert shows(pilot, "Deleted “How do I read a file?”. Ctrl+Z brings it back.")
            assert selected(pilot) == "Plan a garden"
            await pilot.press("ctrl+z")
            await wait_until(pilot, lambda: shows(pilot, "4 stored"))
            assert selected(pilot) == "How do I read a file?"
            assert shows(pilot, "“How do I read a file?” is back.")
            await pilot.press("ctrl+z")
            await wait_until(pilot, lambda: shows(pilot, "Nothing is deleted"))

    async def test_within_a_search_it_erases_first(self, opened: Opened, store: Store) -> None:
        put_some(store)
        async with opened() as pilot:
            await look(pilot)
            await search(pilot, "shadex", "0 of 4 found")
            await pilot.press("left", "delete")
            await wait_until(pilot, lambda: shows(pilot, "1 of 4 found"))
            await pilot.press("delete")
            await wait_until(pilot, lambda: shows(pilot, "0 of 3 found"))
            assert shows(pilot, "Deleted “Plan a garden”")

    async def test_the_last_one_leaves_an_empty_list(self, opened: Opened, store: Store) -> None:
        put(store, "Only one")
        async with opened() as pilot:
            await look(pilot)
            await pilot.press("delete")
            await wait_until(pilot, lambda: shows(pilot, "There are none yet."))
            assert screen_text(pilot).splitlines()[-1] == " Ctrl+L imports  Esc back"

    async def test_the_open_one_makes_way_for_a_new_one(
        self, opened: Opened, store: Store, engine: ScriptedEngine
    ) -> None:
        async with opened() as pilot:
            await converse(pilot, engine, "one", "First.")
            await look(pilot)
            await pilot.press("delete")
            await wait_until(pilot, lambda: shows(pilot, "Deleted “one”"))
            await pilot.press("escape")
            await wait_until(pilot, lambda: in_chat(pilot) and shows(pilot, "Chat with a base"))
            await converse(pilot, engine, "two", "Second.")
            assert [one.title for one in store.conversations()] == ["two"]
            assert store.bring_back() is not None

    async def test_the_open_one_stays_where_it_was_brought_back(
        self, opened: Opened, store: Store, engine: ScriptedEngine
    ) -> None:
        async with opened() as pilot:
            await converse(pilot, engine, "one", "First.")
            await look(pilot)
            await pilot.press("delete")
            await wait_until(pilot, lambda: shows(pilot, "Deleted “one”"))
            await pilot.press("ctrl+z")
            await wait_until(pilot, lambda: shows(pilot, "is back"))
            await pilot.press("escape")
            await wait_until(pilot, lambda: in_chat(pilot))
            assert markdown(pilot) == ["First."]

    async def test_one_that_another_program_deleted_is_told_of(
        self, opened: Opened, store: Store
    ) -> None:
        whole = put(store, "Only one")
        async with opened() as pilot:
            await look(pilot)
            store.delete(whole.record.id)
            await pilot.press("enter")
            await wait_until(pilot, lambda: in_chat(pilot) and shows(pilot, "no longer in the"))


class TestFiles:
    @pytest.fixture(autouse=True)
    def here(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        directory = tmp_path / "here"
        directory.mkdir()
        monkeypatch.chdir(directory)
        return directory

    async def test_an_export_comes_back_by_an_import(
        self, opened: Opened, store: Store, here: Path
    ) -> None:
        whole = put_some(store)[0]
        async with opened(size=(120, 40)) as pilot:
            await look(pilot)
            await pilot.press("ctrl+e")
            await wait_until(pilot, lambda: shows(pilot, "How-do-I-read-a-file.md"))
            await pilot.press("enter")
            await wait_until(pilot, lambda: shows(pilot, "Wrote "))
            (file,) = here.iterdir()
            assert file.read_text().startswith("---\nformat: urial-tui 1\n")
            await pilot.press("ctrl+l")
            await wait_until(pilot, lambda: shows(pilot, "Import conversations"))
            await type_text(pilot, "How")
            await wait_until(pilot, lambda: shows(pilot, file.name))
            await pilot.press("right", "enter")
            await wait_until(pilot, lambda: shows(pilot, "Took in “How do I read a file?”."))
            await wait_until(pilot, lambda: shows(pilot, "5 stored"))
            copies = [one for one in store.conversations() if one.title == whole.record.title]
            assert len(copies) == 2

    async def test_the_form_and_the_ending_of_the_path_go_together(
        self, opened: Opened, store: Store, here: Path
    ) -> None:
        whole = put_some(store)[0]
        async with opened(size=(120, 40)) as pilot:
            await look(pilot)
            await pilot.press("ctrl+e")
            await wait_until(pilot, lambda: shows(pilot, "How-do-I-read-a-file.md"))
            await pilot.press("tab")
            await wait_until(pilot, lambda: shows(pilot, "How-do-I-read-a-file.json"))
            await pilot.press("enter")
            await wait_until(pilot, lambda: shows(pilot, "Wrote "))
            (file,) = here.iterdir()
            assert file.suffix == ".json"
            store.delete(whole.record.id)
            store.purge(older_than=-1)
            await pilot.press("ctrl+l")
            await wait_until(pilot, lambda: shows(pilot, "Import conversations"))
            await type_text(pilot, file.name)
            await pilot.press("enter")
            await wait_until(pilot, lambda: shows(pilot, "Took in"))
            assert whole_conversation(store, whole.record.id).turns == whole.turns

    async def test_a_file_that_is_there_is_replaced_by_another_enter_only(
        self, opened: Opened, store: Store, here: Path
    ) -> None:
        put_some(store)
        mine = here / "mine.md"
        mine.write_text("mine")
        async with opened(size=(120, 40)) as pilot:
            await look(pilot)
            await pilot.press("ctrl+e")
            await wait_until(pilot, lambda: shows(pilot, "How-do-I-read-a-file.md"))
            await pilot.press("ctrl+a", "ctrl+k")
            await type_text(pilot, "mine.md")
            await pilot.press("enter")
            await wait_until(pilot, lambda: shows(pilot, "Enter again replaces it."))
            assert mine.read_text() == "mine"
            await pilot.press("enter")
            await wait_until(pilot, lambda: shows(pilot, "Wrote "))
            assert "How do I read a file?" in mine.read_text()

    @pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
    async def test_a_place_that_can_not_be_written_is_told_of(
        self, opened: Opened, store: Store, here: Path
    ) -> None:
        put_some(store)
        here.chmod(0o500)
        async with opened(size=(120, 40)) as pilot:
            await look(pilot)
            await pilot.press("ctrl+e")
            await wait_until(pilot, lambda: shows(pilot, "How-do-I-read-a-file.md"))
            await pilot.press("enter")
            await wait_until(pilot, lambda: shows(pilot, "can't be written"))
        here.chmod(0o700)

    async def test_a_file_that_is_no_export_is_explained(
        self, opened: Opened, store: Store, here: Path
    ) -> None:
        (here / "bad.json").write_text("{")
        async with opened(size=(120, 40)) as pilot:
            await look(pilot)
            await pilot.press("ctrl+l")
            await wait_until(pilot, lambda: shows(pilot, "Import conversations"))
            await pilot.press("enter")
            await wait_until(pilot, lambda: shows(pilot, "Type the path of a file."))
            await type_text(pilot, "bad.json")
            await pilot.press("enter")
            await wait_until(pilot, lambda: shows(pilot, "This is no export of urial-tui."))
            await pilot.press("escape")
            await wait_until(pilot, lambda: isinstance(pilot.app.screen, ConversationsScreen))
            assert store.count() == 0


class TestKeys:
    async def test_what_the_last_line_says_follows_the_users_keys(
        self, opened: Opened, store: Store
    ) -> None:
        put_some(store)
        settings = Settings(keys={"conversations.delete": "f8"})
        async with opened(settings=settings) as pilot:
            await look(pilot)
            assert shows(pilot, "F8 deletes")
            await pilot.press("f8")
            await wait_until(pilot, lambda: shows(pilot, "3 stored"))


async def test_a_search_that_takes_long_holds_up_no_key(
    opened: Opened, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_some(store)
    gate = threading.Event()
    count = store.count

    def slow() -> int:
        gate.wait(60)
        return count()

    async with opened() as pilot:
        await look(pilot)
        monkeypatch.setattr(store, "count", slow)
        await type_text(pilot, "garden")
        await pilot.press("down")
        assert pilot.app.screen.query_one(Input).value == "garden"
        await wait_until(pilot, lambda: selected(pilot) == "Plan a garden")
        gate.set()
        await wait_until(pilot, lambda: shows(pilot, "1 of 4 found"))


@pytest.mark.parametrize(
    ("seconds", "told"),
    [
        (0, "just now"),
        (59, "just now"),
        (60, "1 minute ago"),
        (3599, "59 minutes ago"),
        (7200, "2 hours ago"),
        (86_400, "1 day ago"),
        (6 * 86_400, "6 days ago"),
    ],
)
def test_what_is_recent_is_told_in_words(seconds: float, told: str) -> None:
    assert age(THEN - seconds, THEN) == told


@pytest.mark.parametrize("seconds", [-10.0, 7 * 86_400.0, 1e9])
def test_what_is_not_is_told_as_a_date(seconds: float) -> None:
    told: Any = age(THEN - seconds, THEN)
    assert len(told.split("-")) == 3
