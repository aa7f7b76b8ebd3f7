"""What is being asked, as a state: without a screen, an engine or a model."""

from __future__ import annotations

import pytest

from urial_tui.chat.answer_start import AnswerStart
from urial_tui.chat.turns import TurnRecord
from urial_tui.engine.wire.values import Sampling
from urial_tui.tui.chat.asking import (
    Answering,
    Asking,
    AskingState,
    Editing,
    Idle,
    Storing,
    Waiting,
)

START = AnswerStart(Sampling())


@pytest.fixture
def turn() -> TurnRecord:
    return TurnRecord(
        id=7, conversation_id=1, parent_id=None, role="user", text="Hello", created=0.0
    )


@pytest.fixture
def asking() -> Asking:
    return Asking()


def state(asking: Asking) -> AskingState:
    """Anew each time: a type checker does not see that what is called changes it."""
    return asking.state


def test_nothing_is_asked_at_first(asking: Asking) -> None:
    assert state(asking) == Idle()
    assert asking.idle
    assert not asking.busy
    assert asking.question is None
    assert asking.edited is None


def test_a_question_is_stored_then_answered_then_over(asking: Asking) -> None:
    asking.store()
    assert state(asking) == Storing()
    assert asking.busy

    asking.answer(3, START)
    assert state(asking) == Answering(3, START)
    assert asking.answering
    assert asking.question == 3

    asking.end()
    assert asking.idle


def test_a_question_that_waits_is_busy_and_not_answered(asking: Asking) -> None:
    asking.answer(3, START)
    asking.wait()
    assert state(asking) == asking.waiting == Waiting(3, START)
    assert asking.busy
    assert not asking.answering
    assert asking.question == 3


def test_only_a_question_that_is_to_be_answered_waits(asking: Asking) -> None:
    asking.wait()
    assert state(asking) == Idle()


def test_what_is_edited_is_still_edited_where_it_could_not_be_stored(
    asking: Asking, turn: TurnRecord
) -> None:
    asking.edit(turn)
    assert state(asking) == Editing(turn)
    assert not asking.busy

    asking.store()
    assert state(asking) == Storing(turn)
    assert asking.edited == turn

    asking.fail()
    assert state(asking) == Editing(turn)


def test_a_new_question_that_could_not_be_stored_leaves_nothing(asking: Asking) -> None:
    asking.store()
    asking.fail()
    assert state(asking) == Idle()


def test_editing_ends_with_the_turn_that_was_edited(asking: Asking, turn: TurnRecord) -> None:
    asking.edit(turn)
    assert asking.stop_editing() == turn
    assert state(asking) == Idle()
    assert asking.stop_editing() is None


def test_editing_ends_while_what_became_of_it_is_being_stored(
    asking: Asking, turn: TurnRecord
) -> None:
    asking.edit(turn)
    asking.store()
    assert asking.stop_editing() == turn
    assert state(asking) == Storing()
    assert asking.busy


def test_an_answer_goes_on_where_nothing_is_edited(asking: Asking) -> None:
    asking.answer(3, START)
    assert asking.stop_editing() is None
    assert state(asking) == Answering(3, START)
