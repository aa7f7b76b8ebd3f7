"""JSON texts of strangers, parsed, and why one can't be, in words.

A key that stands twice in one object says two things, and parsers differ in which of them they
take. What a text says is taken as it stands there, so this is looked for: see `key_twice`.
"""

from __future__ import annotations

import json
from typing import Any

from urial_tui.sanitize import storable


class NotJSON(ValueError):
    """A text is no JSON that can be read; the message says why, without a full stop."""


class _Doubled(dict[str, Any]):
    """An object with a key that stands there twice; `key` is that."""

    key: str


def parsed(text: str) -> Any:
    """The value of a JSON text.

    Raises:
        NotJSON: It is none, or one that can't be read.
    """
    try:
        return json.loads(text, object_pairs_hook=_object)
    except RecursionError as error:
        raise NotJSON("it is nested too deeply") from error
    except json.JSONDecodeError as error:
        raise NotJSON(str(error)) from error
    except ValueError as error:
        # An integer that Python does not convert, for that takes too long.
        raise NotJSON("a number in it has thousands of digits") from error


def made_whole(data: bytes) -> bytes:
    """Encode a JSON text anew, with U+FFFD in the place of halves of characters (surrogates).

    Programs that count in UTF-16 cut texts between these halves and write them as escapes, which
    is JSON; but no encoding can hold them, and strict parsers refuse the whole.

    Raises:
        NotJSON: It is none.
    """
    try:
        value = parsed(data.decode())
    except UnicodeDecodeError as error:
        raise NotJSON("it is not UTF-8 text") from error
    return storable(json.dumps(value, ensure_ascii=False)).encode()


def key_twice(value: Any) -> str | None:
    """A key that stands twice in an object of a value that was `parsed`; None where none does."""
    todo = [value]
    while todo:
        one = todo.pop()
        if isinstance(one, _Doubled):
            return one.key
        if isinstance(one, dict):
            todo += one.values()
        elif isinstance(one, list):
            todo += one
    return None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) == len(pairs):
        return found
    doubled = _Doubled(found)
    seen: set[str] = set()
    for key, _ in pairs:
        if key in seen:
            doubled.key = key
            break
        seen.add(key)
    return doubled
