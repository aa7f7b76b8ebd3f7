"""The preamble states of one model on the disk, as each of its contexts needs them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from urial_tui.engine.native.context import LlamaContext
from urial_tui.engine.preamble_store import MIN_TOKENS, PreambleStore, StateKey
from urial_tui.engine.wire.limits import FULL_WINDOWS
from urial_tui.engine.wire.values import ModelInfo


class PreambleStates:
    """Keeps states, and finds them by everything that they depend on.

    Args:
        store: Where they are.
        info: The model.
        name: Its name, for the list of files.
        adapter_scale: Of its adapter, 0 without one.
        notice: Told where a state can't be kept.
    """

    def __init__(
        self,
        store: PreambleStore,
        info: ModelInfo,
        name: str,
        adapter_scale: float,
        notice: Callable[[str], None],
    ) -> None:
        self._store = store
        self._info = info
        self._name = name
        self._adapter_scale = adapter_scale
        self._notice = notice

    def load(self, context: LlamaContext, tokens: Sequence[int]) -> bytearray | None:
        """The state of a preamble; None where it was not kept."""
        return self._store.load(self._key(context, tokens)) if len(tokens) >= MIN_TOKENS else None

    def save(self, context: LlamaContext, tokens: Sequence[int], state: bytearray) -> None:
        """Keep a state that is worth it; where it can't be, that is told and nothing else."""
        if len(tokens) < MIN_TOKENS:
            return
        try:
            self._store.save(self._key(context, tokens), self._name, state)
        except OSError as error:
            self._notice(
                f"The evaluated preamble can't be kept on disk ({error.strerror or error}), "
                f"so the next start takes longer. Directory: {self._store.directory}"
            )

    def discard(self, context: LlamaContext, tokens: Sequence[int]) -> None:
        """Remove a state that does not fit."""
        self._store.discard(self._key(context, tokens))

    def _key(self, context: LlamaContext, tokens: Sequence[int]) -> StateKey:
        return StateKey(
            model=self._info.content,
            adapter=self._info.adapter_content,
            adapter_scale=self._adapter_scale,
            tokens=tuple(tokens),
            library=self._info.library,
            kv_type=context.kv_type,
            flash_attention=context.flash_attention,
            swa_full=FULL_WINDOWS,
            unified=True,
            n_batch=context.n_batch,
            gpu_layers=self._info.gpu_layers,
            placement=self._info.placement,
        )
