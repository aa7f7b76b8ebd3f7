"""Texts to measure contexts with: questions with reference answers, and questions alone.

Our own are TOML files that people can read, and their names are theirs.
"""

from __future__ import annotations

import msgspec

from urial_tui import paths
from urial_tui.evaluate.item_files import find_items
from urial_tui.evaluate.items import EvaluateError, Item, ItemSet
from urial_tui.evaluate.shipped_file import read_shipped

_WHAT = "The texts that come with the program"


class _Pair(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    query: str
    answer: str


class _Pairs(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    pairs: tuple[_Pair, ...]


class _Questions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    questions: tuple[str, ...]


def find_references(name: str | None) -> ItemSet:
    """The items of a file that have an answer; our own where none is named.

    Raises:
        EvaluateError: They can't be read, or none has an answer.
    """
    if name is None:
        return own_references()
    found = find_items(name)
    kept = tuple(item for item in found.items if any(item.references))
    if not kept:
        raise EvaluateError(
            f"There is no answer in {found.name} beside a question.",
            'Name a file of lines such as {"query": "…", "answer": "…"}.',
        )
    return msgspec.structs.replace(found, items=kept)


def own_references() -> ItemSet:
    """Everyday questions, each with an answer as a good assistant gives it.

    Raises:
        EvaluateError: Their file is missing or damaged.
    """
    path = paths.shipped_references_file()
    found = read_shipped(path, _Pairs, _WHAT).pairs
    items = (
        Item(id=number, turns=(pair.query,), references=(pair.answer,))
        for number, pair in enumerate(found, start=1)
    )
    return ItemSet(name=path.stem, items=tuple(items))


def own_questions() -> ItemSet:
    """Everyday questions, to see how they are answered.

    Raises:
        EvaluateError: Their file is missing or damaged.
    """
    path = paths.shipped_questions_file()
    found = read_shipped(path, _Questions, _WHAT).questions
    items = (Item(id=number, turns=(text,)) for number, text in enumerate(found, start=1))
    return ItemSet(name=path.stem, items=tuple(items))
