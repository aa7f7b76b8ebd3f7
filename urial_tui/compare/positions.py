"""The scored positions of many answers, side by side in columns."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

import msgspec
import numpy as np
from numpy.typing import NDArray

from urial_tui.engine.wire.scores import PositionScores


class CountedItem(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """One scored answer. `n_bytes`: UTF-8 bytes of its content tokens; `fields`: to group by."""

    scores: PositionScores
    n_bytes: int = 0
    fields: Mapping[str, str] = {}


class Positions(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """All positions of all items in columns of one length n.

    `item`: (n) which item, `t`: (n) the index in its answer, `special`: (n); `n_bytes` and
    `fields`: by item.
    """

    scores: PositionScores
    item: NDArray[np.int32]
    t: NDArray[np.int32]
    special: NDArray[np.bool_]
    n_bytes: NDArray[np.int64]
    fields: tuple[Mapping[str, str], ...]


def gather(items: Iterable[CountedItem], special: Collection[int] = ()) -> Positions:
    """Put items side by side, one after another; `special`: the ids that are no content."""
    scores, n_bytes, fields = [], [], []
    for item in items:
        scores.append(item.scores.without_top())
        n_bytes.append(item.n_bytes)
        fields.append(item.fields)
    lengths = np.array([len(part) for part in scores], np.int64)
    joined = PositionScores.join(scores)
    starts = np.cumsum(lengths) - lengths
    return Positions(
        scores=joined,
        item=np.repeat(np.arange(len(scores), dtype=np.int32), lengths),
        t=(np.arange(len(joined)) - np.repeat(starts, lengths)).astype(np.int32),
        special=np.isin(joined.ids, np.array(sorted(special), np.int64)),
        n_bytes=np.array(n_bytes, np.int64),
        fields=tuple(fields),
    )
