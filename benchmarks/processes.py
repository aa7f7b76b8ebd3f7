"""One contender, one process, one answer; whatever goes wrong with it becomes a sentence.

Only one of them runs at any time, and none outlives the call.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypeVar

import msgspec

from benchmarks.contenders import Counted, Measured, Workload
from urial_tui.benchmark.start import ask_command, read_start
from urial_tui.errors import UrialError
from urial_tui.sanitize import sanitize_line

ROOT = Path(__file__).resolve().parent.parent
TIMEOUT = 1800.0
"""Seconds after which a contender is taken to hang."""

T = TypeVar("T", Measured, Counted)


class ContenderFailed(UrialError):
    """A contender crashed, hung, or printed something that is no measurement."""


class _BenchRow(msgspec.Struct, frozen=True, kw_only=True):
    """A test of `llama-bench -o json`, as far as it counts here."""

    n_prompt: int
    n_gen: int
    n_depth: int
    avg_ts: float


def contender(
    name: str,
    workload: Workload,
    kind: type[T],
    *,
    program: Sequence[str] = (sys.executable, "-m", "benchmarks.contenders"),
    timeout: float = TIMEOUT,
) -> T:
    """Run one of `benchmarks.contenders`; what its last line says.

    Raises:
        ContenderFailed: It can't be run, or gives no such line.
    """
    output = _run(name, [*program, name], msgspec.json.encode(workload), timeout=timeout)
    lines = output.strip().splitlines()
    try:
        return msgspec.json.decode(lines[-1] if lines else b"", type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        said = _shown(lines[-1]) if lines else ""
        raise ContenderFailed(
            f"{name} printed {f'{said!r}' if said else 'nothing'} instead of what it measured."
        ) from error


def first_tokens(model: str, preamble: str, *, timeout: float = TIMEOUT) -> Measured:
    """Two new processes of the program: the second finds what the first left on the disk.

    Raises:
        ContenderFailed: One of them failed, or took the preamble from somewhere else.
    """
    figures = {}
    with tempfile.TemporaryDirectory(prefix="urial-bench-") as cache:
        for metric, wanted in (("first_token_cold", "computed"), ("first_token_disk", "disk")):
            output = _run(
                "start",
                ask_command(model, preamble),
                b"",
                timeout=timeout,
                environment={"XDG_CACHE_HOME": cache},
            )
            try:
                start = read_start(0, output, b"")
            except UrialError as error:
                raise ContenderFailed(error.message, error.hint) from error
            if start.preamble_source != wanted:
                raise ContenderFailed(
                    f"start: the preamble came from {start.preamble_source} where it had to be "
                    f"{wanted}.",
                    "It may be too short to be kept, or the disk is full.",
                )
            figures[metric] = start.first_token_s
    return Measured(figures=figures)


def llama_bench(
    program: Path, workload: Workload, counted: Counted, *, timeout: float = TIMEOUT
) -> Measured:
    """llama.cpp's own benchmark, with the settings of the others.

    Args:
        program: The llama-bench executable.
        workload: Model, threads and tokens count.
        counted: How long the preamble is, and the question that the others put behind it.
        timeout: Seconds for each of its two runs.

    Raises:
        ContenderFailed: It can't be run, or does not print what it should.
    """
    common = [
        *(os.fspath(program), "-m", workload.model, "-t", str(workload.threads)),
        *("-fa", "1", "-r", "1", "-o", "json"),
    ]
    tokens = str(workload.tokens)
    read, depth = counted.preamble, counted.preamble + counted.question
    output = _run("llama-bench", [*common, "-p", str(read), "-n", tokens], b"", timeout=timeout)
    rows = bench_rows(output)
    output = _run(
        "llama-bench", [*common, "-p", "0", "-n", tokens, "-d", str(depth)], b"", timeout=timeout
    )
    return bench_figures([*rows, *bench_rows(output)], workload.tokens, counted)


def bench_rows(output: bytes) -> list[_BenchRow]:
    """The tests of a `llama-bench -o json`.

    Raises:
        ContenderFailed: It is no such document.
    """
    try:
        return msgspec.json.decode(output, type=list[_BenchRow])
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ContenderFailed(
            f"llama-bench printed something that can't be read ({_shown(str(error).encode())})."
        ) from error


def bench_figures(rows: Sequence[_BenchRow], tokens: int, counted: Counted) -> Measured:
    """The three tests that are asked for, found by what they did.

    Raises:
        ContenderFailed: One of them is missing, or has no rate.
    """
    wanted = {
        "prefill": (counted.preamble, 0, 0),
        "decode_empty": (0, tokens, 0),
        "decode_preamble": (0, tokens, counted.preamble + counted.question),
    }
    rates = {(row.n_prompt, row.n_gen, row.n_depth): row.avg_ts for row in rows}
    figures = {metric: rates.get(test, 0.0) for metric, test in wanted.items()}
    missing = [metric for metric, value in figures.items() if not value > 0]
    if missing:
        raise ContenderFailed(f"llama-bench gave no rate for {', '.join(missing)}.")
    return Measured(figures=figures, generated={"decode_empty": tokens, "decode_preamble": tokens})


def _run(
    name: str,
    command: Sequence[str],
    given: bytes,
    *,
    timeout: float,
    environment: Mapping[str, str] | None = None,
) -> bytes:
    """Run a command to its end; what it printed."""
    try:
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, "GGML_NO_BACKTRACE": "1", **(environment or {})},
        )
    except OSError as error:
        raise ContenderFailed(f"{name} can't be started: {error.strerror or error}.") from error
    with process:
        try:
            output, errors = process.communicate(given, timeout=timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            raise ContenderFailed(f"{name} did not finish within {timeout:g} seconds.") from None
        except BaseException:
            process.kill()
            raise
    if process.returncode:
        raise ContenderFailed(f"{name} {_ending(process.returncode)}{_last_words(errors)}.")
    return output


def _ending(code: int) -> str:
    if code > 0:
        return f"failed with exit code {code}"
    try:
        return f"was ended by {signal.Signals(-code).name}"
    except ValueError:
        return f"was ended by signal {-code}"


def _last_words(errors: bytes) -> str:
    lines = errors.strip().splitlines()
    return f": {_shown(lines[-1]).removeprefix('urial: ').rstrip('.')}" if lines else ""


def _shown(line: bytes) -> str:
    return sanitize_line(line.decode("utf-8", "replace"))[:300]
