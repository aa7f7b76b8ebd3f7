"""One answer: the only decode loop.

Chat, `ask`, evaluation and the aligned side of a comparison all come through `generate`;
what differs is in the command's parameters. The loop looks at the abort flag between
tokens and between prefill chunks, and the flag also ends a running evaluation.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from urial_tui.engine.native.context import Aborted, NoSlot
from urial_tui.engine.wire.protocol import (
    Event,
    Finished,
    Generate,
    PreambleReady,
    PrefillProgress,
    PreparePreamble,
    PromptReady,
    StopReason,
    TextDelta,
    Turn,
    TurnsDropped,
)
from urial_tui.engine.worker.kv import Branch, answer_room, fit_turns, runs
from urial_tui.engine.worker.loaded import LoadedModel
from urial_tui.engine.worker.sampling import NotFinite, Sampler
from urial_tui.engine.worker.text import AnswerText
from urial_tui.engine.worker.watching import SecondSide, Watcher
from urial_tui.errors import EngineError

EMIT_EVERY = 0.04
"""Seconds between two text events: 25 a second look smooth, and waking the client for every
token would take time from the cores that compute."""

Emit = Callable[[Event], None]


@dataclass
class _Progress:
    """What the final event reports. Times are of `time.perf_counter`, in seconds."""

    started: float
    prompt_done: float = 0.0
    first_token: float = 0.0
    evaluated: int = 0
    generated: int = 0
    used: int = 0
    stopped_by: str = ""
    end_token: int | None = None
    room: int = 0


@dataclass
class _Prompt:
    """The turns that are in the context now, as lengths; and where the preamble ends."""

    pinned: int
    lengths: list[int] = field(default_factory=list)


def pin(loaded: LoadedModel, request_id: int, preamble: Turn, emit: Emit) -> PreambleReady:
    """Pin a preamble, with progress events.

    Raises:
        Aborted: The abort flag was set.
        EngineError: It does not fit into the context.
    """
    started = time.perf_counter()

    def report(done: int, total: int) -> None:
        emit(PrefillProgress(id=request_id, stage="preamble", done=done, reused=0, total=total))
        _stop_if_asked(loaded)

    source = loaded.pin(preamble, report)
    return PreambleReady(
        id=request_id,
        tokens=len(loaded.cache.pinned),
        source=source,
        seconds=time.perf_counter() - started,
    )


def prepare(loaded: LoadedModel, request: PreparePreamble, emit: Emit) -> PreambleReady:
    """Carry out a PreparePreamble command.

    Raises:
        Aborted: The abort flag was set; what was read until then is kept.
        EngineError: The preamble does not fit into the context.
    """
    ready = pin(loaded, request.id, request.preamble, emit)
    flat = [_joined(turn) for turn in loaded.tokenize_turns(request.turns)]
    prompt = _Prompt(pinned=len(loaded.cache.pinned), lengths=[len(turn) for turn in flat])
    tokens = [*loaded.cache.pinned, *(token for turn in flat for token in turn)]
    if flat and len(tokens) < loaded.context.n_ctx:
        _read(loaded, request.id, prompt, tokens, emit)
    return ready


def generate(
    loaded: LoadedModel, second: LoadedModel | None, request: Generate, emit: Emit
) -> None:
    """Carry out a Generate command; the last event is Finished.

    `second` reads the answer along; None: nobody does.

    Raises:
        EngineError: The prompt can't be evaluated; the engine can go on.
    """
    progress = _Progress(started=time.perf_counter())
    answer = AnswerText(request.stops, request.close)
    sampler = Sampler(loaded.model.vocab, request.sampling, loaded.model.n_ctx_train)
    watcher = _watcher(loaded, second, request, emit)
    try:
        reason = _answer(loaded, request, sampler, answer, watcher, progress, emit)
        watcher.finish()
    except Aborted:
        reason = "cancelled"
    except NotFinite as error:
        loaded.cache.reset()
        raise EngineError(
            "The model's output is not a number.",
            "Its file is probably damaged: get it again, or choose another one.",
        ) from error
    finally:
        sampler.close()
    if answer.finish() and reason != "stop":
        reason = "stop"
    _emit_text(answer, request.id, progress, emit)
    space = loaded.context.n_ctx - len(loaded.cache.pinned)
    progress.room = loaded.context.n_ctx - answer_room(space, request.max_tokens) - progress.used
    _finish(request, answer, reason, progress, emit)


def _watcher(
    loaded: LoadedModel, second: LoadedModel | None, request: Generate, emit: Emit
) -> Watcher:
    if second is None:
        return Watcher()
    return SecondSide(second, loaded, request, emit, lambda: _stop_if_asked(loaded))


def _answer(
    loaded: LoadedModel,
    request: Generate,
    sampler: Sampler,
    answer: AnswerText,
    watcher: Watcher,
    progress: _Progress,
    emit: Emit,
) -> StopReason:
    ready = pin(loaded, request.id, request.preamble, emit)
    emit(ready)
    if ready.source == "computed":
        progress.evaluated += ready.tokens
    prefix = _joined(loaded.tokenize(request.prefix))
    answer.begin((token, loaded.model.vocab.piece(token)) for token in prefix)
    sampler.accept(prefix)
    prompt, branch = _evaluate_prompt(loaded, request, ready, prefix, watcher, progress, emit)
    _emit_text(answer, request.id, progress, emit)
    return _decode(loaded, request, sampler, answer, watcher, progress, prompt, branch, emit)


def _evaluate_prompt(
    loaded: LoadedModel,
    request: Generate,
    ready: PreambleReady,
    prefix: list[int],
    watcher: Watcher,
    progress: _Progress,
    emit: Emit,
) -> tuple[_Prompt, Branch]:
    """Bring the turns into the context, dropping the oldest where they don't fit."""
    cache = loaded.cache
    turns = loaded.tokenize_turns(request.turns)
    flat = [_joined(turn) for turn in turns]
    if not flat or not flat[-1]:
        raise EngineError("There is nothing to answer.", "Type a question first.")
    flat[-1] += prefix
    lengths = [len(turn) for turn in flat]
    n_ctx = loaded.context.n_ctx
    fit = fit_turns(lengths, len(cache.pinned), n_ctx, request.max_tokens)
    if fit is None:
        raise EngineError(
            f"The question has {lengths[-1]} tokens; with the preamble's {len(cache.pinned)} "
            f"that is more than the context of {n_ctx} holds.",
            "Shorten it, choose a shorter preamble, or raise the context setting.",
        )
    if fit.dropped:
        everything = [*cache.pinned, *(token for turn in flat for token in turn)]
        cache.shift(everything, len(cache.pinned), fit.tokens)
        emit(TurnsDropped(id=request.id, turns=fit.dropped, tokens=fit.tokens))
    prompt = _Prompt(pinned=len(cache.pinned), lengths=lengths[fit.dropped :])
    tokens = [*cache.pinned, *(token for turn in flat[fit.dropped :] for token in turn)]
    branch, reused = _read(loaded, request.id, prompt, tokens, emit)
    progress.prompt_done = time.perf_counter()
    progress.evaluated += len(tokens) - reused
    progress.used = len(branch.tokens)
    watcher.read(cache.pinned, flat[fit.dropped :], prefix)
    if ready.source == "computed":
        reused -= ready.tokens
    emit(
        PromptReady(
            id=request.id,
            turns=tuple(turns),
            reused=reused,
            prefilled=len(tokens) - reused,
            used=len(tokens),
        )
    )
    return prompt, branch


def _read(
    loaded: LoadedModel, request_id: int, prompt: _Prompt, tokens: list[int], emit: Emit
) -> tuple[Branch, int]:
    """Evaluate what of `tokens` is not kept, with logits for the last one: (branch, kept)."""
    ends = runs(prompt.pinned, prompt.lengths, loaded.context.n_batch)
    branch = loaded.cache.place(tokens, ends)
    reused = len(branch.tokens)

    def report(done: int) -> None:
        emit(
            PrefillProgress(
                id=request_id, stage="prompt", done=done, reused=reused, total=len(tokens)
            )
        )
        _stop_if_asked(loaded)

    # The first run takes as long as any other: what there is to read is told before it.
    report(reused)
    loaded.read(branch, tokens, ends, report)
    return branch, reused


def _decode(
    loaded: LoadedModel,
    request: Generate,
    sampler: Sampler,
    answer: AnswerText,
    watcher: Watcher,
    progress: _Progress,
    prompt: _Prompt,
    branch: Branch,
    emit: Emit,
) -> StopReason:
    """Choose tokens and evaluate them until something ends the answer."""
    vocab = loaded.model.vocab
    context = loaded.context
    governor = loaded.governor
    threads = governor.threads
    next_emit = 0.0
    clock = time.perf_counter
    last = clock()
    while True:
        token = sampler.sample(context.logits())
        if vocab.is_eog(token):
            progress.first_token = progress.first_token or clock()
            progress.end_token = token
            progress.stopped_by = vocab.piece(token, special=True).decode("utf-8", "replace")
            return "eos"
        progress.generated += 1
        piece = vocab.piece(token)
        stopped = answer.push(token, piece)
        now = clock()
        progress.first_token = progress.first_token or now
        if now >= next_emit:
            _emit_text(answer, request.id, progress, emit)
            next_emit = now + EMIT_EVERY
        watcher.push(token, piece)
        last += clock() - now
        if stopped:
            progress.stopped_by = answer.stopped_by
            return "stop"
        if progress.generated >= request.max_tokens:
            return "length"
        _stop_if_asked(loaded)
        try:
            branch = _append(loaded, request.id, prompt, branch, token, watcher, emit)
        except NoSlot:
            return "length"
        progress.used = len(branch.tokens)
        now = clock()
        wanted = governor.observe(now - last, now)
        last = now
        if wanted != threads:
            threads = wanted
            context.set_threads(threads)
            watcher.set_threads(threads)


def _append(
    loaded: LoadedModel,
    request_id: int,
    prompt: _Prompt,
    branch: Branch,
    token: int,
    watcher: Watcher,
    emit: Emit,
) -> Branch:
    """Evaluate one more token; when the context is full, the oldest turn leaves it.

    Raises:
        NoSlot: The context is full and only the open turn is left in it.
    """
    if len(branch.tokens) < loaded.context.n_ctx:
        loaded.evaluate(branch, (token,))
        return branch
    if len(prompt.lengths) < 2:
        raise NoSlot
    count = prompt.lengths.pop(0)
    emit(TurnsDropped(id=request_id, turns=1, tokens=count))
    tokens = list(branch.tokens)
    rest = [*tokens[: prompt.pinned], *tokens[prompt.pinned + count :], token]
    if loaded.cache.shift(tokens, prompt.pinned, count):
        loaded.evaluate(branch, (token,))
    else:
        prompt.lengths[-1] = len(rest) - prompt.pinned - sum(prompt.lengths[:-1])
        branch, _ = _read(loaded, request_id, prompt, rest, emit)
    watcher.drop()
    return branch


def _joined(segments: Sequence[Sequence[int]]) -> list[int]:
    return [token for segment in segments for token in segment]


def _stop_if_asked(loaded: LoadedModel) -> None:
    if loaded.flag.is_set:
        raise Aborted


def _emit_text(answer: AnswerText, request_id: int, progress: _Progress, emit: Emit) -> None:
    delta = answer.take()
    if delta is not None:
        emit(
            TextDelta(
                id=request_id,
                text=delta.text,
                ids=delta.ids,
                pending=delta.pending,
                generated=progress.generated,
            )
        )


def _finish(
    request: Generate, answer: AnswerText, reason: StopReason, progress: _Progress, emit: Emit
) -> None:
    now = time.perf_counter()
    history = answer.history()
    prompt_s = (progress.prompt_done or now) - progress.started
    decode_s = now - progress.first_token if progress.first_token else 0.0
    emit(
        Finished(
            id=request.id,
            stop_reason=reason,
            text=history.text,
            ids=history.ids,
            tail=history.tail,
            generated=progress.generated,
            used=progress.used,
            stopped_by=progress.stopped_by,
            end_token=progress.end_token,
            room=progress.room,
            prompt_s=prompt_s,
            first_token_s=(progress.first_token or now) - progress.started,
            decode_s=decode_s,
            prefill_tokens_per_s=progress.evaluated / prompt_s if prompt_s > 0 else 0.0,
            decode_tokens_per_s=(
                (progress.generated - 1) / decode_s
                if progress.generated > 1 and decode_s > 0
                else 0.0
            ),
        )
    )
