"""Answers that are written together, by a real worker and tiny models of all kinds of memory.

Batches of other shapes round differently, so an answer is checked by what the model itself says of
each of its tokens when it reads it again; and what runs beside it must not change it.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec
import numpy as np
import pytest

from tests.wires import MODEL, Events, Wire, source
from urial_tui.engine.wire.commands import Generate, LoadModel, ScoreSide, Unload
from urial_tui.engine.wire.events import (
    Failed,
    Finished,
    PreambleReady,
    PrefillProgress,
    Probabilities,
    PromptReady,
    Scored,
)
from urial_tui.engine.wire.limits import written_batch
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

KINDS = ["llama_gguf", "sliding_window_gguf", "recurrent_gguf", "hybrid_gguf"]
PREAMBLE: Turn = (TextSegment(text="# Query:\nHello world\n\n# Answer:\nhope it helps\n\n" * 6),)
OTHER: Turn = (TextSegment(text="Something else stands in front of this.\n" * 5),)
OPTIONS = EngineOptions(n_ctx=2048, threads=1, parallel=8)
NOISE = 0.02
"""Nats by which rounding may move a tiny model's log-probability."""


@pytest.fixture(params=KINDS)
def wire(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Wire]:
    with Wire(tmp_path, request.getfixturevalue(request.param), OPTIONS) as wire:
        yield wire


@pytest.fixture
def llama(llama_gguf: Path, tmp_path: Path) -> Iterator[Wire]:
    with Wire(tmp_path, llama_gguf, OPTIONS) as wire:
        yield wire


def asked(
    text: str, *, tokens: int = 16, preamble: Turn = PREAMBLE, together: bool = True, **more: object
) -> Generate:
    turn: Turn = (TextSegment(text=f"# Query:\n{text}\n\n# Answer:\n"),)
    return Generate(
        id=0,
        model=MODEL,
        preamble=preamble,
        turns=(turn,),
        max_tokens=tokens,
        together=together,
        **more,  # type: ignore[arg-type]
    )


def questions(count: int, **more: object) -> list[Generate]:
    """Of different lengths, with answers of different lengths."""
    return [
        asked(f"What is number {number}? {'more ' * (number % 5)}", tokens=8 + number, **more)  # type: ignore[arg-type]
        for number in range(count)
    ]


def finished(events: Events) -> Finished:
    return events.one(Finished)


def chances(events: Events) -> list[float]:
    """The log-probability of each written token, as it was chosen."""
    return [logp for event in events.all(Probabilities) for logp in event.logps]


def preamble_tokens(events: Events) -> int:
    """How many stand in front of the question."""
    return events.one(PreambleReady).tokens


def behind_the_likeliest(
    wire: Wire, events: Events, preamble: Turn = PREAMBLE, sample: int = 0, model: int = MODEL
) -> list[float]:
    """By how many nats each token is less likely than the likeliest, when the answer is read."""
    turn = events.one(PromptReady).turns[0][0]
    (done,) = [done for done in events.all(Finished) if done.sample == sample]
    request = ScoreSide(
        id=0,
        model=model,
        context=(*preamble, TokenSegment(ids=turn)),
        answer=TokenSegment(ids=done.ids),
        top_k=1,
    )
    scores = SideScores.from_bytes(wire.run(request).one(Scored).scores)
    behind: list[float] = (np.log(scores.top_p[:, 0]) - scores.logp).tolist()
    return behind


def check_against_its_own_logits(wire: Wire, events: Events, preamble: Turn = PREAMBLE) -> None:
    """Each token is the likeliest one when the answer is read again, within the noise."""
    assert max(behind_the_likeliest(wire, events, preamble)) < NOISE


def test_each_of_eight_answers_is_what_the_model_says_itself(wire: Wire) -> None:
    answers = wire.run_all(questions(8))
    for events in answers:
        check_against_its_own_logits(wire, events)
        assert events.streamed() == finished(events).text
    assert len({finished(events).text for events in answers}) > 4, "other questions, other answers"


def test_more_than_a_batch_may_hold_take_turns(llama_gguf: Path, tmp_path: Path) -> None:
    options = EngineOptions(n_ctx=8192, threads=1, parallel=70)
    with Wire(tmp_path, llama_gguf, options) as wire:
        answers = wire.run_all([asked(f"What is number {number}?") for number in range(70)])
        assert len(answers) == 70 > written_batch(512, "f16", 0)
        for events in answers[::10]:
            check_against_its_own_logits(wire, events)


def test_a_long_question_is_read_between_the_tokens_of_others(wire: Wire) -> None:
    """It does not fit beside them, so it has batches of its own."""
    answers = wire.run_all([*questions(3), asked("A long one? " + "more " * 200), *questions(3)])
    for events in answers:
        check_against_its_own_logits(wire, events)


def test_the_same_requests_give_the_same_numbers(wire: Wire) -> None:
    first = wire.run_all(questions(12, logprobs=0))
    again = wire.run_all(questions(12, logprobs=0))
    for one, other in zip(first, again, strict=True):
        assert finished(one).ids == finished(other).ids
        assert chances(one) == chances(other)


def test_one_that_is_cancelled_leaves_and_the_others_do_not_change(wire: Wire) -> None:
    expected = wire.run_all(questions(8))
    requests = wire.send_all(questions(8))
    while not wire.events[requests[5]].streamed():
        wire.next()
    wire.cancel(requests[5])
    wire.cancel(requests[5])
    answers = wire.wait(*requests)
    wire.cancel(requests[5])
    for number, (one, other) in enumerate(zip(expected, answers, strict=True)):
        if number == 5:
            done = finished(other)
            assert finished(one).ids[: len(done.ids)] == done.ids
            # It may have been cut within a character.
            assert finished(one).text.startswith(done.text.rstrip("\ufffd"))
            assert done.stop_reason in ("cancelled", "length")
        else:
            assert finished(one).ids == finished(other).ids
    check_against_its_own_logits(wire, wire.run(asked("And after that?")))


def test_what_was_cancelled_before_it_began_has_no_text(llama: Wire) -> None:
    requests = llama.send_all(questions(12))
    for request in requests[8:]:
        llama.cancel(request)
    answers = llama.wait(*requests)
    assert all(finished(events).stop_reason != "cancelled" for events in answers[:8])
    assert [finished(events).text for events in answers[8:]] == [""] * 4


def test_an_answer_alone_is_the_same_beside_the_others(wire: Wire) -> None:
    alone = asked("By itself", together=False, tokens=24, logprobs=3)
    expected = wire.run(alone)
    others = wire.send_all(questions(12))
    (beside,) = wire.wait(wire.send(alone))
    wire.wait(*others)
    assert finished(beside).ids == finished(expected).ids
    assert beside.all(Probabilities)[0].tops == expected.all(Probabilities)[0].tops
    assert chances(beside) == chances(expected)


def test_the_preamble_is_evaluated_once_and_kept(wire: Wire, tmp_path: Path) -> None:
    answers = wire.run_all(questions(4))
    assert [source(events) for events in answers] == ["computed", "memory", "memory", "memory"]
    assert [events.one(PromptReady).reused > 0 for events in answers] == [False, True, True, True]


@pytest.mark.parametrize("kind", KINDS)
def test_the_preamble_is_found_on_the_disk_and_nothing_changes(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    found = []
    for expected in ("computed", "disk"):
        with Wire(tmp_path, request.getfixturevalue(kind), OPTIONS) as wire:
            answers = wire.run_all(questions(6, logprobs=0))
            assert source(answers[0]) == expected
            found.append([(finished(events).ids, chances(events)) for events in answers])
    assert found[0] == found[1]


def test_what_was_announced_is_waited_for_and_can_be_cancelled(llama: Wire) -> None:
    request = llama.send(msgspec.structs.replace(asked("First"), more=True))
    assert finished(llama.run(asked("Alone", together=False)))
    assert not llama.events[request]
    llama.cancel(request)
    assert finished(*llama.wait(request)).stop_reason == "cancelled"


def test_answers_behind_several_preambles_stand_side_by_side(wire: Wire) -> None:
    mixed = [asked("What?", preamble=(PREAMBLE, OTHER, ())[at % 3], tokens=12) for at in range(9)]
    answers = wire.run_all(mixed)
    for at, events in enumerate(answers):
        check_against_its_own_logits(wire, events, (PREAMBLE, OTHER, ())[at % 3])
    for preamble in range(3):
        texts = {finished(events).text for events in answers[preamble::3]}
        assert len(texts) == 1, "the same question behind the same preamble"


class TestOpening:
    """What each question of a context starts with is read once."""

    OPENING: Turn = (TextSegment(text="# Query:\n"),)

    def test_it_is_read_once_and_the_answers_are_the_models_own(self, wire: Wire) -> None:
        apart = wire.run_all(questions(6))
        together = wire.run_all(questions(6, opening=self.OPENING))
        for number, (one, other) in enumerate(zip(apart, together, strict=True)):
            check_against_its_own_logits(wire, other)
            before, after = one.one(PromptReady), other.one(PromptReady)
            assert after.turns == before.turns
            assert after.used == before.used == after.reused + after.prefilled
            opening = after.reused - preamble_tokens(one)
            if number:
                assert opening > 2
                assert after.prefilled == before.prefilled - opening
            else:
                assert opening == 0, "it was read for this one"

    def test_it_depends_on_the_request_alone(self, wire: Wire) -> None:
        """Not on whether somebody before had one."""
        request = asked("What?", opening=self.OPENING, logprobs=0)
        first, again = wire.run(request), wire.run(request)
        wire.run_all(questions(3))
        behind_others = wire.run(request)
        assert chances(first) == chances(again) == chances(behind_others)

    def test_what_a_question_does_not_start_with_is_not_used(self, wire: Wire) -> None:
        other = (TextSegment(text="Something else: "),)
        plain, asked_so = wire.run_all([asked("What?"), asked("What?", opening=other)])
        assert finished(plain).ids == finished(asked_so).ids
        assert asked_so.one(PromptReady).reused == preamble_tokens(plain)

    def test_nothing_but_an_opening_still_has_a_row_to_draw_from(self, wire: Wire) -> None:
        whole = asked("What?").turns[0]
        for request in (asked("What?", opening=whole), asked("What?", opening=(*whole, *whole))):
            check_against_its_own_logits(wire, wire.run(request))

    def test_several_answers_share_more_than_it(self, wire: Wire) -> None:
        events = wire.run(asked("What?", opening=self.OPENING, samples=3))
        for sample in range(3):
            assert max(behind_the_likeliest(wire, events, sample=sample)) < NOISE

    def test_where_it_can_not_be_read_one_request_fails(self, llama: Wire) -> None:
        wrong = asked("What?", opening=(TokenSegment(ids=(10**6,)),))
        answers = llama.run_all([*questions(2), wrong, *questions(2)])
        assert "tokens of another model" in answers[2].one(Failed).message
        assert all(events.all(Finished) for at, events in enumerate(answers) if at != 2)


class TestRoom:
    """What the context can't hold waits, and nothing is lost."""

    def test_long_items_among_short_ones_all_finish(self, llama_gguf: Path, tmp_path: Path) -> None:
        options = EngineOptions(n_ctx=1024, threads=1, parallel=16, pool=1024)
        with Wire(tmp_path, llama_gguf, options) as wire:
            requests = [
                asked(
                    "far away " * 40 if at in (2, 7, 11) else "near",
                    tokens=200 if at in (2, 7, 11) else 24,
                )
                for at in range(16)
            ]
            answers = wire.run_all(requests)
            assert not [event for events in answers for event in events.all(Failed)]
            for events in answers:
                check_against_its_own_logits(wire, events)

    def test_the_last_cell_can_be_used(self, endless_gguf: Path, tmp_path: Path) -> None:
        options = EngineOptions(n_ctx=512, threads=1, parallel=4, pool=512)
        with Wire(tmp_path, endless_gguf, options) as wire:
            answers = wire.run_all([asked("Go on", tokens=1000) for _ in range(3)])
            for events in answers:
                done = finished(events)
                assert done.stop_reason == "length"
                assert done.used == wire.info.n_ctx

    def test_a_prompt_that_never_fits_fails_alone(self, llama: Wire) -> None:
        long = asked("word " * 3000)
        answers = llama.run_all([*questions(3), long, *questions(3)])
        failed = answers[3].one(Failed)
        assert "more than the context of 2,048 holds" in failed.message
        assert all(events.all(Finished) for at, events in enumerate(answers) if at != 3)

    def test_more_preambles_than_there_are_sequences_for_them(self, wire: Wire) -> None:
        preambles: list[Turn] = [
            (TextSegment(text=f"This is the preamble number {at}.\n" * 4),) for at in range(12)
        ]
        for events, preamble in zip(
            wire.run_all([asked("So?", preamble=preamble) for preamble in preambles]),
            preambles,
            strict=True,
        ):
            check_against_its_own_logits(wire, events, preamble)


class TestSamples:
    """Several answers to one question."""

    DRAWN = Sampling(temperature=1.5, seed=11)

    def test_they_are_drawn_each_for_itself_and_can_be_had_again(self, wire: Wire) -> None:
        request = asked("Anything", samples=5, sampling=self.DRAWN, logprobs=0)
        first, again = wire.run(request), wire.run(request)
        texts = {done.sample: done.text for done in first.all(Finished)}
        assert sorted(texts) == [0, 1, 2, 3, 4]
        assert len(set(texts.values())) > 1
        assert {done.sample: done.text for done in again.all(Finished)} == texts
        for sample, text in texts.items():
            assert first.streamed(sample) == text

    def test_each_of_them_is_what_the_model_says_itself(self, wire: Wire) -> None:
        events = wire.run(asked("Anything of " + "some length " * 20, samples=3))
        for sample in range(3):
            assert max(behind_the_likeliest(wire, events, sample=sample)) < NOISE

    def test_the_question_is_read_once(self, llama: Wire) -> None:
        events = llama.run(asked("Anything " * 60, samples=4, sampling=self.DRAWN))
        used = events.one(PromptReady).used
        read = [event.done for event in events.all(PrefillProgress) if event.stage == "prompt"]
        assert max(read) == used - 1, "all but its last token, from which each is drawn"
        assert len(read) < 4

    def test_more_than_there_are_sequences_come_in_waves(self, wire: Wire) -> None:
        events = wire.run(asked("Anything", samples=20, sampling=self.DRAWN, tokens=6))
        assert sorted(done.sample for done in events.all(Finished)) == list(range(20))

    def test_all_end_where_they_are_cancelled(self, endless_gguf: Path, tmp_path: Path) -> None:
        options = EngineOptions(n_ctx=2048, threads=1, parallel=8, pool=8192)
        with Wire(tmp_path, endless_gguf, options) as wire:
            request = wire.send(asked("Go on", samples=12, sampling=self.DRAWN, tokens=900))
            while not wire.events[request].streamed(3):
                wire.next()
            wire.cancel(request)
            (events,) = wire.wait(request, samples=12)
            assert {done.stop_reason for done in events.all(Finished)} == {"cancelled"}
            assert wire.run(asked("Still there?")).all(Finished)


class TestBadInput:
    """One sentence each, and nothing else is harmed."""

    @pytest.mark.parametrize(
        ("request_", "sentence"),
        [
            (asked("x", samples=0), "No answer was asked for."),
            (asked("x", samples=-3), "No answer was asked for."),
            (asked("x", watch=Watch(model=MODEL)), "can't be read along"),
            (msgspec.structs.replace(asked("x"), turns=()), "nothing to answer"),
            (asked("x", preamble=(TextSegment(text="long " * 4000),)), "The preamble has"),
            (asked("x", preamble=(TokenSegment(ids=(10**6,)),)), "tokens of another model"),
        ],
    )
    def test_a_request_that_can_not_be_answered(
        self, llama: Wire, request_: Generate, sentence: str
    ) -> None:
        answers = llama.run_all([*questions(3), request_, *questions(2)])
        assert sentence in answers[3].one(Failed).message
        assert all(events.all(Finished) for at, events in enumerate(answers) if at != 3)

    def test_the_model_goes_while_answers_are_written(
        self, endless_gguf: Path, llama_gguf: Path, tmp_path: Path
    ) -> None:
        with Wire(tmp_path, endless_gguf, OPTIONS) as wire:
            requests = [wire.send(asked("Go on", tokens=1500)) for _ in range(4)]
            while not wire.events[requests[0]].streamed():
                wire.next()
            unload = wire.send(Unload(id=0, model=MODEL))
            load = wire.send(LoadModel(id=0, model=2, path=str(llama_gguf), options=OPTIONS))
            behind = wire.send(msgspec.structs.replace(asked("And now?"), model=2))
            answers = wire.wait(*requests)
            assert {events.one(Failed).message for events in answers} == {"The model was unloaded."}
            *_, last = wire.wait(unload, load, behind)
            assert max(behind_the_likeliest(wire, last, model=2)) < NOISE


def test_stops_and_prefixes_hold_for_each(llama: Wire) -> None:
    plain = finished(llama.run(asked("Tell me", tokens=30)))
    cut = plain.text[len(plain.text) // 2 :][:2]
    stopping = asked("Tell me", tokens=30, stops=StopRules(strings=(cut,)))
    going_on = asked("Tell me", prefix=(TokenSegment(ids=plain.ids[:5]),), tokens=25)
    stopped, gone_on = llama.run_all([stopping, going_on])
    assert finished(stopped).stop_reason == "stop"
    assert finished(stopped).text == plain.text[: plain.text.index(cut)]
    assert finished(gone_on).ids[:5] == plain.ids[:5]
    assert finished(gone_on).generated <= 25


def test_what_was_likely_is_told_of_every_token(llama: Wire) -> None:
    events = llama.run(asked("Tell me", tokens=12, logprobs=3))
    told = [
        (token, logp, top)
        for event in events.all(Probabilities)
        for token, logp, top in zip(event.ids, event.logps, event.tops, strict=True)
    ]
    done = finished(events)
    assert [token for token, *_ in told][: len(done.ids)] == list(done.ids)
    for token, logp, top in told:
        assert top[0][0] == token, "greedy"
        assert top[0][1] == pytest.approx(logp, abs=1e-6)
        assert len(top) == 3
        assert np.exp([p for _, p in top]).sum() <= 1 + 1e-6


@pytest.mark.timeout(300)
def test_the_demo_model_writes_eight_answers_within_the_noise(
    demo_model: Path, tmp_path: Path
) -> None:
    options = EngineOptions(n_ctx=2048, threads=1, parallel=8)
    with Wire(tmp_path, demo_model, options) as wire:
        answers = wire.run_all(questions(8))
        behind = [nats for events in answers for nats in behind_the_likeliest(wire, events)]
        assert max(behind) < 1.0, "rounding moves this model's logits by up to 1"
        assert np.mean(behind) < 0.02
