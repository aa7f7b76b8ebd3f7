"""The list widget of evaluations: a row of two lines for each, and marks for some of them."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path

from textual.content import Content

from urial_tui.evaluate.job import JobState
from urial_tui.evaluate.shelf import Shelved
from urial_tui.sanitize import sanitize_line
from urial_tui.tui.widgets.row_list import RowList
from urial_tui.wording import age, amount


class EvaluationList(RowList[Shelved]):
    """A row for each evaluation; some may be marked."""

    def __init__(self, *, id: str | None = None) -> None:  # Textual's name
        super().__init__(id=id)
        self._going: Mapping[Path, JobState] = {}

    def key_of(self, row: Shelved) -> Path:
        """Its file."""
        return row.path

    def follow(self, going: Mapping[Path, JobState]) -> None:
        """Show how far those are that are being done, or wait for that; all others are still.

        Args:
            going: By their files.
        """
        before, self._going = self._going, going
        for place, row in enumerate(self.rows):
            if before.get(row.path) != going.get(row.path):
                self.draw_again(place)

    def line_of(self, row: Shelved) -> Content:
        """Its mark, its title and its counts; below, its set, its judges and its file."""
        width = max(20, self.scrollable_content_region.width - 4)
        right = count_of(row, self._going.get(row.path))
        left = Content.styled(sanitize_line(title_of(row)), "bold")
        changed = "  " + age(row.changed, time.time()).rjust(14)
        # Where there is little room it is the age that gives way, and not the name.
        if width - right.cell_length - len(changed) - 2 >= min(left.cell_length, width // 2):
            right = Content.assemble(right, (changed, "$quiet"))
        left = left.truncate(max(1, width - right.cell_length - 2), ellipsis=True)
        gap = " " * max(1, width - left.cell_length - right.cell_length)
        about = Content.styled(sanitize_line(_about(row)), "$quiet").truncate(width, ellipsis=True)
        return Content.assemble(self.mark_of(row), left, gap, right, "\n  ", about)


def title_of(row: Shelved) -> str:
    """What an evaluation is called."""
    if row.kind == "unknown":
        return row.path.name
    of = " against ".join(row.of) or row.path.stem
    return of if row.kind == "answers" else f"{of}: judged"


def count_of(row: Shelved, going: JobState | None) -> Content:
    """How many answers or judgements it has, of how many."""
    if going is not None:
        mark = "○" if going.stage == "waiting" else "● reading" if going.reading else "●"
        return Content.styled(f"{mark} {going.done:,} of {going.total:,}", "$primary")
    if row.kind == "unknown":
        return Content.styled("can't be read" if row.trouble else "unfinished", "$warning")
    done = f"{row.done:,}" if row.total is None else f"{row.done:,} of {row.total:,}"
    if not row.finished:
        return Content.styled(f"■ {done}", "$warning")
    if row.kind == "answers":
        return Content(done)
    lacking = row.done - row.scored
    return Content.assemble(done, (f", {lacking:,} unscored" if lacking else "", "$warning"))


def _about(row: Shelved) -> str:
    """The second line: its set, its judges and its file, or what is wrong with that."""
    if row.trouble:
        return trouble_of(row)
    parts = []
    if row.kind == "answers":
        parts.append(row.set_name or "a set that is not told")
        if row.judges or row.finished:
            judges = ", ".join(_judge(row, *each) for each in row.judges.items())
            parts.append(f"judged by {judges}" if judges else "not judged")
    elif row.kind != "unknown":
        parts.append(f"by {', '.join(row.judges)}")
        parts.append(amount(row.done, "judgement"))
        if row.about and not all(row.about.values()):
            parts.append("of answers that are not here")
    if not row.finished:
        parts.append("unfinished" if row.plan else "unfinished; what began it goes on")
    if row.plan_lost:
        parts.append("its plan can't be read")
    parts.append(row.path.name)
    return " · ".join(parts)


def _judge(row: Shelved, judge: str, items: int) -> str:
    """A judge of a run's answers, and to how many, where that is not all of them."""
    return judge if items >= row.done else f"{judge} ({items:,} of {row.done:,})"


def trouble_of(row: Shelved) -> str:
    """Why a file is unknown, in a sentence that names it without its directory."""
    where, name = sanitize_line(str(row.path)), sanitize_line(row.path.name)
    return row.trouble.replace(where, name)
