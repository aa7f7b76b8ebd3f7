"""An error banner: what went wrong, in a sentence above the prompt."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.content import Content
from textual.reactive import reactive
from textual.widgets import Static

from urial_tui.errors import UrialError
from urial_tui.sanitize import sanitize_line


class Banner(VerticalScroll, can_focus=False):
    """Shows an error and the key that helps; takes no room while there is none.

    It leaves most of the screen to what is below; where it can't show all, Tab leads to it and
    the cursor keys scroll it.
    """

    trouble: reactive[UrialError | None] = reactive(None, init=False)
    key: str = ""
    """What to press, e.g. "Ctrl+R loads the model again"; set before `trouble`."""

    def compose(self) -> ComposeResult:
        """One text."""
        yield Static(markup=False)

    def on_mount(self) -> None:
        """Hide: there is no error yet."""
        self.display = self.trouble is not None

    def watch_trouble(self, trouble: UrialError | None) -> None:
        """Show the error, or hide."""
        self.display = trouble is not None
        self.can_focus = False
        if trouble is None:
            return
        lines = [Content.styled(f"✖ {sanitize_line(trouble.message)}", "bold")]
        lines += [Content(sanitize_line(line)) for line in (trouble.hint, self.key) if line]
        self.query_one(Static).update(Content("\n").join(lines))
        self.scroll_home(animate=False)
        self.call_after_refresh(self._measure)

    def on_resize(self) -> None:
        """Let the focus reach it only where it has to be scrolled."""
        self.call_after_refresh(self._measure)

    def _measure(self) -> None:
        self.can_focus = self.display and self.max_scroll_y > 0
