"""The subprocess of a worker as its client has it: a line to it, a log behind it, and one end.

A `WorkerProcess` is started when it is made. Whoever made it reaps it: until then it keeps
its pipes and, once it has ended, its entry in the system's table. One thread writes to it and
one reads; any may kill it.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

from urial_tui.engine.client.death import Moment, explained_death
from urial_tui.engine.wire.commands import Command
from urial_tui.engine.wire.frames import read_frame, write_frame
from urial_tui.engine.wire.worker_log import WorkerLog
from urial_tui.errors import EngineDied, EngineError

EXIT_TIMEOUT = 3.0
"""Seconds that a worker gets to free its memory before it is killed."""


class Process(Protocol):
    """The protocol of a worker's subprocess, as the client needs it; see `WorkerProcess`."""

    @property
    def alive(self) -> bool:
        """Whether the process runs."""
        ...

    @property
    def pid(self) -> int | None:
        """Its id; None for what is no process."""
        ...

    def write(self, command: Command) -> None:
        """Send a command; in the writing thread."""
        ...

    def read(self) -> bytes | None:
        """The next event's frame, once it comes; None at the end. In the reading thread."""
        ...

    def hang_up(self) -> None:
        """Close the line of commands, so that it ends by itself; in the writing thread."""
        ...

    def kill(self) -> None:
        """End it at once; any thread."""
        ...

    def reap(self) -> None:
        """Let go of it, once it has ended."""
        ...

    def death(self, moment: Moment) -> EngineDied:
        """Why it ended, at this moment."""
        ...


Launch = Callable[[Sequence[str], WorkerLog], Process]
"""(command line, log) to a running worker."""


class WorkerProcess:
    """A worker's subprocess that runs.

    Args:
        command: Its command line.
        log: Where its output goes.

    Raises:
        EngineError: It can't be started.
    """

    def __init__(self, command: Sequence[str], log: WorkerLog) -> None:
        self._log = log
        environment = os.environ | {
            # An abort in native code would start a debugger and print to the terminal.
            "GGML_NO_BACKTRACE": "1",
            "PYTHONUNBUFFERED": "1",
        }
        with _explained(), log.open() as output:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=output,
                bufsize=0,
                env=environment,
                # Ctrl-C in the terminal is the client's to handle.
                start_new_session=True,
            )

    @property
    def alive(self) -> bool:
        """Whether the process runs."""
        return self._process.poll() is None

    @property
    def pid(self) -> int:
        """Its id; also after its end."""
        return self._process.pid

    # -- the line -------------------------------------------------------------------

    def write(self, command: Command) -> None:
        """Write a command to the process.

        Raises:
            OSError: The worker has closed its end.
        """
        assert self._process.stdin is not None
        self._log.mark()
        write_frame(self._process.stdin.fileno(), command)

    def read(self) -> bytes | None:
        """The next event's frame; None when the worker has closed its end.

        Raises:
            ProtocolError: It is no frame.
        """
        assert self._process.stdout is not None
        return read_frame(self._process.stdout.fileno())

    # -- the end --------------------------------------------------------------------

    def hang_up(self) -> None:
        """Close the line of commands: the worker ends when it notices."""
        assert self._process.stdin is not None
        with contextlib.suppress(OSError):
            self._process.stdin.close()

    def kill(self) -> None:
        """End the worker at once, whatever it does and also where it was stopped."""
        self._process.kill()

    def reap(self) -> None:
        """Close the line, wait for the worker's end, and let the system forget it."""
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe:
                with contextlib.suppress(OSError):
                    pipe.close()
        try:
            self._process.wait(EXIT_TIMEOUT)
        except subprocess.TimeoutExpired:
            self._process.kill()
            # One that waits for a disk that does not answer can't even be killed.
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(EXIT_TIMEOUT)

    def death(self, moment: Moment) -> EngineDied:
        """Why it ended, in a sentence; it has been reaped."""
        return explained_death(self._process.returncode, moment, self._log)


@contextlib.contextmanager
def _explained() -> Iterator[None]:
    """Turn what the system refuses into a sentence."""
    try:
        yield
    except OSError as error:
        raise EngineError(
            f"The engine can't be started: {error.strerror or error}.",
            "Install urial-tui again."
            if isinstance(error, FileNotFoundError | PermissionError)
            else "Free memory or processes and try again.",
        ) from error
