"""The application's own colours, dark and light.

One warm accent for what is the assistant's, one cool for what is the user's; text and
background differ by at least 7 : 1, the quiet text by 4.5 : 1.
"""

from __future__ import annotations

from textual.theme import Theme

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
