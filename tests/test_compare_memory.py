"""Both models in memory, or one after the other: the same numbers, to the bit."""

from __future__ import annotations

from collections.abc import Callable, Generator
from pathlib import Path

import numpy as np
import pytest

from tests import tinygguf
from tests.test_compare import longer_gguf as longer_gguf
from tests.test_compare import other_gguf as other_gguf
from tests.test_compare import other_sliding_window_gguf as other_sliding_window_gguf
from urial_tui.compare.both_at_once import BothAtOnce
from urial_tui.compare.items import Query, ScoredItem
from urial_tui.compare.one_by_one import OneByOne
from urial_tui.compare.runner import Comparison, Strategy
from urial_tui.compare.side_pair import ComparisonStep, Rechosen, SidePair
from urial_tui.compare.sides import Side, Task
from urial_tui.engine.client.engine import Engine
from urial_tui.engine.wire.events import Finished
from urial_tui.engine.wire.limits import FORCED_BATCH
from urial_tui.engine.wire.values import EngineOptions, Sampling, TextSegment
from urial_tui.prompting.context import find_context
from urial_tui.prompting.preamble_file import find_preamble
from urial_tui.prompting.render import close_text, open_turn, preamble_turn
from urial_tui.prompting.stops import stop_rules
from urial_tui.prompting.templates.renderer import TemplateRenderer

pytestmark = pytest.mark.timeout(600)

TASKS = (
    Task(query=Query(id="1", text="Hello, can you help me with this list of code?")),
    Task(query=Query(id="2", text="please")),
    Task(query=Query(id="3", text=""), text="the first answer, and I hope it helps " * 20),
    Task(query=Query(id="4", text=""), text="and this is the second of it " * 9, skip=3),
)
MEMORIES = ("attention", "sliding window", "recurrent", "hybrid")
CONTEXTS = {
    "attention": "zero-shot",
    "sliding window": "same",
    "recurrent": "raw",
    "hybrid": "zero-shot",
    "an adapter": "same",
    "a longer vocabulary": "zero-shot",
}
"""The base side's context by pair."""
PREAMBLES = dict(zip(MEMORIES, ("zero-shot", "urial-k1", "urial-k0", "zero-shot"), strict=True))
Kind = Callable[[SidePair], Strategy]
Pairs = dict[str, tuple[Path, Path, Path | None]]


@pytest.fixture(scope="session")
def other_recurrent_gguf(tiny_models: Path) -> Path:
    return tinygguf.write_recurrent(tiny_models / "tiny-other-mamba.gguf", seed=1)


@pytest.fixture(scope="session")
def other_hybrid_gguf(tiny_models: Path) -> Path:
    return tinygguf.write_hybrid(tiny_models / "tiny-other-jamba.gguf", seed=1)


@pytest.fixture
def pairs(
    llama_gguf: Path,
    longer_gguf: Path,
    other_gguf: Path,
    adapter_gguf: Path,
    sliding_window_gguf: Path,
    other_sliding_window_gguf: Path,
    recurrent_gguf: Path,
    other_recurrent_gguf: Path,
    hybrid_gguf: Path,
    other_hybrid_gguf: Path,
) -> Pairs:
    """Base, aligned, adapter of the aligned side."""
    return {
        "attention": (llama_gguf, other_gguf, None),
        "sliding window": (sliding_window_gguf, other_sliding_window_gguf, None),
        "recurrent": (recurrent_gguf, other_recurrent_gguf, None),
        "hybrid": (hybrid_gguf, other_hybrid_gguf, None),
        "an adapter": (llama_gguf, llama_gguf, adapter_gguf),
        "a longer vocabulary": (llama_gguf, longer_gguf, None),
    }


def compared(
    kind: Kind,
    base: Path,
    aligned: Path,
    adapter: Path | None = None,
    *,
    contexts: tuple[str, str] = ("zero-shot", "raw"),
    tasks: tuple[Task, ...] = TASKS,
    max_tokens: int = 90,
    threads: int = 1,
) -> list[ScoredItem]:
    with Engine() as engine, TemplateRenderer() as templates:
        pair = SidePair(
            engine,
            Side(name="base", path=base, context=find_context(contexts[0])),
            Side(name="aligned", path=aligned, adapter=adapter, context=find_context(contexts[1])),
            options=EngineOptions(n_ctx=1024, threads=threads),
            templates=templates,
            max_tokens=max_tokens,
        )
        comparison = Comparison(pair, kind)
        for _ in comparison.open():
            pass
        return [found for found in comparison.run(tasks) if isinstance(found, ScoredItem)]


def same(found: ScoredItem, other: ScoredItem) -> None:
    """Whether two items agree in every bit."""
    assert found.answer == other.answer
    assert found.stop_reason == other.stop_reason
    assert found.rechosen == other.rechosen
    assert found.base_context == other.base_context
    assert found.aligned_context == other.aligned_context
    assert found.scores.to_bytes() == other.scores.to_bytes()


@pytest.mark.parametrize("name", CONTEXTS)
def test_one_after_the_other_gives_the_bits_of_both_at_once(pairs: Pairs, name: str) -> None:
    contexts = (CONTEXTS[name], "raw")
    both = compared(BothAtOnce, *pairs[name], contexts=contexts)
    one = compared(OneByOne, *pairs[name], contexts=contexts)
    assert sum(len(item.scores) for item in both) > FORCED_BATCH
    for found, other in zip(both, one, strict=True):
        same(found, other)


def test_one_question_alone_gives_the_item_of_a_run(pairs: Pairs) -> None:
    base, aligned, _ = pairs["attention"]
    answered, given = compared(BothAtOnce, base, aligned, tasks=(TASKS[0], TASKS[3]))
    with Engine() as engine, TemplateRenderer() as templates:
        pair = SidePair(
            engine,
            Side(name="base", path=base, context=find_context("zero-shot")),
            Side(name="aligned", path=aligned, context=find_context("raw")),
            options=EngineOptions(n_ctx=1024, threads=1),
            templates=templates,
            max_tokens=90,
        )
        comparison = Comparison(pair, OneByOne)
        for _ in comparison.open():
            pass
        assert comparison.loaded
        text = TASKS[3].text
        assert text is not None
        same(_end(comparison.answer(TASKS[0].query)), answered)
        same(_end(comparison.given(TASKS[3].query, text, TASKS[3].skip)), given)
        assert comparison.loaded
        engine.models[0].unload().result()
        assert not comparison.loaded


def _end(steps: Generator[ComparisonStep, None, ScoredItem]) -> ScoredItem:
    while True:
        try:
            next(steps)
        except StopIteration as stop:
            item: ScoredItem = stop.value
            return item


@pytest.mark.parametrize("name", ["attention", "sliding window"])
def test_half_of_the_threads_for_each_side_changes_no_bit(pairs: Pairs, name: str) -> None:
    both = compared(BothAtOnce, *pairs[name], threads=2)
    one = compared(OneByOne, *pairs[name], threads=1)
    for found, other in zip(both, one, strict=True):
        same(found, other)


@pytest.mark.parametrize("kind", [BothAtOnce, OneByOne])
@pytest.mark.parametrize("name", MEMORIES)
def test_a_model_against_itself_differs_in_no_bit(pairs: Pairs, name: str, kind: Kind) -> None:
    _, aligned, _ = pairs[name]
    for item in compared(kind, aligned, aligned, contexts=("raw", "raw")):
        scores = item.scores
        assert len(scores) > 0
        assert not scores.kl_aligned_base.any()
        assert not scores.js.any()
        np.testing.assert_array_equal(scores.logp_aligned, scores.logp_base)
        if item.stop_reason != "given":
            assert (scores.rank == 1).all(), "100 % unshifted"


@pytest.mark.parametrize("name", MEMORIES)
def test_the_streamed_answer_is_the_chats(pairs: Pairs, name: str) -> None:
    """Up to the first token that scoring chooses anew."""
    _, aligned, adapter = pairs[name]
    preamble = PREAMBLES[name]
    question, room = "Hello, is this the list?", 40
    chosen = find_preamble(preamble)
    options = EngineOptions(n_ctx=2048, threads=1)
    streamed: list[Finished] = []
    with Engine() as engine, TemplateRenderer() as templates:
        side = Side(name="a", path=aligned, adapter=adapter, context=find_context(preamble))
        pair = SidePair(engine, side, side, options=options, templates=templates, max_tokens=room)
        comparison = Comparison(pair)
        for _ in comparison.open():
            pass
        for event in comparison.answer(Query(id="1", text=question)):
            if isinstance(event, Rechosen):
                assert event.at < len(streamed[-1].ids)
                assert event.ids[: event.at] == streamed[-1].ids[: event.at]
            if isinstance(event, Finished):
                streamed.append(event)
    with Engine() as engine:
        model = engine.load(aligned, adapter=adapter, options=options).result()
        asked = model.generate(
            preamble=preamble_turn(chosen),
            turns=[(TextSegment(text=open_turn(chosen, question)),)],
            sampling=Sampling(temperature=0.0),
            stops=stop_rules(chosen),
            close=close_text(chosen),
            max_tokens=room,
        ).result()
    assert streamed[0].ids == asked.ids
    assert streamed[0].text == asked.text


def test_the_demo_model_too(demo_model: Path) -> None:
    tasks = (
        Task(query=Query(id="1", text="Name three rivers.")),
        Task(query=Query(id="2", text="Why?"), text="Because the sky is blue. " * 6),
    )
    found = [
        compared(
            kind,
            demo_model,
            demo_model,
            contexts=("zero-shot", "raw"),
            tasks=tasks,
            max_tokens=12,
        )
        for kind in (BothAtOnce, OneByOne)
    ]
    for item, other in zip(*found, strict=True):
        same(item, other)
