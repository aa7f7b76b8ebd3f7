"""What scoring a position yields, as values: columns of numbers, one row a position.

The worker fills them (`scoring.py`), the user's process reads them; between the two they
travel as bytes, so this module knows numpy and nothing of models. Columns never change
length against each other, and all floating-point columns are float32: what is computed
from full rows carries an error of about 1e-7, so more digits would be invented.

Bytes: magic, n, and the widths of the two top lists (little-endian `4s I H H`), then every
column in the order in which the class names them, C order, little-endian.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from typing import Any, Final, TypeVar

import msgspec
import numpy as np
from numpy.typing import NDArray

from urial_tui.engine.wire.shift_class import MARGINAL_RANK, ShiftClass
from urial_tui.errors import EngineError

Ints = NDArray[np.int32]
Floats = NDArray[np.float32]

CLASS_NAMES: Final[tuple[ShiftClass, ...]] = ("unshifted", "marginal", "shifted", "absent")
"""By class code."""
UNSHIFTED, MARGINAL, SHIFTED, ABSENT = range(4)


class ScoringError(EngineError):
    """Logits that are no distribution, or token ids that no vocabulary has."""


_HEAD = struct.Struct("<4sIHH")
_Scores = TypeVar("_Scores", bound="_Columns")


class _Columns(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """Columns of one length. Subclasses name them and their magic."""

    def __len__(self) -> int:
        return int(getattr(self, self.__struct_fields__[0]).shape[0])


class PositionScores(_Columns, frozen=True, kw_only=True, eq=False):
    """Two sides' distributions at n positions, reduced.

    Natural logarithms. A side's own quantities (log-probability, rank, entropy, argmax, top
    list) are over its own full vocabulary; the three divergences over the ids that both
    sides have, each side renormalised over those, `outside_*` being the probability that a
    side gives to ids that the other lacks (0 where the vocabularies are equal). What is
    beyond float32's 3.4e38, as between logits of 1e38 and more, is infinite here.

    ids               int32 (n)      the forced tokens
    rank              int32 (n)      1 + strictly larger base logits; 0: base lacks the token
    logp_*            float32 (n)    log-probability of the forced token, -inf for none
    kl_*              float32 (n)    KL divergence >= 0, +inf where the second side gives no
                                     probability to a token that the first one may emit
    js                float32 (n)    Jensen-Shannon divergence, in [0, ln 2]
    entropy_*         float32 (n)    >= 0
    outside_*         float32 (n)    in [0, 1]
    argmax_*          int32 (n)      the most probable token, the smallest id among equals
    top_*_ids         int32 (n, k)   most probable first, equal ones by id;
    top_*_p           float32 (n, k) k = min(top-k asked for, size of that vocabulary)
    """

    ids: Ints
    rank: Ints
    logp_base: Floats
    logp_aligned: Floats
    kl_aligned_base: Floats
    kl_base_aligned: Floats
    js: Floats
    entropy_base: Floats
    entropy_aligned: Floats
    outside_base: Floats
    outside_aligned: Floats
    argmax_base: Ints
    argmax_aligned: Ints
    top_base_ids: Ints
    top_base_p: Floats
    top_aligned_ids: Ints
    top_aligned_p: Floats

    @property
    def p_base(self) -> Floats:
        """(n) probability of the forced token on the base side."""
        return np.exp(self.logp_base)

    @property
    def p_aligned(self) -> Floats:
        """(n) probability of the forced token on the aligned side."""
        return np.exp(self.logp_aligned)

    @property
    def classes(self) -> NDArray[np.uint8]:
        """(n) class codes of the forced tokens."""
        return classify(self.rank)

    def without_top(self) -> PositionScores:
        """The same with top lists of width 0, for keeping many positions (52 bytes each)."""
        n = len(self)
        ids, p = np.empty((n, 0), np.int32), np.empty((n, 0), np.float32)
        return msgspec.structs.replace(
            self, top_base_ids=ids, top_base_p=p, top_aligned_ids=ids, top_aligned_p=p
        )

    def to_bytes(self) -> bytes:
        """As described in the module's docstring; `from_bytes` reads it."""
        return _pack(self, b"UPS1", self.top_base_ids.shape[1], self.top_aligned_ids.shape[1])

    @staticmethod
    def from_bytes(data: bytes) -> PositionScores:
        """The scores, as read-only views of `data`.

        Raises:
            ScoringError: They are no position scores, or not whole.
        """
        return _unpack(PositionScores, data, b"UPS1", _POSITION_SHAPES)

    @staticmethod
    def empty(n: int, k_base: int, k_aligned: int) -> PositionScores:
        """Writable columns of n positions with undefined content."""
        return _empty(PositionScores, _POSITION_SHAPES, n, k_base, k_aligned)

    @staticmethod
    def join(parts: Sequence[PositionScores]) -> PositionScores:
        """All positions of the parts, in order. Their top lists have the same widths."""
        return _join(PositionScores, parts) if parts else PositionScores.empty(0, 0, 0)


class SideScores(_Columns, frozen=True, kw_only=True, eq=False):
    """One side's distributions at n positions, reduced; columns as in `PositionScores`."""

    ids: Ints
    rank: Ints
    logp: Floats
    entropy: Floats
    argmax: Ints
    top_ids: Ints
    top_p: Floats

    def to_bytes(self) -> bytes:
        """As described in the module's docstring; `from_bytes` reads it."""
        return _pack(self, b"USS1", self.top_ids.shape[1], 0)

    @staticmethod
    def from_bytes(data: bytes) -> SideScores:
        """The scores, as read-only views of `data`.

        Raises:
            ScoringError: They are no side scores, or not whole.
        """
        return _unpack(SideScores, data, b"USS1", _SIDE_SHAPES)

    @staticmethod
    def empty(n: int, k: int) -> SideScores:
        """Writable columns of n positions with undefined content."""
        return _empty(SideScores, _SIDE_SHAPES, n, k, 0)

    @staticmethod
    def join(parts: Sequence[SideScores]) -> SideScores:
        """All positions of the parts, in order. Their top lists have the same width."""
        return _join(SideScores, parts) if parts else SideScores.empty(0, 0)


def classify(rank: Ints) -> NDArray[np.uint8]:
    """Class codes of base ranks (0 or more): see `CLASS_NAMES`, `MARGINAL_RANK`."""
    codes = np.full(rank.shape, SHIFTED, np.uint8)
    codes[rank <= MARGINAL_RANK] = MARGINAL
    codes[rank == 1] = UNSHIFTED
    codes[rank == 0] = ABSENT
    return codes


# -- columns as bytes --------------------------------------------------------------------

_INTS = frozenset({"ids", "rank", "argmax", "argmax_base", "argmax_aligned"})


def _shapes(kind: type[_Columns], lists: dict[str, int]) -> dict[str, tuple[np.dtype[Any], int]]:
    """By column: its dtype, and 0 (one number) or which top list's width its rows have."""
    return {
        name: (
            np.dtype("<i4") if name in _INTS or name.endswith("_ids") else np.dtype("<f4"),
            lists.get(name, 0),
        )
        for name in kind.__struct_fields__
    }


_POSITION_SHAPES = _shapes(
    PositionScores,
    {"top_base_ids": 1, "top_base_p": 1, "top_aligned_ids": 2, "top_aligned_p": 2},
)
_SIDE_SHAPES = _shapes(SideScores, {"top_ids": 1, "top_p": 1})
_Shapes = dict[str, tuple[np.dtype[Any], int]]


def _shape(n: int, widths: tuple[int, int], width: int) -> tuple[int, ...]:
    return (n, widths[width - 1]) if width else (n,)


def _empty(kind: type[_Scores], shapes: _Shapes, n: int, first: int, second: int) -> _Scores:
    return kind(
        **{
            name: np.empty(_shape(n, (first, second), width), dtype)
            for name, (dtype, width) in shapes.items()
        }
    )


def _join(kind: type[_Scores], parts: Sequence[_Scores]) -> _Scores:
    return kind(
        **{
            name: np.concatenate([getattr(part, name) for part in parts])
            for name in kind.__struct_fields__
        }
    )


def _pack(scores: _Columns, magic: bytes, first: int, second: int) -> bytes:
    shapes = _POSITION_SHAPES if isinstance(scores, PositionScores) else _SIDE_SHAPES
    columns = (
        np.ascontiguousarray(getattr(scores, name), dtype).tobytes()
        for name, (dtype, _) in shapes.items()
    )
    return b"".join((_HEAD.pack(magic, len(scores), first, second), *columns))


def _damaged(how: str) -> ScoringError:
    return ScoringError(
        f"The scores came back from the engine damaged: {how}.", "Run the comparison again."
    )


def _unpack(kind: type[_Scores], data: bytes, magic: bytes, shapes: _Shapes) -> _Scores:
    if len(data) < _HEAD.size:
        raise _damaged(f"only {len(data)} bytes")
    found, n, first, second = _HEAD.unpack_from(data)
    if found != magic:
        raise _damaged(f"they start with {found!r}")
    columns, start = {}, _HEAD.size
    for name, (dtype, width) in shapes.items():
        shape = _shape(n, (first, second), width)
        size = dtype.itemsize * math.prod(shape)
        if len(data) < start + size:
            raise _damaged(f"cut off in {name}")
        columns[name] = np.frombuffer(data, dtype, math.prod(shape), start).reshape(shape)
        start += size
    if start != len(data):
        raise _damaged(f"{len(data) - start} bytes too many")
    return kind(**columns)
