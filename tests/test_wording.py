"""Numbers as people read them: units that agree, grouped digits, no signed zero."""

from __future__ import annotations

import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from urial_tui import wording


@pytest.mark.parametrize(
    ("number", "text"),
    [(0, "0 tokens"), (1, "1 token"), (2, "2 tokens"), (1015, "1,015 tokens")],
)
def test_a_unit_agrees_with_its_number(number: int, text: str) -> None:
    assert wording.amount(number, "token") == text


def test_a_plural_may_be_irregular() -> None:
    assert wording.amount(1, "reply", "replies") == "1 reply"
    assert wording.amount(2, "reply", "replies") == "2 replies"


@pytest.mark.parametrize(
    ("speed", "text"),
    [
        (83.7, "84 tokens/s"),
        (1.0, "1 token/s"),
        (0.96, "1 token/s"),
        (1.04, "1 token/s"),
        (1.5, "1.5 tokens/s"),
        (2.0, "2 tokens/s"),
        (9.96, "10 tokens/s"),
        (0.42, "0.4 tokens/s"),
        (0.0, "0 tokens/s"),
        (12345.0, "12,345 tokens/s"),
        (math.inf, "∞ tokens/s"),
    ],
)
def test_speeds(speed: float, text: str) -> None:
    assert wording.rate(speed) == text


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1_000, "1.00 kB"),
        (9_994, "9.99 kB"),
        (9_996, "10.0 kB"),
        (253_113_024, "253 MB"),
        (999_600_000, "1.00 GB"),
        (4_920_739_232, "4.92 GB"),
        (42_520_000_000_000_000_000, "42,520 PB"),
    ],
)
def test_sizes_have_three_digits(count: int, text: str) -> None:
    assert wording.size(count) == text


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0"), (900, "900"), (135_000_000, "135M"), (7_248_000_000, "7.25B")],
)
def test_models_are_called_by_their_parameters(count: int, text: str) -> None:
    assert wording.parameters(count) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.01234, "0.012"),
        (0.99949, "0.999"),
        (9.53, "9.53"),
        (83.66, "83.7"),
        (1015.4, "1,015"),
        (-0.0001, "0.000"),
        (None, "-"),
        (math.nan, "-"),
        (math.inf, "∞"),
        (-math.inf, "-∞"),
    ],
)
def test_three_digits(value: float | None, text: str) -> None:
    assert wording.three_digits(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0.000"),
        (1e-30, "0.001"),
        (0.1 + 0.2, "0.300"),
        (9.531, "9.54"),
        (1234.2, "1,235"),
        (1e15, "1,000,000,000,000,000"),
        (math.inf, "∞"),
    ],
)
def test_bounds_are_rounded_up(value: float, text: str) -> None:
    assert wording.at_most(value) == f"at most {text}"


@pytest.mark.parametrize(
    ("share", "text"),
    [(0.7154, "71.5%"), (-1e-9, "0.0%"), (1.0, "100.0%"), (None, "-"), (math.nan, "-")],
)
def test_shares(share: float | None, text: str) -> None:
    assert wording.percent(share) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-1.0, "0 s"),
        (42.4, "42 s"),
        (99.4, "99 s"),
        (99.6, "2 min"),
        (240.0, "4 min"),
        (3599.0, "1 h 0 min"),
        (7512.0, "2 h 5 min"),
    ],
)
def test_times_to_wait(seconds: float, text: str) -> None:
    assert wording.duration(seconds) == text


@given(st.floats(), st.integers(0, 6))
def test_zero_never_has_a_sign(value: float, digits: int) -> None:
    assert not re.fullmatch(r"-0[.0]*", wording.fixed(value, digits))


@given(st.floats(-1e12, 1e12), st.integers(0, 6))
def test_a_rounded_number_is_near_the_number(value: float, digits: int) -> None:
    shown = float(wording.fixed(value, digits).replace(",", ""))
    assert abs(shown - value) <= 0.5 * 10**-digits + abs(value) * 1e-12


@given(st.integers(0, 10**18))
def test_a_size_is_within_half_a_percent(count: int) -> None:
    text, unit = wording.size(count).split(" ")
    shown = float(text.replace(",", "")) * 1000 ** ("B", "kB", "MB", "GB", "TB", "PB").index(unit)
    assert abs(shown - count) <= 0.005 * count


def test_a_sentence_begins_with_a_large_letter() -> None:
    assert wording.capital("no sign of MODEL") == "No sign of MODEL"
    assert wording.capital("") == ""


def test_a_model_of_no_bytes_is_no_division_by_zero() -> None:
    assert wording.unpacked(2, 5) == "Unpacking the model: 40%"
    assert wording.unpacked(0, 0) == "Unpacking the model: 0%"


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 bytes"),
        (1000, "1,000 bytes"),
        (65536, "64 KiB"),
        (1 << 28, "256 MiB"),
        (1 << 30, "1 GiB"),
    ],
)
def test_limits_are_told_as_they_were_chosen(count: int, text: str) -> None:
    assert wording.limit(count) == text


@pytest.mark.parametrize(
    ("seconds", "told"),
    [
        (0, "just now"),
        (59, "just now"),
        (60, "1 minute ago"),
        (3599, "59 minutes ago"),
        (7200, "2 hours ago"),
        (86_400, "1 day ago"),
        (6 * 86_400, "6 days ago"),
    ],
)
def test_what_is_recent_is_told_in_words(seconds: float, told: str) -> None:
    assert wording.age(1.7e9 - seconds, 1.7e9) == told


@pytest.mark.parametrize("seconds", [-10.0, 7 * 86_400.0, 1e9])
def test_what_is_not_is_told_as_a_date(seconds: float) -> None:
    assert len(wording.age(1.7e9 - seconds, 1.7e9).split("-")) == 3


def test_what_is_worked_at_together_is_half_done_on_the_way() -> None:
    assert wording.time_left(30, 3, 7) == "about 70 s left"
    # Of sixteen that began together one is done: the others are not far behind it.
    assert wording.time_left(17, 1, 53, 16) == "about 91 s left"
    assert wording.time_left(60, 90, 10, 16) == "about 3 s left"
    assert wording.time_left(60, 99, 1, 16) == "about 0 s left"
    assert wording.time_left(60, 100, 0, 16) == "about 0 s left"


@pytest.mark.parametrize(
    ("text", "start"),
    [
        ("one two", "one two"),
        ("  one\n two\tthree ", "one two three"),
        ("one two three four", "one two three…"),
        ("one two three-four", "one two…"),
        ("a-word-without-an-end and more", "a-word-witho…"),
        ("\u8a9e" * 40, "\u8a9e" * 12 + "…"),
    ],
)
def test_a_long_text_is_cut_at_a_word(text: str, start: str) -> None:
    assert wording.started(text, 13) == start


@given(st.text(), st.integers(2, 50))
def test_the_start_of_a_text_is_no_longer_than_it_may_be(text: str, limit: int) -> None:
    found = wording.started(text, limit)
    assert len(found) <= limit + 1
    assert " ".join(text.split()).startswith(found.removesuffix("…"))
