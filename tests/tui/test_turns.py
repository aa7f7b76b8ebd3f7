"""Other versions of a turn: made, gone to and left again by keys."""

from __future__ import annotations

from textual.events import Key

from tests.scripted import Gate, ScriptedEngine, answer, delta, finished, shown, shown_turns
from tests.tui.conftest import Chatting
from urial_tui.chat.store import Store


class TestVersions:
    async def test_answering_again_keeps_the_first_answer_beside_the_new_one(
        self, chatting: Chatting, store: Store
    ) -> None:
        async with chatting() as chat:
            await chat.exchanges("Hi", "One.")
            assert not chat.shows("1/1")
            await chat.gets_another("f5", "Two.")
            assert chat.answers == ["Two."]
            assert chat.shows("‹ 2/2 ›")
            await chat.presses("alt+left")
            await chat.has_answers("One.")
            assert chat.shows("‹ 1/2 ›")
            await chat.presses("alt+right")
            await chat.has_answers("Two.")
            (listed,) = store.conversations()
            assert [turn.text for turn in store.turns(listed.id)] == ["Hi", "One.", "Two."]

    async def test_another_answer_is_sampled_where_a_greedy_one_would_be_the_same(
        self, chatting: Chatting, engine: ScriptedEngine
    ) -> None:
        async with chatting() as chat:
            await chat.exchanges("Hi", "One.")
            await chat.gets_another("f5", "Two.")
            assert chat.shows("this one is drawn at temperature 0.7.")
            assert chat.shows("4 tokens · 75 tokens/s · temperature 0.7")
            await chat.gets_another("f7", "more.")
            assert not chat.shows("· temperature")
            used = [request.sampling for request in engine.requests]
            assert [sampling.temperature for sampling in used if sampling] == [0.0, 0.7, 0.0]

    async def test_a_question_is_edited_and_answered_beside_the_old_one(
        self, chatting: Chatting, engine: ScriptedEngine
    ) -> None:
        async with chatting() as chat:
            await chat.exchanges("Hi", "One.")
            await chat.types("draft")
            await chat.presses("f6")
            assert chat.prompt.text == "Hi"
            assert chat.shows("Editing the question")
            await chat.types(" there")
            await chat.gets_another("enter", "Two.")
            assert chat.shows("Hi there")
            assert chat.shows("You  ‹ 2/2 ›")
            assert "Hi there" in shown_turns(engine.requests[-1])
            assert "One." not in shown_turns(engine.requests[-1])
            assert chat.prompt.text == "draft"
            assert not chat.shows("Editing")

    async def test_keys_that_come_at_once_are_taken_in_their_order(
        self, chatting: Chatting, engine: ScriptedEngine
    ) -> None:
        async with chatting() as chat:
            await chat.exchanges("Hi", "One.")
            engine.enqueue(*answer("Two."))
            for key in (*"draft", "f6", *"!x", "backspace", "enter"):
                typed = key if len(key) == 1 else None
                chat.app.post_message(Key("exclamation_mark" if key == "!" else key, typed))
            await chat.has_answers("Two.")
            assert chat.shows("Hi!")
            assert chat.prompt.text == "draft"

    async def test_escape_leaves_editing_with_everything_as_it_was(
        self, chatting: Chatting, engine: ScriptedEngine
    ) -> None:
        async with chatting() as chat:
            await chat.exchanges("Hi", "One.")
            await chat.types("draft")
            await chat.presses("f6", "x", "escape")
            assert chat.prompt.text == "draft"
            assert chat.answers == ["One."]
            await chat.exchanges("!", "Two.")
            assert shown_turns(engine.requests[-1]).count("draft!") == 1

    async def test_an_edited_question_that_can_not_be_stored_stays_in_the_prompt(
        self, chatting: Chatting, store: Store
    ) -> None:
        async with chatting() as chat:
            await chat.exchanges("Hi", "One.")
            await chat.presses("f6", "x")
            store.close()
            await chat.presses("enter")
            await chat.reads("✖")
            assert chat.prompt.text == "Hix"
            assert chat.shows("Editing the question")

    async def test_an_answer_is_edited_and_gone_on_from(
        self, chatting: Chatting, engine: ScriptedEngine, store: Store
    ) -> None:
        async with chatting() as chat:
            await chat.exchanges("Hi", "One.")
            await chat.presses("shift+tab", "e")
            assert chat.shows("Editing the answer")
            assert chat.prompt.text == "One."
            await chat.presses("backspace", "comma")
            engine.enqueue(*answer("two."))
            await chat.presses("f7")
            await chat.has_answers("One,two.")
            await chat.is_ready()
            assert "".join(map(shown, engine.requests[-1].prefix)) == "One,"
            (listed,) = store.conversations()
            turns = store.turns(listed.id)
            assert [(turn.text, turn.stop_reason) for turn in turns[1:]] == [
                ("One.", "stop"),
                ("One,", "edited"),
                ("One,two.", "stop"),
            ]
            assert chat.shows("‹ 3/3 ›")

    async def test_an_edited_answer_is_what_the_next_question_stands_behind(
        self, chatting: Chatting, engine: ScriptedEngine
    ) -> None:
        async with chatting() as chat:
            await chat.exchanges("Hi", "One.")
            await chat.presses("shift+tab", "e", "x", "enter")
            await chat.has_answers("One.x")
            assert chat.shows("✎ edited by you")
            await chat.exchanges("Well", "Two.")
            assert "One.x" in shown_turns(engine.requests[-1])

    async def test_a_cut_answer_goes_on(self, chatting: Chatting, engine: ScriptedEngine) -> None:
        async with chatting() as chat:
            engine.enqueue(delta("Hel"), finished("Hel", "length"))
            await chat.asks("Hi")
            await chat.reads("cut at the length limit")
            engine.enqueue(delta("lo"), gate := Gate())
            await chat.presses("f7")
            await chat.until(gate.reached.is_set)
            await chat.until(lambda: chat.answers == ["Hello"])
            gate.open()
            await chat.reads("‹ 2/2 ›")

    async def test_nothing_moves_while_an_answer_is_written(
        self, chatting: Chatting, engine: ScriptedEngine
    ) -> None:
        async with chatting() as chat:
            await chat.exchanges("Hi", "One.")
            engine.enqueue(delta("Tw"), gate := Gate())
            await chat.presses("f5")
            await chat.until(gate.reached.is_set)
            for key in ("f5", "f6", "f7", "alt+left", "alt+u"):
                await chat.presses(key)
                assert chat.answers == ["Tw"]
                assert not chat.shows("Editing")
            gate.open()
            await chat.is_ready()
            assert len(engine.requests) == 2

    async def test_undo_takes_back_moves_one_by_one(self, chatting: Chatting) -> None:
        async with chatting() as chat:
            await chat.exchanges("Hi", "One.")
            await chat.exchanges("Well", "Two.")
            await chat.gets_another("f5", "Three.")
            await chat.presses("alt+u")
            await chat.has_answers("One.", "Two.")
            await chat.presses("alt+u")
            await chat.has_answers("One.")
            await chat.presses("alt+u")
            await chat.reads("What is a base language model?")
            await chat.presses("alt+u")
            await chat.reads("There is nothing to undo.")

    async def test_there_is_nothing_to_do_in_an_empty_conversation(
        self, chatting: Chatting
    ) -> None:
        async with chatting() as chat:
            await chat.presses("f5", "f7", "alt+left")
            await chat.presses("f6")
            await chat.reads("There is nothing to edit yet.")


class TestTheMarkedTurn:
    async def test_the_keys_of_the_transcript_act_on_it(self, chatting: Chatting) -> None:
        async with chatting() as chat:
            await chat.exchanges("Hi", "One.")
            await chat.exchanges("Well", "Two.")
            await chat.presses("shift+tab", "up", "up")
            await chat.gets_another("r", "Uno.")
            assert chat.answers == ["Uno."]
            assert chat.shows("‹ 2/2 ›")
            await chat.presses("up", "down", "left")
            await chat.has_answers("One.", "Two.")

    async def test_a_click_marks_a_turn(self, chatting: Chatting) -> None:
        async with chatting() as chat:
            await chat.exchanges("Hi", "One.")
            await chat.pilot.click(chat.transcript.views[0])
            await chat.presses("e")
            assert chat.shows("Editing the question")
            assert chat.prompt.text == "Hi"

    async def test_what_is_above_the_changed_turn_is_not_drawn_anew(
        self, chatting: Chatting
    ) -> None:
        async with chatting() as chat:
            await chat.exchanges("Hi", "One.")
            await chat.exchanges("Well", "Two.")
            before = chat.transcript.views[:2]
            await chat.gets_another("f5", "Three.")
            assert chat.transcript.views[:2] == before
            assert chat.answers == ["One.", "Three."]

    async def test_a_long_turn_is_scrolled_through_before_the_next_one(
        self, chatting: Chatting
    ) -> None:
        async with chatting() as chat:
            await chat.exchanges("Hi", "One.")
            long = "\n\n".join(f"Line {number}" for number in range(40))
            await chat.exchanges("Well", long)
            await chat.presses("shift+tab")
            assert chat.transcript.marked is chat.transcript.views[-1]
            presses = 0
            while chat.transcript.marked is chat.transcript.views[-1]:
                await chat.presses("up")
                presses += 1
                assert presses < 60, chat.text
            assert presses > 5

    async def test_the_status_tells_what_was_reused(self, chatting: Chatting) -> None:
        async with chatting(size=(120, 40)) as chat:
            await chat.exchanges("Hi", "One.")
            assert "512 reused" in chat.status


class TestTheContext:
    async def test_the_meter_tells_preamble_history_and_what_is_free(
        self, chatting: Chatting
    ) -> None:
        async with chatting(size=(140, 40)) as chat:
            assert "▰" + "─" * 9 + " 512/4,096" in chat.status
            await chat.exchanges("Hi", "One.")
            assert "▰━" + "─" * 8 + " 800/4,096" in chat.status
            assert "288 history, 3,296 free" in chat.status

    async def test_a_warning_comes_once_before_the_oldest_turns_leave(
        self, chatting: Chatting, engine: ScriptedEngine
    ) -> None:
        async with chatting() as chat:
            await chat.exchanges("Hi", "One.")
            for reply, room, told in (("Two.", 90, 0), ("Three.", 1, 1), ("Four.", -50, 1)):
                engine.enqueue(*answer(reply), finished(reply, room=room))
                await chat.asks("Well")
                await chat.until(lambda: chat.answers[-1] == reply)  # noqa: B023
                await chat.is_ready()
                notes = [n.message for n in chat.app._notifications]
                assert sum("nearly full" in note for note in notes) == told
