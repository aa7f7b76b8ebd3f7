"""Lists of questions: what is asked, what is refused, and what is said about the rest."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from urial_tui.compare.items import CompareError
from urial_tui.compare.queries import QueryList, read_queries
from urial_tui.errors import UsageError

WITH_SEPARATORS = "one\u2028two\u2029three\u0085four\x0bfive\x0csix\x1cseven"


def read(tmp_path: Path, *entries: Any, **options: Any) -> QueryList:
    """What is read of these entries as JSON lines; bytes stand there as they are."""
    path = tmp_path / "list.jsonl"
    lines = [
        entry if isinstance(entry, bytes) else json.dumps(entry, ensure_ascii=False).encode()
        for entry in entries
    ]
    path.write_bytes(b"\n".join(lines) + b"\n")
    return read_queries(path, **options)


def asked(read: QueryList) -> list[str]:
    return [query.text for query in read.queries]


@pytest.mark.parametrize("key", ["query", "instruction", "prompt", "question"])
def test_the_text_is_under_one_of_four_keys(tmp_path: Path, key: str) -> None:
    assert asked(read(tmp_path, {key: "Why?"})) == ["Why?"]


def test_strings_and_a_list_of_them_are_questions(tmp_path: Path) -> None:
    assert asked(read(tmp_path, "Why?", "How?")) == ["Why?", "How?"]
    (tmp_path / "list.json").write_text('\n [{"query": "Why?"},\n"How?"]')
    assert asked(read_queries(tmp_path / "list.json")) == ["Why?", "How?"]


def test_lines_end_at_newlines_and_at_nothing_else(tmp_path: Path) -> None:
    found = read(tmp_path, {"query": WITH_SEPARATORS}, b'{"query": "Next?"}\r', b"")
    assert asked(found) == [WITH_SEPARATORS, "Next?"]


def test_a_byte_order_mark_is_no_part_of_the_first_question(tmp_path: Path) -> None:
    path = tmp_path / "list.jsonl"
    for encoding, mark in (("utf-8", b"\xef\xbb\xbf"), ("utf-16-le", b"\xff\xfe")):
        path.write_bytes(mark + '"Warum grün?"\n"B?"'.encode(encoding))
        assert asked(read_queries(path)) == ["Warum grün?", "B?"]


@pytest.mark.parametrize("more", ["input", "context"])
def test_what_a_question_is_about_is_asked_with_it(tmp_path: Path, more: str) -> None:
    found = read(
        tmp_path,
        {"instruction": "Summarise the text.", more: "The cat sat.", "category": "short"},
        {"instruction": "Name a river.", more: " "},
        {"instruction": "Name a hill.", more: None},
    )
    assert asked(found) == ["Summarise the text.\n\nThe cat sat.", "Name a river.", "Name a hill."]
    assert [dict(query.fields) for query in found.queries] == [{"category": "short"}, {}, {}]
    assert found.notes == ()


def test_one_turn_of_mt_bench_is_read_and_several_are_refused(tmp_path: Path) -> None:
    one = read(tmp_path, {"question_id": 81, "category": "writing", "turns": ["Why?"]})
    assert [(query.id, query.text) for query in one.queries] == [("81", "Why?")]
    with pytest.raises(CompareError, match=r"Entry 1 of .* has 2 questions under 'turns'"):
        read(tmp_path, {"turns": ["Why?", "And then?"]})
    for odd in ([], "Why?", [3], ["Why?", None]):
        with pytest.raises(CompareError, match=r"turns \(the form of MT-bench\) that are not a"):
            read(tmp_path, {"turns": odd})


@pytest.mark.parametrize(
    ("key", "user", "assistant", "role", "content", "form"),
    [
        ("messages", "user", "assistant", "role", "content", "OpenAI's messages"),
        ("conversations", "human", "gpt", "from", "value", "ShareGPT's conversations"),
    ],
)
def test_messages_with_one_question_are_read_and_others_are_refused(
    tmp_path: Path, key: str, user: str, assistant: str, role: str, content: str, form: str
) -> None:
    def entry(*speakers: str) -> dict[str, Any]:
        said = [{role: who, content: f"{number}."} for number, who in enumerate(speakers, 1)]
        return {"id": "a", key: said}

    assert asked(read(tmp_path, entry(user))) == ["1."]
    answered = read(tmp_path, entry(user, assistant))
    assert asked(answered) == ["1."]
    assert f"{key}[1]" in answered.notes[0]
    for speakers in (
        ("system", user),
        (assistant,),
        (user, user),
        (),
    ):
        with pytest.raises(CompareError, match=f"Entry 1 of .* has {form} of"):
            read(tmp_path, entry(*speakers))
    with pytest.raises(CompareError, match=f"Entry 1 of .* has 2 questions under '{key}'"):
        read(tmp_path, entry(user, assistant, user))
    parts = [{"type": "text", "text": "Look."}, {"type": "text", "text": "Why?"}]
    assert asked(read(tmp_path, {key: [{role: user, content: parts}]})) == ["Look.\nWhy?"]
    picture = [{"type": "image_url", "image_url": {"url": "x"}}]
    for odd in ([{role: user, content: picture}], "Why?", [5], {"0": 1}, [{role: user}]):
        with pytest.raises(CompareError, match=form):
            read(tmp_path, {key: odd})


def test_what_is_not_used_is_named_and_plain_fields_are_kept(tmp_path: Path) -> None:
    found = read(
        tmp_path,
        {"query": "Why?", "output": "So.", "level": 3, "tags": ["a"], "ok": True, "none": None},
        {"query": "How?", "tags": ["b"], "meta": {"x": 1}},
    )
    assert dict(found.queries[0].fields) == {"level": "3", "ok": "True"}
    (note,) = found.notes
    assert note.startswith("Left out of the entries of")
    assert all(key in note for key in ("'output'", "'tags'", "'meta'"))


def test_an_id_that_is_given_again_is_changed_alone_and_that_is_said(tmp_path: Path) -> None:
    found = read(
        tmp_path,
        {"id": "a", "query": "1?"},
        {"id": "b", "query": "2?"},
        {"id": "a", "query": "3?"},
        {"id": "a (2)", "query": "4?"},
        {"query": "5?"},
        {"id": 5, "query": "6?"},
    )
    assert [query.id for query in found.queries] == ["a", "b", "a (3)", "a (2)", "5", "5 (2)"]
    (note,) = found.notes
    assert "'a' is given more than once" in note
    assert "'a (3)', and so on for 1 more" in note


@pytest.mark.parametrize("odd", [[1], {"a": 1}, 1.5, True])
def test_an_id_of_another_kind_is_refused_with_its_entry(tmp_path: Path, odd: object) -> None:
    with pytest.raises(CompareError, match=r"Entry 2 of .* has an id that is neither"):
        read(tmp_path, {"query": "Why?", "id": None}, {"query": "How?", "id": odd})


def test_halves_of_characters_are_made_whole(tmp_path: Path) -> None:
    (query,) = read(tmp_path, b'{"id": "\\ud800", "query": "a\\udfff", "\\ud801": "x"}').queries
    assert (query.id, query.text, dict(query.fields)) == ("\ufffd", "a\ufffd", {"\ufffd": "x"})


@pytest.mark.parametrize(
    ("line", "what"),
    [
        (b'{"query": "Why?"', "line 2: "),
        (b"[" * 100_000, "line 2: it is nested too deeply"),
        (b'{"query": ' + b"9" * 5000 + b"}", "line 2: a number in it has thousands of digits"),
        (b'{"query": "Why?", "id": 1, "query": "How?"}', "Entry 2 of .* has the key 'query' twice"),
        (b'{"answer": "x"}', "Entry 2 of .* has no question .its keys are 'answer'."),
        (b'{"' + b"k" * 10_000_000 + b'": 1}', "Entry 2 of"),
        (b"{}", "Entry 2 of .* has no question"),
        (b"7", r"Entry 2 of .* has no question\. It needs"),
        (b'["Why?", "How?"]', r"Entry 2 of .* has no question\. It needs"),
        (b'{"instruction": " ", "input": "x"}', "Entry 2 of .* has an empty question"),
        (b"null", "Entry 2 of .* has no question"),
        (b'{"query": " "}', "Entry 2 of .* has an empty question"),
        (b'{"query": "caf\xe9"}', r"not UTF-8 text \(byte 33 can't be\)"),
    ],
)
def test_a_bad_entry_is_one_sentence_with_its_place(tmp_path: Path, line: bytes, what: str) -> None:
    with pytest.raises(CompareError, match=what) as raised:
        read(tmp_path, {"query": "Fine?"}, line)
    assert len(str(raised.value)) < 1500
    assert "\n" not in str(raised.value)


def test_a_limit_reads_no_further(tmp_path: Path) -> None:
    found = read(tmp_path, {"query": "1?"}, {"query": "2?"}, {"answer": 3}, limit=2)
    assert asked(found) == ["1?", "2?"]


def test_files_without_questions_and_what_is_no_file_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no question"):
        read(tmp_path)
    deep = tmp_path / "deep.json"
    deep.write_bytes(b"[" * 100_000)
    with pytest.raises(CompareError, match=r"a JSON list \(the list: it is nested too deeply\)"):
        read_queries(deep)
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "none", tmp_path, tmp_path / "pipe", Path("/dev/zero")):
        with pytest.raises(CompareError, match="can't be read: "):
            read_queries(path)
