"""The estimate of a model's memory against what llama.cpp allocates, part by part.

python -m benchmarks.memory_parts llama-1b gemma-1b FILE.gguf [--context 4096] [--kv-type f16]

A name is one of `tools.synthetic`, of which a file with random weights is written. For each purpose
the contexts are made as the engine makes them, and every output is asked for once; the library says
how large its buffers are, and the system what the process has for itself. All on the processor.
"""

from __future__ import annotations

import argparse
import re
import sys
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, get_args

import msgspec

from tools.synthetic import SHAPES, write_model
from urial_tui import wording
from urial_tui.engine.native import llama
from urial_tui.engine.native.context import LlamaContext
from urial_tui.engine.wire.limits import Purpose, batch_size, contexts_of, flash_attention
from urial_tui.engine.wire.values import EngineOptions, KVType
from urial_tui.models.fit import need_of

PURPOSES: tuple[Purpose, ...] = ("chat", "together", "watched", "aligned", "base")
_MIB = 1 << 20
_BUFFER = re.compile(r"(KV|RS|compute|output|Mapped model) +buffer size = +([\d.]+) MiB")


_LISTENERS: list[Any] = []
"""The library calls the last one until the end."""


class Parts(msgspec.Struct, kw_only=True):
    """Bytes, as they are estimated or as they were found; `own`: of the process, beyond before."""

    weights: float = 0.0
    kv_cache: float = 0.0
    state: float = 0.0
    compute: float = 0.0
    logits: float = 0.0
    own: float = 0.0


def measured(path: Path, options: EngineOptions, purpose: Purpose) -> Parts:
    """What the library allocates for a purpose."""
    said: list[str] = []

    @llama.lib.llama_log_callback  # type: ignore[untyped-decorator]
    def listen(_level: int, text: bytes, _data: object) -> None:
        said.append(text.decode("utf-8", "replace"))

    _LISTENERS.append(listen)
    llama.lib.llama_log_set(listen, None)
    before = _own()
    model = llama.NativeModel(str(path), gpu_layers=0, progress=lambda _share: True)
    found = Parts(weights=sum(size for name, size in _buffers(said) if name == "Mapped model"))
    sizes = contexts_of(purpose, options, model.n_ctx_train, batch_size(model.parameters, 0))
    flash = flash_attention(options.kv_type, model.n_layer, 0, model.n_swa)
    contexts = []
    for size in sizes:
        said.clear()
        context = LlamaContext(
            model,
            size,
            threads=1,
            kv_type=options.kv_type,
            flash_attention=flash or size is not sizes[0],
        )
        contexts.append(context)
        count = min(size.n_outputs, context.n_batch)
        context.decode_all([3 + place % 100 for place in range(count)], 0, 0)
        for name, bytes_ in _buffers(said):
            if name == "output":
                # Said at first, with a row for each sequence; then it grows without a word.
                found.logits += bytes_ * size.n_outputs / size.n_sequences
            elif name == "KV":
                found.kv_cache += bytes_
            elif name == "RS":
                found.state += bytes_
            elif name == "compute":
                found.compute += bytes_
    found.own = _own() - before
    for context in contexts:
        context.close()
    model.close()
    return found


def estimated(path: Path, options: EngineOptions, purpose: Purpose) -> Parts:
    """What is told before a model is loaded."""
    need = need_of(path, options, purpose)
    return Parts(
        weights=need.weights,
        kv_cache=need.kv_cache,
        state=need.state,
        compute=need.compute,
        logits=need.logits,
        own=need.buffers - need.saved,
    )


def rows(path: Path, options: EngineOptions) -> Iterator[str]:
    """A row of a Markdown table for each purpose: estimated / found."""
    for purpose in PURPOSES:
        told, found = estimated(path, options, purpose), measured(path, options, purpose)
        cells = [
            f"{wording.size(int(getattr(told, part)))} / {wording.size(int(getattr(found, part)))}"
            if getattr(told, part) or getattr(found, part)
            else "–"
            for part in ("weights", "kv_cache", "state", "compute", "logits")
        ]
        yield f"| {path.stem}, {purpose} | {' | '.join(cells)} | {wording.size(int(found.own))} |"


def _buffers(said: Iterable[str]) -> Iterator[tuple[str, float]]:
    for name, size in _BUFFER.findall("".join(said)):
        yield name, float(size) * _MIB


def _own() -> float:
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(float(line.split()[1]) * 1024 for line in lines if line.startswith("RssAnon"))


def main() -> int:
    """Measure what the command line names."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.memory_parts",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("models", nargs="+", help="shapes, or files")
    parser.add_argument("--context", type=int, default=4096)
    parser.add_argument("--kv-type", choices=get_args(KVType), default="f16")
    parser.add_argument("--directory", type=Path, help="where there is room for the files")
    arguments = parser.parse_args()
    options = EngineOptions(n_ctx=arguments.context, kv_type=arguments.kv_type, gpu_layers=0)
    llama.initialise()
    print("| model, purpose | weights | KV cache | state | compute | logits | own memory |")
    print("| --- |" + " --- |" * 6, flush=True)
    for name in arguments.models:
        with tempfile.TemporaryDirectory(dir=arguments.directory, prefix="urial-parts-") as folder:
            if name in SHAPES:
                path = write_model(Path(folder, f"{name}.gguf"), SHAPES[name])
            else:
                path = Path(name)
            for row in rows(path, options):
                print(row, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
