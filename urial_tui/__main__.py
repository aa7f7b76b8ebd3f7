"""Where `urial` and `python -m urial_tui` start."""

from __future__ import annotations

import signal
import sys


def main() -> int:
    """Run the command line; returns the exit code."""
    try:
        from urial_tui.cli.main import run

        return run()
    except KeyboardInterrupt:
        # Ctrl-C while the program was still being imported.
        return 130
    finally:
        # Another Ctrl-C while the interpreter shuts down would print a traceback.
        signal.signal(signal.SIGINT, signal.SIG_IGN)


if __name__ == "__main__":
    sys.exit(main())
