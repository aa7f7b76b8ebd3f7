"""The dialog that chooses a side of a comparison: a model and a context."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Input, OptionList, Static
from textual.widgets.option_list import Option

from urial_tui.compare.side_choice import SideChoice
from urial_tui.sanitize import sanitize_line
from urial_tui.tui.widgets.dialog import DialogKeys


class PickSideScreen(ModalScreen[SideChoice | None]):
    """A dialog of two lists and a line for a path, dismissed with the choice, or None.

    Args:
        side: "base", "aligned" or "second", as it is told to the user.
        choice: What the side is now.
        models: Names of the models on this machine; that of `choice` is added.
        contexts: (name, what it is) of the contexts there are.
        note: A sentence about the side, under the title.
    """

    BINDING_GROUP_TITLE = "Side"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss(None)", "Back", id="side.back")
    ]

    def __init__(
        self,
        side: str,
        choice: SideChoice,
        models: Sequence[str],
        contexts: Sequence[tuple[str, str]],
        *,
        note: str = "",
    ) -> None:
        super().__init__()
        self._side = side
        self._note = note
        self._choice = choice
        self._model = choice.model
        self._models = list(models)
        if choice.model not in self._models:
            self._models.insert(0, choice.model)
        self._contexts = list(contexts)
        if choice.context not in [name for name, _ in self._contexts]:
            self._contexts.insert(0, (choice.context, ""))

    def compose(self) -> ComposeResult:
        """A title, the lists side by side, the path, the keys."""
        with Vertical(classes="dialog"):
            yield Static(id="side-title", classes="dialog-title", markup=False)
            if self._note:
                yield Static(sanitize_line(self._note), classes="side-note", markup=False)
            with Horizontal(classes="side-lists"):
                yield OptionList(
                    *(Option(Content(sanitize_line(name))) for name in self._models),
                    id="models",
                    markup=False,
                )
                yield OptionList(
                    *(Option(_described(name, what)) for name, what in self._contexts),
                    id="contexts",
                    markup=False,
                )
            yield Input(
                placeholder="or a path: FILE.gguf, or FILE.gguf+ADAPTER.gguf",
                id="path",
                classes="side-path",
            )
            yield DialogKeys("Enter takes the model, then the context; {side.back} goes back")

    def on_mount(self) -> None:
        """Start from what the side is now."""
        models = self.query_one("#models", OptionList)
        models.highlighted = self._models.index(self._choice.model)
        names = [name for name, _ in self._contexts]
        self.query_one("#contexts", OptionList).highlighted = names.index(self._choice.context)
        models.focus()
        self._tell()

    @on(OptionList.OptionHighlighted)
    def show_choice(self, event: OptionList.OptionHighlighted) -> None:
        """Show what would be taken: what is under the bars."""
        if event.option_list.id == "models" and event.option_list.has_focus:
            self._model = self._models[event.option_index]
        self._tell()

    @on(OptionList.OptionSelected, "#models")
    def take_model(self, event: OptionList.OptionSelected) -> None:
        """Go on to the context: the model is chosen."""
        self._model = self._models[event.option_index]
        self._tell()
        self.query_one("#contexts").focus()

    @on(Input.Submitted)
    def take_path(self, event: Input.Submitted) -> None:
        """Take a path as the model; whether it is one is found out when it is loaded."""
        path = event.value.strip()
        if path:
            self._model = path
            self._tell()
            self.query_one("#contexts").focus()

    @on(OptionList.OptionSelected, "#contexts")
    def take_context(self, event: OptionList.OptionSelected) -> None:
        """Dismiss the screen with the choice."""
        name, _ = self._contexts[event.option_index]
        kept = self._choice.preamble if name == self._choice.context else None
        self.dismiss(SideChoice(model=self._model, context=name, preamble=kept))

    def _tell(self) -> None:
        highlighted = self.query_one("#contexts", OptionList).highlighted
        context = self._contexts[highlighted or 0][0]
        self.query_one("#side-title", Static).update(
            Content.assemble(
                f"The {self._side} side: ",
                (sanitize_line(self._model), "not bold $foreground"),
                (" under ", "not bold $quiet"),
                (sanitize_line(context), "not bold $foreground"),
            )
        )


def _described(name: str, what: str) -> Content:
    return Content.assemble(
        sanitize_line(name), (f"  {sanitize_line(what)}" if what else "", "$quiet")
    )
