"""The figures of a benchmark, as values: `urial bench --json` prints them as they are here.

A figure is never one number: it comes with the values of all the runs, so that a reader
sees whether the median means anything.
"""

from __future__ import annotations

import os
import statistics
from collections.abc import Sequence

import msgspec

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

    cores: int
    load_average: float | None


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
    runs: int
    complete: bool
    tokens: int
    load_s: Spread | None
    prefill_tokens_per_s: Spread | None
    decode_tokens_per_s: DecodeRates
    first_token_s: FirstToken
    notes: tuple[str, ...]


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
