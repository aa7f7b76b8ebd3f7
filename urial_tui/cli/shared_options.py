"""Options that several commands have, each in the same words everywhere."""

from __future__ import annotations

from pathlib import Path

import click

from urial_tui.cli.names import NAME
from urial_tui.cli.numbers import PARALLEL, TOKENS, Real

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
    type=click.Path(path_type=Path),
    help="Write a report, a page for a browser, to this file.",
)
"""Where a page goes."""
