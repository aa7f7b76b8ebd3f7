"""Whose turn it is in a worker: a question alone, and a pool of answers beside it."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import pytest

from urial_tui.engine.native.abort_flag import AbortFlag
from urial_tui.engine.wire.commands import Command, Generate, LoadModel, PreparePreamble, Shutdown
from urial_tui.engine.wire.events import Event, Finished, TextDelta
from urial_tui.engine.wire.frames import write_frame
from urial_tui.engine.wire.values import EngineOptions, TextSegment, Turn
from urial_tui.engine.worker.commands import CommandTable
from urial_tui.engine.worker.inbox import Inbox
from urial_tui.engine.worker.pool import AnswerPool
from urial_tui.engine.worker.scheduler import Scheduler

PREAMBLE: Turn = (TextSegment(text="# Query:\nHello world\n\n# Answer:\nhope it helps\n\n" * 6),)
POOLED, ALONE = 4, 100


def asked(number: int, tokens: int, *, together: bool) -> Generate:
    turn: Turn = (TextSegment(text=f"# Query:\nWhat is number {number}?\n\n# Answer:\n"),)
    return Generate(
        id=number,
        model=1,
        preamble=PREAMBLE,
        turns=(turn,),
        max_tokens=tokens,
        together=together,
    )


class Worker:
    """A worker's loop, in a thread; a question alone is asked while a pool is written."""

    def __init__(self, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        fd, self._end = os.pipe()
        flag = AbortFlag()
        self._inbox = Inbox(fd, flag, lambda: None)
        self._scheduler = Scheduler(self._inbox, CommandTable(self._take, cache, flag), self._take)
        self._batches = 0
        self._asked_at: int | None = None
        self._writing: set[int] = set()
        self.first_token: int | None = None
        """Batches of the pool between the question and its first token."""
        self.events: list[Event] = []
        step = AnswerPool.step

        def counted(pool: AnswerPool) -> None:
            self._batches += 1
            step(pool)

        monkeypatch.setattr(AnswerPool, "step", counted)

    def send(self, *commands: Command) -> None:
        for command in commands:
            write_frame(self._end, command)

    def run(self) -> None:
        thread = threading.Thread(target=self._scheduler.run)
        thread.start()
        thread.join(60)
        assert not thread.is_alive()
        os.close(self._end)

    def _take(self, event: Event) -> None:
        self.events.append(event)
        if isinstance(event, TextDelta):
            self._writing.add(event.id)
        if self._asked_at is None and len(self._writing) == POOLED:
            self._ask()
        elif self.first_token is None and self._asked_at is not None:
            match event:
                case TextDelta(id=number) if number == ALONE:
                    self.first_token = self._batches - self._asked_at

    def _ask(self) -> None:
        """Between two lines of the loop's own, so that no batch is run until it is there."""
        self._asked_at = self._batches
        self.send(asked(ALONE, 8, together=False), Shutdown())
        deadline = time.monotonic() + 60
        while not self._inbox.waiting:
            assert time.monotonic() < deadline
            time.sleep(0.001)


def test_a_question_alone_has_its_first_token_within_three_batches_of_a_pool(
    endless_gguf: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = Worker(tmp_path, monkeypatch)
    options = EngineOptions(n_ctx=2048, threads=1, parallel=POOLED)
    worker.send(
        LoadModel(id=1, model=1, path=str(endless_gguf), options=options),
        PreparePreamble(id=2, model=1, preamble=PREAMBLE),
        *(asked(10 + number, 300, together=True) for number in range(POOLED)),
    )
    worker.run()
    ends = [event.id for event in worker.events if isinstance(event, Finished)]
    assert ends == [ALONE], "the question was answered while all of the pool were written"
    assert worker.first_token is not None
    assert 1 <= worker.first_token <= 3
