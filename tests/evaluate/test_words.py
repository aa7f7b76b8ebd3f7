"""Words in any script, and what is counted of them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from urial_tui.evaluate.words import count_words, distinct, grams, repeated, words_of


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("", 0),
        (" \n\t ", 0),
        ("Hello, world!", 2),
        ("one - two", 3),
        ("1. **Sleep** well", 3),
        ("什么是彗星？", 5),
        ("彗星 is a comet。", 5),
        ("ABC、彗星", 3),
        ("カメラ", 3),
        ("สวัสดี", 4),
        ("안녕 하세요", 2),
        ("привет мир", 2),
        ("नमस्ते दुनिया", 2),
        ("a\u00a0b\u3000c", 3),
    ],
)
def test_lengths(text: str, count: int) -> None:
    assert count_words(text) == count


@given(st.text(st.characters(max_codepoint=0x2FF), max_size=80))
def test_lengths_of_spaced_scripts_are_the_official_ones(text: str) -> None:
    assert count_words(text) == len(text.split())


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Don't STOP_now, it’s 5.5!", ["don't", "stop", "now", "it's", "5", "5"]),
        ("'quoted' rock'n'roll", ["quoted", "rock'n'roll"]),
        ("Straße STRASSE", ["strasse", "strasse"]),
        ("cafe\u0301 café", ["café", "café"]),
        ("हिन्दी भाषा", ["हिन्दी", "भाषा"]),
        ("彗星です。", ["彗", "星", "で", "す"]),
        ("アイス・ティー", ["ア", "イ", "ス", "テ", "ィ", "ー"]),
        ("กินข้าว", ["กิ", "น", "ข้", "า", "ว"]),
        ("GPT4彗星x", ["gpt4", "彗", "星", "x"]),
        ("*** --- ___", []),
        ("\ud800x\x00y", ["x", "y"]),
    ],
)
def test_words(text: str, words: list[str]) -> None:
    assert words_of(text) == words


def test_runs_of_words() -> None:
    assert list(grams(["a", "b", "c"], 2)) == [("a", "b"), ("b", "c")]
    assert list(grams(["a"], 2)) == []


def test_distinct_is_over_the_number_of_words() -> None:
    answer = ["the", "cat", "and", "the", "dog", "and", "the", "cat"]
    assert distinct([answer], 1) == 4 / 8
    assert distinct([answer], 2) == 5 / 8
    assert distinct([["a", "b"], ["b", "c"]], 1) == 3 / 4
    # No pair goes from one answer to the next.
    assert distinct([["a", "b"], ["a", "b"]], 2) == 1 / 4


def test_distinct_of_no_words_is_unknown() -> None:
    assert distinct([], 1) is None
    assert distinct([[]], 1) is None
    assert distinct([["a"]], 2) is None


def test_repetition_is_the_share_that_stood_there_before() -> None:
    assert repeated(["a", "b", "c", "d", "e", "f"], 4) == 0.0
    assert repeated(["a"] * 10, 4) == 1 - 1 / 7
    assert repeated(["a", "b", "c", "d", "a", "b", "c", "d"], 4) == pytest.approx(1 / 5)
    assert repeated(["a"] * 4, 4) == 0.0
    assert repeated(["a"] * 3, 4) is None
