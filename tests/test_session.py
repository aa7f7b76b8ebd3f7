"""What a conversation shows the model, and what is left of an answer whatever ends it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from tests.scripted import (
    INFO,
    ScriptedEngine,
    Step,
    answer,
    delta,
    dropped,
    finished,
    ids_of,
    text_of,
)
from urial_tui.chat.session import Conversation, ids_key
from urial_tui.chat.store import Store
from urial_tui.chat.turns import TurnRecord, title_of
from urial_tui.engine.protocol import (
    Event,
    Finished,
    PromptReady,
    Sampling,
    TextDelta,
    TextSegment,
    TokenSegment,
)
from urial_tui.errors import EngineDied, EngineError, StoreError, UsageError
from urial_tui.prompting.preamble import Preamble, find_preamble
from urial_tui.prompting.render import close_text, open_turn, preamble_text


@pytest.fixture
def preamble() -> Preamble:
    return find_preamble("urial-k1")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / "conversations.db") as opened:
        yield opened


@pytest.fixture
def engine() -> ScriptedEngine:
    return ScriptedEngine.loaded()


@pytest.fixture
def conversation(store: Store, preamble: Preamble) -> Conversation:
    return Conversation.new(store, "tiny", preamble)


def stored(conversation: Conversation) -> list[TurnRecord]:
    assert conversation.store is not None
    return conversation.store.turns(conversation.record.id)


def say(conversation: Conversation, engine: ScriptedEngine, question: str, reply: str) -> None:
    engine.enqueue(*answer(reply))
    list(conversation.ask(engine, question))


class TestAsking:
    def test_the_events_of_the_engine_pass_through(
        self, conversation: Conversation, engine: ScriptedEngine
    ) -> None:
        engine.enqueue(*answer("Hello there", 2))
        events = list(conversation.ask(engine, "Hi"))
        assert [type(event) for event in events] == [
            PromptReady,
            TextDelta,
            TextDelta,
            TextDelta,
            Finished,
        ]

    def test_the_question_is_stored_before_the_engine_is_asked(
        self, conversation: Conversation, engine: ScriptedEngine
    ) -> None:
        seen: list[str] = []
        engine.enqueue(lambda: seen.extend(turn.text for turn in stored(conversation)))
        list(conversation.ask(engine, "Hi"))
        assert seen == ["Hi"]

    def test_the_answer_is_stored_as_the_engine_closed_it(
        self, conversation: Conversation, engine: ScriptedEngine, preamble: Preamble
    ) -> None:
        close = close_text(preamble)
        engine.enqueue(
            delta("Hello"),
            finished("Hello", "stop", ids=ids_of("Hello\n"), tail=close[1:], stopped_by="# Query:"),
        )
        list(conversation.ask(engine, "Hi"))
        question, reply = stored(conversation)
        assert reply.parent_id == question.id
        assert (reply.text, reply.stop_reason, reply.stopped_by) == ("Hello", "stop", "# Query:")
        assert text_of(reply.ids or ()) + reply.tail == "Hello" + close
        assert (reply.model, reply.preamble) == ("tiny", "urial-k1")
        assert reply.timings.decode_tokens_per_s == 75.0
        assert conversation.path == (question, reply)

    def test_the_request_is_made_of_the_preamble_and_its_format(
        self, conversation: Conversation, engine: ScriptedEngine, preamble: Preamble
    ) -> None:
        sampling = Sampling(temperature=0.7, seed=3)
        list(conversation.ask(engine, "Hi", sampling=sampling, max_tokens=7))
        (request,) = engine.requests
        assert request.preamble == (TextSegment(text=preamble_text(preamble)),)
        assert request.turns == ((TextSegment(text=open_turn(preamble, "Hi")),),)
        assert request.close == close_text(preamble)
        assert request.stops is not None
        assert request.stops.strings == preamble.format.stop
        assert (request.sampling, request.max_tokens) == (sampling, 7)

    def test_a_preamble_without_text_is_no_segment(
        self, store: Store, engine: ScriptedEngine
    ) -> None:
        list(Conversation.new(store, "tiny", find_preamble("zero-shot")).ask(engine, "Hi"))
        assert engine.requests[0].preamble == ()

    def test_nothing_is_stored_without_a_store(
        self, engine: ScriptedEngine, preamble: Preamble
    ) -> None:
        conversation = Conversation.new(None, "tiny", preamble)
        say(conversation, engine, "Hi", "Hello")
        assert [turn.text for turn in conversation.path] == ["Hi", "Hello"]

    @pytest.mark.parametrize("text", ["", "  \n\t\n"])
    def test_an_empty_question_is_refused(
        self, conversation: Conversation, engine: ScriptedEngine, text: str
    ) -> None:
        with pytest.raises(UsageError):
            list(conversation.ask(engine, text))
        assert conversation.path == ()

    def test_a_question_keeps_its_indentation_and_loses_blank_lines(
        self, conversation: Conversation
    ) -> None:
        assert conversation.add_question("\n \r\n  a\r\n  b \n\n").text == "  a\n  b"

    def test_text_that_is_no_unicode_is_repaired_before_it_is_sent(
        self, conversation: Conversation, engine: ScriptedEngine
    ) -> None:
        list(conversation.ask(engine, "a\udcffb"))
        assert "a\ufffdb" in engine.requests[0].text

    def test_nothing_can_be_answered_before_a_question(
        self, conversation: Conversation, engine: ScriptedEngine
    ) -> None:
        with pytest.raises(UsageError):
            list(conversation.answer(engine))


class TestTokenIdsAreTheHistory:
    def test_a_second_turn_sends_the_first_as_ids(
        self, conversation: Conversation, engine: ScriptedEngine, preamble: Preamble
    ) -> None:
        say(conversation, engine, "One", "First.")
        say(conversation, engine, "Two", "Second.")
        first, last = engine.requests[1].turns
        assert first == (
            TokenSegment(ids=ids_of(open_turn(preamble, "One"))),
            TokenSegment(ids=ids_of("First.")),
            TextSegment(text=close_text(preamble)),
        )
        assert last == (TextSegment(text=open_turn(preamble, "Two")),)

    def test_an_opened_conversation_sends_the_stored_ids(
        self, conversation: Conversation, engine: ScriptedEngine, preamble: Preamble, store: Store
    ) -> None:
        say(conversation, engine, "One", "First.")
        say(conversation, engine, "Two", "Second.")
        reopened = Conversation.open(store, conversation.record.id, "tiny", preamble)
        assert reopened.path == conversation.path
        assert reopened.record.title == "One"
        say(conversation, engine, "Three", "Third.")
        say(reopened, engine, "Three", "Third.")
        assert engine.requests[2].turns == engine.requests[3].turns
        assert all(isinstance(turn[0], TokenSegment) for turn in engine.requests[3].turns[:-1])

    def test_another_model_gets_text(
        self, conversation: Conversation, engine: ScriptedEngine, preamble: Preamble
    ) -> None:
        say(conversation, engine, "One", "First.")
        conversation.model_name = "other"
        say(conversation, engine, "Two", "Second.")
        first = engine.requests[1].turns[0]
        assert first == (
            TextSegment(text=open_turn(preamble, "One")),
            TextSegment(text="First." + close_text(preamble)),
        )

    def test_another_file_of_the_same_name_gets_text(
        self, conversation: Conversation, engine: ScriptedEngine
    ) -> None:
        say(conversation, engine, "One", "First.")
        engine.info = msgspec.structs.replace(INFO, n_vocab=99)
        say(conversation, engine, "Two", "Second.")
        assert all(isinstance(part, TextSegment) for part in engine.requests[1].turns[0])

    def test_another_format_gets_the_text_in_that_format(
        self, conversation: Conversation, engine: ScriptedEngine, preamble: Preamble
    ) -> None:
        say(conversation, engine, "One", "First.")
        form = msgspec.structs.replace(preamble.format, query="Q: {query}\n\n")
        other = msgspec.structs.replace(preamble, name="other", format=form)
        conversation.preamble = other
        say(conversation, engine, "Two", "Second.")
        assert engine.requests[1].text.startswith("Q: One\n\n")
        assert conversation.path[-1].preamble == "other"

    def test_the_ids_of_the_first_model_stay_in_the_store(
        self, conversation: Conversation, engine: ScriptedEngine, preamble: Preamble
    ) -> None:
        say(conversation, engine, "One", "First.")
        conversation.model_name = "other"
        say(conversation, engine, "Two", "Second.")
        assert stored(conversation)[0].ids_key == ids_key("tiny", INFO, preamble)

    def test_exchanges_without_an_answer_are_not_shown_to_the_model(
        self, conversation: Conversation, engine: ScriptedEngine
    ) -> None:
        engine.enqueue(EngineDied("The engine stopped."))
        with pytest.raises(EngineDied):
            list(conversation.ask(engine, "Lost"))
        conversation.add_question("Never answered")
        say(conversation, engine, "Two", "Second.")
        assert len(engine.requests[1].turns) == 1
        assert [turn.text for turn in conversation.path] == [
            "Lost",
            "",
            "Never answered",
            "Two",
            "Second.",
        ]


class TestHoweverAnAnswerEnds:
    """The text stays, and its ids and its tail spell it."""

    def check(self, conversation: Conversation, text: str, reason: str) -> None:
        reply = conversation.path[-1]
        assert (reply.role, reply.text, reply.stop_reason) == ("assistant", text, reason)
        close = close_text(conversation.preamble)
        assert text_of(reply.ids or ()) + reply.tail == text + close
        assert stored(conversation)[-1] == reply

    @pytest.mark.parametrize("reason", ["eos", "stop", "length", "cancelled"])
    def test_by_the_engine(
        self, conversation: Conversation, engine: ScriptedEngine, reason: str, preamble: Preamble
    ) -> None:
        event = msgspec.structs.replace(
            finished("Hello", close=close_text(preamble)), stop_reason=reason
        )
        engine.enqueue(delta("Hello"), event)
        list(conversation.ask(engine, "Hi"))
        self.check(conversation, "Hello", reason)

    def test_by_the_death_of_the_engine(
        self, conversation: Conversation, engine: ScriptedEngine
    ) -> None:
        engine.enqueue(
            delta("Hel"),
            delta("lo", ids=ids_of("l"), pending="o"),
            EngineDied("The engine stopped."),
        )
        seen: list[Event] = []
        with pytest.raises(EngineDied):
            seen.extend(conversation.ask(engine, "Hi"))
        self.check(conversation, "Hello", "died")

    def test_by_a_refusal(self, conversation: Conversation, engine: ScriptedEngine) -> None:
        engine.enqueue(EngineError("The question is longer than the context."))
        with pytest.raises(EngineError):
            list(conversation.ask(engine, "Hi"))
        self.check(conversation, "", "failed")

    def test_by_a_caller_that_leaves(
        self, conversation: Conversation, engine: ScriptedEngine
    ) -> None:
        engine.enqueue(*answer("Hello there", 4))
        asking = conversation.ask(engine, "Hi")
        while not isinstance(next(asking), TextDelta):
            pass
        asking.close()
        self.check(conversation, "He", "cancelled")

    def test_by_an_interrupt(self, conversation: Conversation, engine: ScriptedEngine) -> None:
        engine.enqueue(delta("Hel"), KeyboardInterrupt())
        with pytest.raises(KeyboardInterrupt):
            list(conversation.ask(engine, "Hi"))
        self.check(conversation, "Hel", "cancelled")

    def test_the_next_question_goes_on_from_a_partial_answer(
        self, conversation: Conversation, engine: ScriptedEngine
    ) -> None:
        engine.enqueue(delta("Hel"), EngineDied("The engine stopped."))
        with pytest.raises(EngineDied):
            list(conversation.ask(engine, "Hi"))
        say(conversation, engine, "Go on", "Certainly.")
        preamble = conversation.preamble
        assert engine.requests[1].text == (
            open_turn(preamble, "Hi") + "Hel" + close_text(preamble) + open_turn(preamble, "Go on")
        )


class TestWhileItGrows:
    def test_it_is_stored_every_half_second(
        self, store: Store, engine: ScriptedEngine, preamble: Preamble
    ) -> None:
        now = [100.0]
        conversation = Conversation.new(store, "tiny", preamble, clock=lambda: now[0])
        steps: list[Step] = []
        for piece, seconds in (("a", 0.0), ("b", 0.1), ("c", 0.3), ("d", 0.2), ("e", 0.1)):

            def pass_time(seconds: float = seconds) -> None:
                now[0] += seconds

            steps += [pass_time, delta(piece)]
        engine.enqueue(*steps)
        found = [
            stored(conversation)[-1].text
            for event in conversation.ask(engine, "Hi")
            if isinstance(event, TextDelta)
        ]
        assert found == ["a", "a", "a", "abcd", "abcd"]
        assert stored(conversation)[-1].text == "abcde"

    def test_what_is_stored_of_it_can_be_continued(
        self, conversation: Conversation, engine: ScriptedEngine, store: Store
    ) -> None:
        """As after a power cut: the row has no stop reason, but its ids and tail fit."""
        engine.enqueue(delta("Hé", ids=ids_of("H"), pending="é"), delta("llo"))
        asking = conversation.ask(engine, "Hi")
        while not isinstance(next(asking), TextDelta):
            pass
        reopened = Conversation.open(store, conversation.record.id, "tiny", conversation.preamble)
        reply = reopened.path[-1]
        assert (reply.text, reply.stop_reason) == ("Hé", None)
        assert text_of(reply.ids or ()) + reply.tail == "Hé" + close_text(conversation.preamble)
        asking.close()

    def test_a_store_that_fails_does_not_stop_it(
        self, conversation: Conversation, engine: ScriptedEngine, store: Store
    ) -> None:
        engine.enqueue(
            lambda: _set_read_only(store, True),
            delta("Hel"),
            delta("lo"),
            lambda: _set_read_only(store, False),
        )
        list(conversation.ask(engine, "Hi"))
        assert stored(conversation)[-1].text == "Hello"
        assert conversation.store_error is None

    def test_a_store_that_fails_at_the_end_is_told_after_the_answer_and_tried_again(
        self, conversation: Conversation, engine: ScriptedEngine, store: Store
    ) -> None:
        engine.enqueue(delta("Hel"), lambda: _set_read_only(store, True), delta("lo"))
        seen: list[Event] = []
        with pytest.raises(StoreError):
            seen.extend(conversation.ask(engine, "Hi"))
        assert isinstance(seen[-1], Finished)
        assert conversation.path[-1].text == "Hello"
        with pytest.raises(StoreError):
            conversation.add_question("Not stored either")
        assert conversation.path[-1].text == "Hello"
        _set_read_only(store, False)
        say(conversation, engine, "Again", "Yes.")
        assert [turn.text for turn in stored(conversation)] == ["Hi", "Hello", "Again", "Yes."]

    def test_a_question_that_can_not_be_stored_is_not_asked(
        self, conversation: Conversation, engine: ScriptedEngine, store: Store
    ) -> None:
        _set_read_only(store, True)
        with pytest.raises(StoreError):
            list(conversation.ask(engine, "Hi"))
        assert engine.requests == []
        assert conversation.path == ()


def _set_read_only(store: Store, read_only: bool) -> None:
    store._connected().execute(f"PRAGMA query_only = {int(read_only)}")


class TestFullContext:
    @pytest.fixture
    def long(self, conversation: Conversation, engine: ScriptedEngine) -> Conversation:
        for number in (1, 2, 3):
            say(conversation, engine, f"Question {number}", f"Answer {number}.")
        engine.enqueue(dropped(2), *answer("Answer 4."))
        list(conversation.ask(engine, "Question 4"))
        return conversation

    def test_turns_that_left_are_shown_as_such(self, long: Conversation) -> None:
        assert [exchange.in_context for exchange in long.exchanges] == [False, False, True, True]
        assert long.dropped == 2

    def test_turns_that_left_are_not_sent_again(
        self, long: Conversation, engine: ScriptedEngine
    ) -> None:
        say(long, engine, "Question 5", "Answer 5.")
        assert "Question 2" not in engine.requests[-1].text
        assert [len(turn) for turn in engine.requests[-1].turns] == [3, 3, 1]
        assert long.dropped == 2

    def test_more_can_leave_later(self, long: Conversation, engine: ScriptedEngine) -> None:
        engine.enqueue(dropped(1), *answer("Answer 5."))
        list(long.ask(engine, "Question 5"))
        assert long.dropped == 3

    def test_it_is_remembered_across_a_restart(self, long: Conversation, store: Store) -> None:
        reopened = Conversation.open(store, long.record.id, "tiny", long.preamble)
        assert reopened.dropped == 2

    def test_another_model_may_have_room(self, long: Conversation, engine: ScriptedEngine) -> None:
        long.model_name = "bigger"
        say(long, engine, "Question 5", "Answer 5.")
        assert "Question 1" in engine.requests[-1].text
        assert long.dropped == 0

    def test_the_question_itself_never_counts_as_left(
        self, conversation: Conversation, engine: ScriptedEngine
    ) -> None:
        say(conversation, engine, "One", "First.")
        engine.enqueue(dropped(5), *answer("Second."))
        list(conversation.ask(engine, "Two"))
        assert [exchange.in_context for exchange in conversation.exchanges] == [False, True]

    def test_ids_are_learnt_for_the_right_question(
        self, conversation: Conversation, engine: ScriptedEngine, preamble: Preamble
    ) -> None:
        """The engine reports the ids of the turns that are left."""
        say(conversation, engine, "One", "First.")
        ready = PromptReady(
            id=0, turns=((ids_of(open_turn(preamble, "Two")),),), reused=0, prefilled=9, used=9
        )
        engine.enqueue(dropped(1), ready, *answer("Second."))
        list(conversation.ask(engine, "Two"))
        assert text_of(conversation.path[2].ids or ()) == open_turn(preamble, "Two")


class TestTheTree:
    def test_answering_again_makes_a_sibling(
        self, conversation: Conversation, engine: ScriptedEngine
    ) -> None:
        say(conversation, engine, "Hi", "Hello")
        question, first = conversation.path
        engine.enqueue(*answer("Good day"))
        list(conversation.answer(engine))
        second = conversation.path[-1]
        assert [turn.text for turn in conversation.children(question.id)] == ["Hello", "Good day"]
        assert conversation.path == (question, second)
        assert stored(conversation) == [question, first, second]
        assert "Hello" not in engine.requests[1].text

    def test_a_question_without_an_answer_can_be_answered_later(
        self, conversation: Conversation, engine: ScriptedEngine, store: Store, preamble: Preamble
    ) -> None:
        conversation.add_question("Hi")
        reopened = Conversation.open(store, conversation.record.id, "tiny", preamble)
        engine.enqueue(*answer("Hello"))
        list(reopened.answer(engine))
        assert [turn.text for turn in reopened.path] == ["Hi", "Hello"]


class TestTitle:
    @pytest.mark.parametrize(
        ("question", "title"),
        [
            ("Short", "Short"),
            ("Two\n  lines\tand tabs", "Two lines and tabs"),
            ("word " * 30, "word " * 11 + "word…"),
            ("x" * 100, "x" * 59 + "…"),
        ],
    )
    def test_it_is_one_line_of_the_first_question(self, question: str, title: str) -> None:
        assert title_of(question) == title

    def test_it_is_kept_when_more_is_asked(
        self, conversation: Conversation, engine: ScriptedEngine, store: Store
    ) -> None:
        say(conversation, engine, "First question", "Yes.")
        say(conversation, engine, "Second question", "Yes.")
        assert store.conversations()[0].title == "First question"
