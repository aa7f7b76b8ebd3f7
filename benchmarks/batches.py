"""What a batch of tokens of several sequences takes: `python -m benchmarks.batches --help`.

Sequences share what stands in front of them, and each adds a token a batch, as answers that are
written together do; batches of all sizes come in turns whose order rotates. Nothing else is done:
no questions are read, no token is chosen. So `times one` is what the evaluation alone lets a pool
gain over one answer after another on this processor, whatever surrounds it.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Sequence

from benchmarks.results import order
from benchmarks.speed import at_least
from urial_tui.engine.native import llama
from urial_tui.engine.native.batch import BatchPart
from urial_tui.engine.native.context import DecodeError, LlamaContext, NoSlot
from urial_tui.engine.native.threads import physical_cores
from urial_tui.engine.wire.limits import pool_size
from urial_tui.errors import UrialError
from urial_tui.models.registry import resolve
from urial_tui.processor import processor_name
from urial_tui.sanitize import sanitize_line

BATCH = 512


class Sequences:
    """Sequences that go on from one start, a token each at a time.

    Args:
        model: The model.
        count: How many there may be.
        depth: Tokens that they share.
        turns: Tokens that each may add.
    """

    def __init__(self, model: llama.NativeModel, count: int, depth: int, turns: int) -> None:
        self._n_vocab = model.vocab.size
        size = pool_size(depth + count * turns + BATCH, BATCH, count)
        self.context = LlamaContext(
            model, size, threads=physical_cores(), kv_type="f16", flash_attention=True
        )
        for start in range(0, depth, BATCH):
            places = range(start, min(depth, start + BATCH))
            self.context.decode([self._token(place) for place in places], start, 0)
        self._depth = depth
        self._count = count

    def start(self) -> None:
        """Go back to where they part."""
        for sequence in range(1, self._count + 1):
            self.context.remove(sequence, -1, -1)
            self.context.copy(0, sequence, -1)

    def evaluate(self, count: int, turn: int) -> float:
        """Evaluate the next token of the first `count` of them: seconds."""
        place = self._depth + turn
        parts = [
            BatchPart([self._token(place + 17 * number)], place, number, 1)
            for number in range(1, count + 1)
        ]
        started = time.perf_counter()
        self.context.evaluate(parts)
        self.context.all_logits()
        return time.perf_counter() - started

    def _token(self, place: int) -> int:
        return (7 + place * 131) % min(30_000, self._n_vocab)


def measure(
    model: llama.NativeModel, sizes: Sequence[int], depth: int, turns: int, rounds: int
) -> dict[int, list[float]]:
    """For each size of a batch, the medians of the seconds that its turns took, by the round."""
    sequences = Sequences(model, max(sizes), depth, turns)
    found: dict[int, list[float]] = {size: [] for size in sizes}
    try:
        for number in range(rounds):
            for size in order(list(sizes), number):
                sequences.start()
                seconds = [sequences.evaluate(size, turn) for turn in range(turns)]
                found[size].append(statistics.median(seconds))
    finally:
        sequences.context.close()
    return found


def report(found: dict[int, list[float]]) -> str:
    """A line for each size: its time, its rate, and that as a multiple of the first one's."""
    (first, reference), *_ = found.items()
    lines = [f"{'sequences':>9}{'ms/batch':>10}{'tokens/s':>10}{f'times {first}':>10}"]
    for size, seconds in found.items():
        each = statistics.median(seconds)
        gains = [
            size * before / own / first for before, own in zip(reference, seconds, strict=True)
        ]
        lines.append(
            f"{size:9}{1000 * each:10.1f}{size / each:10.1f}{statistics.median(gains):10.2f}"
        )
    return "\n".join(lines)


def main() -> int:
    """Measure and print; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.batches", description=__doc__)
    parser.add_argument("--model", default="gemma-3-270m", help="a .gguf file, or a catalogue name")
    parser.add_argument("--sequences", type=at_least(1), nargs="+", default=[1, 4, 8, 16, 32])
    parser.add_argument("--depth", type=at_least(1), default=1000, help="tokens that they share")
    parser.add_argument("--turns", type=at_least(1), default=16, help="tokens that each adds")
    parser.add_argument("--rounds", type=at_least(1), default=3)
    chosen = parser.parse_args()
    try:
        path = resolve(chosen.model).path
        llama.initialise()
        model = llama.NativeModel(str(path), gpu_layers=0, progress=lambda _fraction: True)
        print(
            f"{sanitize_line(path.name)} behind {chosen.depth} tokens, {physical_cores()} threads, "
            f"{processor_name()}\n{llama.system_info()}"
        )
        sizes = list(dict.fromkeys(chosen.sequences))
        print(report(measure(model, sizes, chosen.depth, chosen.turns, chosen.rounds)))
        model.close()
    except (UrialError, llama.LoadError, DecodeError, NoSlot) as error:
        print(f"batches: {sanitize_line(str(error)) or 'the cache is full'}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
