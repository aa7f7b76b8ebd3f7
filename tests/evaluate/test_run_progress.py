"""How far a run is, in words, with a clock that stands still unless it is told to go."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from tests.evaluate.runs import ITEMS
from urial_tui.engine.wire.events import LoadProgress, PrefillProgress, Silence, TextDelta
from urial_tui.evaluate.generate import Answered, Skipped
from urial_tui.evaluate.items import Item
from urial_tui.evaluate.outputs import AnsweredTurn
from urial_tui.evaluate.run import Read, ReadingBegun, Run, Unread
from urial_tui.evaluate.run_file import WrittenAnswer
from urial_tui.evaluate.run_progress import RunProgress, not_answered, taken_over
from urial_tui.evaluate.token_reading import TextReading


class Counted:
    """What is read of a run: its counts."""

    def __init__(self, there: int, skipped: Sequence[Skipped], at_once: int) -> None:
        self.taken_over, self.at_once = there, at_once
        self.changed, self.new = 1, len(ITEMS) - there - 1
        self.skipped = list(skipped)

    def __len__(self) -> int:
        return len(ITEMS)


def run(there: int = 0, skipped: Sequence[Skipped] = (), at_once: int = 1) -> Run:
    return cast(Run, Counted(there, skipped, at_once))


def answered(item: Item, turn: int, text: str = "So.", tokens: int = 30) -> Answered:
    exchange = AnsweredTurn(instruction="?", output=text, tokens=tokens)
    return Answered(item, turn, WrittenAnswer(exchange=exchange))


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_rates_and_the_time_that_is_left() -> None:
    clock = Clock()
    progress = RunProgress("Esc", clock)
    progress.begin(run(there=1))
    assert progress.words == "1 of 5 items"
    clock.now += 10
    progress.take(TextDelta(id=1, text="So", generated=20))
    progress.take(TextDelta(id=2, text="So", generated=10))
    progress.take(TextDelta(id=1, text=".", generated=40))
    words = progress.take(answered(ITEMS[1], 0, "\nSo.\nMore."))
    # 50 tokens and one answer in 10 s; three items are left, at 10 s each.
    assert words == "2 of 5 items, 6.00 answers/min, 5 tokens/s, about 30 s left: So."
    assert (progress.items, progress.answers, progress.tokens) == (2, 1, 30)


def test_answers_that_are_half_written_are_not_taken_for_unbegun() -> None:
    clock = Clock()
    progress = RunProgress("Esc", clock)
    progress.begin(run(at_once=3))
    clock.now += 20
    progress.take(answered(ITEMS[1], 0))
    # Two more were begun: as much as one is done of them, and three are left.
    assert "about 30 s left" in progress.pace


def test_an_item_is_done_with_its_last_turn() -> None:
    progress = RunProgress("Esc", Clock())
    progress.begin(run())
    progress.take(answered(ITEMS[0], 0))
    assert progress.items == 0
    progress.take(answered(ITEMS[0], 1))
    assert progress.items == 1


def test_what_is_skipped_is_no_longer_left() -> None:
    clock = Clock()
    progress = RunProgress("Esc", clock)
    progress.begin(run(skipped=[Skipped(ITEMS[2], "Too long."), Skipped(ITEMS[3], "Too long.")]))
    clock.now += 10
    progress.take(answered(ITEMS[1], 0))
    assert "about 20 s left" in progress.pace


def test_what_comes_before_the_answers() -> None:
    progress = RunProgress("Esc", Clock())
    assert progress.take(LoadProgress(id=0, fraction=0.4)) == "Loading the model: 40%"
    reading = PrefillProgress(id=0, stage="preamble", done=1, reused=0, total=1200)
    assert progress.take(reading) == "Reading the preamble: 1 of 1,200 tokens"
    silent = Silence(id=0, seconds=31)
    assert progress.take(silent) == "No sign of life for 31 s; Esc ends it"


def test_texts_that_are_read_are_counted_by_themselves() -> None:
    clock = Clock()
    progress = RunProgress("Esc", clock)
    progress.begin(run(there=5))
    clock.now += 10
    before = progress.reading
    assert progress.take(ReadingBegun("reference", 4)) == "Reading 0 of 4 reference answers"
    assert (before, progress.reading) == (False, True)
    prefill = PrefillProgress(id=0, stage="preamble", done=1, reused=0, total=1200)
    assert progress.take(prefill) == "Reading 0 of 4 reference answers"
    clock.now += 10
    said = TextReading(
        by="m", key="k", tokens=1, bytes=1, bits=1.0, unshifted=1, marginal=0, shifted=0
    )
    # One in 10 s, and three are left; the second one can't be read, and two are left.
    words = progress.take(Read("reference", ITEMS[0], 0, said, 1, 4))
    assert words == "Reading 1 of 4 reference answers, about 30 s left"
    words = progress.take(Unread("reference", ITEMS[1], 0, "Too long."))
    assert words == "Reading 2 of 4 reference answers, about 10 s left"
    assert progress.take(ReadingBegun("aligned", 1)) == "Reading 0 of 1 answer"
    assert progress.take(LoadProgress(id=0, fraction=0.4)) == "Loading the model: 40%"


def test_a_hostile_answer_is_one_harmless_line() -> None:
    progress = RunProgress("Esc", Clock())
    progress.begin(run())
    words = progress.take(answered(ITEMS[1], 0, "\x1b[31mred\u202e\nnext"))
    assert words.isprintable()
    assert "next" not in words


def test_sentences_about_a_run() -> None:
    assert taken_over(run(there=2), "out.json") == (
        "2 of 5 items are taken over from out.json, 1 have changed, 2 are new."
    )
    assert not_answered(run()) == ""
    skipped = [Skipped(ITEMS[1], "It is too long."), Skipped(ITEMS[2], "It is too long.")]
    assert not_answered(run(skipped=skipped)) == (
        "2 items of 5 can't be answered: 'b' (It is too long), and 1 more."
    )
