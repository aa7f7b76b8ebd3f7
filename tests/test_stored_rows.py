"""What the benchmark says of llama-perplexity's way to keep log-probabilities."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from benchmarks.stored_rows import divergences, kept, percentile
from urial_tui.engine.wire.scores import Floats


def log_softmax(logits: Floats) -> NDArray[np.float64]:
    rows = logits.astype(np.float64)
    rows -= rows.max(axis=1, keepdims=True)
    found: NDArray[np.float64] = rows - np.log(np.exp(rows).sum(axis=1, keepdims=True))
    return found


def drawn(seed: int, scale: float, shape: tuple[int, int] = (20, 400)) -> Floats:
    return np.random.default_rng(seed).normal(0, scale, shape).astype(np.float32)


def test_log_probabilities_come_back_within_half_a_step() -> None:
    logits = drawn(1, 1.5)
    spread = logits.max(axis=1) - logits.min(axis=1)
    assert spread.max() < 16
    off = np.abs(kept(logits) - log_softmax(logits))
    assert (off.max(axis=1) <= spread / 65535 / 2 + 4e-6).all()
    assert off.max() > 2e-5, "sixteen bits lose something"


def test_nothing_is_kept_further_down_than_16_nats_below_the_likeliest() -> None:
    logits = drawn(2, 9.0)
    log_p = log_softmax(logits)
    far = log_p < log_p.max(axis=1, keepdims=True) - 16.1
    assert far.any()
    floor = np.broadcast_to(log_p.max(axis=1, keepdims=True) - 16, log_p.shape)
    np.testing.assert_allclose(kept(logits)[far], floor[far], atol=1e-4)


@pytest.mark.parametrize("scale", [1.0, 9.0])
def test_a_divergence_moves_by_the_storage_and_not_by_more(scale: float) -> None:
    first = drawn(3, scale)
    second = first + drawn(4, 0.2)
    a, b = log_softmax(first), log_softmax(second)
    exact = (np.exp(a) * (a - b)).sum(axis=1)
    found = divergences(first, second)
    np.testing.assert_allclose(found, exact, atol=3e-4)
    assert np.abs(found - exact).max() > 1e-6


def test_a_row_without_differences_is_kept_whole() -> None:
    flat = np.full((1, 50), 3.0, np.float32)
    np.testing.assert_allclose(kept(flat), np.full((1, 50), -np.log(50)), rtol=1e-6)
    assert abs(float(divergences(flat, flat)[0])) < 1e-6


def test_percentiles_lie_between_their_neighbours() -> None:
    ordered = np.sort(np.random.default_rng(5).gamma(1.0, 1.0, 2040).astype(np.float32))
    for fraction in (0.0, 0.5, 0.9, 0.99, 1.0):
        assert percentile(ordered, fraction) == pytest.approx(
            float(np.percentile(ordered, 100 * fraction)), rel=1e-4
        )
