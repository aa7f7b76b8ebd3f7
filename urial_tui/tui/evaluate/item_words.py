"""The texts of an item: what was asked, and columns with the answers and words on them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from textual.content import Content

from urial_tui.errors import UrialError
from urial_tui.evaluate.browsing import BrowsedAnswer, Browser, Mark
from urial_tui.evaluate.evaluation import JudgedPair
from urial_tui.evaluate.items import Item
from urial_tui.evaluate.judgements import Aspect, AspectScore
from urial_tui.evaluate.measures import AnswerMeasures
from urial_tui.evaluate.outputs import AnsweredTurn
from urial_tui.evaluate.scored import NOT_JUDGED
from urial_tui.sanitize import sanitize, sanitize_line
from urial_tui.tui.evaluate.answer_column import ColumnPart
from urial_tui.wording import amount, fixed, percent

SIGNS: Mapping[Mark, str] = {"cut": "✂", "refused": "⊘", "leaked": "↻", "apart": "≠"}
"""What stands for a mark in a row."""

_ENDINGS = {
    "end": "ended by itself",
    "stop": "at a stop string",
    "cut": "✂ cut at the length limit",
    "cancelled": "■ cancelled",
}


class Column(NamedTuple):
    """A title, and what stands below it."""

    title: Content
    parts: tuple[ColumnPart, ...]


class ItemView(NamedTuple):
    """An item as it is shown. `place`: among all items."""

    place: int
    asked: Content
    columns: tuple[Column, ...]


NOTHING = Content.assemble(
    ("No item has all of this.\n\n", "bold"),
    (
        "All words have to be in one item: its id, its question, or an answer. Fewer of them, or "
        "fewer filters, find more.",
        "$quiet",
    ),
)
"""Stands in place of the list where nothing was found."""


def how_many(browser: Browser, found: int) -> str:
    """How many items there are or were found, of how many runs, and what of them is not there."""
    total = len(browser.items)
    parts = [
        amount(total, "item") if found == total else f"{found:,} of {amount(total, 'item')}",
        amount(len(browser.evaluation.runs), "run"),
    ]
    if unmatched := sum(file.unmatched for file in browser.evaluation.files):
        parts.append(f"{amount(unmatched, 'judgement')} of other answers left out")
    if browser.measured < total:
        parts.append(f"measured {browser.measured:,}")
    return " · ".join(parts)


def failed(error: UrialError) -> Content:
    """What went wrong, and what helps."""
    return Content.assemble(
        (f"✖ {sanitize_line(error.message)}\n", "bold"), sanitize_line(error.hint)
    )


def view_of(browser: Browser, place: int) -> ItemView:
    """What is shown of an item: its runs' answers, a reference answer, and comparisons."""
    item = browser.items[place]
    columns = [_answered(answer) for answer in browser.answers(place)]
    if any(item.references):
        title = Content.styled("Reference answer", "bold $secondary")
        columns.append(Column(title, tuple(text for text in item.references if text)))
    if compared := browser.comparisons(place):
        title = Content.styled("Judged beside each other", "bold $secondary")
        parts = (part for one in compared for part in _compared(one))
        columns.append(Column(title, tuple(parts)))
    return ItemView(place, _asked(item), tuple(columns))


def _asked(item: Item) -> Content:
    facts = [f"id {item.id}", item.category, item.dataset, *item.task_types, *item.topics]
    turns = [sanitize(turn) for turn in item.turns]
    marks = ["You"] if len(turns) == 1 else [str(number) for number, _ in enumerate(turns, 1)]
    return Content("\n").join(
        [
            *(
                Content.assemble((f"{mark}  ", "bold $secondary"), turn)
                for mark, turn in zip(marks, turns, strict=True)
            ),
            Content.styled(" · ".join(sanitize_line(fact) for fact in facts if fact), "$quiet"),
        ]
    )


def _answered(answer: BrowsedAnswer) -> Column:
    parts: list[ColumnPart] = []
    exchanges = answer.output.exchanges
    for number, (exchange, measured) in enumerate(
        zip(exchanges, answer.measures.answers, strict=True), start=1
    ):
        if len(exchanges) > 1:
            mark = f"{'' if number == 1 else chr(10)}{number}"
            parts.append(Content.styled(mark, "bold $secondary"))
        parts.append(exchange.output)
        parts.append(Content.styled("\n" + " · ".join(_facts(exchange, measured)), "$quiet"))
        if measured.leak:
            leak = f"↻ repeats an example of the preamble: “{sanitize_line(measured.leak)}”"
            parts.append(Content.styled(leak, "$warning"))
    for judge, scores in answer.scores.items():
        if scores:
            parts += _scored(judge, scores)
    return Column(Content.styled(sanitize_line(answer.run), "bold $primary"), tuple(parts))


def _facts(exchange: AnsweredTurn, measured: AnswerMeasures) -> list[str]:
    facts = [_ENDINGS.get(exchange.ending, ""), amount(measured.words, "word")]
    if measured.tokens is not None:
        facts.append(amount(measured.tokens, "token"))
    if measured.refuses:
        facts.append("⊘ refuses")
    if measured.repeated:
        facts.append(f"{percent(measured.repeated, 0)} repeated")
    if measured.distinct_2 is not None:
        facts.append(f"distinct-2 {fixed(measured.distinct_2, 2)}")
    if measured.language is not None:
        other = ", not the question's" if measured.same_language is False else ""
        facts.append(f"{sanitize_line(measured.language)}{other}")
    if measured.bits_per_byte is not None:
        facts.append(f"{fixed(measured.bits_per_byte, 3)} bits per byte")
    if measured.shift is not None:
        facts.append(f"{percent(measured.shift)} shifted")
    return [fact for fact in facts if fact]


def _scored(judge: str, scores: Mapping[Aspect, AspectScore | None]) -> list[ColumnPart]:
    lines = [Content.assemble("\n", (f"By {sanitize_line(judge) or 'a judge'}", "bold $secondary"))]
    for aspect, score in scores.items():
        value = None if score is None else score.score
        lines.append(
            Content.assemble(
                f"{aspect}  ",
                (_no_score(score), "$warning") if value is None else (fixed(value, 2), "bold"),
            )
        )
        if score is not None and score.reason:
            lines.append(Content.styled(sanitize(score.reason), "$quiet"))
    return [Content("\n").join(lines)]


def _no_score(score: AspectScore | None) -> str:
    return f"no score: {NOT_JUDGED if score is None else score.unscored}"


def _compared(one: JudgedPair) -> Sequence[ColumnPart]:
    names = {"A": sanitize_line(one.first), "B": sanitize_line(one.second)}
    judge = sanitize_line(one.judgement.judge) or "a judge"
    lines = [
        Content.styled(f"By {judge}", "bold $secondary"),
        Content.styled(f"{names['A']} was shown before {names['B']}", "$quiet"),
    ]
    for aspect, said in one.judgement.preferences.items():
        if said.choice is None:
            what = Content.styled(f"no preference: {said.unscored}", "$warning")
        elif said.choice == "same":
            what = Content("as good")
        else:
            what = Content.assemble("prefers ", (names[said.choice], "bold"))
        lines.append(Content.assemble(f"{aspect}  ", what))
        if said.reason:
            lines.append(Content.styled(sanitize(said.reason), "$quiet"))
    return [Content("\n").join([*lines, Content()])]
