"""The tokens of an answer, looked at and branched from by keys."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import msgspec
import pytest
from textual.pilot import Pilot

from tests.conftest import workers
from tests.scripted import Gate, ScriptedEngine, answer, prefill, shown
from tests.tui.conftest import Found, Opened, shows, status, type_text, wait_until
from tests.tui.test_chat_screen import converse, markdown
from tests.tui.test_turns import again
from tests.tui.traces import traced
from urial_tui.chat.store import Store
from urial_tui.chat.turns import TurnRecord
from urial_tui.engine.client.engine import Engine
from urial_tui.engine.wire.protocol import TextSegment, TokenSegment
from urial_tui.errors import EngineDied, EngineError
from urial_tui.prompting.preamble_file import find_preamble
from urial_tui.settings import ChatSettings, EngineSettings, SamplingSettings, Settings, sampling
from urial_tui.tui.chat.chat_screen import ChatScreen
from urial_tui.tui.tokens.alternatives import Alternatives
from urial_tui.tui.tokens.tokens_screen import TokensScreen
from urial_tui.tui.tokens.traced_strip import TracedStrip, level

GREEDY = sampling(Settings())
WORDS = [("One", 0.95), (" two", 0.6), (" th", 0.02), ("ree", 0.3), (".", 0.1)]


def tokens_screen(pilot: Pilot[None]) -> TokensScreen:
    screen = pilot.app.screen
    assert isinstance(screen, TokensScreen)
    return screen


def cursor(pilot: Pilot[None]) -> int:
    return tokens_screen(pilot).query_one(TracedStrip).cursor


async def open_tokens(pilot: Pilot[None], key: str = "f4") -> None:
    await pilot.press(key)
    await wait_until(pilot, lambda: isinstance(pilot.app.screen, TokensScreen))


async def read(pilot: Pilot[None]) -> None:
    """Open the screen and wait until all is read."""
    await open_tokens(pilot)
    await wait_until(pilot, lambda: status(pilot).rstrip().endswith("tokens"))


async def read_part(pilot: Pilot[None], engine: ScriptedEngine) -> None:
    """Open the screen and wait until three of five tokens are read; the rest never comes."""
    first, _ = traced(WORDS, GREEDY, batch=3)
    engine.enqueue_trace(first, gate := Gate())
    await open_tokens(pilot)
    await wait_until(pilot, gate.reached.is_set)
    await wait_until(pilot, lambda: "token 3 of 5" in status(pilot))


def ids_of(segments: tuple[TextSegment | TokenSegment, ...]) -> tuple[int, ...]:
    return tuple(
        token for segment in segments if isinstance(segment, TokenSegment) for token in segment.ids
    )


class TestLooking:
    async def test_the_answer_the_token_and_the_chain_are_shown(
        self, opened: Opened, engine: ScriptedEngine
    ) -> None:
        async with opened() as pilot:
            await converse(pilot, engine, "Hi", "One two three.")
            engine.enqueue_trace(*traced(WORDS, GREEDY))
            await read(pilot)
            assert shows(pilot, "One two three.")
            assert shows(pilot, "95.0%  rank 1")
            assert shows(pilot, "token 1 of 5")
            assert shows(pilot, "5 tokens")
            assert shows(pilot, "perplexity 4.9")
            assert shows(pilot, "the first choice")
            await pilot.press("right", "right")
            await wait_until(pilot, lambda: shows(pilot, "token 3 of 5"))
            assert shows(pilot, "2.0%  rank 6")
            assert shows(pilot, "2 lowered")
            assert shows(pilot, "Not by this chain")

    async def test_n_goes_to_the_improbable_tokens(
        self, opened: Opened, engine: ScriptedEngine
    ) -> None:
        async with opened() as pilot:
            await converse(pilot, engine, "Hi", "One two three.")
            engine.enqueue_trace(*traced(WORDS, GREEDY))
            await read(pilot)
            seen = []
            for key in ("n", "n", "n", "N"):
                await pilot.press(key)
                seen.append(cursor(pilot))
            assert seen == [2, 4, 4, 2]

    async def test_what_is_asked_is_the_answer_behind_its_question(
        self, opened: Opened, engine: ScriptedEngine
    ) -> None:
        async with opened() as pilot:
            await converse(pilot, engine, "Hi", "One.")
            await converse(pilot, engine, "Well", "Two.")
            await pilot.press("shift+tab", "up", "up")
            await open_tokens(pilot, "t")
            await wait_until(pilot, lambda: bool(engine.traces))
            (request,) = engine.traces
            assert "".join(map(shown, request.answer)) == "One."
            assert len(request.turns) == 1
            assert "Hi" in "".join(map(shown, request.turns[0]))
            await pilot.press("escape")
            await wait_until(pilot, lambda: isinstance(pilot.app.screen, ChatScreen))
            await open_tokens(pilot, "f4")
            await wait_until(pilot, lambda: len(engine.traces) == 2)
            again = engine.traces[1]
            assert again == msgspec.structs.replace(request, id=again.id)

    async def test_a_question_stands_for_its_answer(
        self, opened: Opened, engine: ScriptedEngine
    ) -> None:
        async with opened() as pilot:
            await converse(pilot, engine, "Hi", "One.")
            await pilot.press("shift+tab", "up", "t")
            await wait_until(pilot, lambda: bool(engine.traces))
            assert "".join(map(shown, engine.traces[0].answer)) == "One."

    async def test_the_chain_is_the_one_that_the_answer_was_written_with(
        self, opened: Opened, engine: ScriptedEngine
    ) -> None:
        async with opened() as pilot:
            await converse(pilot, engine, "Hi", "One.")
            await again(pilot, engine, "f5", "Two.")
            assert markdown(pilot) == ["Two."]
            await open_tokens(pilot)
            await wait_until(pilot, lambda: bool(engine.traces))
            assert engine.traces[0].sampling == engine.requests[-1].sampling
            assert shows(pilot, "temperature 0.7")

    async def test_an_edited_answer_is_tokenised_and_that_is_said(
        self, opened: Opened, engine: ScriptedEngine
    ) -> None:
        async with opened() as pilot:
            await converse(pilot, engine, "Hi", "One.")
            await pilot.press("shift+tab", "e", "x", "enter")
            await wait_until(pilot, lambda: markdown(pilot) == ["One.x"])
            engine.enqueue_trace(*traced(WORDS, GREEDY))
            await read(pilot)
            assert engine.traces[0].answer == (TextSegment(text="One.x"),)
            assert shows(pilot, "Its own tokens are not known")
            assert shows(pilot, "How it was sampled is not known")

    async def test_there_is_nothing_to_look_at(
        self, opened: Opened, engine: ScriptedEngine
    ) -> None:
        async with opened() as pilot:
            await pilot.press("f4")
            await wait_until(pilot, lambda: shows(pilot, "There is no answer"))
            engine.enqueue(gate := Gate())
            await type_text(pilot, "Hi")
            await pilot.press("enter")
            await wait_until(pilot, gate.reached.is_set)
            await pilot.press("f4")
            await wait_until(pilot, lambda: shows(pilot, "One answer at a time"))
            gate.open()
            assert isinstance(pilot.app.screen, ChatScreen)

    @pytest.mark.parametrize("key", ["f1", "question_mark"])
    async def test_help_lists_the_keys(
        self, opened: Opened, engine: ScriptedEngine, key: str
    ) -> None:
        async with opened(size=(100, 40)) as pilot:
            await converse(pilot, engine, "Hi", "One.")
            engine.enqueue_trace(*traced(WORDS, GREEDY))
            await read(pilot)
            await pilot.press(key)
            await wait_until(pilot, lambda: shows(pilot, "Next improbable token"))
            assert shows(pilot, "Write alternative 1 instead")


class TestReading:
    async def test_progress_is_told_and_what_is_read_can_be_looked_at(
        self, opened: Opened, engine: ScriptedEngine
    ) -> None:
        async with opened() as pilot:
            await converse(pilot, engine, "Hi", "One two three.")
            first, second = traced(WORDS, GREEDY, batch=3)
            before, between = Gate(), Gate()
            engine.enqueue_trace(prefill("prompt", 512, 1900), before, first, between, second)
            await open_tokens(pilot)
            await wait_until(pilot, lambda: "reading 512 of 1,900 tokens" in status(pilot))
            assert shows(pilot, "One two three.")
            before.open()
            await wait_until(pilot, lambda: "token 3 of 5" in status(pilot))
            await pilot.press("end")
            await wait_until(pilot, lambda: cursor(pilot) == 2)
            between.open()
            await wait_until(pilot, lambda: status(pilot).rstrip().endswith("5 tokens"))
            assert cursor(pilot) == 2

    async def test_escape_stops_and_then_leaves(
        self, opened: Opened, engine: ScriptedEngine
    ) -> None:
        async with opened() as pilot:
            await converse(pilot, engine, "Hi", "One two three.")
            await read_part(pilot, engine)
            await pilot.press("escape")
            await wait_until(pilot, lambda: "stopped at token 3 of 5" in status(pilot))
            await pilot.press("escape")
            await wait_until(pilot, lambda: isinstance(pilot.app.screen, ChatScreen))
            await converse(pilot, engine, "Well", "Two.")

    async def test_leaving_before_the_first_token_stops_the_reading(
        self, opened: Opened, engine: ScriptedEngine
    ) -> None:
        async with opened() as pilot:
            await converse(pilot, engine, "Hi", "One two three.")
            engine.enqueue_trace(prefill("prompt", 512, 1900), gate := Gate())
            await open_tokens(pilot)
            await wait_until(pilot, gate.reached.is_set)
            await pilot.press("escape")
            await wait_until(pilot, lambda: isinstance(pilot.app.screen, ChatScreen))
            await converse(pilot, engine, "Well", "Two.")

    async def test_a_refusal_is_a_sentence(self, opened: Opened, engine: ScriptedEngine) -> None:
        async with opened() as pilot:
            await converse(pilot, engine, "Hi", "One two three.")
            engine.enqueue_trace(EngineError("It is too long.", "Raise the context setting."))
            await open_tokens(pilot)
            await wait_until(pilot, lambda: shows(pilot, "It is too long."))
            assert shows(pilot, "Raise the context setting.")
            assert "failed" in status(pilot)
            await pilot.press("escape")
            await wait_until(pilot, lambda: isinstance(pilot.app.screen, ChatScreen))

    async def test_a_death_is_told_here_and_in_the_chat(
        self, opened: Opened, engine: ScriptedEngine
    ) -> None:
        async with opened() as pilot:
            await converse(pilot, engine, "Hi", "One two three.")
            first, _ = traced(WORDS, GREEDY, batch=3)
            engine.enqueue_trace(first, EngineDied("The engine stopped.", "Load it again."))
            await open_tokens(pilot)
            await wait_until(pilot, lambda: shows(pilot, "The engine stopped."))
            assert shows(pilot, "token 1 of 5")
            await pilot.press("escape")
            await wait_until(pilot, lambda: isinstance(pilot.app.screen, ChatScreen))
            assert shows(pilot, "The engine stopped.")
            assert shows(pilot, "Ctrl+R")
            assert markdown(pilot) == ["One two three."]


class TestBranching:
    async def test_a_digit_writes_the_answer_anew_from_there(
        self, opened: Opened, engine: ScriptedEngine, store: Store
    ) -> None:
        async with opened() as pilot:
            await converse(pilot, engine, "Hi", "One two three.")
            engine.enqueue_trace(*traced(WORDS, GREEDY))
            await read(pilot)
            await pilot.press("right", "right")
            await wait_until(pilot, lambda: shows(pilot, "token 3 of 5"))
            engine.enqueue(*answer(" and so on."))
            await pilot.press("1")
            await wait_until(pilot, lambda: isinstance(pilot.app.screen, ChatScreen))
            await wait_until(pilot, lambda: "ready" in status(pilot))
            # The two tokens before, and the most probable one in the place of the third.
            assert engine.requests[-1].prefix == (TokenSegment(ids=(1, 2, 1000)),)
            assert shows(pilot, "‹ 2/2 ›")
            (listed,) = store.conversations()
            _, first, second = store.turns(listed.id)
            assert first.parent_id == second.parent_id
            await pilot.press("alt+u")
            await wait_until(pilot, lambda: markdown(pilot) == ["One two three."])

    async def test_enter_chooses_in_the_list(self, opened: Opened, engine: ScriptedEngine) -> None:
        async with opened() as pilot:
            await converse(pilot, engine, "Hi", "One two three.")
            engine.enqueue_trace(*traced(WORDS, GREEDY))
            await read(pilot)
            await pilot.press("enter")
            assert isinstance(pilot.app.focused, Alternatives)
            await pilot.press("right", "down")
            await wait_until(pilot, lambda: shows(pilot, "token 2 of 5"))
            await pilot.press("enter")
            await wait_until(pilot, lambda: isinstance(pilot.app.screen, ChatScreen))
            await wait_until(pilot, lambda: len(engine.requests) == 2)
            assert engine.requests[-1].prefix == (TokenSegment(ids=(1, 1000)),)

    async def test_the_written_token_is_gone_on_from_by_chance(
        self, opened: Opened, engine: ScriptedEngine
    ) -> None:
        """A greedy answer would be the same again."""
        async with opened() as pilot:
            await converse(pilot, engine, "Hi", "One two three.")
            engine.enqueue_trace(*traced(WORDS, GREEDY))
            await read(pilot)
            await pilot.press("right", "1")
            await wait_until(pilot, lambda: len(engine.requests) == 2)
            assert engine.requests[-1].prefix == (TokenSegment(ids=(1, 2)),)
            used = engine.requests[-1].sampling
            assert used is not None
            assert used.temperature == 0.7
            assert shows(pilot, "drawn at temperature 0.7")

    async def test_a_token_that_ends_answers_is_not_gone_on_from(
        self, opened: Opened, engine: ScriptedEngine
    ) -> None:
        async with opened() as pilot:
            await converse(pilot, engine, "Hi", "One two three.")
            engine.enqueue_trace(*traced(WORDS, GREEDY))
            await read(pilot)
            await pilot.press("right", "3")
            await wait_until(pilot, lambda: shows(pilot, "<end_of_turn> ends an answer"))
            assert len(engine.requests) == 1

    async def test_branching_while_the_rest_is_read_ends_the_reading(
        self, opened: Opened, engine: ScriptedEngine
    ) -> None:
        async with opened() as pilot:
            await converse(pilot, engine, "Hi", "One two three.")
            await read_part(pilot, engine)
            engine.enqueue(*answer("!"))
            await pilot.press("2")
            await wait_until(pilot, lambda: len(engine.requests) == 2)
            await wait_until(pilot, lambda: "ready" in status(pilot))
            assert engine.requests[-1].prefix == (TokenSegment(ids=(1000,)),)


# -- on a real worker ----------------------------------------------------------------------


@pytest.fixture
def real(endless_gguf: Path) -> dict[str, object]:
    return {
        "engine_factory": Engine,
        "find_model": lambda name, progress: Found(path=endless_gguf),
        "preamble": find_preamble("zero-shot"),
        "settings": Settings(
            chat=ChatSettings(max_tokens=40),
            engine=EngineSettings(context=2048, threads=1),
            sampling=SamplingSettings(temperature=1.0, seed=1),
        ),
    }


def stored(store: Store) -> list[TurnRecord]:
    listed = store.conversations()
    return store.turns(listed[0].id) if listed else []


async def ask_real(pilot: Pilot[None], store: Store) -> TurnRecord:
    await type_text(pilot, "list")
    await pilot.press("enter")
    await wait_until(
        pilot, lambda: len(stored(store)) == 2 and stored(store)[-1].stop_reason is not None
    )
    await wait_until(pilot, lambda: "ready" in status(pilot))
    return stored(store)[-1]


async def test_a_real_branch_starts_with_exactly_these_tokens(
    opened: Opened, real: dict[str, object], store: Store
) -> None:
    async with opened(size=(120, 40), **real) as pilot:
        written = await ask_real(pilot, store)
        assert written.ids is not None
        await read(pilot)
        screen = tokens_screen(pilot)
        assert [token.id for token in screen.answer.tokens][: len(written.ids)] == list(written.ids)
        await pilot.press(*["right"] * 5)
        await wait_until(pilot, lambda: cursor(pilot) == 5)
        other = next(
            place
            for place, found in enumerate(screen.answer.alternatives(5))
            if found.id != written.ids[5] and not screen.answer.ends(found.id)
        )
        chosen = screen.answer.alternatives(5)[other].id
        await pilot.press(str((other + 1) % 10))
        await wait_until(
            pilot, lambda: len(stored(store)) == 3 and stored(store)[-1].stop_reason is not None
        )
        branched = stored(store)[-1]
        assert branched.ids is not None
        assert branched.ids[:6] == (*written.ids[:5], chosen)
        assert len(branched.ids) > 6
        assert branched.parent_id == written.parent_id
        assert stored(store)[1] == written


async def test_a_real_worker_that_is_killed_is_told_and_loaded_again(
    opened: Opened, real: dict[str, object], store: Store, home: Path
) -> None:
    async with opened(**real) as pilot:
        await ask_real(pilot, store)
        await read(pilot)
        (pid,) = workers(home)
        os.kill(pid, signal.SIGKILL)
        await pilot.press("right", "escape")
        await wait_until(pilot, lambda: isinstance(pilot.app.screen, ChatScreen))
        await wait_until(pilot, lambda: shows(pilot, "ended by SIGKILL"))
        await pilot.press("ctrl+r")
        await wait_until(pilot, lambda: "ready" in status(pilot))
        await read(pilot)


def test_levels_reach_from_one_probability_down_to_the_next() -> None:
    assert [level(p) for p in (1.0, 0.9, 0.899, 0.5, 0.2, 0.199, 0.05, 0.049, 0.0)] == [
        *("sure", "sure", "likely", "likely", "open"),
        *("unlikely", "unlikely", "rare", "rare"),
    ]
