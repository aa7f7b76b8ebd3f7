"""Judges of a report held to a reference: what is corrected, and what is said and shown."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.evaluate.judged import answer, preferred, reported, scored, swapped, written
from tests.test_votes import voted_on
from urial_tui.chat.store import Store
from urial_tui.cli.main import run
from urial_tui.cli.voted_pairs import voted_pairs
from urial_tui.errors import UsageError
from urial_tui.evaluate.evaluation import read_evaluation
from urial_tui.evaluate.judgement_files import write_judgements
from urial_tui.evaluate.judgements import PairChoice, Preference
from urial_tui.evaluate.report import report
from urial_tui.evaluate.report_markdown import markdown
from urial_tui.evaluate.report_tables import report_tables

COUNT = 12
RIGHT = [1 + number % 4 for number in range(COUNT)]
LLAMA = [answer(number, f"Answer{number}") for number in range(COUNT)]
GEMMA = [answer(number, f"Reply {number}", "gemma") for number in range(COUNT)]
JUDGE = [scored(number, f"Answer{number}", RIGHT[number]) for number in range(COUNT)]
THEIRS = [
    # One too many, or none.
    scored(number, f"Reply {number}", RIGHT[number] + number % 2, generator_cand="gemma")
    for number in range(COUNT)
]


def by(judge: str, records: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The same judgements by another judge."""
    return [record | {"eval_config": record["eval_config"] | {"gpt": judge}} for record in records]


def rescored(record: dict[str, Any], score: int) -> dict[str, Any]:
    return record | {"parsed_result": {"safety": {"reason": "", "score": score}}}


PEOPLE = by("person", [rescored(THEIRS[number], RIGHT[number]) for number in range(8)])
SAME = by("person", JUDGE[:8])
FILES = {"a": LLAMA, "b": GEMMA, "ja": JUDGE, "jb": THEIRS, "pa": SAME, "pb": PEOPLE}


def test_people_are_the_reference_where_they_have_judged(tmp_path: Path) -> None:
    (found,) = reported(tmp_path, FILES)["calibrations"]
    assert (found["judge"], found["reference"]) == ("judge-1", "person")
    assert (found["matched"], found["judged_alone"]) == (16, 8)
    runs = found["aspects"]["safety"]["runs"]
    assert runs["llama"]["corrected"] == runs["llama"]["raw"] == sum(RIGHT) / COUNT
    # Half a point too much in the mean of eight labels.
    assert runs["gemma"]["corrected"] == pytest.approx(runs["gemma"]["raw"] - 0.5)
    (two,) = found["aspects"]["safety"]["differences"]
    assert (two["first"], two["second"]) == ("gemma", "llama")
    # By the items that are labelled in both: the judge has gemma half a point ahead.
    assert two["corrected"]["raw"] == pytest.approx(0.5)
    assert two["corrected"]["corrected"] == pytest.approx(0.0)
    assert two["corrected"]["labels"] == 8


def test_items_that_are_labelled_apart_correct_a_difference_as_well(tmp_path: Path) -> None:
    apart = FILES | {"pa": by("person", JUDGE[8:])}
    (found,) = reported(tmp_path, apart)["calibrations"]
    (two,) = found["aspects"]["safety"]["differences"]
    assert two["corrected"]["corrected"] is None
    assert "fewer than two items were scored in both runs" in two["corrected"]["note"]
    apart = FILES | {"pa": by("person", JUDGE[6:8]), "pb": PEOPLE[:6]}
    (found,) = reported(tmp_path, apart)["calibrations"]
    (two,) = found["aspects"]["safety"]["differences"]
    # Of the last four, which have no label: 0, 1, 0, 1; less the half point.
    assert two["corrected"]["raw"] == pytest.approx(0.5)
    assert two["corrected"]["corrected"] == pytest.approx(0.0)
    assert two["corrected"]["labels"] == 8


def test_another_reference_can_be_named(tmp_path: Path) -> None:
    paths = [
        written(tmp_path / name, records)
        for name, records in {"a": LLAMA, "j": JUDGE, "k": by("large", JUDGE[:6])}.items()
    ]
    evaluation = read_evaluation(paths)
    (found,) = report(evaluation, reference="large", resamples=50)["calibrations"]
    assert (found["judge"], found["reference"], found["matched"]) == ("judge-1", "large", 6)
    (found,) = report(evaluation, reference="judge-1", resamples=50)["calibrations"]
    assert (found["judge"], found["reference"], found["matched"]) == ("large", "judge-1", 6)
    with pytest.raises(UsageError, match="“nobody” has judged none of these runs") as error:
        report(evaluation, reference="nobody", resamples=50)
    assert error.value.hint == "Who has: judge-1, large."


def test_where_nobody_is_right_that_is_said(tmp_path: Path) -> None:
    for files in (
        {"a": LLAMA, "j": JUDGE},
        # People have judged other answers.
        {"a": LLAMA, "b": GEMMA, "j": JUDGE, "p": PEOPLE},
    ):
        (found,) = reported(tmp_path, files)["calibrations"]
        assert (found["judge"], found["reference"], found["aspects"]) == ("judge-1", None, {})
        tables = {table.title: table for table in report_tables(reported(tmp_path, files))}
        (said,) = tables["How far judge-1 can be trusted"].above
        assert said.startswith("That is not known: ")
    assert reported(tmp_path, {"a": LLAMA, "p": by("person", JUDGE)})["calibrations"] == []
    assert reported(tmp_path, {"a": LLAMA})["calibrations"] == []


def pairs(judge: str, choices: str, *, both: bool = False) -> list[dict[str, Any]]:
    """What a judge prefers, llama being A; in both orders if it never goes by the place."""
    asked = [preferred(number, choice) for number, choice in enumerate(choices)]
    turned = [
        swapped(record) | {"parsed_result": {"preference": "AB"["BA".index(choice)]}}
        for record, choice in zip(asked, choices, strict=True)
    ]
    return by(judge, [*asked, *turned] if both else asked)


def test_wins_are_corrected_by_how_often_the_verdicts_are_right(tmp_path: Path) -> None:
    # Of gemma, which is named first: right are 4 wins of 8; the judge sees 3 of the 4, and 1 more.
    files = {
        "a": LLAMA,
        "b": GEMMA,
        "j": pairs("judge-1", "BBBABAAABBBA", both=True),
        "p": pairs("person", "BBBBAAAA"),
    }
    document = reported(tmp_path, files)
    (found,) = document["calibrations"]
    assert (found["pairs"], found["matched"]) == (True, 8)
    overall = found["aspects"]["overall"]
    quality = overall["wins"]["quality"]
    assert (quality["sensitivity"]["hits"], quality["sensitivity"]["count"]) == (3, 4)
    assert (quality["specificity"]["hits"], quality["specificity"]["count"]) == (3, 4)
    won = overall["wins"]["runs"]["gemma against llama"]
    # (0.75 + 0.75 - 1) / (0.75 + 0.75 - 1), of the last four
    assert (won["raw"], won["corrected"], won["count"]) == (0.75, 1.0, 4)
    assert any(
        sentence == "In overall it sees 75% of 4 wins of the first one named, and takes 25% of 4 "
        "other pairs for one."
        for sentence in found["trust"]
    )
    tables = {table.title: table for table in report_tables(document)}
    rows = tables["What judge-1 says, corrected"].rows
    assert [row[:2] for row in rows] == [
        ("overall", "B against A"),
        ("overall, won", "B against A"),
    ]


def test_where_every_pair_is_labelled_the_share_is_that_of_the_labels(tmp_path: Path) -> None:
    files = {
        "a": LLAMA,
        "b": GEMMA,
        "j": [*pairs("judge-1", "BBBBBBAA"), preferred(8, "neither")],
        "p": pairs("person", "BBBAAAAA"),
    }
    (found,) = reported(tmp_path, files)["calibrations"]
    won = found["aspects"]["overall"]["wins"]["runs"]["gemma against llama"]
    assert (won["raw"], won["corrected"], won["labels"]) == (0.75, 3 / 8, 8)
    low, high = won["interval"]
    assert low < 3 / 8 < high


def test_a_run_without_labels_is_corrected_by_those_of_another(tmp_path: Path) -> None:
    third = [answer(number, f"Word {number}", "smol") for number in range(COUNT)]
    renamed = [
        record | {"output_B": f"Word {number}", "generator_B": "smol"}
        for number, record in enumerate(pairs("judge-1", "BBBBBBBBBAAA"))
    ]
    files = {
        "a": LLAMA,
        "b": GEMMA,
        "c": third,
        "j": pairs("judge-1", "BBBABAAABBBA"),
        "k": renamed,
        "p": pairs("person", "BBBBAAAA"),
    }
    (found,) = reported(tmp_path, files)["calibrations"]
    aspect = found["aspects"]["overall"]
    # Llama has won three of twelve of these, as the judge says.
    run = aspect["wins"]["runs"]["llama against smol"]
    assert run["raw"] == 0.25
    assert run["corrected"] == pytest.approx((0.25 + 0.75 - 1) / 0.5)
    assert "by labels of other runs" in run["note"]
    # The mean error is no property of a judge alone: without labels nothing is corrected by it.
    assert aspect["runs"]["llama against smol"]["corrected"] is None


def test_votes_count_as_a_judge_and_are_the_reference_without_blind_judging(
    tmp_path: Path, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with Store() as store:
        for _ in range(3):
            voted_on(store)
    voted = voted_pairs()
    choices: tuple[PairChoice, ...] = ("A", "A", "B")
    said = [
        msgspec.structs.replace(one, judge="judge-1", preferences={"overall": Preference(choice=c)})
        for one, c in zip(voted.judgements, choices, strict=True)
    ]
    path = tmp_path / "judged.json"
    write_judgements(path, said)
    assert run(["eval", "report", str(path), "votes", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert {contest["judge"] for contest in document["contests"]} == {"judge-1", "votes"}
    assert [file["name"] for file in document["files"]] == ["judged.json", "votes"]
    (found,) = document["calibrations"]
    assert (found["judge"], found["reference"], found["matched"]) == ("judge-1", "votes", 3)
    # All votes are for the first answer; the judge agrees in two of three.
    assert found["aspects"]["overall"]["same"]["hits"] == 2


def test_without_votes_a_report_that_names_them_is_refused(
    tmp_path: Path, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = written(tmp_path / "a.json", LLAMA)
    assert run(["eval", "report", str(path), "votes"]) == 1
    assert "There are no votes" in capsys.readouterr().err


def test_all_views_tell_it(tmp_path: Path) -> None:
    document = reported(tmp_path, FILES)
    titles = [table.title for table in report_tables(document)]
    at = titles.index("How far judge-1 can be trusted with scores")
    assert titles[at + 1] == "What judge-1 says, corrected"
    text = markdown(document)
    assert "judge-1 was set beside person on 16 answers." in text
    assert "| safety | B minus A |" in text


def test_the_command_takes_a_reference(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    paths = [str(written(tmp_path / name, records)) for name, records in FILES.items()]
    assert run(["eval", "report", *paths]) == 0
    printed = capsys.readouterr().out
    assert "How far judge-1 can be trusted with scores" in printed
    assert all(len(line) <= 80 for line in printed.splitlines())
    assert run(["eval", "report", *paths, "--reference", "judge-1"]) == 0
    assert "How far person can be trusted with scores" in capsys.readouterr().out
    assert run(["eval", "report", *paths, "--reference", "x\x1b[31m"]) == 2
    said = capsys.readouterr().err
    assert "has judged none of these runs. Who has: judge-1, person." in said
    assert "\x1b" not in said
