"""The sampler chain, one sampler at a time: what each of them left at a token of an answer.

Rules are added to the row first. Every other figure comes from llama.cpp's own samplers, each
applied to what the one before it left. They see only tokens that can matter: the best k + P (k of
top-k, P the number of different tokens of the answer so far), those P, and the tokens that are
asked about. Penalties and DRY change no logit outside of the P, so what they change, and what any
later sampler leaves, is the same as over the whole row; a test holds that.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from urial_tui.engine.native.llama import Vocab
from urial_tui.engine.wire.scores import Floats
from urial_tui.engine.wire.values import Sampling, StageEffect
from urial_tui.engine.worker.rule_bias import RuleBias
from urial_tui.engine.worker.sampling import Candidates, Ids, SamplerChain, native_stages
from urial_tui.engine.worker.softmax import Lane, find_peaks

_CHANGE = ("penalties", "dry")
"""Stages that change logits by what was written before, and cut nothing."""


class TokenOutcome(NamedTuple):
    """How far a token came: stages passed, and the probability of being chosen at the end."""

    passed: int
    chance: float


class Followed(NamedTuple):
    """One place in an answer: the stages, then the outcomes of the tokens asked about."""

    stages: tuple[StageEffect, ...]
    outcomes: tuple[TokenOutcome, ...]


class ChainTrace:
    """The samplers of one answer; close it before the model.

    Args:
        vocab: The model's.
        sampling: The settings that make the chain.
        n_ctx_train: The model's training context, in tokens; bounds what DRY looks back on.
    """

    def __init__(self, vocab: Vocab, sampling: Sampling, n_ctx_train: int) -> None:
        self.names = native_stages(sampling)
        self._rules = None if sampling.rules is None else RuleBias(vocab, sampling.rules)
        self._size = vocab.size
        self._keep = 1 if "greedy" in self.names else max(1, sampling.top_k)
        self._samplers: list[SamplerChain] = []
        for stage in self.names:
            sampler = SamplerChain(vocab)
            self._samplers.append(sampler)
            sampler.add(stage, sampling, n_ctx_train)
        self._seen: set[int] = set()
        self._lane = Lane(vocab.size)

    def follow(self, row: Floats, written: int, listed: Sequence[int]) -> Followed:
        """Apply the chain to a row; outcomes are of `written`, then of each of `listed`.

        Args:
            row: float32 (n_vocab), finite but for -inf; it is not changed.
            written: The token that stands in this place.
            listed: Other tokens to ask about.

        Raises:
            ScoringError: The row is no distribution.
        """
        asked = np.array([written, *listed], np.int64)
        stages = []
        if self._rules is not None:
            row = self._rules.added_to(row)
            share = self._share(row, written)
            stages.append(StageEffect(left=self._size, changed=self._rules.changed, p=share))
        peaks = find_peaks(row, self._keep + len(self._seen))
        ids = np.unique(np.concatenate([peaks.ids, asked, np.fromiter(self._seen, np.int64)]))
        offset, rest = 0.0, 0.0
        if self.names[0] in _CHANGE:
            offset, rest = self._lane.mass_beside(row, peaks.maximum, ids)
        candidates = Candidates(ids, row[ids])
        passed = np.full(len(asked), len(stages), np.int64)
        shares = np.zeros(len(asked))
        for name, sampler in zip(self.names, self._samplers, strict=True):
            before = candidates.read()[1]
            sampler.apply(candidates)
            if name == "greedy":
                candidates.keep_selected()
            left, logits = candidates.read()
            changed, count = 0, len(left)
            if name in _CHANGE:
                changed, count = int(np.count_nonzero(logits != before)), self._size
            else:
                offset, rest = float(logits.max()), 0.0
            masses = np.exp(logits - offset)
            shares = _of(asked, left, masses / (masses.sum() + rest))
            passed += np.isin(asked, left)
            stages.append(StageEffect(left=count, changed=changed, p=float(shares[0])))
        return Followed(
            tuple(stages),
            tuple(TokenOutcome(int(n), float(p)) for n, p in zip(passed, shares, strict=True)),
        )

    def accept(self, token: int) -> None:
        """The token stands in the answer now, and counts for penalties and DRY."""
        self._seen.add(token)
        if self._rules is not None:
            self._rules.accept(token)
        for sampler in self._samplers:
            sampler.accept(token)

    def _share(self, row: Floats, token: int) -> float:
        """A token's probability by a row: over the whole vocabulary."""
        offset, rest = self._lane.mass_beside(row, float(row.max()), np.array([token], np.int64))
        own = float(np.exp(np.float64(row[token]) - offset))
        return own / (own + rest)

    def close(self) -> None:
        """Free the native samplers."""
        for sampler in self._samplers:
            sampler.close()
        self._samplers.clear()


def _of(asked: Ids, left: Ids, values: NDArray[np.float64]) -> NDArray[np.float64]:
    """The values of some tokens, 0 where they are not left."""
    order = np.argsort(left)
    at = np.minimum(np.searchsorted(left, asked, sorter=order), len(left) - 1)
    found = order[at]
    return np.where(left[found] == asked, values[found], 0.0)
