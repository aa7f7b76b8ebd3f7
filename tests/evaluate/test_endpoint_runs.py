"""Many questions at once to an endpoint, and their end: asked once each, and over at once."""

from __future__ import annotations

import random
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import pytest

from tests.evaluate.endpoint_runs import Run, questions
from tests.evaluate.scripted_endpoint import (
    SOON,
    Act,
    Handler,
    ScriptedEndpoint,
    drip_body,
    drop,
    error,
    half_body,
    hang,
    reply,
)
from urial_tui.evaluate.endpoint import EndpointSettings
from urial_tui.evaluate.endpoint_judge import EndpointJudge
from urial_tui.evaluate.judge import JudgeQuestion
from urial_tui.evaluate.rate_limit import Clock, Postponed


def no_thread_left() -> bool:
    """Whether the threads of runs end, soon."""
    deadline = time.monotonic() + SOON
    while any(thread.name == "endpoint" for thread in threading.enumerate()):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


class Busy:
    """Answers the first six together, breaks off some requests, and counts those answered well."""

    def __init__(self) -> None:
        self.at_once = 0
        self._begun = 0
        self._first = threading.Barrier(6)
        self.most = 0
        self.well: Counter[str] = Counter()
        self._lock = threading.Lock()
        self._random = random.Random(5)

    def __call__(self, handler: Handler) -> None:
        with self._lock:
            self.at_once += 1
            self.most = max(self.most, self.at_once)
            fault = self._random.choice([None, None, None, drop, half_body, error(503), error(429)])
            self._begun += 1
            early = self._begun <= self._first.parties
        if early:
            self._first.wait(timeout=SOON)
        with self._lock:
            self.at_once -= 1
            if fault is None:
                self.well[handler.asked["messages"][0]["content"]] += 1
        (fault or reply())(handler)


def test_each_question_is_answered_once_whatever_happens_on_the_way() -> None:
    busy = Busy()
    asked = questions(60)
    with ScriptedEndpoint(then=busy) as endpoint:
        run = Run(endpoint, asked, concurrency=6, attempts=40)
    assert busy.most == 6
    assert busy.well == Counter(question.prompt.text for question in asked)
    assert run.unscored() == [""] * 60
    assert Counter(question.asked.id for question in run.questions) == Counter(range(60))
    assert run.judge.usage.requests == len(endpoint.requests) == 60 + len(run.waits)
    assert no_thread_left()


def test_no_question_takes_no_request() -> None:
    with ScriptedEndpoint() as endpoint:
        run = Run(endpoint, [])
    assert (run.replies, run.error, endpoint.requests) == ([], None, [])


def test_replies_are_told_as_they_come() -> None:
    first = threading.Event()

    def slow(handler: Handler) -> None:
        first.wait(SOON)
        reply("slow")(handler)

    with ScriptedEndpoint(slow, reply("quick")) as endpoint:
        settings = EndpointSettings(url=endpoint.url, model="big", concurrency=2)
        steps = EndpointJudge(settings).run(questions(2))
        one = next(steps)
        assert not isinstance(one, Postponed)
        assert one[1].text == "quick"
        first.set()
        other = next(steps)
        assert not isinstance(other, Postponed)
        assert other[1].text == "slow"
        assert list(steps) == []


# -- the end ---------------------------------------------------------------------------


@contextmanager
def alarm(ready: Callable[[], bool], do: Callable[[], None]) -> Iterator[None]:
    """Have a signal handler do something once, in the middle of what the main thread is at."""

    def handle(_signal: int, _frame: FrameType | None) -> None:
        if ready():
            signal.setitimer(signal.ITIMER_REAL, 0)
            do()

    before = signal.signal(signal.SIGALRM, handle)
    signal.setitimer(signal.ITIMER_REAL, 0.05, 0.05)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@pytest.mark.parametrize(
    "act",
    [hang, drip_body, error(429, "", {"Retry-After": "500"})],
    ids=["silence", "a drip", "a wait"],
)
def test_cancelling_from_a_signal_handler_ends_a_run_soon(act: Act) -> None:
    with ScriptedEndpoint(reply(), then=act) as endpoint:
        settings = EndpointSettings(url=endpoint.url, model="big", concurrency=3)
        judge = EndpointJudge(settings, clock=Clock())
        told: list[Any] = []
        cancelled_at = 0.0

        def cancel() -> None:
            nonlocal cancelled_at
            cancelled_at = time.monotonic()
            judge.cancel()

        with alarm(lambda: bool(told) and len(endpoint.requests) >= 3, cancel):
            for step in judge.run(questions(9)):
                told += [] if isinstance(step, Postponed) else [step]
        assert 0 < time.monotonic() - cancelled_at < SOON
        assert len(told) == 1, "what came before is told"
        assert len(endpoint.requests) <= 4
        assert judge.cancelled
        assert no_thread_left()


def test_ctrl_c_ends_a_run_soon() -> None:
    interrupted_at = 0.0

    def interrupt() -> None:
        nonlocal interrupted_at
        interrupted_at = time.monotonic()
        raise KeyboardInterrupt

    with ScriptedEndpoint(then=hang) as endpoint:
        judge = EndpointJudge(EndpointSettings(url=endpoint.url, model="big"))
        with alarm(lambda: len(endpoint.requests) == 4, interrupt):
            with pytest.raises(KeyboardInterrupt):
                list(judge.run(questions(9)))
            assert 0 < time.monotonic() - interrupted_at < SOON
        assert no_thread_left()
        assert len(endpoint.requests) == 4


def test_a_run_that_is_cancelled_before_it_starts_asks_nothing() -> None:
    with ScriptedEndpoint() as endpoint:
        judge = EndpointJudge(EndpointSettings(url=endpoint.url, model="big"))
        judge.cancel()
        assert list(judge.run(questions(3))) == []
        assert endpoint.requests == []


def test_a_generator_that_is_closed_ends_what_is_under_way() -> None:
    with ScriptedEndpoint(reply(), then=hang) as endpoint:
        judge = EndpointJudge(EndpointSettings(url=endpoint.url, model="big", concurrency=2))
        steps = judge.run(questions(9))
        next(steps)
        started = time.monotonic()
        steps.close()
        assert time.monotonic() - started < SOON
        assert no_thread_left()
        assert not judge.cancelled


def test_a_name_that_is_never_found_holds_nobody_up(monkeypatch: pytest.MonkeyPatch) -> None:
    forever = threading.Event()

    def look(*_: object, **__: object) -> list[Any]:
        forever.wait(2 * SOON)
        raise socket.gaierror

    monkeypatch.setattr(socket, "getaddrinfo", look)
    judge = EndpointJudge(EndpointSettings(url="http://judge.example", model="big"))
    threading.Timer(0.2, judge.cancel).start()
    started = time.monotonic()
    assert list(judge.run(questions(3))) == []
    assert time.monotonic() - started < SOON
    assert no_thread_left()
    forever.set()


def test_a_process_ends_though_a_name_is_still_looked_up() -> None:
    code = (
        "import socket, threading, time\n"
        "from tests.evaluate.endpoint_runs import questions\n"
        "from urial_tui.evaluate.endpoint import EndpointSettings\n"
        "from urial_tui.evaluate.endpoint_judge import EndpointJudge\n"
        "socket.getaddrinfo = lambda *_, **__: time.sleep(120)\n"
        "judge = EndpointJudge(EndpointSettings(url='http://judge.example', model='big'))\n"
        "threading.Timer(0.2, judge.cancel).start()\n"
        "print(list(judge.run(questions(3))))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=SOON, check=True
    )
    assert done.stdout == "[]\n"


@pytest.mark.parametrize("name", ["judge.invalid", f"{'a' * 70}.example"])
def test_a_name_that_there_is_not_is_told(name: str) -> None:
    asked: list[JudgeQuestion] = questions(1)
    with ScriptedEndpoint() as endpoint:
        run = Run(endpoint, asked, url=f"http://{name}:81/v1", attempts=2)
    assert run.unscored() == ["failed"]
    # What the system says of a name depends on whether anybody can be asked for it.
    told = f"The endpoint {re.escape(name)}:81 can't be reached: [a-z][^.]+\\."
    assert re.fullmatch(told, run.replies[0].detail)
    assert run.error is None


def test_a_mistake_in_the_program_is_not_swallowed(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("urial_tui.evaluate.endpoint_judge.read_reply", broken)
    with ScriptedEndpoint() as endpoint, pytest.raises(ZeroDivisionError):
        Run(endpoint, questions(3))
