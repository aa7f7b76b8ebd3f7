"""The keys, as they are bound at this moment."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import ActiveBinding, Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static


class HelpScreen(ModalScreen[None]):
    """Lists the bindings of the screen below, by what they belong to."""

    BINDING_GROUP_TITLE = "Keys"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,f1,q,question_mark", "dismiss(None)", "Back", id="keys.back")
    ]

    def __init__(self, bindings: Sequence[ActiveBinding]) -> None:
        super().__init__()
        self._shown = bindings

    def compose(self) -> ComposeResult:
        """A title, the keys in groups, the way back."""
        with Vertical(classes="dialog"):
            yield Static("Keys", classes="dialog-title", markup=False)
            with VerticalScroll():
                yield Static(self._table(), markup=False)
            yield Static("Esc goes back", classes="dialog-keys", markup=False)

    def _table(self) -> Content:
        groups: dict[str, dict[str, list[str]]] = {}
        for active in self._shown:
            binding = active.binding
            if not binding.show and not binding.system and binding.action != "quit":
                continue
            if not binding.description:
                continue
            group = groups.setdefault(active.node.BINDING_GROUP_TITLE or "Everywhere", {})
            key = self.app.get_key_display(binding)
            keys = group.setdefault(binding.description, [])
            if key not in keys:
                keys.append(key)
        width = max(
            (len(", ".join(keys)) for group in groups.values() for keys in group.values()),
            default=0,
        )
        lines: list[Content] = []
        for title, group in groups.items():
            lines += [Content(), Content.styled(title, "bold $primary")]
            lines += [
                Content.assemble((", ".join(keys).ljust(width + 2), "bold $secondary"), what)
                for what, keys in group.items()
            ]
        return Content("\n").join(lines[1:])
