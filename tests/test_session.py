"""What a conversation shows the model, and what is left of an answer whatever ends it."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from tests.loaded import ZERO_SHOT, writer_of
from tests.scripted import (
    TINY,
    Gate,
    ScriptedEngine,
    answer,
    delta,
    dropped,
    finished,
    ids_of,
    shown_turns,
    text_of,
)
from urial_tui.chat.session import Conversation
from urial_tui.chat.shown import ids_key
from urial_tui.chat.store import Store
from urial_tui.chat.turns import TurnRecord, title_of
from urial_tui.engine.client.engine import Engine
from urial_tui.engine.client.model import Model
from urial_tui.engine.wire.events import Event, Finished, PromptReady, TextDelta
from urial_tui.engine.wire.values import EngineOptions, Sampling, TextSegment, TokenSegment
from urial_tui.errors import EngineDied, EngineError, StoreError, UsageError
from urial_tui.prompting.preamble import Preamble
from urial_tui.prompting.preamble_file import find_preamble
from urial_tui.prompting.render import close_text, open_turn, preamble_text, preamble_turn
from urial_tui.runtime.writer import Writer, WriterChoice

URIAL = find_preamble("urial-k1")
ASKED = WriterChoice(model="tiny", preamble=URIAL)


@pytest.fixture
def preamble() -> Preamble:
    return URIAL


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / "conversations.db") as opened:
        yield opened


@pytest.fixture
def script() -> Iterator[ScriptedEngine]:
    """With a model that is loaded."""
    with ScriptedEngine() as script:
        script.load(TINY).result()
        yield script


@pytest.fixture
def model(script: ScriptedEngine) -> Model:
    return script.models[0]


@pytest.fixture
def writer(model: Model, preamble: Preamble) -> Writer:
    return writer_of(model, preamble)


@pytest.fixture
def conversation(store: Store) -> Conversation:
    return Conversation.new(store)


def stored(conversation: Conversation) -> list[TurnRecord]:
    assert conversation.store is not None
    return conversation.store.turns(conversation.record.id)


def say(conversation: Conversation, script: ScriptedEngine, question: str, reply: str) -> None:
    """Have a question answered by the model that was loaded last."""
    script.enqueue(*answer(reply))
    list(conversation.ask(writer_of(script.models[-1], URIAL), question))


def load_other(script: ScriptedEngine) -> None:
    script.load(Path("/models/other.gguf")).result()


class TestAsking:
    def test_the_events_of_the_engine_pass_through(
        self, conversation: Conversation, script: ScriptedEngine, writer: Writer
    ) -> None:
        script.enqueue(*answer("Hello there", 2))
        events = list(conversation.ask(writer, "Hi"))
        assert [type(event) for event in events] == [
            PromptReady,
            TextDelta,
            TextDelta,
            TextDelta,
            Finished,
        ]

    def test_the_question_is_stored_before_the_engine_is_asked(
        self, conversation: Conversation, script: ScriptedEngine, writer: Writer
    ) -> None:
        seen: list[str] = []
        script.enqueue(lambda: seen.extend(turn.text for turn in stored(conversation)))
        list(conversation.ask(writer, "Hi"))
        assert seen == ["Hi"]

    def test_the_answer_is_stored_as_the_engine_closed_it(
        self,
        conversation: Conversation,
        script: ScriptedEngine,
        model: Model,
        writer: Writer,
        preamble: Preamble,
    ) -> None:
        close = close_text(preamble)
        script.enqueue(
            delta("Hello"),
            finished("Hello", "stop", ids=ids_of("Hello\n"), tail=close[1:], stopped_by="# Query:"),
        )
        list(conversation.ask(writer, "Hi"))
        question, reply = stored(conversation)
        assert reply.parent_id == question.id
        assert (reply.text, reply.stop_reason, reply.stopped_by) == ("Hello", "stop", "# Query:")
        assert text_of(reply.ids or ()) + reply.tail == "Hello" + close
        assert (reply.model, reply.preamble) == ("tiny", "urial-k1")
        assert reply.timings.decode_tokens_per_s == 75.0
        assert conversation.path == (question, reply)

    def test_the_request_is_made_of_the_preamble_and_its_format(
        self, conversation: Conversation, script: ScriptedEngine, writer: Writer, preamble: Preamble
    ) -> None:
        sampling = Sampling(temperature=0.7, seed=3)
        list(conversation.ask(writer, "Hi", sampling=sampling, max_tokens=7))
        (request,) = script.requests
        assert request.preamble == (TextSegment(text=preamble_text(preamble)),)
        assert request.turns == ((TextSegment(text=open_turn(preamble, "Hi")),),)
        assert request.close == close_text(preamble)
        assert request.stops is not None
        assert request.stops.strings == preamble.format.stop
        assert (request.sampling, request.max_tokens) == (sampling, 7)

    def test_a_preamble_without_text_is_no_segment(
        self, store: Store, script: ScriptedEngine, model: Model
    ) -> None:
        list(Conversation.new(store).ask(writer_of(model), "Hi"))
        assert script.requests[0].preamble == ()

    def test_nothing_is_stored_without_a_store(self, script: ScriptedEngine, model: Model) -> None:
        conversation = Conversation.new(None)
        say(conversation, script, "Hi", "Hello")
        assert [turn.text for turn in conversation.path] == ["Hi", "Hello"]

    def test_it_is_named_after_what_was_asked_last(
        self, conversation: Conversation, model: Model, store: Store
    ) -> None:
        assert (conversation.record.model, conversation.record.preamble) == ("", "")
        assert store.conversations() == []
        for writer in (writer_of(model, URIAL), writer_of(model, name="other")):
            list(conversation.ask(writer, "Hi"))
            (record,) = store.conversations()
            assert (record.model, record.preamble) == (
                writer.choice.model,
                writer.choice.preamble.name,
            )
            assert (conversation.record.model, conversation.record.preamble) == (
                record.model,
                record.preamble,
            )
            assert {turn.model for turn in conversation.path[-2:]} == {record.model}

    @pytest.mark.parametrize("text", ["", "  \n\t\n"])
    def test_an_empty_question_is_refused(
        self, conversation: Conversation, writer: Writer, text: str
    ) -> None:
        with pytest.raises(UsageError):
            list(conversation.ask(writer, text))
        assert conversation.path == ()

    def test_a_question_keeps_its_indentation_and_loses_blank_lines(
        self, conversation: Conversation
    ) -> None:
        assert conversation.add_question("\n \r\n  a\r\n  b \n\n", ASKED).text == "  a\n  b"

    def test_text_that_is_no_unicode_is_repaired_before_it_is_sent(
        self, conversation: Conversation, script: ScriptedEngine, writer: Writer
    ) -> None:
        list(conversation.ask(writer, "a\udcffb"))
        assert "a\ufffdb" in shown_turns(script.requests[0])

    def test_nothing_can_be_answered_before_a_question(
        self, conversation: Conversation, writer: Writer
    ) -> None:
        with pytest.raises(UsageError):
            list(conversation.answer(writer))


class TestTokenIdsAreTheHistory:
    def test_a_second_turn_sends_the_first_as_ids(
        self, conversation: Conversation, script: ScriptedEngine, preamble: Preamble
    ) -> None:
        say(conversation, script, "One", "First.")
        say(conversation, script, "Two", "Second.")
        first, last = script.requests[1].turns
        assert first == (
            TokenSegment(ids=ids_of(open_turn(preamble, "One"))),
            TokenSegment(ids=ids_of("First.")),
            TextSegment(text=close_text(preamble)),
        )
        assert last == (TextSegment(text=open_turn(preamble, "Two")),)

    def test_an_opened_conversation_sends_the_stored_ids(
        self, conversation: Conversation, script: ScriptedEngine, store: Store
    ) -> None:
        say(conversation, script, "One", "First.")
        say(conversation, script, "Two", "Second.")
        reopened = Conversation.open(store, conversation.record.id)
        assert reopened.path == conversation.path
        assert reopened.record.title == "One"
        say(conversation, script, "Three", "Third.")
        say(reopened, script, "Three", "Third.")
        assert script.requests[2].turns == script.requests[3].turns
        assert all(isinstance(turn[0], TokenSegment) for turn in script.requests[3].turns[:-1])

    def test_another_model_gets_text(
        self, conversation: Conversation, script: ScriptedEngine, preamble: Preamble
    ) -> None:
        say(conversation, script, "One", "First.")
        load_other(script)
        say(conversation, script, "Two", "Second.")
        first = script.requests[1].turns[0]
        assert first == (
            TextSegment(text=open_turn(preamble, "One")),
            TextSegment(text="First." + close_text(preamble)),
        )

    def test_another_file_of_the_same_name_gets_text(
        self, conversation: Conversation, script: ScriptedEngine
    ) -> None:
        say(conversation, script, "One", "First.")
        script.load(TINY, adapter=Path("/models/lora.gguf")).result()
        say(conversation, script, "Two", "Second.")
        assert all(isinstance(part, TextSegment) for part in script.requests[1].turns[0])

    def test_another_format_gets_the_text_in_that_format(
        self,
        conversation: Conversation,
        script: ScriptedEngine,
        model: Model,
        preamble: Preamble,
    ) -> None:
        say(conversation, script, "One", "First.")
        form = msgspec.structs.replace(preamble.format, query="Q: {query}\n\n")
        other = msgspec.structs.replace(preamble, name="other", format=form)
        list(conversation.ask(writer_of(model, other), "Two"))
        assert shown_turns(script.requests[1]).startswith("Q: One\n\n")
        assert conversation.path[-1].preamble == "other"

    def test_the_ids_of_the_first_model_stay_in_the_store(
        self, conversation: Conversation, script: ScriptedEngine, preamble: Preamble
    ) -> None:
        say(conversation, script, "One", "First.")
        load_other(script)
        say(conversation, script, "Two", "Second.")
        assert stored(conversation)[0].ids_key == ids_key(script.models[0].info, preamble)

    def test_another_name_of_the_same_file_keeps_the_ids(
        self, conversation: Conversation, script: ScriptedEngine, model: Model
    ) -> None:
        say(conversation, script, "One", "First.")
        list(conversation.ask(writer_of(model, URIAL, "other"), "Two"))
        assert any(isinstance(part, TokenSegment) for part in script.requests[1].turns[0])

    def test_exchanges_without_an_answer_are_not_shown_to_the_model(
        self, conversation: Conversation, script: ScriptedEngine, writer: Writer
    ) -> None:
        script.enqueue(EngineDied("The engine stopped."))
        with pytest.raises(EngineDied):
            list(conversation.ask(writer, "Lost"))
        script.load(TINY).result()
        conversation.add_question("Never answered", ASKED)
        say(conversation, script, "Two", "Second.")
        assert len(script.requests[1].turns) == 1
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
        close = close_text(URIAL)
        assert text_of(reply.ids or ()) + reply.tail == text + close
        assert stored(conversation)[-1] == reply

    @pytest.mark.parametrize("reason", ["eos", "stop", "length", "cancelled"])
    def test_by_the_engine(
        self,
        conversation: Conversation,
        script: ScriptedEngine,
        writer: Writer,
        reason: str,
        preamble: Preamble,
    ) -> None:
        event = msgspec.structs.replace(
            finished("Hello", close=close_text(preamble)), stop_reason=reason
        )
        script.enqueue(delta("Hello"), event)
        list(conversation.ask(writer, "Hi"))
        self.check(conversation, "Hello", reason)

    def test_by_the_death_of_the_engine(
        self, conversation: Conversation, script: ScriptedEngine, writer: Writer
    ) -> None:
        script.enqueue(
            delta("Hel"),
            delta("lo", ids=ids_of("l"), pending="o"),
            EngineDied("The engine stopped."),
        )
        seen: list[Event] = []
        with pytest.raises(EngineDied):
            seen.extend(conversation.ask(writer, "Hi"))
        self.check(conversation, "Hello", "died")

    def test_by_a_refusal(
        self, conversation: Conversation, script: ScriptedEngine, writer: Writer
    ) -> None:
        script.enqueue(EngineError("The question is longer than the context."))
        with pytest.raises(EngineError):
            list(conversation.ask(writer, "Hi"))
        self.check(conversation, "", "failed")

    def test_by_a_caller_that_leaves(
        self, conversation: Conversation, script: ScriptedEngine, writer: Writer
    ) -> None:
        script.enqueue(*answer("Hello there", 4))
        asking = iter(conversation.ask(writer, "Hi"))
        while not isinstance(next(asking), TextDelta):
            pass
        asking.close()
        self.check(conversation, "He", "cancelled")

    def test_by_an_interrupt(
        self, conversation: Conversation, script: ScriptedEngine, writer: Writer
    ) -> None:
        script.enqueue(delta("Hel"), Gate())
        asking = iter(conversation.ask(writer, "Hi"))
        while not isinstance(next(asking), TextDelta):
            pass
        with pytest.raises(KeyboardInterrupt):
            asking.throw(KeyboardInterrupt())
        self.check(conversation, "Hel", "cancelled")

    def test_the_next_question_goes_on_from_a_partial_answer(
        self, conversation: Conversation, script: ScriptedEngine, writer: Writer
    ) -> None:
        script.enqueue(delta("Hel"), EngineDied("The engine stopped."))
        with pytest.raises(EngineDied):
            list(conversation.ask(writer, "Hi"))
        script.load(TINY).result()
        say(conversation, script, "Go on", "Certainly.")
        assert shown_turns(script.requests[1]) == (
            open_turn(URIAL, "Hi") + "Hel" + close_text(URIAL) + open_turn(URIAL, "Go on")
        )


class TestWhileItGrows:
    def test_it_is_stored_every_half_second(
        self, store: Store, script: ScriptedEngine, writer: Writer
    ) -> None:
        now = [100.0]
        conversation = Conversation.new(store, clock=lambda: now[0])
        script.enqueue(*map(delta, "abcde"))
        found: list[str] = []
        pauses = iter((0.1, 0.3, 0.2, 0.1, 0.0))
        for event in conversation.ask(writer, "Hi"):
            if isinstance(event, TextDelta):
                found.append(stored(conversation)[-1].text)
                now[0] += next(pauses)
        assert found == ["a", "a", "a", "abcd", "abcd"]
        assert stored(conversation)[-1].text == "abcde"

    def test_what_is_stored_of_it_can_be_continued(
        self, conversation: Conversation, script: ScriptedEngine, writer: Writer, store: Store
    ) -> None:
        """As after a power cut: the row has no stop reason, but its ids and tail fit."""
        script.enqueue(delta("Hé", ids=ids_of("H"), pending="é"), delta("llo"))
        asking = iter(conversation.ask(writer, "Hi"))
        while not isinstance(next(asking), TextDelta):
            pass
        reopened = Conversation.open(store, conversation.record.id)
        reply = reopened.path[-1]
        assert (reply.text, reply.stop_reason) == ("Hé", None)
        assert text_of(reply.ids or ()) + reply.tail == "Hé" + close_text(URIAL)
        asking.close()

    def test_a_store_that_fails_does_not_stop_it(
        self, conversation: Conversation, script: ScriptedEngine, writer: Writer, store: Store
    ) -> None:
        script.enqueue(delta("Hel"), delta("lo"))
        for event in conversation.ask(writer, "Hi"):
            match event:
                case PromptReady():
                    _set_read_only(store, True)
                case TextDelta(text="lo"):
                    _set_read_only(store, False)
                case _:
                    pass
        assert stored(conversation)[-1].text == "Hello"
        assert conversation.store_error is None

    def test_a_store_that_fails_at_the_end_is_told_after_the_answer_and_tried_again(
        self, conversation: Conversation, script: ScriptedEngine, writer: Writer, store: Store
    ) -> None:
        script.enqueue(delta("Hel"), delta("lo"))
        asking = iter(conversation.ask(writer, "Hi"))
        while not isinstance(next(asking), TextDelta):
            pass
        _set_read_only(store, True)
        seen: list[Event] = []
        with pytest.raises(StoreError):
            seen.extend(asking)
        assert isinstance(seen[-1], Finished)
        assert conversation.path[-1].text == "Hello"
        with pytest.raises(StoreError):
            conversation.add_question("Not stored either", ASKED)
        assert conversation.path[-1].text == "Hello"
        _set_read_only(store, False)
        say(conversation, script, "Again", "Yes.")
        assert [turn.text for turn in stored(conversation)] == ["Hi", "Hello", "Again", "Yes."]

    def test_a_question_that_can_not_be_stored_is_not_asked(
        self, conversation: Conversation, script: ScriptedEngine, writer: Writer, store: Store
    ) -> None:
        _set_read_only(store, True)
        with pytest.raises(StoreError):
            list(conversation.ask(writer, "Hi"))
        assert script.requests == []
        assert conversation.path == ()


def _set_read_only(store: Store, read_only: bool) -> None:
    store._connected().execute(f"PRAGMA query_only = {int(read_only)}")


class TestFullContext:
    @pytest.fixture
    def long(
        self, conversation: Conversation, script: ScriptedEngine, writer: Writer
    ) -> Conversation:
        for number in (1, 2, 3):
            say(conversation, script, f"Question {number}", f"Answer {number}.")
        script.enqueue(dropped(2), *answer("Answer 4."))
        list(conversation.ask(writer, "Question 4"))
        return conversation

    def test_turns_that_left_are_shown_as_such(self, long: Conversation) -> None:
        assert [exchange.in_context for exchange in long.exchanges] == [False, False, True, True]
        assert long.dropped == 2

    def test_turns_that_left_are_not_sent_again(
        self, long: Conversation, script: ScriptedEngine
    ) -> None:
        say(long, script, "Question 5", "Answer 5.")
        assert "Question 2" not in shown_turns(script.requests[-1])
        assert [len(turn) for turn in script.requests[-1].turns] == [3, 3, 1]
        assert long.dropped == 2

    def test_more_can_leave_later(
        self, long: Conversation, script: ScriptedEngine, writer: Writer
    ) -> None:
        script.enqueue(dropped(1), *answer("Answer 5."))
        list(long.ask(writer, "Question 5"))
        assert long.dropped == 3

    def test_it_is_remembered_across_a_restart(self, long: Conversation, store: Store) -> None:
        reopened = Conversation.open(store, long.record.id)
        assert reopened.dropped == 2

    def test_another_model_may_have_room(self, long: Conversation, script: ScriptedEngine) -> None:
        load_other(script)
        say(long, script, "Question 5", "Answer 5.")
        assert "Question 1" in shown_turns(script.requests[-1])
        assert long.dropped == 0

    def test_the_question_itself_never_counts_as_left(
        self, conversation: Conversation, script: ScriptedEngine, writer: Writer
    ) -> None:
        say(conversation, script, "One", "First.")
        script.enqueue(dropped(5), *answer("Second."))
        list(conversation.ask(writer, "Two"))
        assert [exchange.in_context for exchange in conversation.exchanges] == [False, True]

    def test_ids_are_learnt_for_the_right_question(
        self, conversation: Conversation, script: ScriptedEngine, writer: Writer, preamble: Preamble
    ) -> None:
        """The engine reports the ids of the turns that are left."""
        say(conversation, script, "One", "First.")
        ready = PromptReady(
            id=0, turns=((ids_of(open_turn(preamble, "Two")),),), reused=0, prefilled=9, used=9
        )
        script.enqueue(dropped(1), ready, *answer("Second."))
        list(conversation.ask(writer, "Two"))
        assert text_of(conversation.path[2].ids or ()) == open_turn(preamble, "Two")


class TestTheTree:
    def test_answering_again_makes_a_sibling(
        self, conversation: Conversation, script: ScriptedEngine, writer: Writer
    ) -> None:
        say(conversation, script, "Hi", "Hello")
        question, first = conversation.path
        script.enqueue(*answer("Good day"))
        list(conversation.answer(writer))
        second = conversation.path[-1]
        assert [turn.text for turn in conversation.tree.children(question.id)] == [
            "Hello",
            "Good day",
        ]
        assert conversation.path == (question, second)
        assert stored(conversation) == [question, first, second]
        assert "Hello" not in shown_turns(script.requests[1])

    def test_another_wording_of_a_question_is_asked_beside_it(
        self, conversation: Conversation, script: ScriptedEngine, writer: Writer
    ) -> None:
        say(conversation, script, "One", "First.")
        say(conversation, script, "Two", "Second.")
        old = conversation.path[2]
        new = conversation.edit_question(old.id, "Zwei", ASKED)
        script.enqueue(*answer("Zweitens."))
        list(conversation.answer(writer))
        assert [turn.text for turn in conversation.path] == ["One", "First.", "Zwei", "Zweitens."]
        assert conversation.tree.siblings(new.id) == (old, conversation.tree[new.id])
        assert "Two" not in shown_turns(script.requests[-1])
        assert [t.text for t in stored(conversation)][2:] == ["Two", "Second.", "Zwei", "Zweitens."]

    def test_an_edited_answer_stands_beside_the_old_one_and_is_what_the_model_sees(
        self, conversation: Conversation, script: ScriptedEngine
    ) -> None:
        say(conversation, script, "One", "First.")
        old = conversation.path[1]
        new = conversation.edit_answer(old.id, "Premier.\r\n")
        say(conversation, script, "Two", "Second.")
        assert new.text == "Premier."
        assert new.stop_reason == "edited"
        assert conversation.tree.siblings(new.id) == (old, new)
        assert "Premier." in shown_turns(script.requests[-1])
        assert "First." not in shown_turns(script.requests[-1])
        assert stored(conversation)[:3] == [conversation.path[0], old, new]

    @pytest.mark.parametrize("text", ["", " \n\t", "\r\n"])
    def test_an_answer_without_text_is_refused(
        self, conversation: Conversation, script: ScriptedEngine, text: str
    ) -> None:
        say(conversation, script, "One", "First.")
        with pytest.raises(UsageError, match="The answer is empty"):
            conversation.edit_answer(conversation.path[1].id, text)
        assert len(stored(conversation)) == 2

    def test_a_cut_answer_goes_on_from_its_own_tokens(
        self,
        conversation: Conversation,
        script: ScriptedEngine,
        model: Model,
        writer: Writer,
        preamble: Preamble,
    ) -> None:
        close = close_text(preamble)
        script.enqueue(delta("Hel"), finished("Hel", "length", tail=close))
        list(conversation.ask(writer, "Hi"))
        question, cut = conversation.path
        prefix = conversation.continuation(cut.id, model.info, URIAL)
        assert prefix == (TokenSegment(ids=ids_of("Hel")),)
        conversation.tree.stand_at(question.id)
        script.enqueue(delta("lo"))
        list(conversation.answer(writer, prefix=prefix))
        whole = conversation.path[-1]
        assert whole.text == "Hello"
        assert whole.ids == ids_of("Hello")
        assert conversation.tree.siblings(whole.id) == (cut, whole)
        assert script.requests[-1].prefix == prefix

    def test_the_text_stands_in_where_the_tokens_of_an_answer_are_unknown(
        self,
        conversation: Conversation,
        script: ScriptedEngine,
        model: Model,
        writer: Writer,
        preamble: Preamble,
    ) -> None:
        say(conversation, script, "Hi", "Hello")
        edited = conversation.edit_answer(conversation.path[1].id, "Good d")
        assert conversation.continuation(edited.id, model.info, URIAL) == (
            TextSegment(text="Good d"),
        )
        reached = finished("Hi", "stop", ids=ids_of("Hi\n"), tail=close_text(preamble)[1:])
        script.enqueue(reached)
        list(conversation.ask(writer, "Well?"))
        leaf = conversation.leaf
        assert leaf is not None
        assert conversation.continuation(leaf.id, model.info, URIAL) == (TextSegment(text="Hi"),)

    def test_what_was_shown_before_a_continuation_is_cancelled_stays(
        self, conversation: Conversation, script: ScriptedEngine, model: Model, writer: Writer
    ) -> None:
        say(conversation, script, "Hi", "Hel")
        question, cut = conversation.path
        conversation.tree.stand_at(question.id)
        script.enqueue(delta("l"), Gate())
        events = conversation.answer(
            writer, prefix=conversation.continuation(cut.id, model.info, URIAL)
        )
        for event in events:
            if isinstance(event, TextDelta) and event.text == "l":
                break
        events.close()
        assert [turn.text for turn in stored(conversation)] == ["Hi", "Hel", "Hell"]

    def test_a_question_without_an_answer_can_be_answered_later(
        self,
        conversation: Conversation,
        script: ScriptedEngine,
        writer: Writer,
        store: Store,
    ) -> None:
        conversation.add_question("Hi", ASKED)
        reopened = Conversation.open(store, conversation.record.id)
        script.enqueue(*answer("Hello"))
        list(reopened.answer(writer))
        assert [turn.text for turn in reopened.path] == ["Hi", "Hello"]


class TestOpening:
    def test_one_stands_where_one_stood_last(
        self,
        conversation: Conversation,
        script: ScriptedEngine,
        writer: Writer,
        store: Store,
    ) -> None:
        say(conversation, script, "Hi", "First.")
        script.enqueue(*answer("Second."))
        list(conversation.answer(writer))
        assert conversation.tree.step(conversation.path[-1].id, -1)
        conversation.keep_place()
        reopened = Conversation.open(store, conversation.record.id)
        assert [turn.text for turn in reopened.path] == ["Hi", "First."]
        say(reopened, script, "And?", "More.")
        again = Conversation.open(store, conversation.record.id)
        assert [turn.text for turn in again.path] == ["Hi", "First.", "And?", "More."]

    def test_the_path_leads_through_a_turn_that_was_looked_for(
        self,
        conversation: Conversation,
        script: ScriptedEngine,
        writer: Writer,
        store: Store,
    ) -> None:
        say(conversation, script, "Hi", "First.")
        first = conversation.path[-1].id
        say(conversation, script, "And?", "More.")
        conversation.tree.stand_at(conversation.path[0].id)
        script.enqueue(*answer("Second."))
        list(conversation.answer(writer))
        record = conversation.record
        reopened = Conversation.open(store, record.id, through=first)
        assert [turn.text for turn in reopened.path] == ["Hi", "First.", "And?", "More."]
        reopened.tree.undo()
        assert [turn.text for turn in reopened.path] == ["Hi", "Second."]
        assert not reopened.tree.can_undo

    def test_nothing_moves_for_a_turn_that_is_on_the_path_or_gone(
        self, conversation: Conversation, script: ScriptedEngine, store: Store
    ) -> None:
        say(conversation, script, "Hi", "First.")
        for turn_id in (conversation.path[0].id, 12345):
            reopened = Conversation.open(store, conversation.record.id, through=turn_id)
            assert reopened.leaf == conversation.leaf
            assert not reopened.tree.can_undo


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
        self, conversation: Conversation, script: ScriptedEngine, store: Store
    ) -> None:
        say(conversation, script, "First question", "Yes.")
        say(conversation, script, "Second question", "Yes.")
        assert store.conversations()[0].title == "First question"


class TestWithARealEngine:
    """A tiny model of random weights, in its own process, greedy."""

    @pytest.fixture
    def real(self, store: Store) -> Conversation:
        return Conversation.new(store)

    def asked(self, conversation: Conversation, engine: Engine, text: str) -> list[Event]:
        return list(conversation.ask(writer_of(engine.models[0]), text, max_tokens=16))

    def test_a_second_turn_evaluates_only_its_question_where_the_first_was_read_ahead(
        self, real: Conversation, engine: Engine
    ) -> None:
        self.asked(real, engine, "What is a sheep?")
        (model,) = engine.models
        turns = real.finished_turns(writer_of(model))
        model.prepare(preamble_turn(ZERO_SHOT), turns=turns).result()
        events = self.asked(real, engine, "And a goat?")
        ready = next(event for event in events if isinstance(event, PromptReady))
        assert ready.turns[:-1] == model.tokenize(turns).result()
        assert ready.prefilled == sum(map(len, ready.turns[-1]))

    def test_a_conversation_goes_on_after_a_restart_as_if_there_was_none(
        self, real: Conversation, engine: Engine, store: Store, llama_gguf: Path
    ) -> None:
        self.asked(real, engine, "What is a sheep?")
        reopened = Conversation.open(store, real.record.id)
        self.asked(real, engine, "And a goat?")
        with Engine() as other:
            other.load(llama_gguf, options=EngineOptions(n_ctx=2048, threads=1)).result()
            self.asked(reopened, other, "And a goat?")
        assert reopened.path[-1].ids == real.path[-1].ids
        assert reopened.path[-1].text == real.path[-1].text

    def test_going_to_another_version_answers_as_if_it_was_the_only_one(
        self, real: Conversation, engine: Engine
    ) -> None:
        self.asked(real, engine, "What is a sheep?")
        first = real.path[-1]
        self.asked(real, engine, "And a goat?")
        once = real.path[-1]
        real.tree.stand_at(first.parent_id)
        drawn = Sampling(temperature=2.0, seed=1)
        list(real.answer(writer_of(engine.models[0]), sampling=drawn, max_tokens=16))
        assert real.path[-1].ids != first.ids
        self.asked(real, engine, "And a cow?")
        real.tree.stand_at(first.id)
        self.asked(real, engine, "And a goat?")
        assert real.path[-1].ids == once.ids

    def test_a_killed_worker_leaves_the_text_and_the_conversation_goes_on(
        self, real: Conversation, engine: Engine, llama_gguf: Path
    ) -> None:
        """The tiny model may be done before the signal arrives; then it is tried again."""
        for seed in range(20):
            shown = ""
            drawn = Sampling(temperature=2.0, seed=seed)
            try:
                for event in real.ask(
                    writer_of(engine.models[0]), "Talk", sampling=drawn, max_tokens=900
                ):
                    if isinstance(event, TextDelta):
                        shown += event.text
                        assert engine.pid is not None
                        os.kill(engine.pid, signal.SIGKILL)
            except EngineDied:
                assert (real.path[-1].text, real.path[-1].stop_reason) == (shown, "died")
                assert stored(real)[-1] == real.path[-1]
            engine.close()
            engine.load(llama_gguf, options=EngineOptions(n_ctx=2048, threads=1)).result()
            if shown and real.path[-1].stop_reason == "died":
                break
        else:
            pytest.fail("the worker never died in the middle of an answer")
        self.asked(real, engine, "Go on")
        assert real.path[-1].stop_reason in ("length", "eos", "stop")
