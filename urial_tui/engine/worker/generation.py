"""One answer that is written alone: the decode loop of chat, `ask` and a comparison.

It has its model's context for itself, and what it evaluates follows from its question alone, so
the same question gets the same numbers whatever else the process does (see `kv`). The flag is
looked at between tokens and between prefill chunks, and also ends a running evaluation.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from urial_tui.engine.native.context import Aborted, NoSlot
from urial_tui.engine.wire.commands import Generate, PreparePreamble
from urial_tui.engine.wire.events import PreambleReady, PrefillProgress, PromptReady, TurnsDropped
from urial_tui.engine.wire.values import Turn
from urial_tui.engine.worker.kv import Branch, answer_room, fit_turns, runs
from urial_tui.engine.worker.loaded import LoadedModel, joined
from urial_tui.engine.worker.sampling import NotFinite
from urial_tui.engine.worker.steps import Emit, Steps
from urial_tui.engine.worker.watching import ShiftWatcher, Watcher
from urial_tui.engine.worker.writing import Writing
from urial_tui.errors import EngineError


@dataclass
class _Prompt:
    """The turns that are in the context now, as lengths; and what stands in front of them.

    `pinned`: tokens of the preamble. `lead`: of what follows it and stays.
    """

    pinned: int
    lengths: list[int] = field(default_factory=list)
    lead: int = 0

    @property
    def start(self) -> int:
        """Where the first turn starts."""
        return self.pinned + self.lead

    def ends(self, most: int) -> list[int]:
        """Where the runs end that it is read in, of at most so many tokens."""
        return runs(self.pinned, [self.lead, *self.lengths] if self.lead else self.lengths, most)


def pin(loaded: LoadedModel, request_id: int, preamble: Turn, emit: Emit) -> Steps[PreambleReady]:
    """Pin a preamble, with progress events.

    Raises:
        Aborted: The abort flag was set.
        EngineError: It does not fit into the context.
    """
    started = time.perf_counter()

    def report(done: int, total: int) -> None:
        emit(PrefillProgress(id=request_id, stage="preamble", done=done, reused=0, total=total))
        stop_if_asked(loaded)

    source = yield from loaded.pin(preamble, report)
    return PreambleReady(
        id=request_id,
        tokens=len(loaded.cache.pinned),
        source=source,
        seconds=time.perf_counter() - started,
    )


def prepare(loaded: LoadedModel, request: PreparePreamble, emit: Emit) -> Steps[PreambleReady]:
    """Carry out a PreparePreamble command.

    Raises:
        Aborted: The abort flag was set; what was read until then is kept.
        EngineError: The preamble does not fit into the context.
    """
    ready = yield from pin(loaded, request.id, request.preamble, emit)
    pinned = loaded.cache.pinned
    flat = [joined(turn) for turn in loaded.tokenize_turns(request.turns, pinned)]
    prompt = _Prompt(pinned=len(pinned), lengths=[len(turn) for turn in flat])
    tokens = [*pinned, *(token for turn in flat for token in turn)]
    if flat and len(tokens) < loaded.context.n_ctx:
        yield from _read(loaded, request.id, prompt, tokens, emit)
    return ready


def answer(
    loaded: LoadedModel, second: LoadedModel | None, request: Generate, emit: Emit
) -> Steps[None]:
    """Carry out a Generate command; the last event is Finished.

    `second` reads the answer along; None: nobody does.

    Raises:
        EngineError: The prompt can't be evaluated, or what the model says is no number; the engine
            can go on.
    """
    watcher = _watcher(loaded, second, request, emit)
    writing = Writing(loaded.model, request, emit)
    lead = 0
    try:
        try:
            prompt, branch = yield from _prompt(loaded, request, writing, watcher, emit)
            lead = prompt.lead
            yield from _decode(loaded, request.id, writing, watcher, prompt, branch, emit)
            watcher.finish()
        except Aborted:
            pass
        except NotFinite as error:
            loaded.cache.reset()
            raise not_a_number() from error
        space = loaded.context.n_ctx - len(loaded.cache.pinned) - lead
        writing.finish(loaded.context.n_ctx - answer_room(space, request.max_tokens))
    finally:
        writing.close()


def not_a_number() -> EngineError:
    """What to tell where rows of logits hold NaN or infinities."""
    return EngineError(
        "The model's output is not a number.",
        "Its file is probably damaged: get it again, or choose another one.",
    )


def _watcher(
    loaded: LoadedModel, second: LoadedModel | None, request: Generate, emit: Emit
) -> Watcher:
    if second is None:
        return Watcher()
    if second is loaded:
        raise EngineError(
            "A model can't read along what it writes itself.", "Load it a second time for that."
        )
    return ShiftWatcher(second, loaded, request, emit, lambda: stop_if_asked(loaded))


def _prompt(
    loaded: LoadedModel, request: Generate, writing: Writing, watcher: Watcher, emit: Emit
) -> Steps[tuple[_Prompt, Branch]]:
    """Bring preamble and turns into the context, dropping the oldest ones that don't fit."""
    ready = yield from pin(loaded, request.id, request.preamble, emit)
    emit(ready)
    if ready.source == "computed":
        writing.evaluated += ready.tokens
    prefix = joined(loaded.tokenize(request.prefix))
    writing.begin(prefix)
    cache = loaded.cache
    lead, turns = loaded.tokenize_behind(request.lead, request.turns, cache.pinned)
    flat = [joined(turn) for turn in turns]
    lengths = prompt_lengths(flat, prefix)
    front = [*cache.pinned, *lead]
    dropped = drop_turns(lengths, len(front), loaded.context.n_ctx, request, emit)
    if dropped:
        everything = [*front, *(token for turn in flat for token in turn)]
        cache.shift(everything, len(front), sum(lengths[:dropped]))
    prompt = _Prompt(pinned=len(cache.pinned), lengths=lengths[dropped:], lead=len(lead))
    tokens = [*front, *(token for turn in flat[dropped:] for token in turn)]
    branch, reused = yield from _read(loaded, request.id, prompt, tokens, emit)
    writing.prompt_read(evaluated=len(tokens) - reused, used=len(branch.tokens))
    watcher.read(tuple(front), flat[dropped:], prefix)
    if ready.source == "computed":
        reused -= ready.tokens
    emit(
        PromptReady(
            id=request.id,
            turns=tuple(turns),
            reused=reused,
            prefilled=len(tokens) - reused,
            used=len(tokens),
            lead=len(lead),
        )
    )
    writing.hand_out()
    return prompt, branch


def prompt_lengths(turns: list[list[int]], prefix: Sequence[int]) -> list[int]:
    """Put what the answer starts with behind the last turn; the lengths of all turns in tokens.

    Raises:
        EngineError: Nothing is asked.
    """
    if not turns or not turns[-1]:
        raise EngineError("There is nothing to answer.", "Type a question first.")
    turns[-1] += prefix
    return [len(turn) for turn in turns]


def drop_turns(
    lengths: Sequence[int], preamble: int, n_ctx: int, request: Generate, emit: Emit
) -> int:
    """How many of the oldest turns have no room beside the last one; that is told.

    Args:
        lengths: Tokens of each turn.
        preamble: Tokens in front of them.
        n_ctx: Tokens that an answer and all in front of it may have.
        request: Says how long the answer may be.
        emit: Told where there are any.

    Raises:
        EngineError: Not even the last one has.
    """
    fit = fit_turns(lengths, preamble, n_ctx, request.max_tokens)
    if fit is None:
        raise EngineError(
            f"The question has {lengths[-1]:,} tokens; with the {preamble:,} of the preamble"
            f"{' and the examples' if request.lead else ''} that is more than the context of "
            f"{n_ctx:,} holds.",
            f"Shorten it, choose {'fewer examples' if request.lead else 'a shorter preamble'}, or "
            "raise the context setting.",
        )
    if fit.dropped:
        emit(TurnsDropped(id=request.id, turns=fit.dropped, tokens=fit.tokens))
    return fit.dropped


def _read(
    loaded: LoadedModel, request_id: int, prompt: _Prompt, tokens: list[int], emit: Emit
) -> Steps[tuple[Branch, int]]:
    """Evaluate what of `tokens` is not kept, with logits for the last one: (branch, kept)."""
    ends = prompt.ends(loaded.context.n_batch)
    branch = loaded.cache.place(tokens, ends)
    reused = len(branch.tokens)

    def report(done: int) -> None:
        emit(
            PrefillProgress(
                id=request_id, stage="prompt", done=done, reused=reused, total=len(tokens)
            )
        )
        stop_if_asked(loaded)

    # The first run takes as long as any other: what there is to read is told before it.
    report(reused)
    yield from loaded.read(branch, tokens, ends, report)
    return branch, reused


def _decode(
    loaded: LoadedModel,
    request_id: int,
    writing: Writing,
    watcher: Watcher,
    prompt: _Prompt,
    branch: Branch,
    emit: Emit,
) -> Steps[None]:
    """Choose tokens and evaluate them until something ends the answer."""
    vocab = loaded.model.vocab
    context = loaded.context
    governor = loaded.governor
    threads = governor.threads
    clock = time.perf_counter
    while True:
        token = writing.take(context.logits())
        if token is None:
            return
        watcher.push(token, vocab.piece(token))
        if writing.reason:
            return
        yield
        stop_if_asked(loaded)
        began = clock()
        try:
            branch = yield from _append(loaded, request_id, prompt, branch, token, watcher, emit)
        except NoSlot:
            writing.reason = "length"
            return
        writing.used = len(branch.tokens)
        now = clock()
        wanted = governor.observe(now - began, now)
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
) -> Steps[Branch]:
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
    rest = [*tokens[: prompt.start], *tokens[prompt.start + count :], token]
    if loaded.cache.shift(tokens, prompt.start, count):
        loaded.evaluate(branch, (token,))
    else:
        prompt.lengths[-1] = len(rest) - prompt.start - sum(prompt.lengths[:-1])
        branch, _ = yield from _read(loaded, request_id, prompt, rest, emit)
    watcher.drop()
    return branch


def stop_if_asked(loaded: LoadedModel) -> None:
    """End the work where that was asked for.

    Raises:
        Aborted: It was.
    """
    if loaded.flag.is_set:
        raise Aborted
