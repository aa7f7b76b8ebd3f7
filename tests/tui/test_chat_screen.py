"""The chat, driven by its keys."""

from __future__ import annotations

import asyncio
import itertools
from pathlib import Path
from unittest.mock import patch

import msgspec
import pytest
from textual import events
from textual.events import Key, Paste
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
from tests.tui.chat_page import ChatPage
from tests.tui.conftest import PATIENCE, Chatting, Found, raising
from urial_tui.chat.answer_start import AnswerStart
from urial_tui.chat.session import Conversation
from urial_tui.chat.store import Store
from urial_tui.engine.wire.events import LoadProgress, Notice
from urial_tui.engine.wire.values import EngineOptions, Sampling
from urial_tui.errors import EngineDied, EngineError, ModelError, StoreError
from urial_tui.models.speed import load_speeds
from urial_tui.prompting.preamble_file import find_preamble
from urial_tui.runtime.writer import WriterChoice
from urial_tui.settings import (
    ChatSettings,
    EngineSettings,
    SamplingSettings,
    Settings,
    engine_options,
)
from urial_tui.tui.chat.chat_engine import ChatEngine
from urial_tui.tui.chat.chat_screen import ChatScreen
from urial_tui.tui.chat.transcript import Transcript
from urial_tui.tui.conversations.conversations_screen import ConversationsScreen
from urial_tui.tui.drawing.answer_text import AnswerText
from urial_tui.tui.frame.help_screen import HelpScreen


def scroll_wheel(view: Transcript, *, up: bool) -> None:
    """Turn the wheel over the transcript by one notch."""
    kind = events.MouseScrollUp if up else events.MouseScrollDown
    view.post_message(kind(view, 5, 5, 0, 0, button=0, shift=False, meta=False, ctrl=False))


async def leaves_unanswered(chatting: Chatting, *questions: str) -> None:
    """Have one exchange, and questions behind it that nobody has answered when one leaves."""
    async with chatting() as chat:
        await chat.exchanges("one", "First.")
        screen = chat.app.screen_stack[0]
        assert isinstance(screen, ChatScreen)
        for question in questions:
            screen.conversation.add_question(question, screen.choice)


class TestSpeed:
    async def test_what_long_answers_of_the_model_alone_tell_is_kept(
        self, chatting: Chatting, llama_gguf: Path
    ) -> None:
        settings = Settings(engine=EngineSettings(gpu_layers=3))
        async with chatting(
            settings=settings, find_model=lambda name, progress: Found(path=llama_gguf)
        ) as chat:
            await chat.exchanges("Hello", "Short.")
            await chat.exchanges("More?", "A long answer " * 5)
            options = engine_options(settings)
            await chat.until(lambda: bool(load_speeds(options).models))
            (speed,) = load_speeds(options).models.values()
            assert speed.answers == (75.0,)
            assert load_speeds(engine_options(Settings())).models == {}


async def test_what_the_welcome_tells_stays_in_its_column_where_it_takes_lines(
    chatting: Chatting,
) -> None:
    preamble = msgspec.structs.replace(find_preamble("urial-k1"), description="a word " * 12)
    async with chatting(preamble=preamble) as chat:
        await chat.until(lambda: chat.shows("urial-k1: a word"))
        told = [line for line in chat.text.splitlines() if "a word" in line]
        assert len(told) == 2
        assert told[0].index("urial-k1") == told[1].index("word") == 12


class TestAsking:
    async def test_question_and_answer_are_shown_and_stored(
        self, chatting: Chatting, store: Store
    ) -> None:
        async with chatting() as chat:
            await chat.exchanges("Hello", "Good **day**.")
            assert chat.shows("You")
            assert chat.shows("Good day.")
            assert chat.prompt.text == ""
            (listed,) = store.conversations()
            assert [turn.text for turn in store.turns(listed.id)] == ["Hello", "Good **day**."]

    async def test_a_finished_turn_is_read_ahead_and_a_question_ends_that(
        self, chatting: Chatting, engine: ScriptedEngine
    ) -> None:
        gate = Gate()
        engine.enqueue_read_ahead(prefill("prompt", 0, 900), gate, prefill("prompt", 900, 900))
        async with chatting() as chat:
            await chat.exchanges("Hello", "Yes.")
            await chat.until(gate.reached.is_set)
            assert "ready" in chat.status, "nothing is told of it"
            (turn,) = engine.read_ahead[0]
            # The gate stays shut: only the question's cancelling lets it go.
            await chat.exchanges("And now?", "No.")
            await chat.until(lambda: len(engine.read_ahead) == 2)
        assert engine.requests[1].turns[0] == turn == engine.read_ahead[1][0]

    async def test_a_worker_that_dies_reading_ahead_is_told(
        self, chatting: Chatting, engine: ScriptedEngine
    ) -> None:
        engine.enqueue_read_ahead(EngineDied("The engine stopped.", "Load the model again."))
        engine.enqueue(*answer("Yes."))
        async with chatting() as chat:
            await chat.asks("Hello")
            await chat.reads("The engine stopped.")
            assert chat.answers == ["Yes."]

    async def test_the_question_is_stored_before_the_answer_starts(
        self, chatting: Chatting, engine: ScriptedEngine, store: Store
    ) -> None:
        gate = Gate()
        engine.enqueue(gate, *answer("Late."))
        async with chatting() as chat:
            await chat.asks("Hello")
            await chat.until(gate.reached.is_set)
            (listed,) = store.conversations()
            assert [turn.text for turn in store.turns(listed.id)] == ["Hello"]
            gate.open()
            await chat.reads("Late.")

    async def test_settings_reach_the_engine(
        self, chatting: Chatting, engine: ScriptedEngine
    ) -> None:
        settings = Settings(
            chat=ChatSettings(max_tokens=33), sampling=SamplingSettings(temperature=0.5)
        )
        async with chatting(settings=settings) as chat:
            await chat.exchanges("Hello", "Yes.")
        (request,) = engine.requests
        assert request.max_tokens == 33
        assert request.sampling is not None
        assert request.sampling.temperature == 0.5

    async def test_characters_typed_before_enter_are_not_overtaken(
        self, chatting: Chatting, engine: ScriptedEngine
    ) -> None:
        """Keys that arrive in one go, as over a slow connection."""
        async with chatting() as chat:
            for key, character in (("a", "a"), ("b", "b"), ("ctrl+j", "\n"), ("c", "c")):
                chat.app.post_message(Key(key, character))
            chat.app.post_message(Key("enter", "\r"))
            await chat.until(lambda: bool(engine.requests))
            assert "ab\nc\n" in shown_turns(engine.requests[0])

    @pytest.mark.parametrize("key", ["ctrl+j", "shift+enter", "alt+enter"])
    async def test_other_enters_make_a_new_line_and_the_prompt_grows(
        self, chatting: Chatting, engine: ScriptedEngine, key: str
    ) -> None:
        async with chatting() as chat:
            low = chat.prompt.size.height
            await chat.presses("a", key, "b", key, "c")
            assert chat.prompt.text == "a\nb\nc"
            assert chat.prompt.size.height == low + 2
            assert engine.requests == []

    async def test_the_prompt_does_not_grow_over_the_screen(self, chatting: Chatting) -> None:
        async with chatting() as chat:
            chat.prompt.put("line\n" * 100)
            await chat.pauses()
            assert chat.prompt.size.height == 6
            assert "ready" in chat.status

    async def test_an_empty_prompt_sends_nothing(
        self, chatting: Chatting, engine: ScriptedEngine
    ) -> None:
        async with chatting() as chat:
            await chat.presses("space", "ctrl+j", "enter")
            assert engine.requests == []
            assert not chat.transcript.display

    async def test_up_recalls_earlier_questions_and_down_leaves_them(
        self, chatting: Chatting
    ) -> None:
        async with chatting() as chat:
            await chat.exchanges("first", "One.")
            await chat.exchanges("second", "Two.")
            seen = []
            for key in ("up", "up", "up", "down", "down"):
                await chat.presses(key)
                seen.append(chat.prompt.text)
            assert seen == ["second", "first", "first", "second", ""]

    async def test_up_moves_the_cursor_in_a_text_of_ones_own(self, chatting: Chatting) -> None:
        async with chatting() as chat:
            await chat.exchanges("first", "One.")
            await chat.presses("a", "ctrl+j", "b", "up")
            assert chat.prompt.text == "a\nb"
            assert chat.prompt.cursor_location[0] == 0

    async def test_questions_of_earlier_sessions_are_recalled(self, chatting: Chatting) -> None:
        async with chatting() as chat:
            await chat.exchanges("yesterday", "One.")
        async with chatting() as chat:
            await chat.until(lambda: bool(chat.prompt.earlier))
            await chat.presses("up")
            assert chat.prompt.text == "yesterday"

    async def test_one_answer_at_a_time_and_the_second_text_is_kept(
        self, chatting: Chatting, engine: ScriptedEngine
    ) -> None:
        gate = Gate()
        engine.enqueue(delta("Writing"), gate)
        async with chatting() as chat:
            await chat.asks("first")
            await chat.until(gate.reached.is_set)
            await chat.asks("second")
            await chat.pauses()
            assert chat.prompt.text == "second"
            assert len(engine.requests) == 1
            gate.open()

    async def test_an_example_question_can_be_chosen(
        self, chatting: Chatting, engine: ScriptedEngine
    ) -> None:
        async with chatting() as chat:
            await chat.presses("shift+tab")
            assert chat.app.screen.query_one(OptionList).has_focus
            await chat.presses("down", "enter")
            await chat.reads("Certainly.")
            assert "three tips for learning to cook" in shown_turns(engine.requests[0])
            assert chat.prompt.has_focus


class TestStopping:
    async def test_escape_keeps_the_text_with_a_mark(
        self, chatting: Chatting, engine: ScriptedEngine, store: Store
    ) -> None:
        gate = Gate()
        engine.enqueue(delta("As far as"), gate, delta(" this"))
        async with chatting() as chat:
            await chat.asks("Hello")
            await chat.reads("As far as")
            await chat.presses("escape")
            await chat.reads("■ stopped  9 tokens · 75 tokens/s")
            assert chat.answers == ["As far as"]
            assert "stopped" in chat.status
            last = store.turns(store.conversations()[0].id)[-1]
            assert (last.text, last.stop_reason) == ("As far as", "cancelled")
            await chat.exchanges("again", "Once more.")

    async def test_reading_tells_what_is_done_reused_and_left(
        self, chatting: Chatting, engine: ScriptedEngine
    ) -> None:
        engine.enqueue(
            prefill("prompt", 512, 1536, reused=512),
            prefill("prompt", 1024, 1536, reused=512),
            Gate(),
        )
        # Four seconds pass between two reports.
        async with chatting(clock=itertools.count(0.0, 4.0).__next__) as chat:
            await chat.asks("Hello")
            read = "reading 512 of 1,024 tokens, 4 s left"
            await chat.status_reads(read)
            await chat.presses("escape")
            await chat.status_reads("stopped")
            assert "Hello" in chat.text

    async def test_escape_while_the_question_is_read(
        self, chatting: Chatting, engine: ScriptedEngine
    ) -> None:
        gate = Gate()
        engine.enqueue(prefill("prompt", 512, 1190), gate, *answer("Never."))
        async with chatting() as chat:
            await chat.asks("Hello")
            await chat.status_reads("reading 512 of 1,190 tokens")
            await chat.presses("escape")
            await chat.reads("■ stopped")
            assert chat.answers == [""]

    async def test_an_answer_that_was_cut_says_so(
        self, chatting: Chatting, engine: ScriptedEngine
    ) -> None:
        engine.enqueue(delta("Too long"), finished("Too long", "length"))
        async with chatting() as chat:
            await chat.asks("Hello")
            await chat.reads("cut at the length limit")

    async def test_a_token_that_ended_the_text_is_named(
        self, chatting: Chatting, engine: ScriptedEngine
    ) -> None:
        engine.enqueue(delta("Well"), finished("Well", "eos", stopped_by="</s>"))
        async with chatting() as chat:
            await chat.asks("Hello")
            await chat.reads("ended by </s>")

    async def test_escape_takes_back_a_question_that_waits(
        self, chatting: Chatting, engine: ScriptedEngine
    ) -> None:
        gate = Gate()
        engine.enqueue_load(gate)
        async with chatting(ready=False) as chat:
            await chat.asks("Early")
            await chat.reads("waits for the model")
            await chat.presses("escape")
            await chat.reads("■ not answered")
            gate.open()
            await chat.is_ready()
            assert engine.requests == []
            await chat.exchanges("Now", "Yes.")


class TestLoading:
    async def test_progress_is_shown_and_an_early_question_is_answered(
        self, chatting: Chatting, engine: ScriptedEngine
    ) -> None:
        load, pin = Gate(), Gate()
        engine.enqueue_load(LoadProgress(id=0, fraction=0.43), load)
        engine.enqueue_prepare(prefill("preamble", 512, 1190), pin)
        async with chatting(ready=False) as chat:
            await chat.status_reads("loading 43%")
            await chat.asks("Early")
            await chat.reads("waits for the model")
            load.open()
            await chat.status_reads("reading the preamble 512 of 1,190 tokens")
            assert engine.requests == []
            pin.open()
            await chat.reads("Certainly.")
            assert not chat.shows("waits for the model")

    async def test_unpacking_is_shown(self, chatting: Chatting) -> None:
        gate = Gate()

        def find(name: str, progress: object) -> object:
            assert callable(progress)
            progress(30, 120)
            gate.wait(lambda: False)
            return raising(ModelError("Gone."))(name, progress)

        async with chatting(ready=False, find_model=find) as chat:
            await chat.status_reads("unpacking the model 25%")
            gate.open()
            await chat.reads("Gone.")

    async def test_the_status_names_model_preamble_and_context(self, chatting: Chatting) -> None:
        async with chatting(size=(120, 40)) as chat:
            assert "tiny · urial-k1 512 tokens computed · " in chat.status
            assert "512/4,096" in chat.status
            await chat.exchanges("Hello", "Yes.")
            assert "800/4,096" in chat.status
            assert "75 tokens/s" in chat.status

    async def test_a_missing_model_is_a_banner_and_the_key_loads_again(
        self, chatting: Chatting
    ) -> None:
        missing = ModelError("There is no model named 'tiny'.", "Put one there.")
        found = [raising(missing)]

        def find(name: str, progress: object) -> object:
            if found:
                return found.pop()(name, progress)
            return Found()

        async with chatting(ready=False, find_model=find) as chat:
            await chat.reads("Choose a model")
            assert chat.shows("There is no model named 'tiny'.")
            await chat.presses("escape")
            await chat.reads("Ctrl+R loads the model again")
            assert chat.shows("There is no model named 'tiny'.")
            await chat.asks("Early")
            await chat.reads("waits for the model")
            await chat.presses("k", "e", "p", "t", "ctrl+r")
            await chat.reads("Certainly.")
            assert not chat.shows("There is no model named")
            assert chat.prompt.text == "kept"


class TestTrouble:
    async def test_a_dead_engine_is_a_banner_and_everything_is_kept(
        self, chatting: Chatting, engine: ScriptedEngine, store: Store
    ) -> None:
        died = EngineDied("The engine stopped: it was ended by SIGKILL.", "Load it again.")
        gate = Gate()
        engine.enqueue(delta("Half an"), gate, died)
        async with chatting() as chat:
            await converse_first(chat, gate)
            await chat.reads("it was ended by SIGKILL")
            assert chat.shows("the engine died here")
            assert chat.answers == ["Half an"]
            assert chat.prompt.text == "next"
            assert "no model" in chat.status
            last = store.turns(store.conversations()[0].id)[-1]
            assert (last.text, last.stop_reason) == ("Half an", "died")
            await chat.presses("ctrl+r")
            await chat.is_ready()
            assert not chat.shows("SIGKILL")
            assert len(engine.loads) == 2
            await chat.presses("enter")
            await chat.reads("Certainly.")

    async def test_a_refused_question_is_explained_and_the_next_is_answered(
        self, chatting: Chatting, engine: ScriptedEngine
    ) -> None:
        engine.enqueue(EngineError("The question is longer than the context.", "Shorten it."))
        async with chatting() as chat:
            await chat.asks("Long")
            await chat.reads("longer than the context")
            assert not chat.shows("Ctrl+R")
            await chat.until(lambda: chat.prompt.text == "Long")
            await chat.presses("escape")
            await chat.asks("Short")
            await chat.reads("Certainly.")
            assert not chat.shows("longer than the context")

    async def test_a_question_that_can_not_be_stored_stays_in_the_prompt(
        self, chatting: Chatting, engine: ScriptedEngine, store: Store
    ) -> None:
        store._connected().execute("PRAGMA query_only = 1")
        async with chatting() as chat:
            await chat.asks("Keep me")
            await chat.reads("read-only")
            assert chat.prompt.text == "Keep me"
            assert engine.requests == []
            store._connected().execute("PRAGMA query_only = 0")
            await chat.presses("enter")
            await chat.reads("Certainly.")

    async def test_without_a_database_one_can_still_chat(self, chatting: Chatting) -> None:
        trouble = StoreError("The database is damaged.", "Move it away.")
        async with chatting(store=None, trouble=trouble) as chat:
            assert chat.shows("The database is damaged.")
            assert chat.shows("not stored")
            await chat.exchanges("Hello", "Yes.")

    async def test_a_full_context_is_told_and_marked(
        self, chatting: Chatting, engine: ScriptedEngine
    ) -> None:
        async with chatting(size=(80, 40)) as chat:
            await chat.exchanges("one", "First.")
            engine.enqueue(dropped(1), *answer("Second."))
            await chat.asks("two")
            await chat.reads("no longer in the model's context")
            assert chat.shows("The context is full")
            lines = chat.lines
            mark = next(at for at, line in enumerate(lines) if "no longer in the model" in line)
            first = next(at for at, line in enumerate(lines) if "First." in line)
            second = next(at for at, line in enumerate(lines) if "▎ two" in line)
            assert first < mark < second

    async def test_a_notice_is_shown(self, chatting: Chatting, engine: ScriptedEngine) -> None:
        engine.enqueue(Notice(id=0, message="The preamble could not be saved."), *answer("Yes."))
        async with chatting() as chat:
            await chat.asks("Hello")
            await chat.reads("The preamble could not be saved.")

    async def test_a_mistake_of_ours_ends_the_application(self, chatting: Chatting) -> None:
        async def broken() -> None:
            raise ZeroDivisionError("a bug")

        async def crash() -> None:
            async with chatting() as chat:
                chat.app.screen.run_worker(broken())
                await chat.until(lambda: not chat.app.is_running)

        with pytest.raises(WorkerFailed, match="a bug"):
            await crash()


async def converse_first(chat: ChatPage, gate: Gate) -> None:
    """Ask, type the next question while the answer is written, and let it go on."""
    await chat.asks("Hello")
    await chat.until(gate.reached.is_set)
    await chat.types("next")
    gate.open()


class TestForeignText:
    async def test_control_characters_of_a_model_become_visible(
        self, chatting: Chatting, engine: ScriptedEngine
    ) -> None:
        evil = "a\x1b[31mred\x07 \u202eback\x9b2J"
        engine.enqueue(*answer(evil, pieces=1))
        async with chatting() as chat:
            await chat.asks("Hello")
            await chat.reads("␛[31mred␇")
            assert chat.shows("<U+202E>back<U+009B>2J")

    async def test_html_and_entities_are_shown_as_written(self, chatting: Chatting) -> None:
        async with chatting() as chat:
            text = "<div>kept</div> &#x202e;x &lt; [b]bold[/b]\n\n<script>\nkept too\n</script>"
            await chat.exchanges("Hello", text)
            for part in ("<div>kept</div> &#x202e;x &lt; [b]bold[/b]", "<script>", "kept too"):
                assert chat.shows(part)

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
        self, chatting: Chatting, engine: ScriptedEngine, text: str
    ) -> None:
        engine.enqueue(*answer(text, pieces=7))
        async with chatting() as chat:
            await chat.asks("Hello")
            await chat.until(lambda: chat.ready and bool(engine.requests))
            assert chat.app.is_running

    async def test_markup_in_questions_titles_and_names_is_not_interpreted(
        self, chatting: Chatting
    ) -> None:
        found = Found(name="[red]m[/red]")
        async with chatting(size=(100, 30), find_model=lambda name, progress: found) as chat:
            assert chat.shows("[red]m[/red]")
            chat.prompt.put("[bold]q[/bold] [/] [@click=app.quit]x[/]")
            await chat.presses("enter")
            await chat.reads("Certainly.")
            assert chat.shows("[bold]q[/bold] [/] [@click=app.quit]x[/]")
            await chat.presses("ctrl+o")
            await chat.is_on(ConversationsScreen)
            assert chat.shows("[bold]q[/bold] [/]")

    async def test_what_is_pasted_can_not_reach_the_terminal_raw(self, chatting: Chatting) -> None:
        async with chatting() as chat:
            chat.prompt.post_message(Paste("x\x1b]0;title\x07\r\nnext\x9b"))
            await chat.until(lambda: "next" in chat.prompt.text)
            assert chat.shows("x␛]0;title␇")
            assert chat.shows("next�")
            assert chat.prompt.full_text == "x\x1b]0;title\x07\nnext\x9b"

    async def test_a_link_is_copied_and_not_opened(self, chatting: Chatting) -> None:
        async with chatting() as chat:
            await chat.exchanges("Hello", "[home](http://example.org/[b]x)")
            widget = chat.transcript.query_one(AnswerText)
            with patch.object(chat.app, "open_url") as open_url:
                widget.action_link("http://example.org/[b]x")
                await chat.until(lambda: bool(chat.app._notifications))
            (notice,) = chat.app._notifications
            assert "the link http://example.org/[b]x (it is not opened)" in notice.message
            assert chat.app.clipboard == "http://example.org/[b]x"
            open_url.assert_not_called()


class TestScrolling:
    async def test_it_follows_the_answer_only_from_the_end(
        self, chatting: Chatting, engine: ScriptedEngine
    ) -> None:
        middle, end = Gate(), Gate()
        lines = "".join(f"line {number}\n\n" for number in range(40))
        engine.enqueue(delta(lines), middle, delta("more\n\n" * 20), end)
        async with chatting() as chat:
            await chat.asks("Hello")
            await chat.reads("line 39")
            view = chat.transcript
            assert view.scroll_y == view.max_scroll_y
            await chat.presses("pageup", "pageup")
            place = view.scroll_y
            assert place < view.max_scroll_y
            middle.open()
            await chat.until(end.reached.is_set)
            await chat.until(lambda: chat.answers[0].endswith("more\n\n"))
            assert view.scroll_y == place
            await chat.presses(*["pagedown"] * 12)
            end.open()
            await chat.until(lambda: view.scroll_y == view.max_scroll_y)

    @pytest.mark.parametrize("way", ["keys", "wheel"])
    async def test_going_down_at_the_end_goes_on_following(
        self, chatting: Chatting, engine: ScriptedEngine, way: str
    ) -> None:
        middle = Gate()
        lines = "".join(f"line {number}\n\n" for number in range(40))
        engine.enqueue(delta(lines), middle, delta("more\n\n" * 20 + "the end"))
        async with chatting() as chat:
            await chat.asks("Hello")
            await chat.reads("line 39")
            view = chat.transcript
            if way == "keys":
                await chat.presses("pagedown", "pagedown")
            else:
                scroll_wheel(view, up=True)
                await chat.until(lambda: view.scroll_y < view.max_scroll_y)
                for _ in range(3):
                    scroll_wheel(view, up=False)
                await chat.until(lambda: view.scroll_y == view.max_scroll_y)
            middle.open()
            await chat.reads("the end")

    async def test_the_wheel_leaves_the_end(
        self, chatting: Chatting, engine: ScriptedEngine
    ) -> None:
        middle = Gate()
        lines = "".join(f"line {number}\n\n" for number in range(40))
        engine.enqueue(delta(lines), middle, delta("more\n\n" * 20 + "the end"))
        async with chatting() as chat:
            await chat.asks("Hello")
            await chat.reads("line 39")
            view = chat.transcript
            scroll_wheel(view, up=True)
            await chat.until(lambda: view.scroll_y < view.max_scroll_y)
            place = view.scroll_y
            middle.open()
            await chat.is_ready()
            assert view.scroll_y == place
            assert not chat.shows("the end")

    async def test_a_short_conversation_stands_at_the_top(
        self, chatting: Chatting, engine: ScriptedEngine
    ) -> None:
        gate = Gate()
        engine.enqueue(delta("Short"), gate)
        async with chatting() as chat:
            await chat.asks("Hello")
            await chat.reads("Short")
            assert "You" in chat.lines[2]
            gate.open()

    async def test_a_new_question_goes_to_the_end(self, chatting: Chatting) -> None:
        async with chatting() as chat:
            await chat.exchanges("one", "long\n\n" * 40)
            await chat.presses("pageup", "pageup")
            await chat.exchanges("two", "Second.")
            assert chat.shows("Second.")


class TestConversations:
    async def test_a_stored_one_is_opened_with_all_its_turns_and_goes_on(
        self, chatting: Chatting, engine: ScriptedEngine
    ) -> None:
        async with chatting() as chat:
            await chat.exchanges("one", "First.")
            await chat.exchanges("two", "Second.")
        async with chatting(size=(80, 30)) as chat:
            await chat.presses("ctrl+o")
            await chat.is_on(ConversationsScreen)
            await chat.presses("enter")
            await chat.reads("Second.")
            assert chat.shows("First.")
            await chat.exchanges("three", "Third.")
            assert len(engine.requests[-1].turns) == 3
            assert shown_turns(engine.requests[-1]).count("First.") == 1

    async def test_escape_leaves_the_list(self, chatting: Chatting) -> None:
        async with chatting() as chat:
            await chat.exchanges("one", "First.")
            await chat.presses("ctrl+o")
            await chat.is_on(ConversationsScreen)
            await chat.presses("escape")
            await chat.is_back()
            assert chat.shows("First.")

    async def test_an_empty_list_says_so(self, chatting: Chatting) -> None:
        async with chatting() as chat:
            await chat.presses("ctrl+o")
            await chat.reads("There are none yet")

    async def test_a_new_one_starts_empty_and_keeps_the_typed_text(
        self, chatting: Chatting, engine: ScriptedEngine, store: Store
    ) -> None:
        async with chatting() as chat:
            await chat.exchanges("one", "First.")
            await chat.presses("k", "ctrl+n")
            await chat.reads("Chat with a base model")
            assert chat.prompt.text == "k"
            await chat.exchanges("two", "Second.")
            assert len(engine.requests[-1].turns) == 1
            assert len(store.conversations()) == 2

    async def test_leaving_a_conversation_stops_its_answer_and_keeps_it(
        self, chatting: Chatting, engine: ScriptedEngine, store: Store
    ) -> None:
        gate = Gate()
        engine.enqueue(delta("Half"), gate, *answer("Never"))
        async with chatting() as chat:
            await chat.asks("one")
            await chat.reads("Half")
            await chat.presses("ctrl+n")
            await chat.exchanges("two", "Second.")
            assert chat.answers == ["Second."]
            turns = store.turns(store.conversations()[1].id)
            assert [(turn.text, turn.stop_reason) for turn in turns] == [
                ("one", None),
                ("Half", "cancelled"),
            ]

    async def test_an_interrupted_answer_is_marked_when_it_is_opened(
        self, chatting: Chatting, store: Store
    ) -> None:
        await leaves_unanswered(chatting, "unanswered")
        async with chatting(size=(80, 30)) as chat:
            await chat.presses("ctrl+o")
            await chat.is_on(ConversationsScreen)
            await chat.presses("enter")
            await chat.reads("■ not answered")

    async def test_a_question_that_was_passed_over_is_marked_when_it_is_opened(
        self, chatting: Chatting, store: Store
    ) -> None:
        await leaves_unanswered(chatting, "unanswered", "the next")
        async with chatting(size=(80, 40)) as chat:
            await chat.presses("ctrl+o")
            await chat.is_on(ConversationsScreen)
            await chat.presses("enter")
            await chat.until(lambda: chat.text.count("■ not answered") == 2)


class TestAround:
    async def test_help_lists_the_keys_as_they_are_bound(self, chatting: Chatting) -> None:
        async with chatting(size=(100, 130)) as chat:
            await chat.presses("f1")
            await chat.is_on(HelpScreen)
            for text in ("Ctrl+N", "New conversation", "Esc", "Ctrl+J", "Shift+Enter"):
                assert chat.shows(text)
            await chat.presses("escape")
            await chat.is_back()

    async def test_a_question_mark_can_be_typed_and_helps_elsewhere(
        self, chatting: Chatting
    ) -> None:
        async with chatting() as chat:
            await chat.presses("question_mark")
            assert chat.prompt.text == "?"
            await chat.presses("shift+tab", "question_mark")
            await chat.is_on(HelpScreen)

    async def test_the_palette_offers_what_the_keys_do(self, chatting: Chatting) -> None:
        async with chatting(size=(100, 40)) as chat:
            await chat.presses("ctrl+p")
            await chat.reads("Stored conversations")

    async def test_a_small_window_says_so_and_recovers(self, chatting: Chatting) -> None:
        async with chatting() as chat:
            await chat.types("kept")
            await chat.resizes(30, 8)
            await chat.reads("This window is 30 by 8")
            await chat.resizes(80, 24)
            await chat.reads("kept")

    async def test_quitting_ends_the_engine_and_keeps_the_answer(
        self, chatting: Chatting, engine: ScriptedEngine, store: Store
    ) -> None:
        gate = Gate()
        engine.enqueue(delta("Half"), gate)
        async with chatting() as chat:
            await chat.asks("one")
            await chat.reads("Half")
            await chat.presses("ctrl+q")
        assert not engine.alive
        last = store.turns(store.conversations()[0].id)[-1]
        assert (last.text, last.stop_reason) == ("Half", "cancelled")

    async def test_the_screen_is_there_before_the_engine_is(self, chatting: Chatting) -> None:
        """A factory that is slow (importing, starting a process) does not hold the screen up."""
        gate = Gate()

        def slow() -> ScriptedEngine:
            gate.wait(lambda: False)
            return ScriptedEngine()

        async with chatting(ready=False, engine_factory=slow) as chat:
            assert chat.shows("Chat with a base model")
            await chat.types("early")
            assert chat.prompt.text == "early"
            gate.open()
            await chat.is_ready()

    @pytest.mark.parametrize("theme", ["urial-dark", "urial-light", "textual-light"])
    async def test_themes_can_be_changed(self, chatting: Chatting, theme: str) -> None:
        async with chatting() as chat:
            await chat.exchanges("one", "```python\nx = 1\n```")
            chat.app.theme = theme
            await chat.pauses()
            assert chat.shows("x = 1")


class TestOneAfterAnother:
    async def test_a_stopped_answer_stays_stopped_when_the_next_is_asked_for(
        self, engine: ScriptedEngine
    ) -> None:
        """As when a conversation is left while its question has not been reached yet."""
        gate = Gate()
        engine.enqueue_load(gate)
        chat = ChatEngine(lambda: engine, lambda name, progress: Found())
        asked = WriterChoice(model="tiny", preamble=find_preamble("urial-k1"))

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
