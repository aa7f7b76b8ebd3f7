"""An endpoint that fails on the way: asked again where that may help, and never after success."""

from __future__ import annotations

import json
import socket
import threading
import time
from email.utils import formatdate
from typing import Any

import pytest

from tests.evaluate.endpoint_runs import Run, questions
from tests.evaluate.scripted_endpoint import (
    Act,
    Handler,
    QuickClock,
    ScriptedEndpoint,
    completion,
    drip,
    drip_body,
    drop,
    error,
    half_body,
    hang,
    reply,
    sent,
    written,
)
from urial_tui.evaluate.endpoint_asking import LOST_IN_A_ROW, Usage
from urial_tui.evaluate.rate_limit import Clock

# -- what goes wrong on the way --------------------------------------------------------

FAULTS: dict[str, Act] = {
    "500": error(500, "out of memory"),
    "502": sent("<html>Bad Gateway</html>", 502, {"Content-Type": "text/html"}),
    "503": sent("", 503),
    "408": error(408),
    "429": error(429, "slow down"),
    "dropped": drop,
    "dropped in the body": half_body,
    "silence": hang,
    "a body that drips": drip_body,
    "a head that drips": drip(b"HTTP/1.1 200 OK\r\nX: " + b"x" * 1000),
    "no HTTP": written(b"SSH-2.0-x\r\n\r\n"),
    "half a head": written(b"HTTP/1.1 200 OK\r\nContent-Ty"),
    "a huge head": written(b"HTTP/1.1 200 OK\r\nX: " + b"x" * 300_000),
    "half a JSON": sent(json.dumps(completion())[:40]),
    "a page": sent("<html>Bad gateway</html>", headers={"Content-Type": "text/html"}),
    "an empty body": sent(""),
    "no UTF-8": sent(b'{"choices": [{"message": {"content": "\xff\xfe"}}]}'),
    "damage behind what has another form": sent('{"choices": 5, "usage": {'),
    "a deep nest": sent("[" * 200_000),
}


SLOW = {"silence", "a body that drips", "a head that drips"}


@pytest.mark.parametrize("name", FAULTS)
def test_what_fails_on_the_way_is_asked_again_and_once_after_that(name: str) -> None:
    patience: dict[str, Any] = {"silence": 0.5, "whole": 0.9} if name in SLOW else {}
    with ScriptedEndpoint(FAULTS[name]) as endpoint:
        run = Run(endpoint, questions(2), **patience)
    assert run.unscored() == ["", ""]
    assert len(endpoint.requests) == 3
    assert endpoint.requests[0] == endpoint.requests[1] != endpoint.requests[2]
    assert run.slept == [1.0]
    (wait,) = run.waits
    assert wait.seconds == 1.0
    assert wait.why.endswith(".")
    assert run.judge.usage == Usage(requests=3, replies=2, untold=2)


def test_the_waits_double_up_to_a_limit_and_then_the_question_is_given_up() -> None:
    with ScriptedEndpoint(*[error(500, "no \x1b[2Jluck")] * 9) as endpoint:
        run = Run(endpoint, questions(2), attempts=9)
    assert run.slept == [1, 2, 4, 8, 16, 32, 60, 60]
    assert run.unscored() == ["failed", ""]
    assert run.replies[0].detail == (
        f"The endpoint {endpoint.host} answered with status 500: 'no ␛[2Jluck'."
    )
    assert len(endpoint.requests) == 10


def test_the_waits_are_random_up_to_that() -> None:
    clock = Clock()
    drawn = [clock.jitter(8.0) for _ in range(200)]
    assert all(0 <= seconds <= 8 for seconds in drawn)
    # Each half holds some of 200 draws but for a chance of 2^-199.
    assert min(drawn) < 4 < max(drawn)


def test_an_endpoint_that_is_gone_ends_the_run() -> None:
    with ScriptedEndpoint(reply(), then=drop) as endpoint:
        run = Run(endpoint, questions(9), attempts=2)
    assert run.unscored() == ["", "failed", "failed", "failed"]
    assert len(endpoint.requests) == 1 + 2 * LOST_IN_A_ROW
    assert run.error is not None
    assert run.error.message == (
        f"The connection to {endpoint.host} broke off before the answer was there."
    )
    assert "what has been judged is kept" in run.error.hint


def test_questions_that_the_endpoint_chokes_on_do_not_end_a_run_in_which_others_go_well() -> None:
    bad = error(500)
    with ScriptedEndpoint(bad, bad, reply(), bad, bad, reply(), bad) as endpoint:
        run = Run(endpoint, questions(8), attempts=1)
    assert run.error is None
    assert run.unscored() == ["failed", "failed", "", "failed", "failed", "", "failed", ""]
    assert len(endpoint.requests) == 8


def test_an_address_where_nobody_listens_is_told() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with ScriptedEndpoint() as endpoint:
        run = Run(endpoint, questions(9), url=f"http://127.0.0.1:{port}", attempts=3)
    assert run.error is not None
    assert (
        run.error.message == f"The endpoint 127.0.0.1:{port} can't be reached: connection refused."
    )
    assert run.unscored() == ["failed"] * 3
    assert run.judge.usage.requests == 9
    assert endpoint.requests == []


# -- limits of the rate ----------------------------------------------------------------


def in_seconds(seconds: float) -> str:
    return formatdate(QuickClock().date() + seconds, usegmt=True)


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("7", 7.0),
        ("0", None),
        ("1.5", 1.5),
        (" 20 ", 20.0),
        (in_seconds(90), 90.0),
        (in_seconds(-90), None),
    ],
)
def test_the_wait_that_is_asked_for_is_kept(
    status: int, header: str, seconds: float | None
) -> None:
    with ScriptedEndpoint(error(status, "", {"Retry-After": header})) as endpoint:
        run = Run(endpoint, questions(2))
    assert run.unscored() == ["", ""]
    assert len(endpoint.requests) == 3
    assert run.slept == ([] if seconds is None else [seconds])
    assert [wait.seconds for wait in run.waits] == [seconds or 0.0]


@pytest.mark.parametrize("header", ["soon", "-5", "", "1e9", "٣", "Mon, 99 Foo 2020", "9" * 400])
def test_a_wait_that_can_not_be_read_is_none(header: str) -> None:
    act = error(429, "", {"Retry-After": header.encode().decode("latin-1")})
    with ScriptedEndpoint(act) as endpoint:
        run = Run(endpoint, questions(1))
    assert run.slept == [1.0]
    assert len(endpoint.requests) == 2


def test_a_wait_that_nobody_would_sit_through_ends_the_run() -> None:
    later = error(429, "", {"Retry-After": "86400"})
    with ScriptedEndpoint(reply(), later) as endpoint:
        run = Run(endpoint, questions(5))
    assert len(endpoint.requests) == 2
    assert run.unscored() == [""]
    assert run.error is not None
    assert run.error.message == f"The endpoint {endpoint.host} takes no request for 24 h 0 min."


def test_all_wait_while_one_is_told_to() -> None:
    came: list[float] = []

    def act(handler: Handler) -> None:
        came.append(time.monotonic())
        (error(429, "", {"Retry-After": "0.5"}) if len(came) == 1 else reply())(handler)

    with ScriptedEndpoint(then=act) as endpoint:
        run = Run(endpoint, questions(6), clock=Clock())
    assert run.unscored() == [""] * 6
    assert len(came) == 7
    assert came[1] - came[0] >= 0.5


class Limited:
    """Takes every third request, whoever asks."""

    def __init__(self) -> None:
        self._seen = 0
        self._lock = threading.Lock()

    def __call__(self, handler: Handler) -> None:
        with self._lock:
            self._seen += 1
            turn = self._seen % 3 == 0
        (reply() if turn else error(429))(handler)


def test_a_limit_that_lets_others_through_costs_no_question() -> None:
    with ScriptedEndpoint(then=Limited()) as endpoint:
        run = Run(endpoint, questions(30), concurrency=8, attempts=6)
    assert run.error is None
    assert run.unscored() == [""] * 30
    assert sorted(int(one.asked.id) for one in run.questions) == list(range(30))
    assert len(endpoint.requests) == run.judge.usage.requests
    assert run.judge.usage.replies == 30


def test_a_limit_that_lets_nobody_through_ends_the_run() -> None:
    with ScriptedEndpoint(then=error(429, "too many")) as endpoint:
        run = Run(endpoint, questions(9), attempts=2)
    assert len(endpoint.requests) == 6
    assert run.error is not None
    assert run.error.message == f"The endpoint {endpoint.host} is asked too often: 'too many'."


def test_requests_are_spread_over_the_minute() -> None:
    with ScriptedEndpoint(reply(), error(500)) as endpoint:
        run = Run(endpoint, questions(4), per_minute=30)
    # The one that is asked again waits for its second first, then for its turn.
    assert run.slept == [2.0, 1.0, 1.0, 2.0, 2.0]
    assert len(endpoint.requests) == 5
