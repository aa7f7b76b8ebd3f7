"""What this machine has, and what it lacks for setting up.

A check returns what is wrong as a `SetupError` that names the command to put it right, or
None. Checks are collected, so that a person sees everything that is missing at once.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path

from tools.console import SetupError
from urial_tui import control_groups
from urial_tui.sanitize import sanitize_line

GIB = 1 << 30

# The x86 features that a compiler makes code for; the other flags of /proc/cpuinfo (bug
# workarounds, power, virtualisation) change with the kernel and would cost a compile each.
_X86_FEATURES = re.compile(
    r"(sse|ssse|avx|amx|fma|bmi|sha|gfni|vaes|aes|f16c|popcnt|vpclmul|pclmul|adx|abm|movbe)"
)


def cores() -> int:
    """The logical cores that this process may use; a container's quota counts."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    quota = control_groups.cpu_quota()
    return max(1, min(usable or 1, int(quota) if quota is not None else 1 << 20))


def memory_bytes() -> int:
    """The memory of the machine, or of its container if that has less; 0 if it can't be told."""
    limits = [limit for limit, _ in control_groups.memory_limits()]
    with contextlib.suppress(ValueError, OSError):
        limits.append(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    return min(limits, default=0)


def compile_jobs(environ: Mapping[str, str]) -> int:
    """Compilers to run at once: CMAKE_BUILD_PARALLEL_LEVEL if that is a number, else the cores.

    One compiler takes up to about 1 GB here, so a small machine gets fewer.
    """
    wanted = environ.get("CMAKE_BUILD_PARALLEL_LEVEL", "")
    if wanted.isascii() and wanted.isdigit() and int(wanted):
        return int(wanted)
    memory = memory_bytes()
    return min(cores(), max(1, memory // GIB)) if memory else cores()


def cpu_features() -> str:
    """The instruction sets of the CPU, as far as they change what a native compile produces."""
    if sys.platform == "darwin":
        command = ["/usr/sbin/sysctl", "-n", "machdep.cpu.brand_string"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        return done.stdout.strip() or platform.machine()
    try:
        info = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return platform.machine()
    return read_cpu_features(info) or platform.machine()


def read_cpu_features(cpuinfo: str) -> str:
    """The features that the first CPU of a Linux /proc/cpuinfo lists, sorted."""
    match = re.search(r"^(flags|Features)\s*:(.*)$", cpuinfo, re.MULTILINE)
    if match is None:
        return ""
    words = set(match.group(2).split())
    if match.group(1) == "flags":
        words = {word for word in words if _X86_FEATURES.match(word)}
    return " ".join(sorted(words))


def platform_name() -> str:
    """System, architecture and C library: code compiled for another does not run here."""
    libc = "".join(platform.libc_ver()) if sys.platform == "linux" else platform.mac_ver()[0]
    return f"{sys.platform}-{platform.machine()}-{libc or 'unknown'}"


def venv_problem() -> SetupError | None:
    """Debian splits `ensurepip` off its Python."""
    if importlib.util.find_spec("venv") and importlib.util.find_spec("ensurepip"):
        return None
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    return SetupError(
        f"Python {version} here can't make virtual environments: ensurepip is missing.",
        _install(f"python{version}-venv", f"brew install python@{version}"),
    )


_COMPILERS = {"C": ("CC", ("cc", "gcc", "clang")), "C++": ("CXX", ("c++", "g++", "clang++"))}
"""The variable that names a language's compiler, and where CMake looks for one without it."""


def compiler_problem(environ: Mapping[str, str]) -> SetupError | None:
    """Compile and link a line of C and of C++: a compiler on the PATH may be a stub."""
    missing = [language for language in _COMPILERS if compiler(language, environ) is None]
    if not missing:
        return None
    return SetupError(
        f"No working {' and '.join(missing)} compiler is found, and llama.cpp has to be compiled.",
        _install("build-essential", "xcode-select --install")
        + " Without a compiler: name a prebuilt wheel in URIAL_LLAMA_WHEEL (see README.md).",
    )


def compiler(language: str, environ: Mapping[str, str]) -> list[str] | None:
    """The command of the compiler that CMake will take for "C" or "C++"; None if none works."""
    variable, names = _COMPILERS[language]
    chosen = environ.get(variable, "").split()
    source = "#include <string>\nint main() { return std::string().size(); }\n"
    if language == "C":
        source = "#include <math.h>\nint main(void) { return 0; }\n"
    candidates = [chosen] if chosen else [[name] for name in names if shutil.which(name)]
    with tempfile.TemporaryDirectory(prefix="urial-check-") as folder:
        for command in candidates:
            flags = ["-x", language.lower(), "-", "-o", str(Path(folder, "out"))]
            try:
                done = subprocess.run(
                    [*command, *flags], input=source, capture_output=True, text=True, check=False
                )
            except OSError:
                continue
            if done.returncode == 0:
                return command
    return None


def compiler_version(environ: Mapping[str, str]) -> str:
    """The name and version that the C++ compiler gives itself, "" where there is none."""
    command = compiler("C++", environ)
    if command is None:
        return ""
    done = subprocess.run([*command, "--version"], capture_output=True, text=True, check=False)
    return done.stdout.partition("\n")[0]


def disk_problems(needs: Iterable[tuple[Path, int]]) -> list[SetupError]:
    """One problem for each file system with less free than `needs` (paths and bytes) asks of it."""
    wanted: dict[int, tuple[Path, int]] = {}
    for path, size in needs:
        place = nearest(path)
        device = place.stat().st_dev
        first, so_far = wanted.get(device, (place, 0))
        wanted[device] = (first, so_far + size)
    problems = []
    for place, size in wanted.values():
        free = shutil.disk_usage(place).free
        if free < size:
            problems.append(
                SetupError(
                    f"{size / GIB:.1f} GiB are needed on the disk of "
                    f"{sanitize_line(str(place))}, and {free / GIB:.1f} GiB are free.",
                    "Free some space there; TMPDIR moves the compile's temporary files and "
                    "XDG_CACHE_HOME the finished build to another disk.",
                )
            )
    return problems


def nearest(path: Path) -> Path:
    """The path itself, or its closest parent that exists and can be looked at."""
    for place in (path, *path.parents):
        try:
            place.stat()
        except OSError:
            continue
        return place
    return Path("/")


def _install(debian: str, mac: str) -> str:
    if sys.platform == "darwin":
        return f"Install it: {mac}."
    return f"Install it, on Debian or Ubuntu: sudo apt-get install {debian}."
