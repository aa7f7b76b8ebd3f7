"""The file of a run: what of it is used again, and what is never written over."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tests.evaluate.runs import ITEMS
from urial_tui.evaluate.items import EvaluateError, Item
from urial_tui.evaluate.output_file import read_outputs
from urial_tui.evaluate.outputs import AnsweredTurn, Output
from urial_tui.evaluate.run_file import RunFile, WrittenAnswer

TWO, ONE = ITEMS[0], ITEMS[1]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "out.json"


def answer(text: str) -> WrittenAnswer:
    exchange = AnsweredTurn(
        instruction="?", output=text, tokens=1, ids=(5, 6), ending="end", detail="eos"
    )
    return WrittenAnswer(exchange=exchange, tail="\n")


def keep(file: RunFile, item: Item, key: str, turn: int, text: str) -> None:
    file.append(item, key, turn, answer(text), parallel=2, seed=3)


def output(item: Item, key: str, *texts: str) -> Output:
    exchanges = tuple(answer(text).exchange for text in texts)
    return Output(id=item.id, exchanges=exchanges, generator="g", key=key, parallel=2, seed=3)


def refusal(path: Path) -> EvaluateError:
    """Why a file is not used; it and what stands beside it are as they were."""
    before = {name: name.read_bytes() for name in path.parent.iterdir() if name.is_file()}
    with pytest.raises(EvaluateError) as caught:
        RunFile(path, ITEMS)
    assert {name: name.read_bytes() for name in path.parent.iterdir() if name.is_file()} == before
    assert caught.value.hint
    return caught.value


def test_answers_are_used_again_by_their_keys(path: Path) -> None:
    file = RunFile(path, ITEMS)
    assert (file.parallel, file.seed, file.lock_caution) == (None, None, "")
    keep(file, TWO, "k", 0, "first")
    keep(file, ONE, "o", 0, "other")
    file.close()
    file = RunFile(path, ITEMS)
    assert file.written(TWO, "k") == (answer("first"),)
    assert file.written(TWO, "changed") == ()
    assert file.has_other(TWO, "changed")
    assert not file.has_other(TWO, "k")
    assert not file.has_other(ITEMS[2], "k")
    assert (file.parallel, file.seed) == (2, 3)
    keep(file, TWO, "k", 1, "second")
    assert file.written(TWO, "k") == (answer("first"), answer("second"))
    file.close()


def test_the_outputs_take_the_journals_place(path: Path) -> None:
    file = RunFile(path, ITEMS)
    keep(file, ONE, "o", 0, "other")
    outputs = [output(TWO, "k", "first", "second"), output(ONE, "o", "other")]
    file.finish(outputs)
    file.close()
    assert [each.name for each in path.parent.iterdir()] == ["out.json"]
    assert read_outputs(path) == tuple(outputs)
    file = RunFile(path, ITEMS)
    assert [written.exchange.output for written in file.written(TWO, "k")] == ["first", "second"]
    assert (file.parallel, file.seed) == (2, 3)
    file.close()
    assert [each.name for each in path.parent.iterdir()] == ["out.json"]


def test_a_journal_that_was_left_beside_the_outputs_is_read_too(path: Path) -> None:
    file = RunFile(path, ITEMS)
    keep(file, ONE, "new", 0, "newer")
    file.close()
    journal = file.journal_path.read_bytes()
    file = RunFile(path, ITEMS)
    file.finish([output(ONE, "old", "older")])
    file.journal_path.write_bytes(journal)
    file = RunFile(path, ITEMS)
    assert file.written(ONE, "new") == (answer("newer"),)
    assert len(file.written(ONE, "old")) == 1
    file.close()


def test_what_was_torn_is_an_answer_that_is_missing(path: Path) -> None:
    file = RunFile(path, ITEMS)
    keep(file, TWO, "k", 0, "first")
    keep(file, TWO, "k", 1, "second")
    file.close()
    whole = file.journal_path.read_bytes()
    head = whole.index(b"\n") + 1
    for length in range(len(whole)):
        file.journal_path.write_bytes(whole[:length])
        file = RunFile(path, ITEMS)
        kept = len(file.written(TWO, "k"))
        assert kept == max(0, whole[:length].count(b"\n") - 1)
        for turn, text in list(enumerate(("first", "second")))[kept:]:
            keep(file, TWO, "k", turn, text)
        file.close()
        assert file.journal_path.read_bytes() == whole
    assert head < len(whole)


def test_nothing_is_left_of_a_run_that_has_kept_nothing(path: Path) -> None:
    RunFile(path, ITEMS).close()
    assert list(path.parent.iterdir()) == []


def test_a_second_program_is_refused(path: Path) -> None:
    file = RunFile(path, ITEMS)
    assert "in use by another evaluation" in refusal(path).message
    link = path.parent / "link.json"
    link.symlink_to(path)
    assert "in use by another evaluation" in refusal(link).message
    file.close()
    RunFile(path, ITEMS).close()


def test_outputs_of_other_items_are_refused(path: Path) -> None:
    file = RunFile(path, [*ITEMS, Item(id="stranger\x1b", turns=("?",))])
    keep(file, Item(id="stranger\x1b", turns=("?",)), "s", 0, "text")
    file.close()
    error = refusal(path)
    assert "items of another set, such as 'stranger\\x1b'" in error.message
    file = RunFile(path, [Item(id="stranger\x1b", turns=("?",))])
    file.finish([output(Item(id="stranger\x1b", turns=("?",)), "s", "text")])
    assert "items of another set" in refusal(path).message


def test_an_id_is_its_type_as_well(path: Path) -> None:
    file = RunFile(path, [Item(id="7", turns=("?",))])
    keep(file, Item(id="7", turns=("?",)), "s", 0, "text")
    file.close()
    assert "another set, such as '7'" in refusal(path).message


def test_a_limit_does_not_throw_answers_away(path: Path) -> None:
    file = RunFile(path, ITEMS)
    file.finish([output(TWO, "k", "a", "b"), output(ONE, "o", "c")])
    with pytest.raises(EvaluateError) as caught:
        RunFile(path, ITEMS[:1], ITEMS[1:])
    assert "the limit of 1 item leaves out, such as 'b'" in caught.value.message
    assert "--limit" in caught.value.hint


@pytest.mark.parametrize(
    "text",
    [
        json.dumps([{"id": 7, "instruction": "Why?"}]),
        json.dumps([{"id": 7, "instruction": "Why?", "output": "So.", "generator": "g"}]),
        json.dumps({"compare": {}}),
        '{"id": 7, "query": "Why?"}\n',
        "not JSON",
        "",
    ],
)
def test_what_is_something_else_is_never_written_over(path: Path, text: str) -> None:
    path.write_text(text)
    assert "written over" in refusal(path).message


def test_a_journal_of_somebody_else_is_never_cut(path: Path) -> None:
    beside = path.with_name("out.json.part")
    for text in ("precious", "precious\n", '{"outputs":3}\n', '{"outputs":2} \nx'):
        beside.write_text(text)
        assert "is in the way" in refusal(path).message


def test_directories_and_pipes_are_refused(path: Path) -> None:
    path.mkdir()
    assert "directory" in refusal(path).message
    path.rmdir()
    os.mkfifo(path)
    assert "pipe" in refusal(path).message
    path.unlink()
    path.with_name("out.json.part").mkdir()
    assert "directory" in refusal(path).message


def test_a_directory_that_is_missing_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(EvaluateError, match="can't be used"):
        RunFile(tmp_path / "missing" / "out.json", ITEMS)


def test_what_can_not_be_written_at_the_end_is_still_kept(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    file = RunFile(path, ITEMS)
    keep(file, ONE, "o", 0, "other")
    monkeypatch.setattr("urial_tui.evaluate.run_file.write_outputs", full)
    with pytest.raises(EvaluateError, match="No space left"):
        file.finish([output(ONE, "o", "other")])
    file.close()
    file = RunFile(path, ITEMS)
    assert file.written(ONE, "o") == (answer("other"),)
    file.close()
