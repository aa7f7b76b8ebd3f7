"""Errors of an endpoint: what it says of a request in words, and what ends all of them."""

from __future__ import annotations

import contextlib
import json
from typing import Any

from urial_tui.evaluate.items import EvaluateError
from urial_tui.sanitize import sanitize_line


class EndpointError(EvaluateError):
    """An endpoint answers no request of this kind; the hint says what to look at."""


def words_of_error(body: bytes) -> str:
    """What the body of an error says, on one line; "" where it is a page for people.

    Args:
        body: JSON in one of the forms that servers have for errors, or a text.
    """
    text = body.decode("utf-8", "replace")
    with contextlib.suppress(ValueError, RecursionError):
        text = _words_of(json.loads(text))
    return "" if text.lstrip().startswith("<") else sanitize_line(text).strip()


def _words_of(error: Any) -> str:
    """The sentence in the JSON of an error, in one of the forms that servers have for it."""
    if isinstance(error, list):
        return "; ".join(_words_of(each) for each in error[:5])
    if not isinstance(error, dict):
        return error if isinstance(error, str) else ""
    for key in ("error", "detail"):
        if error.get(key):
            return _words_of(error[key])
    said = [error.get(key) for key in ("message", "msg", "param", "code")]
    place = error.get("loc")
    if isinstance(place, list):
        # That of a check of the request's fields.
        said.insert(0, place[-1] if place else "")
    return ", ".join(each for each in said if isinstance(each, str) and each)
