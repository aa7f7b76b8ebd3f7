"""What was found: values that the command prints, as text or as JSON.

No text holds a control character or the path of the home directory, which is "~".
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Literal, get_args

import msgspec

from urial_tui import paths
from urial_tui.errors import LONGEST
from urial_tui.sanitize import sanitize_line, shortened

FindingState = Literal["good", "note", "warning", "bad"]
"""`note`: worth knowing. `warning`: something works worse than it could. `bad`: it does not."""


class DoctorFinding(msgspec.Struct, frozen=True, kw_only=True):
    """One line of an examination: `found` is a phrase, `todo` a sentence, "" for nothing."""

    topic: str
    found: str
    state: FindingState = "good"
    todo: str = ""


class Fact(msgspec.Struct, frozen=True):
    """What a topic finds: the same without its name, and with texts as they come."""

    found: str
    state: FindingState = "good"
    todo: str = ""


def worst(findings: Iterable[DoctorFinding]) -> FindingState:
    """The state that all of them together are in."""
    order: tuple[FindingState, ...] = get_args(FindingState)
    return max((finding.state for finding in findings), key=order.index, default="good")


def finding(topic: str, fact: Fact, home: Path | None = None) -> DoctorFinding:
    """A fact as it may be printed.

    Args:
        topic: Its topic's name.
        fact: What was found.
        home: The home directory, unless it is the user's.
    """
    home = home or paths.home()
    return DoctorFinding(
        topic=topic,
        found=_printable(fact.found, home),
        state=fact.state,
        todo=_printable(fact.todo, home),
    )


def _printable(text: str, home: Path) -> str:
    if len(home.parts) > 1:
        text = text.replace(str(home), "~")
    return sanitize_line(shortened(text, LONGEST))
