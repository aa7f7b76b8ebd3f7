"""The tokens of one evaluation, of one sequence or of several.

Part of the native wrapping (see `llama`): what it is given beyond its size is refused, for the
library would end the process.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from urial_tui.engine.native.llama import lib


class DecodeError(Exception):
    """The library failed to evaluate a batch."""


class BatchPart(NamedTuple):
    """Tokens of one sequence, the first one at `position`; the last `rows` of them get logits."""

    tokens: Sequence[int]
    position: int
    sequence: int
    rows: int


class Batch:
    """The library's batch, which is filled anew for each evaluation.

    Args:
        capacity: Most tokens.
    """

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self.native = lib.llama_batch_init(capacity, 0, 1)
        for index in range(capacity):
            self.native.n_seq_id[index] = 1

    @property
    def length(self) -> int:
        """How many tokens it holds."""
        return int(self.native.n_tokens)

    def clear(self) -> None:
        """Remove all tokens."""
        self.native.n_tokens = 0

    def add(self, part: BatchPart) -> None:
        """Put tokens in, behind those that are there.

        Raises:
            DecodeError: There is no room for them, or none of them is there.
        """
        native = self.native
        start, count = self.length, len(part.tokens)
        if not 0 < count <= self._capacity - start:
            raise DecodeError(f"a batch of {start + count} tokens")
        if not 0 <= part.rows <= count:
            raise DecodeError(f"{part.rows} outputs of {count} tokens")
        silent = count - part.rows
        for offset, token in enumerate(part.tokens):
            index = start + offset
            native.token[index] = token
            native.pos[index] = part.position + offset
            native.seq_id[index][0] = part.sequence
            native.logits[index] = offset >= silent
        native.n_tokens = start + count

    def close(self) -> None:
        """Free the library's batch."""
        lib.llama_batch_free(self.native)
