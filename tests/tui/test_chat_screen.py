"""The chat, driven by its keys."""

from __future__ import annotations

import asyncio
import itertools
from unittest.mock import patch

import pytest
from textual import events
from textual.events import Key, Paste
from textual.pilot import Pilot
from textual.widgets import OptionList
from textual.worker import WorkerFailed

from tests.scripted import (
    Gate,
    ScriptedEngine,
    answer,
    delta,
    dropped,
    finished,
    prefill,
    shown_turns,
)
from tests.tui.conftest import (
    PATIENCE,
    Found,
    Opened,
    raising,
    screen_text,
    shows,
    status,
    type_text,
    wait_until,
)
from urial_tui.chat.answer_start import AnswerStart
from urial_tui.chat.session import Conversation
from urial_tui.chat.store import Store
from urial_tui.engine.wire.protocol import EngineOptions, LoadProgress, Notice, Sampling
from urial_tui.errors import EngineDied, EngineError, ModelError, StoreError
from urial_tui.prompting.preamble_file import find_preamble
from urial_tui.runtime.writer import Choice
from urial_tui.settings import ChatSettings, SamplingSettings, Settings
from urial_tui.tui.chat.chat_engine import ChatEngine
from urial_tui.tui.chat.chat_screen import ChatScreen
from urial_tui.tui.chat.transcript import Transcript
from urial_tui.tui.conversations.conversations_screen import ConversationsScreen
from urial_tui.tui.drawing.answer_text import AnswerText
from urial_tui.tui.frame.help_screen import HelpScreen
from urial_tui.tui.widgets.prompt import Prompt


def prompt(pilot: Pilot[None]) -> Prompt:
    return pilot.app.screen_stack[0].query_one(Prompt)


def transcript(pilot: Pilot[None]) -> Transcript:
    return pilot.app.screen_stack[0].query_one(Transcript)


def markdown(pilot: Pilot[None]) -> list[str]:
    return [widget.source for widget in transcript(pilot).query(AnswerText)]


def scroll_wheel(view: Transcript, *, up: bool) -> None:
    """Turn the wheel over the transcript by one notch."""
    kind = events.MouseScrollUp if up else events.MouseScrollDown
    view.post_message(kind(view, 5, 5, 0, 0, button=0, shift=False, meta=False, ctrl=False))


async def ask(pilot: Pilot[None], text: str) -> None:
    await type_text(pilot, text)
    await pilot.press("enter")


async def converse(pilot: Pilot[None], engine: ScriptedEngine, question: str, reply: str) -> None:
    """Ask, and wait for the end of the answer."""
    before = len(markdown(pilot))
    engine.enqueue(*answer(reply))
    await ask(pilot, question)
    await wait_until(pilot, lambda: markdown(pilot)[before:] == [reply])
    await wait_until(pilot, lambda: "ready" in status(pilot))


class TestAsking:
    async def test_question_and_answer_are_shown_and_stored(
        self, opened: Opened, engine: ScriptedEngine, store: Store
    ) -> None:
        async with opened() as pilot:
            await converse(pilot, engine, "Hello", "Good **day**.")
            assert shows(pilot, "You")
            assert shows(pilot, "Good day.")
            assert prompt(pilot).text == ""
            (listed,) = store.conversations()
            assert [turn.text for turn in store.turns(listed.id)] == ["Hello", "Good **day**."]

    async def test_a_finished_turn_is_read_ahead_and_a_question_ends_that(
        self, opened: Opened, engine: ScriptedEngine
    ) -> None:
        gate = Gate()
        engine.enqueue_read_ahead(prefill("prompt", 0, 900), gate, prefill("prompt", 900, 900))
        async with opened() as pilot:
            await converse(pilot, engine, "Hello", "Yes.")
            await wait_until(pilot, gate.reached.is_set)
            assert "ready" in status(pilot), "nothing is told of it"
            (turn,) = engine.read_ahead[0]
            # The gate stays shut: only the question's cancelling lets it go.
            await converse(pilot, engine, "And now?", "No.")
            await wait_until(pilot, lambda: len(engine.read_ahead) == 2)
        assert engine.requests[1].turns[0] == turn == engine.read_ahead[1][0]

    async def test_a_worker_that_dies_reading_ahead_is_told(
        self, opened: Opened, engine: ScriptedEngine
    ) -> None:
        engine.enqueue_read_ahead(EngineDied("The engine stopped.", "Load the model again."))
        engine.enqueue(*answer("Yes."))
        async with opened() as pilot:
            await ask(pilot, "Hello")
            await wait_until(pilot, lambda: shows(pilot, "The engine stopped."))
            assert markdown(pilot) == ["Yes."]

    async def test_the_question_is_stored_before_the_answer_starts(
        self, opened: Opened, engine: ScriptedEngine, store: Store
    ) -> None:
        gate = Gate()
        engine.enqueue(gate, *answer("Late."))
        async with opened() as pilot:
            await ask(pilot, "Hello")
            await wait_until(pilot, gate.reached.is_set)
            (listed,) = store.conversations()
            assert [turn.text for turn in store.turns(listed.id)] == ["Hello"]
            gate.open()
            await wait_until(pilot, lambda: shows(pilot, "Late."))

    async def test_settings_reach_the_engine(self, opened: Opened, engine: ScriptedEngine) -> None:
        settings = Settings(
            chat=ChatSettings(max_tokens=33), sampling=SamplingSettings(temperature=0.5)
        )
        async with opened(settings=settings) as pilot:
            await converse(pilot, engine, "Hello", "Yes.")
        (request,) = engine.requests
        assert request.max_tokens == 33
        assert request.sampling is not None
        assert request.sampling.temperature == 0.5

    async def test_characters_typed_before_enter_are_not_overtaken(
        self, opened: Opened, engine: ScriptedEngine
    ) -> None:
        """Keys that arrive in one go, as over a slow connection."""
        async with opened() as pilot:
            for key, character in (("a", "a"), ("b", "b"), ("ctrl+j", "\n"), ("c", "c")):
                pilot.app.post_message(Key(key, character))
            pilot.app.post_message(Key("enter", "\r"))
            await wait_until(pilot, lambda: bool(engine.requests))
            assert "ab\nc\n" in shown_turns(engine.requests[0])

    @pytest.mark.parametrize("key", ["ctrl+j", "shift+enter", "alt+enter"])
    async def test_other_enters_make_a_new_line_and_the_prompt_grows(
        self, opened: Opened, engine: ScriptedEngine, key: str
    ) -> None:
        async with opened() as pilot:
            low = prompt(pilot).size.height
            await pilot.press("a", key, "b", key, "c")
            await pilot.pause()
            assert prompt(pilot).text == "a\nb\nc"
            assert prompt(pilot).size.height == low + 2
            assert engine.requests == []

    async def test_the_prompt_does_not_grow_over_the_screen(self, opened: Opened) -> None:
        async with opened() as pilot:
            prompt(pilot).put("line\n" * 100)
            await pilot.pause()
            assert prompt(pilot).size.height == 6
            assert "ready" in status(pilot)

    async def test_an_empty_prompt_sends_nothing(
        self, opened: Opened, engine: ScriptedEngine
    ) -> None:
        async with opened() as pilot:
            await pilot.press("space", "ctrl+j", "enter")
            await pilot.pause()
            assert engine.requests == []
            assert not transcript(pilot).display

    async def test_up_recalls_earlier_questions_and_down_leaves_them(
        self, opened: Opened, engine: ScriptedEngine
    ) -> None:
        async with opened() as pilot:
            await converse(pilot, engine, "first", "One.")
            await converse(pilot, engine, "second", "Two.")
            seen = []
            for key in ("up", "up", "up", "down", "down"):
                await pilot.press(key)
                await pilot.pause()
                seen.append(prompt(pilot).text)
            assert seen == ["second", "first", "first", "second", ""]

    async def test_up_moves_the_cursor_in_a_text_of_ones_own(
        self, opened: Opened, engine: ScriptedEngine
    ) -> None:
        async with opened() as pilot:
            await converse(pilot, engine, "first", "One.")
            await pilot.press("a", "ctrl+j", "b", "up")
            await pilot.pause()
            assert prompt(pilot).text == "a\nb"
            assert prompt(pilot).cursor_location[0] == 0

    async def test_questions_of_earlier_sessions_are_recalled(
        self, opened: Opened, engine: ScriptedEngine
    ) -> None:
        async with opened() as pilot:
            await converse(pilot, engine, "yesterday", "One.")
        async with opened() as pilot:
            await wait_until(pilot, lambda: bool(prompt(pilot).earlier))
            await pilot.press("up")
            await pilot.pause()
            assert prompt(pilot).text == "yesterday"

    async def test_one_answer_at_a_time_and_the_second_text_is_kept(
        self, opened: Opened, engine: ScriptedEngine
    ) -> None:
        gate = Gate()
        engine.enqueue(delta("Writing"), gate)
        async with opened() as pilot:
            await ask(pilot, "first")
            await wait_until(pilot, gate.reached.is_set)
            await ask(pilot, "second")
            await pilot.pause()
            assert prompt(pilot).text == "second"
            assert len(engine.requests) == 1
            gate.open()

    async def test_an_example_question_can_be_chosen(
        self, opened: Opened, engine: ScriptedEngine
    ) -> None:
        async with opened() as pilot:
            await pilot.press("shift+tab")
            assert pilot.app.screen.query_one(OptionList).has_focus
            await pilot.press("down", "enter")
            await wait_until(pilot, lambda: shows(pilot, "Certainly."))
            assert "three tips for learning to cook" in shown_turns(engine.requests[0])
            assert prompt(pilot).has_focus


class TestStopping:
    async def test_escape_keeps_the_text_with_a_mark(
        self, opened: Opened, engine: ScriptedEngine, store: Store
    ) -> None:
        gate = Gate()
        engine.enqueue(delta("As far as"), gate, delta(" this"))
        async with opened() as pilot:
            await ask(pilot, "Hello")
            await wait_until(pilot, lambda: shows(pilot, "As far as"))
            await pilot.press("escape")
            await wait_until(pilot, lambda: shows(pilot, "■ stopped"))
            assert markdown(pilot) == ["As far as"]
            assert "stopped" in status(pilot)
            last = store.turns(store.conversations()[0].id)[-1]
            assert (last.text, last.stop_reason) == ("As far as", "cancelled")
            await converse(pilot, engine, "again", "Once more.")

    async def test_reading_tells_what_is_done_reused_and_left(
        self, opened: Opened, engine: ScriptedEngine
    ) -> None:
        engine.enqueue(
            prefill("prompt", 512, 1536, reused=512),
            prefill("prompt", 1024, 1536, reused=512),
            Gate(),
        )
        # Four seconds pass between two reports.
        async with opened(clock=itertools.count(0.0, 4.0).__next__) as pilot:
            await ask(pilot, "Hello")
            read = "reading 512 of 1,024 tokens, 4 s left"
            await wait_until(pilot, lambda: read in status(pilot))
            await pilot.press("escape")
            await wait_until(pilot, lambda: "stopped" in status(pilot))
            assert "Hello" in screen_text(pilot)

    async def test_escape_while_the_question_is_read(
        self, opened: Opened, engine: ScriptedEngine
    ) -> None:
        gate = Gate()
        engine.enqueue(prefill("prompt", 512, 1190), gate, *answer("Never."))
        async with opened() as pilot:
            await ask(pilot, "Hello")
            await wait_until(pilot, lambda: "reading 512 of 1,190 tokens" in status(pilot))
            await pilot.press("escape")
            await wait_until(pilot, lambda: shows(pilot, "■ stopped"))
            assert markdown(pilot) == [""]

    async def test_an_answer_that_was_cut_says_so(
        self, opened: Opened, engine: ScriptedEngine
    ) -> None:
        engine.enqueue(delta("Too long"), finished("Too long", "length"))
        async with opened() as pilot:
            await ask(pilot, "Hello")
            await wait_until(pilot, lambda: shows(pilot, "cut at the length limit"))

    async def test_a_token_that_ended_the_text_is_named(
        self, opened: Opened, engine: ScriptedEngine
    ) -> None:
        engine.enqueue(delta("Well"), finished("Well", "eos", stopped_by="</s>"))
        async with opened() as pilot:
            await ask(pilot, "Hello")
            await wait_until(pilot, lambda: shows(pilot, "ended by </s>"))

    async def test_escape_takes_back_a_question_that_waits(
        self, opened: Opened, engine: ScriptedEngine
    ) -> None:
        gate = Gate()
        engine.enqueue_load(gate)
        async with opened(ready=False) as pilot:
            await ask(pilot, "Early")
            await wait_until(pilot, lambda: shows(pilot, "waits for the model"))
            await pilot.press("escape")
            await wait_until(pilot, lambda: shows(pilot, "■ not answered"))
            gate.open()
            await wait_until(pilot, lambda: "ready" in status(pilot))
            assert engine.requests == []
            await converse(pilot, engine, "Now", "Yes.")


class TestLoading:
    async def test_progress_is_shown_and_an_early_question_is_answered(
        self, opened: Opened, engine: ScriptedEngine
    ) -> None:
        load, pin = Gate(), Gate()
        engine.enqueue_load(LoadProgress(id=0, fraction=0.43), load)
        engine.enqueue_prepare(prefill("preamble", 512, 1190), pin)
        async with opened(ready=False) as pilot:
            await wait_until(pilot, lambda: "loading 43%" in status(pilot))
            await ask(pilot, "Early")
            await wait_until(pilot, lambda: shows(pilot, "waits for the model"))
            load.open()
            await wait_until(
                pilot, lambda: "reading the preamble 512 of 1,190 tokens" in status(pilot)
            )
            assert engine.requests == []
            pin.open()
            await wait_until(pilot, lambda: shows(pilot, "Certainly."))
            assert not shows(pilot, "waits for the model")

    async def test_unpacking_is_shown(self, opened: Opened) -> None:
        gate = Gate()

        def find(name: str, progress: object) -> object:
            assert callable(progress)
            progress(30, 120)
            gate.wait(lambda: False)
            return raising(ModelError("Gone."))(name, progress)

        async with opened(ready=False, find_model=find) as pilot:
            await wait_until(pilot, lambda: "unpacking the model 25%" in status(pilot))
            gate.open()
            await wait_until(pilot, lambda: shows(pilot, "Gone."))

    async def test_the_status_names_model_preamble_and_context(
        self, opened: Opened, engine: ScriptedEngine
    ) -> None:
        async with opened(size=(120, 40)) as pilot:
            assert "tiny · urial-k1 512 tokens computed · " in status(pilot)
            assert "512/4,096" in status(pilot)
            await converse(pilot, engine, "Hello", "Yes.")
            assert "800/4,096" in status(pilot)
            assert "75 tokens/s" in status(pilot)

    async def test_a_missing_model_is_a_banner_and_the_key_loads_again(
        self, opened: Opened, engine: ScriptedEngine
    ) -> None:
        missing = ModelError("There is no model named 'tiny'.", "Put one there.")
        found = [raising(missing)]

        def find(name: str, progress: object) -> object:
            if found:
                return found.pop()(name, progress)
            return Found()

        async with opened(ready=False, find_model=find) as pilot:
            await wait_until(pilot, lambda: shows(pilot, "Choose a model"))
            assert shows(pilot, "There is no model named 'tiny'.")
            await pilot.press("escape")
            await wait_until(pilot, lambda: shows(pilot, "Ctrl+R loads the model again"))
            assert shows(pilot, "There is no model named 'tiny'.")
            await ask(pilot, "Early")
            await wait_until(pilot, lambda: shows(pilot, "waits for the model"))
            await pilot.press("k", "e", "p", "t", "ctrl+r")
            await wait_until(pilot, lambda: shows(pilot, "Certainly."))
            assert not shows(pilot, "There is no model named")
            assert prompt(pilot).text == "kept"


class TestTrouble:
    async def test_a_dead_engine_is_a_banner_and_everything_is_kept(
        self, opened: Opened, engine: ScriptedEngine, store: Store
    ) -> None:
        died = EngineDied("The engine stopped: it was ended by SIGKILL.", "Load it again.")
        gate = Gate()
        engine.enqueue(delta("Half an"), gate, died)
        async with opened() as pilot:
            await converse_first(pilot, gate)
            await wait_until(pilot, lambda: shows(pilot, "it was ended by SIGKILL"))
            assert shows(pilot, "the engine died here")
            assert markdown(pilot) == ["Half an"]
            assert prompt(pilot).text == "next"
            assert "no model" in status(pilot)
            last = store.turns(store.conversations()[0].id)[-1]
            assert (last.text, last.stop_reason) == ("Half an", "died")
            await pilot.press("ctrl+r")
            await wait_until(pilot, lambda: "ready" in status(pilot))
            assert not shows(pilot, "SIGKILL")
            assert len(engine.loads) == 2
            await pilot.press("enter")
            await wait_until(pilot, lambda: shows(pilot, "Certainly."))

    async def test_a_refused_question_is_explained_and_the_next_is_answered(
        self, opened: Opened, engine: ScriptedEngine
    ) -> None:
        engine.enqueue(EngineError("The question is longer than the context.", "Shorten it."))
        async with opened() as pilot:
            await ask(pilot, "Long")
            await wait_until(pilot, lambda: shows(pilot, "longer than the context"))
            assert not shows(pilot, "Ctrl+R")
            await wait_until(pilot, lambda: prompt(pilot).text == "Long")
            await pilot.press("escape")
            await ask(pilot, "Short")
            await wait_until(pilot, lambda: shows(pilot, "Certainly."))
            assert not shows(pilot, "longer than the context")

    async def test_a_question_that_can_not_be_stored_stays_in_the_prompt(
        self, opened: Opened, engine: ScriptedEngine, store: Store
    ) -> None:
        store._connected().execute("PRAGMA query_only = 1")
        async with opened() as pilot:
            await ask(pilot, "Keep me")
            await wait_until(pilot, lambda: shows(pilot, "read-only"))
            assert prompt(pilot).text == "Keep me"
            assert engine.requests == []
            store._connected().execute("PRAGMA query_only = 0")
            await pilot.press("enter")
            await wait_until(pilot, lambda: shows(pilot, "Certainly."))

    async def test_without_a_database_one_can_still_chat(
        self, opened: Opened, engine: ScriptedEngine
    ) -> None:
        trouble = StoreError("The database is damaged.", "Move it away.")
        async with opened(store=None, trouble=trouble) as pilot:
            assert shows(pilot, "The database is damaged.")
            assert shows(pilot, "not stored")
            await converse(pilot, engine, "Hello", "Yes.")

    async def test_a_full_context_is_told_and_marked(
        self, opened: Opened, engine: ScriptedEngine
    ) -> None:
        async with opened(size=(80, 40)) as pilot:
            await converse(pilot, engine, "one", "First.")
            engine.enqueue(dropped(1), *answer("Second."))
            await ask(pilot, "two")
            await wait_until(pilot, lambda: shows(pilot, "no longer in the model's context"))
            assert shows(pilot, "The context is full")
            lines = screen_text(pilot).splitlines()
            mark = next(at for at, line in enumerate(lines) if "no longer in the model" in line)
            first = next(at for at, line in enumerate(lines) if "First." in line)
            second = next(at for at, line in enumerate(lines) if "▎ two" in line)
            assert first < mark < second

    async def test_a_notice_is_shown(self, opened: Opened, engine: ScriptedEngine) -> None:
        engine.enqueue(Notice(id=0, message="The preamble could not be saved."), *answer("Yes."))
        async with opened() as pilot:
            await ask(pilot, "Hello")
            await wait_until(pilot, lambda: shows(pilot, "The preamble could not be saved."))

    async def test_a_mistake_of_ours_ends_the_application(self, opened: Opened) -> None:
        async def broken() -> None:
            raise ZeroDivisionError("a bug")

        async def crash() -> None:
            async with opened() as pilot:
                pilot.app.screen.run_worker(broken())
                await wait_until(pilot, lambda: not pilot.app.is_running)

        with pytest.raises(WorkerFailed, match="a bug"):
            await crash()


async def converse_first(pilot: Pilot[None], gate: Gate) -> None:
    """Ask, type the next question while the answer is written, and let it go on."""
    await ask(pilot, "Hello")
    await wait_until(pilot, gate.reached.is_set)
    await type_text(pilot, "next")
    gate.open()


class TestForeignText:
    async def test_control_characters_of_a_model_become_visible(
        self, opened: Opened, engine: ScriptedEngine
    ) -> None:
        evil = "a\x1b[31mred\x07 \u202eback\x9b2J"
        engine.enqueue(*answer(evil, pieces=1))
        async with opened() as pilot:
            await ask(pilot, "Hello")
            await wait_until(pilot, lambda: shows(pilot, "␛[31mred␇"))
            assert shows(pilot, "<U+202E>back<U+009B>2J")

    async def test_html_and_entities_are_shown_as_written(
        self, opened: Opened, engine: ScriptedEngine
    ) -> None:
        async with opened() as pilot:
            text = "<div>kept</div> &#x202e;x &lt; [b]bold[/b]\n\n<script>\nkept too\n</script>"
            await converse(pilot, engine, "Hello", text)
            for part in ("<div>kept</div> &#x202e;x &lt; [b]bold[/b]", "<script>", "kept too"):
                assert shows(pilot, part)

    @pytest.mark.parametrize(
        "text",
        [
            "> " * 60 + "deep",
            "- " * 60 + "deep",
            "```nosuchlanguage\ndeep\n```",
            "| a | b |\n|---|\n| deep",
            "[link](javascript:alert('x')) deep [^1]: [x]: y",
            "# \n\n" + "*" * 300 + "deep",
            "\x00deep\x00",
        ],
    )
    async def test_no_markdown_breaks_the_screen(
        self, opened: Opened, engine: ScriptedEngine, text: str
    ) -> None:
        engine.enqueue(*answer(text, pieces=7))
        async with opened() as pilot:
            await ask(pilot, "Hello")
            await wait_until(pilot, lambda: "ready" in status(pilot) and bool(engine.requests))
            assert pilot.app.is_running

    async def test_markup_in_questions_titles_and_names_is_not_interpreted(
        self, opened: Opened, engine: ScriptedEngine
    ) -> None:
        found = Found(name="[red]m[/red]")
        async with opened(size=(100, 30), find_model=lambda name, progress: found) as pilot:
            assert shows(pilot, "[red]m[/red]")
            prompt(pilot).put("[bold]q[/bold] [/] [@click=app.quit]x[/]")
            await pilot.press("enter")
            await wait_until(pilot, lambda: shows(pilot, "Certainly."))
            assert shows(pilot, "[bold]q[/bold] [/] [@click=app.quit]x[/]")
            await pilot.press("ctrl+o")
            await wait_until(pilot, lambda: isinstance(pilot.app.screen, ConversationsScreen))
            assert shows(pilot, "[bold]q[/bold] [/]")

    async def test_what_is_pasted_can_not_reach_the_terminal_raw(self, opened: Opened) -> None:
        async with opened() as pilot:
            prompt(pilot).post_message(Paste("x\x1b]0;title\x07\r\nnext\x9b"))
            await wait_until(pilot, lambda: "next" in prompt(pilot).text)
            assert shows(pilot, "x␛]0;title␇")
            assert shows(pilot, "next�")
            assert prompt(pilot).full_text == "x\x1b]0;title\x07\nnext\x9b"

    async def test_a_link_is_copied_and_not_opened(
        self, opened: Opened, engine: ScriptedEngine
    ) -> None:
        async with opened() as pilot:
            await converse(pilot, engine, "Hello", "[home](http://example.org/[b]x)")
            widget = transcript(pilot).query_one(AnswerText)
            with patch.object(pilot.app, "open_url") as open_url:
                widget.action_link("http://example.org/[b]x")
                await wait_until(pilot, lambda: bool(pilot.app._notifications))
            (notice,) = pilot.app._notifications
            assert "the link http://example.org/[b]x (it is not opened)" in notice.message
            assert pilot.app.clipboard == "http://example.org/[b]x"
            open_url.assert_not_called()


class TestScrolling:
    async def test_it_follows_the_answer_only_from_the_end(
        self, opened: Opened, engine: ScriptedEngine
    ) -> None:
        middle, end = Gate(), Gate()
        lines = "".join(f"line {number}\n\n" for number in range(40))
        engine.enqueue(delta(lines), middle, delta("more\n\n" * 20), end)
        async with opened() as pilot:
            await ask(pilot, "Hello")
            await wait_until(pilot, lambda: shows(pilot, "line 39"))
            view = transcript(pilot)
            assert view.scroll_y == view.max_scroll_y
            await pilot.press("pageup", "pageup")
            await pilot.pause()
            place = view.scroll_y
            assert place < view.max_scroll_y
            middle.open()
            await wait_until(pilot, end.reached.is_set)
            await wait_until(pilot, lambda: markdown(pilot)[0].endswith("more\n\n"))
            assert view.scroll_y == place
            await pilot.press(*["pagedown"] * 12)
            end.open()
            await wait_until(pilot, lambda: view.scroll_y == view.max_scroll_y)

    @pytest.mark.parametrize("way", ["keys", "wheel"])
    async def test_going_down_at_the_end_goes_on_following(
        self, opened: Opened, engine: ScriptedEngine, way: str
    ) -> None:
        middle = Gate()
        lines = "".join(f"line {number}\n\n" for number in range(40))
        engine.enqueue(delta(lines), middle, delta("more\n\n" * 20 + "the end"))
        async with opened() as pilot:
            await ask(pilot, "Hello")
            await wait_until(pilot, lambda: shows(pilot, "line 39"))
            view = transcript(pilot)
            if way == "keys":
                await pilot.press("pagedown", "pagedown")
            else:
                scroll_wheel(view, up=True)
                await wait_until(pilot, lambda: view.scroll_y < view.max_scroll_y)
                for _ in range(3):
                    scroll_wheel(view, up=False)
                await wait_until(pilot, lambda: view.scroll_y == view.max_scroll_y)
            middle.open()
            await wait_until(pilot, lambda: shows(pilot, "the end"))

    async def test_the_wheel_leaves_the_end(self, opened: Opened, engine: ScriptedEngine) -> None:
        middle = Gate()
        lines = "".join(f"line {number}\n\n" for number in range(40))
        engine.enqueue(delta(lines), middle, delta("more\n\n" * 20 + "the end"))
        async with opened() as pilot:
            await ask(pilot, "Hello")
            await wait_until(pilot, lambda: shows(pilot, "line 39"))
            view = transcript(pilot)
            scroll_wheel(view, up=True)
            await wait_until(pilot, lambda: view.scroll_y < view.max_scroll_y)
            place = view.scroll_y
            middle.open()
            await wait_until(pilot, lambda: "ready" in status(pilot))
            assert view.scroll_y == place
            assert not shows(pilot, "the end")

    async def test_a_short_conversation_stands_at_the_top(
        self, opened: Opened, engine: ScriptedEngine
    ) -> None:
        gate = Gate()
        engine.enqueue(delta("Short"), gate)
        async with opened() as pilot:
            await ask(pilot, "Hello")
            await wait_until(pilot, lambda: shows(pilot, "Short"))
            assert "You" in screen_text(pilot).splitlines()[2]
            gate.open()

    async def test_a_new_question_goes_to_the_end(
        self, opened: Opened, engine: ScriptedEngine
    ) -> None:
        async with opened() as pilot:
            await converse(pilot, engine, "one", "long\n\n" * 40)
            await pilot.press("pageup", "pageup")
            await converse(pilot, engine, "two", "Second.")
            assert shows(pilot, "Second.")


class TestConversations:
    async def test_a_stored_one_is_opened_with_all_its_turns_and_goes_on(
        self, opened: Opened, engine: ScriptedEngine
    ) -> None:
        async with opened() as pilot:
            await converse(pilot, engine, "one", "First.")
            await converse(pilot, engine, "two", "Second.")
        async with opened(size=(80, 30)) as pilot:
            await pilot.press("ctrl+o")
            await wait_until(pilot, lambda: isinstance(pilot.app.screen, ConversationsScreen))
            await pilot.press("enter")
            await wait_until(pilot, lambda: shows(pilot, "Second."))
            assert shows(pilot, "First.")
            await converse(pilot, engine, "three", "Third.")
            assert len(engine.requests[-1].turns) == 3
            assert shown_turns(engine.requests[-1]).count("First.") == 1

    async def test_escape_leaves_the_list(self, opened: Opened, engine: ScriptedEngine) -> None:
        async with opened() as pilot:
            await converse(pilot, engine, "one", "First.")
            await pilot.press("ctrl+o")
            await wait_until(pilot, lambda: isinstance(pilot.app.screen, ConversationsScreen))
            await pilot.press("escape")
            await wait_until(pilot, lambda: isinstance(pilot.app.screen, ChatScreen))
            assert shows(pilot, "First.")

    async def test_an_empty_list_says_so(self, opened: Opened) -> None:
        async with opened() as pilot:
            await pilot.press("ctrl+o")
            await wait_until(pilot, lambda: shows(pilot, "There are none yet"))

    async def test_a_new_one_starts_empty_and_keeps_the_typed_text(
        self, opened: Opened, engine: ScriptedEngine, store: Store
    ) -> None:
        async with opened() as pilot:
            await converse(pilot, engine, "one", "First.")
            await pilot.press("k", "ctrl+n")
            await wait_until(pilot, lambda: shows(pilot, "Chat with a base model"))
            assert prompt(pilot).text == "k"
            await converse(pilot, engine, "two", "Second.")
            assert len(engine.requests[-1].turns) == 1
            assert len(store.conversations()) == 2

    async def test_leaving_a_conversation_stops_its_answer_and_keeps_it(
        self, opened: Opened, engine: ScriptedEngine, store: Store
    ) -> None:
        gate = Gate()
        engine.enqueue(delta("Half"), gate, *answer("Never"))
        async with opened() as pilot:
            await ask(pilot, "one")
            await wait_until(pilot, lambda: shows(pilot, "Half"))
            await pilot.press("ctrl+n")
            await converse(pilot, engine, "two", "Second.")
            assert markdown(pilot) == ["Second."]
            turns = store.turns(store.conversations()[1].id)
            assert [(turn.text, turn.stop_reason) for turn in turns] == [
                ("one", None),
                ("Half", "cancelled"),
            ]

    async def test_an_interrupted_answer_is_marked_when_it_is_opened(
        self, opened: Opened, engine: ScriptedEngine, store: Store
    ) -> None:
        async with opened() as pilot:
            await converse(pilot, engine, "one", "First.")
            conversation = pilot.app.screen_stack[0]
            assert isinstance(conversation, ChatScreen)
            conversation.conversation.add_question("unanswered", conversation.choice)
        async with opened(size=(80, 30)) as pilot:
            await pilot.press("ctrl+o")
            await wait_until(pilot, lambda: isinstance(pilot.app.screen, ConversationsScreen))
            await pilot.press("enter")
            await wait_until(pilot, lambda: shows(pilot, "■ not answered"))


class TestAround:
    async def test_help_lists_the_keys_as_they_are_bound(self, opened: Opened) -> None:
        async with opened(size=(100, 130)) as pilot:
            await pilot.press("f1")
            await wait_until(pilot, lambda: isinstance(pilot.app.screen, HelpScreen))
            for text in ("Ctrl+N", "New conversation", "Esc", "Ctrl+J", "Shift+Enter"):
                assert shows(pilot, text)
            await pilot.press("escape")
            await wait_until(pilot, lambda: isinstance(pilot.app.screen, ChatScreen))

    async def test_a_question_mark_can_be_typed_and_helps_elsewhere(self, opened: Opened) -> None:
        async with opened() as pilot:
            await pilot.press("question_mark")
            await pilot.pause()
            assert prompt(pilot).text == "?"
            await pilot.press("shift+tab", "question_mark")
            await wait_until(pilot, lambda: isinstance(pilot.app.screen, HelpScreen))

    async def test_the_palette_offers_what_the_keys_do(self, opened: Opened) -> None:
        async with opened(size=(100, 40)) as pilot:
            await pilot.press("ctrl+p")
            await wait_until(pilot, lambda: shows(pilot, "Stored conversations"))

    async def test_a_small_window_says_so_and_recovers(self, opened: Opened) -> None:
        async with opened() as pilot:
            await type_text(pilot, "kept")
            await pilot.resize_terminal(30, 8)
            await wait_until(pilot, lambda: shows(pilot, "This window is 30 by 8"))
            await pilot.resize_terminal(80, 24)
            await wait_until(pilot, lambda: shows(pilot, "kept"))

    async def test_quitting_ends_the_engine_and_keeps_the_answer(
        self, opened: Opened, engine: ScriptedEngine, store: Store
    ) -> None:
        gate = Gate()
        engine.enqueue(delta("Half"), gate)
        async with opened() as pilot:
            await ask(pilot, "one")
            await wait_until(pilot, lambda: shows(pilot, "Half"))
            await pilot.press("ctrl+q")
        assert not engine.alive
        last = store.turns(store.conversations()[0].id)[-1]
        assert (last.text, last.stop_reason) == ("Half", "cancelled")

    async def test_the_screen_is_there_before_the_engine_is(self, opened: Opened) -> None:
        """A factory that is slow (importing, starting a process) does not hold the screen up."""
        gate = Gate()

        def slow() -> ScriptedEngine:
            gate.wait(lambda: False)
            return ScriptedEngine()

        async with opened(ready=False, engine_factory=slow) as pilot:
            assert shows(pilot, "Chat with a base model")
            await type_text(pilot, "early")
            assert prompt(pilot).text == "early"
            gate.open()
            await wait_until(pilot, lambda: "ready" in status(pilot))

    @pytest.mark.parametrize("theme", ["urial-dark", "urial-light", "textual-light"])
    async def test_themes_can_be_changed(
        self, opened: Opened, engine: ScriptedEngine, theme: str
    ) -> None:
        async with opened() as pilot:
            await converse(pilot, engine, "one", "```python\nx = 1\n```")
            pilot.app.theme = theme
            await pilot.pause()
            assert shows(pilot, "x = 1")


class TestOneAfterAnother:
    async def test_a_stopped_answer_stays_stopped_when_the_next_is_asked_for(
        self, engine: ScriptedEngine
    ) -> None:
        """As when a conversation is left while its question has not been reached yet."""
        gate = Gate()
        engine.enqueue_load(gate)
        chat = ChatEngine(lambda: engine, lambda name, progress: Found())
        asked = Choice(model="tiny", preamble=find_preamble("urial-k1"))

        async def load() -> None:
            await chat.load(
                asked,
                EngineOptions(),
                take=lambda event: None,
                unpacking=lambda done, total: None,
            )

        async def answer(conversation: Conversation) -> None:
            start = AnswerStart(Sampling())
            async for _ in chat.answer(
                conversation,
                asked.preamble,
                start,
                16,
                watched=lambda side: None,
                told=lambda text: None,
            ):
                pass

        first, second = (Conversation.new(None) for _ in range(2))
        for conversation, text in ((first, "first"), (second, "second")):
            conversation.add_question(text, asked)
        tasks = [asyncio.create_task(load()), asyncio.create_task(answer(first))]
        await asyncio.to_thread(gate.reached.wait, PATIENCE)
        chat.stop()
        tasks.append(asyncio.create_task(answer(second)))
        await asyncio.sleep(0)
        gate.open()
        await asyncio.wait_for(asyncio.gather(*tasks), PATIENCE)
        await asyncio.to_thread(chat.close)
        assert [turn.text for turn in first.path] == ["first"]
        assert [turn.text for turn in second.path] == ["second", "Certainly."]
