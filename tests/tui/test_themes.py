"""Text stays readable in our own themes (WCAG 2.1, contrast ratio)."""

from __future__ import annotations

import pytest
from textual.color import Color
from textual.theme import Theme

from urial_tui.tui.themes import DARK, LIGHT


def luminance(colour: Color) -> float:
    """Relative luminance as WCAG 2.1 defines it."""
    red, green, blue = (
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4
        for part in (colour.r / 255, colour.g / 255, colour.b / 255)
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    low, high = sorted((luminance(Color.parse(one)), luminance(Color.parse(other))))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("theme", [DARK, LIGHT], ids=lambda theme: theme.name)
def test_text_can_be_read(theme: Theme) -> None:
    for ground in (theme.background, theme.surface):
        assert ground is not None
        assert theme.foreground is not None
        assert contrast(theme.foreground, ground) >= 7
        for colour in (theme.primary, theme.secondary, theme.warning, theme.error):
            assert colour is not None
            assert contrast(colour, ground) >= 4.5
        for name in ("quiet", "unshifted", "marginal", "shifted", "absent"):
            assert contrast(theme.variables[name], ground) >= 4.5
