"""A sweep tells what settings do to how answers end and repeat, and names one only where it may."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.evaluate.runs import HANGS
from urial_tui import paths
from urial_tui.engine.wire.values import Sampling
from urial_tui.evaluate.outputs import AnsweredTurn, Ending
from urial_tui.evaluate.sweep import SweptSetting, sweep_document, sweep_rows
from urial_tui.evaluate.sweeping import Grid, setting_name
from urial_tui.prompting.context import find_context

LOOP = "one two three four " * 3
PLAIN = "each of these words stands here only once"


def answer(text: str = PLAIN, ending: Ending = "end") -> AnsweredTurn:
    return AnsweredTurn(instruction="?", output=text, tokens=3, ending=ending, detail="")


def swept(
    name: str, answers: Sequence[AnsweredTurn | None], temperature: float = 0.0
) -> SweptSetting:
    sampling = Sampling(temperature=temperature)
    return SweptSetting(name=name, sampling=sampling, answers=tuple(answers))


def document(*settings: SweptSetting) -> dict[str, Any]:
    return sweep_document(settings, find_context("zero-shot"), model="m")


def test_each_combination_is_a_setting_once_and_the_last_changes_first() -> None:
    grid = Grid(temperature=(0, 0.5), repetition_penalty=(1, 1.2), min_p=(0.02, 0.1))
    found = grid.settings(Sampling(min_p=0.05, top_p=0.9, seed=3))
    assert [(one.temperature, one.repetition_penalty, one.min_p) for one in found] == [
        (0, 1, 0.05),
        (0, 1.2, 0.05),
        (0.5, 1, 0.02),
        (0.5, 1, 0.1),
        (0.5, 1.2, 0.02),
        (0.5, 1.2, 0.1),
    ]
    assert {(one.top_p, one.seed) for one in found} == {(0.9, 3)}
    assert Grid().settings(Sampling()) == (Sampling(),)
    assert len({setting_name(one) for one in found}) == len(found)


def test_a_setting_is_named_by_what_counts() -> None:
    assert setting_name(Sampling()) == "temperature 0, repetition penalty 1"
    assert (
        setting_name(Sampling(temperature=0.75, repetition_penalty=1.1, presence_penalty=-0.5))
        == "temperature 0.75, repetition penalty 1.1, min-p 0.05, presence penalty -0.5"
    )


def test_what_is_measured_is_what_one_counts_by_hand() -> None:
    first = swept("a", [answer(LOOP, "cut"), answer(), None, answer("", "")])
    second = swept("b", [answer(), answer(), answer(), answer()], temperature=0.5)
    found = document(first, second)
    one, two = found["settings"]
    assert (one["ended"]["hits"], one["cut"]["hits"], one["ran_on"]["hits"]) == (1, 1, 0)
    assert (one["ended"]["count"], one["ended"]["missing"]) == (2, 2)
    # Of nine spans of four words five stood there before; the plain text repeats none.
    assert one["repeated"]["mean"] == pytest.approx((5 / 9 + 0) / 2)
    assert one["repeated"]["missing"] == 2
    assert one["words"]["mean"] == pytest.approx((12 + 8 + 0) / 3)
    assert one["distinct_1"]["mean"] == pytest.approx((4 / 12 + 1) / 2)
    assert (one["temperature"], two["temperature"], one["difference"]) == (0, 0.5, None)
    difference = two["difference"]
    assert difference["to"] == "a"
    assert (difference["ended"]["difference"], difference["ended"]["count"]) == (0.5, 2)
    assert difference["repeated"]["difference"] == pytest.approx(-5 / 18)
    assert found["chosen"] is None, "of two questions nothing is known"
    titles, rows = sweep_rows(found)
    assert all(len(row) == len(titles) for row in rows)
    assert rows[1][1:3] == ["100%", "+50"]


def test_a_setting_is_chosen_only_where_the_interval_allows_it() -> None:
    bad, good = answer(LOOP, "cut"), answer()
    first = swept("first", [bad] * 20 + [good] * 20)
    chance = swept("chance", [bad] * 19 + [good] * 21)
    better = swept("better", [bad] * 5 + [good] * 35)
    best = swept("best", [good] * 40)
    assert document(first, chance)["chosen"] is None
    assert document(first, better, chance)["chosen"] == "better"
    assert document(first, better, best)["chosen"] == "best"
    assert document(best, first)["chosen"] is None
    assert document(first)["chosen"] is None


def test_more_ends_do_not_pay_for_more_repetition() -> None:
    first = swept("first", [answer(PLAIN, "cut")] * 20 + [answer()] * 20)
    loops = swept("loops", [answer(LOOP)] * 40)
    shorter = swept("shorter", [answer()] * 40)
    assert document(first, loops)["chosen"] is None
    assert document(first, loops, shorter)["chosen"] == "shorter"


# -- the command -----------------------------------------------------------------------


@pytest.fixture(autouse=True)
def settings(home: Path) -> None:
    path = paths.settings_file()
    path.parent.mkdir(parents=True)
    path.write_text("[engine]\nthreads = 1\ncontext = 2048\n")


def sweep(model: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    limits = ("--limit", "3", "--max-tokens", "12", "--parallel", "2")
    return subprocess.run(
        [
            *(sys.executable, "-m", "urial_tui", "prompts", "sweep", "zero-shot"),
            *("-m", str(model), *limits, *arguments),
        ],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=HANGS,
        check=False,
    )


def told(model: Path, *arguments: str) -> dict[str, Any]:
    done = sweep(model, *arguments, "--json")
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_settings_are_swept_and_what_was_answered_is_used_again(llama_gguf: Path) -> None:
    grid = ("--temperature", "0, 0.8", "--repetition-penalty", "1,1.3")
    found = told(llama_gguf, *grid)
    assert [(one["temperature"], one["repetition_penalty"]) for one in found["settings"]] == [
        (0, 1),
        (0, 1.3),
        (0.8, 1),
        (0.8, 1.3),
    ]
    assert (found["context"], found["parallel"], found["troubles"]) == ("zero-shot", 2, [])
    assert all(one["words"]["count"] == 3 for one in found["settings"])
    lines = paths.measures_file().read_bytes()
    assert lines.count(b"\n") == 12
    assert told(llama_gguf, *grid) == found
    assert paths.measures_file().read_bytes() == lines, "nothing was answered anew"
    # Another value of the grid costs its own answers alone.
    told(llama_gguf, "--temperature", "0", "--repetition-penalty", "1,1.3,1.5")
    assert paths.measures_file().read_bytes().count(b"\n") == 15


def test_a_table_is_printed_with_its_conclusion(llama_gguf: Path) -> None:
    done = sweep(llama_gguf, "--temperature", "0", "--repetition-penalty", "1")
    assert done.returncode == 0, done.stderr
    head, titles, row, last = done.stdout.splitlines()
    assert (
        head == f"{llama_gguf.name} under zero-shot: answers to 3 questions of at most 12 tokens."
    )
    assert titles.split()[:2] == ["SETTING", "ENDED"]
    assert row.startswith("temperature 0, repetition penalty 1 ")
    assert last == "No setting is better than the first one by more than chance may do."


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("--temperature", "0,x"), 2, "'x'"),
        (("--temperature", ""), 2, "''"),
        (("--temperature", "nan"), 2, "is no number from 0 to 100"),
        (("--min-p", "2"), 2, "2"),
        (("--temperature", ",".join(map(str, range(1, 99)))), 2, "294 settings"),
    ],
)
def test_mistakes_are_told_before_anything_is_loaded(
    arguments: tuple[str, ...], code: int, said: str, tmp_path: Path
) -> None:
    done = sweep(tmp_path / "missing.gguf", *arguments)
    assert (done.returncode, done.stdout) == (code, "")
    assert said in done.stderr
    assert "Traceback" not in done.stderr
