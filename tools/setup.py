"""Entry of `make setup`: finds a Python that is new enough and hands over to it.

Whatever `python3` is on a machine has to be able to read this one file, to say in a
sentence what is missing; so it keeps to the syntax of Python 3.6, and imports the rest
only once the version is known to do.
"""

import os
import subprocess
import sys

NEEDED = (3, 11)
# Newest last: a Python of this year may still lack wheels of some dependency.
CANDIDATES = ("python3.13", "python3.12", "python3.11", "python3.14")
INSTEAD_OF = "--instead-of"


def find_newer() -> str:
    """The first of `CANDIDATES` that starts and is new enough; empty if none is.

    Being on the PATH is not enough: version managers leave shims there that only fail.
    """
    code = "import sys; sys.exit(sys.version_info < " + repr(NEEDED) + ")"
    for name in CANDIDATES:
        try:
            subprocess.run(
                [name, "-c", code],
                check=True,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                timeout=30,
            )
        except (OSError, subprocess.SubprocessError):
            continue
        return name
    return ""


def main() -> int:
    """Set up with this Python, or with a newer one in this process' place."""
    if sys.version_info >= NEEDED:
        from tools.environment import main as set_up

        return set_up(sys.argv[1:])
    here = ".".join(str(part) for part in sys.version_info[:3])
    newer = find_newer() if INSTEAD_OF not in sys.argv else ""
    if newer:
        os.execvp(newer, [newer, "-m", "tools.setup", *sys.argv[1:], INSTEAD_OF, here])
    install = "sudo apt-get install python3.11 python3.11-venv (on Debian 12)"
    if sys.platform == "darwin":
        install = "brew install python@3.13"
    sys.stderr.write(
        f"Python 3.11 or newer is needed, and {sys.executable or 'python3'} is {here}.\n"
        f"Install one: {install}; or name one: make setup PYTHON=/path/to/python3.12\n"
    )
    return 1


if __name__ == "__main__":
    sys.exit(main())
