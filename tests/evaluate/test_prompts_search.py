"""`urial prompts search`: what it writes, what it uses again, and what it refuses."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.evaluate.runs import HANGS, sentence
from urial_tui import paths
from urial_tui.evaluate.items import Item
from urial_tui.evaluate.search_parts import parts_of
from urial_tui.prompting.preamble_file import find_preamble, load_preamble

POOL = (
    {"query": "How many legs has a spider?", "answer": "A spider has eight legs."},
    {"query": "the list of code", "answer": "```\nthe code\n```\nis here"},
    {"query": "Where is it?", "answer": "It is there, and the number is in the list."},
    {"query": "Question 1?", "answer": "This one is asked already."},
    {"query": "How does it end?", "answer": "So:\n~~~~\nand no further."},
    # Whatever it means: behind this one the tiny model finds the answers likelier.
    {"query": "Say code.", "answer": "code " * 30},
)
COUNT = 14
ANSWERS = tuple(
    {"query": f"Question {number}?", "answer": f"The number of it is {number}."}
    for number in range(COUNT)
)


@pytest.fixture(autouse=True)
def settings(home: Path) -> None:
    path = paths.settings_file()
    path.parent.mkdir(parents=True)
    path.write_text("[engine]\nthreads = 1\ncontext = 2048\n")


def lines(path: Path, records: Sequence[object]) -> Path:
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return path


@pytest.fixture
def pool(tmp_path: Path) -> Path:
    return lines(tmp_path / "pool.jsonl", POOL)


@pytest.fixture
def answers(tmp_path: Path) -> Path:
    return lines(tmp_path / "answers.jsonl", ANSWERS)


def command(*arguments: str | Path) -> list[str]:
    return [sys.executable, "-m", "urial_tui", "prompts", "search", *map(str, arguments)]


def search(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(*arguments),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=HANGS,
        check=False,
    )


def told(*arguments: str | Path) -> dict[str, Any]:
    done = search(*arguments, "--json")
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def parts() -> tuple[int, int]:
    """How many of the answers are to choose by, and how many are held out."""
    items = [
        Item(id=number, turns=(one["query"],), references=(one["answer"],))
        for number, one in enumerate(ANSWERS)
    ]
    train, held_out = parts_of(items)
    return len(train), len(held_out)


def kept() -> list[str]:
    """The keys of all readings, in their order."""
    found = []
    for line in paths.measures_file().read_bytes().splitlines():
        with contextlib.suppress(ValueError, TypeError, KeyError):
            found.append(json.loads(line)["reading"]["key"])
    return found


def test_what_is_found_is_told_and_written_and_used_again(
    llama_gguf: Path, pool: Path, answers: Path, tmp_path: Path
) -> None:
    train, held_out = parts()
    out = tmp_path / "mine.toml"
    like = tmp_path / "plain.toml"
    like.write_text(
        (paths.shipped_prompts_dir() / "vanilla-icl.toml")
        .read_text()
        .replace('name = "vanilla-icl"', 'name = "plain"')
    )
    arguments: Sequence[str | Path]
    arguments = (pool, "-k", "2", "-m", llama_gguf, "--answers", answers, "--out", out)
    arguments = (*arguments, "--like", like)
    found = told(*arguments)
    assert found["pool"] == {
        "name": "pool.jsonl",
        "pairs": 6,
        "candidates": 4,
        "left_out": {"asked": 1, "unsound": 1, "unread": 0},
    }
    assert found["references"] == {
        "name": "answers.jsonl",
        "train": train,
        "held_out": held_out,
        "unread": 0,
    }
    assert found["like"] == "plain"
    assert found["steps"][0]["tried"] == 4
    assert all(step["difference"]["interval"][1] < 0 for step in found["steps"])
    names = [each["name"] for each in found["held_out"]]
    assert names == ["mine", "plain without examples", "plain as it is", "zero-shot"]
    first, *others = found["held_out"]
    assert first["difference"] is None
    for other in others:
        assert other["difference"]["count"] == held_out
        assert other["difference"]["difference"] == pytest.approx(
            first["bits_per_byte"]["mean"] - other["bits_per_byte"]["mean"]
        )
    assert found["work"]["readings"] == len(kept()) <= found["estimate"]["readings"]
    assert found["work"]["tokens"] <= found["estimate"]["tokens"] * 1.2
    written = load_preamble(out)
    assert (written.name, written.method) == ("mine", "vanilla-icl")
    shipped = find_preamble("vanilla-icl")
    assert (written.system, written.format) == (shipped.system, shipped.format)
    assert [example.query for example in written.examples] == [
        example["query"] for example in found["examples"]
    ]
    again = told(*arguments, "--force")
    assert (again["work"]["readings"], again["work"]["tokens"]) == (0, 0)
    assert {**again, "work": None} == {**found, "work": None}


def test_the_tables_say_what_was_tried_and_what_it_is_worth(
    llama_gguf: Path, pool: Path, answers: Path
) -> None:
    arguments = (pool, "-k", "1", "-m", llama_gguf, "--answers", answers, "--like", "zero-shot")
    done = search(*arguments)
    assert done.returncode == 0, done.stderr
    text = done.stdout
    assert text.startswith(
        f"{llama_gguf.name}, in the format of zero-shot: 4 candidates of 6 pairs"
    )
    assert "Left out: 1 pair with the question of a good answer." in text
    assert "Left out: 1 pair with a text that would end an answer of this format." in text
    assert "zero-shot without examples" in text
    assert "At most" in done.stderr
    assert "answers are to be read, with" in done.stderr
    found = find_preamble("pool-k1")
    assert (found.method, len(found.examples)) == ("vanilla-icl", 1)
    path = paths.user_prompts_dir() / "pool-k1.toml"
    before = path.read_bytes()
    line = sentence(search(*arguments), code=2)
    assert "pool-k1.toml is there already." in line
    assert path.read_bytes() == before


def test_where_no_example_lowers_anything_nothing_is_written(
    llama_gguf: Path, pool: Path, answers: Path
) -> None:
    lines(pool, POOL[:1])
    done = search(pool, "-k", "1", "-m", llama_gguf, "--answers", answers)
    assert done.returncode == 0, done.stderr
    assert "No candidate lowers them by more than noise: the best one that was tried is pair 1" in (
        done.stdout
    )
    assert "Nothing is written" in done.stderr
    assert list(paths.user_prompts_dir().glob("*")) == []
    assert "pool-k1" not in done.stdout


def test_a_budget_bounds_the_readings(llama_gguf: Path, pool: Path, answers: Path) -> None:
    train, held_out = parts()
    base: Sequence[str | Path]
    base = (pool, "-k", "2", "-m", llama_gguf, "--answers", answers, "--name", "b", "--force")
    base = (*base, "--like", "urial-k3")
    least = 2 * train + 4 * held_out
    line = sentence(search(*base, "--budget", str(least - 1)), code=2)
    assert f"Give at least --budget {least}." in line
    found = told(*base, "--budget", str(least + train))
    work = found["work"]
    assert work["readings"] + work["kept"] <= least + train
    assert (found["stopped"], found["budget"]) == ("budget", least + train)
    first = found["steps"][0] if found["steps"] else found["refused"]
    assert first["tried"] == 2


def test_killed_at_random_moments_it_goes_on_and_reads_nothing_twice(
    llama_gguf: Path, pool: Path, answers: Path, tmp_path: Path
) -> None:
    out = tmp_path / "killed.toml"
    arguments: Sequence[str | Path]
    arguments = (pool, "-k", "2", "-m", llama_gguf, "--answers", answers, "--out", out)
    arguments = (*arguments, "--like", "zero-shot", "--json")
    began = time.monotonic()
    whole = told(*arguments[:-1])
    lasts = time.monotonic() - began
    expected = out.read_bytes() if out.exists() else None
    keys = kept()
    out.unlink(missing_ok=True)
    paths.measures_file().unlink()
    draws = random.Random(5)
    for _ in range(6):
        process = subprocess.Popen(
            command(*arguments),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(draws.uniform(0.3, 1.0) * lasts)
        # The worker is killed as well, as by a power cut.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(HANGS)
        out.unlink(missing_ok=True)
    found = told(*arguments[:-1])
    assert {**found, "work": None} == {**whole, "work": None}
    assert (out.read_bytes() if out.exists() else None) == expected
    assert sorted(kept()) == sorted(keys), "each text was read once"


def test_ctrl_c_ends_it_with_a_sentence(llama_gguf: Path, pool: Path, answers: Path) -> None:
    process = subprocess.Popen(
        command(pool, "-k", "3", "-m", llama_gguf, "--answers", answers),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    deadline = time.monotonic() + HANGS
    file = paths.measures_file()
    while time.monotonic() < deadline and not (
        file.exists() and file.read_bytes().count(b"\n") >= 3
    ):
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    output, errors = process.communicate(timeout=HANGS)
    assert (process.returncode, output) == (130, b"")
    line = errors.decode().splitlines()[-1]
    assert line.startswith("urial: Interrupted: ")
    assert line.endswith("give the same command again, and it goes on.")


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        (("-k", "0"), 2, "no whole number"),
        (("-k", "2", "--like", "nothing"), 1, "There is no preamble named 'nothing'."),
        (("-k", "2", "--like", "rules"), 2, "has rules in place of examples"),
        (("-k", "2", "--name", "Not so"), 2, "a name has lower-case letters and digits"),
        (("-k", "2", "--name", "urial-k3"), 2, "The program has a preamble named urial-k3"),
        (("-k", "2", "--name", "a", "--out", "b.toml"), 2, "has to stand in a file named a.toml"),
        (("-k", "2", "--answers", "missing.jsonl"), 1, "missing.jsonl"),
        (("-k", "2", "-m", "missing.gguf"), 1, "missing.gguf"),
        (("-k", "2", "--budget", "5"), 2, "not even one example can be tried"),
        (("-k", "2", "--out", "none/a.toml"), 2, "there is no such directory"),
        (("-k", "2", "--like", "a.toml", "--out", "a.toml"), 2, "name the same file"),
    ],
)
def test_mistakes_are_one_sentence(
    options: Sequence[str],
    code: int,
    said: str,
    llama_gguf: Path,
    pool: Path,
    answers: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    defaults = ("-m", llama_gguf, "--answers", answers)
    monkeypatch.chdir(pool.parent)
    (pool.parent / "a.toml").touch()
    assert said in sentence(search(pool, *defaults, *options), code=code)


def test_pools_without_a_candidate_and_answers_that_are_too_few_are_refused(
    llama_gguf: Path, pool: Path, answers: Path
) -> None:
    arguments = (pool, "-k", "2", "-m", llama_gguf, "--answers", answers)
    lines(pool, POOL[3:5])
    assert "No pair of pool.jsonl can be an example" in sentence(search(*arguments))
    lines(pool, POOL)
    lines(answers, ANSWERS[:4])
    assert "each part needs 5" in sentence(search(*arguments))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\n\n",
        b'{"query": "Why?"}\n',
        b'{"query": "Why?", "answer": 7}\n',
        b'{"query": "\xff\xfe", "answer": "x"}\n',
        b"[" * 100_000,
        b'{"query": "Why?", "answer": "' + b"x" * 100_000,
        b"\x00" * 1000,
    ],
)
def test_hostile_pools_are_one_sentence(
    data: bytes, llama_gguf: Path, pool: Path, answers: Path
) -> None:
    pool.write_bytes(data)
    line = sentence(search(pool, "-k", "1", "-m", llama_gguf, "--answers", answers))
    assert len(line) < 500


def test_a_pool_that_is_no_file_is_one_sentence(
    llama_gguf: Path, answers: Path, tmp_path: Path
) -> None:
    pipe = tmp_path / "pipe.jsonl"
    os.mkfifo(pipe)
    for place in (pipe, tmp_path, Path("/dev/zero"), tmp_path / "missing.jsonl"):
        sentence(search(place, "-k", "1", "-m", llama_gguf, "--answers", answers, "--name", "p"))


def test_texts_of_strangers_are_harmless(
    llama_gguf: Path, pool: Path, answers: Path, tmp_path: Path
) -> None:
    hostile = "\x1b[31mRed\x1b]0;title\x07 \u202eback\x9b the list of code"
    lines(pool, [{"query": hostile, "answer": "the number " + hostile}, *POOL[:2]])
    arguments = ("-m", llama_gguf, "--answers", answers, "--out", tmp_path / "h.toml", "--force")
    done = search(pool, "-k", "3", *arguments)
    assert done.returncode == 0, done.stderr
    for text in (done.stdout, done.stderr):
        assert not set(text) & {"\x1b", "\x07", "\x9b", "\u202e"}
    if (tmp_path / "h.toml").exists():
        load_preamble(tmp_path / "h.toml")
