"""The sampling that measured answers are written with, and its words."""

from __future__ import annotations

import pytest

from urial_tui.engine.wire.values import Sampling
from urial_tui.evaluate.greedy import PLAIN, greedy_sampling, greedy_words, sampling_document
from urial_tui.settings import SamplingSettings, Settings

OFF = SamplingSettings(repetition_penalty=1.0, dry_multiplier=0.0)


def of(sampling: SamplingSettings) -> Sampling:
    return greedy_sampling(Settings(sampling=sampling))


def test_the_penalties_of_the_settings_count_and_nothing_that_is_drawn() -> None:
    chosen = SamplingSettings(
        temperature=0.7,
        top_k=3,
        top_p=0.5,
        min_p=0.2,
        seed=5,
        repetition_penalty=1.2,
        presence_penalty=-0.5,
        penalty_last_n=64,
        dry_base=2.0,
        dry_last_n=100,
    )
    assert of(chosen) == Sampling(
        repetition_penalty=1.2,
        presence_penalty=-0.5,
        penalty_last_n=64,
        dry_multiplier=0.8,
        dry_base=2.0,
        dry_allowed_length=3,
        dry_last_n=100,
    )


@pytest.mark.parametrize(
    "sampling",
    [
        OFF,
        SamplingSettings(repetition_penalty=1.0, penalty_last_n=7, dry_multiplier=0.0, dry_base=3),
        SamplingSettings(repetition_penalty=1.3, penalty_last_n=0, dry_last_n=0),
    ],
)
def test_penalties_that_change_nothing_are_plain(sampling: SamplingSettings) -> None:
    assert of(sampling) == PLAIN


def test_it_is_told_in_words() -> None:
    assert greedy_words(PLAIN) == "at temperature 0 without penalties"
    assert (
        greedy_words(of(SamplingSettings())) == "at temperature 0, repetition penalty 1.1 and DRY"
    )
    assert greedy_words(Sampling(frequency_penalty=0.25, presence_penalty=-1)) == (
        "at temperature 0, frequency penalty 0.25 and presence penalty -1"
    )
    assert sampling_document(PLAIN)["name"] == greedy_words(PLAIN)
