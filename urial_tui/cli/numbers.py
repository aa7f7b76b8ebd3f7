"""Numbers on the command line that are numbers: in a range, and nothing that is in none."""

from __future__ import annotations

import math

import click


class Whole(click.IntRange):
    """A click parameter type: a range of whole numbers. What is none of them is told in words."""

    def convert(
        self, value: str | int, param: click.Parameter | None, ctx: click.Context | None
    ) -> int:
        """The number that was written."""
        try:
            number: int = super().convert(value, param, ctx)  # type: ignore[arg-type]  # takes text as well
        except click.BadParameter:
            self.fail(f"{value!r} is no whole number from {self.min} to {self.max}.", param, ctx)
        return number


TOKENS = Whole(1, 1_000_000)
"""A number of tokens: more than any context has is most likely a mistake."""
COUNT = Whole(1, 2**31)
SAMPLES = Whole(1, 64)
"""A number of answers to one question: more are the work of hours, or a mistake."""
PARALLEL = Whole(1, 248)
"""A number of answers at once: `engine.wire.limits` says so, which takes long to import."""
LAST_SEED = 2**32 - 2
"""The library takes the number above it for a wish to draw a seed."""


class Real(click.FloatRange):
    """A click parameter type: a range of real numbers, in which "nan" is not. What is none
    of them is told in words.
    """

    def convert(
        self, value: str | float, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """The number that was written."""
        try:
            number: float = super().convert(value, param, ctx)  # type: ignore[arg-type]  # takes text as well
        except click.BadParameter:
            number = math.nan
        if math.isnan(number):
            low, high = (f"{bound:.10g}" for bound in (self.min or 0, self.max or 0))
            self.fail(f"{value!r} is no number from {low} to {high}.", param, ctx)
        return number
