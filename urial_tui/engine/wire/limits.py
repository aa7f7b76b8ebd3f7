"""How large the engine's contexts are, by what they are for.

The worker makes its contexts by these numbers and the memory estimate counts with them, so
they stand here alone. They follow from the model and the request, never from how fast or how
large the machine happens to be: other batch shapes round differently, and the same question
has to get the same answer.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from urial_tui.engine.wire.values import EngineOptions

Purpose = Literal["chat", "together", "watched", "aligned", "base", "embedding"]
"""What a model is loaded for: to write answers; to write several together as well; to read them
along; to be a comparison's aligned side, which writes and is read again; to be its base side, which
is read; to make vectors of texts."""

MAX_SEQUENCES = 8
"""Sequences of a context: the pinned preamble, the branch, and its checkpoints (see `kv`)."""

POOL_PREFIXES = 8
"""Sequences of a pool for what several answers start with: preambles, openings, questions."""

MOST_SEQUENCES = 256
"""The library ends the process where a context is to have more."""

MOST_PARALLEL = MOST_SEQUENCES - POOL_PREFIXES
"""Answers that a pool can write together."""

AUTO_CONTEXT = 8192
"""Tokens of context where the settings leave it to us and the model was trained on more."""

WATCHED_BATCH = 96
"""Most tokens of an answer that another model reads at once while it is written.

A token costs 4.6 ms in batches of 24, 4.1 in 48, 3.8 in 96 and 3.8 in 128 (the demo model and its
adapter on two cores), and 1 MiB twice for its logits at 262,144 tokens of vocabulary."""

FORCED_BATCH = 128
"""Tokens of a batch with logits for each: 128 MiB of them at 262,144 tokens of vocabulary.

Twice as many are not faster enough (a tenth) for what they take: a model holds its logits
twice, and a comparison two models."""

HEAD_BATCH = 256
"""Tokens of a batch in front of those, which needs no logits."""

COMPARED_TOKENS = 3072
"""Tokens of context and text for which a comparison's memory is planned.

The longest preamble that comes with the program takes 1,764, an answer 512 unless more are
asked for. A longer text gets a larger context all the same."""

EMBEDDED_BATCH = 512
"""Tokens of a batch of texts of which vectors are made: as many as most encoders were trained on.

A text is evaluated whole, so a longer one gets a larger context; memory is planned for this one."""

EMBEDDED_TEXTS = 32
"""Texts of such a batch, at most."""

FULL_WINDOWS = True
"""Whether layers with a sliding window hold the whole context, and can be cut anywhere."""

_TILE = 64
"""Tokens that flash attention on a CPU takes at once, where there are so many."""

_STEP = 256
"""The library rounds a context up to a multiple of this."""

_FORCED_STEP = 1024
"""A forced context is made anew less often where its size grows in larger steps."""


_BATCHES = (
    (1_000_000_000, 512),
    (2_000_000_000, 256),
    (4_000_000_000, 128),
    (12_000_000_000, 64),
    (float("inf"), 32),
)
"""Tokens of a batch for models of fewer parameters than so many."""


class ContextSize(msgspec.Struct, frozen=True, kw_only=True):
    """What the buffers of a context follow from, beside the model and the type of its cache.

    `n_ctx`: tokens of the cache, shared by all sequences. `n_batch`: most tokens of one call.
    `n_outputs`: most tokens of one call that get logits. `n_sequences`: how many there are.
    """

    n_ctx: int
    n_batch: int
    n_outputs: int
    n_sequences: int


def context_tokens(asked: int, trained: int | None) -> int:
    """Tokens of a chat's context: `asked`, 0 for our choice; at most what was trained on.

    A multiple of 256, as the library rounds up.
    """
    tokens = asked or AUTO_CONTEXT
    return -(-(min(tokens, trained) if trained else tokens) // _STEP) * _STEP


def contexts_of(
    purpose: Purpose, options: EngineOptions, trained: int | None, n_batch: int
) -> tuple[ContextSize, ...]:
    """The contexts that a model gets: the one that answers first, then those made on first use.

    Args:
        purpose: What it is loaded for.
        options: How it is loaded.
        trained: Tokens of context that it was trained on, 0 or None where that is not known.
        n_batch: Tokens of a batch (`batch_size`).
    """
    n_ctx = context_tokens(options.n_ctx, trained)
    if purpose == "embedding":
        return (embedding_size(min(EMBEDDED_BATCH, text_tokens(options.n_ctx, trained))),)
    if purpose in ("watched", "base"):
        contexts = [watched_size(n_ctx, n_batch)]
    else:
        contexts = [chat_size(n_ctx, n_batch)]
    if purpose == "together":
        contexts.append(pool_size(options.pool or n_ctx, n_batch, options.parallel))
    if purpose in ("aligned", "base"):
        contexts.append(forced_size(min(COMPARED_TOKENS, trained or COMPARED_TOKENS)))
    return tuple(contexts)


def chat_size(n_ctx: int, n_batch: int) -> ContextSize:
    """The context that writes answers."""
    return ContextSize(
        n_ctx=n_ctx, n_batch=n_batch, n_outputs=MAX_SEQUENCES, n_sequences=MAX_SEQUENCES
    )


def pool_size(n_ctx: int, n_batch: int, parallel: int) -> ContextSize:
    """The context in which up to `parallel` answers are written together.

    `n_ctx`: tokens of all of them, of the preambles in front of them and of what they share. A
    batch has room for a token of each and for as many of what others read.
    """
    writers = max(1, min(parallel, MOST_PARALLEL))
    sequences = writers + POOL_PREFIXES
    return ContextSize(
        n_ctx=n_ctx,
        n_batch=max(n_batch, 2 * writers),
        n_outputs=sequences,
        n_sequences=sequences,
    )


def written_batch(n_batch: int, kv_type: str, gpu_layers: int) -> int:
    """Most tokens of a batch of a pool in which something is written; at most `n_batch`.

    llama.cpp's flash attention on a CPU takes a batch of 64 tokens or more (GGML_FA_TILE_Q) in
    tiles, over every cell that any of 64 tokens sees: good for a text that is read, but the cells
    of answers that are written together lie mixed. A question of 50 tokens read beside 15 writers
    took 558 ms, and 420 ms apart from them; 64 writers took 956 ms, and 586 ms in two batches (the
    demo model behind 1,000 tokens, two cores of an AMD EPYC of the third generation). A quantised
    cache has no tiles.

    Args:
        n_batch: Most tokens of a batch.
        kv_type: The cache's type.
        gpu_layers: How many layers of the model are on a GPU, -1 for all.
    """
    return n_batch if gpu_layers or kv_type != "f16" else min(n_batch, _TILE - 1)


def watched_size(n_ctx: int, n_batch: int) -> ContextSize:
    """The context of a model that reads answers along."""
    return ContextSize(
        n_ctx=n_ctx, n_batch=n_batch, n_outputs=WATCHED_BATCH, n_sequences=MAX_SEQUENCES
    )


def forced_size(n_ctx: int) -> ContextSize:
    """The context of a comparison, for at least `n_ctx` tokens of context and text together."""
    return ContextSize(
        n_ctx=-(-n_ctx // _FORCED_STEP) * _FORCED_STEP,
        n_batch=HEAD_BATCH,
        n_outputs=FORCED_BATCH,
        n_sequences=1,
    )


def embedding_size(n_tokens: int) -> ContextSize:
    """The context that makes vectors of texts, the longest of which has so many tokens.

    The library holds a row of logits for each token of a batch, also where the model has none.
    """
    n_ctx = -(-max(n_tokens, EMBEDDED_BATCH) // _STEP) * _STEP
    return ContextSize(n_ctx=n_ctx, n_batch=n_ctx, n_outputs=n_ctx, n_sequences=EMBEDDED_TEXTS)


def text_tokens(asked: int, trained: int | None) -> int:
    """Most tokens of a text of which a vector is made; `asked`, `trained` as `context_tokens`.

    Not one more than the model was trained on: encoders have a row of weights for each position.
    """
    tokens = asked or AUTO_CONTEXT
    return min(tokens, trained) if trained else tokens


def flash_attention(kv_type: str, n_layer: int, gpu_layers: int, n_swa: int = 0) -> bool:
    """Whether a context that writes answers computes attention without storing its scores.

    On a CPU, and with a cache of f16, llama.cpp splits the cells of a token that is evaluated
    alone between its threads, so that its logits depend on how many there are (by up to 1.9 behind
    1,000 tokens of the demo model). Without flash attention it does not; nor does it where it is
    told to keep them whole (`native.whole_cells`). That is the faster way for a model with sliding
    windows, whose other cells are passed over (1.05 to 1.22 times on the demo model), and the
    slower one for others (0.93 on a Llama of 1B shape):
    docs/decisions/0023-the-same-question-the-same-answer.md. A quantised cache can't do without
    flash attention, and is not split. Batches are not split either: a comparison always has it.

    Args:
        kv_type: The cache's type.
        n_layer: Layers of the model.
        gpu_layers: How many of them are on a GPU, -1 for all.
        n_swa: Tokens of its sliding window, 0 where it has none.
    """
    if kv_type != "f16" or gpu_layers < 0 or gpu_layers > n_layer:
        return True
    return n_swa > 0 and gpu_layers == 0


def batch_size(parameters: int, gpu_layers: int) -> int:
    """Tokens of a prefill batch: smaller on a big model, so that it can be stopped soon.

    An evaluation looks at its flag between two matrices. That of the largest one of a 7B model,
    14,336 by 4,096, with 128 tokens was reckoned at 0.3 s on two slow cores, not measured.
    """
    if gpu_layers:
        return _BATCHES[0][1]
    return next(batch for most, batch in _BATCHES if parameters < most)
