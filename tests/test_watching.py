"""Reading an answer along on a second side: what it says, and what it leaves alone."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from urial_tui.engine.client.engine import Engine
from urial_tui.engine.client.model import Model
from urial_tui.engine.wire.commands import ScoreSide
from urial_tui.engine.wire.events import (
    Event,
    Finished,
    Notice,
    PrefillProgress,
    PromptReady,
    Shifts,
    TextDelta,
    TurnsDropped,
)
from urial_tui.engine.wire.limits import WATCHED_BATCH
from urial_tui.engine.wire.scores import SideScores
from urial_tui.engine.wire.values import (
    EngineOptions,
    Sampling,
    StopRules,
    TextSegment,
    TokenSegment,
    Turn,
    Watch,
)
from urial_tui.errors import EngineError

GREEDY = Sampling(temperature=0.0)
WARM = Sampling(temperature=1.0, seed=3, top_k=200, min_p=0.0, top_p=1.0)
PREAMBLE: Turn = (TextSegment(text="Once upon a time there was a small model."),)
SHORT: Turn = (TextSegment(text="Well."),)
LEAD: Turn = (TextSegment(text="An example."),)


def text(content: str) -> Turn:
    return (TextSegment(text=content),)


class Pair(NamedTuple):
    """A model that writes and one that reads along, in one worker."""

    writing: Model
    reading: Model

    def watch(self, **shown: Any) -> Watch:
        return Watch(model=self.reading.handle, **shown)


@pytest.fixture
def pair(endless_gguf: Path) -> Iterator[Pair]:
    """The same weights for both, 512 tokens of context each."""
    with Engine() as engine:
        yield load(engine, endless_gguf)


def load(engine: Engine, path: Path, adapter: Path | None = None, n_ctx: int = 512) -> Pair:
    options = EngineOptions(n_ctx=n_ctx, threads=1)
    writing = engine.load(path, options=options).result()
    reading = engine.load(path, adapter=adapter, options=options, purpose="watched").result()
    return Pair(writing, reading)


def generate(
    model: Model,
    turns: list[Turn],
    watch: Watch | None,
    *,
    sampling: Sampling = GREEDY,
    max_tokens: int = 70,
    prefix: Turn = (),
    stops: StopRules | None = None,
) -> list[Event]:
    return list(
        model.generate(
            preamble=PREAMBLE,
            turns=turns,
            sampling=sampling,
            max_tokens=max_tokens,
            watch=watch,
            prefix=prefix,
            stops=stops,
        )
    )


def of(events: list[Event], kind: type) -> list[Event]:
    return [event for event in events if isinstance(event, kind)]


def finished(events: list[Event]) -> Finished:
    assert isinstance(events[-1], Finished)
    return events[-1]


def shifts(events: list[Event]) -> list[Shifts]:
    return [event for event in events if isinstance(event, Shifts)]


def ranks(events: list[Event]) -> list[int]:
    return [rank for event in shifts(events) for rank in event.ranks]


def scored_alone(model: Model, context: Turn, ids: tuple[int, ...]) -> SideScores:
    request = ScoreSide(id=0, model=0, context=context, answer=TokenSegment(ids=ids))
    return SideScores.from_bytes(model.score(request).result().scores)


@pytest.mark.parametrize("lead", [(), LEAD], ids=["turns alone", "retrieved examples"])
def test_the_ranks_are_those_of_scoring_the_answer_afterwards(pair: Pair, lead: Turn) -> None:
    watch = pair.watch(preamble=SHORT, turns=(text("Go on."),), lead=lead)
    events = generate(pair.writing, [text("Go on.")], watch, sampling=WARM)
    done = finished(events)
    assert len(done.ids) == 70
    later = scored_alone(pair.reading, (*SHORT, *lead, *text("Go on.")), done.ids)
    assert len(ranks(events)) == 70
    # Batches of other lengths round differently: neighbours may change places.
    near = [
        abs(now - then) <= max(1, then // 50)
        for now, then in zip(ranks(events), later.rank.tolist(), strict=True)
    ]
    assert all(near)
    assert len(set(ranks(events))) > 10
    probabilities = [p for event in shifts(events) for p in event.probabilities]
    for now, then in zip(probabilities, later.logp.tolist(), strict=True):
        assert now == pytest.approx(2.718281828**then, rel=0.05)


def test_a_model_beside_itself_finds_every_greedy_token_the_most_probable(pair: Pair) -> None:
    watch = pair.watch(same_ids=True)
    events = generate(pair.writing, [text("Go on.")], watch)
    assert len(ranks(events)) == 70
    assert ranks(events).count(1) >= 69
    assert max(ranks(events)) <= 2


@pytest.mark.parametrize("sampling", [GREEDY, WARM])
def test_what_is_written_does_not_depend_on_who_reads_along(pair: Pair, sampling: Sampling) -> None:
    turns = [text("One."), text("Two.")]
    watch = pair.watch(preamble=SHORT, turns=tuple(turns))
    alone = finished(generate(pair.writing, turns, None, sampling=sampling))
    watched = finished(generate(pair.writing, turns, watch, sampling=sampling))
    again = finished(generate(pair.writing, turns, watch, sampling=sampling))
    assert watched.ids == alone.ids == again.ids
    assert watched.text == alone.text


def test_tokens_are_told_in_order_where_their_text_stands(pair: Pair) -> None:
    watch = pair.watch(preamble=SHORT, turns=(text("Go on."),))
    events = generate(pair.writing, [text("Go on.")], watch, sampling=WARM)
    written = "".join(event.text for event in events if isinstance(event, TextDelta))
    found = shifts(events)
    assert found[0].start == 0
    for before, after in itertools.pairwise(found):
        assert after.start == before.ends[-1]
    ends = [end for event in found for end in event.ends]
    assert ends == sorted(ends)
    assert len(written) - 1 <= ends[-1] <= len(written)
    assert all(len(event.ranks) == len(event.ends) <= WATCHED_BATCH for event in found)


def test_the_tail_is_told_before_the_end(pair: Pair) -> None:
    watch = pair.watch(preamble=SHORT, turns=(text("Go on."),))
    events = generate(pair.writing, [text("Go on.")], watch, max_tokens=WATCHED_BATCH + 3)
    assert len(ranks(events)) == WATCHED_BATCH + 3
    assert isinstance(events[-1], Finished)


def test_what_the_answer_starts_with_is_read_and_not_told(pair: Pair) -> None:
    watch = pair.watch(preamble=SHORT, turns=(text("Go on."),))
    first = finished(generate(pair.writing, [text("Go on.")], None, max_tokens=30))
    prefix = (TokenSegment(ids=first.ids),)
    events = generate(pair.writing, [text("Go on.")], watch, prefix=prefix, max_tokens=20)
    assert len(ranks(events)) == 20
    assert abs(shifts(events)[0].start - len(first.text)) <= 1
    later = scored_alone(
        pair.reading, (*SHORT, *text("Go on."), *prefix), finished(events).ids[30:]
    )
    assert (
        sum(now == then for now, then in zip(ranks(events), later.rank.tolist(), strict=True)) >= 18
    )


@pytest.mark.parametrize("lead", [(), LEAD], ids=["turns alone", "retrieved examples"])
def test_turns_that_leave_the_context_leave_it_on_both_sides(pair: Pair, lead: Turn) -> None:
    turns = [text(f"Turn {number}: " + "and so on " * 30) for number in range(4)]
    watch = pair.watch(preamble=SHORT, turns=tuple(turns), lead=lead)
    events = generate(pair.writing, turns, watch, max_tokens=400)
    dropped = sum(event.turns for event in events if isinstance(event, TurnsDropped))
    assert dropped >= 2
    done = finished(events)
    assert len(ranks(events)) == done.generated
    assert not of(events, Notice)
    # The last ones were read behind what is left of the conversation.
    left: list[TextSegment | TokenSegment] = [*SHORT, *lead]
    for turn in turns[dropped:]:
        left += turn
    tail = 5
    later = scored_alone(
        pair.reading, (*left, TokenSegment(ids=done.ids[:-tail])), done.ids[-tail:]
    )
    agreeing = zip(ranks(events)[-tail:], later.rank.tolist(), strict=True)
    assert sum(abs(now - then) <= max(2, then // 4) for now, then in agreeing) >= tail - 1


def test_a_second_side_without_room_lets_the_answer_go_on(pair: Pair) -> None:
    watch = pair.watch(preamble=text("words " * 120), turns=(text("Go on."),))
    events = generate(pair.writing, [text("Go on.")], watch, sampling=WARM, max_tokens=300)
    done = finished(events)
    assert done.generated == 300
    assert 0 < len(ranks(events)) < 300
    (notice,) = of(events, Notice)
    assert isinstance(notice, Notice)
    assert "full" in notice.message


def test_a_prompt_that_the_second_side_can_not_hold_is_told_once(pair: Pair) -> None:
    watch = pair.watch(preamble=SHORT, turns=(text("words " * 300),))
    events = generate(pair.writing, [text("Go on.")], watch, max_tokens=40)
    assert finished(events).generated == 40
    assert not shifts(events)
    assert len(of(events, Notice)) == 1


def test_a_second_model_that_is_gone_is_refused(pair: Pair) -> None:
    watch = pair.watch(turns=(text("Go on."),))
    pair.reading.unload().result()
    with pytest.raises(EngineError, match="not loaded any more"):
        generate(pair.writing, [text("Go on.")], watch)
    assert finished(generate(pair.writing, [text("Go on.")], None)).generated


def test_stopping_while_both_sides_work_ends_the_answer_at_once(deep_gguf: Path) -> None:
    with Engine() as engine:
        pair = load(engine, deep_gguf, n_ctx=2048)
        watch = pair.watch(preamble=SHORT, turns=(text("Go on."),))
        seen = 0
        call = pair.writing.generate(
            preamble=PREAMBLE, turns=[text("Go on.")], max_tokens=1900, watch=watch
        )
        for event in call:
            if isinstance(event, Shifts):
                seen += 1
                if seen == 2:
                    call.cancel()
            last = event
        assert isinstance(last, Finished)
        assert last.stop_reason == "cancelled"
        assert last.generated < 1900
        events = generate(pair.writing, [text("Go on.")], watch)
        assert len(ranks(events)) == 70


def test_only_the_newest_turn_is_read_again_by_the_second_side(pair: Pair) -> None:
    """Its next question finds the turns before that in its memory."""
    turns: list[Turn] = []
    for number in range(3):
        asked = text(f"Tell me more of {number}. " * 6)
        shown = [*turns, asked]
        watch = pair.watch(preamble=SHORT, turns=tuple(shown))
        events = generate(pair.writing, shown, watch, max_tokens=5)
        turns.append((*asked, TokenSegment(ids=finished(events).ids)))
    reused = [
        event.reused
        for event in events
        if isinstance(event, PrefillProgress) and event.stage == "prompt"
    ]
    (first,) = pair.writing.tokenize([turns[0]]).result()
    assert reused[-1] >= sum(map(len, first))
    assert of(events, PromptReady)


def test_recurrent_and_sliding_window_models_read_along(
    recurrent_gguf: Path, sliding_window_gguf: Path
) -> None:
    for path in (recurrent_gguf, sliding_window_gguf):
        with Engine() as engine:
            pair = load(engine, path)
            for _ in range(2):
                watch = pair.watch(same_ids=True)
                events = generate(pair.writing, [text("Go on.")], watch, max_tokens=30)
                done = finished(events)
                assert len(ranks(events)) == done.generated
                assert sum(rank <= 2 for rank in ranks(events)) >= done.generated - 1


def test_the_second_side_is_another_model_with_an_adapter(
    llama_gguf: Path, adapter_gguf: Path
) -> None:
    with Engine() as engine:
        pair = load(engine, llama_gguf, adapter_gguf)
        watch = pair.watch(same_ids=True)
        events = generate(pair.writing, [text("Go on.")], watch, sampling=WARM, max_tokens=40)
        assert len(ranks(events)) == finished(events).generated
        assert set(ranks(events)) != {1}
