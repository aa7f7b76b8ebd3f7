"""Files of answers and judgements put together: which belongs to which, and what fits nowhere."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.evaluate.judged import HOSTILE, answer, preferred, scored, swapped, written
from urial_tui.errors import UsageError
from urial_tui.evaluate.evaluation import Evaluation, read_evaluation
from urial_tui.evaluate.items import EvaluateError, Item, ItemSet
from urial_tui.evaluate.own_items import own_items
from urial_tui.evaluate.report import report
from urial_tui.evaluate.report_tables import report_tables

FIVE = (5, 5, 5, 4, 3)


def evaluation(
    directory: Path, *files: list[dict[str, Any]], items: ItemSet | None = None
) -> Evaluation:
    """What is read of files `0.json`, `1.json`, …"""
    paths = [written(directory / f"{at}.json", records) for at, records in enumerate(files)]
    return read_evaluation(paths, items)


def refused(directory: Path, *files: Any, items: ItemSet | None = None) -> str:
    with pytest.raises(EvaluateError) as caught:
        evaluation(directory, *files, items=items)
    assert caught.value.hint
    return caught.value.message


# -- runs and their judgements ---------------------------------------------------------


def test_a_judgement_belongs_to_the_run_whose_answer_it_judges(tmp_path: Path) -> None:
    found = evaluation(
        tmp_path,
        [scored(1, "One.", *FIVE), scored(2, "Old.", *FIVE)],
        [answer(1, "One."), answer(2, "Two.")],
        [answer(1, "Un.", "gemma"), answer(2, "Deux.", "gemma")],
    )
    assert [run.name for run in found.runs] == ["llama", "gemma"]
    assert [run.file for run in found.runs] == ["1.json", "2.json"]
    assert list(found.runs[0].judged["judge-1"]) == ["1"]
    assert found.runs[1].judged == {}
    # The answer to item 2 was written anew since.
    assert [file.unmatched for file in found.files] == [1, 0, 0]
    assert [file.kind for file in found.files] == ["judgements", "outputs", "outputs"]


def test_of_two_runs_of_one_name_the_judged_text_tells_which(tmp_path: Path) -> None:
    found = evaluation(
        tmp_path,
        [answer(1, "One."), answer(2, "Same.")],
        [answer(1, "Uno."), answer(2, "Same.")],
        [scored(1, "Uno.", *FIVE), scored(2, "Same.", *FIVE)],
    )
    assert [run.name for run in found.runs] == ["llama (0.json)", "llama (1.json)"]
    assert [len(run.judged.get("judge-1", {})) for run in found.runs] == [0, 2]


def test_answers_that_only_judgements_tell_of_are_a_run(tmp_path: Path) -> None:
    found = evaluation(
        tmp_path,
        [scored(1, "One.", *FIVE, generator_cand="sets//llama.json")],
        [scored(2, "No.", 5, generator_cand="sets//llama.json")],
    )
    (run,) = found.runs
    assert (run.name, run.generator, run.file) == ("llama", "sets//llama.json", "")
    assert {key: output.exchanges[0].output for key, output in run.outputs.items()} == {
        "1": "One.",
        "2": "No.",
    }
    # What is judged by its safety alone is asked for it.
    assert [(item.id, item.category) for item in found.items] == [(1, "regular"), (2, "safety")]


def test_what_stands_before_a_slash_in_the_name_of_a_model_or_a_context_is_kept(
    tmp_path: Path,
) -> None:
    names = ["meta/llama at a.example, urial-k3", "llama, mine/short", "llama, mine/long"]
    found = evaluation(tmp_path, *([answer(1, name, name)] for name in names))
    assert [run.name for run in found.runs] == names


def test_judges_of_several_runs_that_are_known_from_judgements_stay_apart(tmp_path: Path) -> None:
    found = evaluation(tmp_path, [scored(1, "One.", *FIVE)], [scored(1, "Another.", *FIVE)])
    assert [run.name for run in found.runs] == ["llama (0.json)", "llama (1.json)"]


def test_a_judge_that_saw_the_start_of_an_answer_judged_it(tmp_path: Path) -> None:
    shown = {"eval_config": {"mode": "score", "gpt": "j", "max_words": 2}}
    found = evaluation(
        tmp_path,
        [answer(1, "One two  three."), answer(2, "One")],
        [
            scored(1, "One two", *FIVE) | shown,
            scored(2, "One and", *FIVE) | shown,
        ],
    )
    assert list(found.runs[0].judged["j"]) == ["1"]


def test_a_judge_of_a_conversation_judged_its_last_answer(tmp_path: Path) -> None:
    turns = [{"instruction": "Question 1?", "output": "One."}, {"instruction": "B?", "output": "2"}]
    found = evaluation(
        tmp_path,
        [answer(1, "One.") | {"turns": turns}],
        [scored(1, "2", *FIVE) | {"input": "B?"}],
    )
    assert list(found.runs[0].judged["judge-1"]) == ["1"]
    assert found.items[0].turns == ("Question 1?", "B?")


def test_pairs_name_their_runs(tmp_path: Path) -> None:
    found = evaluation(tmp_path, [preferred(1, "A"), swapped(preferred(1, "A"))])
    assert [run.name for run in found.runs] == ["llama", "gemma"]
    assert [(one.first, one.second) for one in found.comparisons] == [
        ("llama", "gemma"),
        ("gemma", "llama"),
    ]


def test_a_pair_with_an_answer_that_was_written_anew_is_left_out(tmp_path: Path) -> None:
    found = evaluation(
        tmp_path,
        [answer(1, "Answer1"), answer(2, "New.")],
        [preferred(1, "A"), preferred(2, "B")],
    )
    assert [one.judgement.id for one in found.comparisons] == [1]
    assert found.files[1].unmatched == 1


def test_names_of_strangers_are_kept_as_they_are(tmp_path: Path) -> None:
    found = evaluation(
        tmp_path,
        [answer(1, HOSTILE, HOSTILE)],
        [scored(1, "\ud800", *FIVE, generator_cand="half \ud800")],
    )
    assert found.runs[0].generator == HOSTILE
    # Halves of characters, which no encoding can hold.
    assert found.runs[1].name == "half \ufffd"


# -- items -----------------------------------------------------------------------------


def test_the_items_of_the_program_are_known_where_they_were_asked(tmp_path: Path) -> None:
    own = own_items().items[:3]
    records = [answer(0, "So.") | {"id": item.id, "instruction": item.turns[0]} for item in own]
    found = evaluation(tmp_path, records)
    assert (found.set_name, found.set_items) == ("urial-60", 60)
    assert found.items == own
    records[1]["instruction"] += " "
    found = evaluation(tmp_path, records)
    assert (found.set_name, found.set_items) == (None, None)
    assert found.items[0].task_types == ()


def test_files_may_tell_the_name_of_their_set(tmp_path: Path) -> None:
    found = evaluation(
        tmp_path, [answer(1, "a", datasplit="just_eval"), answer(2, "b", datasplit="just_eval")]
    )
    assert (found.set_name, found.set_items) == ("just_eval", None)
    found = evaluation(tmp_path, [answer(1, "a", datasplit="just_eval"), answer(2, "b")])
    assert found.set_name is None


def test_items_that_are_named_have_to_be_those_that_were_answered(tmp_path: Path) -> None:
    items = ItemSet(
        name="mine",
        items=tuple(
            Item(id=str(number), turns=(f"Question {number}?",), topics=("law",))
            for number in (2, 1)
        ),
    )
    found = evaluation(tmp_path, [answer(1, "a"), answer(2, "b")], items=items)
    assert [item.id for item in found.items] == ["2", "1"]
    message = refused(tmp_path, [answer(1, "a"), answer(3, "b")], items=items)
    assert "not to the items of mine: item '3' is not among them" in message
    message = refused(tmp_path, [answer(1, "a", instruction="Other?")], items=items)
    assert "item '1' asks something else there" in message


def test_answers_to_different_sets_are_refused(tmp_path: Path) -> None:
    message = refused(tmp_path, [answer(1, "a")], [answer(1, "b", "gemma", instruction="Other?")])
    assert "Item '1' is one question in" in message
    message = refused(tmp_path, [answer(1, "a")], [answer(2, "b", "gemma")])
    assert "are to none of the items" in message


# -- what is no report -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[]", "There is no record in"),
        ("{}", "is no list of answers or judgements"),
        ("[1]", "holds neither answers nor judgements."),
        ('[{"query": "Why?"}]', "(the keys of its records are 'query')"),
        ("[" * 100_000, "nested too deeply"),
        ("[{]", "is not JSON"),
        ('[{"output": "x"}]', "Record 1 of"),
        ('[{"eval_config": {}}]', "Record 1 of"),
    ],
)
def test_a_file_of_something_else_is_told_in_a_sentence(
    text: str, words: str, tmp_path: Path
) -> None:
    (tmp_path / "f.json").write_text(text, encoding="utf-8")
    with pytest.raises(EvaluateError) as caught:
        read_evaluation([tmp_path / "f.json"])
    assert words in caught.value.message
    assert caught.value.hint


def test_what_is_no_readable_file_is_told_in_a_sentence(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "bytes").write_bytes(b"\xff\xfe[\x00")
    for name in ("pipe", "nothing", ".", "bytes"):
        with pytest.raises(EvaluateError, match=r"can't be read|is not JSON"):
            read_evaluation([tmp_path / name])


def test_a_file_is_named_once_also_through_a_link(tmp_path: Path) -> None:
    path = written(tmp_path / "a.json", [answer(1, "a")])
    (tmp_path / "b.json").symlink_to(path)
    with pytest.raises(UsageError, match="is named twice"):
        read_evaluation([path, tmp_path / "b.json"])


def test_doubled_answers_and_judgements_are_refused(tmp_path: Path) -> None:
    message = refused(tmp_path, [answer(1, "a"), answer(1, "b") | {"id": "1"}])
    assert "Record 2 of" in message
    assert "has the id of record 1, '1'" in message
    message = refused(tmp_path, [scored(1, "a", *FIVE)], [scored(1, "a", *FIVE)])
    assert "judged twice by 'judge-1'" in message
    message = refused(
        tmp_path, [preferred(1, "A"), preferred(1, "A", output_A="c", generator_B="phi")]
    )
    assert "judges two answers of 'llama' to item '1'" in message


def test_judgements_of_other_answers_than_there_are_are_refused(tmp_path: Path) -> None:
    message = refused(tmp_path, [answer(1, "a")], [scored(1, "b", *FIVE)])
    assert "are of other answers of 'llama' than those in" in message


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=5,
)
RECORDS = (
    answer(1, "a"),
    answer(1, "a") | {"turns": [{"instruction": "Question 1?", "output": "a"}]},
    scored(1, "a", *FIVE),
    preferred(1, "A"),
)


@given(data=st.data())
def test_whatever_a_record_holds_is_read_or_refused_in_a_sentence(data: st.DataObject) -> None:
    records = []
    for record in data.draw(st.lists(st.sampled_from(RECORDS), min_size=1, max_size=3)):
        changed = dict(record)
        for key in data.draw(st.lists(st.sampled_from(sorted(record)), max_size=2)):
            changed[key] = data.draw(JSON_VALUES)
        records.append(changed)
    with tempfile.TemporaryDirectory() as directory:
        path = written(Path(directory) / "f.json", records)
        try:
            found = read_evaluation([path])
        except EvaluateError:
            return
    document = report(found, resamples=10)
    json.dumps(document, allow_nan=False)
    assert list(report_tables(document))
