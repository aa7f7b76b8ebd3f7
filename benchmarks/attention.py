"""Flash attention or not, by how much is in the cache: `python -m benchmarks.attention --help`.

Contexts of each kind evaluate the same tokens in one process, in turns of a few tokens whose order
rotates, so that what else the machine does meets all of them. What is told is the speed beside
the context with flash attention and a cache of f16: the median of the ratios of all turns. "whole"
has flash attention that does not split the cells of a token between threads. For which kind the
engine chooses, and why, see `engine.wire.limits.flash_attention`.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Sequence

from benchmarks.results import order
from urial_tui.engine.native import llama
from urial_tui.engine.native.context import DecodeError, LlamaContext
from urial_tui.engine.native.threads import physical_cores
from urial_tui.engine.wire.limits import chat_size
from urial_tui.errors import UrialError
from urial_tui.models.registry import resolve
from urial_tui.processor import processor_name
from urial_tui.sanitize import sanitize_line

WHOLE = "f16, whole"
KINDS = {
    "f16, flash": ("f16", True),
    "f16": ("f16", False),
    WHOLE: ("f16", True),
    "q8_0, flash": ("q8_0", True),
}
BATCH = 512
TURN = 6
"""Tokens of a turn."""


class Timed:
    """A context, and how long its turns took."""

    def __init__(self, model: llama.NativeModel, kind: str, n_ctx: int) -> None:
        kv_type, flash = KINDS[kind]
        size = chat_size(n_ctx, BATCH)
        self.kind = kind
        self.prefill = 0.0
        self.turns: list[float] = []
        self._n_vocab = model.vocab.size
        self._position = 0
        self.context = LlamaContext(
            model, size, threads=physical_cores(), kv_type=kv_type, flash_attention=flash
        )
        if kind == WHOLE and not self.context.keep_cells_whole():
            raise DecodeError("this build of the library can't keep cells whole")

    def evaluate(self, count: int) -> float:
        """Evaluate `count` tokens at once: seconds."""
        places = range(self._position, self._position + count)
        tokens = [(7 + place * 131) % min(30_000, self._n_vocab) for place in places]
        started = time.perf_counter()
        self.context.decode(tokens, self._position, 0)
        self.context.logits()
        self._position += count
        return time.perf_counter() - started


def measure(model: llama.NativeModel, depth: int, turns: int) -> list[Timed]:
    """All kinds of contexts, behind `depth` tokens."""
    n_ctx = depth + turns * TURN + BATCH
    found = [Timed(model, kind, n_ctx) for kind in KINDS]
    done = 0
    while done < depth:
        count = min(BATCH, depth - done)
        for timed in found:
            timed.prefill += timed.evaluate(count)
        done += count
    for number in range(turns):
        for timed in order(found, number):
            timed.turns.append(sum(timed.evaluate(1) for _ in range(TURN)))
    for timed in found:
        timed.context.close()
    return found


def report(depth: int, found: Sequence[Timed]) -> str:
    """A line for each kind."""
    reference = found[0]
    lines = []
    for timed in found:
        pairs = zip(reference.turns, timed.turns, strict=True)
        decode = statistics.median(of_reference / own for of_reference, own in pairs)
        token = 1000 * statistics.median(timed.turns) / TURN
        prefill = f"{reference.prefill / timed.prefill:7.2f}" if depth else f"{'-':>7}"
        lines.append(f"{depth:7,}  {timed.kind:12}{token:10.1f}{decode:9.2f}{prefill:>9}")
    return "\n".join(lines)


def main() -> int:
    """Measure and print; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.attention", description=__doc__)
    parser.add_argument("--model", required=True, help="a .gguf file, or a catalogue name")
    parser.add_argument("--depths", type=int, nargs="+", default=[0, 1000, 3500])
    parser.add_argument("--turns", type=int, default=20, help=f"of {TURN} tokens")
    chosen = parser.parse_args()
    try:
        path = resolve(chosen.model).path
        llama.initialise()
        model = llama.NativeModel(str(path), gpu_layers=0, progress=lambda _fraction: True)
        print(f"{sanitize_line(path.name)}, {physical_cores()} threads, {processor_name()}")
        print(f"{'behind':>7}  {'cache':12}{'ms/token':>10}{'decode':>9}{'prefill':>9}")
        for depth in chosen.depths:
            print(report(depth, measure(model, depth, max(1, chosen.turns))), flush=True)
        model.close()
    except (UrialError, llama.LoadError, DecodeError) as error:
        print(f"attention: {sanitize_line(str(error))}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
