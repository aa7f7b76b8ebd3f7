"""An answer read again by the model that wrote it: what else could have stood at each token.

It is evaluated behind what the cache still holds of its conversation, a few tokens at a
time, and each batch is reduced and handed out before the next one: the first tokens can be
looked at while the last are read, and no logits pile up.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np

from urial_tui.engine.native.context import NoSlot
from urial_tui.engine.native.llama import Vocab
from urial_tui.engine.wire.commands import Trace
from urial_tui.engine.wire.events import PrefillProgress, Traced, TracedTokens
from urial_tui.engine.wire.scores import Floats
from urial_tui.engine.wire.values import Alternative, Piece, TracedToken
from urial_tui.engine.worker.chain_trace import ChainTrace
from urial_tui.engine.worker.generation import pin, stop_if_asked
from urial_tui.engine.worker.kv import Branch, runs
from urial_tui.engine.worker.loaded import LoadedModel, joined
from urial_tui.engine.worker.scoring import SideScorer
from urial_tui.engine.worker.steps import Emit, Steps
from urial_tui.errors import EngineError


def trace(loaded: LoadedModel, request: Trace, emit: Emit) -> Steps[Traced]:
    """Carry out a Trace command.

    Raises:
        EngineError: There is no answer, or it does not fit into the context.
        Aborted: The abort flag was set; the cache holds what was evaluated.
    """
    started = time.perf_counter()
    yield from pin(loaded, request.id, request.preamble, emit)
    answer = joined(loaded.tokenize(request.answer))
    if not answer:
        raise EngineError("There is no text in this answer.", "Choose another one.")
    behind, left_out = _behind(loaded, request, len(answer))
    context = [*loaded.cache.pinned, *(token for run in behind for token in run)]
    branch = yield from _read(loaded, request.id, context, [len(run) for run in behind], emit)
    reader = _Reader(loaded, request, len(answer))
    try:
        tokens = [context[-1], *answer[:-1]]
        batch = loaded.context.n_outputs
        for start in range(0, len(answer), batch):
            yield
            stop_if_asked(loaded)
            loaded.evaluate_all(branch, tokens[start : start + batch])
            rows = loaded.context.all_logits()
            emit(reader.reduce(rows, answer[start : start + batch]))
    except NoSlot as error:
        raise _too_long(len(context) + len(answer), loaded.context.n_ctx) from error
    finally:
        reader.close()
    return Traced(id=request.id, left_out=left_out, seconds=time.perf_counter() - started)


class _Reader:
    """Reduces the rows of one answer, in their order."""

    def __init__(self, loaded: LoadedModel, request: Trace, total: int) -> None:
        self._vocab = loaded.model.vocab
        self._request = request
        self._total = total
        self._named: set[int] = set()
        self._scorer = SideScorer(
            n_vocab=self._vocab.size, top_k=max(1, request.top_k), threads=loaded.info.threads
        )
        self._chain = ChainTrace(self._vocab, request.sampling, loaded.model.n_ctx_train)

    def reduce(self, rows: Floats, ids: Sequence[int]) -> TracedTokens:
        """The next tokens, from the (n, n_vocab) logits in front of them."""
        scores = self._scorer.score(rows, np.asarray(ids, np.int64))
        tokens = []
        for at, token in enumerate(ids):
            top = scores.top_ids[at].tolist()
            followed = self._chain.follow(rows[at], token, top)
            self._chain.accept(token)
            own, *others = followed.outcomes
            tokens.append(
                TracedToken(
                    id=token,
                    logp=float(scores.logp[at]),
                    rank=int(scores.rank[at]),
                    entropy=float(scores.entropy[at]),
                    passed=own.passed,
                    top=tuple(
                        Alternative(id=id_, p=p, passed=other.passed, chance=other.chance)
                        for id_, p, other in zip(
                            top, scores.top_p[at].tolist(), others, strict=True
                        )
                    ),
                    stages=followed.stages,
                )
            )
        return TracedTokens(
            id=self._request.id,
            total=self._total,
            tokens=tuple(tokens),
            pieces=self._pieces({t for token in tokens for t in _named(token)}),
        )

    def close(self) -> None:
        """Free the native samplers."""
        self._chain.close()

    def _pieces(self, ids: set[int]) -> dict[int, Piece]:
        new = ids - self._named
        self._named |= new
        return {token: _piece(self._vocab, token) for token in sorted(new)}


def _named(token: TracedToken) -> tuple[int, ...]:
    return (token.id, *(other.id for other in token.top))


def _piece(vocab: Vocab, token: int) -> Piece:
    text, name = vocab.piece(token), vocab.piece(token, special=True)
    return Piece(data=text or name, control=bool(name and not text), ends=vocab.is_eog(token))


def _behind(loaded: LoadedModel, request: Trace, room: int) -> tuple[list[list[int]], int]:
    """The ids of what stands behind the preamble, the lead if there is one and the turns; and how
    many turns were left out for the answer's `room`.
    """
    pinned = loaded.cache.pinned
    lead, segments = loaded.tokenize_behind(request.lead, request.turns, pinned)
    turns = [joined(turn) for turn in segments]
    n_ctx = loaded.context.n_ctx
    # The last token of the answer is not evaluated.
    length = len(pinned) + len(lead) + sum(map(len, turns)) + room - 1
    left_out = 0
    while length > n_ctx and left_out < len(turns) - 1:
        length -= len(turns[left_out])
        left_out += 1
    if length > n_ctx:
        raise _too_long(length, n_ctx)
    if not (turns and turns[-1]):
        raise EngineError("Nothing stands in front of this answer.", "Choose another one.")
    kept = turns[left_out:]
    return ([lead, *kept] if lead else kept), left_out


def _read(
    loaded: LoadedModel, request_id: int, context: list[int], lengths: list[int], emit: Emit
) -> Steps[Branch]:
    """A branch with all tokens of the context but the last one."""
    lengths[-1] -= 1
    ends = runs(len(loaded.cache.pinned), lengths, loaded.context.n_batch)
    branch = loaded.cache.place(context, ends)
    reused = len(branch.tokens)

    def report(done: int) -> None:
        emit(
            PrefillProgress(
                id=request_id, stage="prompt", done=done, reused=reused, total=len(context)
            )
        )
        stop_if_asked(loaded)

    yield from loaded.read(branch, context[:-1], ends, report)
    return branch


def _too_long(length: int, n_ctx: int) -> EngineError:
    return EngineError(
        f"The answer and its question have {length:,} tokens with the preamble; the context "
        f"holds {n_ctx:,}.",
        "Raise the context setting (engine.context), or choose a shorter preamble.",
    )
