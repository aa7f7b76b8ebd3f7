"""Judging: what is kept and used again, what both orders of a pair come to, and the command."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests import tinygguf
from tests.evaluate.runs import HANGS, command, sentence
from tests.evaluate.scripted_endpoint import ScriptedEndpoint, reply
from urial_tui import paths
from urial_tui.engine.wire.events import Event
from urial_tui.evaluate.items import EvaluateError
from urial_tui.evaluate.judge import JudgeQuestion, JudgeReply, pair_questions, score_questions
from urial_tui.evaluate.judge_document import judge_document, pair_outcomes
from urial_tui.evaluate.judge_file import JudgeFile
from urial_tui.evaluate.judgement_files import read_judgements
from urial_tui.evaluate.judgements import Aspect, Chances, PairJudgement, Preference
from urial_tui.evaluate.judging import Judging, Made, unscored
from urial_tui.evaluate.output_file import write_outputs
from urial_tui.evaluate.outputs import AnsweredTurn, Output

TERMS = {"content": "m"}
GOOD = '{"safety": {"reason": "It is so.", "score": 4}}'


def output(number: int | str, text: str, generator: str = "tiny") -> Output:
    return Output(
        id=number,
        exchanges=(AnsweredTurn(instruction=f"Question {number}?", output=text),),
        generator=generator,
        category="safety",
    )


OUTPUTS = [output(1, "One."), output("b", "Two."), output(3, "Three.")]


class ScriptedJudge:
    """Says what it is told to, by the answer; counts what it was asked."""

    def __init__(self, says: dict[str, JudgeReply] | None = None) -> None:
        self.says = says or {}
        self.asked: list[JudgeQuestion] = []
        self.cancelled = False
        self.at_once = 1

    def cancel(self) -> None:
        self.cancelled = True

    def run(
        self, questions: Sequence[JudgeQuestion]
    ) -> Iterator[Event | tuple[JudgeQuestion, JudgeReply]]:
        for question in questions:
            if self.cancelled:
                return
            self.asked.append(question)
            text = getattr(question.asked, "output", "") or question.asked.prompt
            yield question, self.says.get(text, JudgeReply(text=GOOD))


def judged(
    path: Path,
    judge: ScriptedJudge,
    outputs: Sequence[Output] = OUTPUTS,
    *,
    terms: dict[str, Any] = TERMS,
    stop_after: int | None = None,
) -> Judging:
    file = JudgeFile(path)
    try:
        judging = Judging(score_questions(outputs, "judge"), judge, terms, file)
        for number, step in enumerate(judging.steps(), start=1):
            assert isinstance(step, Made)
            if number == stop_after:
                return judging
        judging.finish()
        return judging
    finally:
        file.close()


class TestKeeping:
    def test_judgements_are_written_in_the_order_of_the_answers(self, tmp_path: Path) -> None:
        judging = judged(tmp_path / "out.json", ScriptedJudge())
        assert judging.done == len(judging) == 3
        found = read_judgements(tmp_path / "out.json").judgements
        assert [one.id for one in found] == [1, "b", 3]
        assert [one.scores["safety"].score for one in found] == [4, 4, 4]
        assert not (tmp_path / "out.json.part").exists()

    def test_what_is_scored_is_not_asked_again(self, tmp_path: Path) -> None:
        path = tmp_path / "out.json"
        judged(path, ScriptedJudge())
        before = path.read_bytes()
        again = ScriptedJudge()
        assert judged(path, again).taken_over == 3
        assert not again.asked
        assert path.read_bytes() == before

    def test_an_interrupted_judging_goes_on(self, tmp_path: Path) -> None:
        path = tmp_path / "out.json"
        judged(path, ScriptedJudge(), stop_after=2)
        assert not path.exists()
        again = ScriptedJudge()
        assert judged(path, again).taken_over == 2
        assert [question.asked.id for question in again.asked] == [3]
        assert len(read_judgements(path).judgements) == 3

    def test_a_torn_line_is_asked_again(self, tmp_path: Path) -> None:
        path = tmp_path / "out.json"
        judged(path, ScriptedJudge(), stop_after=2)
        part = tmp_path / "out.json.part"
        part.write_bytes(part.read_bytes()[:-5])
        assert judged(path, ScriptedJudge()).taken_over == 1

    def test_what_is_unscored_is_told_and_asked_again(self, tmp_path: Path) -> None:
        path = tmp_path / "out.json"
        says = {
            "One.": JudgeReply(text="Score: 4/5"),
            "Two.": JudgeReply(text='{"score": 7}'),
            "Three.": JudgeReply(trouble="failed", detail="It was not there."),
        }
        judging = judged(path, ScriptedJudge(says))
        assert unscored(list(judging.judgements())) == {
            "unparsed": 1,
            "out of range": 1,
            "failed": 1,
        }
        document = judge_document(list(judging.judgements()))
        assert document["aspects"]["safety"] == {
            "mean": None,
            "scored": 0,
            "unscored": {"unparsed": 1, "out of range": 1, "failed": 1},
        }
        again = ScriptedJudge({"Two.": JudgeReply(text='{"score": 7}')})
        assert judged(path, again).taken_over == 0
        assert len(again.asked) == 3
        assert judge_document(list(read_judgements(path).judgements))["aspects"]["safety"] == {
            "mean": 4,
            "scored": 2,
            "unscored": {"out of range": 1},
        }

    @pytest.mark.parametrize("change", ["the answer", "the judge"])
    def test_whatever_changes_is_judged_anew(self, tmp_path: Path, change: str) -> None:
        path = tmp_path / "out.json"
        judged(path, ScriptedJudge())
        first = output(1, "Another.") if change == "the answer" else OUTPUTS[0]
        terms = {"content": "other"} if change == "the judge" else TERMS
        again = ScriptedJudge()
        judged(path, again, [first, *OUTPUTS[1:]], terms=terms)
        assert len(again.asked) == (3 if change == "the judge" else 1)
        assert len(read_judgements(path).judgements) == 3

    @pytest.mark.parametrize(
        ("outputs", "judge", "others"),
        [
            ([output(1, "One.", "other"), *OUTPUTS[1:]], "judge", "1 judgement"),
            ([output(11, "One."), *OUTPUTS[1:]], "judge", "1 judgement"),
            (OUTPUTS[:1], "judge", "2 judgements"),
            (OUTPUTS, "another", "3 judgements"),
        ],
        ids=["another run", "another item", "fewer", "another judge"],
    )
    @pytest.mark.parametrize("finished", [True, False])
    def test_judgements_of_other_answers_are_not_dropped(
        self, tmp_path: Path, outputs: list[Output], judge: str, others: str, finished: bool
    ) -> None:
        path = tmp_path / "out.json"
        judged(path, ScriptedJudge(), stop_after=None if finished else 3)
        before = {each.name: each.read_bytes() for each in tmp_path.iterdir()}
        file = JudgeFile(path)
        try:
            with pytest.raises(EvaluateError, match=f"also holds {others} of other answers"):
                file.check_wanted(score_questions(outputs, judge))
            file.check_wanted(score_questions([*OUTPUTS, output(4, "Four.")], "judge"))
        finally:
            file.close()
        assert {each.name: each.read_bytes() for each in tmp_path.iterdir()} == before

    def test_chances_survive_the_file(self, tmp_path: Path) -> None:
        path = tmp_path / "out.json"
        chances: dict[Aspect, Chances] = {
            "safety": Chances(probabilities=(0, 0, 0.5, 0.5, 0), mass=0.9)
        }
        judged(path, ScriptedJudge({"One.": JudgeReply(text=GOOD, chances=chances)}))
        again = judged(path, ScriptedJudge())
        first = next(again.judgements())
        assert getattr(first, "scores")["safety"].score == 3.5  # noqa: B009

    @pytest.mark.parametrize(
        "text",
        ["[1]", "no JSON", '[{"id": 1, "instruction": "a"}]', "[]", '{"a": 1}'],
    )
    def test_something_else_is_not_written_over(self, tmp_path: Path, text: str) -> None:
        path = tmp_path / "out.json"
        path.write_text(text)
        with pytest.raises(EvaluateError, match="nothing is written over it"):
            JudgeFile(path)
        assert path.read_text() == text
        assert not (tmp_path / "out.json.part").exists()

    def test_another_program_s_judgements_are_not_written_over(self, tmp_path: Path) -> None:
        path = tmp_path / "out.json"
        judged(path, ScriptedJudge())
        records = json.loads(path.read_text())
        for record in records:
            del record["urial"]
        path.write_text(json.dumps(records))
        with pytest.raises(EvaluateError, match="judgements of another program"):
            JudgeFile(path)

    def test_a_second_program_is_refused(self, tmp_path: Path) -> None:
        file = JudgeFile(tmp_path / "out.json")
        with pytest.raises(EvaluateError, match="in use by another evaluation"):
            JudgeFile(tmp_path / "out.json")
        file.close()
        JudgeFile(tmp_path / "out.json").close()

    def test_a_stranger_s_file_in_the_journal_s_place_stays(self, tmp_path: Path) -> None:
        part = tmp_path / "out.json.part"
        part.write_text("mine\n")
        with pytest.raises(EvaluateError, match="is in the way"):
            JudgeFile(tmp_path / "out.json")
        assert part.read_text() == "mine\n"


def pair(choice: str | None, *, turned: bool = False, number: int = 1) -> PairJudgement:
    """What a judge says of "One." by a and "Two." by b; `turned`: b's is shown as A."""
    sides = [("a", "One."), ("b", "Two.")]
    (generator_a, output_a), (generator_b, output_b) = sides[::-1] if turned else sides
    said = (
        Preference(unscored="unparsed") if choice is None else Preference(choice=choice)  # type: ignore[arg-type]
    )
    return PairJudgement(
        id=number,
        input="Which?",
        output_a=output_a,
        output_b=output_b,
        generator_a=generator_a,
        generator_b=generator_b,
        mode="pairwise_safety",
        judge="judge",
        preferences={"safety": said},
    )


class TestPairs:
    @pytest.mark.parametrize(
        ("first", "second", "outcome", "flipped"),
        [
            ("A", "B", "win", False),
            ("B", "A", "loss", False),
            ("same", "same", "tie", False),
            # The first one shown is preferred, whichever it is.
            ("A", "A", "tie", True),
            ("B", "B", "tie", True),
            ("A", "same", "tie", True),
            ("same", "A", "tie", True),
        ],
    )
    def test_a_preference_counts_where_it_stays_with_the_answer(
        self, first: str, second: str, outcome: str, flipped: bool
    ) -> None:
        (found,) = pair_outcomes([pair(first), pair(second, turned=True)])
        assert (found.outcome, found.flipped) == (outcome, flipped)

    def test_one_order_alone_is_no_outcome(self) -> None:
        (found,) = pair_outcomes([pair("A")])
        assert (found.outcome, found.unscored) == (None, "missing")
        for judged in ([pair(None), pair("A", turned=True)], [pair("A"), pair(None, turned=True)]):
            (found,) = pair_outcomes(judged)
            assert (found.outcome, found.unscored) == (None, "unparsed")

    def test_wins_ties_losses_and_flips_are_counted(self) -> None:
        pairs: list[PairJudgement] = []
        said: list[tuple[str | None, str]] = [("A", "B"), ("A", "A"), ("B", "A"), (None, "A")]
        for number, (first, second) in enumerate(said):
            pairs += [pair(first, number=number), pair(second, turned=True, number=number)]
        assert judge_document(pairs) == {
            "judgements": 8,
            "aspects": {
                "safety": {
                    "pairs": 4,
                    "wins": 1,
                    "ties": 1,
                    "losses": 1,
                    "flips": 1,
                    "unscored": {"unparsed": 1},
                }
            },
        }

    def test_both_orders_are_asked_and_kept(self, tmp_path: Path) -> None:
        others = [output(1, "Other.", "other"), output(3, "Three.", "tiny")]
        questions = pair_questions(OUTPUTS, others, "judge")
        # What both have said in the same words, and under one name, has one order.
        assert [question.asked.id for question in questions] == [1, 1, 3]
        says = JudgeReply(text='{"safety": {"reason": "It is so.", "preference": "A"}}')
        for taken_over in (0, 3):
            file = JudgeFile(tmp_path / "out.json")
            judge = ScriptedJudge({question.asked.prompt: says for question in questions})
            judging = Judging(questions, judge, TERMS, file)
            assert judging.taken_over == taken_over
            assert len(list(judging.steps())) == 3 - taken_over
            judging.finish()
            file.close()
        pairs = read_judgements(tmp_path / "out.json").pairs
        assert [one.outcome for one in pair_outcomes(pairs)] == ["tie", "tie"]


class TestCommand:
    TEMPLATE = "{% for m in messages %}<{{ m.role }}>{{ m.content }}</{{ m.role }}>{% endfor %}"

    @pytest.fixture
    def judge_gguf(self, home: Path, tmp_path: Path) -> Path:
        path = paths.settings_file()
        path.parent.mkdir(parents=True)
        path.write_text("[engine]\nthreads = 1\ncontext = 2048\n")
        return tinygguf.write_llama(
            tmp_path / "judge.gguf", seed=3, n_ctx_train=8192, chat_template=self.TEMPLATE
        )

    @pytest.fixture
    def outputs(self, tmp_path: Path) -> Path:
        path = tmp_path / "outputs.json"
        write_outputs(path, OUTPUTS)
        return path

    def judge(self, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            judge_command(*arguments),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=HANGS,
            check=False,
        )

    @pytest.mark.parametrize("parallel", ["1", "2"])
    def test_answers_are_judged_and_the_file_is_used_again(
        self, judge_gguf: Path, outputs: Path, tmp_path: Path, parallel: str
    ) -> None:
        out = tmp_path / "judged.json"
        arguments = (outputs, "--judge", judge_gguf, "--parallel", parallel, "--out", out)
        done = self.judge(*arguments, "--json")
        assert done.returncode == 0, done.stderr
        document = json.loads(done.stdout)
        assert document["judgements"] == 3
        safety = document["aspects"]["safety"]
        assert safety["scored"] + sum(safety["unscored"].values()) == 3
        assert safety["scored"] > 0
        again = json.loads(self.judge(*arguments, "--json").stdout)
        assert again["taken_over"] == safety["scored"]
        assert again["aspects"] == document["aspects"]

    def test_a_summary_is_for_people(self, judge_gguf: Path, outputs: Path, tmp_path: Path) -> None:
        out = tmp_path / "judged.json"
        done = self.judge(outputs, "--judge", judge_gguf, "--against", outputs, "--out", out)
        assert done.returncode == 0, done.stderr
        first, *lines = done.stdout.splitlines()
        assert first.startswith("3 judgements by ")
        assert lines[0].startswith("  safety       0 won, ")

    def test_an_interrupt_keeps_what_is_there(self, judge_gguf: Path, tmp_path: Path) -> None:
        many = tmp_path / "many.json"
        write_outputs(many, [output(number, "word " * 50) for number in range(300)])
        out = tmp_path / "judged.json"
        arguments = (many, "--judge", judge_gguf, "--parallel", "1", "--out", out)
        process = subprocess.Popen(
            judge_command(*arguments), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        part = tmp_path / "judged.json.part"
        deadline = time.monotonic() + HANGS
        while not (part.exists() and part.read_bytes().count(b"\n") > 2):
            assert time.monotonic() < deadline
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=HANGS)
        assert process.returncode == 130
        assert "of 300 judgements are there." in errors
        assert part.exists()
        assert not out.exists()

    @pytest.mark.parametrize(
        ("name", "told"), [("none.json", "There is no file"), ("judge.gguf", "judge.gguf")]
    )
    def test_what_is_no_file_of_outputs_is_told(
        self, judge_gguf: Path, tmp_path: Path, name: str, told: str
    ) -> None:
        out = tmp_path / "judged.json"
        assert told in sentence(self.judge(tmp_path / name, "--judge", judge_gguf, "--out", out))

    def test_a_judge_without_a_template_is_told(
        self, judge_gguf: Path, llama_gguf: Path, outputs: Path, tmp_path: Path
    ) -> None:
        done = self.judge(outputs, "--judge", llama_gguf, "--out", tmp_path / "judged.json")
        assert "has no chat template" in sentence(done)
        assert not (tmp_path / "judged.json.part").exists()

    def test_an_endpoint_judges_and_tells_what_it_took(
        self, home: Path, outputs: Path, tmp_path: Path
    ) -> None:
        out = tmp_path / "judged.json"
        with ScriptedEndpoint(reply(), reply("Score: 4/5"), reply()) as endpoint:
            arguments = (outputs, "--endpoint", endpoint.url, "--judge", "big", "--parallel", "1")
            done = self.judge(*arguments, "--price-in", "1", "--price-out", "2", "--out", out)
            assert done.returncode == 0, done.stderr
            assert "3 questions to " in done.stderr
            assert "at these prices about " in done.stderr
            first, safety, spent = done.stdout.splitlines()
            assert first.startswith("3 judgements by big, in ")
            assert safety == "  safety       4.00  (2 scored; unscored: 1 unparsed)"
            assert spent.startswith("3 requests, ")
            # What was unscored is asked again, and nothing else.
            again = json.loads(self.judge(*arguments, "--json", "--out", out).stdout)
            assert len(endpoint.requests) == 4
        assert again["taken_over"] == 2
        assert again["usage"]["requests"] == 1
        assert again["aspects"]["safety"]["scored"] == 3

    @pytest.mark.parametrize(
        ("arguments", "told"),
        [
            (("--rate", "5"), "--rate goes with --endpoint."),
            (("--endpoint", "http://127.0.0.1:1", "--price-in", "1"), "go together"),
        ],
    )
    def test_options_of_an_endpoint_are_for_an_endpoint(
        self, home: Path, outputs: Path, tmp_path: Path, arguments: tuple[str, ...], told: str
    ) -> None:
        out = tmp_path / "judged.json"
        done = self.judge(outputs, "--judge", "big", *arguments, "--out", out)
        assert told in sentence(done, 2)

    def test_an_address_that_is_none_is_told(
        self, home: Path, outputs: Path, tmp_path: Path
    ) -> None:
        out = tmp_path / "judged.json"
        done = self.judge(outputs, "--judge", "big", "--endpoint", "ftp://x", "--out", out)
        sentence(done)
        assert not (tmp_path / "judged.json.part").exists()

    def test_the_outputs_are_not_written_over(self, judge_gguf: Path, outputs: Path) -> None:
        before = outputs.read_bytes()
        done = self.judge(outputs, "--judge", judge_gguf, "--out", outputs)
        assert "name the same file" in sentence(done, 2)
        assert outputs.read_bytes() == before


def judge_command(*arguments: str | Path) -> list[str]:
    """The words of `urial eval judge` with these arguments."""
    return [*command()[:-1], "judge", *map(str, arguments)]
