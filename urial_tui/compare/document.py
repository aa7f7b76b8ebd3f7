"""The whole of a comparison as the JSON document of the interface contract.

The document is built from the items' own documents, one after another, so that a run of a
thousand items needs the memory of their numbers only, and a resumed run says what an
uninterrupted one says.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

import msgspec

from urial_tui.compare.items import ScoredItem, TextOf, from_document
from urial_tui.compare.metrics import aggregate
from urial_tui.compare.positions import CountedItem, gather
from urial_tui.compare.runner import Comparison


def head(comparison: Comparison) -> dict[str, Any]:
    """What is compared: the first keys of the document."""
    return {
        "base": comparison.base.document(),
        "aligned": comparison.aligned.document(),
        "vocab": comparison.relation.document(),
    }


def aggregates(
    documents: Iterable[Mapping[str, Any]],
    *,
    special: Collection[int],
    text_of: TextOf,
    group_by: tuple[str, ...] = (),
) -> dict[str, Any]:
    """`summary`, `special`, `by_position`, `shifted_tokens` and `by_group` of the items.

    `noise` is that of the first item that it was measured on. Where vocabularies differ, `bytes`
    holds what is comparable; the rest has no positions.
    """
    agreements: list[Mapping[str, Any]] = []
    noise: list[Mapping[str, Any]] = []

    def items() -> Iterator[CountedItem]:
        for document in documents:
            if document["noise"] is not None:
                noise.append(document["noise"])
            if document["bytes"] is not None:
                agreements.append(document["bytes"])
            yield _item(from_document(document))

    positions = gather(items(), special)
    found: dict[str, Any] = msgspec.to_builtins(
        aggregate(positions, text_of=text_of, group_by=group_by)
    )
    found["bytes"] = _by_bytes(agreements) if agreements else None
    found["noise"] = noise[0] if noise else None
    return found


def _item(item: ScoredItem) -> CountedItem:
    return CountedItem(scores=item.scores, n_bytes=item.n_bytes, fields=item.fields)


def _by_bytes(agreements: list[Mapping[str, Any]]) -> dict[str, Any]:
    """All texts as one: bits per byte over all bytes, agreement over all common boundaries."""
    n_bytes = sum(found["n_bytes"] for found in agreements)
    boundaries = sum(found["boundaries"] for found in agreements)

    def mean(key: str, weight: str, total: int) -> float | None:
        values = [(found[key], found[weight]) for found in agreements if found[weight]]
        if not total or any(value is None for value, _ in values):
            return None
        return math.fsum(value * count for value, count in values) / total

    return {
        "n_bytes": n_bytes,
        "bits_per_byte": {
            "base": mean("bits_per_byte_base", "n_bytes", n_bytes),
            "aligned": mean("bits_per_byte_aligned", "n_bytes", n_bytes),
        },
        "boundaries": boundaries,
        "agreement": mean("agreement", "boundaries", boundaries),
        "exact": mean("exact", "boundaries", boundaries),
    }
