"""The vocabularies of two sides: how they relate, and how tokens are spelled.

Where one vocabulary begins with the other, tokens are spelled by the longer one, so every id
that either side may write has a text.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
import numpy as np

from urial_tui.compare.items import ContextText
from urial_tui.compare.vocab import VocabInfo, VocabRelation, compare_vocabularies
from urial_tui.engine.wire.values import TextSegment, Turn
from urial_tui.models.header import CutBy

_CONTROL = 3
"""GGUF token type of control tokens."""


class Vocabularies:
    """Two sides' vocabularies; `relation`: what they have in common.

    Args:
        base: Of the base side.
        aligned: Of the aligned side.
        cutting: What their files say differently of how text is cut; None if that is not known.

    Raises:
        VocabularyError: One of them contradicts itself.
    """

    def __init__(
        self, base: VocabInfo, aligned: VocabInfo, cutting: tuple[CutBy, ...] | None
    ) -> None:
        self.base = base
        self.aligned = aligned
        self.relation: VocabRelation = msgspec.structs.replace(
            compare_vocabularies(base, aligned), cutting=cutting
        )
        types = np.frombuffer(aligned.types, np.uint8)
        self.special: frozenset[int] = frozenset(np.flatnonzero(types == _CONTROL).tolist())
        """Ids of the aligned side's tokens that are no content: control tokens."""
        self._longer = aligned if self.relation.longer != "base" else base
        self._texts: dict[int, str] = {}

    def piece(self, token: int) -> bytes:
        """A token's bytes."""
        return self._longer.piece(token)

    def text_of(self, token: int) -> str:
        """A token's text; bytes that are no UTF-8 as \\xNN."""
        text = self._texts.get(token)
        if text is None:
            text = self._texts[token] = self.piece(token).decode("utf-8", "backslashreplace")
        return text

    def spelled(self, ids: Iterable[int]) -> bytes:
        """The bytes of several tokens in a row."""
        return b"".join(map(self.piece, ids))

    def first_bytes(self, ids: tuple[int, ...], limit: int) -> tuple[int, ...]:
        """The ids that lie within the first `limit` bytes."""
        ends = np.cumsum([len(self.piece(token)) for token in ids])
        return ids[: int(np.searchsorted(ends, limit, side="right"))]

    def as_text(self, ids: tuple[int, ...]) -> tuple[int, ...]:
        """The longest beginning whose tokens are together valid UTF-8; control tokens let go."""
        text_ids = tuple(token for token in ids if token not in self.special)
        while text_ids:
            try:
                self.spelled(text_ids).decode("utf-8")
            except UnicodeDecodeError as error:
                text_ids = self.first_bytes(text_ids, error.start)
            else:
                break
        return text_ids

    def readable(self, ids: tuple[int, ...]) -> tuple[int, ...]:
        """The ids up to one that the base side lacks: it can't read on from there."""
        if not self.relation.by_id:
            return ids
        size = self.relation.base_size
        end = next((at for at, token in enumerate(ids, start=1) if token >= size), len(ids))
        return ids[:end]

    def ends_at(self, token: int) -> bool:
        """Whether an answer goes no further: at a control token, or where one side can't read on.

        `token`: of the aligned side.
        """
        return token in self.special or token >= self.relation.base_size

    def contexts(
        self, base: tuple[int, ...], aligned: tuple[int, ...]
    ) -> tuple[ContextText, ContextText]:
        """What each side was shown, in its own tokens.

        Returns:
            That of the base side, and that of the aligned one.
        """
        return _spelled_context(base, self.base), _spelled_context(aligned, self.aligned)


def _spelled_context(ids: tuple[int, ...], vocab: VocabInfo) -> ContextText:
    text = b"".join(map(vocab.piece, ids)).decode("utf-8", "replace")
    return ContextText(text=text, ids=ids)


def unread_context(turn: Turn) -> ContextText:
    """A context that no model was shown."""
    return ContextText(
        text="".join(part.text for part in turn if isinstance(part, TextSegment)), ids=()
    )
