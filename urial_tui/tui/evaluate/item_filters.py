"""A filter bar for items, each filter with its key: what is looked for beside words."""

from __future__ import annotations

import msgspec
from textual.content import Content
from textual.reactive import reactive
from textual.widget import Widget

from urial_tui.evaluate.browsing import Mark, Wanted
from urial_tui.evaluate.items import Category
from urial_tui.tui.evaluate.item_words import SIGNS
from urial_tui.tui.frame.keys import key_name

_CATEGORIES: tuple[Category | None, ...] = (None, "safety", "regular")
_LABELS: dict[Mark, str] = {
    "cut": "cut",
    "refused": "refused",
    "leaked": "leaked",
    "apart": "scores apart",
}


class ItemFilters(Widget):
    """Holds the filters that are on; these are told by more than colour."""

    wanted: reactive[Wanted] = reactive(Wanted())

    def want(self, words: str) -> None:
        """Look for other words."""
        self.wanted = msgspec.structs.replace(self.wanted, words=words)

    def turn_category(self) -> None:
        """Look for items of another category."""
        at = _CATEGORIES.index(self.wanted.category) + 1
        category = _CATEGORIES[at % len(_CATEGORIES)]
        self.wanted = msgspec.structs.replace(self.wanted, category=category)

    def toggle(self, mark: Mark) -> None:
        """Look for items with a mark alone, or for others, too."""
        self.wanted = msgspec.structs.replace(self.wanted, marks=self.wanted.marks ^ {mark})

    def render(self) -> Content:
        """One line."""
        category = self.wanted.category
        parts = [self._filter("items.category", category or "all", category is not None)]
        for mark, label in _LABELS.items():
            told = f"{SIGNS[mark]} {label}"
            parts.append(self._filter(f"items.{mark}", told, mark in self.wanted.marks))
        return Content("  ").join(parts)

    def _filter(self, binding_id: str, label: str, chosen: bool) -> Content:
        shown = Content.styled(f"[{label}]", "bold $primary") if chosen else Content(label)
        return Content.assemble((f"{key_name(self, binding_id)} ", "bold $secondary"), shown)
