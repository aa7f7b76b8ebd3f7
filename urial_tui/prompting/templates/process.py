"""The renderer's process as its client has it: asked one thing at a time, and for so long only."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading

import msgspec

from urial_tui.engine.wire.frames import ProtocolError, read_frame, write_frame
from urial_tui.errors import ModelError
from urial_tui.prompting.templates.protocol import Render, RendererReady, Reply, decode_reply

_PROGRAM = (sys.executable, "-P", "-m", "urial_tui.prompting.templates.worker")

_START_LIMIT = 60.0
"""Seconds in which it has to have started, on a machine however busy."""

_OUT_OF_TIME = -int(getattr(signal, "SIGXCPU", 0))
"""Exit code of a process that has computed for longer than the system was asked to allow."""


class TemplateProcessEnded(Exception):
    """It has ended without an answer. `late`: because it took too long."""

    def __init__(self, late: bool) -> None:
        super().__init__(late)
        self.late = late


class TemplateProcess:
    """A process that renders templates, started when it is made.

    Raises:
        ModelError: It can't be started.
    """

    def __init__(self) -> None:
        self._late = False
        try:
            self._process = subprocess.Popen(
                _PROGRAM,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                bufsize=0,
                # One heap for both threads: a heap a thread would use up the address space.
                env=os.environ | {"MALLOC_ARENA_MAX": "1"},
                # Ctrl-C in the terminal is the client's to handle.
                start_new_session=True,
            )
        except OSError as error:
            raise ModelError(
                "The process that renders chat templates can't be started: "
                f"{error.strerror or error}.",
                "Free memory or processes and try again.",
            ) from error

    @property
    def alive(self) -> bool:
        """Whether it can be asked."""
        return not self._late and self._process.poll() is None

    @property
    def pid(self) -> int:
        """Its id; also after its end."""
        return self._process.pid

    def wait_ready(self) -> None:
        """Wait until it has started.

        Raises:
            TemplateProcessEnded: It has not.
        """
        if not isinstance(self._receive(None, _START_LIMIT), RendererReady):
            self.end()
            raise TemplateProcessEnded(late=False)

    def ask(self, request: Render, seconds: float) -> Reply:
        """The answer to a request; where there is none within that time, it ends the process.

        Raises:
            TemplateProcessEnded: There was none.
        """
        return self._receive(request, seconds)

    def kill(self) -> None:
        """End it at once; any thread. Whoever waits for its answer reaps it."""
        self._process.kill()

    def end(self) -> int:
        """End it, close the line and let the system forget it; its exit code."""
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe:
                pipe.close()
        self._process.kill()
        return self._process.wait()

    def _receive(self, request: Render | None, seconds: float) -> Reply:
        timer = threading.Timer(seconds, self._expire)
        timer.daemon = True
        timer.start()
        try:
            assert self._process.stdin is not None
            assert self._process.stdout is not None
            if request is not None:
                write_frame(self._process.stdin.fileno(), request)
            frame = read_frame(self._process.stdout.fileno())
            if frame is None:
                raise EOFError
            return decode_reply(frame)
        except (OSError, EOFError, ProtocolError, msgspec.MsgspecError) as error:
            late = self.end() == _OUT_OF_TIME or self._late
            raise TemplateProcessEnded(late) from error
        except BaseException:
            # Left in the middle, it would give the next one this one's answer.
            self.end()
            raise
        finally:
            timer.cancel()

    def _expire(self) -> None:
        self._late = True
        self._process.kill()
