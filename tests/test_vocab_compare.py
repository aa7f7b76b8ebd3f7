"""When two vocabularies may be compared by id, and what is left when they may not."""

from __future__ import annotations

import itertools
import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from urial_tui.compare.vocab import (
    TokenisedText,
    VocabInfo,
    VocabularyError,
    compare_bytes,
    compare_vocabularies,
    pieces_agree,
)

NORMAL, UNKNOWN, CONTROL, USER, UNUSED, BYTE = range(1, 7)


def vocabulary(*pieces: tuple[bytes, int]) -> VocabInfo:
    return VocabInfo.of([piece for piece, _ in pieces], [kind for _, kind in pieces])


PIECES = ((b"<s>", CONTROL), (b"a", NORMAL), (b"", UNUSED), (b"bc", NORMAL), (b"\xff", BYTE))
entries = st.lists(
    st.tuples(st.sampled_from((b"", b"a", b"b", b"ab", b"\xff")), st.integers(1, 6)), max_size=6
)


# -- packing ---------------------------------------------------------------------------


@given(entries)
def test_every_piece_comes_back(pieces: list[tuple[bytes, int]]) -> None:
    packed = vocabulary(*pieces)
    assert len(packed) == len(pieces)
    assert [packed.piece(token) for token in range(len(packed))] == [piece for piece, _ in pieces]


@given(entries, entries)
def test_digests_are_equal_for_equal_vocabularies_only(
    one: list[tuple[bytes, int]], other: list[tuple[bytes, int]]
) -> None:
    digests = vocabulary(*one).digest(), vocabulary(*other).digest()
    assert (digests[0] == digests[1]) == (one == other)


@pytest.mark.parametrize(
    "broken",
    [
        VocabInfo(pieces=b"ab", ends=b"\1\0\0\0", types=b"\1"),
        VocabInfo(pieces=b"ab", ends=b"\2\0\0\0\1\0\0\0", types=b"\1\1"),
        VocabInfo(pieces=b"a", ends=b"\1\0\0\0", types=b"\1\1"),
        VocabInfo(pieces=b"a", ends=b"\1\0\0", types=b"\1"),
        VocabInfo(pieces=b"a", ends=b"", types=b""),
    ],
)
def test_a_vocabulary_that_contradicts_itself_is_refused(broken: VocabInfo) -> None:
    good = vocabulary(*PIECES)
    for pair in ((broken, good), (good, broken)):
        with pytest.raises(VocabularyError):
            compare_vocabularies(*pair)


def test_types_are_needed_for_every_piece() -> None:
    with pytest.raises(VocabularyError):
        VocabInfo.of([b"a", b"b"], [1])


# -- relations -------------------------------------------------------------------------


def test_equal_vocabularies_are_identical() -> None:
    found = compare_vocabularies(vocabulary(*PIECES), vocabulary(*PIECES))
    assert (found.relation, found.shared_ids, found.changed) == ("identical", 5, 0)
    assert found.by_id


@pytest.mark.parametrize("longer", ["base", "aligned"])
def test_added_tokens_make_a_prefix(longer: str) -> None:
    short = vocabulary(*PIECES)
    long = vocabulary(*PIECES, (b"<|im_end|>", CONTROL), (b"word", NORMAL))
    pair = (long, short) if longer == "base" else (short, long)
    found = compare_vocabularies(*pair)
    assert (found.relation, found.longer, found.shared_ids) == ("prefix", longer, 5)
    assert (found.added, found.added_text) == (2, 1)
    assert (found.base_size, found.aligned_size) == (len(pair[0]), len(pair[1]))
    assert found.by_id


def test_a_renamed_reserved_token_is_compared_and_listed() -> None:
    base = vocabulary(*PIECES, (b"<unused0>", UNUSED))
    aligned = vocabulary(*PIECES, (b"<turn>", CONTROL), (b"<more>", CONTROL))
    found = compare_vocabularies(base, aligned)
    assert (found.relation, found.changed) == ("prefix", 1)
    (changed,) = found.changed_ids
    assert (changed.id, changed.base, changed.aligned) == (5, b"<unused0>", b"<turn>")


def test_a_type_alone_does_not_make_another_token() -> None:
    base = vocabulary((b"<x>", NORMAL), (b"a", NORMAL))
    aligned = vocabulary((b"<x>", USER), (b"a", NORMAL))
    found = compare_vocabularies(base, aligned)
    assert (found.relation, found.changed) == ("identical", 1)


@pytest.mark.parametrize("kinds", [(NORMAL, NORMAL), (NORMAL, CONTROL), (UNUSED, BYTE)])
def test_another_text_at_one_id_makes_them_different(kinds: tuple[int, int]) -> None:
    base = vocabulary(*PIECES, (b"old", kinds[0]), (b"z", NORMAL))
    aligned = vocabulary(*PIECES, (b"new!", kinds[1]), (b"z", NORMAL))
    found = compare_vocabularies(base, aligned)
    assert found.relation == "different"
    assert not found.by_id
    assert found.shared_ids == 0
    assert found.shared_pieces == 6
    assert found.first_difference is not None
    first = found.first_difference
    assert (first.id, first.base, first.aligned) == (5, b"old", b"new!")


def test_a_difference_of_equal_length_is_found_at_its_token() -> None:
    base = vocabulary((b"ab", NORMAL), (b"", UNUSED), (b"cd", NORMAL), (b"ef", NORMAL))
    aligned = vocabulary((b"ab", NORMAL), (b"", UNUSED), (b"cX", NORMAL), (b"ef", NORMAL))
    first = compare_vocabularies(base, aligned).first_difference
    assert first is not None
    assert (first.id, first.aligned) == (2, b"cX")


def test_the_same_pieces_in_another_order_are_different() -> None:
    found = compare_vocabularies(vocabulary(*PIECES), vocabulary(*reversed(PIECES)))
    assert (found.relation, found.shared_pieces) == ("different", 5)


def test_an_empty_vocabulary_is_like_no_other() -> None:
    empty = vocabulary()
    assert compare_vocabularies(empty, vocabulary(*PIECES)).relation == "different"
    assert compare_vocabularies(empty, empty).relation == "identical"


@given(entries, entries)
def test_ids_are_shared_exactly_where_they_mean_the_same(
    one: list[tuple[bytes, int]], other: list[tuple[bytes, int]]
) -> None:
    found = compare_vocabularies(vocabulary(*one), vocabulary(*other))
    same = all(
        a == b or not ({kind_a, kind_b} & {NORMAL, BYTE})
        for (a, kind_a), (b, kind_b) in zip(one, other, strict=False)
    ) and bool(one) == bool(other)
    assert found.by_id == same
    assert found.changed == (sum(a != b for a, b in zip(one, other, strict=False)) if same else 0)


def test_a_relation_is_json_even_with_bytes_that_are_no_text() -> None:
    base, aligned = vocabulary((b"\xff\xfe", BYTE)), vocabulary((b"a", NORMAL))
    document = json.loads(json.dumps(compare_vocabularies(base, aligned).document()))
    assert document["relation"] == "different"
    assert document["first_difference"]["base"] == "\\xff\\xfe"
    assert document["first_difference"]["aligned"] == "a"
    shown = compare_vocabularies(vocabulary((b"x", UNUSED)), vocabulary((b"y", UNUSED))).document()
    assert json.loads(json.dumps(shown))["changed_ids"][0]["aligned"] == "y"


# -- agreement about bytes -------------------------------------------------------------


def text(
    pieces: list[bytes], argmax: list[bytes] | None = None, logp: float = -1.0
) -> TokenisedText:
    return TokenisedText(
        ends=tuple(itertools.accumulate(len(piece) for piece in pieces)),
        logp=(logp,) * len(pieces),
        argmax=tuple(pieces if argmax is None else argmax),
    )


def test_bits_per_byte_need_no_common_vocabulary() -> None:
    found = compare_bytes(
        text([b"Hello", b" world"], logp=-math.log(2)), text([b"Hel", b"lo wor", b"ld"])
    )
    assert found.n_bytes == 11
    assert found.bits_per_byte_base == pytest.approx(2 / 11)
    assert found.bits_per_byte_aligned == pytest.approx(3 / math.log(2) / 11)


def test_only_places_where_both_start_a_token_are_compared() -> None:
    found = compare_bytes(text([b"ab", b"cd", b"ef"]), text([b"abcd", b"e", b"f"]))
    # At 0 and 4: "ab" begins "abcd", "e" begins "ef".
    assert (found.boundaries, found.agreement, found.exact) == (2, 1.0, 0.0)


def test_predictions_are_compared_not_the_text() -> None:
    found = compare_bytes(text([b"ab", b"cd"], [b"x", b"cd"]), text([b"ab", b"cd"], [b"y", b"cd"]))
    assert (found.boundaries, found.agreement, found.exact) == (2, 0.5, 0.5)


@pytest.mark.parametrize(
    ("one", "other", "agree"),
    [
        (b" Hel", b" Hello", True),
        (b" Hello", b" Hello", True),
        (b" Hello", b" Help", False),
        (b"", b" Hello", False),
        (b"", b"", True),
        (b"\xe4", "你".encode(), True),
    ],
)
def test_one_piece_agrees_with_another_that_it_begins(
    one: bytes, other: bytes, agree: bool
) -> None:
    assert pieces_agree(one, other) is agree
    assert pieces_agree(other, one) is agree


def test_of_tokens_that_start_together_the_last_one_predicts_the_bytes() -> None:
    base = TokenisedText(ends=(0, 2), logp=(-1.0, -1.0), argmax=(b"<turn>", b"ab"))
    found = compare_bytes(base, text([b"ab"]))
    assert (found.boundaries, found.exact) == (1, 1.0)


def test_texts_of_nothing_have_nothing_to_say() -> None:
    found = compare_bytes(text([]), text([]))
    assert (found.n_bytes, found.boundaries) == (0, 0)
    assert found.bits_per_byte_base is None
    assert found.agreement is None


def test_a_token_without_probability_costs_infinite_bits() -> None:
    assert compare_bytes(text([b"a"], logp=-math.inf), text([b"a"])).bits_per_byte_base == math.inf


@pytest.mark.parametrize(
    "other",
    [
        text([b"abc"]),
        TokenisedText(ends=(1, 0), logp=(0.0, 0.0), argmax=(b"", b"")),
        TokenisedText(ends=(2,), logp=(), argmax=(b"",)),
    ],
)
def test_readings_that_do_not_fit_are_refused(other: TokenisedText) -> None:
    with pytest.raises(VocabularyError):
        compare_bytes(text([b"ab"]), other)


@given(st.binary(max_size=12), st.sets(st.integers(0, 12)), st.sets(st.integers(0, 12)))
def test_two_readings_of_what_was_predicted_right_always_agree(
    data: bytes, cuts_one: set[int], cuts_other: set[int]
) -> None:
    def read(cuts: set[int]) -> TokenisedText:
        ends = sorted({cut for cut in cuts if 0 < cut < len(data)} | ({len(data)} - {0}))
        return text([data[start:end] for start, end in itertools.pairwise([0, *ends])])

    found = compare_bytes(read(cuts_one), read(cuts_other))
    assert found.agreement == (1.0 if data else None)
    assert found.n_bytes == len(data)
