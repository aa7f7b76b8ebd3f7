"""Sentences for the user stay short, whatever they quote."""

from __future__ import annotations

from typing import Any

import pytest

from urial_tui.cli.main import run
from urial_tui.errors import LONGEST, UrialError
from urial_tui.sanitize import quoted, short_name, shortened


def test_a_sentence_that_quotes_megabytes_is_shortened_in_its_middle() -> None:
    error = UrialError(f"The file says {'x' * 10_000_000}, which is wrong.", "Correct it." * 1000)
    assert len(error.message) == len(error.hint) == LONGEST
    assert error.message.startswith("The file says xxx")
    assert error.message.endswith("xxx, which is wrong.")
    assert UrialError("Short.", "So.").args == ("Short.", "So.")


@pytest.mark.parametrize(
    ("text", "limit", "short"),
    [("abcdef", 6, "abcdef"), ("abcdefg", 6, "abc…fg"), ("abcdefg", 1, "…"), ("", 3, "")],
)
def test_a_text_keeps_its_start_and_its_end(text: str, limit: int, short: str) -> None:
    assert shortened(text, limit) == short


def test_a_path_is_told_by_its_end_and_a_name_as_it_is() -> None:
    assert short_name("models/tiny.gguf") == "tiny.gguf"
    assert short_name("gemma-3-270m") == "gemma-3-270m"
    assert short_name("a/evil\x1b[2J.gguf") == "evil␛[2J.gguf"


def deep() -> list[Any]:
    made: list[Any] = []
    for _ in range(100_000):
        made = [made]
    return made


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("plain", "'plain'"),
        ("a\x1b[2J\u202eb", r"'a\x1b[2J\u202eb'"),
        (7, "7"),
    ],
)
def test_a_value_is_quoted_on_one_harmless_line(value: object, shown: str) -> None:
    assert quoted(value) == shown


def test_what_can_not_be_written_is_told_of_without_its_value() -> None:
    assert quoted(1 << 400_000) == "a number that is too large to show"
    assert quoted(deep()) == "a value that is too large to show"


def test_no_quotation_is_longer_than_its_limit() -> None:
    assert len(quoted("x" * 10_000_000)) == 82
    assert len(quoted(list(range(10_000)))) == 80


def test_a_command_line_of_any_length_is_answered_shortly(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run(["--" + "x" * 120_000]) == 2
    assert len(capsys.readouterr().err) < 2 * LONGEST + 100
