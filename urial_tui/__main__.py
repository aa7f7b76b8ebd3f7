"""Where `urial` and `python -m urial_tui` start."""

from __future__ import annotations

import signal
import sys

from urial_tui import interrupts


def main() -> int:
    """Run the command line; returns the exit code."""
    interrupts.end_at_once()
    try:
        from urial_tui.cli.main import run

        interrupts.remember()
        return run()
    except KeyboardInterrupt:
        return interrupts.EXIT_CODE
    finally:
        # Another Ctrl-C while the interpreter shuts down would print a traceback.
        signal.signal(signal.SIGINT, signal.SIG_IGN)


if __name__ == "__main__":
    sys.exit(main())
