"""What went wrong, in a sentence, above the prompt."""

from __future__ import annotations

from textual.content import Content
from textual.reactive import reactive
from textual.widgets import Static

from urial_tui.errors import UrialError
from urial_tui.sanitize import sanitize_line


class Banner(Static):
    """Shows an error and the key that helps; takes no room while there is none."""

    trouble: reactive[UrialError | None] = reactive(None, init=False)
    key: str = ""
    """What to press, e.g. "Ctrl+R loads the model again"; set before `trouble`."""

    def watch_trouble(self, trouble: UrialError | None) -> None:
        """Show it, or go."""
        self.display = trouble is not None
        if trouble is None:
            return
        lines = [Content.styled(f"✖ {sanitize_line(trouble.message)}", "bold")]
        lines += [Content(sanitize_line(line)) for line in (trouble.hint, self.key) if line]
        self.update(Content("\n").join(lines))
