"""Where the keys go, whatever had the focus; and what is told without being in the way."""

from __future__ import annotations

import pytest
from textual.events import Paste
from textual.widgets import OptionList

from tests.scripted import ScriptedEngine, answer, delta
from tests.tui.conftest import Found, Opened, screen_text, shows, status, type_text, wait_until
from tests.tui.test_chat_screen import ask, converse, markdown, prompt, transcript
from tests.tui.test_input import paste
from urial_tui.chat.growing import GrowingAnswer
from urial_tui.engine.wire.protocol import TextDelta
from urial_tui.errors import EngineError, InternalError
from urial_tui.mistakes import explained
from urial_tui.tui.chat.chat_screen import ChatScreen
from urial_tui.tui.widgets.banner import Banner


class TestFocus:
    async def test_a_window_that_was_too_small_gives_it_back(
        self, opened: Opened, engine: ScriptedEngine
    ) -> None:
        async with opened() as pilot:
            await converse(pilot, engine, "Hi", "One.")
            await type_text(pilot, "ru")
            await pilot.resize_terminal(30, 8)
            await wait_until(pilot, lambda: shows(pilot, "needs 40 by 10"))
            assert not shows(pilot, "One.")
            await type_text(pilot, "st")
            await pilot.resize_terminal(80, 24)
            await wait_until(pilot, lambda: shows(pilot, "One."))
            await type_text(pilot, "ru")
            assert prompt(pilot).text == "rustru"
            assert len(engine.requests) == 1

    async def test_what_is_typed_or_pasted_on_the_transcript_arrives_in_the_prompt(
        self, opened: Opened, engine: ScriptedEngine
    ) -> None:
        async with opened() as pilot:
            await converse(pilot, engine, "Hi", "One.")
            await pilot.press("shift+tab")
            assert transcript(pilot).has_focus
            # The first is no command there; those behind it are.
            for key in "What r u":
                await pilot.press("space" if key == " " else key)
            assert prompt(pilot).text == "What r u"
            transcript(pilot).focus()
            await pilot.pause()
            await pilot.press("k")
            assert transcript(pilot).has_focus
            await paste(pilot, "!")
            assert prompt(pilot).text == "What r u!"

    async def test_a_paste_reaches_the_prompt_through_the_application(
        self, opened: Opened, engine: ScriptedEngine
    ) -> None:
        async with opened() as pilot:
            await converse(pilot, engine, "Hi", "One.")
            await pilot.press("shift+tab")
            pilot.app.post_message(Paste("pasted"))
            await pilot.pause()
            assert prompt(pilot).text == "pasted"
            assert prompt(pilot).has_focus

    async def test_tab_then_enter_asks_an_example(
        self, opened: Opened, engine: ScriptedEngine
    ) -> None:
        async with opened() as pilot:
            await pilot.press("tab")
            assert isinstance(pilot.app.focused, OptionList)
            await pilot.press("enter")
            await wait_until(pilot, lambda: bool(engine.requests))


class TestBanner:
    @pytest.mark.parametrize("keys", [("escape",), ("alt+u",), ("ctrl+n",), ("f5",)])
    async def test_it_goes_with_what_is_done_next(
        self, opened: Opened, engine: ScriptedEngine, keys: tuple[str, ...]
    ) -> None:
        async with opened() as pilot:
            await converse(pilot, engine, "Hi", "One.")
            engine.enqueue(EngineError("It is too long.", "Shorten it."))
            await ask(pilot, "x")
            await wait_until(pilot, lambda: shows(pilot, "✖ It is too long."))
            engine.enqueue(*answer("Two."))
            await pilot.press(*keys)
            await wait_until(pilot, lambda: not shows(pilot, "✖ It is too long."))

    async def test_in_a_small_window_it_leaves_the_chat_in_view_and_can_be_read(
        self, opened: Opened, engine: ScriptedEngine
    ) -> None:
        async with opened(size=(40, 12)) as pilot:
            engine.enqueue(*answer("One."))
            await ask(pilot, "Hi")
            await wait_until(pilot, lambda: markdown(pilot) == ["One."])
            screen = pilot.app.screen
            assert isinstance(screen, ChatScreen)
            screen.complain(EngineError("The question is too long. " * 10, "The last words."))
            await wait_until(pilot, lambda: screen.query_one(Banner).can_focus)
            assert screen.query_one(Banner).size.height <= 4
            assert transcript(pilot).size.height >= 3
            await pilot.press("shift+tab")
            assert screen.query_one(Banner).has_focus
            await pilot.press("end")
            await wait_until(pilot, lambda: shows(pilot, "words."))

    async def test_what_is_told_does_not_cover_the_prompt(self, opened: Opened) -> None:
        async with opened() as pilot:
            pilot.app.notify("A long notice. " * 12, markup=False)
            await wait_until(pilot, lambda: shows(pilot, "A long notice."))
            frame = [line for line in screen_text(pilot).split("\n") if line.startswith(" ╭")]
            assert frame == [f" ╭{'─' * 76}╮"]


class TestMistakes:
    async def test_one_in_an_answer_is_a_sentence_and_the_text_stays(
        self, opened: Opened, engine: ScriptedEngine, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        add = GrowingAnswer.add

        def add_words(growing: GrowingAnswer, event: TextDelta) -> None:
            if event.text == "!":
                raise MemoryError("no room")
            add(growing, event)

        monkeypatch.setattr(GrowingAnswer, "add", add_words)
        engine.enqueue(*answer("Half an answer"), delta("!"))
        async with opened() as pilot:
            await ask(pilot, "Hi")
            await pilot.press(*"next")
            await wait_until(pilot, lambda: shows(pilot, "An internal error happened: MemoryError"))
            assert markdown(pilot) == ["Half an answer"]
            assert shows(pilot, "not answered")
            assert prompt(pilot).text == "next"
            await pilot.press("escape")
            assert "ready" in status(pilot)

    async def test_one_in_loading_is_a_sentence_and_can_be_tried_again(
        self, opened: Opened
    ) -> None:
        mistakes = [AttributeError("x")]

        def find(name: str, progress: object) -> Found:
            if mistakes:
                raise mistakes.pop()
            return Found()

        async with opened(ready=False, find_model=find) as pilot:
            await wait_until(pilot, lambda: shows(pilot, "happened: AttributeError: x."))
            assert shows(pilot, "loads the model again")
            await pilot.press("ctrl+r")
            await wait_until(pilot, lambda: "ready" in status(pilot))

    def test_what_is_told_of_it_is_bounded(self) -> None:
        assert len(explained(ValueError("x" * 10_000)).message) < 300
        assert isinstance(explained(ValueError()), InternalError)
