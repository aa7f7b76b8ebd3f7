"""How long a cancelled answer still takes: `python -m benchmarks.cancel --help`.

The time runs from the call of `Call.cancel` to the request's final event, as the client
sees it: there and back through the pipes, and whatever the native code needs to notice.
The moment is drawn at random, so it falls anywhere inside a chunk or a token. What ended
by itself before the cancellation arrived is not counted.
"""

from __future__ import annotations

import argparse
import os
import random
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec

from urial_tui.engine.client.call import Call
from urial_tui.engine.client.engine import Engine
from urial_tui.engine.client.model import Model
from urial_tui.engine.native.threads import physical_cores
from urial_tui.engine.wire.events import Finished, PromptReady, TextDelta
from urial_tui.engine.wire.values import EngineOptions, Sampling, TextSegment
from urial_tui.errors import UrialError
from urial_tui.models.registry import resolve
from urial_tui.sanitize import sanitize_line

TARGET_MS = 100.0
_PREFILL_SPREAD = 0.8
_DECODE_SPREAD = 0.3
"""Seconds within which the moment of a cancellation is drawn."""


class Latency(msgspec.Struct, frozen=True, kw_only=True):
    """Milliseconds from a cancellation to the final event."""

    stage: str
    count: int
    p50: float
    p95: float
    max: float


class CancelReport(msgspec.Struct, frozen=True, kw_only=True):
    """The document that `--json` writes."""

    model: str
    threads: int
    load_average: float
    target_ms: float
    latencies: tuple[Latency, ...]

    @property
    def passes(self) -> bool:
        """Whether 95 of 100 cancellations took effect in time, in every stage."""
        return all(latency.p95 <= self.target_ms for latency in self.latencies)


def cancelled_after(call: Call[Finished], delay: float) -> float | None:
    """Cancel `delay` seconds from now and read to the end; milliseconds, None if it was over."""
    asked_at = 0.0

    def cancel() -> None:
        nonlocal asked_at
        asked_at = time.perf_counter()
        call.cancel()

    timer = threading.Timer(delay, cancel)
    timer.start()
    try:
        finished = call.result()
        ended_at = time.perf_counter()
    finally:
        timer.cancel()
        timer.join()
    if finished.stop_reason != "cancelled" or not asked_at:
        return None
    return (ended_at - asked_at) * 1000


def in_prefill(model: Model, draw: random.Random) -> float | None:
    """One cancellation while a prompt is evaluated that no earlier one shares."""
    words = " ".join(str(draw.randrange(10_000)) for _ in range(700))
    call = model.generate(preamble=(), turns=[(TextSegment(text=words),)], max_tokens=1)
    return cancelled_after(call, draw.uniform(0.0, _PREFILL_SPREAD))


def in_decode(model: Model, draw: random.Random) -> float | None:
    """One cancellation while tokens are chosen."""
    call = model.generate(
        preamble=(),
        turns=[(TextSegment(text="Once upon a time"),)],
        sampling=Sampling(temperature=1.0, seed=draw.randrange(1 << 31)),
        max_tokens=2000,
    )
    for event in call:
        if isinstance(event, PromptReady | TextDelta):
            break
    return cancelled_after(call, draw.uniform(0.0, _DECODE_SPREAD))


def summarise(stage: str, found: Sequence[float]) -> Latency:
    """The percentiles of at least two latencies."""
    return Latency(
        stage=stage,
        count=len(found),
        p50=statistics.median(found),
        p95=statistics.quantiles(found, n=20, method="inclusive")[-1],
        max=max(found),
    )


def measure(path: Path, *, threads: int, rounds: int, seed: int) -> CancelReport:
    """Cancel `rounds` prompts and as many answers."""
    draw = random.Random(seed)
    found: dict[str, list[float]] = {"prefill": [], "decode": []}
    with tempfile.TemporaryDirectory() as cache, Engine(cache_dir=Path(cache)) as engine:
        options = EngineOptions(n_ctx=4096, threads=threads)
        model = engine.load(path, options=options).result()
        for _ in range(rounds):
            for stage, one in (("prefill", in_prefill), ("decode", in_decode)):
                latency = one(model, draw)
                if latency is not None:
                    found[stage].append(latency)
    short = [stage for stage, values in found.items() if len(values) < 2]
    if short:
        raise UrialError(
            f"Too few requests still ran when they were cancelled: {', '.join(short)}.",
            "Measure more rounds, or a slower model.",
        )
    return CancelReport(
        model=path.name,
        threads=threads,
        load_average=os.getloadavg()[0],
        target_ms=TARGET_MS,
        latencies=tuple(summarise(stage, values) for stage, values in found.items()),
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print; 0 if the target is met, 1 if not."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.cancel", description=__doc__)
    parser.add_argument("-m", "--model", default="gemma-3-270m", help="name or .gguf file")
    parser.add_argument("--threads", type=int, default=0, help="0: the physical cores")
    parser.add_argument("--rounds", type=int, default=40, help="cancellations of each stage")
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args(arguments)
    try:
        report = measure(
            resolve(options.model).path,
            threads=options.threads or physical_cores(),
            rounds=options.rounds,
            seed=options.seed,
        )
    except UrialError as error:
        sys.stderr.write(f"{sanitize_line(str(error))}\n")
        return error.exit_code
    if options.json:
        sys.stdout.write(msgspec.json.encode(report).decode() + "\n")
        return 0 if report.passes else 1
    print(
        f"{sanitize_line(report.model)}, {report.threads} threads, "
        f"load average {report.load_average:.1f}; target: p95 <= {report.target_ms:.0f} ms"
    )
    print(f"{'stage':<10}{'count':>6}{'p50 ms':>10}{'p95 ms':>10}{'max ms':>10}")
    for latency in report.latencies:
        print(
            f"{latency.stage:<10}{latency.count:>6}"
            f"{latency.p50:>10.1f}{latency.p95:>10.1f}{latency.max:>10.1f}"
        )
    return 0 if report.passes else 1


if __name__ == "__main__":
    sys.exit(main())
