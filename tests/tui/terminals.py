"""The application in a pseudo-terminal, as `urial` opens it."""

from __future__ import annotations

import contextlib
import os
import pty
import re
import select
import subprocess
import sys
import termios
import time
from collections.abc import Callable
from pathlib import Path

from tests.tui.conftest import PATIENCE
from urial_tui import paths

_MODE = re.compile(rb"\x1b\[\?(\d+)([hl])")
_ON_AT_FIRST = {7, 25}
"""The modes of a terminal that are on from the start: it wraps lines and shows a cursor."""


class Terminal:
    """`urial` in a terminal of its own, with a model of its own.

    Args:
        model: The GGUF file.
        before: Python that runs before, to break something.
        max_tokens: How long an answer can get.
        through: A command line that runs the one behind it.
        environment: Variables to set.
    """

    def __init__(
        self,
        model: Path,
        before: str = "",
        *,
        max_tokens: int = 400,
        through: tuple[str, ...] = (),
        **environment: str,
    ) -> None:
        paths.settings_file().parent.mkdir(parents=True, exist_ok=True)
        paths.settings_file().write_text(
            f'[chat]\nmodel = "{model}"\npreamble = "zero-shot"\nmax_tokens = {max_tokens}\n'
            "[engine]\ncontext = 2048\nthreads = 1\n"
        )
        self.master, self._slave = pty.openpty()
        termios.tcsetwinsize(self._slave, (24, 80))
        self.before = termios.tcgetattr(self._slave)
        self.output = b""
        code = f"import sys\nfrom urial_tui.cli.main import run\n{before}\nsys.exit(run([]))"
        self.process = subprocess.Popen(
            [*through, sys.executable, "-c", code],
            stdin=self._slave,
            stdout=self._slave,
            stderr=self._slave,
            env=os.environ | {"TERM": "xterm-256color"} | environment,
            start_new_session=True,
        )

    def read_until(self, done: Callable[[], bool]) -> None:
        """Read what the application draws, so that it never waits for us."""
        deadline = time.monotonic() + 2 * PATIENCE
        while not done():
            assert time.monotonic() < deadline, self.output[-2000:]
            if select.select([self.master], [], [], 0.02)[0]:
                with contextlib.suppress(OSError):
                    self.output += os.read(self.master, 65536)

    def read_for(self, text: bytes) -> None:
        """Read until `text` has been drawn from here on."""
        start = len(self.output)
        self.read_until(lambda: text in self.output[start:])

    def press(self, keys: bytes) -> None:
        os.write(self.master, keys)

    def wait(self) -> int:
        """The exit code, once it has ended."""
        self.read_until(lambda: self.process.poll() is not None)
        while select.select([self.master], [], [], 0)[0]:
            self.output += os.read(self.master, 65536)
        return self.process.returncode

    def hang_up(self) -> None:
        """Close the terminal's window."""
        os.close(self.master)
        os.close(self._slave)

    @property
    def left_behind(self) -> bytes:
        """What stands below the prompt of the shell afterwards."""
        return self.output.rpartition(b"\x1b[?1049l")[2]

    def check_restored(self) -> None:
        """Line discipline, screen, cursor, mouse, paste and keyboard modes are as before."""
        assert termios.tcgetattr(self._slave) == self.before
        modes = {int(number): state == b"h" for number, state in _MODE.findall(self.output)}
        assert {1049, 25, 1000, 1006, 2004, 1004} <= set(modes)
        assert [n for n, on in modes.items() if on is not (n in _ON_AT_FIRST)] == []
        assert len(re.findall(rb"\x1b\[>\d+u", self.output)) == self.output.count(b"\x1b[<u")

    def close(self) -> None:
        for fd in (self.master, self._slave):
            with contextlib.suppress(OSError):
                os.close(fd)
        self.process.kill()
        self.process.wait()
