"""Vectors of texts by the plain bindings, in a process of their own.

In the tests' process the package may be there without its own class (`engine.native.llama`).
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

ROOT = Path(__file__).resolve().parent.parent


def plain_vectors(path: Path, texts: Sequence[str], *, n_ctx: int = 512) -> npt.NDArray[np.float64]:
    """A row of length 1 for each text, each evaluated alone."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.plain_vectors", str(path), str(n_ctx)],
        input=json.dumps(list(texts)),
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
        timeout=300,
    )
    return np.array(json.loads(done.stdout), np.float64)


def _main(path: str, n_ctx: int) -> None:
    from llama_cpp import Llama

    model = Llama(
        path,
        embedding=True,
        n_ctx=n_ctx,
        n_batch=n_ctx,
        n_ubatch=n_ctx,
        n_threads=1,
        verbose=False,
    )
    rows = [model.embed(text, normalize=True) for text in json.load(sys.stdin)]
    model.close()
    print(json.dumps(rows))


if __name__ == "__main__":
    _main(sys.argv[1], int(sys.argv[2]))
