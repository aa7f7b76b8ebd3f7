"""An index of a pool, on the disk: which of its pairs are most like a question.

An index is a directory. Its header, a small file that is replaced in one step, names the part of
the directory that counts; a part is complete, and on the disk, before the header names it. So who
reads sees one whole index or another, whatever ends the program, and a disk that fills up leaves
the one that was there. One program at a time builds an index, for the last one to be done takes
all other parts away.

A part holds the pairs as JSON lines with the places where they start, and either the vectors of the
queries, a row each, or BM25's scores (library bm25s). All of it is mapped into memory, not
read: a search touches the rows, and the lines of what it found.

Vectors that were made for an index which is not there yet are in a file beside it, `begun_file`.
They are for the command that goes on, and go once an index of that name is whole.

Equally similar pairs stand in the order of the pool, so that a search repeats.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import secrets
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from urial_tui import files, paths
from urial_tui.errors import RetrievalError
from urial_tui.file_lock import InUse, open_locked
from urial_tui.journal import Journal
from urial_tui.prompting.pool import Pair, digest
from urial_tui.sanitize import sanitize_line

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Rows = npt.NDArray[np.float32]

FORMAT = 1
NAME = re.compile(r"[a-z0-9]+(?:[.-][a-z0-9]+)*")
"""What an index may be called: as a preamble."""
_HEADER = "index.json"
_BEGUN = ".begun.jsonl"
_LOCK = "building"
"""A file that is there, and locked, while an index is built."""
_MAX_HEADER_BYTES = 64 * 1024
_PAIRS, _PLACES, _QUERIES, _ROWS = "pairs.jsonl", "places.npy", "queries.npy", "rows.npy"
_BLOCK = 8192
"""Rows that are multiplied at once: their product stays in the processor's cache."""
_PART = re.compile(r"part-[0-9a-f]{16}")
_REBUILD = "Build it again: `urial prompts index POOL.jsonl`."


class IndexHeader(msgspec.Struct, frozen=True, kw_only=True):
    """What an index is made of.

    `content`: digest of its pairs, in their order. `embedder`: what made the rows, "" for BM25.
    `model`: what the user called that. `size`: numbers of a row.
    """

    format: int
    part: str
    pairs: int
    content: str
    embedder: str = ""
    model: str = ""
    size: int = 0

    @property
    def identity(self) -> str:
        """What a search depends on, as a digest."""
        told = (self.format, self.content, self.embedder)
        return hashlib.sha256(msgspec.json.encode(told)).hexdigest()


class FoundPair(msgspec.Struct, frozen=True):
    """A pair that was found. `number`: its place in the pool, from 0; `score`: how similar."""

    number: int
    score: float
    pair: Pair


class RetrievalIndex:
    """An index that is open, of which nothing changes.

    Args:
        name: What it is called.
        directory: Where indexes are; by default the user's.

    Raises:
        RetrievalError: There is none, or it is damaged.
    """

    def __init__(self, name: str, directory: Path | None = None) -> None:
        self.name = name
        with _explained(name):
            self._root = index_path(name, directory)
            try:
                self._open()
            except FileNotFoundError:
                # It was replaced between the reading of its header and of its part.
                self._open()

    def _open(self) -> None:
        import numpy as np

        self.header = _header(self._root)
        part = self._root / self.header.part
        self._lines = files.open_regular(part / _PAIRS)
        self._places = np.load(part / _PLACES, mmap_mode="r", allow_pickle=False)
        self._queries = np.load(part / _QUERIES, mmap_mode="r", allow_pickle=False)
        self._rows: Any = None
        self._words: Any = None
        count = self.header.pairs
        whole = self._places.shape == (count + 1,) and self._queries.shape == (count, 16)
        if self.header.embedder:
            self._rows = np.load(part / _ROWS, mmap_mode="r", allow_pickle=False)
            whole &= self._rows.shape == (count, self.header.size)
            whole &= self._rows.dtype == np.float32
        else:
            import bm25s

            self._words = bm25s.BM25.load(part, mmap=True)
            whole &= self._words.scores["num_docs"] == count
        if not whole:
            raise _Unfit("its parts do not fit together")

    @property
    def is_current(self) -> bool:
        """Whether this is what a new reader would get."""
        try:
            return _header(self._root) == self.header
        except (OSError, ValueError, msgspec.MsgspecError):
            return False

    def close(self) -> None:
        """Let go of its files."""
        self._lines.close()

    def __len__(self) -> int:
        return self.header.pairs

    def pair(self, number: int) -> Pair:
        """A pair by its place in the pool, from 0.

        Raises:
            RetrievalError: It can't be read.
        """
        with _explained(self.name):
            start, end = int(self._places[number]), int(self._places[number + 1])
            data = os.pread(self._lines.fileno(), end - start, start)
            return Pair(*msgspec.json.decode(data, type=tuple[str, str]))

    def by_words(self, question: str) -> Iterator[FoundPair]:
        """Pairs by BM25, the most similar first; those without a word in common are none.

        Raises:
            RetrievalError: It is an index of vectors, or can't be read.
        """
        if self._words is None:
            raise RetrievalError(
                f"The index {self.name} is one of an embedding model, {self._by}.",
                "Name that model in the preamble's retrieval.embedding.",
            )
        with _explained(self.name):
            ids = self._words.get_tokens_ids(_tokens([question])[0])
            if not ids:
                return
            scores = self._words.get_scores_from_ids(ids)
        yield from self._in_order(scores, least=0.0)

    def by_vector(self, vector: Rows, embedder: str) -> Iterator[FoundPair]:
        """Pairs by the product of their vectors and one of `size` numbers, the greatest first.

        Args:
            vector: Of a question; as all rows, of length 1.
            embedder: What made it.

        Raises:
            RetrievalError: Something else made the rows, or they can't be read.
        """
        import numpy as np

        self.check_embedder(embedder, vector.size)
        scores = np.empty(len(self), np.float32)
        with _explained(self.name):
            for start in range(0, len(self), _BLOCK):
                scores[start : start + _BLOCK] = self._rows[start : start + _BLOCK] @ vector
        yield from self._in_order(scores, least=-np.inf)

    def check_embedder(self, embedder: str, size: int) -> None:
        """See that rows were made by this embedder.

        Raises:
            RetrievalError: They were not; says what made them.
        """
        if self._rows is None:
            raise RetrievalError(
                f"The index {self.name} is one of words (BM25), and has no vectors.",
                f"Leave retrieval.embedding of the preamble empty. {_REBUILD}",
            )
        if self.header.size != size:
            raise RetrievalError(
                f"The index {self.name} has vectors of {self.header.size} numbers, made by "
                f"{self._by}, and this embedding model makes {size}.",
                f"Name that model in retrieval.embedding. {_REBUILD}",
            )
        if self.header.embedder != embedder:
            raise RetrievalError(
                f"The index {self.name} was made by {self._by} with another content, another "
                "pooling or another context than this embedding model has.",
                f"Name that model in retrieval.embedding. {_REBUILD}",
            )

    def rows_by_query(self) -> dict[bytes, int]:
        """Where the row of each query is, by the digest of its text."""
        return {row.tobytes(): number for number, row in enumerate(self._queries)}

    def row(self, number: int) -> Rows:
        """The vector of a query."""
        row: Rows = self._rows[number]
        return row

    @property
    def _by(self) -> str:
        return sanitize_line(self.header.model) or "an embedding model"

    def _in_order(self, scores: Any, least: float) -> Iterator[FoundPair]:
        """Pairs by their scores, in ever larger portions: few are looked at."""
        import numpy as np

        count, given = len(scores), 0
        portion = 64
        while given < count:
            portion = min(portion, count)
            if portion < count:
                # Of equal scores at the edge all are looked at, or the order would be chance's.
                edge = np.partition(scores, count - portion)[count - portion]
                chosen = np.flatnonzero(scores >= edge)
            else:
                chosen = np.arange(count)
            order = chosen[np.argsort(-scores[chosen], kind="stable")]
            for number in order[given:]:
                if not scores[number] > least:
                    return
                yield FoundPair(int(number), float(scores[number]), self.pair(int(number)))
            given, portion = len(order), portion * 8


def index_path(name: str, directory: Path | None = None) -> Path:
    """The directory of an index.

    Raises:
        RetrievalError: No index may be called that.
    """
    if not NAME.fullmatch(name):
        raise RetrievalError(
            f"An index can't be called {sanitize_line(name)!r}.",
            "Use lower-case letters and digits, with single dots or dashes between them.",
        )
    return (directory or paths.indexes_dir()) / name


def begun_file(name: str, directory: Path | None = None) -> Path:
    """The journal with the vectors of an index that is being built; it need not be there.

    Raises:
        RetrievalError: No index may be called that.
    """
    root = index_path(name, directory)
    return root.with_name(f"{root.name}{_BEGUN}")


def begun_files() -> list[Path]:
    """The journals of the user's indexes that were begun and never finished.

    Raises:
        OSError: Their directory can't be read.
    """
    try:
        found = sorted(paths.indexes_dir().iterdir())
    except FileNotFoundError:
        return []
    return [path for path in found if path.name.endswith(_BEGUN) and files.is_file(path)]


def forget_begun(name: str) -> None:
    """Remove the vectors that were kept to go on with, unless another program adds to them."""
    begun = begun_file(name)
    if files.is_there(begun):
        with contextlib.suppress(OSError):
            Journal(begun).remove()


def built_elsewhere() -> RetrievalError:
    """That another program has an index, or its vectors, locked."""
    return RetrievalError(
        "Another program builds this index.", "Wait for it, or choose another name with --name."
    )


def index_identity(name: str) -> str:
    """What a search of an index depends on, as a digest; it is not opened.

    Raises:
        RetrievalError: There is none, or its header is damaged.
    """
    with _explained(name):
        return _header(index_path(name)).identity


def write_index(
    name: str,
    pairs: Sequence[Pair],
    rows: Rows | None = None,
    *,
    embedder: str = "",
    model: str = "",
    directory: Path | None = None,
) -> IndexHeader:
    """Write an index of pairs, in place of one of that name: whole, or not at all.

    Args:
        name: What it is called.
        pairs: In the order of the pool.
        rows: A vector for each query, of length 1; None: BM25.
        embedder: What made the rows.
        model: What the user calls that.
        directory: Where indexes are.

    Raises:
        RetrievalError: It can't be written, or another program builds it; what was there is as it
            was.
    """
    root = index_path(name, directory)
    try:
        with _alone(root):
            return _write_whole(root, pairs, rows, embedder, model)
    except InUse as error:
        raise built_elsewhere() from error
    except OSError as error:
        raise RetrievalError(
            f"The index {name} can't be written: {files.reason(error)}.",
            "What was there is as it was. Free some space, or see whether you may write there, "
            "and build it again.",
        ) from error


@contextlib.contextmanager
def _alone(root: Path) -> Iterator[None]:
    """Keep other programs from building an index meanwhile; one that holds nothing goes again.

    Raises:
        InUse: Another program builds it.
        OSError: Its directory can't be written to.
    """
    files.make_directory(root)
    lock = root / _LOCK
    with open_locked(lock, files.open_private).file:
        try:
            yield
        finally:
            # While it is locked: who opened it before will notice that it has gone.
            with contextlib.suppress(OSError):
                lock.unlink()
                root.rmdir()


def _write_whole(
    root: Path, pairs: Sequence[Pair], rows: Rows | None, embedder: str, model: str
) -> IndexHeader:
    """Write a part, and then the header that names it; what came before goes."""
    part = root / f"part-{secrets.token_hex(8)}"
    try:
        files.make_directory(part)
        _write_part(part, pairs, rows)
        header = IndexHeader(
            format=FORMAT,
            part=part.name,
            pairs=len(pairs),
            content=hashlib.sha256(b"".join(pair.content for pair in pairs)).hexdigest(),
            embedder=embedder,
            model=model,
            size=0 if rows is None else rows.shape[1],
        )
        with files.replacing(root / _HEADER) as file:
            file.write(msgspec.json.format(msgspec.json.encode(header)))
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)
        raise
    for old in root.iterdir():
        if _PART.fullmatch(old.name) and old.name != part.name:
            shutil.rmtree(old, ignore_errors=True)
    return header


def _write_part(part: Path, pairs: Sequence[Pair], rows: Rows | None) -> None:
    import numpy as np

    places = np.zeros(len(pairs) + 1, np.int64)
    with files.replacing(part / _PAIRS) as file:
        for number, pair in enumerate(pairs, start=1):
            line = msgspec.json.encode((pair.query, pair.answer)) + b"\n"
            file.write(line)
            places[number] = places[number - 1] + len(line)
    queries = b"".join(digest(pair.query) for pair in pairs)
    _save(part / _PLACES, places)
    _save(part / _QUERIES, np.frombuffer(queries, np.uint8).reshape(len(pairs), 16))
    if rows is not None:
        _save(part / _ROWS, np.ascontiguousarray(rows, np.float32))
        return
    import bm25s

    tokens = _tokens([pair.query for pair in pairs])
    if not any(tokens):
        raise RetrievalError(
            "No question of the pool has a word of two letters or more, which BM25 needs.",
            "Name an embedding model with --embedding.",
        )
    words = bm25s.BM25()
    words.index(tokens, show_progress=False)
    words.save(part, show_progress=False)
    for written in part.iterdir():
        files.sync(written)


def _save(path: Path, values: npt.NDArray[Any]) -> None:
    import numpy as np

    with files.replacing(path) as file:
        np.lib.format.write_array(file, values, allow_pickle=False)


def _tokens(texts: list[str]) -> list[list[str]]:
    """Words as bm25s has them, of any language: it knows the stop words of few."""
    import bm25s

    found: list[list[str]] = bm25s.tokenize(
        texts, stopwords=None, return_ids=False, show_progress=False
    )
    return found


def _header(root: Path) -> IndexHeader:
    data = files.read_bytes(root / _HEADER, _MAX_HEADER_BYTES)
    header = msgspec.json.decode(data, type=IndexHeader)
    if header.format != FORMAT:
        raise _Unfit(f"it has the format {header.format}, and this program reads {FORMAT}")
    if not _PART.fullmatch(header.part) or header.pairs < 1:
        raise _Unfit("its header is damaged")
    return header


class _Unfit(ValueError):
    """A file of an index does not hold what it should; the message says why, in our words."""


@contextlib.contextmanager
def _explained(name: str) -> Iterator[None]:
    """Tell what is wrong with the files of an index."""
    try:
        yield
    except FileNotFoundError as error:
        raise RetrievalError(f"There is no whole index named {name}.", _REBUILD) from error
    except OSError as error:
        raise RetrievalError(
            f"The index {name} can't be read: {files.reason(error)}.", _REBUILD
        ) from error
    except (ValueError, TypeError, KeyError, IndexError, EOFError, msgspec.MsgspecError) as error:
        # What libraries say is for who knows them, and may advise to trust the file.
        why = f" ({error})" if isinstance(error, _Unfit) else ""
        raise RetrievalError(f"The index {name} is damaged{why}.", _REBUILD) from error
