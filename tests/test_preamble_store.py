"""State files: used for exactly what they were made from, or not at all."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec
import pytest

from urial_tui.engine.preamble_store import PreambleStore, StateKey


def _key(**changes: object) -> StateKey:
    key = StateKey(
        model="m",
        adapter="",
        adapter_scale=0.0,
        tokens=(2, 5, 9),
        library="lib",
        kv_type="f16",
        flash_attention=True,
        swa_full=True,
        unified=True,
        n_batch=512,
        gpu_layers=0,
    )
    return msgspec.structs.replace(key, **changes)


@pytest.fixture
def store(tmp_path: Path) -> PreambleStore:
    return PreambleStore(tmp_path / "states", 1_000_000)


def test_what_was_saved_comes_back(store: PreambleStore) -> None:
    store.save(_key(), "tiny.gguf", b"state" * 100)
    assert bytes(store.load(_key()) or b"") == b"state" * 100
    (entry,) = store.entries()
    assert (entry.model, entry.tokens) == ("tiny.gguf", 3)


@pytest.mark.parametrize(
    "change",
    [
        {"model": "another quantisation"},
        {"adapter": "a"},
        {"tokens": (2, 5)},
        {"library": "newer"},
        {"kv_type": "q8_0"},
        {"flash_attention": False},
        {"swa_full": False},
        {"n_batch": 256},
        {"gpu_layers": 3},
    ],
)
def test_a_state_of_other_circumstances_is_not_used(
    store: PreambleStore, change: dict[str, object]
) -> None:
    store.save(_key(), "tiny.gguf", b"state")
    assert store.load(_key(**change)) is None


def test_every_flipped_bit_and_every_truncation_is_noticed(store: PreambleStore) -> None:
    store.save(_key(), "tiny.gguf", b"0123456789")
    (path,) = store.directory.iterdir()
    whole = path.read_bytes()
    for index in range(len(whole)):
        path.write_bytes(whole[:index] + bytes([whole[index] ^ 4]) + whole[index + 1 :])
        assert store.load(_key()) is None, f"byte {index}"
        assert not path.exists(), "a damaged file is removed"
        path.write_bytes(whole[:index])
        assert store.load(_key()) is None, f"cut at {index}"
    path.write_bytes(whole + b"x")
    assert store.load(_key()) is None
    path.write_bytes(whole)
    assert bytes(store.load(_key()) or b"") == b"0123456789"


def test_a_file_under_another_files_name_is_not_used(store: PreambleStore) -> None:
    store.save(_key(model="a"), "a.gguf", b"a")
    (first,) = store.directory.iterdir()
    store.save(_key(model="b"), "b.gguf", b"b")
    (second,) = set(store.directory.iterdir()) - {first}
    second.write_bytes(first.read_bytes())
    assert store.load(_key(model="b")) is None


def test_the_least_recently_used_goes_first(tmp_path: Path) -> None:
    measure = PreambleStore(tmp_path / "one", 1_000_000)
    measure.save(_key(model="0"), "0.gguf", b"x" * 5000)
    size = measure.entries()[0].size
    store = PreambleStore(tmp_path / "states", 3 * size + 100)
    for index, used in enumerate((1_000, 3_000, 2_000)):
        before = {entry.path for entry in store.entries()}
        store.save(_key(model=str(index)), f"{index}.gguf", b"x" * 5000)
        (new,) = {entry.path for entry in store.entries()} - before
        os.utime(new, (used, used))
    assert store.load(_key(model="0")) is not None, "using it makes it recent"
    store.save(_key(model="3"), "3.gguf", b"x" * 5000)
    assert {entry.model for entry in store.entries()} == {"0.gguf", "1.gguf", "3.gguf"}


def test_a_state_above_the_limit_is_not_kept_and_says_so(tmp_path: Path) -> None:
    store = PreambleStore(tmp_path / "none", 10)
    with pytest.raises(OSError, match=r"it has 11 B and engine\.cache_limit_mb allows 10 B"):
        store.save(_key(), "tiny.gguf", b"x" * 11)
    assert not (tmp_path / "none").exists()


def test_a_limit_of_nothing_keeps_nothing(tmp_path: Path) -> None:
    PreambleStore(tmp_path / "none", 0).save(_key(), "tiny.gguf", b"x")
    assert not (tmp_path / "none").exists()


def test_a_failed_write_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = PreambleStore(tmp_path, 1_000_000)

    def full(_fd: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("urial_tui.engine.preamble_store.os.fsync", full)
    with pytest.raises(OSError, match="No space left"):
        store.save(_key(), "tiny.gguf", b"x" * 100)
    assert list(tmp_path.iterdir()) == []


def test_clear_frees_states_and_unfinished_files(store: PreambleStore) -> None:
    store.save(_key(), "tiny.gguf", b"x" * 100)
    (store.directory / "left.part").write_bytes(b"y" * 50)
    assert store.clear() > 150
    assert list(store.directory.iterdir()) == []
    assert PreambleStore(store.directory / "missing", 1).clear() == 0
