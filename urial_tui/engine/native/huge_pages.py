"""The weights of a mapped model in huge pages, so that decoding looks up fewer addresses (Linux).

Decoding reads nearly every weight for every token. A mapped file lies in pages of 4 KiB, of
which a processor knows a few thousand by heart (the TLB); for all others it walks the page
table, in a virtual machine twice. What has been read is moved to pages of 2 MiB, bit by bit
and while the worker has nothing else to do. The demo model decodes 1.13 times as fast then
(docs/decisions/0021-idle-workers-move-weights-to-huge-pages.md).

What always holds: each address keeps its bytes; the file is not written; only places that
evaluations read are moved, since a library that has repacked a tensor never reads the
original again; so much of the memory that was free after the load, and of what is free by then,
is left that a second worker of this size fits beside this one. All calls have to come from the
thread that makes native calls: nobody may read the weights meanwhile.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from urial_tui.memory import machine_memory, resident_anonymous

STEP = 4 << 20
"""Most bytes that are moved at once: some milliseconds, which a command may have to wait."""

_LARGEST_PAGE = 4 << 20
"""Some systems have huge pages of 32 or 512 MiB; they would take whole tensors at a time."""

_MAYMOVE_FIXED = 3
"""MREMAP_MAYMOVE | MREMAP_FIXED (<sys/mman.h> on Linux), which `mmap` does not name."""
_FAILED = ctypes.c_void_p(-1).value

_MAPPING = re.compile(rb"([0-9a-f]+)-([0-9a-f]+) r--s \S+ \S+ \S+ +(.+)")
"""A line of /proc/self/maps: read-only and shared, so nothing but the file can be in it."""


class MappedWeights:
    """Where a model file is mapped in this process, and what of it was moved.

    Args:
        path: The model file, which has been loaded just now.
        root: Where /proc and /sys are, for tests.
    """

    def __init__(self, path: str, root: Path = Path("/")) -> None:
        self._name = os.fsencode(os.path.realpath(path)).replace(b"\n", b"\\012")
        self._root = root
        self._page = huge_page_size(root)
        self._hot: list[tuple[int, int]] = []
        if self._page:
            self._libc = _libc()
            self._second = Path(path).stat().st_size + resident_anonymous(root)
            self._left = self._spare()
            self._forget()

    def find(self) -> None:
        """See what the evaluations up to now have read, for `move`."""
        if not self._page:
            return
        left = min(self._left, self._spare()) // self._page * self._page
        self._hot = []
        try:
            for start, end in self._read_runs():
                end = min(end, start + left)
                left -= end - start
                if end > start:
                    self._hot.append((start, end))
        except (OSError, ValueError):  # where reading it is forbidden, or gives less than asked for
            self._page = 0
        self._hot.reverse()

    def move(self) -> bool:
        """Move up to `STEP` bytes of what was found; whether anything is left to move."""
        if self._hot:
            start, end = self._hot.pop()
            part = min(end, start + max(STEP, self._page))
            if not self._replace(start, part):
                self._hot = []
                self._page = 0
            else:
                self._left -= part - start
                if part < end:
                    self._hot.append((part, end))
        return bool(self._hot)

    def _spare(self) -> int:
        """Bytes that can be taken while a second worker of this size would still fit."""
        return max(0, (machine_memory(self._root).available or 0) - self._second)

    def _forget(self) -> None:
        """Start to watch: pages are seen again from the next read on."""
        try:
            whole = list(self._mappings())
        except OSError:
            whole = []
        for start, end in whole:
            self._libc.madvise(start, end - start, mmap.MADV_DONTNEED)
        if not whole:  # a small file, or one that is not mapped
            self._page = 0

    def _mappings(self) -> Iterator[tuple[int, int]]:
        """What is still the file, [start, end) in whole huge pages."""
        for line in (self._root / "proc/self/maps").read_bytes().splitlines():
            match = _MAPPING.fullmatch(line)
            if match and match[3] == self._name:
                start = -(-int(match[1], 16) // self._page) * self._page
                end = int(match[2], 16) // self._page * self._page
                if start < end:
                    yield start, end

    def _read_runs(self) -> Iterator[tuple[int, int]]:
        """Runs of neighbouring huge pages of which at least half has been read.

        Bit 63 of a page's entry in pagemap says that this process has it
        (Documentation/admin-guide/mm/pagemap.rst).
        """
        import numpy as np

        small = os.sysconf("SC_PAGE_SIZE")
        each = self._page // small
        with (self._root / "proc/self/pagemap").open("rb") as pagemap:
            for start, end in self._mappings():
                pagemap.seek(start // small * 8)
                entries = np.frombuffer(pagemap.read((end - start) // small * 8), np.uint64)
                read = (entries >> 63).reshape(-1, each).sum(axis=1) * 2 >= each
                edges = np.flatnonzero(np.diff(read, prepend=False, append=False))
                for first, last in edges.reshape(-1, 2).tolist():
                    yield start + first * self._page, start + last * self._page

    def _replace(self, start: int, end: int) -> bool:
        """Put a copy in huge pages in the place of [start, end)."""
        libc, size = self._libc, end - start
        room = size + self._page
        access, kind = mmap.PROT_READ | mmap.PROT_WRITE, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
        scratch = libc.mmap(None, room, access, kind, -1, 0)
        if scratch == _FAILED:
            return False
        copy = -(-scratch // self._page) * self._page
        if copy > scratch:
            libc.munmap(scratch, copy - scratch)
        if scratch + room > copy + size:
            libc.munmap(copy + size, scratch + room - copy - size)
        libc.madvise(copy, size, mmap.MADV_HUGEPAGE)
        ctypes.memmove(copy, start, size)
        libc.mprotect(copy, size, mmap.PROT_READ)
        # In one step, and refused before anything is changed where the system's limits forbid it.
        if libc.mremap(copy, size, size, _MAYMOVE_FIXED, start) != start:
            libc.munmap(copy, size)
            return False
        return True


def huge_page_size(root: Path) -> int:
    """Bytes of a huge page, 0 where the system gives none on request."""
    if sys.platform != "linux":
        return 0
    directory = root / "sys/kernel/mm/transparent_hugepage"
    try:
        if "[never]" in (directory / "enabled").read_text(errors="replace"):
            return 0
        size = int((directory / "hpage_pmd_size").read_text(errors="replace"))
    except (OSError, ValueError):
        return 0
    return size if 0 < size <= _LARGEST_PAGE else 0


def _libc() -> ctypes.CDLL:
    libc = ctypes.CDLL(None)
    pointer, size, number = ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int
    libc.mmap.argtypes = [pointer, size, number, number, number, ctypes.c_long]
    libc.mremap.argtypes = [pointer, size, size, number, pointer]
    libc.munmap.argtypes = [pointer, size]
    libc.madvise.argtypes = libc.mprotect.argtypes = [pointer, size, number]
    libc.mmap.restype = libc.mremap.restype = pointer
    return libc
