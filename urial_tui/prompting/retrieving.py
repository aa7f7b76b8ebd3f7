"""The preamble of an index: the format and the system text of another one, and no example."""

from __future__ import annotations

import msgspec

from urial_tui.prompting.preamble import Preamble, Retrieval
from urial_tui.prompting.preamble_file import find_preamble

LIKE = "vanilla-icl"
"""The preamble that has the format where none is named."""


def retrieving_preamble(
    name: str,
    before: Preamble | None = None,
    *,
    like: str | None = None,
    k: int | None = None,
    most_words: int | None = None,
) -> Preamble:
    """A preamble whose examples come from the index of its name.

    Args:
        name: What it is called.
        before: What it replaces; what is not given stays as it is there.
        like: The preamble whose format and system text it has.
        k: Examples of a question.
        most_words: Longest answer of one.

    Raises:
        PreambleError: There is no preamble to be like.
    """
    known = before.retrieval if before is not None else None
    retrieval = Retrieval(index=name) if known is None else known
    if k is not None:
        retrieval = msgspec.structs.replace(retrieval, k=k)
    if most_words is not None:
        retrieval = msgspec.structs.replace(retrieval, most_words=most_words)
    if before is not None and like is None:
        return msgspec.structs.replace(before, retrieval=retrieval)
    model = find_preamble(like or LIKE)
    return Preamble(
        name=name,
        title=f"Retrieved from {name}",
        description=f"The examples of the pool {name} that are most like the question.",
        method="retrieval",
        format=model.format,
        system=model.system,
        rules=model.rules,
        retrieval=retrieval,
    )
