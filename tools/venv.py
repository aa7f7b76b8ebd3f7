"""One virtual environment and the commands that run in it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from tools.console import Console, SetupError, error_lines, run_logged
from urial_tui.sanitize import sanitize_line

_MISLEADING = frozenset(
    {
        "PYTHONHOME",
        "PYTHONPATH",
        "PYTHONSAFEPATH",
        "PIP_TARGET",
        "PIP_PREFIX",
        "PIP_ROOT",
        "__PYVENV_LAUNCHER__",
    }
)
"""What makes a child Python look or install elsewhere than in its own environment."""

_PACKAGE_LINE = re.compile(r"\s*(Collecting|Downloading|Building|Installing) ([^(\s]+)")


class Venv:
    """The environment at `path`, which need not exist yet.

    A mark lies in it from its creation until `finish`: what a broken-off set-up left is
    never taken for an environment.
    """

    def __init__(self, path: Path, environ: Mapping[str, str], console: Console) -> None:
        self.path = path
        self.python = path / "bin" / "python"
        self.console = console
        self.environ = {
            **{key: value for key, value in environ.items() if key not in _MISLEADING},
            "PIP_USER": "0",
            "PIP_NO_INPUT": "1",
            "PIP_DISABLE_PIP_VERSION_CHECK": "1",
            "PYTHONUNBUFFERED": "1",
        }
        self._unfinished = path / "urial-setup.unfinished"

    @property
    def exists(self) -> bool:
        """Whether there is a Python in it; it may still be broken."""
        return self.python.exists()

    def identity(self) -> str:
        """What changes when the Python behind the environment is replaced."""
        try:
            made = (self.path / "pyvenv.cfg").read_text(encoding="utf-8", errors="replace")
        except OSError:
            made = ""
        return f"{os.path.realpath(self.python)}\n{made}"

    def unusable(self) -> str:
        """Why what is there can't be built upon, as a sentence; empty if it can, or is not there.

        Raises:
            SetupError: It is something else than an environment, which is not ours to remove.
        """
        if not os.path.lexists(self.path):
            return ""
        if self._unfinished.exists():
            return "A set-up was broken off: its remains are removed."
        if (self.path / "pyvenv.cfg").exists():
            code = "import sys; sys.exit(sys.version_info < (3, 11))"
            if self.answer(code) is not None:
                return ""
            return "The Python of the environment is gone or too old: it is made anew."
        if self.path.is_dir() and not any(self.path.iterdir()):
            return ""
        raise SetupError(
            f"{sanitize_line(str(self.path))} is there and is no virtual environment.",
            "Move it away and try again.",
        )

    def remove(self) -> None:
        """Delete it; of a link, the link alone."""
        if self.path.is_symlink():
            self.path.unlink()
        else:
            shutil.rmtree(self.path)

    def make(self) -> None:
        """Create it with the Python that runs this, marked as unfinished."""
        self.path.mkdir(exist_ok=True)
        self._unfinished.touch()
        command = [sys.executable, "-m", "venv", str(self.path)]
        self._run(command, "venv", "The virtual environment could not be made.")

    def finish(self) -> None:
        """From now on the environment is to be trusted."""
        self._unfinished.unlink(missing_ok=True)

    def answer(self, code: str) -> str | None:
        """The last line that its Python prints for `code`; None if that fails."""
        try:
            done = subprocess.run(
                [str(self.python), "-I", "-c", code],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                errors="replace",
                check=False,
                env=self.environ,
            )
        except OSError:
            return None
        return done.stdout.strip().split("\n")[-1] if done.returncode == 0 else None

    def pip(self, *arguments: str, failure: str, cwd: Path | None = None) -> None:
        """Run pip in `cwd`, showing the package it is at.

        Raises:
            SetupError: It failed; `failure` is the first sentence of the message.
        """
        if self.answer("import pip") is None:
            command = [str(self.python), "-m", "ensurepip"]
            self._run(command, "venv", "The environment has no pip.")
        command = [str(self.python), "-m", "pip", *arguments]
        self._run(command, arguments[0], failure, cwd)

    def _run(self, command: list[str], name: str, failure: str, cwd: Path | None = None) -> None:
        log = self.path / f"urial-setup-{name}.log"

        def show(line: str) -> None:
            if words := _PACKAGE_LINE.match(line):
                package = "" if words[2] == "collected" else sanitize_line(words[2])
                self.console.progress(f"  {words[1]} {package}")

        code = run_logged(command, log, environ=self.environ, cwd=cwd, on_line=show)
        if code:
            quoted = "".join(f"\n    {line}" for line in error_lines(log))
            raise SetupError(
                f"{failure}{quoted}\n",
                "Look at the network connection and at pip's settings; the whole log is "
                f"{sanitize_line(str(log))}.",
            )
