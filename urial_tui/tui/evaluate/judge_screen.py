"""The dialog that chooses the judge."""

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
from textual.widgets import Input, OptionList, Static
from textual.widgets.option_list import Option

from urial_tui.engine.wire.limits import MOST_PARALLEL
from urial_tui.errors import UrialError
from urial_tui.evaluate.beginning import NewJudging
from urial_tui.evaluate.plan_file import Plan
from urial_tui.sanitize import sanitize_line, short_name
from urial_tui.tui.chat.choose import PickFileScreen
from urial_tui.tui.evaluate.asked_line import HEIGHTS, WIDTHS, asked
from urial_tui.tui.evaluate.new_runs_words import lacks_address
from urial_tui.tui.evaluate.number_line import NumberLine
from urial_tui.tui.widgets.dialog import DialogKeys, DialogTitle
from urial_tui.tui.widgets.path_line import PathLine

BeginJudging = Callable[[NewJudging], Plan]
"""Writes the plan of a judging; called in a thread, raises `UrialError`."""

_MOST_ITEMS = 2**31


class JudgeScreen(ModalScreen[Plan | None]):
    """A dialog dismissed with the plan of the judging, or None.

    Args:
        what: What is judged, in a few words.
        about: What comes of that, in a sentence.
        models: The names of the models there are.
        pick_file: Makes the screen that looks for another model.
        begin: Writes the plan.
    """

    CSS_PATH: ClassVar[list[str | PurePath]] = ["evaluate.tcss"]
    HORIZONTAL_BREAKPOINTS = [*WIDTHS]  # noqa: RUF012  # as Textual types it
    VERTICAL_BREAKPOINTS = [*HEIGHTS]  # noqa: RUF012
    BINDING_GROUP_TITLE = "Judge"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("f3", "pick_file", "Another model file", id="judge.file"),
        Binding("f1", "app.help", "Keys", id="judge.keys"),
        Binding("escape", "dismiss(None)", "Back", id="judge.back"),
    ]

    def __init__(
        self,
        what: str,
        about: str,
        models: Sequence[str],
        *,
        pick_file: Callable[[], PickFileScreen],
        begin: BeginJudging,
    ) -> None:
        super().__init__()
        self._what = what
        self._about = about
        self._models = list(models)
        self._pick_file = pick_file
        self._begin_judging = begin

    def compose(self) -> ComposeResult:
        """What is judged, the models, the lines, what is wrong, the keys."""
        with Vertical(classes="dialog", id="pick-judge"):
            yield DialogTitle("Judge ", self._what)
            with VerticalScroll(classes="evaluate-body", can_focus=False):
                yield Static(sanitize_line(self._about), classes="evaluate-note", markup=False)
                yield OptionList(
                    *(Option(Content(short_name(name))) for name in self._models),
                    id="judges",
                    markup=False,
                )
                with Horizontal(classes="evaluate-row"):
                    yield asked("Only the first", NumberLine(_MOST_ITEMS, "all", "judge-limit"))
                    yield asked("at once", NumberLine(MOST_PARALLEL, "what fits", "judge-parallel"))
                endpoint = PathLine(
                    placeholder="none: a model above", id="judge-endpoint", classes="evaluate-line"
                )
                name = PathLine(
                    placeholder="as it is called there", id="judge-there", classes="evaluate-line"
                )
                with Horizontal(classes="evaluate-row"):
                    yield asked("Endpoint", endpoint)
                    yield asked("model", name)
            with Vertical(classes="evaluate-foot"):
                yield Static(id="judge-verdict", markup=False)
                yield DialogKeys(
                    "Enter has it judge · Tab next · {judge.file} another model · "
                    "{judge.keys} keys · {judge.back} back"
                )

    def on_mount(self) -> None:
        """Start with the models."""
        self.query_one("#judges").focus()

    @on(OptionList.OptionSelected)
    @on(Input.Submitted)
    def begin(self) -> None:
        """Dismiss with what is chosen, if it can be had."""
        endpoint = self.query_one("#judge-endpoint", Input).value.strip()
        there = self.query_one("#judge-there", Input).value.strip()
        if endpoint and there:
            self._begin(there, endpoint)
        elif endpoint:
            self._say("Name the model as the endpoint calls it.")
            self.query_one("#judge-there").focus()
        elif there:
            self._say(lacks_address(there))
            self.query_one("#judge-endpoint").focus()
        else:
            self._begin_here()

    def _begin_here(self) -> None:
        """Have the model under the bar judge."""
        place = self.query_one("#judges", OptionList).highlighted
        if place is not None and place < len(self._models):
            self._begin(self._models[place])

    @work(exclusive=True, group="begin")
    async def _begin(self, judge: str, endpoint: str | None = None) -> None:
        new = NewJudging(
            judge=judge,
            endpoint=endpoint,
            limit=self.query_one("#judge-limit", NumberLine).number,
            parallel=self.query_one("#judge-parallel", NumberLine).number,
        )
        try:
            plan = await asyncio.to_thread(self._begin_judging, new)
        except UrialError as error:
            self._say(str(error))
        else:
            self.dismiss(plan)

    def _say(self, trouble: str) -> None:
        verdict = Content.styled(f"✖ {sanitize_line(trouble)}", "$error")
        self.query_one("#judge-verdict", Static).update(verdict)

    @work(exclusive=True, group="file")
    async def action_pick_file(self) -> None:
        """Look for a model that is in no list."""
        path = await self.app.push_screen_wait(self._pick_file())
        if path is None:
            return
        judges = self.query_one("#judges", OptionList)
        if str(path) not in self._models:
            self._models.append(str(path))
            judges.add_option(Option(Content(short_name(str(path)))))
        judges.highlighted = self._models.index(str(path))
        judges.focus()
