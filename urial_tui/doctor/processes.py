"""Other processes of this program, by the command lines that Linux tells."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from urial_tui.control_groups import table
from urial_tui.doctor.finding import Fact
from urial_tui.wording import amount, size

_WORKER = b"urial_tui.engine.worker.main"
_MOST = 5000


def processes(root: Path = Path("/"), own: int | None = None) -> Iterator[Fact]:
    """How many engines run beside this one, and the memory that they have for themselves.

    Args:
        root: Where /proc is, for tests.
        own: The id of the process whose engines don't count, unless it is this one.
    """
    own = own or os.getpid()
    if not (root / "proc/self").exists():
        yield Fact("the system does not tell which engines run", "note")
        return
    count = total = 0
    for path in list((root / "proc").glob("[0-9]*"))[:_MOST]:
        try:
            command = (path / "cmdline").read_bytes()
        except OSError:
            continue
        status = table(path / "status")
        if _WORKER in command and status.get("PPid") != own:
            count += 1
            total += 1024 * status.get("RssAnon", 0)
    if count:
        yield Fact(f"{amount(count, 'other engine')} at work, holding {size(total)}", "note")
    else:
        yield Fact("no other engine at work")
