"""Options that several commands have, each in the same words everywhere."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import click

from urial_tui.cli.names import FILE, NAME
from urial_tui.cli.numbers import PARALLEL, TOKENS, Real
from urial_tui.errors import UsageError

MODEL = click.option(
    "-m",
    "--model",
    type=NAME,
    metavar="MODEL",
    help="A catalogue name or a .gguf file; MODEL+ADAPTER adds a LoRA.  [default: chat.model]",
)
"""Which model."""

PREAMBLE = click.option(
    "-p",
    "--preamble",
    type=NAME,
    metavar="PREAMBLE",
    help="The name of a preamble, or a preamble file.  [default: chat.preamble]",
)
"""Which preamble."""

MAX_TOKENS = click.option(
    "--max-tokens",
    type=TOKENS,
    metavar="N",
    help="Longest answer, in tokens.  [default: chat.max_tokens]",
)
"""How long an answer may be."""

QUESTION_TOKENS = click.option(
    "--max-tokens",
    type=TOKENS,
    metavar="N",
    help="Longest answer to a question, in tokens.  [default: chat.max_tokens]",
)
"""The same, where everyday questions are answered."""

TEMPERATURE = click.option(
    "--temperature",
    type=Real(0, 100),
    metavar="T",
    help="0 takes the likeliest token each time; more is more varied.  "
    "[default: sampling.temperature]",
)
"""How answers are drawn."""

RATE = click.option(
    "--rate", metavar="N", type=Real(0.001, 1e6), help="Most requests a minute to an endpoint."
)
"""How fast an endpoint is asked."""

PRICE_IN = click.option(
    "--price-in",
    metavar="P",
    type=Real(0, 1e6),
    help="What a million tokens cost that an endpoint reads, to tell the cost.",
)
PRICE_OUT = click.option(
    "--price-out", metavar="P", type=Real(0, 1e6), help="What a million cost that it writes."
)
"""What an endpoint costs."""

TOGETHER = click.option(
    "--parallel",
    metavar="N",
    type=PARALLEL,
    help="Write N answers together.  [default: the most of 16, 8, 4, 2 and 1 that the memory "
    "holds]",
)
"""How many answers are written at once."""

HTML = click.option(
    "--html",
    metavar="FILE",
    type=FILE,
    help="Write a report, a page for a browser, to this file.",
)
"""Where a page goes."""


def check_endpoint(
    options: Mapping[str, Any], endpoint: str, names: Sequence[str], command: str
) -> None:
    """Refuse what only an endpoint knows where there is none, and one price without the other.

    Args:
        options: Of the command line.
        endpoint: The name of the one that gives an endpoint.
        names: Those that go with it.
        command: Whose help tells more.

    Raises:
        UsageError: It is refused.
    """
    help_ = f"See `{command} --help`."
    given = [name for name in names if options[name] is not None]
    if options[endpoint] is None and given:
        raise UsageError(f"--{given[0].replace('_', '-')} goes with --{endpoint}.", help_)
    if (options["price_in"] is None) != (options["price_out"] is None):
        raise UsageError("--price-in and --price-out go together.", help_)
