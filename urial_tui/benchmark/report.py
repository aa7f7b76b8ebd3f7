"""The figures of a benchmark, as values: `urial bench --json` prints them as they are here.

A figure is never one number: it comes with the values of all the runs, so that a reader
sees whether the median means anything.
"""

from __future__ import annotations

import importlib.metadata
import os
import statistics
from collections.abc import Sequence

import msgspec

from urial_tui.processor import processor_name

BUSY_SHARE = 0.25
"""A load average above this share of the cores means that others compute here too."""


class Spread(msgspec.Struct, frozen=True, kw_only=True):
    """One figure over the runs; `values` in the order of the runs that have it."""

    median: float
    low: float
    high: float
    values: tuple[float, ...]


class DecodeRates(msgspec.Struct, frozen=True, kw_only=True):
    """Generated tokens a second, from an empty context and behind the preamble."""

    empty: Spread | None
    preamble: Spread | None


class FirstToken(msgspec.Struct, frozen=True, kw_only=True):
    """Seconds to the first generated token.

    `cold` and `disk` count from the start of a process, without and with the evaluated
    preamble on disk; `running` from the question to an engine that holds the preamble.
    """

    cold: Spread | None
    disk: Spread | None
    running: Spread | None


class Machine(msgspec.Struct, frozen=True, kw_only=True):
    """What was measured on. `load_average`: of the minute before; None if unknown."""

    processor: str
    cores: int
    load_average: float | None


class MemoryBound(msgspec.Struct, frozen=True, kw_only=True):
    """Decoding from an empty context beside what the memory gives; see `memory_speed`.

    `weight_bytes_per_token`: what a token reads, None if unknown or not read by this processor.
    `read_bytes_per_s`: what numpy reads. `share`: of that speed, what the weights were read
    with while decoding, in the same run.
    """

    weight_bytes_per_token: int | None
    read_bytes_per_s: Spread | None
    share: Spread | None


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """The JSON document of `urial bench`; see docs/benchmarks.md."""

    model: str
    description: str
    preamble: str
    preamble_tokens: int
    threads: int
    gpu_layers: int
    n_ctx: int
    kv_type: str
    machine: Machine
    library: str
    runs: int
    complete: bool
    tokens: int
    load_s: Spread | None
    prefill_tokens_per_s: Spread | None
    decode_tokens_per_s: DecodeRates
    first_token_s: FirstToken
    memory: MemoryBound
    notes: tuple[str, ...]


def this_machine() -> Machine:
    """The machine, and how busy it is."""
    return Machine(
        processor=processor_name(), cores=os.cpu_count() or 1, load_average=load_average()
    )


def library_version() -> str:
    """The library that computes, with its version."""
    return f"llama-cpp-python {importlib.metadata.version('llama-cpp-python')}"


def spread(values: Sequence[float]) -> Spread | None:
    """Median, lowest and highest of the values; None where there are none."""
    if not values:
        return None
    return Spread(
        median=statistics.median(values), low=min(values), high=max(values), values=tuple(values)
    )


def load_average() -> float | None:
    """Processes that wanted to compute in the last minute, on average; None if unknown."""
    try:
        return os.getloadavg()[0]
    except (OSError, AttributeError):
        return None


def busy_warning(load: float | None, cores: int) -> str:
    """A sentence where the machine has other work to do, else nothing."""
    if load is None or load <= BUSY_SHARE * cores:
        return ""
    return (
        f"The machine is busy (load average {load:.1f} on {cores} cores), "
        "so these figures will be too low and uneven."
    )
