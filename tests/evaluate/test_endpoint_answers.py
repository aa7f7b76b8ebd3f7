"""Answers by an endpoint: what it is asked, how its answers end, and what goes wrong."""

from __future__ import annotations

import itertools
import json
import re
import signal
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.evaluate.runs import HANGS, ITEMS, command, eval_run, item_file, sentence
from tests.evaluate.scripted_endpoint import (
    SOON,
    Act,
    Handler,
    QuickClock,
    ScriptedEndpoint,
    drop,
    error,
    half_body,
    hang,
    reply,
    sent,
    text,
)
from urial_tui import paths
from urial_tui.engine.wire.events import Notice
from urial_tui.engine.wire.values import Sampling
from urial_tui.evaluate.endpoint import EndpointSettings
from urial_tui.evaluate.endpoint_address import ENGINE, address_of
from urial_tui.evaluate.endpoint_answers import EndpointAnswers, endpoint_terms, not_sent
from urial_tui.evaluate.endpoint_asking import DECLINED_ALIKE, LOST_IN_A_ROW
from urial_tui.evaluate.generate import Answered, Skipped
from urial_tui.evaluate.items import EvaluateError, Item
from urial_tui.evaluate.outputs import AnsweredTurn
from urial_tui.evaluate.rate_limit import Clock, Postponed
from urial_tui.evaluate.run_file import WrittenAnswer
from urial_tui.prompting.context import find_context
from urial_tui.prompting.preamble_file import find_preamble
from urial_tui.prompting.render import close_text, open_turn, preamble_text

K1 = find_preamble("urial-k1")
ALL_TURNS = sum(len(item.turns) for item in ITEMS)
KEY = "sk-not-to-be-seen"


class Run:
    """A run that has ended, and what it told."""

    def __init__(
        self,
        endpoint: ScriptedEndpoint,
        items: Sequence[Item] = ITEMS,
        *,
        context: str = "urial-k1",
        sampling: Sampling = Sampling(),  # noqa: B008 - it is frozen
        written: Sequence[WrittenAnswer] = (),
        key: str | None = None,
        **settings: Any,
    ) -> None:
        self.clock = QuickClock()
        self.answered: list[Answered] = []
        self.skipped: list[Skipped] = []
        self.waits: list[Postponed] = []
        self.notices: list[str] = []
        self.error: EvaluateError | None = None
        chosen: dict[str, Any] = {"url": endpoint.url, "model": "big", "concurrency": 1, **settings}
        found = find_context(context)
        terms = endpoint_terms(
            address_of(endpoint.url, ENGINE), "big", found, sampling=sampling, max_tokens=50
        )
        self.answers = EndpointAnswers(
            EndpointSettings(service=ENGINE, **chosen), found, terms, key, self.clock
        )
        try:
            for step in self.answers.run([(item, written) for item in items]):
                match step:
                    case Answered():
                        self.answered.append(step)
                    case Skipped():
                        self.skipped.append(step)
                    case Postponed():
                        self.waits.append(step)
                    case Notice(message=message):
                        self.notices.append(message)
        except EvaluateError as caught:
            self.error = caught

    @property
    def exchanges(self) -> list[AnsweredTurn]:
        return [step.written.exchange for step in self.answered]


# -- what is asked ---------------------------------------------------------------------


def test_the_prompt_is_ours_to_the_letter() -> None:
    with ScriptedEndpoint(then=text(" It does.")) as endpoint:
        run = Run(endpoint, ITEMS[:1], key=KEY)
    first, second = endpoint.requests
    assert endpoint.paths == ["/v1/completions"] * 2
    assert endpoint.headers[0]["authorization"] == f"Bearer {KEY}"
    assert first == {
        "model": "big",
        "prompt": preamble_text(K1) + open_turn(K1, "Why?"),
        "temperature": 0.0,
        "max_tokens": 50,
        "stop": list(K1.format.stop),
    }
    before = preamble_text(K1) + open_turn(K1, "Why?") + " It does." + close_text(K1)
    assert second["prompt"] == before + open_turn(K1, "And then?")
    assert [(exchange.instruction, exchange.output) for exchange in run.exchanges] == [
        ("Why?", " It does."),
        ("And then?", " It does."),
    ]


def test_second_turns_come_no_sooner_than_the_rate_says() -> None:
    with ScriptedEndpoint(then=text()) as endpoint:
        run = Run(endpoint, ITEMS[:1], per_minute=30)
    assert len(endpoint.requests) == 2
    assert run.clock.slept == [2.0]


def test_an_answer_to_come_is_counted_with_the_turns_behind_it() -> None:
    with ScriptedEndpoint() as endpoint:
        answers = Run(endpoint, ()).answers
    (item,) = ITEMS[:1]
    there = WrittenAnswer(exchange=AnsweredTurn(instruction="Why?", output=" It does."))
    assert [prompt.to_come for prompt in answers.prompts([(item, [])])] == [0, 1]
    (left,) = answers.prompts([(item, [there])])
    assert left.to_come == 0
    assert " It does." in left.text


def test_in_a_raw_context_there_is_the_question_alone_and_nothing_to_stop_at() -> None:
    with ScriptedEndpoint(then=text()) as endpoint:
        run = Run(endpoint, ITEMS[:1], context="raw")
    assert [asked["prompt"] for asked in endpoint.requests] == ["Why?", "Why?Fine.And then?"]
    assert "stop" not in endpoint.requests[0]
    assert [exchange.ending for exchange in run.exchanges] == ["end", "end"]


def test_what_draws_is_sent_with_a_seed_for_each_answer() -> None:
    drawing = Sampling(temperature=0.7, top_k=7, top_p=0.8, min_p=0.1, seed=5, presence_penalty=0.5)
    with ScriptedEndpoint(then=text()) as endpoint:
        run = Run(endpoint, sampling=drawing)
        again = Run(endpoint, sampling=drawing)
    (first, *_) = endpoint.requests
    sent = {name: first[name] for name in ("temperature", "top_k", "top_p", "min_p")}
    assert sent == {"temperature": 0.7, "top_k": 7, "top_p": 0.8, "min_p": 0.1}
    assert first["presence_penalty"] == 0.5
    assert "frequency_penalty" not in first
    seeds = [asked["seed"] for asked in endpoint.requests]
    assert len(set(seeds[:ALL_TURNS])) == ALL_TURNS
    assert seeds[ALL_TURNS:] == seeds[:ALL_TURNS]
    assert [exchange.seed for exchange in run.exchanges] == seeds[:ALL_TURNS]
    assert len(again.exchanges) == ALL_TURNS


def test_later_turns_wait_for_all_earlier_ones_and_what_is_there_is_not_asked() -> None:
    with ScriptedEndpoint(then=text("A")) as endpoint:
        run = Run(endpoint)
        order = [(step.item.id, step.turn) for step in run.answered]
        assert order == [(7, 0), ("b", 0), (3, 0), (4, 0), (5, 0), (7, 1), (4, 1), (4, 2)]
        there = (WrittenAnswer(exchange=AnsweredTurn(instruction="Why?", output="So.")),)
        more = Run(endpoint, ITEMS[:1], written=there)
    assert [(step.item.id, step.turn) for step in more.answered] == [(7, 1)]
    assert "So." in endpoint.requests[-1]["prompt"]


def test_what_the_protocol_does_not_have_is_named() -> None:
    assert not_sent(Sampling()) == ()
    sampling = Sampling(repetition_penalty=1.2, dry_multiplier=0.8)
    assert not_sent(sampling) == ("sampling.repetition_penalty", "sampling.dry_multiplier")
    terms = [
        endpoint_terms(
            address_of("http://localhost", ENGINE),
            "m",
            find_context("zero-shot"),
            sampling=each,
            max_tokens=5,
        )
        for each in (sampling, Sampling(), Sampling(top_k=3, seed=4))
    ]
    assert len({each.key(ITEMS[0]) for each in terms}) == 1, "what is not sent changes nothing"


# -- how answers end -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("act", "found"),
    [
        (text("So.", finish="length"), ("So.", "cut", "length", None)),
        (text("So.", usage={"completion_tokens": 3}), ("So.", "", "stop", 3)),
        (text("So.", stop_reason=None), ("So.", "end", "eos", None)),
        (text("So.", stop_reason="\n~~~~"), ("So.", "stop", "stop \n~~~~", None)),
        (text("So.", stop_reason=7), ("So.", "", "stop", None)),
        (text("So.", finish=None), ("So.", "", "", None)),
        (text("So.", finish="x" * 500), ("So.", "", "x" * 100, None)),
        (text("", finish="stop", stop_reason=None), ("", "end", "eos", None)),
        # An endpoint that does not know stop strings has counted what stands behind them.
        (
            text("So.\n~~~~\n\n# Query:", finish="length", usage={"completion_tokens": 9}),
            ("So.", "stop", "stop", None),
        ),
        (text("So.", usage={"completion_tokens": -4}), ("So.", "", "stop", None)),
        (text("So.", usage="many"), ("So.", "", "stop", None)),
    ],
)
def test_an_ending_is_what_the_endpoint_tells_and_no_more(
    act: Act, found: tuple[str, str, str, int | None]
) -> None:
    with ScriptedEndpoint(act) as endpoint:
        run = Run(endpoint, ITEMS[1:2])
    (exchange,) = run.exchanges
    assert (exchange.output, exchange.ending, exchange.detail, exchange.tokens) == found
    assert exchange.ids == ()


def test_a_fence_ends_an_answer_unless_it_closes_a_block() -> None:
    fenced = find_context("urial-k1")
    assert fenced.preamble is not None
    form = msgspec.structs.replace(fenced.preamble.format, stop=(), fence="```")
    preamble = msgspec.structs.replace(fenced.preamble, format=form)
    context = msgspec.structs.replace(fenced, preamble=preamble)
    written = "Look:\n```python\nx\n```\nThat is all.\n```\n\n# Query:\n```\nWhat"
    with ScriptedEndpoint(then=text(written, finish="length")) as endpoint:
        terms = endpoint_terms(
            address_of(endpoint.url, ENGINE), "big", context, sampling=Sampling(), max_tokens=9
        )
        settings = EndpointSettings(url=endpoint.url, model="big", service=ENGINE)
        steps = list(EndpointAnswers(settings, context, terms).run([(ITEMS[1], ())]))
    (found,) = [step.written.exchange for step in steps if isinstance(step, Answered)]
    assert (found.output, found.ending) == ("Look:\n```python\nx\n```\nThat is all.", "stop")
    assert "stop" not in endpoint.requests[0]


# -- what goes wrong -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("act", "reason"),
    [
        (sent("[]"), "not what it should be"),
        (sent('{"choices": []}'), "holds no text"),
        (sent("{}"), "holds no text"),
        (text(None), "not what it should be"),
        (text(5), "not what it should be"),
        (text(["a"]), "not what it should be"),
        (reply("a chat's reply"), "not what it should be"),
        (text("x", finish="content_filter"), "filtered"),
        (error(400, "Context of 4096 tokens exceeded."), "4096 tokens exceeded"),
        (error(501), "status 501"),
    ],
)
def test_what_can_not_be_read_skips_the_item_and_is_not_asked_again(act: Act, reason: str) -> None:
    with ScriptedEndpoint(act, then=text()) as endpoint:
        run = Run(endpoint, ITEMS[:2])
    assert [(step.item.id, reason in step.reason) for step in run.skipped] == [(7, True)]
    assert [step.item.id for step in run.answered] == ["b"]
    assert len(endpoint.requests) == 2, "nor is its second turn"


@pytest.mark.parametrize(
    "act",
    [
        drop,
        half_body,
        error(500),
        error(503, "loading"),
        error(429),
        error(429, "", {"Retry-After": "7"}),
        sent('{"choices": [{"text": "So'),
        sent(""),
        sent("<html>Bad gateway</html>"),
        hang,
    ],
)
def test_what_fails_on_the_way_is_asked_again_and_nothing_after_success(act: Act) -> None:
    with ScriptedEndpoint(act, then=text()) as endpoint:
        run = Run(endpoint, silence=0.5)
    assert len(run.answered) == ALL_TURNS
    assert len(endpoint.requests) == ALL_TURNS + 1
    assert len(run.waits) == 1
    counts = Counter(asked["prompt"] for asked in endpoint.requests)
    assert sorted(counts.values()) == [1] * (ALL_TURNS - 1) + [2]
    assert (run.skipped, run.error) == ([], None)


def test_many_at_once_are_answered_once_each() -> None:
    items = [Item(id=number, turns=(f"Number {number}?",)) for number in range(40)]
    lock, well, at_once, most = threading.Lock(), Counter[str](), 0, 0
    asked = itertools.count()
    six = threading.Barrier(6)

    def busy(handler: Handler) -> None:
        nonlocal at_once, most
        with lock:
            at_once += 1
            most = max(most, at_once)
            turn = sum(well.values()) + at_once
        if next(asked) < 6:
            six.wait(SOON)  # none of the first six is answered before all are there
        time.sleep(0.01)
        fault = [None, None, drop, error(503), half_body][turn % 5]
        with lock:
            at_once -= 1
            if fault is None:
                well[handler.asked["prompt"]] += 1
        (fault or text())(handler)

    with ScriptedEndpoint(then=busy) as endpoint:
        run = Run(endpoint, items, concurrency=6, attempts=60)
    assert sorted(step.item.id for step in run.answered) == list(range(40))
    assert set(well.values()) == {1}
    assert most == 6
    assert run.answers.usage.requests == len(endpoint.requests) == 40 + len(run.waits)


def test_an_endpoint_that_is_gone_ends_the_run_with_what_was_answered() -> None:
    with ScriptedEndpoint(text(), text(), then=drop) as endpoint:
        run = Run(endpoint, attempts=2)
    assert len(run.answered) == 2
    assert run.error is not None
    assert "what has been answered is kept" in run.error.hint
    assert len(endpoint.requests) == 2 + 2 * LOST_IN_A_ROW


@pytest.mark.parametrize(
    ("act", "said", "hint"),
    [
        (error(401), "wants a key", "URIAL_ENGINE_KEY"),
        (error(404), "has no model 'big'", "-m"),
        (sent("", 302, {"Location": "http://elsewhere.example/v1"}), "elsewhere", "--engine"),
        (error(402), "answers no more", "what has been answered is kept"),
        (error(429, "", {"Retry-After": "9999"}), "takes no request", "answered is kept"),
    ],
)
def test_what_no_other_question_would_change_ends_the_run(act: Act, said: str, hint: str) -> None:
    with ScriptedEndpoint(then=act) as endpoint:
        run = Run(endpoint)
    assert run.error is not None
    assert said in run.error.message
    assert hint in run.error.hint
    assert len(endpoint.requests) == 1


def test_fields_that_are_not_known_are_left_out_and_told() -> None:
    def strict(handler: Handler) -> None:
        for name in ("top_k", "min_p", "stop"):
            if name in handler.asked:
                return error(400, f"Unrecognized request argument: {name}")(handler)
        return text("So.\n~~~~\nAnd on", finish="length")(handler)

    with ScriptedEndpoint(then=strict) as endpoint:
        run = Run(endpoint, sampling=Sampling(temperature=1.0, seed=1))
    assert [exchange.output for exchange in run.exchanges] == ["So."] * ALL_TURNS
    assert run.notices == ["The endpoint does not know top_k, min_p, stop: it was left out."]
    assert len(endpoint.requests) == ALL_TURNS + 3


def test_an_endpoint_that_declines_everything_alike_is_asked_no_more() -> None:
    items = [Item(id=number, turns=("?",)) for number in range(30)]
    with ScriptedEndpoint(then=error(400, "No completions here.")) as endpoint:
        run = Run(endpoint, items)
    assert len(endpoint.requests) == DECLINED_ALIKE
    assert run.error is not None
    assert "(-m)" in run.error.hint


def test_cancelling_ends_it_soon() -> None:
    with ScriptedEndpoint(text(), then=hang) as endpoint:
        found = find_context("zero-shot")
        terms = endpoint_terms(
            address_of(endpoint.url, ENGINE), "big", found, sampling=Sampling(), max_tokens=5
        )
        settings = EndpointSettings(url=endpoint.url, model="big", service=ENGINE)
        answers = EndpointAnswers(settings, found, terms, clock=Clock())
        told = []
        for step in answers.run([(item, ()) for item in ITEMS]):
            told.append(step)
            started = time.monotonic()
            answers.cancelled = True
        assert time.monotonic() - started < SOON
        assert [type(step) for step in told] == [Answered]


# -- the command -----------------------------------------------------------------------


@pytest.fixture
def items(tmp_path: Path, home: Path) -> Path:
    settings = paths.settings_file()
    settings.parent.mkdir(parents=True)
    settings.write_text("[sampling]\nrepetition_penalty = 1.0\ndry_multiplier = 0.0\n")
    return item_file(tmp_path / "items.json")


def arguments(endpoint: ScriptedEndpoint, items: Path) -> tuple[str | Path, ...]:
    out = items.with_name("out.json")
    options = ("-p", "urial-k1", "--items", items, "--out", out, "--max-tokens", "40")
    return ("--engine", endpoint.url, "-m", "big", *options)


def test_the_command_writes_outputs_and_takes_them_over(items: Path) -> None:
    out = items.with_name("out.json")
    with ScriptedEndpoint(then=text("Yes.", stop_reason=None)) as endpoint:
        done = eval_run(*arguments(endpoint, items), "--json")
        assert done.returncode == 0, done.stderr
        told = json.loads(done.stdout)
        assert told["generator"] == f"big at {endpoint.host}, urial-k1"
        assert (told["answered"], told["parallel"], told["tokens"]) == (5, None, None)
        written = told["written"]
        assert (written["answers"], written["tokens"], written["tokens_per_s"]) == (
            ALL_TURNS,
            None,
            None,
        )
        assert (told["references"], told["aligned"]) == (None, None)
        assert told["endings"] == {"end": ALL_TURNS, "stop": 0, "cut": 0, "unknown": 0}
        before = out.read_bytes()
        again = json.loads(eval_run(*arguments(endpoint, items), "--json").stdout)
        assert (again["taken_over"], again["written"]["answers"]) == (5, 0)
        assert out.read_bytes() == before
        assert len(endpoint.requests) == ALL_TURNS
        other = eval_run(*arguments(endpoint, items), "--max-tokens", "41", "--json")
        assert json.loads(other.stdout)["changed"] == 5
    with ScriptedEndpoint(then=text("Yes.", usage={"completion_tokens": 3})) as endpoint:
        counted = eval_run(*arguments(endpoint, items), "--json")
        assert json.loads(counted.stdout)["tokens"] == 3 * ALL_TURNS
    out.unlink()
    with ScriptedEndpoint(then=text("Yes.")) as endpoint:
        done = eval_run(*arguments(endpoint, items))
    # Nobody told how many tokens these are, which is not that there are none.
    assert done.stdout.splitlines()[1] == (
        f"{ALL_TURNS} answers: 0 ended by themselves, 0 at a stop string, 0 cut, "
        f"{ALL_TURNS} in a way that was not told."
    )


def test_a_run_that_was_ended_asks_only_what_is_left(items: Path) -> None:
    acts = [text("Yes."), text("Yes.")]
    with ScriptedEndpoint(*acts, then=error(401)) as endpoint:
        done = eval_run(*arguments(endpoint, items), "--parallel", "1")
        assert (done.returncode, done.stdout) == (1, "")
        reckoned, refused = done.stderr.splitlines()
        assert reckoned.startswith("urial: 8 questions to ")
        assert "wants a key" in refused
        assert not items.with_name("out.json").exists()
        endpoint.requests.clear()
        endpoint._then = text("Yes.")
        done = eval_run(*arguments(endpoint, items), "--json")
        assert done.returncode == 0, done.stderr
        assert len(endpoint.requests) == ALL_TURNS - 2


def test_ctrl_c_keeps_what_is_answered(items: Path) -> None:
    with ScriptedEndpoint(text("Yes."), then=hang) as endpoint:
        process = subprocess.Popen(
            command(*arguments(endpoint, items)),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        deadline = time.monotonic() + HANGS
        while len(endpoint.requests) < 5 and time.monotonic() < deadline:
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=HANGS)
    assert process.returncode == 130
    assert b"Interrupted: 0 of 5 items are answered" in errors or b"1 of 5 items" in errors
    journal = items.with_name("out.json.part")
    assert len(journal.read_bytes().splitlines()) == 2


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        (("--context", "chat"), 2, "chat template"),
        (("--context", "rules"), 2, "changes the logits"),
        (("--aligned", "other"), 2, "which an aligned model would have to read"),
        (("--engine", "nowhere"), 1, "is no address"),
        (("--engine", "http://key@localhost/v1"), 1, "is no address"),
    ],
)
def test_mistakes_are_one_sentence_and_nothing_is_sent(
    options: tuple[str, str], code: int, said: str, items: Path
) -> None:
    with ScriptedEndpoint() as endpoint:
        words = [word for word in arguments(endpoint, items) if word not in ("-p", "urial-k1")]
        assert said in sentence(eval_run(*words, *options), code=code)
        assert endpoint.requests == []
    assert [path.name for path in items.parent.iterdir()] == ["items.json"]


def test_a_model_has_to_be_named(items: Path) -> None:
    with ScriptedEndpoint() as endpoint:
        words = [word for word in arguments(endpoint, items) if word not in ("-m", "big")]
        assert "a model has to be named" in sentence(eval_run(*words), code=2)


def test_a_penalty_that_endpoints_understand_otherwise_is_not_sent_and_told(items: Path) -> None:
    paths.settings_file().write_text("[sampling]\nrepetition_penalty = 1.2\ndry_multiplier = 0.0\n")
    with ScriptedEndpoint(then=text("Yes.")) as endpoint:
        done = eval_run(*arguments(endpoint, items), "--limit", "1")
        assert "repetition_penalty" not in endpoint.requests[0]
    line, _ = done.stderr.splitlines()
    assert line == (
        "urial: The endpoint is not told of sampling.repetition_penalty, which is set here: it "
        "would hold the words of the preamble against the answers."
    )


def test_what_it_will_cost_is_told_before_anything_is_sent(items: Path) -> None:
    one = ("--limit", "1", "--rate", "6000", "--price-in", "1000", "--price-out", "1000000")
    with ScriptedEndpoint(then=text("Yes.")) as endpoint:
        done = eval_run(*arguments(endpoint, items), *one)
        first = endpoint.requests[0]["prompt"]
    reckoned, *_ = done.stderr.splitlines()
    turns = len(ITEMS[0].turns)
    # A later turn is sent with what stands before it, and answers that are as long as may be.
    found = re.fullmatch(
        rf"urial: {turns} questions to [\d.:]+: at most about ([\d,]+) tokens to read and "
        rf"at most {turns * 40} to write, reckoned from the texts, at these prices at most "
        r"([\d.]+)\.",
        reckoned,
    )
    assert found is not None, reckoned
    read = int(found[1].replace(",", ""))
    assert 0 < read - turns * len(first) / 4 - 40 * (turns - 1) < 100
    assert float(found[2]) == pytest.approx((read * 1e3 + turns * 40 * 1e6) / 1e6, rel=0.01)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--rate", "5"), "--rate goes with --engine."),
        (("--engine", "http://127.0.0.1:1", "--price-out", "1"), "go together"),
    ],
)
def test_options_of_an_endpoint_are_for_an_endpoint(
    options: tuple[str, ...], said: str, items: Path
) -> None:
    out = items.with_name("out.json")
    done = eval_run("-m", "big", "--items", items, "--out", out, *options)
    assert said in sentence(done, code=2)


def test_whoever_waits_for_an_endpoint_that_is_not_there_is_told_why(items: Path) -> None:
    with ScriptedEndpoint() as endpoint:
        words = arguments(endpoint, items)
    # Nobody listens there any more.
    process = subprocess.Popen(
        command(*words, "--limit", "1"), stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stderr is not None
        lines = iter(process.stderr.readline, "")
        line = next(line for line in lines if "can't be reached" in line)
        assert re.fullmatch(
            r"urial: The endpoint 127\.0\.0\.1:\d+ can't be reached: connection refused; trying "
            r"again in \d+ s\n",
            line,
        )
        process.send_signal(signal.SIGINT)
        # Each reason is told once, however often it is tried.
        assert not [line for line in lines if "trying again" in line]
    finally:
        process.kill()
        process.communicate()


def test_what_an_endpoint_can_not_tell_is_said(items: Path) -> None:
    records = [{"id": 1, "instruction": "Why?", "output": "Because."}]
    items.write_text(json.dumps(records))
    with ScriptedEndpoint(then=text("Yes.")) as endpoint:
        done = eval_run(*arguments(endpoint, items), "--json")
    assert json.loads(done.stdout)["references"] is None
    assert "The reference answers are not read" in done.stderr
