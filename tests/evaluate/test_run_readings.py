"""`urial eval run` where items have references, or another model reads the answers."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from tests import tinygguf
from tests.evaluate.runs import HANGS, command, eval_run, sentence
from urial_tui import paths
from urial_tui.evaluate.item_files import read_items
from urial_tui.evaluate.measures import measure
from urial_tui.evaluate.output_file import read_outputs

RECORDS: tuple[dict[str, Any], ...] = (
    {"id": 1, "instruction": "Why?", "reference": "Because it is so."},
    {"id": 2, "turns": ["What is here?", "And there?"], "reference": ["The code.", "The list."]},
    {"id": 3, "instruction": "Where?"},
)
READ = ("reference", "aligned")


@pytest.fixture(autouse=True)
def settings(home: Path) -> None:
    path = paths.settings_file()
    path.parent.mkdir(parents=True)
    path.write_text(
        '[chat]\npreamble = "zero-shot"\n[engine]\nthreads = 1\ncontext = 1024\n'
        "[sampling]\nrepetition_penalty = 1.0\ndry_multiplier = 0.0\n"
    )


@pytest.fixture(scope="module")
def other_gguf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same tokens, other weights."""
    return tinygguf.write_llama(
        tmp_path_factory.mktemp("other") / "other.gguf",
        seed=3,
        chat_template="{% for m in messages %}[{{ m['content'] }}]{% endfor %}",
    )


@pytest.fixture
def items(tmp_path: Path) -> Path:
    return item_file(tmp_path / "items.json", RECORDS)


def item_file(path: Path, records: Sequence[dict[str, Any]]) -> Path:
    path.write_text(json.dumps(records))
    return path


def run(model: Path, items: Path, *more: str | Path) -> tuple[str | Path, ...]:
    out = items.with_name("out.json")
    alone = ("--parallel", "1", "--max-tokens", "12")
    return ("-m", model, "--items", items, "--out", out, *alone, *more)


def told(*arguments: str | Path) -> dict[str, Any]:
    done = eval_run(*arguments, "--json")
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def readings(items: Path, name: str) -> list[Any]:
    outputs = read_outputs(items.with_name("out.json"))
    return [getattr(exchange, name) for output in outputs for exchange in output.exchanges]


def test_references_are_read_and_measured(llama_gguf: Path, items: Path) -> None:
    found = told(*run(llama_gguf, items))
    one, first, second, none = readings(items, "reference")
    assert none is None
    assert [one.bytes, first.bytes, second.bytes] == [17, 9, 9]
    assert one.by == f"{llama_gguf.name}, zero-shot"
    total = one.bits + first.bits + second.bits
    assert found["references"]["bits_per_byte"] == pytest.approx(total / 35)
    assert found["references"]["texts"] == 3
    assert found["aligned"] is None
    outputs = read_outputs(items.with_name("out.json"))
    measured = [
        measure(output, item) for output, item in zip(outputs, read_items(items).items, strict=True)
    ]
    values = [answer.bits_per_byte for each in measured for answer in each.answers]
    assert values == [one.bits / 17, first.bits / 9, second.bits / 9, None]


def test_the_summary_has_the_mean_that_a_report_has(llama_gguf: Path, items: Path) -> None:
    done = eval_run(*run(llama_gguf, items))
    each = [one.bits / one.bytes for one in readings(items, "reference") if one is not None]
    assert len({round(bits, 3) for bits in each}) == 3
    told = f"3 reference answers: {sum(each) / 3:.3f} bits per byte on average."
    assert done.stdout.splitlines()[-1] == told


def test_what_was_read_is_used_again_by_its_content(llama_gguf: Path, items: Path) -> None:
    told(*run(llama_gguf, items))
    before = readings(items, "reference")
    whole = items.with_name("out.json").read_bytes()
    told(*run(llama_gguf, items))
    assert items.with_name("out.json").read_bytes() == whole
    changed = [RECORDS[0] | {"reference": "It is not."}, *RECORDS[1:]]
    item_file(items, changed)
    found = told(*run(llama_gguf, items))
    assert (found["taken_over"], found["written"]["answers"]) == (3, 0)
    after = readings(items, "reference")
    assert after[0].bytes == 10
    assert after[1:] == before[1:]
    # Another sampling writes other answers; what is said of the references stays.
    told(*run(llama_gguf, items, "--temperature", "2", "--seed", "1"))
    assert readings(items, "reference") == after
    without = [{key: value for key, value in RECORDS[0].items() if key != "reference"}]
    item_file(items, [*without, *RECORDS[1:]])
    told(*run(llama_gguf, items, "--temperature", "2", "--seed", "1"))
    assert readings(items, "reference") == [None, *after[1:]]


def test_another_context_reads_anew(llama_gguf: Path, items: Path) -> None:
    told(*run(llama_gguf, items))
    before = readings(items, "reference")
    told(*run(llama_gguf, items, "--context", "raw"))
    after = readings(items, "reference")
    assert [one.bits != other.bits for one, other in zip(after[:3], before[:3], strict=True)] == [
        True, True, True,
    ]  # fmt: skip


def test_an_aligned_side_ranks_the_answers_own_tokens(
    llama_gguf: Path, other_gguf: Path, items: Path
) -> None:
    found = told(*run(llama_gguf, items, "--aligned", other_gguf))
    outputs = read_outputs(items.with_name("out.json"))
    exchanges = [exchange for output in outputs for exchange in output.exchanges]
    for exchange in exchanges:
        assert exchange.aligned is not None
        assert exchange.aligned.by == "other.gguf, chat"
        assert 0 < exchange.aligned.tokens <= len(exchange.ids) == exchange.tokens
    all_tokens = sum(exchange.aligned.tokens for exchange in exchanges if exchange.aligned)
    assert found["aligned"]["tokens"] == all_tokens
    shares = [found["aligned"][name] for name in ("unshifted", "marginal", "shifted")]
    assert sum(shares) == pytest.approx(1)
    assert shares[2] > 0.5, "random weights agree on little"
    # A run without it keeps what was said.
    whole = items.with_name("out.json").read_bytes()
    told(*run(llama_gguf, items))
    assert items.with_name("out.json").read_bytes() == whole


def test_a_model_takes_its_own_answers_for_the_best(llama_gguf: Path, items: Path) -> None:
    # Asked for only once the answers are there: their tokens are kept.
    told(*run(llama_gguf, items))
    context = ("--aligned", llama_gguf, "--aligned-context", "zero-shot")
    found = told(*run(llama_gguf, items, *context))
    assert found["written"]["answers"] == 0
    one, *_, last = readings(items, "aligned")
    for reading in (one, last):
        assert 0 < reading.tokens == reading.unshifted
    assert one.by == f"{llama_gguf.name}, zero-shot"


def test_a_model_with_other_tokens_can_not_rank_them_and_nothing_is_lost(
    llama_gguf: Path, recurrent_gguf: Path, items: Path
) -> None:
    arguments = run(llama_gguf, items)
    line = sentence(eval_run(*arguments, "--aligned", recurrent_gguf, "--aligned-context", "raw"))
    assert "has other tokens than the model that wrote the answers" in line
    found = told(*arguments)
    assert (found["taken_over"], found["written"]["answers"]) == (3, 0)
    done = eval_run(*arguments, "--aligned", llama_gguf)
    assert done.returncode == 1
    assert "has no chat template" in done.stderr.splitlines()[-1]


def test_a_reference_that_does_not_fit_is_told_and_the_others_are_read(
    llama_gguf: Path, items: Path
) -> None:
    item_file(items, [RECORDS[0] | {"reference": "the answer " * 900}, *RECORDS[1:]])
    done = eval_run(*run(llama_gguf, items), "--json")
    assert done.returncode == 0
    (line,) = done.stderr.splitlines()
    assert line.startswith("urial: 1 reference answer can't be read: 1 (The answer and its")
    assert json.loads(done.stdout)["references"]["texts"] == 2
    assert readings(items, "reference")[0] is None


def test_options_that_do_not_go_together_are_refused(llama_gguf: Path, items: Path) -> None:
    arguments = run(llama_gguf, items)
    said = sentence(eval_run(*arguments, "--aligned-context", "raw"), code=2)
    assert "--aligned-context goes with --aligned" in said
    assert "missing.gguf" in sentence(eval_run(*arguments, "--aligned", "missing.gguf"))
    same = (*arguments, "--aligned", llama_gguf, "--aligned-context", "same")
    assert "needs another side" in sentence(eval_run(*same), code=2)
    assert not items.with_name("out.json.part").exists()


def test_a_run_that_is_killed_while_it_reads_goes_on(
    llama_gguf: Path, other_gguf: Path, items: Path
) -> None:
    many = [
        {"id": number, "instruction": f"Number {number}?", "reference": "the answer is " * 60}
        for number in range(20)
    ]
    item_file(items, many)
    out = items.with_name("out.json")
    arguments = run(llama_gguf, items, "--aligned", other_gguf)
    told(*arguments)
    right = out.read_bytes()
    out.unlink()
    journal = out.with_name("out.json.part")
    for enough in (23, 30, 45):
        process = subprocess.Popen(
            command(*arguments),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + HANGS
        while time.monotonic() < deadline and process.poll() is None:
            if journal.exists() and journal.read_bytes().count(b"\n") > enough:
                process.send_signal(signal.SIGKILL)
                break
            time.sleep(0.002)
        process.wait(timeout=HANGS)
    assert told(*arguments)["written"]["answers"] == 0
    assert out.read_bytes() == right
    assert not journal.exists()
