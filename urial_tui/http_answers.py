"""What an HTTP answer means, or that there is none; whoever asked, and with whatever library."""

from __future__ import annotations

import email.utils
import errno
import os
import re
from collections.abc import Mapping
from datetime import UTC

from urial_tui.sanitize import sanitize_line


def is_packed(headers: Mapping[str, str]) -> bool:
    """Whether a body was compressed, by its headers, whose names are found in any case."""
    return headers.get("Content-Encoding", "identity").strip().lower() not in ("", "identity")


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
