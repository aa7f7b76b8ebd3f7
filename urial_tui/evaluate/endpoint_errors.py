"""What comes of an endpoint instead of an answer: in words, and how long to wait."""

from __future__ import annotations

import contextlib
import email.utils
import errno
import json
import os
import re
from datetime import UTC
from typing import Any

from urial_tui.sanitize import sanitize_line


def words_of_error(body: bytes) -> str:
    """What the body of an error says, on one line; "" where it is a page for people.

    Args:
        body: JSON in one of the forms that servers have for errors, or a text.
    """
    text = body.decode("utf-8", "replace")
    with contextlib.suppress(ValueError, RecursionError):
        text = _words_of(json.loads(text))
    return "" if text.lstrip().startswith("<") else sanitize_line(text).strip()


def seconds_to_wait(text: str, now: float) -> float | None:
    """Seconds to wait by a header, which has them or a date; None where it has neither."""
    text = text.strip()
    if re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,9})?", text):
        return float(text)
    try:
        date = email.utils.parsedate_to_datetime(text)
        if date.tzinfo is None:
            date = date.replace(tzinfo=UTC)
        return max(0.0, date.timestamp() - now)
    except (ValueError, OverflowError):
        return None


def why_unreachable(error: BaseException) -> str:
    """Why there is no connection, in the system's words behind a colon; "" where it has none."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, BaseExceptionGroup):
            # One for each address of a name.
            cause = cause.exceptions[0]
        if isinstance(cause, OSError) and cause.errno:
            # What asyncio says in place of the system's words is for programmers.
            known = cause.errno in errno.errorcode
            words = os.strerror(cause.errno) if known else cause.strerror or ""
            return f": {words[:1].lower()}{sanitize_line(words[1:])}" if words else ""
        cause = cause.__cause__ or cause.__context__
    return ""


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
