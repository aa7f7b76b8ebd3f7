"""The environment of a checkout: `.venv`, with the engine, the program and the demo model.

A stamp in it tells what it was made from. While that still holds, setting up again does
nothing, at once. The engine stays as it was built until another build is asked for.
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
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tools import machine, wheel
from tools.console import Console, SetupError, interruptible
from tools.venv import Venv
from urial_tui.sanitize import sanitize_line

ROOT = Path(__file__).resolve().parent.parent

_LAYOUT = 1
"""Raised when what a set-up leaves behind changes, so that older environments are renewed."""

_ENGINE_VARIABLES = {"cmake_args": "CMAKE_ARGS", "wheel": "URIAL_LLAMA_WHEEL"}

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
            and not self._other_engine_wanted(made)
        )

    def set_up(self, extras: str) -> None:
        """Make or renew everything. `extras`: optional parts of the program, by comma.

        Raises:
            SetupError: Something is missing or failed.
        """
        version = pinned_engine(self.root / "pyproject.toml")
        made = self._made_from()
        self._discard(made)
        keep = self._keeps_engine(made, version)
        self._check(version, compiles=not keep, extras=extras)
        # From here on the environment differs from what the stamp says.
        self._stamp.unlink(missing_ok=True)
        if not self.venv.exists:
            release = ".".join(str(part) for part in sys.version_info[:3])
            self.console.say(f"Making the environment .venv with Python {release}.")
            self.venv.make()
        if not keep:
            self._install_engine(version)
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
        """Stamp the environment as made of what is there now; `made` has the engine's options."""
        stamp = {
            "inputs": self._inputs(extras),
            "root": str(self.root),
            "host": _host(),
            **{key: made.get(key, "") for key in _ENGINE_VARIABLES},
        }
        partial = self._stamp.with_suffix(".partial")
        partial.write_text(json.dumps(stamp, indent=1) + "\n", encoding="utf-8")
        partial.replace(self._stamp)

    def _other_engine_wanted(self, made: Mapping[str, str]) -> bool:
        """Only a variable that is set asks for something.

        `CMAKE_ARGS=-DGGML_CUDA=on make setup` followed by a bare `make chat` must not put
        the CPU's build back.
        """
        return any(
            self.environ.get(name, made.get(key, "")) != made.get(key, "")
            for key, name in _ENGINE_VARIABLES.items()
        )

    def _keeps_engine(self, made: Mapping[str, str], version: str) -> bool:
        """Whether the environment's own engine is to stay, also one that was put in by hand."""
        return (
            self.venv.exists
            and not self._other_engine_wanted(made)
            and made.get("host", _host()) == _host()
            and self._engine_version() == version
        )

    def _engine_version(self) -> str | None:
        """The version of the engine in the environment; None if it does not load here."""
        return self.venv.answer(
            "import llama_cpp; llama_cpp.llama_backend_init(); print(llama_cpp.__version__)"
        )

    # -- making it --------------------------------------------------------------------

    def _discard(self, made: Mapping[str, str]) -> None:
        why = self.venv.unusable()
        if not why and made.get("root", str(self.root)) != str(self.root):
            why = "The checkout was moved: its environment is made anew."
        if why:
            self.console.say(why)
            self.venv.remove()

    def _check(self, version: str, *, compiles: bool, extras: str) -> None:
        """Raise everything that is missing, at once."""
        problems: list[SetupError | None] = []
        no_compiler: SetupError | None = None
        needs: list[tuple[Path, int]] = []
        if not self.venv.exists:
            problems.append(machine.venv_problem())
            needs.append((self.venv.path, _VENV_BYTES))
            if "demo" in extras.split(","):
                needs.append((_data_home(self.environ), _MODEL_BYTES))
        given = self.environ.get("URIAL_LLAMA_WHEEL")
        if compiles and not given and wheel.cached_wheel(self._wheel_dir(version)) is None:
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

    def _wheel_dir(self, version: str) -> Path:
        cache = wheel.cache_dir(self.environ, self.root / ".cache" / "wheels")
        return cache / wheel.wheel_key(version, self.environ)

    def _install_engine(self, version: str) -> None:
        """From a wheel that is given, or was built before, or is on an index; else compile."""
        if given := self.environ.get("URIAL_LLAMA_WHEEL"):
            self.console.say(f"Installing the engine from {sanitize_line(given)}.")
            self._install_wheel(given)
            self._expect_engine(version, given)
            return
        folder = self._wheel_dir(version)
        if built := wheel.cached_wheel(folder):
            self.console.say(f"Installing {wheel.PACKAGE} {version}, built here before.")
            if self._wheel_works(built, version):
                return
            self.console.say("That build does not work any more: it is made anew.")
            built.unlink()
        if not self.environ.get("CMAKE_ARGS") and self._install_prebuilt(version):
            return
        if problem := machine.compiler_problem(self.environ):
            raise problem
        for line in wheel.announcement(self.environ):
            self.console.say(line)
        built = wheel.build_wheel(
            [str(self.venv.python), "-m", "pip"],
            version,
            folder,
            environ=self.venv.environ,
            console=self.console,
        )
        self._install_wheel(str(built))
        self._expect_engine(version, str(built))

    def _install_prebuilt(self, version: str) -> bool:
        """Whether one of the user's package indexes had a wheel, and it works here."""
        self.console.progress("Looking for a prebuilt wheel of the engine.")
        with tempfile.TemporaryDirectory(prefix="urial-wheel-") as folder:
            found = wheel.fetch_prebuilt(
                [str(self.venv.python), "-m", "pip"],
                version,
                Path(folder),
                environ=self.venv.environ,
            )
            if found is None:
                return False
            self.console.say(f"Installing {sanitize_line(found.name)}, a prebuilt wheel.")
            if self._wheel_works(found, version):
                return True
        self.console.say("The prebuilt wheel does not work on this machine.")
        return False

    def _wheel_works(self, path: Path, version: str) -> bool:
        try:
            self._install_wheel(str(path))
        except SetupError:
            return False
        return self._engine_version() == version

    def _install_wheel(self, source: str) -> None:
        failure = f"The engine could not be installed from {sanitize_line(source)}."
        # Two builds of one version are the same to pip, so the old one has to go first.
        self.venv.pip("uninstall", "--yes", wheel.PACKAGE, failure=failure)
        options = ("--only-binary", ":all:", "--progress-bar=off")
        self.venv.pip("install", *options, source, failure=failure, cwd=self.root)

    def _expect_engine(self, version: str, source: str) -> None:
        found = self._engine_version()
        if found == version:
            return
        what = f"is version {sanitize_line(found)}" if found else "does not load on this machine"
        raise SetupError(
            f"The wheel {sanitize_line(source)} {what}; version {version} is needed.",
            f"Get a wheel of {wheel.PACKAGE} {version} for this machine, or unset "
            "URIAL_LLAMA_WHEEL to compile one.",
        )

    def _install_program(self, extras: str) -> None:
        self.console.say("Installing the program and what it depends on.")
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


def pinned_engine(pyproject: Path) -> str:
    """The one version of the engine that the program is written against.

    Raises:
        SetupError: pyproject.toml pins none.
    """
    project = tomllib.loads(pyproject.read_text(encoding="utf-8"))["project"]
    for requirement in project["dependencies"]:
        if match := re.fullmatch(rf"{wheel.PACKAGE}==([\w.]+)", requirement):
            return match[1]
    raise SetupError(
        f"{sanitize_line(str(pyproject))} does not pin {wheel.PACKAGE} to one version.",
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
