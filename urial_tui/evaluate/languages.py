"""Language detection: which language a text is in, or that it can't be told.

py3langid tells it, a naive Bayes model over byte n-grams of 139 languages (Lui and Baldwin,
"langid.py: an off-the-shelf language identification tool", ACL 2012, retrained). What it says is
taken only where the text has letters enough and the model is sure enough: "unknown" is better than
a guess, for a guess is counted as an answer in the wrong language. Code and addresses are left out.

The model takes about a second to load and 100 MB while it is there, so it is loaded when the first
text is asked for.
"""

from __future__ import annotations

import functools
import re
import threading
from typing import Final, Protocol

from urial_tui.evaluate.form import split_code

SUREST: Final = 0.5
"""What the model finds less probable is unknown."""
FEWEST_LETTERS: Final = 10
"""A text with fewer letters is unknown; one of a script without spaces needs a third of them."""
MOST_CHARACTERS: Final = 20_000
"""So much of a text is looked at."""

_SENTENCE = re.compile(r"(?<=[.!?\n\u3002\uff01\uff1f])\s*")

_INLINE_CODE = re.compile(r"`[^`\n]*`")
_PIECE = re.compile(r"\S+")
_ADDRESS = re.compile(r"//|@|www\.")
_DENSE = re.compile("[\u3041-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\u0e01-\u0e5b]")

# Languages that texts of a few lines do not tell apart, each by the name of the first.
_SAME = {
    "nb": "no",
    "nn": "no",
    "bs": "hr",
    "sr": "hr",
    "sh": "hr",
    "ms": "id",
    "pcm": "en",
}
_NONE = {"zxx", "und"}


class _Identifier(Protocol):
    def classify(self, text: str) -> tuple[str, float]: ...


_loading = threading.Lock()


def language_of(text: str) -> str | None:
    """The language as its ISO 639 code; None where that can't be told.

    Norwegian is "no" in both of its forms, "hr" stands for Bosnian, Croatian and Serbian alike, and
    "id" for Indonesian and Malay.
    """
    prose, _ = split_code(text[:MOST_CHARACTERS])
    # A model that goes round in circles says nothing new, and would only make this one unsure.
    prose = " ".join(dict.fromkeys(_SENTENCE.split(_without_addresses(prose))))
    letters = sum(character.isalpha() for character in prose)
    if letters + 2 * len(_DENSE.findall(prose)) < FEWEST_LETTERS:
        return None
    code, probability = _identifier().classify(prose)
    if probability < SUREST or code in _NONE:
        return None
    return _SAME.get(code, code)


def _without_addresses(prose: str) -> str:
    prose = _INLINE_CODE.sub(" ", prose)
    return _PIECE.sub(lambda piece: "" if _ADDRESS.search(piece[0]) else piece[0], prose)


def _identifier() -> _Identifier:
    with _loading:
        return _loaded()


@functools.cache
def _loaded() -> _Identifier:
    # Not before a language is asked for: who lists the models does not wait for it.
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    identifier: _Identifier = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
    return identifier
