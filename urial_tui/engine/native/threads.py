"""How many threads to compute with.

More threads than free cores make llama.cpp's barriers wait for a thread that is not
running: two threads on two busy cores were measured at a quarter of the speed of one. So
the number starts at the physical cores and gives way while the machine is busy.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from urial_tui.control_groups import cpu_quota

_CPU = Path("/sys/devices/system/cpu")


def physical_cores() -> int:
    """Physical performance cores that this process may use, at least 1."""
    if sys.platform == "darwin":
        return _darwin_cores() or os.cpu_count() or 1
    try:
        usable = os.sched_getaffinity(0)
    except (AttributeError, OSError):
        return max(1, (os.cpu_count() or 2) // 2)
    fast = usable & _cpu_list(Path("/sys/devices/cpu_core/cpus"))
    cores = {_core_of(cpu) for cpu in (fast or usable)}
    quota = cpu_quota()
    return max(1, len(cores) if quota is None else min(len(cores), int(quota)))


def _core_of(cpu: int) -> tuple[str, str]:
    """(package, core) of a logical CPU; siblings of one core share it."""
    topology = _CPU / f"cpu{cpu}" / "topology"
    try:
        return (
            (topology / "physical_package_id").read_text().strip(),
            (topology / "core_id").read_text().strip(),
        )
    except OSError:
        return ("", str(cpu))


def _cpu_list(file: Path) -> set[int]:
    """CPUs of a kernel list such as "0-7,16"; empty where the file is not there."""
    try:
        parts = file.read_text().strip().split(",")
        cpus: set[int] = set()
        for part in filter(None, parts):
            first, _, last = part.partition("-")
            cpus.update(range(int(first), int(last or first) + 1))
    except (OSError, ValueError):
        return set()
    return cpus


def _darwin_cores() -> int:
    import subprocess

    for key in ("hw.perflevel0.physicalcpu", "hw.physicalcpu"):
        try:
            done = subprocess.run(
                ["/usr/sbin/sysctl", "-n", key],
                capture_output=True,
                text=True,
                timeout=5,
                check=True,
            )
            return int(done.stdout)
        except (OSError, ValueError, subprocess.SubprocessError):
            continue
    return 0


class ThreadGovernor:
    """Lowers the number of threads while a busy machine makes them wait for each other.

    Feed it each token's time. When the mean of a window is `SLOW` times the best mean seen,
    half the threads are tried for a window; the better number is kept, and the full number
    is tried again after `RETRY` seconds. It belongs to a context for as long as that lives, since
    what is fast is known only from before. Results don't depend on the number of threads
    (`limits.flash_attention`).
    """

    WINDOW = 16
    SLOW = 1.8
    RETRY = 20.0

    def __init__(self, threads: int) -> None:
        self.full = threads
        self.threads = threads
        self._best = float("inf")
        self._slow_mean = 0.0
        self._times: list[float] = []
        self._lowered_at = 0.0

    def observe(self, seconds: float, now: float) -> int:
        """Take one token's time, at clock time `now`; the number of threads to use next."""
        if self.full == 1:
            return 1
        self._times.append(seconds)
        if len(self._times) < self.WINDOW:
            return self.threads
        mean = sum(self._times) / len(self._times)
        self._times.clear()
        if self.threads == self.full:
            if mean > self.SLOW * self._best:
                self._slow_mean = mean
                self._lowered_at = now
                self.threads = max(1, self.full // 2)
            self._best = min(self._best, mean)
        elif mean > self._slow_mean:
            # Fewer threads are no faster: the work itself has grown (a longer context).
            self._best = self._slow_mean
            self.threads = self.full
        elif now - self._lowered_at > self.RETRY:
            self.threads = self.full
        return self.threads
