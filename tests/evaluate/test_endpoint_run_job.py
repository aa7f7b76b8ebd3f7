"""Runs by an endpoint that the application begins: refused, done, stopped, gone on with."""

from __future__ import annotations

import json
import threading
from collections import Counter
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests import tinygguf
from tests.evaluate.runs import ITEMS, item_file
from tests.evaluate.scripted_endpoint import (
    SOON,
    Act,
    Handler,
    ScriptedEndpoint,
    drop,
    error,
    hang,
    text,
)
from urial_tui import paths
from urial_tui.cli import main as cli
from urial_tui.engine.client.engine import Engine
from urial_tui.errors import UrialError
from urial_tui.evaluate import endpoint_asking
from urial_tui.evaluate.beginning import NewRuns, begin_runs, jobs_of
from urial_tui.evaluate.endpoint_address import ENGINE
from urial_tui.evaluate.job import JobState
from urial_tui.evaluate.output_file import read_outputs
from urial_tui.evaluate.plan_file import Plan, plan_path, read_plan
from urial_tui.evaluate.planned_run import RunChoice
from urial_tui.evaluate.run_job import RunJob
from urial_tui.prompting.pool import Pair
from urial_tui.prompting.retrieval_index import write_index
from urial_tui.prompting.templates.renderer import TemplateRenderer
from urial_tui.settings import ChatSettings, EngineSettings, SamplingSettings, Settings

ALL_TURNS = sum(len(item.turns) for item in ITEMS)
PLAIN = Settings(
    # No run by an endpoint has to do with that model.
    chat=ChatSettings(model="no-such-model", preamble="no-such-preamble", max_tokens=40),
    sampling=SamplingSettings(temperature=0.0, repetition_penalty=1.0, dry_multiplier=0.0),
)
RETRIEVING = """\
name = "facts"
title = "Facts"
description = "Examples that are like the question."
method = "retrieval"

[format]
query = "# Query:\\n{query}\\n"
answer = "# Answer:\\n{answer}\\n\\n"
stop = ["\\n\\n# Query:"]

[retrieval]
index = "facts"
"""


class NoEngine(Engine):
    """Starts nothing, and can't."""

    def start(self) -> None:
        raise AssertionError("no worker is needed")

    _started: Any = start


@pytest.fixture
def items(tmp_path: Path) -> Path:
    return item_file(tmp_path / "items.json")


@pytest.fixture
def directory(home: Path) -> Path:
    return paths.evaluations_dir()


def planned(
    endpoint: ScriptedEndpoint, items: Path, directory: Path, **changes: Any
) -> tuple[Plan, ...]:
    chosen: dict[str, Any] = {"models": ("big",), "contexts": ("urial-k1",), "parallel": 1}
    new = NewRuns(**(chosen | {"items": items, "engine": endpoint.url} | changes))
    return tuple(begin_runs(new, directory, PLAIN))


def job_of(plan: Plan) -> RunJob:
    (job,) = jobs_of([plan], "Esc", {})
    assert isinstance(job, RunJob)
    return job


def words_of(job: RunJob) -> list[str]:
    """Where each word is put that a job says of what it does, from now on."""
    words: list[str] = []
    change = job.going.change

    def look(**values: Any) -> None:
        change(**values)
        words.append(values.get("words", ""))

    job.going.change = look  # type: ignore[method-assign]
    return words


def done(plan: Plan, settings: Settings = PLAIN) -> JobState:
    """A job that has ended; it starts no worker."""
    job = job_of(plan)
    with NoEngine() as engine, TemplateRenderer() as templates:
        job.do(engine, templates, settings)
        assert not engine.alive
        assert templates.pid is None
    return job.going.state


def stopped(plan: Plan, reached: threading.Event) -> JobState:
    """A job that was told to end then, or when it waited to ask again; it did so soon."""
    job = job_of(plan)
    change = job.going.change

    def look(**values: Any) -> None:
        change(**values)
        if "trying again" in values.get("words", ""):
            reached.set()

    job.going.change = look  # type: ignore[method-assign]
    with NoEngine() as engine, TemplateRenderer() as templates:
        doing = threading.Thread(target=job.do, args=(engine, templates, PLAIN), daemon=True)
        doing.start()
        assert reached.wait(SOON)
        job.going.cancel()
        doing.join(SOON)
        assert not doing.is_alive()
    return job.going.state


def telling(reached: threading.Event) -> Act:
    """Hang, and say so."""

    def act(handler: Handler) -> None:
        reached.set()
        hang(handler)

    return act


def asked_once(endpoint: ScriptedEndpoint) -> bool:
    counts = Counter(asked["prompt"] for asked in endpoint.requests)
    return set(counts.values()) == {1}


# -- what is planned -------------------------------------------------------------------


def test_a_plan_keeps_the_endpoint_and_is_called_by_it(items: Path, directory: Path) -> None:
    with ScriptedEndpoint() as endpoint:
        first, second = planned(
            endpoint, items, directory, models=("org/big",), contexts=("urial-k1", "zero-shot")
        )
        assert endpoint.requests == []
    assert first.of == (f"org/big at {endpoint.host}, urial-k1",)
    assert (first.total, second.total) == (5, 5)
    host = endpoint.host.replace(":", "-")
    assert first.choice.out.name == f"big-at-{host}.urial-k1.items.json"
    assert second.choice.out.name == f"big-at-{host}.zero-shot.items.json"
    read = read_plan(first.choice.out)
    assert read == first
    assert isinstance(first.choice, RunChoice)
    assert (first.choice.engine, first.choice.model) == (endpoint.url, "org/big")
    assert first.choice.max_tokens == 40


def test_the_same_model_elsewhere_gets_another_file(items: Path, directory: Path) -> None:
    with ScriptedEndpoint() as endpoint, ScriptedEndpoint() as other:
        (first,) = planned(endpoint, items, directory)
        (again,) = planned(endpoint, items, directory)
        (elsewhere,) = planned(other, items, directory)
        (here,) = planned(endpoint, items, directory, engine=None)
    assert again == first
    assert len({plan.choice.out for plan in (first, elsewhere, here)}) == 3


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"engine": "nowhere"}, "is no address of an endpoint"),
        ({"engine": "http://key@localhost/v1"}, "URIAL_ENGINE_KEY"),
        ({"models": ()}, "a model has to be named"),
        ({"aligned": "gemma-3-270m"}, "which an aligned model would have to read"),
        ({"contexts": ("urial-k1", "chat")}, "chat template"),
        ({"contexts": ("urial-k1", "rules")}, "changes the logits"),
        ({"contexts": ("urial-k1", "no-such-preamble")}, "no-such-preamble"),
        ({"contexts": ("urial-k1", "facts")}, "no whole index named facts"),
    ],
)
def test_what_can_be_known_before_is_refused_and_nothing_is_written(
    changes: dict[str, Any], said: str, items: Path, directory: Path
) -> None:
    prompts = paths.user_prompts_dir()
    prompts.mkdir(parents=True)
    (prompts / "facts.toml").write_text(RETRIEVING)
    with ScriptedEndpoint() as endpoint:
        with pytest.raises(UrialError) as caught:
            planned(endpoint, items, directory, **changes)
        assert endpoint.requests == []
    assert said in str(caught.value)
    assert not directory.exists()


def test_a_key_that_can_be_none_is_refused_and_nothing_is_written(
    items: Path, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(ENGINE.key, "two words")
    with ScriptedEndpoint() as endpoint, pytest.raises(UrialError, match=ENGINE.key) as caught:
        planned(endpoint, items, directory)
    assert "two words" not in str(caught.value)
    assert not directory.exists()


# -- what is done ----------------------------------------------------------------------


def is_estimate(told: str, start: str, *, most: int) -> bool:
    """Whether a note tells what goes to an endpoint."""
    end = f"tokens to read and at most {most} to write, reckoned from the texts."
    return told.startswith(f"{start} ") and told.endswith(end)


def test_it_writes_what_the_command_writes(items: Path, directory: Path) -> None:
    settings = paths.settings_file()
    settings.parent.mkdir(parents=True)
    settings.write_text("[sampling]\nrepetition_penalty = 1.0\ndry_multiplier = 0.0\n")
    out = items.with_name("out.json")
    with ScriptedEndpoint(then=text("Yes.", stop_reason=None)) as endpoint:
        (plan,) = planned(endpoint, items, directory, seed=5)
        state = done(plan)
        ours = [*endpoint.requests]
        endpoint.requests.clear()
        command = ["eval", "run", "--engine", endpoint.url, "-m", "big", "-p", "urial-k1"]
        command += ["--items", str(items), "--out", str(out), "--max-tokens", "40"]
        command += ["--seed", "5", "--parallel", "1", "--temperature", "0"]
        assert cli.run(command) == 0
        assert endpoint.requests == ours
    assert (state.stage, state.done, state.total) == ("done", 5, 5)
    assert state.words == f"{ALL_TURNS} answers written"
    (told,) = state.notes
    assert is_estimate(told, f"8 questions to {endpoint.host}: at most about", most=8 * 40)
    assert plan.choice.out.read_bytes() == out.read_bytes()
    assert plan.of == (read_outputs(out)[0].generator,)


def test_the_key_is_sent_and_kept_nowhere(
    items: Path, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(ENGINE.key, "sk-not-to-be-seen")
    with ScriptedEndpoint(then=text()) as endpoint:
        (plan,) = planned(endpoint, items, directory)
        assert done(plan).stage == "done"
    assert endpoint.headers[0]["authorization"] == "Bearer sk-not-to-be-seen"
    files = [path.read_text() for path in directory.iterdir()]
    assert not any("sk-not-to-be-seen" in each for each in files)


def test_one_that_hangs_is_stopped_soon_and_goes_on_from_its_plan_asking_nothing_twice(
    items: Path, directory: Path
) -> None:
    reached = threading.Event()
    with ScriptedEndpoint(text("Yes."), text("Yes."), then=telling(reached)) as endpoint:
        (plan,) = planned(endpoint, items, directory)
        state = stopped(plan, reached)
        assert (state.stage, state.done, state.error) == ("stopped", 1, None)
        assert not plan.choice.out.exists()
        del endpoint.requests[2:]
        endpoint._then = text("Yes.")
        # As a program that was started again finds it.
        kept = read_plan(plan.choice.out)
        assert kept is not None
        state = done(kept)
        assert (state.stage, state.done) == ("done", 5)
        (told,) = state.notes
        assert is_estimate(told, f"6 questions to {endpoint.host}: at most about", most=6 * 40)
        assert len(endpoint.requests) == ALL_TURNS
        assert asked_once(endpoint)
        assert done(kept).words == "0 answers written, 5 were there"
        assert len(endpoint.requests) == ALL_TURNS
    assert [output.id for output in read_outputs(plan.choice.out)] == [item.id for item in ITEMS]


@pytest.mark.parametrize(
    "act", [None, error(429, "", {"Retry-After": "500"}), error(503)], ids=["hang", "wait", "retry"]
)
def test_whatever_is_waited_for_is_stopped_soon(
    act: Act | None, items: Path, directory: Path
) -> None:
    reached = threading.Event()
    with ScriptedEndpoint(then=act or telling(reached)) as endpoint:
        (plan,) = planned(endpoint, items, directory, parallel=3)
        state = stopped(plan, reached)
    assert (state.stage, state.done, state.skipped) == ("stopped", 0, ())


def test_one_that_is_not_wanted_before_it_begins_asks_nothing(items: Path, directory: Path) -> None:
    with ScriptedEndpoint() as endpoint:
        (plan,) = planned(endpoint, items, directory)
        job = job_of(plan)
        job.going.cancel()
        with NoEngine() as engine, TemplateRenderer() as templates:
            job.do(engine, templates, PLAIN)
        assert endpoint.requests == []
    assert job.going.state.stage == "stopped"


def test_a_limit_is_waited_for_told_and_no_failure(items: Path, directory: Path) -> None:
    limit = error(429, "Slow down.", {"Retry-After": "0"})
    with ScriptedEndpoint(limit, text(), limit, then=text()) as endpoint:
        (plan,) = planned(endpoint, items, directory)
        job = job_of(plan)
        told = words_of(job)
        with NoEngine() as engine, TemplateRenderer() as templates:
            job.do(engine, templates, PLAIN)
        assert len(endpoint.requests) == ALL_TURNS + 2
    assert job.going.state.stage == "done"
    assert job.going.state.skipped == ()
    waits = [words for words in told if "trying again" in words]
    assert len(waits) == 2
    assert waits[0].startswith(f"The endpoint {endpoint.host} is asked too often: 'Slow down.'")


def test_what_the_command_warns_of_is_noted(items: Path, directory: Path) -> None:
    records = [{"id": 1, "instruction": "Why?", "output": "Because."}]
    items.write_text(json.dumps(records))
    warm = SamplingSettings(temperature=0.7, repetition_penalty=1.2, dry_multiplier=0.0, seed=3)
    settings = msgspec.structs.replace(PLAIN, sampling=warm)

    def strict(handler: Handler) -> None:
        if "min_p" in handler.asked:
            return error(400, "Unrecognized request argument: min_p")(handler)
        return text("So.")(handler)

    with ScriptedEndpoint(then=strict) as endpoint:
        new = NewRuns(
            models=("big",), contexts=("zero-shot",), items=items, engine=endpoint.url, parallel=2
        )
        (plan,) = begin_runs(new, directory, settings)
        state = done(plan, settings)
    assert state.stage == "done"
    penalty, references, told, unknown = state.notes
    assert penalty == (
        "The endpoint is not told of sampling.repetition_penalty, which is set here: it would hold "
        "the words of the preamble against the answers."
    )
    assert references == (
        "The reference answers are not read: no endpoint tells how likely a text is."
    )
    assert is_estimate(told, f"1 question to {endpoint.host}: about", most=40)
    assert unknown == "The endpoint does not know min_p: it was left out."


def test_what_can_not_be_answered_is_told_and_the_rest_is_there(
    items: Path, directory: Path
) -> None:
    with ScriptedEndpoint(error(400, "Too long."), then=text("Yes.")) as endpoint:
        (plan,) = planned(endpoint, items, directory)
        state = done(plan)
        assert (state.stage, state.done, len(state.skipped)) == ("done", 4, 1)
        assert state.skipped[0].startswith("7: The endpoint")
        # The same again asks what is lacking, and no more.
        endpoint.requests.clear()
        state = done(plan)
        assert (state.done, state.skipped, len(endpoint.requests)) == (5, (), 2)


@pytest.mark.parametrize(
    ("act", "message", "hint"),
    [
        (error(401), "wants a key.", "Give it in the environment variable URIAL_ENGINE_KEY."),
        (
            error(404),
            "has no model 'big', or it is not at this address.",
            "Look at the model's name and at the path of the address.",
        ),
        (
            error(429, "", {"Retry-After": "9999"}),
            "takes no request for ",
            "Start it again then: what has been answered is kept.",
        ),
        (
            error(302, "", {"Location": "http://elsewhere.example/v1"}),
            "'http://elsewhere.example/v1', where they don't go.",
            "If you trust that place, make it the address.",
        ),
        (
            drop,
            "broke off before the answer was there.",
            "See that it runs and is well, then start it again: what has been answered is kept.",
        ),
    ],
)
def test_an_endpoint_that_answers_nothing_says_what_can_be_done_on_a_screen(
    act: Act,
    message: str,
    hint: str,
    items: Path,
    directory: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(endpoint_asking, "LOST_IN_A_ROW", 1)
    monkeypatch.setattr("urial_tui.evaluate.rate_limit.FIRST_BACKOFF", 0.001)
    with ScriptedEndpoint(then=act) as endpoint:
        (plan,) = planned(endpoint, items, directory)
        state = done(plan)
    assert state.stage == "failed"
    assert state.error is not None
    assert message in state.error.message
    assert state.error.hint == hint


def test_a_pace_without_tokens_is_told_where_they_are_not_counted(
    items: Path, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("urial_tui.evaluate.run_progress.SETTLED", 0.0)
    words, endings = [], []
    for usage in (None, {"completion_tokens": 3}):
        with ScriptedEndpoint(then=text("Yes.", usage=usage)) as endpoint:
            (plan,) = planned(endpoint, items, directory)
            job = job_of(plan)
            told: list[str] = []
            take = job._progress.take

            def look(step: Any, told: list[str] = told, take: Any = take) -> str:
                told.append(take(step))
                return told[-1]

            job._progress.take = look  # type: ignore[method-assign]
            with NoEngine() as engine, TemplateRenderer() as templates:
                job.do(engine, templates, PLAIN)
            words.append(told[-1])
            endings.append(job.going.state.news[0].ending)
    assert "answers/min" in words[0]
    assert "tokens/s" not in words[0]
    assert endings == ["", "3 tokens"]
    assert "tokens/s" in words[1]


def test_examples_that_are_found_by_words_need_no_worker(items: Path, directory: Path) -> None:
    prompts = paths.user_prompts_dir()
    prompts.mkdir(parents=True)
    (prompts / "facts.toml").write_text(RETRIEVING)
    write_index("facts", [Pair("How do locks work?", "By pins."), Pair("Who sings?", "Birds.")])
    with ScriptedEndpoint(then=text("Yes.")) as endpoint:
        (plan,) = planned(endpoint, items, directory, contexts=("facts",))
        assert done(plan).stage == "done"
        asked = [request["prompt"] for request in endpoint.requests]
    (lock,) = [prompt for prompt in asked if "pick a lock" in prompt]
    assert "By pins." in lock
    (output,) = [one for one in read_outputs(plan.choice.out) if one.id == "b"]
    assert [pair.answer for pair in output.exchanges[0].retrieved or ()] == ["By pins."]


def test_a_model_that_finds_examples_is_gone_before_anything_is_asked(
    items: Path, directory: Path, tmp_path: Path
) -> None:
    encoder = tinygguf.write_encoder(tmp_path / "encoder.gguf")
    pool = tmp_path / "facts.jsonl"
    pairs = [{"query": "How do locks work?", "answer": "By pins."}]
    pool.write_text("\n".join(map(json.dumps, pairs)))
    assert cli.run(["prompts", "index", str(pool), "--embedding", str(encoder)]) == 0
    alive: list[bool] = []

    def answers(handler: Handler) -> None:
        alive.append(engine.alive)
        text("Yes.")(handler)

    settings = msgspec.structs.replace(PLAIN, engine=EngineSettings(threads=1))
    with ScriptedEndpoint(then=answers) as endpoint:
        (plan,) = planned(endpoint, items, directory, contexts=("facts",), limit=2)
        job = job_of(plan)
        words = words_of(job)
        with Engine() as engine, TemplateRenderer() as templates:
            job.do(engine, templates, settings)
        assert "By pins." in endpoint.requests[0]["prompt"]
    assert job.going.state.stage == "done"
    assert any(word.startswith("Loading the model") for word in words)
    assert alive == [False] * 3


def test_a_plan_of_an_older_program_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    choice = {"type": "run", "out": "elsewhere.json", "model": "tiny", "context": "raw"}
    plan_path(path).write_text(json.dumps({"choice": choice, "of": ["tiny, raw"], "total": 3}))
    plan = read_plan(path)
    assert plan is not None
    assert plan.choice == RunChoice(out=path, model="tiny", context="raw")


def test_an_address_in_a_plan_that_is_none_is_a_sentence(tmp_path: Path) -> None:
    choice = RunChoice(
        out=tmp_path / "a.json", model="big", context="raw", engine="file:///etc/passwd"
    )
    state = done(Plan(choice=choice, of=("big, raw",)))
    assert state.stage == "failed"
    assert state.error is not None
    assert "is no address of an endpoint" in state.error.message
