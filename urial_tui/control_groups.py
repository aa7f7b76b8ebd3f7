"""What the control groups around this process leave it of the machine (Linux).

A container or a service manager may limit any group on the way from the root to this
process; the narrowest limit holds. Version 1 has a tree for each controller, version 2 one
tree for all. Where a group is shown from inside a container its path may not exist under
the mount: then the mount's own root stands for it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

_UNLIMITED = 1 << 60
"""Above this a memory limit means none."""


def groups(root: Path = Path("/")) -> list[Path]:
    """The directories of this process' group and of those above it, version 2.

    Args:
        root: Where /proc and /sys are, for tests.
    """
    name = next((name for controllers, name in _memberships(root) if not controllers), None)
    return [] if name is None else _upwards(root / "sys/fs/cgroup", name)


def version_1_groups(controller: str, root: Path = Path("/")) -> list[Path]:
    """The same in the tree of one controller ("cpu", "memory") of version 1."""
    for controllers, name in _memberships(root):
        if controller in controllers:
            for mount in (",".join(controllers), controller):
                base = root / "sys/fs/cgroup" / mount
                if base.is_dir():
                    return _upwards(base, name)
    return []


def cpu_quota(root: Path = Path("/")) -> float | None:
    """How many CPUs' time this process may use, None where nothing limits it."""
    granted = [*_quotas(root), *_version_1_quotas(root)]
    return min(granted, default=None)


def memory_limits(root: Path = Path("/")) -> Iterator[tuple[int, int | None]]:
    """Limit and use of each control group that limits this process, in bytes.

    Pages of files don't count as used: they are given back when memory runs short.
    """
    for group in groups(root):
        yield from _limit(group, "memory.max", "memory.current", "")
    for group in version_1_groups("memory", root):
        yield from _limit(group, "memory.limit_in_bytes", "memory.usage_in_bytes", "total_")


def number(path: Path) -> int | None:
    """What a file with one plain number holds; None for anything else."""
    text = _text(path)
    return int(text) if text.isdecimal() and text.isascii() else None


def table(path: Path) -> Mapping[str, int]:
    """The numbers of a file with lines of "key number" or "key: number kB"."""
    lines = _text(path).split("\n")
    fields = (line.replace(":", " ").split() for line in lines)
    return {part[0]: int(part[1]) for part in fields if len(part) > 1 and part[1].isdecimal()}


def _limit(
    group: Path, limit_name: str, used_name: str, prefix: str
) -> Iterator[tuple[int, int | None]]:
    """What one group says, by the names of its files and of the entries of `memory.stat`."""
    limit = number(group / limit_name)
    if limit is None or limit >= _UNLIMITED:
        return
    used = number(group / used_name)
    if used is not None:
        cached = table(group / "memory.stat")
        used -= cached.get(f"{prefix}inactive_file", 0) + cached.get(f"{prefix}active_file", 0)
    yield limit, used


def _quotas(root: Path) -> Iterator[float]:
    for group in groups(root):
        quota, _, period = _text(group / "cpu.max").partition(" ")
        if quota.isdecimal() and period.isdecimal() and int(period):
            yield int(quota) / int(period)


def _version_1_quotas(root: Path) -> Iterator[float]:
    for group in version_1_groups("cpu", root):
        # A quota of -1 is none.
        quota, period = number(group / "cpu.cfs_quota_us"), number(group / "cpu.cfs_period_us")
        if quota and period:
            yield quota / period


def _memberships(root: Path) -> Iterator[tuple[list[str], str]]:
    """Controllers (none for version 2) and path of each group that this process is in."""
    for line in _text(root / "proc/self/cgroup").split("\n"):
        _, _, rest = line.partition(":")
        controllers, colon, name = rest.partition(":")
        if colon:
            yield controllers.split(",") if controllers else [], name


def _upwards(base: Path, name: str) -> list[Path]:
    parts = [part for part in name.split("/") if part not in ("", "..")]
    return [base.joinpath(*parts[:depth]) for depth in range(len(parts), -1, -1)]


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="replace").strip()
    except OSError:
        return ""
