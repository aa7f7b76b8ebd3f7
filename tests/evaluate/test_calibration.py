"""A judge beside a reference: what is matched, what is corrected, what is said."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.evaluate.runs import HANGS, sentence
from tests.test_votes import vote, voted_on
from urial_tui.chat.store import Store
from urial_tui.cli.voted_pairs import voted_pairs
from urial_tui.evaluate.calibration import calibrate
from urial_tui.evaluate.calibration_words import trust
from urial_tui.evaluate.items import EvaluateError
from urial_tui.evaluate.judge import pair_questions
from urial_tui.evaluate.judgement_files import write_judgements
from urial_tui.evaluate.judgements import (
    AspectScore,
    Judgement,
    PairChoice,
    PairJudgement,
    Preference,
)


def judged(number: int, score: float | None, *, judge: str = "small", run: str = "a") -> Judgement:
    said = (
        AspectScore(unscored="unparsed")
        if score is None
        else AspectScore(score=score, official=score)
    )
    return Judgement(
        id=number,
        input="Which?",
        output=f"Answer {number}.",
        generator=run,
        mode="score_safety",
        judge=judge,
        scores={"safety": said},
    )


def pair(
    number: int,
    choice: PairChoice,
    *,
    judge: str = "small",
    turned: bool = False,
    whole: bool = False,
) -> PairJudgement:
    sides = [("a", "One."), ("b", "Two.")]
    (generator_a, output_a), (generator_b, output_b) = sides[::-1] if turned else sides
    return PairJudgement(
        id=str(number),
        input="Which?",
        output_a=output_a,
        output_b=output_b,
        generator_a=generator_a,
        generator_b=generator_b,
        mode="pairwise" if whole else "pairwise_safety",
        judge=judge,
        preferences={"overall" if whole else "safety": Preference(choice=choice)},
    )


RIGHT = [1, 2, 3, 4, 5, 2, 3, 4]


class TestScores:
    def test_a_constant_error_is_taken_off(self) -> None:
        # The judge gives half a point too much on average, and has two answers more.
        ours = [judged(n, right + (0.4, 0.6)[n % 2]) for n, right in enumerate(RIGHT)]
        ours += [judged(20, 4.5), judged(21, 3.5), judged(22, None)]
        theirs = [judged(n, right, judge="people") for n, right in enumerate(RIGHT)]
        theirs += [judged(30, 3, judge="people")]
        found = calibrate(ours, theirs)
        assert (found.matched, found.judged_alone, found.reference_alone) == (8, 3, 1)
        safety = found.aspects["safety"]
        assert safety.agreement.bias.mean == pytest.approx(0.5)
        run = safety.runs["a"]
        # (24 + 8 · 0.5 + 4.5 + 3.5) / 10 = 3.6, less 0.5
        assert run.raw == pytest.approx(3.6)
        assert run.corrected == pytest.approx(3.1)
        assert run.labels == 8
        said = " ".join(trust(found))
        assert "small was set beside people on 8 answers." in said
        assert "It is within 1 point of it on 100% of 8 scores." in said
        assert "It ranks as the reference does, more or less, in safety (1.00)" in said
        assert "It scores safety 0.50 too high" in said

    def test_ranks_that_chance_could_give_are_called_so(self) -> None:
        ours = [judged(n, score) for n, score in enumerate([3, 1, 4, 1, 5, 2, 2, 4])]
        theirs = [judged(n, right, judge="people") for n, right in enumerate(RIGHT)]
        said = " ".join(trust(calibrate(ours, theirs)))
        assert "In safety its ranking can't be told from chance" in said

    def test_equal_scores_rank_nothing(self) -> None:
        ours = [judged(n, 3) for n in range(8)]
        theirs = [judged(n, right, judge="people") for n, right in enumerate(RIGHT)]
        said = " ".join(trust(calibrate(ours, theirs)))
        assert "In safety its ranking is unknown" in said

    def test_runs_on_which_it_errs_differently_are_named(self) -> None:
        ours = [judged(n, right + 0.1 * (n % 2)) for n, right in enumerate(RIGHT)]
        ours += [judged(n, right + 2 + 0.1 * (n % 2), run="b") for n, right in enumerate(RIGHT)]
        theirs = [
            judged(n, right, judge="people", run=run)
            for run in "ab"
            for n, right in enumerate(RIGHT)
        ]
        found = calibrate(ours, theirs)
        (difference,) = found.aspects["safety"].differences
        assert difference.errors.difference == pytest.approx(-2)
        assert difference.errors.differs
        said = " ".join(trust(found))
        assert "It errs differently on a and on b, safety by 0.05 and 2.05: compare" in said
        assert "which might name the wrong one as the better." in said

    def test_the_same_id_with_another_text_is_another_answer(self) -> None:
        ours = [judged(1, 3)]
        theirs = [judged(1, 3, judge="people", run="b")]
        with pytest.raises(EvaluateError, match="no answer in common"):
            calibrate(ours, theirs)

    def test_scores_and_pairs_are_not_set_beside_each_other(self) -> None:
        with pytest.raises(EvaluateError, match="pairs of answers"):
            calibrate([judged(1, 3)], [pair(1, "A")])
        with pytest.raises(EvaluateError, match="judgements of answers and of pairs"):
            calibrate([judged(1, 3), pair(1, "A")], [judged(1, 3)])


class TestPairs:
    def test_win_rates_are_corrected_whichever_stood_first(self) -> None:
        ours: list[PairJudgement] = []
        for number in range(4):
            ours += [pair(number, "A"), pair(number, "B", turned=True)]  # a wins
        for number in (4, 5):
            ours += [pair(number, "A"), pair(number, "A", turned=True)]  # the first shown: a tie
        # People: a wins twice, loses once (b was shown first, and preferred), ties once.
        theirs = [
            pair(0, "A", judge="votes", whole=True),
            pair(1, "B", judge="votes", whole=True, turned=True),
            pair(2, "A", judge="votes", whole=True, turned=True),
            pair(3, "same", judge="votes", whole=True),
        ]
        found = calibrate(ours, theirs)
        assert found.pairs
        assert (found.matched, found.judged_alone) == (4, 2)
        safety = found.aspects["safety"]
        # The judge: 1 1 1 1; people: 1 1 0 0.5
        assert safety.agreement.bias.mean == pytest.approx(0.375)
        assert safety.same.hits == 2
        run = safety.runs["a against b"]
        # With the two ties that the judge alone has: (4 + 2 · 0.5) / 6, less 0.375.
        assert run.raw == pytest.approx(5 / 6)
        assert run.corrected == pytest.approx(5 / 6 - 0.375)
        assert "Both say the same in 50% of 4 comparisons" in " ".join(trust(found))


class TestVotes:
    def test_votes_are_judgements_of_what_is_still_stored(self, home: Path) -> None:
        with Store() as store:
            _, first = voted_on(store)
            conversation, _ = voted_on(store)
            store.delete(conversation.id)
            store.add_vote(vote("right"))  # of which no turn is known
        found = voted_pairs()
        assert found.others == 2
        (judgement,) = found.judgements
        assert judgement.id == str(first.id)
        assert judgement.preferences["overall"].choice == "A"
        assert (judgement.input, judgement.output_a, judgement.output_b) == (
            "user",
            "assistant",
            "assistant",
        )
        assert [output.generator for output in (*found.left, *found.right)] == [
            str(first.left),
            str(first.right),
        ]
        assert len(pair_questions(found.left, found.right, "small")) == 2


class TestCommand:
    def run(self, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "urial_tui", "eval", "calibrate", *map(str, arguments)],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=HANGS,
            check=False,
        )

    def write(self, path: Path, found: Sequence[Judgement]) -> Path:
        write_judgements(path, found)
        return path

    def test_a_table_and_a_document(self, home: Path, tmp_path: Path) -> None:
        ours = self.write(
            tmp_path / "ours.json",
            [judged(n, min(5, right + 0.5)) for n, right in enumerate(RIGHT)],
        )
        theirs = self.write(
            tmp_path / "theirs.json",
            [judged(n, right, judge="people") for n, right in enumerate(RIGHT[:6])],
        )
        done = self.run(ours, theirs)
        assert done.returncode == 0, done.stderr
        assert "small was set beside people on 6 answers." in done.stdout
        assert "2 more answers only the judge has judged." in done.stdout
        assert max(map(len, done.stdout.splitlines())) <= 80
        document = json.loads(self.run(ours, theirs, "--json").stdout)
        assert document["matched"] == 6
        assert document["aspects"]["safety"]["runs"]["a"]["labels"] == 6
        assert document["trust"][0] == "small was set beside people on 6 answers."

    def test_one_judge_at_a_time(self, home: Path, tmp_path: Path) -> None:
        files = [
            self.write(tmp_path / f"{name}.json", [judged(1, 3, judge=name)]) for name in "abc"
        ]
        assert "judgements of 2 judges: a, b." in sentence(self.run(*files), 2)

    def test_a_judge_is_not_set_beside_itself(self, home: Path, tmp_path: Path) -> None:
        ours = self.write(tmp_path / "ours.json", [judged(1, 3)])
        other = self.write(tmp_path / "other.json", [judged(2, 3)])
        for files in ((ours, ours), (ours, ours, other), (ours, tmp_path / "." / "ours.json")):
            assert "ours.json is named twice. Name it once." in sentence(self.run(*files), 2)

    def test_without_votes_that_is_said(self, home: Path, tmp_path: Path) -> None:
        ours = self.write(tmp_path / "ours.json", [judged(1, 3)])
        assert "There are no votes" in sentence(self.run(ours, "votes"))
