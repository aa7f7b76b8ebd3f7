"""Traces of answers that no model wrote: for looks and for timing."""

from __future__ import annotations

import math
from collections.abc import Sequence

from urial_tui.engine.wire.events import TracedTokens
from urial_tui.engine.wire.values import Alternative, Piece, Sampling, StageEffect, TracedToken

VOCABULARY = 262_144
_END = 900
"""The id of the token that ends answers."""
_LEFT = {"top-k": 40, "top-p": 9, "min-p": 4, "temperature": 4, "greedy": 1}


def traced(
    words: Sequence[tuple[str, float]],
    sampling: Sampling,
    *,
    batch: int = 8,
    ids: Sequence[int] = (),
) -> list[TracedTokens]:
    """What a model tells that gave these words these probabilities.

    The words' ids are 1, 2, … unless given. Its other words are w1, w2, … from 1000 on; the
    first of them are more probable than an improbable word, and the second one of them ends
    the answer.
    """
    pieces = {_END: Piece(data=b"<end_of_turn>", control=True, ends=True)}
    pieces |= {1000 + n: Piece(data=f" w{n}".encode()) for n in range(12)}
    tokens = []
    for at, (word, p) in enumerate(words):
        token = ids[at] if ids else at + 1
        pieces[token] = Piece(data=word.encode())
        tokens.append(_token(at, token, p, sampling))
    return [
        TracedTokens(
            id=0,
            total=len(words),
            tokens=tuple(tokens[start : start + batch]),
            pieces=pieces if not start else {},
        )
        for start in range(0, len(words), batch)
    ]


def _token(at: int, token: int, p: float, sampling: Sampling) -> TracedToken:
    stages = sampling.stages
    others = [1000, _END, *range(1001, 1010)]
    shares = [max(0.0, 1 - p) * 0.5 ** (n + 1) for n in range(len(others))]
    ranked = sorted([(p, token), *zip(shares, others, strict=True)], reverse=True)
    rank = next(n for n, (_, id_) in enumerate(ranked) if id_ == token) + 1

    def passed(place: int) -> int:
        return next(
            (n for n, stage in enumerate(stages) if place > _LEFT.get(stage, VOCABULARY)),
            len(stages),
        )

    def chance(place: int, share: float) -> float:
        if passed(place) < len(stages):
            return 0.0
        return 1.0 if stages[-1] == "greedy" else share / sum(q for q, _ in ranked[:4])

    return TracedToken(
        id=token,
        logp=math.log(p),
        rank=rank,
        entropy=2.0 * (1 - p),
        passed=passed(rank),
        top=tuple(
            Alternative(id=id_, p=q, passed=passed(n), chance=chance(n, q))
            for n, (q, id_) in enumerate(ranked[:10], start=1)
        ),
        stages=tuple(
            StageEffect(
                left=_LEFT.get(stage, VOCABULARY),
                changed=at if stage == "penalties" else 0,
                p=(chance(rank, p) or p) if n < passed(rank) else 0.0,
            )
            for n, stage in enumerate(stages)
        ),
    )
