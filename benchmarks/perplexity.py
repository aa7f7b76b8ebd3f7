"""`urial compare` beside llama.cpp's own tool: `python -m benchmarks.perplexity --help`.

A model is compared with its own re-quantisations on one text. llama-perplexity needs two
runs (`--kl-divergence-base`, then `--kl-divergence`); we need one. Processes start, load and
end within what is timed. Rounds take turns, and the ratio is taken within a round.

Both look at the same positions. llama-perplexity cuts its tokens (BOS first) into chunks of
512, overwrites the first of each with BOS, and scores the last 255 (`n_ctx - 1 - n_ctx / 2`);
so the text is made of pieces of 511 tokens, with a newline between two of them for their
tool, and is given to ours without: windows of 511, of which the first 256 are only read.

They store the first model's log-probabilities in 16 bits over 16 nats and leave out tokens
below -16, which moves a statistic in its third digit. So there are two columns of ours: the
exact figures of `urial compare`, and those of the same logits by their definition
(`stored_rows`), which have to equal theirs in every digit that they print.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from benchmarks import stored_rows
from benchmarks.stored_rows import Statistics
from urial_tui.benchmark.report import busy_warning, load_average
from urial_tui.engine.client.engine import Engine
from urial_tui.engine.wire.values import EngineOptions, TextSegment
from urial_tui.errors import UrialError
from urial_tui.models.registry import resolve
from urial_tui.sanitize import sanitize_line

ROOT = Path(__file__).resolve().parent.parent
CHUNK = 512
WINDOW = CHUNK - 1
READ = CHUNK // 2
"""Tokens of a window in front of the first that is scored."""
TARGET = 0.8
EXTRA_TARGET = 600_000_000
QUANTISATIONS = ("Q8_0", "Q2_K")
_STATISTICS = {
    "mean": r"Mean +KLD: +(-?[\d.]+)",
    "p99": r"99\.0% +KLD: +(-?[\d.]+)",
    "p90": r"90\.0% +KLD: +(-?[\d.]+)",
    "median": r"Median +KLD: +(-?[\d.]+)",
    "top1": r"Same top p: +([\d.]+)",
}


class Failed(UrialError):
    """A program of the benchmark failed or printed something else than was expected."""


class Agreement(msgspec.Struct, frozen=True, kw_only=True):
    """One statistic: theirs as printed, ours, ours by their definition, and whether that rounds
    to theirs; the last two are None where they were not computed."""

    name: str
    theirs: str
    ours: float
    by_their_definition: float | None
    same: bool | None


class Quantisation(msgspec.Struct, frozen=True, kw_only=True):
    """What was measured for one re-quantised model. Times in seconds, memory in bytes.

    extra_memory: the most that our worker had resident (VmHWM) less `loaded_memory`.
    """

    name: str
    ours: tuple[float, ...]
    theirs: tuple[float, ...]
    ratios: tuple[float, ...]
    median_ratio: float
    met: bool
    agreement: tuple[Agreement, ...]
    positions: int
    worker_peak: int | None
    extra_memory: int | None
    extra_met: bool | None


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """The document of `--json`."""

    model: str
    tokens: int
    threads: int
    load_average: float | None
    quantisations: tuple[Quantisation, ...]


# -- the text --------------------------------------------------------------------------


def repository_text() -> str:
    """Prose of our own: the README and the documents."""
    paths = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
    return "\n".join(path.read_text(encoding="utf-8") for path in paths)


def make_windows(path: Path, text: str, count: int) -> list[str]:
    """Pieces of text of `WINDOW` tokens each; the words are those of `text`, over again.

    Raises:
        Failed: The vocabulary joins tokens of neighbouring pieces.
    """
    words = re.findall(r"[A-Za-z][a-z]+[,.]?|\d+", text)
    if not words:
        raise Failed("The text has no words.", "Name another file with --text.")
    with Engine() as engine:
        model = engine.load(path, options=EngineOptions(n_ctx=512, threads=1)).result()

        def lengths(texts: Sequence[str]) -> list[int]:
            turns = [(TextSegment(text=entry),) for entry in texts]
            return [len(turn[0]) for turn in model.tokenize(turns).result()]

        costs = dict(zip(words, lengths([f" {word}" for word in words]), strict=True))
        windows: list[str] = []
        at = 0
        while len(windows) < count:
            piece: list[str] = []
            left = WINDOW
            while costs[words[at % len(words)]] <= left:
                piece.append(words[at % len(words)])
                left -= costs[piece[-1]]
                at += 1
            windows.append("".join(f" {word}" for word in (*piece, *["a"] * left)))
        turns = [(TextSegment(text=between.join(windows)),) for between in ("", "\n")]
        (ours,), (theirs,) = model.tokenize(turns).result()
    same = all(
        ours[WINDOW * at : WINDOW * (at + 1)] == theirs[CHUNK * at : CHUNK * at + WINDOW]
        for at in range(count)
    )
    if not same or len(ours) != WINDOW * count or len(theirs) != CHUNK * count - 1:
        raise Failed(
            "The text can't be cut so that both tools see the same tokens with this vocabulary.",
            "Name another file with --text.",
        )
    return windows


# -- running ---------------------------------------------------------------------------


def _run(command: Sequence[str], environment: dict[str, str] | None = None) -> tuple[float, str]:
    """(seconds, what it printed to both streams)."""
    started = time.perf_counter()
    done = subprocess.run(
        command,
        cwd=ROOT,
        env={**os.environ, **(environment or {})},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
    )
    took = time.perf_counter() - started
    output = done.stdout.decode("utf-8", "replace")
    if done.returncode:
        last = sanitize_line((output.strip().splitlines() or [""])[-1])[:300]
        raise Failed(f"{Path(command[0]).name} ended with {done.returncode}: {last}")
    return took, output


def run_theirs(
    program: Path, models: tuple[Path, Path], text: Path, threads: int
) -> tuple[float, dict[str, str]]:
    """Both runs of llama-perplexity: their time together, and the statistics as printed."""
    with tempfile.TemporaryDirectory(prefix="urial-kld-") as directory:
        base = os.fspath(Path(directory) / "base.kld")
        common = ["-f", os.fspath(text), "-c", str(CHUNK), "-t", str(threads)]
        first, _ = _run(
            [os.fspath(program), "-m", os.fspath(models[0]), *common, "--kl-divergence-base", base]
        )
        second, output = _run(
            [
                *(os.fspath(program), "-m", os.fspath(models[1]), *common),
                *("--kl-divergence", "--kl-divergence-base", base),
            ]
        )
    found = {}
    for name, pattern in _STATISTICS.items():
        match = re.search(pattern, output)
        if match is None:
            raise Failed(f"llama-perplexity printed no {name}.", "It wants at least 100 positions.")
        found[name] = match.group(1)
    return first + second, found


def run_ours(models: tuple[Path, Path], text: Path) -> tuple[float, dict[str, Any], int | None]:
    """(seconds, the document, the worker's most resident bytes)."""
    command = [sys.executable, "-m", "urial_tui", "compare", "--json"]
    command += ["--aligned", os.fspath(models[0]), "--base", os.fspath(models[1])]
    command += ["--aligned-context", "raw", "--base-context", "raw"]
    command += ["--text", os.fspath(text), "--window", str(WINDOW), "--skip", str(READ)]
    started = time.perf_counter()
    with (
        tempfile.TemporaryFile() as output,
        subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.PIPE
        ) as process,
    ):
        peak = _Peak(process.pid)
        _, errors = process.communicate()
        took = time.perf_counter() - started
        highest = peak.finish()
        if process.returncode:
            last = sanitize_line(errors.decode("utf-8", "replace").strip())[-300:]
            raise Failed(f"`urial compare` ended with {process.returncode}: {last}")
        output.seek(0)
        found: dict[str, Any] = json.load(output)
    return took, found, highest


class _Peak:
    """Follows the most memory that a process' only child ever had resident (Linux)."""

    def __init__(self, parent: int) -> None:
        self._parent = parent
        self._highest: int | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._follow, daemon=True)
        self._thread.start()

    def finish(self) -> int | None:
        self._stop.set()
        self._thread.join()
        return self._highest

    def _follow(self) -> None:
        while not self._stop.wait(0.2):
            try:
                children = Path(f"/proc/{self._parent}/task/{self._parent}/children").read_text()
                for child in children.split():
                    high = resident(int(child), "VmHWM")
                    if high is not None:
                        self._highest = max(self._highest or 0, high)
            except OSError:
                continue


def resident(pid: int, field: str) -> int | None:
    """VmHWM or VmRSS of a process in bytes, where /proc tells."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return None
    match = re.search(rf"^{field}:\s+(\d+) kB", status, re.MULTILINE)
    return int(match.group(1)) * 1024 if match else None


def loaded_memory(models: tuple[Path, Path]) -> int | None:
    """Resident bytes of both models with their contexts, in a worker that does nothing else.

    Each is loaded alone and reads a text that fills most of its context, so that weights,
    cache and buffers are resident; the sum, less one worker without a model.
    """
    options = EngineOptions()
    parts: list[int | None] = []
    for path in models:
        with Engine() as engine:
            model = engine.load(path, options=options).result()
            turn = (TextSegment(text=" a" * (options.n_ctx * 7 // 8)),)
            model.generate(preamble=(), turns=[turn], max_tokens=1).result()
            parts.append(resident(engine.pid or 0, "VmRSS"))
    with Engine() as engine:
        # It tells them when it is up, and has loaded the library.
        engine.devices()
        empty = resident(engine.pid or 0, "VmRSS")
    if empty is None or None in parts:
        return None
    return sum(part for part in parts if part is not None) - empty


# -- results ---------------------------------------------------------------------------


def compare_statistics(
    document: dict[str, Any], theirs: dict[str, str], stored: Statistics | None
) -> tuple[Agreement, ...]:
    """Our statistics beside theirs; `same` to the digits that they print."""
    summary = document["summary"]
    ours = {name: summary["kl_aligned_base"][name] for name in ("mean", "p99", "p90", "median")}
    ours["top1"] = 100.0 * summary["top1_agreement"]
    rows = []
    for name, shown in theirs.items():
        value = None if stored is None else getattr(stored, name)
        digits = len(shown.partition(".")[2])
        rows.append(
            Agreement(
                name=name,
                theirs=shown,
                ours=ours[name],
                by_their_definition=value,
                same=None if value is None else f"{value:.{digits}f}" == shown,
            )
        )
    return tuple(rows)


def measure(
    name: str,
    arguments: argparse.Namespace,
    models: tuple[Path, Path],
    windows: Sequence[str],
    texts: tuple[Path, Path],
) -> Quantisation:
    """All rounds for one quantised model."""
    ours: list[float] = []
    theirs: list[float] = []
    printed: dict[str, str] = {}
    document: dict[str, Any] = {}
    peaks: list[int] = []
    for number in range(arguments.rounds):
        for step in ("ours", "theirs") if number % 2 == 0 else ("theirs", "ours"):
            _say(f"{name}, round {number + 1}: {step}")
            if step == "ours":
                took, document, peak = run_ours(models, texts[0])
                ours.append(took)
                peaks += [] if peak is None else [peak]
            else:
                took, printed = run_theirs(
                    arguments.perplexity, models, texts[1], arguments.threads
                )
                theirs.append(took)
    stored = None
    if not arguments.only_times:
        _say(f"{name}: our logits by their definition")
        stored = stored_rows.measure(models, windows, READ)
    _say(f"{name}: memory of the loaded models")
    loaded = loaded_memory(models)
    extra = max(peaks) - loaded if peaks and loaded else None
    ratios = tuple(mine / other for mine, other in zip(ours, theirs, strict=True))
    return Quantisation(
        name=name,
        ours=tuple(ours),
        theirs=tuple(theirs),
        ratios=ratios,
        median_ratio=statistics.median(ratios),
        met=statistics.median(ratios) <= TARGET,
        agreement=compare_statistics(document, printed, stored),
        positions=sum(len(item["positions"]) for item in document["items"]),
        worker_peak=max(peaks, default=None),
        extra_memory=extra,
        extra_met=None if extra is None else extra < EXTRA_TARGET,
    )


def show(report: Report) -> None:
    """Print the report."""
    print(f"{report.model}, {report.tokens} tokens, {report.threads} threads")
    for found in report.quantisations:
        print(f"\n{found.name}, {found.positions} positions")
        for number, (mine, other) in enumerate(zip(found.ours, found.theirs, strict=True), 1):
            print(f"  round {number}: ours {mine:.1f} s, theirs {other:.1f} s: {mine / other:.2f}")
        print(
            f"  median ratio {found.median_ratio:.2f} (target <= {TARGET}): "
            f"{'met' if found.met else 'missed'}"
        )
        for row in found.agreement:
            line = f"  {row.name:7} theirs {row.theirs}, ours exactly {row.ours:.6f}"
            if row.by_their_definition is not None:
                same = "same" if row.same else "DIFFERS"
                line += f", ours by their definition {row.by_their_definition:.6f}: {same}"
            print(line)
        if found.extra_memory is not None and found.worker_peak is not None:
            print(
                f"  worker at most {found.worker_peak / 1e6:.0f} MB, of which beyond the models "
                f"{found.extra_memory / 1e6:.0f} MB (target < {EXTRA_TARGET / 1e6:.0f}): "
                f"{'met' if found.extra_met else 'missed'}"
            )


def _say(message: str) -> None:
    print(message, file=sys.stderr, flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.perplexity", description=__doc__)
    parser.add_argument("--perplexity", type=Path, required=True, help="llama-perplexity")
    parser.add_argument("--quantize", type=Path, required=True, help="llama-quantize")
    parser.add_argument("--model", default="gemma-3-270m", help="a name or a .gguf file")
    parser.add_argument("--text", type=Path, help="words to use; by default those of our docs")
    parser.add_argument("--tokens", type=int, default=4000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--types", nargs="+", default=list(QUANTISATIONS), help="of llama-quantize")
    parser.add_argument(
        "--only-times", action="store_true", help="without ours by their definition"
    )
    parser.add_argument("--json", type=Path, help="write the report to this file")
    return parser


def main() -> int:
    """Measure and tell; the exit code says whether the targets are met."""
    arguments = _parser().parse_args()
    try:
        model = resolve(arguments.model).path.absolute()
        text = arguments.text.read_text(encoding="utf-8") if arguments.text else repository_text()
        found = []
        with tempfile.TemporaryDirectory(prefix="urial-perplexity-") as name:
            directory = Path(name)
            count = max(2, -(-arguments.tokens // CHUNK))
            windows = make_windows(model, text, count)
            texts = (directory / "ours.txt", directory / "theirs.txt")
            texts[0].write_text("".join(windows), encoding="utf-8")
            texts[1].write_text("\n".join(windows), encoding="utf-8")
            warning = busy_warning(load_average(), os.cpu_count() or 1)
            if warning:
                _say(warning)
            for kind in arguments.types:
                quantised = directory / f"{kind}.gguf"
                _run(
                    [
                        *(os.fspath(arguments.quantize), "--allow-requantize"),
                        *(os.fspath(model), os.fspath(quantised), kind, str(arguments.threads)),
                    ]
                )
                found.append(measure(kind, arguments, (model, quantised), windows, texts))
                quantised.unlink()
    except (UrialError, OSError, UnicodeDecodeError) as error:
        print(f"perplexity: {error}", file=sys.stderr)
        return 1
    report = Report(
        model=model.name,
        tokens=CHUNK * count,
        threads=arguments.threads,
        load_average=load_average(),
        quantisations=tuple(found),
    )
    show(report)
    if arguments.json:
        arguments.json.write_bytes(msgspec.json.format(msgspec.json.encode(report)) + b"\n")
    agreed = all(row.same is not False for each in found for row in each.agreement)
    met = all(each.met and each.extra_met is not False for each in found)
    return 0 if agreed and met else 1


if __name__ == "__main__":
    sys.exit(main())
