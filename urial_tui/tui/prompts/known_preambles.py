"""A cache of what is known of each preamble: files are read at once, costs and measures follow."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from urial_tui import paths
from urial_tui.evaluate.greedy import greedy_sampling
from urial_tui.evaluate.measure_store import kept_measures
from urial_tui.evaluate.measured_before import KeptMeasures, MeasuredBefore
from urial_tui.evaluate.own_texts import own_questions, own_references
from urial_tui.prompting.context import Context
from urial_tui.prompting.preamble_file import PreambleEntry, list_preambles
from urial_tui.settings import Settings
from urial_tui.tui.evaluate.job_queue import JobQueue
from urial_tui.tui.prompts.laboratory import Laboratory
from urial_tui.tui.prompts.preamble_list import BASE, PreambleList, PreambleRow
from urial_tui.tui.widgets.list_view import ListView


class KnownPreambles:
    """Fills the list, and completes its rows.

    Args:
        view: Has the list.
        laboratory: Counts, and has what is not saved.
        queue: While it measures, nothing is looked up.
        settings: The sampling and the longest answer, by which measures are told apart.
    """

    def __init__(
        self,
        view: ListView[PreambleList],
        laboratory: Laboratory,
        queue: JobQueue,
        settings: Settings,
    ) -> None:
        self._view = view
        self._laboratory = laboratory
        self._queue = queue
        self._settings = settings
        self._model: object | None = None
        """The one that the rows are counted with."""
        self.when_listed: Callable[[], object] = lambda: None
        self.when_known: Callable[[], object] = lambda: None

    def look(self) -> None:
        """Read the files again, then count and look up what is known of them."""
        self._view.work_alone("look", self._look)

    def follow_model(self) -> None:
        """Count again where another model is loaded: it counts otherwise."""
        if self._laboratory.model is not self._model and self._view.screen.is_current:
            self._model = self._laboratory.model
            for row in list(self._view.listed.rows):
                self.know(row.name, cost=None, kept=None)
            self.when_listed()
            self.look()

    def know(self, name: str, **values: object) -> None:
        """Show what is known of a preamble now (the fields of `PreambleRow`)."""
        row = next((row for row in self._view.listed.rows if row.name == name), None)
        if row is not None:
            self._view.listed.change(msgspec.structs.replace(row, **values))
            self.when_known()

    async def _look(self) -> None:
        self._model = self._laboratory.model
        entries = await self._view.read(list_preambles)
        if entries is None:
            return
        before = {row.name: row for row in self._view.listed.rows}
        self._view.listed.show([self._row(entry, before) for entry in self._with_drafts(entries)])
        self.when_listed()
        await self._count()
        await self._look_up()

    def _row(self, entry: PreambleEntry, before: dict[str, PreambleRow]) -> PreambleRow:
        """Make a row, with what is still known from the row before."""
        drafted = entry.name in self._laboratory.drafted()
        known = before.get(entry.name)
        if known is None or known.entry.preamble != entry.preamble:
            return PreambleRow(entry=entry, drafted=drafted)
        return msgspec.structs.replace(known, entry=entry, drafted=drafted)

    def _with_drafts(self, entries: Sequence[PreambleEntry]) -> list[PreambleEntry]:
        """The files, and those that are gone while something of them is not saved."""
        names = {entry.name for entry in entries}
        gone = [
            PreambleEntry(
                name=name,
                path=paths.user_prompts_dir() / f"{name}.toml",
                origin="user",
                error="Its file is gone; what was changed and not saved is kept.",
            )
            for name in self._laboratory.drafted()
            if name not in names
        ]
        return sorted([*entries, *gone], key=lambda entry: entry.name)

    async def _count(self) -> None:
        """Count and check each preamble."""
        for row in list(self._view.listed.rows):
            preamble = row.entry.preamble
            if preamble is None:
                continue
            findings = await self._laboratory.check(preamble, row.entry.path)
            cost = await self._laboratory.cost(preamble)
            if not self._view.alive:
                return
            self.know(row.name, findings=findings, cost=cost)

    async def _look_up(self) -> None:
        """Look up the measures with the loaded model."""
        # What is measured here is looked up when that is done.
        if self._queue.busy or self._laboratory.model is None or not self._view.alive:
            return
        contexts = _contexts(self._view.listed.rows)
        found = await self._view.in_thread(lambda: self._kept(contexts))
        if found is not None:
            for row in list(self._view.listed.rows):
                self.know(row.name, kept=found.get(row.name))

    def _kept(self, contexts: Sequence[Context]) -> dict[str, KeptMeasures]:
        """In a thread: what is kept of contexts."""
        model = self._laboratory.model
        path = paths.measures_file()
        if model is None or not path.exists():
            return {}
        before = MeasuredBefore(
            kept_measures(path),
            model,
            own_references(),
            own_questions(),
            sampling=greedy_sampling(self._settings),
            max_tokens=self._settings.chat.max_tokens,
        )
        return before.look_up(contexts)


def _contexts(rows: Sequence[PreambleRow]) -> list[Context]:
    """The preambles that can be measured, what they are compared with first."""
    found = [
        Context(name=row.name, preamble=row.entry.preamble)
        for row in rows
        if row.entry.preamble is not None
    ]
    return sorted(found, key=lambda context: context.name != BASE)
