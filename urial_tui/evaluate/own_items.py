"""The items that come with the program: what is asked where no other set is named.

They are a TOML file that people can read, and its name is theirs. Their task types and topics are
those of the paper, by the names that the official list has for them.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from urial_tui import paths
from urial_tui.evaluate.items import Category, Item, ItemSet
from urial_tui.evaluate.shipped_file import read_shipped

TaskType = Literal[
    "info-seek",
    "reasoning",
    "advice",
    "writing",
    "procedure",
    "coding",
    "math",
    "planning",
    "brainstorming",
    "editing",
    "data-analysis",
    "role-play",
]
"""What an item wants to have done."""

Topic = Literal[
    "humanities",
    "finance",
    "stem",
    "ethics",
    "medical",
    "law",
    "lifestyle",
    "technology",
    "education",
    "entertainment",
    "other",
]
"""What an item is about."""


class _Record(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An item as it stands in the file."""

    id: int
    turns: tuple[str, ...]
    task_types: tuple[TaskType, ...]
    topics: tuple[Topic, ...]
    category: Category = "regular"
    references: tuple[str, ...] = ()


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    items: tuple[_Record, ...]


def own_set_name() -> str:
    """The name of the set that comes with the program."""
    return paths.shipped_items_file().stem


def own_items() -> ItemSet:
    """The set that comes with the program.

    Raises:
        EvaluateError: Its file is missing or damaged.
    """
    name = own_set_name()
    found = read_shipped(
        paths.shipped_items_file(),
        _File,
        "The items that come with the program",
        otherwise=", or name a file of items",
    )
    return ItemSet(
        name=name,
        items=tuple(
            Item(
                id=record.id,
                turns=record.turns,
                category=record.category,
                dataset=name,
                source_id=f"{name}-{record.id}",
                task_types=record.task_types,
                topics=record.topics,
                references=record.references,
            )
            for record in found.items
        ),
    )
