"""The command `urial eval report`: what it prints and writes, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.evaluate.judged import HOSTILE, answer, scored, written
from tests.test_cli_lists import on_terminal, urial
from urial_tui.cli import main as cli
from urial_tui.evaluate.shown_preamble import shown_preamble
from urial_tui.prompting.preamble_file import find_preamble

Captured = pytest.CaptureFixture[str]
TEXTS = [f"Answer {number}" for number in range(5)]


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    """Outputs of a stranger, and judgements of them."""
    name = f"{HOSTILE} with a long name of many words"
    outputs = [answer(number, text, name) for number, text in enumerate(TEXTS)]
    judged = [
        scored(number, text, 5, 4, 3, 2, 1, generator_cand=name)
        for number, text in enumerate(TEXTS)
    ]
    return [
        str(written(tmp_path / "outputs.json", outputs)),
        str(written(tmp_path / "judged.json", judged)),
    ]


def test_the_tables_fit_a_terminal_and_hold_nothing_that_acts(files: list[str]) -> None:
    text = on_terminal("eval", "report", *files, columns=80, NO_COLOR="1")
    assert all(len(line) <= 80 for line in text.splitlines())
    assert "Measured without a judge" in text
    assert "Scores by judge-1" in text
    assert not any(sign in text for sign in "\x1b\x00\u202e\u2028")
    assert "\x1b[1mRuns" in on_terminal("eval", "report", *files, columns=80)


def test_json_is_one_document(files: list[str]) -> None:
    done = urial("eval", "report", "--json", *files)
    assert done.returncode == 0
    assert done.stderr == ""
    document = json.loads(done.stdout)
    assert document["runs"][0]["judges"][0]["aspects"]["clarity"]["mean"] == 4.0
    assert len(document["items"]) == 5
    assert done.stdout.count("\n") == 1


def test_groups_are_printed_where_they_are_asked_for(files: list[str], capsys: Captured) -> None:
    assert cli.run(["eval", "report", *files]) == 0
    assert "by dataset" not in capsys.readouterr().out
    assert cli.run(["eval", "report", *files, "--group-by", "dataset"]) == 0
    assert "A by dataset, scores by judge-1" in capsys.readouterr().out


def test_a_preamble_is_looked_for_in_the_answers(files: list[str], capsys: Captured) -> None:
    assert cli.run(["eval", "report", *files, "-p", "urial-k3", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["preamble"] == "urial-k3"
    assert document["runs"][0]["measures"]["leaked"]["count"] == 5


def test_examples_that_are_not_looked_for_are_told(tmp_path: Path, capsys: Captured) -> None:
    def file(name: str, examples: str) -> str:
        told = {"tokens": 1, "ending": "end", "detail": "", "seed": None}
        of_all = {"key": name, "exchanges": [told], "parallel": 1, "seed": None}
        preamble = {"name": "urial-k3", "examples": examples}
        record = answer(1, "So.", name, urial={**of_all, "preamble": preamble})
        return str(written(tmp_path / f"{name}.json", [record]))

    as_it_is = shown_preamble(find_preamble("urial-k3"))
    assert as_it_is is not None
    now, then = file("now", as_it_is.examples), file("then", "0" * 64)
    assert cli.run(["eval", "report", now, then, "-p", "urial-k1", "--json"]) == 0
    runs = json.loads(capsys.readouterr().out)["runs"]
    assert [(run["preamble"], run["examples_known"]) for run in runs] == [
        ("urial-k3", True),
        ("urial-k3", False),
    ]
    assert [run["measures"]["leaked"]["count"] for run in runs] == [1, 0]
    assert cli.run(["eval", "report", now, then, "-p", "urial-k1"]) == 0
    printed = " ".join(capsys.readouterr().out.split())
    assert "B was written under the preamble urial-k3 as it was then" in printed
    assert "The examples of urial-k1 were not looked for" in printed


def test_items_are_read_from_a_file(files: list[str], tmp_path: Path, capsys: Captured) -> None:
    items = [{"id": n, "query": f"Question {n}?", "topics": "law"} for n in range(5)]
    path = written(tmp_path / "items.json", items)
    assert cli.run(["eval", "report", *files, "--items", str(path), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert [group["value"] for group in document["groups"]["topics"]] == ["law"]


def test_markdown_is_written_beside_what_is_printed(
    files: list[str], tmp_path: Path, capsys: Captured
) -> None:
    path = tmp_path / "r.md"
    assert cli.run(["eval", "report", *files, "--markdown", str(path)]) == 0
    assert path.read_text(encoding="utf-8").startswith("# Evaluation")
    assert "Runs" in capsys.readouterr().out


@pytest.mark.parametrize("option", ["--markdown", "--html"])
def test_a_report_is_never_written_over_what_it_is_made_of(
    option: str, files: list[str], tmp_path: Path, capsys: Captured
) -> None:
    link = tmp_path / "link"
    link.symlink_to(files[1])
    before = Path(files[1]).read_bytes()
    assert cli.run(["eval", "report", *files, option, str(link)]) == 2
    assert f"FILE and {option} name the same file" in capsys.readouterr().err
    assert Path(files[1]).read_bytes() == before
    same = str(tmp_path / "r")
    assert cli.run(["eval", "report", *files, "--markdown", same, "--html", same]) == 2
    assert "name the same file" in capsys.readouterr().err


def test_a_page_is_written_beside_what_is_printed(
    files: list[str], tmp_path: Path, capsys: Captured
) -> None:
    path = tmp_path / "r.html"
    assert cli.run(["eval", "report", *files, "--html", str(path)]) == 0
    assert path.read_text(encoding="utf-8").startswith("<!doctype html>")
    assert "Runs" in capsys.readouterr().out


def test_what_is_no_report_is_one_sentence(tmp_path: Path, capsys: Captured) -> None:
    assert cli.run(["eval", "report", str(tmp_path / "none.json")]) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("urial: The file ")
    assert captured.err.count("\n") == 1
    assert cli.run(["eval", "report"]) == 2
