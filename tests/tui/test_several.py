"""Several answers at once: written side by side, chosen from, gone on from."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import msgspec
import pytest
from textual.events import Key

from tests.conftest import workers
from tests.scripted import Gate, ScriptedEngine, Step, answer, delta, finished, shown_turns
from tests.tui.chat_page import ChatPage
from tests.tui.conftest import Chatting, Found
from urial_tui.chat.store import Store
from urial_tui.chat.turns import TurnRecord
from urial_tui.engine.client.engine import Engine
from urial_tui.engine.wire.values import Sampling
from urial_tui.errors import EngineDied, EngineError
from urial_tui.memory import MachineMemory
from urial_tui.prompting.preamble_file import find_preamble
from urial_tui.runtime.memory_plan import PLAN
from urial_tui.settings import ChatSettings, EngineSettings, SamplingSettings, Settings
from urial_tui.tui.chat.sample_choice import SampleChoice, SampleView

DRAWN = Settings(sampling=SamplingSettings(temperature=0.8, seed=7))


def three(*texts: str) -> tuple[Step, ...]:
    return tuple(delta(text, sample=number) for number, text in enumerate(texts))


def written(chat: ChatPage) -> list[str]:
    """The texts in the block, in its order."""
    return [view.text for view in chat.app.screen.query(SampleView)]


def marked(chat: ChatPage) -> list[int]:
    return [view.number for view in chat.app.screen.query(SampleView) if view.has_class("-marked")]


def settled(chat: ChatPage) -> bool:
    choices = chat.app.screen.query(SampleChoice)
    return bool(choices) and choices.first().settled


def turns(store: Store) -> list[TurnRecord]:
    (listed,) = store.conversations()
    return store.turns(listed.id)


async def type_meanwhile(chat: ChatPage, engine: ScriptedEngine, text: str) -> None:
    """Ask for three answers, and type something before the last one is over."""
    engine.enqueue(*three("One", "Two", "Three"), gate := Gate())
    await chat.types("Hi")
    await chat.presses("alt+a")
    await chat.until(gate.reached.is_set)
    await chat.types(text)
    gate.open()


async def ask_three(chat: ChatPage, engine: ScriptedEngine, *texts: str) -> None:
    engine.enqueue(*three(*texts))
    await chat.types("Hi")
    await chat.presses("alt+a")
    await chat.until(lambda: settled(chat) and chat.ready)


class TestWriting:
    async def test_all_three_are_shown_while_they_are_written(
        self, chatting: Chatting, engine: ScriptedEngine, store: Store
    ) -> None:
        engine.enqueue(*three("One", "Two", "Three"), finished("Two", sample=1), gate := Gate())
        async with chatting(settings=DRAWN) as chat:
            await chat.types("Hi")
            await chat.presses("alt+a")
            await chat.until(gate.reached.is_set)
            await chat.until(lambda: written(chat) == ["One", "Two", "Three"])
            for text in (
                "1  3 tokens · seed 7",
                "2  3 tokens · done · seed 8",
                "3  5 tokens · seed 9",
                "Esc stops all of them",
            ):
                await chat.until(lambda text=text: chat.shows(text))  # type: ignore[misc]
            assert "writing 3 answers at temperature 0.8" in chat.status
            assert chat.prompt.text == ""
            gate.open()
            await chat.until(lambda: settled(chat))
            assert engine.requests[-1].samples == 3
            assert [(turn.text, turn.stop_reason) for turn in turns(store)[1:]] == [
                ("One", "stop"),
                ("Two", "stop"),
                ("Three", "stop"),
            ]
            assert chat.shows("‹ 1/3 ›")
            assert chat.answers == ["One"]

    async def test_the_end_of_a_long_answer_is_shown_while_it_grows_then_its_beginning(
        self, chatting: Chatting, engine: ScriptedEngine
    ) -> None:
        long = "\n\n".join(f"Line {number}" for number in range(40))
        engine.enqueue(*three("One", long, "Three"), gate := Gate())
        async with chatting(settings=DRAWN) as chat:
            await chat.types("Hi")
            await chat.presses("alt+a")
            await chat.until(gate.reached.is_set)
            await chat.reads("Line 39")
            assert not chat.shows("Line 0")
            gate.open()
            await chat.until(lambda: settled(chat))
            await chat.reads("Line 0")
            assert not chat.shows("Line 39")

    async def test_escape_stops_all_and_keeps_what_is_there(
        self, chatting: Chatting, engine: ScriptedEngine, store: Store
    ) -> None:
        engine.enqueue(*three("One", "Two"), gate := Gate())
        async with chatting(settings=DRAWN) as chat:
            await chat.types("Hi")
            await chat.presses("alt+a")
            await chat.until(gate.reached.is_set)
            await chat.presses("escape")
            await chat.until(lambda: settled(chat) and "stopped" in chat.status)
            assert [(turn.text, turn.stop_reason) for turn in turns(store)[1:]] == [
                ("One", "cancelled"),
                ("Two", "cancelled"),
            ]
            assert written(chat) == ["One", "Two"]

    async def test_stopped_before_any_began_there_is_nothing_to_choose(
        self, chatting: Chatting, engine: ScriptedEngine
    ) -> None:
        engine.enqueue(gate := Gate())
        async with chatting(settings=DRAWN) as chat:
            await chat.types("Hi")
            await chat.presses("alt+a")
            await chat.until(gate.reached.is_set)
            await chat.presses("escape")
            await chat.status_reads("stopped")
            await chat.until(lambda: not written(chat))
            assert chat.shows("■ stopped")

    async def test_with_an_empty_prompt_the_last_question_is_answered_again(
        self, chatting: Chatting, engine: ScriptedEngine, store: Store
    ) -> None:
        async with chatting() as chat:
            await chat.exchanges("Hi", "Zero.")
            engine.enqueue(*three("One", "Two", "Three"))
            await chat.presses("alt+a")
            await chat.until(lambda: settled(chat))
            assert chat.shows("3 answers would be the same: these")
            assert [turn.text for turn in turns(store)] == ["Hi", "Zero.", "One", "Two", "Three"]
            assert chat.shows("‹ 2/4 ›")
            (sampling,) = [one.sampling for one in engine.requests[1:]]
            assert isinstance(sampling, Sampling)
            assert sampling.temperature == 0.7
            assert sampling.seed is not None

    async def test_nothing_else_is_asked_meanwhile(
        self, chatting: Chatting, engine: ScriptedEngine
    ) -> None:
        engine.enqueue(*three("One", "Two", "Three"), gate := Gate())
        async with chatting(settings=DRAWN) as chat:
            await chat.types("Hi")
            await chat.presses("alt+a")
            await chat.until(gate.reached.is_set)
            for key in ("alt+a", "f5", "alt+right", "alt+u", "1", "backspace"):
                await chat.presses(key)
            assert written(chat) == ["One", "Two", "Three"]
            gate.open()
            await chat.until(lambda: settled(chat))
            assert len(engine.requests) == 1

    async def test_an_edited_question_is_asked(
        self, chatting: Chatting, engine: ScriptedEngine
    ) -> None:
        async with chatting(settings=DRAWN) as chat:
            await chat.exchanges("Hi", "Zero.")
            await chat.presses("f6")
            await chat.until(lambda: chat.prompt.text == "Hi")
            await chat.types(" there")
            engine.enqueue(*three("One", "Two", "Three"))
            await chat.presses("alt+a")
            await chat.until(lambda: settled(chat))
            assert chat.shows("You  ‹ 2/2 ›")
            assert "Hi there" in shown_turns(engine.requests[-1])

    async def test_a_question_waits_for_the_model(
        self, chatting: Chatting, engine: ScriptedEngine
    ) -> None:
        engine.enqueue_load(gate := Gate())
        engine.enqueue(*three("One", "Two", "Three"))
        async with chatting(settings=DRAWN, ready=False) as chat:
            await chat.types("Hi")
            await chat.presses("alt+a")
            await chat.reads("waits for the model")
            gate.open()
            await chat.until(lambda: settled(chat))
            assert written(chat) == ["One", "Two", "Three"]

    async def test_in_an_empty_conversation_nothing_happens(self, chatting: Chatting) -> None:
        async with chatting() as chat:
            await chat.presses("alt+a")
            assert "ready" in chat.status


class TestTrouble:
    @pytest.mark.parametrize("waits", [False, True])
    async def test_too_little_memory_is_told_and_nothing_starts(
        self,
        chatting: Chatting,
        store: Store,
        engine: ScriptedEngine,
        waits: bool,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        little = MachineMemory(total=10**12, available=1000)
        monkeypatch.setattr(PLAN, "_read_memory", lambda **_: little)
        gate = Gate()
        if waits:
            engine.enqueue_load(gate)
        async with chatting(ready=not waits) as chat:
            await chat.types("Hi")
            await chat.presses("alt+a")
            if waits:
                await chat.reads("waits for the model")
                gate.open()
            await chat.reads("Several answers at once need")
            await chat.is_ready()
            assert not engine.requests
            if waits:
                assert chat.shows("■ not answered")
            else:
                assert chat.prompt.text == "Hi"
                assert not store.conversations()

    async def test_a_dead_worker_leaves_what_was_written(
        self, chatting: Chatting, engine: ScriptedEngine, store: Store
    ) -> None:
        death = EngineDied("The engine stopped: SIGKILL.", "Load it again.")
        engine.enqueue(*three("One", "Two", "Three"), death)
        async with chatting(settings=DRAWN) as chat:
            await chat.types("Hi")
            await chat.presses("alt+a")
            await chat.until(lambda: settled(chat))
            assert {turn.stop_reason for turn in turns(store)[1:]} == {"died"}
            assert chat.shows("no model")
            await chat.presses("ctrl+r")
            await chat.is_ready()
            assert written(chat) == ["One", "Two", "Three"]
            await chat.presses("2")
            await chat.has_answers("Two")
            await chat.exchanges("Well", "More.")

    async def test_a_refused_question_comes_back(
        self, chatting: Chatting, engine: ScriptedEngine
    ) -> None:
        engine.enqueue(EngineError("It is too long.", "Shorten it."))
        async with chatting(settings=DRAWN) as chat:
            await chat.types("Hi")
            await chat.presses("alt+a")
            await chat.reads("It is too long.")
            await chat.until(lambda: chat.prompt.text == "Hi")
            assert not written(chat)


class TestChoosing:
    async def test_a_digit_chooses_and_the_next_question_goes_on_from_it(
        self, chatting: Chatting, engine: ScriptedEngine
    ) -> None:
        async with chatting(settings=DRAWN) as chat:
            await ask_three(chat, engine, "One", "Two", "Three")
            assert isinstance(chat.app.focused, SampleChoice)
            await chat.presses("3")
            await chat.has_answers("Three")
            await chat.until(lambda: not written(chat))
            assert chat.shows("‹ 3/3 ›")
            await chat.until(lambda: chat.app.focused is chat.prompt)
            await chat.exchanges("Well", "More.")
            assert "Three" in shown_turns(engine.requests[-1])
            assert "One" not in shown_turns(engine.requests[-1])

    async def test_cursor_keys_look_and_enter_chooses(
        self, chatting: Chatting, engine: ScriptedEngine
    ) -> None:
        async with chatting(settings=DRAWN) as chat:
            await ask_three(chat, engine, "One", "Two", "Three")
            assert marked(chat) == [1]
            await chat.presses("up", "down")
            await chat.has_answers("Two")
            await chat.until(lambda: marked(chat) == [2])
            assert chat.shows("▸ 2")
            await chat.presses("enter")
            await chat.until(lambda: not written(chat))
            assert chat.answers == ["Two"]

    async def test_a_question_goes_on_from_the_answer_that_is_looked_at(
        self, chatting: Chatting, engine: ScriptedEngine
    ) -> None:
        async with chatting(settings=DRAWN) as chat:
            await ask_three(chat, engine, "One", "Two", "Three")
            await chat.presses("down")
            await chat.until(lambda: marked(chat) == [2])
            engine.enqueue(*answer("More."))
            await chat.asks("Well")
            await chat.has_answers("Two", "More.")
            assert not written(chat)
            assert "Two" in shown_turns(engine.requests[-1])

    async def test_a_click_looks_at_an_answer(
        self, chatting: Chatting, engine: ScriptedEngine
    ) -> None:
        async with chatting(settings=DRAWN) as chat:
            await ask_three(chat, engine, "One", "Two", "Three")
            await chat.pilot.click(list(chat.app.screen.query(SampleView))[2])
            await chat.has_answers("Three")
            assert marked(chat) == [3]

    async def test_going_to_another_version_and_escape_close_the_block(
        self, chatting: Chatting, engine: ScriptedEngine
    ) -> None:
        async with chatting(settings=DRAWN) as chat:
            await ask_three(chat, engine, "One", "Two", "Three")
            await chat.presses("alt+right")
            await chat.has_answers("Two")
            assert not written(chat)
            engine.enqueue(*three("Four", "Five", "Six"))
            await chat.presses("alt+a")
            await chat.until(lambda: settled(chat))
            assert chat.shows("‹ 4/6 ›")
            await chat.presses("escape")
            await chat.until(lambda: not written(chat))
            assert chat.answers == ["Four"]

    async def test_what_is_typed_in_the_meantime_keeps_the_focus(
        self, chatting: Chatting, engine: ScriptedEngine
    ) -> None:
        async with chatting(settings=DRAWN) as chat:
            await type_meanwhile(chat, engine, "2 and")
            await chat.until(lambda: settled(chat))
            await chat.types(" 3")
            assert chat.prompt.text == "2 and 3"
            assert len(written(chat)) == 3

    async def test_what_keys_do_is_told_as_it_is_while_something_is_typed(
        self, chatting: Chatting, engine: ScriptedEngine
    ) -> None:
        async with chatting(settings=DRAWN) as chat:
            await type_meanwhile(chat, engine, "2")
            await chat.reads("Shift+Tab leads to them")
            assert not chat.shows("its digit")
            await chat.presses("shift+tab")
            await chat.reads("its digit")
            assert not chat.shows("Shift+Tab leads to them")
            await chat.presses("3")
            await chat.has_answers("Three")
            await chat.until(lambda: not written(chat))
            assert chat.prompt.text == "2"

    async def test_they_are_versions_after_a_restart(
        self, chatting: Chatting, engine: ScriptedEngine, store: Store
    ) -> None:
        async with chatting(settings=DRAWN) as chat:
            await ask_three(chat, engine, "One", "Two", "Three")
            await chat.presses("down", "down")
            await chat.has_answers("Three")
            (listed,) = store.conversations()
            await chat.until(lambda: store.conversation(listed.id).leaf == turns(store)[3].id)
        async with chatting(settings=DRAWN) as chat:
            await chat.presses("ctrl+o")
            await chat.reads("Hi")
            await chat.presses("enter")
            await chat.has_answers("Three")
            assert chat.shows("‹ 3/3 ›")

    async def test_a_place_that_can_not_be_stored_is_told(
        self, chatting: Chatting, engine: ScriptedEngine, store: Store
    ) -> None:
        async with chatting(settings=DRAWN) as chat:
            await ask_three(chat, engine, "One", "Two", "Three")
            store.close()
            await chat.presses("2")
            await chat.reads("✖")
            assert chat.answers == ["Two"]

    async def test_another_conversation_has_no_block(
        self, chatting: Chatting, engine: ScriptedEngine
    ) -> None:
        engine.enqueue(*three("One", "Two", "Three"), gate := Gate())
        async with chatting(settings=DRAWN) as chat:
            await chat.types("Hi")
            await chat.presses("alt+a")
            await chat.until(gate.reached.is_set)
            await chat.presses("ctrl+n")
            await chat.until(lambda: not written(chat))
            await chat.exchanges("Well", "More.")

    async def test_keys_that_come_at_once_are_taken_in_their_order(
        self, chatting: Chatting, engine: ScriptedEngine
    ) -> None:
        engine.enqueue(*three("One", "Two", "Three"))
        async with chatting(settings=DRAWN) as chat:
            for key in (*"Hello", "alt+a"):
                chat.app.post_message(Key(key, key if len(key) == 1 else None))
            await chat.until(lambda: settled(chat))
            assert "Hello" in shown_turns(engine.requests[-1])


class TestSmallWindows:
    @pytest.mark.parametrize("size", [(40, 10), (40, 12), (60, 18)])
    async def test_all_three_can_be_seen(
        self, chatting: Chatting, engine: ScriptedEngine, size: tuple[int, int]
    ) -> None:
        engine.enqueue(*three("First", "Second", "Third"), gate := Gate())
        async with chatting(settings=DRAWN) as chat:
            await chat.types("Hi")
            await chat.presses("alt+a")
            await chat.until(gate.reached.is_set)
            await chat.resizes(*size)
            for text in ("First", "Second", "Third"):
                await chat.until(lambda text=text: chat.shows(text))  # type: ignore[misc]
            gate.open()
            await chat.until(lambda: settled(chat))
            await chat.presses("down")
            await chat.until(lambda: marked(chat) == [2])
            await chat.reads("▸ 2")
            await chat.resizes(120, 40)
            await chat.reads("Third")
            assert max(map(len, chat.lines)) <= 120


class TestRealWorker:
    @pytest.fixture
    def real(self, llama_gguf: Path) -> dict[str, object]:
        return {
            "engine_factory": Engine,
            "find_model": lambda name, progress: Found(path=llama_gguf),
            "preamble": find_preamble("zero-shot"),
            "settings": Settings(
                chat=ChatSettings(max_tokens=24),
                engine=EngineSettings(context=1024, threads=1),
                sampling=SamplingSettings(temperature=2.0, seed=1),
            ),
        }

    async def test_three_answers_are_stored_and_one_is_gone_on_from(
        self, chatting: Chatting, real: dict[str, object], store: Store
    ) -> None:
        async with chatting(**real) as chat:
            await chat.types("Hi")
            await chat.presses("alt+a")
            await chat.until(lambda: settled(chat))
            question, *answers = turns(store)
            assert [turn.parent_id for turn in answers] == [question.id] * 3
            assert written(chat) == [turn.text for turn in answers]
            assert [turn.sampling.seed for turn in answers if turn.sampling] == [1, 2, 3]
            assert len({turn.text for turn in answers}) == 3
            await chat.presses("2")
            await chat.asks("Well")
            await chat.until(lambda: len(turns(store)) == 6 and chat.ready)
            assert turns(store)[4].parent_id == answers[1].id

    async def test_a_killed_worker_loses_nothing(
        self, chatting: Chatting, real: dict[str, object], store: Store, home: Path
    ) -> None:
        long = msgspec.structs.replace(
            Settings(),
            chat=ChatSettings(max_tokens=250),
            engine=EngineSettings(context=1024, threads=1),
            sampling=SamplingSettings(temperature=2.0, seed=1),
        )
        async with chatting(**(real | {"settings": long})) as chat:
            await chat.types("Hi")
            await chat.presses("alt+a")
            await chat.until(lambda: any(written(chat)))
            for pid in workers(home):
                os.kill(pid, signal.SIGKILL)
            await chat.status_reads("no model")
            await chat.has_ended()
            await chat.presses("ctrl+r")
            await chat.is_ready()
            assert turns(store)[1].text
            await chat.asks("Well")
            await chat.until(lambda: turns(store)[-1].stop_reason is not None)
