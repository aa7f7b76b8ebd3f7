"""Memory: the machine's, what control groups leave of it, swap, and huge pages."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from urial_tui.control_groups import memory_limits, table
from urial_tui.doctor.finding import Fact
from urial_tui.files import read_bytes
from urial_tui.memory import machine_memory
from urial_tui.wording import size

_LITTLE = 1_000_000_000
"""Less than that holds hardly more than the demo model."""
_LARGEST = 4096


def memory(root: Path = Path("/")) -> Iterator[Fact]:
    """What there is, what is free, and what limits it.

    Args:
        root: Where /proc and /sys are, for tests.
    """
    machine = machine_memory(root)
    if machine.total is None:
        yield Fact("the system does not tell how much there is", "note")
    elif machine.available is None:
        yield Fact(size(machine.total))
    else:
        short = machine.available < _LITTLE
        yield Fact(
            f"{size(machine.total)}, of which {size(machine.available)} can be taken now",
            "warning" if short else "good",
            "Close programs that hold memory, or choose a smaller model." if short else "",
        )
    info = table(root / "proc/meminfo")
    for limit, used in sorted(memory_limits(root), key=lambda pair: pair[0])[:1]:
        told = "" if used is None else f", of which {size(max(0, used))} are taken"
        of = f" (the machine has {size(1024 * info['MemTotal'])})" if "MemTotal" in info else ""
        yield Fact(f"a control group limits it to {size(limit)}{told}{of}", "note")
    if info.get("SwapTotal"):
        free = info.get("SwapFree", 0)
        yield Fact(f"swap: {size(1024 * info['SwapTotal'])}, {size(1024 * free)} free")
    yield from _huge_pages(root)


def _huge_pages(root: Path) -> Iterator[Fact]:
    try:
        text = read_bytes(root / "sys/kernel/mm/transparent_hugepage/enabled", _LARGEST).decode(
            "ascii", "replace"
        )
    except OSError:
        return
    chosen = re.search(r"\[(\w+)\]", text)
    if chosen is None:
        return
    if chosen[1] == "never":
        yield Fact(
            "transparent huge pages are off, so decoding is somewhat slower",
            "note",
            "As root: `echo madvise > /sys/kernel/mm/transparent_hugepage/enabled`.",
        )
    else:
        yield Fact(f"transparent huge pages: {chosen[1]}")
