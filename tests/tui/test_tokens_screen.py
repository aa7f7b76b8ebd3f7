"""The tokens of an answer, looked at and branched from by keys."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import msgspec
import pytest

from tests.conftest import workers
from tests.scripted import Gate, ScriptedEngine, answer, prefill, shown
from tests.tui.chat_page import ChatPage
from tests.tui.conftest import Chatting, Found
from tests.tui.tokens_page import TokensPage, read_tokens
from tests.tui.traces import traced
from urial_tui.chat.store import Store
from urial_tui.chat.turns import TurnRecord
from urial_tui.engine.client.engine import Engine
from urial_tui.engine.wire.values import TextSegment, TokenSegment
from urial_tui.errors import EngineDied, EngineError
from urial_tui.prompting.preamble_file import find_preamble
from urial_tui.settings import ChatSettings, EngineSettings, SamplingSettings, Settings, sampling
from urial_tui.tui.chat.chat_screen import ChatScreen
from urial_tui.tui.tokens.alternatives import Alternatives
from urial_tui.tui.tokens.traced_strip import level

GREEDY = sampling(Settings())
WORDS = [("One", 0.95), (" two", 0.6), (" th", 0.02), ("ree", 0.3), (".", 0.1)]


async def read_part(chat: ChatPage) -> TokensPage:
    """Look at the tokens, and wait until three of five are read; the rest never comes."""
    first, _ = traced(WORDS, GREEDY, batch=3)
    chat.engine.enqueue_trace(first, gate := Gate())
    tokens = await chat.leads_to(TokensPage)
    await tokens.until(gate.reached.is_set)
    await tokens.status_reads("token 3 of 5")
    return tokens


def ids_of(segments: tuple[TextSegment | TokenSegment, ...]) -> tuple[int, ...]:
    return tuple(
        token for segment in segments if isinstance(segment, TokenSegment) for token in segment.ids
    )


class TestLooking:
    async def test_the_answer_the_token_and_the_chain_are_shown(
        self, chatting: Chatting, engine: ScriptedEngine
    ) -> None:
        async with chatting() as chat:
            await chat.exchanges("Hi", "One two three.")
            engine.enqueue_trace(*traced(WORDS, GREEDY))
            tokens = await read_tokens(chat)
            assert tokens.shows("One two three.")
            assert tokens.shows("95.0%  rank 1")
            assert tokens.shows("token 1 of 5")
            assert tokens.shows("5 tokens")
            assert tokens.shows("perplexity 4.9")
            assert tokens.shows("the first choice")
            await tokens.presses("right", "right")
            await tokens.reads("token 3 of 5")
            assert tokens.shows("2.0%  rank 6")
            assert tokens.shows("2 lowered")
            assert tokens.shows("Not by this chain")

    async def test_n_goes_to_the_improbable_tokens(
        self, chatting: Chatting, engine: ScriptedEngine
    ) -> None:
        async with chatting() as chat:
            await chat.exchanges("Hi", "One two three.")
            engine.enqueue_trace(*traced(WORDS, GREEDY))
            tokens = await read_tokens(chat)
            seen = []
            for key in ("n", "n", "n", "N"):
                await tokens.presses(key)
                seen.append(tokens.cursor)
            assert seen == [2, 4, 4, 2]

    async def test_what_is_asked_is_the_answer_behind_its_question(
        self, chatting: Chatting, engine: ScriptedEngine
    ) -> None:
        async with chatting() as chat:
            await chat.exchanges("Hi", "One.")
            await chat.exchanges("Well", "Two.")
            await chat.presses("shift+tab", "up", "up")
            tokens = await chat.leads_to(TokensPage, "t")
            await tokens.until(lambda: bool(engine.traces))
            (request,) = engine.traces
            assert "".join(map(shown, request.answer)) == "One."
            assert len(request.turns) == 1
            assert "Hi" in "".join(map(shown, request.turns[0]))
            await tokens.presses("escape")
            await chat.is_back()
            tokens = await chat.leads_to(TokensPage)
            await tokens.until(lambda: len(engine.traces) == 2)
            again = engine.traces[1]
            assert again == msgspec.structs.replace(request, id=again.id)

    async def test_a_question_stands_for_its_answer(
        self, chatting: Chatting, engine: ScriptedEngine
    ) -> None:
        async with chatting() as chat:
            await chat.exchanges("Hi", "One.")
            await chat.presses("shift+tab", "up", "t")
            await chat.until(lambda: bool(engine.traces))
            assert "".join(map(shown, engine.traces[0].answer)) == "One."

    async def test_the_chain_is_the_one_that_the_answer_was_written_with(
        self, chatting: Chatting, engine: ScriptedEngine
    ) -> None:
        async with chatting() as chat:
            await chat.exchanges("Hi", "One.")
            await chat.gets_another("f5", "Two.")
            assert chat.answers == ["Two."]
            tokens = await chat.leads_to(TokensPage)
            await tokens.until(lambda: bool(engine.traces))
            assert engine.traces[0].sampling == engine.requests[-1].sampling
            assert tokens.shows("temperature 0.7")

    async def test_an_edited_answer_is_tokenised_and_that_is_said(
        self, chatting: Chatting, engine: ScriptedEngine
    ) -> None:
        async with chatting() as chat:
            await chat.exchanges("Hi", "One.")
            await chat.presses("shift+tab", "e", "x", "enter")
            await chat.has_answers("One.x")
            engine.enqueue_trace(*traced(WORDS, GREEDY))
            tokens = await read_tokens(chat)
            assert engine.traces[0].answer == (TextSegment(text="One.x"),)
            assert tokens.shows("Its own tokens are not known")
            assert tokens.shows("How it was sampled is not known")

    async def test_there_is_nothing_to_look_at(
        self, chatting: Chatting, engine: ScriptedEngine
    ) -> None:
        async with chatting() as chat:
            await chat.presses("f4")
            await chat.reads("There is no answer")
            engine.enqueue(gate := Gate())
            await chat.asks("Hi")
            await chat.until(gate.reached.is_set)
            await chat.presses("f4")
            await chat.reads("One answer at a time")
            gate.open()
            assert isinstance(chat.app.screen, ChatScreen)

    @pytest.mark.parametrize("key", ["f1", "question_mark"])
    async def test_help_lists_the_keys(
        self, chatting: Chatting, engine: ScriptedEngine, key: str
    ) -> None:
        async with chatting(size=(100, 40)) as chat:
            await chat.exchanges("Hi", "One.")
            engine.enqueue_trace(*traced(WORDS, GREEDY))
            tokens = await read_tokens(chat)
            await tokens.presses(key)
            await tokens.reads("Next improbable token")
            assert tokens.shows("Write alternative 1 instead")


class TestReading:
    async def test_progress_is_told_and_what_is_read_can_be_looked_at(
        self, chatting: Chatting, engine: ScriptedEngine
    ) -> None:
        async with chatting() as chat:
            await chat.exchanges("Hi", "One two three.")
            first, second = traced(WORDS, GREEDY, batch=3)
            before, between = Gate(), Gate()
            engine.enqueue_trace(prefill("prompt", 512, 1900), before, first, between, second)
            tokens = await chat.leads_to(TokensPage)
            await tokens.status_reads("reading 512 of 1,900 tokens")
            assert tokens.shows("One two three.")
            before.open()
            await tokens.status_reads("token 3 of 5")
            await tokens.presses("end")
            await tokens.until(lambda: tokens.cursor == 2)
            between.open()
            await tokens.until(lambda: tokens.status.rstrip().endswith("5 tokens"))
            assert tokens.cursor == 2

    async def test_escape_stops_and_then_leaves(self, chatting: Chatting) -> None:
        async with chatting() as chat:
            await chat.exchanges("Hi", "One two three.")
            tokens = await read_part(chat)
            await tokens.presses("escape")
            await tokens.status_reads("stopped at token 3 of 5")
            await tokens.presses("escape")
            await chat.is_back()
            await chat.exchanges("Well", "Two.")

    async def test_leaving_before_the_first_token_stops_the_reading(
        self, chatting: Chatting, engine: ScriptedEngine
    ) -> None:
        async with chatting() as chat:
            await chat.exchanges("Hi", "One two three.")
            engine.enqueue_trace(prefill("prompt", 512, 1900), gate := Gate())
            tokens = await chat.leads_to(TokensPage)
            await tokens.until(gate.reached.is_set)
            await tokens.presses("escape")
            await chat.is_back()
            await chat.exchanges("Well", "Two.")

    async def test_a_refusal_is_a_sentence(
        self, chatting: Chatting, engine: ScriptedEngine
    ) -> None:
        async with chatting() as chat:
            await chat.exchanges("Hi", "One two three.")
            engine.enqueue_trace(EngineError("It is too long.", "Raise the context setting."))
            tokens = await chat.leads_to(TokensPage)
            await tokens.reads("It is too long.")
            assert tokens.shows("Raise the context setting.")
            assert "failed" in tokens.status
            await tokens.presses("escape")
            await chat.is_back()

    async def test_a_death_is_told_here_and_in_the_chat(
        self, chatting: Chatting, engine: ScriptedEngine
    ) -> None:
        async with chatting() as chat:
            await chat.exchanges("Hi", "One two three.")
            first, _ = traced(WORDS, GREEDY, batch=3)
            engine.enqueue_trace(first, EngineDied("The engine stopped.", "Load it again."))
            tokens = await chat.leads_to(TokensPage)
            await tokens.reads("The engine stopped.")
            assert tokens.shows("token 1 of 5")
            await tokens.presses("escape")
            await chat.is_back()
            assert chat.shows("The engine stopped.")
            assert chat.shows("Ctrl+R")
            assert chat.answers == ["One two three."]


class TestBranching:
    async def test_a_digit_writes_the_answer_anew_from_there(
        self, chatting: Chatting, engine: ScriptedEngine, store: Store
    ) -> None:
        async with chatting() as chat:
            await chat.exchanges("Hi", "One two three.")
            engine.enqueue_trace(*traced(WORDS, GREEDY))
            tokens = await read_tokens(chat)
            await tokens.presses("right", "right")
            await tokens.reads("token 3 of 5")
            engine.enqueue(*answer(" and so on."))
            await tokens.presses("1")
            await chat.is_back()
            await chat.is_ready()
            # The two tokens before, and the most probable one in the place of the third.
            assert engine.requests[-1].prefix == (TokenSegment(ids=(1, 2, 1000)),)
            assert chat.shows("‹ 2/2 ›")
            (listed,) = store.conversations()
            _, first, second = store.turns(listed.id)
            assert first.parent_id == second.parent_id
            await chat.presses("alt+u")
            await chat.has_answers("One two three.")

    async def test_enter_chooses_in_the_list(
        self, chatting: Chatting, engine: ScriptedEngine
    ) -> None:
        async with chatting() as chat:
            await chat.exchanges("Hi", "One two three.")
            engine.enqueue_trace(*traced(WORDS, GREEDY))
            tokens = await read_tokens(chat)
            await tokens.presses("enter")
            assert isinstance(tokens.app.focused, Alternatives)
            await tokens.presses("right", "down")
            await tokens.reads("token 2 of 5")
            await tokens.presses("enter")
            await chat.is_back()
            await chat.until(lambda: len(engine.requests) == 2)
            assert engine.requests[-1].prefix == (TokenSegment(ids=(1, 1000)),)

    async def test_the_written_token_is_gone_on_from_by_chance(
        self, chatting: Chatting, engine: ScriptedEngine
    ) -> None:
        """A greedy answer would be the same again."""
        async with chatting() as chat:
            await chat.exchanges("Hi", "One two three.")
            engine.enqueue_trace(*traced(WORDS, GREEDY))
            tokens = await read_tokens(chat)
            await tokens.presses("right", "1")
            await tokens.until(lambda: len(engine.requests) == 2)
            assert engine.requests[-1].prefix == (TokenSegment(ids=(1, 2)),)
            used = engine.requests[-1].sampling
            assert used is not None
            assert used.temperature == 0.7
            assert tokens.shows("drawn at temperature 0.7")

    async def test_a_token_that_ends_answers_is_not_gone_on_from(
        self, chatting: Chatting, engine: ScriptedEngine
    ) -> None:
        async with chatting() as chat:
            await chat.exchanges("Hi", "One two three.")
            engine.enqueue_trace(*traced(WORDS, GREEDY))
            tokens = await read_tokens(chat)
            await tokens.presses("right", "3")
            await tokens.reads("<end_of_turn> ends an answer")
            assert len(engine.requests) == 1

    async def test_branching_while_the_rest_is_read_ends_the_reading(
        self, chatting: Chatting, engine: ScriptedEngine
    ) -> None:
        async with chatting() as chat:
            await chat.exchanges("Hi", "One two three.")
            tokens = await read_part(chat)
            engine.enqueue(*answer("!"))
            await tokens.presses("2")
            await tokens.until(lambda: len(engine.requests) == 2)
            await tokens.status_reads("ready")
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


async def ask_real(chat: ChatPage, store: Store) -> TurnRecord:
    await chat.asks("list")
    await chat.until(lambda: len(stored(store)) == 2 and stored(store)[-1].stop_reason is not None)
    await chat.is_ready()
    return stored(store)[-1]


async def test_a_real_branch_starts_with_exactly_these_tokens(
    chatting: Chatting, real: dict[str, object], store: Store
) -> None:
    async with chatting(size=(120, 40), **real) as chat:
        written = await ask_real(chat, store)
        assert written.ids is not None
        tokens = await read_tokens(chat)
        screen = tokens.screen
        assert [token.id for token in screen.answer.tokens][: len(written.ids)] == list(written.ids)
        await tokens.presses(*["right"] * 5)
        await tokens.until(lambda: tokens.cursor == 5)
        other = next(
            place
            for place, found in enumerate(screen.answer.alternatives(5))
            if found.id != written.ids[5] and not screen.answer.ends(found.id)
        )
        chosen = screen.answer.alternatives(5)[other].id
        await tokens.presses(str((other + 1) % 10))
        await tokens.until(
            lambda: len(stored(store)) == 3 and stored(store)[-1].stop_reason is not None
        )
        branched = stored(store)[-1]
        assert branched.ids is not None
        assert branched.ids[:6] == (*written.ids[:5], chosen)
        assert len(branched.ids) > 6
        assert branched.parent_id == written.parent_id
        assert stored(store)[1] == written


async def test_a_real_worker_that_is_killed_is_told_and_loaded_again(
    chatting: Chatting, real: dict[str, object], store: Store, home: Path
) -> None:
    async with chatting(**real) as chat:
        await ask_real(chat, store)
        tokens = await read_tokens(chat)
        (pid,) = workers(home)
        os.kill(pid, signal.SIGKILL)
        await tokens.presses("right", "escape")
        await chat.is_back()
        await chat.reads("ended by SIGKILL")
        await chat.presses("ctrl+r")
        await chat.is_ready()
        tokens = await read_tokens(chat)


def test_levels_reach_from_one_probability_down_to_the_next() -> None:
    assert [level(p) for p in (1.0, 0.9, 0.899, 0.5, 0.2, 0.199, 0.05, 0.049, 0.0)] == [
        *("sure", "sure", "likely", "likely", "open"),
        *("unlikely", "unlikely", "rare", "rare"),
    ]
