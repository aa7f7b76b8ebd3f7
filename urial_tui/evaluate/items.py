"""The unit of an evaluation: an item, which is what a user says in one turn or more."""

from __future__ import annotations

from typing import Literal

import msgspec

from urial_tui.errors import UrialError

Category = Literal["regular", "safety"]
"""Whether a helpful answer is wanted, or a safe one."""


class EvaluateError(UrialError):
    """An evaluation's files can't be read or written, or do not fit together."""


class Item(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked, and what is known about it.

    `id`: unique in its set; an integer where its file has one. `turns`: what the user says, each
    turn once the one before was answered. `dataset`, `source_id`: where it is from, "" where that
    is not known. `task_types`, `topics`: what it is grouped by. `references`: a good answer to
    each turn, "" to one that has none, or none at all.
    """

    id: int | str
    turns: tuple[str, ...]
    category: Category = "regular"
    dataset: str = ""
    source_id: str = ""
    task_types: tuple[str, ...] = ()
    topics: tuple[str, ...] = ()
    references: tuple[str, ...] = ()


class ItemSet(msgspec.Struct, frozen=True, kw_only=True):
    """Items in their order. `name`: the file's, or that of a set that comes with the program.

    `unused`: for each key of the records that was not used, how many of them have it.
    """

    name: str
    items: tuple[Item, ...]
    unused: dict[str, int] = {}
