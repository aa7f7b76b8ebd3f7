"""The engine behind the compare screen: stopped, left and closed at any moment."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from tests.scripted import Gate
from tests.tui.comparisons import Script, scoring, written
from tests.tui.conftest import PATIENCE, Found
from urial_tui.compare.comparison_result import ComparisonResult
from urial_tui.compare.comparison_start import ComparisonSubject
from urial_tui.compare.side_choice import SideChoice
from urial_tui.compare.side_pair import ComparisonStep
from urial_tui.engine.wire.events import TextDelta
from urial_tui.engine.wire.values import EngineOptions
from urial_tui.errors import EngineDied
from urial_tui.prompting.pool import Pair
from urial_tui.prompting.preamble import Example
from urial_tui.prompting.retrieval_index import write_index
from urial_tui.prompting.retrieving import retrieving_preamble
from urial_tui.runtime.host import Unpacking
from urial_tui.tui.compare.comparison_engine import ComparisonEngine

BASE = SideChoice(model="tiny", context="zero-shot")
ALIGNED = SideChoice(model="tiny", context="urial-k1")
SUBJECT = ComparisonSubject(query="How?")


@pytest.fixture
def script() -> Script:
    return Script([("So", 1), (" it", 2), (" is", 1), ("", 1)])


def find(name: str, progress: Unpacking) -> Found:
    return Found(name=name)


def ask(
    engine: ComparisonEngine,
    take: Callable[[ComparisonStep], object] = lambda step: None,
    unpacking: Callable[[str, int, int], object] = lambda side, done, total: None,
    *,
    aligned: SideChoice = ALIGNED,
    subject: ComparisonSubject = SUBJECT,
) -> asyncio.Task[ComparisonResult | None]:
    return asyncio.ensure_future(
        engine.compare(
            BASE,
            aligned,
            subject,
            EngineOptions(),
            100,
            take=take,
            unpacking=unpacking,
        )
    )


async def reached(event: threading.Event) -> None:
    assert await asyncio.to_thread(event.wait, PATIENCE)


async def test_all_steps_are_told_and_a_result_comes_of_them(script: Script) -> None:
    script.writing = written("So it is")
    script.scoring = [scoring(1, 4)]
    steps: list[ComparisonStep] = []
    engine = script.comparison_engine(find)
    result = await ask(engine, steps.append)
    assert result is not None
    assert [position.text for position in result.positions] == ["So", " it", " is", "<end_of_turn>"]
    assert steps == [*script.opening, *script.writing, *script.scoring]
    assert (engine.written.text, engine.written.tokens) == ("So it is", 3)


async def test_a_first_stop_has_scored_what_there_is_and_a_second_one_ends_it(
    script: Script,
) -> None:
    script.writing = [*written("So it"), Gate()]
    script.scoring = [gate := Gate()]
    engine = script.comparison_engine(find)
    there = asyncio.Event()

    def take(step: ComparisonStep) -> None:
        if isinstance(step, TextDelta):
            there.set()

    asked = ask(engine, take)
    await there.wait()
    engine.stop()
    await reached(gate.reached)
    assert script.given == [engine.written.text]
    engine.stop()
    assert await asked is None


async def test_two_stops_at_once_end_it(script: Script) -> None:
    script.writing = [*written("So it"), gate := Gate()]
    engine = script.comparison_engine(find)
    asked = ask(engine)
    await reached(gate.reached)
    engine.stop()
    engine.stop()
    assert await asked is None
    assert script.given == []


@pytest.mark.parametrize("where", ["opening", "writing", "scoring"])
async def test_stopped_with_nothing_to_score_or_being_scored_it_ends_and_can_be_asked_again(
    script: Script, where: str
) -> None:
    before = {"opening": [], "writing": [], "scoring": [scoring(0, 4)]}[where]
    setattr(script, where, [*before, gate := Gate()])
    engine = script.comparison_engine(find)
    asked = ask(engine)
    await reached(gate.reached)
    engine.stop()
    assert await asked is None
    gate.open()
    assert await ask(engine) is not None


async def test_a_stop_ends_the_unpacking_of_a_model(script: Script) -> None:
    told = list[tuple[str, int, int]]()

    def unpack(name: str, progress: Unpacking) -> Found:
        for _ in iter(lambda: threading.Event().wait(0.01), None):
            progress(1, 2)
        raise AssertionError

    engine = script.comparison_engine(unpack)

    def stop(*unpacked: object) -> None:
        told.append(unpacked)  # type: ignore[arg-type]
        engine.stop()

    assert await ask(engine, unpacking=stop) is None
    assert told[0] == ("base", 1, 2)


async def test_whoever_waits_may_go(script: Script) -> None:
    script.writing = [*written("So it"), gate := Gate()]
    asked = ask(script.comparison_engine(find))
    await reached(gate.reached)
    asked.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asked
    assert script.given == []


async def test_what_is_started_behind_the_end_is_ended_too(script: Script) -> None:
    looking, go_on = threading.Event(), threading.Event()

    def look(name: str, progress: Unpacking) -> Found:
        looking.set()
        assert go_on.wait(PATIENCE)
        return Found(name=name)

    engine = script.comparison_engine(look)
    asked = ask(engine)
    await reached(looking)
    asked.cancel()
    await asyncio.to_thread(engine.close)
    assert script.engine.closed
    script.engine.closed = False
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await asked
    assert script.engine.closed


async def test_a_dead_worker_is_told_and_both_sides_are_loaded_again(script: Script) -> None:
    script.scoring = [EngineDied("The engine stopped.", "Try again.")]
    engine = script.comparison_engine(find)
    with pytest.raises(EngineDied):
        await ask(engine)
    script.engine.alive = False
    script.scoring = []
    assert await ask(engine) is not None
    assert len(script.opened) == 2


async def test_closed_without_a_comparison_nothing_was_started(script: Script) -> None:
    script.comparison_engine(find).close()
    assert not script.engine.closed


async def test_a_side_is_shown_the_examples_of_each_question(script: Script, home: Path) -> None:
    write_index("facts", [Pair("How far?", "A mile."), Pair("How long?", "An hour.")])
    preamble = retrieving_preamble("facts", k=1)
    aligned = SideChoice(model="tiny", context="facts", preamble=preamble)
    engine = script.comparison_engine(find)
    asked = {"far is it": "A mile.", "long is it": "An hour."}
    for question in asked:
        assert (
            await ask(engine, aligned=aligned, subject=ComparisonSubject(query=question))
            is not None
        )
    # What was loaded is kept.
    assert len(script.opened) == 1
    for (base, context), (question, answer) in zip(script.contexts, asked.items(), strict=True):
        assert base.retrieved is None
        found = context.examples_for(question)
        assert found is not None
        assert [example.answer for example in found] == [answer]


async def test_a_given_answer_keeps_the_examples_that_it_was_written_behind(
    script: Script, home: Path
) -> None:
    write_index("facts", [Pair("How far?", "A mile.")])
    preamble = retrieving_preamble("facts", k=1)
    own = (Example(query="How far?", answer="Two miles."),)
    subject = ComparisonSubject(
        query="far is it", answer="So it is", preamble=preamble, examples=own
    )
    for name, expected in (
        ("facts", own),
        ("others", (Example(query="How far?", answer="A mile."),)),
    ):
        named = msgspec.structs.replace(preamble, name=name)
        aligned = SideChoice(model="tiny", context=name, preamble=named)
        engine = script.comparison_engine(find)
        assert await ask(engine, aligned=aligned, subject=subject) is not None
        assert script.contexts[-1][1].examples_for("far is it") == expected
