"""Parser of a search query: the words, and the phrases in quotes, to look for."""

from __future__ import annotations

import re
import unicodedata

import msgspec

MAX_TERMS = 16
MAX_LENGTH = 200
_PARTS = re.compile(r'"([^"]*)"?|([^\s"]+)')
# Thai, Lao, Myanmar, Khmer; kana, CJK and its extensions: no spaces between words.
_UNSPACED = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff"
    "\U00020000-\U0003ffff]"
)


class Term(msgspec.Struct, frozen=True):
    """A word, or what stood in quotes.

    Attributes:
        text: As it was typed, without the quotes.
        match: The same in the language of FTS5; "" where the index has no entry for it.
        exact: Whether the index can only narrow it down: it holds signs, which the index
            does not.
        whole: Whether it ends where a word ends, and not within one.
    """

    text: str
    match: str
    exact: bool
    whole: bool


def terms_of(words: str) -> tuple[Term, ...]:
    """The terms of what was typed; at most `MAX_TERMS`, of `MAX_LENGTH` characters each."""
    terms: list[Term] = []
    for found in _PARTS.finditer(words):
        quoted, word = found.groups()
        text = (word or quoted or "").strip()
        # NUL ends what SQLite reads; lone surrogates can't be sent to it.
        text = re.sub("[\0\ud800-\udfff]", "", text)
        if text:
            # A quote that is still open is being typed.
            closed = quoted is not None and found.group().endswith('"') and found.group() != '"'
            terms.append(_term(text[:MAX_LENGTH], whole=closed))
    return tuple(terms[:MAX_TERMS])


def _term(text: str, *, whole: bool) -> Term:
    listed = any(is_listed(letter) for letter in text) and not _UNSPACED.search(text)
    signs = any(unicodedata.category(letter)[0] in "PS" for letter in text)
    match = f'"{text}"' + ("" if whole else "*") if listed else ""
    return Term(text, match, exact=signs, whole=whole)


def is_listed(letter: str) -> bool:
    """Whether the index takes a character for a part of a word (letters, digits, private use)."""
    category = unicodedata.category(letter)
    return category[0] in "LN" or category == "Co"
