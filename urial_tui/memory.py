"""How much memory there is for this process: the machine's, or its control group's."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from pathlib import Path

import msgspec

from urial_tui import control_groups


class MachineMemory(msgspec.Struct, frozen=True, kw_only=True):
    """What there is, in bytes; None where the system does not say.

    `total`: what this process could use at most. `available`: what it could take now
    without another one losing its own.
    """

    total: int | None = None
    available: int | None = None


def machine_memory(root: Path = Path("/")) -> MachineMemory:
    """This machine's memory, or the control group's where that is less.

    Args:
        root: Where /proc and /sys are, for tests.
    """
    if (root / "proc/meminfo").exists():
        return _linux_memory(root)
    try:
        # On macOS this is the sysctl hw.memsize; what is available has no plain number there.
        return MachineMemory(total=os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    except (ValueError, OSError):
        return MachineMemory()


def memory_now(
    *,
    leaving: Collection[int] = (),
    promised: Mapping[int, int] | None = None,
    root: Path = Path("/"),
) -> MachineMemory:
    """What there is beside the workers that this process has started.

    Files that they have mapped are read for every token, and the system calls those pages
    available all the same: they count as taken here.

    Args:
        leaving: Ids of workers whose models are given back first; nothing of them counts.
        promised: Bytes that what a worker has loaded will need, by its id: what it has not taken
            yet counts as taken too.
        root: Where /proc and /sys are, for tests.
    """
    memory = machine_memory(root)
    available = memory.available
    if available is None:
        return memory
    unseen = dict(promised or {})
    for pid in _children(root):
        table = control_groups.table(root / f"proc/{pid}/smaps_rollup")
        own, mapped = (1024 * table.get(name, 0) for name in ("Pss_Anon", "Pss_File"))
        later = max(0, unseen.pop(pid, 0) - own - mapped)
        available += own if pid in leaving else -mapped - later
    available -= sum(unseen.values())
    total = available if memory.total is None else memory.total
    return MachineMemory(total=memory.total, available=max(0, min(available, total)))


def resident_anonymous(root: Path = Path("/")) -> int:
    """Bytes of memory that this process has for itself, 0 where the system does not say."""
    return 1024 * control_groups.table(root / "proc/self/status").get("RssAnon", 0)


def _children(root: Path) -> list[int]:
    """Ids of the processes that this one has started and that still run."""
    found = []
    for path in (root / "proc/self/task").glob("*/children"):
        try:
            found += [int(word) for word in path.read_text().split() if word.isdecimal()]
        except OSError:
            continue
    return found


def _linux_memory(root: Path) -> MachineMemory:
    info = control_groups.table(root / "proc/meminfo")
    total = _times_1024(info.get("MemTotal"))
    available = _times_1024(info.get("MemAvailable"))
    for limit, used in control_groups.memory_limits(root):
        total = limit if total is None else min(total, limit)
        if used is not None:
            free = max(0, limit - max(0, used))
            available = free if available is None else min(available, free)
    return MachineMemory(total=total, available=available)


def _times_1024(kibibytes: int | None) -> int | None:
    return None if kibibytes is None else kibibytes * 1024
