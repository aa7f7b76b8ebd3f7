"""Several answers at once: written side by side, chosen from, gone on from."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import msgspec
import pytest
from textual.events import Key
from textual.pilot import Pilot

from tests.conftest import workers
from tests.scripted import Gate, ScriptedEngine, Step, answer, delta, finished, shown_turns
from tests.tui.conftest import Found, Opened, screen_text, shows, status, type_text, wait_until
from tests.tui.test_chat_screen import converse, markdown, prompt
from urial_tui.chat.store import Store
from urial_tui.chat.turns import TurnRecord
from urial_tui.engine.client.engine import Engine
from urial_tui.engine.wire.protocol import Sampling
from urial_tui.errors import EngineDied, EngineError
from urial_tui.memory import MachineMemory
from urial_tui.prompting.preamble_file import find_preamble
from urial_tui.runtime.memory_plan import PLAN
from urial_tui.settings import ChatSettings, EngineSettings, SamplingSettings, Settings
from urial_tui.tui.chat.sample_choice import SampleChoice, SampleView

DRAWN = Settings(sampling=SamplingSettings(temperature=0.8, seed=7))


def three(*texts: str) -> tuple[Step, ...]:
    return tuple(delta(text, sample=number) for number, text in enumerate(texts))


def written(pilot: Pilot[None]) -> list[str]:
    """The texts in the block, in its order."""
    return [view.text for view in pilot.app.screen.query(SampleView)]


def marked(pilot: Pilot[None]) -> list[int]:
    return [view.number for view in pilot.app.screen.query(SampleView) if view.has_class("-marked")]


def settled(pilot: Pilot[None]) -> bool:
    choices = pilot.app.screen.query(SampleChoice)
    return bool(choices) and choices.first().settled


def turns(store: Store) -> list[TurnRecord]:
    (listed,) = store.conversations()
    return store.turns(listed.id)


async def ask_three(pilot: Pilot[None], engine: ScriptedEngine, *texts: str) -> None:
    engine.enqueue(*three(*texts))
    await type_text(pilot, "Hi")
    await pilot.press("alt+a")
    await wait_until(pilot, lambda: settled(pilot) and "ready" in status(pilot))


class TestWriting:
    async def test_all_three_are_shown_while_they_are_written(
        self, opened: Opened, engine: ScriptedEngine, store: Store
    ) -> None:
        engine.enqueue(*three("One", "Two", "Three"), finished("Two", sample=1), gate := Gate())
        async with opened(settings=DRAWN) as pilot:
            await type_text(pilot, "Hi")
            await pilot.press("alt+a")
            await wait_until(pilot, gate.reached.is_set)
            await wait_until(pilot, lambda: written(pilot) == ["One", "Two", "Three"])
            for text in (
                "1  3 tokens · seed 7",
                "2  3 tokens · done · seed 8",
                "3  5 tokens · seed 9",
                "Esc stops all of them",
            ):
                await wait_until(pilot, lambda text=text: shows(pilot, text))  # type: ignore[misc]
            assert "writing 3 answers at temperature 0.8" in status(pilot)
            assert prompt(pilot).text == ""
            gate.open()
            await wait_until(pilot, lambda: settled(pilot))
            assert engine.requests[-1].samples == 3
            assert [(turn.text, turn.stop_reason) for turn in turns(store)[1:]] == [
                ("One", "stop"),
                ("Two", "stop"),
                ("Three", "stop"),
            ]
            assert shows(pilot, "‹ 1/3 ›")
            assert markdown(pilot) == ["One"]

    async def test_the_end_of_a_long_answer_is_shown_while_it_grows_then_its_beginning(
        self, opened: Opened, engine: ScriptedEngine
    ) -> None:
        long = "\n\n".join(f"Line {number}" for number in range(40))
        engine.enqueue(*three("One", long, "Three"), gate := Gate())
        async with opened(settings=DRAWN) as pilot:
            await type_text(pilot, "Hi")
            await pilot.press("alt+a")
            await wait_until(pilot, gate.reached.is_set)
            await wait_until(pilot, lambda: shows(pilot, "Line 39"))
            assert not shows(pilot, "Line 0")
            gate.open()
            await wait_until(pilot, lambda: settled(pilot))
            await wait_until(pilot, lambda: shows(pilot, "Line 0"))
            assert not shows(pilot, "Line 39")

    async def test_escape_stops_all_and_keeps_what_is_there(
        self, opened: Opened, engine: ScriptedEngine, store: Store
    ) -> None:
        engine.enqueue(*three("One", "Two"), gate := Gate())
        async with opened(settings=DRAWN) as pilot:
            await type_text(pilot, "Hi")
            await pilot.press("alt+a")
            await wait_until(pilot, gate.reached.is_set)
            await pilot.press("escape")
            await wait_until(pilot, lambda: settled(pilot) and "stopped" in status(pilot))
            assert [(turn.text, turn.stop_reason) for turn in turns(store)[1:]] == [
                ("One", "cancelled"),
                ("Two", "cancelled"),
            ]
            assert written(pilot) == ["One", "Two"]

    async def test_stopped_before_any_began_there_is_nothing_to_choose(
        self, opened: Opened, engine: ScriptedEngine
    ) -> None:
        engine.enqueue(gate := Gate())
        async with opened(settings=DRAWN) as pilot:
            await type_text(pilot, "Hi")
            await pilot.press("alt+a")
            await wait_until(pilot, gate.reached.is_set)
            await pilot.press("escape")
            await wait_until(pilot, lambda: "stopped" in status(pilot))
            await wait_until(pilot, lambda: not written(pilot))
            assert shows(pilot, "■ stopped")

    async def test_with_an_empty_prompt_the_last_question_is_answered_again(
        self, opened: Opened, engine: ScriptedEngine, store: Store
    ) -> None:
        async with opened() as pilot:
            await converse(pilot, engine, "Hi", "Zero.")
            engine.enqueue(*three("One", "Two", "Three"))
            await pilot.press("alt+a")
            await wait_until(pilot, lambda: settled(pilot))
            assert shows(pilot, "3 answers would be the same: these")
            assert [turn.text for turn in turns(store)] == ["Hi", "Zero.", "One", "Two", "Three"]
            assert shows(pilot, "‹ 2/4 ›")
            (sampling,) = [one.sampling for one in engine.requests[1:]]
            assert isinstance(sampling, Sampling)
            assert sampling.temperature == 0.7
            assert sampling.seed is not None

    async def test_nothing_else_is_asked_meanwhile(
        self, opened: Opened, engine: ScriptedEngine
    ) -> None:
        engine.enqueue(*three("One", "Two", "Three"), gate := Gate())
        async with opened(settings=DRAWN) as pilot:
            await type_text(pilot, "Hi")
            await pilot.press("alt+a")
            await wait_until(pilot, gate.reached.is_set)
            for key in ("alt+a", "f5", "alt+right", "alt+u", "1", "backspace"):
                await pilot.press(key)
                await pilot.pause()
            assert written(pilot) == ["One", "Two", "Three"]
            gate.open()
            await wait_until(pilot, lambda: settled(pilot))
            assert len(engine.requests) == 1

    async def test_an_edited_question_is_asked(
        self, opened: Opened, engine: ScriptedEngine
    ) -> None:
        async with opened(settings=DRAWN) as pilot:
            await converse(pilot, engine, "Hi", "Zero.")
            await pilot.press("f6")
            await wait_until(pilot, lambda: prompt(pilot).text == "Hi")
            await type_text(pilot, " there")
            engine.enqueue(*three("One", "Two", "Three"))
            await pilot.press("alt+a")
            await wait_until(pilot, lambda: settled(pilot))
            assert shows(pilot, "You  ‹ 2/2 ›")
            assert "Hi there" in shown_turns(engine.requests[-1])

    async def test_a_question_waits_for_the_model(
        self, opened: Opened, engine: ScriptedEngine
    ) -> None:
        engine.enqueue_load(gate := Gate())
        engine.enqueue(*three("One", "Two", "Three"))
        async with opened(settings=DRAWN, ready=False) as pilot:
            await type_text(pilot, "Hi")
            await pilot.press("alt+a")
            await wait_until(pilot, lambda: shows(pilot, "waits for the model"))
            gate.open()
            await wait_until(pilot, lambda: settled(pilot))
            assert written(pilot) == ["One", "Two", "Three"]

    async def test_in_an_empty_conversation_nothing_happens(self, opened: Opened) -> None:
        async with opened() as pilot:
            await pilot.press("alt+a")
            await pilot.pause()
            assert "ready" in status(pilot)


class TestTrouble:
    @pytest.mark.parametrize("waits", [False, True])
    async def test_too_little_memory_is_told_and_nothing_starts(
        self,
        opened: Opened,
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
        async with opened(ready=not waits) as pilot:
            await type_text(pilot, "Hi")
            await pilot.press("alt+a")
            if waits:
                await wait_until(pilot, lambda: shows(pilot, "waits for the model"))
                gate.open()
            await wait_until(pilot, lambda: shows(pilot, "Several answers at once need"))
            await wait_until(pilot, lambda: "ready" in status(pilot))
            assert not engine.requests
            if waits:
                assert shows(pilot, "■ not answered")
            else:
                assert prompt(pilot).text == "Hi"
                assert not store.conversations()

    async def test_a_dead_worker_leaves_what_was_written(
        self, opened: Opened, engine: ScriptedEngine, store: Store
    ) -> None:
        death = EngineDied("The engine stopped: SIGKILL.", "Load it again.")
        engine.enqueue(*three("One", "Two", "Three"), death)
        async with opened(settings=DRAWN) as pilot:
            await type_text(pilot, "Hi")
            await pilot.press("alt+a")
            await wait_until(pilot, lambda: settled(pilot))
            assert {turn.stop_reason for turn in turns(store)[1:]} == {"died"}
            assert shows(pilot, "no model")
            await pilot.press("ctrl+r")
            await wait_until(pilot, lambda: "ready" in status(pilot))
            assert written(pilot) == ["One", "Two", "Three"]
            await pilot.press("2")
            await wait_until(pilot, lambda: markdown(pilot) == ["Two"])
            await converse(pilot, engine, "Well", "More.")

    async def test_a_refused_question_comes_back(
        self, opened: Opened, engine: ScriptedEngine
    ) -> None:
        engine.enqueue(EngineError("It is too long.", "Shorten it."))
        async with opened(settings=DRAWN) as pilot:
            await type_text(pilot, "Hi")
            await pilot.press("alt+a")
            await wait_until(pilot, lambda: shows(pilot, "It is too long."))
            await wait_until(pilot, lambda: prompt(pilot).text == "Hi")
            assert not written(pilot)


class TestChoosing:
    async def test_a_digit_chooses_and_the_next_question_goes_on_from_it(
        self, opened: Opened, engine: ScriptedEngine
    ) -> None:
        async with opened(settings=DRAWN) as pilot:
            await ask_three(pilot, engine, "One", "Two", "Three")
            assert isinstance(pilot.app.focused, SampleChoice)
            await pilot.press("3")
            await wait_until(pilot, lambda: markdown(pilot) == ["Three"])
            await wait_until(pilot, lambda: not written(pilot))
            assert shows(pilot, "‹ 3/3 ›")
            await wait_until(pilot, lambda: pilot.app.focused is prompt(pilot))
            await converse(pilot, engine, "Well", "More.")
            assert "Three" in shown_turns(engine.requests[-1])
            assert "One" not in shown_turns(engine.requests[-1])

    async def test_cursor_keys_look_and_enter_chooses(
        self, opened: Opened, engine: ScriptedEngine
    ) -> None:
        async with opened(settings=DRAWN) as pilot:
            await ask_three(pilot, engine, "One", "Two", "Three")
            assert marked(pilot) == [1]
            await pilot.press("up", "down")
            await wait_until(pilot, lambda: markdown(pilot) == ["Two"])
            await wait_until(pilot, lambda: marked(pilot) == [2])
            assert shows(pilot, "▸ 2")
            await pilot.press("enter")
            await wait_until(pilot, lambda: not written(pilot))
            assert markdown(pilot) == ["Two"]

    async def test_a_question_goes_on_from_the_answer_that_is_looked_at(
        self, opened: Opened, engine: ScriptedEngine
    ) -> None:
        async with opened(settings=DRAWN) as pilot:
            await ask_three(pilot, engine, "One", "Two", "Three")
            await pilot.press("down")
            await wait_until(pilot, lambda: marked(pilot) == [2])
            engine.enqueue(*answer("More."))
            await type_text(pilot, "Well")
            await pilot.press("enter")
            await wait_until(pilot, lambda: markdown(pilot) == ["Two", "More."])
            assert not written(pilot)
            assert "Two" in shown_turns(engine.requests[-1])

    async def test_a_click_looks_at_an_answer(self, opened: Opened, engine: ScriptedEngine) -> None:
        async with opened(settings=DRAWN) as pilot:
            await ask_three(pilot, engine, "One", "Two", "Three")
            await pilot.click(list(pilot.app.screen.query(SampleView))[2])
            await wait_until(pilot, lambda: markdown(pilot) == ["Three"])
            assert marked(pilot) == [3]

    async def test_going_to_another_version_and_escape_close_the_block(
        self, opened: Opened, engine: ScriptedEngine
    ) -> None:
        async with opened(settings=DRAWN) as pilot:
            await ask_three(pilot, engine, "One", "Two", "Three")
            await pilot.press("alt+right")
            await wait_until(pilot, lambda: markdown(pilot) == ["Two"])
            assert not written(pilot)
            engine.enqueue(*three("Four", "Five", "Six"))
            await pilot.press("alt+a")
            await wait_until(pilot, lambda: settled(pilot))
            assert shows(pilot, "‹ 4/6 ›")
            await pilot.press("escape")
            await wait_until(pilot, lambda: not written(pilot))
            assert markdown(pilot) == ["Four"]

    async def test_what_is_typed_in_the_meantime_keeps_the_focus(
        self, opened: Opened, engine: ScriptedEngine
    ) -> None:
        engine.enqueue(*three("One", "Two", "Three"), gate := Gate())
        async with opened(settings=DRAWN) as pilot:
            await type_text(pilot, "Hi")
            await pilot.press("alt+a")
            await wait_until(pilot, gate.reached.is_set)
            await type_text(pilot, "2 and")
            gate.open()
            await wait_until(pilot, lambda: settled(pilot))
            await type_text(pilot, " 3")
            assert prompt(pilot).text == "2 and 3"
            assert len(written(pilot)) == 3

    async def test_they_are_versions_after_a_restart(
        self, opened: Opened, engine: ScriptedEngine, store: Store
    ) -> None:
        async with opened(settings=DRAWN) as pilot:
            await ask_three(pilot, engine, "One", "Two", "Three")
            await pilot.press("down", "down")
            await wait_until(pilot, lambda: markdown(pilot) == ["Three"])
            (listed,) = store.conversations()
            await wait_until(
                pilot, lambda: store.conversation(listed.id).leaf == turns(store)[3].id
            )
        async with opened(settings=DRAWN) as pilot:
            await pilot.press("ctrl+o")
            await wait_until(pilot, lambda: shows(pilot, "Hi"))
            await pilot.press("enter")
            await wait_until(pilot, lambda: markdown(pilot) == ["Three"])
            assert shows(pilot, "‹ 3/3 ›")

    async def test_a_place_that_can_not_be_stored_is_told(
        self, opened: Opened, engine: ScriptedEngine, store: Store
    ) -> None:
        async with opened(settings=DRAWN) as pilot:
            await ask_three(pilot, engine, "One", "Two", "Three")
            store.close()
            await pilot.press("2")
            await wait_until(pilot, lambda: shows(pilot, "✖"))
            assert markdown(pilot) == ["Two"]

    async def test_another_conversation_has_no_block(
        self, opened: Opened, engine: ScriptedEngine
    ) -> None:
        engine.enqueue(*three("One", "Two", "Three"), gate := Gate())
        async with opened(settings=DRAWN) as pilot:
            await type_text(pilot, "Hi")
            await pilot.press("alt+a")
            await wait_until(pilot, gate.reached.is_set)
            await pilot.press("ctrl+n")
            await wait_until(pilot, lambda: not written(pilot))
            await converse(pilot, engine, "Well", "More.")

    async def test_keys_that_come_at_once_are_taken_in_their_order(
        self, opened: Opened, engine: ScriptedEngine
    ) -> None:
        engine.enqueue(*three("One", "Two", "Three"))
        async with opened(settings=DRAWN) as pilot:
            for key in (*"Hello", "alt+a"):
                pilot.app.post_message(Key(key, key if len(key) == 1 else None))
            await wait_until(pilot, lambda: settled(pilot))
            assert "Hello" in shown_turns(engine.requests[-1])


class TestSmallWindows:
    @pytest.mark.parametrize("size", [(40, 10), (40, 12), (60, 18)])
    async def test_all_three_can_be_seen(
        self, opened: Opened, engine: ScriptedEngine, size: tuple[int, int]
    ) -> None:
        engine.enqueue(*three("First", "Second", "Third"), gate := Gate())
        async with opened(settings=DRAWN) as pilot:
            await type_text(pilot, "Hi")
            await pilot.press("alt+a")
            await wait_until(pilot, gate.reached.is_set)
            await pilot.resize_terminal(*size)
            for text in ("First", "Second", "Third"):
                await wait_until(pilot, lambda text=text: shows(pilot, text))  # type: ignore[misc]
            gate.open()
            await wait_until(pilot, lambda: settled(pilot))
            await pilot.press("down")
            await wait_until(pilot, lambda: marked(pilot) == [2])
            await wait_until(pilot, lambda: shows(pilot, "▸ 2"))
            await pilot.resize_terminal(120, 40)
            await wait_until(pilot, lambda: shows(pilot, "Third"))
            assert max(map(len, screen_text(pilot).splitlines())) <= 120


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
        self, opened: Opened, real: dict[str, object], store: Store
    ) -> None:
        async with opened(**real) as pilot:
            await type_text(pilot, "Hi")
            await pilot.press("alt+a")
            await wait_until(pilot, lambda: settled(pilot))
            question, *answers = turns(store)
            assert [turn.parent_id for turn in answers] == [question.id] * 3
            assert written(pilot) == [turn.text for turn in answers]
            assert [turn.sampling.seed for turn in answers if turn.sampling] == [1, 2, 3]
            assert len({turn.text for turn in answers}) == 3
            await pilot.press("2")
            await type_text(pilot, "Well")
            await pilot.press("enter")
            await wait_until(pilot, lambda: len(turns(store)) == 6 and "ready" in status(pilot))
            assert turns(store)[4].parent_id == answers[1].id

    async def test_a_killed_worker_loses_nothing(
        self, opened: Opened, real: dict[str, object], store: Store, home: Path
    ) -> None:
        long = msgspec.structs.replace(
            Settings(),
            chat=ChatSettings(max_tokens=250),
            engine=EngineSettings(context=1024, threads=1),
            sampling=SamplingSettings(temperature=2.0, seed=1),
        )
        async with opened(**(real | {"settings": long})) as pilot:
            await type_text(pilot, "Hi")
            await pilot.press("alt+a")
            await wait_until(pilot, lambda: any(written(pilot)))
            for pid in workers(home):
                os.kill(pid, signal.SIGKILL)
            await wait_until(pilot, lambda: shows(pilot, "SIGKILL") or settled(pilot))
            await pilot.press("ctrl+r")
            await wait_until(pilot, lambda: "ready" in status(pilot))
            assert turns(store)[1].text
            await type_text(pilot, "Well")
            await pilot.press("enter")
            await wait_until(pilot, lambda: turns(store)[-1].stop_reason is not None)
