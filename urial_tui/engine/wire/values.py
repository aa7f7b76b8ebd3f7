"""What messages are made of: texts and tokens; how to run, sample and stop; what was loaded.

Parts of `commands` and `events`. Token ids are the history:
`TextSegment`s are tokenised once, by the worker; `TokenSegment`s are used as they are.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from urial_tui import wording

NUMERICS = 4
"""Raised with every change after which the same question, files and options may give another
digit or token: how a context is rendered or tokenised, how text is cut into batches, how a token
is chosen, what is computed from logits. What was kept under another number is computed anew."""

KVType = Literal["f16", "q8_0", "q4_0"]
MemoryKind = Literal["attention", "sliding-window", "recurrent", "hybrid"]
Pooling = Literal["none", "mean", "cls", "last", "rank"]
"""How the vectors of a text's tokens become one."""
MOST_SEEDS = 2**32 - 1
"""Seeds are 0 up to one less than this; the library takes the next number as "any"."""

SamplerStage = Literal[
    "rules", "penalties", "dry", "top-k", "top-p", "min-p", "temperature", "greedy"
]
"""A sampler of the chain. The last one of a chain without `greedy` is followed by a draw."""


class WireValue(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An immutable part of a message."""


class TextSegment(WireValue, frozen=True, kw_only=True, tag="text"):
    """Text to tokenise; `special` parses control tokens in it (template fragments only)."""

    text: str
    special: bool = False


class TokenSegment(WireValue, frozen=True, kw_only=True, tag="tokens"):
    """Token ids to use as they are."""

    ids: tuple[int, ...]


Segment = TextSegment | TokenSegment
Turn = tuple[Segment, ...]
"""What one turn puts into the context, in order. Turns are dropped whole, never in part."""


class StopRules(WireValue, frozen=True, kw_only=True):
    """Where an answer ends, besides the vocabulary's end-of-generation tokens.

    `strings`: the answer ends before the first occurrence of any of them.
    `fence`: a line that holds only this fence (e.g. three backticks) ends the answer,
    unless it closes a fence with an info string that was opened inside the answer.
    Empty: no such rule.
    """

    strings: tuple[str, ...] = ()
    fence: str = ""


class Grammar(WireValue, frozen=True, kw_only=True):
    """What an answer may consist of.

    `text`: a grammar in llama.cpp's GBNF, whose first rule is `root`, or a JSON schema as JSON.
    """

    kind: Literal["gbnf", "json-schema"]
    text: str


class Watch(WireValue, frozen=True, kw_only=True):
    """What another model is shown while it reads an answer along.

    `model`: its handle. `turns`: the same turns as in `Generate.turns`, one for one, behind a
    preamble and a lead of its own. `same_ids`: it is shown the ids that the writing model is shown,
    and none of these.
    """

    model: int
    preamble: Turn = ()
    turns: tuple[Turn, ...] = ()
    same_ids: bool = False
    lead: Turn = ()


class TokenShift(WireValue, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is added to the logits of some tokens, wherever they may stand.

    `texts`: each stands for the one token that it is within an answer, spaces and all; in a
    vocabulary that cuts it into several it changes nothing.
    """

    texts: tuple[str, ...]
    bias: float


class Rules(WireValue, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A rule-based adapter (arXiv 2409.14254): what is added to each row of logits, in float32,
    before anything else chooses from it.

    `end_bias`: to the tokens that end an answer, in full where `end_tokens` tokens of it stand or
    more, before that in proportion to how many do. `repeat_bias`: to each token that stands in the
    answer, once, however often it does. `shifts`: to tokens by their text.
    """

    end_bias: float = 0.0
    end_tokens: int = 250
    repeat_bias: float = 0.0
    shifts: tuple[TokenShift, ...] = ()


class Sampling(WireValue, frozen=True, kw_only=True):
    """How the next token is chosen. Temperature 0 is greedy.

    Rules, penalties and DRY look at the tokens of the answer alone, not at the preamble
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
    rules: Rules | None = None

    def of_sample(self, number: int) -> Sampling:
        """For one of several answers to a question: with a seed of its own."""
        if self.seed is None or not number:
            return self
        return msgspec.structs.replace(self, seed=(self.seed + number) % MOST_SEEDS)

    @property
    def stages(self) -> tuple[SamplerStage, ...]:
        """The samplers of the chain in their order; those that change nothing are left out."""
        found: list[SamplerStage] = ["rules"] if self.rules is not None else []
        penalises = (self.repetition_penalty, self.frequency_penalty, self.presence_penalty)
        if penalises != (1.0, 0.0, 0.0) and self.penalty_last_n > 0:
            found.append("penalties")
        if self.dry_multiplier > 0.0 and self.dry_last_n > 0:
            found.append("dry")
        if self.temperature <= 0.0:
            return (*found, "greedy")
        found.append("top-k")
        if self.top_p < 1.0:
            found.append("top-p")
        if self.min_p > 0.0:
            found.append("min-p")
        return (*found, "temperature")


class EngineOptions(WireValue, frozen=True, kw_only=True):
    """How a model is loaded and its context is made. 0 or -1 asks the worker to choose.

    `threads` 0: the physical cores that this process may use. `gpu_layers` -1: all that
    the build can offload. `n_ctx` 0: the model's training context, at most 8192 tokens.
    `parallel`: answers that may be written together; `pool`: tokens of the context that they
    share, which is made for the first of them (0: as many as `n_ctx`). `rpc`: addresses of RPC
    servers whose devices hold layers as graphics cards do, before any card of this machine.
    """

    n_ctx: int = 4096
    threads: int = 0
    gpu_layers: int = -1
    kv_type: KVType = "f16"
    cache_limit_mb: int = 4096
    parallel: int = 8
    pool: int = 0
    rpc: tuple[str, ...] = ()

    @property
    def servers(self) -> tuple[str, ...]:
        """The RPC servers that get layers: all of them, or none where no layer goes anywhere."""
        return self.rpc if self.gpu_layers else ()

    @property
    def layers_on_cards(self) -> int:
        """`gpu_layers` as far as graphics cards compute for certain.

        An RPC server may as well compute on a processor, so with one nothing is counted on.
        """
        return 0 if self.rpc else self.gpu_layers


class StageEffect(WireValue, frozen=True, kw_only=True, array_like=True):
    """What one sampler of the chain did before a written token was chosen.

    `left`: candidates behind it. `changed`: how many logits it changed (penalties and DRY).
    `p`: the written token's probability among those left, 0 if it is not one of them.
    """

    left: int
    changed: int
    p: float


class Alternative(WireValue, frozen=True, kw_only=True, array_like=True):
    """A token that might have been written.

    `p`: the model's probability. `passed`: how many stages of the chain left it in. `chance`:
    the probability with which the chain would have chosen it.
    """

    id: int
    p: float
    passed: int
    chance: float


class TracedToken(WireValue, frozen=True, kw_only=True, array_like=True):
    """A token of an answer, in its place.

    Natural logarithms, over the full vocabulary. `rank`: 1 + number of tokens with a strictly
    larger logit. `passed`: as for an alternative. `top`: the most probable tokens, the best
    first, equal ones by id. `stages`: one for each of `Sampling.stages`.
    """

    id: int
    logp: float
    rank: int
    entropy: float
    passed: int
    top: tuple[Alternative, ...]
    stages: tuple[StageEffect, ...]


class Piece(WireValue, frozen=True, kw_only=True, array_like=True):
    """The bytes of a token, a control token's name included. `ends`: it ends an answer."""

    data: bytes
    control: bool = False
    ends: bool = False


class Device(WireValue, frozen=True, kw_only=True):
    """A compute device that the native library sees.

    `memory_total`, and `memory_free` of it when it was looked at, in bytes, 0 if unknown.
    `server`: the address of the RPC server that has it, "" on this machine.
    """

    name: str
    description: str
    kind: str
    memory_total: int = 0
    memory_free: int = 0
    server: str = ""


class DeviceLayers(WireValue, frozen=True, kw_only=True):
    """How many layers of a model a device holds, the output's as one more; `server` as above."""

    device: str
    layers: int
    server: str = ""


class ModelInfo(WireValue, frozen=True, kw_only=True):
    """What was loaded. Sizes in bytes; `n_swa` 0 where there is no sliding window.

    `chat_template` is Jinja source from the file, for `prompting.templates` alone. `bos`
    and `eos` are the texts of these tokens; `adds_bos`: every context starts with BOS.
    `content`, `adapter_content`: SHA-256 of the model's file (or over those of its parts) and of
    the adapter's, "" without one. `library`: what tells one build of llama.cpp from another, with
    the RPC servers that hold layers.
    `placement`: which devices hold its layers, () where the processor holds all of them.
    `pooling`, `embedding`: of a model that makes vectors of texts, and how many numbers one has.
    """

    path: str
    name: str
    architecture: str
    description: str
    parameters: int
    size: int
    n_vocab: int
    n_ctx: int
    n_ctx_train: int
    n_layer: int
    n_swa: int
    memory: MemoryKind
    threads: int
    gpu_layers: int
    kv_type: KVType
    chat_template: str = ""
    bos: str = ""
    eos: str = ""
    adds_bos: bool = False
    adapter: str | None = None
    content: str = ""
    adapter_content: str = ""
    library: str = ""
    devices: tuple[Device, ...] = ()
    placement: tuple[DeviceLayers, ...] = ()
    pooling: Pooling | None = None
    embedding: int = 0

    @property
    def servers(self) -> tuple[str, ...]:
        """The RPC servers that hold layers of it, each once."""
        return tuple(dict.fromkeys(one.server for one in self.placement if one.server))

    @property
    def servers_in_words(self) -> str:
        """On how many RPC servers layers of it are, as a phrase; "" where there are none."""
        return f"on {wording.amount(len(self.servers), 'server')}" if self.servers else ""

    @property
    def placement_in_words(self) -> str:
        """Where its layers are, as a phrase; "" where the processor has all of them."""
        shares: dict[str, int] = {}
        for one in self.placement:
            place = one.server or ("here" if one.device == "CPU" else one.device)
            shares[place] = shares.get(place, 0) + one.layers
        parts = [f"{layers} on {place}" for place, layers in shares.items() if place != "here"]
        if parts and "here" in shares:
            parts.append(f"{shares['here']} here")
        return f"layers: {', '.join(parts)}" if parts else ""
