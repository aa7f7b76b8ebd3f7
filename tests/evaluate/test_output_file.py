"""Files of outputs: those of the official scorer's form, ours, and what is none."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from urial_tui.evaluate.items import EvaluateError
from urial_tui.evaluate.output_file import read_outputs, write_outputs
from urial_tui.evaluate.outputs import AnsweredTurn, Output, ShownPreamble
from urial_tui.prompting.preamble import Example

OURS = Output(
    id=7,
    exchanges=(
        AnsweredTurn(
            instruction="Why?",
            output="So.",
            tokens=2,
            ending="stop",
            detail='stop "',
            retrieved=(Example(query="Who?", answer="Me."), Example(query="ü", answer="")),
        ),
        AnsweredTurn(
            instruction="And?", output="", tokens=0, ending="end", detail="eos </s>", seed=9
        ),
    ),
    generator="a model, urial-k3",
    category="safety",
    dataset="ours",
    source_id="ours-7",
    datasplit="urial-60",
    key="k",
    parallel=4,
    seed=1,
    preamble=ShownPreamble(name="urial-k3", examples="a hash"),
)
THEIRS = {
    "id": 1,
    "instruction": "Who?",
    "source_id": "s-1",
    "dataset": "d",
    "output": "She.",
    "generator": "g",
    "datasplit": "e",
}


def test_outputs_are_read_as_they_were_written(tmp_path: Path) -> None:
    single = Output(
        id="b", exchanges=(AnsweredTurn(instruction="\u2028 ü", output='"\n'),), generator="g"
    )
    write_outputs(tmp_path / "out", [OURS, single])
    assert read_outputs(tmp_path / "out") == (OURS, single)
    assert (tmp_path / "out").stat().st_mode & 0o777 == 0o600
    write_outputs(tmp_path / "out", [])
    assert read_outputs(tmp_path / "out") == ()


def test_a_record_has_the_keys_of_the_official_scorer(tmp_path: Path) -> None:
    write_outputs(tmp_path / "out", [OURS])
    (record,) = json.loads((tmp_path / "out").read_text())
    official = {name: record[name] for name in (*THEIRS, "category")}
    assert official == {
        "id": 7,
        "instruction": "Why?",
        "source_id": "ours-7",
        "dataset": "ours",
        "category": "safety",
        "output": "So.",
        "generator": "a model, urial-k3",
        "datasplit": "urial-60",
    }
    assert record["turns"] == [
        {"instruction": "Why?", "output": "So."},
        {"instruction": "And?", "output": ""},
    ]
    assert set(record) - set(official) == {"turns", "urial"}
    retrieved = [exchange.get("retrieved") for exchange in record["urial"]["exchanges"]]
    assert retrieved == [[{"query": "Who?", "answer": "Me."}, {"query": "ü", "answer": ""}], None]


def test_outputs_of_another_program_are_read(tmp_path: Path) -> None:
    path = tmp_path / "out"
    more = {"category": "safety", "source_id": 5, "extra": [1], "dataset": None}
    path.write_text(json.dumps([THEIRS, THEIRS | more]))
    first, second = read_outputs(path)
    assert first == Output(
        id=1,
        exchanges=(AnsweredTurn(instruction="Who?", output="She."),),
        generator="g",
        dataset="d",
        source_id="s-1",
        datasplit="e",
    )
    assert (second.category, second.source_id, second.dataset) == ("safety", "5", "")


@pytest.mark.parametrize(
    ("record", "named"),
    [
        ({"id": 1, "instruction": "Who?", "category": "regular"}, "`output`"),
        ({"id": 1, "input": "Who?", "output_cand": "She.", "result": "{}"}, "`instruction`"),
        (THEIRS | {"id": None}, "id"),
        (THEIRS | {"id": 1.5}, "id"),
        (THEIRS | {"id": True}, "id"),
        (THEIRS | {"output": ["She."]}, "output"),
        (THEIRS | {"urial": {"key": "k"}}, "exchanges"),
        (THEIRS | {"urial": {"key": "k", "exchanges": []}}, "1 answers"),
        (THEIRS | {"urial": {"key": "k", "exchanges": [{"ending": "\x1b[2J"}]}}, "ending"),
        ("text", "object"),
        (None, "object"),
    ],
)
def test_a_record_that_is_none_is_named_by_its_number(
    tmp_path: Path, record: Any, named: str
) -> None:
    path = tmp_path / "out"
    path.write_text(json.dumps([THEIRS, record]))
    with pytest.raises(EvaluateError) as caught:
        read_outputs(path)
    assert caught.value.message.startswith(f"Record 2 of {path}")
    assert named in caught.value.message
    assert "\x1b" not in caught.value.message


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{}",
        b"[",
        b'[{"id": NaN}]',
        b"\xff\xfe",
        b"\x00",
        b'{"id": 1}\n{"id": 2}\n',
        b"[" * 100_000,
        b"[" * 100_000 + b"]" * 100_000,
    ],
)
def test_what_is_no_list_is_one_sentence(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "out").write_bytes(data)
    with pytest.raises(EvaluateError):
        read_outputs(tmp_path / "out")


def test_directories_and_pipes_are_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path, why in ((tmp_path, "directory"), (tmp_path / "pipe", "pipe")):
        with pytest.raises(EvaluateError, match=why):
            read_outputs(path)
    with pytest.raises(FileNotFoundError):
        read_outputs(tmp_path / "missing")


def test_halves_of_characters_of_other_programs_are_made_whole(tmp_path: Path) -> None:
    path = tmp_path / "out"
    path.write_text(json.dumps([THEIRS | {"output": "\ud83d She.", "id": "\udfff"}]))
    (output,) = read_outputs(path)
    assert (output.id, output.exchanges[0].output) == ("\ufffd", "\ufffd She.")


def test_safety_is_told_in_any_case_as_in_a_set_of_items(tmp_path: Path) -> None:
    path = tmp_path / "out"
    path.write_text(json.dumps([THEIRS | {"category": " Safety"}]))
    assert [output.category for output in read_outputs(path)] == ["safety"]


READ = {
    "key": "k", "by": "m", "tokens": 3, "bytes": 9, "bits": 4.5,
    "unshifted": 3, "marginal": 0, "shifted": 0,
}  # fmt: skip


@pytest.mark.parametrize(
    ("told", "where"),
    [
        ({"tokens": -5}, "tokens"),
        ({"tokens": 10**17}, "tokens"),
        ({"reference": READ | {"bits": 1e308}}, "reference.bits"),
        ({"reference": READ | {"bits": -1e308}}, "reference.bits"),
        ({"reference": READ | {"bytes": -1}}, "reference.bytes"),
        ({"aligned": READ | {"shifted": -1}}, "aligned.shifted"),
    ],
)
def test_numbers_that_can_t_be_are_refused_with_their_record(
    tmp_path: Path, told: dict[str, Any], where: str
) -> None:
    path = tmp_path / "out"
    path.write_text(json.dumps([THEIRS, THEIRS | {"urial": {"key": "k", "exchanges": [told]}}]))
    with pytest.raises(EvaluateError, match=f"Record 2 of .*Expected .*{where}"):
        read_outputs(path)
    fine: dict[str, Any] = {"tokens": 2, "reference": READ | {"bits": -1e-6}}
    path.write_text(json.dumps([THEIRS | {"urial": {"key": "k", "exchanges": [fine]}}]))
    assert len(read_outputs(path)) == 1
