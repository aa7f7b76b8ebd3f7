"""What models go on with for long, so that a speed stands on enough tokens, and the warm-up."""

from __future__ import annotations

NUMBERS = " ".join(str(number) for number in range(1, 13))
"""What is decoded from an (almost) empty context."""

QUESTION = "Count from one to one thousand, one number a line."
"""What is asked behind the preamble."""

BEGUN = "1\n2\n3\n4\n"
"""The start of an answer to `QUESTION`."""

WARM_UP = 4
"""Tokens to generate before the first measurement: it also maps the weights."""


def pause_s(model_bytes: int) -> float:
    """Seconds to wait after the warm-up, as a person does who reads and types.

    An idle worker moves the weights to huge pages meanwhile (docs/decisions/0021); it moved
    450 MB a second on the slowest machine seen, and half of that has to be enough.
    """
    return min(0.1 + model_bytes / 225e6, 30.0)
