"""A text as one model reads it: cut into its own tokens, each with what was said of it.

Two readings of one text are what models with different vocabularies have in common.
"""

from __future__ import annotations

import msgspec
import numpy as np

from urial_tui.compare.vocab import TokenisedText, VocabInfo, VocabularyError
from urial_tui.engine.wire.events import Scored
from urial_tui.engine.wire.scores import SideScores


class Reading(msgspec.Struct, frozen=True, kw_only=True):
    """A text as one side reads it: `bounds` are where its n tokens start, and the end."""

    bounds: tuple[int, ...]
    logp: tuple[float, ...]
    argmax: tuple[bytes, ...]

    def from_byte(self, offset: int) -> TokenisedText:
        """What it says of the bytes from a bound on."""
        at = self.bounds.index(offset)
        return TokenisedText(
            ends=tuple(bound - offset for bound in self.bounds[at + 1 :]),
            logp=self.logp[at:],
            argmax=self.argmax[at:],
        )


def read_text(found: Scored, vocab: VocabInfo, text: str) -> Reading:
    """A side's reading of a text, by its bytes.

    SentencePiece vocabularies put a space in front of a text that stands behind nothing but
    BOS: it belongs to the token, not to the text. A token that follows nothing at all is a
    part of the text that nothing is said of.
    """
    scores = SideScores.from_bytes(found.scores)
    silent = found.context[-1:] if found.unscored else ()
    pieces = [vocab.piece(token) for token in (*silent, *found.ids)]
    argmax = [b"", *(vocab.piece(token) for token in scores.argmax.tolist())][1 - len(silent) :]
    if b"".join(pieces) == b" " + text.encode("utf-8", "replace"):
        first = next(at for at, piece in enumerate(pieces) if piece)
        pieces[first] = pieces[first][1:]
        argmax[first] = argmax[first].removeprefix(b" ")
    bounds = [0, *np.cumsum([len(piece) for piece in pieces]).tolist()]
    return Reading(
        bounds=tuple(bounds[len(silent) :]),
        logp=tuple(scores.logp.tolist()),
        argmax=tuple(argmax[len(silent) :]),
    )


def common_start(first: Reading, second: Reading) -> int:
    """The first byte at which both start a token, or both end."""
    common = set(first.bounds) & set(second.bounds)
    if not common:
        raise VocabularyError(
            "The two models read the text as different numbers of bytes.",
            "Compare them on plain text without special tokens.",
        )
    return min(common)


def whole_characters(data: bytes) -> tuple[str, bytes]:
    """The text of the whole characters, and the bytes of one that is cut off at the end.

    Returns:
        The text, and the bytes that are left.
    """
    for cut in range(min(3, len(data)) + 1):
        head = data[: len(data) - cut]
        try:
            return head.decode("utf-8"), data[len(head) :]
        except UnicodeDecodeError as error:
            if error.start < len(head) - 3:
                break
    return data.decode("utf-8", "replace"), b""
