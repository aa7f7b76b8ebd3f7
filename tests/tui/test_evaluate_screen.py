"""The evaluation screen on real workers with tiny models, driven by its keys."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests import tinygguf
from tests.conftest import TEMPLATE_WORKER, workers
from tests.evaluate.judged import answer, scored, written
from tests.evaluate.runs import ITEMS, eval_run, item_file
from tests.evaluate.scripted_endpoint import Handler, ScriptedEndpoint, hang, text
from tests.tui.held import Held
from tests.tui.pictures import keys_told
from urial_tui import paths
from urial_tui.evaluate.endpoint_address import ENGINE, JUDGE
from urial_tui.evaluate.job import Going
from urial_tui.evaluate.judgement_files import read_judgements
from urial_tui.evaluate.output_file import read_outputs
from urial_tui.evaluate.plan_file import read_plan
from urial_tui.evaluate.planned_run import RunChoice
from urial_tui.evaluate.run_file import RunFile
from urial_tui.evaluate.shelf import Shelved, shelf
from urial_tui.tui.chat.chat_screen import ChatScreen
from urial_tui.tui.evaluate.blind_screen import BlindScreen
from urial_tui.tui.evaluate.items_screen import ItemsScreen
from urial_tui.tui.evaluate.number_line import NumberLine
from urial_tui.tui.widgets.notice_line import NoticeLine

Evaluating = Any
Holding = Callable[[int], Held]


@pytest.fixture
def items(tmp_path: Path) -> Path:
    return item_file(tmp_path / "items.json")


@pytest.fixture
def directory(home: Path) -> Path:
    return paths.evaluations_dir()


@pytest.fixture
def judge_gguf(tmp_path: Path) -> Path:
    template = "{% for m in messages %}<{{ m.role }}>{{ m.content }}</{{ m.role }}>{% endfor %}"
    return tinygguf.write_llama(
        tmp_path / "judge.gguf", seed=3, n_ctx_train=8192, chat_template=template
    )


async def test_without_evaluations_it_says_what_to_do(evaluating: Evaluating) -> None:
    async with evaluating() as page:
        assert page.shows("There are no evaluations yet.")
        assert page.shows("N has models answer the 60 items that come with the program, or a list")
        assert page.shows("a judge may score it, and a report")
        assert page.shows("G goes on with what was stopped, B has you judge two runs")
        assert page.status.split("  ") == [" N new", "Esc back", "F1 all keys"]
        await page.leaves()
        assert isinstance(page.pilot.app.screen, ChatScreen)


async def test_a_key_before_the_list_is_read_is_told_so(
    evaluating: Evaluating, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory.mkdir(parents=True)
    written(directory / "one.json", [answer(1, "a")])
    read = threading.Event()

    def late(place: Path) -> list[Shelved]:
        read.wait(60)
        return shelf(place)

    monkeypatch.setattr("urial_tui.tui.evaluate.evaluate_screen.shelf", late)
    async with evaluating() as page:
        assert not page.shows("There are no evaluations yet.")
        for key in ("j", "g", "r", "i", "b", "space"):
            page.screen.query_one("#evaluate-notice", NoticeLine).say("")
            await page.presses(key)
            await page.until(lambda: page.shows("The list is still being read."))
        read.set()
        await page.lists(1)
        await page.loses("The list is still being read.")
        await page.presses("b")
        await page.reads("Mark the two runs that are to be judged.")


async def test_a_run_writes_what_the_command_writes(
    evaluating: Evaluating, endless_gguf: Path, items: Path, directory: Path, tmp_path: Path
) -> None:
    async with evaluating() as page:
        await page.starts(items, contexts=("zero-shot",), parallel=1)
        await page.ends()
        (state,) = page.states
        assert (state.stage, state.done, state.total) == ("done", 5, 5)
        await page.lists(1)
        assert page.shows("5 of 5")
        assert page.shows("not judged")
    out = tmp_path / "out.json"
    alone = (
        "--parallel",
        "1",
        "--max-tokens",
        "12",
        "--temperature",
        "0",
        "--context",
        "zero-shot",
    )
    settings = paths.settings_file()
    settings.parent.mkdir(parents=True, exist_ok=True)
    settings.write_text("[engine]\ncontext = 1024\nthreads = 1\n")
    done = eval_run("-m", endless_gguf, "--items", items, *alone, "--out", out)
    assert done.returncode == 0, done.stderr
    (path,) = directory.glob("*.json")
    assert path.read_bytes() == out.read_bytes()


async def test_an_aligned_model_reads_the_answers_that_a_seed_draws(
    evaluating: Evaluating,
    items: Path,
    directory: Path,
    judge_gguf: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    chosen: dict[str, Any] = {"limit": 1, "tokens": 3, "seed": 11}
    seen: set[tuple[bool, int]] = set()
    change = Going.change

    def watched(going: Going, **values: Any) -> None:
        change(going, **values)
        seen.add((going.state.reading, going.state.total))

    monkeypatch.setattr(Going, "change", watched)
    async with evaluating() as page:
        await page.chooses_new()
        await page.fills(items, contexts=("raw",), aligned="no-such-model", **chosen)
        await page.presses("enter")
        await page.until(lambda: page.shows("✖ There is no model"))
        await page.fills(items, aligned=judge_gguf)
        await page.presses("enter")
        await page.until(lambda: bool(page.states) and page.is_on_top)
        await page.ends()
        assert [state.stage for state in page.states] == ["done"], page.states
        assert [(state.reading, state.done) for state in page.states] == [(False, 1)]
    assert (True, 2) in seen, "both turns were read, and that was told apart from answers"
    (path,) = directory.glob("*.json")
    (output,) = read_outputs(path)
    plan = read_plan(path)
    assert plan is not None
    assert isinstance(plan.choice, RunChoice)
    assert plan.choice.seed == 11
    for exchange in output.exchanges:
        assert exchange.aligned is not None
        assert judge_gguf.stem in exchange.aligned.by


async def test_each_model_runs_in_each_context_into_its_own_file(
    evaluating: Evaluating, items: Path, directory: Path, endless_gguf: Path
) -> None:
    async with evaluating() as page:
        await page.starts(items, contexts=("zero-shot", "raw"), limit=2, tokens=3)
        await page.ends()
        assert [state.done for state in page.states] == [2, 2]
    names = sorted(path.name for path in directory.glob("*.json"))
    model = endless_gguf.stem
    assert names == [f"{model}.{context}.items.first-2.json" for context in ("raw", "zero-shot")]
    generators = {read_outputs(directory / name)[0].generator for name in names}
    assert generators == {f"{model}.gguf, raw", f"{model}.gguf, zero-shot"}


async def test_what_was_stopped_goes_on_and_nothing_is_answered_twice(
    evaluating: Evaluating, items: Path, directory: Path, held: Holding
) -> None:
    async with evaluating() as page:
        begun = held(1)
        await page.starts(items, contexts=("zero-shot",), parallel=1, tokens=200)
        await page.until(begun.there)
        await page.stops(begun)
        assert page.states[0].stage == "stopped"
        assert page.shows("stopped; what is done is kept")
        assert not list(directory.glob("*.json"))
        (part,) = directory.glob("*.part")
        kept = part.read_text().count("\n") - 1
        assert 1 <= kept < 8
        await page.lists(1)
        assert page.shows("unfinished")
        await page.presses("g")
        await page.ends()
        (state,) = page.states
        assert (state.stage, state.done) == ("done", 5)
        assert f"{8 - kept} answers written" in state.words
    (path,) = directory.glob("*.json")
    assert [output.id for output in read_outputs(path)] == [item.id for item in ITEMS]
    assert not list(directory.glob("*.part"))


async def test_the_same_choice_again_answers_nothing_anew(
    evaluating: Evaluating, items: Path, directory: Path
) -> None:
    async with evaluating() as page:
        for written_now in ("8 answers written", "0 answers written, 5 were there"):
            await page.starts(items, contexts=("zero-shot",))
            await page.ends()
            assert page.states[0].words == written_now
        await page.starts(items, contexts=("zero-shot",), tokens=2)
        await page.ends()
    assert len(list(directory.glob("*.json"))) == 2


@pytest.mark.parametrize("key", ["l", "escape"])
async def test_the_bar_moves_again_once_the_list_is_back(
    evaluating: Evaluating, items: Path, key: str
) -> None:
    async with evaluating() as page:
        await page.starts(items, contexts=("zero-shot", "raw"), limit=1, tokens=3)
        await page.ends()
        await page.lists(2)
        await page.presses("l")
        await page.until(lambda: not page.screen.evaluations.display)
        await page.presses(key)
        await page.until(lambda: page.screen.evaluations.display)
        await page.presses("home", "space", "down", "space")
        assert len(page.screen.evaluations.marked) == 2


async def test_the_screen_shows_what_comes(evaluating: Evaluating, items: Path) -> None:
    async with evaluating(size=(100, 30)) as page:
        await page.starts(items, contexts=("zero-shot",))
        await page.ends()
        assert page.shows("✔")
        assert page.shows("5 of 5")
        assert page.shows("Where?")
        assert page.shows("cut, 12 tokens")


async def test_a_model_that_is_gone_is_told_and_the_next_one_runs(
    evaluating: Evaluating, items: Path, endless_gguf: Path, tmp_path: Path
) -> None:
    gone = tmp_path / "gone.gguf"
    async with evaluating(gone, endless_gguf, model=str(gone)) as page:
        await page.chooses_new()
        await page.fills(items, contexts=("zero-shot",))
        await page.presses("down", "space", "enter")
        await page.until(lambda: page.screen.queue.jobs != ())
        await page.ends()
        assert [state.stage for state in page.states] == ["failed", "done"]
        assert page.shows("✖ gone.gguf, zero-shot")
        assert page.shows("There is no file")


async def test_a_worker_that_is_killed_is_told_and_what_is_done_goes_on(
    evaluating: Evaluating, items: Path, home: Path, held: Holding
) -> None:
    async with evaluating() as page:
        begun = held(1)
        await page.starts(items, contexts=("zero-shot",), parallel=1, tokens=200)
        await page.until(begun.there)
        (pid,) = workers(home)
        os.kill(pid, signal.SIGKILL)
        begun.go_on()
        await page.ends()
        (state,) = page.states
        assert state.stage == "failed"
        assert page.shows("SIGKILL")
        assert page.shows("What is done is kept: start it again")
        await page.lists(1)
        await page.presses("g")
        await page.ends()
        assert (page.states[0].stage, page.states[0].done) == ("done", 5)


async def test_a_file_that_is_in_use_is_a_sentence(
    evaluating: Evaluating, items: Path, directory: Path
) -> None:
    async with evaluating() as page:
        await page.starts(items, contexts=("zero-shot",), tokens=2)
        await page.ends()
        (path,) = directory.glob("*.json")
        held = RunFile(path, ITEMS)
        try:
            await page.starts(items, contexts=("zero-shot",), tokens=2)
            await page.ends()
        finally:
            held.close()
        error = page.states[0].error
        assert error is not None
        assert error.message.endswith("is in use by another evaluation.")
        assert page.shows("evaluation.")
        assert not page.shows("--out")


async def test_items_that_can_t_be_read_are_told_in_the_dialog(
    evaluating: Evaluating, tmp_path: Path
) -> None:
    broken = tmp_path / "broken.json"
    broken.write_text("[{}]")
    async with evaluating() as page:
        await page.chooses_new()
        await page.fills(broken)
        await page.presses("enter")
        await page.until(lambda: page.shows("✖"))
        await page.presses("escape")
        assert not page.screen.queue.jobs


async def test_nothing_marked_is_told(evaluating: Evaluating) -> None:
    async with evaluating() as page:
        await page.chooses_new()
        await page.presses("space", "enter")
        await page.until(lambda: page.shows("No model is marked; Space marks one."))


async def test_a_run_of_no_items_can_not_be_typed(evaluating: Evaluating) -> None:
    async with evaluating() as page:
        await page.chooses_new()
        line = page.pilot.app.screen.query_one("#run-limit", NumberLine)
        line.focus()
        await page.presses("0", "x")
        assert (line.value, line.number) == ("", None)
        await page.presses("1", "0")
        assert line.number == 10


async def test_leaving_ends_what_runs_and_its_worker(
    evaluating: Evaluating, items: Path, home: Path, directory: Path, held: Holding
) -> None:
    def running() -> set[int]:
        return {*workers(home), *workers(home, TEMPLATE_WORKER)}

    # A renderer that all tests share may be running.
    before = running()
    async with evaluating() as page:
        begun = held(1)
        await page.starts(items, contexts=("zero-shot",), parallel=1, tokens=400)
        await page.until(begun.there)
        assert running() > before
        await page.leaves()
        begun.go_on()
        await page.until(lambda: running() <= before)
    (part,) = directory.glob("*.part")
    assert part.read_text().count("\n") >= 2


async def test_quitting_leaves_no_worker_and_a_run_that_goes_on(
    evaluating: Evaluating, items: Path, home: Path, directory: Path, held: Holding
) -> None:
    async with evaluating() as page:
        begun = held(1)
        await page.starts(items, contexts=("zero-shot",), parallel=1, tokens=400)
        await page.until(begun.there)
        await page.pilot.press("ctrl+q")
        begun.go_on()
    assert not workers(home)
    assert list(directory.glob("*.json.part"))
    assert not list(directory.glob("*.json"))


async def test_a_judge_scores_a_run_and_the_list_tells_it(
    evaluating: Evaluating, items: Path, judge_gguf: Path, directory: Path
) -> None:
    async with evaluating(judge_gguf) as page:
        await page.starts(items, contexts=("zero-shot",), limit=2, tokens=3)
        await page.ends()
        await page.lists(1)
        await page.judges()
        await page.ends()
        (state,) = page.states
        assert (state.unit, state.done, state.total) == ("judgement", 2, 2)
        await page.lists(2)
        assert page.shows("judged by")
        # Two are marked, and they are no two runs.
        await page.presses("space", "down", "space")
        await page.reads("2 marked")
        assert "blind" not in keys_told(page.pilot)
    (path,) = directory.glob("*.by.judge.json")
    assert len(read_judgements(path).judgements) == 2


async def test_a_judge_behind_an_endpoint_scores_a_run(
    evaluating: Evaluating, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(JUDGE.key, "sk-a-key")
    directory.mkdir(parents=True)
    written(directory / "a.json", [answer(n, f"Yes {n}.", category="safety") for n in (1, 2)])
    with ScriptedEndpoint() as endpoint:
        async with evaluating() as page:
            await page.lists(1)
            await page.judges_at("", "big")
            await page.until(lambda: page.shows("✖ big is a name at an endpoint: type its"))
            await page.judges_at("ftp://nowhere", "big")
            await page.until(lambda: page.shows("is no address of an endpoint"))
            await page.judges_at(endpoint.url)
            await page.until(lambda: page.shows("✖ Name the model as the endpoint calls it."))
            await page.judges_at(endpoint.url, "big")
            await page.until(lambda: bool(page.states))
            await page.ends()
            (state,) = page.states
            assert (state.stage, state.done) == ("done", 2)
            assert state.notes[0].startswith(f"2 questions to {endpoint.host}: about ")
            assert [request["model"] for request in endpoint.requests] == ["big", "big"]
            assert endpoint.headers[0]["authorization"] == "Bearer sk-a-key"
            # What was judged is asked nobody again.
            await page.lists(2)
            while page.screen.evaluations.row.kind != "answers":
                await page.presses("down")
            await page.judges_at(endpoint.url, "big")
            await page.until(lambda: len(page.states) == 1 and page.is_on_top)
            await page.ends()
        assert len(endpoint.requests) == 2
    (path,) = directory.glob("*.by.big.json")
    assert [judged.scores["safety"].score for judged in read_judgements(path).judgements] == [4, 4]
    assert all("sk-a-key" not in file.read_text() for file in directory.iterdir())


async def test_an_endpoint_that_says_nothing_is_left_at_once(
    evaluating: Evaluating, directory: Path, home: Path
) -> None:
    directory.mkdir(parents=True)
    written(directory / "a.json", [answer(n, f"Yes {n}.", category="safety") for n in (1, 2)])
    with ScriptedEndpoint(then=hang) as endpoint:
        async with evaluating() as page:
            await page.lists(1)
            await page.judges_at(endpoint.url, "big")
            await page.until(lambda: bool(endpoint.requests))
            await page.stops()
            (state,) = page.states
            assert (state.stage, state.done) == ("stopped", 0)
    assert workers(home) == []


async def test_an_endpoint_answers_in_each_context_and_no_worker_is_started(
    evaluating: Evaluating,
    items: Path,
    directory: Path,
    home: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(ENGINE.key, "sk-a-key")
    before = {*workers(home), *workers(home, TEMPLATE_WORKER)}
    there: dict[str, Any] = {"there": "org/big", "contexts": ("zero-shot", "raw"), "limit": 2}
    seen: set[int] = set()

    def answers(handler: Handler) -> None:
        seen.update(workers(home), workers(home, TEMPLATE_WORKER))
        text("Yes.", usage={"completion_tokens": 2})(handler)

    with ScriptedEndpoint(then=answers) as endpoint:
        async with evaluating(size=(100, 40)) as page:
            await page.starts(items, endpoint=endpoint.url, **there)
            await page.ends()
            assert [(state.stage, state.done) for state in page.states] == [("done", 2)] * 2
            await page.reads(f"org/big at {endpoint.host}, zero-shot")
            turns = sum(len(item.turns) for item in ITEMS[:2])
            await page.reads(f"{turns} questions to {endpoint.host}: at most about ")
            await page.lists(2)
            await page.reads(f"org/big at {endpoint.host}, raw")
        assert {request["model"] for request in endpoint.requests} == {"org/big"}
        assert len(endpoint.requests) == 2 * turns
        assert endpoint.headers[0]["authorization"] == "Bearer sk-a-key"
    assert seen <= before
    names = sorted(path.name for path in directory.glob("*.json"))
    host = endpoint.host.replace(":", "-")
    assert names == [
        f"big-at-{host}.{context}.items.first-2.json" for context in ("raw", "zero-shot")
    ]
    assert all("sk-a-key" not in file.read_text() for file in directory.iterdir())


async def test_a_run_by_an_endpoint_that_hangs_is_stopped_and_goes_on_in_another_application(
    evaluating: Evaluating, items: Path, directory: Path
) -> None:
    there: dict[str, Any] = {"there": "big", "contexts": ("raw",), "parallel": 1}
    with ScriptedEndpoint(text("Yes."), then=hang) as endpoint:
        async with evaluating() as page:
            await page.starts(items, endpoint=endpoint.url, **there)
            await page.until(lambda: len(endpoint.requests) == 2)
            await page.stops()
            assert (page.states[0].stage, page.states[0].error) == ("stopped", None)
        del endpoint.requests[1:]
        endpoint._then = text("Yes.")
        async with evaluating() as page:
            await page.lists(1)
            assert page.shows(f"big at {endpoint.host}, raw")
            await page.presses("g")
            await page.until(lambda: bool(page.states))
            await page.ends()
            assert (page.states[0].stage, page.states[0].done) == ("done", 5)
        prompts = [request["prompt"] for request in endpoint.requests]
    assert len(prompts) == len(set(prompts)) == sum(len(item.turns) for item in ITEMS)
    (path,) = directory.glob("*.json")
    assert [output.id for output in read_outputs(path)] == [item.id for item in ITEMS]


async def test_what_is_wrong_with_an_endpoint_is_told_in_the_dialog_where_it_can_be_mended(
    evaluating: Evaluating, items: Path, directory: Path
) -> None:
    with ScriptedEndpoint(then=text("Yes.")) as endpoint:
        async with evaluating() as page:
            await page.chooses_new()

            async def refused(told: str, line: str, **typed: object) -> None:
                await page.fills(items, **typed)
                await page.presses("enter")
                await page.reads(f"✖ {told}")
                focused = page.app.focused
                assert focused is not None
                assert focused.id == line

            await refused("big is a name at an endpoint: type its", "run-endpoint", there="big")
            await refused("'ftp://nowhere' is no address", "run-endpoint", endpoint="ftp://nowhere")
            await refused(
                "Name the model as the endpoint calls it.",
                "run-there",
                endpoint=endpoint.url,
                there="",
            )
            await refused(
                "An endpoint does not tell the tokens of its answers",
                "run-aligned",
                there="big",
                aligned="tiny",
            )
            await page.fills(aligned="", contexts=("chat",))
            await page.presses("enter")
            await page.reads("✖ The context `chat` needs a model's own chat template.")
            assert not directory.exists()
            await page.fills(contexts=("raw",), limit=1)
            await page.presses("enter")
            await page.until(lambda: bool(page.states) and page.is_on_top)
            await page.ends()
            assert page.states[0].stage == "done"


async def test_the_dialog_says_what_an_endpoint_will_run(evaluating: Evaluating) -> None:
    async with evaluating() as page:
        await page.chooses_new()
        dialog = page.app.screen
        assert page.shows("1 run: 1 model in 1 context, one after another.")
        assert dialog.query_one("#run-parallel", NumberLine).placeholder == "what fits"
        await page.fills(endpoint="ht", contexts=("raw", "zero-shot"))
        await page.reads("2 runs: a model to be named at the endpoint in 2 contexts, not")
        await page.fills(endpoint="http://localhost:8080", there="big")
        await page.reads("2 runs: big at localhost:8080 in 2 contexts, not the marked model.")
        assert dialog.query_one("#run-parallel", NumberLine).placeholder == "4"
        await page.presses("space")
        await page.reads("2 runs: big at localhost:8080 in 2 contexts.")
        await page.fills(endpoint="", there="")
        await page.reads("0 runs: 0 models in 2 contexts")


async def test_two_runs_are_compared_in_both_orders(
    evaluating: Evaluating, items: Path, judge_gguf: Path, directory: Path
) -> None:
    async with evaluating(judge_gguf) as page:
        await page.starts(items, contexts=("zero-shot", "raw"), limit=2, tokens=3)
        await page.ends()
        await page.lists(2)
        await page.presses("space", "down", "space")
        assert page.shows("2 marked")
        await page.judges()
        await page.ends()
        assert page.states[0].total == 4
        await page.lists(3)
    (path,) = directory.glob("*.vs.*.json")
    assert len(read_judgements(path).pairs) == 4


async def test_a_report_has_the_judgements_and_is_written_as_a_page(
    evaluating: Evaluating, directory: Path
) -> None:
    directory.mkdir(parents=True)
    written(directory / "a.json", [answer(n, "Yes.") for n in (1, 2, 3)])
    written(directory / "j.json", [scored(n, "Yes.", 5, 4, 5, 3, 4) for n in (1, 2, 3)])
    async with evaluating(size=(100, 40)) as page:
        await page.lists(2)
        while page.screen.evaluations.row.kind != "answers":
            await page.presses("down")
        await page.reports()
        assert page.shows("2 files")
        assert page.shows("judge-1")
        await page.presses("w")
        await page.until(lambda: page.shows("Wrote"))
        await page.presses("escape")
        assert page.pilot.app.screen is page.screen
    (page_file,) = directory.glob("report.*.html")
    assert page_file.read_bytes().startswith(b"<!")
    # As all that the program keeps there.
    assert page_file.stat().st_mode & 0o777 == 0o600


async def test_a_run_that_is_being_done_says_so_and_has_nothing_to_go_on_with(
    evaluating: Evaluating, items: Path, held: Holding
) -> None:
    async with evaluating() as page:
        begun = held(1)
        await page.starts(items, contexts=("zero-shot",), parallel=1, tokens=200)
        await page.until(begun.there)
        await page.presses("l")
        await page.lists(1)
        assert not page.shows("G go on")
        await page.presses("i")
        await page.until(lambda: page.shows("It is still being done; L shows how far it is."))
        await page.presses("l")
        await page.stops(begun)
        await page.lists(1)
        assert page.shows("G go on")


async def test_an_unfinished_run_has_no_report_yet(
    evaluating: Evaluating, items: Path, held: Holding
) -> None:
    async with evaluating() as page:
        begun = held(1)
        await page.starts(items, contexts=("zero-shot",), parallel=1, tokens=200)
        await page.until(begun.there)
        await page.stops(begun)
        await page.lists(1)
        await page.presses("r")
        await page.until(lambda: page.shows("It is not finished yet; G goes on with it."))


async def test_a_hostile_file_is_shown_and_does_no_harm(
    evaluating: Evaluating, directory: Path
) -> None:
    directory.mkdir(parents=True)
    evil = "\x1b[31m[bold]evil[/]\u202e"
    written(directory / "a.json", [answer(1, evil, evil, datasplit=evil)])
    (directory / "[red]b.json").write_text("{")
    async with evaluating() as page:
        await page.lists(2)
        assert "\x1b" not in page.text
        assert "\u202e" not in page.text
        assert page.shows("[bold]evil[/]")
        assert page.shows("[red]b.json")


async def test_the_items_of_a_run_are_looked_through(
    evaluating: Evaluating, directory: Path
) -> None:
    directory.mkdir(parents=True)
    written(directory / "a.json", [answer(n, f"Yes {n}.") for n in (1, 2, 3)])
    async with evaluating() as page:
        await page.lists(1)
        await page.presses("i")
        await page.until(lambda: isinstance(page.pilot.app.screen, ItemsScreen))
        await page.until(lambda: page.shows("Question 2?"))


async def test_two_marked_runs_are_judged_blind_and_the_list_tells_it(
    evaluating: Evaluating, directory: Path
) -> None:
    directory.mkdir(parents=True)
    written(directory / "a.json", [answer(n, f"Yes {n}.", "one") for n in (1, 2)])
    written(directory / "b.json", [answer(n, f"No {n}.", "two") for n in (1, 2)])
    async with evaluating() as page:
        await page.lists(2)
        await page.presses("b")
        await page.until(lambda: page.shows("Mark the two runs"))
        await page.presses("space")
        await page.until(lambda: not page.shows("Mark the two runs"))
        await page.presses("b")
        await page.until(lambda: page.shows("Mark the two runs"))
        await page.presses("down", "space", "b")
        await page.until(lambda: isinstance(page.pilot.app.screen, BlindScreen))
        await page.until(lambda: page.shows("Yes"))
        await page.presses("a")
        await page.presses("escape")
        await page.until(lambda: page.shows("1"))
        while page.pilot.app.screen is not page.screen:
            await page.presses("escape")
        await page.lists(3)
    assert list(directory.glob("*.by.you.json*"))


async def test_what_was_told_goes_once_something_else_is_looked_at(
    evaluating: Evaluating, directory: Path
) -> None:
    directory.mkdir(parents=True)
    written(directory / "a.json", [answer(1, "Yes.", "one")])
    async with evaluating() as page:
        await page.lists(1)
        await page.presses("b")
        await page.until(lambda: page.shows("Mark the two runs"))
        await page.presses("i")
        await page.until(lambda: isinstance(page.pilot.app.screen, ItemsScreen))
        while page.pilot.app.screen is not page.screen:
            await page.presses("escape")
        await page.until(lambda: not page.shows("Mark the two runs"))


async def test_a_file_that_can_t_be_read_says_why_whatever_is_asked_of_it(
    evaluating: Evaluating, directory: Path
) -> None:
    directory.mkdir(parents=True)
    (directory / "broken.json").write_text('[{"id": 1')
    async with evaluating(size=(60, 20)) as page:
        await page.lists(1)
        # The directory does not take the reason's place.
        assert page.shows("The file broken.json is not JSON: Expecting")
        for key in ("r", "g", "i"):
            await page.presses(key)
            assert page.shows("✖ The file broken.json is not JSON")
            assert not page.shows("not finished")


async def test_what_goes_on_starts_with_what_is_there(
    evaluating: Evaluating, items: Path, endless_gguf: Path, held: Holding
) -> None:
    async with evaluating() as page:
        begun = held(2)
        await page.starts(items, contexts=("zero-shot",), parallel=1, tokens=200)
        await page.until(begun.there)
        await page.stops(begun)
        done = page.states[0].done
        await page.lists(1)
        await page.presses("g")
        await page.until(lambda: len(page.states) == 1 and page.states[0].stage != "stopped")
        seen: list[int] = []

        def is_done() -> bool:
            seen.append(page.states[0].done)
            return bool(page.states[0].stage == "done")

        # Nothing that is there is forgotten while the model is loaded.
        await page.until(is_done)
        assert min(seen) >= done


async def test_a_run_that_is_being_done_looks_like_that_in_the_list(
    evaluating: Evaluating, items: Path, held: Holding
) -> None:
    async with evaluating() as page:
        begun = held(1)
        await page.starts(items, contexts=("zero-shot", "raw"), parallel=1, tokens=400)
        await page.until(begun.there)
        await page.lists(2)
        await page.until(lambda: page.shows("● 1 of 5") or page.shows("● 2 of 5"))
        assert page.shows("○ 0 of 5")
        assert not page.shows("■")
        # It is being done already.
        await page.presses("home", "space", "down", "space", "g")
        assert len(page.states) == 2
        await page.stops(begun)
        await page.lists(2)
        await page.until(lambda: page.shows("■ 0 of 5"))
        assert not page.shows("●")


async def test_all_that_was_stopped_goes_on_from_where_it_was_done(
    evaluating: Evaluating, items: Path, directory: Path, held: Holding
) -> None:
    async with evaluating() as page:
        begun = held(1)
        await page.starts(items, contexts=("zero-shot", "raw"), parallel=1, tokens=400)
        await page.until(begun.there)
        await page.stops(begun)
        assert [state.stage for state in page.states] == ["stopped", "stopped"]
        await page.until(lambda: page.shows("G go on"))
        await page.presses("g")
        await page.until(lambda: page.states[0].stage == "going")
        assert len(page.states) == 2
        await page.stops()


async def test_going_on_with_one_tells_of_the_others(
    evaluating: Evaluating, items: Path, held: Holding
) -> None:
    async with evaluating() as page:
        begun = held(1)
        await page.starts(items, contexts=("zero-shot", "raw"), parallel=1, tokens=400)
        await page.until(begun.there)
        await page.stops(begun)
        await page.lists(2)
        await page.presses("g")
        assert page.shows("1 other that stands still: G goes on with what is marked")
        assert len(page.states) == 1
        await page.stops()


async def test_the_bar_stays_on_its_row_when_others_come_before_it(
    evaluating: Evaluating, directory: Path
) -> None:
    directory.mkdir(parents=True)
    for place, name in enumerate("abc"):
        written(directory / f"{name}.json", [answer(1, "Yes.", name)])
        os.utime(directory / f"{name}.json", (1000 - place,) * 2)
    async with evaluating() as page:
        await page.lists(3)
        await page.presses("down")
        assert page.screen.evaluations.row.path.name == "b.json"
        os.utime(directory / "c.json", (2000, 2000))
        await page.presses("f5")
        await page.until(lambda: page.screen.evaluations.rows[0].path.name == "c.json")
        assert page.screen.evaluations.row.path.name == "b.json"
        assert page.screen.evaluations.highlighted == 2


async def test_another_run_of_a_name_has_no_report_of_what_was_said_of_the_first(
    evaluating: Evaluating, directory: Path
) -> None:
    directory.mkdir(parents=True)
    written(directory / "new.json", [answer(1, "New.")])
    written(directory / "j.json", [scored(1, "Old.", 5, 4, 5, 3, 4)])
    os.utime(directory / "j.json", (1000, 1000))
    async with evaluating(size=(100, 40)) as page:
        await page.lists(2)
        assert page.shows("not judged")
        assert page.shows("of answers that are not here")
        await page.reports()
        assert page.shows("1 file")
        assert not page.shows("judge-1")


async def test_a_judging_that_has_said_nothing_tells_what_will_appear(
    evaluating: Evaluating, directory: Path, judge_gguf: Path
) -> None:
    directory.mkdir(parents=True)
    written(directory / "a.json", [answer(n, f"Yes {n}.") for n in (1, 2)])
    async with evaluating(judge_gguf) as page:
        await page.lists(1)
        await page.judges()
        await page.until(lambda: page.shows("What is judged appears here as it comes."))
        await page.stops()
