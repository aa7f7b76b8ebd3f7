"""The questions of a comparison, from a list (`question_file` reads it).

A comparison asks one question of each entry: one with several turns is not asked in part. What is
left out of the entries is named, and every question has an id of its own.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec

from urial_tui.compare.items import CompareError, Query
from urial_tui.errors import UsageError
from urial_tui.question_file import ID_KEYS, NAMED_KEYS, QuestionEntry, read_entries
from urial_tui.sanitize import quoted, sanitize_line, storable


class QueryList(msgspec.Struct, frozen=True, kw_only=True):
    """Questions with different ids, and what there is to say about how they were read."""

    queries: tuple[Query, ...]
    notes: tuple[str, ...] = ()


def read_queries(path: Path, limit: int | None = None) -> QueryList:
    """The questions of a file, at most `limit` of them.

    An entry without an id has its number, from 1.

    Raises:
        CompareError: The file can't be read, or an entry has no question that can be asked.
        UsageError: There is none.
    """
    shown = sanitize_line(str(path))
    queries: list[Query] = []
    left_out: Counter[str] = Counter()
    for entry in read_entries(path, CompareError):
        if limit is not None and entry.number > limit:
            break
        query, unused = _query(entry)
        queries.append(query)
        left_out.update(unused)
    if not queries:
        raise UsageError(f"There is no question in {shown}.", "Name another file.")
    notes = []
    if left_out:
        keys = ", ".join(quoted(key, 40) for key, _ in left_out.most_common(NAMED_KEYS))
        more = f" and {len(left_out) - NAMED_KEYS} more" if len(left_out) > NAMED_KEYS else ""
        notes.append(f"Left out of the entries of {shown}: {keys}{more}.")
    queries, repeated = _told_apart(queries)
    if repeated:
        old, new = repeated[0]
        others = f", and so on for {len(repeated) - 1} more" if len(repeated) > 1 else ""
        notes.append(
            f"The id {quoted(old, 40)} is given more than once in {shown}; "
            f"the later entry is called {quoted(new, 40)}{others}."
        )
    return QueryList(queries=tuple(queries), notes=tuple(notes))


def _query(entry: QuestionEntry) -> tuple[Query, list[str]]:
    """An entry's question with its fields, and the keys that this leaves out.

    Raises:
        CompareError: It has none that can be asked.
    """
    asked = entry.asked()
    if len(asked.turns) > 1:
        raise entry.refused(
            f"has {len(asked.turns)} questions under {asked.key!r}, and a comparison asks one",
            'Write a file with the question that you want to ask as "query".',
        )
    fields: dict[str, str] = {}
    left_out = [f"{asked.key}[1]"] if asked.answers else []
    for key, value in entry.value.items():
        if key in asked.used or key in ID_KEYS or value is None:
            continue
        if key != "output" and isinstance(value, str | int | float):
            fields[storable(key)] = storable(str(value))
        else:
            left_out.append(key)
    id_ = str(entry.number if entry.id is None else entry.id)
    return Query(id=id_, text=asked.turns[0], fields=fields), left_out


def _told_apart(queries: Sequence[Query]) -> tuple[list[Query], list[tuple[str, str]]]:
    """The questions with ids of their own, and the old and new id of those that had none."""
    taken = {query.id for query in queries}
    seen: Counter[str] = Counter()
    made: list[Query] = []
    repeated: list[tuple[str, str]] = []
    for query in queries:
        seen[query.id] += 1
        if seen[query.id] > 1:
            new = _free(query.id, seen, taken)
            taken.add(new)
            repeated.append((query.id, new))
            query = msgspec.structs.replace(query, id=new)
        made.append(query)
    return made, repeated


def _free(id_: str, seen: Counter[str], taken: Iterable[str]) -> str:
    while (new := f"{id_} ({seen[id_]})") in taken:
        seen[id_] += 1
    return new
