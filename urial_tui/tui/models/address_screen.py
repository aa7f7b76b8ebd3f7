"""The dialog for a model that is in no list: its repository, or an address."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import PurePath
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Input, Static

from urial_tui.errors import UrialError
from urial_tui.models.addresses import is_address, parse_address
from urial_tui.sanitize import sanitize_line
from urial_tui.tui.widgets.dialog import DialogKeys, DialogTitle
from urial_tui.tui.widgets.path_line import PathLine


class AddressScreen(ModalScreen[str | None]):
    """A dialog dismissed with an address that `pull` takes, or None. No host is asked.

    Args:
        draft: What stands there at first.
        keep: Gets what was typed by who goes back.
    """

    CSS_PATH: ClassVar[list[str | PurePath]] = ["../frame/first_run.tcss", "models.tcss"]
    BINDING_GROUP_TITLE = "Address of a model"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "back", "Back; what was typed is kept", id="model_address.back")
    ]

    def __init__(self, draft: str = "", keep: Callable[[str], object] = str) -> None:
        super().__init__()
        self._draft = draft
        self._keep = keep

    def compose(self) -> ComposeResult:
        """A title, the line, what is wrong with it, the keys."""
        with Vertical(classes="dialog", id="model-address"):
            yield DialogTitle("Download a model")
            yield PathLine(
                self._draft,
                placeholder="hf.co/OWNER/REPO, or https://…/FILE.gguf",
                id="model-address-line",
                classes="models-line",
            )
            yield Static(id="model-address-verdict", markup=False)
            yield DialogKeys("Enter goes on · {model_address.back} back")

    def on_mount(self) -> None:
        """Start typing."""
        self.query_one(PathLine).focus()

    def action_back(self) -> None:
        """Leave, and keep what was typed for the next time."""
        self._keep(self.query_one(PathLine).value)
        self.dismiss(None)

    @on(Input.Changed)
    def forget_verdict(self) -> None:
        """Clear the verdict: it was about what stood there before."""
        self.query_one("#model-address-verdict", Static).update("")

    @on(Input.Submitted)
    def take(self, event: Input.Submitted) -> None:
        """Dismiss with the address, if it is one."""
        event.stop()
        typed = event.value.strip()
        if not typed:
            return
        if not is_address(typed) and typed.count("/") == 1:
            # As the hub itself shows it.
            typed = f"hf.co/{typed}"
        try:
            parse_address(typed)
        except UrialError as error:
            self.query_one("#model-address-verdict", Static).update(
                Content.assemble(
                    (f"✖ {sanitize_line(error.message)} ", "$error"), sanitize_line(error.hint)
                )
            )
            return
        self.dismiss(typed)
