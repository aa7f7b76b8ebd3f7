"""The form of the program, held by reading the source: no circles, no towers, no giants."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

from tests.test_layers import MODULES, PACKAGE, ROOT, imports_in, module_name, report

MOST_METHODS = 25
"""Of its own, that a class of the application has."""
MOST_CLASSES = 2
"""Of ours, that a class of the application is made of by inheritance, itself counted."""

FILES = {module_name(path): path for path in MODULES if path.name != "__init__.py"}


def graph(late: bool) -> dict[str, set[str]]:
    """Which file imports which; `late`: also within functions and conditions."""
    return {name: set(_used(name, path, late)) - {name} for name, path in FILES.items()}


def _used(name: str, path: Path, late: bool) -> Iterator[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    if not late:
        tree.body = [node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
    for found in imports_in(tree, path):
        used = found.name.removeprefix(f"{PACKAGE}.")
        if used != found.name and used in FILES:
            yield used


def reached(uses: Mapping[str, set[str]], start: str) -> set[str]:
    """What a file leads to, by any number of steps."""
    seen, todo = set[str](), [start]
    while todo:
        for name in uses[todo.pop()] - seen:
            seen.add(name)
            todo.append(name)
    return seen


def circles(uses: Mapping[str, set[str]]) -> set[tuple[str, ...]]:
    """The groups of files of which each leads to all others."""
    leads = {name: reached(uses, name) for name in uses}
    return {
        tuple(sorted(other for other in leads[name] if name in leads[other]))
        for name in leads
        if name in leads[name]
    }


def test_a_circle_is_found() -> None:
    uses = {"a": {"b"}, "b": {"c"}, "c": {"b"}, "d": set[str]()}
    assert circles(uses) == {("b", "c")}


def test_no_files_import_each_other() -> None:
    try:
        list(TopologicalSorter(graph(late=False)).static_order())
    except CycleError as error:
        report("files that import each other", [" → ".join(error.args[1])])


def test_not_even_files_that_are_needed_late_do() -> None:
    report("files that need each other", [" → ".join(each) for each in circles(graph(late=True))])


# -- classes ---------------------------------------------------------------------------


class Found:
    """A class of the application: how many methods it has, and what of ours it is made of."""

    def __init__(self, path: Path, node: ast.ClassDef) -> None:
        self.place = f"{path.relative_to(ROOT)}:{node.lineno} {node.name}"
        functions = (
            each for each in node.body if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef)
        )
        # A property and its setter are one.
        self.methods = len({each.name for each in functions})
        plain = (base.value if isinstance(base, ast.Subscript) else base for base in node.bases)
        self.bases = [base.id for base in plain if isinstance(base, ast.Name)]


def classes() -> dict[str, Found]:
    """All classes of the application by their names."""
    return {
        node.name: Found(path, node)
        for path in MODULES
        if path.is_relative_to(ROOT / PACKAGE / "tui")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ClassDef)
    }


def height(name: str, known: Mapping[str, Found]) -> int:
    """How many classes of ours a class is made of, one on another."""
    bases = [base for base in known[name].bases if base in known and base != name]
    return 1 + max((height(base, known) for base in bases), default=0)


def test_no_class_of_the_application_has_too_many_methods() -> None:
    report(
        f"more than {MOST_METHODS} methods",
        [
            f"{found.place}: {found.methods}"
            for found in classes().values()
            if found.methods > MOST_METHODS
        ],
    )


def test_no_class_of_the_application_is_a_tower() -> None:
    known = classes()
    report(
        f"more than {MOST_CLASSES} classes one on another",
        [found.place for name, found in known.items() if height(name, known) > MOST_CLASSES],
    )


def test_only_the_application_itself_lies_outside_a_feature() -> None:
    loose = {path.name for path in (ROOT / PACKAGE / "tui").iterdir() if path.is_file()}
    assert loose == {"__init__.py", "app.py", "replay.py"}
