"""What becomes of damaged models, one after another: `python -m tests.mutation_trials --help`.

Each is loaded as the program does it and asked for a few tokens, by one client whose worker
has a limit on its memory. A trial that takes longer than `WAIT` is stopped as a user stops
it. It is right when it ends in an answer, a refusal or a told death; anything else is raised.
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Literal

import msgspec

from tests import tinygguf
from tests.loaded import newest
from tests.mutations import Gguf, mutated
from urial_tui.engine.client.engine import Engine
from urial_tui.engine.wire.values import EngineOptions, KVType, TextSegment
from urial_tui.errors import EngineDied, ModelError, UrialError
from urial_tui.runtime.loading import load

Outcome = Literal["answered", "refused by its header", "refused by the engine", "died", "hung"]

WAIT = 10.0
"""Seconds until a trial is stopped."""

MEMORY = 3 << 30
"""Bytes of address space that the worker gets."""

_PROGRAM = (
    sys.executable,
    "-P",
    "-c",
    "# urial_tui.engine.worker.main\nimport resource\n"
    f"resource.setrlimit(resource.RLIMIT_AS, ({MEMORY}, {MEMORY}))\n"
    "from urial_tui.engine.worker import main\nmain.main()",
)
_KV_TYPES: tuple[KVType, ...] = ("f16", "f16", "q8_0", "q4_0")
_QUESTION = (TextSegment(text="# Query:\nfirst of all\n\n# Answer:\n"),)


class Trial(msgspec.Struct, frozen=True, kw_only=True):
    """What was done to a file, and what became of it. `error`: what the user is told."""

    seed: int
    what: str
    outcome: Outcome
    seconds: float
    error: UrialError | None = None


def good_models(directory: Path) -> list[Gguf]:
    """The models that are damaged: one of each kind of memory."""
    paths = (
        tinygguf.write_llama(directory / "llama.gguf"),
        tinygguf.write_sliding_window(directory / "gemma3.gguf"),
        tinygguf.write_recurrent(directory / "mamba.gguf"),
    )
    return [Gguf.parse(path.read_bytes()) for path in paths]


def trials(directory: Path, seeds: range, *, checked: bool = True) -> Iterator[Trial]:
    """Try one damaged model for each seed.

    Args:
        directory: Where the files go; the models of an earlier call there may stay.
        seeds: Each draws what is damaged, and how it is loaded.
        checked: Look at the header first, as the program does; else straight to the engine.
    """
    good = good_models(directory)
    path = directory / "damaged.gguf"
    with Engine(program=_PROGRAM, cache_dir=directory / "cache") as engine:
        for seed in seeds:
            draw = random.Random(seed)
            what, content = mutated(draw.choice(good), draw)
            path.write_bytes(content)
            options = EngineOptions(
                n_ctx=draw.choice((512, 0)), threads=1, kv_type=draw.choice(_KV_TYPES)
            )
            yield _try(engine, path, options, seed=seed, what=what, checked=checked)


def _try(
    engine: Engine, path: Path, options: EngineOptions, *, seed: int, what: str, checked: bool
) -> Trial:
    stopped = threading.Event()

    def stop() -> None:
        stopped.set()
        engine.cancel()

    timer = threading.Timer(WAIT, stop)
    timer.start()
    started = time.perf_counter()
    error: UrialError | None = None
    outcome: Outcome = "answered"
    try:
        loading = load(engine, path, options=options) if checked else None
        for _ in loading or engine.load(path, options=options):
            pass
        with closing(
            newest(engine).generate(preamble=(), turns=[_QUESTION], max_tokens=6)
        ) as events:
            for _ in events:
                pass
    except UrialError as caught:
        error = caught
        if isinstance(caught, ModelError):
            outcome = "refused by its header"
        elif not isinstance(caught, EngineDied):
            outcome = "refused by the engine"
        else:
            outcome = "died"
    finally:
        timer.cancel()
    if stopped.is_set():
        outcome = "hung"
    seconds = time.perf_counter() - started
    return Trial(seed=seed, what=what, outcome=outcome, seconds=seconds, error=error)


def main() -> None:
    """Print the counts as JSON, and each death and hang as a line on standard error."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=2000)
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--unchecked", action="store_true", help="without looking at the header")
    options = parser.parse_args()
    counts: Counter[str] = Counter()
    slowest = 0.0
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with tempfile.TemporaryDirectory(prefix="urial-") as directory:
        seeds = range(options.first, options.first + options.count)
        for trial in trials(Path(directory), seeds, checked=not options.unchecked):
            counts[trial.outcome] += 1
            slowest = max(slowest, trial.seconds)
            if trial.outcome in ("died", "hung"):
                print(trial.seed, trial.what, trial.outcome, trial.error, file=sys.stderr)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    print(json.dumps({**counts, "slowest_s": round(slowest, 2), "client_grew_kib": grown}))


if __name__ == "__main__":
    main()
