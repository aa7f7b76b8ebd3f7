"""A pool of examples: pairs of a query and an answer, one a line, of which some are shown.

A line is read in any form of `question_file` that has one question; its answer is what messages
have as one, or what stands beside the question under one of `ANSWER_KEYS`. What can't be used is
left out and counted by what is wrong with it, with the numbers of its lines: one bad line among a
hundred thousand must not cost the others.

Pairs are doubles where both texts are the same but for case, white space and Unicode form
(`plain_text`); the first of them stays. Other answers to a question that is there are kept: which
of them is the right one, nobody can tell.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import BinaryIO, Literal

import msgspec

from urial_tui import files, wording
from urial_tui.errors import RetrievalError
from urial_tui.json_text import NotJSON, key_twice, parsed
from urial_tui.prompting.preamble import Example
from urial_tui.question_file import ANSWER_KEYS, QuestionEntry
from urial_tui.sanitize import sanitize_line, storable
from urial_tui.wording import amount

MAX_POOL_BYTES = 2 * 1024**3
MAX_PAIRS = 1_000_000
MAX_LINE_BYTES = 256 * 1024
MAX_QUERY = 16_000
"""Characters of a query; a longer one is no example that fits into a context."""
NAMED_LINES = 5
"""Lines that a sentence names."""

Trouble = Literal[
    "too long",
    "not UTF-8",
    "no JSON object",
    "a key twice",
    "without a question",
    "without an answer",
    "a double",
]
"""Why a line is left out."""

_SENTENCE = re.compile(r"[.!?…]+[\"'”’»)\]]*(?=\s|$)|[。！？]+[」』”）]*|\n(?=\s*\n)")
"""What ends a sentence: its mark, or the paragraph's end."""
_WORD = re.compile(r"[぀-ヿ㐀-鿿豈-﫿]|[^\s぀-ヿ㐀-鿿豈-﫿]+")
"""A word; of scripts without spaces each character."""


class Pair(msgspec.Struct, frozen=True):
    """A query and its answer, without white space at their ends."""

    query: str
    answer: str

    @property
    def content(self) -> bytes:
        """Digest of both texts."""
        return digest(self.query, self.answer)


def pairs_of(examples: Iterable[Example]) -> tuple[Pair, ...]:
    """Retrieved examples as pairs, to be stored."""
    return tuple(Pair(example.query, example.answer) for example in examples)


def examples_of(pairs: Iterable[Pair]) -> tuple[Example, ...]:
    """Stored pairs as the examples that they were."""
    return tuple(Example(query=pair.query, answer=pair.answer) for pair in pairs)


class Pool(msgspec.Struct, frozen=True, kw_only=True):
    """What was read of a file; lines are numbered from 1.

    `left_out`: by what is wrong, the numbers of the lines. `asked_again`: of lines that are kept
    although their question stood there before, with another answer.
    """

    pairs: tuple[Pair, ...]
    left_out: Mapping[Trouble, tuple[int, ...]]
    asked_again: tuple[int, ...] = ()

    @property
    def notes(self) -> list[str]:
        """A sentence for each kind of line that was left out, or is kept and may surprise."""
        notes = [
            f"Left out {amount(len(lines), 'line')} ({trouble}): {_numbers(lines)}."
            for trouble, lines in self.left_out.items()
        ]
        if self.asked_again:
            notes.append(
                f"Kept {amount(len(self.asked_again), 'line')} with another answer to a question "
                f"that was there before: {_numbers(self.asked_again)}."
            )
        return notes


def digest(*texts: str) -> bytes:
    """Sixteen bytes that stand for texts."""
    hashed = hashlib.sha256()
    for text in texts:
        data = text.encode("utf-8", "replace")
        hashed.update(len(data).to_bytes(8, "big") + data)
    return hashed.digest()[:16]


def plain_text(text: str) -> str:
    """Normalise a text for comparison: case, white space and Unicode form (NFKC) don't count."""
    # Folding the case may take a text out of the form that it was in.
    folded = unicodedata.normalize("NFKC", text).casefold()
    return " ".join(unicodedata.normalize("NFKC", folded).split())


def read_pool(path: Path) -> Pool:
    """The pairs of a file, in its order.

    Raises:
        RetrievalError: It can't be read, is too large, or has no pair that can be used.
    """
    shown = sanitize_line(str(path))
    pairs: dict[bytes, Pair] = {}
    left_out: dict[Trouble, list[int]] = {}
    asked: set[bytes] = set()
    asked_again: list[int] = []
    try:
        with files.open_regular(path) as file:
            for number, line in _lines(file, shown):
                found = _pair(line, number, shown)
                if isinstance(found, Pair):
                    question = plain_text(found.query)
                    content = digest(question, plain_text(found.answer))
                    if content in pairs:
                        found = "a double"
                if isinstance(found, Pair):
                    pairs[content] = found
                    if (key := digest(question)) in asked:
                        asked_again.append(number)
                    asked.add(key)
                else:
                    left_out.setdefault(found, []).append(number)
                if len(pairs) > MAX_PAIRS:
                    raise RetrievalError(
                        f"The pool {shown} has more than {MAX_PAIRS:,} pairs.", "Take a part of it."
                    )
    except OSError as error:
        raise RetrievalError(
            f"The pool {shown} can't be read: {files.reason(error)}.", "Name another file."
        ) from error
    pool = Pool(
        pairs=tuple(pairs.values()),
        left_out={trouble: tuple(lines) for trouble, lines in left_out.items()},
        asked_again=tuple(asked_again),
    )
    if not pairs:
        raise RetrievalError(
            " ".join((f"There is no pair of a query and an answer in {shown}.", *pool.notes)),
            'Each line has to look like {"query": "...", "answer": "..."}.',
        )
    return pool


def shortened(answer: str, most_words: int) -> str:
    """An answer of at most so many words, cut where a sentence ends.

    Where the first sentence is longer than that, it is cut behind a word.
    """
    words = list(_WORD.finditer(answer))
    if len(words) <= most_words:
        return answer
    end = words[most_words - 1].end()
    # The mark behind the last word is not always a part of it.
    sentences = [
        found.end()
        for found in _SENTENCE.finditer(answer)
        if found.end() <= words[most_words].start()
    ]
    return answer[: sentences[-1] if sentences else end].rstrip()


def _lines(file: BinaryIO, shown: str) -> Iterator[tuple[int, bytes | None]]:
    """Lines and their numbers; None for one that is too long. Empty ones are nobody's mistake."""
    number = size = 0
    while line := file.readline(MAX_LINE_BYTES + 1):
        number += 1
        size += len(line)
        whole = line.endswith(b"\n") or len(line) <= MAX_LINE_BYTES
        while not whole:
            rest = file.readline(MAX_LINE_BYTES)
            size += len(rest)
            if size > MAX_POOL_BYTES:
                break
            if not rest or rest.endswith(b"\n"):
                break
        if size > MAX_POOL_BYTES:
            raise RetrievalError(
                f"The pool {shown} is larger than {wording.limit(MAX_POOL_BYTES)}.",
                "Take a part of it.",
            )
        if line.strip():
            yield number, line if whole else None


def _pair(line: bytes | None, number: int, shown: str) -> Pair | Trouble:
    if line is None:
        return "too long"
    try:
        text = line.decode("utf-8-sig" if number == 1 else "utf-8")
    except UnicodeDecodeError:
        return "not UTF-8"
    try:
        value = parsed(text)
    except NotJSON:
        return "no JSON object"
    if not isinstance(value, dict):
        return "no JSON object"
    if key_twice(value) is not None:
        return "a key twice"
    try:
        asked = QuestionEntry(value, number, shown, RetrievalError).asked()
    except RetrievalError:
        return "without a question"
    if len(asked.turns) != 1:
        return "without a question"
    query = asked.turns[0].strip()
    if len(query) > MAX_QUERY:
        return "too long"
    if asked.answers:
        answer = asked.answers[0]
    else:
        said = (value.get(key) for key in ANSWER_KEYS)
        answer = next((text for text in said if isinstance(text, str) and text.strip()), "")
    answer = storable(answer).strip()
    return Pair(query, answer) if answer else "without an answer"


def _numbers(lines: tuple[int, ...]) -> str:
    named = ", ".join(f"{number:,}" for number in lines[:NAMED_LINES])
    more = len(lines) - NAMED_LINES
    return f"{'line' if len(lines) == 1 else 'lines'} {named}" + (
        f" and {more:,} more" if more > 0 else ""
    )
