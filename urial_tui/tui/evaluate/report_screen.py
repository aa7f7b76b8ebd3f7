"""The screen of the report of evaluations, as tables."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePath
from typing import Any, ClassVar

from textual import work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.screen import Screen
from textual.widgets import Static

from urial_tui.errors import UrialError
from urial_tui.evaluate.evaluation import read_evaluation
from urial_tui.evaluate.report import report
from urial_tui.evaluate.report_html import write_html
from urial_tui.evaluate.report_tables import report_tables
from urial_tui.evaluate.shown_preamble import known_preambles
from urial_tui.runtime.in_thread import in_loop
from urial_tui.sanitize import sanitize_line
from urial_tui.tui.evaluate.report_lines import drawn, sentences
from urial_tui.tui.frame.ending import has_widgets
from urial_tui.tui.frame.keys import key_name
from urial_tui.tui.widgets.heading_line import HeadingLine
from urial_tui.tui.widgets.hint_line import HintLine
from urial_tui.tui.widgets.notice_line import NoticeLine
from urial_tui.wording import amount

_RUN_COLUMNS = 26
"""Columns that a run's figures take with their interval."""


class ReportScreen(Screen[None]):
    """A screen that reads the files and shows the tables of their report.

    Args:
        paths: Files of answers and of judgements.
        directory: Where the page for a browser is written.
    """

    CSS_PATH: ClassVar[list[str | PurePath]] = ["evaluate.tcss"]
    BINDING_GROUP_TITLE = "Report"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss", "Back", id="report.back"),
        Binding("w", "write", "Write a page for a browser", id="report.write"),
    ]

    def __init__(self, paths: Sequence[Path], directory: Path) -> None:
        super().__init__()
        self._paths = paths
        self._directory = directory
        self._document: dict[str, Any] | None = None

    def compose(self) -> ComposeResult:
        """A heading, the tables, what was done, the keys."""
        yield HeadingLine("Report", amount(len(self._paths), "file"))
        yield VerticalScroll(Static("Reading …", id="report-wait", markup=False), id="report")
        yield NoticeLine(id="report-notice")
        yield HintLine(id="report-hints")

    def on_mount(self) -> None:
        """Read the files."""
        self.query_one("#report").focus()
        self._show_keys()
        self._read()

    @work(exclusive=True, group="report")
    async def _read(self) -> None:
        tell = in_loop(self._tell_progress)

        def read() -> dict[str, Any]:
            evaluation = read_evaluation(self._paths)
            return report(evaluation, preambles=known_preambles(), progress=tell)

        try:
            document = await asyncio.to_thread(read)
        except UrialError as error:
            self._wait(Content.styled(f"✖ {sanitize_line(str(error))}", "$error"))
            return
        if not has_widgets(self):
            return
        self._document = document
        self._show_keys()
        await self._show(document)

    def _tell_progress(self, words: str) -> None:
        if has_widgets(self) and self._document is None:
            self._wait(Content(f"{words[:1].upper()}{words[1:]} …"))

    def _wait(self, words: Content) -> None:
        for line in self.query("#report-wait"):
            assert isinstance(line, Static)
            line.update(words)

    async def _show(self, document: Mapping[str, Any]) -> None:
        pane = self.query_one("#report", VerticalScroll)
        await pane.remove_children()
        at_once = max(1, (self.size.width - 20) // _RUN_COLUMNS)
        parts: list[Static] = []
        for table in report_tables(document, at_once=at_once):
            title = Content.styled(sanitize_line(table.title), "bold $primary")
            parts.append(Static(title, classes="report-title", markup=False))
            if table.above:
                parts.append(Static(sentences(table.above), markup=False))
            if table.rows:
                parts.append(Static(drawn(table), classes="report-table", markup=False))
            if table.below:
                parts.append(Static(sentences(table.below), markup=False))
        await pane.mount_all(parts)

    @work(exclusive=True, group="write")
    async def action_write(self) -> None:
        """Write the page, under a name of its own."""
        document = self._document
        if document is None:
            return
        path = _free(self._directory / f"report.{self._paths[0].stem}.html")
        notice = self.query_one(NoticeLine)
        try:
            await asyncio.to_thread(write_html, path, document)
        except UrialError as error:
            notice.say(Content.styled(f"✖ {sanitize_line(error.message)}", "$error"))
        else:
            notice.say(Content.assemble("Wrote ", (sanitize_line(str(path)), "bold"), "."))

    def _show_keys(self) -> None:
        keys = [("↑↓", "scroll")]
        if self._document is not None:
            keys.append((key_name(self, "report.write"), "page for a browser"))
        keys.append((key_name(self, "report.back"), "back"))
        self.query_one(HintLine).keys = tuple(keys)


def _free(path: Path) -> Path:
    """A path where no file is yet."""
    found, number = path, 1
    while os.path.lexists(found):
        number += 1
        found = path.with_name(f"{path.stem}-{number}{path.suffix}")
    return found
