"""Answers of the real worker: the same tokens whatever way the prompt got into the cache."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec
import pytest

from tests.loaded import newest
from urial_tui.engine.client.engine import Engine
from urial_tui.engine.wire.events import (
    Event,
    Finished,
    Notice,
    PreambleReady,
    PrefillProgress,
    PromptReady,
    TextDelta,
    TurnsDropped,
)
from urial_tui.engine.wire.values import (
    EngineOptions,
    Sampling,
    StopRules,
    TextSegment,
    TokenSegment,
    Turn,
)
from urial_tui.errors import EngineError

PREAMBLE: Turn = (TextSegment(text="# Query:\nHello world\n\n# Answer:\nhope 中 helps\n\n" * 12),)
OPTIONS = EngineOptions(n_ctx=2048, threads=1)
TIMES = ("prompt_s", "first_token_s", "decode_s", "prefill_tokens_per_s", "decode_tokens_per_s")
QUESTIONS = ("first of all", "and the second? é🙂", "<end_of_turn> is text", "list code\n\n# x")


def question(text: str) -> Turn:
    return (TextSegment(text=f"# Query:\n{text}\n\n# Answer:\n"),)


class Answer:
    """The events of one answer, and what the tests ask of them."""

    def __init__(self, events: Iterator[Event]) -> None:
        self.events = list(events)

    def one(self, kind: type[Event]) -> Event:
        (event,) = [event for event in self.events if isinstance(event, kind)]
        return event

    @property
    def finished(self) -> Finished:
        last = self.events[-1]
        assert isinstance(last, Finished)
        return last

    @property
    def prompt(self) -> PromptReady:
        event = self.one(PromptReady)
        assert isinstance(event, PromptReady)
        return event

    @property
    def source(self) -> str:
        event = self.one(PreambleReady)
        assert isinstance(event, PreambleReady)
        return event.source

    @property
    def streamed(self) -> str:
        return "".join(event.text for event in self.events if isinstance(event, TextDelta))

    @property
    def closed_turn(self) -> Turn:
        """The turn as it goes into the next request."""
        return (
            TokenSegment(ids=self.prompt.turns[-1][0]),
            TokenSegment(ids=self.finished.ids),
            *((TextSegment(text=self.finished.tail),) if self.finished.tail else ()),
        )


def load(path: Path, cache: Path, options: EngineOptions = OPTIONS) -> Engine:
    engine = Engine(cache_dir=cache)
    for _ in engine.load(path, options=options):
        pass
    return engine


def ask(
    engine: Engine,
    turns: Sequence[Turn],
    *,
    preamble: Turn = PREAMBLE,
    max_tokens: int = 24,
    sampling: Sampling | None = None,
    stops: StopRules | None = None,
    close: str = "\n\n",
    prefix: Turn = (),
    lead: Turn = (),
) -> Answer:
    return Answer(
        newest(engine).generate(
            preamble=preamble,
            turns=turns,
            lead=lead,
            sampling=sampling,
            stops=stops,
            close=close,
            max_tokens=max_tokens,
            prefix=prefix,
        )
    )


def fresh(path: Path, directory: Path, turns: Sequence[Turn], max_tokens: int = 24) -> Answer:
    """The same request to a worker that has evaluated nothing before."""
    with load(path, directory) as engine:
        answer = ask(engine, turns, max_tokens=max_tokens)
        assert answer.source == "computed"
        return answer


@pytest.fixture(params=["llama_gguf", "sliding_window_gguf", "recurrent_gguf", "hybrid_gguf"])
def model(request: pytest.FixtureRequest) -> Path:
    path = request.getfixturevalue(request.param)
    assert isinstance(path, Path)
    return path


def test_a_preamble_from_memory_or_disk_gives_the_answer_of_a_fresh_evaluation(
    model: Path, tmp_path: Path
) -> None:
    with load(model, tmp_path) as engine:
        computed = ask(engine, [question(QUESTIONS[0])])
        again = ask(engine, [question(QUESTIONS[0])])
    with load(model, tmp_path) as engine:
        restored = ask(engine, [question(QUESTIONS[0])])
    assert [answer.source for answer in (computed, again, restored)] == [
        "computed",
        "memory",
        "disk",
    ]
    assert computed.finished.ids == again.finished.ids == restored.finished.ids
    assert restored.prompt.reused == computed.prompt.used - len(computed.prompt.turns[0][0])
    assert computed.prompt.reused == 0


@pytest.mark.parametrize("ahead", [True, False], ids=["read ahead", "not read ahead"])
def test_a_conversation_that_goes_on_equals_one_fresh_evaluation_of_the_same_ids(
    model: Path, tmp_path: Path, ahead: bool
) -> None:
    history: list[Turn] = []
    with load(model, tmp_path / "a") as engine:
        for text in QUESTIONS:
            turns = [*history, question(text)]
            answer = ask(engine, turns)
            if ahead and history:
                # Nothing but the question is left to read.
                assert answer.prompt.prefilled == sum(map(len, answer.prompt.turns[-1]))
            elif history:
                # The newest answer was evaluated token by token: it is read again.
                assert answer.prompt.prefilled == sum(
                    len(ids) for turn in answer.prompt.turns[-2:] for ids in turn
                )
            history.append(answer.closed_turn)
            if ahead:
                list(newest(engine).prepare(PREAMBLE, turns=history))
    ids = [
        (TokenSegment(ids=tuple(token for segment in turn for token in segment)),)
        for turn in answer.prompt.turns
    ]
    assert fresh(model, tmp_path / "b", ids).finished.ids == answer.finished.ids


def test_branches_and_roll_backs_equal_a_fresh_evaluation(model: Path, tmp_path: Path) -> None:
    with load(model, tmp_path / "a") as engine:
        first = ask(engine, [question(QUESTIONS[0])])
        one = [first.closed_turn, question(QUESTIONS[1])]
        other = [first.closed_turn, question(QUESTIONS[2])]
        answers = [ask(engine, turns) for turns in (one, other, one, other, one[:1])]
        back = ask(engine, [question(QUESTIONS[0])])
    assert answers[0].finished.ids == answers[2].finished.ids
    assert answers[1].finished.ids == answers[3].finished.ids
    assert back.finished.ids == first.finished.ids
    for index, turns in enumerate((one, other)):
        assert (
            fresh(model, tmp_path / f"b{index}", turns).finished.ids == answers[index].finished.ids
        )


PENALISED = Sampling(repetition_penalty=1.3, dry_multiplier=0.8)


@pytest.mark.parametrize("sampling", [None, PENALISED], ids=["greedy", "penalties"])
def test_an_answer_that_is_continued_equals_the_answer_in_one_go(
    model: Path, tmp_path: Path, sampling: Sampling | None
) -> None:
    turns = [question(QUESTIONS[1])]
    with load(model, tmp_path / "a") as engine:
        start = ask(engine, turns, max_tokens=8, sampling=sampling)
        begun = (TokenSegment(ids=start.finished.ids),)
        rest = ask(engine, turns, prefix=begun, sampling=sampling)
    with load(model, tmp_path / "b") as engine:
        whole = ask(engine, turns, max_tokens=32, sampling=sampling)
    assert rest.finished.ids == whole.finished.ids
    assert rest.finished.text == whole.finished.text
    assert rest.streamed == whole.finished.text
    assert rest.finished.generated == whole.finished.generated - len(start.finished.ids)


def test_an_answer_goes_on_from_a_text_as_from_its_tokens(model: Path, tmp_path: Path) -> None:
    turns = [question(QUESTIONS[1])]
    with load(model, tmp_path) as engine:
        from_text = ask(engine, turns, prefix=(TextSegment(text="Hope 中 é"),))
        ids = next(e.ids for e in from_text.events if isinstance(e, TextDelta))
        from_ids = ask(engine, turns, prefix=(TokenSegment(ids=ids),))
    assert from_text.finished == msgspec.structs.replace(
        from_ids.finished, **{n: getattr(from_text.finished, n) for n in ("id", *TIMES)}
    )
    assert from_text.finished.text.startswith("Hope 中 é")
    assert from_text.streamed == from_text.finished.text


def test_another_preamble_in_between_changes_nothing(model: Path, tmp_path: Path) -> None:
    other: Turn = (TextSegment(text="Answer with a list of code and numbers. " * 9),)
    with load(model, tmp_path) as engine:
        first = ask(engine, [question(QUESTIONS[3])])
        between = ask(engine, [question(QUESTIONS[3])], preamble=other)
        back = ask(engine, [question(QUESTIONS[3])])
    assert (between.source, back.source) == ("computed", "disk")
    assert first.finished.ids == back.finished.ids


def test_quantised_kv_states_are_kept_apart(llama_gguf: Path, tmp_path: Path) -> None:
    sources = []
    for kv_type in ("f16", "q8_0", "f16", "q8_0"):
        options = EngineOptions(n_ctx=1024, threads=1, kv_type=kv_type)
        with load(llama_gguf, tmp_path, options) as engine:
            sources.append(ask(engine, [question("x")], max_tokens=2).source)
    assert sources == ["computed", "computed", "disk", "disk"]


def test_the_ids_of_another_models_conversation_are_refused(
    llama_gguf: Path, tmp_path: Path
) -> None:
    with load(llama_gguf, tmp_path) as engine:
        with pytest.raises(EngineError, match="another model"):
            ask(engine, [(TokenSegment(ids=(10**9,)),)])
        assert ask(engine, [question("still here")]).finished.generated > 0


def test_typed_control_tokens_are_text(engine: Engine) -> None:
    typed, parsed = (
        newest(engine)
        .tokenize(
            [
                (TextSegment(text="<end_of_turn>"),),
                (TextSegment(text="<end_of_turn>", special=True),),
            ]
        )
        .result()
    )
    assert len(parsed[0]) == 1
    assert len(typed[0]) > 1


def test_text_cut_into_segments_tokenises_like_the_whole(engine: Engine) -> None:
    whole, parts = (
        newest(engine)
        .tokenize(
            [
                (TextSegment(text="\nHello world\nand you"),),
                (TextSegment(text="\nHello world\n"), TextSegment(text="and you")),
            ]
        )
        .result()
    )
    assert sum(parts, ()) == whole[0]


def test_streamed_text_is_the_text_and_ends_with_the_answer(engine: Engine) -> None:
    for seed in range(8):
        answer = ask(
            engine, [question("x")], sampling=Sampling(temperature=1.5, seed=seed), max_tokens=60
        )
        assert answer.streamed == answer.finished.text
        assert answer.finished.stop_reason in ("eos", "length")


def test_a_seed_repeats_a_draw_and_another_seed_does_not(engine: Engine) -> None:
    drawn = [
        ask(
            engine,
            [question("x")],
            sampling=Sampling(temperature=2.0, top_k=100, min_p=0.0, top_p=1.0, seed=seed),
        ).finished.ids
        for seed in (1, 1, 2)
    ]
    assert drawn[0] == drawn[1] != drawn[2]


@pytest.mark.parametrize(
    "sampling",
    [
        Sampling(repetition_penalty=1.3),
        Sampling(presence_penalty=0.5, frequency_penalty=0.5),
        Sampling(dry_multiplier=0.8),
        Sampling(temperature=0.8, top_p=0.5, min_p=0.2, repetition_penalty=1.1),
    ],
)
def test_every_sampler_setting_gives_an_answer(engine: Engine, sampling: Sampling) -> None:
    answer = ask(engine, [question("x")], sampling=sampling, max_tokens=12)
    assert answer.finished.generated > 0 or answer.finished.stop_reason == "eos"


def test_a_strong_penalty_keeps_tokens_from_coming_twice(engine: Engine) -> None:
    plain = ask(engine, [question("x")], sampling=Sampling(top_k=1), max_tokens=200)
    penalised = ask(
        engine, [question("x")], sampling=Sampling(repetition_penalty=10.0), max_tokens=200
    )
    ids = penalised.finished.ids
    assert len(set(ids)) / len(ids) > len(set(plain.finished.ids)) / len(plain.finished.ids)


def test_greedy_by_arg_max_is_greedy_by_the_chain(engine: Engine) -> None:
    by_arg_max = ask(engine, [question("y")], max_tokens=40)
    # A penalty that changes nothing sends the choice through the native chain.
    by_chain = ask(
        engine, [question("y")], sampling=Sampling(repetition_penalty=1.0 + 1e-9), max_tokens=40
    )
    assert by_arg_max.finished.ids == by_chain.finished.ids


def test_a_stop_string_ends_the_answer_and_is_not_shown(engine: Engine) -> None:
    free = ask(engine, [question("z")], max_tokens=60).finished.text
    readable = [
        index for index in range(4, len(free) - 3) if "\ufffd" not in free[index : index + 3]
    ]
    start = readable[len(readable) // 2]
    stop = free[start : start + 3]
    answer = ask(engine, [question("z")], stops=StopRules(strings=(stop,)), max_tokens=60)
    assert answer.finished.stop_reason == "stop"
    assert answer.finished.stopped_by == stop
    assert answer.finished.text == free[: free.index(stop)] == answer.streamed


def test_a_full_context_drops_the_oldest_turns_and_says_so(model: Path, tmp_path: Path) -> None:
    options = EngineOptions(n_ctx=512, threads=1)
    history: list[Turn] = []
    dropped = 0
    room = 512
    with load(model, tmp_path, options) as engine:
        for index in range(14):
            answer = ask(engine, [*history, question(f"number {index} " * 3)], max_tokens=40)
            gone = [event for event in answer.events if isinstance(event, TurnsDropped)]
            # The end of the answer before is evaluated with the question: a few tokens.
            new = len(answer.prompt.turns[-1][0])
            assert new <= room if not gone else new + 8 > room
            room = answer.finished.room
            dropped += sum(event.turns for event in gone)
            del history[: sum(event.turns for event in gone)]
            history.append(answer.closed_turn)
            assert answer.finished.used <= 512
            assert answer.finished.generated == 40 or answer.finished.stop_reason == "eos"
    assert dropped > 0
    assert len(history) < 14


def examples(number: int) -> Turn:
    return (TextSegment(text=f"# Query:\nlist {number}\n\n# Answer:\nhope helps\n\n" * 3),)


def test_what_leads_the_turns_is_read_behind_a_preamble_that_stays(
    model: Path, tmp_path: Path
) -> None:
    turns = [question(QUESTIONS[0])]
    with load(model, tmp_path) as engine:
        answers = [ask(engine, turns, lead=examples(number)) for number in (1, 2, 1)]
        plain = ask(engine, turns)
    with load(model, tmp_path / "other") as engine:
        whole = ask(engine, turns, preamble=(*PREAMBLE, *examples(1)))
    assert [answer.source for answer in answers] == ["computed", "memory", "memory"]
    assert answers[0].finished.ids == answers[2].finished.ids == whole.finished.ids
    assert {answer.prompt.lead for answer in (plain, whole)} == {0}
    for answer in answers:
        assert answer.prompt.lead > 20
        assert answer.prompt.used == plain.prompt.used + answer.prompt.lead
        assert answer.prompt.turns == plain.prompt.turns


def test_what_leads_the_turns_outlasts_them_in_a_full_context(model: Path, tmp_path: Path) -> None:
    options = EngineOptions(n_ctx=768, threads=1)
    turns = [question(f"number {index} " * 4) for index in range(20)]
    with load(model, tmp_path, options) as engine:
        answer = ask(engine, turns, lead=examples(1), max_tokens=60)
        gone = [event for event in answer.events if isinstance(event, TurnsDropped)]
        before = sum(event.turns for event in gone[:1])
    assert before > 0
    with load(model, tmp_path / "other", options) as engine:
        rest = ask(engine, turns[before:], lead=examples(1), max_tokens=60)
    assert rest.finished.ids == answer.finished.ids
    assert answer.prompt.lead == rest.prompt.lead > 20
    assert answer.prompt.used == rest.prompt.used


def test_what_leads_the_turns_stays_where_a_turn_leaves_in_mid_answer(
    llama_gguf: Path, tmp_path: Path
) -> None:
    turns = [question("number one " * 4), question("go on")]
    with load(llama_gguf, tmp_path, EngineOptions(n_ctx=256, threads=1)) as engine:
        for seed in range(20):
            sampling = Sampling(temperature=5.0, top_k=300, top_p=1.0, min_p=0.0, seed=seed)
            answer = ask(
                engine, turns, preamble=(), lead=examples(1), max_tokens=250, sampling=sampling
            )
            # Most of them end before the context is full.
            if answer.finished.stop_reason == "length":
                break
        gone = [event for event in answer.events if isinstance(event, TurnsDropped)]
        first, last = (len(turn[0]) for turn in answer.prompt.turns)
        assert [(event.turns, event.tokens) for event in gone] == [(1, first)]
        # All but the lead and the open turn are tokens of the answer, the last one not evaluated.
        held = answer.prompt.lead + last + answer.finished.generated
        assert answer.finished.used == 256
        assert 0 <= held - 256 <= 1


def test_what_leads_the_turns_is_told_where_it_leaves_no_room(
    llama_gguf: Path, tmp_path: Path
) -> None:
    with load(llama_gguf, tmp_path, EngineOptions(n_ctx=256, threads=1)) as engine:
        long: Turn = (TextSegment(text="word " * 2000),)
        with pytest.raises(EngineError, match="of the preamble and the examples that is more"):
            ask(engine, [question("x")], preamble=(), lead=long)
        assert ask(engine, [question("short")], preamble=()).finished.text


def test_a_full_context_in_mid_answer_goes_on_without_the_oldest_turn(
    model: Path, tmp_path: Path
) -> None:
    options = EngineOptions(n_ctx=512, threads=1)
    with load(model, tmp_path, options) as engine:
        first = ask(engine, [question("number one " * 8)], max_tokens=5)
        answer = ask(
            engine,
            [first.closed_turn, question("go on")],
            max_tokens=500,
            # An answer of this many tokens in one go needs a model that does not end it.
            sampling=Sampling(temperature=5.0, top_k=300, top_p=1.0, min_p=0.0, seed=3),
        )
        events = [type(event) for event in answer.events]
        if answer.finished.stop_reason == "length":
            assert TurnsDropped in events
            assert answer.finished.used <= 512


def test_a_preamble_or_question_that_can_not_fit_is_refused(
    llama_gguf: Path, tmp_path: Path
) -> None:
    with load(llama_gguf, tmp_path, EngineOptions(n_ctx=256, threads=1)) as engine:
        with pytest.raises(EngineError, match=r"preamble has [\d,]+ tokens.*holds only 256"):
            ask(engine, [question("x")], preamble=(TextSegment(text="word " * 2000),))
        with pytest.raises(EngineError, match="more than the context of 256"):
            ask(engine, [question("word " * 2000)], preamble=())
        with pytest.raises(EngineError, match="nothing to answer"):
            ask(engine, [(TextSegment(text=""),)], preamble=())
        assert ask(engine, [question("short")], preamble=()).finished.text


def test_cancel_ends_prefill_and_decode_and_the_engine_goes_on(
    llama_gguf: Path, tmp_path: Path
) -> None:
    with load(llama_gguf, tmp_path, EngineOptions(n_ctx=4096, threads=1)) as engine:
        before = ask(engine, [question("x")])
        long: Turn = (TextSegment(text="hope this helps " * 850),)
        events: list[Event] = []
        for event in newest(engine).generate(preamble=PREAMBLE, turns=[long]):
            events.append(event)
            if isinstance(event, PrefillProgress) and event.stage == "prompt":
                engine.cancel()
        assert isinstance(events[-1], Finished)
        assert (events[-1].stop_reason, events[-1].text) == ("cancelled", "")
        events.clear()
        for event in newest(engine).generate(
            preamble=PREAMBLE, turns=[question("x")], max_tokens=3000
        ):
            events.append(event)
            if isinstance(event, TextDelta):
                engine.cancel()
        last = events[-1]
        assert isinstance(last, Finished)
        assert last.stop_reason in ("cancelled", "eos")
        assert last.text.startswith("".join(e.text for e in events if isinstance(e, TextDelta)))
        assert ask(engine, [question("x")]).finished.ids == before.finished.ids


def test_an_abandoned_request_is_cancelled_and_leaves_a_clean_line(engine: Engine) -> None:
    request = newest(engine).generate(preamble=PREAMBLE, turns=[question("x")], max_tokens=10_000)
    for event in request:
        if isinstance(event, TextDelta):
            break
    request.close()
    assert ask(engine, [question("y")], max_tokens=3).finished.generated <= 3
    assert not engine.busy


def test_a_context_above_the_trained_one_is_lowered_and_said(
    llama_gguf: Path, tmp_path: Path
) -> None:
    with Engine(cache_dir=tmp_path) as engine:
        events = list(engine.load(llama_gguf, options=EngineOptions(n_ctx=10_000_000)))
        assert newest(engine).info.n_ctx <= newest(engine).info.n_ctx_train
        assert any(isinstance(event, Notice) for event in events)


def test_one_bos_starts_the_context(engine: Engine) -> None:
    empty = ask(engine, [question("x")], preamble=())
    ready = empty.one(PreambleReady)
    assert isinstance(ready, PreambleReady)
    assert ready.tokens == 1
    assert empty.prompt.used == 1 + len(empty.prompt.turns[0][0])


def test_worker_output_lands_in_the_log_and_closing_takes_the_worker_along(
    llama_gguf: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    engine = load(llama_gguf, tmp_path)
    pid = engine.pid
    assert pid is not None
    engine.close()
    assert not engine.alive
    deadline = time.monotonic() + 60
    while Path(f"/proc/{pid}").exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not Path(f"/proc/{pid}").exists()
    assert capfd.readouterr() == ("", "")
    assert engine.log_file.exists()
