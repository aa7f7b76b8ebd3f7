"""What the processor calls itself, for results that hold for one machine."""

from __future__ import annotations

import contextlib
import platform
import re
import subprocess
import sys
from pathlib import Path

_NAMES = ("model name", "Hardware", "Model", "cpu model")
"""Keys of /proc/cpuinfo on x86-64, ARM, and others."""


def processor_name(root: Path = Path("/")) -> str:
    """Its name as the system has it, on one line; the architecture where it has none.

    Args:
        root: Where /proc is, for tests.
    """
    name = ""
    if sys.platform == "darwin":
        command = ["/usr/sbin/sysctl", "-n", "machdep.cpu.brand_string"]
        with contextlib.suppress(OSError, subprocess.SubprocessError):
            done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=5)
            name = done.stdout
    else:
        with contextlib.suppress(OSError):
            name = _from_cpuinfo((root / "proc/cpuinfo").read_text("utf-8", errors="replace"))
    return " ".join(name.split())[:100] or platform.machine() or "unknown"


def _from_cpuinfo(text: str) -> str:
    for key in _NAMES:
        if found := re.search(rf"^{key}[ \t]*:[ \t]*(\S.*)$", text, re.MULTILINE):
            return found[1]
    return ""
