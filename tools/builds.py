"""The ways to compile the engine that are tried in order, until one passes its self-test.

The first is the fastest that should run here; each later one gives something up. A build is
the surroundings in which it is compiled, so that it is part of the key under which its wheel
is kept. What the user asks for in CMAKE_ARGS, CFLAGS and CXXFLAGS stays in it.
"""

from __future__ import annotations

import platform
import re
import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tools import machine, tile_probe
from tools.console import SetupError

_KEEP_STORES = "-fno-tree-dse -fno-dse"
_NO_AMX = "-mno-amx-tile -mno-amx-int8 -mno-amx-bf16"

_OWN_CHOICE = re.compile(r"-DGGML_(NATIVE|CPU_ALL_VARIANTS|BACKEND_DL)\b|-m(arch|cpu)=")
"""Who names the instruction sets gets these, and no others."""

_X86_OPTIONS = {
    "sse4_2": "SSE42",
    "avx": "AVX",
    "avx2": "AVX2",
    "bmi2": "BMI2",
    "fma": "FMA",
    "f16c": "F16C",
}
"""What a build that is not native uses unless told otherwise, by its flag in /proc/cpuinfo."""


@dataclass(frozen=True, kw_only=True)
class Build:
    """One way to compile: flags for both languages, or for C++ alone, or options of CMake.

    `notice` is what to say when it is chosen, empty for the plain one.
    """

    notice: str = ""
    flags: str = ""
    cxx_flags: str = ""
    options: str = ""

    def surroundings(self, environ: Mapping[str, str]) -> dict[str, str]:
        """`environ` with this build's flags behind the user's, and its options before them."""
        asked = _words(environ, "CMAKE_ARGS")
        changed = dict(environ)
        for language, flags in (("C", self.flags), ("CXX", self.cxx_flags or self.flags)):
            if not flags:
                continue
            # CMake looks at the variable only where the option is not given.
            option = re.compile(rf"-DCMAKE_{language}_FLAGS(:\w+)?=")
            asked = [f"{word} {flags}" if option.match(word) else word for word in asked]
            before = environ.get(f"{language}FLAGS", "")
            changed[f"{language}FLAGS"] = f"{before} {flags}".strip()
        arguments = [*self.options.split(), *asked]
        if arguments != _words(environ, "CMAKE_ARGS"):
            changed["CMAKE_ARGS"] = shlex.join(arguments)
        return changed


PLAIN = Build()
KEEPING_STORES = Build(
    notice=f"This compiler drops part of llama.cpp's AMX set-up; with {_KEEP_STORES} it does not.",
    cxx_flags=_KEEP_STORES,
)
WITHOUT_AMX = Build(notice="llama.cpp is compiled without AMX.", flags=_NO_AMX)


def builds(environ: Mapping[str, str]) -> Sequence[Build]:
    """What to try on this machine with the compiler that `environ` chooses, best first.

    Raises:
        SetupError: The user's options can't be taken apart.
    """
    asked = " ".join(_words(environ, "CMAKE_ARGS"))
    flags = [environ.get(name, "") for name in ("CFLAGS", "CXXFLAGS")]
    own = any(_OWN_CHOICE.search(text) for text in (asked, *flags))
    compiler = machine.compiler("C++", environ)
    if compiler is None:
        # Nothing can be compiled; a wheel of any of them may have been kept.
        return [PLAIN] if own else [PLAIN, KEEPING_STORES, WITHOUT_AMX, baseline()]
    chosen = _words(environ, "CXXFLAGS") + _instruction_sets(asked)
    if not tile_probe.uses_amx(compiler, chosen):
        return [PLAIN] if own else [PLAIN, baseline()]
    keeping = [*chosen, *_KEEP_STORES.split()]
    with_amx = []
    if tile_probe.keeps_tile_configuration(compiler, chosen):
        with_amx = [PLAIN]
    elif tile_probe.keeps_tile_configuration(compiler, keeping):
        with_amx = [KEEPING_STORES]
    return (with_amx or [PLAIN]) if own else [*with_amx, WITHOUT_AMX, baseline()]


def baseline() -> Build:
    """No more of the CPU than common code has long used."""
    options = ["-DGGML_NATIVE=OFF"]
    if sys.platform == "linux" and platform.machine() == "x86_64":
        has = set(machine.cpu_features().split())
        options += [f"-DGGML_{name}=OFF" for flag, name in _X86_OPTIONS.items() if flag not in has]
    return Build(
        notice="llama.cpp is compiled for a plain CPU of this kind; it will be slower.",
        options=" ".join(options),
    )


def _instruction_sets(cmake_args: str) -> list[str]:
    """The compiler's flags by which llama.cpp chooses instruction sets."""
    if not re.search(r"-DGGML_NATIVE(:\w+)?=(off|0|no|false)\b", cmake_args, re.IGNORECASE):
        return ["-march=native"]
    names = re.findall(
        r"-DGGML_AMX_(TILE|INT8)(?::\w+)?=(?:on|1|yes|true)\b", cmake_args, re.IGNORECASE
    )
    return [f"-mamx-{name.lower()}" for name in names]


def _words(environ: Mapping[str, str], name: str) -> list[str]:
    try:
        return shlex.split(environ.get(name, ""))
    except ValueError as error:
        raise SetupError(
            f"{name} can't be taken apart: {str(error).lower()}.",
            "Check its quotation marks.",
        ) from error
