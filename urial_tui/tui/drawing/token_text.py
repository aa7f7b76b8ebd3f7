"""How a token's text is shown: on one line, never empty, and safe for the terminal."""

from __future__ import annotations

from textual.content import Content

from urial_tui.sanitize import sanitize


def visible(text: str, token: int | None = None) -> str:
    """A token as it stands in a text: newlines and tabs as signs, blank tokens as dots.

    What would take no room (joiners, accents without a letter) is shown as code points, a
    token without text as its id.
    """
    shown = sanitize(text).replace("\n", "↵").replace("\t", "→")
    if not shown:
        return "⟨⟩" if token is None else f"⟨{token}⟩"
    if not shown.strip():
        # The many blanks that Unicode has look alike; only the plain one is common.
        return "".join("·" if character == " " else "␣" for character in shown)
    if not cell_width(shown):
        return "".join(f"<U+{ord(character):04X}>" for character in shown)
    return shown


def quoted(text: str, token: int | None = None) -> str:
    """A token alone: like `visible`, with every space as a dot."""
    return visible(text, token).replace(" ", "·")


def cell_width(text: str) -> int:
    """Columns that a text takes."""
    return Content(text).cell_length
