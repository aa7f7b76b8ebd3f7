"""Which of llama.cpp's warnings about a model the user should hear of, in words."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

_TOLD = {
    "missing pre-tokenizer type": (
        "The model's file does not say how its tokenizer cuts text into words "
        "(tokenizer.ggml.pre is missing), so llama.cpp guesses, and answers may be worse. "
        "Get a newer file of the model."
    ),
    "bad special token": (
        "The model's file names a special token that its vocabulary does not have, so answers "
        "may not end where they should. Get a newer file of the model."
    ),
}
"""What a line of the library holds, and what it means."""


def told(warnings: Iterable[str]) -> Iterator[str]:
    """What to tell the user of these lines, each thing once."""
    lines = tuple(warnings)
    return (words for mark, words in _TOLD.items() if any(mark in line for line in lines))
