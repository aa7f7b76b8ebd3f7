"""Versions of the program, of Python, and of the libraries that it needs."""

from __future__ import annotations

import importlib.metadata
import platform
import re
import sys
from collections.abc import Callable, Iterator

from urial_tui import __version__
from urial_tui.doctor.finding import Fact

_NEEDED = (
    "llama-cpp-python", "gguf", "numpy", "textual", "msgspec", "click", "platformdirs", "jinja2",
    "tomlkit", "httpx", "huggingface-hub", "bm25s", "llguidance", "py3langid",
)  # fmt: skip
_REPAIR = "Install urial-tui again, with what it depends on."


def versions(version_of: Callable[[str], str] = importlib.metadata.version) -> Iterator[Fact]:
    """The versions that run here, and what is missing of the libraries.

    Args:
        version_of: The version of an installed package; raises `PackageNotFoundError`.
    """
    system = f"{platform.system()} {platform.release()} on {platform.machine()}"
    yield Fact(f"urial-tui {__version__}, Python {platform.python_version()}, {system}")
    if sys.version_info < (3, 11):  # noqa: UP036  # the environment may not be an installation
        yield Fact("Python is older than 3.11", "bad", "Install Python 3.11 or newer.")
    found, missing = [], []
    for name in _NEEDED:
        try:
            found.append(f"{name} {version_of(name)}")
        except importlib.metadata.PackageNotFoundError:
            missing.append(name)
    if found:
        yield Fact(", ".join(found))
    if missing:
        yield Fact(f"not installed: {', '.join(missing)}", "bad", _REPAIR)
    yield from _mismatch(version_of)


def _mismatch(version_of: Callable[[str], str]) -> Iterator[Fact]:
    """The engine is written against the structures of one version of the library."""
    try:
        needs = importlib.metadata.requires("urial-tui") or []
        has = version_of("llama-cpp-python")
    except importlib.metadata.PackageNotFoundError:
        return
    for need in needs:
        wanted = re.match(r"llama[-_]cpp[-_]python\s*\(?==\s*([\w.]+)", need)
        if wanted and has.partition("+")[0] != wanted[1]:
            yield Fact(
                f"llama-cpp-python is {has}, and has to be {wanted[1]}",
                "bad",
                f"Install llama-cpp-python {wanted[1]}.",
            )
