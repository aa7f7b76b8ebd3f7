"""What finds a chat's examples keeps its embedding model, lets it go, and has it again."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import numpy as np
import numpy.typing as npt
import pytest

from tests import tinygguf
from urial_tui.engine.client.call import follow
from urial_tui.engine.client.engine import Engine
from urial_tui.engine.wire.events import Event, LoadProgress
from urial_tui.engine.wire.values import EngineOptions
from urial_tui.errors import EngineDied, ModelError, RetrievalError
from urial_tui.prompting.pool import Pair
from urial_tui.prompting.preamble import Preamble
from urial_tui.prompting.retrieval_index import write_index
from urial_tui.prompting.retrieving import retrieving_preamble
from urial_tui.runtime.embedder import ModelEmbedder, load_embedder
from urial_tui.runtime.memory_plan import PLAN
from urial_tui.runtime.open_retriever import OpenRetriever
from urial_tui.runtime.retriever import Retrieved

OPTIONS = EngineOptions(n_ctx=2048, threads=1)
PAIRS = [
    Pair("please list the first number", "One."),
    Pair("hello world", "Hello."),
    Pair("the answer is on the list", "It is."),
    Pair("code for the second", "Two."),
]

Rows = npt.NDArray[np.float32]


class Asked:
    """An open retriever with the engines that it made, and the loads that it took."""

    def __init__(self) -> None:
        self.engines: list[Engine] = []
        self.loads = 0
        self.retriever = OpenRetriever(self._make_engine)

    def ask(self, preamble: Preamble, question: str, options: EngineOptions = OPTIONS) -> Retrieved:
        begun = False

        def take(event: Event) -> None:
            nonlocal begun
            begun = begun or isinstance(event, LoadProgress)

        try:
            found = follow(self.retriever.retrieve(preamble, question, options), take)
        finally:
            self.loads += begun
        assert found is not None
        return found

    def _make_engine(self) -> Engine:
        self.engines.append(Engine())
        return self.engines[-1]


@pytest.fixture
def asked() -> Iterator[Asked]:
    asked = Asked()
    yield asked
    asked.retriever.close()
    assert not any(engine.alive for engine in asked.engines)


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tinygguf.write_encoder(tmp_path_factory.mktemp("bert") / "bert.gguf")


@pytest.fixture(scope="module")
def rows(bert: Path) -> tuple[str, Rows, Rows]:
    """The model's identity, the vectors of the pool's queries, and that of a question."""
    with Engine() as engine:
        embedder = follow(load_embedder(engine, bert, OPTIONS), lambda event: None)
        made = follow(embedder.embed([pair.query for pair in PAIRS]), lambda event: None)
        (one,) = follow(embedder.embed(["the second number"]), lambda event: None)
        return embedder.identity, made, one


@pytest.fixture
def preamble(home: Path, bert: Path, rows: tuple[str, Rows, Rows]) -> Preamble:
    identity, made, _ = rows
    write_index("facts", PAIRS, made, embedder=identity, model=str(bert))
    found = retrieving_preamble("facts", k=2)
    assert found.retrieval is not None
    retrieval = msgspec.structs.replace(found.retrieval, embedding=str(bert))
    return msgspec.structs.replace(found, retrieval=retrieval)


def test_one_load_serves_all_questions_and_finds_the_nearest(
    asked: Asked, preamble: Preamble, rows: tuple[str, Rows, Rows]
) -> None:
    _, made, one = rows
    nearest = np.argsort(-(made.astype(np.float64) @ one), kind="stable")[:2][::-1]
    assert asked.retriever.loads(preamble, OPTIONS) == preamble.retrieval.embedding  # type: ignore[union-attr]
    for _ in range(2):
        found = asked.ask(preamble, "the second number")
        assert [pair.number - 1 for pair in found.pairs] == nearest.tolist()
        assert asked.retriever.loads(preamble, OPTIONS) == ""
    assert (len(asked.engines), asked.loads) == (1, 1)


def test_words_take_no_worker(asked: Asked, home: Path) -> None:
    write_index("words", PAIRS)
    preamble = retrieving_preamble("words", k=1)
    assert asked.retriever.loads(preamble, OPTIONS) == ""
    (pair,) = asked.ask(preamble, "world").pairs
    assert (pair.number, asked.engines) == (2, [])


def test_it_gives_way_between_questions_and_is_loaded_again(
    asked: Asked, preamble: Preamble
) -> None:
    before = asked.ask(preamble, "the second number")
    (engine,) = asked.engines
    # As somebody else's model would see it that finds too little memory.
    (entry,) = [each for each in PLAN._yielding(object()) if each.engine is engine]
    assert entry.model is not None
    entry.model.unload().result()
    assert asked.retriever.loads(preamble, OPTIONS)
    again = asked.ask(preamble, "the second number")
    assert (again.pairs, asked.loads, len(asked.engines)) == (before.pairs, 2, 1)


def test_it_does_not_give_way_while_a_question_is_looked_at(
    asked: Asked, preamble: Preamble, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[bool] = []
    embed = ModelEmbedder.embed

    def looking(self: ModelEmbedder, texts: list[str]) -> object:
        seen.append(any(each.engine is asked.engines[0] for each in PLAN._yielding(object())))
        return embed(self, texts)

    monkeypatch.setattr(ModelEmbedder, "embed", looking)
    asked.ask(preamble, "the second number")
    assert seen == [False]


def test_a_worker_that_died_between_questions_is_started_again(
    asked: Asked, preamble: Preamble
) -> None:
    before = asked.ask(preamble, "the second number")
    pid = asked.engines[0].pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    while not asked.retriever.loads(preamble, OPTIONS):
        time.sleep(0.005)
    assert asked.ask(preamble, "the second number").pairs == before.pairs
    assert asked.loads == 2


def test_a_worker_that_dies_at_a_question_is_told_and_started_again(
    asked: Asked, preamble: Preamble, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = asked.ask(preamble, "the second number")
    embed = ModelEmbedder.embed

    def killing(self: ModelEmbedder, texts: list[str]) -> object:
        steps = embed(self, texts)
        pid = asked.engines[0].pid
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        return steps

    with monkeypatch.context() as patched:
        patched.setattr(ModelEmbedder, "embed", killing)
        with pytest.raises(EngineDied, match="engine"):
            asked.ask(preamble, "the second number")
    assert asked.ask(preamble, "the second number").pairs == before.pairs


def test_other_options_load_it_anew_and_are_refused_where_they_change_the_vectors(
    asked: Asked, preamble: Preamble
) -> None:
    asked.ask(preamble, "the second number")
    shorter = msgspec.structs.replace(OPTIONS, n_ctx=32)
    assert asked.retriever.loads(preamble, shorter)
    with pytest.raises(RetrievalError, match="another context"):
        asked.ask(preamble, "the second number", shorter)
    assert len(asked.engines[0].models) == 1


def test_a_model_that_is_none_is_refused_and_the_next_question_goes_on(
    asked: Asked, preamble: Preamble, llama_gguf: Path
) -> None:
    assert preamble.retrieval is not None
    wrong = msgspec.structs.replace(
        preamble, retrieval=msgspec.structs.replace(preamble.retrieval, embedding=str(llama_gguf))
    )
    with pytest.raises(ModelError, match="a language model, not an embedding model"):
        asked.ask(wrong, "the second number")
    assert len(asked.ask(preamble, "the second number").pairs) == 2
