"""What the screen costs while an answer is written: `python -m benchmarks.screen --help`.

The real application runs in a real pseudo-terminal. An answer of Markdown comes at a given
rate, from a recording (`benchmarks.screen_app`) or from a real model; meanwhile characters are
typed at random moments. Measured are the processor time of the application's own process, the
time from a key to its echo in the terminal's output, what is sent to the terminal, and the
time from the key that opens a long stored conversation to the sight of its last turn.

Each typed character is one that no answer holds, and is typed once, so its first appearance in
the output is its echo, whatever is drawn around it.
"""

from __future__ import annotations

import argparse
import fcntl
import json
import os
import pty
import random
import select
import signal
import statistics
import struct
import sys
import tempfile
import termios
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec

from benchmarks.screen_app import CHARACTERS, TEXTS, written
from urial_tui.chat.store import Store
from urial_tui.chat.turns import ConversationRecord, TurnRecord, WholeConversation, new_id
from urial_tui.engine.native.threads import physical_cores
from urial_tui.models.registry import resolve

SIZES = ((80, 24), (120, 40))
ECHOES = [chr(code) for code in (*range(0x100, 0x130), *range(0x134, 0x17F))]
KEYS_EVERY = 0.25
"""Seconds between two keys, on average."""
PATIENCE = 60.0
"""Seconds after which what was waited for is not going to happen."""
LAST = "the-very-last-turn"

CPU_TARGET = 10.0
ECHO_TARGET = 50.0
OPEN_TARGET = 1.0


class Writing(msgspec.Struct, frozen=True, kw_only=True):
    """An answer that was written on the screen.

    `cpu`: percent of one core that the application's process took. `echo_*`: milliseconds.
    `output`: bytes a second to the terminal. `tokens_per_s`: 0 where it was not told.
    """

    text: str
    columns: int
    rows: int
    tokens_per_s: float
    seconds: float
    cpu: float
    echo_p50: float
    echo_p95: float
    echo_max: float
    keys: int
    output: float

    @property
    def passes(self) -> bool:
        """Whether both targets are met."""
        return self.cpu < CPU_TARGET and self.echo_p95 < ECHO_TARGET


class Opening(msgspec.Struct, frozen=True, kw_only=True):
    """A stored conversation that was opened: seconds from the key to its last turn."""

    exchanges: int
    columns: int
    rows: int
    seconds: tuple[float, ...]

    @property
    def median(self) -> float:
        """Of the openings."""
        return statistics.median(self.seconds)

    @property
    def passes(self) -> bool:
        """Whether the target is met."""
        return self.median < OPEN_TARGET


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """The document that `--json` writes."""

    cores: int
    load_average: float
    writings: tuple[Writing, ...]
    openings: tuple[Opening, ...]

    @property
    def passes(self) -> bool:
        """Whether every target is met."""
        writings = all(writing.passes for writing in self.writings)
        return writings and all(opening.passes for opening in self.openings)


ENDS = ("ready", "stopped")
"""What the status line says when an answer is over."""


class Terminal:
    """A program in a pseudo-terminal, and what it has written there.

    Args:
        command: What runs.
        size: Columns and rows.
        environment: Added to this process's.
    """

    def __init__(
        self, command: Sequence[str], size: tuple[int, int], environment: dict[str, str]
    ) -> None:
        self.output = bytearray()
        self.pid, self._file = pty.fork()
        if self.pid == 0:
            os.environ.update(environment)
            os.execvp(command[0], list(command))
        columns, rows = size
        fcntl.ioctl(self._file, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def type(self, text: str) -> None:
        """Press keys."""
        os.write(self._file, text.encode())

    def read_until(self, wanted: Callable[[], bool], seconds: float) -> bool:
        """Read what is written until something is so, for `seconds` at most; whether it is."""
        deadline = time.perf_counter() + seconds
        while not wanted():
            left = deadline - time.perf_counter()
            if left <= 0:
                return False
            if select.select([self._file], [], [], min(left, 0.5))[0]:
                try:
                    self.output += os.read(self._file, 65536)
                except OSError:
                    raise SystemExit(f"The application ended:\n{self.output[-2000:]!r}") from None
        return True

    def said(self, texts: Sequence[str], start: int) -> bool:
        """Whether one of the texts appeared behind `start`."""
        return any(text.encode() in self.output[start:] for text in texts)

    def wait_for(self, text: str, start: int = 0, seconds: float = PATIENCE) -> float:
        """Read until a text appears behind `start`; the time at which it did.

        Raises:
            SystemExit: It does not appear.
        """
        wanted = text.encode()
        if not self.read_until(lambda: wanted in self.output[start:], seconds):
            tail = bytes(self.output[-300:])
            raise SystemExit(f"{text!r} did not appear in the terminal:\n{tail!r}")
        return time.perf_counter()

    @property
    def cpu(self) -> float:
        """Seconds of processor time that the process has taken."""
        stat = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(stat[11]) + int(stat[12])) / os.sysconf("SC_CLK_TCK")

    def end(self) -> None:
        """End the program."""
        os.kill(self.pid, signal.SIGTERM)
        os.set_blocking(self._file, False)
        deadline = time.monotonic() + 10
        while os.waitpid(self.pid, os.WNOHANG)[0] == 0:
            if time.monotonic() > deadline:
                os.kill(self.pid, signal.SIGKILL)
            select.select([self._file], [], [], 0.05)
            with_data = True
            while with_data:
                try:
                    with_data = bool(os.read(self._file, 65536))
                except OSError:
                    with_data = False
        os.close(self._file)


@contextmanager
def running(
    command: Sequence[str], size: tuple[int, int], environment: dict[str, str]
) -> Iterator[Terminal]:
    """The application in a terminal, ready to be asked."""
    terminal = Terminal(command, size, environment)
    try:
        terminal.wait_for("ready")
        terminal.read_until(lambda: False, 1.0)
        yield terminal
    finally:
        terminal.end()


def write_answer(terminal: Terminal, text: str, size: tuple[int, int], seconds: float) -> Writing:
    """Ask, type while the answer is written, and measure."""
    draw = random.Random(4)
    echoes = iter(ECHOES)
    terminal.type("Count from 1 to 1000, one number a line, with a word about each.\r")
    terminal.wait_for("writing", len(terminal.output))
    started, cpu, at = time.perf_counter(), terminal.cpu, len(terminal.output)
    latencies: list[float] = []
    # A model may end its answer before the time is over.
    while time.perf_counter() - started < seconds and not terminal.said(ENDS, at):
        terminal.read_until(lambda: False, draw.uniform(0, 2 * KEYS_EVERY))
        key = next(echoes, None)
        if key is not None:
            typed, start = time.perf_counter(), len(terminal.output)
            terminal.type(key)
            latencies.append((terminal.wait_for(key, start) - typed) * 1000)
            if len(latencies) % 20 == 0:
                terminal.type("\x15")
    took, cpu = time.perf_counter() - started, terminal.cpu - cpu
    output = len(terminal.output) - at
    terminal.type("\x1b")
    if not terminal.read_until(lambda: terminal.said(ENDS, at), PATIENCE):
        raise SystemExit("The answer did not end when it was stopped.")
    latencies.sort()
    return Writing(
        text=text,
        columns=size[0],
        rows=size[1],
        tokens_per_s=rate_shown(bytes(terminal.output[at + output :])),
        seconds=took,
        cpu=100 * cpu / took,
        echo_p50=statistics.median(latencies),
        echo_p95=latencies[int(len(latencies) * 0.95)],
        echo_max=latencies[-1],
        keys=len(latencies),
        output=output / took,
    )


def rate_shown(output: bytes) -> float:
    """The last rate that was told; 0 where none was."""
    before = output.rpartition(b" tokens/s")[0]
    digits = before[len(before.rstrip(b"0123456789")) :]
    return float(digits or 0)


def store_conversation(path: Path, exchanges: int) -> None:
    """Store a conversation of so many questions and answers, a third of them long."""
    conversation = ConversationRecord(
        id=new_id(), title="Long", created=0.0, updated=0.0, model="made-up", preamble="urial-k3"
    )
    turns: list[TurnRecord] = []
    parent: int | None = None
    for number in range(exchanges):
        answer = written("mixed", (40, 120, 400)[number % 3])
        if number == exchanges - 1:
            answer = f"This is {LAST}."
        for role, text in (("user", f"Question {number}: how?"), ("assistant", answer)):
            turn = TurnRecord(
                id=new_id(),
                conversation_id=conversation.id,
                parent_id=parent,
                role="user" if role == "user" else "assistant",
                text=text,
                created=0.0,
                ids=tuple(range(len(text) // CHARACTERS)),
                stop_reason=None if role == "user" else "stop",
                model="made-up",
                preamble="urial-k3",
            )
            turns.append(turn)
            parent = turn.id
    with Store(path) as store:
        store.add([WholeConversation(conversation, tuple(turns))])


def open_conversation(
    command: Sequence[str],
    size: tuple[int, int],
    environment: dict[str, str],
    exchanges: int,
    rounds: int,
) -> Opening:
    """Open the conversation from the list, each time in a new process."""
    seconds = []
    for _ in range(rounds):
        with running(command, size, environment) as terminal:
            start = len(terminal.output)
            terminal.type("\x0f")
            terminal.wait_for("Long", start)
            terminal.read_until(lambda: False, 0.5)
            start, pressed = len(terminal.output), time.perf_counter()
            terminal.type("\r")
            seconds.append(terminal.wait_for(LAST, start) - pressed)
    return Opening(exchanges=exchanges, columns=size[0], rows=size[1], seconds=tuple(seconds))


def table(report: Report) -> str:
    """The report to read."""
    head = (
        f"{'text':<10} {'size':>7} {'tokens/s':>9} {'CPU %':>6} {'echo p50':>9} {'p95':>6}"
        f" {'max ms':>7} {'kB/s':>6}"
    )
    lines = [head]
    lines += [
        f"{w.text:<10} {f'{w.columns}x{w.rows}':>7} {w.tokens_per_s:>9.0f} {w.cpu:>6.1f}"
        f" {w.echo_p50:>9.1f} {w.echo_p95:>6.1f} {w.echo_max:>7.1f} {w.output / 1000:>6.1f}"
        f"  {'met' if w.passes else 'MISSED'}"
        for w in report.writings
    ]
    lines.append(f"wanted: less than {CPU_TARGET:g} % of one core, p95 below {ECHO_TARGET:g} ms")
    for o in report.openings:
        each = ", ".join(f"{seconds:.2f}" for seconds in o.seconds)
        lines.append(
            f"opening {o.exchanges} questions and answers at {o.columns}x{o.rows}: {o.median:.2f} s"
            f" ({each}); wanted: less than {OPEN_TARGET:g} s: {'met' if o.passes else 'MISSED'}"
        )
    return "\n".join(lines)


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--text", action="append", choices=TEXTS, help="what is written")
    parser.add_argument("--rate", type=float, default=120.0, help="tokens a second")
    parser.add_argument("--seconds", type=float, default=20.0, help="of each answer")
    parser.add_argument("--model", help="a real model writes instead, as fast as it can")
    parser.add_argument("--exchanges", type=int, default=500, help="of the stored conversation")
    parser.add_argument("--rounds", type=int, default=3, help="of opening it; 0: not at all")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all values there")
    options = parser.parse_args()
    # A file, for with directories of its own the application knows no names but the shipped ones.
    model = resolve(options.model).path if options.model else None
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as directory:
        store = Path(directory, "conversations.db")
        environment = {
            "TERM": "xterm-256color",
            "COLORTERM": "truecolor",
            "XDG_CONFIG_HOME": directory,
            "XDG_STATE_HOME": directory,
            "XDG_DATA_HOME": directory,
            "XDG_CACHE_HOME": directory,
        }
        played = [sys.executable, "-m", "benchmarks.screen_app", "--store", str(store)]
        writings = []
        for size in SIZES:
            if model is not None:
                settings = Path(directory, "urial-tui", "settings.toml")
                settings.parent.mkdir(exist_ok=True)
                settings.write_text(f"[chat]\nmodel = {json.dumps(str(model))}\n")
                command = [sys.executable, "-m", "urial_tui"]
                with running(command, size, environment) as terminal:
                    writings.append(write_answer(terminal, "model", size, options.seconds))
                continue
            for text in options.text or TEXTS:
                command = [*played, f"--text={text}", f"--rate={options.rate}"]
                command.append(f"--seconds={options.seconds + 5}")
                with running(command, size, environment) as terminal:
                    writings.append(write_answer(terminal, text, size, options.seconds))
                print(".", end="", file=sys.stderr, flush=True)
        openings = []
        if options.rounds:
            store.unlink(missing_ok=True)
            store_conversation(store, options.exchanges)
            openings = [
                open_conversation(played, size, environment, options.exchanges, options.rounds)
                for size in SIZES
            ]
        print(file=sys.stderr)
    report = Report(
        cores=physical_cores(),
        load_average=load,
        writings=tuple(writings),
        openings=tuple(openings),
    )
    print(table(report))
    if options.json is not None:
        options.json.write_text(json.dumps(msgspec.to_builtins(report), indent=2) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
