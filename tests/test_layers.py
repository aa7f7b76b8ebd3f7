"""The lines between the layers, held by reading the source: nothing here is imported.

    cli, tui → chat, compare, evaluate → runtime → engine.client → engine.wire

`prompting`, `models`, `settings`, `memory`, `paths`, `files`, `file_lock`, `journal`, `json_text`,
`question_file`, `page`, `http_answers`, `report_file`, `clipboards`, `errors`, `sanitize`, `shares`
and `wording` may be used by all.
"""

from __future__ import annotations

import ast
import re
import subprocess
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = "urial_tui"
MODULES = sorted((ROOT / PACKAGE).rglob("*.py"))

LEAVES = {
    "clipboards",
    "control_groups",
    "errors",
    "file_lock",
    "files",
    "http_answers",
    "journal",
    "memory",
    "paths",
    "sanitize",
    "settings",
    "shares",
    "prompting",
    "models",
    "wording",
    "processor",
    "json_text",
    "question_file",
    "page",
    "report_file",
    "engine.wire.commands",
    "engine.wire.events",
    "engine.wire.values",
    "engine.wire.limits",
    "engine.wire.server_address",
    "engine.wire.shift_class",
}
CALLS = {"engine.client.engine", "engine.client.model", "engine.client.call"}
WORK = {"chat", "compare", "evaluate", "benchmark", "runtime"}
RECORDED = {"engine.client.recording", "engine.client.replay"}
MAY_IMPORT = {
    "errors": {"sanitize"},
    "sanitize": set[str](),
    "clipboards": set[str](),
    "control_groups": set[str](),
    "memory": {"control_groups"},
    "http_answers": {"sanitize"},
    "shares": set[str](),
    "wording": set[str](),
    "interrupts": set[str](),
    "processor": set[str](),
    "json_text": {"sanitize"},
    "question_file": {"errors", "files", "json_text", "sanitize"},
    "page": set[str](),
    "report_file": {"paths", "errors", "files", "sanitize"},
    "paths": {"errors"},
    "mistakes": {"errors", "files", "paths"},
    "files": {"wording"},
    "file_lock": {"files"},
    "journal": {"file_lock", "files"},
    "settings": {
        *{"errors", "files", "paths", "sanitize"},
        *{"engine.wire.values", "engine.wire.server_address"},
    },
    "settings_file": {"errors", "files", "paths", "sanitize", "settings"},
    # Chat templates run in a process of their own, which speaks the same frames.
    "prompting": LEAVES | {"engine.wire.frames"},
    "models": LEAVES,
    "engine": {
        *{"control_groups", "errors", "files", "memory", "paths", "sanitize", "wording"},
        "engine",
    },
    "runtime": LEAVES | CALLS,
    "chat": LEAVES | WORK | CALLS,
    # The columns in which the worker's numbers travel.
    "compare": LEAVES | WORK | CALLS | {"engine.wire.scores"},
    "evaluate": LEAVES | WORK | CALLS,
    "benchmark": LEAVES | CALLS | {"runtime"},
    # It looks at all of this, and runs the engine's tiny model through the client.
    "doctor": LEAVES | CALLS | {"benchmark", "engine.preamble_store", "engine.self_test"},
    # Both edges also look after the files of the preamble cache.
    "cli": LEAVES
    | WORK
    | RECORDED
    | CALLS
    | {"engine.preamble_store", "cli", "doctor", "mistakes", "interrupts", "tui"},
    "tui": LEAVES
    | WORK
    | RECORDED
    | CALLS
    | {"engine.preamble_store", "mistakes", "settings_file", "tui"},
    "__main__": {"cli", "interrupts"},
    "__init__": set[str](),
}
"""For each part of the package, the parts that it may import, beside itself."""

CLIENT_SIDE = ("engine.client", "engine.wire")
"""Runs in the user's process, and must not pull in what belongs to the worker's."""

NETWORK = {
    "aiohttp", "ftplib", "http", "httpx", "httpx2", "huggingface_hub", "imaplib", "poplib",
    "requests", "smtplib", "socket", "socketserver", "ssl", "telnetlib", "urllib.request",
    "urllib3", "websockets", "xmlrpc",
}  # fmt: skip


MAY_CONNECT = {
    "models.clients",
    "models.connection",
    "models.remote",
    "models.user_token",
    "evaluate.endpoint",
    "engine.wire.server_probe",
}
"""What may: each when it is asked to, to the address that it was given.

`models.clients` makes what `models.connection` and `models.remote` send with: files that are
downloaded, and the header of a model that is inspected at an address. `user_token` has the hub's
own library look for a login, and sends nothing; `server_probe` greets the RPC servers that the
settings name."""


class Import(NamedTuple):
    """One imported module, by its full name, and where that stands."""

    name: str
    path: Path
    line: int

    @property
    def place(self) -> str:
        return f"{shown(self.path)}:{self.line}"


def shown(path: Path) -> str:
    return str(path.relative_to(ROOT)) if path.is_relative_to(ROOT) else path.name


def module_name(path: Path) -> str:
    """The name inside the package: `engine.client`; `engine` for its `__init__.py`."""
    parts = path.relative_to(ROOT / PACKAGE).with_suffix("").parts
    if len(parts) > 1 and parts[-1] == "__init__":
        parts = parts[:-1]
    return ".".join(parts)


@cache
def parsed(path: Path) -> ast.Module:
    """A file as it is read by all of these tests, which change nothing in it."""
    return ast.parse(path.read_text(encoding="utf-8"))


@cache
def imports(path: Path) -> tuple[Import, ...]:
    """Every module that a file imports, anywhere in it, also by `import_module("…")`."""
    return tuple(imports_in(parsed(path), path))


def imports_in(tree: ast.Module, path: Path) -> Iterator[Import]:
    """The same of a text that stands in for a file's.

    `from a import b` counts as `a` and as `a.b`, which may be a module as well.
    """
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=names):
                for alias in names:
                    yield Import(alias.name, path, node.lineno)
            case ast.ImportFrom(module=module, names=names, level=level):
                base = resolve(path, module or "", level)
                yield Import(base, path, node.lineno)
                for alias in names:
                    yield Import(f"{base}.{alias.name}", path, node.lineno)
            case ast.Call(
                func=ast.Name(id="__import__" | "import_module")
                | ast.Attribute(attr="import_module"),
                args=[ast.Constant(value=str() as name), *_],
            ):
                yield Import(name, path, node.lineno)


def resolve(path: Path, module: str, level: int) -> str:
    if not level:
        return module
    package = (PACKAGE, *path.relative_to(ROOT / PACKAGE).parts[:-1])
    base = package[: len(package) - level + 1]
    return ".".join((*base, module) if module else base)


KNOWN = frozenset(module_name(module) for module in MODULES)
"""The modules of this package, named without it."""


def within(name: str, parts: Iterable[str]) -> bool:
    """Whether a dotted name is one of `parts` or lies below one."""
    return any(name == part or name.startswith(f"{part}.") for part in parts)


def own_modules(path: Path) -> Iterator[Import]:
    """The imports of modules of this package that exist, named without the package."""
    for found in imports(path):
        name = found.name.removeprefix(f"{PACKAGE}.")
        if name != found.name and name in KNOWN:
            yield found._replace(name=name)


def report(rule: str, places: Iterable[str]) -> None:
    listed = sorted(set(places))
    assert not listed, f"{rule}:\n  " + "\n  ".join(listed)


# -- the reading itself ----------------------------------------------------------------

HERE = ROOT / PACKAGE / "chat" / "example.py"


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("import llama_cpp.llama_cpp as native", "llama_cpp.llama_cpp"),
        ("from llama_cpp import llama_cpp", "llama_cpp.llama_cpp"),
        ("def late():\n    import llama_cpp", "llama_cpp"),
        ("if TYPE_CHECKING:\n    from textual.app import App", "textual.app"),
        ("import importlib\nimportlib.import_module('llama_cpp')", "llama_cpp"),
        ("from importlib import import_module\nimport_module('llama_cpp')", "llama_cpp"),
        ("__import__('socket')", "socket"),
        ("from . import store", "urial_tui.chat.store"),
        ("from .store import Store", "urial_tui.chat.store"),
        ("from ..tui.app import UrialApp", "urial_tui.tui.app"),
        ("from urial_tui import tui", "urial_tui.tui"),
    ],
)
def test_no_way_of_importing_is_overlooked(source: str, name: str) -> None:
    assert name in {found.name for found in imports_in(ast.parse(source), HERE)}


def test_names_below_a_part_belong_to_it_and_longer_names_do_not() -> None:
    assert within("engine.client.Engine", {"engine.client"})
    assert not within("engine.clients", {"engine.client"})
    assert not within("httpcore", {"http"})


# -- the lines -------------------------------------------------------------------------


def test_only_the_native_room_imports_llama_cpp() -> None:
    report(
        "llama_cpp belongs to engine/native/",
        (
            found.place
            for path in MODULES
            if not within(module_name(path), {"engine.native"})
            for found in imports(path)
            if within(found.name, {"llama_cpp"})
        ),
    )


def test_only_the_tui_imports_textual() -> None:
    report(
        "textual belongs to tui/",
        (
            found.place
            for path in MODULES
            if not within(module_name(path), {"tui"})
            for found in imports(path)
            if within(found.name, {"textual"})
        ),
    )


def test_few_modules_open_connections() -> None:
    report(
        f"the network belongs to {', '.join(sorted(MAY_CONNECT))}",
        (
            f"{found.place} imports {found.name}"
            for path in MODULES
            if module_name(path) not in MAY_CONNECT
            for found in imports(path)
            if within(found.name, NETWORK)
        ),
    )


def test_what_checks_the_statistics_does_not_compute_them() -> None:
    report(
        "scipy and statsmodels are for the tests",
        (
            found.place
            for path in MODULES
            for found in imports(path)
            if within(found.name, {"scipy", "statsmodels", "pandas"})
        ),
    )


def test_every_part_of_the_package_has_its_place() -> None:
    parts = {module_name(path).partition(".")[0] for path in MODULES}
    report("say in MAY_IMPORT what these may import", parts - set(MAY_IMPORT))


def test_dependencies_point_one_way() -> None:
    wrong = []
    for path in MODULES:
        part = module_name(path).partition(".")[0]
        allowed = MAY_IMPORT.get(part, set()) | {part}
        wrong += [
            f"{found.place}: {part} imports {found.name}"
            for found in own_modules(path)
            # The package `engine` itself holds nothing; importing a module of it names both.
            if not within(found.name, allowed) and found.name != "engine"
        ]
    report("imports against the direction of the layers", wrong)


def test_the_rooms_of_the_engine_have_their_doors() -> None:
    doors = {
        "engine.wire": {"engine.wire"},
        "engine.client": {"engine.client", "engine.wire"},
        "engine.native": {"engine.native", "engine.wire"},
        "engine.worker": {"engine.worker", "engine.native", "engine.wire", "engine.preamble_store"},
    }
    wrong = []
    for path in MODULES:
        room = ".".join(module_name(path).split(".")[:2])
        wrong += [
            f"{found.place}: {room} imports {found.name}"
            for found in own_modules(path)
            if room in doors
            and within(found.name, {"engine"})
            and found.name != "engine"
            and not within(found.name, doors[room])
        ]
    report("rooms of the engine without a door between them", wrong)


def test_the_users_process_never_reaches_the_native_library() -> None:
    uses = {module_name(path): {found.name for found in own_modules(path)} for path in MODULES}
    wrong = []
    for start in uses:
        if within(start, {"engine"}) and not within(start, CLIENT_SIDE):
            continue
        seen, todo = set[str](), [(start, start)]
        while todo:
            name, trail = todo.pop()
            if within(name, {"engine.native"}):
                wrong.append(trail)
            if name not in seen:
                seen.add(name)
                todo += [(next_, f"{trail} → {next_}") for next_ in sorted(uses.get(name, set()))]
    report("these lead to engine.native outside the worker", wrong)


def test_what_all_screens_have_knows_no_feature() -> None:
    shared = {"tui.frame", "tui.drawing", "tui.widgets"}
    wrong = []
    for path in MODULES:
        if within(module_name(path), shared):
            wrong += [
                f"{found.place}: {found.name}"
                for found in own_modules(path)
                if within(found.name, {"tui"})
                and found.name != "tui"
                and not within(found.name, shared)
            ]
    report("tui/frame, tui/drawing and tui/widgets are below the features", wrong)


def test_the_tui_is_loaded_only_when_it_is_opened() -> None:
    """`urial ask` in a pipe does not pay for importing a UI toolkit."""
    wrong = []
    for path in MODULES:
        if within(module_name(path), {"cli", "__main__"}):
            top = [
                node for node in parsed(path).body if isinstance(node, ast.Import | ast.ImportFrom)
            ]
            wrong += [
                f"{shown(path)}: {found.name}"
                for found in imports_in(ast.Module([*top], []), path)
                if within(found.name, {f"{PACKAGE}.tui"})
            ]
    report("the command line imports tui/ at its top level", wrong)


# -- the form --------------------------------------------------------------------------


def test_every_module_says_what_it_is_for() -> None:
    report(
        "modules without a docstring",
        (f"{shown(path)}:1" for path in MODULES if not ast.get_docstring(parsed(path))),
    )


# Spelled in pieces, so that this file does not match itself.
_HOMES = "|".join(("ho" + "me", "Us" + "ers"))
_PLACES = re.compile(
    rf"(?<![\w.~*}}\])-])/(?:(?:{_HOMES})/[a-z]\w*|ro"
    + r"ot/|wo"
    + r"rk/|opt/l"
    + r"ab\b|tmp/d"
    + r"l\b)"
)
_HOSTS = re.compile("|".join(("py" + r"pi\.org", "pythonhos" + r"ted\.org", r"registry\.np" + "m")))


def tracked_files() -> list[Path]:
    if (ROOT / ".git").exists():
        command = ["git", "ls-files", "-z"]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
        names = [name for name in done.stdout.split("\0") if name]
        return [path for name in names if (path := ROOT / name).is_file()]
    folders = (PACKAGE, "tests", "tools", "docs", "prompts", "benchmarks")
    return [path for folder in folders for path in (ROOT / folder).rglob("*") if path.is_file()]


def test_no_file_knows_the_machine_it_was_written_on() -> None:
    wrong = []
    for path in tracked_files():
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
        except UnicodeDecodeError:
            continue
        for number, line in enumerate(lines, start=1):
            if found := _PLACES.search(line) or _HOSTS.search(line):
                wrong.append(f"{shown(path)}:{number}: {found.group()}")
    report("paths of a machine or hosts of a registry", wrong)


def test_paths_of_machines_are_told_from_other_text() -> None:
    for path in (
        "/ho" + "me/ada/x",
        '"/Us' + 'ers/ada"',
        "at /wo" + "rk/main",
        "/ro" + "ot/.cache",
    ):
        assert _PLACES.search(path), path
    for text in ("frame/work/x", "$HOME/work", "./work/", "~/work/", "/home directory"):
        assert not _PLACES.search(text), text
