"""A list of questions from a file: JSON lines, or one JSON list.

What is asked is exactly what the file says, or the file is refused with the entry and the form
that does not fit: a question with several turns, or with a system message, is not asked in
part. What is left out of the entries is named, and every question has an id of its own.

Forms that are read, by their keys:

    query, instruction, prompt or question    the text; `input` or `context`, where it is given
                                              (Alpaca, Dolly), follows behind an empty line
    turns                                     of MT-bench, where there is one
    messages, conversations                   of OpenAI and ShareGPT, where one question and at
                                              most its answer is in them
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from urial_tui.compare.items import CompareError, Query
from urial_tui.errors import UsageError
from urial_tui.files import read_text, reason
from urial_tui.sanitize import quoted, sanitize_line

MAX_QUERIES_BYTES = 256 * 1024 * 1024
_TEXT_KEYS = ("query", "instruction", "prompt", "question")
_MORE_KEYS = ("input", "context")
"""What a question is about, apart from it."""
_ID_KEYS = ("id", "question_id")
_ROLES = {"role": "content", "from": "value"}
"""Who speaks, and what is said: the keys of OpenAI's and of ShareGPT's messages."""
_ASKING, _ANSWERING = ("user", "human"), ("assistant", "gpt")
_NAMED = 8
"""Keys that a note names."""
_SURROGATES = re.compile("[\ud800-\udfff]")


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
    try:
        text = read_text(path, MAX_QUERIES_BYTES)
    except OSError as error:
        raise CompareError(
            f"The questions in {shown} can't be read: {reason(error)}.", "Name another file."
        ) from error
    queries: list[Query] = []
    left_out: Counter[str] = Counter()
    for number, value in enumerate(_values(text, shown), start=1):
        if limit is not None and number > limit:
            break
        entry = _Entry(value, number, shown)
        queries.append(entry.query())
        left_out.update(entry.left_out)
    if not queries:
        raise UsageError(f"There is no question in {shown}.", "Name another file.")
    notes = []
    if left_out:
        keys = ", ".join(quoted(key, 40) for key, _ in left_out.most_common(_NAMED))
        more = f" and {len(left_out) - _NAMED} more" if len(left_out) > _NAMED else ""
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


def _values(text: str, shown: str) -> Iterator[Any]:
    """The entries; lines end at newlines alone, for JSON has other separators in its strings."""
    what, number = "it", 0
    try:
        if text.lstrip().startswith("["):
            yield from json.loads(text)
            return
        for number, line in enumerate(text.split("\n"), start=1):
            if line.strip():
                what = f"line {number}"
                yield json.loads(line)
    except (ValueError, RecursionError) as error:
        why = "it is nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise CompareError(
            f"The file {shown} is neither JSON lines nor a JSON list ({what}: {why}).",
            'Each line has to look like {"id": "1", "query": "..."}.',
        ) from error


class _Entry:
    """One entry of a list: what it asks, and the keys that this leaves out."""

    def __init__(self, value: Any, number: int, shown: str) -> None:
        self._value: Mapping[str, Any] = value if isinstance(value, dict) else {"query": value}
        self._number = number
        self._shown = shown
        self.left_out: list[str] = []

    def query(self) -> Query:
        """Its question, id and fields.

        Raises:
            CompareError: It has none that can be asked.
        """
        text, used = self._text()
        if not text.strip():
            raise self._refused("has an empty question", "Write it, or take the entry out.")
        fields = {}
        for key, value in self._value.items():
            if key in used or key in _ID_KEYS or value is None:
                continue
            if key != "output" and isinstance(value, str | int | float):
                fields[_storable(key)] = _storable(str(value))
            else:
                self.left_out.append(key)
        return Query(id=self._id(), text=_storable(text), fields=fields)

    def _text(self) -> tuple[str, set[str]]:
        """The question, and the keys that it is made of."""
        for key in _TEXT_KEYS:
            if isinstance(text := self._value.get(key), str):
                parts = {key: text}
                for more in _MORE_KEYS:
                    if isinstance(about := self._value.get(more), str) and about.strip():
                        parts[more] = about
                return "\n\n".join(parts.values()), {*parts, *_MORE_KEYS}
        for key, read in (
            ("turns", self._of_turns),
            ("messages", self._of_messages),
            ("conversations", self._of_messages),
        ):
            if key in self._value:
                return read(key), {key}
        keys = ", ".join(quoted(key, 40) for key in list(self._value)[:_NAMED])
        raise self._refused(
            "has no question" + (f" (its keys are {keys})" if keys else ""),
            f"It needs one of the keys {', '.join(_TEXT_KEYS)}.",
        )

    def _of_turns(self, key: str) -> str:
        """The one turn of an entry of MT-bench."""
        turns = self._value[key]
        if isinstance(turns, list) and len(turns) == 1 and isinstance(turns[0], str):
            return str(turns[0])
        count = f"{len(turns)} " if isinstance(turns, list) else ""
        raise self._refused(
            f"has {count}turns (the form of MT-bench), and a comparison asks one",
            'Write a file with the turn that you want to ask as "query".',
        )

    def _of_messages(self, key: str) -> str:
        """The one question in a list of messages."""
        form = "OpenAI's messages" if key == "messages" else "ShareGPT's conversations"
        messages = self._value[key]
        said = [_said(message) for message in messages] if isinstance(messages, list) else []
        speakers = [speaker for speaker, _ in said]
        asks = bool(said) and speakers[0] in _ASKING and isinstance(said[0][1], str)
        if not asks or len(said) > 2 or any(who not in _ANSWERING for who in speakers[1:]):
            found = ", ".join(quoted(speaker, 20) for speaker in speakers[:4])
            raise self._refused(
                f"has {form} of {found or 'no form that is known'}, and a comparison asks one "
                "question",
                'Write a file with the question that you want to ask as "query".',
            )
        if len(said) > 1:
            self.left_out.append(f"{key}[1]")
        return str(said[0][1])

    def _id(self) -> str:
        for key in _ID_KEYS:
            value = self._value.get(key)
            if isinstance(value, str | int) and not isinstance(value, bool) and value != "":
                return _storable(str(value))
            if value is not None and value != "":
                raise self._refused(
                    f"has an id that is neither text nor a whole number: {quoted(value, 40)}",
                    "Correct it, or leave it out.",
                )
        return str(self._number)

    def _refused(self, what: str, hint: str) -> CompareError:
        return CompareError(f"Entry {self._number} of {self._shown} {what}.", hint)


def _said(message: Any) -> tuple[str, Any]:
    """Who speaks in a message, and what; None for what is no text."""
    if isinstance(message, dict):
        for who, what in _ROLES.items():
            if isinstance(speaker := message.get(who), str):
                return speaker.lower(), _text_of(message.get(what))
    return "?", None


def _text_of(content: Any) -> str | None:
    """A message's text, also where it is written as a list of texts."""
    if isinstance(content, str):
        return content
    if not isinstance(content, list) or not content:
        return None
    texts = [part.get("text") for part in content if isinstance(part, dict)]
    said = [text for text in texts if isinstance(text, str)]
    return "\n".join(said) if len(said) == len(content) else None


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


def _storable(text: str) -> str:
    """JSON can hold halves of characters, which no encoding can."""
    return _SURROGATES.sub("\ufffd", text)
