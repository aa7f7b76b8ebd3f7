"""What the rules of a sampling add to a row of logits.

A row with the rules is `row + bias` in float32, where the bias follows from the tokens of the
answer so far alone. So it is the same in however many answers are written together, and the row
itself stays what the model said.
"""

from __future__ import annotations

import weakref

import numpy as np
from numpy.typing import NDArray

from urial_tui.engine.native.llama import Vocab
from urial_tui.engine.wire.scores import Floats
from urial_tui.engine.wire.values import Rules

Ids = NDArray[np.int64]

_ENDS: weakref.WeakKeyDictionary[Vocab, Ids] = weakref.WeakKeyDictionary()
"""The tokens that end an answer, asked once of a vocabulary: each token is a call."""


class RuleBias:
    """The bias of one answer; `accept` what stands in it.

    Args:
        vocab: The model's.
        rules: What is added.
    """

    def __init__(self, vocab: Vocab, rules: Rules) -> None:
        self._rules = rules
        self._bias = np.zeros(vocab.size, np.float32)
        for shift in rules.shifts:
            for text in shift.texts:
                self._bias[_token_of(vocab, text)] += np.float32(shift.bias)
        self._ends = _ends_of(vocab)
        self._end_bias = self._bias[self._ends]
        self._seen: set[int] = set()
        self._written = 0

    def accept(self, token: int) -> None:
        """A token stands in the answer."""
        self._written += 1
        if token not in self._seen:
            self._seen.add(token)
            self._bias[token] += np.float32(self._rules.repeat_bias)
        share = min(1.0, self._written / max(1, self._rules.end_tokens))
        self._bias[self._ends] = self._end_bias + np.float32(self._rules.end_bias * share)

    def added_to(self, row: Floats) -> Floats:
        """A row with the rules: float32 (n_vocab); the row stays as it is."""
        ruled: Floats = row + self._bias
        return ruled

    @property
    def changed(self) -> int:
        """How many logits of a row it changes."""
        return int(np.count_nonzero(self._bias))


def _token_of(vocab: Vocab, text: str) -> list[int]:
    """The one token that a text is, within an answer; none where it is several."""
    tokens = vocab.tokenize(text)
    spelled = [vocab.piece(token) for token in tokens]
    return tokens if spelled == [text.encode("utf-8", "replace")] else []


def _ends_of(vocab: Vocab) -> Ids:
    ends = _ENDS.get(vocab)
    if ends is None:
        ends = np.array([token for token in range(vocab.size) if vocab.is_eog(token)], np.int64)
        _ENDS[vocab] = ends
    return ends
