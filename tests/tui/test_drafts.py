"""What was typed and not sent: it is there again, whatever ended the application."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.scripted import ScriptedEngine
from tests.tui.conftest import Chatting
from tests.tui.duel_page import DuelPage, Sides
from tests.tui.stored import put
from tests.tui.terminals import Terminal
from tests.tui.test_input import INVISIBLE, LONG
from urial_tui import paths
from urial_tui.chat.drafts import DraftPlace, Drafts, Left, of_turn
from urial_tui.chat.store import Store


class TestKeeping:
    def test_it_is_written_soon_and_read_by_the_next_run(self, store: Store) -> None:
        first = Drafts(store)
        assert first.open(1) == Left()
        first.note(DraftPlace(1), "half a ques")
        first.note(DraftPlace(1), "half a question")
        first.flush()
        assert store.drafts() == [(1, "question", "half a question")]
        first.close()
        assert Drafts(store).open(2) == Left("half a question")
        assert store.drafts() == [(2, "question", "half a question")]

    def test_nothing_is_left_of_what_was_sent(self, store: Store) -> None:
        kept = Drafts(store)
        kept.note(DraftPlace(1), "sent")
        kept.note(DraftPlace(1), "")
        kept.close()
        assert store.drafts() == []
        assert Drafts(store).open(2) == Left()

    def test_one_of_a_stored_conversation_waits_there(self, store: Store) -> None:
        whole = put(store, "Plan a garden")
        kept = Drafts(store)
        kept.note(DraftPlace(whole.record.id), "And in winter?")
        kept.note(of_turn(whole.record.id, whole.turns[0].id), "Plan a")
        kept.close()
        following = Drafts(store)
        assert following.open(2) == Left(waits_in="Plan a garden")
        assert following.of(DraftPlace(whole.record.id)) == "And in winter?"
        assert following.turns(whole.record.id) == {whole.turns[0].id: "Plan a"}

    def test_what_another_program_is_typing_is_left_to_it(self, store: Store) -> None:
        code = (
            "import sys, pathlib\n"
            "from urial_tui.chat.drafts import Drafts, DraftPlace\n"
            "from urial_tui.chat.store import Store\n"
            f"kept = Drafts(Store(pathlib.Path({str(store.path)!r})))\n"
            "kept.open(1); kept.note(DraftPlace(1), 'theirs'); kept.flush()\n"
            "print('typed', flush=True); sys.stdin.read()\n"
        )
        with subprocess.Popen(
            [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        ) as other:
            assert other.stdout is not None
            assert other.stdout.readline() == b"typed\n"
            assert Drafts(store).open(2) == Left()
            other.send_signal(signal.SIGKILL)
        assert Drafts(store).open(3) == Left("theirs")

    def test_a_database_that_can_not_be_written_costs_nothing_else(self, tmp_path: Path) -> None:
        store = Store(tmp_path / "closed.db")
        store.close()
        kept = Drafts(store)
        assert kept.open(1) == Left()
        kept.note(DraftPlace(1), "typed")
        kept.flush()
        assert kept.of(DraftPlace(1)) == "typed"
        kept.close()

    def test_without_a_store_nothing_is_kept(self) -> None:
        kept = Drafts(None)
        kept.note(DraftPlace(1), "typed")
        kept.close()
        assert kept.open(1) == Left()

    def test_what_is_purged_takes_its_drafts_along(self, store: Store) -> None:
        whole = put(store, "Plan a garden")
        store.keep_draft(whole.record.id, "question", "typed")
        store.delete(whole.record.id)
        store.purge(older_than=-1)
        assert store.drafts() == []


@pytest.mark.parametrize("text", ["half a question", LONG, INVISIBLE], ids=["short", "long", "odd"])
async def test_it_is_there_at_the_next_start(chatting: Chatting, text: str) -> None:
    async with chatting() as chat:
        await chat.pastes(text)
    async with chatting() as chat:
        await chat.until(lambda: chat.prompt.full_text == text)


async def test_what_was_sent_is_not_there_again(chatting: Chatting, store: Store) -> None:
    async with chatting() as chat:
        await chat.exchanges("Hi", "One.")
    assert store.drafts() == []
    async with chatting() as chat:
        assert chat.prompt.full_text == ""


async def test_an_example_leaves_what_is_typed(chatting: Chatting, engine: ScriptedEngine) -> None:
    async with chatting() as chat:
        await chat.types("typed")
        await chat.presses("tab", "enter")
        await chat.until(lambda: bool(engine.requests))
        assert chat.prompt.full_text == "typed"


async def test_it_goes_along_unless_something_is_typed_there(
    chatting: Chatting, store: Store
) -> None:
    garden, files = put(store, "Plan a garden"), put(store, "Read files")
    store.keep_draft(files.record.id, "question", "And a large one?")
    async with chatting() as chat:
        await chat.reads("waits in “Read files”")
        await chat.types("typed")
        await chat.screen.stored.open(store, garden.record.id)
        assert chat.prompt.full_text == "typed"
        await chat.screen.stored.open(store, files.record.id)
        assert chat.prompt.full_text == "And a large one?"
        await chat.pauses()
        await chat.screen.stored.open(store, garden.record.id)
        assert chat.prompt.full_text == "typed"
        await chat.has_answers("An answer.")


async def test_an_edit_is_gone_on_with_where_it_was(chatting: Chatting, store: Store) -> None:
    async with chatting() as chat:
        await chat.exchanges("Hi", "One.")
        await chat.types("next")
        await chat.presses("f6")
        await chat.types(" there")
    (listed,) = store.conversations()
    async with chatting() as chat:
        await chat.screen.stored.open(store, listed.id)
        await chat.until(lambda: chat.prompt.full_text == "Hi there")
        assert chat.shows("Editing the question")
        await chat.presses("escape")
        assert chat.prompt.full_text == "next"
        await chat.pauses()
    assert [what for _, what, _ in store.drafts()] == ["question"]


async def test_a_question_for_both_sides_is_kept_too(chatting: Chatting) -> None:
    async with chatting(**Sides().changes()) as chat:
        duel = await chat.leads_to(DuelPage)
        await duel.types("for both")
        await duel.presses("escape")
        await chat.is_back()
        assert chat.prompt.full_text == ""
        await duel.opens()
        assert duel.shows("for both")


@pytest.fixture
def terminal(llama_gguf: Path) -> Iterator[Terminal]:
    opened = Terminal(llama_gguf)
    opened.read_until(lambda: b"ready" in opened.output)
    yield opened
    opened.close()


def test_it_outlives_a_kill(terminal: Terminal, llama_gguf: Path) -> None:
    terminal.press(b"half a question")
    with Store(paths.database_file()) as store:
        terminal.read_until(lambda: bool(store.drafts()) and "question" in store.drafts()[0][2])
    os.kill(terminal.process.pid, signal.SIGKILL)
    terminal.wait()
    following = Terminal(llama_gguf)
    try:
        following.read_until(lambda: b"half a question" in following.output)
    finally:
        following.close()


def test_it_outlives_a_mistake_of_ours(llama_gguf: Path) -> None:
    terminal = Terminal(
        llama_gguf,
        "from urial_tui.tui.widgets.prompt import Prompt\n"
        "def broken(self): raise ZeroDivisionError\n"
        "Prompt.action_newline = broken\n",
    )
    try:
        terminal.read_until(lambda: b"ready" in terminal.output)
        terminal.press(b"half a question\n")
        assert terminal.wait() == 1
    finally:
        terminal.close()
    with Store(paths.database_file()) as store:
        assert [text for *_, text in store.drafts()] == ["half a question"]
