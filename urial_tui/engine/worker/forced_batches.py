"""How a forced text is cut into the batches that are evaluated.

The cut depends on lengths alone, so whoever evaluates the same text again, in whatever process
and beside whatever other side, does it in the same shapes and gets the same bits.

No batch holds a single token where others can stand beside it: llama.cpp takes another path
through attention for one token, whose rounding depends on the number of threads.
"""

from __future__ import annotations

import msgspec

from urial_tui.engine.wire.limits import FORCED_BATCH, HEAD_BATCH


class Cuts(msgspec.Struct, frozen=True, kw_only=True):
    """The batches of one text, by their lengths in tokens.

    `head`: of the batches in front, without logits. `silent`: how many tokens stand in the first
    batch with logits before the first one that gets them. `rows`: how many positions each batch
    with logits gives. `spare`: tokens that the last one holds beyond these, 0 or 1.
    """

    head: tuple[int, ...]
    silent: int
    rows: tuple[int, ...]
    spare: int


def cut_text(n_head: int, n_tokens: int, count: int, most: int = FORCED_BATCH) -> Cuts:
    """Cut a text.

    Args:
        n_head: Tokens in front of the first one whose logits are wanted.
        n_tokens: Tokens from that one on: `count`, or one more, which nothing is wanted of.
        count: Positions, at least 1.
        most: Positions of a batch, at least 3.
    """
    # A token that nothing is wanted of keeps a last one company.
    rows = _pieces(count, most, least=1 if n_tokens > count else 2)
    spare = int(n_tokens > count and rows[-1] < most)
    first = rows[0] + (spare if len(rows) == 1 else 0)
    silent = 0
    while silent < n_head and (n_head - silent == 1 or first + silent == 1):
        silent += 1
    head = _pieces(n_head - silent, HEAD_BATCH, least=2)
    return Cuts(head=head, silent=silent, rows=rows, spare=spare)


def _pieces(total: int, most: int, *, least: int) -> tuple[int, ...]:
    """`total` in pieces of at most `most`, the last one of at least `least` if it is not alone."""
    whole, rest = divmod(total, most)
    pieces = [most] * whole
    if pieces and 0 < rest < least:
        pieces[-1] -= least - rest
        rest = least
    return (*pieces, rest) if rest else tuple(pieces)
