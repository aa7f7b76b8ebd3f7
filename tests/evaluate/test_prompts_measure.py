"""`urial prompts measure`: contexts beside each other, and what is used again."""

from __future__ import annotations

import hashlib
import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests import tinygguf
from tests.evaluate.runs import HANGS, sentence
from urial_tui import paths
from urial_tui.cli import main as cli
from urial_tui.errors import EngineDied
from urial_tui.evaluate.context_measures import (
    MeasuredContext,
    copies_opening,
    end_of,
    measures_document,
)
from urial_tui.evaluate.items import EvaluateError
from urial_tui.evaluate.measure_store import MAX_BYTES, MeasureStore, kept_measures
from urial_tui.evaluate.measure_table import measure_rows
from urial_tui.evaluate.measuring import Measuring
from urial_tui.evaluate.outputs import AnsweredTurn
from urial_tui.evaluate.run_file import WrittenAnswer
from urial_tui.evaluate.token_reading import TextReading
from urial_tui.evaluate.words import common_in_order
from urial_tui.prompting.context import find_context
from urial_tui.prompting.preamble import Example

K1, ZERO, CHAT = find_context("urial-k1"), find_context("zero-shot"), find_context("chat")
PAIRS = ({"query": "Why?", "answer": "Because it is."}, {"query": "Where?", "answer": "Here."})


def reading(bits: float | None = 8.0, size: int = 4, key: str = "k") -> TextReading:
    return TextReading(
        key=key, by="m", tokens=4, bytes=size, bits=bits, unshifted=1, marginal=1, shifted=2
    )


def exchange(output: str = "So.", ending: Any = "end", detail: str = "eos") -> AnsweredTurn:
    return AnsweredTurn(instruction="Why?", output=output, tokens=3, ending=ending, detail=detail)


# -- what is measured ------------------------------------------------------------------


def test_an_answer_ends_by_its_format_or_runs_on() -> None:
    def end(ending: Any, detail: str, context: Any = K1) -> str | None:
        return end_of(exchange(ending=ending, detail=detail), context)

    assert end("end", "eos <eos>") == "ended"
    assert end("cut", "length") == "cut"
    assert end("stop", "stop \n~~~~") == "ended"
    assert end("stop", "stop \n\n~~~~") == "ended"
    assert end("stop", "stop \n# Query:\n") == "ran_on"
    assert end("stop", "stop \n\n# Question:\n") == "ran_on"
    assert end("stop", "stop") == "ran_on"
    assert end("", "") is None
    assert end("cancelled", "cancelled") is None
    assert end("end", "eos <end_of_turn>", CHAT) == "ended"


def test_an_opening_is_copied_where_four_of_five_words_are_the_same() -> None:
    assert K1.preamble is not None
    start = K1.preamble.examples[0].answer.split()
    assert copies_opening(" ".join(start[:5]) + " and so on", K1) is True
    assert copies_opening(" ".join(start[:5]).upper(), K1) is True
    assert copies_opening(" ".join(start[:4]) + " quite otherwise", K1) is True
    assert copies_opening(" ".join(start[:3]) + " quite otherwise", K1) is False
    assert copies_opening(" ".join(start[:3]), K1) is True
    assert copies_opening(start[0], K1) is False
    assert copies_opening("", K1) is False
    assert copies_opening(" ".join(start), ZERO) is None
    assert copies_opening(" ".join(start), CHAT) is None


@pytest.mark.parametrize(
    ("answer", "copied"),
    [
        ("I can't help with butter. If you have a good substitute, use it.", True),
        ("I can\u2019t help you with removing red wine stains.", True),
        ("Sorry, I can't help with computers.", True),
        ("I can't help.", True),
        ("I can't find a substitute for butter.", False),
        ("I help with what I can't.", False),
        ("It helps with butter.", False),
        ("I", False),
        ("It depends on the weather.", True),
        ("It depends.", True),
        ("It rains.", False),
        ("Paris is the capital of France.", False),
    ],
)
def test_a_refusal_that_is_copied_with_the_word_of_another_question_is_copied(
    answer: str, copied: bool
) -> None:
    assert K1.preamble is not None
    examples = tuple(
        Example(query="Why?", answer=text)
        for text in (
            "I can't help with stealing. A locksmith will open it.",
            "It depends.",
            "Paris.",
        )
    )
    preamble = msgspec.structs.replace(K1.preamble, examples=examples)
    context = msgspec.structs.replace(K1, preamble=preamble)
    assert copies_opening(answer, context) is copied


@given(st.lists(st.sampled_from("abc"), max_size=6), st.lists(st.sampled_from("abc"), max_size=6))
def test_common_words_are_those_of_the_longest_common_subsequence(
    first: list[str], second: list[str]
) -> None:
    def subsequences(words: list[str]) -> set[tuple[str, ...]]:
        return {part for length in range(len(words) + 1) for part in combinations(words, length)}

    expected = max(len(part) for part in subsequences(first) & subsequences(second))
    assert common_in_order(first, second) == expected


def test_the_document_compares_with_the_first_context_on_the_same_texts() -> None:
    assert K1.preamble is not None
    example = K1.preamble.examples[0].answer
    first = MeasuredContext(
        context=ZERO,
        tokens=1,
        prefill_s=0.5,
        cache_bytes=10,
        references=(reading(8.0), reading(4.0), None),
        answers=(exchange(), exchange(ending="cut", detail="length"), None),
    )
    second = MeasuredContext(
        context=K1,
        tokens=400,
        prefill_s=None,
        cache_bytes=4000,
        references=(reading(12.0), reading(None), reading(4.0)),
        answers=(
            msgspec.structs.replace(exchange(example), aligned=reading()),
            exchange(ending="stop", detail="stop \n# Query:\n"),
            exchange(ending="", detail=""),
        ),
    )
    found = measures_document([first, second], ["a", "b", "c"], model="m", aligned=None)
    assert found["model"] == "m"
    one, two = found["contexts"]
    assert one["difference"] is None
    assert one["bits_per_byte"]["mean"] == 1.5
    assert (one["bits_per_byte"]["count"], one["bits_per_byte"]["missing"]) == (2, 1)
    assert (one["ended"]["hits"], one["cut"]["hits"], one["ended"]["missing"]) == (1, 1, 1)
    assert one["leaked"]["share"] is None
    assert one["copied_opening"] == one["leaked"]
    assert two["bits_per_byte"]["mean"] == 2.0
    assert (two["ran_on"]["hits"], two["ran_on"]["count"]) == (1, 2)
    assert (two["leaked"]["hits"], two["leaked"]["count"]) == (1, 3)
    assert two["copied_opening"]["hits"] == 1
    assert (two["shift"]["mean"], two["shift"]["missing"]) == (0.5, 2)
    bits = two["difference"]["bits_per_byte"]
    assert two["difference"]["to"] == "zero-shot"
    assert (bits["difference"], bits["count"], bits["missing"]) == (1.0, 1, 2)
    titles, rows = measure_rows(found)
    assert all(len(row) == len(titles) for row in rows)
    assert rows[1][titles.index("DIFFERENCE")] == "+1.0000"
    assert "SHIFTED" not in titles
    titles, rows = measure_rows(found | {"aligned": "chat"})
    assert [row[titles.index("SHIFTED")] for row in rows] == ["-", "50.0%"]


# -- what is kept ----------------------------------------------------------------------


def test_what_is_kept_is_there_again_and_a_torn_line_is_not(tmp_path: Path) -> None:
    path = tmp_path / "new" / "measures.jsonl"
    store = MeasureStore(path)
    store.keep_written("a", 0, WrittenAnswer(exchange=exchange("one")))
    store.keep_written("a", 1, WrittenAnswer(exchange=exchange("two")))
    store.keep_written("b", 1, WrittenAnswer(exchange=exchange("three")))
    store.keep_reading(reading(key="r"))
    store.close()
    with path.open("ab") as file:
        file.write(b'{"reading":{"key":"torn"')
    store = MeasureStore(path)
    assert store.trouble == ""
    assert [each.exchange.output for each in store.written("a", 2)] == ["one", "two"]
    assert len(store.written("a", 1)) == 1
    assert store.written("b", 2) == ()
    assert store.reading("r") == reading(key="r")
    assert store.reading("torn") is None
    store.close()
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_store_that_can_not_be_kept_works_all_the_same(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    nowhere = MeasureStore(tmp_path / "file" / "measures.jsonl")
    assert "can't be kept in" in nowhere.trouble
    nowhere.keep_reading(reading(key="r"))
    assert nowhere.reading("r") is not None


def test_one_program_at_a_time_measures_and_others_may_look(tmp_path: Path) -> None:
    path = tmp_path / "measures.jsonl"
    assert kept_measures(path).reading("r") is None
    first = MeasureStore(path)
    first.keep_reading(reading(key="r"))
    first.keep_written("a", 0, WrittenAnswer(exchange=exchange("one")))
    with pytest.raises(EvaluateError, match="Another program is measuring") as caught:
        MeasureStore(path)
    assert str(path) in caught.value.message
    with path.open("ab") as file:
        file.write(b'{"reading":{"key":"being written"')
    seen = kept_measures(path)
    assert seen.reading("r") == reading(key="r")
    assert [each.exchange.output for each in seen.written("a", 1)] == ["one"]
    first.close()
    second = MeasureStore(path)
    assert second.reading("r") == reading(key="r")
    second.close()
    with pytest.raises(EvaluateError, match="can't be read"):
        kept_measures(tmp_path)


def test_a_store_that_has_grown_too_large_is_begun_anew(tmp_path: Path) -> None:
    path = tmp_path / "measures.jsonl"
    path.touch()
    with path.open("r+b") as file:
        file.truncate(MAX_BYTES + 1)
    store = MeasureStore(path)
    store.keep_reading(reading(key="r"))
    store.close()
    assert path.stat().st_size < 1000


# -- the command -----------------------------------------------------------------------


@pytest.fixture(autouse=True)
def settings(home: Path) -> None:
    path = paths.settings_file()
    path.parent.mkdir(parents=True)
    path.write_text("[engine]\nthreads = 1\ncontext = 2048\n")


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    path = tmp_path / "pairs.jsonl"
    path.write_text("".join(json.dumps(pair) + "\n" for pair in PAIRS))
    return path


def command(*arguments: str | Path) -> list[str]:
    return [sys.executable, "-m", "urial_tui", "prompts", "measure", *map(str, arguments)]


def measure(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(*arguments),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=HANGS,
        check=False,
    )


def told(*arguments: str | Path) -> dict[str, Any]:
    done = measure(*arguments, "--json")
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def short(model: Path, pairs: Path, *names: str | Path) -> Sequence[str | Path]:
    limits = ("--limit", "2", "--max-tokens", "8", "--parallel", "2")
    return (*names, "-m", model, "--answers", pairs, *limits)


def test_contexts_are_measured_in_their_order_and_used_again(llama_gguf: Path, pairs: Path) -> None:
    arguments = short(llama_gguf, pairs, "zero-shot", "vanilla-icl", "raw")
    found = told(*arguments)
    assert [each["name"] for each in found["contexts"]] == ["zero-shot", "vanilla-icl", "raw"]
    assert found["references"] == {"name": "pairs.jsonl", "texts": 2}
    assert found["questions"] == {"name": "everyday-40", "texts": 2}
    assert (found["parallel"], found["max_tokens"], found["troubles"]) == (2, 8, [])
    zero, vanilla, raw = found["contexts"]
    assert (zero["method"], vanilla["examples"], raw["method"]) == ("zero-shot", 3, None)
    assert zero["tokens"] < vanilla["tokens"]
    assert vanilla["cache_bytes"] == vanilla["tokens"] * (zero["cache_bytes"] // zero["tokens"])
    assert vanilla["prefill_s"] > 0
    assert zero["bits_per_byte"]["count"] == 2
    difference = vanilla["difference"]["bits_per_byte"]
    assert difference["difference"] == pytest.approx(
        vanilla["bits_per_byte"]["mean"] - zero["bits_per_byte"]["mean"]
    )
    lines = paths.measures_file().read_bytes()
    again = told(*arguments)
    assert paths.measures_file().read_bytes() == lines, "nothing was measured anew"
    for one, other in zip(found["contexts"], again["contexts"], strict=True):
        assert one | {"prefill_s": None} == other | {"prefill_s": None}


def test_only_answers_are_written_anew_under_another_sampling(
    llama_gguf: Path, pairs: Path
) -> None:
    def kept() -> tuple[int, int]:
        lines = paths.measures_file().read_bytes().splitlines()
        found = [json.loads(line) for line in lines]
        return (
            sum(line["reading"] is not None for line in found),
            sum(line["written"] is not None for line in found),
        )

    arguments = short(llama_gguf, pairs, "zero-shot")
    settings = told(*arguments)
    assert settings["sampling"] == {
        "name": "at temperature 0, repetition penalty 1.1 and DRY",
        "temperature": 0,
        "repetition_penalty": 1.1,
        "frequency_penalty": 0,
        "presence_penalty": 0,
        "penalty_last_n": 256,
        "dry_multiplier": 0.8,
        "dry_base": 1.75,
        "dry_allowed_length": 3,
        "dry_last_n": 1024,
    }
    assert kept() == (2, 2)
    plain = told(*arguments, "--penalties", "none")
    assert plain["sampling"]["name"] == "at temperature 0 without penalties"
    assert kept() == (2, 4)
    assert plain["contexts"][0]["bits_per_byte"] == settings["contexts"][0]["bits_per_byte"]
    # What only a draw looks at makes no other answers, and a penalty that is off has no range.
    paths.settings_file().write_text(
        "[engine]\nthreads = 1\ncontext = 2048\n[sampling]\ntemperature = 0.7\ntop_k = 3\n"
        "seed = 5\nrepetition_penalty = 1.0\npenalty_last_n = 7\ndry_multiplier = 0.0\n"
    )
    again = told(*arguments)
    assert again["sampling"] == plain["sampling"]
    assert again["contexts"][0]["ended"] == plain["contexts"][0]["ended"]
    assert kept() == (2, 4)


def test_a_page_is_written_and_how_it_was_measured_is_told(
    llama_gguf: Path, pairs: Path, tmp_path: Path
) -> None:
    page = tmp_path / "measures.html"
    arguments = short(llama_gguf, pairs, "zero-shot", "vanilla-icl")
    found = told(*arguments, "--html", page)
    run = found["run"]
    assert (run["max_tokens"], run["parallel"], run["n_ctx"]) == (8, 2, 2048)
    assert run["command"].startswith("urial prompts measure ")
    assert run["command"].endswith(" zero-shot vanilla-icl")
    (file,) = run["files"]["model"]
    assert file == {
        "name": llama_gguf.name,
        "size": llama_gguf.stat().st_size,
        "sha256": hashlib.sha256(llama_gguf.read_bytes()).hexdigest(),
    }
    html = page.read_text(encoding="utf-8")
    match = re.search(r'id="data-head">(.*?)</script>', html)
    assert match
    assert json.loads(match[1]) == found


def test_a_table_is_printed_and_a_changed_preamble_is_measured_anew(
    llama_gguf: Path, pairs: Path, tmp_path: Path
) -> None:
    own = tmp_path / "own.toml"
    shipped = (paths.shipped_prompts_dir() / "zero-shot.toml").read_text()
    own.write_text(shipped.replace('name = "zero-shot"', 'name = "own"'))
    arguments = short(llama_gguf, pairs, "zero-shot", own)
    done = measure(*arguments)
    assert done.returncode == 0, done.stderr
    head, answered, titles, zero, mine = done.stdout.splitlines()
    assert head.startswith(f"{llama_gguf.name}: bits per byte of 2 answers in pairs.jsonl")
    assert answered == (
        "Answered at temperature 0, repetition penalty 1.1 and DRY, as in the settings."
    )
    assert titles.split()[:3] == ["CONTEXT", "TOKENS", "BITS/BYTE"]
    # The same text under another name is the same.
    assert mine.split()[2:4] == [zero.split()[2], "0.0000"]
    size = len(paths.measures_file().read_bytes().splitlines())
    own.write_text(own.read_text().replace("# Query", "# Question"))
    assert measure(*arguments).returncode == 0
    assert len(paths.measures_file().read_bytes().splitlines()) == size + 4


def test_an_aligned_side_reads_the_answers(llama_gguf: Path, pairs: Path, tmp_path: Path) -> None:
    other = tinygguf.write_llama(
        tmp_path / "other.gguf",
        seed=3,
        chat_template="{% for m in messages %}[{{ m['content'] }}]{% endfor %}",
    )
    found = told(*short(llama_gguf, pairs, "zero-shot", "raw"), "--aligned", other)
    assert found["aligned"] == "other.gguf"
    assert all(each["shift"]["count"] == 2 for each in found["contexts"])
    assert found["contexts"][1]["difference"]["shift"]["count"] == 2


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        (("nothing",), 1, "nothing"),
        (("same",), 2, "needs another side"),
        (("raw", "raw"), 2, "Two contexts are called raw"),
        (("chat",), 1, "chat template"),
        (("raw", "--answers", "missing.jsonl"), 1, "missing.jsonl"),
        (("raw", "--aligned", "missing.gguf"), 1, "missing.gguf"),
        (("raw", "--limit", "0"), 2, "no whole number"),
        (("raw", "--penalties", "some"), 2, "--penalties"),
        (("raw", "--html", "none/m.html"), 2, "there is no such directory"),
        (("raw", "--html", "pairs.jsonl"), 2, "--answers and --html name the same file"),
    ],
)
def test_mistakes_are_one_sentence(
    options: Sequence[str],
    code: int,
    said: str,
    llama_gguf: Path,
    pairs: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(pairs.parent)
    assert said in sentence(measure(*short(llama_gguf, pairs), *options), code=code)


def test_a_file_without_answers_is_refused(llama_gguf: Path, pairs: Path) -> None:
    pairs.write_text('{"query": "Why?"}\n')
    line = sentence(measure(*short(llama_gguf, pairs, "raw")))
    assert "There is no answer in pairs.jsonl beside a question." in line


@pytest.mark.parametrize("work", ["measure", "sweep", "search"])
def test_a_second_program_is_told_that_another_one_measures(
    llama_gguf: Path, pairs: Path, work: str, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = {
        "measure": ["raw", "--answers", str(pairs)],
        "sweep": ["raw", "--temperature", "0,1"],
        "search": [str(pairs), "-k", "1"],
    }
    store = MeasureStore(paths.measures_file())
    assert cli.run(["prompts", work, *arguments[work], "-m", str(llama_gguf)]) == 1
    store.close()
    told = capsys.readouterr()
    assert not told.out
    assert told.err == (
        "urial: Another program is measuring, and keeps what it finds in "
        f"{paths.measures_file()}. Wait until it is done, or stop it, and begin again: what it "
        "has measured by then is used.\n"
    )


def test_what_can_not_be_kept_is_not_told_as_kept(
    llama_gguf: Path,
    pairs: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def ended(*_: object) -> None:
        raise EngineDied("The engine ended.", "Start it again.")

    paths.measures_file().parent.parent.mkdir(parents=True, exist_ok=True)
    paths.measures_file().parent.write_text("in the way")
    monkeypatch.setattr(Measuring, "steps", ended)
    assert cli.run([*command(*short(llama_gguf, pairs, "raw"))[3:]]) == 1
    told = capsys.readouterr().err
    assert "What is measured can't be kept in" in told
    assert told.endswith("The engine ended. What was measured is not kept.\n")


def test_ctrl_c_keeps_what_is_measured(endless_gguf: Path, pairs: Path) -> None:
    names = ("zero-shot", "vanilla-icl", "raw")
    arguments = (*names, "-m", endless_gguf, "--max-tokens", "60", "--parallel", "1")
    process = subprocess.Popen(
        command(*arguments),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    deadline = time.monotonic() + HANGS
    kept = paths.measures_file()
    while time.monotonic() < deadline:
        if kept.exists() and kept.read_bytes().count(b"\n") >= 10:
            break
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    output, errors = process.communicate(timeout=HANGS)
    assert (process.returncode, output) == (130, b"")
    (line,) = errors.decode().splitlines()
    assert line == (
        "urial: Interrupted: 0 of 3 contexts are measured. What was measured is kept: give the "
        "same command again, and it goes on."
    )
