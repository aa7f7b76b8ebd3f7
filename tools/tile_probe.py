"""Whether a compiler keeps what llama.cpp writes into the AMX tile configuration.

In the headers of some compilers the operand of `ldtilecfg` covers 8 of the 64 bytes that the
instruction reads. An optimiser may then drop the stores that fill the rest, and the first
multiplication dies. The answer comes from the compiler at hand: it compiles the same code,
the instruction is replaced by a copy of the bytes it would read, and what was copied is
looked at. So it needs no CPU with AMX.
"""

from __future__ import annotations

import re
import struct
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

_SOURCE = Path(__file__).with_suffix(".cpp")
_LIMIT_S = 60
_LOAD = re.compile(r"^\s*ldtilecfg\s+([^#;\n]*[^#;\s]).*$", re.MULTILINE)
_EXPECTED = struct.pack(
    "<BB14x16H16B", 1, 0, *(64, 64, 32, 32, 64, 64, 64, 64), *[0] * 8, *(8, 8), *[16] * 6, *[0] * 8
)

# As CMake's Release build of llama.cpp has them.
_RELEASE = ("-O3", "-DNDEBUG", "-std=gnu++17", "-fPIC")


def uses_amx(compiler: Sequence[str], flags: Sequence[str]) -> bool:
    """Whether a compile with these flags makes llama.cpp use the tiles.

    Args:
        compiler: The command of the C++ compiler.
        flags: What chooses the instruction sets, `-march=native` as a rule.
    """
    done = _run([*compiler, *flags, "-dM", "-E", "-x", "c++", "/dev/null"])
    return done is not None and "#define __AMX_INT8__ " in done


def keeps_tile_configuration(compiler: Sequence[str], flags: Sequence[str]) -> bool:
    """Whether the tile unit gets all that was written for it; False if that can't be told."""
    with tempfile.TemporaryDirectory(prefix="urial-probe-") as folder:
        assembly, program = Path(folder, "probe.s"), Path(folder, "probe")
        compiled = [*compiler, *_RELEASE, *flags, "-S", str(_SOURCE), "-o", str(assembly)]
        if _run(compiled) is None:
            return False
        text, loads = _LOAD.subn(_copy, assembly.read_text(encoding="utf-8", errors="replace"))
        assembly.write_text(text, encoding="utf-8")
        if not loads or _run([*compiler, str(assembly), "-o", str(program)]) is None:
            return False
        return _run([str(program)]) == _EXPECTED.hex()


def _copy(load: re.Match[str]) -> str:
    """Assembly that copies the 64 bytes of an operand, and leaves registers and stack alone."""
    words = (
        f"movq {place}(%rax), %rdx\n\tmovq %rdx, given+{place}(%rip)" for place in range(0, 64, 8)
    )
    return "\n\t".join(
        (
            "\tmovq %rax, saved(%rip)",
            "movq %rdx, saved+8(%rip)",
            f"leaq {load[1]}, %rax",
            *words,
            "movq saved(%rip), %rax",
            "movq saved+8(%rip), %rdx",
        )
    )


def _run(command: Sequence[str]) -> str | None:
    """What a command prints; None if it fails."""
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_LIMIT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None
