"""Answers to items: in which order they are asked, what stands in front, and what is skipped."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec
import pytest

from tests.evaluate.runs import ITEMS, TERMS
from tests.scripted import (
    INFO,
    TINY,
    Gate,
    ScriptedEngine,
    answer,
    finished,
    ids_of,
    shown_turns,
)
from urial_tui.chat.session import Conversation
from urial_tui.engine.client.engine import Engine
from urial_tui.engine.client.model import Model
from urial_tui.engine.wire.events import PromptReady, StopReason, TurnsDropped
from urial_tui.engine.wire.values import EngineOptions, Sampling, TokenSegment
from urial_tui.errors import EngineDied, EngineError
from urial_tui.evaluate.generate import (
    Answered,
    AnswerGenerator,
    GenerateStep,
    Skipped,
    pool_tokens,
)
from urial_tui.evaluate.items import EvaluateError, Item
from urial_tui.evaluate.outputs import AnsweredTurn
from urial_tui.evaluate.run_file import WrittenAnswer
from urial_tui.evaluate.run_terms import RunTerms, run_terms
from urial_tui.prompting.context import Context, find_context
from urial_tui.prompting.templates.renderer import TemplateRenderer
from urial_tui.runtime.writer import Writer, WriterChoice

K1 = find_context("urial-k1")
ZERO = find_context("zero-shot")
TEMPLATE = (
    "{% for m in messages %}<{{ 'user' if m['role'] == 'user' else 'model' }}>{{ m['content'] }}"
    "{% endfor %}<model>"
)


def answers(
    model: Model, templates: TemplateRenderer, terms: RunTerms = TERMS, context: Context = ZERO
) -> AnswerGenerator:
    return AnswerGenerator(model, model.info, context, templates, terms)


def together(parallel: int) -> RunTerms:
    return msgspec.structs.replace(TERMS, parallel=parallel)


def everything(items: Sequence[Item]) -> list[tuple[Item, Sequence[WrittenAnswer]]]:
    return [(item, ()) for item in items]


def texts(steps: Sequence[GenerateStep]) -> dict[tuple[int | str, int], str]:
    return {
        (step.item.id, step.turn): step.written.exchange.output
        for step in steps
        if isinstance(step, Answered)
    }


def order(steps: Sequence[GenerateStep]) -> list[tuple[int | str, int]]:
    return [(step.item.id, step.turn) for step in steps if isinstance(step, Answered)]


def skipped(steps: Sequence[GenerateStep]) -> dict[int | str, str]:
    return {step.item.id: step.reason for step in steps if isinstance(step, Skipped)}


@pytest.fixture
def scripted(script: ScriptedEngine) -> Model:
    return script.load(TINY).result()


# -- the order --------------------------------------------------------------------------


def test_alone_each_item_is_answered_to_its_end_before_the_next(
    script: ScriptedEngine, scripted: Model, templates: TemplateRenderer
) -> None:
    steps = list(answers(scripted, templates).run(everything(ITEMS)))
    assert order(steps) == [(7, 0), (7, 1), ("b", 0), (3, 0), (4, 0), (4, 1), (4, 2), (5, 0)]
    assert not any(request.together or request.more for request in script.requests)


def test_together_all_first_turns_are_asked_then_all_second_ones(
    script: ScriptedEngine, scripted: Model, templates: TemplateRenderer
) -> None:
    steps = list(answers(scripted, templates, together(3)).run(everything(ITEMS)))
    asked = [(request.together, request.more) for request in script.requests]
    assert asked == [*[(True, True)] * 4, (True, False), (True, True), (True, False), (True, False)]
    assert sorted(order(steps), key=str) == sorted(
        [(7, 0), ("b", 0), (3, 0), (4, 0), (5, 0), (7, 1), (4, 1), (4, 2)], key=str
    )
    last = [shown_turns(request).count("Certainly.") for request in script.requests]
    assert last == [0, 0, 0, 0, 0, 1, 1, 2]


def test_what_is_there_is_not_asked_again(
    script: ScriptedEngine, scripted: Model, templates: TemplateRenderer
) -> None:
    exchange = AnsweredTurn(instruction="Why?", output="So.", ids=(83, 111, 46))
    kept = (WrittenAnswer(exchange=exchange, tail="\n\n"),)
    steps = list(answers(scripted, templates).run([(ITEMS[0], kept), (ITEMS[2], ())]))
    assert order(steps) == [(7, 1), (3, 0)]
    first, _ = script.requests
    assert "Why?" in shown_turns(first)
    assert TokenSegment(ids=(83, 111, 46)) in first.turns[0]
    assert shown_turns(first).count("So.\n\n") == 1


def test_an_answer_is_told_with_how_it_ended(
    script: ScriptedEngine, scripted: Model, templates: TemplateRenderer
) -> None:
    ends: tuple[StopReason, ...] = ("eos", "stop", "length")
    for reason in ends:
        script.enqueue(finished("Yes.", reason, stopped_by="x" if reason != "length" else ""))
    steps = list(answers(scripted, templates).run(everything(ITEMS[1:3] + ITEMS[4:])))
    told = [step.written.exchange for step in steps if isinstance(step, Answered)]
    assert [(each.ending, each.detail) for each in told] == [
        ("end", "eos x"),
        ("stop", "stop x"),
        ("cut", "length"),
    ]


def test_in_a_chat_a_later_turn_stands_behind_the_tokens_of_the_answers_before(
    templates: TemplateRenderer,
) -> None:
    info = msgspec.structs.replace(INFO, chat_template=TEMPLATE)
    with ScriptedEngine(info) as script:
        model = script.load(TINY).result()
        chat = find_context("chat")
        steps = list(answers(model, templates, context=chat).run(everything(ITEMS[3:4])))
        assert order(steps) == [(4, 0), (4, 1), (4, 2)]
        *_, last = script.requests
    written = TokenSegment(ids=ids_of("Certainly."))
    assert [turn.count(written) for turn in last.turns] == [1, 1, 0]
    assert shown_turns(last) == (
        "<user>Say it.<model>Certainly.<user>Say it again.<model>Certainly.<user>And again.<model>"
    )
    assert last.close == ""


# -- what can't be answered -----------------------------------------------------------------


@pytest.mark.parametrize("parallel", [1, 3])
def test_an_item_that_is_refused_is_skipped_and_the_others_are_answered(
    parallel: int, script: ScriptedEngine, scripted: Model, templates: TemplateRenderer
) -> None:
    script.enqueue(EngineError("It is too long.", "Shorten it."))
    steps = list(answers(scripted, templates, together(parallel)).run(everything(ITEMS)))
    assert skipped(steps) == {7: "It is too long."}
    assert set(order(steps)) == {("b", 0), (3, 0), (4, 0), (4, 1), (4, 2), (5, 0)}


def test_an_answer_without_all_turns_in_front_of_it_is_none(
    script: ScriptedEngine, scripted: Model, templates: TemplateRenderer
) -> None:
    script.enqueue(*answer("One."))
    script.enqueue(TurnsDropped(id=0, turns=1, tokens=9), *answer("Two."))
    steps = list(answers(scripted, templates).run(everything(ITEMS[:2])))
    assert order(steps) == [(7, 0), ("b", 0)]
    assert skipped(steps) == {7: "Turn 2 does not fit into the context with the one before it."}


def test_a_question_that_only_a_common_context_holds_is_skipped_as_it_is_alone(
    script: ScriptedEngine, scripted: Model, templates: TemplateRenderer
) -> None:
    ready = PromptReady(id=0, turns=((),), reused=0, prefilled=4096, used=4096)
    script.enqueue(ready, *answer("One."))
    steps = list(answers(scripted, templates, together(2)).run(everything(ITEMS[1:3])))
    assert skipped(steps) == {
        "b": "The question has 4,096 tokens with all in front of it, and the context holds 4,096."
    }
    assert order(steps) == [(3, 0)]


def test_the_end_of_the_worker_comes_behind_all_that_was_answered(
    script: ScriptedEngine, scripted: Model, templates: TemplateRenderer
) -> None:
    script.enqueue(*answer("One."))
    script.enqueue(EngineDied("It was killed.", "Load it again."))
    read: list[GenerateStep] = []

    def through() -> None:
        for step in answers(scripted, templates, together(4)).run(everything(ITEMS)):
            read.append(step)  # noqa: PERF402  # what came before the error counts

    with pytest.raises(EngineDied, match="It was killed"):
        through()
    assert texts(read) == {(7, 0): "One."}


@pytest.mark.parametrize("parallel", [1, 2])
def test_a_run_that_is_cancelled_tells_whole_answers_alone(
    parallel: int, script: ScriptedEngine, scripted: Model, templates: TemplateRenderer
) -> None:
    gate = Gate()
    script.enqueue(*answer("One."))
    script.enqueue(gate, *answer("Two."))
    run = answers(scripted, templates, together(parallel))
    steps: list[GenerateStep] = []
    for step in run.run(everything(ITEMS[1:])):
        steps.append(step)
        if isinstance(step, Answered):
            assert parallel == 1 or gate.reached.wait(60)
            run.cancelled = True
            script.cancel()
    assert texts(steps) == {("b", 0): "One."}
    assert skipped(steps) == {}


def test_a_preamble_longer_than_the_context_ends_the_run_and_skips_nothing(
    model: Model, templates: TemplateRenderer
) -> None:
    # The tiny vocabulary has few tokens that are longer than a letter.
    run = answers(model, templates, context=find_context("urial-k8"))
    with pytest.raises(EvaluateError, match=r"The preamble has [\d,]+ tokens.* holds 2,048"):
        list(run.run(everything(ITEMS)))


# -- by a real worker ------------------------------------------------------------------------


def test_alone_an_answer_is_that_of_the_chat(
    engine: Engine, model: Model, templates: TemplateRenderer
) -> None:
    assert K1.preamble is not None
    sampling = Sampling(temperature=1.5, top_k=300, seed=11)
    terms = run_terms(model.info, K1, templates, sampling=sampling, max_tokens=24, parallel=1)
    items = (ITEMS[0], ITEMS[2])
    steps = list(answers(model, templates, terms, K1).run(everything(items)))
    writer = Writer(choice=WriterChoice(model="tiny", preamble=K1.preamble), model=model)
    for item in items:
        conversation = Conversation.new(None)
        for turn, text in enumerate(item.turns):
            drawn = terms.drawn(item, turn)
            list(conversation.ask(writer, text, sampling=drawn, max_tokens=24))
            assert conversation.leaf is not None
            told = texts(steps)[item.id, turn]
            assert told == conversation.leaf.text
            assert told or turn, "the first answers have text"
    assert len(set(texts(steps).values())) == 3


@pytest.mark.parametrize("context", ["urial-k1", "raw"])
def test_together_the_same_items_get_the_same_answers_again(
    context: str, llama_gguf: Path, templates: TemplateRenderer
) -> None:
    found: list[dict[tuple[int | str, int], str]] = []
    for _ in range(2):
        with Engine() as engine:
            options = EngineOptions(n_ctx=2048, threads=1, parallel=3, pool=4096)
            model = engine.load(llama_gguf, options=options, purpose="together").result()
            terms = run_terms(
                model.info,
                find_context(context),
                templates,
                sampling=Sampling(temperature=1.5, top_k=300, seed=11),
                max_tokens=16,
                parallel=3,
            )
            run = answers(model, templates, terms, find_context(context))
            found.append(texts(list(run.run(everything(ITEMS)))))
    assert found[0] == found[1]
    assert len(found[0]) == 8


def test_an_item_longer_than_the_context_is_skipped_by_a_real_worker(
    model: Model, templates: TemplateRenderer
) -> None:
    terms = msgspec.structs.replace(TERMS, max_tokens=8)
    items = (Item(id=1, turns=("long " * 3000,)), Item(id=2, turns=("Short?",)))
    steps = list(answers(model, templates, terms).run(everything(items)))
    assert order(steps) == [(2, 0)]
    assert "more than the context of 2,048 holds" in skipped(steps)[1]


def test_text_that_is_no_unicode_is_skipped(model: Model, templates: TemplateRenderer) -> None:
    terms = msgspec.structs.replace(TERMS, max_tokens=8)
    items = (Item(id=1, turns=("\udc80",)), Item(id=2, turns=("Short?",)))
    steps = list(answers(model, templates, terms).run(everything(items)))
    assert order(steps) == [(2, 0)]
    assert "not valid Unicode" in skipped(steps)[1]


# -- the room ---------------------------------------------------------------------------------


def test_the_pool_has_room_for_the_longest_answers_and_no_less_than_one_has_alone() -> None:
    items = [Item(id=number, turns=("x" * 300 * number,)) for number in range(1, 5)]
    pool_of = pool_tokens(items, ZERO, max_tokens=1000, n_ctx=2048)
    # 100 tokens a step of 300 bytes, 64 around it, 1,000 for the answer.
    assert pool_of(0) == pool_of(1) == 2048
    assert pool_of(3) >= 1464 + 1364 + 1264
    assert pool_of(100) == pool_of(4)
    assert pool_of(4) % 256 == 0
    assert pool_tokens(items[:1], ZERO, max_tokens=1, n_ctx=4096)(2) == 4096
    assert pool_tokens(items, ZERO, max_tokens=10**6, n_ctx=512)(4) == 4 * 512
    assert pool_tokens(items[:1], K1, max_tokens=1, n_ctx=256)(1) > 1000
