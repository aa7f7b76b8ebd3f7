"""How much memory there is for this process: the machine's, or its control group's."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import msgspec

_UNLIMITED = 1 << 60
"""Above this a control group's limit means none."""


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
    info = _table(root / "proc/meminfo")
    total = _times_1024(info.get("MemTotal"))
    available = _times_1024(info.get("MemAvailable"))
    for group in _control_groups(root):
        limit = _number(group / "memory.max")
        if limit is None or limit >= _UNLIMITED:
            continue
        total = limit if total is None else min(total, limit)
        used = _number(group / "memory.current")
        if used is not None:
            # Pages of files are given back when memory runs short.
            cached = _table(group / "memory.stat")
            used -= cached.get("inactive_file", 0) + cached.get("active_file", 0)
            free = max(0, limit - max(0, used))
            available = free if available is None else min(available, free)
    return MachineMemory(total=total, available=available)


def _control_groups(root: Path) -> list[Path]:
    """The directories of this process' control group (version 2) and of those above it."""
    try:
        lines = (root / "proc/self/cgroup").read_text(errors="replace").splitlines()
    except OSError:
        return []
    name = next((line[3:] for line in lines if line.startswith("0::")), None)
    if name is None:
        return []
    base = root / "sys/fs/cgroup"
    parts = [part for part in name.split("/") if part not in ("", "..")]
    return [base.joinpath(*parts[:depth]) for depth in range(len(parts), -1, -1)]


def _table(path: Path) -> Mapping[str, int]:
    """The numbers of a file with lines of "key number" or "key: number kB"."""
    try:
        lines = path.read_text(errors="replace").splitlines()
    except OSError:
        return {}
    fields = (line.replace(":", " ").split() for line in lines)
    return {part[0]: int(part[1]) for part in fields if len(part) > 1 and part[1].isdecimal()}


def _number(path: Path) -> int | None:
    try:
        text = path.read_text(errors="replace").strip()
    except OSError:
        return None
    return int(text) if text.isdecimal() else None


def _times_1024(kibibytes: int | None) -> int | None:
    return None if kibibytes is None else kibibytes * 1024
