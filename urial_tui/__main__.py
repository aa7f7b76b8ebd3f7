"""Where `urial` and `python -m urial_tui` start."""

from __future__ import annotations

import os
import signal
import sys
from types import FrameType
from typing import NoReturn


def _leave(_signal: int, _frame: FrameType | None) -> NoReturn:
    os._exit(130)


def main() -> int:
    """Run the command line; returns the exit code."""
    # While the program is being imported, Ctrl-C ends it without an exception: Python drops one
    # that happens to be raised in a callback of the import's locks.
    raises = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    try:
        if raises:
            signal.signal(signal.SIGINT, _leave)
        from urial_tui.cli.main import run

        if raises:
            signal.signal(signal.SIGINT, signal.default_int_handler)
        return run()
    except KeyboardInterrupt:
        return 130
    finally:
        # Another Ctrl-C while the interpreter shuts down would print a traceback.
        signal.signal(signal.SIGINT, signal.SIG_IGN)


if __name__ == "__main__":
    sys.exit(main())
