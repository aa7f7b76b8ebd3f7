"""Rules of a preamble: a rule-based adapter in place of examples, or beside them.

They are part of how a token is chosen (`Sampling.rules`), so whoever has an answer written under a
preamble makes its sampling with `ruled`.
"""

from __future__ import annotations

import math

import msgspec

from urial_tui.engine.wire.values import Rules, Sampling
from urial_tui.prompting.preamble import Preamble
from urial_tui.sanitize import quoted

MOST_BIAS = 100.0
"""Logits differ by less: a larger bias forces or forbids no more than this does."""
_MOST_TOKENS = 1_000_000
_MOST_TEXTS = 1000
_LONGEST = 100


def ruled(sampling: Sampling, preamble: Preamble | None) -> Sampling:
    """How a token is chosen under a preamble: with its rules, if it has any."""
    rules = None if preamble is None else preamble.rules
    return sampling if rules == sampling.rules else msgspec.structs.replace(sampling, rules=rules)


def rules_mistake(rules: Rules) -> str:
    """What is wrong with rules, from the key on; "" where they are sound."""
    biases = {"end_bias": rules.end_bias, "repeat_bias": rules.repeat_bias}
    biases |= {f"shifts[{number}].bias": shift.bias for number, shift in enumerate(rules.shifts)}
    for key, bias in biases.items():
        # NaN lies between no two numbers.
        if not -MOST_BIAS <= bias <= MOST_BIAS or math.isnan(bias):
            return f"{key} is {bias:g}, but has to lie between {-MOST_BIAS:g} and {MOST_BIAS:g}"
    if not 1 <= rules.end_tokens <= _MOST_TOKENS:
        return f"end_tokens is {rules.end_tokens}, but has to lie between 1 and {_MOST_TOKENS:,}"
    texts = [text for shift in rules.shifts for text in shift.texts]
    if len(texts) > _MOST_TEXTS:
        return f"shifts name {len(texts):,} texts, and may name {_MOST_TEXTS:,}"
    for text in texts:
        if not text or len(text) > _LONGEST:
            return (
                f"shifts name the text {quoted(text)}, which has to have 1 to {_LONGEST} characters"
            )
        if texts.count(text) > 1:
            return f"shifts name the text {quoted(text)} twice"
    return ""
