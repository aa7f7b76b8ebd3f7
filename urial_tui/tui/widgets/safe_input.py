"""An input whose text is sanitised: what can't be drawn as it is never gets into it."""

from __future__ import annotations

from textual.widgets import Input

from urial_tui.sanitize import sanitize_line


class SafeInput(Input):
    """An input of one line that sanitises what is typed and pasted."""

    def validate_value(self, value: str) -> str:
        """Sanitise a value on its way in."""
        return sanitize_line(value)
