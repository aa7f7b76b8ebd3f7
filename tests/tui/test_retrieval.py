"""The chat under a preamble whose examples come from a pool."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import pytest
from textual.pilot import Pilot

from tests.scripted import ScriptedEngine, answer, shown, shown_turns
from tests.tinygguf import write_encoder
from tests.tui.conftest import Opened, shows, status, type_text, wait_until
from urial_tui import paths
from urial_tui.engine.client.call import follow
from urial_tui.engine.client.engine import Engine
from urial_tui.engine.wire.protocol import Generate
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


async def ask(pilot: Pilot[None], engine: ScriptedEngine, text: str) -> Generate:
    engine.enqueue(*answer("A word."))
    count = len(engine.requests)
    await type_text(pilot, text)
    await pilot.press("enter")
    await wait_until(pilot, lambda: len(engine.requests) > count and "ready" in status(pilot))
    return engine.requests[-1]


def lead(request: Generate) -> str:
    return "".join(shown(segment) for segment in request.lead)


async def test_each_question_gets_examples_of_its_own_in_front_of_the_turns(
    opened: Opened, engine: ScriptedEngine, preamble: Preamble
) -> None:
    async with opened(preamble=preamble) as pilot:
        first = await ask(pilot, engine, "the capital of spain")
        assert lead(first).index(PAIRS[2].query) < lead(first).index(PAIRS[1].query)
        assert PAIRS[0].query not in lead(first)
        assert first.preamble == ()
        await wait_until(pilot, lambda: shows(pilot, "2 examples of the pool (no. 3, 2)"))
        second = await ask(pilot, engine, "boil")
        assert PAIRS[0].query in lead(second)
        assert PAIRS[1].query not in lead(second)
        # The turn before is there, and its examples are not.
        assert "the capital of spain" in shown_turns(second)
        assert PAIRS[1].query not in shown_turns(second)


async def test_an_embedding_model_finds_them_in_a_worker_of_its_own(
    opened: Opened, engine: ScriptedEngine, preamble: Preamble, tmp_path: Path
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

    async with opened(preamble=preamble, engine_factory=make_engine) as pilot:
        for _ in range(2):
            found = lead(await ask(pilot, engine, "boil the egg"))
            assert found.index(nearest[1]) < found.index(nearest[0])
            assert nearest[2] not in found
        assert shows(pilot, "2 examples of the pool")
        assert [len(each.models) for each in made] == [1, 1]
    assert not made[1].alive


async def test_an_embedding_model_that_is_gone_costs_the_answer_and_not_the_question(
    opened: Opened, engine: ScriptedEngine, preamble: Preamble, tmp_path: Path
) -> None:
    assert preamble.retrieval is not None
    retrieval = msgspec.structs.replace(preamble.retrieval, embedding=str(tmp_path / "gone.gguf"))
    preamble = msgspec.structs.replace(preamble, retrieval=retrieval)
    async with opened(preamble=preamble) as pilot:
        await type_text(pilot, "boil")
        await pilot.press("enter")
        await wait_until(pilot, lambda: shows(pilot, "There is no"))
        assert shows(pilot, "boil")
        await wait_until(pilot, lambda: "ready" in status(pilot))


async def test_an_index_that_was_built_again_is_what_counts(
    opened: Opened, engine: ScriptedEngine, preamble: Preamble
) -> None:
    async with opened(preamble=preamble) as pilot:
        assert PAIRS[2].query in lead(await ask(pilot, engine, "capital"))
        write_index("facts", PAIRS[:2])
        assert PAIRS[2].query not in lead(await ask(pilot, engine, "the capital"))


async def test_an_index_that_is_gone_costs_the_answer_and_not_the_question(
    opened: Opened, engine: ScriptedEngine, preamble: Preamble
) -> None:
    for file in paths.indexes_dir().rglob("*.json"):
        file.unlink()
    async with opened(preamble=preamble) as pilot:
        await type_text(pilot, "capital")
        await pilot.press("enter")
        await wait_until(pilot, lambda: shows(pilot, "There is no whole index named facts."))
        assert shows(pilot, "capital")
        write_index("facts", PAIRS)
        await wait_until(pilot, lambda: "ready" in status(pilot))
        assert PAIRS[2].query in lead(await ask(pilot, engine, "capital france"))
