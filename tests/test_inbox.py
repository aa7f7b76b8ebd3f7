"""Commands come in their order, cancellations at once."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import NamedTuple

import pytest

from urial_tui.engine.native.abort_flag import AbortFlag
from urial_tui.engine.wire.commands import Cancel, Command, Shutdown, Tokenize
from urial_tui.engine.wire.frames import write_frame
from urial_tui.engine.worker.inbox import Inbox


class Line(NamedTuple):
    inbox: Inbox
    flag: AbortFlag
    end: int

    def send(self, *commands: Command) -> None:
        for command in commands:
            write_frame(self.end, command)

    def hang_up(self) -> None:
        os.close(self.end)


@pytest.fixture
def line() -> Iterator[Line]:
    commands, end = os.pipe()
    flag, gone = AbortFlag(), threading.Event()
    line = Line(Inbox(commands, flag, gone.set), flag, end)
    yield line
    with suppress(OSError):
        line.hang_up()
    assert gone.wait(60)
    os.close(commands)


def ask(number: int) -> Tokenize:
    return Tokenize(id=number, model=1, turns=())


def until(seen: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not seen():
        assert time.monotonic() < deadline
        time.sleep(0.002)


def test_commands_come_in_their_order(line: Line) -> None:
    line.send(ask(1), ask(2), ask(3))
    assert [line.inbox.next() for _ in range(3)] == [ask(1), ask(2), ask(3)]


def test_the_flag_is_set_where_nothing_of_what_is_done_is_wanted(line: Line) -> None:
    line.send(ask(1), ask(2))
    assert line.inbox.doing((1, 2)) == frozenset()
    line.send(Cancel(id=1))
    until(lambda: line.inbox.doing((1, 2)) == {1})
    assert not line.flag.is_set
    line.send(Cancel(id=2), Cancel(id=2))
    until(lambda: line.flag.is_set)
    line.inbox.doing((3,))
    assert not line.flag.is_set


def test_a_cancellation_may_come_before_its_command(line: Line) -> None:
    line.send(Cancel(id=5), ask(5))
    until(lambda: line.inbox.doing((5,)) == {5})
    assert line.flag.is_set


def test_what_has_ended_is_not_cancelled_any_more(line: Line) -> None:
    line.send(ask(1))
    assert line.inbox.next() == ask(1)
    line.inbox.ended(1)
    line.send(Cancel(id=1))
    assert line.inbox.next() == Cancel(id=1), "whoever waits is told"
    assert line.inbox.doing((1,)) == frozenset()
    assert not line.flag.is_set


def test_without_a_client_everything_stops(line: Line) -> None:
    line.send(ask(1))
    line.hang_up()
    assert line.inbox.next() == ask(1)
    assert isinstance(line.inbox.next(), Shutdown)
    until(lambda: line.flag.is_set)
    line.inbox.doing((1,))
    assert line.flag.is_set, "for good"
