"""The application in a real terminal: what it takes, and how it leaves it, whatever ends it."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
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
from urial_tui.tui.chat.chat_screen import ChatScreen
from urial_tui.tui.widgets.prompt import Prompt
async def broken(): raise ZeroDivisionError("secret detail")
Prompt.action_newline = lambda self: self.run_worker(broken())
""",
}
"""Python by which Ctrl+J ends the application."""


SHELL = """
import fcntl, os, signal, subprocess, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
signal.signal(signal.SIGTTOU, signal.SIG_IGN)
make = "import subprocess, sys; subprocess.run(sys.argv[1:])"
job = subprocess.Popen([sys.executable, "-c", make, *sys.argv[1:]], process_group=0)
os.tcsetpgrp(0, job.pid)
print("make is", job.pid, flush=True)
job.wait()
os.tcsetpgrp(0, os.getpgrp())
signal.pause()
"""
"""Python that runs a command as a shell with job control runs `make`."""


def applications(home: Path) -> list[int]:
    """Ids of the running applications that were opened in `home`."""
    found = []
    for entry in Path("/proc").iterdir() if Path("/proc").is_dir() else ():
        with contextlib.suppress(OSError):
            if not entry.name.isdigit():
                continue
            _, _, code, *_ = [*(entry / "cmdline").read_bytes().split(b"\0"), b"", b"", b""]
            if (
                b"urial_tui.cli.main" in code
                and str(home).encode() in (entry / "environ").read_bytes()
            ):
                found.append(int(entry.name))
    return found


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
            assert terminal.wait() == 128 + number, terminal.left_behind
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
        assert terminal.process.wait(2 * PATIENCE) != 0

    def test_the_worker_of_a_killed_application_goes(self, terminal: Terminal, home: Path) -> None:
        """The fixture around every test fails if the worker stays."""
        assert workers(home)
        terminal.process.kill()
        terminal.process.wait()


BY_MAKE = ("sh", "-c", "trap '' HUP; \"$@\"; exit $?", "make")
"""Runs a command as `make` does, and does not end with the terminal."""

DEAF = """
import os, signal, time
from urial_tui.tui.widgets.prompt import Prompt
def deaf(self):
    os.write(1, b"deaf now")
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGHUP})
    while True: time.sleep(60)
Prompt.action_newline = deaf
from urial_tui.tui.frame import watchdog
watchdog.PATIENCE = 0.5
"""
"""Python by which Ctrl+J has the event loop hear nothing any more."""


class TestLosingTheTerminal:
    """However that happens, nothing of ours goes on, and what was written is stored."""

    @pytest.fixture
    def writing(self, endless_gguf: Path) -> Iterator[Callable[..., Terminal]]:
        """Open the application and have it write an answer that does not end by itself."""
        opened: list[Terminal] = []

        def write(before: str = "", through: tuple[str, ...] = BY_MAKE) -> Terminal:
            terminal = Terminal(endless_gguf, before, max_tokens=100_000, through=through)
            opened.append(terminal)
            terminal.read_until(lambda: b"ready" in terminal.output)
            terminal.press(b"Go on\r")
            with Store(paths.database_file()) as store:
                terminal.read_until(lambda: len(stored_turns(store)) == 2)
            return terminal

        yield write
        for terminal in opened:
            terminal.close()

    @staticmethod
    def check_all_ended(terminal: Terminal, home: Path) -> None:
        terminal.process.wait(2 * PATIENCE)
        deadline = time.monotonic() + PATIENCE
        while left := [*workers(home), *applications(home)]:
            assert time.monotonic() < deadline, left
            time.sleep(0.02)
        with Store(paths.database_file()) as store:
            question, answer = stored_turns(store)
        assert question.text == "Go on"
        assert answer.text

    @pytest.mark.parametrize("told", [True, False], ids=["SIGHUP", "no signal"])
    @pytest.mark.parametrize("through", [(), BY_MAKE], ids=["directly", "make"])
    def test_a_closed_window_ends_it(
        self,
        writing: Callable[..., Terminal],
        home: Path,
        through: tuple[str, ...],
        told: bool,
    ) -> None:
        terminal = writing(through=through)
        terminal.hang_up()
        if told:
            os.killpg(terminal.process.pid, signal.SIGHUP)
        self.check_all_ended(terminal, home)

    def test_also_while_the_event_loop_hears_nothing(
        self, writing: Callable[..., Terminal], home: Path
    ) -> None:
        terminal = writing(DEAF)
        terminal.press(CTRL_J)
        terminal.read_for(b"deaf now")
        terminal.hang_up()
        self.check_all_ended(terminal, home)

    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP], ids=lambda n: n.name)
    def test_a_signal_ends_it_where_nobody_reads_what_it_draws(
        self, writing: Callable[..., Terminal], home: Path, number: signal.Signals
    ) -> None:
        terminal = writing("from urial_tui.tui.frame import watchdog\nwatchdog.PATIENCE = 0.5", ())
        # The terminal takes a few thousand characters, and then whoever writes waits.
        time.sleep(1)
        terminal.process.send_signal(number)
        self.check_all_ended(terminal, home)

    def test_a_parent_that_dies_takes_it_along(
        self, writing: Callable[..., Terminal], home: Path
    ) -> None:
        """The shell has the terminal again: two programs would share it."""
        terminal = writing(through=(sys.executable, "-c", SHELL))
        os.kill(int(terminal.output.split(b"make is ")[1].split()[0]), signal.SIGKILL)
        terminal.read_until(lambda: not applications(home))
        terminal.process.kill()
        self.check_all_ended(terminal, home)
        assert b"\x1b[?1049l" in terminal.output


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
