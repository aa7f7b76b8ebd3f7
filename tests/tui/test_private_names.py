"""What Textual does not promise and the application relies on is still there."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
from textual.app import App
from textual.driver import Driver
from textual.drivers import linux_driver

import urial_tui
from urial_tui.tui.frame.private_names import (
    ATTRIBUTES,
    METHODS,
    OVERRIDDEN,
    REPLACED,
    WriterThread,
)

TUI = Path(urial_tui.__file__).parent / "tui"


@pytest.mark.parametrize(
    ("owner", "name"),
    [(owner, name) for names in (OVERRIDDEN, METHODS) for owner in names for name in names[owner]],
)
def test_what_is_overridden_or_called_is_there(owner: type, name: str) -> None:
    assert hasattr(owner, name)


def test_what_is_looked_at_is_there() -> None:
    app: App[None] = App()
    assert [name for name in ATTRIBUTES[App] if not hasattr(app, name)] == []
    writer = WriterThread(open(__file__))  # noqa: SIM115, PTH123  # it is never started
    writer._file.close()
    assert [name for name in ATTRIBUTES[WriterThread] if not hasattr(writer, name)] == []
    # A driver needs a terminal to be made.
    assert set(ATTRIBUTES[Driver]) <= set(Driver.__init__.__code__.co_names)


def test_what_the_driver_takes_from_elsewhere_is_there() -> None:
    assert [name for name in REPLACED if not hasattr(linux_driver, name)] == []


def test_only_one_module_uses_what_is_private() -> None:
    private = {name for names in (ATTRIBUTES, METHODS) for owner in names for name in names[owner]}
    wrong = []
    for path in TUI.rglob("*.py"):
        if path.name == "private_names.py":
            continue
        source = path.read_text(encoding="utf-8")
        for node in ast.walk(ast.parse(source)):
            used = isinstance(node, ast.Attribute) and node.attr in private
            own = used and re.search(rf"self\.{node.attr}\b.* = ", source)  # type: ignore[attr-defined]
            if used and not own:
                wrong.append(f"{path.relative_to(TUI)}:{node.lineno}")  # type: ignore[attr-defined]
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("textual._"):
                wrong.append(f"{path.relative_to(TUI)}:{node.lineno}")
    assert wrong == []
