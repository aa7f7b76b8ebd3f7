"""Other versions of a turn: made, gone to and left again by keys."""

from __future__ import annotations

from textual.events import Key
from textual.pilot import Pilot

from tests.scripted import Gate, ScriptedEngine, answer, delta, finished, shown, shown_turns
from tests.tui.conftest import Opened, screen_text, shows, status, type_text, wait_until
from tests.tui.test_chat_screen import converse, markdown, prompt, transcript
from urial_tui.chat.store import Store


async def again(pilot: Pilot[None], engine: ScriptedEngine, key: str, reply: str) -> None:
    """Press a key that has something answered, and wait for the end of the answer."""
    engine.enqueue(*answer(reply))
    await pilot.press(key)
    await wait_until(pilot, lambda: bool(markdown(pilot)) and markdown(pilot)[-1].endswith(reply))
    await wait_until(pilot, lambda: "ready" in status(pilot))


class TestVersions:
    async def test_answering_again_keeps_the_first_answer_beside_the_new_one(
        self, opened: Opened, engine: ScriptedEngine, store: Store
    ) -> None:
        async with opened() as pilot:
            await converse(pilot, engine, "Hi", "One.")
            assert not shows(pilot, "1/1")
            await again(pilot, engine, "f5", "Two.")
            assert markdown(pilot) == ["Two."]
            assert shows(pilot, "‹ 2/2 ›")
            await pilot.press("alt+left")
            await wait_until(pilot, lambda: markdown(pilot) == ["One."])
            assert shows(pilot, "‹ 1/2 ›")
            await pilot.press("alt+right")
            await wait_until(pilot, lambda: markdown(pilot) == ["Two."])
            (listed,) = store.conversations()
            assert [turn.text for turn in store.turns(listed.id)] == ["Hi", "One.", "Two."]

    async def test_another_answer_is_sampled_where_a_greedy_one_would_be_the_same(
        self, opened: Opened, engine: ScriptedEngine
    ) -> None:
        async with opened() as pilot:
            await converse(pilot, engine, "Hi", "One.")
            await again(pilot, engine, "f5", "Two.")
            assert shows(pilot, "this one is drawn at temperature 0.7.")
            assert shows(pilot, "4 tokens · 75 tokens/s · temperature 0.7")
            await again(pilot, engine, "f7", "more.")
            assert not shows(pilot, "· temperature")
            used = [request.sampling for request in engine.requests]
            assert [sampling.temperature for sampling in used if sampling] == [0.0, 0.7, 0.0]

    async def test_a_question_is_edited_and_answered_beside_the_old_one(
        self, opened: Opened, engine: ScriptedEngine
    ) -> None:
        async with opened() as pilot:
            await converse(pilot, engine, "Hi", "One.")
            await type_text(pilot, "draft")
            await pilot.press("f6")
            assert prompt(pilot).text == "Hi"
            assert shows(pilot, "Editing the question")
            await type_text(pilot, " there")
            await again(pilot, engine, "enter", "Two.")
            assert shows(pilot, "Hi there")
            assert shows(pilot, "You  ‹ 2/2 ›")
            assert "Hi there" in shown_turns(engine.requests[-1])
            assert "One." not in shown_turns(engine.requests[-1])
            assert prompt(pilot).text == "draft"
            assert not shows(pilot, "Editing")

    async def test_keys_that_come_at_once_are_taken_in_their_order(
        self, opened: Opened, engine: ScriptedEngine
    ) -> None:
        async with opened() as pilot:
            await converse(pilot, engine, "Hi", "One.")
            engine.enqueue(*answer("Two."))
            for key in (*"draft", "f6", *"!x", "backspace", "enter"):
                typed = key if len(key) == 1 else None
                pilot.app.post_message(Key("exclamation_mark" if key == "!" else key, typed))
            await wait_until(pilot, lambda: markdown(pilot) == ["Two."])
            assert shows(pilot, "Hi!")
            assert prompt(pilot).text == "draft"

    async def test_escape_leaves_editing_with_everything_as_it_was(
        self, opened: Opened, engine: ScriptedEngine
    ) -> None:
        async with opened() as pilot:
            await converse(pilot, engine, "Hi", "One.")
            await type_text(pilot, "draft")
            await pilot.press("f6", "x", "escape")
            assert prompt(pilot).text == "draft"
            assert markdown(pilot) == ["One."]
            await converse(pilot, engine, "!", "Two.")
            assert shown_turns(engine.requests[-1]).count("draft!") == 1

    async def test_an_edited_question_that_can_not_be_stored_stays_in_the_prompt(
        self, opened: Opened, engine: ScriptedEngine, store: Store
    ) -> None:
        async with opened() as pilot:
            await converse(pilot, engine, "Hi", "One.")
            await pilot.press("f6", "x")
            store.close()
            await pilot.press("enter")
            await wait_until(pilot, lambda: shows(pilot, "✖"))
            assert prompt(pilot).text == "Hix"
            assert shows(pilot, "Editing the question")

    async def test_an_answer_is_edited_and_gone_on_from(
        self, opened: Opened, engine: ScriptedEngine, store: Store
    ) -> None:
        async with opened() as pilot:
            await converse(pilot, engine, "Hi", "One.")
            await pilot.press("shift+tab", "e")
            assert shows(pilot, "Editing the answer")
            assert prompt(pilot).text == "One."
            await pilot.press("backspace", "comma")
            engine.enqueue(*answer("two."))
            await pilot.press("f7")
            await wait_until(pilot, lambda: markdown(pilot) == ["One,two."])
            await wait_until(pilot, lambda: "ready" in status(pilot))
            assert "".join(map(shown, engine.requests[-1].prefix)) == "One,"
            (listed,) = store.conversations()
            turns = store.turns(listed.id)
            assert [(turn.text, turn.stop_reason) for turn in turns[1:]] == [
                ("One.", "stop"),
                ("One,", "edited"),
                ("One,two.", "stop"),
            ]
            assert shows(pilot, "‹ 3/3 ›")

    async def test_an_edited_answer_is_what_the_next_question_stands_behind(
        self, opened: Opened, engine: ScriptedEngine
    ) -> None:
        async with opened() as pilot:
            await converse(pilot, engine, "Hi", "One.")
            await pilot.press("shift+tab", "e", "x", "enter")
            await wait_until(pilot, lambda: markdown(pilot) == ["One.x"])
            assert shows(pilot, "✎ edited by you")
            await converse(pilot, engine, "Well", "Two.")
            assert "One.x" in shown_turns(engine.requests[-1])

    async def test_a_cut_answer_goes_on(self, opened: Opened, engine: ScriptedEngine) -> None:
        async with opened() as pilot:
            engine.enqueue(delta("Hel"), finished("Hel", "length"))
            await type_text(pilot, "Hi")
            await pilot.press("enter")
            await wait_until(pilot, lambda: shows(pilot, "cut at the length limit"))
            engine.enqueue(delta("lo"), gate := Gate())
            await pilot.press("f7")
            await wait_until(pilot, gate.reached.is_set)
            await wait_until(pilot, lambda: markdown(pilot) == ["Hello"])
            gate.open()
            await wait_until(pilot, lambda: shows(pilot, "‹ 2/2 ›"))

    async def test_nothing_moves_while_an_answer_is_written(
        self, opened: Opened, engine: ScriptedEngine
    ) -> None:
        async with opened() as pilot:
            await converse(pilot, engine, "Hi", "One.")
            engine.enqueue(delta("Tw"), gate := Gate())
            await pilot.press("f5")
            await wait_until(pilot, gate.reached.is_set)
            for key in ("f5", "f6", "f7", "alt+left", "alt+u"):
                await pilot.press(key)
                await pilot.pause()
                assert markdown(pilot) == ["Tw"]
                assert not shows(pilot, "Editing")
            gate.open()
            await wait_until(pilot, lambda: "ready" in status(pilot))
            assert len(engine.requests) == 2

    async def test_undo_takes_back_moves_one_by_one(
        self, opened: Opened, engine: ScriptedEngine
    ) -> None:
        async with opened() as pilot:
            await converse(pilot, engine, "Hi", "One.")
            await converse(pilot, engine, "Well", "Two.")
            await again(pilot, engine, "f5", "Three.")
            await pilot.press("alt+u")
            await wait_until(pilot, lambda: markdown(pilot) == ["One.", "Two."])
            await pilot.press("alt+u")
            await wait_until(pilot, lambda: markdown(pilot) == ["One."])
            await pilot.press("alt+u")
            await wait_until(pilot, lambda: shows(pilot, "What is a base language model?"))
            await pilot.press("alt+u")
            await wait_until(pilot, lambda: shows(pilot, "There is nothing to undo."))

    async def test_there_is_nothing_to_do_in_an_empty_conversation(self, opened: Opened) -> None:
        async with opened() as pilot:
            await pilot.press("f5", "f7", "alt+left")
            await pilot.press("f6")
            await wait_until(pilot, lambda: shows(pilot, "There is nothing to edit yet."))


class TestTheMarkedTurn:
    async def test_the_keys_of_the_transcript_act_on_it(
        self, opened: Opened, engine: ScriptedEngine
    ) -> None:
        async with opened() as pilot:
            await converse(pilot, engine, "Hi", "One.")
            await converse(pilot, engine, "Well", "Two.")
            await pilot.press("shift+tab", "up", "up")
            await again(pilot, engine, "r", "Uno.")
            assert markdown(pilot) == ["Uno."]
            assert shows(pilot, "‹ 2/2 ›")
            await pilot.press("up", "down", "left")
            await wait_until(pilot, lambda: markdown(pilot) == ["One.", "Two."])

    async def test_a_click_marks_a_turn(self, opened: Opened, engine: ScriptedEngine) -> None:
        async with opened() as pilot:
            await converse(pilot, engine, "Hi", "One.")
            await pilot.click(transcript(pilot).views[0])
            await pilot.press("e")
            assert shows(pilot, "Editing the question")
            assert prompt(pilot).text == "Hi"

    async def test_what_is_above_the_changed_turn_is_not_drawn_anew(
        self, opened: Opened, engine: ScriptedEngine
    ) -> None:
        async with opened() as pilot:
            await converse(pilot, engine, "Hi", "One.")
            await converse(pilot, engine, "Well", "Two.")
            before = transcript(pilot).views[:2]
            await again(pilot, engine, "f5", "Three.")
            assert transcript(pilot).views[:2] == before
            assert markdown(pilot) == ["One.", "Three."]

    async def test_a_long_turn_is_scrolled_through_before_the_next_one(
        self, opened: Opened, engine: ScriptedEngine
    ) -> None:
        async with opened() as pilot:
            await converse(pilot, engine, "Hi", "One.")
            long = "\n\n".join(f"Line {number}" for number in range(40))
            await converse(pilot, engine, "Well", long)
            await pilot.press("shift+tab")
            assert transcript(pilot).marked is transcript(pilot).views[-1]
            presses = 0
            while transcript(pilot).marked is transcript(pilot).views[-1]:
                await pilot.press("up")
                await pilot.pause()
                presses += 1
                assert presses < 60, screen_text(pilot)
            assert presses > 5

    async def test_the_status_tells_what_was_reused(
        self, opened: Opened, engine: ScriptedEngine
    ) -> None:
        async with opened(size=(120, 40)) as pilot:
            await converse(pilot, engine, "Hi", "One.")
            assert "512 reused" in status(pilot)


class TestTheContext:
    async def test_the_meter_tells_preamble_history_and_what_is_free(
        self, opened: Opened, engine: ScriptedEngine
    ) -> None:
        async with opened(size=(140, 40)) as pilot:
            assert "▰" + "─" * 9 + " 512/4,096" in status(pilot)
            await converse(pilot, engine, "Hi", "One.")
            assert "▰━" + "─" * 8 + " 800/4,096" in status(pilot)
            assert "288 history, 3,296 free" in status(pilot)

    async def test_a_warning_comes_once_before_the_oldest_turns_leave(
        self, opened: Opened, engine: ScriptedEngine
    ) -> None:
        async with opened() as pilot:
            await converse(pilot, engine, "Hi", "One.")
            for reply, room, told in (("Two.", 90, 0), ("Three.", 1, 1), ("Four.", -50, 1)):
                engine.enqueue(*answer(reply), finished(reply, room=room))
                await type_text(pilot, "Well")
                await pilot.press("enter")
                await wait_until(pilot, lambda: markdown(pilot)[-1] == reply)  # noqa: B023
                await wait_until(pilot, lambda: "ready" in status(pilot))
                notes = [n.message for n in pilot.app._notifications]
                assert sum("nearly full" in note for note in notes) == told
