"""What is retrieved for a question, and the vectors that an index is made of."""

from __future__ import annotations

import errno
from collections.abc import Generator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from urial_tui.engine.client.call import follow
from urial_tui.engine.wire.events import Event, Notice
from urial_tui.errors import EngineDied, RetrievalError
from urial_tui.journal import Journal
from urial_tui.prompting.pool import Pair
from urial_tui.prompting.preamble import Preamble
from urial_tui.prompting.retrieval_index import RetrievalIndex, write_index
from urial_tui.prompting.retrieving import retrieving_preamble
from urial_tui.runtime.query_rows import AT_ONCE, query_rows
from urial_tui.runtime.retriever import Retrieved, Retriever
from urial_tui.wording import size

WEIGHTS = np.random.default_rng(1).uniform(0.5, 2, 26)


class LetterCounts:
    """An embedder that counts letters; dies before its text number `dies_at`."""

    def __init__(self, identity: str = "letters", dies_at: int | None = None) -> None:
        self.identity = identity
        self.size = 26
        self.texts: list[str] = []
        self._dies_at = dies_at

    def embed(self, texts: Sequence[str]) -> Generator[Event, None, Any]:
        yield Notice(id=0, message="embedding")
        if self._dies_at is not None and len(self.texts) + len(texts) > self._dies_at:
            raise EngineDied("The engine died.", "Start it again.")
        self.texts += texts
        rows = [[text.lower().count(chr(97 + number)) for number in range(26)] for text in texts]
        # No two sums of these are equal, so no order is a matter of rounding.
        counts = np.array(rows, np.float64) * WEIGHTS + 1e-6
        return (counts / np.linalg.norm(counts, axis=1, keepdims=True)).astype(np.float32)


def some_pairs(count: int) -> list[Pair]:
    letters = np.random.default_rng(0).integers(97, 123, (count, 20))
    return [Pair(bytes(row.tolist()).decode(), f"answer {n}.") for n, row in enumerate(letters)]


def rows_of(pairs: Sequence[Pair], embedder: LetterCounts, begun: Path, known: Any = None) -> Any:
    return follow(query_rows(pairs, embedder, known, begun), lambda event: None)


def retrieve(retriever: Retriever, question: str) -> Retrieved:
    return follow(retriever.retrieve(question), lambda event: None)


@pytest.fixture
def preamble() -> Preamble:
    return retrieving_preamble("pool", k=5)


def test_the_examples_are_the_nearest_by_a_search_in_double_precision(
    tmp_path: Path, preamble: Preamble
) -> None:
    pairs, embedder = some_pairs(300), LetterCounts()
    rows = rows_of(pairs, embedder, tmp_path / "begun")
    write_index("pool", pairs, rows, embedder="letters", directory=tmp_path)
    retriever = Retriever(preamble, RetrievalIndex("pool", tmp_path), embedder)
    for question in ("the quick brown fox", "zebra", pairs[7].query + "x"):
        found = retrieve(retriever, question)
        (vector,) = follow(embedder.embed([question]), lambda event: None)
        exact = rows.astype(np.float64) @ vector.astype(np.float64)
        expected = np.argsort(-exact, kind="stable")[:5][::-1]
        assert [pair.number - 1 for pair in found.pairs] == expected.tolist()
        assert [example.query for example in found.examples] == [pairs[n].query for n in expected]


def test_an_update_embeds_only_what_is_new(tmp_path: Path) -> None:
    pairs, begun = some_pairs(200), tmp_path / "begun"
    first = rows_of(pairs, LetterCounts(), begun)
    begun.unlink()
    write_index("pool", pairs, first, embedder="letters", directory=tmp_path)
    index = RetrievalIndex("pool", tmp_path)
    changed = [Pair("quite new", "x"), *pairs[50:], Pair(pairs[0].query, "another answer")]
    again = LetterCounts()
    rows = rows_of(changed, again, begun, index)
    assert again.texts == ["quite new"]
    assert (rows == rows_of(changed, LetterCounts(), tmp_path / "anew")).all()
    # Another model's rows are none.
    begun.unlink()
    other = LetterCounts("other")
    rows_of(changed, other, begun, index)
    assert len(other.texts) == len(changed)


def test_embedding_that_was_stopped_goes_on(tmp_path: Path) -> None:
    pairs, begun = some_pairs(4 * AT_ONCE + 3), tmp_path / "begun"
    with pytest.raises(EngineDied):
        rows_of(pairs, LetterCounts(dies_at=2 * AT_ONCE), begun)
    with begun.open("ab") as file:
        file.write(b'{"keys": ["torn')
    rest = LetterCounts()
    rows = rows_of(pairs, rest, begun)
    assert rest.texts == [pair.query for pair in pairs[2 * AT_ONCE :]]
    assert (rows == rows_of(pairs, LetterCounts(), tmp_path / "anew")).all()
    # What another model has begun is none of ours.
    other = LetterCounts("other")
    rows_of(pairs, other, begun)
    assert len(other.texts) == len(pairs)


def test_a_journal_of_nonsense_counts_for_nothing(tmp_path: Path) -> None:
    pairs = some_pairs(3)
    head = b'{"embedder":"letters","size":26}\n'
    nan = b'{"keys":["00"],"rows":"AADAfw=="}\n'
    for data in (b"\x00\xff\n", b"[]\n", head + b"[]\n", head + nan, head + b"[" * 10_000):
        begun = tmp_path / "begun"
        begun.write_bytes(data)
        embedder = LetterCounts()
        rows = rows_of(pairs, embedder, begun)
        assert rows.shape == (3, 26)
        assert len(embedder.texts) == 3


def test_a_disk_that_fills_up_keeps_what_was_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pairs, begun = some_pairs(3 * AT_ONCE), tmp_path / "begun"
    append, lines = Journal.append, 0

    def full(journal: Journal, value: Any) -> int:
        nonlocal lines
        lines += 1
        if lines > 2:
            raise OSError(errno.ENOSPC, "No space left on device")
        return append(journal, value)

    monkeypatch.setattr(Journal, "append", full)
    with pytest.raises(RetrievalError, match="can't be kept") as caught:
        rows_of(pairs, LetterCounts(), begun)
    monkeypatch.undo()
    assert caught.value.hint == (
        "Free some space, or see whether you may write there. The vectors that were made "
        f"({size(begun.stat().st_size)}) stay in {begun}: the same command goes on from there, and "
        "`urial cache clear vectors` removes them."
    )
    rest = LetterCounts()
    rows_of(pairs, rest, begun)
    assert len(rest.texts) == 2 * AT_ONCE


def test_a_disk_that_was_full_from_the_start_keeps_nothing_and_promises_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Journal, "append", full)
    with pytest.raises(RetrievalError, match="No space left on device") as caught:
        rows_of(some_pairs(2), LetterCounts(), tmp_path / "begun")
    assert caught.value.hint == "Free some space, or see whether you may write there."


def test_what_is_no_vector_is_refused(tmp_path: Path) -> None:
    class Broken(LetterCounts):
        def embed(self, texts: Sequence[str]) -> Generator[Event, None, Any]:
            rows = yield from super().embed(texts)
            return rows * np.float32("nan")

    with pytest.raises(RetrievalError, match="no vector of length 1"):
        rows_of(some_pairs(2), Broken(), tmp_path / "begun")


def test_one_program_at_a_time_builds_an_index(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "begun")
    with pytest.raises(RetrievalError, match="Another program builds this index"):
        rows_of(some_pairs(2), LetterCounts(), tmp_path / "begun")
    journal.close()


def test_an_index_of_another_model_is_refused_before_it_is_asked(
    tmp_path: Path, preamble: Preamble
) -> None:
    pairs = some_pairs(5)
    rows = rows_of(pairs, LetterCounts(), tmp_path / "begun")
    write_index("pool", pairs, rows, embedder="letters", model="small", directory=tmp_path)
    index = RetrievalIndex("pool", tmp_path)
    with pytest.raises(RetrievalError, match="made by small with another content"):
        Retriever(preamble, index, LetterCounts("other"))
    write_index("words", pairs, directory=tmp_path)
    with pytest.raises(RetrievalError, match="one of words"):
        Retriever(preamble, RetrievalIndex("words", tmp_path), LetterCounts())
    with pytest.raises(RetrievalError, match="one of an embedding model"):
        retrieve(Retriever(preamble, index), "question")


def test_what_can_not_be_shown_gives_way_to_the_next(tmp_path: Path) -> None:
    pairs = [
        Pair("What is a wombat?", "A marsupial. It digs."),
        Pair("what  is a ＷOMBAT?", "Again."),
        Pair("What is a wombat really?", "A fence\n~~~~\nends it."),
        Pair("Is a wombat big?", "One. Two. " + "Three four five. " * 50),
        Pair("Does a wombat bite?", "Yes."),
    ]
    write_index("pool", pairs, directory=tmp_path)
    preamble = retrieving_preamble("pool", k=2, most_words=3)
    retriever = Retriever(preamble, RetrievalIndex("pool", tmp_path))
    found = retrieve(retriever, "What is a wombat?\n")
    assert (found.same, found.unfit) == (2, 1)
    assert {pair.number for pair in found.pairs} == {4, 5}
    cut = {pair.number: pair.cut for pair in found.pairs}
    assert cut == {4: True, 5: False}
    assert "One. Two." in [example.answer for example in found.examples]
    assert found == retrieve(retriever, "What is a wombat?\n") or found.seconds >= 0


def test_the_key_follows_from_all_that_decides_what_is_shown(tmp_path: Path) -> None:
    write_index("pool", some_pairs(5), directory=tmp_path)
    index = RetrievalIndex("pool", tmp_path)
    keys = [
        Retriever(retrieving_preamble("pool", k=k, most_words=words, like=like), index).key
        for k, words, like in ((3, 300, None), (4, 300, None), (3, 299, None), (3, 300, "urial-k1"))
    ]
    assert keys[0] == Retriever(retrieving_preamble("pool", k=3, most_words=300), index).key
    assert len(set(keys)) >= 3
    write_index("pool", some_pairs(4), directory=tmp_path)
    fresh = RetrievalIndex("pool", tmp_path)
    assert Retriever(retrieving_preamble("pool"), fresh).key not in keys
