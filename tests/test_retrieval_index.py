"""The index of a pool: what is found, in which order, and what stays whole."""

from __future__ import annotations

import errno
import os
import random
from pathlib import Path
from typing import Any

import bm25s
import numpy as np
import pytest

from urial_tui.errors import RetrievalError
from urial_tui.prompting.pool import Pair
from urial_tui.prompting.retrieval_index import RetrievalIndex, index_path, write_index


def some_pairs(count: int) -> list[Pair]:
    rng = random.Random(count)
    words = [f"word{number}" for number in range(60)]
    return [
        Pair(" ".join(rng.choices(words, k=rng.randint(1, 12))), f"answer {number}")
        for number in range(count)
    ]


def unit_rows(count: int, size: int) -> Any:
    rows = np.random.default_rng(count).standard_normal((count, size))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def test_bm25_ranks_as_the_library_does(tmp_path: Path) -> None:
    pairs = some_pairs(500)
    write_index("words", pairs, directory=tmp_path)
    index = RetrievalIndex("words", tmp_path)
    plain = bm25s.BM25()
    texts = [pair.query for pair in pairs]
    plain.index(bm25s.tokenize(texts, stopwords=None, show_progress=False), show_progress=False)
    for question in ("word1 word2 word3", "word59", "word4 word4 nothing", texts[17]):
        asked = bm25s.tokenize([question], stopwords=None, return_ids=False, show_progress=False)
        scores = plain.get_scores(asked[0])
        expected = sorted(
            (number for number in range(500) if scores[number] > 0),
            key=lambda number: (-scores[number], number),
        )
        found = list(index.by_words(question))
        assert [one.number for one in found] == expected
        assert [one.pair for one in found] == [pairs[number] for number in expected]
        assert [one.score for one in found] == pytest.approx([scores[n] for n in expected])
        documents, top = plain.retrieve(asked, k=10, show_progress=False)
        assert [one.score for one in found[:10]] == pytest.approx(top[0].tolist())
        assert len(set(scores[documents[0]])) < 10 or [one.number for one in found[:10]] == list(
            documents[0]
        )


def test_nothing_is_found_where_no_word_is_shared(tmp_path: Path) -> None:
    write_index("words", some_pairs(20), directory=tmp_path)
    index = RetrievalIndex("words", tmp_path)
    for question in ("", "?", "else", "a b c", "\x00\ud800", "ж" * 10_000):
        assert list(index.by_words(question)) == []


def test_a_pool_without_any_word_has_no_index_of_words(tmp_path: Path) -> None:
    with pytest.raises(RetrievalError, match="which BM25 needs"):
        write_index("none", [Pair("?", "a"), Pair("!", "b")], directory=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_neighbours_are_those_of_a_search_in_double_precision(tmp_path: Path) -> None:
    rows = unit_rows(20_000, 48)
    pairs = [Pair(f"q{number}", "a") for number in range(len(rows))]
    write_index("rows", pairs, rows, embedder="e", directory=tmp_path)
    index = RetrievalIndex("rows", tmp_path)
    for vector in unit_rows(5, 48):
        exact = rows.astype(np.float64) @ vector.astype(np.float64)
        expected = np.argsort(-exact, kind="stable")[:50]
        found = index.by_vector(vector, "e")
        first = [next(found) for _ in range(50)]
        assert [one.number for one in first] == expected.tolist()
        assert [one.score for one in first] == pytest.approx(exact[expected], abs=1e-6)


def test_equal_scores_stand_in_the_order_of_the_pool(tmp_path: Path) -> None:
    rows = np.tile(np.array([[1, 0], [0, 1]], np.float32), (300, 1))
    pairs = [Pair(f"q{number}", "a") for number in range(600)]
    write_index("rows", pairs, rows, embedder="e", directory=tmp_path)
    found = list(RetrievalIndex("rows", tmp_path).by_vector(np.array([0, 1], np.float32), "e"))
    assert [one.number for one in found] == [*range(1, 600, 2), *range(0, 600, 2)]
    write_index("words", [Pair("same words", str(n)) for n in range(300)], directory=tmp_path)
    told = [one.number for one in RetrievalIndex("words", tmp_path).by_words("words")]
    assert told == list(range(300))


def test_an_update_never_returns_a_deleted_pair(tmp_path: Path) -> None:
    pairs = some_pairs(200)
    write_index("pool", pairs, directory=tmp_path)
    old = RetrievalIndex("pool", tmp_path)
    kept = pairs[::2]
    write_index("pool", kept, directory=tmp_path)
    new = RetrievalIndex("pool", tmp_path)
    assert {one.pair for pair in pairs for one in new.by_words(pair.query)} == set(kept)
    assert new.header.content != old.header.content
    assert (old.is_current, new.is_current) == (False, True)
    # Who has the old one open goes on with it, whole.
    assert {one.pair for pair in pairs for one in old.by_words(pair.query)} == set(pairs)
    assert len([one for one in (tmp_path / "pool").iterdir() if one.is_dir()]) == 1


def test_a_disk_that_fills_up_leaves_the_old_index(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pairs = some_pairs(50)
    write_index("pool", pairs, directory=tmp_path)
    before = sorted(tmp_path.rglob("*"))

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    for place in ("fsync", "pwrite"):
        monkeypatch.setattr(os, place, full)
    with pytest.raises(RetrievalError, match="can't be written: ") as caught:
        write_index("pool", pairs[:10], directory=tmp_path)
    assert caught.value.hint
    monkeypatch.undo()
    assert sorted(tmp_path.rglob("*")) == before
    assert len(RetrievalIndex("pool", tmp_path)) == 50
    monkeypatch.setattr(bm25s.BM25, "save", full)
    with pytest.raises(RetrievalError, match="can't be written: "):
        write_index("pool", pairs[:10], directory=tmp_path)
    assert sorted(tmp_path.rglob("*")) == before


def test_one_program_at_a_time_builds_an_index(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_index("pool", some_pairs(50), directory=tmp_path)
    save = bm25s.BM25.save
    refused = []

    def save_while_another_builds(*given: Any, **more: Any) -> None:
        monkeypatch.undo()
        with pytest.raises(RetrievalError, match="Another program builds this index") as caught:
            write_index("pool", some_pairs(30), directory=tmp_path)
        refused.append(caught.value.hint)
        save(*given, **more)

    monkeypatch.setattr(bm25s.BM25, "save", save_while_another_builds)
    write_index("pool", some_pairs(20), directory=tmp_path)
    assert refused == ["Wait for it, or choose another name with --name."]
    assert len(RetrievalIndex("pool", tmp_path)) == 20
    write_index("pool", some_pairs(30), directory=tmp_path)
    assert len(RetrievalIndex("pool", tmp_path)) == 30
    assert len(list((tmp_path / "pool").iterdir())) == 2
    assert list(RetrievalIndex("pool", tmp_path).by_words("word1"))


def test_what_a_killed_build_left_is_in_nobodys_way(tmp_path: Path) -> None:
    (tmp_path / "pool" / "part-0123456789abcdef").mkdir(parents=True)
    (tmp_path / "pool" / "building").touch()
    write_index("pool", some_pairs(20), directory=tmp_path)
    assert len(RetrievalIndex("pool", tmp_path)) == 20
    assert len(list((tmp_path / "pool").iterdir())) == 2


def test_an_index_of_another_model_is_refused_with_what_differs(tmp_path: Path) -> None:
    rows = unit_rows(4, 8)
    write_index("rows", some_pairs(4), rows, embedder="one", model="small", directory=tmp_path)
    index = RetrievalIndex("rows", tmp_path)
    with pytest.raises(RetrievalError, match="made by small with another content"):
        list(index.by_vector(rows[0], "other"))
    with pytest.raises(RetrievalError, match=r"vectors of 8 numbers, made by small.*makes 6"):
        list(index.by_vector(rows[0][:6], "one"))
    with pytest.raises(RetrievalError, match="one of an embedding model, small"):
        list(index.by_words("word1"))
    write_index("words", some_pairs(4), directory=tmp_path)
    with pytest.raises(RetrievalError, match="one of words"):
        list(RetrievalIndex("words", tmp_path).by_vector(rows[0], "one"))


def test_the_identity_follows_from_the_content_alone(tmp_path: Path) -> None:
    pairs = some_pairs(9)
    first = write_index("a", pairs, directory=tmp_path)
    again = write_index("b", pairs, directory=tmp_path)
    assert first.identity == again.identity
    assert write_index("a", pairs[::-1], directory=tmp_path).identity != first.identity
    edited = [*pairs[:-1], Pair(pairs[-1].query, "another answer")]
    assert write_index("a", edited, directory=tmp_path).identity != first.identity


@pytest.mark.parametrize("name", ["", "..", "a/b", "A", "a b", "-a", "a\n", "../a"])
def test_a_name_that_leads_elsewhere_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(RetrievalError, match="can't be called"):
        index_path(name, tmp_path)


def test_what_is_damaged_is_told_in_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(RetrievalError, match="no whole index named none"):
        RetrievalIndex("none", tmp_path)
    for file in ("index.json", "places.npy", "queries.npy", "pairs.jsonl", "vocab.index.json",
                 "data.csc.index.npy", "params.index.json"):  # fmt: skip
        write_index("pool", some_pairs(5), directory=tmp_path)
        (path,) = (tmp_path / "pool").rglob(file)
        for data in (b"", bytes(200), b"\xff\x00{}", path.read_bytes()[:40]):
            path.write_bytes(data)
            with pytest.raises(RetrievalError) as raised:
                list(RetrievalIndex("pool", tmp_path).by_words("word1 word2 word3 word4 word5"))
            # Not what a library says of it: NumPy's words advise to load it unsafely.
            assert raised.value.message == "The index pool is damaged."
            with pytest.raises(RetrievalError):
                RetrievalIndex("pool", tmp_path).pair(4)
        path.unlink()
        with pytest.raises(RetrievalError):
            RetrievalIndex("pool", tmp_path)


def test_a_header_that_leads_elsewhere_is_damaged(tmp_path: Path) -> None:
    write_index("pool", some_pairs(5), directory=tmp_path)
    header = tmp_path / "pool" / "index.json"
    text = header.read_text()
    part = next(one.name for one in (tmp_path / "pool").iterdir() if one.is_dir())
    for bad in ("../../etc", "part-", "/"):
        header.write_text(text.replace(part, bad))
        with pytest.raises(RetrievalError, match="damaged"):
            RetrievalIndex("pool", tmp_path)
    header.write_text(text.replace('"format": 1', '"format": 9'))
    with pytest.raises(RetrievalError, match="format 9"):
        RetrievalIndex("pool", tmp_path)
