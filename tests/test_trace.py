"""An answer read again: its numbers against other ways to them, and what a trace leaves behind."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from tests.loaded import newest
from urial_tui.engine.client.engine import Engine
from urial_tui.engine.client.recording import read_recording
from urial_tui.engine.client.replay import Replay
from urial_tui.engine.native import llama
from urial_tui.engine.wire.commands import ScoreSide, Trace
from urial_tui.engine.wire.events import (
    Event,
    Finished,
    PrefillProgress,
    PromptReady,
    Traced,
    TracedTokens,
)
from urial_tui.engine.wire.scores import SideScores
from urial_tui.engine.wire.values import (
    EngineOptions,
    Piece,
    Sampling,
    TextSegment,
    TokenSegment,
    TracedToken,
    Turn,
)
from urial_tui.engine.worker.chain_trace import ChainTrace
from urial_tui.engine.worker.sampling import Candidates, SamplerChain
from urial_tui.errors import EngineError

Row = NDArray[np.float32]

OPTIONS = EngineOptions(n_ctx=1024, threads=1)
PREAMBLE: Turn = (TextSegment(text="# Query\nHello world\n# Answer\nI hope this can help\n"),)
QUESTION: Turn = (TextSegment(text="# Query\nlist the number of code\n# Answer\n"),)
GREEDY = Sampling()
PENALISED = Sampling(repetition_penalty=1.3, frequency_penalty=0.2, dry_multiplier=0.8)
DRAWN = Sampling(temperature=0.9, top_k=20, repetition_penalty=1.1, seed=4)


# -- the chain, against the definitions of its samplers ----------------------------------


@pytest.fixture(scope="module")
def tiny(llama_gguf: Path) -> Iterator[llama.NativeModel]:
    llama.initialise()
    model = llama.NativeModel(str(llama_gguf), gpu_layers=0, progress=lambda _fraction: True)
    yield model
    model.close()


class Left(NamedTuple):
    """What a stage should leave: by the definition, a little more strictly and less so."""

    least: int
    most: int
    changed: int
    p: float | None


SLACK = 1e-5
"""The native samplers add up probabilities in float32."""


def penalised(row: Row, history: Sequence[int], sampling: Sampling) -> Row:
    row = row.copy()
    recent = history[max(0, len(history) - sampling.penalty_last_n) :]
    for token, count in Counter(recent).items():
        scale = np.float32(sampling.repetition_penalty)
        row[token] = row[token] * scale if row[token] <= 0 else row[token] / scale
        row[token] -= np.float32(count) * np.float32(sampling.frequency_penalty)
        row[token] -= np.float32(sampling.presence_penalty)
    return row


def dried(row: Row, history: Sequence[int], sampling: Sampling) -> Row:
    """DRY over a history without sequence breakers, by comparing every pair of endings."""
    row = row.copy()
    recent = list(history[max(0, len(history) - sampling.dry_last_n) :])
    longest: dict[int, int] = {}
    for end in range(1, len(recent)):
        length = 0
        while length < end and recent[end - 1 - length] == recent[-1 - length]:
            length += 1
        if length >= sampling.dry_allowed_length:
            longest[recent[end]] = max(longest.get(recent[end], 0), length)
    for token, length in longest.items():
        exponent = length - sampling.dry_allowed_length
        row[token] -= np.float32(sampling.dry_multiplier * sampling.dry_base**exponent)
    return row


def shares(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    weights: NDArray[np.float64] = np.exp(logits - logits.max())
    weights /= weights.sum()
    return weights


def expected(row: Row, history: Sequence[int], written: int, sampling: Sampling) -> list[Left]:
    """What each stage leaves, up to where rounding decides; ties change no count."""
    found = []
    for stage, change in (("penalties", penalised), ("dry", dried)):
        if stage in sampling.stages:
            before, row = row, change(row, history, sampling)
            share = float(shares(row.astype(np.float64))[written])
            found.append(Left(len(row), len(row), int(np.count_nonzero(before != row)), share))
    left = np.sort(row.astype(np.float64))[::-1]
    own = float(row[written])
    for later in sampling.stages[len(found) :]:
        least, most = bounds(later, left, sampling)
        if later == "temperature":
            left, own = left / sampling.temperature, own / sampling.temperature
        if least != most:
            found.append(Left(least, most, 0, None))
            break
        left = left[:least]
        p: float | None = None
        if own > left[-1] + SLACK:
            p = float(np.exp(own - left[0]) / np.exp(left - left[0]).sum())
        elif own < left[-1] - SLACK:
            p = 0.0
        found.append(Left(least, most, 0, p))
    return found


def bounds(stage: str, left: NDArray[np.float64], sampling: Sampling) -> tuple[int, int]:
    """How many of the sorted logits a stage keeps, at least and at most."""
    if stage == "top-k":
        return (min(sampling.top_k, len(left)),) * 2
    if stage == "top-p":
        sums = np.cumsum(shares(left))[:-1]
        least = 1 + int(np.count_nonzero(sums < sampling.top_p - SLACK))
        return least, 1 + int(np.count_nonzero(sums < sampling.top_p + SLACK))
    if stage == "min-p":
        edge = left[0] + math.log(sampling.min_p)
        least = int(np.count_nonzero(left >= edge + SLACK))
        return max(1, least), max(1, int(np.count_nonzero(left >= edge - SLACK)))
    return (1, 1) if stage == "greedy" else (len(left),) * 2


samplings = st.builds(
    Sampling,
    temperature=st.sampled_from((0.0, 0.3, 1.0, 2.0)),
    top_k=st.sampled_from((1, 2, 7, 40, 1000)),
    top_p=st.sampled_from((0.0, 0.5, 0.9, 0.95, 1.0)),
    min_p=st.sampled_from((0.0, 0.05, 0.5, 1.0)),
    repetition_penalty=st.sampled_from((1.0, 1.1, 2.0, 0.8)),
    frequency_penalty=st.sampled_from((0.0, 0.0, 0.7, -0.5)),
    presence_penalty=st.sampled_from((0.0, 0.0, 0.4)),
    penalty_last_n=st.sampled_from((0, 3, 256)),
    dry_multiplier=st.sampled_from((0.0, 0.8)),
    dry_allowed_length=st.sampled_from((1, 2, 3)),
    dry_last_n=st.sampled_from((6, 1024)),
)


@st.composite
def rows(draw: st.DrawFn, size: int) -> Row:
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    values = random.standard_normal(size)
    row = np.round(values, 1) if draw(st.booleans()) else values
    made: Row = (row * draw(st.sampled_from((0.01, 1.0, 4.0)))).astype(np.float32)
    made[random.random(size) < draw(st.sampled_from((0.0, 0.0, 0.3)))] = -np.inf
    made[0] = 0.5
    return made


def plain_tokens(model: llama.NativeModel) -> list[int]:
    """Tokens that do not end a sequence for DRY."""
    vocab = model.vocab
    return [
        token for token in range(300, vocab.size) if not set(vocab.piece(token)) & set(b'\n:"*')
    ]


@given(data=st.data(), sampling=samplings)
def test_every_stage_leaves_what_its_definition_says(
    data: st.DataObject, sampling: Sampling, tiny: llama.NativeModel
) -> None:
    row = data.draw(rows(tiny.vocab.size))
    # Few tokens, so that sequences repeat.
    history = data.draw(st.lists(st.sampled_from(plain_tokens(tiny)[:3]), max_size=24))
    written = data.draw(st.sampled_from([*plain_tokens(tiny)[:5], int(row.argmax())]))
    traced = ChainTrace(tiny.vocab, sampling, tiny.n_ctx_train)
    for token in history:
        traced.accept(token)
    listed = sorted({int(row.argmax()), 301, 302} - {written})
    followed = traced.follow(row, written, listed)
    traced.close()
    assert len(followed.stages) == len(sampling.stages)
    for stage, wanted in zip(
        followed.stages, expected(row, history, written, sampling), strict=False
    ):
        assert wanted.least <= stage.left <= wanted.most
        assert stage.changed == wanted.changed
        if wanted.p is not None:
            assert stage.p == pytest.approx(wanted.p, abs=1e-5)
    own, *others = followed.outcomes
    assert own.chance == followed.stages[-1].p
    # What is out stays out, and only what came through can be chosen.
    for number, stage in enumerate(followed.stages):
        assert (stage.p > 0) <= (number < own.passed)
    for outcome in (own, *others):
        assert (outcome.chance > 0) <= (outcome.passed == len(sampling.stages))
    assert sum(outcome.chance for outcome in followed.outcomes) <= 1 + 1e-9


@given(data=st.data(), sampling=samplings)
def test_stage_by_stage_the_candidates_are_those_of_the_whole_chain(
    data: st.DataObject, sampling: Sampling, tiny: llama.NativeModel
) -> None:
    """The whole chain sees the whole row; equal logits may stand for each other."""
    row = data.draw(rows(tiny.vocab.size))
    history = data.draw(st.lists(st.sampled_from(plain_tokens(tiny)[:3]), max_size=24))
    whole = SamplerChain(tiny.vocab)
    for stage in sampling.stages:
        whole.add(stage, sampling, tiny.n_ctx_train)
    traced = ChainTrace(tiny.vocab, sampling, tiny.n_ctx_train)
    for token in history:
        whole.accept(token)
        traced.accept(token)
    candidates = Candidates(np.arange(len(row)), row)
    whole.apply(candidates)
    left = candidates.read()[1] if candidates.selected is None else np.zeros(1)
    everything = [token for token in range(tiny.vocab.size) if token != 5]
    followed = traced.follow(row, 5, everything)
    whole.close()
    traced.close()
    assert followed.stages[-1].left == len(left)
    chances = sorted(outcome.chance for outcome in followed.outcomes)[-len(left) :]
    assert chances == pytest.approx(sorted(shares(left)), abs=1e-6)


def test_a_large_vocabulary_is_followed_by_a_few_candidates(demo_model: Path) -> None:
    """262,144 tokens, of which the chain sees some hundred."""
    llama.initialise()
    model = llama.NativeModel(str(demo_model), gpu_layers=0, progress=lambda _fraction: True)
    plain = set(plain_tokens(model))
    random = np.random.default_rng(5)
    row = (random.standard_normal(model.vocab.size) * 3).astype(np.float32)
    # What is lowered is what was the most probable, so that others take its place.
    best = [token for token in np.argsort(-row)[:400].tolist() if token in plain]
    history = [best[at] for at in random.integers(0, 40, 200)]
    for sampling in (
        Sampling(temperature=0.8, repetition_penalty=1.2, dry_multiplier=0.8),
        Sampling(temperature=0.8, top_k=300, top_p=0.99, min_p=0.0, presence_penalty=-3.0),
        Sampling(frequency_penalty=0.5),
    ):
        traced = ChainTrace(model.vocab, sampling, model.n_ctx_train)
        for token in history:
            traced.accept(token)
        for written in (int(row.argmax()), history[0], 77):
            followed = traced.follow(row, written, [1, 2])
            for stage, wanted in zip(
                followed.stages, expected(row, history, written, sampling), strict=False
            ):
                assert wanted.least <= stage.left <= wanted.most
                assert stage.changed == wanted.changed
                assert wanted.p is None or stage.p == pytest.approx(wanted.p, rel=1e-4, abs=1e-9)
        traced.close()
    model.close()


# -- an answer, read again -----------------------------------------------------------------


class Reading(NamedTuple):
    """What came of a Trace command."""

    tokens: list[TracedToken]
    pieces: dict[int, Piece]
    events: list[Event]

    @property
    def left_out(self) -> int:
        end = self.events[-1]
        assert isinstance(end, Traced)
        return end.left_out


def read(engine: Engine, answer: Turn, **changes: object) -> Reading:
    request = Trace(id=0, model=0, preamble=PREAMBLE, turns=(QUESTION,), answer=answer)
    events = list(newest(engine).trace(msgspec.structs.replace(request, **changes)))
    parts = [event for event in events if isinstance(event, TracedTokens)]
    return Reading(
        [token for part in parts for token in part.tokens],
        {token: piece for part in parts for token, piece in part.pieces.items()},
        events,
    )


def write(
    engine: Engine, sampling: Sampling = GREEDY, max_tokens: int = 40
) -> tuple[Finished, PromptReady]:
    events = list(
        newest(engine).generate(
            preamble=PREAMBLE, turns=[QUESTION], sampling=sampling, max_tokens=max_tokens
        )
    )
    ready = next(event for event in events if isinstance(event, PromptReady))
    end = events[-1]
    assert isinstance(end, Finished)
    return end, ready


@pytest.fixture(params=["llama", "sliding_window", "recurrent"])
def any_engine(request: pytest.FixtureRequest) -> Iterator[Engine]:
    """A worker with each kind of memory."""
    with Engine() as engine:
        path = request.getfixturevalue(f"{request.param}_gguf")
        for _ in engine.load(path, options=OPTIONS):
            pass
        yield engine


class TestReading:
    def test_a_greedy_answer_is_what_its_trace_would_choose(self, any_engine: Engine) -> None:
        for sampling in (GREEDY, PENALISED):
            finished, _ = write(any_engine, sampling)
            reading = read(any_engine, (TokenSegment(ids=finished.ids),), sampling=sampling)
            assert [token.id for token in reading.tokens] == list(finished.ids)
            assert len(finished.ids) > 10
            chosen = [token.stages[-1].p for token in reading.tokens]
            # Other batches round differently, which may decide between two near equals.
            assert sum(chosen) >= 0.95 * len(chosen)
            assert set(chosen) <= {0.0, 1.0}

    def test_drawn_tokens_are_among_those_that_the_chain_leaves(self, any_engine: Engine) -> None:
        finished, _ = write(any_engine, DRAWN)
        reading = read(any_engine, (TokenSegment(ids=finished.ids),), sampling=DRAWN)
        possible = [token.passed == len(DRAWN.stages) for token in reading.tokens]
        assert sum(possible) >= 0.95 * len(possible)
        for token in reading.tokens:
            left = [stage.left for stage in token.stages]
            assert left == sorted(left, reverse=True)
            assert (token.stages[-1].p > 0) == (token.passed == len(DRAWN.stages))

    def test_the_figures_agree_with_those_of_a_comparison(self, any_engine: Engine) -> None:
        """Which reads everything anew, in other batches and in another context."""
        finished, _ = write(any_engine, DRAWN)
        answer = TokenSegment(ids=finished.ids)
        request = ScoreSide(id=0, model=0, context=(*PREAMBLE, *QUESTION), answer=answer)
        scored = newest(any_engine).score(request).result()
        scores = SideScores.from_bytes(scored.scores)
        tokens = read(any_engine, (answer,)).tokens
        assert len(tokens) == len(scores)
        for at, token in enumerate(tokens):
            assert token.logp == pytest.approx(float(scores.logp[at]), abs=0.15)
            assert token.entropy == pytest.approx(float(scores.entropy[at]), abs=0.15)
            assert token.top[0].p == pytest.approx(float(scores.top_p[at][0]), abs=0.05)

    def test_lists_and_ranks_hold_together(self, engine: Engine) -> None:
        finished, _ = write(engine, DRAWN)
        reading = read(engine, (TokenSegment(ids=finished.ids),), top_k=7)
        for token in reading.tokens:
            p = [other.p for other in token.top]
            assert len(p) == 7
            assert p == sorted(p, reverse=True)
            assert sum(p) <= 1 + 1e-6
            listed = {other.id: other for other in token.top}
            assert (token.rank <= 7) == (token.id in listed)
            assert (token.rank == 1) == (p[0] == pytest.approx(math.exp(token.logp), rel=1e-5))
            if token.id in listed:
                assert listed[token.id].p == pytest.approx(math.exp(token.logp), rel=1e-5)
                assert listed[token.id].passed == token.passed
            assert 0 <= token.entropy <= math.log(2**20)
        known = {token.id for token in reading.tokens}
        known |= {other.id for token in reading.tokens for other in token.top}
        assert set(reading.pieces) == known

    def test_text_is_tokenised_and_an_end_is_a_token_like_others(self, engine: Engine) -> None:
        reading = read(
            engine,
            (
                TextSegment(text="hope this"),
                TextSegment(text=newest(engine).info.eos, special=True),
            ),
        )
        spelt = b"".join(reading.pieces[token.id].data for token in reading.tokens)
        assert spelt == b"hope this" + newest(engine).info.eos.encode()
        end = reading.pieces[reading.tokens[-1].id]
        assert (end.control, end.ends) == (True, True)
        assert not any(reading.pieces[token.id].ends for token in reading.tokens[:-1])

    def test_the_first_tokens_come_before_the_last_are_read(self, engine: Engine) -> None:
        finished, _ = write(engine, DRAWN, max_tokens=60)
        reading = read(engine, (TokenSegment(ids=finished.ids),))
        parts = [event for event in reading.events if isinstance(event, TracedTokens)]
        assert len(parts) > 3
        assert {part.total for part in parts} == {len(finished.ids)}


class TestTheCache:
    def test_only_the_run_in_front_of_an_answer_is_read_again(self, any_engine: Engine) -> None:
        """Neither the preamble for a trace, nor the answer before it for the question behind."""
        finished, ready = write(any_engine, DRAWN, max_tokens=60)
        question = sum(map(len, newest(any_engine).tokenize([QUESTION]).result()[0]))
        reading = read(any_engine, (TokenSegment(ids=finished.ids),), sampling=DRAWN)
        read_again = [event for event in reading.events if isinstance(event, PrefillProgress)]
        assert read_again[-1].done - read_again[-1].reused <= question
        again, ready_again = write(any_engine, DRAWN, max_tokens=60)
        assert ready_again.prefilled == question
        assert ready_again.used == ready.used
        assert again.ids == finished.ids
        past = (*QUESTION, TokenSegment(ids=finished.ids), TextSegment(text="\n"))
        for _ in newest(any_engine).prepare(PREAMBLE, turns=[past]):
            pass
        read(any_engine, (TextSegment(text="hope"),), turns=(past, QUESTION))
        events = newest(any_engine).generate(
            preamble=PREAMBLE, turns=[past, QUESTION], max_tokens=2
        )
        (next_,) = [event for event in events if isinstance(event, PromptReady)]
        assert next_.prefilled == question

    def test_a_lead_stands_in_front_of_the_turns_and_does_not_leave(self, engine: Engine) -> None:
        lead: Turn = (TextSegment(text="# Query\nthe first\n# Answer\nIt is.\n"),)
        answer = (TextSegment(text="hope this"),)
        led = read(engine, answer, lead=lead)
        together = read(engine, answer, turns=((*lead, *QUESTION),))
        assert [token.id for token in led.tokens] == [token.id for token in together.tokens]
        for one, other in zip(led.tokens, together.tokens, strict=True):
            assert one.logp == pytest.approx(other.logp, abs=1e-3)
        assert led.tokens[0].logp != read(engine, answer).tokens[0].logp
        old: Turn = (TextSegment(text="hope this helps " * 200),)
        full = read(engine, answer, lead=lead, turns=(old, old, old, old, QUESTION))
        assert full.left_out == 2
        kept = read(engine, answer, lead=lead, turns=(old, old, QUESTION))
        for one, other in zip(full.tokens, kept.tokens, strict=True):
            assert one.logp == pytest.approx(other.logp, abs=1e-3)

    def test_the_oldest_turns_are_left_out_where_there_is_no_room(self, engine: Engine) -> None:
        old: Turn = (TextSegment(text="hope this helps " * 200),)
        reading = read(engine, (TextSegment(text="hope"),), turns=(old, old, old, old, QUESTION))
        assert reading.left_out >= 1
        alone = read(engine, (TextSegment(text="hope"),), turns=(QUESTION,))
        assert alone.left_out == 0

    def test_what_is_longer_than_the_context_is_refused(self, engine: Engine) -> None:
        with pytest.raises(EngineError, match=r"the context holds 2,048\."):
            read(engine, (TextSegment(text="hope this helps " * 1000),))
        assert read(engine, (TextSegment(text="hope"),)).tokens

    def test_an_answer_without_text_is_refused(self, engine: Engine) -> None:
        with pytest.raises(EngineError, match="There is no text in this answer"):
            read(engine, (TokenSegment(ids=()),))

    def test_tokens_of_another_model_are_refused(self, engine: Engine) -> None:
        with pytest.raises(EngineError, match="tokens of another model"):
            read(engine, (TokenSegment(ids=(10**6,)),))

    def test_it_stops_when_asked_and_the_engine_goes_on(self, engine: Engine) -> None:
        answer: Turn = (TextSegment(text="hope this helps " * 300),)
        request = Trace(id=0, model=0, preamble=PREAMBLE, turns=(QUESTION,), answer=answer)
        seen: list[TracedTokens] = []

        def stop_at_the_first() -> None:
            for event in newest(engine).trace(request):
                if isinstance(event, TracedTokens):
                    seen.append(event)
                    engine.cancel()

        with pytest.raises(EngineError, match=r"Stopped\."):
            stop_at_the_first()
        assert sum(len(event.tokens) for event in seen) < seen[0].total
        assert write(engine)[0].ids


def test_a_recorded_trace_is_replayed(
    tmp_path: Path, llama_gguf: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("URIAL_RECORD", str(tmp_path / "recordings"))
    with Engine() as engine:
        loaded = list(engine.load(llama_gguf, options=OPTIONS))
        recorded = read(engine, (TextSegment(text="hope this helps"),)).events
    (file,) = (tmp_path / "recordings").iterdir()
    with Engine(launch=Replay(read_recording(file), pace=0.0).launch) as engine:
        assert list(engine.load(llama_gguf)) == loaded
        assert read(engine, (TextSegment(text="hope this helps"),)).events == recorded
