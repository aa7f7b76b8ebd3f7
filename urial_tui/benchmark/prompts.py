"""Texts that models go on with for long, so that a speed stands on enough tokens."""

from __future__ import annotations

NUMBERS = " ".join(str(number) for number in range(1, 13))
"""What is decoded from an (almost) empty context."""

QUESTION = "Count from one to one thousand, one number a line."
"""What is asked behind the preamble."""

BEGUN = "1\n2\n3\n4\n"
"""The start of an answer to `QUESTION`."""

WARM_UP = 4
"""Tokens to generate before the first measurement: it also maps the weights."""
