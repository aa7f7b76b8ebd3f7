"""An estimate of the context that many answers need together, before there is a vocabulary."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

from urial_tui.engine.wire.limits import context_tokens

_BYTES_OF_TOKEN: Final = 3
"""Bytes of text that are reckoned as a token: code and Chinese have about so many, English and
German four and more."""


def reckoned(text: str) -> int:
    """Tokens of a text, rather too many than too few."""
    return -(-len(text.encode("utf-8", "replace")) // _BYTES_OF_TOKEN)


def pool_room(sizes: Iterable[int], shared: int, n_ctx: int) -> Callable[[int], int]:
    """How many tokens of context so many answers need together, by how many they are.

    At least as many as one answer has alone, so that whatever can be answered alone has room. Where
    the reckoning is short, an answer waits until others are done.

    Args:
        sizes: Tokens of each answer that may be asked for, with its question.
        shared: Tokens of what stands in front of all of them.
        n_ctx: Tokens of a context for one answer, 0 for the program's choice.
    """
    least = context_tokens(n_ctx, None)
    # No answer gets more than it would have alone.
    largest = sorted((min(size, least) for size in sizes), reverse=True)

    def pool_of(parallel: int) -> int:
        return context_tokens(max(least, shared + sum(largest[:parallel])), None)

    return pool_of
