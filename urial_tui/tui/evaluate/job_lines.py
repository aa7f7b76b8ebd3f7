"""Progress lines of jobs: a line with a bar for each, and what it does."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

from textual.content import Content

from urial_tui.evaluate.job import Job, JobState, News
from urial_tui.sanitize import sanitize_line
from urial_tui.wording import amount, started

_MARKS = {
    "waiting": ("○", "$quiet"),
    "going": ("●", "$primary"),
    "done": ("✔", "$success"),
    "stopped": ("■", "$warning"),
    "failed": ("✖", "$error"),
}
_BAR, _SHORT_BAR = 20, 10
"""Cells of a bar, and of one where there are fewer than `_WIDE` columns."""
_WIDE = 100
_SHOWN, _QUESTION_SHOWN = 280, 100
"""Characters of an answer that are shown, and of a question."""


def job_lines(job: Job, width: int) -> list[Content]:
    """The lines of a job.

    Args:
        job: It.
        width: Columns there are.
    """
    state = job.going.state
    stopping = job.going.cancelled and state.stage == "going"
    return [_headline(state, width), *_below(state, width, stopping=stopping)]


def _headline(state: JobState, width: int) -> Content:
    """A mark, what it is, a bar, a count."""
    mark, colour = _MARKS[state.stage]
    share = state.done / state.total if state.total else 0.0
    cells = _BAR if width >= _WIDE else _SHORT_BAR
    full = min(cells, int(share * cells))
    count = f"{state.done:,} of {state.total:,}" if state.total else ""
    right = Content.assemble(
        ("━" * full, "$primary"), ("─" * (cells - full), "$line"), f"  {count:>14}"
    )
    left = Content.assemble((mark, colour), " ", (sanitize_line(state.title), "bold"))
    room = width - right.cell_length - 2
    if room < _BAR:
        right, room = Content(f"  {count}"), width - len(count) - 2
    left = left.truncate(max(1, room), ellipsis=True)
    return Content.assemble(left, " " * max(0, room - left.cell_length + 2), right)


def _below(state: JobState, width: int, *, stopping: bool) -> Iterator[Content]:
    """The lines below a job's headline: its step, and notes on it."""
    if stopping:
        yield from _told("stopping; what is done is kept", width, "$quiet")
    elif state.stage == "stopped":
        yield from _told("stopped; what is done is kept", width, "$quiet")
    elif state.words:
        yield from _told(state.words, width, "$quiet")
    if state.error is not None:
        yield from _told(str(state.error), width, "$error")
    if state.skipped:
        more = f", and {len(state.skipped) - 1:,} more" if len(state.skipped) > 1 else ""
        lacking = f"{amount(len(state.skipped), state.unit)} can't be answered"
        yield from _told(f"{lacking}: {state.skipped[0]}{more}", width, "$warning")
    for note in state.notes:
        yield from _told(note, width, "$quiet")


def _told(text: str, width: int, style: str) -> Iterator[Content]:
    """A sentence below its job, in lines that stand under its name."""
    for line in textwrap.wrap(sanitize_line(text), max(20, width - 2)):
        yield Content.styled(f"  {line}", style)


def news_lines(job: Job | None, nothing: str = "") -> Content:
    """The newest answers or judgements of a job, the newest first; `nothing` before any came."""
    if job is None or not job.going.state.news:
        what = "judged" if job is not None and job.going.state.unit == "judgement" else "answered"
        return Content.styled(nothing or f"What is {what} appears here as it comes.", "$quiet")
    return Content("\n").join(map(_news, job.going.state.news))


def _news(one: News) -> Content:
    question = sanitize_line(started(one.question, _QUESTION_SHOWN))
    shown = sanitize_line(started(one.text, _SHOWN))
    return Content.assemble(
        (sanitize_line(one.id), "$primary"),
        (f"  {question}\n", "bold"),
        shown or "(empty)",
        (f"  {sanitize_line(one.ending)}" if one.ending else "", "$quiet"),
        "\n",
    )
