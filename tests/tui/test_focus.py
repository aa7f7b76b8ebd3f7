"""Where the keys go, whatever had the focus; and what is told without being in the way."""

from __future__ import annotations

import pytest
from textual.events import Paste
from textual.widgets import OptionList

from tests.scripted import ScriptedEngine, answer, delta
from tests.tui.conftest import Chatting, Found
from urial_tui.chat.growing import GrowingAnswer
from urial_tui.engine.wire.events import TextDelta
from urial_tui.errors import EngineError, InternalError
from urial_tui.mistakes import explained
from urial_tui.tui.chat.chat_screen import ChatScreen
from urial_tui.tui.widgets.banner import Banner


class TestFocus:
    async def test_a_window_that_was_too_small_gives_it_back(
        self, chatting: Chatting, engine: ScriptedEngine
    ) -> None:
        async with chatting() as chat:
            await chat.exchanges("Hi", "One.")
            await chat.types("ru")
            await chat.resizes(30, 8)
            await chat.reads("needs 40 by 10")
            assert not chat.shows("One.")
            await chat.types("st")
            await chat.resizes(80, 24)
            await chat.reads("One.")
            await chat.types("ru")
            assert chat.prompt.text == "rustru"
            assert len(engine.requests) == 1

    async def test_what_is_typed_or_pasted_on_the_transcript_arrives_in_the_prompt(
        self, chatting: Chatting
    ) -> None:
        async with chatting() as chat:
            await chat.exchanges("Hi", "One.")
            await chat.presses("shift+tab")
            assert chat.transcript.has_focus
            # The first is no command there; those behind it are.
            for key in "What r u":
                await chat.presses("space" if key == " " else key)
            assert chat.prompt.text == "What r u"
            chat.transcript.focus()
            await chat.pauses()
            await chat.presses("k")
            assert chat.transcript.has_focus
            await chat.pastes("!")
            assert chat.prompt.text == "What r u!"

    async def test_a_paste_reaches_the_prompt_through_the_application(
        self, chatting: Chatting
    ) -> None:
        async with chatting() as chat:
            await chat.exchanges("Hi", "One.")
            await chat.presses("shift+tab")
            chat.app.post_message(Paste("pasted"))
            await chat.pauses()
            assert chat.prompt.text == "pasted"
            assert chat.prompt.has_focus

    async def test_tab_then_enter_asks_an_example(
        self, chatting: Chatting, engine: ScriptedEngine
    ) -> None:
        async with chatting() as chat:
            await chat.presses("tab")
            assert isinstance(chat.app.focused, OptionList)
            await chat.presses("enter")
            await chat.until(lambda: bool(engine.requests))


class TestBanner:
    @pytest.mark.parametrize("keys", [("escape",), ("alt+u",), ("ctrl+n",), ("f5",)])
    async def test_it_goes_with_what_is_done_next(
        self, chatting: Chatting, engine: ScriptedEngine, keys: tuple[str, ...]
    ) -> None:
        async with chatting() as chat:
            await chat.exchanges("Hi", "One.")
            engine.enqueue(EngineError("It is too long.", "Shorten it."))
            await chat.asks("x")
            await chat.reads("✖ It is too long.")
            engine.enqueue(*answer("Two."))
            await chat.presses(*keys)
            await chat.loses("✖ It is too long.")

    async def test_in_a_small_window_it_leaves_the_chat_in_view_and_can_be_read(
        self, chatting: Chatting, engine: ScriptedEngine
    ) -> None:
        async with chatting(size=(40, 12)) as chat:
            engine.enqueue(*answer("One."))
            await chat.asks("Hi")
            await chat.has_answers("One.")
            screen = chat.app.screen
            assert isinstance(screen, ChatScreen)
            screen.complain(EngineError("The question is too long. " * 10, "The last words."))
            await chat.until(lambda: screen.query_one(Banner).can_focus)
            assert screen.query_one(Banner).size.height <= 4
            assert chat.transcript.size.height >= 3
            await chat.presses("shift+tab")
            assert screen.query_one(Banner).has_focus
            await chat.presses("end")
            await chat.reads("words.")

    async def test_what_is_told_does_not_cover_the_prompt(self, chatting: Chatting) -> None:
        async with chatting() as chat:
            chat.app.notify("A long notice. " * 12, markup=False)
            await chat.reads("A long notice.")
            frame = [line for line in chat.text.split("\n") if line.startswith(" ╭")]
            assert frame == [f" ╭{'─' * 76}╮"]


class TestMistakes:
    async def test_one_in_an_answer_is_a_sentence_and_the_text_stays(
        self, chatting: Chatting, engine: ScriptedEngine, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        add = GrowingAnswer.add

        def add_words(growing: GrowingAnswer, event: TextDelta) -> None:
            if event.text == "!":
                raise MemoryError("no room")
            add(growing, event)

        monkeypatch.setattr(GrowingAnswer, "add", add_words)
        engine.enqueue(*answer("Half an answer"), delta("!"))
        async with chatting() as chat:
            await chat.asks("Hi")
            await chat.presses(*"next")
            await chat.reads("An internal error happened: MemoryError")
            assert chat.answers == ["Half an answer"]
            assert chat.shows("not answered")
            assert chat.prompt.text == "next"
            await chat.presses("escape")
            assert "ready" in chat.status

    async def test_one_in_loading_is_a_sentence_and_can_be_tried_again(
        self, chatting: Chatting
    ) -> None:
        mistakes = [AttributeError("x")]

        def find(name: str, progress: object) -> Found:
            if mistakes:
                raise mistakes.pop()
            return Found()

        async with chatting(ready=False, find_model=find) as chat:
            await chat.reads("happened: AttributeError: x.")
            assert chat.shows("loads the model again")
            await chat.presses("ctrl+r")
            await chat.is_ready()

    def test_what_is_told_of_it_is_bounded(self) -> None:
        assert len(explained(ValueError("x" * 10_000)).message) < 300
        assert isinstance(explained(ValueError()), InternalError)
