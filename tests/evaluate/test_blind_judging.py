"""A person's blind judging: kept at once, gone on with, taken back, and read like any judge's."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.evaluate.blind import (
    FIRST,
    SECOND,
    by_id,
    judge_all,
    opened,
    output,
    prefers,
    run_files,
    runs,
)
from tests.evaluate.judged import preferred, scored, written
from tests.evaluate.runs import HANGS
from tests.test_cli_lists import Captured
from urial_tui.cli import main as cli
from urial_tui.evaluate.blind_judging import open_judging
from urial_tui.evaluate.blind_pairs import ShownPair, shared_items
from urial_tui.evaluate.calibration import calibrate
from urial_tui.evaluate.items import EvaluateError
from urial_tui.evaluate.judge import pair_questions
from urial_tui.evaluate.judge_file import JudgeFile
from urial_tui.evaluate.judgement_files import read_judgements, write_judgements
from urial_tui.evaluate.judgements import PairChoice, PairJudgement, Preference
from urial_tui.evaluate.outputs import AnsweredTurn
from urial_tui.shares import sign_test


def told(path: Path) -> list[PairJudgement]:
    return list(read_judgements(path).pairs)


class TestJudging:
    def test_all_is_judged_once_and_counted_by_name(self, tmp_path: Path) -> None:
        out = tmp_path / "blind.json"
        judging = opened(runs(7), out)
        seen = judge_all(judging, prefers(FIRST))
        assert sorted(one.pair.first.id for one in seen) == list(range(7))
        assert (judging.done, judging.left, judging.current) == (7, 0, None)
        tally = judging.tally()
        assert (tally.first, tally.second) == (FIRST, SECOND)
        assert (tally.wins.wins, tally.wins.ties, tally.wins.losses) == (7, 0, 0)
        assert (tally.skipped, tally.left, tally.pairs) == (0, 0, 7)
        judging.finish()
        assert not (tmp_path / "blind.json.part").exists()
        # As they were shown, in the order in which they were judged.
        for one, shown in zip(told(out), seen, strict=True):
            assert (one.id, one.mode, one.judge) == (shown.pair.first.id, "pairwise", "person")
            assert (one.generator_a, one.output_a) == (
                shown.left.generator,
                shown.left.exchanges[-1].output,
            )
            better: PairChoice = "A" if shown.left.generator == FIRST else "B"
            assert one.preferences == {"overall": Preference(choice=better)}

    def test_ties_are_halves_and_what_is_skipped_is_missing(self, tmp_path: Path) -> None:
        verdicts = iter(["first", "first", "second", "same", "skip", "first"])
        judging = opened(runs(8), tmp_path / "blind.json")

        def says(shown: ShownPair) -> Any:
            verdict = next(verdicts)
            if verdict in ("same", "skip"):
                return verdict
            return "left" if (verdict == "first") != shown.swapped else "right"

        judge_all(judging, says, 6)
        tally = judging.tally()
        wins = tally.wins
        assert (wins.wins, wins.ties, wins.losses, wins.missing) == (3, 1, 1, 1)
        assert wins.rate == 3.5 / 5
        assert wins.p_value == sign_test(3, 1)
        assert (tally.skipped, tally.left) == (1, 2)

    def test_of_several_turns_the_last_is_judged(self, tmp_path: Path) -> None:
        turns = [
            [AnsweredTurn(instruction=f"{n}?", output=f"{name} {n}.") for n in range(2)]
            for name in "ab"
        ]
        one, other = (
            msgspec.structs.replace(output("x", name), exchanges=tuple(said))
            for name, said in zip((FIRST, SECOND), turns, strict=True)
        )
        out = tmp_path / "blind.json"
        judging = opened(shared_items(by_id([one]), by_id([other])), out)
        judging.judge("same")
        judging.finish()
        (said,) = told(out)
        assert said.input == "1?"
        assert {said.output_a, said.output_b} == {"a 1.", "b 1."}

    def test_a_skipped_pair_says_why_it_has_no_preference(self, tmp_path: Path) -> None:
        out = tmp_path / "blind.json"
        judging = opened(runs(1), out)
        judging.judge("skip")
        judging.finish()
        (said,) = told(out)
        assert said.preferences == {"overall": Preference(unscored="skipped")}
        (record,) = json.loads(out.read_text())
        assert "parsed_result" not in record
        assert record["urial"]["unscored"] == {"overall": "skipped"}


class TestUndo:
    def test_the_last_one_comes_again_as_it_was(self, tmp_path: Path) -> None:
        judging = opened(runs(4), tmp_path / "blind.json")
        first, second = judge_all(judging, prefers(FIRST), 2)
        assert judging.undo()
        assert judging.current == second
        assert judging.undo()
        assert judging.current == first
        assert not judging.undo()
        judge_all(judging, prefers(SECOND))
        assert judging.tally().wins.losses == 4

    def test_it_reaches_what_was_judged_before(self, tmp_path: Path) -> None:
        out = tmp_path / "blind.json"
        judging = opened(runs(4), out)
        seen = judge_all(judging, prefers(FIRST), 2)
        judging.finish()
        judging = opened(runs(4), out)
        assert judging.undo()
        assert judging.current == seen[1]
        judging.finish()
        assert [one.id for one in told(out)] == [seen[0].pair.first.id]

    def test_of_nothing_there_is_no_file(self, tmp_path: Path) -> None:
        out = tmp_path / "blind.json"
        judging = opened(runs(4), out)
        judging.judge("left")
        judging.finish()
        judging = opened(runs(4), out)
        judging.undo()
        judging.finish()
        assert not list(tmp_path.iterdir())


class TestGoingOn:
    def test_what_is_left_comes_in_the_same_order(self, tmp_path: Path) -> None:
        whole = opened(runs(9), tmp_path / "whole.json", seed=5)
        every = judge_all(whole, prefers(FIRST))
        seen: list[ShownPair] = []
        # Another seed is only drawn where there is none.
        for seed, most in ((5, 4), (6, 3), (7, None)):
            judging = opened(runs(9), tmp_path / "blind.json", seed=seed)
            assert judging.done == len(seen)
            seen += judge_all(judging, prefers(FIRST), most)
            judging.finish()
        assert seen == every
        whole.finish()
        assert told(tmp_path / "blind.json") == told(tmp_path / "whole.json")

    def test_what_was_skipped_comes_again_at_the_end(self, tmp_path: Path) -> None:
        out = tmp_path / "blind.json"
        judging = opened(runs(5), out)
        skipped = judge_all(judging, lambda shown: "skip", 2)
        judge_all(judging, prefers(FIRST), 1)
        judging.finish()
        judging = opened(runs(5), out)
        assert (judging.done, judging.left) == (1, 4)
        seen = judge_all(judging, prefers(FIRST))
        assert seen[2:] == skipped
        judging.finish()
        assert judging.tally().wins.wins == 5

    def test_items_may_be_added_and_runs_named_the_other_way_round(self, tmp_path: Path) -> None:
        out = tmp_path / "blind.json"
        judging = opened(runs(3), out)
        judge_all(judging, prefers(FIRST))
        judging.finish()
        first, second = (
            by_id([output(number, generator) for number in range(6)])
            for generator in (FIRST, SECOND)
        )
        judging = opened(shared_items(second, first), out)
        assert (judging.done, judging.left) == (3, 3)
        judge_all(judging, prefers(FIRST))
        tally = judging.tally()
        assert (tally.first, tally.wins.losses) == (SECOND, 6)

    def test_whoever_is_killed_loses_nothing(self, tmp_path: Path) -> None:
        first, second = run_files(tmp_path, 12)
        out = tmp_path / "blind.json"
        program = (
            "import os, signal, sys\n"
            "from pathlib import Path\n"
            "from urial_tui.evaluate.blind_judging import open_judging\n"
            "judging = open_judging(*map(Path, sys.argv[1:4]))\n"
            "for _ in range(3):\n"
            "    judging.judge('left')\n"
            "os.kill(os.getpid(), signal.SIGKILL)\n"
        )
        for number in range(1, 4):
            done = subprocess.run(
                [sys.executable, "-c", program, first, second, out], timeout=HANGS, check=False
            )
            assert done.returncode == -signal.SIGKILL
            part = tmp_path / "blind.json.part"
            part.write_bytes(part.read_bytes() + b'{"id": 1, "torn')
            judging = open_judging(first, second, out)
            assert judging.done == 3 * number
            judging._file.close()
        judging = open_judging(first, second, out)
        judge_all(judging, prefers(FIRST))
        judging.finish()
        assert len({one.id for one in told(out)}) == 12

    def test_what_can_not_be_kept_is_no_judgement(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        judging = opened(runs(3), tmp_path / "blind.json")
        judging.judge("left")
        before = judging.current

        def full(value: object) -> int:
            raise OSError(28, "No space left on device")

        with monkeypatch.context() as patch:
            patch.setattr(judging._file._part._journal, "append", full)
            with pytest.raises(EvaluateError, match="No space left on device") as caught:
                judging.judge("left")
            assert "open it again" in caught.value.hint
            with pytest.raises(EvaluateError):
                judging.undo()
        assert (judging.done, judging.current) == (1, before)
        judge_all(judging, prefers(FIRST))
        assert judging.tally().wins.count == 3


class TestRefused:
    def refusal(self, out: Path, count: int = 3, judge: str = "person") -> EvaluateError:
        before = out.read_bytes() if out.exists() else None
        with pytest.raises(EvaluateError) as caught:
            opened(runs(count), out, judge=judge)
        assert (out.read_bytes() if out.exists() else None) == before
        return caught.value

    @pytest.fixture
    def out(self, tmp_path: Path) -> Path:
        out = tmp_path / "blind.json"
        judging = opened(runs(3), out)
        judge_all(judging, prefers(FIRST), 2)
        judging.finish()
        return out

    def test_other_answers(self, out: Path) -> None:
        first, second = (
            by_id([output(number, generator) for number in range(3)])
            for generator in (FIRST, SECOND)
        )
        first = {
            key: msgspec.structs.replace(
                one,
                exchanges=(AnsweredTurn(instruction=one.exchanges[0].instruction, output="New."),),
            )
            for key, one in first.items()
        }
        with pytest.raises(EvaluateError, match="are of other answers, such as those to item"):
            opened(shared_items(first, second), out)
        assert len(told(out)) == 2

    def test_another_person(self, out: Path) -> None:
        error = self.refusal(out, judge="ada")
        assert "are those of 'person', not of 'ada'" in error.message

    def test_a_file_that_is_open_elsewhere(self, out: Path) -> None:
        judging = opened(runs(3), out)
        error = self.refusal(out)
        assert "is in use by another evaluation" in error.message
        assert "--out" not in error.hint
        judging.finish()
        opened(runs(3), out).finish()

    @pytest.mark.parametrize(
        "records",
        [
            [preferred(1, "A")],
            [scored(1, "Answer1", 1, 2, 3, 4, 5)],
            [preferred(1, "A") | {"urial": {"key": "k"}}],
            [preferred(1, "A", eval_config={"mode": "pairwise_multi"}) | {"urial": {"seed": 1}}],
        ],
    )
    def test_judgements_of_another_kind(self, tmp_path: Path, records: list[Any]) -> None:
        error = self.refusal(written(tmp_path / "x.json", records))
        assert "holds judgements of another kind" in error.message

    @pytest.mark.parametrize("text", ["", "[]", "{}", "[1]", "no JSON"])
    def test_what_is_no_file_of_judgements(self, tmp_path: Path, text: str) -> None:
        path = tmp_path / "x.json"
        path.write_text(text)
        assert "nothing is written over it" in self.refusal(path).message

    def test_a_model_does_not_write_over_a_persons_judgements(self, out: Path) -> None:
        with pytest.raises(EvaluateError, match="holds judgements of a person"):
            JudgeFile(out)
        assert len(told(out)) == 2

    def test_something_with_the_journals_name(self, tmp_path: Path) -> None:
        part = tmp_path / "blind.json.part"
        part.write_text("My notes.\n")
        assert "is in the way" in self.refusal(tmp_path / "blind.json").message
        assert part.read_text() == "My notes.\n"

    def test_a_place_that_can_not_be_written(self, tmp_path: Path) -> None:
        assert "can't be used" in self.refusal(tmp_path / "none" / "blind.json").message


class TestRead:
    def test_the_report_counts_it_as_a_judges(self, tmp_path: Path, capsys: Captured) -> None:
        first, second = run_files(tmp_path, 10)
        out = tmp_path / "blind.json"
        judging = opened(runs(10), out)
        judge_all(judging, prefers(FIRST), 6)
        judge_all(judging, lambda shown: "same", 1)
        judge_all(judging, prefers(SECOND), 2)
        judge_all(judging, lambda shown: "skip")
        judging.finish()
        files = [str(path) for path in (first, second, out)]
        assert cli.run(["eval", "report", *files, "--json"]) == 0
        document = json.loads(capsys.readouterr().out)
        (contest,) = document["contests"]
        assert (contest["first"], contest["second"], contest["judge"]) == (FIRST, SECOND, "person")
        assert (contest["items"], contest["both_orders"]) == (10, 0)
        found = contest["aspects"]["overall"]
        assert found["unscored"] == {"skipped": 1}
        wins = found["wins"]
        assert (wins["wins"], wins["ties"], wins["losses"], wins["missing"]) == (6, 1, 2, 1)
        assert wins["rate"] == 6.5 / 9
        assert document["files"][2]["unmatched"] == 0
        assert document["files"][2]["unused"] == {}
        tally = judging.tally()
        assert tally.wins.rate == wins["rate"]
        assert list(tally.wins.rate_interval or ()) == wins["rate_interval"]

    def test_a_model_is_calibrated_against_it(self, tmp_path: Path, capsys: Captured) -> None:
        """Of twelve pairs both say the same on nine; the model errs for the second run in three."""
        shared = runs(12)
        out = tmp_path / "blind.json"
        judging = opened(shared, out)
        judge_all(judging, prefers(FIRST))
        judging.finish()
        model: list[PairJudgement] = []
        first = [pair.first for pair in shared.pairs]
        second = [pair.second for pair in shared.pairs]
        for question in pair_questions(first, second, "small"):
            asked = question.asked
            assert isinstance(asked, PairJudgement)
            liked = SECOND if int(asked.id) < 3 else FIRST
            better: PairChoice = "A" if asked.generator_a == liked else "B"
            said = {aspect: Preference(choice=better) for aspect in question.aspects}
            model.append(msgspec.structs.replace(asked, preferences=said))
        found = calibrate(model, told(out))
        assert (found.pairs, found.matched, found.reference) == (True, 12, "person")
        for one in found.aspects.values():
            assert one.same.share == 9 / 12
            assert one.agreement.bias.mean == -3 / 12
            (run,) = one.runs.values()
            assert run.raw == 9 / 12
            assert run.corrected == 1.0
        write_judgements(tmp_path / "model.json", model)
        words = [str(tmp_path / "model.json"), str(out), "--json"]
        assert cli.run(["eval", "calibrate", *words]) == 0
        document = json.loads(capsys.readouterr().out)
        assert document["aspects"]["depth"]["same"]["hits"] == 9

    def test_whoever_guesses_wins_half(self, tmp_path: Path) -> None:
        draw = random.Random(0)
        judging = opened(runs(400), tmp_path / "blind.json")
        judge_all(judging, lambda shown: draw.choice(("left", "right")))
        wins = judging.tally().wins
        assert wins.rate_interval is not None
        assert wins.rate_interval[0] < 0.5 < wins.rate_interval[1]

    def test_whoever_always_takes_the_left_wins_exactly_half(self, tmp_path: Path) -> None:
        """The places are balanced: a habit of the hand favours nobody."""
        judging = opened(runs(20), tmp_path / "blind.json")
        judge_all(judging, lambda shown: "left")
        assert judging.tally().wins.rate == 0.5
