"""Choosing the next token.

One rule for all modes: penalties, DRY, top-k, top-p, min-p, temperature, draw. Top-k comes
before everything that sorts or sums, which over a vocabulary of 262,144 tokens is a
hundred times cheaper. Greedy without penalties is the arg max of the logits; that equals
the chain's greedy sampler (first of equals) without its copy of the whole row.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence

from urial_tui.engine.llama import Context, DecodeError, SamplerChain, Vocab
from urial_tui.engine.protocol import Sampling


class NotFinite(DecodeError):
    """The model's output is not a number: damaged weights, or a state that does not fit."""


class Sampler:
    """The sampler of one answer. Close it before the context."""

    def __init__(self, vocab: Vocab, sampling: Sampling, n_ctx_train: int) -> None:
        self._chain: SamplerChain | None = None
        self._checked = False
        penalised = (
            sampling.repetition_penalty != 1.0
            or sampling.frequency_penalty != 0.0
            or sampling.presence_penalty != 0.0
        ) and sampling.penalty_last_n > 0
        dry = sampling.dry_multiplier > 0.0 and sampling.dry_last_n > 0
        greedy = sampling.temperature <= 0.0
        if greedy and not penalised and not dry:
            return
        chain = self._chain = SamplerChain(vocab)
        if penalised:
            chain.penalties(
                sampling.penalty_last_n,
                sampling.repetition_penalty,
                sampling.frequency_penalty,
                sampling.presence_penalty,
            )
        if dry:
            chain.dry(
                sampling.dry_multiplier,
                sampling.dry_base,
                sampling.dry_allowed_length,
                sampling.dry_last_n,
                n_ctx_train,
            )
        if greedy:
            chain.greedy()
            return
        chain.top_k(max(1, sampling.top_k))
        if sampling.top_p < 1.0:
            chain.top_p(sampling.top_p)
        if sampling.min_p > 0.0:
            chain.min_p(sampling.min_p)
        chain.temperature(sampling.temperature)
        chain.dist(secrets.randbits(32) if sampling.seed is None else sampling.seed & 0xFFFFFFFF)

    def accept(self, tokens: Sequence[int]) -> None:
        """Count tokens of an answer that is being continued."""
        if self._chain:
            for token in tokens:
                self._chain.accept(token)

    def sample(self, context: Context) -> int:
        """The next token.

        Raises:
            NotFinite: The first row of the answer, or a chosen logit, is NaN or infinite.
        """
        logits = context.logits()
        if not self._checked:
            # NaN in any weight spreads to whole rows, so the first row tells; a sum is
            # NaN or infinite if any term is.
            if not _is_finite(float(logits.sum(dtype="float64"))):
                raise NotFinite
            self._checked = True
        token = self._chain.sample(context) if self._chain else int(logits.argmax())
        if not _is_finite(float(logits[token])):
            raise NotFinite
        return token

    def close(self) -> None:
        """Free the native chain."""
        if self._chain:
            self._chain.close()
            self._chain = None


def _is_finite(value: float) -> bool:
    return value - value == 0.0
