"""The dialog that chooses what answers: a list of models, a list of preambles, and details.

What is under the two bars is what would answer; Enter takes both. Nothing is loaded here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path, PurePath
from typing import ClassVar, Literal

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.dom import DOMNode
from textual.screen import ModalScreen
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from urial_tui import paths
from urial_tui.engine.wire.values import EngineOptions
from urial_tui.errors import ModelError
from urial_tui.models.registry import ModelStatus, list_models
from urial_tui.models.summary import ModelSummary, summarise
from urial_tui.prompting.preamble import Preamble, examples_in_words
from urial_tui.prompting.preamble_file import PreambleEntry, list_preambles
from urial_tui.runtime.writer import WriterChoice
from urial_tui.sanitize import sanitize_line, short_name
from urial_tui.tui.frame.keys import key_name
from urial_tui.tui.widgets.dialog import DialogKeys, DialogTitle
from urial_tui.tui.widgets.model_file import ModelFileField, ReadSummary, size
from urial_tui.wording import amount

ListName = Literal["models", "preambles"]
"""The two lists."""

Measured = Mapping[tuple[str, str], int]
"""Tokens of preambles that were evaluated, by model and preamble."""

_FILE = "a file …"


class ChooseScreen(ModalScreen[WriterChoice | None]):
    """A dialog of two lists, dismissed with the choice, or with None.

    Args:
        title: What is chosen, in a few words.
        choice: What it is now; added to the lists where it is in none.
        models: The models on this machine.
        preambles: The preambles there are, unsound ones too.
        look: Reads a model file.
        start: The directory whose files are shown.
        measured: The tokens of preambles, as far as they are known.
        focus: The list that gets the keys first.
    """

    CSS_PATH: ClassVar[list[str | PurePath]] = ["../frame/first_run.tcss", "choose.tcss"]
    BINDING_GROUP_TITLE = "Model and preamble"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left", "enter('models')", "Models", id="choose.models"),
        Binding("right", "enter('preambles')", "Preambles", id="choose.preambles"),
        Binding("escape", "dismiss(None)", "Back", id="choose.back"),
    ]

    def __init__(
        self,
        title: str,
        choice: WriterChoice,
        models: Sequence[ModelStatus],
        preambles: Sequence[PreambleEntry],
        *,
        look: ReadSummary,
        start: Path,
        measured: Measured,
        focus: ListName = "models",
    ) -> None:
        super().__init__()
        self._title = title
        self._choice = choice
        self._model = choice.model
        self._models = _with_model(choice, models)
        self._preambles = _with_preamble(choice, preambles)
        self._look = look
        self._start = start
        self._measured = measured
        self._first = focus

    def compose(self) -> ComposeResult:
        """What would be taken, the lists side by side, the details, the keys."""
        with Vertical(classes="dialog", id="choose"):
            yield Static(id="choose-title", classes="dialog-title", markup=False)
            with Horizontal(id="choose-lists"):
                yield OptionList(*self._model_rows(), id="models", markup=False)
                yield OptionList(
                    *(self._preamble_row(entry) for entry in self._preambles),
                    id="preambles",
                    markup=False,
                )
            yield Static(id="choose-detail", markup=False)
            yield DialogKeys(
                "Enter takes both · {choose.models} {choose.preambles} other list · "
                "{choose.back} back"
            )

    def on_mount(self) -> None:
        """Put the bars on what is in use."""
        names = [status.name for status in self._models]
        self.query_one("#models", OptionList).highlighted = names.index(self._choice.model)
        sound = [entry.preamble for entry in self._preambles]
        place = sound.index(self._choice.preamble)
        self.query_one("#preambles", OptionList).highlighted = place
        self.query_one(f"#{self._first}").focus()
        self._tell()

    def action_enter(self, name: ListName) -> None:
        """Go to the other list."""
        self.query_one(f"#{name}").focus()

    @on(OptionList.OptionHighlighted)
    def show_choice(self) -> None:
        """Show the details of what would be taken."""
        place = self.query_one("#models", OptionList).highlighted or 0
        if place < len(self._models):
            self._model = self._models[place].name
        self._tell()

    def on_descendant_focus(self) -> None:
        """Show the details of the list that has the focus."""
        self._tell()

    @on(OptionList.OptionSelected)
    async def take(self, event: OptionList.OptionSelected) -> None:
        """Dismiss the dialog with both, or open the one for files first."""
        if event.option_list.id == "models" and event.option_index == len(self._models):
            self._pick_file()
            return
        entry = self._entry
        if entry.preamble is None:
            self.notify(
                sanitize_line(f"The preamble {entry.name} can't be used."),
                severity="error",
                markup=False,
            )
            return
        self.dismiss(WriterChoice(model=self._model, preamble=entry.preamble))

    @work(exclusive=True, group="file")
    async def _pick_file(self) -> None:
        path = await self.app.push_screen_wait(PickFileScreen(self._start, self._look))
        if path is None:
            return
        name = str(path)
        if name not in [status.name for status in self._models]:
            self._models.append(_status_of(name))
        models = self.query_one("#models", OptionList)
        models.clear_options()
        models.add_options(self._model_rows())
        models.highlighted = [status.name for status in self._models].index(name)
        models.focus()

    # -- what is shown --------------------------------------------------------------

    @property
    def _entry(self) -> PreambleEntry:
        return self._preambles[self.query_one("#preambles", OptionList).highlighted or 0]

    def _model_rows(self) -> list[Option]:
        last = Option(Content.styled(f"  {_FILE}", "$quiet"))
        return [*map(self._model_row, self._models), last]

    def _model_row(self, status: ModelStatus) -> Option:
        entry = status.entry
        about = [entry.parameters if entry else "", size(status.size) if status.size else ""]
        return Option(
            Content.assemble(
                ("● " if status.name == self._choice.model else "  ", "$primary"),
                short_name(status.name),
                ("  " + " ".join(part for part in about if part), "$quiet"),
            )
        )

    def _preamble_row(self, entry: PreambleEntry) -> Option:
        preamble = entry.preamble
        about = "✖ unsound" if preamble is None else _examples(preamble)
        used = preamble == self._choice.preamble
        return Option(
            Content.assemble(
                ("● " if used else "  ", "$primary"),
                sanitize_line(entry.name),
                (f"  {about}", "$quiet" if preamble else "$error"),
            )
        )

    def _tell(self) -> None:
        self.query_one("#choose-title", Static).update(
            Content.assemble(
                f"{self._title}: ",
                (short_name(self._model), "not bold $foreground"),
                (" under ", "not bold $quiet"),
                (sanitize_line(self._entry.name), "not bold $foreground"),
            )
        )
        if self.query_one("#preambles").has_focus:
            self._show_detail(self._preamble_detail(self._entry))
            return
        place = self.query_one("#models", OptionList).highlighted or 0
        if place == len(self._models):
            self._show_detail(Content("Any GGUF file; it is looked at before it can be taken."))
        else:
            self._look_at(self._models[place])

    @work(exclusive=True, group="look")
    async def _show_detail(self, detail: Content) -> None:
        self.query_one("#choose-detail", Static).update(detail)

    @work(exclusive=True, group="look")
    async def _look_at(self, status: ModelStatus) -> None:
        """What the model is; then, as reading the file takes a moment, whether it fits."""
        shown = self.query_one("#choose-detail", Static)
        about = _model_detail(self, status)
        shown.update(about)
        if status.state != "disk":
            return
        try:
            summary = await asyncio.to_thread(self._look, status.place)
        except ModelError as error:
            verdict = Content.styled(f"✖ {sanitize_line(error.message)}", "$error")
        else:
            verdict = _verdict(summary)
        shown.update(Content.assemble(about, "\n", verdict))

    def _preamble_detail(self, entry: PreambleEntry) -> Content:
        preamble = entry.preamble
        if preamble is None:
            return Content.styled(f"✖ {sanitize_line(entry.error)}", "$error")
        tokens = self._measured.get((self._model, preamble.name))
        cost = [
            examples_in_words(preamble),
            f"{amount(tokens, 'token')} for {short_name(self._model)}" if tokens else "",
            "yours" if entry.origin == "user" else "",
        ]
        return Content.assemble(
            (sanitize_line(preamble.title), "bold"),
            (f"  {' · '.join(part for part in cost if part)}\n", "$quiet"),
            sanitize_line(preamble.description),
        )


def _examples(preamble: Preamble) -> str:
    retrieval = preamble.retrieval
    return f"K = {len(preamble.examples)}" if retrieval is None else f"K ≤ {retrieval.k}"


class PickFileScreen(ModalScreen[Path | None]):
    """A dialog for a path, dismissed with a sound model file, or with None.

    Args:
        start: The directory whose files are shown.
        look: Reads a model file.
    """

    CSS_PATH: ClassVar[list[str | PurePath]] = ["../frame/first_run.tcss", "choose.tcss"]
    BINDING_GROUP_TITLE = "Model file"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss(None)", "Back", id="file.back")
    ]

    def __init__(self, start: Path, look: ReadSummary) -> None:
        super().__init__()
        self._start = start
        self._look = look

    def compose(self) -> ComposeResult:
        """A title, the path with its tree, the keys."""
        with Vertical(classes="dialog", id="pick-file"):
            yield DialogTitle("A model file")
            yield ModelFileField(self._start, self._look)
            yield DialogKeys("Enter takes it · Tab to the tree · {file.back} back")

    @on(ModelFileField.Chosen)
    def take(self, event: ModelFileField.Chosen) -> None:
        """Dismiss the screen with the file."""
        self.dismiss(event.path)


def chooser(
    options: EngineOptions, measured: Measured
) -> Callable[[str, WriterChoice, ListName], ChooseScreen]:
    """Read this machine's models and preambles; a factory of the dialog with them.

    Raises:
        SettingsError: A catalogue is unsound.
        PreambleError: The user's directory of preambles can't be read.
    """
    models = [status for status in list_models() if status.state != "absent"]
    preambles = list_preambles()
    directory = paths.models_dir()
    start = directory if directory.is_dir() else paths.home()

    def make(title: str, choice: WriterChoice, focus: ListName) -> ChooseScreen:
        return ChooseScreen(
            title,
            choice,
            models,
            preambles,
            look=lambda path: summarise(path, options),
            start=start,
            measured=measured,
            focus=focus,
        )

    return make


def _with_model(choice: WriterChoice, models: Sequence[ModelStatus]) -> list[ModelStatus]:
    listed = list(models)
    if choice.model not in [status.name for status in listed]:
        listed.insert(0, _status_of(choice.model))
    return listed


def _status_of(name: str) -> ModelStatus:
    """The row of a model that is in no list: a path, or a model with an adapter."""
    place = paths.typed_path(name)
    try:
        return ModelStatus(name=name, state="disk", place=place, size=place.stat().st_size)
    except (OSError, ValueError):
        return ModelStatus(name=name, state="absent", place=place, size=0)


def _with_preamble(choice: WriterChoice, preambles: Sequence[PreambleEntry]) -> list[PreambleEntry]:
    """The preambles; the one in use as well, where its file was changed or is in no list."""
    listed = list(preambles)
    if choice.preamble not in [entry.preamble for entry in listed]:
        used = choice.preamble
        listed.insert(0, PreambleEntry(name=used.name, path=Path(), origin="user", preamble=used))
    return listed


def _model_detail(screen: DOMNode, status: ModelStatus) -> Content:
    entry = status.entry
    if entry is None:
        return Content.styled(sanitize_line(status.name), "bold")
    about = f"  {entry.role} · {sanitize_line(entry.parameters)} · {sanitize_line(entry.licence)}"
    hint = (
        "\nIt was tuned to its own chat template, so a preamble may suit it less than a base "
        f"model; the compare screen ({key_name(screen, 'chat.compare')}) shows it under its "
        "template."
        if entry.role == "aligned"
        else ""
    )
    return Content.assemble((sanitize_line(entry.title), "bold"), (about, "$quiet"), hint)


def _verdict(summary: ModelSummary) -> Content:
    """Whether a model fits into this machine."""
    if summary.warning:
        return Content.styled(f"▲ {sanitize_line(summary.warning)}", "$warning")
    free = "" if summary.available is None else f", {size(summary.available)} free"
    return Content.assemble(("✔ ", "$success"), f"needs {size(summary.memory)} of memory{free}")
