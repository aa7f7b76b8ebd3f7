"""Bits of texts by a plain evaluation with the bindings' own `Llama` class: an oracle.

A program of its own, because the engine leaves out of its process what that class needs:
`python -m tests.plain_bits MODEL JOBS RESULT BATCH` reads a JSON list of jobs, each {"pieces",
"answer"}, texts that are tokenised one by one, BOS in front of the first, and writes the list of
the answers' bits: -log2 of their probabilities behind all of the pieces.
"""

from __future__ import annotations

import json
import math
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypedDict

import numpy as np

from urial_tui.engine.wire.limits import MAX_SEQUENCES

N_CTX = 2048


class Job(TypedDict):
    """An answer, and the texts in front of it."""

    pieces: list[str]
    answer: str


def plain_bits(
    model: Path, jobs: Sequence[Job], directory: Path, batch: int = MAX_SEQUENCES
) -> list[float]:
    """The bits of the answers, by that program; `directory` takes its files."""
    work, result = directory / "jobs.json", directory / "bits.json"
    work.write_text(json.dumps(list(jobs)))
    subprocess.run(
        [sys.executable, "-m", "tests.plain_bits", str(model), str(work), str(result), str(batch)],
        check=True,
        timeout=600,
    )
    found: list[float] = json.loads(result.read_text())
    return found


def bits_of(
    llama: Any, pieces: Sequence[str], answer: str, batch: int, held: list[list[int]]
) -> float:
    """Token by token, in float64. Each piece but the last token is a batch of its own, and so are
    every `batch` tokens behind them: quantised kernels round by the shapes of batches.

    `held`: the pieces that the last job has left in front of its own last one; they are not
    evaluated again where they are the same.
    """
    texts = [
        llama.tokenize(piece.encode(), add_bos=number == 0, special=False)
        for number, piece in enumerate(pieces)
    ]
    ids = llama.tokenize(answer.encode(), add_bos=False, special=False)
    *heads, last = texts
    start = sum(map(len, texts)) - 1
    rest = [last[-1], *ids[:-1]]
    if heads and heads == held:
        llama.n_tokens = sum(map(len, heads))
    else:
        llama.reset()
        for part in heads:
            llama.eval(part)
        held[:] = heads
    if last[:-1]:
        llama.eval(last[:-1])
    for at in range(0, len(rest), batch):
        llama.eval(rest[at : at + batch])
    total = 0.0
    for at, token in enumerate(ids, start=start):
        row = np.array(llama.scores[at], np.float64)
        top = row.max()
        total -= row[token] - top - math.log(np.exp(row - top).sum())
    return total / math.log(2.0)


def main(model: str, jobs: Path, result: Path, batch: int) -> None:
    from llama_cpp import Llama

    # As the engine: flash attention where there are sliding windows.
    told = Llama(model, vocab_only=True, verbose=False).metadata
    llama = Llama(
        model, n_ctx=N_CTX, n_threads=1, n_threads_batch=1, logits_all=True, verbose=False,
        swa_full=True, flash_attn=any(key.endswith("attention.sliding_window") for key in told),
    )  # fmt: skip
    held: list[list[int]] = []
    found = [
        bits_of(llama, job["pieces"], job["answer"], batch, held)
        for job in json.loads(jobs.read_text())
    ]
    result.write_text(json.dumps(found))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]), int(sys.argv[4]))
