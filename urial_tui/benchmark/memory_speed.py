"""What decoding asks of the memory, beside what the memory gives.

To decode a token of a single sequence, every weight that takes part is read once, so the
memory's speed bounds the tokens a second. How near decoding comes to that bound says more of
an engine than its speed, which is mostly the machine's.

The memory's speed is measured by numpy, which reads a large array in as many threads as the
engine uses and does next to nothing with it. A loop made for this may read somewhat faster.
"""

from __future__ import annotations

import math
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from urial_tui.errors import ModelError
from urial_tui.memory import MachineMemory, machine_memory
from urial_tui.models.gguf_file import Header, Malformed, Truncated, read_header
from urial_tui.models.header import inspect_header
from urial_tui.models.parts import part_paths
from urial_tui.models.token_bytes import weight_bytes_per_token

_ARRAY_BYTES = 256_000_000
"""Far more than any cache holds."""
_SMALLEST = 16_000_000
_PASSES = 6


def bytes_per_token(path: Path) -> int | None:
    """Bytes of weights that are read to decode one token; None where a header does not tell.

    Of the experts of a mixture those count that a token uses.
    """
    try:
        first = inspect_header(path)
        headers = [first, *map(_part, part_paths(path, first.parts)[1:])]
    except (ModelError, OSError, Truncated, Malformed):
        return None
    return weight_bytes_per_token(headers)


def read_speed(
    threads: int, memory: MachineMemory | None = None, *, limit_s: float = math.inf
) -> float:
    """Bytes a second that numpy reads in so many threads: the best of some passes.

    Args:
        threads: At least 1.
        memory: What the machine has, where that is not to be asked; the array takes little of it.
        limit_s: Seconds behind which no other pass is begun; of a machine on which one would take
            most of them, less memory is read.
    """
    begun = time.perf_counter()
    available = (memory or machine_memory()).available
    size = _ARRAY_BYTES if available is None else min(_ARRAY_BYTES, available // 8)
    array = np.empty(max(_SMALLEST, size), np.uint8)
    filled = 0
    # Memory that was never written to is not there.
    while filled < len(array) and (not filled or time.perf_counter() - begun < limit_s / 4):
        array[filled : filled + _SMALLEST] = 1
        filled = min(len(array), filled + _SMALLEST)
    array = array[:filled]
    parts = np.array_split(array, threads)
    best = float("inf")
    with ThreadPoolExecutor(threads) as pool:
        for _ in range(_PASSES):
            start = time.perf_counter()
            # Of all reductions in numpy, the one that computes least per byte.
            list(pool.map(np.maximum.reduce, parts))
            end = time.perf_counter()
            best = min(best, end - start)
            if end - begun > limit_s:
                break
    return len(array) / best


def _part(path: Path) -> Header:
    with path.open("rb") as file:
        return read_header(file)
