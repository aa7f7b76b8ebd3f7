"""Processes for tests that begin where their imports have ended.

Most of what a worker or a command costs in a test is that Python starts and imports the same
modules again, some thousand times. Each program in `PROGRAMS` has a nursery: a process that has
imported what the program imports, and that becomes the program, by a fork, each time it is asked
to. What comes out is a process of its own as any other is: its own session,
descriptors, signals, directory, environment, command line and exit code.

`nurseries` lets `subprocess.Popen` do so for the length of the tests, where a command is one that
a nursery knows, and in the environment that the nursery was started in as far as that matters to
Python or to native code. All else, and everything where `EXEC=1` is set, is started as ever.
"""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import gc
import importlib
import inspect
import io
import json
import os
import pkgutil
import runpy
import select
import selectors
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple, NoReturn

SURROUNDINGS: Final = ("PYTHON", "LC_", "LANG", "LD_", "MALLOC_", "OMP_", "OPENBLAS_", "TZ")
"""Beginnings of the variables that are read once, when Python or a library starts."""

FREE: Final = ("PYTHONUNBUFFERED",)
"""Of these, the ones that a forked process does what it can about."""


class Program(NamedTuple):
    """A module that is run by `-m`.

    Args:
        imports: Packages whose modules are imported before; it may not be imported itself.
        settings: Variables that the nursery is started with besides.
        starts: The programs that it starts.
    """

    imports: tuple[str, ...]
    settings: Mapping[str, str] = {}
    starts: tuple[str, ...] = ()


TEMPLATES: Final = "urial_tui.prompting.templates.worker"
WORKER: Final = "urial_tui.engine.worker.main"
COMMAND: Final = "urial_tui"

_ALONE: Final = {"OPENBLAS_NUM_THREADS": "1"}
"""For whoever imports numpy: a process with threads can't well be forked."""

PROGRAMS: Final[Mapping[str, Program]] = {
    # As the application does it: both are read where a library is loaded.
    TEMPLATES: Program(("urial_tui.prompting.templates",), {"MALLOC_ARENA_MAX": "1"}),
    WORKER: Program(
        ("urial_tui.engine.worker", "urial_tui.engine.native"),
        {"GGML_NO_BACKTRACE": "1", **_ALONE},
    ),
    COMMAND: Program(
        (
            "urial_tui.cli",
            "urial_tui.chat",
            "urial_tui.compare",
            "urial_tui.engine.client",
            "urial_tui.evaluate",
            "urial_tui.models",
            "urial_tui.page",
            "urial_tui.runtime",
        ),
        _ALONE,
        (TEMPLATES, WORKER),
    ),
}
"""What there is a nursery for."""

ROOM: Final = 4096
"""Bytes that a command line may have."""


# -- asking for a process --------------------------------------------------------------

_around: dict[str, str] = {}
"""The surroundings that the nurseries are started in."""

_addresses: dict[str, str] = {}
"""(program) to the address of its nursery, also of one that is not started yet."""

_running: dict[str, subprocess.Popen[bytes]] = {}
"""(program) to its nursery, where this process has started it."""

_starting = threading.Lock()

_forked_here = False
"""Whether this process is a nursery's, or a nursery."""

PLAIN = subprocess.Popen

_TOLD = tuple(inspect.signature(PLAIN._execute_child).parameters)[1:]  # type: ignore[attr-defined]
"""What a Popen is told of the process that it starts, in its order."""

_FOREIGN = ("executable", "preexec_fn", "pass_fds", "shell", "startupinfo")
"""Of that, what no nursery can do."""

_PIPES = ("p2cread", "p2cwrite", "c2pread", "c2pwrite", "errread", "errwrite")


def pids() -> list[int]:
    """Ids of the nurseries: parents of what this process has started."""
    return [process.pid for process in _running.values()]


def _surroundings(environment: Mapping[str, str], settings: Mapping[str, str]) -> dict[str, str]:
    return {
        name: value
        for name, value in environment.items()
        if name.startswith(SURROUNDINGS) and name not in FREE and settings.get(name) != value
    }


class Popen(PLAIN[Any]):
    """A process that is forked by a nursery where there is one for its command."""

    _line: socket.socket | None = None

    def _execute_child(self, *given: Any) -> None:
        told = dict(zip(_TOLD, given, strict=True))
        plain = (
            told["close_fds"]
            and told["restore_signals"]
            and not any(told[name] for name in _FOREIGN)
            and [told[name] for name in ("gid", "gids", "uid", "umask")] == [None, None, None, -1]
            and told["process_group"] in (-1, None, 0)
        )
        args, env = told["args"], told["env"]
        environment = dict(os.environ if env is None else env)
        words = [] if isinstance(args, str | bytes | os.PathLike) else [*args]
        if plain and (line := _line_for(words, environment)):
            command = {
                "words": words,
                "cwd": os.fspath(told["cwd"] or Path.cwd()),
                "environment": environment,
                "session": told["start_new_session"],
            }
            ends = [
                own if told[name] == -1 else told[name]
                for own, name in enumerate(("p2cread", "c2pwrite", "errwrite"))
            ]
            try:
                self.pid = _forked(line, command, ends)
            except OSError:
                line.close()
                raise
            finally:
                self._close_pipe_fds(*(told[name] for name in _PIPES))  # type: ignore[attr-defined]
            self._line = line
            self._child_created = True
            return
        super()._execute_child(*given)  # type: ignore[misc]

    def _try_wait(self, wait_flags: int) -> tuple[int, int]:
        if self._line is None:
            return super()._try_wait(wait_flags)  # type: ignore[misc, no-any-return]
        if wait_flags & os.WNOHANG and not select.select([self._line], [], [], 0)[0]:
            return 0, 0
        kind, _, number = self._line.recv(64).partition(b" ")
        self._line.close()
        # As of a process that somebody else has waited for.
        return self.pid, int(number) if kind == b"ended" else 0

    def _internal_poll(self, _deadstate: int | None = None, *rest: Any) -> int | None:
        if self._line is None:
            return super()._internal_poll(_deadstate, *rest)  # type: ignore[misc, no-any-return]
        if self.returncode is None:
            # Somebody else may be waiting for it, in another thread.
            if not self._waitpid_lock.acquire(False):  # type: ignore[attr-defined]
                return None
            try:
                if self.returncode is None:
                    pid, status = self._try_wait(os.WNOHANG)
                    if pid == self.pid:
                        self._handle_exitstatus(status)  # type: ignore[attr-defined]
            finally:
                self._waitpid_lock.release()  # type: ignore[attr-defined]
        return self.returncode


def _line_for(words: list[Any], environment: Mapping[str, str]) -> socket.socket | None:
    """A line to the nursery that this command belongs to, if there is one."""
    if not all(isinstance(word, str) for word in words):
        return None
    options = [word for word in words[1:3] if word == "-P"]
    if words[:1] != [sys.executable] or words[1 + len(options) :][:1] != ["-m"]:
        return None
    program = "".join(words[2 + len(options) :][:1])
    if (
        program not in _addresses
        or len(_as_shown(words)) > ROOM
        or _surroundings(environment, PROGRAMS[program].settings) != _around
    ):
        return None
    _start(program)
    line = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    try:
        line.connect(_addresses[program])
    except OSError:
        line.close()
        return None
    return line


def _forked(line: socket.socket, command: dict[str, Any], ends: list[int]) -> int:
    """The id of the process that runs a command.

    Raises:
        OSError: It can't be run, as `subprocess` says it.
    """
    data = json.dumps(command).encode("utf-8", "surrogateescape")
    line.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 2 * len(data))
    socket.send_fds(line, [data], ends)
    kind, _, number = line.recv(64).partition(b" ")
    if kind == b"refused":
        code = int(number)
        raise OSError(code, os.strerror(code), command["cwd"])
    if kind != b"started":
        raise OSError(f"the nursery says {kind!r}")
    return int(number)


@contextlib.contextmanager
def nurseries() -> Iterator[None]:
    """Have `subprocess` ask nurseries, which start when they are asked and end with this."""
    if sys.platform != "linux" or os.environ.get("EXEC") == "1":
        yield
        return
    _around.update(_surroundings(os.environ, {}))
    with tempfile.TemporaryDirectory(prefix="urial-nursery-") as directory:
        for number, program in enumerate(PROGRAMS):
            _addresses[program] = str(Path(directory, str(number)))
        subprocess.Popen = Popen  # type: ignore[misc]
        try:
            yield
        finally:
            subprocess.Popen = PLAIN  # type: ignore[misc]
            _addresses.clear()
            for process in _running.values():
                process.communicate()
            _running.clear()


@contextlib.contextmanager
def none() -> Iterator[None]:
    """Have `subprocess` start processes as ever, meanwhile."""
    before = subprocess.Popen
    subprocess.Popen = PLAIN  # type: ignore[misc]
    try:
        yield
    finally:
        subprocess.Popen = before  # type: ignore[misc]


def _start(program: str) -> None:
    """Start a nursery that does not run yet, and those of what its processes start.

    A process that was forked starts none: it would be the nursery's only parent.
    """
    with _starting:
        if _forked_here or program in _running:
            return
        for each in (*PROGRAMS[program].starts, program):
            if each not in _running:
                process = _running[each] = PLAIN(
                    # A command line names no program that this is not, and has room for its own.
                    [sys.executable, "-P", __file__, "-" * ROOM],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    env={**os.environ, **_around, **PROGRAMS[each].settings},
                    start_new_session=True,
                )
                assert process.stdin is not None
                process.stdin.write(json.dumps([each, _around, _addresses]).encode() + b"\n")
                process.stdin.flush()
        for each, process in _running.items():
            assert process.stdout is not None
            if not process.stdout.closed:
                if process.stdout.readline() != b"ready\n":
                    raise RuntimeError(f"the nursery of {each} does not start")
                process.stdout.close()


# -- the nursery -----------------------------------------------------------------------


def _serve(program: str, address: str) -> None:
    """Fork for whoever asks, until standard input ends."""
    for package in PROGRAMS[program].imports:
        _import_all(package, program)
    gc.collect()
    gc.freeze()
    assert len(os.listdir("/proc/self/task")) == 1, "a process with threads can't be forked"  # noqa: PTH208
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    listening.bind(address)
    listening.listen(128)
    selector = selectors.DefaultSelector()
    selector.register(listening, selectors.EVENT_READ)
    selector.register(0, selectors.EVENT_READ)
    children: dict[int, tuple[int, socket.socket]] = {}
    os.write(1, b"ready\n")
    while True:
        for key, _ in selector.select():
            if key.fd == 0:
                return
            if key.fileobj is listening:
                line, _ = listening.accept()
                data, ends, _, _ = socket.recv_fds(line, 1 << 20, 3)
                if len(ends) != 3:
                    line.close()
                    continue
                pid = os.fork()
                if pid == 0:
                    selector.close()
                    for other in (listening, *(line for _, line in children.values())):
                        other.close()
                    _become(json.loads(data.decode("utf-8", "surrogateescape")), line, ends)
                for end in ends:
                    os.close(end)
                watch = os.pidfd_open(pid)
                children[watch] = pid, line
                selector.register(watch, selectors.EVENT_READ)
            else:
                selector.unregister(key.fd)
                pid, line = children.pop(key.fd)
                _, status = os.waitpid(pid, 0)
                os.close(key.fd)
                with contextlib.suppress(OSError), line:
                    line.send(b"ended %d" % status)


def _import_all(package: str, program: str) -> None:
    found = importlib.import_module(package)
    for module in pkgutil.walk_packages(found.__path__, f"{package}."):
        if module.name != program and not module.name.endswith("__main__"):
            importlib.import_module(module.name)


def _become(command: dict[str, Any], line: socket.socket, ends: list[int]) -> NoReturn:
    """Be the process that was asked for, from its first line to its end."""
    try:
        os.chdir(command["cwd"])
    except OSError as error:
        line.send(b"refused %d" % (error.errno or 0))
        os._exit(1)
    if command["session"]:
        os.setsid()
    else:
        os.setpgid(0, 0)
    for number, end in enumerate(ends):
        os.dup2(end, number)
    environment = command["environment"]
    os.environ.clear()
    os.environ.update(environment)
    words = command["words"]
    _show(words)
    line.send(b"started %d" % os.getpid())
    line.detach()
    os.closerange(3, 4096)
    _open_standard_streams(unbuffered="PYTHONUNBUFFERED" in environment)
    module = words.index("-m") + 1
    if "-P" not in words[:module]:
        sys.path.insert(0, command["cwd"])
    sys.argv[1:] = words[module + 1 :]
    sys.orig_argv = words
    code: object = None
    try:
        runpy.run_module(words[module], run_name="__main__", alter_sys=True)
    except SystemExit as error:
        code = error.code
    _end(code)


def _end(code: object) -> NoReturn:
    """End as Python does, but without taking all that was imported apart."""
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except (OSError, ValueError):
        sys.exit(code)  # type: ignore[arg-type]
    if not isinstance(code, int | None):
        sys.exit(code)  # type: ignore[arg-type]
    os._exit((code or 0) & 0xFF)


def _as_shown(words: list[str]) -> bytes:
    return b"\0".join(os.fsencode(word) for word in words) + b"\0"


def _show(words: list[str]) -> None:
    """Have the system's table of processes show a command line of this length or shorter."""
    # The name, in parentheses, may hold anything; the state follows it.
    fields = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
    start, end = int(fields[45]), int(fields[46])
    data = _as_shown(words)
    assert len(data) < end - start
    ctypes.memmove(start, data.ljust(end - start, b"\0"), end - start)


def _open_standard_streams(*, unbuffered: bool) -> None:
    old = sys.stdin, sys.stdout, sys.stderr
    for name, number, mode in (("stdin", 0, "r"), ("stdout", 1, "w"), ("stderr", 2, "w")):
        stream = open(  # noqa: SIM115
            number,
            mode,
            encoding=old[number].encoding,
            errors=old[number].errors,
            closefd=False,
        )
        assert isinstance(stream, io.TextIOWrapper)
        if number:
            stream.reconfigure(
                line_buffering=number == 2 or os.isatty(number), write_through=unbuffered
            )
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)


def _main() -> None:
    global _forked_here
    _forked_here = True
    program, around, addresses = json.loads(sys.stdin.readline())
    _around.update(around)
    _addresses.update(addresses)
    del sys.argv[1:]
    subprocess.Popen = Popen  # type: ignore[misc]
    _serve(program, addresses[program])


if __name__ == "__main__":
    _main()
