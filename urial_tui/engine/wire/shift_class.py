"""The classes of a token's shift, by the rank that the other side gives it.

Unshifted, marginal and shifted are those of Lin et al., ICLR 2024, section 2.2. `absent`: the
other side's vocabulary has no such token.
"""

from __future__ import annotations

from typing import Final, Literal

ShiftClass = Literal["unshifted", "marginal", "shifted", "absent"]

MARGINAL_RANK: Final = 3
"""The last marginal rank; 1 is unshifted."""


def shift_class(rank: int) -> ShiftClass:
    """The class of a token of this rank; 0 is the rank of an absent one."""
    if rank == 0:
        return "absent"
    if rank == 1:
        return "unshifted"
    return "marginal" if rank <= MARGINAL_RANK else "shifted"
