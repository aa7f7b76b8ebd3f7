"""The compiled engine as a wheel: found again, or built once and kept.

llama.cpp is compiled for this very CPU, so a wheel is kept under a key of everything that
it depends on. It enters the cache under its final name in one step, whole or not at all.
pip's own cache does not do: it forgets what CMAKE_ARGS a wheel was built with.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from tools import machine
from tools.console import Console, SetupError, clock, error_lines, run_logged
from urial_tui.sanitize import sanitize_line

PACKAGE = "llama-cpp-python"
DEFAULT_CMAKE_ARGS = "-DLLAVA_BUILD=OFF"
"""The multimodal library is not used here; leaving it out saves a fifth of the compile."""

_CORE_SECONDS = 640
_FIXED_SECONDS = 60
"""A CPU build of 0.3.36 took 377 s on two cores. The fixed part is an allowance for what
more cores don't shorten: download, configuration, packing."""

_DAY_S = 86_400
_COMPILER_VARIABLES = ("CC", "CXX", "CUDACXX", "CFLAGS", "CXXFLAGS", "LDFLAGS")
_GPU_BUILD = re.compile(r"-DGGML_(CUDA|HIP|VULKAN|SYCL|MUSA)=(on|1|true|yes)\b", re.IGNORECASE)


def cmake_args(environ: Mapping[str, str]) -> str:
    """Ours, then the user's: where both name an option, CMake takes the last."""
    return f"{DEFAULT_CMAKE_ARGS} {environ.get('CMAKE_ARGS', '').strip()}".strip()


def wheel_key(version: str, environ: Mapping[str, str]) -> str:
    """The name of the cache directory for what would be built now.

    Python's version is no part of it: the package drives llama.cpp through ctypes, and
    its wheel fits every Python 3.
    """
    depends = {
        "cmake_args": cmake_args(environ),
        "cpu": machine.cpu_features(),
        "platform": machine.platform_name(),
        "compiler": {name: environ.get(name, "") for name in _COMPILER_VARIABLES},
    }
    digest = hashlib.sha256(json.dumps(depends, sort_keys=True).encode()).hexdigest()
    return f"{version}-{machine.platform_name()}-{digest[:16]}"


def cache_dir(environ: Mapping[str, str], fallback: Path) -> Path:
    """Where wheels and build logs are kept; `fallback` when the home can't be written to.

    The directory exists when this returns.
    """
    # The specification ignores a relative XDG_CACHE_HOME, and some systems have no HOME.
    base = Path(environ.get("XDG_CACHE_HOME", ""))
    if not base.is_absolute():
        base = Path(environ.get("HOME", ""), ".cache")
    places = [base / "urial-tui" / "wheels"] if base.is_absolute() else []
    for place in (*places, fallback):
        try:
            place.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=place):
                return place
        except OSError as error:
            problem = error
    raise SetupError(
        f"The compiled engine can be kept nowhere: {problem.strerror}.",
        "Set XDG_CACHE_HOME to a directory that can be written to.",
    )


def cached_wheel(folder: Path) -> Path | None:
    """The wheel in a key's directory."""
    return next(iter(sorted(folder.glob("*.whl"))), None)


def failed_before(folder: Path, compiler: str) -> bool:
    """Whether this compiler's build for this key is known to fail the self-test."""
    try:
        return _mark(folder).read_text(encoding="utf-8").partition("\n")[0] == compiler
    except (OSError, UnicodeDecodeError):
        return False


def remember_failure(folder: Path, compiler: str, fault: str) -> None:
    """Spare a later set-up the minutes that compiling this build with this compiler costs."""
    _mark(folder).write_text(f"{compiler}\n{fault}\n", encoding="utf-8")


def _mark(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.failed")


def fetch_prebuilt(
    pip: Sequence[str], version: str, folder: Path, *, environ: Mapping[str, str]
) -> Path | None:
    """Put a finished wheel into `folder`, if one of pip's indexes has it for this machine."""
    done = subprocess.run(
        [
            *pip, "download", "--quiet", "--no-deps", "--only-binary", ":all:",
            "--dest", str(folder), f"{PACKAGE}=={version}",
        ],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
        env=dict(environ),
    )  # fmt: skip
    return cached_wheel(folder) if done.returncode == 0 else None


class BuildProgress:
    """How far a build is, told from its log, line by line.

    `fraction` is of the compile alone; it never falls. Ninja counts `[18/140]`; Make, which
    is used where there is no ninja, gives `[ 12%]`.
    """

    _NINJA = re.compile(r"\s*\[(\d+)/(\d+)\]")
    _MAKE = re.compile(r"\s*\[\s*(\d+)%\]")
    _PHASES = (
        ("Downloading ", "downloading the source of llama.cpp"),
        ("Installing build dependencies", "fetching the build tools"),
        ("*** Configuring CMake", "configuring"),
        ("*** Building project", "compiling"),
        ("*** Making wheel", "packing"),
    )

    def __init__(self, estimate_s: float) -> None:
        self.phase = "asking for the source of llama.cpp"
        self._phases = list(self._PHASES)
        self.fraction = 0.0
        self.done = 0
        self.total = 0
        self._estimate_s = estimate_s
        self._percent_shown = 0

    def feed(self, line: str) -> None:
        """Take one line of the log."""
        if match := self._NINJA.match(line):
            done, total = int(match[1]), int(match[2])
            # A build within the build (Vulkan's shader compiler) counts its own few steps.
            if done <= total and total > self.total // 2:
                self.done, self.total = done, total
                self._advance(done / total)
        elif match := self._MAKE.match(line):
            self._advance(min(100, int(match[1])) / 100)
        else:
            text = line.strip()
            for index, (start, phase) in enumerate(self._phases):
                if text.startswith(start):
                    # The build tools are downloaded too: what came before is over.
                    self._phases = self._phases[index + 1 :]
                    self.phase = phase
                    break

    def _advance(self, fraction: float) -> None:
        self.phase = "compiling"
        self.fraction = max(self.fraction, fraction)

    def remaining_s(self, elapsed_s: float) -> float:
        """Seconds still to go: the estimate at first, more and more what was measured."""
        if not self.fraction:
            return max(self._estimate_s - elapsed_s, 0.0)
        trust = min(1.0, 2 * self.fraction)
        whole = (1 - trust) * self._estimate_s + trust * elapsed_s / self.fraction
        return whole * (1 - self.fraction)

    def text(self, elapsed_s: float) -> str:
        """One line to show, elapsed and remaining time included."""
        steps = f", {self.done} of {self.total} steps" if self.total else ""
        return (
            f"{self.fraction:4.0%} {self.phase}{steps}, {clock(elapsed_s)} gone, "
            f"about {clock(self.remaining_s(elapsed_s))} left"
        )

    def milestone(self) -> bool:
        """Whether another tenth of the compile is done since this last said so."""
        tenth = int(self.fraction * 10 + 1e-9) * 10
        if tenth <= self._percent_shown:
            return False
        self._percent_shown = tenth
        return True


def announcement(environ: Mapping[str, str]) -> list[str]:
    """What to say before a compile starts: what, how long, and how to do without."""
    jobs = machine.compile_jobs(environ)
    minutes = max(1, round(_estimate_s(environ) / 60))
    cores = "1 core" if jobs == 1 else f"{jobs} cores"
    lines = [f"llama.cpp is now compiled for this machine: about {minutes} min on {cores}, once."]
    if _GPU_BUILD.search(cmake_args(environ)):
        lines.append("A build for a GPU takes several times as long as that.")
    lines.append("To do without it, use a prebuilt wheel: see 'Hardware' in README.md.")
    return lines


def _estimate_s(environ: Mapping[str, str]) -> float:
    return _FIXED_SECONDS + _CORE_SECONDS / min(machine.compile_jobs(environ), machine.cores())


def build_wheel(
    pip: Sequence[str], version: str, folder: Path, *, environ: Mapping[str, str], console: Console
) -> Path:
    """Compile the wheel and place it in the cache directory `folder`; the log stays beside it.

    `pip` is the command that runs pip, `environ` the environment to run it in.

    Raises:
        SetupError: The build failed; it quotes the last errors and names the log.
        KeyboardInterrupt: Nothing of the build is left, and nothing of it still runs.
    """
    log = folder.with_name(folder.name + ".log")
    environ = {
        **environ,
        "CMAKE_ARGS": cmake_args(environ),
        "CMAKE_BUILD_PARALLEL_LEVEL": str(machine.compile_jobs(environ)),
    }
    progress = BuildProgress(_estimate_s(environ))
    start = time.monotonic()

    def show() -> None:
        text = progress.text(time.monotonic() - start)
        if console.live:
            console.progress(text)
        elif progress.milestone():
            console.say(text)

    # pip's temporary files are put where we can remove them: a killed pip leaves 300 MB.
    scratch = tempfile.TemporaryDirectory(prefix="urial-build-", ignore_cleanup_errors=True)
    with scratch as temporary, _staging(folder) as staging:
        code = run_logged(
            [
                *pip, "wheel", "-v", "--no-deps", "--no-cache-dir", "--progress-bar=off",
                "--no-binary", PACKAGE, "--wheel-dir", str(staging), f"{PACKAGE}=={version}",
            ],
            log,
            environ={**environ, "TMPDIR": temporary},
            on_line=progress.feed,
            on_tick=show,
        )  # fmt: skip
        wheel = cached_wheel(staging)
        if code or wheel is None:
            raise _failure(code, log)
        folder.mkdir(exist_ok=True)
        placed = wheel.replace(folder / wheel.name)
    console.say(f"llama.cpp is compiled; it took {clock(time.monotonic() - start)} min.")
    return placed


@contextmanager
def _staging(folder: Path) -> Iterator[Path]:
    """A directory beside the cache's, on the same file system, so that moving a wheel is atomic."""
    for stale in folder.parent.glob("*.partial-*"):
        # Left by a build that was killed too hard to clean up. Another machine may share
        # this directory, so age decides, not whether a process runs here.
        if time.time() - stale.stat().st_mtime > _DAY_S:
            shutil.rmtree(stale, ignore_errors=True)
    path = Path(tempfile.mkdtemp(prefix=f"{folder.name}.partial-", dir=folder.parent))
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


_CAUSES = (
    (r"No space left on device", "Free some space, or set TMPDIR to a directory on another disk."),
    (
        r"Killed signal|Cannot allocate memory|virtual memory exhausted",
        "The memory ran out: try again with CMAKE_BUILD_PARALLEL_LEVEL=1.",
    ),
    (
        r"No matching distribution|name resolution|Network is unreachable|ConnectionError"
        r"|NewConnectionError|ProxyError|SSLError|Read timed out",
        "The source was not to be had: look at the network connection and at pip's settings.",
    ),
    (
        r"CUDA Toolkit not found|nvcc|Could NOT find Vulkan|hipcc",
        "The toolkit for the GPU that CMAKE_ARGS asks for is not found: install it first.",
    ),
)


def _failure(code: int, log: Path) -> SetupError:
    lines = error_lines(log)
    text = "\n".join(lines)
    causes = [hint for pattern, hint in _CAUSES if re.search(pattern, text)]
    how = f"by signal {-code}" if code < 0 else f"with exit code {code}"
    quoted = "".join(f"\n    {line}" for line in lines)
    return SetupError(
        f"llama.cpp could not be compiled; it ended {how}.{quoted}\n",
        " ".join([*causes[:1], f"The whole log is {sanitize_line(str(log))}."]),
    )
