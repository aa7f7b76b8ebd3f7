"""The engine's self-test, run in the environment that the engine was installed in."""

from __future__ import annotations

import signal
from pathlib import Path

from tools.console import SetupError, run_logged
from tools.venv import Venv
from urial_tui.engine.self_test import WRONG
from urial_tui.sanitize import sanitize_line

_LIMIT_S = 300.0
"""It takes 6 s of CPU time; a busy machine may need a minute."""


_FROM_OUTSIDE = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
"""Signals that others send: the system that runs out of memory, a person."""


def log_file(venv: Venv) -> Path:
    """Where the output of the last self-test is."""
    return venv.path / "urial-setup-self-test.log"


def fault(venv: Venv, root: Path) -> str:
    """What is wrong with the installed engine, as the end of a sentence; "" if nothing.

    Args:
        venv: The environment, with the engine and what the program depends on.
        root: The checkout, which need not be installed yet.

    Raises:
        SetupError: The test can't be run, which says nothing of the engine.
    """
    log = log_file(venv)
    command = [str(venv.python), "-m", "urial_tui.engine.self_test"]
    # An abort would start a debugger otherwise.
    environ = {**venv.environ, "GGML_NO_BACKTRACE": "1"}
    try:
        code = run_logged(command, log, environ=environ, cwd=root, limit_s=_LIMIT_S)
    except TimeoutError:
        return f"does not end its self-test within {_LIMIT_S:.0f} s"
    if code == 0:
        return ""
    last = _last_line(log)
    if code == WRONG:
        return f"fails its self-test ({last})"
    if code < 0 and -code not in _FROM_OUTSIDE:
        return f"dies of {_signal_name(-code)} in its self-test ({last})"
    how = f"it was ended by {_signal_name(-code)}" if code < 0 else last
    raise SetupError(
        f"The engine's self-test can't be run: {how}.",
        "Free some memory and disk space and try again; the whole log is "
        f"{sanitize_line(str(log))}.",
    )


def _last_line(log: Path) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").split("\n")
    return next(
        (shown[:200] for line in reversed(lines) if (shown := sanitize_line(line).strip())), ""
    )


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
