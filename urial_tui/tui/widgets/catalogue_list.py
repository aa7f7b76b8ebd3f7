"""The catalogue as a table: what each model is, whether it is here, and how to get it."""

from __future__ import annotations

from collections.abc import Sequence

from textual import on
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.message import Message
from textual.widgets import DataTable, Static

from urial_tui.models.registry import ModelStatus, in_order
from urial_tui.sanitize import sanitize_line
from urial_tui.tui.frame.keys import key_name
from urial_tui.tui.widgets.model_file import size

_STATES = {"disk": "✔ yes", "package": "✔ package", "absent": "– no"}


class CatalogueList(Vertical):
    """A table with the details of the row under the cursor below it."""

    class Chosen(Message):
        """The user took a model that is on this machine."""

        def __init__(self, status: ModelStatus) -> None:
            super().__init__()
            self.status = status

    def __init__(self) -> None:
        super().__init__()
        self._models: list[ModelStatus] = []

    def compose(self) -> ComposeResult:
        """The table and the details."""
        table: DataTable[str] = DataTable(
            id="catalogue-table", cursor_type="row", zebra_stripes=False
        )
        for title, width in (("Model", 24), ("Role", 7), ("Size", 7), ("Licence", 18), ("Here", 9)):
            table.add_column(title, width=width)
        yield table
        yield Static(id="catalogue-detail", markup=False)

    def show(self, models: Sequence[ModelStatus]) -> None:
        """Fill the table: what is here comes first, otherwise by family and size."""
        self._models = in_order(models)
        table = self.query_one(DataTable)
        table.clear()
        for model in self._models:
            entry = model.entry
            cells = (
                model.name,
                entry.role if entry else "",
                size(model.size) if model.size else "",
                entry.licence if entry else "",
                _STATES[model.state],
            )
            table.add_row(*(Content(sanitize_line(cell)) for cell in cells))

    @on(DataTable.RowHighlighted)
    def tell(self, event: DataTable.RowHighlighted) -> None:
        """Show the details of a row."""
        told = detail(self._models[event.cursor_row], key_name(self, "model.models"))
        self.query_one("#catalogue-detail", Static).update(told)

    @on(DataTable.RowSelected)
    def take(self, event: DataTable.RowSelected) -> None:
        """Post the model as chosen, if it is on this machine."""
        model = self._models[event.cursor_row]
        if model.state == "absent":
            self.notify(f"{sanitize_line(model.name)} is not on this machine.", markup=False)
        else:
            self.post_message(self.Chosen(model))


def detail(model: ModelStatus, models_key: str) -> Content:
    """What the table has no room for, and how to get what is not here: `models_key` does it."""
    entry = model.entry
    title = model.name
    if entry:
        title = f"{entry.title} · {entry.parameters} · {entry.licence}, {entry.licence_url}"
    place = sanitize_line(str(model.place))
    if model.state == "disk":
        how = Content.assemble("Enter uses ", (place, "$secondary"), ".")
    elif model.state == "package":
        how = Content("Enter uses it; its package is installed and is unpacked once.")
    elif entry and entry.base:
        how = Content.assemble(
            "It is ",
            (sanitize_line(entry.base), "bold"),
            " with an adapter that is here already: that model has to come first.",
        )
    else:
        source = sanitize_line(entry.source_url) if entry else ""
        how = Content.assemble(
            (models_key, "bold $secondary"),
            " has the screen that downloads it. Or put its file there by hand (",
            (f"urial models show {sanitize_line(model.name)}", "bold"),
            " has the command):\nfrom ",
            (source, "$secondary"),
            "\nto   ",
            (place, "$secondary"),
        )
    return Content.assemble((sanitize_line(title), "bold"), "\n", how)
