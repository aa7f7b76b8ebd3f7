"""The table of contexts that were measured: cells of text from their document."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from urial_tui.wording import UNKNOWN, fixed, percent, size


def measure_rows(document: Mapping[str, Any]) -> tuple[list[str], list[list[str]]]:
    """The table of contexts that were measured, a row a context.

    Args:
        document: See docs/json.md.

    Returns:
        The titles of the columns, and the rows.
    """
    titles = [
        *("CONTEXT", "TOKENS", "BITS/BYTE", "DIFFERENCE", "ENDED", "RAN ON", "CUT", "COPIED"),
        *("LEAKED", "PREFILL", "CACHE"),
    ]
    contexts = document["contexts"]
    if document["aligned"] is not None:
        titles.insert(-2, "SHIFTED")
    return titles, [_row(context, document["aligned"] is not None) for context in contexts]


def answered_words(document: Mapping[str, Any]) -> str:
    """How the answers were written: at temperature 0 and DRY, as in the settings."""
    sampling = document["sampling"]
    penalised = sampling["repetition_penalty"] != 1 or any(
        sampling[name] for name in ("frequency_penalty", "presence_penalty", "dry_multiplier")
    )
    return f"{sampling['name']}{', as in the settings' if penalised else ''}"


def _row(context: Mapping[str, Any], shifted: bool) -> list[str]:
    seconds = context["prefill_s"]
    return [
        context["name"],
        tokens_cell(context),
        fixed(context["bits_per_byte"]["mean"], 4),
        difference_cell(context),
        *(percent(context[name]["share"], 0) for name in ("ended", "ran_on", "cut")),
        *(percent(context[name]["share"], 0) for name in ("copied_opening", "leaked")),
        *((percent(context["shift"]["mean"], 1),) if shifted else ()),
        UNKNOWN if seconds is None else f"{fixed(seconds, 2)} s",
        size(context["cache_bytes"]),
    ]


def tokens_cell(context: Mapping[str, Any]) -> str:
    """The tokens in front of a question, those of retrieved examples beside the constant ones."""
    retrieved = context["retrieved"]
    mean = None if retrieved is None else retrieved["tokens"]["mean"]
    return f"{context['tokens']:,}" + ("" if mean is None else f" +{fixed(mean, 0)}")


def difference_cell(context: Mapping[str, Any], *, wide: bool = True) -> str:
    """How many bits per byte more than the first context it takes; nothing of that one.

    `wide`: with the interval.
    """
    found = context["difference"]
    if found is None:
        return ""
    bits = found["bits_per_byte"]
    return difference_text(bits if wide else {**bits, "interval": None})


def difference_text(found: Mapping[str, Any]) -> str:
    """How many bits per byte more one takes than another: +0.0220 (+0.0160 to +0.0280)."""
    interval = found["interval"]
    spread = f" ({_signed(interval[0])} to {_signed(interval[1])})" if interval else ""
    return _signed(found["difference"]) + spread


def interval_cell(mean: Mapping[str, Any]) -> str:
    """A mean with its interval: 0.8123 (0.7901 to 0.8345)."""
    interval = mean["interval"]
    spread = f" ({fixed(interval[0], 4)} to {fixed(interval[1], 4)})" if interval else ""
    return fixed(mean["mean"], 4) + spread


def _signed(value: float | None) -> str:
    text = fixed(value, 4)
    # What rounds to zero has no sign.
    return f"+{text}" if value is not None and value > 0 and text.strip("0.") else text
