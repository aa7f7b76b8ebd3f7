"""The engine in the environment: kept, given, fetched or compiled, and always tested.

No engine stays in the environment that did not pass its self-test there. A build that fails
it is replaced by the next one (see `builds`), and a line says so.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path

from tools import machine, self_test, wheel
from tools.builds import Build, builds
from tools.console import Console, SetupError
from tools.venv import Venv
from urial_tui.sanitize import sanitize_line

WHEEL_VARIABLE = "URIAL_LLAMA_WHEEL"


class Engine:
    """The engine of `version` in `venv`, for the checkout at `root`.

    `environ` is what the user set around us. Before `fault` and `install` the environment
    must hold what the program depends on.
    """

    def __init__(
        self, venv: Venv, root: Path, environ: Mapping[str, str], console: Console, version: str
    ) -> None:
        self._venv = venv
        self._root = root
        self._environ = environ
        self._console = console
        self._version = version

    # -- what is there ----------------------------------------------------------------

    @property
    def is_there(self) -> bool:
        """Whether the environment has an engine of this version that loads."""
        return self._installed_version() == self._version

    def fault(self) -> str:
        """What is wrong with the installed engine, as the end of a sentence; "" if nothing."""
        found = self._installed_version()
        if found not in (None, self._version):
            return f"is version {sanitize_line(found)}, and {self._version} is needed"
        self._console.progress("Testing the engine.")
        try:
            fault = self_test.fault(self._venv, self._root)
        except SetupError:
            # What does not load can't be tested: a library is missing, or the wheel is none.
            if found:
                raise
            fault = ""
        return fault or ("" if found else "does not load on this machine")

    @property
    def needs_compiler(self) -> bool:
        """Whether there is neither a wheel of the user's nor one that was built before."""
        return not self._environ.get(WHEEL_VARIABLE) and not any(
            wheel.cached_wheel(folder) for _, folder in self._places()
        )

    def _installed_version(self) -> str | None:
        return self._venv.answer(
            "import llama_cpp; llama_cpp.llama_backend_init(); print(llama_cpp.__version__)"
        )

    # -- getting one ------------------------------------------------------------------

    def install(self) -> None:
        """From a wheel that is given, or was built before, or is on an index; else compile.

        Raises:
            SetupError: No engine was to be had that passes its self-test.
        """
        if given := self._environ.get(WHEEL_VARIABLE):
            self._install_given(given)
        elif not self._install_kept() and not self._install_prebuilt():
            self._install_compiled()

    def _install_given(self, given: str) -> None:
        self._console.say(f"Installing the engine from {sanitize_line(given)}.")
        self._install_wheel(given)
        if fault := self.fault():
            self._uninstall()
            raise SetupError(
                f"The wheel {sanitize_line(given)} {fault}.",
                f"Get a wheel of {wheel.PACKAGE} {self._version} for this machine, or unset "
                f"{WHEEL_VARIABLE} to compile one.",
            )

    def _install_kept(self) -> bool:
        """Whether the best build that is not known to fail was kept, and passes here."""
        for _, folder in self._places():
            built = wheel.cached_wheel(folder)
            if built is None:
                if self._compiler:
                    return False
                continue
            self._console.say(f"Installing {wheel.PACKAGE} {self._version}, built here before.")
            fault = self._fault_of(built)
            if not fault:
                return True
            self._console.say(f"That build {fault}: it is made anew.")
            built.unlink()
        return False

    def _install_prebuilt(self) -> bool:
        """Whether one of the user's package indexes had a wheel, and it passes here."""
        if self._environ.get("CMAKE_ARGS"):
            return False
        self._console.progress("Looking for a prebuilt wheel of the engine.")
        with tempfile.TemporaryDirectory(prefix="urial-wheel-") as folder:
            found = wheel.fetch_prebuilt(
                self._pip, self._version, Path(folder), environ=self._venv.environ
            )
            if found is None:
                return False
            self._console.say(f"Installing {sanitize_line(found.name)}, a prebuilt wheel.")
            fault = self._fault_of(found)
        if fault:
            self._console.say(f"The prebuilt wheel {fault}: it is not used.")
        return not fault

    def _install_compiled(self) -> None:
        if problem := machine.compiler_problem(self._environ):
            raise problem
        for line in wheel.announcement(self._environ):
            self._console.say(line)
        failed: list[tuple[Path, str]] = []
        for build, folder in self._places():
            if build.notice:
                self._console.say(build.notice)
            built = wheel.cached_wheel(folder) or wheel.build_wheel(
                self._pip,
                self._version,
                folder,
                environ=build.surroundings(self._venv.environ),
                console=self._console,
            )
            fault = self._fault_of(built)
            if not fault:
                # Only now: where nothing passes, the next set-up begins anew.
                for place, why in failed:
                    wheel.remember_failure(place, self._compiler, why)
                return
            self._console.say(f"This build of llama.cpp {fault}.")
            shutil.rmtree(folder)
            failed.append((folder, fault))
        self._uninstall()
        asked = (
            "CMAKE_ARGS, CFLAGS and CXXFLAGS decide how it is built; " if len(failed) < 2 else ""
        )
        raise SetupError(
            f"No build of llama.cpp passes its self-test on this machine: the last one {fault}.",
            f"{asked[:1].upper()}{asked[1:]}try another compiler with CC and CXX, or name a "
            f"prebuilt wheel in {WHEEL_VARIABLE}; the log of the test is "
            f"{sanitize_line(str(self_test.log_file(self._venv)))}.",
        )

    # -- its parts --------------------------------------------------------------------

    @property
    def _pip(self) -> list[str]:
        return [str(self._venv.python), "-m", "pip"]

    @cached_property
    def _compiler(self) -> str:
        return machine.compiler_version(self._environ)

    @cached_property
    def _builds(self) -> list[Build]:
        return list(builds(self._environ))

    def _places(self) -> list[tuple[Build, Path]]:
        """The builds that are not known to fail, and where the wheel of each is kept."""
        cache = wheel.cache_dir(self._environ, self._root / ".cache" / "wheels")
        every = [
            (build, cache / wheel.wheel_key(self._version, build.surroundings(self._environ)))
            for build in self._builds
        ]
        return [
            place for place in every if not wheel.failed_before(place[1], self._compiler)
        ] or every

    def _fault_of(self, source: Path) -> str:
        """What is wrong with a wheel of ours once it is installed; "" if nothing."""
        try:
            self._install_wheel(str(source))
        except SetupError:
            return "can't be installed"
        return self.fault()

    def _install_wheel(self, source: str) -> None:
        failure = f"The engine could not be installed from {sanitize_line(source)}."
        # Two builds of one version are the same to pip, so the old one has to go first.
        self._uninstall()
        options = ("--only-binary", ":all:", "--progress-bar=off")
        self._venv.pip("install", *options, source, failure=failure, cwd=self._root)

    def _uninstall(self) -> None:
        failure = "The engine in .venv could not be removed."
        self._venv.pip("uninstall", "--yes", wheel.PACKAGE, failure=failure)
