"""What control groups leave this process of the CPUs and of the memory, in both versions."""

from __future__ import annotations

from pathlib import Path

import pytest

from tools import machine
from urial_tui import control_groups
from urial_tui.control_groups import cpu_quota
from urial_tui.engine.native import threads
from urial_tui.memory import MachineMemory, machine_memory


def tree(root: Path, **files: str) -> Path:
    """A root with these files; "__" stands for a slash."""
    for name, text in files.items():
        path = root / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def version_2(root: Path, **quotas: str) -> Path:
    """The process is in /a/b; `quotas` are those of "top", "a" and "b"."""
    places = {"top": "", "a": "a/", "b": "a/b/"}
    files = {f"sys/fs/cgroup/{places[name]}cpu.max": quota for name, quota in quotas.items()}
    return tree(root, **{"proc/self/cgroup": "0::/a/b\n", **files})


@pytest.mark.parametrize(
    ("quotas", "expected"),
    [
        ({}, None),
        ({"top": "max 100000\n"}, None),
        ({"top": "400000 100000\n"}, 4),
        ({"a": "150000 100000\n", "b": "max 100000\n"}, 1.5),
        ({"top": "800000 100000\n", "a": "400000 100000\n", "b": "200000 50000\n"}, 4),
        ({"b": "50000 100000\n"}, 0.5),
        ({"a": "many 100000\n", "b": "100000\n", "top": "1 0\n"}, None),
    ],
)
def test_the_narrowest_quota_on_the_way_up_holds(
    tmp_path: Path, quotas: dict[str, str], expected: float | None
) -> None:
    assert cpu_quota(version_2(tmp_path, **quotas)) == expected


@pytest.mark.parametrize("mount", ["cpu,cpuacct", "cpu"])
def test_version_1_has_a_tree_for_the_cpu(tmp_path: Path, mount: str) -> None:
    base = f"sys/fs/cgroup/{mount}"
    files = {
        "proc/self/cgroup": "9:memory:/x\n4:cpu,cpuacct:/docker/c\n0::/elsewhere\n",
        f"{base}/cpu.cfs_quota_us": "-1\n",
        f"{base}/cpu.cfs_period_us": "100000\n",
        f"{base}/docker/cpu.cfs_quota_us": "300000\n",
        f"{base}/docker/cpu.cfs_period_us": "100000\n",
        f"{base}/docker/c/cpu.cfs_quota_us": "-1\n",
    }
    assert cpu_quota(tree(tmp_path, **files)) == 3


def test_a_path_from_outside_the_container_stands_for_the_mounts_root(tmp_path: Path) -> None:
    files = {
        "proc/self/cgroup": "4:cpu:/docker/0123\n",
        "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "200000\n",
        "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n",
    }
    assert cpu_quota(tree(tmp_path, **files)) == 2


def test_damaged_files_limit_nothing(tmp_path: Path) -> None:
    assert cpu_quota(tmp_path) is None
    (tmp_path / "proc" / "self").mkdir(parents=True)
    (tmp_path / "proc" / "self" / "cgroup").write_bytes(b"\xff\n0:\n:::\n7:cpu\n")
    assert cpu_quota(tmp_path) is None


def test_memory_of_version_1_counts_too(tmp_path: Path) -> None:
    files = {
        "proc/meminfo": "MemTotal: 1000000 kB\nMemAvailable: 600000 kB\n",
        "proc/self/cgroup": "9:memory:/x\n",
        "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n",
        "sys/fs/cgroup/memory/x/memory.limit_in_bytes": "400000000\n",
        "sys/fs/cgroup/memory/x/memory.usage_in_bytes": "300000000\n",
        "sys/fs/cgroup/memory/x/memory.stat": "total_inactive_file 1000\ntotal_active_file 500\n",
    }
    found = machine_memory(tree(tmp_path, **files))
    assert found == MachineMemory(total=400_000_000, available=100_001_500)


@pytest.mark.parametrize(("quota", "expected"), [(None, 16), (3.9, 3), (0.5, 1), (64.0, 16)])
def test_threads_and_compilers_are_no_more_than_the_quota(
    monkeypatch: pytest.MonkeyPatch, quota: float | None, expected: int
) -> None:
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setattr("os.sched_getaffinity", lambda pid: set(range(16)), raising=False)
    monkeypatch.setattr(threads, "_core_of", lambda cpu: ("", str(cpu)))
    monkeypatch.setattr(threads, "_cpu_list", lambda file: set())
    monkeypatch.setattr(threads, "cpu_quota", lambda: quota)
    monkeypatch.setattr(control_groups, "cpu_quota", lambda: quota)
    assert threads.physical_cores() == expected
    assert machine.cores() == expected


def test_compilers_share_the_containers_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    limits = [(3 * machine.GIB, None), (5 * machine.GIB, None)]
    monkeypatch.setattr(control_groups, "memory_limits", lambda: iter(limits))
    monkeypatch.setattr(machine, "cores", lambda: 16)
    assert machine.memory_bytes() <= 3 * machine.GIB
    assert machine.compile_jobs({}) <= 3
