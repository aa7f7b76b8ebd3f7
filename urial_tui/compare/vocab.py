"""What two vocabularies have in common, and so what may be compared.

Probabilities of two models are compared by token id only where an id means the same on both
sides: the vocabularies are equal, or one begins with the other and only adds tokens. For
any other pair no divergence exists; what remains comparable is what both say about bytes:
bits per byte, and the next piece of text at places where both cut the text.
docs/decisions/0008-comparing-vocabularies.md has the reasons.
"""

from __future__ import annotations

import hashlib
import itertools
import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Literal

import msgspec
import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray

from urial_tui.errors import EngineError
from urial_tui.models.header import CutBy

Relation = Literal["identical", "prefix", "different"]
Longer = Literal["", "base", "aligned"]

TEXT_TYPES = frozenset({1, 6})
"""GGUF token types whose pieces are text: normal, byte. The others are unknown (2), control
(3), user-defined (4) and unused (5)."""
LISTED = 20
"""Changed ids that a relation names; it counts them all."""


class VocabularyError(EngineError):
    """A vocabulary or a tokenised text that contradicts itself."""


class VocabInfo(msgspec.Struct, frozen=True, kw_only=True):
    """A vocabulary, packed so that it travels and compares as three strings of bytes.

    `pieces`: all pieces one after another; `ends`: little-endian u32, where each one ends;
    `types`: u8, GGUF token types.
    """

    pieces: bytes
    ends: bytes
    types: bytes

    @staticmethod
    def of(pieces: Sequence[bytes], types: Sequence[int]) -> VocabInfo:
        """Pack pieces and their types, by token id.

        Raises:
            VocabularyError: There are not as many types as pieces.
        """
        ends = np.cumsum([len(piece) for piece in pieces], dtype=np.uint64).astype("<u4")
        made = VocabInfo(pieces=b"".join(pieces), ends=ends.tobytes(), types=bytes(types))
        made.check()
        return made

    def __len__(self) -> int:
        return len(self.types)

    def check(self) -> None:
        """Raise VocabularyError unless the three parts fit together."""
        ends = self._ends()
        if (
            len(self.ends) != 4 * len(self.types)
            or np.any(ends[1:] < ends[:-1])
            or (int(ends[-1]) if len(ends) else 0) != len(self.pieces)
        ):
            raise VocabularyError(
                "A model's vocabulary contradicts itself.",
                "The model file may be damaged: get it again, or try another one.",
            )

    def piece(self, token: int) -> bytes:
        """The bytes of a token, 0 <= token < len(self)."""
        start, end = self._span(token)
        return self.pieces[start:end]

    def digest(self) -> str:
        """SHA-256 over pieces, their borders and types: equal only for equal vocabularies."""
        digest = hashlib.sha256(len(self).to_bytes(8, "little"))
        for part in (self.ends, self.types, self.pieces):
            digest.update(part)
        return digest.hexdigest()

    def _ends(self) -> NDArray[np.uint32]:
        return np.frombuffer(self.ends[: len(self.ends) // 4 * 4], "<u4")

    def _span(self, token: int) -> tuple[int, int]:
        def end(at: int) -> int:
            return int.from_bytes(self.ends[4 * at : 4 * at + 4], "little")

        return (end(token - 1) if token else 0), end(token)


class VocabEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One id on both sides. `None`: that side has no such id."""

    id: int
    base: bytes | None
    aligned: bytes | None
    base_type: int = 0
    aligned_type: int = 0


class VocabRelation(msgspec.Struct, frozen=True, kw_only=True):
    """How two vocabularies relate. `relation` "identical" or "prefix": compare by id.

    base_size, aligned_size   tokens
    shared_ids      ids that may be compared: the smaller size, or 0 where "different"
    longer, added   the side with more tokens, and how many more ("prefix" only)
    added_text      how many of those are text: then the longer side cuts text differently
    changed         ids that are compared although their names or types differ, because the
                    name is no text on either side or the bytes are equal
    changed_ids     the first of them
    first_difference   the first id that means another text ("different" only)
    shared_pieces   pieces that both have, at whatever ids ("different" only)
    cutting         what the files say differently of how text is cut into these tokens: contexts
                    may then be cut otherwise on one side, which is no effect of alignment. None
                    where that is not known
    """

    relation: Relation
    base_size: int
    aligned_size: int
    shared_ids: int = 0
    longer: Longer = ""
    added: int = 0
    added_text: int = 0
    changed: int = 0
    changed_ids: tuple[VocabEntry, ...] = ()
    first_difference: VocabEntry | None = None
    shared_pieces: int = 0
    cutting: tuple[CutBy, ...] | None = None

    @property
    def by_id(self) -> bool:
        """Whether probabilities may be compared token by token."""
        return self.relation != "different"

    def document(self) -> dict[str, object]:
        """The relation as a JSON object: pieces as text, bytes that are no UTF-8 as \\xNN."""

        def entry(found: VocabEntry) -> dict[str, object]:
            values = msgspec.structs.asdict(found)
            for side in ("base", "aligned"):
                if values[side] is not None:
                    values[side] = values[side].decode("utf-8", "backslashreplace")
            return values

        values = msgspec.structs.asdict(self)
        values["cutting"] = msgspec.to_builtins(self.cutting)
        values["changed_ids"] = [entry(found) for found in self.changed_ids]
        if self.first_difference is not None:
            values["first_difference"] = entry(self.first_difference)
        return values


def compare_vocabularies(base: VocabInfo, aligned: VocabInfo) -> VocabRelation:
    """Piece by piece (bytes and type). An empty vocabulary is "different" from any other.

    Raises:
        VocabularyError: One of them contradicts itself.
    """
    base.check()
    aligned.check()
    sizes = VocabRelation(relation="identical", base_size=len(base), aligned_size=len(aligned))
    shared = min(len(base), len(aligned))
    if base == aligned:
        return replace(sizes, shared_ids=shared)
    changed: list[VocabEntry] = []
    unequal: Iterable[int] = _unequal(base, aligned, shared) if shared else (0,)
    for entry in (_entry(base, aligned, token) for token in unequal):
        if not _comparable(entry):
            return replace(
                sizes,
                relation="different",
                first_difference=entry,
                shared_pieces=len(_pieces(base) & _pieces(aligned)),
            )
        changed.append(entry)
    same = replace(
        sizes, shared_ids=shared, changed=len(changed), changed_ids=tuple(changed[:LISTED])
    )
    if len(base) == len(aligned):
        return same
    longer = max(base, aligned, key=len)
    return replace(
        same,
        relation="prefix",
        longer="base" if longer is base else "aligned",
        added=len(longer) - shared,
        added_text=sum(kind in TEXT_TYPES for kind in longer.types[shared:]),
    )


def _unequal(base: VocabInfo, aligned: VocabInfo, shared: int) -> Iterator[int]:
    """The ids below `shared` whose pieces or types differ, in order."""
    types = _types(base)[:shared] != _types(aligned)[:shared]
    ends_b, ends_a = base._ends()[:shared], aligned._ends()[:shared]
    if not np.array_equal(ends_b, ends_a):
        for token in range(shared):
            if types[token] or base.piece(token) != aligned.piece(token):
                yield token
        return
    # All borders are equal, so unequal bytes can be counted towards their tokens.
    size = int(ends_b[-1]) if shared else 0
    differing = np.flatnonzero(_bytes(base.pieces[:size]) != _bytes(aligned.pieces[:size]))
    types[np.searchsorted(ends_b, differing, side="right")] = True
    yield from np.flatnonzero(types).tolist()


def _comparable(entry: VocabEntry) -> bool:
    """Whether an id is the same thing on both sides, though perhaps under another name.

    A fine-tune that gives a reserved token a name and a use of its own still predicts it in
    the same place; a place with other text in it is another token.
    """
    if entry.base is None or entry.aligned is None:
        return False
    if entry.base == entry.aligned:
        return True
    return entry.base_type not in TEXT_TYPES and entry.aligned_type not in TEXT_TYPES


def _entry(base: VocabInfo, aligned: VocabInfo, token: int) -> VocabEntry:
    in_base, in_aligned = token < len(base), token < len(aligned)
    return VocabEntry(
        id=token,
        base=base.piece(token) if in_base else None,
        aligned=aligned.piece(token) if in_aligned else None,
        base_type=base.types[token] if in_base else 0,
        aligned_type=aligned.types[token] if in_aligned else 0,
    )


def _pieces(vocabulary: VocabInfo) -> set[bytes]:
    ends = [0, *vocabulary._ends().tolist()]
    return {vocabulary.pieces[start:end] for start, end in itertools.pairwise(ends)}


def _types(vocabulary: VocabInfo) -> NDArray[np.uint8]:
    return _bytes(vocabulary.types)


def _bytes(data: bytes) -> NDArray[np.uint8]:
    return np.frombuffer(data, np.uint8)


# -- different vocabularies: what both say about the same bytes ----------------------------


class TokenisedText(msgspec.Struct, frozen=True, kw_only=True):
    """A text as one side reads it: n tokens, in order.

    `ends`: where each token's bytes end in the text, never falling (a control token ends
    where it starts). `logp`: natural-log probability of each token. `argmax`: the bytes of
    the token that was most probable in its place; b"" for a token that is no text.
    """

    ends: tuple[int, ...]
    logp: tuple[float, ...]
    argmax: tuple[bytes, ...]


class ByteAgreement(msgspec.Struct, frozen=True, kw_only=True):
    """What two sides with different vocabularies say about one text.

    n_bytes                  of the text
    bits_per_byte_*          None without bytes, +inf where a token had no probability
    boundaries               offsets before the text's end at which both sides start a token
    agreement                share of them where one side's most probable piece begins with
                             the other's: both are ready to write the shorter one
    exact                    share of them where both pieces are equal
    """

    n_bytes: int
    bits_per_byte_base: float | None
    bits_per_byte_aligned: float | None
    boundaries: int
    agreement: float | None
    exact: float | None


def compare_bytes(base: TokenisedText, aligned: TokenisedText) -> ByteAgreement:
    """Compare two readings of the same bytes.

    Vocabularies cut text at different grains, so " Hel" and " Hello" agree. A piece without
    bytes (end of text) begins every string and would agree with all; it agrees only with
    another one. Where several tokens start at an offset, the last one is the one that
    predicts the next bytes.

    Raises:
        VocabularyError: A reading contradicts itself, or the two are of different length.
    """
    n_bytes = _length(base)
    if n_bytes != _length(aligned):
        raise VocabularyError(
            "The two models read the text as different numbers of bytes.",
            "Compare them on plain text without special tokens.",
        )
    pieces_b, pieces_a = _predicted(base), _predicted(aligned)
    common = [offset for offset in pieces_b.keys() & pieces_a.keys() if offset < n_bytes]
    agreeing = sum(pieces_agree(pieces_b[at], pieces_a[at]) for at in common)
    equal = sum(pieces_b[at] == pieces_a[at] for at in common)
    return ByteAgreement(
        n_bytes=n_bytes,
        bits_per_byte_base=bits_per_byte(base.logp, n_bytes),
        bits_per_byte_aligned=bits_per_byte(aligned.logp, n_bytes),
        boundaries=len(common),
        agreement=agreeing / len(common) if common else None,
        exact=equal / len(common) if common else None,
    )


def pieces_agree(first: bytes, second: bytes) -> bool:
    """Whether one non-empty piece begins with the other, or both are empty."""
    if not first or not second:
        return first == second
    return first.startswith(second) or second.startswith(first)


def bits_per_byte(logp: Sequence[float], n_bytes: int) -> float | None:
    """-sum(log2 p) / bytes, of natural-log probabilities; None for no bytes."""
    return max(-math.fsum(logp), 0.0) / math.log(2.0) / n_bytes if n_bytes else None


def _length(text: TokenisedText) -> int:
    ends = text.ends
    if not len(ends) == len(text.logp) == len(text.argmax) or any(
        end < start for start, end in zip((0, *ends), ends, strict=False)
    ):
        raise VocabularyError("A tokenised text contradicts itself.", "This is a bug: report it.")
    return ends[-1] if ends else 0


def _predicted(text: TokenisedText) -> dict[int, bytes]:
    """By offset: the piece predicted there."""
    return dict(zip((0, *text.ends), text.argmax, strict=False))
