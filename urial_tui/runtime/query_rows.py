"""A cache of the vectors of a pool's queries: only new ones are embedded, and what was begun goes
on.

A query that an index has a row for keeps it. The others are embedded some at a time, and each time
written to a journal: whatever ends the program, the next start goes on behind the last line. Where
the disk is full, it is told what the journal takes of it, and how to be rid of it.
"""

from __future__ import annotations

import base64
import contextlib
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from urial_tui import files, wording
from urial_tui.engine.client.call import EventSteps
from urial_tui.errors import RetrievalError
from urial_tui.file_lock import InUse
from urial_tui.journal import Journal
from urial_tui.prompting.pool import Pair, digest
from urial_tui.prompting.retrieval_index import RetrievalIndex, built_elsewhere
from urial_tui.runtime.embedder import Embedder
from urial_tui.sanitize import sanitize_line

Rows = npt.NDArray[np.float32]
AT_ONCE = 64
"""Queries that are embedded between two lines of the journal."""
_LENGTH_ERROR = 1e-3
"""How far from 1 a row's length may be: rounding, not another scale."""


def query_rows(
    pairs: Sequence[Pair], embedder: Embedder, known: RetrievalIndex | None, begun: Path
) -> EventSteps[Rows]:
    """A row for each pair: the embedding model's events.

    Args:
        pairs: In the order of the rows.
        embedder: Makes what is missing.
        known: An index whose rows count, if the same made them.
        begun: The journal; it stays until it is removed, when the rows are in an index.

    Raises:
        RetrievalError: The journal can't be written, or what was made is no vector.
        EngineError: The embedding model failed; what was made is kept.
        EngineDied: Its worker ended.
    """
    found: dict[bytes, Rows] = {}
    if known is not None and known.header.embedder == embedder.identity:
        found = {key: known.row(number) for key, number in known.rows_by_query().items()}
    texts = {digest(pair.query): pair.query for pair in pairs}
    try:
        files.make_directory(begun.parent)
        with contextlib.closing(Journal(begun)) as journal:
            found |= _begun(journal, embedder)
            missing = [key for key in texts if key not in found]
            for start in range(0, len(missing), AT_ONCE):
                keys = missing[start : start + AT_ONCE]
                rows = yield from embedder.embed([texts[key] for key in keys])
                _check(rows, len(keys), embedder.size)
                journal.append({"keys": [key.hex() for key in keys], "rows": _text(rows)})
                found.update(zip(keys, rows, strict=True))
    except InUse as error:
        raise built_elsewhere() from error
    except OSError as error:
        raise RetrievalError(
            f"The vectors can't be kept in {sanitize_line(str(begun))}: {files.reason(error)}.",
            f"Free some space, or see whether you may write there. {kept_words(begun)}".rstrip(),
        ) from error
    return np.stack([found[digest(pair.query)] for pair in pairs]).astype(np.float32, copy=False)


def kept_words(begun: Path) -> str:
    """What a run that failed leaves to go on with, in sentences; "" where that is nothing."""
    try:
        size = begun.stat().st_size
    except OSError:
        size = 0
    if not size:
        return ""
    return (
        f"The vectors that were made ({wording.size(size)}) stay in {sanitize_line(str(begun))}: "
        "the same command goes on from there, and `urial cache clear vectors` removes them."
    )


def _begun(journal: Journal, embedder: Embedder) -> dict[bytes, Rows]:
    """What a run before has made, by the same model; of another one nothing stays."""
    found: dict[bytes, Rows] = {}

    def take(place: int, line: bytes) -> bool:
        try:
            value = json.loads(line)
            if place == 0:
                return bool(value == _head(embedder))
            rows = np.frombuffer(base64.b64decode(value["rows"], validate=True), "<f4")
            keys = [bytes.fromhex(key) for key in value["keys"]]
            rows = rows.reshape(len(keys), embedder.size).astype(np.float32)
            _check(rows, len(keys), embedder.size)
        except (ValueError, KeyError, TypeError, RecursionError, RetrievalError):
            return False
        found.update(zip(keys, rows, strict=True))
        return True

    journal.read(take)
    if journal.size == 0:
        journal.append(_head(embedder))
    return found


def _head(embedder: Embedder) -> dict[str, object]:
    return {"embedder": embedder.identity, "size": embedder.size}


def _text(rows: Rows) -> str:
    return base64.b64encode(np.ascontiguousarray(rows, "<f4").tobytes()).decode("ascii")


def _check(rows: Rows, count: int, size: int) -> None:
    lengths = np.linalg.norm(rows.astype(np.float64), axis=-1)
    # What is no number is not near 1 either.
    if rows.shape != (count, size) or not bool((abs(lengths - 1) < _LENGTH_ERROR).all()):
        raise RetrievalError(
            "What the embedding model made of a query is no vector of length 1.",
            "Its file is probably damaged: get it again, or choose another one.",
        )
