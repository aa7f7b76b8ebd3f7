"""A loaded model, ready to evaluate: model, context, KV cache and the preambles on disk.

It exists only in the worker process. What was loaded is freed in the order that the
native library needs; a failed load leaves nothing behind.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from urial_tui.engine.native.abort_flag import AbortFlag
from urial_tui.engine.native.context import Aborted, LlamaContext, NoSlot
from urial_tui.engine.native.llama import LoadError
from urial_tui.engine.native.threads import ThreadGovernor, physical_cores
from urial_tui.engine.preamble_store import PreambleStore
from urial_tui.engine.wire.commands import LoadModel
from urial_tui.engine.wire.events import PreambleSource
from urial_tui.engine.wire.limits import (
    MAX_SEQUENCES,
    ContextSize,
    batch_size,
    contexts_of,
    flash_attention,
    forced_size,
    pool_size,
)
from urial_tui.engine.wire.values import EngineOptions, ModelInfo, TextSegment, Turn
from urial_tui.engine.worker.batch_threads import BatchThreads
from urial_tui.engine.worker.content import Contents
from urial_tui.engine.worker.forced_memory import ForcedMemory
from urial_tui.engine.worker.kv import PINNED, Branch, KVCache, prefill, runs
from urial_tui.engine.worker.states import PreambleStates
from urial_tui.engine.worker.steps import Steps
from urial_tui.engine.worker.weights import Weights, reason
from urial_tui.errors import EngineError


class LoadedModel:
    """The model of one LoadModel command.

    Raises:
        EngineError: The model, its context or its adapter can't be made.
        llama.LoadCancelled: The flag was set while it loaded.
    """

    def __init__(
        self,
        command: LoadModel,
        cache_dir: Path,
        flag: AbortFlag,
        progress: Callable[[float], None],
        notice: Callable[[str], None],
        others: Sequence[Weights] = (),
        contents: Contents | None = None,
    ) -> None:
        contents = contents or Contents(cache_dir)
        self.flag = flag
        self._notice = notice
        self._command = command
        options = command.options
        self._forced: ForcedMemory | None = None
        self._pool: LlamaContext | None = None
        self._batch_threads: dict[int, BatchThreads] = {}
        self.governor = ThreadGovernor(command.options.threads or physical_cores())
        self.weights = Weights(command, flag, progress, notice, others, contents)
        self._name = self.weights.name
        self.model = self.weights.model
        try:
            self.context = self._make_context(options)
        except BaseException:
            self.weights.abandon()
            raise
        self.context.set_abort_flag(flag)
        self.cache = KVCache(self.context, self.model.memory_kind, self.model.n_swa, MAX_SEQUENCES)
        self.weights.settle()
        self.info: ModelInfo = self.weights.describe(self.context.n_ctx)
        store = PreambleStore(cache_dir, options.cache_limit_mb * 1_000_000)
        scale = command.adapter_scale if command.adapter else 0.0
        self.states = PreambleStates(store, self.info, self._name, scale, notice)

    # -- text -----------------------------------------------------------------------

    def tokenize(self, turn: Turn, *, start: bool = False) -> tuple[tuple[int, ...], ...]:
        """Ids of each segment; `start`: nothing but BOS stands in front of the first one.

        Raises:
            EngineError: A stored id is not in this model's vocabulary.
        """
        vocab = self.model.vocab
        segments = []
        for segment in turn:
            if isinstance(segment, TextSegment):
                ids = tuple(vocab.tokenize(segment.text, special=segment.special, start=start))
                if any(token < 0 for token in ids):
                    raise EngineError(
                        f"The tokenizer of the model {self._name} does not fit its vocabulary.",
                        "The file may be damaged: get it again, or choose another model.",
                    )
                segments.append(ids)
            else:
                if any(not 0 <= token < vocab.size for token in segment.ids):
                    raise EngineError(
                        "The conversation holds tokens of another model.",
                        "Start a new conversation, or load the model that it was written with.",
                    )
                segments.append(segment.ids)
            start = False
        return tuple(segments)

    def tokenize_turns(
        self, turns: Sequence[Turn], preamble: Sequence[int]
    ) -> list[tuple[tuple[int, ...], ...]]:
        """Ids of each turn's segments, behind a preamble of these ids.

        Where that is nothing but BOS, the first turn is a text's start.
        """
        bare = len(preamble) <= len(self.model.vocab.bos)
        return [self.tokenize(turn, start=bare and not number) for number, turn in enumerate(turns)]

    def tokenize_behind(
        self, lead: Turn, turns: Sequence[Turn], preamble: Sequence[int]
    ) -> tuple[list[int], list[tuple[tuple[int, ...], ...]]]:
        """Ids of what stands in front of the turns, and of each turn's segments, as above.

        Returns:
            The ids in front, and for each turn those of its segments.
        """
        if not lead:
            return [], self.tokenize_turns(turns, preamble)
        first, *rest = self.tokenize_turns((lead, *turns), preamble)
        return joined(first), rest

    # -- the preamble ---------------------------------------------------------------

    def preamble_ids(self, preamble: Turn) -> list[int]:
        """BOS, where the vocabulary wants it, and the ids of the preamble's segments."""
        return [*self.model.vocab.bos, *joined(self.tokenize(preamble, start=True))]

    def pin(self, preamble: Turn, progress: Callable[[int, int], None]) -> Steps[PreambleSource]:
        """Make the preamble (BOS and its segments) the pinned one; `progress(done, total)`.

        Raises:
            EngineError: It does not fit into the context.
            Aborted: The flag was set.
        """
        tokens = self.preamble_ids(preamble)
        if self.cache.is_pinned(tokens):
            return "memory"
        check_preamble(tokens, self.context.n_ctx)
        state = self.states.load(self.context, tokens)
        if state is not None:
            self.cache.reset()
            if self._restore(tokens, state):
                return "disk"
            self.states.discard(self.context, tokens)
        state = yield from self._compute(tokens, progress)
        self.states.save(self.context, tokens, state)
        # Where the cells lie decides how sums over them are rounded, and a state that was put
        # back has another layout than one that was evaluated (of a sliding window only the
        # window is kept). So it is always used as one that was put back.
        if not self._restore(tokens, state):
            raise EngineError(
                "llama.cpp does not take the state of the preamble back.",
                "Please report this, with the model's name.",
            )
        return "computed"

    def _compute(self, tokens: list[int], progress: Callable[[int, int], None]) -> Steps[bytearray]:
        """Evaluate a preamble, or the rest of one that was begun: its state.

        The memory is empty then. Where it was stopped, it holds the runs that were done.
        """
        position = self.cache.begun(tokens)
        if not tokens:
            return bytearray()

        def evaluate(part: Sequence[int]) -> None:
            nonlocal position
            self.context.decode(part, position, PINNED)
            position += len(part)

        ends = runs(0, [len(tokens)], self.context.n_batch)
        try:
            with self.context.telling(lambda done: progress(position + done, len(tokens))):
                yield from prefill(
                    evaluate, tokens, position, ends, lambda done: progress(done, len(tokens))
                )
            state = self.context.save_sequence(PINNED)
        except Aborted:
            self.cache.leave(tokens[:position])
            raise
        except BaseException:
            self.cache.reset()
            raise
        self.cache.reset()
        return state

    def _restore(self, tokens: Sequence[int], state: bytearray) -> bool:
        """Put a state into the empty memory; where it does not fit, the memory is empty again."""
        fits = not tokens or self.context.restore_sequence(PINNED, state)
        if fits and self.context.last_position(PINNED) + 1 == len(tokens):
            self.cache.pin(tokens)
            return True
        self.cache.reset()
        return False

    # -- evaluation -----------------------------------------------------------------

    def read(
        self,
        branch: Branch,
        tokens: Sequence[int],
        ends: Sequence[int],
        progress: Callable[[int], None],
    ) -> Steps[None]:
        """Evaluate what a branch lacks of `tokens`, run by run; `progress` gets the tokens done.

        Raises:
            NoSlot: The context is full.
            Aborted: The flag was set; the branch says what it holds.
        """

        def evaluate(part: Sequence[int]) -> None:
            if len(branch.tokens) + len(part) == len(tokens):
                # For another answer to the same question, where the memory can't be cut.
                self.cache.checkpoint(branch)
            self.evaluate(branch, part)
            self.cache.settle(branch)

        with self.context.telling(lambda done: progress(len(branch.tokens) + done)):
            yield from prefill(evaluate, tokens, len(branch.tokens), ends, progress)

    def evaluate(self, branch: Branch, tokens: Sequence[int]) -> None:
        """Evaluate up to one batch at the end of a branch, making room where that is needed.

        Raises:
            NoSlot: The context is full.
            Aborted: The flag was set; the branch says what it holds.
        """
        self._evaluate(self.context.decode, branch, tokens)

    def evaluate_all(self, branch: Branch, tokens: Sequence[int]) -> None:
        """The same for up to `context.n_outputs` tokens, with logits for each."""
        self._evaluate(self.context.decode_all, branch, tokens)

    def _evaluate(
        self,
        decode: Callable[[Sequence[int], int, int], None],
        branch: Branch,
        tokens: Sequence[int],
    ) -> None:
        while True:
            try:
                decode(tokens, len(branch.tokens), branch.sequence)
            except NoSlot:
                if not self.cache.make_room():
                    raise
            except Aborted:
                self.cache.reconcile(branch)
                raise
            else:
                self.cache.extend(branch, tokens)
                return

    def pool_context(self) -> LlamaContext:
        """The context in which answers are written together, made on first use and kept.

        Raises:
            EngineError: It can't be made.
        """
        if self._pool is None:
            options = self._command.options
            self._pool = self._new_context(
                pool_size(
                    options.pool or self.context.n_ctx, self.context.n_batch, options.parallel
                ),
                flash_attention=True,
            )
            self._pool.set_abort_flag(self.flag)
        return self._pool

    def batch_threads(self, share: int) -> BatchThreads:
        """The threads for forced batches, of which `share` are evaluated at the same time."""
        if share not in self._batch_threads:
            self._batch_threads[share] = BatchThreads(self.info.threads // share)
        return self._batch_threads[share]

    def forced_memory(self, n_ctx: int) -> ForcedMemory:
        """That of a context of at least `n_ctx` tokens that gives logits for every token.

        Made on first use and kept. Both sides of a comparison have to ask for the same size:
        other batch shapes and cache layouts round differently.

        Raises:
            EngineError: It can't be made.
        """
        size = forced_size(n_ctx)
        if self._forced is None or self._forced.context.n_ctx != size.n_ctx:
            if self._forced is not None:
                self._forced.context.close()
                self._forced = None
            context = self._new_context(size, flash_attention=True)
            context.set_abort_flag(self.flag)
            self._forced = ForcedMemory(context, self.model.memory_kind)
        return self._forced

    def forget_forced(self) -> None:
        """What forced texts left in their memory is not to be trusted."""
        if self._forced is not None:
            self._forced.forget()

    def close(self) -> None:
        """Free contexts, adapter and model."""
        forced = self._forced.context if self._forced is not None else None
        for context in (forced, self._pool, self.context):
            if context is not None:
                context.close()
        self.weights.close()

    # -- making ---------------------------------------------------------------------

    def _make_context(self, options: EngineOptions) -> LlamaContext:
        # Where an RPC server computes, a processor may: see `EngineOptions.layers_on_cards`.
        model, gpu_layers = self.model, 0 if options.servers else self.weights.gpu_layers
        trained = model.n_ctx_train
        if trained and options.n_ctx > trained:
            self._notice(
                f"The model was trained on a context of {trained} tokens, so that is used "
                f"in place of {options.n_ctx}."
            )
        size, *_ = contexts_of(
            self._command.purpose, options, trained, batch_size(model.parameters, gpu_layers)
        )
        kinds = options.kv_type, model.n_layer, gpu_layers
        # A server's back end can't be told to keep cells whole.
        if not flash_attention(*kinds, 0 if options.servers else model.n_swa):
            return self._new_context(size, flash_attention=False)
        context = self._new_context(size, flash_attention=True)
        if flash_attention(*kinds) or context.keep_cells_whole():
            return context
        context.close()
        return self._new_context(size, flash_attention=False)

    def _new_context(self, size: ContextSize, *, flash_attention: bool) -> LlamaContext:
        options = self._command.options
        try:
            return LlamaContext(
                self.model,
                size,
                threads=options.threads or physical_cores(),
                kv_type=options.kv_type,
                flash_attention=flash_attention,
                adapter=self.weights.adapter,
            )
        except LoadError as error:
            raise EngineError(
                f"No context of {size.n_ctx:,} tokens can be made for the model {self._name}: "
                f"{reason(error)}.",
                'Set engine.kv_type = "f16".'
                if "cache type" in str(error)
                else "Set a smaller context (engine.context), or choose a smaller model.",
            ) from error


def joined(segments: Sequence[Sequence[int]]) -> list[int]:
    """The ids of all segments, one after another."""
    return [token for segment in segments for token in segment]


def check_preamble(tokens: Sequence[int], n_ctx: int) -> None:
    """See that a preamble leaves room for a question.

    Raises:
        EngineError: It does not.
    """
    if len(tokens) + 2 > n_ctx:
        raise EngineError(
            f"The preamble has {len(tokens):,} tokens, but the context holds only {n_ctx:,}.",
            "Choose a shorter preamble, or raise the context setting.",
        )
