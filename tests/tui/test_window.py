"""Which questions of a long conversation are widgets: without any."""

from __future__ import annotations

from urial_tui.tui.chat.window import MORE, MOST, SHOWN, Window

ALL = Window(total=100)


def test_the_first_and_the_last_ones_can_be_shown() -> None:
    assert ALL.newest() == (100 - SHOWN, 100, 100)
    assert ALL.newest().at_end
    assert ALL.oldest() == (0, SHOWN, 100)
    assert not ALL.oldest().at_end


def test_all_of_a_short_conversation_are_in_it() -> None:
    short = Window(total=3)
    assert short.newest() == short.oldest() == (0, 3, 3)
    assert Window().newest() == (0, 0, 0)
    assert Window().at_end


def test_it_holds_the_question_that_it_is_around() -> None:
    for number in range(100):
        assert ALL.around(number).holds(number)
        assert ALL.newest().back_to(number).holds(number)
        assert ALL.newest().back_to(number).at_end
    assert not ALL.around(50).holds(50 - MORE - 1)


def test_it_grows_at_either_end_as_far_as_there_are_any() -> None:
    assert ALL.around(50).with_earlier() == (50 - 2 * MORE, 50 - MORE + SHOWN, 100)
    assert ALL.around(50).with_later() == (50 - MORE, 50 + SHOWN, 100)
    assert ALL.oldest().with_earlier() == ALL.oldest()
    assert ALL.newest().with_later() == ALL.newest()


def test_it_shrinks_to_the_most_that_there_may_be() -> None:
    whole = Window(0, 100, 100)
    assert whole.without_later() == (0, MOST, 100)
    assert whole.without_earlier() == (100 - MOST, 100, 100)
    assert ALL.newest().without_later() == ALL.newest().without_earlier() == ALL.newest()
