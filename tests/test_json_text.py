"""JSON of strangers: what can't be read is told in words, and a key that stands twice is found."""

from __future__ import annotations

import pytest

from urial_tui.json_text import NotJSON, key_twice, made_whole, parsed


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("[" * 100_000, "it is nested too deeply"),
        ("9" * 5_000, "a number in it has thousands of digits"),
        ("[1, ", "Expecting value: line 1 column 5 (char 4)"),
        ("", "Expecting value: line 1 column 1 (char 0)"),
    ],
)
def test_what_can_t_be_read_is_told_in_words(text: str, why: str) -> None:
    with pytest.raises(NotJSON) as raised:
        parsed(text)
    assert str(raised.value) == why


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ('{"a": 1, "b": 2}', None),
        ('{"a": 1, "b": 2, "b": 2, "a": 3}', "b"),
        ('[{"a": 1}, {"a": {"x": [{"c": 1, "c": 1}]}}]', "c"),
        ('{"": 1, "": 2}', ""),
        ('{"a": {"a": {"a": []}}}', None),
        ("7", None),
    ],
)
def test_a_key_that_stands_twice_in_one_object_is_found(text: str, key: str | None) -> None:
    assert key_twice(parsed(text)) == key


def test_what_stands_twice_is_read_as_every_parser_reads_it() -> None:
    assert parsed('{"a": 1, "a": 2}') == {"a": 2}


def test_halves_of_characters_are_made_whole() -> None:
    said = made_whole(b'{"a\\udc00": ["\\ud83d\\ude00 \\ud83d", "\\\\ud83d"]}')
    assert parsed(said.decode()) == {"a\ufffd": ["\U0001f600 \ufffd", "\\ud83d"]}
    with pytest.raises(NotJSON, match="not UTF-8"):
        made_whole(b'"\xff"')
    with pytest.raises(NotJSON, match="Expecting"):
        made_whole(b"[1, ")
