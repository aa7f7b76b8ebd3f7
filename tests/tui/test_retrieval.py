"""The chat under a preamble whose examples come from a pool."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import pytest

from tests.scripted import ScriptedEngine, answer, shown, shown_turns
from tests.tinygguf import write_encoder
from tests.tui.chat_page import ChatPage
from tests.tui.conftest import Chatting, Found
from tests.tui.test_tokens_screen import GREEDY, WORDS
from tests.tui.tokens_page import read_tokens
from tests.tui.traces import traced
from urial_tui import paths
from urial_tui.compare.side_choice import SideChoice
from urial_tui.engine.client.call import follow
from urial_tui.engine.client.engine import Engine
from urial_tui.engine.wire.commands import Generate
from urial_tui.prompting.pool import Pair
from urial_tui.prompting.preamble import Preamble
from urial_tui.prompting.retrieval_index import write_index
from urial_tui.prompting.retrieving import retrieving_preamble
from urial_tui.runtime.embedder import load_embedder
from urial_tui.settings import Settings, engine_options

PAIRS = [
    Pair("How do I boil an egg?", "In boiling water."),
    Pair("Which city is the capital of Spain?", "Madrid."),
    Pair("What is the capital of France?", "Paris."),
]


@pytest.fixture
def preamble(home: Path) -> Preamble:
    write_index("facts", PAIRS)
    return retrieving_preamble("facts", k=2)


async def ask(chat: ChatPage, engine: ScriptedEngine, text: str) -> Generate:
    engine.enqueue(*answer("A word."))
    count = len(engine.requests)
    await chat.asks(text)
    await chat.until(lambda: len(engine.requests) > count and chat.ready)
    return engine.requests[-1]


def lead(request: Generate) -> str:
    return "".join(shown(segment) for segment in request.lead)


async def test_each_question_gets_examples_of_its_own_in_front_of_the_turns(
    chatting: Chatting, engine: ScriptedEngine, preamble: Preamble
) -> None:
    async with chatting(preamble=preamble) as chat:
        first = await ask(chat, engine, "the capital of spain")
        assert lead(first).index(PAIRS[2].query) < lead(first).index(PAIRS[1].query)
        assert PAIRS[0].query not in lead(first)
        assert first.preamble == ()
        await chat.reads("2 examples of the pool (no. 3, 2)")
        second = await ask(chat, engine, "boil")
        assert PAIRS[0].query in lead(second)
        assert PAIRS[1].query not in lead(second)
        # The turn before is there, and its examples are not.
        assert "the capital of spain" in shown_turns(second)
        assert PAIRS[1].query not in shown_turns(second)


async def test_an_embedding_model_finds_them_in_a_worker_of_its_own(
    chatting: Chatting, engine: ScriptedEngine, preamble: Preamble, tmp_path: Path
) -> None:
    bert = write_encoder(tmp_path / "bert.gguf")
    with Engine() as embedding:
        options = engine_options(Settings())
        embedder = follow(load_embedder(embedding, bert, options), lambda event: None)
        rows = follow(embedder.embed([pair.query for pair in PAIRS]), lambda event: None)
        (asked,) = follow(embedder.embed(["boil the egg"]), lambda event: None)
        write_index("facts", PAIRS, rows, embedder=embedder.identity, model=str(bert))
    nearest = [PAIRS[number].query for number in np.argsort(-(rows @ asked), kind="stable")]
    assert preamble.retrieval is not None
    retrieval = msgspec.structs.replace(preamble.retrieval, embedding=str(bert))
    preamble = msgspec.structs.replace(preamble, retrieval=retrieval)
    made: list[Engine] = []

    def make_engine() -> Engine:
        made.append(Engine() if made else engine)
        return made[-1]

    async with chatting(preamble=preamble, engine_factory=make_engine) as chat:
        for _ in range(2):
            found = lead(await ask(chat, engine, "boil the egg"))
            assert found.index(nearest[1]) < found.index(nearest[0])
            assert nearest[2] not in found
        assert chat.shows("2 examples of the pool")
        assert [len(each.models) for each in made] == [1, 1]
    assert not made[1].alive


async def test_an_embedding_model_that_is_gone_costs_the_answer_and_not_the_question(
    chatting: Chatting, preamble: Preamble, tmp_path: Path
) -> None:
    assert preamble.retrieval is not None
    retrieval = msgspec.structs.replace(preamble.retrieval, embedding=str(tmp_path / "gone.gguf"))
    preamble = msgspec.structs.replace(preamble, retrieval=retrieval)
    async with chatting(preamble=preamble) as chat:
        await chat.asks("boil")
        await chat.reads("There is no")
        assert chat.shows("boil")
        await chat.is_ready()


async def test_an_index_that_was_built_again_is_what_counts(
    chatting: Chatting, engine: ScriptedEngine, preamble: Preamble
) -> None:
    async with chatting(preamble=preamble) as chat:
        assert PAIRS[2].query in lead(await ask(chat, engine, "capital"))
        write_index("facts", PAIRS[:2])
        assert PAIRS[2].query not in lead(await ask(chat, engine, "the capital"))


async def test_an_answer_goes_on_behind_the_examples_that_it_was_begun_behind(
    chatting: Chatting, engine: ScriptedEngine, preamble: Preamble
) -> None:
    async with chatting(preamble=preamble) as chat:
        begun = await ask(chat, engine, "capital")
        write_index("facts", PAIRS[:2])

        async def press(key: str) -> Generate:
            engine.enqueue(*answer("More."))
            count = len(engine.requests)
            await chat.presses(key)
            await chat.until(lambda: len(engine.requests) > count and chat.ready)
            return engine.requests[-1]

        went_on = await press("f7")
        assert PAIRS[2].query in lead(went_on)
        assert lead(went_on) == lead(begun)
        assert lead(await press("f7")) == lead(begun), "what went on tells of them, too"
        assert PAIRS[2].query not in lead(await press("f5")), "another answer has those of now"


async def test_an_index_that_is_gone_costs_the_answer_and_not_the_question(
    chatting: Chatting, engine: ScriptedEngine, preamble: Preamble
) -> None:
    for file in paths.indexes_dir().rglob("*.json"):
        file.unlink()
    async with chatting(preamble=preamble) as chat:
        await chat.asks("capital")
        await chat.reads("There is no whole index named facts.")
        assert chat.shows("capital")
        write_index("facts", PAIRS)
        await chat.is_ready()
        assert PAIRS[2].query in lead(await ask(chat, engine, "capital france"))


async def test_an_answer_is_looked_at_behind_the_examples_that_it_was_written_behind(
    chatting: Chatting, engine: ScriptedEngine, preamble: Preamble
) -> None:
    async with chatting(preamble=preamble) as chat:
        asked = await ask(chat, engine, "the capital of spain")
        write_index("facts", PAIRS[:1])
        engine.enqueue_trace(*traced(WORDS, GREEDY))
        tokens = await read_tokens(chat)
        assert engine.traces[-1].lead == asked.lead
        assert not tokens.shows("are not known")


async def test_where_these_are_not_stored_those_of_now_stand_for_them(
    chatting: Chatting, engine: ScriptedEngine, preamble: Preamble
) -> None:
    async with chatting(preamble=preamble) as chat:
        await ask(chat, engine, "the capital of spain")
        answered = chat.screen.conversation.leaf
        assert answered is not None
        chat.screen.conversation.tree.update(msgspec.structs.replace(answered, examples=None))
        write_index("facts", PAIRS[1:2])
        engine.enqueue_trace(*traced(WORDS, GREEDY))
        tokens = await read_tokens(chat)
        found = "".join(shown(segment) for segment in engine.traces[-1].lead)
        assert PAIRS[1].query in found
        assert PAIRS[2].query not in found
        await tokens.reads("The examples that it was written behind")


async def test_what_reads_along_is_shown_the_examples_of_each_question(
    chatting: Chatting, engine: ScriptedEngine, preamble: Preamble
) -> None:
    async with chatting(find_model=lambda name, progress: Found(name=name)) as chat:
        side = SideChoice(model="tiny", context="facts", preamble=preamble)
        await chat.is_ready()
        assert await chat.screen.models.engine.open_second(
            side, engine_options(Settings()), take=lambda event: None,
            unpacking=lambda done, total: None,
        )  # fmt: skip
        for question, pair in (("the capital of spain", PAIRS[1]), ("boil", PAIRS[0])):
            request = await ask(chat, engine, question)
            assert request.lead == ()
            assert request.watch is not None
            assert pair.query in "".join(shown(segment) for segment in request.watch.lead)
            assert len(request.watch.turns) == len(request.turns)
