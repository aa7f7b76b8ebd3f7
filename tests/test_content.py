"""What is in a file: told by every byte, remembered only while nothing can have changed."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests import tinygguf
from tests.loaded import newest
from urial_tui.engine.client.engine import Engine
from urial_tui.engine.wire.events import PreambleReady
from urial_tui.engine.wire.values import EngineOptions, ModelInfo, TextSegment
from urial_tui.engine.worker import content
from urial_tui.engine.worker.content import Contents, DigestStopped, FileDigest, part_files


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "model.gguf"
    path.write_bytes(os.urandom(3 << 20))
    return path


@pytest.fixture
def settled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files that were just written count as old ones."""
    monkeypatch.setattr(content, "SETTLED", 0.0)


@pytest.fixture
def hashed(monkeypatch: pytest.MonkeyPatch) -> Callable[[], int]:
    """How many files were read since the last call."""
    count = 0
    sha256 = hashlib.sha256

    def counted(*data: bytes) -> object:
        nonlocal count
        count += not data
        return sha256(*data)

    def since() -> int:
        nonlocal count
        found, count = count, 0
        return found

    monkeypatch.setattr("urial_tui.engine.worker.content.hashlib.sha256", counted)
    return since


def change(path: Path, offset: int) -> None:
    """Change one byte, and restore the file's times as far as programs can."""
    times = path.stat()
    with path.open("r+b") as file:
        file.seek(offset)
        byte = file.read(1)[0]
        file.seek(offset)
        file.write(bytes([byte ^ 1]))
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert path.stat().st_mtime_ns == times.st_mtime_ns


def test_it_is_the_sha256_that_other_programs_tell(model: Path, tmp_path: Path) -> None:
    wanted = hashlib.sha256(model.read_bytes()).hexdigest()
    assert Contents(tmp_path / "cache").digest(model) == wanted


@pytest.mark.parametrize("offset", [0, 100, (1 << 20) + 5000, (3 << 20) - 1])
def test_one_changed_byte_shows_though_the_time_is_restored(
    model: Path, tmp_path: Path, settled: None, offset: int
) -> None:
    before = Contents(tmp_path / "cache").digest(model)
    assert Contents(tmp_path / "cache").digest(model) == before
    change(model, offset)
    assert Contents(tmp_path / "cache").digest(model) != before


def test_it_is_computed_once(
    model: Path, tmp_path: Path, settled: None, hashed: Callable[[], int]
) -> None:
    first = Contents(tmp_path / "cache")
    found = first.digest(model)
    assert hashed() == 1
    assert first.digest(model) == Contents(tmp_path / "cache").digest(model) == found
    assert hashed() == 0
    renamed = model.rename(model.with_name("another.gguf"))
    os.utime(renamed, (1e9, 1e9))
    assert Contents(tmp_path / "cache").digest(renamed) == found
    assert hashed() == 1, "its change time is another one"


def test_what_was_just_written_is_not_trusted_to_stay(
    model: Path, tmp_path: Path, hashed: Callable[[], int]
) -> None:
    contents = Contents(tmp_path / "cache")
    assert contents.digest(model) == contents.digest(model)
    assert hashed() == 2


@pytest.mark.parametrize(
    "memory",
    [
        b"",
        b"{",
        b"[" * 100_000,
        b'{"version": 1, "files": {"KEY": [1, 2, 3, "00"]}}',
        b'{"version": 9, "files": {}}',
        b'{"version": 1, "files": {"KEY": [SIZE, MODIFIED, CHANGED, "not a digest"]}}',
    ],
)
def test_a_damaged_memory_costs_nothing_but_time(
    model: Path, tmp_path: Path, settled: None, memory: bytes
) -> None:
    directory = tmp_path / "cache"
    directory.mkdir()
    status = model.stat()
    for name, value in (
        (b"KEY", f"{status.st_dev}:{status.st_ino}"),
        (b"SIZE", status.st_size),
        (b"MODIFIED", status.st_mtime_ns),
        (b"CHANGED", status.st_ctime_ns),
    ):
        memory = memory.replace(name, str(value).encode())
    (directory / content.MEMORY_NAME).write_bytes(memory)
    wanted = hashlib.sha256(model.read_bytes()).hexdigest()
    assert Contents(directory).digest(model) == wanted


def test_a_directory_that_can_not_be_written_costs_nothing_but_time(
    model: Path, tmp_path: Path, settled: None, hashed: Callable[[], int]
) -> None:
    (tmp_path / "cache").write_text("a file, not a directory")
    contents = Contents(tmp_path / "cache")
    assert contents.digest(model) == contents.digest(model)
    assert hashed() == 1, "the process remembers"


def test_only_so_many_are_remembered(
    tmp_path: Path, settled: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(content, "_MAX_ENTRIES", 2)
    paths = [tmp_path / str(number) for number in range(4)]
    for path in paths:
        path.write_text(path.name)
        Contents(tmp_path / "cache").digest(path)
    kept = (tmp_path / "cache" / content.MEMORY_NAME).read_text()
    found = [f":{path.stat().st_ino}" in kept for path in paths]
    assert found == [False, False, True, True]


def test_it_can_be_stopped(model: Path, tmp_path: Path) -> None:
    with pytest.raises(DigestStopped):
        Contents(tmp_path).digest(model, lambda: True)


def test_what_changes_while_it_is_loaded_matches_nothing(model: Path, tmp_path: Path) -> None:
    reading = FileDigest(Contents(tmp_path), model)
    change(model, 77)
    first = reading.result()
    reading = FileDigest(Contents(tmp_path), model)
    change(model, 77)
    assert first.startswith("unknown-")
    assert reading.result() != first


def test_the_parts_of_a_model_count_together(tmp_path: Path, settled: None) -> None:
    parts = [tmp_path / f"m-0000{number}-of-00003.gguf" for number in (1, 2, 3)]
    for part in parts:
        part.write_bytes(os.urandom(5000))
    assert part_files(parts[0]) == parts
    contents = Contents(tmp_path / "cache")
    before = contents.together(part_files(parts[0]))
    change(parts[1], 4000)
    assert contents.together(part_files(parts[0])) != before
    parts[2].unlink()
    assert part_files(parts[0]) == [parts[0]], "named so by chance"


# -- in the worker ---------------------------------------------------------------------


def opened(engine: Engine, path: Path) -> ModelInfo:
    for _ in engine.load(path, options=EngineOptions(n_ctx=512, threads=1)):
        pass
    return newest(engine).info


def test_a_state_is_used_for_the_very_content_that_it_was_made_from(
    tmp_path: Path,
) -> None:
    """One byte of the last tensor is another, at the same time and size."""
    path = tinygguf.write_llama(tmp_path / "model.gguf")
    preamble = (TextSegment(text="the list and the answer " * 20),)
    sources = []
    with Engine() as engine:
        for step in range(4):
            if step == 2:
                # Another file of the name: what is mapped must not be written to.
                copy = tmp_path / "copy"
                copy.write_bytes(path.read_bytes())
                times = path.stat()
                with copy.open("r+b") as file:
                    file.seek(-40, os.SEEK_END)
                    file.write(b"\0")
                os.utime(copy, ns=(times.st_atime_ns, times.st_mtime_ns))
                copy.replace(path)
            info = opened(engine, path)
            assert info.content == hashlib.sha256(path.read_bytes()).hexdigest()
            sources += [
                event.source
                for event in newest(engine).prepare(preamble)
                if isinstance(event, PreambleReady)
            ]
    assert sources == ["computed", "disk", "computed", "disk"]


def test_two_names_of_one_file_are_one_model(tmp_path: Path, llama_gguf: Path) -> None:
    with Engine() as engine:
        first = opened(engine, llama_gguf)
        link = tmp_path / "other-name.gguf"
        link.symlink_to(llama_gguf)
        assert opened(engine, link).content == first.content
    assert first.library
