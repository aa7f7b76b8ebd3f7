"""Highlights the words of a search in a text.

What is marked is found here and not by the index, so it is the same for what the index
finds and for what is looked for in the texts. A place that the two see differently is
found and not marked, never the other way round.
"""

from __future__ import annotations

import functools
import re
import unicodedata

from urial_tui.chat.terms import Term, is_listed

Marked = tuple[tuple[str, bool], ...]
"""Pieces of a text in their order, each with whether it is one of the words."""

EXCERPT = 240
"""Characters of an excerpt; so many are enough for the widest row."""
LEAD = 24
"""Characters of it before the first word."""

_MARK = "[\u0300-\u036f]*"


class _Folding(dict[int, int]):
    """For `str.translate`: lower case and no accents, and one character for each."""

    def __missing__(self, code: int) -> int:
        letter = unicodedata.normalize("NFD", chr(code).lower())[0]
        self[code] = ord(letter)
        return self[code]


_FOLDING = _Folding()


def marked(text: str, terms: tuple[Term, ...]) -> Marked:
    """The whole text with all words marked."""
    pieces: list[tuple[str, bool]] = []
    end = 0
    for start, stop in _places(text, terms):
        pieces += [(text[end:start], False), (text[start:stop], True)]
        end = stop
    pieces.append((text[end:], False))
    return tuple(piece for piece in pieces if piece[0])


def excerpt(text: str, terms: tuple[Term, ...]) -> Marked:
    """One line of the text from shortly before the first word, with the words marked."""
    places = _places(text, terms)
    start = max(0, places[0][0] - LEAD) if places else 0
    if start:
        # Not from within a word, where there is a space to start behind.
        space = text.find(" ", start, places[0][0])
        start = space + 1 if space >= 0 else start
    cut = text[start : start + EXCERPT]
    pieces = marked(cut, terms)
    lead = (("…", False),) if start else ()
    tail = (("…", False),) if start + EXCERPT < len(text) else ()
    spaced = tuple((re.sub(r"\s+", " ", piece), hit) for piece, hit in pieces)
    return (*lead, *spaced, *tail)


def _places(text: str, terms: tuple[Term, ...]) -> list[tuple[int, int]]:
    """Where words stand, in order and without overlaps."""
    pattern = _pattern(terms)
    return [] if pattern is None else [m.span() for m in pattern.finditer(_folded(text))]


def _folded(text: str) -> str:
    return text.translate(_FOLDING)


@functools.lru_cache(maxsize=8)
def _pattern(terms: tuple[Term, ...]) -> re.Pattern[str] | None:
    # The longer of two words that start alike is the one to mark.
    parts = [_part(term) for term in sorted(terms, key=lambda term: -len(term.text))]
    return re.compile("|".join(parts)) if parts else None


def _part(term: Term) -> str:
    letters = [
        letter
        for letter in _folded(unicodedata.normalize("NFC", term.text))
        if not unicodedata.combining(letter)
    ]
    body = "".join(r"\s+" if letter.isspace() else re.escape(letter) + _MARK for letter in letters)
    if not term.match:
        return body
    before = r"(?<![^\W_])" if letters and is_listed(letters[0]) else ""
    return before + body + (r"(?![^\W_])" if term.whole else "")
