"""Votes between two answers to one question, and what they say about those who wrote them.

A vote is cast once and stays: it holds who wrote both answers and how, so it says the same
when the conversation is gone. Votes are counted apart by whether the names were hidden, for
who sees a name may judge the name.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Literal

import msgspec

from urial_tui.engine.wire.values import Sampling
from urial_tui.shares import sign_test

VotedFor = Literal["left", "right", "tie", "neither"]
"""Which answer is better, as they stood on the screen; `neither`: both are bad."""


class Contestant(msgspec.Struct, frozen=True, order=True):
    """Who wrote an answer: a model under a preamble, both by their names."""

    model: str
    preamble: str

    def __str__(self) -> str:
        return f"{self.model}/{self.preamble}"


class Vote(msgspec.Struct, frozen=True, kw_only=True):
    """One vote.

    The ids are those of the question's and the answers' turns, None where these have been
    removed. `created`: seconds since 1970. `max_tokens`: the longest answer that was allowed.
    """

    id: int
    created: float
    question_id: int | None
    left_id: int | None
    right_id: int | None
    left: Contestant
    right: Contestant
    sampling: Sampling
    max_tokens: int
    blind: bool
    choice: VotedFor

    @property
    def better(self) -> Contestant | None:
        """Who was voted for; None for a tie and for neither."""
        return {"left": self.left, "right": self.right}.get(self.choice)


class Tally(msgspec.Struct, frozen=True, kw_only=True):
    """The votes between two contestants, cast with their names hidden or not.

    `first` is the one with more votes, or else the one whose name comes first.
    """

    first: Contestant
    second: Contestant
    blind: bool
    first_better: int
    second_better: int
    ties: int
    neither: int

    @property
    def votes(self) -> int:
        """How many there are."""
        return self.first_better + self.second_better + self.ties + self.neither

    @property
    def p_value(self) -> float:
        """`sign_test` of the votes for one of the two."""
        return sign_test(self.first_better, self.second_better)


def tally(votes: Iterable[Vote]) -> list[Tally]:
    """Count the votes of each pair, blind and open ones apart; most votes first.

    Votes between a contestant and itself are left out: they say nothing of it.
    """
    counted: dict[tuple[Contestant, Contestant, bool], Counter[Contestant | VotedFor]] = {}
    for vote in votes:
        if vote.left == vote.right:
            continue
        low, high = sorted((vote.left, vote.right))
        counts = counted.setdefault((low, high, vote.blind), Counter())
        counts[vote.better or vote.choice] += 1
    found = []
    for (low, high, blind), counts in counted.items():
        first, second = (low, high) if counts[low] >= counts[high] else (high, low)
        found.append(
            Tally(
                first=first,
                second=second,
                blind=blind,
                first_better=counts[first],
                second_better=counts[second],
                ties=counts["tie"],
                neither=counts["neither"],
            )
        )
    return sorted(found, key=lambda each: (-each.votes, each.first, each.second, each.blind))


def tally_of(
    votes: Iterable[Vote], one: Contestant, other: Contestant, *, blind: bool
) -> Tally | None:
    """The tally of two contestants; None without a vote between them."""
    pair = {one, other}
    found = (t for t in tally(votes) if {t.first, t.second} == pair and t.blind == blind)
    return next(found, None)
