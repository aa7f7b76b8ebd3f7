"""Rules and stop strings as text that somebody may change in a field, and back."""

from __future__ import annotations

import re

import msgspec

from urial_tui.engine.wire.values import Rules
from urial_tui.errors import PreambleError
from urial_tui.prompting.preamble_file import rules_lines
from urial_tui.prompting.rules import rules_mistake
from urial_tui.sanitize import sanitize_line

_ESCAPED = {"\\": "\\\\", "\n": "\\n", "\t": "\\t", "\r": "\\r"}
_ESCAPES = {written: sign for sign, written in _ESCAPED.items()}


def stops_text(stops: tuple[str, ...]) -> str:
    """Serialise stop strings, one a line; line ends, tabs and backslashes in one are escaped."""
    return "\n".join(re.sub(r"[\\\n\t\r]", lambda sign: _ESCAPED[sign[0]], stop) for stop in stops)


def stops_of(text: str) -> tuple[str, ...]:
    """Parse stop strings from such a text; empty lines are none."""
    return tuple(
        re.sub(r"\\[\\ntr]", lambda written: _ESCAPES[written[0]], line)
        for line in text.split("\n")
        if line
    )


def rules_text(rules: Rules | None) -> str:
    """Serialise rules as the keys of a table of TOML; "" where there are none."""
    return "" if rules is None else "\n".join(rules_lines(rules)) + "\n"


def rules_of(text: str) -> Rules | None:
    """Parse rules from such a text; None of an empty one.

    Raises:
        PreambleError: It is no TOML, has other keys, or numbers that can't be.
    """
    if not text.strip():
        return None
    try:
        rules = msgspec.toml.decode(text, type=Rules)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise _refused(sanitize_line(str(error))) from error
    mistake = rules_mistake(rules)
    if mistake:
        raise _refused(mistake)
    return rules


def _refused(why: str) -> PreambleError:
    return PreambleError(f"These are no rules: {why}.", "Those of before count until it is mended.")
