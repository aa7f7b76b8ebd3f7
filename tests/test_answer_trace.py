"""What the engine is asked in order to look at an answer, with a scripted one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from tests.loaded import writer_of
from tests.scripted import (
    TINY,
    ScriptedEngine,
    Step,
    answer,
    delta,
    dropped,
    finished,
    ids_of,
    shown,
    shown_turns,
)
from urial_tui.chat.answer_trace import AnswerTrace, trace_of, wants_examples
from urial_tui.chat.session import Conversation
from urial_tui.chat.turns import TurnRecord
from urial_tui.engine.wire.values import Sampling, TextSegment, TokenSegment, Turn
from urial_tui.errors import UsageError
from urial_tui.prompting.preamble import Example, Preamble
from urial_tui.prompting.preamble_file import find_preamble
from urial_tui.prompting.render import close_text
from urial_tui.prompting.retrieving import retrieving_preamble
from urial_tui.runtime.writer import Writer

URIAL = find_preamble("urial-k1")
PRESENT = Sampling(temperature=0.3)
DRAWN = Sampling(temperature=1.5, seed=7)
CAPITAL = Example(query="What is the capital of Spain?", answer="Madrid.")
OTHER = Example(query="What is the capital of Portugal?", answer="Lisbon.")


@pytest.fixture
def preamble() -> Preamble:
    return URIAL


@pytest.fixture
def script() -> Iterator[ScriptedEngine]:
    """With a model that is loaded."""
    with ScriptedEngine() as script:
        script.load(TINY).result()
        yield script


@pytest.fixture
def writer(script: ScriptedEngine, preamble: Preamble) -> Writer:
    return writer_of(script.models[0], preamble)


@pytest.fixture
def conversation() -> Conversation:
    return Conversation.new(None)


def say(
    conversation: Conversation, script: ScriptedEngine, question: str, *steps: Step
) -> TurnRecord:
    script.enqueue(*steps)
    list(conversation.ask(writer_of(script.models[0], URIAL), question, sampling=DRAWN))
    assert conversation.leaf is not None
    return conversation.leaf


def traced(conversation: Conversation, writer: Writer, turn: TurnRecord) -> AnswerTrace:
    return trace_of(conversation, turn, writer, PRESENT)


def text(turn: Turn) -> str:
    return "".join(map(shown, turn))


def test_it_stands_behind_what_it_was_written_behind(
    conversation: Conversation, script: ScriptedEngine, writer: Writer
) -> None:
    say(conversation, script, "Hi", *answer("One."))
    second = say(conversation, script, "Well", *answer("Two."))
    trace = traced(conversation, writer, second)
    request = script.requests[-1]
    assert trace.preamble == request.preamble
    # What were texts then are the same tokens now.
    assert "".join(map(text, trace.turns)) == shown_turns(request)
    assert trace.tokens == (TokenSegment(ids=ids_of("Two.")),)
    assert (trace.sampling, trace.own_sampling, trace.own_tokens) == (DRAWN, True, True)


def test_another_version_than_the_shown_one_has_its_own_path(
    conversation: Conversation, script: ScriptedEngine, writer: Writer
) -> None:
    first = say(conversation, script, "Hi", *answer("One."))
    say(conversation, script, "Well", *answer("Two."))
    trace = traced(conversation, writer, first)
    assert len(trace.turns) == 1
    assert "Hi" in text(trace.turns[0])
    assert "One." not in text(trace.turns[0])


def test_what_had_left_the_context_stays_out(
    conversation: Conversation, script: ScriptedEngine, writer: Writer
) -> None:
    say(conversation, script, "Hi", *answer("One."))
    second = say(conversation, script, "Well", dropped(1), *answer("Two."))
    assert len(traced(conversation, writer, second).turns) == 1


def test_the_ends_that_the_model_wrote_are_tokens_as_well(
    conversation: Conversation, script: ScriptedEngine, writer: Writer, preamble: Preamble
) -> None:
    close = close_text(preamble)
    ids = ids_of("One." + close[:2])
    into_the_closing = say(
        conversation, script, "a", delta("One."), finished("One.", ids=ids, tail=close[2:])
    )
    assert traced(conversation, writer, into_the_closing).tokens == (TokenSegment(ids=ids),)
    cut_in_a_token = say(
        conversation, script, "b", delta("One."), finished("One.", ids=ids[:3], tail="." + close)
    )
    assert traced(conversation, writer, cut_in_a_token).tokens == (
        TokenSegment(ids=ids[:3]),
        TextSegment(text="."),
    )
    by_itself = say(
        conversation,
        script,
        "c",
        delta("One."),
        finished("One.", "eos", close=close, stopped_by="<eos>"),
    )
    assert traced(conversation, writer, by_itself).tokens == (
        TokenSegment(ids=ids_of("One.")),
        TextSegment(text="<eos>", special=True),
    )


def test_where_the_tokens_are_not_known_the_text_stands_for_them(
    conversation: Conversation, script: ScriptedEngine, writer: Writer
) -> None:
    written = say(conversation, script, "Hi", *answer("One."))
    edited = conversation.edit_answer(written.id, "Two")
    trace = traced(conversation, writer, edited)
    assert trace.tokens == (TextSegment(text="Two"),)
    assert (trace.own_tokens, trace.own_sampling, trace.sampling) == (False, False, PRESENT)
    # Another file of the name.
    other = writer_of(script.load(Path("/models/other/tiny.gguf")).result(), URIAL)
    trace = trace_of(conversation, written, other, PRESENT)
    assert trace.tokens == (TextSegment(text="One."),)
    assert (trace.own_tokens, trace.own_sampling) == (False, True)


def test_an_answer_that_was_gone_on_from_is_told_from_one_that_was_written_at_once(
    conversation: Conversation, script: ScriptedEngine, writer: Writer
) -> None:
    written = say(conversation, script, "Hi", *answer("One."))
    assert not traced(conversation, writer, written).gone_on
    longer = msgspec.structs.replace(written, generated=2)
    assert traced(conversation, writer, longer).gone_on
    unknown = msgspec.structs.replace(written, generated=0)
    assert not traced(conversation, writer, unknown).gone_on


# -- retrieved examples ----------------------------------------------------------------


def ask_with(
    conversation: Conversation,
    script: ScriptedEngine,
    writer: Writer,
    examples: tuple[Example, ...],
) -> TurnRecord:
    script.enqueue(*answer("One."))
    conversation.add_question("Hi", writer.choice)
    list(conversation.answer(writer, sampling=DRAWN, examples=examples))
    assert conversation.leaf is not None
    return conversation.leaf


@pytest.fixture
def retrieving(script: ScriptedEngine) -> Writer:
    return writer_of(script.models[0], retrieving_preamble("facts", like="urial-k0"))


def test_the_examples_that_it_was_written_behind_stand_there_again(
    conversation: Conversation, script: ScriptedEngine, retrieving: Writer
) -> None:
    written = ask_with(conversation, script, retrieving, (CAPITAL,))
    trace = trace_of(conversation, written, retrieving, PRESENT, (OTHER,))
    assert trace.request.lead == script.requests[-1].lead
    assert "Madrid" in text(trace.lead)
    assert "Madrid" not in "".join(map(text, trace.turns))
    assert trace.own_examples


def test_where_nothing_was_like_the_question_nothing_stands_there(
    conversation: Conversation, script: ScriptedEngine, retrieving: Writer
) -> None:
    written = ask_with(conversation, script, retrieving, ())
    trace = trace_of(conversation, written, retrieving, PRESENT, (OTHER,))
    assert (trace.lead, trace.own_examples) == ((), True)


def test_where_they_are_not_stored_others_stand_for_them(
    conversation: Conversation, script: ScriptedEngine, retrieving: Writer, writer: Writer
) -> None:
    written = ask_with(conversation, script, retrieving, (CAPITAL,))
    older = msgspec.structs.replace(written, examples=None)
    renamed = writer_of(script.models[0], retrieving_preamble("others", like="urial-k0"))
    for turn, read_by in ((older, retrieving), (written, renamed)):
        assert wants_examples(turn, read_by.preamble)
        trace = trace_of(conversation, turn, read_by, PRESENT, (OTHER,))
        assert "Lisbon" in text(trace.lead)
        assert not trace.own_examples
        with pytest.raises(UsageError, match="retrieved for each question"):
            trace_of(conversation, turn, read_by, PRESENT)
    assert not wants_examples(older, writer.preamble)
    assert trace_of(conversation, older, writer, PRESENT).own_examples


def test_another_wording_of_an_answer_keeps_its_examples(
    conversation: Conversation, script: ScriptedEngine, retrieving: Writer
) -> None:
    written = ask_with(conversation, script, retrieving, (CAPITAL,))
    assert conversation.edit_answer(written.id, "Two").examples == (CAPITAL,)
