"""The unit of a comparison: one answer, scored; and the questions that are answered.

Everything that is computed from an item is computed from what its document holds: a run that
was interrupted and resumed says what an uninterrupted one says.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping
from typing import Any

import msgspec
import numpy as np

from urial_tui.compare.noise import Noise
from urial_tui.compare.vocab import ByteAgreement
from urial_tui.engine.wire.scores import CLASS_NAMES, PositionScores
from urial_tui.errors import UrialError


class CompareError(UrialError):
    """A comparison's files can't be read or written, or do not fit together."""


class Query(msgspec.Struct, frozen=True, kw_only=True):
    """A question of a list. `fields`: its other plain values, to group by."""

    id: str
    text: str
    fields: Mapping[str, str] = {}


class ContextText(msgspec.Struct, frozen=True, kw_only=True):
    """What a side was shown in front of the answer."""

    text: str
    ids: tuple[int, ...]


class ScoredItem(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """One scored answer.

    `scores` is empty where the vocabularies differ; then `bytes` holds what is comparable.
    `n_bytes`: UTF-8 bytes of the content tokens. `rechosen`: how many tokens of the answer are not
    those that decoding chose, None for a given text. `noise`: the floor, where it was measured on
    this answer. `stop_reason`: how the answer ended; "given" for a text that was not generated.
    """

    id: str
    query: str
    answer: str
    stop_reason: str
    base_context: ContextText
    aligned_context: ContextText
    scores: PositionScores
    n_bytes: int
    fields: Mapping[str, str] = {}
    bytes: ByteAgreement | None = None
    rechosen: int | None = None
    noise: Noise | None = None


TextOf = Callable[[int], str]


def document(item: ScoredItem, text_of: TextOf, special: Collection[int] = ()) -> dict[str, Any]:
    """The item of the JSON contract. Infinite divergences and log-probabilities are null.

    `special`: ids of tokens that are no content; their positions say so.
    """
    scores = item.scores
    columns = {
        name: _numbers(getattr(scores, name))
        for name in (
            "logp_base",
            "logp_aligned",
            "kl_aligned_base",
            "kl_base_aligned",
            "js",
            "entropy_base",
            "entropy_aligned",
            "outside_base",
            "outside_aligned",
        )
    }
    p_base, p_aligned = _numbers(scores.p_base), _numbers(scores.p_aligned)
    classes = scores.classes
    positions = []
    for t in range(len(scores)):
        token = int(scores.ids[t])
        positions.append(
            {
                "t": t,
                "id": token,
                "text": text_of(token),
                "rank": int(scores.rank[t]),
                "class": CLASS_NAMES[classes[t]],
                "special": token in special,
                "p_base": p_base[t],
                "p_aligned": p_aligned[t],
                **{name: values[t] for name, values in columns.items()},
                "argmax_base": int(scores.argmax_base[t]),
                "argmax_aligned": int(scores.argmax_aligned[t]),
                "top_base": _top(scores.top_base_ids[t], scores.top_base_p[t], text_of),
                "top_aligned": _top(scores.top_aligned_ids[t], scores.top_aligned_p[t], text_of),
            }
        )
    return {
        "id": item.id,
        "query": item.query,
        "answer": item.answer,
        "stop_reason": item.stop_reason,
        "fields": dict(item.fields),
        "n_bytes": item.n_bytes,
        "rechosen": item.rechosen,
        "noise": msgspec.to_builtins(item.noise),
        "contexts": {
            "base": msgspec.to_builtins(item.base_context),
            "aligned": msgspec.to_builtins(item.aligned_context),
        },
        "bytes": None if item.bytes is None else _finite(msgspec.to_builtins(item.bytes)),
        "positions": positions,
    }


def from_document(data: Mapping[str, Any]) -> ScoredItem:
    """The item of a document.

    Raises:
        KeyError, TypeError, ValueError, msgspec.ValidationError: It is none of ours.
    """
    rows = data["positions"]

    def floats(name: str, missing: float) -> Any:
        return np.array([missing if row[name] is None else row[name] for row in rows], np.float32)

    def ints(name: str) -> Any:
        return np.array([row[name] for row in rows], np.int32)

    def top(name: str, column: int, kind: Any) -> Any:
        values = [[entry[column] for entry in row[name]] for row in rows]
        return np.array(values, kind).reshape(len(rows), len(rows[0][name]) if rows else 0)

    contexts = data["contexts"]
    agreement = data["bytes"]
    return ScoredItem(
        id=str(data["id"]),
        query=data["query"],
        answer=data["answer"],
        stop_reason=data["stop_reason"],
        fields=data["fields"],
        n_bytes=data["n_bytes"],
        rechosen=data["rechosen"],
        noise=msgspec.convert(data["noise"], Noise | None),
        base_context=msgspec.convert(contexts["base"], ContextText),
        aligned_context=msgspec.convert(contexts["aligned"], ContextText),
        bytes=None if agreement is None else msgspec.convert(agreement, ByteAgreement),
        scores=PositionScores(
            ids=ints("id"),
            rank=ints("rank"),
            logp_base=floats("logp_base", -math.inf),
            logp_aligned=floats("logp_aligned", -math.inf),
            kl_aligned_base=floats("kl_aligned_base", math.inf),
            kl_base_aligned=floats("kl_base_aligned", math.inf),
            js=floats("js", math.nan),
            entropy_base=floats("entropy_base", math.nan),
            entropy_aligned=floats("entropy_aligned", math.nan),
            outside_base=floats("outside_base", 0.0),
            outside_aligned=floats("outside_aligned", 0.0),
            argmax_base=ints("argmax_base"),
            argmax_aligned=ints("argmax_aligned"),
            top_base_ids=top("top_base", 0, np.int32),
            top_base_p=top("top_base", 2, np.float32),
            top_aligned_ids=top("top_aligned", 0, np.int32),
            top_aligned_p=top("top_aligned", 2, np.float32),
        ),
    )


def _numbers(values: Any) -> list[float | None]:
    return [value if math.isfinite(value) else None for value in values.tolist()]


def _finite(values: dict[str, Any]) -> dict[str, Any]:
    return {
        key: None if isinstance(value, float) and not math.isfinite(value) else value
        for key, value in values.items()
    }


def _top(ids: Any, p: Any, text_of: TextOf) -> list[list[Any]]:
    return [
        [token, text_of(token), probability]
        for token, probability in zip(ids.tolist(), p.tolist(), strict=True)
    ]
