"""Calls: many open at once, read in either way, ended by anybody, and all told of a death."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from urial_tui.engine.client.call import Call
from urial_tui.engine.client.engine import Engine
from urial_tui.engine.client.model import Model
from urial_tui.engine.wire.commands import ScoreSide
from urial_tui.engine.wire.events import Finished, Loaded, PromptReady, TextDelta
from urial_tui.engine.wire.scores import SideScores
from urial_tui.engine.wire.values import EngineOptions, TextSegment, TokenSegment, Turn
from urial_tui.errors import EngineDied, EngineError

PREAMBLE: Turn = (TextSegment(text="Hello world. " * 20),)
OPTIONS = EngineOptions(n_ctx=2048, threads=1)
NOISE = 0.02
"""Nats by which rounding may move a tiny model's log-probability."""


@pytest.fixture
def engine() -> Iterator[Engine]:
    with Engine() as engine:
        yield engine


@pytest.fixture
def model(engine: Engine, endless_gguf: Path) -> Model:
    return engine.load(endless_gguf, options=OPTIONS).result()


@pytest.fixture
def deep(engine: Engine, deep_gguf: Path) -> Model:
    """Whose answers are still being written when a test gets to end them."""
    return engine.load(deep_gguf, options=OPTIONS).result()


def ask(
    model: Model, text: str = "x", *, tokens: int = 16, together: bool = False, more: bool = False
) -> Call[Finished]:
    turn = (TextSegment(text=f"# Query:\n{text}\n\n# Answer:\n"),)
    return model.generate(
        preamble=PREAMBLE, turns=[turn], max_tokens=tokens, together=together, more=more
    )


def ask_eight(model: Model, tokens: int) -> list[Call[Finished]]:
    return [ask(model, f"question {n}", tokens=tokens, together=True, more=n < 7) for n in range(8)]


def finished(calls: list[Call[Finished]]) -> list[Finished]:
    return [call.result() for call in calls]


def test_a_call_is_its_events_and_its_result(engine: Engine, endless_gguf: Path) -> None:
    call = engine.load(endless_gguf, options=OPTIONS)
    events = list(call)
    model = call.result()
    assert isinstance(events[-1], Loaded)
    assert events[-1].info == model.info
    assert model.loaded
    assert engine.models == (model,)
    assert list(call) == []
    assert call.result() is model


def test_eight_calls_are_open_at_once_and_each_gets_its_own_answer(model: Model) -> None:
    together = finished(ask_eight(model, 12))
    again = finished(ask_eight(model, 12))
    assert [f.ids for f in together] == [f.ids for f in again]
    assert [f.generated for f in together] == [12] * 8
    assert len({f.ids for f in together}) > 1


@pytest.mark.parametrize(
    "kind", ["llama_gguf", "sliding_window_gguf", "recurrent_gguf", "hybrid_gguf"]
)
def test_eight_calls_give_what_the_model_says_of_each_alone(
    engine: Engine, request: pytest.FixtureRequest, kind: str
) -> None:
    """Token by token: each is the likeliest when the answer is read again, within the noise."""
    path: Path = request.getfixturevalue(kind)
    model = engine.load(path, options=EngineOptions(n_ctx=2048, threads=1, parallel=8)).result()
    turns, ids = {}, {}
    for number, call in enumerate(ask_eight(model, 16)):
        for event in call:
            if isinstance(event, PromptReady):
                turns[number] = event.turns[0][0]
        ids[number] = call.result().ids
    assert len(set(ids.values())) > 1, "other questions, other answers"
    for number, answer in ids.items():
        context = (*PREAMBLE, TokenSegment(ids=turns[number]))
        side = ScoreSide(id=0, model=0, context=context, answer=TokenSegment(ids=answer), top_k=1)
        scores = SideScores.from_bytes(model.score(side).result().scores)
        assert len(scores.logp) == len(answer) > 0
        assert np.max(np.log(scores.top_p[:, 0]) - scores.logp) < NOISE


def test_calls_are_read_in_tasks_of_one_loop(model: Model) -> None:
    async def text_of(call: Call[Finished]) -> str:
        return "".join([e.text async for e in call if isinstance(e, TextDelta)])

    async def main() -> list[str]:
        calls = ask_eight(model, 12)
        return await asyncio.gather(*(text_of(call) for call in calls))

    async def awaited() -> list[str]:
        return [finished.text for finished in [await call for call in ask_eight(model, 12)]]

    assert asyncio.run(main()) == asyncio.run(awaited())


def test_a_loop_goes_on_while_it_waits_for_a_call(model: Model) -> None:
    async def main() -> int:
        call, turns = ask(model, tokens=200), 0

        async def count() -> None:
            nonlocal turns
            while not call.over:
                turns += 1
                await asyncio.sleep(0)

        await asyncio.gather(call_result(call), count())
        return turns

    async def call_result(call: Call[Finished]) -> None:
        assert (await call).generated == 200

    assert asyncio.run(main()) > 100


@pytest.mark.parametrize("together", [False, True])
def test_one_of_eight_is_cancelled_and_the_others_do_not_notice(
    model: Model, together: bool
) -> None:
    def eight() -> list[Call[Finished]]:
        if together:
            return ask_eight(model, 40)
        return [ask(model, f"question {n}", tokens=40) for n in range(8)]

    whole = finished(eight())
    calls = eight()
    calls[3].cancel()
    calls[3].cancel()
    ended = finished(calls)
    assert ended[3].stop_reason == "cancelled"
    # Others may have chosen other tokens where rows of a batch round otherwise.
    kept = [n for n in range(8) if n != 3]
    assert [ended[n].generated for n in kept] == [40] * 7
    if not together:
        assert [ended[n].ids for n in kept] == [whole[n].ids for n in kept]


def test_a_cancelled_call_that_has_not_begun_ends_at_its_turn(model: Model) -> None:
    first, second, third = ask(model, tokens=300), ask(model), ask(model)
    second.cancel()
    assert first.result().generated == 300
    assert second.result().stop_reason == "cancelled"
    assert third.result().generated == 16


def test_cancelling_after_the_end_does_nothing_to_the_next(model: Model) -> None:
    call = ask(model)
    whole = call.result()
    call.cancel()
    call.close()
    assert ask(model).result().ids == whole.ids


def test_cancelling_everything_from_another_thread_ends_every_call(
    engine: Engine, deep: Model
) -> None:
    calls = ask_eight(deep, 2000)
    next(event for event in calls[0] if isinstance(event, TextDelta))
    threading.Timer(0.05, engine.cancel).start()
    assert {f.stop_reason for f in finished(calls)} == {"cancelled"}
    assert not engine.busy


def test_a_closed_call_makes_room_for_the_next(engine: Engine, model: Model) -> None:
    left = ask(model, tokens=2000)
    next(left)
    left.close()
    assert ask(model).result().generated == 16
    assert not engine.busy


def test_the_generator_of_a_call_that_is_closed_closes_it(model: Model) -> None:
    call = ask(model, tokens=2000)
    steps = call.steps()
    next(steps)
    steps.close()
    assert call.cancelled
    assert ask(model).result().generated == 16


@pytest.mark.parametrize("read", ["nothing", "the end"])
def test_a_model_that_comes_though_its_load_was_closed_is_unloaded(
    engine: Engine, endless_gguf: Path, read: str
) -> None:
    steps = engine.load(endless_gguf, options=OPTIONS).steps()
    for event in steps:
        if read == "nothing" or isinstance(event, Loaded):
            break
    assert len(engine.models) == 1 or read == "nothing"
    steps.close()
    while engine.busy:
        time.sleep(0.01)
    assert not engine.models
    again = engine.load(endless_gguf, options=OPTIONS).result()
    assert list(engine.models) == [again]
    assert ask(again).result().generated == 16


def test_a_death_is_told_to_every_open_call(engine: Engine, deep: Model) -> None:
    calls = ask_eight(deep, 2000)
    next(event for event in calls[0] if isinstance(event, TextDelta))
    assert engine.pid is not None
    os.kill(engine.pid, signal.SIGKILL)
    told = set()
    for call in calls:
        with pytest.raises(EngineDied) as raised:
            call.result()
        told.add(str(raised.value))
    (sentence,) = told
    assert "SIGKILL" in sentence
    assert engine.take_death() is None
    assert not deep.loaded
    # What is asked after that hears why there is nobody to answer.
    with pytest.raises(EngineDied, match="ended by SIGKILL"):
        ask(deep).result()


def test_a_death_ends_a_task_that_waits(engine: Engine, deep: Model) -> None:
    async def main() -> None:
        call = ask(deep, tokens=2000)
        async for event in call:
            if isinstance(event, TextDelta) and engine.pid is not None:
                os.kill(engine.pid, signal.SIGKILL)

    with pytest.raises(EngineDied, match="SIGKILL"):
        asyncio.run(main())


def test_a_death_of_which_no_call_was_told_is_taken_once(engine: Engine, model: Model) -> None:
    heard = threading.Event()
    engine.watch(heard.set)
    assert engine.pid is not None
    os.kill(engine.pid, signal.SIGKILL)
    assert heard.wait(60)
    death = engine.take_death()
    assert death is not None
    assert "SIGKILL" in str(death)
    assert engine.take_death() is None


def test_a_model_that_was_unloaded_can_not_be_asked(
    engine: Engine, model: Model, llama_gguf: Path
) -> None:
    other = engine.load(llama_gguf, options=OPTIONS).result()
    assert [*engine.models] == [model, other]
    model.unload().result()
    assert [*engine.models] == [other]
    with pytest.raises(EngineError, match="not loaded any more"):
        ask(model).result()
    assert ask(other).result().generated > 0


def test_closing_ends_what_is_open(engine: Engine, deep: Model) -> None:
    running, waiting = ask(deep, tokens=2000), ask(deep)
    next(event for event in running if isinstance(event, TextDelta))
    engine.close()
    assert running.result().stop_reason == waiting.result().stop_reason == "cancelled"
    assert not engine.alive


def test_a_stopped_worker_is_ended_when_it_does_not_obey(engine: Engine, deep: Model) -> None:
    call = ask(deep, tokens=2000)
    next(event for event in call if isinstance(event, TextDelta))
    assert engine.pid is not None
    os.kill(engine.pid, signal.SIGSTOP)
    call._line.patience.limit = 0.5
    began = time.monotonic()
    call.cancel()
    with pytest.raises(EngineDied, match="did not stop when asked to"):
        call.result()
    assert time.monotonic() - began < 60
