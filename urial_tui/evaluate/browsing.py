"""Searching an evaluation: items by words, or by what is wrong with an answer.

What costs time, the measures of thousands of answers, is measured when somebody looks at an item,
or chunk by chunk in the background; nothing is marked for what was not measured yet. Safe to be
measured in one thread while another one looks.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final, Literal

import msgspec

from urial_tui.evaluate.evaluation import EvaluatedRun, Evaluation, JudgedPair, read_evaluation
from urial_tui.evaluate.items import Category, Item, ItemSet
from urial_tui.evaluate.judgements import Aspect, AspectScore
from urial_tui.evaluate.measures import OutputMeasures, measure, measure_run
from urial_tui.evaluate.outputs import Output
from urial_tui.evaluate.scored import ScoreTable, score_table
from urial_tui.evaluate.shown_preamble import PreamblesByContent, known_preambles

Mark = Literal["cut", "refused", "leaked", "apart"]
"""An answer of the item was cut at a limit, refuses, or repeats an example of its preamble; or two
runs' scores by one judge lie `APART`."""

APART: Final = 1.0
"""Points between two runs' scores in an aspect that are worth a look."""
_CHUNK: Final = 2
"""Items that are measured before somebody is told."""


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """A filter: all of it has to hold of an item.

    `words`: each stands in its id, a question or an answer. `category`: None for any. `marks`: it
    has all of them.
    """

    words: str = ""
    category: Category | None = None
    marks: frozenset[Mark] = frozenset()


class BrowsedAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """What a run answered to an item, with what is measured and said of it.

    `scores`: by judge, of each aspect that applies; None where it was not judged.
    """

    run: str
    output: Output
    measures: OutputMeasures
    scores: Mapping[str, Mapping[Aspect, AspectScore | None]]


class Browser:
    """The items of an evaluation.

    Args:
        evaluation: What was read.
        preambles: Those whose examples are looked for in the answers written under them.
    """

    def __init__(self, evaluation: Evaluation, preambles: PreamblesByContent) -> None:
        self.evaluation = evaluation
        self._preambles = {
            run.name: preambles.of(run.outputs.values()).preamble for run in evaluation.runs
        }
        self._scores: dict[str, dict[str, ScoreTable]] = {
            run.name: {judge: score_table(run, judge, evaluation.items) for judge in run.judged}
            for run in evaluation.runs
        }
        self._comparisons: dict[str, list[JudgedPair]] = {}
        for one in evaluation.comparisons:
            self._comparisons.setdefault(str(one.judgement.id), []).append(one)
        self._texts = [self._text(item) for item in evaluation.items]
        self._marks: list[set[Mark]] = [self._known_marks(item) for item in evaluation.items]
        self._measured: dict[tuple[str, str], OutputMeasures] = {}
        """By run and item."""
        self.measured = 0
        """Items whose answers were measured in the background."""

    @property
    def items(self) -> Sequence[Item]:
        """All that some run has answered."""
        return self.evaluation.items

    def find(self, wanted: Wanted) -> list[int]:
        """The places of the items that hold what is wanted, in their order."""
        words = wanted.words.casefold().split()
        return [
            place
            for place, item in enumerate(self.items)
            if wanted.category in (None, item.category)
            and wanted.marks <= self._marks[place]
            and all(word in self._texts[place] for word in words)
        ]

    def marks(self, place: int) -> frozenset[Mark]:
        """What is known to be wrong with the answers to an item."""
        return frozenset(self._marks[place])

    def answers(self, place: int) -> list[BrowsedAnswer]:
        """The answers to an item, in the order of the runs."""
        key = str(self.items[place].id)
        return [
            BrowsedAnswer(
                run=run.name,
                output=run.outputs[key],
                measures=self._measures(place, run),
                scores={
                    judge: _said_of(key, table) for judge, table in self._scores[run.name].items()
                },
            )
            for run in self.evaluation.runs
            if key in run.outputs
        ]

    def comparisons(self, place: int) -> Sequence[JudgedPair]:
        """What judges said of the answers to an item beside each other."""
        return self._comparisons.get(str(self.items[place].id), ())

    def measure_all(self, go_on: Callable[[], bool]) -> None:
        """Measure all answers, as long as `go_on` says so; it is asked now and then."""
        for start in range(0, len(self.items), _CHUNK):
            if not go_on():
                return
            places = range(start, min(start + _CHUNK, len(self.items)))
            for run in self.evaluation.runs:
                chunk = [
                    (place, run.outputs[str(self.items[place].id)])
                    for place in places
                    if str(self.items[place].id) in run.outputs
                ]
                pairs = [(output, self.items[place]) for place, output in chunk]
                found = measure_run(pairs, self._preambles[run.name])
                for (place, _), measures in zip(chunk, found, strict=True):
                    self._note(place, run, measures)
            self.measured = places.stop

    def _measures(self, place: int, run: EvaluatedRun) -> OutputMeasures:
        item = self.items[place]
        known = self._measured.get((run.name, str(item.id)))
        if known is None:
            known = measure(run.outputs[str(item.id)], item, self._preambles[run.name])
            self._note(place, run, known)
        return known

    def _note(self, place: int, run: EvaluatedRun, measures: OutputMeasures) -> None:
        self._measured[run.name, str(measures.id)] = measures
        if measures.refuses:
            self._marks[place].add("refused")
        if any(answer.leak for answer in measures.answers):
            self._marks[place].add("leaked")

    def _text(self, item: Item) -> str:
        """What words are looked for in."""
        texts = [str(item.id), *item.turns]
        for run in self.evaluation.runs:
            if (output := run.outputs.get(str(item.id))) is not None:
                texts += [exchange.output for exchange in output.exchanges]
        return "\n".join(texts).casefold()

    def _known_marks(self, item: Item) -> set[Mark]:
        """What can be told without measuring."""
        key = str(item.id)
        answered = [run for run in self.evaluation.runs if key in run.outputs]
        marks: set[Mark] = set()
        if any(
            exchange.ending == "cut" for run in answered for exchange in run.outputs[key].exchanges
        ):
            marks.add("cut")
        said: dict[tuple[str, Aspect], list[float]] = {}
        for run in answered:
            for judge, table in self._scores[run.name].items():
                for aspect, scores in table.items():
                    score = scores.get(key)
                    if score is not None and score.score is not None:
                        said.setdefault((judge, aspect), []).append(score.score)
        if any(max(scores) - min(scores) >= APART for scores in said.values()):
            marks.add("apart")
        return marks


def open_browser(paths: Sequence[Path], items: ItemSet | None = None) -> Browser:
    """Read files of outputs and judgements, to be searched.

    Raises:
        UsageError: A file is named twice.
        EvaluateError: A file can't be read, is something else, or does not fit the others.
    """
    return Browser(read_evaluation(paths, items), known_preambles())


def _said_of(key: str, table: ScoreTable) -> dict[Aspect, AspectScore | None]:
    """The scores that a judge gave to one item."""
    return {aspect: scores[key] for aspect, scores in table.items() if key in scores}
