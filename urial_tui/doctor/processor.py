"""The processor: what it can do, how much of it this process may use, and what the build uses.

A feature is named as the native library names it; the flags that stand for one in /proc/cpuinfo
are the kernel's, of x86-64 and of ARM.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path

from urial_tui.control_groups import cpu_quota
from urial_tui.doctor.finding import Fact
from urial_tui.files import read_bytes
from urial_tui.processor import processor_name
from urial_tui.wording import amount, fixed

_FLAGS = {
    "SSE3": "pni", "SSSE3": "ssse3", "AVX": "avx", "AVX2": "avx2", "F16C": "f16c", "FMA": "fma",
    "BMI2": "bmi2", "AVX_VNNI": "avx_vnni", "AVX512": "avx512f", "AVX512_VBMI": "avx512vbmi",
    "AVX512_VNNI": "avx512_vnni", "AVX512_BF16": "avx512_bf16", "AMX_INT8": "amx_int8",
    "NEON": "asimd", "DOTPROD": "asimddp", "MATMUL_INT8": "i8mm", "FP16_VA": "asimdhp",
    "SVE": "sve", "SME": "sme",
}  # fmt: skip
_MATTER = {"AVX", "AVX2", "F16C", "FMA", "NEON", "DOTPROD"}
"""Without these decoding is much slower; the others may be left out for a reason."""
_LARGEST = 4_000_000
REBUILD = "Build the engine anew on this machine: `make setup` in the checkout."


def processor(
    root: Path = Path("/"),
    usable: Callable[[], int] | None = None,
    cores: int | None = None,
) -> Iterator[Fact]:
    """Its name, how many of its CPUs this process may use, and its features.

    Args:
        root: Where /proc and /sys are, for tests.
        usable: How many CPUs the scheduler lets this process run on.
        cores: How many the machine has, where that is not to be asked.
    """
    cores = cores or os.cpu_count() or 1
    may = (usable or usable_processors)()
    yield Fact(f"{processor_name(root)}, {amount(cores, 'logical CPU')}")
    if may < cores:
        yield Fact(f"this process may run on {may} of them (its affinity)", "note")
    quota = cpu_quota(root)
    if quota is not None and quota < may:
        yield Fact(
            f"its control group gives it the time of {fixed(quota, 1)} CPUs",
            "note" if quota >= 1 else "warning",
            "" if quota >= 1 else "Give the container or the service at least one whole CPU.",
        )
    flags = processor_flags(root)
    if flags:
        named = [name for name, flag in _FLAGS.items() if flag in flags]
        yield Fact(f"features: {', '.join(named) or 'none that the engine knows'}")


def used_features(parts: Mapping[str, Collection[str]], flags: Collection[str]) -> Iterator[Fact]:
    """What the build uses of the CPU, what it leaves, and what it needs in vain.

    Args:
        parts: What the library was built for; see `engine.build_parts`.
        flags: Those of the CPU, empty where the system does not tell.
    """
    uses = parts.get("CPU", ())
    if not flags or not uses:
        return
    has = {name for name, flag in _FLAGS.items() if flag in flags}
    if lacking := [name for name in _FLAGS if name in uses and name not in has]:
        yield Fact(f"the build needs {', '.join(lacking)}, which this CPU lacks", "bad", REBUILD)
    left = [name for name in _FLAGS if name in has and name not in uses]
    if slow := [name for name in left if name in _MATTER]:
        yield Fact(f"the build does without {', '.join(slow)}, and is slow", "warning", REBUILD)
    if rest := [name for name in left if name not in _MATTER]:
        yield Fact(f"of this CPU the build does not use {', '.join(rest)}", "note")
    if not left and not lacking:
        yield Fact("the build uses all of these features")


def processor_flags(root: Path = Path("/")) -> frozenset[str]:
    """The kernel's names of what the first CPU can do; empty where it does not tell."""
    try:
        text = read_bytes(root / "proc/cpuinfo", _LARGEST).decode("utf-8", "replace")
    except OSError:
        return frozenset()
    line = re.search(r"^(?:flags|Features)[ \t]*:(.*)$", text, re.MULTILINE)
    return frozenset(line[1].split() if line else ())


def usable_processors() -> int:
    """How many CPUs this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # macOS has no such thing
        return os.cpu_count() or 1
