"""The preamble that answers were written under: its name, and its examples by content.

A file of outputs has both, so that examples are looked for in the answers that were written behind
them, and never those of a file that was edited since, or of another one under its name.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import msgspec

from urial_tui.errors import PreambleError
from urial_tui.evaluate.outputs import Output, ShownPreamble
from urial_tui.prompting.preamble import Preamble
from urial_tui.prompting.preamble_file import list_preambles


def shown_preamble(preamble: Preamble | None) -> ShownPreamble | None:
    """What a file of outputs tells of a preamble; None without one, or where it has no examples."""
    if preamble is None or not preamble.examples:
        return None
    return ShownPreamble(name=preamble.name, examples=_digest(preamble))


class LeakSource(msgspec.Struct, frozen=True, kw_only=True):
    """The preamble whose examples are looked for in the answers of a run.

    `name`: as the run tells it, "" where it tells none. `preamble`: None where there is none, or
    where it is not on this machine as it was.
    """

    name: str = ""
    preamble: Preamble | None = None


class PreamblesByContent:
    """Finds preambles by what is in their examples.

    Args:
        preambles: Those there are.
        untold: Counts for answers that tell of none.
    """

    def __init__(self, preambles: Iterable[Preamble], untold: Preamble | None = None) -> None:
        there = [*preambles, *([] if untold is None else [untold])]
        self._by_content = {_digest(preamble): preamble for preamble in there}
        self.untold = untold
        """Counts for answers that tell of none."""

    def of(self, outputs: Iterable[Output]) -> LeakSource:
        """The one that all of these outputs were written under."""
        told = {output.preamble for output in outputs}
        if len(told) == 1 and (one := next(iter(told))) is not None:
            return LeakSource(name=one.name, preamble=self._by_content.get(one.examples))
        if self.untold is not None and not told - {None}:
            return LeakSource(name=self.untold.name, preamble=self.untold)
        return LeakSource()


def known_preambles(untold: Preamble | None = None) -> PreamblesByContent:
    """The preambles on this machine; none where they can't be read.

    Args:
        untold: Counts for answers that tell of none.
    """
    try:
        entries = list_preambles()
    except PreambleError:
        entries = []
    return PreamblesByContent(
        [entry.preamble for entry in entries if entry.preamble is not None], untold
    )


def _digest(preamble: Preamble) -> str:
    """The words of the examples, in their order, as a hash."""
    words = [(example.query, example.answer) for example in preamble.examples]
    return hashlib.sha256(msgspec.json.encode(words)).hexdigest()
