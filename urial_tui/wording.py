"""Numbers as people read them, worded the same way on every screen and in every table.

Digits are grouped by commas, a unit agrees with its number, and what rounds to zero has no
sign. What is not known (None, NaN) is a dash.
"""

from __future__ import annotations

import math
import time
from typing import Final

UNKNOWN: Final = "-"
"""Stands for a value that there is none of."""

_THOUSAND: Final = 1000
_SIZES: Final = ("B", "kB", "MB", "GB", "TB", "PB")
_PARAMETERS: Final = ("", "K", "M", "B", "T")


def amount(number: int, one: str, more: str | None = None) -> str:
    """So many of something: 1 token, 1,015 tokens; `more` where the plural needs more than an s."""
    return f"{number:,} {one if abs(number) == 1 else more or f'{one}s'}"


def capital(text: str) -> str:
    """A text as the start of a sentence: its first letter large, the rest as it is."""
    return text[:1].upper() + text[1:]


def started(text: str, limit: int) -> str:
    """A text on one line, of a long one its start: up to a word's end, with a sign of the cut.

    Args:
        text: It.
        limit: Characters of it at most, without the sign. A word that fills half of them is cut.
    """
    line = " ".join(text.split())
    if len(line) <= limit:
        return line
    head = line[: limit + 1].rpartition(" ")[0]
    if len(head) < limit // 2:
        head = line[: limit - 1]
    return f"{head.rstrip()}…"


def unpacked(done: int, total: int) -> str:
    """How far a packaged model is put together, by bytes: Unpacking the model: 40%."""
    return f"Unpacking the model: {done / max(total, 1):.0%}"


def looked_at(done: int, total: int) -> str:
    """How far model files are looked through: Looking at model files: 120 of 5,000."""
    return f"Looking at model files: {done:,} of {total:,}"


def fixed(value: float | None, digits: int) -> str:
    """So many digits behind the point: 1,234.50, 0.00, ∞."""
    if value is None or math.isnan(value):
        return UNKNOWN
    if math.isinf(value):
        return "∞" if value > 0 else "-∞"
    # Adding zero takes the sign from what rounding has made -0.0.
    return f"{round(value, digits) + 0.0:,.{digits}f}"


def three_digits(value: float | None) -> str:
    """Three digits that count, at most three behind the point: 1,234, 83.7, 9.53, 0.012."""
    if value is None or not math.isfinite(value):
        return fixed(value, 0)
    return fixed(value, _behind_the_point(value))


def at_most(value: float) -> str:
    """A bound with three digits, as `three_digits` has them, rounded up: at most 0.001."""
    if math.isfinite(value):
        scale = 10 ** _behind_the_point(value)
        scaled = value * scale
        # What a sum of fractions has too much is no reason to say more.
        rounds = math.isclose(scaled, round(scaled), rel_tol=1e-12)
        value = (round(scaled) if rounds else math.ceil(scaled)) / scale
    return f"at most {three_digits(value)}"


def _behind_the_point(value: float) -> int:
    size = abs(value)
    return 0 if size >= 99.95 else 1 if size >= 9.995 else 2 if size >= 0.9995 else 3


def percent(share: float | None, digits: int = 1) -> str:
    """A share of 1: 12.5%, 0.0%."""
    text = fixed(None if share is None else 100 * share, digits)
    return text if text == UNKNOWN else f"{text}%"


def rate(tokens_per_second: float) -> str:
    """A speed: 84 tokens/s, 1.5 tokens/s, 1 token/s."""
    digits = 1 if tokens_per_second < 9.95 else 0
    text = fixed(tokens_per_second, digits).removesuffix(".0")
    return f"{text} {'token' if text == '1' else 'tokens'}/s"


def size(count: int) -> str:
    """Bytes in decimal units, with three digits: 253 MB, 4.92 GB."""
    return " ".join(_scaled(count, _SIZES))


def limit(count: int) -> str:
    """Bytes that something may have, which are chosen as powers of two: 256 MiB, 64 KiB."""
    units = ((30, "GiB"), (20, "MiB"), (10, "KiB"))
    power, unit = next((one for one in units if count >> one[0]), (0, "bytes"))
    return f"{count >> power:,} {unit}"


def byte_rate(bytes_per_second: float) -> str:
    """A speed: 3.10 MB/s, 9.83 GB/s."""
    return f"{size(round(bytes_per_second))}/s"


def parameters(count: int) -> str:
    """A number of parameters as models are called by it: 270M, 7.25B."""
    return "".join(_scaled(count, _PARAMETERS))


def duration(seconds: float) -> str:
    """A time to wait, in whole units: 40 s, 3 min, 2 h 5 min."""
    if seconds < 99.5:
        return f"{max(0.0, seconds):.0f} s"
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours:,} h {minutes} min" if hours else f"{minutes} min"


def time_left(seconds: float, done: int, left: int, at_once: int = 1) -> str:
    """The rest of a piece of work that goes on as it went so far: about 3 min left.

    Of those that are worked at beside the one that is done last, half is taken to be done; else
    the first of sixteen that began together would promise sixteen times as long.

    Args:
        seconds: What it took so far.
        done: How many were done in these, at least 1.
        left: How many are still to do.
        at_once: How many are worked at together.
    """
    begun = max(0, min(at_once - 1, left)) / 2
    return f"about {duration(seconds / (done + begun) * (left - begun))} left"


def age(then: float, now: float) -> str:
    """How long ago something was, in words for a week, then as a date: 3 days ago, 2026-01-31.

    Args:
        then: Seconds since 1970.
        now: The same; what lies ahead of it is told as a date.
    """
    seconds = now - then
    if 0 <= seconds < 60:
        return "just now"
    for length, unit, most in ((60, "minute", 60), (3600, "hour", 24), (86_400, "day", 7)):
        count = int(seconds // length)
        if 0 < count < most:
            return f"{amount(count, unit)} ago"
    return time.strftime("%Y-%m-%d", time.localtime(then))


def _scaled(count: int, units: tuple[str, ...]) -> tuple[str, str]:
    """A number with three digits and its unit, each a thousand times the one before."""
    value, power = float(count), 0
    while value >= _THOUSAND - 0.5 and power < len(units) - 1:
        value, power = value / _THOUSAND, power + 1
    digits = 0 if not power or value >= 99.95 else 1 if value >= 9.995 else 2
    return f"{value:,.{digits}f}", units[power]
