"""What the rounds of a comparison add up to: medians, ratios and whether a target is met.

A ratio is taken within each round, between processes that ran close together, and the
median is that of the ratios: a machine that was slow for a whole round then moves neither.
Nothing here measures, so all of it can be checked with made-up figures.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from typing import TypeVar

import msgspec

from benchmarks.contenders import Measured, SecondTurn

T = TypeVar("T")
Round = Mapping[str, Measured]
"""What each contender found in one round; one that failed is missing."""

METRICS = {
    "prefill": "prefill, tokens/s",
    "decode_empty": "decode, empty context, tokens/s",
    "decode_preamble": "decode, behind the preamble, tokens/s",
    "decode_limit": "decode, if reading all weights once a token were all, tokens/s",
    "memory_read": "memory, read by numpy, GB/s",
    "first_token_cold": "first token, new process, preamble computed, s",
    "first_token_disk": "first token, new process, preamble on disk, s",
    "first_token_running": "first token, running process, s",
}


class Series(msgspec.Struct, frozen=True, kw_only=True):
    """One figure over the rounds; None in `values` for a round that has none."""

    median: float | None
    low: float | None
    high: float | None
    values: tuple[float | None, ...]


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """A ratio of two figures, and what is wanted of its median.

    `wanted` None: it is only told. `strict`: more than `wanted`, not at least.
    """

    metric: str
    ours: str
    theirs: str
    other_metric: str = ""
    wanted: float | None = None
    strict: bool = False

    @property
    def name(self) -> str:
        """What is divided by what."""
        if self.other_metric:
            return f"{self.metric} / {self.other_metric}"
        return f"{self.metric}: {self.ours} / {self.theirs}"

    @property
    def wish(self) -> str:
        """What is wanted, as a sign and a number."""
        return "" if self.wanted is None else f"{'>' if self.strict else '>='} {self.wanted:g}"


TARGETS = (
    Target(metric="decode_empty", ours="worker", theirs="llama-bench", wanted=0.98),
    Target(metric="decode_preamble", ours="worker", theirs="llama-bench", wanted=1.0),
    Target(metric="prefill", ours="worker", theirs="llama-bench", wanted=0.97),
    Target(metric="decode_empty", ours="worker", theirs="llama-class", wanted=1.0),
    Target(metric="decode_preamble", ours="worker", theirs="llama-class", wanted=1.0),
    Target(metric="prefill", ours="worker", theirs="llama-class", wanted=1.0),
    Target(metric="decode_empty", ours="worker", theirs="in-process", wanted=0.98, strict=True),
    Target(metric="decode_preamble", ours="worker", theirs="in-process", wanted=0.98, strict=True),
    Target(
        metric="first_token_cold",
        ours="start",
        theirs="start",
        other_metric="first_token_disk",
        wanted=2.5,
    ),
    Target(metric="decode_empty", ours="worker", theirs="memory", other_metric="decode_limit"),
    Target(metric="decode_empty", ours="worker", theirs="bare"),
    Target(metric="decode_preamble", ours="worker", theirs="bare"),
    Target(metric="prefill", ours="worker", theirs="bare"),
)


class Ratio(msgspec.Struct, frozen=True, kw_only=True):
    """A target and what came of it. `met` None: nothing was wanted, or nothing measured."""

    name: str
    wanted: str
    ratio: Series
    met: bool | None


class SecondTurns(msgspec.Struct, frozen=True, kw_only=True):
    """What second turns made the worker evaluate.

    `excess`: the most tokens evaluated beyond the new ones.
    """

    turns: tuple[SecondTurn, ...]
    excess: int | None
    met: bool | None


def series(values: Sequence[float | None]) -> Series:
    """Median, lowest and highest of the values that are there."""
    known = [value for value in values if value is not None]
    return Series(
        median=statistics.median(known) if known else None,
        low=min(known, default=None),
        high=max(known, default=None),
        values=tuple(values),
    )


def figure(measured: Measured | None, metric: str) -> float | None:
    """One figure of one contender in one round."""
    return None if measured is None else measured.figures.get(metric)


def contender_series(
    rounds: Sequence[Round], name: str, metrics: Iterable[str] = tuple(METRICS)
) -> dict[str, Series]:
    """Every figure of one contender over the rounds; those that it never has are left out."""
    found = {
        metric: series([figure(round_.get(name), metric) for round_ in rounds])
        for metric in metrics
    }
    return {metric: values for metric, values in found.items() if values.median is not None}


def ratio(target: Target, rounds: Sequence[Round]) -> Ratio:
    """The ratios of the rounds that have both figures, and whether their median will do."""
    values: list[float | None] = []
    for round_ in rounds:
        ours = figure(round_.get(target.ours), target.metric)
        theirs = figure(round_.get(target.theirs), target.other_metric or target.metric)
        values.append(ours / theirs if ours is not None and theirs else None)
    result = series(values)
    met = None
    if target.wanted is not None and result.median is not None:
        met = result.median > target.wanted or (
            result.median == target.wanted and not target.strict
        )
    return Ratio(name=target.name, wanted=target.wish, ratio=result, met=met)


def second_turns(rounds: Sequence[Round]) -> SecondTurns:
    """What the worker's second turns cost."""
    found = (round_["worker"].second_turn for round_ in rounds if "worker" in round_)
    turns = tuple(turn for turn in found if turn is not None)
    excess = max((turn.prefilled - turn.new for turn in turns), default=None)
    return SecondTurns(turns=turns, excess=excess, met=None if excess is None else excess <= 0)


def without_short_texts(measured: Measured, tokens: int) -> tuple[Measured, list[str]]:
    """Without the rates that stand on fewer than half of the tokens; these, by metric.

    A model may end its text when it likes, and a rate over a few tokens tells little.
    """
    short = [metric for metric, count in measured.generated.items() if 2 * count < tokens]
    kept = {name: value for name, value in measured.figures.items() if name not in short}
    return msgspec.structs.replace(measured, figures=kept), short


def order(contenders: Sequence[T], round_number: int) -> list[T]:
    """The contenders in the order of a round: each goes first, second, … equally often."""
    start = round_number % len(contenders)
    return [*contenders[start:], *contenders[:start]]


def columns(values: Series) -> str:
    """Median, lowest and highest as three columns of a report."""
    return "".join(
        f"{'-':>9}" if value is None else f"{value:9.3f}" if value < 10 else f"{value:9.1f}"
        for value in (values.median, values.low, values.high)
    )
