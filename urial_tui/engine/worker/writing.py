"""An answer as it is written: each token is chosen from a row of logits, until something ends it.

The one place where tokens are chosen, whoever evaluates them and however many answers are written
together. It knows nothing of contexts: it is given rows, and sends events.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np

from urial_tui.engine.native.llama import NativeModel
from urial_tui.engine.wire.commands import Generate
from urial_tui.engine.wire.events import Finished, Probabilities, StopReason, TextDelta
from urial_tui.engine.wire.scores import Floats
from urial_tui.engine.worker.sampling import Sampler
from urial_tui.engine.worker.scoring import SideScorer
from urial_tui.engine.worker.steps import Emit
from urial_tui.engine.worker.text import TextStream

EMIT_EVERY = 0.04
"""Seconds between two text events: 25 a second look smooth, and waking the client for every
token would take time from the cores that compute."""


class Writing:
    """The state of one answer that is written. `close` it, whatever happens.

    Args:
        model: Whose tokens they are.
        request: What is asked.
        emit: Takes its events.
        sample: Which one of the request's answers it is.

    Raises:
        EngineError: No answer can be written by these rules.
    """

    def __init__(self, model: NativeModel, request: Generate, emit: Emit, sample: int = 0) -> None:
        self.request = request
        self._sample = sample
        self.started = time.perf_counter()
        self.evaluated = 0
        """Tokens in front of the answer that were evaluated for it."""
        self.used = 0
        """Tokens that the context holds of it and of what stands in front of it."""
        self.reason: StopReason | None = None
        """Why it has ended; None while it has not."""
        self._vocab = model.vocab
        self._emit = emit
        self._text = TextStream(request.stops, request.close)
        self._sampler = Sampler(
            model.vocab,
            request.sampling.of_sample(sample),
            model.n_ctx_train,
            request.grammar,
        )
        self._chances: _Chances | None = None
        if request.logprobs is not None:
            self._chances = _Chances(model.vocab.size, request, request.logprobs, sample)
        self._prompt_done = self._first_token = 0.0
        self._generated = 0
        self._end_token: int | None = None
        self._stopped_by = ""
        self._next_emit = 0.0

    def begin(self, prefix: Sequence[int]) -> None:
        """The answer starts with these tokens.

        Raises:
            EngineError: Its grammar forbids them.
        """
        self._sampler.accept(prefix)
        self._text.begin((token, self._vocab.piece(token)) for token in prefix)

    def prompt_read(self, *, evaluated: int, used: int) -> None:
        """What stands in front of the answer is in the context, `evaluated` tokens of it anew."""
        self._prompt_done = time.perf_counter()
        self.evaluated += evaluated
        self.used = used

    def take(self, logits: Floats) -> int | None:
        """Choose the next token from the row in front of it: float32 (n_vocab).

        Returns:
            The token, None where it is one that ends a text. Where `reason` is set now, nothing
            follows it.

        Raises:
            NotFinite: The row holds NaN or infinities.
            EngineError: The answer can't go on as its grammar demands.
        """
        token = self._sampler.sample(logits)
        now = time.perf_counter()
        self._first_token = self._first_token or now
        if self._chances is not None:
            self._chances.add(logits, token)
        if self._vocab.is_eog(token):
            self._end_token = token
            self._stopped_by = self._vocab.piece(token, special=True).decode("utf-8", "replace")
            self.reason = "eos"
            return None
        self._generated += 1
        if self._text.push(token, self._vocab.piece(token)):
            self._stopped_by = self._text.stopped_by
            self.reason = "stop"
        elif self._sampler.complete:
            self.reason = "eos"
        elif self._generated >= self.request.max_tokens:
            self.reason = "length"
        if now >= self._next_emit:
            self.hand_out()
            self._next_emit = now + EMIT_EVERY
        return token

    def hand_out(self) -> None:
        """Send the text that can be shown by now."""
        if self._chances is not None and (chances := self._chances.take()) is not None:
            self._emit(chances)
        delta = self._text.take()
        if delta is not None:
            self._emit(
                TextDelta(
                    id=self.request.id,
                    text=delta.text,
                    ids=delta.ids,
                    pending=delta.pending,
                    generated=self._generated,
                    sample=self._sample,
                )
            )

    def finish(self, room: int) -> None:
        """Hand out the rest and `Finished`.

        Args:
            room: Tokens that the context may hold before the oldest turn has to leave it for
                another question.
        """
        reason: StopReason = self.reason or "cancelled"
        if self._text.finish() and reason != "stop":
            reason = "stop"
        self.hand_out()
        now = time.perf_counter()
        history = self._text.history()
        prompt_s = (self._prompt_done or now) - self.started
        decode_s = now - self._first_token if self._first_token else 0.0
        generated = self._generated
        self._emit(
            Finished(
                id=self.request.id,
                stop_reason=reason,
                text=history.text,
                ids=history.ids,
                tail=history.tail,
                generated=generated,
                used=self.used,
                stopped_by=self._stopped_by,
                end_token=self._end_token,
                room=room - self.used,
                prompt_s=prompt_s,
                first_token_s=(self._first_token or now) - self.started,
                decode_s=decode_s,
                prefill_tokens_per_s=self.evaluated / prompt_s if prompt_s > 0 else 0.0,
                decode_tokens_per_s=(
                    (generated - 1) / decode_s if generated > 1 and decode_s > 0 else 0.0
                ),
                sample=self._sample,
            )
        )

    def close(self) -> None:
        """Free the native samplers."""
        self._sampler.close()


class _Chances:
    """Collects the probabilities of the written tokens and of the likeliest others."""

    def __init__(self, n_vocab: int, request: Generate, top_k: int, sample: int) -> None:
        self._id = request.id
        self._sample = sample
        self._scorer = SideScorer(n_vocab=n_vocab, top_k=top_k)
        self._ids: list[int] = []
        self._logps: list[float] = []
        self._tops: list[tuple[tuple[int, float], ...]] = []

    def add(self, logits: Floats, token: int) -> None:
        """A token was chosen from this row."""
        scores = self._scorer.score(logits[np.newaxis], np.array([token]))
        logps = np.log(scores.top_p[0])
        self._ids.append(token)
        self._logps.append(float(scores.logp[0]))
        self._tops.append(tuple(zip(scores.top_ids[0].tolist(), logps.tolist(), strict=True)))

    def take(self) -> Probabilities | None:
        """What was collected since the last call."""
        if not self._ids:
            return None
        taken = Probabilities(
            id=self._id,
            ids=tuple(self._ids),
            logps=tuple(self._logps),
            tops=tuple(self._tops),
            sample=self._sample,
        )
        self._ids, self._logps, self._tops = [], [], []
        return taken
