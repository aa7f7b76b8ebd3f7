"""The chat on a real worker with a tiny model: in this process, and in a terminal of its own."""

from __future__ import annotations

import contextlib
import os
import pty
import select
import signal
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from textual.pilot import Pilot
from textual.widgets import Markdown

from tests.conftest import workers
from tests.tui.conftest import PATIENCE, Found, Opened, shows, status, type_text, wait_until
from urial_tui import paths
from urial_tui.chat.store import Store
from urial_tui.chat.turns import TurnRecord
from urial_tui.engine.client import Engine
from urial_tui.prompting.preamble import find_preamble
from urial_tui.sanitize import sanitize
from urial_tui.settings import ChatSettings, EngineSettings, SamplingSettings, Settings
from urial_tui.tui.widgets.prompt import Prompt

SETTINGS = Settings(
    chat=ChatSettings(max_tokens=400),
    engine=EngineSettings(context=2048, threads=1),
    sampling=SamplingSettings(temperature=2.0, seed=1),
)


@pytest.fixture
def real(llama_gguf: Path) -> dict[str, object]:
    """The arguments that make the application a real one."""
    return {
        "engine_factory": Engine,
        "find_model": lambda name, progress: Found(path=llama_gguf),
        "preamble": find_preamble("zero-shot"),
        "settings": SETTINGS,
    }


async def ask(pilot: Pilot[None], text: str) -> None:
    await type_text(pilot, text)
    await pilot.press("enter")


async def test_what_is_shown_is_what_is_stored(
    opened: Opened, real: dict[str, object], store: Store
) -> None:
    async with opened(**real) as pilot:
        for question in ("one", "two"):
            await ask(pilot, question)
            await wait_until(pilot, lambda: answered(pilot, store))
        shown = [widget.source for widget in pilot.app.query(Markdown)]
        assert shown == [sanitize(t.text) for t in stored_turns(store) if t.role == "assistant"]
        assert any(shown)


async def test_a_killed_worker_is_told_and_loaded_again(
    opened: Opened, real: dict[str, object], store: Store, home: Path
) -> None:
    async with opened(**real) as pilot:
        (pid,) = workers(home)
        os.kill(pid, signal.SIGKILL)
        await ask(pilot, "one")
        await wait_until(pilot, lambda: shows(pilot, "it was ended by SIGKILL"))
        await pilot.press("ctrl+r")
        await wait_until(pilot, lambda: "ready" in status(pilot))
        await ask(pilot, "two")
        await wait_until(pilot, lambda: answered(pilot, store))
        assert [t.text for t in stored_turns(store) if t.role == "user"] == ["one", "two"]


async def test_a_damaged_model_is_a_banner(
    opened: Opened, real: dict[str, object], llama_gguf: Path, tmp_path: Path
) -> None:
    damaged = tmp_path / "damaged.gguf"
    damaged.write_bytes(llama_gguf.read_bytes()[:5000])
    real["find_model"] = lambda name, progress: Found(path=damaged)
    async with opened(ready=False, **real) as pilot:
        await wait_until(pilot, lambda: shows(pilot, "Choose a model"))
        await pilot.press("escape")
        await wait_until(pilot, lambda: shows(pilot, "✖") and shows(pilot, "Ctrl+R"))
        assert "no model" in status(pilot)


def answered(pilot: Pilot[None], store: Store) -> bool:
    """Whether every question that was sent has its whole answer, on the screen and on the disk."""
    turns = stored_turns(store)
    return (
        not pilot.app.screen.query_one(Prompt).text
        and "ready" in status(pilot)
        and bool(turns)
        and turns[-1].stop_reason is not None
    )


def stored_turns(store: Store) -> list[TurnRecord]:
    listed = store.conversations()
    return store.turns(listed[0].id) if listed else []


# -- a process in a terminal ------------------------------------------------------------


class Terminal:
    """The application in a pseudo-terminal, as `urial` opens it."""

    def __init__(self, model: Path) -> None:
        self.master, slave = pty.openpty()
        termios.tcsetwinsize(slave, (24, 80))
        self.before = termios.tcgetattr(slave)
        self.output = b""
        self._slave = slave
        code = "import sys; from urial_tui.tui.app import run; sys.exit(run(*sys.argv[1:]))"
        self.process = subprocess.Popen(
            [sys.executable, "-c", code, str(model), "zero-shot"],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            env=os.environ | {"TERM": "xterm-256color"},
            start_new_session=True,
        )

    def read_until(self, done: Callable[[], bool]) -> None:
        """Read what the application draws, so that it never waits for us."""
        deadline = time.monotonic() + 3 * PATIENCE
        while not done():
            assert time.monotonic() < deadline, self.output[-2000:]
            if select.select([self.master], [], [], 0.02)[0]:
                with contextlib.suppress(OSError):
                    self.output += os.read(self.master, 65536)

    def press(self, keys: bytes) -> None:
        os.write(self.master, keys)

    def wait(self) -> int:
        """The exit code, once it has ended."""
        self.read_until(lambda: self.process.poll() is not None)
        while select.select([self.master], [], [], 0)[0]:
            self.output += os.read(self.master, 65536)
        return self.process.returncode

    def restored(self) -> bool:
        """Whether modes are as they were, the cursor is shown and the screen is the usual one."""
        return (
            termios.tcgetattr(self._slave) == self.before
            and self.output.rfind(b"\x1b[?1049l") > self.output.rfind(b"\x1b[?1049h")
            and self.output.rfind(b"\x1b[?25h") > self.output.rfind(b"\x1b[?25l")
        )

    def close(self) -> None:
        for fd in (self.master, self._slave):
            with contextlib.suppress(OSError):
                os.close(fd)
        self.process.kill()
        self.process.wait()


@pytest.fixture
def terminal(llama_gguf: Path) -> Iterator[Terminal]:
    opened = Terminal(llama_gguf)
    opened.read_until(lambda: b"ready" in opened.output)
    yield opened
    opened.close()


def test_quitting_restores_the_terminal(terminal: Terminal) -> None:
    terminal.press(b"\x11")
    assert terminal.wait() == 0
    assert terminal.restored()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP], ids=lambda n: n.name)
def test_a_signal_ends_it_properly_and_keeps_the_question(
    terminal: Terminal, number: signal.Signals
) -> None:
    terminal.press(b"Kept\r")
    with Store(paths.database_file()) as store:
        terminal.read_until(lambda: bool(stored_turns(store)))
        terminal.process.send_signal(number)
        assert terminal.wait() == 128 + number
        assert terminal.restored()
        assert stored_turns(store)[0].text == "Kept"


def test_a_terminal_that_closes_ends_it(terminal: Terminal) -> None:
    os.close(terminal.master)
    os.close(terminal._slave)
    terminal.process.send_signal(signal.SIGHUP)
    assert terminal.process.wait(3 * PATIENCE) != 0


def test_the_worker_of_a_killed_application_goes(terminal: Terminal, home: Path) -> None:
    """The fixture around every test fails if the worker stays."""
    assert workers(home)
    terminal.process.kill()
    terminal.process.wait()


def test_without_a_terminal_it_says_so(tmp_path: Path) -> None:
    code = (
        "from urial_tui.errors import UsageError\n"
        "from urial_tui.tui.app import run\n"
        "try: run()\n"
        "except UsageError as error: print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], stdin=subprocess.DEVNULL, capture_output=True, text=True
    )
    assert done.stdout == (
        "The chat needs a terminal. In scripts and pipes, use `urial ask` instead.\n"
    )
