"""Cuts preambles with the vocabulary of a model that is loaded: what a context becomes of them.

For a check, and for people who want to see the tokens. The vocabulary is read once.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

from urial_tui.engine.client.model import Model
from urial_tui.engine.wire.events import VocabularyRead
from urial_tui.engine.wire.values import TextSegment
from urial_tui.prompting.preamble import Preamble
from urial_tui.prompting.render import open_turn, preamble_text, preamble_turn
from urial_tui.prompting.token_check import QUERY, TokenCut

ContextPart = Literal["start", "preamble", "turn"]
"""Where a token of a context stands: what the engine puts in front, the preamble, or the turn."""

_CONTROL = (2, 3, 5)
"""GGUF's types of tokens that are no text: unknown, control, unused."""


class ContextToken(NamedTuple):
    """A token as it reaches the model. `data`: its bytes; `control`: it is no text."""

    id: int
    data: bytes
    part: ContextPart
    control: bool


class Cutter:
    """Asks a model, and waits for it; for a thread that may wait.

    Args:
        model: It is loaded.
    """

    def __init__(self, model: Model) -> None:
        self.model = model
        self._read: VocabularyRead | None = None

    def cut(self, preamble: Preamble) -> TokenCut:
        """How the model cuts a preamble and a turn behind it.

        Raises:
            EngineError: The worker refused it.
            EngineDied: The worker ended.
        """
        whole = preamble_text(preamble) + open_turn(preamble, QUERY)
        (first,) = self.model.tokenize([(TextSegment(text=whole),)], start=True).result()
        start, head, turn = self._apart(preamble, QUERY)
        info, pieces = self.model.info, self._vocabulary.pieces
        return TokenCut(
            whole=first[-1],
            pieces=tuple(pieces[token] for token in first[-1]),
            apart=(head, turn),
            n_ctx=info.n_ctx,
            starts=len(start),
            controls=tuple(dict.fromkeys(text for text in (info.bos, info.eos) if text)),
        )

    def tokens(self, preamble: Preamble, query: str) -> tuple[ContextToken, ...]:
        """The tokens of a context with a first question, up to where its answer opens.

        Raises:
            EngineError: The worker refused it.
            EngineDied: The worker ended.
        """
        names: tuple[ContextPart, ...] = ("start", "preamble", "turn")
        parts = zip(names, self._apart(preamble, query), strict=True)
        pieces, types = self._vocabulary.pieces, self._vocabulary.types
        return tuple(
            ContextToken(token, pieces[token], part, types[token] in _CONTROL)
            for part, ids in parts
            for token in ids
        )

    def _apart(self, preamble: Preamble, query: str) -> tuple[tuple[int, ...], ...]:
        """What is put in front, the preamble and the turn, each cut alone as in a context."""
        # A preamble without text is no segment: an empty one would stand in front of the turn.
        head = preamble_turn(preamble)
        turn = (*head, TextSegment(text=open_turn(preamble, query)))
        (segments,) = self.model.tokenize([turn], start=True).result()
        # BOS is a segment of its own.
        starts = segments[: len(segments) - len(turn)]
        start = tuple(token for segment in starts for token in segment)
        return start, segments[-2] if head else (), segments[-1]

    @property
    def _vocabulary(self) -> VocabularyRead:
        if self._read is None:
            self._read = self.model.vocabulary().result()
        return self._read
