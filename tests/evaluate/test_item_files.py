"""Sets of items in files: every form that is read, what is named, and what is refused."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from urial_tui.evaluate.item_files import find_items, read_items
from urial_tui.evaluate.items import EvaluateError, Item, ItemSet
from urial_tui.evaluate.own_items import own_items


def read(tmp_path: Path, *entries: Any) -> ItemSet:
    """What is read of these entries as JSON lines; bytes stand there as they are."""
    path = tmp_path / "set.jsonl"
    lines = [
        entry if isinstance(entry, bytes) else json.dumps(entry, ensure_ascii=False).encode()
        for entry in entries
    ]
    path.write_bytes(b"\n".join(lines) + b"\n")
    return read_items(path)


def one(tmp_path: Path, entry: Any) -> Item:
    (item,) = read(tmp_path, entry).items
    return item


def said(*speakers: str) -> list[dict[str, str]]:
    """Messages of these speakers, which are numbered."""
    return [{"role": who, "content": f"{number}."} for number, who in enumerate(speakers, 1)]


# -- the forms -------------------------------------------------------------------------


def test_the_official_list_is_read_with_all_that_it_knows(tmp_path: Path) -> None:
    official = {
        "id": 812,
        "instruction": "Why?",
        "source_id": "hh-rlhf-redteam-12",
        "dataset": "hh-rlhf",
        "category": "safety",
    }
    path = tmp_path / "list.json"
    path.write_text(json.dumps([official, {**official, "id": 3, "category": "regular"}]))
    found = read_items(path)
    assert (found.name, found.unused) == ("list.json", {})
    assert found.items[0] == Item(
        id=812,
        turns=("Why?",),
        category="safety",
        dataset="hh-rlhf",
        source_id="hh-rlhf-redteam-12",
    )
    assert (found.items[1].id, found.items[1].category) == (3, "regular")


def test_answers_to_come_and_what_they_belong_to_are_no_answers(tmp_path: Path) -> None:
    found = read(
        tmp_path,
        {"id": 0, "instruction": "Why?", "output": "N/A", "generator": "N/A", "datasplit": "x"},
    )
    assert found.items[0].references == ()
    assert found.unused == {"datasplit": 1}


def test_task_types_and_topics_are_lists_or_one_text(tmp_path: Path) -> None:
    item = one(tmp_path, {"query": "Why?", "task_types": ["math", "coding", "math"], "topics": "x"})
    assert (item.task_types, item.topics) == (("math", "coding"), ("x",))


@pytest.mark.parametrize("key", ["instruction", "query", "question", "prompt"])
def test_the_text_is_under_one_of_four_keys(tmp_path: Path, key: str) -> None:
    found = read(tmp_path, {key: "Why?"}, {key: "How?"})
    assert [(item.id, item.turns) for item in found.items] == [(1, ("Why?",)), (2, ("How?",))]


def test_of_alpaca_the_input_is_asked_and_the_output_is_the_reference(tmp_path: Path) -> None:
    found = read(
        tmp_path,
        {"instruction": "Summarise the text.", "input": "The cat sat.", "output": "It sat."},
        {"instruction": "Name a river.", "input": "", "output": "The Rhine."},
    )
    assert [item.turns for item in found.items] == [
        ("Summarise the text.\n\nThe cat sat.",),
        ("Name a river.",),
    ]
    assert [item.references for item in found.items] == [("It sat.",), ("The Rhine.",)]
    assert found.unused == {}


def test_of_dolly_the_context_is_asked_and_the_category_is_a_task_type(tmp_path: Path) -> None:
    item = one(
        tmp_path,
        {"instruction": "Who?", "context": "Ada.", "response": "Ada.", "category": "closed_qa"},
    )
    assert item.turns == ("Who?\n\nAda.",)
    assert (item.references, item.task_types, item.category) == (
        ("Ada.",),
        ("closed_qa",),
        "regular",
    )


def test_of_mt_bench_all_turns_are_asked_and_the_category_is_a_task_type(tmp_path: Path) -> None:
    found = read(
        tmp_path,
        {"question_id": 81, "category": "writing", "turns": ["Write.", "Again."]},
        {
            "question_id": 111,
            "category": "math",
            "turns": ["1 + 1?", "2 + 2?"],
            "reference": ["2", None],
        },
    )
    assert [item.id for item in found.items] == [81, 111]
    assert [item.turns for item in found.items] == [("Write.", "Again."), ("1 + 1?", "2 + 2?")]
    assert [item.task_types for item in found.items] == [("writing",), ("math",)]
    assert [item.category for item in found.items] == ["regular", "regular"]
    assert [item.references for item in found.items] == [(), ("2", "")]
    assert found.unused == {}


def test_of_messages_the_users_are_asked_and_the_answers_are_references(tmp_path: Path) -> None:
    found = read(
        tmp_path,
        {"messages": said("user")},
        {"messages": said("user", "assistant")},
        {"messages": said("user", "assistant", "user")},
        {"conversations": [{"from": "human", "value": "a"}, {"from": "gpt", "value": "b"}]},
    )
    assert [(item.turns, item.references) for item in found.items] == [
        (("1.",), ()),
        (("1.",), ("2.",)),
        (("1.", "3."), ("2.", "")),
        (("a",), ("b",)),
    ]


def test_a_reference_goes_before_answers_which_are_then_named(tmp_path: Path) -> None:
    found = read(
        tmp_path,
        {"messages": said("user", "assistant"), "reference": "right"},
        {"instruction": "Why?", "output": "So.", "reference": "right"},
    )
    assert [item.references for item in found.items] == [("right",), ("right",)]
    assert found.unused == {"messages[1]": 1, "output": 1}


def test_references_that_are_not_one_a_turn_are_named_and_not_used(tmp_path: Path) -> None:
    found = read(
        tmp_path,
        {"question": "Why?", "references": ["a", "b"]},
        {"turns": ["Why?", "How?"], "reference": "a"},
        {"turns": ["Why?", "How?"], "reference": []},
    )
    assert [item.references for item in found.items] == [(), (), ()]
    assert found.unused == {"references": 1, "reference": 2}


def test_what_is_not_used_is_counted_by_key(tmp_path: Path) -> None:
    found = read(
        tmp_path,
        {"query": "1?", "level": 3, "tags": ["a"], "none": None, "empty": ""},
        {"query": "2?", "tags": [], "meta": {"query": "x"}},
    )
    assert found.unused == {"tags": 2, "level": 1, "meta": 1}


def test_the_same_text_under_two_keys_is_one_question(tmp_path: Path) -> None:
    found = read(tmp_path, {"prompt": "1.", "messages": said("user", "assistant")})
    assert (found.items[0].turns, found.items[0].references) == (("1.",), ("2.",))
    assert found.unused == {}


def test_a_form_without_a_value_is_none(tmp_path: Path) -> None:
    empty = {"turns": None, "prompt": None, "input": None, "reference": None, "category": None}
    assert one(tmp_path, {"query": "Why?", **empty}) == Item(id=1, turns=("Why?",))
    with pytest.raises(EvaluateError, match="has no question"):
        one(tmp_path, {"turns": None})


# -- ids and categories ----------------------------------------------------------------


def test_ids_are_whole_numbers_or_texts_as_the_file_has_them(tmp_path: Path) -> None:
    found = read(
        tmp_path,
        {"id": 7, "query": "1?"},
        {"id": "b", "query": "2?"},
        {"id": 0, "query": "3?"},
        {"id": 2**70, "query": "4?"},
    )
    assert [item.id for item in found.items] == [7, "b", 0, str(2**70)]


@pytest.mark.parametrize("empty", [{}, {"id": None}, {"id": ""}])
def test_an_id_that_only_some_have_is_refused(tmp_path: Path, empty: dict[str, Any]) -> None:
    with pytest.raises(EvaluateError, match=r"^Entry 2 of .* has no id, and others have one\."):
        read(tmp_path, {"id": 1, "query": "1?"}, {"query": "2?", **empty}, {"query": "3?"})


@pytest.mark.parametrize(("first", "second"), [(5, 5), ("a", "a"), (5, "5")])
def test_an_id_that_two_have_is_refused(tmp_path: Path, first: Any, second: Any) -> None:
    with pytest.raises(EvaluateError, match=r"^Entry 3 of .* has the id of entry 1, '"):
        read(
            tmp_path,
            {"id": first, "query": "1?"},
            {"id": "other", "query": "2?"},
            {"id": second, "query": "3?"},
        )


def test_categories_are_ours_in_the_whole_list_or_nowhere(tmp_path: Path) -> None:
    found = read(tmp_path, {"query": "1?", "category": " Safety "}, {"query": "2?"})
    assert [item.category for item in found.items] == ["safety", "regular"]
    with pytest.raises(EvaluateError, match=r"^Entry 2 of .* has the category 'saftey', and "):
        read(tmp_path, {"query": "1?", "category": "safety"}, {"query": "2?", "category": "saftey"})
    found = read(tmp_path, {"query": "1?", "category": "Open QA", "task_types": ["x"]})
    assert found.items[0].task_types == ("x", "Open QA")


# -- what is refused -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("entry", "what"),
    [
        (b'{"query": "Why?"', "line 2: "),
        (b"[" * 100_000, "line 2: it is nested too deeply"),
        (
            b'{"messages": [{"role": "user", "content": "Why?", "content": "How?"}]}',
            "Entry 2 of .* has the key 'content' twice",
        ),
        (b'{"query": ' + b"9" * 5000 + b"}", "line 2: "),
        (b'{"query": "caf\xe9"}', r"not UTF-8 text \(byte 33 can't be\)"),
        (b'{"query": "a\x00"}', "it is not text"),
        (b"7", "Entry 2 of .* has no question"),
        (b"null", "Entry 2 of .* has no question"),
        (b"[]", "Entry 2 of .* has no question"),
        ({"answer": "x"}, r"Entry 2 of .* has no question \(its keys are 'answer'\)"),
        ({"query": 5}, "Entry 2 of .* has no question"),
        ({"query": " \n"}, "Entry 2 of .* has an empty question"),
        ({"instruction": "", "input": "x"}, "Entry 2 of .* has an empty question"),
        ({"instruction": "Why?", "input": 5}, "Entry 2 of .* than text as input: 5"),
        (b'{"instruction": "Why?", "input": NaN}', "Entry 2 of .* than text as input: nan"),
        (b'{"query": "Why?", "id": NaN}', "Entry 2 of .* has an id that is neither"),
        ({"query": "Why?", "id": True}, "Entry 2 of .* has an id that is neither"),
        ({"query": "Why?", "id": ["a"]}, "Entry 2 of .* has an id that is neither"),
        ({"query": "Why?", "prompt": "How?"}, "under 'query' and another under 'prompt'"),
        ({"query": "Why?", "turns": ["Why?", "x"]}, "under 'query' and another under 'turns'"),
        ({"turns": []}, "Entry 2 of .* has turns"),
        ({"turns": "Why?"}, "Entry 2 of .* has turns"),
        ({"turns": ["Why?", 5]}, "Entry 2 of .* has turns"),
        ({"turns": ["Why?", ""]}, "Entry 2 of .* has an empty question"),
        ({"messages": []}, "OpenAI's messages of no form"),
        ({"messages": said("system", "user")}, "OpenAI's messages of 'system', 'user'"),
        ({"messages": said("user", "user")}, "OpenAI's messages of 'user', 'user'"),
        ({"messages": said("assistant", "user")}, "OpenAI's messages of 'assistant'"),
        ({"messages": said("user", "tool")}, "OpenAI's messages of 'user', 'tool'"),
        ({"messages": [{"role": "user", "content": 5}]}, "OpenAI's messages of 'user'"),
        ({"query": "Why?", "category": 5.5}, "Entry 2 of .* than text as category: 5.5"),
        ({"query": "Why?", "dataset": ["x"]}, "Entry 2 of .* than text as dataset"),
        ({"query": "Why?", "source_id": True}, "Entry 2 of .* than text as source_id"),
        ({"query": "Why?", "task_types": {"a": 1}}, "Entry 2 of .* than texts as task_types"),
        ({"query": "Why?", "topics": ["a", 5]}, "Entry 2 of .* than texts as topics"),
        ({"query": "Why?", "reference": 5}, "Entry 2 of .* than texts as reference: 5"),
        ({"query": "Why?", "references": [{}]}, "Entry 2 of .* than texts as references"),
        (
            {"instruction": "Why?", "output": "So.", "generator": "llama"},
            "Entry 2 of .* is an answer that 'llama' gave",
        ),
        ({"input": "Why?", "output_cand": "So."}, "Entry 2 of .* is the judgement of an answer"),
        ({"input": "Why?", "output_A": "So."}, "Entry 2 of .* is the judgement of an answer"),
    ],
)
def test_what_can_not_be_asked_is_one_sentence_with_its_place(
    tmp_path: Path, entry: Any, what: str
) -> None:
    with pytest.raises(EvaluateError, match=what) as raised:
        read(tmp_path, {"query": "Fine?"}, entry)
    assert raised.value.message.endswith(".")
    assert raised.value.hint.endswith(".")
    assert "\n" not in str(raised.value)
    assert len(str(raised.value)) < 1500


def test_files_without_items_and_what_is_no_file_are_refused(tmp_path: Path) -> None:
    with pytest.raises(EvaluateError, match="There is no item in"):
        read(tmp_path)
    (tmp_path / "list.json").write_text("[]")
    with pytest.raises(EvaluateError, match="There is no item in"):
        read_items(tmp_path / "list.json")
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "none", tmp_path, tmp_path / "pipe", Path("/dev/zero")):
        with pytest.raises(EvaluateError, match="can't be read: "):
            read_items(path)


def test_a_file_that_is_too_long_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "long.jsonl"
    with path.open("wb") as file:
        file.truncate(256 * 1024 * 1024 + 1)
    with pytest.raises(EvaluateError, match="longer than 256 MiB"):
        read_items(path)


def test_control_characters_of_a_file_are_not_shown_as_they_are(tmp_path: Path) -> None:
    with pytest.raises(EvaluateError) as raised:
        read(tmp_path, {"\x1b[2Jkey": "x"})
    assert "\x1b" not in str(raised.value)


def test_a_byte_order_mark_and_halves_of_characters_do_no_harm(tmp_path: Path) -> None:
    path = tmp_path / "set.jsonl"
    path.write_bytes(
        b'\xef\xbb\xbf{"id": "\\ud800", "query": "a\\udfff", "output": "\\ud801", "\\ud802": 1}'
    )
    found = read_items(path)
    assert found.items == (Item(id="\ufffd", turns=("a\ufffd",), references=("\ufffd",)),)
    assert found.unused == {"\ufffd": 1}


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["role", "content", "from", "value", "text"]), inner, max_size=3
        )
    ),
    max_leaves=6,
)
KEYS = st.sampled_from(
    [
        *("id", "question_id", "query", "instruction", "prompt", "question", "input", "context"),
        *("turns", "messages", "conversations", "category", "dataset", "source_id", "task_types"),
        *("topics", "reference", "references", "output", "response", "generator", "output_cand"),
        "other",
    ]
)


@given(st.lists(st.dictionaries(KEYS, VALUES, max_size=6) | VALUES, max_size=3))
def test_whatever_stands_in_a_file_gives_sound_items_or_a_sentence(
    tmp_path_factory: pytest.TempPathFactory, entries: list[Any]
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.json"
    path.write_text(json.dumps(entries))
    try:
        found = read_items(path)
    except EvaluateError:
        return
    assert len(found.items) == len(entries)
    assert len({str(item.id) for item in found.items}) == len(entries)
    for item in found.items:
        assert all(turn.strip() for turn in item.turns)
        assert item.turns
        assert len(item.references) in (0, len(item.turns))


# -- by name ---------------------------------------------------------------------------


@pytest.mark.parametrize("name", [None, "urial-60"])
def test_without_a_file_the_items_of_the_program_are_meant(name: str | None) -> None:
    assert find_items(name) == own_items()


def test_another_name_is_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mine.jsonl").write_text('{"query": "Why?"}')
    monkeypatch.setenv("HOME", str(tmp_path))
    assert find_items("~/mine.jsonl").name == "mine.jsonl"
    with pytest.raises(EvaluateError, match="can't be read"):
        find_items(str(tmp_path / "none"))
