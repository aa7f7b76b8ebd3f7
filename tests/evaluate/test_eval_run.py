"""`urial eval run` as a process: what it writes, how it goes on, and what it refuses."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import signal
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.conftest import workers
from tests.evaluate.runs import HANGS, ITEMS, command, eval_run, item_file, sentence
from urial_tui import paths
from urial_tui.evaluate.items import Item
from urial_tui.evaluate.output_file import read_outputs
from urial_tui.evaluate.shown_preamble import shown_preamble
from urial_tui.journal import Journal
from urial_tui.prompting.preamble_file import find_preamble, toml_text

ALONE = ("--parallel", "1", "--max-tokens", "12")
ALL_TURNS = sum(len(item.turns) for item in ITEMS)


@pytest.fixture(autouse=True)
def settings(home: Path) -> Path:
    path = paths.settings_file()
    path.parent.mkdir(parents=True)
    path.write_text(
        '[chat]\npreamble = "zero-shot"\n[engine]\nthreads = 1\ncontext = 1024\n'
        # With these any token may be drawn, where something is.
        "[sampling]\ntop_k = 300\ntop_p = 1.0\nmin_p = 0.0\n"
    )
    return path


@pytest.fixture
def items(tmp_path: Path) -> Path:
    return item_file(tmp_path / "items.json")


@pytest.fixture
def arguments(llama_gguf: Path, items: Path, tmp_path: Path) -> tuple[str | Path, ...]:
    """Of a run of all items by the tiny model."""
    return ("-m", llama_gguf, "--items", items, "--out", tmp_path / "out.json")


def records(path: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))
    return found


def journal_lines(path: Path) -> list[dict[str, Any]]:
    """The answers that a journal holds; a torn line is none."""
    data = path.with_name(f"{path.name}.part").read_bytes()
    return [json.loads(line) for line in data.split(b"\n")[1:-1]]


def started(*arguments: str | Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        command(*arguments),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def wait_for_answers(path: Path, number: int) -> None:
    """Wait until a run that was started has kept so many."""
    deadline = time.monotonic() + HANGS
    while True:
        assert time.monotonic() < deadline
        try:
            if len(journal_lines(path)) >= number:
                return
        except FileNotFoundError:
            pass
        time.sleep(0.01)


# -- what is written -----------------------------------------------------------------------


@pytest.mark.parametrize("parallel", ["1", "3"])
def test_all_items_are_answered_in_their_order(
    parallel: str, arguments: Sequence[str | Path], tmp_path: Path, llama_gguf: Path
) -> None:
    done = eval_run(*arguments, "--parallel", parallel, "--max-tokens", "12")
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    first, second = done.stdout.splitlines()
    assert first == (
        f"5 of 5 items answered by {llama_gguf.name}, zero-shot, in {tmp_path / 'out.json'}."
    )
    assert re.match(rf"{ALL_TURNS} answers of \d+ tokens: \d+ ended by themselves", second)
    outputs = read_outputs(tmp_path / "out.json")
    assert [output.id for output in outputs] == [item.id for item in ITEMS]
    for output, item in zip(outputs, ITEMS, strict=True):
        assert tuple(exchange.instruction for exchange in output.exchanges) == item.turns
        assert output.category == item.category
        assert output.datasplit == "items.json"
        assert output.parallel == int(parallel)
        for exchange in output.exchanges:
            assert exchange.tokens is not None
            assert 0 < exchange.tokens <= 12
            assert exchange.ending == "cut" or exchange.tokens < 12
            assert exchange.seed is None
    assert sorted(path.name for path in tmp_path.iterdir()) == ["items.json", "out.json"]


def test_outputs_tell_which_examples_they_were_written_behind(
    arguments: Sequence[str | Path], tmp_path: Path
) -> None:
    path = tmp_path / "vanilla-icl.toml"
    whole = find_preamble("vanilla-icl")
    path.write_text(toml_text(msgspec.structs.replace(whole, examples=whole.examples[:1])))
    assert eval_run(*arguments, *ALONE, "-p", path, "--limit", "1").returncode == 0
    (record,) = records(tmp_path / "out.json")
    assert record["urial"]["preamble"] == msgspec.to_builtins(
        shown_preamble(find_preamble(str(path)))
    )


def test_alone_an_answer_is_that_of_urial_ask(
    arguments: Sequence[str | Path], tmp_path: Path, llama_gguf: Path
) -> None:
    drawn = (*ALONE, "--temperature", "2", "--seed", "5")
    assert eval_run(*arguments, *drawn).returncode == 0
    record = records(tmp_path / "out.json")[2]
    assert "preamble" not in record["urial"], "zero-shot has no examples"
    (exchange,) = record["urial"]["exchanges"]
    words = command()
    asked = [*words[: words.index("eval")], "ask", record["instruction"], "-m", str(llama_gguf)]
    options = ["--max-tokens", "12", "--temperature", "2", "--seed", str(exchange["seed"])]
    done = subprocess.run(
        [*asked, *options, "--json", "--no-store"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=HANGS,
        check=True,
    )
    answer = json.loads(done.stdout)
    assert answer["text"] == record["output"]
    assert answer["tokens"]["generated"] == exchange["tokens"]


def test_one_json_object_tells_what_came_of_it(
    arguments: Sequence[str | Path], llama_gguf: Path
) -> None:
    new = json.loads(eval_run(*arguments, *ALONE, "--json").stdout)
    written = new.pop("written")
    assert written["answers"] == new["answers"] == ALL_TURNS
    assert written["tokens"] == new["tokens"] > 0
    assert written["answers_per_minute"] == pytest.approx(60 * ALL_TURNS / written["seconds"])
    assert sum(new["endings"].values()) == ALL_TURNS
    assert {name: new[name] for name in list(new)[:8]} == {
        "generator": f"{llama_gguf.name}, zero-shot",
        "items": "items.json",
        "total": 5,
        "answered": 5,
        "taken_over": 0,
        "changed": 0,
        "new": 5,
        "skipped": [],
    }
    assert new["sampling"]["seed"] is None
    again = json.loads(eval_run(*arguments, *ALONE, "--json").stdout)
    assert again.pop("written") == {
        "answers": 0,
        "tokens": 0,
        "seconds": pytest.approx(0, abs=HANGS),
        "answers_per_minute": None,
        "tokens_per_s": None,
    }
    assert again == new | {"taken_over": 5, "new": 0}


def test_a_limit_and_another_list_change_no_draw(
    arguments: Sequence[str | Path], llama_gguf: Path, tmp_path: Path
) -> None:
    drawn = (*ALONE, "--temperature", "2", "--seed", "5")
    assert eval_run(*arguments, *drawn).returncode == 0
    all_of_them = records(tmp_path / "out.json")
    assert len({record["output"] for record in all_of_them}) == 5
    short = (*arguments[:-1], tmp_path / "short.json")
    assert eval_run(*short, *drawn, "--limit", "2").returncode == 0
    assert records(tmp_path / "short.json") == all_of_them[:2]
    other = item_file(tmp_path / "other.json", [Item(id="new", turns=("?",)), *ITEMS[2:]])
    more = ("-m", llama_gguf, "--items", other, "--out", tmp_path / "more.json")
    assert eval_run(*more, *drawn).returncode == 0
    found = records(tmp_path / "more.json")[1:]
    assert [each["output"] for each in found] == [each["output"] for each in all_of_them[2:]]


# -- going on --------------------------------------------------------------------------------


def test_what_has_changed_is_answered_anew_and_nothing_else(
    arguments: Sequence[str | Path], items: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out.json"
    assert eval_run(*arguments, *ALONE).returncode == 0
    before = records(out)
    changed = msgspec.structs.replace(ITEMS[0], turns=("Why?", "And what then?"))
    item_file(items, [changed, *ITEMS[1:], Item(id=6, turns=("Which?",))])
    done = eval_run(*arguments, *ALONE, "--json")
    told = json.loads(done.stdout)
    assert (told["taken_over"], told["changed"], told["new"]) == (4, 1, 1)
    assert told["written"]["answers"] == 3
    assert "4 of 6 items are taken over" in done.stderr
    assert "1 have changed, 1 are new." in done.stderr
    after = records(out)
    assert after[1:5] == before[1:5]
    assert after[0]["turns"][1]["instruction"] == "And what then?"


@pytest.mark.parametrize(
    "other",
    [
        ("-p", "zero-shot.toml"),
        ("--context", "raw"),
        ("--max-tokens", "11"),
        ("--temperature", "1"),
        ("--parallel", "2"),
    ],
)
def test_what_all_answers_depend_on_is_seen(
    other: tuple[str, str], arguments: Sequence[str | Path], tmp_path: Path
) -> None:
    # Under the same name: what counts is what is in it.
    preamble = tmp_path / "changed" / "zero-shot.toml"
    preamble.parent.mkdir()
    shipped = (paths.shipped_prompts_dir() / "zero-shot.toml").read_text(encoding="utf-8")
    preamble.write_text(shipped.replace("# Query", "# Question"), encoding="utf-8")
    assert preamble.read_text(encoding="utf-8") != shipped
    few = (*arguments, "--limit", "2")
    assert eval_run(*few, *ALONE).returncode == 0
    words = [str(preamble) if word == "zero-shot.toml" else word for word in other]
    told = json.loads(eval_run(*few, *ALONE, *words, "--json").stdout)
    assert (told["taken_over"], told["changed"], told["new"]) == (0, 2, 0)
    assert told["written"]["answers"] == 3


def test_metadata_of_items_may_change(
    arguments: Sequence[str | Path], items: Path, tmp_path: Path
) -> None:
    assert eval_run(*arguments, *ALONE).returncode == 0
    safe = [msgspec.structs.replace(item, category="safety") for item in ITEMS]
    item_file(items, [item if len(item.turns) > 1 else safe[n] for n, item in enumerate(ITEMS)])
    told = json.loads(eval_run(*arguments, *ALONE, "--json").stdout)
    assert told["taken_over"] == 5
    categories = [output.category for output in read_outputs(tmp_path / "out.json")]
    assert categories == ["regular", "safety", "safety", "regular", "safety"]


def test_a_run_goes_on_with_the_seed_that_was_drawn_and_as_many_at_a_time(
    arguments: Sequence[str | Path], items: Path
) -> None:
    drawn = ("--max-tokens", "12", "--temperature", "2")
    first = eval_run(*arguments, *drawn, "--parallel", "2", "--json")
    seed = json.loads(first.stdout)["sampling"]["seed"]
    assert f"{seed} gives the same answers again" in first.stderr
    item_file(items, [*ITEMS, Item(id=6, turns=("Which?",))])
    again = json.loads(eval_run(*arguments, *drawn, "--json").stdout)
    assert (again["taken_over"], again["new"]) == (5, 1)
    assert (again["parallel"], again["sampling"]["seed"]) == (2, seed)


@pytest.mark.parametrize("parallel", ["1", "3"])
def test_ctrl_c_keeps_what_is_answered_and_says_how_to_go_on(
    parallel: str, endless_gguf: Path, items: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out.json"
    long = ("--max-tokens", "250", "--parallel", parallel)
    arguments = ("-m", endless_gguf, "--items", items, *long)
    assert eval_run(*arguments, "--out", tmp_path / "whole.json").returncode == 0
    process = started(*arguments, "--out", out)
    wait_for_answers(out, 2)
    process.send_signal(signal.SIGINT)
    output, errors = process.communicate(timeout=HANGS)
    assert process.returncode == 130
    assert output == b""
    (line,) = errors.decode().splitlines()
    assert re.fullmatch(
        r"urial: Interrupted: \d of 5 items are answered\. "
        r"What was answered is kept: give the same command again, and it goes on\.",
        line,
    )
    assert not out.exists()
    kept = journal_lines(out)
    assert 2 <= len(kept) < ALL_TURNS
    told = json.loads(eval_run(*arguments, "--out", out, "--json").stdout)
    assert told["written"]["answers"] == ALL_TURNS - len(kept)
    if parallel == "1":
        assert out.read_bytes() == (tmp_path / "whole.json").read_bytes()


def test_the_end_of_the_worker_keeps_what_is_answered(
    endless_gguf: Path, items: Path, tmp_path: Path, home: Path
) -> None:
    out = tmp_path / "out.json"
    arguments = ("-m", endless_gguf, "--items", items, "--max-tokens", "250", "--parallel", "1")
    process = started(*arguments, "--out", out)
    wait_for_answers(out, 2)
    (pid,) = workers(home)
    os.kill(pid, signal.SIGKILL)
    output, errors = process.communicate(timeout=HANGS)
    assert (process.returncode, output) == (1, b"")
    (line,) = errors.decode().splitlines()
    assert line.endswith("What was answered is kept: give the same command again, and it goes on.")
    assert len(journal_lines(out)) >= 2
    assert eval_run(*arguments, "--out", out).returncode == 0
    assert len(records(out)) == 5


# -- what is refused ---------------------------------------------------------------------------


def test_an_item_that_is_too_long_is_skipped_told_and_tried_again(
    arguments: Sequence[str | Path], items: Path, tmp_path: Path
) -> None:
    item_file(items, [ITEMS[0], Item(id="long", turns=("word " * 1200,)), ITEMS[2]])
    done = eval_run(*arguments, *ALONE, "--json")
    assert done.returncode == 1
    told = json.loads(done.stdout)
    assert (told["answered"], told["total"]) == (2, 3)
    (skipped,) = told["skipped"]
    assert skipped["id"] == "long"
    assert "more than the context of 1,024 holds" in skipped["reason"]
    (line,) = done.stderr.splitlines()
    assert line.startswith("urial: 1 item of 3 can't be answered: 'long' (The question has")
    assert [record["id"] for record in records(tmp_path / "out.json")] == [7, 3]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["items.json", "out.json"]
    settings = paths.settings_file()
    settings.write_text(settings.read_text().replace("1024", "8192"))
    done = eval_run(*arguments, *ALONE)
    assert (done.returncode, done.stdout.splitlines()[0][:6]) == (0, "3 of 3")


def test_two_programs_do_not_write_one_file(
    arguments: Sequence[str | Path], tmp_path: Path
) -> None:
    journal = Journal(tmp_path / "out.json.part")
    line = sentence(eval_run(*arguments, *ALONE))
    assert "in use by another evaluation" in line
    journal.close()
    assert eval_run(*arguments, *ALONE).returncode == 0


def test_files_that_are_something_else_are_not_written_over(
    arguments: Sequence[str | Path], items: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out.json"
    text = items.read_text()
    out.write_text(text)
    assert "nothing is written over it" in sentence(eval_run(*arguments, *ALONE))
    assert out.read_text() == text
    assert not out.with_name("out.json.part").exists()
    same = (*arguments[:-1], items)
    assert "name the same file" in sentence(eval_run(*same, *ALONE), code=2)
    nowhere = (*arguments[:-1], tmp_path / "no" / "out.json")
    assert "no such directory" in sentence(eval_run(*nowhere, *ALONE), code=2)
    assert "it is a directory" in sentence(eval_run(*arguments[:-1], tmp_path, *ALONE), code=2)


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        (("--context", "same"), 2, "needs another side"),
        (("--context", "raw", "-p", "zero-shot"), 2, "one too many"),
        (("--context", "nothing"), 1, "nothing"),
        (("--context", "chat"), 1, "chat template"),
        (("--parallel", "0"), 2, "no whole number from 1 to 248"),
        (("--parallel", "249"), 2, "no whole number from 1 to 248"),
        (("--limit", "0"), 2, "no whole number"),
        (("--temperature", "nan"), 2, "is no number from 0 to 100"),
        (("-m", "missing.gguf"), 1, "missing.gguf"),
    ],
)
def test_mistakes_are_one_sentence_and_leave_nothing_behind(
    options: Sequence[str], code: int, said: str, arguments: Sequence[str | Path], tmp_path: Path
) -> None:
    assert said in sentence(eval_run(*arguments, *ALONE, *options), code=code)
    assert [path.name for path in tmp_path.iterdir()] == ["items.json"]


# -- the terminal -------------------------------------------------------------------------------


def test_a_terminal_shows_how_far_it_is_and_the_newest_answer(
    endless_gguf: Path, items: Path, tmp_path: Path
) -> None:
    leader, follower = pty.openpty()
    # Long enough for the line to be drawn more than once.
    long = ("--max-tokens", "200", "--parallel", "1")
    process = subprocess.Popen(
        command("-m", endless_gguf, "--items", items, *long, "--out", tmp_path / "out.json"),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=follower,
    )
    os.close(follower)
    shown, deadline = b"", time.monotonic() + HANGS
    while True:
        assert time.monotonic() < deadline
        if select.select([leader], [], [], 1.0)[0]:
            try:
                data = os.read(leader, 65536)
            except OSError:  # Linux: the terminal's other end is closed
                break
            if not data:
                break
            shown += data
    os.close(leader)
    output, _ = process.communicate(timeout=HANGS)
    assert process.returncode == 0
    assert output.startswith(b"5 of 5 items answered")
    lines = shown.decode().split("\r\x1b[K")
    assert any(re.match(r"\d of 5 items.*: .", line) for line in lines)
    assert all(len(line) < 80 for line in lines)
    assert lines[-1] == ""
