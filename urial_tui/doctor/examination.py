"""All topics one after the other; none of them can end the others."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from urial_tui.doctor.finding import DoctorFinding, Fact, finding
from urial_tui.errors import UrialError
from urial_tui.sanitize import shortened

_MOST = 200
"""Characters of a mistake's text that are told."""

_REPORT = (
    "This is a mistake in urial-tui: report it with these words, and what `urial --version` says."
)


class ExaminationTopic(NamedTuple):
    """One thing to look at, by its name. `slow`: it computes for some seconds."""

    name: str
    examine: Callable[[], Iterable[Fact]]
    slow: bool = False


def examine(
    topics: Iterable[ExaminationTopic], begin: Callable[[str], object]
) -> Iterator[DoctorFinding]:
    """What each topic finds, as it is found; one that fails is told as a finding.

    Args:
        topics: In their order.
        begin: Is told the name of each before it begins.
    """
    for topic in topics:
        begin(topic.name)
        try:
            for fact in topic.examine():
                yield finding(topic.name, fact)
        except UrialError as error:
            yield finding(topic.name, Fact(error.message, "bad", error.hint))
        except Exception as error:  # noqa: BLE001  # the doctor tells of mistakes, and goes on
            what = shortened(f"{type(error).__name__}: {error}", _MOST).rstrip(".")
            yield finding(topic.name, Fact(f"could not be examined ({what})", "warning", _REPORT))
