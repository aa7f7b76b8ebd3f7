"""A pool of examples: what is read of its lines, and what is left out, by line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from urial_tui.errors import RetrievalError
from urial_tui.prompting import pool
from urial_tui.prompting.pool import Pair, plain_text, read_pool, shortened


def written(path: Path, *lines: object) -> Path:
    file = path / "pool.jsonl"
    data = [one if isinstance(one, bytes) else json.dumps(one).encode() for one in lines]
    file.write_bytes(b"\n".join(data))
    return file


def test_pairs_are_read_in_any_form_that_has_one_question(tmp_path: Path) -> None:
    found = read_pool(
        written(
            tmp_path,
            {"query": " What is ice? ", "answer": "Frozen water.\n"},
            {"instruction": "Sum up.", "input": "A long text.", "output": "It is long."},
            {
                "messages": [
                    {"role": "user", "content": "Hi"},
                    {"role": "assistant", "content": "Hello."},
                ]
            },
        )
    )
    assert found.pairs == (
        Pair("What is ice?", "Frozen water."),
        Pair("Sum up.\n\nA long text.", "It is long."),
        Pair("Hi", "Hello."),
    )
    assert found.left_out == {}
    assert found.notes == []


def test_a_line_that_cannot_be_used_costs_no_other(tmp_path: Path) -> None:
    good = {"query": "a", "answer": "b"}
    found = read_pool(
        written(
            tmp_path,
            good,
            b'{"query": "caf\xe9", "answer": "x"}',
            b"{not json",
            {"answer": "no question"},
            {"query": "no answer"},
            {"query": "  ", "answer": "x"},
            {"query": "x", "answer": " "},
            {"query": "x", "answer": ["a list"]},
            {"query": 7, "answer": "x"},
            [1, 2],
            {"turns": ["one", "two"], "answer": "x"},
            {"query": "q" * 16_001, "answer": "x"},
            {"query": "q", "answer": "x" * 300_000},
            b"",
            {"query": " a ", "answer": "b"},
            b"[" * 100_000,
            b'{"query": "a", "query": "c", "answer": "d"}',
            {"query": "last", "answer": "one"},
        )
    )
    assert found.pairs == (Pair("a", "b"), Pair("last", "one"))
    assert found.left_out == {
        "not UTF-8": (2,),
        "no JSON object": (3, 10, 16),
        "a key twice": (17,),
        "without a question": (4, 6, 9, 11),
        "without an answer": (5, 7, 8),
        "too long": (12, 13),
        "a double": (15,),
    }
    assert "Left out 3 lines (without an answer): lines 5, 7, 8." in found.notes
    assert "Left out 1 line (a double): line 15." in found.notes


def test_doubles_are_told_without_case_white_space_and_unicode_form(tmp_path: Path) -> None:
    lines = [
        ("Who is It?", "The café’s cat."),
        ("who  is it?", "The cafe\u0301’s CAT."),
        ("Ｗho\u00a0is\nit?", "the café’s\ncat."),
        ("Who is it!", "The café’s cat."),
        ("WHO IS IT?", "The dog."),
        ("Who is it?", "the  dog."),
        ("Straße?", "ŉ"),
        ("STRASSE?", "ʼn"),
    ]
    found = read_pool(
        written(tmp_path, *({"query": query, "answer": answer} for query, answer in lines))
    )
    assert found.pairs == tuple(Pair(*lines[number]) for number in (0, 3, 4, 6))
    assert found.left_out == {"a double": (2, 3, 6, 8)}
    assert found.asked_again == (5,)
    assert found.notes == [
        "Left out 4 lines (a double): lines 2, 3, 6, 8.",
        "Kept 1 line with another answer to a question that was there before: line 5.",
    ]


def test_what_differs_in_more_than_its_form_is_another_text() -> None:
    texts = ["a b", "ab", "a-b", "ä b", "a b?", "ａ ｃ"]
    assert len({plain_text(text) for text in texts}) == len(texts)
    assert plain_text(" Ａ\u2003B\n") == "a b"
    for text in ("ﬀ", "İ", "ΐ", "ǅ", "ſ\u0307"):
        assert plain_text(plain_text(text)) == plain_text(text)
        assert plain_text(text.upper()) == plain_text(text)


def test_a_text_may_hold_other_line_separators(tmp_path: Path) -> None:
    line = '{"query": "a\u2028b\u0085c", "answer": "d"}'.encode()
    assert read_pool(written(tmp_path, line)).pairs == (Pair("a\u2028b\u0085c", "d"),)


def test_halves_of_characters_are_replaced(tmp_path: Path) -> None:
    line = b'{"query": "a\\ud800", "answer": "b\\udfff"}'
    assert read_pool(written(tmp_path, line)).pairs == (Pair("a\ufffd", "b\ufffd"),)


@pytest.mark.parametrize("data", [b"", b"\n\n", b'{"query": "a"}\n'])
def test_a_pool_without_a_pair_is_refused(tmp_path: Path, data: bytes) -> None:
    file = tmp_path / "pool.jsonl"
    file.write_bytes(data)
    with pytest.raises(RetrievalError, match="no pair of a query and an answer"):
        read_pool(file)


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "missing", Path("/dev/zero")):
        with pytest.raises(RetrievalError, match="can't be read"):
            read_pool(path)


def test_a_pool_of_too_many_pairs_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool, "MAX_PAIRS", 2)
    lines = [{"query": str(number), "answer": "x"} for number in range(3)]
    with pytest.raises(RetrievalError, match="more than 2 pairs"):
        read_pool(written(tmp_path, *lines))


@pytest.mark.parametrize(
    ("answer", "most", "left"),
    [
        ("One two. Three four.", 4, "One two. Three four."),
        ("One two. Three four.", 3, "One two."),
        ("One two. Three four. Five", 4, "One two. Three four."),
        ('He said "no." Then he left.', 4, 'He said "no."'),
        ("Pi is 3.14159 and more. Yes.", 4, "Pi is 3.14159 and"),
        ("A heading\n\nA paragraph that goes on", 4, "A heading"),
        ("one two three", 2, "one two"),
        ("你好。再见。", 3, "你好。"),
        ("日本語の文章", 2, "日本"),
    ],
)
def test_a_long_answer_ends_with_a_sentence(answer: str, most: int, left: str) -> None:
    assert shortened(answer, most) == left
