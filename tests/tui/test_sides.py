"""Two sides answer one question; driven by keys."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from textual.widgets import OptionList

from tests.conftest import workers
from tests.scripted import Gate, ScriptedEngine, answer, delta, shown_turns
from tests.tui.conftest import Chatting, Found
from tests.tui.duel_page import DuelPage, Sides
from urial_tui.chat.session import Conversation
from urial_tui.chat.store import Store
from urial_tui.chat.turns import TurnRecord
from urial_tui.engine.client import engine as client
from urial_tui.engine.client.engine import Engine
from urial_tui.engine.wire import patience
from urial_tui.engine.wire.events import Notice
from urial_tui.errors import EngineDied, ModelError
from urial_tui.prompting.preamble_file import find_preamble
from urial_tui.runtime.writer import WriterChoice
from urial_tui.settings import ChatSettings, EngineSettings, SamplingSettings, Settings
from urial_tui.tui.chat.choose import ChooseScreen
from urial_tui.tui.duel.ballot import Ballot
from urial_tui.tui.duel.side_by_side import SideBySideScreen, first_choices
from urial_tui.tui.widgets.prompt import Prompt


@pytest.fixture
def sides() -> Sides:
    return Sides()


Dueling = Callable[..., contextlib.AbstractAsyncContextManager[DuelPage]]


@pytest.fixture
def dueling(chatting: Chatting, sides: Sides) -> Dueling:
    """Open the screen from the chat."""

    @contextlib.asynccontextmanager
    async def open_it(**changes: Any) -> AsyncIterator[DuelPage]:
        async with chatting(**(sides.changes() | changes)) as chat:
            yield await chat.leads_to(DuelPage)

    return open_it


def turns(store: Store) -> list[TurnRecord]:
    (head,) = store.conversations()
    return store.turns(head.id)


def answers(store: Store) -> list[TurnRecord]:
    return [turn for turn in turns(store) if turn.role == "assistant"]


class TestAsking:
    async def test_both_sides_answer_and_both_answers_are_kept(
        self, dueling: Dueling, sides: Sides, store: Store
    ) -> None:
        sides.engines[0].enqueue(*answer("From the left."))
        sides.engines[0].enqueue(*answer("From the right."))
        async with dueling() as duel:
            assert duel.shows("A  tiny · urial-k1")
            assert duel.shows("B  tiny · zero-shot")
            await duel.hears("Hello")
            assert duel.answers == ["From the left.", "From the right."]
            question, left, right = turns(store)
            assert {left.parent_id, right.parent_id} == {question.id}
            assert (left.preamble, right.preamble) == ("urial-k1", "zero-shot")
            assert (left.text, right.text) == ("From the left.", "From the right.")

    async def test_one_model_is_loaded_once_and_asked_under_both_preambles(
        self, dueling: Dueling, sides: Sides
    ) -> None:
        async with dueling() as duel:
            await duel.hears("Hello")
            assert sides.made == 1
            (engine, _) = sides.engines
            assert len(engine.loads) == 1
            assert engine.requests[0].preamble != engine.requests[1].preamble == ()

    async def test_two_models_get_an_engine_each_where_they_fit(
        self, dueling: Dueling, sides: Sides
    ) -> None:
        async with dueling() as duel:
            duel.faces("other")
            for _ in range(2):
                await duel.hears("Hello")
                await duel.votes("t")
            assert [len(engine.loads) for engine in sides.engines] == [1, 1]
            assert [len(engine.requests) for engine in sides.engines] == [2, 2]

    async def test_two_models_take_turns_where_they_do_not_fit(
        self, dueling: Dueling, sides: Sides, store: Store
    ) -> None:
        sides.fits = False
        async with dueling() as duel:
            duel.faces("other")
            await duel.hears("Hello")
            assert sides.made == 1
            assert len(sides.engines[0].loads) == 2
            assert [turn.model for turn in answers(store)] == ["tiny", "other"]

    async def test_the_second_side_starts_when_the_first_has_ended(
        self, dueling: Dueling, sides: Sides
    ) -> None:
        gate = Gate()
        sides.engines[0].enqueue(delta("Left"), gate)
        async with dueling() as duel:
            duel.faces("other")
            await duel.asks("Hello")
            await duel.reads("writing · 4 tokens")
            assert duel.shows("waits for its turn")
            assert sides.engines[1].requests == []
            gate.open()
            await duel.is_answered()

    @pytest.mark.parametrize("width", [40, 59, 60, 80])
    async def test_every_vote_is_whole_whatever_the_width(
        self, dueling: Dueling, sides: Sides, width: int
    ) -> None:
        for engine, text in zip(sides.engines, ("Left.", "Right."), strict=True):
            engine.enqueue(*answer(text))
        async with dueling(size=(width, 14)) as duel:
            await duel.hears("Hello")
            for vote in ("T tie", "N neither"):
                await duel.reads(vote)

    async def test_escape_stops_both_and_keeps_the_text(
        self, dueling: Dueling, sides: Sides, store: Store
    ) -> None:
        gate = Gate()
        sides.engines[0].enqueue(delta("Half"), gate)
        async with dueling() as duel:
            await duel.asks("Hello")
            await duel.until(lambda: duel.answers[:1] == ["Half"])
            await duel.presses("escape")
            await duel.is_over()
            assert duel.shows("■ stopped")
            assert duel.shows("■ not answered")
            assert [(t.text, t.stop_reason) for t in answers(store)] == [("Half", "cancelled")]
            assert isinstance(duel.app.screen, SideBySideScreen)

    async def test_the_next_question_follows_an_answer_that_was_stopped_without_a_text(
        self, dueling: Dueling, sides: Sides, store: Store
    ) -> None:
        gate = Gate()
        sides.engines[0].enqueue(gate)
        async with dueling() as duel:
            await duel.asks("One")
            await duel.until(lambda: bool(sides.engines[0].requests))
            await duel.presses("escape")
            await duel.is_over()
            gate.open()
            await duel.hears("Two")
        (stopped,) = (turn for turn in answers(store) if turn.stop_reason == "cancelled")
        (two,) = (turn for turn in turns(store) if turn.text == "Two")
        assert (stopped.text, two.parent_id) == ("", stopped.id)

    async def test_a_side_that_does_not_stop_is_ended_by_the_next_esc(
        self, dueling: Dueling, sides: Sides, store: Store, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(patience, "TOLD_STOPPING", 0.1)
        monkeypatch.setattr(client, "stop_within", lambda _info: 3600.0)
        gate = Gate(deaf=True)
        sides.engines[0].enqueue(delta("Half"), gate)
        async with dueling() as duel:
            await duel.asks("Hello")
            await duel.until(gate.reached.is_set)
            await duel.presses("escape")
            await duel.reads("Esc ends it now")
            await duel.presses("escape")
            await duel.is_over()
            assert [(t.text, t.stop_reason) for t in answers(store)] == [("Half", "died")]

    async def test_the_keys_go_to_the_vote_and_then_back_to_the_prompt(
        self, dueling: Dueling, sides: Sides
    ) -> None:
        async with dueling() as duel:
            await duel.asks("Hello")
            assert isinstance(duel.app.focused, Ballot | Prompt)
            await duel.is_answered()
            assert isinstance(duel.app.focused, Ballot)
            await duel.presses("enter")
            assert duel.phase == "voting"
            await duel.votes("a")
            assert isinstance(duel.app.focused, Prompt)

    async def test_equal_greedy_sides_are_not_asked(self, dueling: Dueling, sides: Sides) -> None:
        async with dueling() as duel:
            duel.screen.choices[1] = duel.screen.choices[0]
            await duel.asks("Hello")
            await duel.reads("Both sides are the same")
            assert duel.prompt.text == "Hello"
            assert sides.made == 0

    async def test_another_side_is_chosen_with_a_key(
        self, dueling: Dueling, sides: Sides, store: Store
    ) -> None:
        async with dueling() as duel:
            await duel.presses("f3")
            await duel.is_on(ChooseScreen)
            listed = duel.app.screen.query_one("#preambles", OptionList)
            await duel.presses("right", "home")
            while "urial-k8" not in str(listed.get_option_at_index(listed.highlighted or 0).prompt):
                await duel.presses("down")
            await duel.presses("enter")
            await duel.reads("B  tiny · urial-k8")
            await duel.hears("Hello")
            assert [turn.preamble for turn in answers(store)] == ["urial-k1", "urial-k8"]

    async def test_not_while_the_chat_answers(
        self, chatting: Chatting, sides: Sides, engine: ScriptedEngine
    ) -> None:
        gate = Gate()
        engine.enqueue(gate)
        async with chatting(**sides.changes()) as chat:
            await chat.asks("Hello")
            await chat.until(gate.reached.is_set)
            await chat.presses("f9")
            await chat.reads("One answer at a time")
            assert not isinstance(chat.app.screen, SideBySideScreen)
            # What is said again stands once.
            await chat.presses("f9", "f9")
            await chat.until(lambda: len(chat.app.screen.query("Toast")) == 1)
            assert chat.shows("One answer at a time")
            gate.open()
            await chat.is_ready()

    async def test_one_side_alone_and_both_again(self, dueling: Dueling, sides: Sides) -> None:
        sides.engines[0].enqueue(*answer("Left."))
        sides.engines[0].enqueue(*answer("Right."))
        async with dueling() as duel:
            await duel.hears("Hello")
            seen = []
            for _ in range(3):
                await duel.presses("f6")
                seen.append((duel.shows("Left."), duel.shows("Right.")))
            assert seen == [(True, False), (False, True), (True, True)]

    async def test_hostile_text_is_shown_as_text(self, dueling: Dueling, sides: Sides) -> None:
        sides.engines[0].enqueue(*answer("\x1b[31mred\x1b[0m [bold]x[/bold]"))
        async with dueling() as duel:
            await duel.hears("[red]Hello")
            assert duel.shows("[red]Hello")
            assert duel.shows("[bold]x[/bold]")
            assert "\x1b" not in duel.text


class TestTheConversation:
    async def test_it_is_the_chats_own_and_goes_on_there(
        self, chatting: Chatting, sides: Sides, engine: ScriptedEngine
    ) -> None:
        engine.enqueue(*answer("Chat one."))
        sides.engines[0].enqueue(*answer("Left."))
        sides.engines[0].enqueue(*answer("Right."))
        async with chatting(**sides.changes()) as chat:
            await chat.asks("first")
            await chat.until(lambda: chat.shows("Chat one.") and chat.ready)
            duel = await chat.leads_to(DuelPage)
            assert duel.shows("goes on after 1 question: first")
            await duel.hears("second")
            assert all("Chat one." in shown_turns(r) for r in sides.engines[0].requests)
            await duel.votes("b")
            await duel.presses("escape")
            await duel.reads("Right.")
            assert not duel.shows("Left.")
            assert duel.shows("‹ 2/2 ›")
            assert duel.shows("under zero-shot, before under urial-k1")
            await duel.asks("third")
            await duel.until(lambda: len(engine.requests) == 2)
            assert "Right." in shown_turns(engine.requests[-1])
            assert "Left." not in shown_turns(engine.requests[-1])
            await duel.status_reads("ready")

    async def test_the_next_question_goes_on_with_what_is_better(
        self, dueling: Dueling, sides: Sides
    ) -> None:
        for text in ("Left.", "Right.", "L2", "R2"):
            sides.engines[0].enqueue(*answer(text))
        async with dueling() as duel:
            await duel.hears("first")
            await duel.votes("b")
            assert duel.shows("B  tiny · zero-shot  ✔ better")
            await duel.hears("second")
            for request in sides.engines[0].requests[2:]:
                assert "Right." in shown_turns(request)
                assert "Left." not in shown_turns(request)

    async def test_what_was_better_is_where_it_opens_again(
        self, dueling: Dueling, sides: Sides, store: Store
    ) -> None:
        sides.engines[0].enqueue(*answer("Left."))
        async with dueling() as duel:
            await duel.hears("first")
            await duel.votes("a")
        (head,) = store.conversations()
        again = Conversation.open(store, head.id)
        assert again.leaf is not None
        assert again.leaf.text == "Left."

    async def test_with_neither_the_question_is_left_behind(
        self, dueling: Dueling, sides: Sides
    ) -> None:
        async with dueling() as duel:
            await duel.hears("first")
            await duel.votes("n")
            assert duel.shows("✖ bad")
            await duel.hears("second")
            assert "first" not in shown_turns(sides.engines[0].requests[-1])

    async def test_a_new_one_is_one_key_away(
        self, dueling: Dueling, sides: Sides, store: Store
    ) -> None:
        async with dueling() as duel:
            await duel.hears("first")
            await duel.presses("ctrl+n")
            await duel.reads("a new conversation")
            await duel.hears("second")
            assert "first" not in shown_turns(sides.engines[0].requests[-1])
            assert len(store.conversations()) == 2

    async def test_the_sides_are_as_they_were_when_it_opens_again(
        self, chatting: Chatting, sides: Sides
    ) -> None:
        async with chatting(**sides.changes()) as chat:
            duel = await chat.leads_to(DuelPage)
            duel.faces("other")
            await duel.presses("f4", "escape")
            await duel.until(lambda: not isinstance(duel.app.screen, SideBySideScreen))
            duel = await chat.leads_to(DuelPage)
            assert duel.shows("B  other · urial-k1")
            assert duel.shows("blind")

    async def test_the_chat_keeps_its_model_and_preamble(
        self, dueling: Dueling, sides: Sides, store: Store
    ) -> None:
        async with dueling() as duel:
            duel.faces("other")
            await duel.hears("first")
            await duel.presses("escape")
            await duel.status_reads("ready")
            await duel.asks("second")
            await duel.until(lambda: len(answers(store)) == 3)
            assert (answers(store)[-1].model, answers(store)[-1].preamble) == ("tiny", "urial-k1")
            await duel.status_reads("ready")

    async def test_the_conversation_opens_with_what_the_chat_answers_with(
        self, dueling: Dueling, sides: Sides, store: Store
    ) -> None:
        async with dueling() as duel:
            duel.screen.choices.reverse()
            await duel.hears("first")
            (head,) = store.conversations()
            assert (head.model, head.preamble) == ("tiny", "urial-k1")
            assert [turn.preamble for turn in answers(store)] == ["zero-shot", "urial-k1"]


class TestFailures:
    @pytest.mark.parametrize("bad", [0, 1], ids=["left", "right"])
    async def test_a_side_that_dies_leaves_the_other(
        self, dueling: Dueling, sides: Sides, store: Store, bad: int
    ) -> None:
        sides.engines[bad].enqueue(delta("Ha"), EngineDied("The engine stopped.", "Memory."))
        sides.engines[1 - bad].enqueue(*answer("Fine."))
        async with dueling() as duel:
            duel.faces("other")
            await duel.asks("Hello")
            await duel.is_over()
            assert duel.shows("✖ The engine stopped.")
            assert duel.shows(f"Side {'AB'[bad]} failed. Side {'BA'[bad]} is not touched by it.")
            assert duel.shows("Asking again tries it again.")
            assert duel.shows("✖ the engine died here  2 tokens")
            assert duel.answers[1 - bad] == "Fine."
            leaf = duel.screen.conversation.leaf
            assert leaf is not None
            assert leaf.text == "Fine."
            assert store.votes() == []
            assert {turn.stop_reason for turn in answers(store)} == {"died", "stop"}

    async def test_a_side_that_died_is_loaded_again_for_the_next_question(
        self, dueling: Dueling, sides: Sides
    ) -> None:
        sides.engines[0].enqueue(EngineDied("The engine stopped.", "Memory."))
        async with dueling() as duel:
            duel.faces("other")
            await duel.asks("Hello")
            await duel.is_over()
            await duel.hears("again")
            assert [len(engine.loads) for engine in sides.engines] == [2, 1]
            assert not duel.shows("✖")

    async def test_a_model_that_is_not_found_is_a_sentence(
        self, chatting: Chatting, sides: Sides
    ) -> None:
        def find(name: str, progress: object) -> Found:
            if name == "other":
                raise ModelError("There is no model named 'other'.", "Choose another.")
            return Found(name=name)

        async with chatting(**(sides.changes() | {"find_model": find})) as chat:
            duel = await chat.leads_to(DuelPage)
            duel.faces("other")
            await duel.asks("Hello")
            await duel.is_over()
            assert duel.shows("✖ There is no model named 'other'.")
            assert duel.shows("■ not answered")
            assert duel.answers[0] == "Certainly."
            # What failed is no longer a side.
            await duel.presses("f3")
            await duel.is_on(ChooseScreen)
            await duel.presses("right", "home", "enter")
            await duel.loses("There is no model named")
            assert duel.phase == "empty"

    async def test_a_full_disk_costs_no_answer_and_no_second_vote(
        self, dueling: Dueling, sides: Sides, store: Store, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async with dueling() as duel:
            await duel.hears("Hello")
            with monkeypatch.context() as patch:
                patch.setattr(store, "add_vote", _full)
                await duel.presses("a")
                await duel.reads("✖ The disk is full.")
                assert duel.phase == "voting"
            await duel.votes("a")
            assert [vote.choice for vote in store.votes()] == ["left"]

    async def test_leaving_in_the_middle_keeps_the_text(
        self, dueling: Dueling, sides: Sides, store: Store
    ) -> None:
        gate = Gate()
        sides.engines[0].enqueue(delta("Half"), gate)
        async with dueling() as duel:
            await duel.asks("Hello")
            await duel.until(lambda: duel.answers[:1] == ["Half"])
            await duel.presses("ctrl+q")
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
        self, dueling: Dueling, sides: Sides, store: Store, key: str, choice: str
    ) -> None:
        async with dueling() as duel:
            await duel.hears("Hello")
            await duel.votes(key)
            (vote,) = store.votes()
            question, left, right = turns(store)
            assert (vote.choice, vote.blind) == (choice, False)
            assert (vote.question_id, vote.left_id, vote.right_id) == (
                question.id,
                left.id,
                right.id,
            )
            assert (str(vote.left), str(vote.right)) == ("tiny/urial-k1", "tiny/zero-shot")

    async def test_the_votes_are_told(self, dueling: Dueling, sides: Sides, store: Store) -> None:
        async with dueling(size=(120, 40)) as duel:
            assert duel.shows("no open votes between these yet")
            for key in ("a", "a", "b", "t"):
                await duel.hears("Hello")
                await duel.votes(key)
            assert duel.shows("open: tiny/urial-k1 2 : 1 tiny/zero-shot  1 tie, sign test p = 1")

    async def test_the_mouse_votes_as_well(
        self, dueling: Dueling, sides: Sides, store: Store
    ) -> None:
        async with dueling() as duel:
            await duel.hears("Hello")
            await duel.pilot.click("#vote-right")
            await duel.is_over()
            assert [vote.choice for vote in store.votes()] == ["right"]

    async def test_not_before_both_answers_are_there(
        self, dueling: Dueling, sides: Sides, store: Store
    ) -> None:
        gate = Gate()
        sides.engines[0].enqueue(delta("Left"), gate)
        async with dueling() as duel:
            await duel.asks("Hello")
            await duel.until(lambda: duel.answers[:1] == ["Left"])
            await duel.presses("a")
            await duel.reads("Both answers have to be there")
            gate.open()
            await duel.is_answered()
            assert store.votes() == []

    async def test_a_question_can_be_asked_without_a_vote(
        self, dueling: Dueling, sides: Sides, store: Store
    ) -> None:
        async with dueling() as duel:
            await duel.hears("first")
            await duel.presses("tab")
            await duel.until(lambda: isinstance(duel.app.focused, Prompt))
            await duel.asks("second")
            await duel.until(lambda: len(sides.engines[0].requests) == 4)
            await duel.is_answered()
            assert store.votes() == []
            assert "first" in shown_turns(sides.engines[0].requests[-1])

    async def test_without_a_store_votes_are_counted_until_the_end(
        self, dueling: Dueling, sides: Sides
    ) -> None:
        async with dueling(size=(120, 40), store=None) as duel:
            assert duel.shows("not stored")
            await duel.hears("Hello")
            await duel.presses("b")
            await duel.reads("tiny/zero-shot 1 : 0 tiny/urial-k1")


SECRETS = ("secret-model", "zero-shot", "urial-k1", "tiny")


class Leaks:
    """Looks for names on the screen, over and over."""

    def __init__(self, page: DuelPage) -> None:
        self._page = page
        self.found: set[str] = set()

    def none(self) -> bool:
        everything = self._page.text + "".join(
            f"{notice.title} {notice.message}" for notice in self._page.app._notifications
        )
        self.found |= {name for name in SECRETS if name in everything}
        return not self.found


class TestBlind:
    async def test_no_name_is_shown_before_the_vote(
        self, dueling: Dueling, sides: Sides, store: Store
    ) -> None:
        gate = Gate()
        for engine, text in zip(sides.engines, ("One.", "Two."), strict=True):
            engine.enqueue_load(Notice(id=0, message="The model secret-model needs much memory."))
            engine.enqueue(delta(text), gate)
        async with dueling(size=(120, 40)) as duel:
            duel.faces("secret-model")
            duel.app.notify("Something said before about secret-model")
            await duel.presses("f4")
            await duel.asks("Hello")
            leaks = Leaks(duel)
            await duel.until(gate.reached.is_set)
            assert leaks.none(), leaks.found
            gate.open()
            while duel.phase == "answering":
                await duel.pauses()
                assert leaks.none(), leaks.found
            assert duel.text.count("name hidden") == 2
            assert sorted(duel.answers) == ["One.", "Two."]
            for key in ("f2", "f3", "f4", "f6", "f6", "f6", "tab", "tab"):
                await duel.presses(key)
                assert isinstance(duel.app.screen, SideBySideScreen)
                assert leaks.none(), leaks.found
            duel.ballot.focus()
            await duel.votes("a")
            assert duel.shows("secret-model · urial-k1")
            assert duel.shows("tiny · urial-k1")
            assert duel.shows("The model secret-model needs much memory.")
            assert [vote.blind for vote in store.votes()] == [True]

    async def test_neither_speed_nor_order_tells_the_sides(
        self, dueling: Dueling, sides: Sides, store: Store
    ) -> None:
        gate = Gate()
        sides.engines[0].enqueue(delta("Fast and first"), gate)
        async with dueling() as duel:
            await duel.presses("f4")
            await duel.asks("Hello")
            await duel.until(gate.reached.is_set)
            assert duel.text.count("both answers appear together") == 2
            assert not duel.shows("Fast")
            assert duel.shows("Answer 1 of 2 is on its way")
            assert not duel.shows("Which is better?")
            await duel.presses("a")
            assert store.votes() == []
            gate.open()
            await duel.is_answered()
            assert duel.shows("Fast")
            assert duel.shows("Which is better?")
            assert not duel.shows("of 2 is on its way")
            assert not duel.shows("tokens")
            await duel.votes("t")
            assert duel.shows("75 tokens/s")

    @pytest.mark.parametrize("swap", [True, False])
    async def test_sides_are_drawn_and_the_vote_knows_who_stood_where(
        self, dueling: Dueling, sides: Sides, store: Store, swap: bool
    ) -> None:
        sides.engines[0].enqueue(*answer("Left."))
        async with dueling() as duel:
            duel.shuffles(swapped=swap)
            await duel.presses("f4")
            await duel.hears("Hello")
            assert duel.answers[0] == "Left."
            await duel.votes("a")
            (vote,) = store.votes()
            wrote = next(turn.preamble for turn in answers(store) if turn.text == "Left.")
            assert wrote == ("zero-shot" if swap else "urial-k1")
            assert vote.better is not None
            assert vote.better.preamble == wrote

    async def test_sides_change_places_now_and_then(self, dueling: Dueling, sides: Sides) -> None:
        async with dueling() as duel:
            seen = {duel.screen._swap() for _ in range(200)}
            assert seen == {True, False}

    async def test_a_failure_reveals_what_can_not_be_judged_any_more(
        self, dueling: Dueling, sides: Sides, store: Store
    ) -> None:
        sides.engines[0].enqueue(*answer("Fine."))
        sides.engines[1].enqueue(EngineDied("secret-model was too large.", "Memory."))
        async with dueling(size=(120, 40)) as duel:
            duel.shuffles(swapped=False)
            duel.faces("secret-model")
            await duel.presses("f4")
            await duel.asks("Hello")
            await duel.is_over()
            assert duel.shows("B  secret-model · urial-k1")
            assert duel.shows("✖ secret-model was too large.")
            assert store.votes() == []

    async def test_blind_votes_are_counted_apart(self, dueling: Dueling, sides: Sides) -> None:
        async with dueling(size=(120, 40)) as duel:
            await duel.hears("Hello")
            await duel.votes("a")
            assert duel.shows("open: tiny/urial-k1 1 : 0 tiny/zero-shot")
            await duel.presses("f4")
            await duel.reads("no blind votes between these yet")


def test_the_second_side_starts_without_the_preamble() -> None:
    used = WriterChoice(model="m", preamble=find_preamble("urial-k3"))
    assert first_choices(used)[1].preamble.name == "zero-shot"
    plain = WriterChoice(model="m", preamble=find_preamble("zero-shot"))
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
        self, chatting: Chatting, real: dict[str, Any], store: Store, home: Path
    ) -> None:
        async with chatting(**real) as chat:
            duel = await chat.leads_to(DuelPage)
            duel.faces("other")
            await duel.hears("one")
            assert len(workers(home)) == 3
            assert [turn.model for turn in answers(store)] == ["tiny", "other"]
            await duel.votes("b")
            await duel.hears("two")
            assert [vote.choice for vote in store.votes()] == ["right"]
            await duel.presses("escape")
            await duel.until(lambda: len(workers(home)) == 1)

    async def test_a_killed_worker_costs_one_side(
        self, chatting: Chatting, real: dict[str, Any], store: Store, home: Path
    ) -> None:
        async with chatting(**real) as chat:
            before = set(workers(home))
            duel = await chat.leads_to(DuelPage)
            duel.faces("other")
            await duel.hears("one")
            for pid in set(workers(home)) - before:
                os.kill(pid, signal.SIGKILL)
            await duel.votes("a")
            await duel.asks("two")
            await duel.until(lambda: duel.phase in ("voting", "over"))
            assert duel.phase == "voting", duel.text
