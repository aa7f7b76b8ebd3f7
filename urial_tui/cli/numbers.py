"""Numbers on the command line that are numbers: in a range, and nothing that is in none."""

from __future__ import annotations

import math

import click

TOKENS = click.IntRange(1, 1_000_000)
"""A number of tokens: more than any context has is most likely a mistake."""
COUNT = click.IntRange(1, 2**31)


class Real(click.FloatRange):
    """A range of real numbers; "nan" is between no two of them, but is compared as if it were."""

    def convert(
        self, value: str | float, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """The number that was written."""
        number: float = super().convert(value, param, ctx)  # type: ignore[arg-type]  # takes text as well
        if math.isnan(number):
            self.fail(f"{value!r} is not a number.", param, ctx)
        return number
