"""What setting up shows: whole lines, one line that is redrawn, and commands that run behind it.

A command writes to a log file and is watched through it, so that the full output is kept
whatever happens. It runs in a session of its own: when setting up is interrupted, the
command and everything it started are stopped, and nothing goes on compiling unseen.
"""

from __future__ import annotations

import math
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType

from urial_tui.errors import UrialError
from urial_tui.sanitize import sanitize_line

_TICK_S = 0.25
_GRACE_S = 2.0


class SetupError(UrialError):
    """The environment can't be made; the hint says what to install, free or change."""


class Console:
    """Standard output. `progress` lines are redrawn on a terminal and dropped elsewhere.

    It can't be `cli.progress_line`, whose packages are what is being installed.
    """

    def __init__(self) -> None:
        self.live = sys.stdout.isatty()
        self._drawn = False

    def say(self, text: str) -> None:
        """Print a line to stay."""
        self._wipe()
        print(text, flush=True)

    def progress(self, text: str) -> None:
        """Replace the progress line."""
        if not self.live:
            return
        width = shutil.get_terminal_size().columns - 1
        sys.stdout.write("\r\x1b[K" + text[:width])
        sys.stdout.flush()
        self._drawn = True

    def _wipe(self) -> None:
        if self._drawn:
            sys.stdout.write("\r\x1b[K")
            self._drawn = False

    def close(self) -> None:
        """Leave no half-drawn line behind."""
        self._wipe()
        sys.stdout.flush()


@contextmanager
def interruptible() -> Iterator[None]:
    """Within, a closed terminal or a polite kill interrupts like Ctrl-C, so that we clean up."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = {
        number: signal.signal(number, interrupt) for number in (signal.SIGTERM, signal.SIGHUP)
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def run_logged(
    command: Sequence[str],
    log: Path,
    *,
    environ: Mapping[str, str],
    cwd: Path | None = None,
    on_line: Callable[[str], None] = lambda line: None,
    on_tick: Callable[[], None] = lambda: None,
    limit_s: float = math.inf,
) -> int:
    """Run a command with its output in `log`; its exit code (negative: the signal).

    `on_line` sees each complete line of the output, `on_tick` is called a few times a second.

    Raises:
        SetupError: The command can't be started or the log can't be written.
        TimeoutError: It ran longer than `limit_s` and was stopped.
    """
    deadline = time.monotonic() + limit_s
    try:
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("wb") as output:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=dict(environ),
                cwd=cwd,
                start_new_session=True,
            )
    except OSError as error:
        raise SetupError(
            f"{sanitize_line(command[0])} can't be started: {error.strerror}.",
            f"Its log would be {sanitize_line(str(log))}.",
        ) from error
    try:
        with log.open("rb") as output:
            rest = b""
            while True:
                ended = process.poll() is not None
                rest += output.read()
                *lines, rest = rest.split(b"\n")
                for line in lines:
                    on_line(line.decode("utf-8", "replace"))
                if ended:
                    return process.returncode
                if time.monotonic() > deadline:
                    raise TimeoutError
                on_tick()
                time.sleep(_TICK_S)
    finally:
        if process.returncode is None:
            _stop(process)


def _stop(process: subprocess.Popen[bytes]) -> None:
    """End a command and all that it started. A second Ctrl-C must not leave them running."""
    ours = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        os.killpg(process.pid, signal.SIGINT)
        process.wait(_GRACE_S)
    except (ProcessLookupError, subprocess.TimeoutExpired):
        pass
    finally:
        # A compiler may outlive the pip that started it.
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        signal.signal(signal.SIGINT, ours)


def error_lines(log: Path, limit: int = 6) -> list[str]:
    """The last lines of a log that speak of an error, or its last lines if none does."""
    try:
        text = log.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return []
    lines = [sanitize_line(line).strip() for line in text.split("\n")]
    lines = [line for line in lines if line]
    errors = [line for line in lines if _is_error(line)]
    return [line[:200] for line in (errors or lines)[-limit:]]


def _is_error(line: str) -> bool:
    """Compiler commands name files like error.o and flags like -Werror: those are no errors."""
    low = line.lower()
    return "error:" in low or "failed:" in low or low.startswith(("error", "fatal", "killed"))


def clock(seconds: float) -> str:
    """Minutes and seconds, as 2:05."""
    whole = max(0, round(seconds))
    return f"{whole // 60}:{whole % 60:02d}"
