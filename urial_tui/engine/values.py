"""What the client asks the worker with: texts and tokens, and how to run, sample and stop.

Parts of the commands in `protocol`, which names them, too. Token ids are the history:
`TextSegment`s are tokenised once, by the worker; `TokenSegment`s are used as they are.
"""

from __future__ import annotations

from typing import Literal

import msgspec

KVType = Literal["f16", "q8_0", "q4_0"]


class Value(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An immutable part of a message."""


class TextSegment(Value, frozen=True, kw_only=True, tag="text"):
    """Text to tokenise; `special` parses control tokens in it (template fragments only)."""

    text: str
    special: bool = False


class TokenSegment(Value, frozen=True, kw_only=True, tag="tokens"):
    """Token ids to use as they are."""

    ids: tuple[int, ...]


Segment = TextSegment | TokenSegment
Turn = tuple[Segment, ...]
"""What one turn puts into the context, in order. Turns are dropped whole, never in part."""


class StopRules(Value, frozen=True, kw_only=True):
    """Where an answer ends, besides the vocabulary's end-of-generation tokens.

    `strings`: the answer ends before the first occurrence of any of them.
    `fence`: a line that holds only this fence (e.g. three backticks) ends the answer,
    unless it closes a fence with an info string that was opened inside the answer.
    Empty: no such rule.
    """

    strings: tuple[str, ...] = ()
    fence: str = ""


class Watch(Value, frozen=True, kw_only=True):
    """What the second slot is shown while it reads an answer along.

    `turns`: the same turns as in `Generate.turns`, one for one, behind a preamble of its own.
    `same_ids`: it is shown the ids of the main side, and neither of these.
    """

    preamble: Turn = ()
    turns: tuple[Turn, ...] = ()
    same_ids: bool = False


class Sampling(Value, frozen=True, kw_only=True):
    """How the next token is chosen. Temperature 0 is greedy.

    Penalties and DRY look at the last tokens of the answer alone, not at the preamble
    or the query. The defaults of the penalties and of DRY switch them off.
    """

    temperature: float = 0.0
    top_k: int = 40
    top_p: float = 0.95
    min_p: float = 0.05
    repetition_penalty: float = 1.0
    frequency_penalty: float = 0.0
    presence_penalty: float = 0.0
    penalty_last_n: int = 256
    dry_multiplier: float = 0.0
    dry_base: float = 1.75
    dry_allowed_length: int = 2
    dry_last_n: int = 1024
    seed: int | None = None


class EngineOptions(Value, frozen=True, kw_only=True):
    """How a model is loaded and its context is made. 0 or -1 asks the worker to choose.

    `threads` 0: the physical cores that this process may use. `gpu_layers` -1: all that
    the build can offload. `n_ctx` 0: the model's training context, at most 8192 tokens.
    """

    n_ctx: int = 4096
    threads: int = 0
    gpu_layers: int = -1
    kv_type: KVType = "f16"
    cache_limit_mb: int = 2048
