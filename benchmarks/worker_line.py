"""Our worker, asked for several answers at once.

Spoken to directly, so that no part of the client is measured. What goes wrong is a
`ContenderFailed`, and the worker ends with the context.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import sys
import threading
import time
from collections import deque
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import NoReturn, Self, TypeVar

from benchmarks.contenders import Measured
from benchmarks.parallel_work import Prompt, Work, Written, measured
from benchmarks.processes import TIMEOUT, ContenderFailed
from urial_tui.engine.client.death import Moment
from urial_tui.engine.client.process import WorkerProcess
from urial_tui.engine.wire.commands import (
    Command,
    Generate,
    LoadModel,
    PreparePreamble,
    Shutdown,
    Tokenize,
)
from urial_tui.engine.wire.events import (
    Event,
    Failed,
    Finished,
    Loaded,
    PreambleReady,
    PromptReady,
    Ready,
    TextDelta,
    Tokenized,
)
from urial_tui.engine.wire.frames import ProtocolError, decode_event
from urial_tui.engine.wire.values import EngineOptions, TextSegment, Turn
from urial_tui.engine.wire.worker_log import WorkerLog
from urial_tui.errors import EngineDied, EngineError

E_ = TypeVar("E_", bound=Event)

_MODEL = 1
"""The handle of the model that is loaded."""


class WorkerLine:
    """A worker of its own, started when entered.

    Args:
        directory: For its log and its preambles.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._ids = itertools.count(1)
        self.library = ""
        """What it computes with, as it says itself."""

    def __enter__(self) -> Self:
        command = (sys.executable, "-P", "-m", "urial_tui.engine.worker.main")
        log = WorkerLog(self._directory / "engine.log")
        cache = os.fspath(self._directory / "cache")
        try:
            self._process = WorkerProcess((*command, cache), log)
        except EngineError as error:
            raise ContenderFailed(error.message, error.hint) from error
        try:
            self.library = self._until(Ready).library
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None:
            with contextlib.suppress(OSError, ValueError):
                self._process.write(Shutdown())
            self._process.hang_up()
        else:
            self._process.kill()
        self._process.reap()

    @property
    def pid(self) -> int:
        """The worker's process id."""
        return self._process.pid

    # -- requests ---------------------------------------------------------------------

    def load(self, model: str, options: EngineOptions) -> Loaded:
        """Load a model."""
        self.send(LoadModel(id=next(self._ids), model=_MODEL, path=model, options=options))
        return self._until(Loaded)

    def tokenize(self, text: str, *, start: bool = False) -> tuple[int, ...]:
        """A text's ids, with BOS where it starts a context."""
        turn: Turn = (TextSegment(text=text),)
        self.send(Tokenize(id=next(self._ids), model=_MODEL, turns=(turn,), start=start))
        (segments,) = self._until(Tokenized).turns
        return tuple(itertools.chain.from_iterable(segments))

    def prepare(self, preamble: str) -> PreambleReady:
        """Read a preamble for answers that are written alone."""
        turn: Turn = (TextSegment(text=preamble),)
        self.send(PreparePreamble(id=next(self._ids), model=_MODEL, preamble=turn))
        return self._until(PreambleReady)

    def question(self, work: Work, prompt: Prompt, *, together: bool) -> Generate:
        """A question to be answered greedily, to its end or to its most tokens."""
        return Generate(
            id=next(self._ids),
            model=_MODEL,
            preamble=(TextSegment(text=work.preamble),),
            turns=((TextSegment(text=prompt.text),),),
            opening=(TextSegment(text=work.opening),),
            max_tokens=prompt.limit,
            together=together,
        )

    def write(self, questions: Iterable[Generate], in_flight: int) -> list[Written]:
        """Have questions answered, so many at the same time."""
        waiting = deque(questions)
        sent: dict[int, float] = {}
        first: dict[int, float] = {}
        read: dict[int, int] = {}
        answers: list[Written] = []
        with self._in_time():
            while waiting or sent:
                while waiting and len(sent) < in_flight:
                    question = waiting.popleft()
                    sent[question.id] = time.perf_counter()
                    self.send(question)
                event = self.receive()
                now = time.perf_counter()
                match event:
                    case PromptReady():
                        read[event.id] = event.prefilled
                    case TextDelta() if event.generated:
                        first.setdefault(event.id, now)
                    case Finished():
                        began = sent.pop(event.id)
                        answers.append(
                            Written(
                                tokens=event.generated,
                                first_token=first.get(event.id, now) - began,
                                read=read[event.id],
                            )
                        )
        return answers

    # -- the wire ---------------------------------------------------------------------

    def send(self, command: Command) -> None:
        """Send a command."""
        try:
            self._process.write(command)
        except (OSError, ValueError):
            self._fail()

    def _until(self, kind: type[E_]) -> E_:
        with self._in_time():
            while not isinstance(event := self.receive(), kind):
                pass
        return event

    @contextlib.contextmanager
    def _in_time(self) -> Iterator[None]:
        """End a worker that takes for ever."""
        timer = threading.Timer(TIMEOUT, self._process.kill)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()

    def receive(self) -> Event:
        """Wait for the next event of any of them."""
        try:
            body = self._process.read()
            event = None if body is None else decode_event(body)
        except (ProtocolError, OSError, ValueError) as error:
            raise ContenderFailed(f"The worker can't be understood: {error}.") from error
        if event is None:
            self._fail()
        if isinstance(event, Failed):
            raise ContenderFailed(event.message, event.hint)
        return event

    def _fail(self) -> NoReturn:
        self._process.reap()
        died: EngineDied = self._process.death(Moment())
        raise ContenderFailed(died.message, died.hint)


def measure(work: Work, directory: Path, sequences: int, *, together: bool) -> Measured:
    """Have all questions answered by a new worker.

    Args:
        work: What to do.
        directory: For the worker's files.
        sequences: How many answers are written at the same time.
        together: In a pool, also where that is one sequence; otherwise one after another.

    Raises:
        ContenderFailed: It did not work.
    """
    options = EngineOptions(
        n_ctx=work.n_ctx, threads=work.threads, parallel=sequences, pool=work.pool(sequences)
    )
    with WorkerLine(directory) as line:
        line.load(work.model, options)
        if not together:
            line.prepare(work.preamble)

        def ask(prompts: Iterable[Prompt]) -> list[Generate]:
            return [line.question(work, prompt, together=together) for prompt in prompts]

        line.write(ask([work.warm_up] * sequences), sequences)
        time.sleep(work.rest)
        questions = ask(work.prompts)
        began = time.perf_counter()
        answers = line.write(questions, sequences)
        return measured(answers, time.perf_counter() - began)
