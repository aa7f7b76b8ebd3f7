"""A join of files: answers, and what judges said of them, run by run.

A judgement belongs to the run whose answer it judges, to the letter, as far as the judge was shown
it. Runs that have their answers from judgements alone grow with every file that judges more of
them, as long as no answer is another one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from urial_tui.evaluate.items import EvaluateError
from urial_tui.evaluate.judgement_files import JudgementSet
from urial_tui.evaluate.judgements import Judgement, PairJudgement
from urial_tui.evaluate.outputs import AnsweredTurn, Output
from urial_tui.sanitize import quoted, sanitize_line

_NAMED = 60
"""Characters of a name that a sentence quotes."""


class GatheredRun:
    """A run in the making.

    Args:
        generator: What answered.
        path: Of its outputs; None where judgements tell of its answers.
        source: The file that told of it first.
    """

    def __init__(self, generator: str, path: Path | None, source: Path) -> None:
        self.generator = generator
        self.path = path
        self.source = source
        self.outputs: dict[str, Output] = {}
        self.safety: set[str] = set()
        """Items that were judged by their safety alone."""
        self.judged: dict[str, dict[str, list[Judgement]]] = {}
        """By judge and item."""

    def judge(self, said: Judgement, path: Path) -> None:
        """Take a judgement of one of its answers."""
        by_item = self.judged.setdefault(said.judge, {})
        before = by_item.setdefault(str(said.id), [])
        if any(one.mode == said.mode for one in before):
            raise EvaluateError(
                f"The answer of {quoted(self.generator, _NAMED)} to item "
                f"{quoted(str(said.id), 40)} is judged twice by {quoted(said.judge, _NAMED)}, the "
                f"second time in {sanitize_line(str(path))}.",
                "Leave one of the files out.",
            )
        before.append(said)
        if said.mode == "score_safety":
            self.safety.add(str(said.id))

    def holds(self, claim: _Claim) -> bool:
        """Whether it has the judged answer, as far as the judge was shown that."""
        output = self.outputs.get(str(claim.id))
        if output is None:
            return False
        answers = [exchange.output for exchange in output.exchanges]
        if claim.max_words < 0:
            return claim.answer in answers
        words = claim.answer.split()[: claim.max_words]
        return any(answer.split()[: claim.max_words] == words for answer in answers)


def runs_of(path: Path, outputs: Sequence[Output]) -> list[GatheredRun]:
    """The runs of a file of outputs: one for each generator in it.

    Raises:
        EvaluateError: A run has two answers to an item.
    """
    runs: dict[str, GatheredRun] = {}
    seen: dict[tuple[str, str], int] = {}
    for number, output in enumerate(outputs, start=1):
        run = runs.setdefault(output.generator, GatheredRun(output.generator, path, path))
        first = seen.setdefault((output.generator, str(output.id)), number)
        if first != number:
            raise EvaluateError(
                f"Record {number} of {sanitize_line(str(path))} has the id of record {first}, "
                f"{quoted(str(output.id), 40)}.",
                "Take one of them out.",
            )
        run.outputs[str(output.id)] = output
    return list(runs.values())


# -- judgements ------------------------------------------------------------------------


Judges = Mapping[str, set[str]]
"""Who judged answers, and to which items."""


class _Claim(msgspec.Struct, frozen=True, kw_only=True):
    """What a judgement tells of an answer that it judges."""

    id: int | str
    question: str
    answer: str
    max_words: int


def join(
    runs: list[GatheredRun],
    compared: list[tuple[GatheredRun, GatheredRun, PairJudgement]],
    path: Path,
    found: JudgementSet,
) -> int:
    """Give the judgements of a file to the runs that they judge, and to new ones.

    Args:
        runs: All that there are; new ones are added.
        compared: What was judged beside each other, with A's run and B's; the file's is added.
        path: The file.
        found: What it holds.

    Returns:
        How many judgements are of answers that no run has any more.

    Raises:
        EvaluateError: They are of other answers altogether, or there are two of one.
    """
    claims = _claims(path, found)
    judged = {generator: _judged_runs(runs, path, generator, claims) for generator in claims}
    unmatched = 0
    for said in found.judgements:
        holders = [run for run in judged[said.generator] if run.holds(_claim(said))]
        for run in holders:
            run.judge(said, path)
        unmatched += not holders
    for pair in found.pairs:
        first, second = (
            next((run for run in judged[generator] if run.holds(claim)), None)
            for generator, claim in _pair_claims(pair)
        )
        if first is None or second is None:
            unmatched += 1
        else:
            compared.append((first, second, pair))
    return unmatched


def judges_of(
    runs: Sequence[GatheredRun], found: JudgementSet
) -> dict[str, dict[GatheredRun, Judges]]:
    """Which runs hold answers that are judged in a file, by the generator's name there.

    Args:
        runs: All that there are.
        found: What the file holds; a generator whose answers no run has is among the names.
    """
    told = [(one.judge, one.generator, _claim(one)) for one in found.judgements]
    told += [(pair.judge, *each) for pair in found.pairs for each in _pair_claims(pair)]
    by_name: dict[str, list[GatheredRun]] = {}
    for run in runs:
        by_name.setdefault(run.generator, []).append(run)
    judged: dict[str, dict[GatheredRun, dict[str, set[str]]]] = {}
    for judge, generator, claim in told:
        by_run = judged.setdefault(generator, {})
        for run in by_name.get(generator, ()):
            if run.holds(claim):
                by_run.setdefault(run, {}).setdefault(judge, set()).add(str(claim.id))
    return {generator: dict(by_run) for generator, by_run in judged.items()}


def _claims(path: Path, found: JudgementSet) -> dict[str, dict[str, _Claim]]:
    """The answers that a file judges, by their generator and item."""
    claims: dict[str, dict[str, _Claim]] = {}
    said = [(one.generator, _claim(one)) for one in found.judgements]
    for generator, claim in [*said, *(each for pair in found.pairs for each in _pair_claims(pair))]:
        first = claims.setdefault(generator, {}).setdefault(str(claim.id), claim)
        if first.answer != claim.answer:
            raise EvaluateError(
                f"The file {sanitize_line(str(path))} judges two answers of "
                f"{quoted(generator, _NAMED)} to item {quoted(str(claim.id), 40)}.",
                "Put the judgements of each run into a file of their own.",
            )
    return claims


def _claim(said: Judgement) -> _Claim:
    return _Claim(id=said.id, question=said.input, answer=said.output, max_words=said.max_words)


def _pair_claims(pair: PairJudgement) -> tuple[tuple[str, _Claim], tuple[str, _Claim]]:
    def claim(answer: str) -> _Claim:
        return _Claim(id=pair.id, question=pair.input, answer=answer, max_words=pair.max_words)

    return (pair.generator_a, claim(pair.output_a)), (pair.generator_b, claim(pair.output_b))


def _judged_runs(
    runs: list[GatheredRun], path: Path, generator: str, claims: Mapping[str, Mapping[str, _Claim]]
) -> list[GatheredRun]:
    """The runs whose answers a file judges under one generator's name: mostly one.

    Of several with that name, those that have most of the answers. Where only judgements tell of
    the answers, the run grows by those that are new.
    """
    told = claims[generator].values()
    named = [run for run in runs if run.generator == generator]
    answered = [run for run in named if run.path is not None]
    if answered:
        held = [sum(run.holds(claim) for claim in told) for run in answered]
        if not max(held):
            raise EvaluateError(
                f"The judgements in {sanitize_line(str(path))} are of other answers of "
                f"{quoted(generator, _NAMED)} than those in "
                f"{sanitize_line(str(answered[0].path))}.",
                "Have these judged, or leave one of the files out.",
            )
        return [run for run, most in zip(answered, held, strict=True) if most == max(held)]
    for run in named:
        if all(run.holds(claim) for claim in told if str(claim.id) in run.outputs):
            break
    else:
        run = GatheredRun(generator, None, path)
        runs.append(run)
    for claim in told:
        run.outputs.setdefault(
            str(claim.id),
            Output(
                id=claim.id,
                exchanges=(AnsweredTurn(instruction=claim.question, output=claim.answer),),
                generator=generator,
            ),
        )
    return [run]
