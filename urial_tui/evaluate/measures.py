"""Measures of answers that need no judge: length, form, language, refusals, repetition, leaks.

Small judges are weak, so these come first. Each turn's answer is measured by itself; an item's
refusal and language are those of all its answers. What could not be measured is None, is counted as
missing, and is no part of any mean. Definitions and sources are in docs/evaluation.md.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Final, get_args

import msgspec

from urial_tui.evaluate.form import MarkdownForm, form_of
from urial_tui.evaluate.items import Category, Item
from urial_tui.evaluate.languages import language_of
from urial_tui.evaluate.leak import example_spans, leaked, spans_of
from urial_tui.evaluate.means import RESAMPLES, Mean, Share, mean_of, share_of
from urial_tui.evaluate.outputs import Ending, Output
from urial_tui.evaluate.refusal import refuses
from urial_tui.evaluate.words import Gram, count_words, distinct, repeated, words_of
from urial_tui.prompting.preamble import Preamble

REPEATED: Final = 4
"""Words of the spans whose repetition is counted."""


class AnswerMeasures(msgspec.Struct, frozen=True, kw_only=True):
    """The measures of one answer.

    ending          how it ended, "" where nobody told
    words           pieces between white space; characters of scripts without spaces
    tokens          None where nobody counted
    empty           it holds nothing but white space
    distinct_1, _2  different words, and pairs of words, over its words; None of none
    repeated        share of its 4-grams that stood in it before; None of fewer than 4 words
    refuses         by the rules of `refusal`
    language        ISO 639 code; None where it can't be told
    same_language   whether that is the question's; None where one of them can't be told
    form            its Markdown
    leak            the words of an example that it repeats, of the preamble or retrieved for its
                    question, "" for none; None where no example is known
    bits_per_byte   of the item's reference answer to this turn; None until a model has read it
    unshifted, marginal, shift
                    shares of its tokens that an aligned side takes for the best one, for the second
                    or third, and for none of these; None without one
    """

    ending: Ending
    words: int
    tokens: int | None
    empty: bool
    distinct_1: float | None
    distinct_2: float | None
    repeated: float | None
    refuses: bool
    language: str | None
    same_language: bool | None
    form: MarkdownForm
    leak: str | None
    bits_per_byte: float | None = None
    unshifted: float | None = None
    marginal: float | None = None
    shift: float | None = None


class OutputMeasures(msgspec.Struct, frozen=True, kw_only=True):
    """The answers to an item, one a turn. `refuses`: one of them does."""

    id: int | str
    category: Category
    answers: tuple[AnswerMeasures, ...]

    @property
    def refuses(self) -> bool:
        """Whether one of the answers refuses."""
        return any(answer.refuses for answer in self.answers)


class FormShares(msgspec.Struct, frozen=True, kw_only=True):
    """Shares of the answers that have at least one of each."""

    headings: Share
    lists: Share
    code_blocks: Share
    bold: Share


class RunMeasures(msgspec.Struct, frozen=True, kw_only=True):
    """The measures of all answers of a run.

    `endings`: how many answers ended in each way, "unknown" for those of which nobody told. The
    means of words, tokens and the like are over answers. `distinct_1`, `distinct_2` are the means
    over answers, `run_distinct_1` and `_2` those of all answers together. `refused` is over items,
    by category; in each a rate without items is left out. `same_language` and `leaked` are over
    answers. `languages`: answers in each, "unknown" for the rest.
    """

    items: int
    answers: int
    endings: dict[str, int]
    empty: Share
    words: Mean
    tokens: Mean
    distinct_1: Mean
    distinct_2: Mean
    run_distinct_1: float | None
    run_distinct_2: float | None
    repeated: Mean
    refused: dict[str, Share]
    same_language: Share
    languages: dict[str, int]
    form: FormShares
    leaked: Share
    bits_per_byte: Mean
    unshifted: Mean
    marginal: Mean
    shift: Mean


def measure(output: Output, item: Item, preamble: Preamble | None = None) -> OutputMeasures:
    """Measure the answers to an item.

    Args:
        output: What was answered.
        item: What was asked. Of the output itself only the questions that were really asked count,
            and its category is the item's.
        preamble: Of the context that it was answered in.
    """
    return _measured(output, item, spans_of(preamble))


def measure_run(
    outputs: Iterable[tuple[Output, Item]], preamble: Preamble | None = None
) -> list[OutputMeasures]:
    """Measure the answers of a run, in their order."""
    spans = spans_of(preamble)
    return [_measured(output, item, spans) for output, item in outputs]


def summarise(
    outputs: Sequence[Output],
    measures: Sequence[OutputMeasures],
    *,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> RunMeasures:
    """Aggregate the measures of a run.

    Args:
        outputs: What was measured.
        measures: The same ones' measures, in the same order.
        resamples: Draws of the intervals.
        seed: Of the draws.

    Raises:
        ValueError: These are not the same outputs.
    """
    if [output.id for output in outputs] != [measured.id for measured in measures]:
        raise ValueError("measures belong to their outputs")
    answers = [answer for measured in measures for answer in measured.answers]
    words = [words_of(exchange.output) for output in outputs for exchange in output.exchanges]

    def mean(name: str) -> Mean:
        values = [getattr(answer, name) for answer in answers]
        return mean_of(values, resamples=resamples, seed=seed)

    return RunMeasures(
        items=len(measures),
        answers=len(answers),
        endings=_endings(answers),
        empty=share_of([answer.empty for answer in answers]),
        words=mean("words"),
        tokens=mean("tokens"),
        distinct_1=mean("distinct_1"),
        distinct_2=mean("distinct_2"),
        run_distinct_1=distinct(words, 1),
        run_distinct_2=distinct(words, 2),
        repeated=mean("repeated"),
        refused=_refused(measures),
        same_language=share_of([answer.same_language for answer in answers]),
        languages=_languages(answers),
        form=FormShares(
            headings=share_of([answer.form.headings > 0 for answer in answers]),
            lists=share_of([answer.form.list_items > 0 for answer in answers]),
            code_blocks=share_of([answer.form.code_blocks > 0 for answer in answers]),
            bold=share_of([answer.form.bold > 0 for answer in answers]),
        ),
        leaked=share_of([None if answer.leak is None else bool(answer.leak) for answer in answers]),
        bits_per_byte=mean("bits_per_byte"),
        unshifted=mean("unshifted"),
        marginal=mean("marginal"),
        shift=mean("shift"),
    )


# -- one output ------------------------------------------------------------------------


def _measured(output: Output, item: Item, spans: frozenset[Gram]) -> OutputMeasures:
    answers: list[AnswerMeasures] = []
    said: list[str] = []
    for exchange in output.exchanges:
        said.append(exchange.instruction)
        words = words_of(exchange.output)
        shown = spans | example_spans(exchange.retrieved)
        language = language_of(exchange.output)
        asked_in = language_of(exchange.instruction)
        reference, aligned = exchange.reference, exchange.aligned
        answers.append(
            AnswerMeasures(
                ending=exchange.ending,
                words=count_words(exchange.output),
                tokens=exchange.tokens,
                empty=not exchange.output.strip(),
                distinct_1=distinct([words], 1),
                distinct_2=distinct([words], 2),
                repeated=repeated(words, REPEATED),
                refuses=refuses(exchange.output),
                language=language,
                same_language=language == asked_in if language and asked_in else None,
                form=form_of(exchange.output),
                leak=leaked(words, shown, (*item.turns, *said)) if shown else None,
                bits_per_byte=reference.bits_per_byte if reference else None,
                unshifted=aligned.share("unshifted") if aligned else None,
                marginal=aligned.share("marginal") if aligned else None,
                shift=aligned.share("shifted") if aligned else None,
            )
        )
        said.append(exchange.output)
    return OutputMeasures(id=output.id, category=item.category, answers=tuple(answers))


# -- a run -----------------------------------------------------------------------------


def _endings(answers: Sequence[AnswerMeasures]) -> dict[str, int]:
    counts = Counter(answer.ending for answer in answers)
    return {ending or "unknown": counts[ending] for ending in get_args(Ending)}


def _refused(measures: Sequence[OutputMeasures]) -> dict[str, Share]:
    shares = {
        category: share_of(
            [measured.refuses for measured in measures if measured.category == category]
        )
        for category in get_args(Category)
    }
    return {category: share for category, share in shares.items() if share.count}


def _languages(answers: Sequence[AnswerMeasures]) -> dict[str, int]:
    """Answers by language, the most frequent first, then by name."""
    counts = Counter(answer.language or "unknown" for answer in answers if not answer.empty)
    return dict(sorted(counts.items(), key=lambda each: (-each[1], each[0])))
