"""The dialog that chooses what is run: models, or one of an endpoint; contexts, items."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from pathlib import PurePath
from typing import ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.suggester import SuggestFromList
from textual.widgets import Input, Static

from urial_tui.engine.wire.limits import MOST_PARALLEL
from urial_tui.engine.wire.values import MOST_SEEDS
from urial_tui.errors import UrialError
from urial_tui.evaluate.beginning import NewRuns
from urial_tui.evaluate.endpoint_address import AT_ONCE, LONGEST_URL
from urial_tui.evaluate.own_items import own_set_name
from urial_tui.evaluate.plan_file import Plan
from urial_tui.files import is_directory, is_file
from urial_tui.sanitize import sanitize_line
from urial_tui.tui.chat.choose import PickFileScreen
from urial_tui.tui.evaluate.asked_line import HEIGHTS, WIDTHS, asked
from urial_tui.tui.evaluate.mark_list import MarkList
from urial_tui.tui.evaluate.new_runs_words import lacking, summary
from urial_tui.tui.evaluate.number_line import NumberLine
from urial_tui.tui.widgets.dialog import DialogKeys, DialogTitle
from urial_tui.tui.widgets.path_line import PathLine, PathSuggester, typed_path

BeginRuns = Callable[[NewRuns], list[Plan]]
"""Writes the plans of runs; called in a thread, raises `UrialError`."""

_MOST_ITEMS, _MOST_TOKENS = 2**31, 1_000_000
_LONGEST_NAME = 200
"""Characters."""


class NewRunsScreen(ModalScreen[list[Plan] | None]):
    """A dialog dismissed with the plans of the runs, or None.

    Args:
        models: The names of the models there are.
        contexts: (name, what it is) of the contexts.
        model: The one that is marked at first; added where it is not among them.
        context: The same of the contexts.
        pick_file: Makes the screen that looks for another model.
        begin: Writes the plans.
    """

    CSS_PATH: ClassVar[list[str | PurePath]] = ["evaluate.tcss"]
    HORIZONTAL_BREAKPOINTS = [*WIDTHS]  # noqa: RUF012  # as Textual types it
    VERTICAL_BREAKPOINTS = [*HEIGHTS]  # noqa: RUF012
    BINDING_GROUP_TITLE = "New runs"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("f3", "pick_file", "Another model file", id="new_runs.file"),
        Binding("f1", "app.help", "Keys", id="new_runs.keys"),
        Binding("escape", "dismiss(None)", "Back", id="new_runs.back"),
    ]

    def __init__(
        self,
        models: Sequence[str],
        contexts: Sequence[tuple[str, str]],
        *,
        model: str,
        context: str,
        pick_file: Callable[[], PickFileScreen],
        begin: BeginRuns,
    ) -> None:
        super().__init__()
        self._models = list(dict.fromkeys([*models, model]))
        known = [name for name, _ in contexts]
        self._contexts = [*contexts, *([] if context in known else [(context, "preamble")])]
        self._model = model
        self._first_context = context
        self._pick_file = pick_file
        self._begin_runs = begin

    def compose(self) -> ComposeResult:
        """A title, the lists side by side, the lines, what is wrong, the keys."""
        with Vertical(classes="dialog", id="new-runs"):
            yield DialogTitle("New runs")
            with VerticalScroll(classes="evaluate-body", can_focus=False):
                with Horizontal(classes="evaluate-lists"):
                    models = [(name, "") for name in self._models]
                    yield MarkList(models, (self._model,), "run-models")
                    yield MarkList(self._sorted, (self._first_context,), "run-contexts")
                path_line = PathLine(
                    placeholder=f"{own_set_name()}, or a file",
                    suggester=PathSuggester(lambda path: is_directory(path) or is_file(path)),
                    id="run-items",
                    classes="evaluate-line",
                )
                with Horizontal(classes="evaluate-row"):
                    yield asked("Items", path_line)
                    yield asked("only the first", NumberLine(_MOST_ITEMS, "all", "run-limit"))
                parallel = NumberLine(MOST_PARALLEL, "what fits", "run-parallel")
                tokens = NumberLine(_MOST_TOKENS, "default", "run-tokens")
                with Horizontal(classes="evaluate-row"):
                    yield asked("Answers at once", parallel)
                    yield asked("longest, in tokens", tokens)
                aligned = PathLine(
                    placeholder="no aligned model",
                    suggester=SuggestFromList(self._models),
                    id="run-aligned",
                    classes="evaluate-line",
                )
                seed = NumberLine(MOST_SEEDS - 1, "of the settings, or drawn", "run-seed")
                with Horizontal(classes="evaluate-row"):
                    yield asked("Read by", aligned)
                    yield asked("seed", seed)
                endpoint = PathLine(
                    placeholder="no endpoint",
                    max_length=LONGEST_URL,
                    id="run-endpoint",
                    classes="evaluate-line",
                )
                name = PathLine(
                    placeholder="as it is called there",
                    max_length=_LONGEST_NAME,
                    id="run-there",
                    classes="evaluate-line",
                )
                with Horizontal(classes="evaluate-row"):
                    yield asked("Endpoint", endpoint)
                    yield asked("model", name)
            with Vertical(classes="evaluate-foot"):
                yield Static(id="new-runs-verdict", markup=False)
                yield DialogKeys(
                    "{new_runs.mark} marks · Tab next · {new_runs.file} another model · "
                    "{new_runs.begin} runs · {new_runs.keys} keys · {new_runs.back} back"
                )

    def on_mount(self) -> None:
        """The bars stand on what is marked."""
        models = self.query_one("#run-models", MarkList)
        models.highlighted = models.names.index(self._model)
        models.focus()
        self.query_one("#run-contexts", MarkList).highlighted = 0
        self._tell()

    @property
    def _sorted(self) -> list[tuple[str, str]]:
        """The contexts, that of the chat first."""
        return sorted(self._contexts, key=lambda one: one[0] != self._first_context)

    @on(MarkList.Changed)
    @on(Input.Changed)
    def tell_runs(self) -> None:
        """Tell how many runs that would be."""
        self._tell()

    @on(MarkList.Submitted)
    @on(Input.Submitted)
    def begin(self) -> None:
        """Dismiss with what is chosen, if it can be had."""
        new = self._chosen()
        wrong = lacking(new, self._typed("run-there"))
        if wrong is None:
            self._begin(new)
        else:
            where, told = wrong
            self.query_one(f"#{where}").focus()
            self._refuse(told)

    @work(exclusive=True, group="begin")
    async def _begin(self, new: NewRuns) -> None:
        try:
            plans = await asyncio.to_thread(self._begin_runs, new)
        except UrialError as error:
            self._refuse(error.message if new.engine is None else str(error))
        else:
            self.dismiss(plans)

    @work(exclusive=True, group="file")
    async def action_pick_file(self) -> None:
        """Look for a model that is in no list."""
        path = await self.app.push_screen_wait(self._pick_file())
        if path is None:
            return
        models = self.query_one("#run-models", MarkList)
        models.mark((*models.marked, str(path)))
        models.highlighted = models.names.index(str(path))
        models.focus()

    def _chosen(self) -> NewRuns:
        typed = typed_path(self._typed("run-items"))
        own = typed is None or self._typed("run-items") == own_set_name()
        endpoint, name = self._typed("run-endpoint"), self._typed("run-there")
        marked = self.query_one("#run-models", MarkList).marked
        return NewRuns(
            models=marked if not endpoint else (name,) if name else (),
            contexts=self.query_one("#run-contexts", MarkList).marked,
            items=None if own else typed,
            limit=self.query_one("#run-limit", NumberLine).number,
            parallel=self.query_one("#run-parallel", NumberLine).number,
            max_tokens=self.query_one("#run-tokens", NumberLine).number,
            seed=self.query_one("#run-seed", NumberLine).number,
            aligned=self._typed("run-aligned") or None,
            engine=endpoint or None,
        )

    def _typed(self, line: str) -> str:
        return self.query_one(f"#{line}", Input).value.strip()

    def _tell(self) -> None:
        new, models = self._chosen(), self.query_one("#run-models", MarkList)
        models.set_class(new.engine is not None, "-unused")
        most = "what fits" if new.engine is None else str(AT_ONCE)
        self.query_one("#run-parallel", NumberLine).placeholder = most
        self._say(Content.styled(summary(new, len(models.marked)), "$quiet"))

    def _refuse(self, told: str) -> None:
        self._say(Content.styled(f"✖ {sanitize_line(told)}", "$error"))

    def _say(self, verdict: Content) -> None:
        self.query_one("#new-runs-verdict", Static).update(verdict)
