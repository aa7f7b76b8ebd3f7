"""What a directory of evaluations holds, told by its files."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from tests.evaluate.judged import answer, preferred, scored, written
from tests.evaluate.runs import ITEMS, item_file
from urial_tui.evaluate.items import EvaluateError
from urial_tui.evaluate.judged_runs import JudgeChoice
from urial_tui.evaluate.outputs import AnsweredTurn
from urial_tui.evaluate.plan_file import Plan, write_plan
from urial_tui.evaluate.planned_run import RunChoice
from urial_tui.evaluate.run_file import RunFile, WrittenAnswer
from urial_tui.evaluate.shelf import Shelved, shelf
from urial_tui.evaluate.token_reading import TextReading


def only(directory: Path) -> Shelved:
    (one,) = shelf(directory)
    return one


def begun(directory: Path, name: str = "run.json", **changes: Any) -> RunChoice:
    """A run that was planned, of five items."""
    items = item_file(directory / "set.jsonl")
    choice = RunChoice(
        out=directory / name, model="/m/tiny.gguf", context="zero-shot", items=str(items), **changes
    )
    write_plan(Plan(choice=choice, of=("tiny.gguf, zero-shot",), total=len(ITEMS)))
    return choice


def keep(choice: RunChoice, answers: dict[int, int]) -> None:
    """Have so many turns of the items at these places answered, and no more."""
    file = RunFile(choice.out, ITEMS)
    for place, turns in answers.items():
        for turn in range(turns):
            exchange = AnsweredTurn(instruction="?", output="!")
            file.append(
                ITEMS[place],
                f"k{place}",
                turn,
                WrittenAnswer(exchange=exchange),
                parallel=1,
                seed=None,
            )
    file.close()


def test_a_directory_that_is_not_there_holds_nothing(tmp_path: Path) -> None:
    assert shelf(tmp_path / "none") == []


def test_what_is_no_directory_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(EvaluateError, match="can't be read"):
        shelf(tmp_path / "file")


def test_a_finished_run_tells_who_answered_how_many_of_what(tmp_path: Path) -> None:
    written(tmp_path / "a.json", [answer(n, "x", datasplit="ours") for n in (1, 2, 3)])
    one = only(tmp_path)
    assert (one.kind, one.of, one.set_name) == ("answers", ("llama",), "ours")
    assert (one.done, one.total, one.finished) == (3, None, True)


def test_a_plan_alone_is_a_run_that_has_not_begun(tmp_path: Path) -> None:
    begun(tmp_path)
    one = only(tmp_path)
    assert (one.kind, one.of) == ("answers", ("tiny.gguf, zero-shot",))
    assert (one.done, one.total, one.finished, one.set_name) == (0, 5, False, "set.jsonl")
    assert one.plan is not None


def test_an_item_counts_once_all_its_turns_are_answered(tmp_path: Path) -> None:
    choice = begun(tmp_path)
    # The first item has two turns, the second one, the fourth three.
    keep(choice, {0: 1, 1: 1, 3: 3})
    one = only(tmp_path)
    assert (one.done, one.total, one.finished) == (2, 5, False)


def test_a_text_that_was_read_is_no_answer(tmp_path: Path) -> None:
    choice = begun(tmp_path)
    keep(choice, {0: 1})
    file = RunFile(choice.out, ITEMS)
    kinds = {"unshifted": 2, "marginal": 1, "shifted": 0}
    read = TextReading(by="tiny", key="k", tokens=3, bytes=9, bits=4.0, **kinds)
    file.append_reading(ITEMS[0], 0, read)
    file.append_reading(ITEMS[0], 1, read)
    file.close()
    assert only(tmp_path).done == 0


def test_a_journal_without_a_plan_is_unfinished_and_nobody_s(tmp_path: Path) -> None:
    keep(begun(tmp_path), {1: 1})
    (tmp_path / "run.json.plan").unlink()
    one = only(tmp_path)
    assert (one.kind, one.finished, one.plan) == ("unknown", False, None)


def test_items_that_were_skipped_are_missing_from_the_total(tmp_path: Path) -> None:
    choice = begun(tmp_path)
    written(choice.out, [answer(n, "x") for n in (1, 2, 3)])
    one = only(tmp_path)
    assert (one.done, one.total, one.finished) == (3, 5, True)


def test_a_run_tells_who_has_judged_it(tmp_path: Path) -> None:
    written(tmp_path / "a.json", [answer(1, "x")])
    written(tmp_path / "j.json", [scored(1, "x", 5), scored(2, "y", 4)])
    written(tmp_path / "p.json", [preferred(1, "A")])
    by_name = {one.path.name: one for one in shelf(tmp_path)}
    assert by_name["a.json"].judges == {"judge-1": 1}
    assert by_name["j.json"].about == {"llama": (tmp_path / "a.json",)}
    assert (by_name["j.json"].kind, by_name["j.json"].done) == ("scores", 2)
    assert by_name["j.json"].scored == 2
    assert (by_name["p.json"].kind, by_name["p.json"].of) == ("pairs", ("llama", "gemma"))


def test_another_run_of_the_same_name_is_not_judged_by_what_was_said_of_the_first(
    tmp_path: Path,
) -> None:
    old = [answer(n, f"Old {n}.") for n in (1, 2, 3)]
    new = [answer(n, f"New {n}.") for n in (1, 2, 3)]
    written(tmp_path / "old.json", old)
    written(tmp_path / "new.json", new)
    written(tmp_path / "j.json", [scored(n, f"Old {n}.", 5) for n in (1, 2, 3)])
    by_name = {one.path.name: one for one in shelf(tmp_path)}
    assert by_name["old.json"].judges == {"judge-1": 3}
    assert by_name["new.json"].judges == {}
    assert by_name["j.json"].about == {"llama": (tmp_path / "old.json",)}
    written(tmp_path / "old.json", new)
    by_name = {one.path.name: one for one in shelf(tmp_path)}
    assert by_name["old.json"].judges == {}
    assert by_name["j.json"].about == {"llama": ()}


def test_answers_that_stayed_the_same_are_still_judged(tmp_path: Path) -> None:
    written(tmp_path / "a.json", [answer(1, "Yes."), answer(2, "New."), answer(3, "New.")])
    written(tmp_path / "j.json", [scored(1, "Yes.", 5), scored(2, "Old.", 4), scored(3, "x", 1)])
    written(tmp_path / "k.json", [scored(2, "New.", 5, eval_config={"mode": "score_safety"})])
    by_name = {one.path.name: one for one in shelf(tmp_path)}
    assert by_name["a.json"].judges == {"judge-1": 1, "": 1}


def test_a_judge_who_was_shown_so_many_words_has_judged_what_begins_with_them(
    tmp_path: Path,
) -> None:
    written(tmp_path / "a.json", [answer(1, "One two three."), answer(2, "One four three.")])
    shown = {"mode": "score_safety", "gpt": "j", "max_words": 2}
    judged = [scored(n, "One two", 5, eval_config=shown) for n in (1, 2)]
    written(tmp_path / "j.json", judged)
    by_name = {one.path.name: one for one in shelf(tmp_path)}
    assert by_name["a.json"].judges == {"j": 1}


def test_a_pair_is_about_two_runs(tmp_path: Path) -> None:
    written(tmp_path / "a.json", [answer(1, "Answer1")])
    written(tmp_path / "b.json", [answer(1, "Reply 1", "gemma")])
    written(tmp_path / "p.json", [preferred(1, "A")])
    by_name = {one.path.name: one for one in shelf(tmp_path)}
    both = {"llama": (tmp_path / "a.json",), "gemma": (tmp_path / "b.json",)}
    assert by_name["p.json"].about == both
    assert by_name["a.json"].judges == by_name["b.json"].judges == {"judge-1": 1}


def test_a_link_that_leads_nowhere_says_so_and_has_a_date_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "x.json").symlink_to(tmp_path / "gone.json")
    one = only(tmp_path)
    assert one.kind == "unknown"
    assert one.trouble == f"The link {tmp_path}/x.json leads to no file."
    assert one.changed == (tmp_path / "x.json").lstat().st_mtime


@pytest.mark.parametrize("text", ["", "{}", "garbage", "\0", "[" * 10**5])
def test_a_plan_that_can_t_be_read_is_told(text: str, tmp_path: Path) -> None:
    written(tmp_path / "a.json", [answer(1, "x")])
    (tmp_path / "a.json.plan").write_text(text)
    one = only(tmp_path)
    assert (one.kind, one.done, one.total) == ("answers", 1, None)
    assert (one.plan, one.plan_lost) == (None, True)


def test_what_has_no_score_is_counted(tmp_path: Path) -> None:
    record = scored(1, "x", 5) | {"parsed_result": {}, "result": "no"}
    written(tmp_path / "j.json", [record, scored(2, "y", 4)])
    one = only(tmp_path)
    assert (one.done, one.scored) == (2, 1)


def test_a_judging_that_was_planned_tells_what_it_is(tmp_path: Path) -> None:
    choice = JudgeChoice(
        out=tmp_path / "j.json",
        outputs=tmp_path / "a.json",
        against=tmp_path / "b.json",
        judge="/m/judge.gguf",
    )
    write_plan(Plan(choice=choice, of=("a", "b"), total=8))
    one = only(tmp_path)
    assert (one.kind, one.of, one.judges) == ("pairs", ("a", "b"), {"judge.gguf": 0})


@pytest.mark.parametrize("text", ["", "{}", "[]", '[{"a": 1}]', "\0\0", "[" * 10**5])
def test_what_is_something_else_says_why(text: str, tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text(text)
    one = only(tmp_path)
    assert one.kind == "unknown"
    assert one.trouble.endswith(".")


def test_a_directory_among_them_is_told_and_hides_nothing(tmp_path: Path) -> None:
    (tmp_path / "x.json").mkdir()
    written(tmp_path / "a.json", [answer(1, "x")])
    assert {one.kind for one in shelf(tmp_path)} == {"unknown", "answers"}


def test_other_files_are_left_out(tmp_path: Path) -> None:
    for name in ("report.html", "notes.txt", ".a.json.swp"):
        (tmp_path / name).write_text("x")
    assert shelf(tmp_path) == []


def test_the_newest_comes_first(tmp_path: Path) -> None:
    for number, name in enumerate(("b.json", "a.json", "c.json")):
        written(tmp_path / name, [answer(1, "x")])
        os.utime(tmp_path / name, (1000 + number, 1000 + number))
    assert [one.path.name for one in shelf(tmp_path)] == ["c.json", "a.json", "b.json"]
