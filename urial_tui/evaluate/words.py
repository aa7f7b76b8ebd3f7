"""A tokeniser of words in any script, and counters of words and n-grams.

There are two ways to cut. `count_words` is the length that people compare: pieces between white
space, as the official scorer counts them. `words_of` is for comparing words with each other:
letters and digits with their marks, in lower case, without punctuation.

Scripts that put no space between words (Chinese, Japanese kana, Thai, Lao, Burmese, Khmer) can't be
cut without a dictionary. Of these each character with its marks is a word, in both ways: lengths
and shares compare well within a language, and not with another one.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Final

Gram = tuple[str, ...]
"""Words that stand next to each other."""

# Thai, Lao, Burmese, Khmer, kana, CJK ideographs with their extensions and compatibility forms.
_UNSPACED: Final = (
    "\u0e01-\u0e7f\u0e81-\u0eff\u1000-\u109f\u1780-\u17ff\u3005-\u3007\u3041-\u30ff\u31f0-\u31ff"
    "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\uff66-\uff9f\U00020000-\U0003ffff"
)
_MIDDLE_DOT = "\u30fb"
_ANY_UNSPACED = re.compile(f"[{_UNSPACED}]")


def count_words(text: str) -> int:
    """How many words a text has: pieces between white space, or characters of unspaced scripts.

    Beside such characters only pieces with a letter or a digit count, not their punctuation.
    """
    pieces = text.split()
    if not _ANY_UNSPACED.search(text):
        return len(pieces)
    return sum(len(words_of(p)) if _ANY_UNSPACED.search(p) else 1 for p in pieces)


def words_of(text: str) -> list[str]:
    """The words of a text in its order, in lower case; an apostrophe within a word is its part."""
    text = unicodedata.normalize("NFC", text).casefold().replace("\u2019", "'")
    return _pattern(_marks(text)).findall(text)


def grams(words: Sequence[str], n: int) -> Iterable[Gram]:
    """All runs of n words, in their order."""
    return zip(*(islice(words, start, None) for start in range(n)), strict=False)


def common_in_order(first: Sequence[str], second: Sequence[str]) -> int:
    """The length of the longest common subsequence: words of both, in the same order."""
    lengths = [0] * (len(second) + 1)
    for word in first:
        before = 0
        for at, other in enumerate(second, start=1):
            here = lengths[at]
            lengths[at] = before + 1 if word == other else max(here, lengths[at - 1])
            before = here
    return lengths[-1]


def distinct(answers: Iterable[Sequence[str]], n: int) -> float | None:
    """Distinct-n of answers together: different n-grams over the number of words.

    The definition of Li and others ("A diversity-promoting objective function for neural
    conversation models", NAACL 2016), who divide by words for every n. It falls with length, so
    only answers of about the same length compare. None where no n words stand together.
    """
    found: set[Gram] = set()
    words = 0
    for answer in answers:
        found.update(grams(answer, n))
        words += len(answer)
    return len(found) / words if found else None


def repeated(words: Sequence[str], n: int) -> float | None:
    """The share of n-grams that stood in the text before; None of fewer than n words."""
    total = len(words) - n + 1
    return 1 - len(set(grams(words, n))) / total if total > 0 else None


def _marks(text: str) -> str:
    """The combining marks that a text holds; Python's `\\w` knows none of them."""
    return "".join(
        sorted(c for c in set(text) if c > "\u02ff" and unicodedata.category(c).startswith("M"))
    )


def _pattern(marks: str) -> re.Pattern[str]:
    marked = f"[{re.escape(marks)}]*" if marks else ""
    one = f"(?![_{_UNSPACED}])\\w{marked}"
    # The middle dot stands between words of kana and lies amid their code points.
    return re.compile(
        f"(?!{_MIDDLE_DOT})[{_UNSPACED}]{marked}|(?:{one})+(?:'(?:{one})+)*", re.UNICODE
    )
