"""The memory that forced texts are read into, and what it keeps from one text to the next.

A text starts from an empty memory, or from one that can't be told from it: the leading batches in
front of the text before, where the new one starts with batches of the same tokens. They lie in the
same cells with the same bits, for each was evaluated behind the same ones in the same shape; and
what is left of the old text in the cells behind them is finite, and weighs nothing. So examples or
instructions in front of many texts are read once, and a text that is read again in other batches is
read from its own first token.

Recurrent memory can't be cut, and is read again from the start.
"""

from __future__ import annotations

from collections.abc import Sequence

from urial_tui.engine.native.context import LlamaContext
from urial_tui.engine.wire.values import MemoryKind

_SEQUENCE = 0


class ForcedMemory:
    """The memory of one context of forced texts.

    Args:
        context: Nothing else changes its memory.
        kind: What kind of memory it is; its windows are full ones.
    """

    def __init__(self, context: LlamaContext, kind: MemoryKind) -> None:
        self.context = context
        self._can_be_cut = kind in ("attention", "sliding-window")
        self._held: list[tuple[int, ...]] = []

    def start(self, head: Sequence[tuple[int, ...]]) -> int:
        """Empty the memory for a text, but for what can stay of the batches in front of it.

        Args:
            head: Those batches.

        Returns:
            How many of them are held; the others are to be evaluated in their order, and each to
            be told to `hold`.
        """
        kept = 0
        while kept < min(len(self._held), len(head)) and self._held[kept] == head[kept]:
            kept += 1
        tokens = sum(map(len, head[:kept]))
        if not (tokens and self._can_be_cut and self._cut(tokens)):
            self.forget()
            return 0
        del self._held[kept:]
        return kept

    def hold(self, batch: tuple[int, ...]) -> None:
        """A batch in front of the text was evaluated, behind those that are held."""
        self._held.append(batch)

    def forget(self) -> None:
        """Empty the memory."""
        self._held.clear()
        self.context.clear()

    def _cut(self, tokens: int) -> bool:
        context = self.context
        return (
            context.remove(_SEQUENCE, tokens, -1)
            and context.first_position(_SEQUENCE) == 0
            and context.last_position(_SEQUENCE) + 1 == tokens
        )
