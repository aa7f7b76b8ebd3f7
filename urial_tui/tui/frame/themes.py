"""The application's own colours: dark, light, and one of high contrast.

One warm accent for what is the assistant's, one cool for what is the user's; text and
background differ by at least 7 : 1, the quiet text by 4.5 : 1, and in the theme of high
contrast all text by 7 : 1. Other themes get what they lack of our own variables made so that it
can be read on their grounds.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from textual.color import Color, ColorParseError
from textual.theme import Theme

READABLE = 4.5
"""The contrast that text needs (WCAG 2.1, level AA)."""

DEFAULTS = {
    "quiet": "#8a8f98",
    "line": "#7a7f88",
    "unshifted": "#4f86d8",
    "marginal": "#a87f45",
    "shifted": "#d9575f",
    "absent": "#b068c4",
}
"""Our own variables, for themes that do not know them; readable on dark and on light.

The colours of the classes are those of the paper: blue, brown, red.
"""

DARK = Theme(
    name="urial-dark",
    primary="#e3a857",
    secondary="#7fb8c9",
    accent="#e3a857",
    foreground="#dcdfe4",
    background="#14171c",
    surface="#1b1f26",
    panel="#252a33",
    success="#93b876",
    warning="#e6c35c",
    error="#e5737b",
    dark=True,
    variables={
        "quiet": "#9299a6",
        "line": "#39404c",
        "unshifted": "#7aa9f0",
        "marginal": "#c9975f",
        "shifted": "#f0727b",
        "absent": "#cf8fe0",
        "block-cursor-background": "#e3a857",
        "block-cursor-foreground": "#14171c",
        "block-cursor-text-style": "none",
        "footer-key-foreground": "#e3a857",
        "input-selection-background": "#7fb8c9 35%",
        "border": "#7fb8c9",
        "border-blurred": "#39404c",
    },
)

LIGHT = Theme(
    name="urial-light",
    primary="#8a5310",
    secondary="#1d5f73",
    accent="#8a5310",
    foreground="#23211d",
    background="#fbf9f4",
    surface="#f3efe6",
    panel="#e8e2d5",
    success="#3f6b25",
    warning="#7a5900",
    error="#a3242f",
    dark=False,
    variables={
        "quiet": "#67625a",
        "line": "#cfc7b8",
        "unshifted": "#1d50ac",
        "marginal": "#85531a",
        "shifted": "#b3202c",
        "absent": "#7c2c93",
        "block-cursor-background": "#8a5310",
        "block-cursor-foreground": "#fbf9f4",
        "block-cursor-text-style": "none",
        "footer-key-foreground": "#8a5310",
        "input-selection-background": "#1d5f73 25%",
        "border": "#1d5f73",
        "border-blurred": "#cfc7b8",
    },
)

HIGH_CONTRAST = Theme(
    name="urial-high-contrast",
    primary="#ffd75f",
    secondary="#87e0ff",
    accent="#ffd75f",
    foreground="#ffffff",
    background="#000000",
    surface="#0b0b0b",
    panel="#161616",
    success="#a6e895",
    warning="#ffd75f",
    error="#ffa3a3",
    dark=True,
    text_alpha=1.0,
    variables={
        "quiet": "#cccccc",
        "line": "#949494",
        "unshifted": "#a3c8ff",
        "marginal": "#ffc483",
        "shifted": "#ffa3a3",
        "absent": "#e8b6ff",
        "text": "#ffffff",
        "text-muted": "#cccccc",
        "text-disabled": "#cccccc",
        "foreground-muted": "#cccccc",
        "foreground-disabled": "#cccccc",
        "block-cursor-background": "#ffd75f",
        "block-cursor-foreground": "#000000",
        "block-cursor-text-style": "bold",
        "block-cursor-blurred-background": "#3a3a3a",
        "block-cursor-blurred-foreground": "#ffffff",
        "footer-key-foreground": "#ffd75f",
        "input-cursor-background": "#ffffff",
        "input-cursor-foreground": "#000000",
        "input-selection-background": "#264f5c",
        "input-selection-foreground": "#ffffff",
        "border": "#87e0ff",
        "border-blurred": "#949494",
        "scrollbar": "#949494",
        "scrollbar-background": "#000000",
    },
)

OURS = (DARK, LIGHT, HIGH_CONTRAST)


def contrast(one: Color, other: Color) -> float:
    """The ratio of two colours' luminances, 1 to 21 (WCAG 2.1)."""
    low, high = sorted((_luminance(one), _luminance(other)))
    return (high + 0.05) / (low + 0.05)


def _luminance(colour: Color) -> float:
    red, green, blue = (
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4
        for part in colour.normalized
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def readable(colour: Color, grounds: Iterable[Color], ratio: float = READABLE) -> Color:
    """The colour, as much lighter or darker as it takes to be read on all of the grounds."""
    grounds = list(grounds)
    towards = Color.parse("white")
    if contrast(towards, grounds[0]) < contrast(Color.parse("black"), grounds[0]):
        towards = Color.parse("black")
    for step in range(21):
        made = colour.blend(towards, step / 20, alpha=1.0)
        if all(contrast(made, ground) >= ratio for ground in grounds):
            return made
    return towards


def variables_for(theme: Theme) -> Mapping[str, str]:
    """Our own variables for a theme that does not define them."""
    if theme.ansi:
        return _ANSI
    made = theme.to_color_system().generate()
    background, foreground = Color.parse(made["background"]), Color.parse(made["foreground"])
    grounds = (background, Color.parse(made["surface"]))
    wanted = DEFAULTS | {
        "quiet": background.blend(foreground, 0.6, alpha=1.0).hex,
        "line": background.blend(foreground, 0.3, alpha=1.0).hex,
    }
    return wanted | {
        name: readable(Color.parse(colour), grounds).hex
        for name, colour in wanted.items()
        if name != "line" and _is_colour(colour)
    }


def _is_colour(text: str) -> bool:
    try:
        return Color.parse(text).ansi is None
    except ColorParseError:
        return False


_ANSI = DEFAULTS | {
    "quiet": "ansi_bright_black",
    "line": "ansi_bright_black",
    "unshifted": "ansi_blue",
    "marginal": "ansi_yellow",
    "shifted": "ansi_red",
    "absent": "ansi_magenta",
}
