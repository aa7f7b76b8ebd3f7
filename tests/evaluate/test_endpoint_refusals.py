"""An endpoint that does not take a request, or sends it elsewhere: told, and not asked again."""

from __future__ import annotations

import gzip
import json
import logging
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.evaluate.endpoint_runs import KEY, Run, questions
from tests.evaluate.scripted_endpoint import (
    Act,
    Handler,
    ScriptedEndpoint,
    drip,
    endless,
    error,
    reply,
    sent,
)
from urial_tui.evaluate.endpoint import MAX_BYTES
from urial_tui.evaluate.endpoint_asking import DECLINED_ALIKE

# -- requests that the endpoint does not take ------------------------------------------


def bomb(handler: Handler) -> None:
    sent(gzip.compress(b" " * 50_000_000), headers={"Content-Encoding": "gzip"})(handler)


@pytest.mark.parametrize(
    ("act", "detail"),
    [
        (error(400, "Context of 4096 tokens exceeded."), "status 400: 'Context of 4096"),
        (error(413, ""), "status 413."),
        (error(422, "No."), "status 422: 'No.'"),
        (sent("x" * 100_000, 400), "status 400: 'xxxxx"),
        (sent("[" * 100_000, 400), "status 400: '[[["),
        (sent(gzip.compress(b"x"), 400, {"Content-Encoding": "gzip"}), "status 400."),
        (error(501, "never"), "status 501: 'never'"),
        (bomb, "packed its answer"),
        (endless, "sent more than 16.8 MB"),
        (sent(b" " * (MAX_BYTES + 1)), "sent more than 16.8 MB"),
    ],
)
def test_what_is_not_taken_fails_and_is_not_asked_again(act: Act, detail: str) -> None:
    with ScriptedEndpoint(act) as endpoint:
        run = Run(endpoint, questions(2))
        assert run.unscored() == ["failed", ""]
        assert detail in run.replies[0].detail
        assert len(run.replies[0].detail) < 500
        assert len(endpoint.requests) == 2
        assert run.error is None


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("response_format", {"error": {"message": "'response_format' is not supported"}}),
        ("response_format", {"error": {"message": "Bad value", "param": "response_format"}}),
        ("response_format", {"error": "guided decoding is off"}),
        ("response_format", {"message": "json_schema not supported"}),
        (
            "response_format",
            {"detail": [{"loc": ["body", "response_format"], "msg": "extra", "input": {"a": 1}}]},
        ),
        ("logprobs", {"error": {"message": "top_logprobs must be between 0 and 5"}}),
        ("temperature", {"error": {"message": "temperature does not support 0 here"}}),
        (
            "max_tokens",
            {"error": {"message": "Use 'max_completion_tokens' instead of 'max_tokens'."}},
        ),
    ],
)
@pytest.mark.parametrize("status", [400, 422])
def test_a_field_that_is_not_known_is_left_out_of_the_whole_run(
    name: str, body: object, status: int
) -> None:
    with ScriptedEndpoint(sent(json.dumps(body), status)) as endpoint:
        run = Run(endpoint, questions(3))
    assert run.unscored() == ["", "", ""]
    assert run.judge.left_out == (name,)
    assert [name in request for request in endpoint.requests] == [True, False, False, False]
    assert run.waits == []
    if name == "max_tokens":
        assert endpoint.requests[1]["max_completion_tokens"] == 280
    if name == "logprobs":
        assert "top_logprobs" not in endpoint.requests[1]


def test_a_field_is_left_out_once_and_refused_for_good_after_that() -> None:
    with ScriptedEndpoint(then=error(400, "no response_format, please")) as endpoint:
        run = Run(endpoint, questions(2))
    assert run.unscored() == ["failed", "failed"]
    assert len(endpoint.requests) == 3


def test_several_fields_may_be_unknown_to_all_who_ask_at_once() -> None:
    def strict(handler: Handler) -> None:
        for name in ("response_format", "logprobs", "temperature"):
            if name in handler.asked:
                return error(400, f"what is {name}?")(handler)
        return reply()(handler)

    with ScriptedEndpoint(then=strict) as endpoint:
        run = Run(endpoint, questions(12), concurrency=4)
    assert run.unscored() == [""] * 12
    assert set(run.judge.left_out) == {"response_format", "logprobs", "temperature"}
    assert 15 <= len(endpoint.requests) <= 12 + 4 * 3


@pytest.mark.parametrize(
    ("act", "key", "message", "hint"),
    [
        (error(401, f"Bad key {KEY}"), KEY, "does not accept the key: 'Bad key …'", "URIAL_JUDGE"),
        (error(401), None, "wants a key.", "URIAL_JUDGE_KEY"),
        (error(402), KEY, "answers no more on this account.", "balance"),
        (error(403, "no"), KEY, "does not allow the use of 'big': 'no'", "--judge"),
        (error(404, "no such model"), None, "has no model 'big', or", "--judge"),
        (sent("<html>404</html>", 404), None, "has no model 'big', or", "--endpoint"),
        (error(405), None, "has no model 'big', or", "--endpoint"),
        (
            sent(json.dumps({"error": {"message": "No.", "code": "insufficient_quota"}}), 429),
            KEY,
            "answers no more on this account: 'No., insufficient_quota'.",
            "balance",
        ),
    ],
)
def test_what_no_other_question_would_change_ends_the_run(
    act: Act, key: str | None, message: str, hint: str
) -> None:
    with ScriptedEndpoint(reply(), act) as endpoint:
        run = Run(endpoint, questions(5), key=key)
    assert run.unscored() == [""], "what came before is told"
    assert len(endpoint.requests) == 2, "and no more is asked"
    assert run.error is not None
    assert message in run.error.message
    assert hint in run.error.hint
    assert KEY not in str(run.error)


def test_an_endpoint_that_says_the_same_to_all_questions_is_asked_no_more() -> None:
    with ScriptedEndpoint(then=error(400, "This model can't chat.")) as endpoint:
        run = Run(endpoint, questions(20))
    assert len(endpoint.requests) == DECLINED_ALIKE
    assert run.unscored() == ["failed"] * DECLINED_ALIKE
    assert run.error is not None
    assert run.error.message.endswith('answered with status 400: "This model can\'t chat.".')
    assert "--judge" in run.error.hint


def test_questions_that_are_declined_for_what_they_are_do_not_end_a_run() -> None:
    numbers = iter(range(100))

    def too_long(handler: Handler) -> None:
        error(400, f"{5000 + next(numbers)} tokens are too many.")(handler)

    with ScriptedEndpoint(then=too_long) as endpoint:
        run = Run(endpoint, questions(20))
        assert (len(endpoint.requests), len(run.replies), run.error) == (20, 20, None)
    with ScriptedEndpoint(reply(), then=error(413)) as endpoint:
        run = Run(endpoint, questions(20))
        assert (len(endpoint.requests), len(run.replies), run.error) == (20, 20, None)


def test_an_error_whose_body_does_not_end_is_told_by_its_status(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("urial_tui.evaluate.endpoint._ERROR_SECONDS", 0.2)

    def slow(handler: Handler) -> None:
        handler.head(401, 1000)
        drip(b"x")(handler)

    with ScriptedEndpoint(slow) as endpoint:
        run = Run(endpoint, questions(5))
        assert len(endpoint.requests) == 1
    assert run.error is not None
    assert run.error.message == f"The endpoint {endpoint.host} wants a key."


# -- to nobody else --------------------------------------------------------------------


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_no_redirect_is_followed(status: int) -> None:
    with ScriptedEndpoint() as other:
        move = sent("", status, {"Location": f"http://me:pass@{other.host}/{KEY}?secret"})
        with ScriptedEndpoint(move) as endpoint:
            run = Run(endpoint, questions(3), key=KEY)
        assert other.requests == []
        assert len(endpoint.requests) == 1
    assert run.replies == []
    assert run.error is not None
    assert f"on to 'http://…@{other.host}/…'" in run.error.message
    assert "--endpoint" in run.error.hint


def test_no_proxy_and_no_password_is_taken_from_the_environment(
    monkeypatch: pytest.MonkeyPatch, home: Path
) -> None:
    (home / ".netrc").write_text("machine 127.0.0.1 login me password secret\n")
    (home / ".netrc").chmod(0o600)
    with ScriptedEndpoint() as proxy, ScriptedEndpoint() as endpoint:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, f"http://{proxy.host}")
        for name in ("NO_PROXY", "no_proxy"):
            monkeypatch.delenv(name, raising=False)
        run = Run(endpoint, questions(1))
        assert run.unscored() == [""]
        assert proxy.requests == []
        assert "authorization" not in endpoint.headers[0]


def test_the_key_is_in_no_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with ScriptedEndpoint(error(500, f"your key is {KEY}")) as endpoint:
        run = Run(endpoint, questions(1), key=KEY)
    assert run.unscored() == [""]
    assert "your key is …" in run.waits[0].why
    assert KEY not in caplog.text
    assert KEY not in repr(vars(run.judge))


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A certificate of the loopback address that no authority has signed, and its key."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("openssl is not installed")
    path = tmp_path / "own.pem"
    made = [openssl, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
    made += ["-nodes", "-days", "2", "-subj", "/CN=judge", "-addext", "subjectAltName=IP:127.0.0.1"]
    made += ["-keyout", str(tmp_path / "key.pem"), "-out", str(path)]
    subprocess.run(made, check=True, capture_output=True)
    path.write_bytes(path.read_bytes() + (tmp_path / "key.pem").read_bytes())
    return path


def test_a_certificate_that_nobody_vouches_for_ends_the_run(certificate: Path) -> None:
    with ScriptedEndpoint(certificate=certificate) as endpoint:
        run = Run(endpoint, questions(5), key=KEY)
        assert endpoint.requests == []
    assert run.judge.usage.requests == 1
    assert run.error is not None
    assert run.error.message == f"The certificate of {endpoint.host} can't be verified."
    assert "SSL_CERT_FILE" in run.error.hint


def test_an_authority_of_ones_own_can_be_named(
    certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    with ScriptedEndpoint(certificate=certificate) as endpoint:
        run = Run(endpoint, questions(2), key=KEY)
    assert run.error is None
    assert run.unscored() == ["", ""]
    assert len(endpoint.requests) == 2
