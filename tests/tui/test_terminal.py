"""The application in a real terminal: what it takes, and how it leaves it, whatever ends it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import workers
from tests.tui.conftest import PATIENCE
from tests.tui.terminals import Terminal
from urial_tui import paths
from urial_tui.chat.store import Store
from urial_tui.chat.turns import TurnRecord

CTRL_C, CTRL_J, CTRL_Q = b"\x03", b"\n", b"\x11"

BREAKING = {
    "a key": """
from urial_tui.tui.widgets.prompt import Prompt
def broken(self): raise ZeroDivisionError("secret detail")
Prompt.action_newline = broken
""",
    "a job": """
from urial_tui.tui.screens.chat import ChatScreen
from urial_tui.tui.widgets.prompt import Prompt
async def broken(): raise ZeroDivisionError("secret detail")
Prompt.action_newline = lambda self: self.run_worker(broken())
""",
    "the engine's thread": """
from urial_tui.tui.engine_thread import EngineThread
from urial_tui.tui.widgets.prompt import Prompt
def broken(engine): raise ZeroDivisionError("secret detail")
Prompt.action_newline = lambda self: self.screen.engine._give(broken)
""",
}
"""Python by which Ctrl+J ends the application."""


def stored_turns(store: Store) -> list[TurnRecord]:
    listed = store.conversations()
    return store.turns(listed[0].id) if listed else []


@pytest.fixture
def terminal(llama_gguf: Path) -> Iterator[Terminal]:
    opened = Terminal(llama_gguf)
    opened.read_until(lambda: b"ready" in opened.output)
    yield opened
    opened.close()


class TestLeaving:
    def test_quitting_restores_the_terminal(self, terminal: Terminal) -> None:
        terminal.press(CTRL_Q)
        assert terminal.wait() == 0
        terminal.check_restored()
        assert terminal.left_behind.split(b"\x1b[")[0] == b""

    @pytest.mark.parametrize(
        "number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP], ids=lambda n: n.name
    )
    def test_a_signal_ends_it_properly_and_keeps_the_question(
        self, terminal: Terminal, number: signal.Signals
    ) -> None:
        terminal.press(b"Kept\r")
        with Store(paths.database_file()) as store:
            terminal.read_until(lambda: bool(stored_turns(store)))
            terminal.process.send_signal(number)
            assert terminal.wait() == 128 + number
            terminal.check_restored()
            assert stored_turns(store)[0].text == "Kept"

    @pytest.mark.parametrize("what", BREAKING)
    def test_a_mistake_of_ours_is_one_sentence_and_a_log(self, llama_gguf: Path, what: str) -> None:
        terminal = Terminal(llama_gguf, BREAKING[what])
        try:
            terminal.read_until(lambda: b"ready" in terminal.output)
            terminal.press(CTRL_J)
            assert terminal.wait() == 1
            terminal.check_restored()
        finally:
            terminal.close()
        (log,) = paths.log_dir().glob("crash-*.log")
        assert "in broken" in log.read_text()
        told = terminal.left_behind.decode()
        assert f"Please report it with the log {log}." in told
        assert "Traceback" not in told
        assert told.count("\n") == 1

    def test_after_the_worker_was_killed(self, terminal: Terminal, home: Path) -> None:
        (pid,) = workers(home)
        os.kill(pid, signal.SIGKILL)
        terminal.read_for(b"SIGKILL")
        terminal.press(CTRL_Q)
        assert terminal.wait() == 0
        terminal.check_restored()

    def test_a_terminal_that_closes_ends_it(self, terminal: Terminal) -> None:
        terminal.hang_up()
        terminal.process.send_signal(signal.SIGHUP)
        assert terminal.process.wait(3 * PATIENCE) != 0

    def test_the_worker_of_a_killed_application_goes(self, terminal: Terminal, home: Path) -> None:
        """The fixture around every test fails if the worker stays."""
        assert workers(home)
        terminal.process.kill()
        terminal.process.wait()


class TestInput:
    def test_ctrl_c_ends_nothing_and_says_what_does(self, terminal: Terminal) -> None:
        terminal.press(b"half a question" + CTRL_C)
        terminal.read_for(b"Ctrl+Q quits")
        assert terminal.process.poll() is None
        terminal.press(CTRL_Q)
        assert terminal.wait() == 0

    def test_alt_and_a_letter_is_a_key_and_no_text(self, terminal: Terminal) -> None:
        terminal.press(b"\x1bu")
        terminal.read_for(b"There is nothing to undo.")
        terminal.press(b"\x1bxwell\r")
        with Store(paths.database_file()) as store:
            terminal.read_until(lambda: bool(stored_turns(store)))
            assert stored_turns(store)[0].text == "well"
        terminal.press(CTRL_Q)
        assert terminal.wait() == 0

    def test_bytes_that_are_no_text_do_no_harm(self, terminal: Terminal) -> None:
        terminal.press(b"caf\xe9 \xc3( \xff\x80 \x1b[M\xf0\xf1\xf2 done")
        terminal.read_for(b"done")
        terminal.press(CTRL_Q)
        assert terminal.wait() == 0
        terminal.check_restored()


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
