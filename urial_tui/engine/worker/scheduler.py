"""The scheduler of the worker: commands one after another, and beside them the answers of the
pools.

Most commands are carried out one at a time, in their order: the line. Answers that may be written
together go to their model's pool. The line and each pool get a step in turn, an evaluation each, so
that an answer in the line starts within a few batches whatever the pools do.
"""

from __future__ import annotations

import traceback
from collections import deque
from typing import TYPE_CHECKING

from urial_tui.engine.native.batch import DecodeError
from urial_tui.engine.native.context import Aborted
from urial_tui.engine.native.llama import LoadCancelled
from urial_tui.engine.wire.commands import Cancel, Command, Generate, LoadModel, Shutdown, Unload
from urial_tui.engine.wire.events import Failed
from urial_tui.engine.worker.commands import CommandTable
from urial_tui.engine.worker.inbox import Inbox
from urial_tui.engine.worker.steps import Emit, Steps
from urial_tui.errors import EngineError

if TYPE_CHECKING:
    from urial_tui.engine.worker.pool import AnswerPool

_FAILURES = (EngineError, Aborted, LoadCancelled, DecodeError, MemoryError)


class Scheduler:
    """Carries out what comes in until it is told to stop.

    Args:
        inbox: Where commands come from.
        commands: Does what they say.
        emit: Takes the events of those that fail.
    """

    def __init__(self, inbox: Inbox, commands: CommandTable, emit: Emit) -> None:
        self._inbox = inbox
        self._commands = commands
        self._emit = emit
        self._line: deque[Command] = deque()
        self._running: tuple[int, Steps[None]] | None = None
        """The id of the command at the head of the line, and what is left of it."""

    def run(self) -> None:
        """Serve until Shutdown."""
        while True:
            self._take()
            if not self._step_line():
                return
            for pool in self._commands.pools:
                if pool.requests:
                    self._step_pool(pool)

    def _take(self) -> None:
        """Take what has come in; where there is nothing to do, wait for it."""
        busy = self._running or self._line or any(pool.busy for pool in self._commands.pools)
        if not busy:
            while not self._inbox.waiting and self._commands.tidy():
                pass
            self._accept(self._inbox.next())
        while self._inbox.waiting:
            self._accept(self._inbox.next())

    def _accept(self, command: Command) -> None:
        if isinstance(command, Cancel):
            return
        if isinstance(command, Generate) and command.pooled and not self._changes_models:
            self._submit(command)
        else:
            self._line.append(command)

    @property
    def _changes_models(self) -> bool:
        """Whether somebody in the line will load or unload a model before."""
        return any(isinstance(command, LoadModel | Unload) for command in self._line)

    def _submit(self, command: Generate) -> None:
        try:
            self._commands.write_together(command)
        except _FAILURES as error:
            self._fail(command.id, error)

    # -- the line ---------------------------------------------------------------------

    def _step_line(self) -> bool:
        """Take a step of the first command; False where it says to stop."""
        if self._running is None:
            if not self._line:
                return True
            command = self._line.popleft()
            if isinstance(command, Shutdown):
                return False
            if isinstance(command, Generate) and command.pooled:
                self._submit(command)
                return True
            self._running = getattr(command, "id", 0), self._commands.carry_out(command)
        request, steps = self._running
        self._inbox.doing((request,))
        try:
            next(steps)
        except StopIteration:
            self._running = None
            self._inbox.ended(request)
        except _FAILURES as error:
            self._running = None
            if isinstance(error, DecodeError | MemoryError):
                traceback.print_exc()
                self._commands.forget_evaluated()
            self._fail(request, error)
        return True

    # -- the pools --------------------------------------------------------------------

    def _step_pool(self, pool: AnswerPool) -> None:
        before = pool.requests
        cancelled = self._inbox.doing(before)
        try:
            pool.cancel(cancelled)
            if pool.requests:
                self._inbox.doing(pool.requests)
                pool.step()
        except (DecodeError, MemoryError) as error:
            traceback.print_exc()
            pool.fail(_in_words(error))
        for request in before - pool.requests:
            self._inbox.ended(request)

    def _fail(self, request: int, error: BaseException) -> None:
        told = _in_words(error)
        self._inbox.ended(request)
        self._emit(Failed(id=request, message=told.message, hint=told.hint))


def _in_words(error: BaseException) -> EngineError:
    if isinstance(error, EngineError):
        return error
    if isinstance(error, Aborted | LoadCancelled):
        return EngineError("Stopped.")
    return EngineError(
        f"The model could not be evaluated: {error or 'memory ran out'}.",
        "Try again with a smaller context, or load the model again.",
    )
