"""Where the colours of an x-ray stand: from tokens' places to safe text on the screen."""

from __future__ import annotations

import itertools

import pytest
from textual.content import Content

from urial_tui.compare.shift_map import ShiftMap
from urial_tui.engine.wire.events import Shifts
from urial_tui.engine.wire.shift_class import shift_class
from urial_tui.sanitize import sanitize
from urial_tui.tui.chat.xray_text import STYLES, coloured, shares_line

KINDS = {style: kind for kind, style in STYLES.items()}


def read(*tokens: tuple[str, int], start: int = 0, side: str = "second (chat)") -> ShiftMap:
    """A reading of tokens, given as (text, rank)."""
    reading = ShiftMap(side)
    if tokens:
        reading.add(told(*tokens, start=start))
    return reading


def told(*tokens: tuple[str, int], start: int = 0) -> Shifts:
    ends = list(itertools.accumulate((len(text) for text, _ in tokens), initial=start))[1:]
    ranks = tuple(rank for _, rank in tokens)
    return Shifts(
        id=0, start=start, ends=tuple(ends), ranks=ranks, probabilities=(0.1,) * len(ranks)
    )


def shown(text: str, reading: ShiftMap) -> list[tuple[str, str | None]]:
    """(text on the screen, class) of each stretch of one colour."""
    content = coloured(text, reading, 0, len(text))
    return [
        (content.plain[span.start : span.end], KINDS[str(span.style)]) for span in content.spans
    ]


def kinds(content: Content) -> list[str | None]:
    """The class of each character."""
    return [KINDS[str(span.style)] for span in content.spans for _ in range(span.start, span.end)]


def test_each_token_has_the_colour_of_its_class() -> None:
    reading = read(("Hel", 1), ("lo", 2), (" my", 3), (" dear", 4), ("!", 0))
    assert shown("Hello my dear!", reading) == [
        ("Hel", "unshifted"),
        ("lo my", "marginal"),
        (" dear", "shifted"),
        ("!", "absent"),
    ]


def test_what_is_not_read_yet_is_quiet() -> None:
    assert shown("Hello there", read(("Hello", 1))) == [("Hello", "unshifted"), (" there", None)]
    assert shown("Hello", read()) == [("Hello", None)]


def test_what_the_answer_starts_with_is_quiet() -> None:
    reading = read((" end", 9), start=5)
    assert shown("Start end", reading) == [("Start", None), (" end", "shifted")]


def test_a_stop_string_may_have_cut_the_text_within_a_token() -> None:
    reading = read(("Yes.", 1), ("\n\n# Query", 30))
    assert shown("Yes.\n", reading) == [("Yes.", "unshifted"), ("\n", "shifted")]
    assert shown("Yes.", reading) == [("Yes.", "unshifted")]


@pytest.mark.parametrize("control", ["\x1b[31m", "\x00", "\u202e", "\x9b", "\r", "\u2066\u2069"])
def test_signs_for_control_characters_do_not_move_the_colours(control: str) -> None:
    text = f"a{control}b"
    reading = read(("a", 1), (control, 2), ("b", 5))
    assert shown(text, reading) == [
        ("a", "unshifted"),
        (sanitize(control), "marginal"),
        ("b", "shifted"),
    ]


def test_a_line_end_that_two_tokens_wrote_is_one() -> None:
    reading = read(("a\r", 1), ("\nb", 9))
    assert shown("a\r\nb", reading) == [("a", "unshifted"), ("\nb", "shifted")]


@pytest.mark.parametrize("text", ["🐑👨‍👩‍👧", "汉字 和 ひらがな", "naïve é"])
def test_any_script_keeps_its_colours(text: str) -> None:
    tokens = [(character, 1 + at % 5) for at, character in enumerate(text)]
    content = coloured(text, read(*tokens), 0, len(text))
    assert content.plain == text
    assert kinds(content) == [shift_class(rank) for _, rank in tokens]


def test_a_character_of_several_tokens_has_the_class_of_the_most_shifted() -> None:
    """An emoji written byte by byte: tokens that end within a character end before it."""
    reading = read(("A", 1), ("", 1), ("", 7), ("", 1), ("🐑", 1), ("B", 2))
    assert shown("A🐑B", reading) == [("A", "unshifted"), ("🐑", "shifted"), ("B", "marginal")]
    assert reading.counts(3) == {"unshifted": 4, "shifted": 1, "marginal": 1}


def test_such_a_character_may_come_in_two_parts() -> None:
    reading = read(("A", 1), ("", 0))
    reading.add(told(("🐑", 1), start=1))
    assert shown("A🐑", reading) == [("A", "unshifted"), ("🐑", "absent")]


def test_parts_of_a_text_are_the_whole() -> None:
    text = "One line\nand another\n\nand 🐑 more"
    tokens = [(text[at : at + 3], 1 + at % 7) for at in range(0, len(text), 3)]
    reading = read(*tokens)
    whole = coloured(text, reading, 0, len(text))
    for cut in range(len(text) + 1):
        parts = coloured(text, reading, 0, cut), coloured(text, reading, cut, len(text))
        assert parts[0].plain + parts[1].plain == whole.plain
        assert [kind for part in parts for kind in kinds(part)] == kinds(whole)


def test_the_shares_are_of_the_tokens_in_the_text() -> None:
    reading = read(("a", 1), ("b", 1), ("c", 2), ("d", 9), ("# Query", 1))
    line = shares_line(reading, 4, 120).plain
    assert line == ("x-ray: ranks on second (chat)  50% unshifted · 25% marginal · 25% shifted")


def test_absent_tokens_have_a_share_where_there_are_any() -> None:
    assert "50% absent" in shares_line(read(("a", 1), ("b", 0)), 2, 120).plain
    assert "absent" not in shares_line(read(("a", 1)), 1, 120).plain


def test_the_shares_go_to_a_line_of_their_own_where_it_is_narrow() -> None:
    line = shares_line(read(("a", 1)), 1, 60).plain
    assert line.split("\n") == [
        "x-ray: ranks on second (chat)",
        "100% unshifted · 0% marginal · 0% shifted",
    ]


def test_before_anything_is_read_the_line_names_the_side() -> None:
    assert shares_line(read(side="a\x1bb (raw)"), 0, 80).plain == "x-ray: ranks on a␛b (raw)"
