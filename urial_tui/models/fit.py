"""Whether a model fits into this machine's memory, told before it is loaded.

The need is an upper estimate, in bytes, for a context as the engine makes it (one unified
cache, full-size sliding windows, flash attention, 512 tokens a batch):

- weights: the size of the file or files; they are mapped, so the system can drop and read
  them again, at a great loss of speed;
- KV cache: tokens · Σ over layers of KV heads · (key size + value size) · bytes an
  element; f16 takes 2, q8_0 34/32, q4_0 18/32 (src/llama-kv-cache.cpp; checked against
  the buffer sizes that llama.cpp reports for Gemma 3 270M at 4096 tokens: 72 MiB in f16);
- recurrent state: sequences · layers · ((kernel - 1) · (inner + 2 · groups · state) +
  inner · state) · 4 bytes (llama_hparams::n_embd_r and n_embd_s, Mamba's form);
- compute: batch · (4 · embedding + 3 · feed-forward) · 4 bytes of activations, batch ·
  tokens · 4 bytes of attention mask, and the logits of 8 sequences twice;
- the process itself: `PROCESS_BYTES`.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import msgspec

from urial_tui.engine.limits import MAX_SEQUENCES, batch_size, context_tokens
from urial_tui.engine.protocol import KVType
from urial_tui.errors import ModelError
from urial_tui.memory import MachineMemory, machine_memory
from urial_tui.models.gguf_file import Metadata
from urial_tui.models.header import check_gguf, model_parts
from urial_tui.sanitize import sanitize_line

PROCESS_BYTES = 128_000_000
"""Python and the native library in the worker, with room to spare."""

_ELEMENT_BYTES = {"f16": 2.0, "q8_0": 34 / 32, "q4_0": 18 / 32}
_BATCH = batch_size(0, 0)


class MemoryNeed(msgspec.Struct, frozen=True, kw_only=True):
    """What a model needs, in bytes. `n_ctx`: the tokens of context that this is for."""

    n_ctx: int
    weights: int
    kv_cache: int
    state: int
    compute: int

    @property
    def total(self) -> int:
        """Everything together."""
        return self.weights + self.kv_cache + self.state + self.compute + PROCESS_BYTES


def memory_need(path: Path, header: Metadata, *, n_ctx: int, kv_type: KVType) -> MemoryNeed:
    """The estimate for a model file; `n_ctx` in tokens, 0 for the engine's choice.

    Raises:
        ModelError: The file is a part of a model and not the first.
    """
    n_ctx = context_tokens(n_ctx, header.number("context_length"))
    weights = sum(part.size for part in model_parts(path))
    embedding = header.number("embedding_length") or 0
    feed_forward = max(_layer_values(header, "feed_forward_length", 0), default=0)
    vocabulary = header.lengths.get("tokenizer.ggml.tokens", 0)
    return MemoryNeed(
        n_ctx=n_ctx,
        weights=weights,
        kv_cache=int(n_ctx * _kv_elements(header) * _ELEMENT_BYTES[kv_type]),
        state=_state_bytes(header),
        compute=4
        * (_BATCH * (4 * embedding + 3 * feed_forward + n_ctx) + 2 * MAX_SEQUENCES * vocabulary),
    )


def fit_together(
    paths: Collection[Path], *, n_ctx: int, kv_type: KVType, memory: MachineMemory | None = None
) -> bool:
    """Whether models can be in memory at the same time; True where the system does not say.

    Raises:
        ModelError: A file is no model.
    """
    memory = memory or machine_memory()
    limit = memory.available if memory.available is not None else memory.total
    needs = [memory_need(path, check_gguf(path), n_ctx=n_ctx, kv_type=kv_type) for path in paths]
    return limit is None or sum(need.total for need in needs) <= limit


def check_fit(
    path: Path,
    *,
    n_ctx: int,
    kv_type: KVType,
    memory: MachineMemory | None = None,
    device_memory: int = 0,
) -> str:
    """Refuse a model that can't fit; the warning for one that will be slow, or nothing.

    Args:
        path: The model file.
        n_ctx: Tokens of context, 0 for the engine's choice.
        kv_type: Of the KV cache.
        memory: What the machine has, where that is not to be asked.
        device_memory: Bytes on a graphics card that layers can go to.

    Raises:
        ModelError: More memory is needed than there is (says how much, and what to do), or
            the file is no model.
    """
    memory = memory or machine_memory()
    need = memory_need(path, check_gguf(path), n_ctx=n_ctx, kv_type=kv_type)
    name = sanitize_line(path.name)
    parts = (
        f"{_gb(need.weights)} of weights and {_gb(need.total - need.weights)} for a context of "
        f"{need.n_ctx} tokens"
    )
    if memory.total is not None and need.total > memory.total + device_memory:
        raise ModelError(
            f"The model {name} does not fit: it needs {_gb(need.total)} of memory ({parts}), "
            f"and this machine has {_gb(memory.total + device_memory)}.",
            _smaller(need, memory.total + device_memory),
        )
    if memory.available is not None and need.total > memory.available + device_memory:
        return (
            f"The model {name} needs {_gb(need.total)} of memory ({parts}), but only "
            f"{_gb(memory.available + device_memory)} are free now, so it may be slow. "
            "Close other programs, or choose a smaller model or context."
        )
    return ""


def _layer_values(header: Metadata, key: str, missing: int) -> tuple[int, ...]:
    """A value for each layer; damaged or missing ones count as `missing`."""
    layers = max(0, min(header.number("block_count") or 0, 10_000))
    values = header.numbers(key, layers)
    return (missing,) * layers if values is None else tuple(max(0, value) for value in values)


def _kv_elements(header: Metadata) -> int:
    """Elements of keys and values that one token takes, over all layers."""
    heads = max(_layer_values(header, "attention.head_count", 0), default=0)
    if not heads:
        return 0
    head_size = (header.number("embedding_length") or 0) // heads
    sizes = 0
    for key in ("attention.key_length", "attention.value_length"):
        given = [header.number(key), header.number(f"{key}_swa")]
        sizes += max((size for size in given if size), default=head_size)
    return sizes * sum(_layer_values(header, "attention.head_count_kv", heads))


def _state_bytes(header: Metadata) -> int:
    inner = header.number("ssm.inner_size")
    state = header.number("ssm.state_size")
    if not inner or not state:
        return 0
    kernel = header.number("ssm.conv_kernel") or 1
    groups = header.number("ssm.group_count") or 0
    layers = header.number("block_count") or 0
    return (
        4 * MAX_SEQUENCES * layers * ((kernel - 1) * (inner + 2 * groups * state) + inner * state)
    )


def _smaller(need: MemoryNeed, total: int) -> str:
    """What to do about a model that does not fit into `total` bytes."""
    per_token = (need.kv_cache + 4 * _BATCH * need.n_ctx) / max(1, need.n_ctx)
    spare = total - (need.total - per_token * need.n_ctx)
    tokens = int(spare / per_token) // 256 * 256 if per_token else 0
    if tokens >= 512:
        return f"Set engine.context to {tokens} or less, or choose a smaller model."
    return (
        "Choose a smaller model, or a smaller quantisation of this one: "
        f"a file of at most {_gb(max(0, total - (need.total - need.weights)))} fits."
        if total > need.total - need.weights
        else "Choose a smaller model and a smaller context."
    )


def _gb(count: int) -> str:
    return f"{count / 1e9:.1f} GB"
