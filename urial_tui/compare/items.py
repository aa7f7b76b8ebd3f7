"""The unit of a comparison: one answer, scored; and the file that a run grows line by line.

An item is written as one JSON line as soon as it is done, so an interrupted run loses at
most the item it was at. Everything that is computed from an item is computed from what its
line holds: a run that was interrupted and resumed says what an uninterrupted one says.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from urial_tui.compare.vocab import ByteAgreement
from urial_tui.engine.scores import CLASS_NAMES, PositionScores
from urial_tui.errors import UrialError
from urial_tui.sanitize import sanitize_line


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
    `n_bytes`: UTF-8 bytes of the content tokens. `stop_reason`: how the answer ended;
    "given" for a text that was not generated.
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


class ItemFile:
    """A run's JSON lines: a head that says what is compared, then one line an item.

    Args:
        path: Made when it is not there.
        head: What the run compares. A file with another head is refused, not mixed.

    Raises:
        CompareError: The file can't be read or written, or is of another comparison.
    """

    def __init__(self, path: Path, head: Mapping[str, Any]) -> None:
        self._path = path
        self._shown = sanitize_line(str(path))
        try:
            self._file = path.open("a+b")
            self._file.seek(0)
            whole = self._check(head)
            self._file.truncate(whole)
            self._file.seek(whole)
            if not whole:
                self._write({"compare": dict(head)})
        except OSError as error:
            raise CompareError(
                f"The file {self._shown} can't be used: {error.strerror or error}.",
                "Name another file with --out.",
            ) from error

    def documents(self) -> Iterator[dict[str, Any]]:
        """The documents of the items in the file, in its order."""
        with self._path.open("rb") as file:
            next(file, None)
            for line in file:
                yield json.loads(line)

    def done(self) -> set[str]:
        """Ids of the items in the file."""
        return {str(item["id"]) for item in self.documents()}

    def append(self, item: Mapping[str, Any]) -> None:
        """Add an item; it is on its way to the disk when this returns.

        Raises:
            CompareError: It can't be written.
        """
        try:
            self._write(item)
        except OSError as error:
            raise CompareError(
                f"The result can't be written to {self._shown}: {error.strerror or error}.",
                "Free some space and give the same command again: it goes on where it stopped.",
            ) from error

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _write(self, value: Mapping[str, Any]) -> None:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        self._file.write(text.encode("utf-8", "replace") + b"\n")
        self._file.flush()

    def _check(self, head: Mapping[str, Any]) -> int:
        """The length of the whole lines; a last line that was cut off is written again."""
        first = self._file.readline()
        if not first:
            return 0
        try:
            found = json.loads(first)["compare"]
        except (ValueError, KeyError, TypeError) as error:
            raise CompareError(
                f"The file {self._shown} holds something else than a comparison.",
                "Name another file with --out.",
            ) from error
        if found != json.loads(json.dumps(dict(head))):
            raise CompareError(
                f"The file {self._shown} holds another comparison "
                "(other models, contexts or settings).",
                "Name another file with --out, or give the same options as before.",
            )
        whole = len(first)
        for line in self._file:
            try:
                json.loads(line)
            except ValueError:
                break
            if not line.endswith(b"\n"):
                break
            whole += len(line)
        return whole


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
