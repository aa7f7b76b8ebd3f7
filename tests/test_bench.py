"""`urial bench` and `benchmarks/speed.py`: what is counted, and what failures turn into.

No test here asserts a time. The arithmetic is checked with made-up figures; the processes
run for real, on a tiny model.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest
from gguf import GGUFReader

from benchmarks import results, speed
from benchmarks.contenders import Counted, Measured, SecondTurn, Workload
from benchmarks.processes import (
    ContenderFailed,
    bench_figures,
    bench_rows,
    contender,
    first_tokens,
    llama_bench,
)
from benchmarks.results import Round, Target
from tests import tinygguf
from urial_tui.benchmark import memory_speed
from urial_tui.benchmark.memory_speed import bytes_per_token, read_speed
from urial_tui.benchmark.prompts import NUMBERS
from urial_tui.benchmark.report import busy_warning, spread
from urial_tui.benchmark.start import read_start
from urial_tui.engine.client.engine import Engine
from urial_tui.engine.wire.values import TextSegment
from urial_tui.errors import EngineError, UrialError
from urial_tui.memory import MachineMemory
from urial_tui.models.gguf_file import Header
from urial_tui.models.speed import load_speeds
from urial_tui.processor import processor_name
from urial_tui.prompting.preamble_file import load_preamble
from urial_tui.prompting.render import preamble_text
from urial_tui.settings import engine_options, load_settings

PREAMBLE = """
name = "tiny"
title = "Tiny"
description = "For tests."
method = "urial"
system = "Hello world, this is the first answer."

[format]
system = '''
# Instruction

{system}

'''
query = '''
# Query:
{query}

'''
answer = '''
# Answer:
{answer}

'''
stop = ["\\n\\n# Query:", "\\n# Query:"]

[[examples]]
query = "list of the code"
answer = "Hello, here is the list: first, second."
"""


@pytest.fixture
def preamble(home: Path) -> Path:
    path = home / "tiny.toml"
    path.write_text(PREAMBLE)
    return path


@pytest.fixture
def settings(home: Path) -> Path:
    """One thread and a small context."""
    path = home / "config" / "urial-tui" / "settings.toml"
    path.parent.mkdir(parents=True)
    path.write_text("[engine]\nthreads = 1\ncontext = 1024\n")
    return path


def urial(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "urial_tui", *(str(argument) for argument in arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=150, check=False)


# -- figures ---------------------------------------------------------------------------


def test_spread_keeps_the_order_of_the_runs() -> None:
    figure = spread([3.0, 1.0, 2.0])
    assert figure is not None
    assert (figure.median, figure.low, figure.high) == (2.0, 1.0, 3.0)
    assert figure.values == (3.0, 1.0, 2.0)


def test_spread_of_an_even_number_lies_between_the_middle_two() -> None:
    figure = spread([1.0, 10.0, 2.0, 4.0])
    assert figure is not None
    assert figure.median == 3.0


def test_nothing_measured_has_no_median() -> None:
    assert spread([]) is None
    assert results.series([None, None]).median is None


def test_busy_machine_is_told_and_a_quiet_or_unknown_one_is_not() -> None:
    assert "load average 3.0 on 4 cores" in busy_warning(3.0, 4)
    assert busy_warning(0.2, 4) == ""
    assert busy_warning(None, 4) == ""


def measured(**figures: float) -> Measured:
    return Measured(figures=figures)


def rounds_of(*pairs: tuple[float | None, float | None]) -> list[Round]:
    """A round for each pair of decoding rates of `worker` and `bare`; None: it failed."""
    return [
        {
            name: measured(decode_empty=rate)
            for name, rate in zip(("worker", "bare"), pair, strict=True)
            if rate is not None
        }
        for pair in pairs
    ]


def target(wanted: float | None, *, strict: bool = False) -> Target:
    return Target(metric="decode_empty", ours="worker", theirs="bare", wanted=wanted, strict=strict)


def test_ratio_is_the_median_of_the_rounds_ratios() -> None:
    """The medians of the rates are 50 and 50; the rounds say something else."""
    found = results.ratio(target(1.0), rounds_of((10, 20), (50, 100), (100, 50)))
    assert found.ratio.values == (0.5, 0.5, 2.0)
    assert found.ratio.median == 0.5
    assert found.met is False


def test_rounds_without_one_of_the_two_do_not_count() -> None:
    found = results.ratio(target(0.9), rounds_of((None, 1), (9, None), (9, 10), (8, 0)))
    assert found.ratio.values == (None, None, 0.9, None)
    assert found.met is True


def test_ratio_that_nobody_measured_is_neither_met_nor_missed() -> None:
    assert results.ratio(target(0.9), rounds_of((None, 1), (1, None))).met is None
    assert results.ratio(target(0.9), []).met is None
    assert results.ratio(target(None), rounds_of((1, 1))).met is None


def test_target_is_met_at_its_bound_unless_it_is_strict() -> None:
    rounds = rounds_of((1, 2))
    assert results.ratio(target(0.5), rounds).met is True
    assert results.ratio(target(0.5, strict=True), rounds).met is False
    assert results.ratio(target(0.51), rounds).met is False


def test_first_token_ratio_is_of_two_metrics_of_one_contender() -> None:
    wanted = next(t for t in results.TARGETS if t.metric == "first_token_cold")
    rounds = [{"start": measured(first_token_cold=5.0, first_token_disk=2.0)}]
    found = results.ratio(wanted, rounds)
    assert found.ratio.median == 2.5
    assert found.met is True


def test_targets_are_those_that_the_engine_promises() -> None:
    wanted = {(t.metric, t.ours, t.theirs): t.wish for t in results.TARGETS if t.wish}
    assert wanted == {
        ("decode_empty", "worker", "llama-bench"): ">= 0.98",
        ("decode_preamble", "worker", "llama-bench"): ">= 1",
        ("prefill", "worker", "llama-bench"): ">= 0.97",
        ("decode_empty", "worker", "llama-class"): ">= 1",
        ("decode_preamble", "worker", "llama-class"): ">= 1",
        ("prefill", "worker", "llama-class"): ">= 1",
        ("decode_empty", "worker", "in-process"): "> 0.98",
        ("decode_preamble", "worker", "in-process"): "> 0.98",
        ("first_token_cold", "start", "start"): ">= 2.5",
    }


def test_second_turn_may_evaluate_its_own_tokens() -> None:
    def turns(*counts: tuple[int, int]) -> results.SecondTurns:
        return results.second_turns(
            [
                {"worker": Measured(figures={}, second_turn=SecondTurn(prefilled=a, new=b))}
                for a, b in counts
            ]
        )

    assert turns((19, 20), (20, 20)).met is True
    assert turns((20, 20), (22, 20)).met is False
    assert turns((20, 20), (22, 20)).excess == 2
    assert turns().met is None


def test_rate_over_less_than_half_of_the_tokens_does_not_count() -> None:
    found = Measured(
        figures={"prefill": 9.0, "decode_empty": 5.0, "decode_preamble": 4.0},
        generated={"decode_empty": 63, "decode_preamble": 64},
    )
    kept, short = results.without_short_texts(found, 128)
    assert short == ["decode_empty"]
    assert kept.figures == {"prefill": 9.0, "decode_preamble": 4.0}


def test_every_contender_takes_every_place() -> None:
    names = ["a", "b", "c", "d"]
    orders = [results.order(names, number) for number in range(4)]
    assert all(sorted(order) == names for order in orders)
    assert all(sorted(places) == names for places in zip(*orders, strict=True))


# -- contenders that fail --------------------------------------------------------------

WORKLOAD = Workload(
    model="m.gguf", threads=1, n_ctx=512, tokens=8, preamble="p", prompt="q", questions=("a", "b")
)


def run_code(code: str, *, timeout: float = 60) -> Measured:
    return contender(
        "worker", WORKLOAD, Measured, program=(sys.executable, "-c", code), timeout=timeout
    )


def test_contender_is_told_its_workload_and_read_from_its_last_line() -> None:
    found = run_code(
        "import json, sys\n"
        "work = json.load(sys.stdin)\n"
        "print('noise of a library')\n"
        "print(json.dumps({'figures': {sys.argv[1]: work['tokens']}}))"
    )
    assert found.figures == {"worker": 8.0}


@pytest.mark.parametrize(
    ("code", "sentence"),
    [
        ("import os; os.abort()", "worker was ended by SIGABRT."),
        ("raise ValueError('no luck\\x1b[31m')", "ValueError: no luck␛[31m."),
        ("import sys; sys.exit(3)", "worker failed with exit code 3."),
        ("print('all is well')", "worker printed 'all is well' instead of what it measured."),
        ('print(\'{"figures": {"prefill": "fast"}}\')', "instead of what it measured."),
        ("import sys; sys.stdout.buffer.write(b'\\xff')", "instead of what it measured."),
        ("pass", "worker printed nothing instead of what it measured."),
    ],
)
def test_contender_that_fails_gives_a_sentence(code: str, sentence: str) -> None:
    with pytest.raises(ContenderFailed) as caught:
        run_code(code)
    assert str(caught.value).endswith(sentence)
    assert "Traceback" not in str(caught.value)


def test_contender_that_hangs_is_ended() -> None:
    with pytest.raises(ContenderFailed, match="did not finish within 1 seconds"):
        run_code("import time; time.sleep(600)", timeout=1)


def test_contender_that_can_not_be_started_is_told(tmp_path: Path) -> None:
    with pytest.raises(ContenderFailed, match=r"llama-bench can't be started: No such file"):
        llama_bench(tmp_path / "llama-bench", WORKLOAD, COUNTED)


def test_model_that_is_missing_fails_the_start(home: Path, preamble: Path) -> None:
    with pytest.raises(ContenderFailed, match=r"exit code 1: .*missing\.gguf"):
        first_tokens(str(home / "missing.gguf"), str(preamble))


def test_failing_contender_costs_only_its_own_figures() -> None:
    said: list[str] = []

    def fail() -> Measured:
        raise ContenderFailed("bare was ended by SIGSEGV.")

    contenders: dict[str, Callable[[], Measured]] = {
        "worker": lambda: measured(decode_empty=2.0),
        "bare": fail,
    }
    rounds, failures, complete = speed.run_rounds(contenders, 2, 8, said.append)
    assert complete
    assert [sorted(round_) for round_ in rounds] == [["worker"], ["worker"]]
    assert [(f.round, f.contender) for f in failures] == [(1, "bare"), (2, "bare")]
    assert "bare was ended by SIGSEGV." in said


def test_interrupted_comparison_keeps_what_was_measured() -> None:
    calls: list[str] = []

    def interrupted() -> Measured:
        calls.append("bare")
        if len(calls) == 2:
            raise KeyboardInterrupt
        return measured(decode_empty=1.0)

    contenders: dict[str, Callable[[], Measured]] = {
        "worker": lambda: measured(decode_empty=2.0),
        "bare": interrupted,
    }
    rounds, failures, complete = speed.run_rounds(contenders, 5, 8, lambda _: None)
    assert not complete
    assert failures == []
    assert [sorted(round_) for round_ in rounds] == [["bare", "worker"], []]


COUNTED = Counted(preamble=100, question=25, prompt=200)


def bench_row(prompt: int, generated: int, depth: int, rate: float) -> dict[str, object]:
    return {
        "n_prompt": prompt,
        "n_gen": generated,
        "n_depth": depth,
        "avg_ts": rate,
        "model_type": "",
    }


def rows(*found: Sequence[float]) -> bytes:
    return json.dumps([bench_row(int(p), int(g), int(d), rate) for p, g, d, rate in found]).encode()


def test_llama_benchs_tests_are_told_apart_by_what_they_did() -> None:
    output = rows((0, 16, 125, 3.0), (100, 0, 0, 1.0), (0, 16, 0, 2.0), (0, 16, 100, 9.0))
    found = bench_figures(bench_rows(output), tokens=16, counted=COUNTED)
    assert found.figures == {"prefill": 1.0, "decode_empty": 2.0, "decode_preamble": 3.0}


def test_llama_benchs_missing_test_is_named() -> None:
    output = rows((100, 0, 0, 1.0), (0, 16, 0, 0.0))
    with pytest.raises(ContenderFailed, match="no rate for decode_empty, decode_preamble"):
        bench_figures(bench_rows(output), tokens=16, counted=COUNTED)


@pytest.mark.parametrize("output", [b"", b"| model | t/s |", b"{}", b'[{"n_gen": 1}]', b"\xff"])
def test_nonsense_from_llama_bench_gives_a_sentence(output: bytes) -> None:
    with pytest.raises(ContenderFailed, match="llama-bench printed something"):
        bench_rows(output)


def test_start_says_why_it_failed() -> None:
    with pytest.raises(EngineError, match=r"\(exit code 1\): The model x is broken\. Get it"):
        read_start(1, b"", b"ggml noise\nurial: The model x is broken. Get it again.\n")
    with pytest.raises(EngineError, match="ImportError: no x"):
        read_start(1, b"", b"Traceback (most recent call last):\nImportError: no x\n")
    with pytest.raises(EngineError, match="it gave no reason"):
        read_start(1, b"", b"")


@pytest.mark.parametrize("output", [b"", b"Hello!", b"{}", b'{"timings": {}}'])
def test_start_that_prints_something_else_is_refused(output: bytes) -> None:
    with pytest.raises(EngineError, match="not reported as"):
        read_start(0, output, b"")


# -- the memory ------------------------------------------------------------------------


def test_a_token_reads_every_weight_that_takes_part(tmp_path: Path, llama_gguf: Path) -> None:
    """Beside what the gguf package, written by others, finds in the file."""
    read = bytes_per_token(llama_gguf)
    tensors = {tensor.name: tensor.n_bytes for tensor in GGUFReader(llama_gguf).tensors}
    skipped = tensors["token_embd.weight"] if "output.weight" in tensors else 0
    assert read == sum(tensors.values()) - int(skipped)
    (tmp_path / "no.gguf").write_bytes(b"GGUF")
    assert bytes_per_token(tmp_path / "no.gguf") is None


@pytest.mark.parametrize("threads", [1, 3])
def test_the_memorys_speed_is_measured_beside_little_memory(threads: int) -> None:
    memory = MachineMemory(total=10**9, available=10**7)
    assert read_speed(threads, memory) > 1e6
    # Even where there is no time there is a number.
    assert read_speed(threads, memory, limit_s=0.0) > 1e6


def header(tensors: dict[str, int], **numbers: int) -> Header:
    return Header(
        metadata={"general.architecture": "a"} | {f"a.{key}": n for key, n in numbers.items()},
        lengths={}, size=0, version=3, tensors=len(tensors), data_start=0, data_size=0,
        parameters=0, complete=True, tensor_bytes=tensors,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("tensors", "numbers", "read"),
    [
        ({"token_embd.weight": 100, "blk.0.w": 7}, {}, 107),
        ({"token_embd.weight": 100, "output.weight": 90, "blk.0.w": 7}, {}, 97),
        ({"per_layer_token_embd.weight": 50, "token_embd.weight": 100}, {}, 100),
        (
            {"token_embd.weight": 10, "blk.0.ffn_up_exps.weight": 80, "blk.0.ffn_gate_inp": 1},
            {"expert_count": 8, "expert_used_count": 2},
            31,
        ),
    ],
)
def test_of_tables_and_experts_only_what_a_token_uses_is_read(
    tensors: dict[str, int], numbers: dict[str, int], read: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory_speed, "inspect_header", lambda path: header(tensors, **numbers))
    assert bytes_per_token(Path("a.gguf")) == read


# -- the commands ----------------------------------------------------------------------


def test_bench_measures_everything_in_every_run(
    llama_gguf: Path, preamble: Path, settings: Path, engine: Engine
) -> None:
    done = urial(
        *("bench", "-m", llama_gguf, "-p", preamble),
        *("--runs", "2", "--tokens", "8", "--json"),
    )
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert document["complete"] is True
    assert (document["runs"], document["tokens"], document["threads"]) == (2, 8, 1)
    assert document["n_ctx"] == 1024
    assert document["preamble"] == "tiny"
    text = TextSegment(text=preamble_text(load_preamble(preamble)))
    ready = engine.models[0].prepare((text,)).result()
    assert document["preamble_tokens"] == ready.tokens
    assert document["notes"] == []
    for figure in figures_of(document).values():
        assert len(figure["values"]) == 2
        assert 0 < figure["low"] <= figure["median"] <= figure["high"]
    assert "Run 1 of 2 is done, about" in done.stderr
    assert document["machine"]["processor"]
    assert document["library"].startswith("llama-cpp-python ")
    memory = document["memory"]
    for share, rate, read in zip(
        memory["share"]["values"],
        document["decode_tokens_per_s"]["empty"]["values"],
        memory["read_bytes_per_s"]["values"],
        strict=True,
    ):
        assert share == pytest.approx(rate * memory["weight_bytes_per_token"] / read)
    kept = load_speeds(engine_options(load_settings()))
    (kept_model,) = kept.models.values()
    assert kept_model.empty == document["decode_tokens_per_s"]["empty"]["median"]
    assert kept_model.preamble == document["decode_tokens_per_s"]["preamble"]["median"]
    assert kept.memory is not None
    assert kept.memory.read == memory["read_bytes_per_s"]["median"]
    assert kept.memory.decoding == pytest.approx(
        kept_model.empty * memory["weight_bytes_per_token"]
    )


def figures_of(document: dict[str, Any]) -> dict[str, Any]:
    return {
        "load": document["load_s"],
        "prefill": document["prefill_tokens_per_s"],
        **document["decode_tokens_per_s"],
        **document["first_token_s"],
    }


def test_bench_prints_a_table_and_says_what_it_could_not_measure(
    llama_gguf: Path, settings: Path
) -> None:
    """A preamble of one token is not kept on disk."""
    done = urial("bench", "-m", llama_gguf, "-p", "zero-shot", "--runs", "1", "--tokens", "4")
    assert done.returncode == 0, done.stderr
    (disk,) = [line for line in done.stdout.splitlines() if "preamble on disk" in line]
    assert disk.split()[-4:] == ["-", "-", "-", "s"]
    (prefill,) = [line for line in done.stdout.splitlines() if line.startswith("prefill")]
    assert float(prefill.split()[1].replace(",", "")) > 0
    assert "The preamble was not kept on disk" in done.stdout
    assert processor_name() in done.stdout
    assert all(len(line) <= 80 for line in done.stdout.split("\n\n")[1].splitlines())


def test_speed_of_a_text_that_ended_early_does_not_count(
    tmp_path: Path, preamble: Path, settings: Path, engine: Engine
) -> None:
    """A model for which the fourth token of its own text is the one that ends texts."""
    (model,) = engine.models
    turns = [(TextSegment(text=NUMBERS),)]
    said = model.generate(preamble=(), turns=turns, max_tokens=8).result()
    assert said.ids[3] not in said.ids[:3]
    vocabulary = msgspec.structs.replace(tinygguf.spm_vocabulary(), eot=said.ids[3])
    short = tinygguf.write_llama(tmp_path / "short.gguf", vocabulary=vocabulary)
    done = urial("bench", "-m", short, "-p", preamble, "--runs", "1", "--tokens", "8", "--json")
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert document["decode_tokens_per_s"]["empty"] is None
    assert "ended a text before half of 8 tokens" in " ".join(document["notes"])
    assert document["prefill_tokens_per_s"] is not None


def test_ctrl_c_prints_what_there_is(llama_gguf: Path, preamble: Path, settings: Path) -> None:
    command = [sys.executable, "-m", "urial_tui", "bench"]
    command += ["-m", str(llama_gguf), "-p", str(preamble)]
    with subprocess.Popen(
        [*command, "--runs", "500", "--tokens", "8", "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        watchdog = threading.Timer(150, process.kill)
        watchdog.start()
        assert process.stderr is not None
        for line in process.stderr:
            if "Run 1 of 500 is done" in line:
                break
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate()
        watchdog.cancel()
    assert process.returncode == 130, errors
    assert "Traceback" not in errors
    document = json.loads(output)
    assert document["complete"] is False
    assert 1 <= document["runs"] < 500
    assert all(len(figure["values"]) >= 1 for figure in figures_of(document).values())


def test_bench_leaves_the_users_cache_alone(
    home: Path, llama_gguf: Path, preamble: Path, settings: Path
) -> None:
    done = urial("bench", "-m", llama_gguf, "-p", preamble, "--runs", "1", "--tokens", "4")
    assert done.returncode == 0, done.stderr
    assert list((home / "cache").rglob("*")) == []


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("-m", "missing.gguf"), "missing.gguf"),
        (("-p", "no-such-preamble"), "There is no preamble named"),
    ],
)
def test_what_is_missing_is_told_in_a_line(
    llama_gguf: Path, arguments: tuple[str, ...], sentence: str
) -> None:
    done = urial("bench", "-m", llama_gguf, *arguments, "--runs", "1")
    assert done.returncode == 1
    assert done.stdout == ""
    assert sentence in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_preamble_that_does_not_fit_is_told_before_anything_is_measured(
    llama_gguf: Path, preamble: Path, settings: Path
) -> None:
    preamble.write_text(PREAMBLE.replace("Hello world", "Hello world " * 1000, 1))
    done = urial("bench", "-m", llama_gguf, "-p", preamble, "--runs", "1")
    assert done.returncode == 1
    assert done.stdout == ""
    assert "but the context holds only 1,024" in done.stderr


# -- the comparison --------------------------------------------------------------------


@pytest.fixture
def scripted_llama_bench(tmp_path: Path) -> Path:
    """Prints a rate for each test that it is asked for, as `llama-bench -o json` does."""
    path = tmp_path / "llama-bench"
    path.write_text(
        f"#!{sys.executable}\n"
        "import json, sys\n"
        "asked = dict(zip(sys.argv[1::2], sys.argv[2::2]))\n"
        "prompt, made, depth = (int(asked.get(key, 0)) for key in ('-p', '-n', '-d'))\n"
        "tests = [test for test in ((prompt, 0), (0, made)) if any(test)]\n"
        "print(json.dumps([\n"
        "    {'n_prompt': p, 'n_gen': n, 'n_depth': depth, 'avg_ts': 1000.0} for p, n in tests\n"
        "]))\n"
    )
    path.chmod(0o755)
    return path


def test_speed_compares_all_contenders(
    tmp_path: Path,
    llama_gguf: Path,
    preamble: Path,
    scripted_llama_bench: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    target_file = tmp_path / "speed.json"
    code = speed.main(
        [
            *("--model", str(llama_gguf), "--preamble", str(preamble)),
            *("--llama-bench", str(scripted_llama_bench)),
            *("--rounds", "1", "--tokens", "8", "--json", str(target_file)),
        ]
    )
    shown = capsys.readouterr()
    assert code == 0, shown.err
    document = json.loads(target_file.read_text())
    assert document["failures"] == []
    rates = {"prefill", "decode_empty", "decode_preamble"}
    running = {*rates, "first_token_running"}
    assert {name: set(found) for name, found in document["contenders"].items()} == {
        "worker": running,
        "in-process": running,
        "bare": rates,
        "llama-class": running,
        "llama-bench": rates,
        "memory": {"memory_read", "decode_limit"},
        "start": {"first_token_cold", "first_token_disk"},
    }
    for found in document["contenders"].values():
        assert all(figure["median"] > 0 for figure in found.values())
    assert document["second_turn"]["met"] is True
    assert document["second_turn"]["turns"][0]["new"] > 10
    assert all(ratio["ratio"]["median"] for ratio in document["ratios"])
    assert all((ratio["met"] is not None) == bool(ratio["wanted"]) for ratio in document["ratios"])
    # Rates on this machine differ from the script's made-up one, which has to be seen.
    worker = document["contenders"]["worker"]["decode_empty"]["median"]
    (first,) = [r for r in document["ratios"] if r["name"] == "decode_empty: worker / llama-bench"]
    assert first["ratio"]["median"] == pytest.approx(worker / 1000.0)
    assert "second turn, tokens evaluated" in shown.out


def test_speed_without_llama_bench_says_so_and_fails_a_check(
    monkeypatch: pytest.MonkeyPatch,
    llama_gguf: Path,
    preamble: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Every other target is met by these figures; one that nobody measured is not."""
    good = Measured(
        figures=dict.fromkeys(results.METRICS, 1.0) | {"first_token_cold": 3.0},
        generated={"decode_empty": 8, "decode_preamble": 8},
        second_turn=SecondTurn(prefilled=5, new=5),
    )
    monkeypatch.setattr(speed, "_contender", lambda name, workload: lambda: good)
    monkeypatch.setattr(speed, "first_tokens", lambda model, preamble: good)
    arguments = ["--model", str(llama_gguf), "--preamble", str(preamble)]
    arguments += ["--rounds", "1", "--tokens", "8"]
    assert speed.main(arguments) == 0
    shown = capsys.readouterr().out
    assert "llama-bench was not given" in shown
    assert "NOT met" not in shown
    assert speed.main([*arguments, "--check"]) == 1
    monkeypatch.setattr(speed, "llama_bench", lambda program, workload, counted: good)
    assert speed.main([*arguments, "--check", "--llama-bench", sys.executable]) == 0


def test_speed_refuses_what_can_not_run(
    home: Path, llama_gguf: Path, preamble: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = ["--model", str(llama_gguf)]
    assert speed.main(["--model", str(home / "missing.gguf")]) == 1
    assert speed.main([*model, "--llama-bench", str(home / "nothing")]) == 1
    assert speed.main([*model, "--preamble", "zero-shot"]) == 1
    told = capsys.readouterr()
    assert told.out == ""
    assert "missing.gguf" in told.err
    assert "There is no llama-bench to run" in told.err
    assert "zero-shot has no text" in told.err
    assert "Traceback" not in told.err


def test_damaged_model_is_told_before_the_rounds(
    tmp_path: Path, llama_gguf: Path, preamble: Path
) -> None:
    damaged = tmp_path / "damaged.gguf"
    damaged.write_bytes(llama_gguf.read_bytes()[: llama_gguf.stat().st_size // 2])
    with pytest.raises(UrialError):
        speed.compare(damaged, str(preamble), rounds=1, tokens=8, bench=None, say=lambda _: None)
