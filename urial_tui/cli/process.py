"""When this process started, as the user felt it: before the interpreter was up."""

from __future__ import annotations

import os
import time
from pathlib import Path

_IMPORTED = time.monotonic()


def seconds_since_start() -> float:
    """Seconds since the operating system started this process.

    Linux tells (in steps of 10 ms); elsewhere the time is counted from this import.
    """
    try:
        # proc(5): field 22 of stat, counted behind the parenthesised name; uptime's first field.
        fields = Path("/proc/self/stat").read_bytes().rpartition(b")")[2].split()
        started = int(fields[19]) / os.sysconf("SC_CLK_TCK")
        uptime = float(Path("/proc/uptime").read_text().split()[0])
    except (OSError, ValueError, IndexError, AttributeError):
        return time.monotonic() - _IMPORTED
    return max(0.0, uptime - started)
