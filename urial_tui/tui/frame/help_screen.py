"""The help: all key bindings, as they are at this moment."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import ClassVar, NamedTuple

from textual import on
from textual.app import ComposeResult
from textual.binding import ActiveBinding, Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.events import Resize
from textual.geometry import Size
from textual.message import Message
from textual.screen import ModalScreen
from textual.widget import Widget
from textual.widgets import Input

from urial_tui.tui.frame.keys import shown
from urial_tui.tui.widgets.dialog import DialogKeys, DialogTitle

_WIDE, _NARROW = 48, 30
"""From how many columns on an action's id is shown, and what keys do stands beside them."""
_KEY_COLUMN, _NARROW_KEY_COLUMN = 18, 14
_INDENT = 2
"""By how much what keys do is indented where it stands below them."""
_NONE = "No action has this in it."


class HelpLine(NamedTuple):
    """An action, the keys that it has, and its id."""

    what: str
    keys: list[str]
    id: str


class KeyTable(Widget):
    """The bindings in their groups, laid out for whatever width there is.

    Args:
        groups: Of each title.
    """

    DEFAULT_CSS = """
    KeyTable { height: auto; }
    """

    class Laid(Message):
        """The table has a width; `named` where the actions' ids stand in it."""

        def __init__(self, named: bool) -> None:
            super().__init__()
            self.named = named

    def __init__(self, groups: Mapping[str, Sequence[HelpLine]]) -> None:
        super().__init__()
        self._groups = groups
        self._sought = ""

    def search(self, sought: str) -> None:
        """Show only what has this in its keys, its words or its id."""
        self._sought = sought.strip().casefold()
        self.refresh(layout=True)

    def on_resize(self, event: Resize) -> None:
        """Tell what stands in it."""
        self.post_message(self.Laid(event.size.width >= _WIDE))

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        """Its lines at this width."""
        return len(self._lines(width))

    def render(self) -> Content:
        """The titles, and what belongs to each."""
        return Content("\n").join(self._lines(self.content_size.width))

    def _lines(self, width: int) -> list[Content]:
        rows: list[Content] = []
        for title, group in self._groups.items():
            found = [line for line in group if self._sought in _text(title, line)]
            if found:
                rows += [Content(), Content.styled(title, "bold $primary")]
                rows += [row for line in found for row in _rows(line, width)]
        return rows[1:] or [Content(line) for line in _wrapped(_NONE, width)]


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
                yield KeyTable(self._groups)
            yield DialogKeys("{keys.back} goes back.")

    @on(Input.Changed)
    def search(self) -> None:
        """Filter the list by what was typed."""
        self.query_one(KeyTable).search(self.query_one(Input).value)
        self.query_one("#keys", VerticalScroll).scroll_home(animate=False)

    @on(KeyTable.Laid)
    def tell_of_names(self, event: KeyTable.Laid) -> None:
        """Say what stands at the right, where it does."""
        names = " At the right: the name for [keys] in settings.toml" if event.named else ""
        self.query_one(DialogKeys).tell("{keys.back} goes back." + names)

    def action_scroll(self, direction: int) -> None:
        """Scroll by a line."""
        self.query_one("#keys", VerticalScroll).scroll_relative(y=direction, animate=False)

    def action_page(self, direction: int) -> None:
        """Scroll by a page."""
        scrolled = self.query_one("#keys", VerticalScroll)
        scrolled.scroll_relative(y=direction * max(1, scrolled.size.height - 1), animate=False)


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
    """The keys at the left, what they do beside them and the id at the right, as there is room.

    Narrower windows leave the ids out; in the narrowest, what keys do stands below them.
    """
    if width < _NARROW:
        return [
            *(Content.styled(keys, "bold $secondary") for keys in _wrapped_keys(line, width)),
            *(Content(" " * _INDENT + what) for what in _wrapped(line.what, width - _INDENT)),
        ]
    column = _KEY_COLUMN if width >= _WIDE else _NARROW_KEY_COLUMN
    keys, room = _wrapped_keys(line, column - 2), width - column
    right, ids = _wrapped(line.what, room), [""]
    if width >= _WIDE:
        if len(right) > 1 or len(line.what) + 2 + len(line.id) > room:
            right.append("")
        right[-1] = right[-1].ljust(room - len(line.id))
        ids = [""] * (len(right) - 1) + [line.id]
    return [
        Content.assemble(
            (_at(keys, number).ljust(column), "bold $secondary"),
            _at(right, number),
            (_at(ids, number), "$quiet"),
        )
        for number in range(max(len(keys), len(right)))
    ]


def _wrapped_keys(line: HelpLine, width: int) -> list[str]:
    """The keys with commas between them; one of two words stays on one line."""
    whole = ", ".join(key.replace(" ", "\N{NO-BREAK SPACE}") for key in line.keys)
    return [row.replace("\N{NO-BREAK SPACE}", " ") for row in _wrapped(whole, width)]


def _wrapped(text: str, width: int) -> list[str]:
    return textwrap.wrap(text, max(1, width), break_on_hyphens=False) or [""]


def _at(texts: list[str], number: int) -> str:
    return texts[number] if number < len(texts) else ""
