"""Choosing the next token.

One rule for all modes: rules, penalties, DRY, top-k, top-p, min-p, temperature, draw. Rules are
added to the row before the native chain sees it (`rule_bias`). Top-k comes before everything that
sorts or sums, which over a vocabulary of 262,144 tokens is a hundred times cheaper. The native
chain copies the whole row first; where only a few tokens can be chosen, they are picked out before
and the chain sees no others. That is exact: penalties only lower a token's logit, so with P tokens
penalised the best k lie among the best k + P.

A grammar is asked about the token that was chosen. Where it refuses that one, the choice is made
again among all that it allows. A token counts, for penalties, DRY and the grammar, once it stands.
"""

from __future__ import annotations

import ctypes
import secrets
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from urial_tui.engine.native.batch import DecodeError
from urial_tui.engine.native.llama import DrySettings, Vocab, lib
from urial_tui.engine.wire.scores import Floats, ScoringError
from urial_tui.engine.wire.values import Grammar, SamplerStage, Sampling
from urial_tui.engine.worker.constraint import Constraint
from urial_tui.engine.worker.rule_bias import RuleBias
from urial_tui.engine.worker.softmax import find_peaks

Ids = NDArray[np.int64]

_CANDIDATE = np.dtype([("id", "i4"), ("logit", "f4"), ("p", "f4")])
"""llama_token_data."""

_DRY_BREAKERS = (b"\n", b":", b'"', b"*")

_SEEDS = 0xFFFFFFFF

_WORTH = 128
"""Picking tokens out pays while they are fewer than one in so many."""


class Candidates:
    """Tokens that may be chosen, with their logits: what samplers change, sort and cut.

    Args:
        ids: Tokens, each once.
        logits: float32, theirs.
    """

    def __init__(self, ids: Ids, logits: Floats) -> None:
        self._memory = np.zeros(len(ids), _CANDIDATE)
        self._memory["id"], self._memory["logit"] = ids, logits
        self.array = lib.llama_token_data_array(
            data=self._memory.ctypes.data_as(ctypes.POINTER(lib.llama_token_data)),
            size=len(ids),
            selected=-1,
            sorted=False,
        )

    def read(self) -> tuple[Ids, NDArray[np.float64]]:
        """What is left, in the order in which the samplers left it.

        Returns:
            Their ids, and their logits.
        """
        left = self._memory[: self.array.size]
        return left["id"].astype(np.int64), left["logit"].astype(np.float64)

    @property
    def selected(self) -> int | None:
        """The token that was chosen; None where none was."""
        if not 0 <= self.array.selected < self.array.size:
            return None
        return int(self._memory["id"][self.array.selected])

    def keep_selected(self) -> None:
        """Leave nothing but the token that was chosen."""
        self._memory[0] = self._memory[self.array.selected]
        self.array.size, self.array.selected = 1, 0


class SamplerChain:
    """A native sampler chain that ends with a selecting sampler (greedy or dist)."""

    def __init__(self, vocab: Vocab) -> None:
        params = lib.llama_sampler_chain_default_params()
        params.no_perf = True
        self._vocab = vocab
        self._chain = lib.llama_sampler_chain_init(params)
        self._selects = False

    def add(self, stage: SamplerStage, sampling: Sampling, n_ctx_train: int) -> None:
        """Add a stage as the settings have it; rules are none of the native ones."""
        match stage:
            case "penalties":
                self.penalties(
                    sampling.penalty_last_n,
                    sampling.repetition_penalty,
                    sampling.frequency_penalty,
                    sampling.presence_penalty,
                )
            case "dry":
                self.dry(
                    sampling.dry_multiplier,
                    sampling.dry_base,
                    sampling.dry_allowed_length,
                    sampling.dry_last_n,
                    n_ctx_train,
                )
            case "top-k":
                self.top_k(max(1, sampling.top_k))
            case "top-p":
                self.top_p(sampling.top_p)
            case "min-p":
                self.min_p(sampling.min_p)
            case "temperature":
                self.temperature(sampling.temperature)
            case "greedy":
                self.greedy()

    def penalties(self, last_n: int, repeat: float, frequency: float, presence: float) -> None:
        """Repetition, frequency and presence penalties over the last `last_n` accepted tokens."""
        self._add(
            lib.llama_sampler_init_penalties(self._vocab.size, last_n, repeat, frequency, presence)
        )

    def dry(
        self, multiplier: float, base: float, allowed_length: int, last_n: int, n_ctx_train: int
    ) -> None:
        """DRY: penalise tokens that would extend a repeated sequence."""
        last_n = min(last_n, n_ctx_train)
        settings = DrySettings(multiplier, base, allowed_length, last_n, _DRY_BREAKERS)
        self._add(self._vocab.dry_sampler(settings))

    def top_k(self, k: int) -> None:
        """Keep the `k` most probable tokens."""
        self._add(lib.llama_sampler_init_top_k(k))

    def top_p(self, p: float) -> None:
        """Keep the fewest tokens whose probabilities add up to `p`."""
        self._add(lib.llama_sampler_init_top_p(p, 1))

    def min_p(self, p: float) -> None:
        """Keep the tokens at least `p` times as probable as the most probable one."""
        self._add(lib.llama_sampler_init_min_p(p, 1))

    def temperature(self, temperature: float) -> None:
        """Divide the logits by `temperature` (> 0)."""
        self._add(lib.llama_sampler_init_temp(temperature))

    def greedy(self) -> None:
        """Select the most probable token."""
        self._add(lib.llama_sampler_init_greedy())
        self._selects = True

    def dist(self, seed: int) -> None:
        """Draw a token by its probability."""
        self._add(lib.llama_sampler_init_dist(seed))
        self._selects = True

    def choose(self, ids: Ids, logits: Floats) -> int:
        """Choose one of these tokens; ids ascending, no other one is possible.

        It is not accepted: a grammar may refuse it.
        """
        if not self._selects or not len(ids):
            raise DecodeError("nothing to sample from")
        candidates = Candidates(ids, logits)
        self.apply(candidates)
        token = candidates.selected
        if token is None:
            raise DecodeError("the samplers left no token")
        return token

    def apply(self, candidates: Candidates) -> None:
        """Let the samplers change, sort and cut these; nothing is accepted."""
        if not candidates.array.size:
            raise DecodeError("nothing to sample from")
        lib.llama_sampler_apply(self._chain, ctypes.byref(candidates.array))

    def accept(self, token: int) -> None:
        """Count a token: it was chosen, or stands in an answer that is continued."""
        lib.llama_sampler_accept(self._chain, token)

    def close(self) -> None:
        """Free the chain and its samplers."""
        if self._chain:
            lib.llama_sampler_free(self._chain)
            self._chain = None

    def _add(self, sampler: Any) -> None:
        if not sampler:  # the chain would crash on it
            raise DecodeError("a sampler can't be made with these settings")
        lib.llama_sampler_chain_add(self._chain, sampler)


class NotFinite(DecodeError):
    """The model's output is not a number: damaged weights, or a state that does not fit."""


class Sampler:
    """The sampler of one answer. Close it before the context.

    Args:
        vocab: The model's.
        sampling: How a token is chosen.
        n_ctx_train: The model's training context, in tokens; bounds what DRY looks back on.
        grammar: What the answer has to follow; None leaves it free.

    Raises:
        EngineError: The grammar can't be read or followed.
    """

    def __init__(
        self, vocab: Vocab, sampling: Sampling, n_ctx_train: int, grammar: Grammar | None = None
    ) -> None:
        self._constraint = None if grammar is None else Constraint(vocab, grammar)
        self._chain: SamplerChain | None = None
        self._checked = False
        self._keep = 1 if sampling.temperature <= 0.0 else max(1, sampling.top_k)
        self._only_lowers = (
            sampling.repetition_penalty >= 1.0
            and sampling.frequency_penalty >= 0.0
            and sampling.presence_penalty >= 0.0
        )
        self._seen: set[int] = set()
        self._rules = None if sampling.rules is None else RuleBias(vocab, sampling.rules)
        stages = native_stages(sampling)
        if stages == ("greedy",):
            return
        chain = self._chain = SamplerChain(vocab)
        for stage in stages:
            chain.add(stage, sampling, n_ctx_train)
        if "greedy" not in stages:
            chain.dist(secrets.randbits(32) if sampling.seed is None else sampling.seed & _SEEDS)

    def accept(self, tokens: Sequence[int]) -> None:
        """Count tokens of an answer that is being continued.

        Raises:
            EngineError: The grammar forbids what they write.
        """
        if self._constraint is not None:
            self._constraint.accept_text(tokens)
        for token in tokens:
            self._count(token)

    @property
    def complete(self) -> bool:
        """Whether a grammar was followed to an end behind which it allows nothing."""
        return self._constraint is not None and self._constraint.complete

    def sample(self, logits: Floats) -> int:
        """The next token, from the row of logits in front of it: float32 (n_vocab).

        Raises:
            NotFinite: The first row of the answer, or what can be chosen of a later one, is
                NaN or infinite.
            EngineError: No token that the grammar allows here can be written.
        """
        # NaN in any weight spreads to whole rows, so the first row tells; a sum is NaN or
        # infinite if any term is.
        if not self._checked and not _is_finite(float(logits.sum(dtype="float64"))):
            raise NotFinite
        self._checked = True
        row = logits if self._rules is None else self._rules.added_to(logits)
        token = self._choose(row)
        if self._constraint is not None and not self._constraint.allows(token):
            token = self._choose_allowed(row, self._constraint)
        if not _is_finite(float(logits[token])):
            raise NotFinite
        if self._constraint is not None:
            self._constraint.accept(token)
        self._count(token)
        return token

    def _count(self, token: int) -> None:
        """A token stands in the answer."""
        if self._rules is not None:
            self._rules.accept(token)
        if self._chain is not None:
            self._chain.accept(token)
            self._seen.add(token)

    def _choose_allowed(self, logits: Floats, constraint: Constraint) -> int:
        tokens = constraint.allowed()
        row = logits[tokens]
        possible = row != -np.inf
        if not possible.any():
            raise constraint.dead_end()
        return self._choose(row[possible], tokens[possible])

    def _choose(self, row: Floats, tokens: Ids | None = None) -> int:
        """Choose by the logits of `tokens` (ascending), or of all tokens."""
        if self._chain is None:
            best = int(row.argmax())
            return best if tokens is None else int(tokens[best])
        wanted = self._keep + len(self._seen)
        if not self._only_lowers or wanted * _WORTH > len(row):
            return self._chain.choose(np.arange(len(row)) if tokens is None else tokens, row)
        try:
            peaks = find_peaks(row, wanted).ids
        except ScoringError as error:
            raise NotFinite from error
        return self._chain.choose(peaks if tokens is None else tokens[peaks], row[peaks])

    def close(self) -> None:
        """Free the native chain."""
        if self._chain:
            self._chain.close()
            self._chain = None


def native_stages(sampling: Sampling) -> tuple[SamplerStage, ...]:
    """The samplers of a chain that are llama.cpp's own."""
    return tuple(stage for stage in sampling.stages if stage != "rules")


def _is_finite(value: float) -> bool:
    return value - value == 0.0
