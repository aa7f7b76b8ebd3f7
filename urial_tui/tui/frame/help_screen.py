"""The help: all key bindings, as they are at this moment."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, NamedTuple

from textual import on
from textual.app import ComposeResult
from textual.binding import ActiveBinding, Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.events import Resize
from textual.screen import ModalScreen
from textual.widgets import Input, Static

from urial_tui.tui.frame.keys import shown
from urial_tui.tui.widgets.dialog import DialogKeys, DialogTitle

_WIDTH, _AROUND, _MIN_WIDTH = 112, 7, 24
"""The dialog's width in search.tcss, its border, padding and scroll bar, and the least."""
_KEY_COLUMN = 18


class HelpLine(NamedTuple):
    """An action, the keys that it has, and its id."""

    what: str
    keys: list[str]
    id: str


class HelpScreen(ModalScreen[None]):
    """A dialog with the bindings of the screen below, by what they belong to; typing filters."""

    CSS_PATH = "search.tcss"
    AUTO_FOCUS = "Input"
    BINDING_GROUP_TITLE = "Keys"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,f1", "dismiss(None)", "Back", id="keys.back"),
        Binding("up", "scroll(-1)", "Up", id="keys.up"),
        Binding("down", "scroll(1)", "Down", id="keys.down"),
        Binding("pageup", "page(-1)", "Page up", id="keys.page_up"),
        Binding("pagedown", "page(1)", "Page down", id="keys.page_down"),
    ]

    def __init__(self, bindings: Sequence[ActiveBinding]) -> None:
        super().__init__()
        self._groups = _groups(bindings)

    def compose(self) -> ComposeResult:
        """A title, the search, the keys in groups, the way back."""
        with Vertical(classes="dialog wide"):
            yield DialogTitle("Keys")
            yield Input(placeholder="Type to search", classes="search")
            with VerticalScroll(id="keys", can_focus=False):
                yield Static(id="keys-table", markup=False)
            yield DialogKeys(
                "{keys.back} goes back. At the right: the name for [keys] in settings.toml"
            )

    @on(Input.Changed)
    def search(self) -> None:
        """Filter the list by what was typed."""
        self._show()
        self.query_one("#keys", VerticalScroll).scroll_home(animate=False)

    def on_resize(self, event: Resize) -> None:
        """Lay the table out for another width."""
        self._show()

    def action_scroll(self, direction: int) -> None:
        """Scroll by a line."""
        self.query_one("#keys", VerticalScroll).scroll_relative(y=direction, animate=False)

    def action_page(self, direction: int) -> None:
        """Scroll by a page."""
        scrolled = self.query_one("#keys", VerticalScroll)
        scrolled.scroll_relative(y=direction * max(1, scrolled.size.height - 1), animate=False)

    def _show(self) -> None:
        sought = self.query_one(Input).value.strip().casefold()
        width = max(_MIN_WIDTH, min(_WIDTH, self.size.width * 94 // 100) - _AROUND)
        rows: list[Content] = []
        for title, group in self._groups.items():
            found = [line for line in group if sought in _text(title, line)]
            if found:
                rows += [Content(), Content.styled(title, "bold $primary")]
                rows += [row for line in found for row in _rows(line, width)]
        table = Content("\n").join(rows[1:]) if rows else Content("No action has this in it.")
        self.query_one("#keys-table", Static).update(table)


def _groups(bindings: Sequence[ActiveBinding]) -> dict[str, list[HelpLine]]:
    groups: dict[str, dict[str, HelpLine]] = {}
    for active in bindings:
        binding = active.binding
        hidden = not binding.show and not binding.system and binding.action != "quit"
        if hidden or not binding.description:
            continue
        group = groups.setdefault(active.node.BINDING_GROUP_TITLE or "Everywhere", {})
        line = group.setdefault(
            binding.id or binding.description, HelpLine(binding.description, [], binding.id or "")
        )
        key = binding.key_display or shown(binding.key)
        if key not in line.keys:
            line.keys.append(key)
    return {title: list(group.values()) for title, group in groups.items()}


def _text(title: str, line: HelpLine) -> str:
    """What a search looks through."""
    return "\n".join((title, line.what, *line.keys, line.id)).casefold()


def _rows(line: HelpLine, width: int) -> list[Content]:
    """The keys at the left, wrapped in their column; the id at the right, where there is room."""
    keys = [""]
    for number, key in enumerate(line.keys, 1):
        part = key + ("," if number < len(line.keys) else "")
        if keys[-1] and len(keys[-1]) + 1 + len(part) > _KEY_COLUMN - 2:
            keys.append("")
        keys[-1] = f"{keys[-1]} {part}".strip()
    room = width - _KEY_COLUMN
    right = [line.what.ljust(room - len(line.id)) if _fits(line, room) else line.what]
    ids = [line.id]
    if not _fits(line, room):
        right.append(" " * max(0, room - len(line.id)))
        ids.insert(0, "")
    return [
        Content.assemble(
            (_at(keys, number).ljust(_KEY_COLUMN), "bold $secondary"),
            _at(right, number),
            (_at(ids, number), "$quiet"),
        )
        for number in range(max(len(keys), len(right)))
    ]


def _fits(line: HelpLine, room: int) -> bool:
    return len(line.what) + 2 + len(line.id) <= room


def _at(texts: list[str], number: int) -> str:
    return texts[number] if number < len(texts) else ""
