"""Weights that move to huge pages: the same bytes, only what was read, never too much."""

from __future__ import annotations

import mmap
import random
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import tinygguf
from tests.loaded import newest
from urial_tui.engine.client.engine import Engine
from urial_tui.engine.native.huge_pages import MappedWeights, huge_page_size
from urial_tui.engine.wire.events import Finished
from urial_tui.engine.wire.values import EngineOptions, Sampling, TextSegment

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="huge pages are asked for on Linux")

PAGE = 2 << 20
PAGES = 8
SIZE = (PAGES + 1) * PAGE
OWN = 3 * PAGE
"""What the worker has in memory beside the file."""


class Mapped:
    """A file in this process, as the library maps one: read-only, shared."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.bytes = random.Random(1).randbytes(SIZE)
        path.write_bytes(self.bytes)
        with path.open("rb") as file:
            self._map = mmap.mmap(file.fileno(), 0, mmap.MAP_SHARED, mmap.PROT_READ)
        self.start, self.end = next(self.still_file())

    def still_file(self) -> Iterator[tuple[int, int]]:
        """The address ranges that are the file."""
        for line in Path("/proc/self/maps").read_text().splitlines():
            if line.endswith(str(self.path)):
                start, _, end = line.split()[0].partition("-")
                yield int(start, 16), int(end, 16)

    @property
    def first_page(self) -> int:
        """How far into the file the first whole huge page starts."""
        return -self.start % PAGE

    def is_file(self, page: int) -> bool:
        """Whether a whole huge page, counted from the first one, still is the file."""
        place = self.start + self.first_page + page * PAGE
        return any(start <= place and place + PAGE <= end for start, end in self.still_file())

    def read(self, pages: range) -> None:
        """Read these huge pages, every byte."""
        for page in pages:
            place = self.first_page + page * PAGE
            assert self._map[place : place + PAGE] == self.bytes[place : place + PAGE]

    def check(self) -> None:
        """All bytes are what they were, here and in the file."""
        assert self._map[:] == self.bytes
        assert self.path.read_bytes() == self.bytes

    def close(self) -> None:
        """Forget the file."""
        self._map.close()


@pytest.fixture
def mapped(tmp_path: Path) -> Iterator[Mapped]:
    mapped = Mapped(tmp_path / "weights.gguf")
    yield mapped
    mapped.close()


def system(
    directory: Path, *, enabled: str = "always [madvise] never", free: int = 1 << 40
) -> Path:
    """A root with this process' own /proc/self, and the rest as told; `free` in bytes."""
    pages = directory / "sys/kernel/mm/transparent_hugepage"
    pages.mkdir(parents=True)
    (pages / "enabled").write_text(f"{enabled}\n")
    (pages / "hpage_pmd_size").write_text(f"{PAGE}\n")
    proc = directory / "proc"
    proc.mkdir()
    (proc / "meminfo").write_text(f"MemTotal: {1 << 32} kB\nMemAvailable: {free // 1024} kB\n")
    own = proc / "self"
    own.mkdir()
    for name in ("maps", "pagemap", "cgroup", "mountinfo"):
        (own / name).symlink_to(f"/proc/self/{name}")
    (own / "status").write_text(f"RssAnon: {OWN // 1024} kB\n")
    return directory


def move_all(weights: MappedWeights) -> int:
    """Move what was found; the number of steps."""
    weights.find()
    steps = 1
    while weights.move():
        steps += 1
    return steps


def moved_pages(mapped: Mapped) -> list[int]:
    return [page for page in range(PAGES) if not mapped.is_file(page)]


def test_what_was_read_moves_and_keeps_its_bytes(mapped: Mapped, tmp_path: Path) -> None:
    weights = MappedWeights(str(mapped.path), system(tmp_path / "root"))
    mapped.read(range(1, 4))
    mapped.read(range(5, 6))
    assert move_all(weights) > 1
    assert moved_pages(mapped) == [1, 2, 3, 5]
    mapped.check()


def test_what_is_read_later_moves_later(mapped: Mapped, tmp_path: Path) -> None:
    weights = MappedWeights(str(mapped.path), system(tmp_path / "root"))
    mapped.read(range(2))
    move_all(weights)
    assert moved_pages(mapped) == [0, 1]
    mapped.read(range(6, 7))
    move_all(weights)
    assert moved_pages(mapped) == [0, 1, 6]
    mapped.check()
    move_all(weights)
    assert moved_pages(mapped) == list(range(PAGES))
    mapped.check()


def test_what_was_read_before_does_not_count(mapped: Mapped, tmp_path: Path) -> None:
    mapped.read(range(PAGES))
    weights = MappedWeights(str(mapped.path), system(tmp_path / "root"))
    move_all(weights)
    assert moved_pages(mapped) == []


def test_a_second_worker_of_the_same_size_still_fits(mapped: Mapped, tmp_path: Path) -> None:
    free = SIZE + OWN + 3 * PAGE + PAGE // 2
    weights = MappedWeights(str(mapped.path), system(tmp_path / "root", free=free))
    mapped.read(range(PAGES))
    for _ in range(2):
        move_all(weights)
        assert moved_pages(mapped) == [0, 1, 2]
    (tmp_path / "root/proc/meminfo").write_text(f"MemAvailable: {100 * PAGE // 1024} kB\n")
    move_all(weights)
    assert moved_pages(mapped) == [0, 1, 2]
    mapped.check()


def test_a_second_worker_still_fits_into_what_is_free_by_then(
    mapped: Mapped, tmp_path: Path
) -> None:
    weights = MappedWeights(str(mapped.path), system(tmp_path / "root"))
    mapped.read(range(PAGES))
    free = SIZE + OWN + 2 * PAGE
    (tmp_path / "root/proc/meminfo").write_text(f"MemAvailable: {free // 1024} kB\n")
    move_all(weights)
    assert moved_pages(mapped) == [0, 1]
    mapped.check()


@pytest.mark.parametrize("enabled", ["always madvise [never]", ""])
def test_a_system_without_huge_pages_is_left_alone(
    mapped: Mapped, tmp_path: Path, enabled: str
) -> None:
    root = system(tmp_path / "root", enabled=enabled)
    if not enabled:
        (root / "sys/kernel/mm/transparent_hugepage/enabled").unlink()
    weights = MappedWeights(str(mapped.path), root)
    mapped.read(range(PAGES))
    move_all(weights)
    assert moved_pages(mapped) == []


def test_a_system_that_hides_what_was_read_is_left_alone(mapped: Mapped, tmp_path: Path) -> None:
    root = system(tmp_path / "root")
    weights = MappedWeights(str(mapped.path), root)
    mapped.read(range(PAGES))
    (root / "proc/self").rename(root / "proc/hidden")
    move_all(weights)
    assert moved_pages(mapped) == []


def test_a_file_smaller_than_a_huge_page_costs_nothing_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def looked(_: MappedWeights) -> Iterator[tuple[int, int]]:
        raise AssertionError("looked for what is not there")

    monkeypatch.setattr(MappedWeights, "_read_runs", looked)
    path = tmp_path / "small.gguf"
    path.write_bytes(b"GGUF" * 1000)
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) as small:
        assert move_all(MappedWeights(str(path), system(tmp_path / "root"))) == 1
        assert small[:4] == b"GGUF"


def test_another_file_is_left_alone(mapped: Mapped, tmp_path: Path) -> None:
    other = tmp_path / "other.gguf"
    other.write_bytes(mapped.bytes)
    weights = MappedWeights(str(other), system(tmp_path / "root"))
    mapped.read(range(PAGES))
    move_all(weights)
    assert moved_pages(mapped) == []


@pytest.mark.skipif(not huge_page_size(Path("/")), reason="this system has no huge pages to give")
def test_an_idle_worker_moves_its_model_and_goes_on_as_before(tmp_path: Path) -> None:
    # Quantised weights are copied into buffers of their own where the CPU has instructions for
    # that (AMX, interleaved rows); single-precision ones are used where they are mapped.
    model = tinygguf.write_llama(tmp_path / "deep.gguf", n_layer=120, endless=True)
    with Engine(cache_dir=tmp_path / "cache", log_file=tmp_path / "engine.log") as engine:
        list(engine.load(model, options=EngineOptions(n_ctx=1024, threads=1)))

        def answer() -> tuple[int, ...]:
            turn = (TextSegment(text="The months of a year are January, February"),)
            events = newest(engine).generate(
                preamble=(), turns=[turn], sampling=Sampling(), max_tokens=24
            )
            return next(event.ids for event in events if isinstance(event, Finished))

        def file_bytes() -> int:
            """How much of the mapped file is in memory as the file."""
            lines = Path(f"/proc/{engine.pid}/smaps").read_text().split("\n")
            head = [n for n, line in enumerate(lines) if line.endswith(str(model.resolve()))]
            return sum(int(lines[n + 1].split()[1]) * 1024 for n in head)

        # Before the answer: a worker moves what was evaluated as soon as it is idle.
        size, before = file_bytes(), answer()
        # Else nothing would be shown: the answer is computed from what is mapped.
        assert size > 0.9 * model.stat().st_size > 8 * PAGE
        deadline = time.monotonic() + 60
        while file_bytes() > size // 2 and time.monotonic() < deadline:
            time.sleep(0.05)
        assert file_bytes() <= size // 2
        assert answer() == before
