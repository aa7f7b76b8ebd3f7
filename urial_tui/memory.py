"""How much memory there is for this process: the machine's, or its control group's."""

from __future__ import annotations

import os
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
