"""Style sheets of screens, which Textual applies to all screens once one of them was opened."""

from __future__ import annotations

import re
from collections import defaultdict
from pathlib import Path

import urial_tui.tui

ROOT = Path(urial_tui.tui.__file__).parent
SHARED = {"frame", "widgets", "drawing"}
"""Rooms whose styles are for every screen."""


def ids_of(sheet: Path) -> set[str]:
    """The ids that are named in a sheet's selectors."""
    text = re.sub(r"/\*.*?\*/", "", sheet.read_text(), flags=re.DOTALL)
    return {name for selector in re.findall(r"([^{};]+)\{", text) for name in _ids(selector)}


def _ids(selector: str) -> list[str]:
    return re.findall(r"#([A-Za-z][\w-]*)", selector)


def test_no_widget_is_styled_by_the_sheets_of_two_features() -> None:
    styled: defaultdict[str, set[str]] = defaultdict(set)
    for sheet in ROOT.rglob("*.tcss"):
        for name in ids_of(sheet):
            styled[name].add(sheet.relative_to(ROOT).parts[0])
    assert len(styled) > 50
    assert {name: rooms for name, rooms in styled.items() if len(rooms - SHARED) > 1} == {}
