"""The environment of a checkout: `.venv`, with the engine, the program and the demo model.

A stamp in it tells what it was made from. While that still holds, setting up again does
nothing, at once. The engine stays as it was built until another build is asked for; it is
tested again when its files or the CPU are others than those it passed with.
"""

from __future__ import annotations

import argparse
import fcntl
import hashlib
import json
import os
import re
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from tools import machine, wheel
from tools.console import Console, SetupError, interruptible
from tools.engine import WHEEL_VARIABLE, Engine
from tools.venv import Venv
from urial_tui.files import replacing
from urial_tui.sanitize import sanitize_line

ROOT = Path(__file__).resolve().parent.parent

_LAYOUT = 2
"""Raised when what a set-up leaves behind changes, so that older environments are renewed."""

_ENGINE_VARIABLES = {"cmake_args": "CMAKE_ARGS", "wheel": WHEEL_VARIABLE}

# Measured on Linux, rounded up.
_VENV_BYTES = 700_000_000
_MODEL_BYTES = 260_000_000
_BUILD_BYTES = 500_000_000


class Environment:
    """The environment of the checkout at `root`. `environ` is what the user set around us."""

    def __init__(self, root: Path, environ: Mapping[str, str], console: Console) -> None:
        self.root = root
        self.environ = environ
        self.console = console
        self.venv = Venv(root / ".venv", environ, console)
        self._stamp = self.venv.path / "urial-setup.json"

    def is_current(self, extras: str) -> bool:
        """Whether a set-up would change nothing."""
        made = self._made_from()
        return (
            made.get("inputs") == self._inputs(extras)
            and (self.venv.path / "bin" / "urial").exists()
            and self.venv.exists
            and made.get("tested") == self._engine_identity()
            and not self._other_engine_wanted(made)
        )

    def set_up(self, extras: str) -> None:
        """Make or renew everything. `extras`: optional parts of the program, by comma.

        Raises:
            SetupError: Something is missing or failed.
        """
        requirements = program_requirements(self.root / "pyproject.toml")
        version = pinned_engine(requirements)
        engine = Engine(self.venv, self.root, self.environ, self.console, version)
        made = self._made_from()
        self._discard(made)
        keep = self._keeps_engine(made, engine)
        self._check(engine, new=not keep, extras=extras)
        # From here on the environment differs from what the stamp says.
        self._stamp.unlink(missing_ok=True)
        if not self.venv.exists:
            release = ".".join(str(part) for part in sys.version_info[:3])
            self.console.say(f"Making the environment .venv with Python {release}.")
            self.venv.make()
        if not keep or made.get("tested") != self._engine_identity():
            self._install_requirements(requirements)
            if keep and (fault := engine.fault()):
                self.console.say(f"The engine in .venv {fault}: another one is installed.")
                keep = False
                self._check(engine, new=True, extras=extras)
            if not keep:
                engine.install()
                made = {key: self.environ.get(name, "") for key, name in _ENGINE_VARIABLES.items()}
        self._install_program(extras)
        if "demo" in extras.split(","):
            self._ready_demo()
        self.record(extras, made)
        self.venv.finish()

    # -- what it was made from --------------------------------------------------------

    def _inputs(self, extras: str) -> str:
        """A hash of what the environment is made from, the options of the engine apart."""
        project = (self.root / "pyproject.toml").read_text(encoding="utf-8")
        parts = [str(_LAYOUT), extras, str(self.root), self.venv.identity(), project, _host()]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()

    def _made_from(self) -> dict[str, str]:
        try:
            made = json.loads(self._stamp.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return made if isinstance(made, dict) else {}

    def record(self, extras: str, made: Mapping[str, str]) -> None:
        """Stamp the environment as made of what is there now, and its engine as tested.

        `made` has the engine's options.
        """
        stamp = {
            "inputs": self._inputs(extras),
            "root": str(self.root),
            "host": _host(),
            "tested": self._engine_identity(),
            **{key: made.get(key, "") for key in _ENGINE_VARIABLES},
        }
        with replacing(self._stamp, private=False) as file:
            file.write(json.dumps(stamp, indent=1).encode() + b"\n")

    def _other_engine_wanted(self, made: Mapping[str, str]) -> bool:
        """Only a variable that is set asks for something.

        `CMAKE_ARGS=-DGGML_CUDA=on make setup` followed by a bare `make chat` must not put
        the CPU's build back.
        """
        return any(
            self.environ.get(name, made.get(key, "")) != made.get(key, "")
            for key, name in _ENGINE_VARIABLES.items()
        )

    def _keeps_engine(self, made: Mapping[str, str], engine: Engine) -> bool:
        """Whether the environment's own engine is to stay, also one that was put in by hand."""
        return (
            self.venv.exists
            and not self._other_engine_wanted(made)
            and made.get("host", _host()) == _host()
            and engine.is_there
        )

    def _engine_identity(self) -> str:
        """What changes with the engine's files and with the CPU; nothing is read or started."""
        libraries = sorted(self.venv.path.glob("lib*/python*/site-packages/llama_cpp/lib/*"))
        files = [(path.name, path.stat().st_size, path.stat().st_mtime_ns) for path in libraries]
        return hashlib.sha256(json.dumps([files, _host()]).encode()).hexdigest()

    # -- making it --------------------------------------------------------------------

    def _discard(self, made: Mapping[str, str]) -> None:
        why = self.venv.unusable()
        if not why and made.get("root", str(self.root)) != str(self.root):
            why = "The checkout was moved: its environment is made anew."
        if why:
            self.console.say(why)
            self.venv.remove()

    def _check(self, engine: Engine, *, new: bool, extras: str) -> None:
        """Raise everything that is missing, at once. `new`: another engine is needed."""
        problems: list[SetupError | None] = []
        no_compiler: SetupError | None = None
        needs: list[tuple[Path, int]] = []
        if not self.venv.exists:
            problems.append(machine.venv_problem())
            needs.append((self.venv.path, _VENV_BYTES))
            if "demo" in extras.split(","):
                needs.append((_data_home(self.environ), _MODEL_BYTES))
        if new and engine.needs_compiler:
            no_compiler = machine.compiler_problem(self.environ)
            needs.append((Path(tempfile.gettempdir()), _BUILD_BYTES))
        problems += machine.disk_problems(needs)
        found = [problem for problem in problems if problem]
        # Alone, a missing compiler may not matter: an index may have a prebuilt wheel.
        if no_compiler and (found or self.environ.get("CMAKE_ARGS")):
            found.append(no_compiler)
        if len(found) == 1:
            raise found[0]
        if found:
            listed = "".join(f"\n  - {problem}" for problem in found)
            raise SetupError(f"{len(found)} things are missing:{listed}")

    def _install_requirements(self, requirements: Sequence[str]) -> None:
        """What the engine's self-test needs, before there is an engine."""
        self.console.say("Installing what the program depends on.")
        self.venv.pip(
            "install",
            "--progress-bar=off",
            *(name for name in requirements if not name.startswith(wheel.PACKAGE)),
            failure="What the program depends on could not be installed.",
            cwd=self.root,
        )

    def _install_program(self, extras: str) -> None:
        self.console.say("Installing the program.")
        self.venv.pip(
            "install",
            "--progress-bar=off",
            # The engine is there; should pip think otherwise, it has to fail, not to compile.
            "--only-binary",
            wheel.PACKAGE,
            "--editable",
            f".[{extras}]" if extras else ".",
            failure="The program could not be installed.",
            cwd=self.root,
        )

    def _ready_demo(self) -> None:
        """Assemble the demo model now, so that the first chat starts at once."""
        self.console.progress("Making the demo model ready.")
        done = subprocess.run(
            [str(self.venv.python), "-c", _READY_DEMO],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            check=False,
            cwd=self.root,
            env=self.venv.environ,
        )
        last = sanitize_line(done.stdout.strip().split("\n")[-1])
        if done.returncode:
            # The program itself is whole, and says the same with its next step.
            self.console.say(f"The demo model is not ready: {last}")
        else:
            self.console.say(f"The demo model is ready: {last}")


_READY_DEMO = """
import sys
from urial_tui.errors import UrialError
from urial_tui.models.registry import resolve
from urial_tui.settings import ChatSettings
try:
    print(resolve(ChatSettings().model).path)
except UrialError as error:
    sys.exit(str(error))
"""


def program_requirements(pyproject: Path) -> list[str]:
    """What the program depends on, the optional parts apart."""
    project = tomllib.loads(pyproject.read_text(encoding="utf-8"))["project"]
    return list(project["dependencies"])


def pinned_engine(requirements: Sequence[str]) -> str:
    """The one version of the engine that the program is written against.

    Raises:
        SetupError: The requirements pin none.
    """
    for requirement in requirements:
        if match := re.fullmatch(rf"{wheel.PACKAGE}==([\w.]+)", requirement):
            return match[1]
    raise SetupError(
        f"pyproject.toml does not pin {wheel.PACKAGE} to one version.",
        "Name it in the dependencies as ==VERSION.",
    )


def _host() -> str:
    """What a compiled engine depends on, beside its options."""
    return f"{machine.platform_name()} {machine.cpu_features()}"


def _data_home(environ: Mapping[str, str]) -> Path:
    home = Path(environ.get("HOME", "/"))
    if sys.platform == "darwin":
        return home / "Library" / "Application Support"
    return Path(environ.get("XDG_DATA_HOME") or home / ".local" / "share")


@contextmanager
def _alone(root: Path, console: Console) -> Iterator[None]:
    """One set-up at a time in a checkout: `make test` beside a first `make chat` waits for it."""
    with (root / "pyproject.toml").open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            console.say("Another set-up is running in this checkout; waiting for it.")
            fcntl.flock(file, fcntl.LOCK_EX)
        except OSError:
            pass  # A file system without locks; going on is better than refusing to.
        yield


def main(arguments: list[str]) -> int:
    """Set up the checkout that this file belongs to; the process' exit code."""
    parser = argparse.ArgumentParser(prog="make setup", description=__doc__)
    parser.add_argument("--extras", default="demo,dev", help="optional parts to install")
    parser.add_argument("--quiet", action="store_true", help="say nothing when all is there")
    parser.add_argument("--instead-of", default="", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    console = Console()
    environment = Environment(ROOT, os.environ, console)
    try:
        with interruptible(), _alone(ROOT, console):
            if environment.is_current(options.extras):
                if not options.quiet:
                    console.say("The environment in .venv is up to date.")
                return 0
            if options.instead_of:
                old = f"python3 is {options.instead_of}, which is too old"
                console.say(f"{old}: using {sys.executable}.")
            environment.set_up(options.extras)
            console.say("Ready: make chat, or .venv/bin/urial.")
    except SetupError as error:
        console.close()
        print(error, file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        console.close()
        print("Interrupted. The next run begins what is missing anew.", file=sys.stderr)
        return 130
    finally:
        console.close()
    return 0
