"""Sets of items, by name: the one that comes with the program, or a list of questions in a file.

`question_file` has the forms that are read. Of an official list, `dataset`, `source_id`,
`category`, `task_types` and `topics` are known as well. A `category` that is neither "regular" nor
"safety" is a task type, as in MT-bench. References are `reference` (or `references`), one for each
turn; else the `output`, `response` or `answer` beside what is asked (Alpaca, Dolly), or what the
messages have as answers.

A set is read whole or refused. What its records hold that is not used is counted by key.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, get_args

import msgspec

from urial_tui import paths
from urial_tui.evaluate.items import Category, EvaluateError, Item, ItemSet
from urial_tui.evaluate.own_items import own_items, own_set_name
from urial_tui.question_file import (
    ANSWER_KEYS,
    ID_KEYS,
    MORE_KEYS,
    TEXT_KEYS,
    Asked,
    QuestionEntry,
    read_entries,
)
from urial_tui.sanitize import quoted, sanitize_line, storable

_CATEGORIES = get_args(Category)
_REFERENCE_KEYS = ("reference", "references")
_JUDGED_KEYS = ("output_cand", "output_A", "eval_config")
_USED_KEYS = ("category", "dataset", "source_id", "task_types", "topics")
_NOTHING = (None, "", "N/A")
"""What stands where there is nothing; the official tool writes "N/A" for an answer to come."""


def find_items(name: str | None) -> ItemSet:
    """The items of a set: that of the program where none is named, else a file's.

    Raises:
        EvaluateError: They can't be read.
    """
    if name is None or name == own_set_name():
        return own_items()
    return read_items(paths.typed_path(name))


def read_items(path: Path) -> ItemSet:
    """The items of a file, in its order. Where none has an id, they have their numbers, from 1.

    Raises:
        EvaluateError: The file can't be read, has no item, or has one that can't be asked as it
            stands there.
    """
    shown = sanitize_line(str(path))
    records: list[_Record] = []
    unused: Counter[str] = Counter()
    for entry in read_entries(path, EvaluateError):
        records.append(_record(entry))
        unused.update(records[-1].unused)
    if not records:
        raise EvaluateError(f"There is no item in {shown}.", "Name another file.")
    _check_ids(records)
    return ItemSet(
        name=storable(path.name),
        items=_categorised(records),
        unused=dict(unused.most_common()),
    )


class _Record(NamedTuple):
    """What was read of an entry. `category`: ours, or what else stands there, "" for nothing."""

    entry: QuestionEntry
    item: Item
    category: str
    unused: list[str]


def _record(entry: QuestionEntry) -> _Record:
    _check_kind(entry)
    asked = _question(entry)
    references, reference_key = _references(entry, asked)
    item = Item(
        id=_id(entry),
        turns=asked.turns,
        dataset=_text(entry, "dataset"),
        source_id=_text(entry, "source_id"),
        task_types=_labels(entry, "task_types"),
        topics=_labels(entry, "topics"),
        references=references,
    )
    id_key = next((key for key in ID_KEYS if entry.value.get(key) not in (None, "")), "")
    used = {*asked.used, id_key, reference_key, *_USED_KEYS}
    unused = [
        storable(key)
        for key, value in entry.value.items()
        if key not in used and value not in _NOTHING
    ]
    if asked.answers and reference_key != asked.key:
        unused.append(f"{asked.key}[1]")
    category = _text(entry, "category").strip()
    ours = category.lower()
    return _Record(entry, item, ours if ours in _CATEGORIES else category, unused)


def _check_kind(entry: QuestionEntry) -> None:
    """Refuse what answers or judges items."""
    if any(key in entry.value for key in _JUDGED_KEYS):
        raise entry.refused(
            "is the judgement of an answer, not an item", "Name the file of the items themselves."
        )
    generator = entry.value.get("generator")
    if "output" in entry.value and isinstance(generator, str) and generator not in _NOTHING:
        raise entry.refused(
            f"is an answer that {quoted(generator, 40)} gave, not an item",
            'Name the file of the items themselves, or take "output" and "generator" out to ask '
            "the questions again.",
        )


def _question(entry: QuestionEntry) -> Asked:
    """What an entry asks, where it asks the same under all its keys."""
    asked = [entry.asked(form) for form in entry.forms] or [entry.asked()]
    for other in asked[1:]:
        if other.turns != asked[0].turns:
            raise entry.refused(
                f"asks one thing under {asked[0].key!r} and another under {other.key!r}",
                "Leave one of them.",
            )
    for key in MORE_KEYS:
        value = entry.value.get(key)
        if asked[0].key in TEXT_KEYS and not isinstance(value, str | None):
            raise entry.refused(
                f"has something else than text as {key}: {quoted(value, 40)}",
                "It is asked with the question; correct it, or leave it out.",
            )
    found = next((one for one in asked if one.answers), asked[0])
    used = frozenset[str]().union(*(one.used for one in asked))
    return msgspec.structs.replace(found, used=used)


def _references(entry: QuestionEntry, asked: Asked) -> tuple[tuple[str, ...], str]:
    """The references of an entry, and the key that they stand under; none, and "".

    Those that are not as many as the turns are not used: several answers to one question, or
    one to several.
    """
    for key in _REFERENCE_KEYS:
        value = entry.value.get(key)
        texts = value if isinstance(value, list) else [value]
        if not all(isinstance(text, str | None) for text in texts):
            raise entry.refused(
                f"has something else than texts as {key}: {quoted(value, 40)}",
                "Give a text, or a list with one for each turn.",
            )
        found = tuple("" if text in _NOTHING else storable(text) for text in texts)
        if any(found) and len(found) == len(asked.turns):
            return found, key
    if asked.key in TEXT_KEYS:
        for key in ANSWER_KEYS:
            value = entry.value.get(key)
            if isinstance(value, str) and value not in _NOTHING:
                return (storable(value),), key
    return asked.answers, asked.key if asked.answers else ""


def _id(entry: QuestionEntry) -> int | str:
    if isinstance(entry.id, int) and not -(2**63) <= entry.id < 2**63:
        return str(entry.id)
    return entry.number if entry.id is None else entry.id


def _text(entry: QuestionEntry, key: str) -> str:
    value = entry.value.get(key)
    if value in _NOTHING:
        return ""
    if isinstance(value, str | int) and not isinstance(value, bool):
        return storable(str(value))
    raise entry.refused(
        f"has something else than text as {key}: {quoted(value, 40)}",
        "Correct it, or leave it out.",
    )


def _labels(entry: QuestionEntry, key: str) -> tuple[str, ...]:
    value = entry.value.get(key)
    labels = value if isinstance(value, list) else [value]
    if not all(isinstance(label, str | None) for label in labels):
        raise entry.refused(
            f"has something else than texts as {key}: {quoted(value, 40)}",
            'They look like ["coding", "math"].',
        )
    return tuple(dict.fromkeys(storable(label) for label in labels if label not in _NOTHING))


def _check_ids(records: Sequence[_Record]) -> None:
    """All have an id or none has, and no two have one: 5 and "5" are the same."""
    without = [record.entry for record in records if record.entry.id is None]
    if without and len(without) < len(records):
        raise without[0].refused(
            "has no id, and others have one", "Give an id to every entry, or to none."
        )
    seen: dict[str, int] = {}
    for record in records:
        first = seen.setdefault(str(record.item.id), record.entry.number)
        if first != record.entry.number:
            raise record.entry.refused(
                f"has the id of entry {first}, {quoted(str(record.item.id), 40)}",
                "Give each entry an id of its own.",
            )


def _categorised(records: Sequence[_Record]) -> tuple[Item, ...]:
    """The items with their categories, which are ours in all of a list, or task types."""
    ours = any(record.category in _CATEGORIES for record in records)
    items: list[Item] = []
    for record in records:
        item = record.item
        if record.category in _CATEGORIES:
            category: Category = "safety" if record.category == "safety" else "regular"
            item = msgspec.structs.replace(item, category=category)
        elif record.category and ours:
            raise record.entry.refused(
                f"has the category {quoted(record.category, 40)}, and others have one of "
                f"{' and '.join(_CATEGORIES)}",
                "Correct it.",
            )
        elif record.category and record.category not in item.task_types:
            task_types = (*item.task_types, record.category)
            item = msgspec.structs.replace(item, task_types=task_types)
        items.append(item)
    return tuple(items)
