"""Two sides answer one question; driven by keys."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot
from textual.widgets import OptionList

from tests.conftest import workers
from tests.scripted import Gate, ScriptedEngine, answer, delta, shown_turns
from tests.tui.conftest import (
    Found,
    Opened,
    screen_text,
    shows,
    status,
    wait_until,
)
from tests.tui.sides import Sides, answered, ask, open_sides, phase, screen, texts
from urial_tui.chat.session import Conversation
from urial_tui.chat.store import Store
from urial_tui.chat.turns import TurnRecord
from urial_tui.engine.client.engine import Engine
from urial_tui.engine.wire.protocol import Notice
from urial_tui.errors import EngineDied, ModelError
from urial_tui.prompting.preamble_file import find_preamble
from urial_tui.runtime.writer import Choice
from urial_tui.settings import ChatSettings, EngineSettings, SamplingSettings, Settings
from urial_tui.tui.chat.choose import ChooseScreen
from urial_tui.tui.duel.ballot import Ballot
from urial_tui.tui.duel.side_by_side import SideBySideScreen, first_choices
from urial_tui.tui.widgets.prompt import Prompt


@pytest.fixture
def sides() -> Sides:
    return Sides()


def turns(store: Store) -> list[TurnRecord]:
    (head,) = store.conversations()
    return store.turns(head.id)


def answers(store: Store) -> list[TurnRecord]:
    return [turn for turn in turns(store) if turn.role == "assistant"]


def two_models(pilot: Pilot[None], other: str = "other") -> None:
    """Put another model at the right."""
    shown = screen(pilot)
    shown.choices[1] = Choice(model=other, preamble=find_preamble("urial-k1"))
    shown.view.show_phase("empty")


class TestAsking:
    async def test_both_sides_answer_and_both_answers_are_kept(
        self, opened: Opened, sides: Sides, store: Store
    ) -> None:
        sides.engines[0].enqueue(*answer("From the left."))
        sides.engines[0].enqueue(*answer("From the right."))
        async with opened(**sides.changes()) as pilot:
            await open_sides(pilot)
            assert shows(pilot, "A  tiny · urial-k1")
            assert shows(pilot, "B  tiny · zero-shot")
            await ask(pilot, "Hello")
            await answered(pilot)
            assert texts(pilot) == ["From the left.", "From the right."]
            question, left, right = turns(store)
            assert {left.parent_id, right.parent_id} == {question.id}
            assert (left.preamble, right.preamble) == ("urial-k1", "zero-shot")
            assert (left.text, right.text) == ("From the left.", "From the right.")

    async def test_one_model_is_loaded_once_and_asked_under_both_preambles(
        self, opened: Opened, sides: Sides
    ) -> None:
        async with opened(**sides.changes()) as pilot:
            await open_sides(pilot)
            await ask(pilot, "Hello")
            await answered(pilot)
            assert sides.made == 1
            (engine, _) = sides.engines
            assert len(engine.loads) == 1
            assert engine.requests[0].preamble != engine.requests[1].preamble == ()

    async def test_two_models_get_an_engine_each_where_they_fit(
        self, opened: Opened, sides: Sides
    ) -> None:
        async with opened(**sides.changes()) as pilot:
            await open_sides(pilot)
            two_models(pilot)
            for _ in range(2):
                await ask(pilot, "Hello")
                await answered(pilot)
                await pilot.press("t")
                await answered(pilot, "over")
            assert [len(engine.loads) for engine in sides.engines] == [1, 1]
            assert [len(engine.requests) for engine in sides.engines] == [2, 2]

    async def test_two_models_take_turns_where_they_do_not_fit(
        self, opened: Opened, sides: Sides, store: Store
    ) -> None:
        sides.fits = False
        async with opened(**sides.changes()) as pilot:
            await open_sides(pilot)
            two_models(pilot)
            await ask(pilot, "Hello")
            await answered(pilot)
            assert sides.made == 1
            assert len(sides.engines[0].loads) == 2
            assert [turn.model for turn in answers(store)] == ["tiny", "other"]

    async def test_the_second_side_starts_when_the_first_has_ended(
        self, opened: Opened, sides: Sides
    ) -> None:
        gate = Gate()
        sides.engines[0].enqueue(delta("Left"), gate)
        async with opened(**sides.changes()) as pilot:
            await open_sides(pilot)
            two_models(pilot)
            await ask(pilot, "Hello")
            await wait_until(pilot, lambda: shows(pilot, "writing · 4 tokens"))
            assert shows(pilot, "waits for its turn")
            assert sides.engines[1].requests == []
            gate.open()
            await answered(pilot)

    async def test_escape_stops_both_and_keeps_the_text(
        self, opened: Opened, sides: Sides, store: Store
    ) -> None:
        gate = Gate()
        sides.engines[0].enqueue(delta("Half"), gate)
        async with opened(**sides.changes()) as pilot:
            await open_sides(pilot)
            await ask(pilot, "Hello")
            await wait_until(pilot, lambda: texts(pilot)[:1] == ["Half"])
            await pilot.press("escape")
            await answered(pilot, "over")
            assert shows(pilot, "■ stopped")
            assert shows(pilot, "■ not answered")
            assert [(t.text, t.stop_reason) for t in answers(store)] == [("Half", "cancelled")]
            assert isinstance(pilot.app.screen, SideBySideScreen)

    async def test_the_keys_go_to_the_vote_and_then_back_to_the_prompt(
        self, opened: Opened, sides: Sides
    ) -> None:
        async with opened(**sides.changes()) as pilot:
            await open_sides(pilot)
            await ask(pilot, "Hello")
            assert isinstance(pilot.app.focused, Ballot | Prompt)
            await answered(pilot)
            assert isinstance(pilot.app.focused, Ballot)
            await pilot.press("enter")
            assert phase(pilot) == "voting"
            await pilot.press("a")
            await answered(pilot, "over")
            assert isinstance(pilot.app.focused, Prompt)

    async def test_equal_greedy_sides_are_not_asked(self, opened: Opened, sides: Sides) -> None:
        async with opened(**sides.changes()) as pilot:
            await open_sides(pilot)
            screen(pilot).choices[1] = screen(pilot).choices[0]
            await ask(pilot, "Hello")
            await wait_until(pilot, lambda: shows(pilot, "Both sides are the same"))
            assert screen(pilot).query_one(Prompt).text == "Hello"
            assert sides.made == 0

    async def test_another_side_is_chosen_with_a_key(
        self, opened: Opened, sides: Sides, store: Store
    ) -> None:
        async with opened(**sides.changes()) as pilot:
            await open_sides(pilot)
            await pilot.press("f3")
            await wait_until(pilot, lambda: isinstance(pilot.app.screen, ChooseScreen))
            listed = pilot.app.screen.query_one("#preambles", OptionList)
            await pilot.press("right", "home")
            while "urial-k8" not in str(listed.get_option_at_index(listed.highlighted or 0).prompt):
                await pilot.press("down")
            await pilot.press("enter")
            await wait_until(pilot, lambda: shows(pilot, "B  tiny · urial-k8"))
            await ask(pilot, "Hello")
            await answered(pilot)
            assert [turn.preamble for turn in answers(store)] == ["urial-k1", "urial-k8"]

    async def test_not_while_the_chat_answers(
        self, opened: Opened, sides: Sides, engine: ScriptedEngine
    ) -> None:
        gate = Gate()
        engine.enqueue(gate)
        async with opened(**sides.changes()) as pilot:
            await ask(pilot, "Hello")
            await wait_until(pilot, gate.reached.is_set)
            await pilot.press("f9")
            await wait_until(pilot, lambda: shows(pilot, "One answer at a time"))
            assert not isinstance(pilot.app.screen, SideBySideScreen)
            gate.open()
            await wait_until(pilot, lambda: "ready" in status(pilot))

    async def test_one_side_alone_and_both_again(self, opened: Opened, sides: Sides) -> None:
        sides.engines[0].enqueue(*answer("Left."))
        sides.engines[0].enqueue(*answer("Right."))
        async with opened(**sides.changes()) as pilot:
            await open_sides(pilot)
            await ask(pilot, "Hello")
            await answered(pilot)
            seen = []
            for _ in range(3):
                await pilot.press("f6")
                await pilot.pause()
                seen.append((shows(pilot, "Left."), shows(pilot, "Right.")))
            assert seen == [(True, False), (False, True), (True, True)]

    async def test_hostile_text_is_shown_as_text(self, opened: Opened, sides: Sides) -> None:
        sides.engines[0].enqueue(*answer("\x1b[31mred\x1b[0m [bold]x[/bold]"))
        async with opened(**sides.changes()) as pilot:
            await open_sides(pilot)
            await ask(pilot, "[red]Hello")
            await answered(pilot)
            assert shows(pilot, "[red]Hello")
            assert shows(pilot, "[bold]x[/bold]")
            assert "\x1b" not in screen_text(pilot)


class TestTheConversation:
    async def test_it_is_the_chats_own_and_goes_on_there(
        self, opened: Opened, sides: Sides, engine: ScriptedEngine
    ) -> None:
        engine.enqueue(*answer("Chat one."))
        sides.engines[0].enqueue(*answer("Left."))
        sides.engines[0].enqueue(*answer("Right."))
        async with opened(**sides.changes()) as pilot:
            await ask(pilot, "first")
            await wait_until(pilot, lambda: shows(pilot, "Chat one.") and "ready" in status(pilot))
            await open_sides(pilot)
            assert shows(pilot, "goes on after 1 question: first")
            await ask(pilot, "second")
            await answered(pilot)
            assert all("Chat one." in shown_turns(r) for r in sides.engines[0].requests)
            await pilot.press("b")
            await answered(pilot, "over")
            await pilot.press("escape")
            await wait_until(pilot, lambda: shows(pilot, "Right."))
            assert not shows(pilot, "Left.")
            assert shows(pilot, "‹ 2/2 ›")
            assert shows(pilot, "under zero-shot, before under urial-k1")
            await ask(pilot, "third")
            await wait_until(pilot, lambda: len(engine.requests) == 2)
            assert "Right." in shown_turns(engine.requests[-1])
            assert "Left." not in shown_turns(engine.requests[-1])
            await wait_until(pilot, lambda: "ready" in status(pilot))

    async def test_the_next_question_goes_on_with_what_is_better(
        self, opened: Opened, sides: Sides
    ) -> None:
        for text in ("Left.", "Right.", "L2", "R2"):
            sides.engines[0].enqueue(*answer(text))
        async with opened(**sides.changes()) as pilot:
            await open_sides(pilot)
            await ask(pilot, "first")
            await answered(pilot)
            await pilot.press("b")
            await answered(pilot, "over")
            await ask(pilot, "second")
            await answered(pilot)
            for request in sides.engines[0].requests[2:]:
                assert "Right." in shown_turns(request)
                assert "Left." not in shown_turns(request)

    async def test_what_was_better_is_where_it_opens_again(
        self, opened: Opened, sides: Sides, store: Store
    ) -> None:
        sides.engines[0].enqueue(*answer("Left."))
        async with opened(**sides.changes()) as pilot:
            await open_sides(pilot)
            await ask(pilot, "first")
            await answered(pilot)
            await pilot.press("a")
            await answered(pilot, "over")
        (head,) = store.conversations()
        again = Conversation.open(store, head.id)
        assert again.leaf is not None
        assert again.leaf.text == "Left."

    async def test_with_neither_the_question_is_left_behind(
        self, opened: Opened, sides: Sides
    ) -> None:
        async with opened(**sides.changes()) as pilot:
            await open_sides(pilot)
            await ask(pilot, "first")
            await answered(pilot)
            await pilot.press("n")
            await answered(pilot, "over")
            assert shows(pilot, "✖ bad")
            await ask(pilot, "second")
            await answered(pilot)
            assert "first" not in shown_turns(sides.engines[0].requests[-1])

    async def test_a_new_one_is_one_key_away(
        self, opened: Opened, sides: Sides, store: Store
    ) -> None:
        async with opened(**sides.changes()) as pilot:
            await open_sides(pilot)
            await ask(pilot, "first")
            await answered(pilot)
            await pilot.press("ctrl+n")
            await wait_until(pilot, lambda: shows(pilot, "a new conversation"))
            await ask(pilot, "second")
            await answered(pilot)
            assert "first" not in shown_turns(sides.engines[0].requests[-1])
            assert len(store.conversations()) == 2

    async def test_the_sides_are_as_they_were_when_it_opens_again(
        self, opened: Opened, sides: Sides
    ) -> None:
        async with opened(**sides.changes()) as pilot:
            await open_sides(pilot)
            two_models(pilot)
            await pilot.press("f4", "escape")
            await wait_until(pilot, lambda: not isinstance(pilot.app.screen, SideBySideScreen))
            await open_sides(pilot)
            assert shows(pilot, "B  other · urial-k1")
            assert shows(pilot, "blind")

    async def test_the_chat_keeps_its_model_and_preamble(
        self, opened: Opened, sides: Sides, store: Store
    ) -> None:
        async with opened(**sides.changes()) as pilot:
            await open_sides(pilot)
            two_models(pilot)
            await ask(pilot, "first")
            await answered(pilot)
            await pilot.press("escape")
            await wait_until(pilot, lambda: "ready" in status(pilot))
            await ask(pilot, "second")
            await wait_until(pilot, lambda: len(answers(store)) == 3)
            assert (answers(store)[-1].model, answers(store)[-1].preamble) == ("tiny", "urial-k1")
            await wait_until(pilot, lambda: "ready" in status(pilot))

    async def test_the_conversation_opens_with_what_the_chat_answers_with(
        self, opened: Opened, sides: Sides, store: Store
    ) -> None:
        async with opened(**sides.changes()) as pilot:
            await open_sides(pilot)
            screen(pilot).choices.reverse()
            await ask(pilot, "first")
            await answered(pilot)
            (head,) = store.conversations()
            assert (head.model, head.preamble) == ("tiny", "urial-k1")
            assert [turn.preamble for turn in answers(store)] == ["zero-shot", "urial-k1"]


class TestFailures:
    @pytest.mark.parametrize("bad", [0, 1], ids=["left", "right"])
    async def test_a_side_that_dies_leaves_the_other(
        self, opened: Opened, sides: Sides, store: Store, bad: int
    ) -> None:
        sides.engines[bad].enqueue(delta("Ha"), EngineDied("The engine stopped.", "Memory."))
        sides.engines[1 - bad].enqueue(*answer("Fine."))
        async with opened(**sides.changes()) as pilot:
            await open_sides(pilot)
            two_models(pilot)
            await ask(pilot, "Hello")
            await answered(pilot, "over")
            assert shows(pilot, "✖ The engine stopped.")
            assert shows(pilot, f"Side {'AB'[bad]} failed. Side {'BA'[bad]} is not touched by it.")
            assert texts(pilot)[1 - bad] == "Fine."
            leaf = screen(pilot).conversation.leaf
            assert leaf is not None
            assert leaf.text == "Fine."
            assert store.votes() == []
            assert {turn.stop_reason for turn in answers(store)} == {"died", "stop"}

    async def test_a_side_that_died_is_loaded_again_for_the_next_question(
        self, opened: Opened, sides: Sides
    ) -> None:
        sides.engines[0].enqueue(EngineDied("The engine stopped.", "Memory."))
        async with opened(**sides.changes()) as pilot:
            await open_sides(pilot)
            two_models(pilot)
            await ask(pilot, "Hello")
            await answered(pilot, "over")
            await ask(pilot, "again")
            await answered(pilot)
            assert [len(engine.loads) for engine in sides.engines] == [2, 1]
            assert not shows(pilot, "✖")

    async def test_a_model_that_is_not_found_is_a_sentence(
        self, opened: Opened, sides: Sides
    ) -> None:
        def find(name: str, progress: object) -> Found:
            if name == "other":
                raise ModelError("There is no model named 'other'.", "Choose another.")
            return Found(name=name)

        async with opened(**(sides.changes() | {"find_model": find})) as pilot:
            await open_sides(pilot)
            two_models(pilot)
            await ask(pilot, "Hello")
            await answered(pilot, "over")
            assert shows(pilot, "✖ There is no model named 'other'.")
            assert shows(pilot, "■ not answered")
            assert texts(pilot)[0] == "Certainly."

    async def test_a_full_disk_costs_no_answer_and_no_second_vote(
        self, opened: Opened, sides: Sides, store: Store, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async with opened(**sides.changes()) as pilot:
            await open_sides(pilot)
            await ask(pilot, "Hello")
            await answered(pilot)
            with monkeypatch.context() as patch:
                patch.setattr(store, "add_vote", _full)
                await pilot.press("a")
                await wait_until(pilot, lambda: shows(pilot, "✖ The disk is full."))
                assert phase(pilot) == "voting"
            await pilot.press("a")
            await answered(pilot, "over")
            assert [vote.choice for vote in store.votes()] == ["left"]

    async def test_leaving_in_the_middle_keeps_the_text(
        self, opened: Opened, sides: Sides, store: Store
    ) -> None:
        gate = Gate()
        sides.engines[0].enqueue(delta("Half"), gate)
        async with opened(**sides.changes()) as pilot:
            await open_sides(pilot)
            await ask(pilot, "Hello")
            await wait_until(pilot, lambda: texts(pilot)[:1] == ["Half"])
            await pilot.press("ctrl+q")
        assert [(t.text, t.stop_reason) for t in answers(store)] == [("Half", "cancelled")]
        assert not any(engine.alive for engine in sides.engines)


def _full(vote: object) -> None:
    from urial_tui.errors import StoreError

    raise StoreError("The disk is full.", "Free some space.")


class TestVoting:
    @pytest.mark.parametrize(
        ("key", "choice"), [("a", "left"), ("b", "right"), ("t", "tie"), ("n", "neither")]
    )
    async def test_a_key_is_a_vote(
        self, opened: Opened, sides: Sides, store: Store, key: str, choice: str
    ) -> None:
        async with opened(**sides.changes()) as pilot:
            await open_sides(pilot)
            await ask(pilot, "Hello")
            await answered(pilot)
            await pilot.press(key)
            await answered(pilot, "over")
            (vote,) = store.votes()
            question, left, right = turns(store)
            assert (vote.choice, vote.blind) == (choice, False)
            assert (vote.question_id, vote.left_id, vote.right_id) == (
                question.id,
                left.id,
                right.id,
            )
            assert (str(vote.left), str(vote.right)) == ("tiny/urial-k1", "tiny/zero-shot")

    async def test_the_votes_are_told(self, opened: Opened, sides: Sides, store: Store) -> None:
        async with opened(size=(120, 40), **sides.changes()) as pilot:
            await open_sides(pilot)
            assert shows(pilot, "no open votes between these yet")
            for key in ("a", "a", "b", "t"):
                await ask(pilot, "Hello")
                await answered(pilot)
                await pilot.press(key)
                await answered(pilot, "over")
            assert shows(pilot, "open: tiny/urial-k1 2 : 1 tiny/zero-shot  1 tie, sign test p = 1")

    async def test_the_mouse_votes_as_well(
        self, opened: Opened, sides: Sides, store: Store
    ) -> None:
        async with opened(**sides.changes()) as pilot:
            await open_sides(pilot)
            await ask(pilot, "Hello")
            await answered(pilot)
            await pilot.click("#vote-right")
            await answered(pilot, "over")
            assert [vote.choice for vote in store.votes()] == ["right"]

    async def test_not_before_both_answers_are_there(
        self, opened: Opened, sides: Sides, store: Store
    ) -> None:
        gate = Gate()
        sides.engines[0].enqueue(delta("Left"), gate)
        async with opened(**sides.changes()) as pilot:
            await open_sides(pilot)
            await ask(pilot, "Hello")
            await wait_until(pilot, lambda: texts(pilot)[:1] == ["Left"])
            await pilot.press("a")
            await wait_until(pilot, lambda: shows(pilot, "Both answers have to be there"))
            gate.open()
            await answered(pilot)
            assert store.votes() == []

    async def test_a_question_can_be_asked_without_a_vote(
        self, opened: Opened, sides: Sides, store: Store
    ) -> None:
        async with opened(**sides.changes()) as pilot:
            await open_sides(pilot)
            await ask(pilot, "first")
            await answered(pilot)
            await pilot.press("tab")
            await wait_until(pilot, lambda: isinstance(pilot.app.focused, Prompt))
            await ask(pilot, "second")
            await wait_until(pilot, lambda: len(sides.engines[0].requests) == 4)
            await answered(pilot)
            assert store.votes() == []
            assert "first" in shown_turns(sides.engines[0].requests[-1])

    async def test_without_a_store_votes_are_counted_until_the_end(
        self, opened: Opened, sides: Sides
    ) -> None:
        async with opened(size=(120, 40), store=None, **sides.changes()) as pilot:
            await open_sides(pilot)
            assert shows(pilot, "not stored")
            await ask(pilot, "Hello")
            await answered(pilot)
            await pilot.press("b")
            await wait_until(pilot, lambda: shows(pilot, "tiny/zero-shot 1 : 0 tiny/urial-k1"))


SECRETS = ("secret-model", "zero-shot", "urial-k1", "tiny")


class Leaks:
    """Looks for names on the screen, over and over."""

    def __init__(self, pilot: Pilot[None]) -> None:
        self._pilot = pilot
        self.found: set[str] = set()

    def none(self) -> bool:
        text = screen_text(self._pilot)
        everything = text + "".join(
            f"{notice.title} {notice.message}" for notice in self._pilot.app._notifications
        )
        self.found |= {name for name in SECRETS if name in everything}
        return not self.found


class TestBlind:
    async def test_no_name_is_shown_before_the_vote(
        self, opened: Opened, sides: Sides, store: Store
    ) -> None:
        gate = Gate()
        for engine, text in zip(sides.engines, ("One.", "Two."), strict=True):
            engine.enqueue_load(Notice(id=0, message="The model secret-model needs much memory."))
            engine.enqueue(delta(text), gate)
        async with opened(size=(120, 40), **sides.changes()) as pilot:
            await open_sides(pilot)
            two_models(pilot, "secret-model")
            pilot.app.notify("Something said before about secret-model")
            await pilot.press("f4")
            await ask(pilot, "Hello")
            leaks = Leaks(pilot)
            await wait_until(pilot, gate.reached.is_set)
            assert leaks.none(), leaks.found
            gate.open()
            while phase(pilot) == "answering":
                await pilot.pause()
                assert leaks.none(), leaks.found
            assert sorted(texts(pilot)) == ["One.", "Two."]
            for key in ("f2", "f3", "f4", "f6", "f6", "f6", "tab", "tab"):
                await pilot.press(key)
                await pilot.pause()
                assert isinstance(pilot.app.screen, SideBySideScreen)
                assert leaks.none(), leaks.found
            screen(pilot).query_one(Ballot).focus()
            await pilot.press("a")
            await answered(pilot, "over")
            assert shows(pilot, "secret-model · urial-k1")
            assert shows(pilot, "tiny · urial-k1")
            assert shows(pilot, "The model secret-model needs much memory.")
            assert [vote.blind for vote in store.votes()] == [True]

    async def test_neither_speed_nor_order_tells_the_sides(
        self, opened: Opened, sides: Sides, store: Store
    ) -> None:
        gate = Gate()
        sides.engines[0].enqueue(delta("Fast and first"), gate)
        async with opened(**sides.changes()) as pilot:
            await open_sides(pilot)
            await pilot.press("f4")
            await ask(pilot, "Hello")
            await wait_until(pilot, gate.reached.is_set)
            assert screen_text(pilot).count("both answers appear together") == 2
            assert not shows(pilot, "Fast")
            assert shows(pilot, "Answer 1 of 2 is on its way")
            assert not shows(pilot, "Which is better?")
            await pilot.press("a")
            assert store.votes() == []
            gate.open()
            await answered(pilot)
            assert shows(pilot, "Fast")
            assert shows(pilot, "Which is better?")
            assert not shows(pilot, "of 2 is on its way")
            assert not shows(pilot, "tokens")
            await pilot.press("t")
            await answered(pilot, "over")
            assert shows(pilot, "75 tokens/s")

    @pytest.mark.parametrize("swap", [True, False])
    async def test_sides_are_drawn_and_the_vote_knows_who_stood_where(
        self, opened: Opened, sides: Sides, store: Store, swap: bool
    ) -> None:
        sides.engines[0].enqueue(*answer("Left."))
        async with opened(**sides.changes()) as pilot:
            await open_sides(pilot)
            screen(pilot)._swap = lambda: swap
            await pilot.press("f4")
            await ask(pilot, "Hello")
            await answered(pilot)
            assert texts(pilot)[0] == "Left."
            await pilot.press("a")
            await answered(pilot, "over")
            (vote,) = store.votes()
            wrote = next(turn.preamble for turn in answers(store) if turn.text == "Left.")
            assert wrote == ("zero-shot" if swap else "urial-k1")
            assert vote.better is not None
            assert vote.better.preamble == wrote

    async def test_sides_change_places_now_and_then(self, opened: Opened, sides: Sides) -> None:
        async with opened(**sides.changes()) as pilot:
            await open_sides(pilot)
            seen = {screen(pilot)._swap() for _ in range(200)}
            assert seen == {True, False}

    async def test_a_failure_reveals_what_can_not_be_judged_any_more(
        self, opened: Opened, sides: Sides, store: Store
    ) -> None:
        sides.engines[0].enqueue(*answer("Fine."))
        sides.engines[1].enqueue(EngineDied("secret-model was too large.", "Memory."))
        async with opened(size=(120, 40), **sides.changes()) as pilot:
            await open_sides(pilot)
            screen(pilot)._swap = lambda: False
            two_models(pilot, "secret-model")
            await pilot.press("f4")
            await ask(pilot, "Hello")
            await answered(pilot, "over")
            assert shows(pilot, "B  secret-model · urial-k1")
            assert shows(pilot, "✖ secret-model was too large.")
            assert store.votes() == []

    async def test_blind_votes_are_counted_apart(self, opened: Opened, sides: Sides) -> None:
        async with opened(size=(120, 40), **sides.changes()) as pilot:
            await open_sides(pilot)
            await ask(pilot, "Hello")
            await answered(pilot)
            await pilot.press("a")
            await answered(pilot, "over")
            assert shows(pilot, "open: tiny/urial-k1 1 : 0 tiny/zero-shot")
            await pilot.press("f4")
            await wait_until(pilot, lambda: shows(pilot, "no blind votes between these yet"))


def test_the_second_side_starts_without_the_preamble() -> None:
    used = Choice(model="m", preamble=find_preamble("urial-k3"))
    assert first_choices(used)[1].preamble.name == "zero-shot"
    plain = Choice(model="m", preamble=find_preamble("zero-shot"))
    assert first_choices(plain)[1].preamble.name == "urial-k3"


@pytest.fixture
def real(llama_gguf: Path, sliding_window_gguf: Path) -> dict[str, Any]:
    """An application on real workers: the chat's, and one for each of two models."""
    files = {"tiny": llama_gguf, "other": sliding_window_gguf}
    return {
        "engine_factory": Engine,
        "find_model": lambda name, progress: Found(name=name, path=files[name]),
        "preamble": find_preamble("zero-shot"),
        "settings": Settings(
            chat=ChatSettings(max_tokens=20),
            engine=EngineSettings(context=2048, threads=1),
            sampling=SamplingSettings(temperature=2.0, seed=1),
        ),
    }


class TestRealWorkers:
    async def test_two_models_answer_and_one_is_voted_for(
        self, opened: Opened, real: dict[str, Any], store: Store, home: Path
    ) -> None:
        async with opened(**real) as pilot:
            await open_sides(pilot)
            two_models(pilot)
            await ask(pilot, "one")
            await answered(pilot)
            assert len(workers(home)) == 3
            assert [turn.model for turn in answers(store)] == ["tiny", "other"]
            await pilot.press("b")
            await answered(pilot, "over")
            await ask(pilot, "two")
            await answered(pilot)
            assert [vote.choice for vote in store.votes()] == ["right"]
            await pilot.press("escape")
            await wait_until(pilot, lambda: len(workers(home)) == 1)

    async def test_a_killed_worker_costs_one_side(
        self, opened: Opened, real: dict[str, Any], store: Store, home: Path
    ) -> None:
        async with opened(**real) as pilot:
            before = set(workers(home))
            await open_sides(pilot)
            two_models(pilot)
            await ask(pilot, "one")
            await answered(pilot)
            for pid in set(workers(home)) - before:
                os.kill(pid, signal.SIGKILL)
            await pilot.press("a")
            await answered(pilot, "over")
            await ask(pilot, "two")
            await wait_until(pilot, lambda: phase(pilot) in ("voting", "over"))
            assert phase(pilot) == "voting", screen_text(pilot)
