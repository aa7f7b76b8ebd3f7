"""Foreign text made safe to show.

Text from a model, a file name or GGUF metadata may hold terminal escape sequences or
characters that reorder or hide what is shown. Whatever is printed or drawn passes
through `sanitize` first; what is stored and what goes back to a model stays as it was.
"""

from __future__ import annotations

import re
from pathlib import PurePath

# C0 and C1 controls and DEL; the bidirectional overrides and isolates (CVE-2021-42574)
# and the line/paragraph separators, which terminals treat in different ways.
UNSAFE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufff9-\ufffb]"
)
"""Characters that are never drawn as they are."""
_SURROGATES = re.compile("[\ud800-\udfff]")

CONTROL_PICTURES = {code: chr(0x2400 + code) for code in range(0x20)} | {0x7F: "\u2421"}
"""What stands for C0 and DEL: the characters that Unicode has for it, by their code points."""


def _picture(match: re.Match[str]) -> str:
    """A visible stand-in: the control pictures block for C0 and DEL, else the code point."""
    code = ord(match.group())
    return CONTROL_PICTURES.get(code, f"<U+{code:04X}>")


def storable(text: str) -> str:
    """`text` with U+FFFD in the place of lone surrogates, which no encoding can hold.

    Undecodable bytes of a command line become these, and JSON can hold them as escapes: halves of
    characters.
    """
    return _SURROGATES.sub("\ufffd", text)


def sanitize(text: str) -> str:
    """`text` with every control character but newline and tab replaced by a visible sign.

    A carriage return before a newline is dropped. Lone surrogates (undecodable file
    names) become U+FFFD, so that the result always encodes to UTF-8.
    """
    text = storable(text.replace("\r\n", "\n"))
    return UNSAFE.sub(_picture, text)


def sanitize_line(text: str) -> str:
    """Like `sanitize`, for text that has to stay on one line: newlines and tabs become spaces."""
    return sanitize(re.sub(r"[\r\n\t]+", " ", text))


def short_name(name: str) -> str:
    """A name on one line; of a path, its last part."""
    return sanitize_line(PurePath(name).name if "/" in name else name)


def shortened(text: str, limit: int) -> str:
    """`text`, or of a longer one the start and the end: at most `limit` characters."""
    if len(text) <= limit:
        return text
    end = limit // 3
    return f"{text[: limit - end - 1]}…{text[-end:] if end else ''}"


def quoted(value: object, limit: int = 80) -> str:
    """A foreign value as a message quotes it: as Python writes it, on one line, not too long.

    Args:
        value: What a file or a command line holds.
        limit: Characters of it, without the quotes.
    """
    try:
        shown = repr(shortened(value, limit)) if isinstance(value, str) else repr(value)
    except (ValueError, RecursionError):
        # An integer of thousands of digits, or lists in lists in lists.
        return f"a {'number' if isinstance(value, int) else 'value'} that is too large to show"
    return sanitize_line(shown if isinstance(value, str) else shortened(shown, limit))
