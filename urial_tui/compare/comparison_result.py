"""A comparison's JSON documents, read back as the values that the compare screen shows.

The screen is a view of the documented JSON: it computes nothing that another output of the
same comparison would not say too.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import msgspec

from urial_tui.compare.metrics import ClassShares, ShiftedToken, SideNumbers, Summary

ShiftKind = Literal["unshifted", "marginal", "shifted", "absent"]


class ComparedToken(msgspec.Struct, frozen=True, kw_only=True):
    """One scored token; names, units and nulls as in the JSON contract."""

    t: int
    id: int
    text: str
    rank: int
    kind: ShiftKind = msgspec.field(name="class")
    special: bool
    p_base: float | None
    p_aligned: float | None
    kl_aligned_base: float | None
    kl_base_aligned: float | None
    js: float | None
    entropy_base: float | None
    entropy_aligned: float | None
    argmax_base: int
    argmax_aligned: int
    top_base: tuple[tuple[int, str, float], ...]
    top_aligned: tuple[tuple[int, str, float], ...]


class SideName(msgspec.Struct, frozen=True, kw_only=True):
    """What a side was."""

    model: str
    context: str
    adapter: str | None = None


class ByteComparison(msgspec.Struct, frozen=True, kw_only=True):
    """What two sides with different vocabularies say about one text."""

    bits_per_byte: SideNumbers
    boundaries: int
    agreement: float | None


class ComparisonResult(msgspec.Struct, frozen=True, kw_only=True):
    """One compared answer.

    `rechosen`: tokens that scoring put in the place of written ones; None for a given text.
    `cut_alike`: whether both files say the same of how text is cut into tokens, as far as is known.
    `bytes` is set, and there are no positions, where the vocabularies are different.
    """

    base: SideName
    aligned: SideName
    relation: str
    cut_alike: bool
    query: str
    answer: str
    stop_reason: str
    rechosen: int | None
    positions: tuple[ComparedToken, ...]
    summary: Summary
    special_shares: ClassShares
    shifted_tokens: tuple[ShiftedToken, ...]
    bytes: ByteComparison | None


def result_of(item: Mapping[str, Any], whole: Mapping[str, Any]) -> ComparisonResult:
    """The result that an item's document and the whole comparison's stand for.

    Args:
        item: From `items.document`.
        whole: `head` and `aggregates` of that item.
    """
    return ComparisonResult(
        base=msgspec.convert(whole["base"], SideName),
        aligned=msgspec.convert(whole["aligned"], SideName),
        relation=whole["vocab"]["relation"],
        cut_alike=not whole["vocab"]["cutting"],
        query=item["query"],
        answer=item["answer"],
        stop_reason=item["stop_reason"],
        rechosen=item["rechosen"],
        positions=msgspec.convert(item["positions"], tuple[ComparedToken, ...]),
        summary=msgspec.convert(whole["summary"], Summary),
        special_shares=msgspec.convert(whole["special"], ClassShares),
        shifted_tokens=msgspec.convert(whole["shifted_tokens"], tuple[ShiftedToken, ...]),
        bytes=msgspec.convert(whole["bytes"], ByteComparison | None),
    )
