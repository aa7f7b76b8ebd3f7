"""Raw logits of a plain evaluation with the bindings' own `Llama` class: an oracle.

A program of its own, because the engine leaves out of its process what that class needs:
`python -m tests.forced_logits JOBS RESULT` reads a JSON list of jobs, each {"model",
"adapter", "context", "answer", "batch"}, and writes an .npz with the (len(answer), n_vocab)
float32 logits in front of each token of the answer, under the job's number.

Half-precision attention rounds by the shapes of its batches, so `batch` has to be the engine's.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

N_CTX = 1024


def forced_logits(llama: Any, context: list[int], answer: list[int]) -> Any:
    llama.reset()
    if context[:-1]:
        llama.eval(context[:-1])
    llama.eval([context[-1], *answer[:-1]])
    return np.array(llama.scores[len(context) - 1 : len(context) - 1 + len(answer)])


def main(jobs: Path, result: Path) -> None:
    from llama_cpp import Llama

    found = {}
    for number, job in enumerate(json.loads(jobs.read_text())):
        llama = Llama(
            job["model"],
            lora_path=job["adapter"],
            n_ctx=N_CTX,
            n_batch=job["batch"],
            n_ubatch=job["batch"],
            n_threads=1,
            n_threads_batch=1,
            flash_attn=True,
            swa_full=True,
            logits_all=True,
            verbose=False,
        )
        found[str(number)] = forced_logits(llama, job["context"], job["answer"])
        llama.close()
    np.savez(result, **found)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
