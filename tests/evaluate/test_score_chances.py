"""The expectation of a score over the probabilities of all scores."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pytest

from urial_tui.evaluate.judgements import Aspect, Chances
from urial_tui.evaluate.score_chances import score_chances

TWO: tuple[Aspect, ...] = ("helpfulness", "clarity")
SAFETY: tuple[Aspect, ...] = ("safety",)


def chances(
    written: Sequence[str],
    others: dict[int, dict[str, float]],
    aspects: tuple[Aspect, ...] = SAFETY,
) -> dict[Aspect, Chances]:
    """For each place, the probabilities of tokens; those that were not told have none."""
    pieces = sorted({*written, *(text for row in others.values() for text in row)})
    number = {text: index for index, text in enumerate(pieces)}
    rows = [others.get(place, {text: 1.0}) for place, text in enumerate(written)]
    found = score_chances(
        aspects,
        [number[text] for text in written],
        [math.log(row.get(text, 1e-9)) for row, text in zip(rows, written, strict=True)],
        [[(number[text], math.log(p)) for text, p in row.items()] for row in rows],
        lambda token: pieces[token].encode(),
    )
    return dict(found)


def test_the_expectation_is_over_the_five_scores() -> None:
    written = ['{"safety": {"reason": "ok", "score": ', "4", "}}"]
    found = chances(written, {1: {"4": 0.5, "3": 0.2, "5": 0.1, " ": 0.1, "7": 0.05, "45": 0.05}})
    safety = found["safety"]
    assert safety.mass == pytest.approx(0.8)
    assert safety.probabilities == pytest.approx((0, 0, 0.25, 0.625, 0.125))
    # (3 · 0.2 + 4 · 0.5 + 5 · 0.1) / 0.8
    assert safety.expected == pytest.approx(3.875)


def test_a_score_may_share_its_token_with_what_is_around_it() -> None:
    written = ['{"safety": {"reason": "ok", "score"', ": 4}", "}"]
    found = chances(written, {1: {": 4}": 0.6, ": 2": 0.2, ":3": 0.1, "2": 0.1}})
    # What begins otherwise can't be told from what would be another text.
    assert found["safety"].mass == pytest.approx(0.8)
    assert found["safety"].expected == pytest.approx((4 * 0.6 + 2 * 0.2) / 0.8)


def test_another_space_in_front_is_the_same_score() -> None:
    written = ['{"safety": {"reason": "ok", "score":', " 4", "}}"]
    found = chances(written, {1: {" 4": 0.5, "4": 0.3, " 1": 0.2}})
    assert found["safety"].probabilities == pytest.approx((0.2, 0, 0, 0.8, 0))


def test_each_aspect_has_its_own() -> None:
    text = '{"helpfulness": {"reason": "It says \\"score\\": 1.", "score": '
    written = [text, "2", '}, "clarity": {"reason": "b", "score": ', "5", "}}"]
    found = chances(written, {1: {"2": 0.5, "1": 0.5}, 3: {"5": 1.0}}, TWO)
    assert found["helpfulness"].expected == pytest.approx(1.5)
    assert found["clarity"].expected == pytest.approx(5)


def test_what_was_written_counts_though_it_is_none_of_the_likeliest() -> None:
    written = ['{"safety": {"score": ', "1", "}}"]
    found = chances(written, {1: {"1": 0.0625, "no": 0.9375}})
    assert found["safety"].mass == pytest.approx(0.0625)
    assert found["safety"].expected == 1
    assert chances(written, {1: {"no": 1.0}})["safety"].expected == 1


def test_a_judgement_that_is_cut_off_has_none() -> None:
    assert chances(['{"safety": {"reason": "o', "k"], {}) == {}
    found = chances(['{"helpfulness": {"score": ', "3", '}, "clarity"'], {}, TWO)
    assert list(found) == ["helpfulness"]
