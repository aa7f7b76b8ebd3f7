"""A list of the parts of a preamble, one of which is edited at a time."""

from __future__ import annotations

from collections.abc import Collection

from textual.content import Content
from textual.widgets import OptionList
from textual.widgets.option_list import Option

from urial_tui.prompting.part_texts import FORM, part_at
from urial_tui.prompting.preamble import Preamble
from urial_tui.sanitize import sanitize_line

_SHOWN = 60
"""Characters of a query."""


class PartList(OptionList):
    """The system text, a row for each example, then what these stand in and how answers end."""

    def __init__(self, *, id: str | None = None) -> None:  # Textual's name
        super().__init__(id=id, markup=False)
        self._prompts: list[Content] = []
        self._shown: tuple[Preamble, Collection[int]] | None = None

    @property
    def row(self) -> int:
        """Where the bar is; 0 is the system text, then come the examples."""
        return self.highlighted or 0

    @property
    def example(self) -> int | None:
        """The place of the example under the bar; None at another part."""
        if self._shown is None or part_at(self._shown[0], self.row) != "example":
            return None
        return self.row - 1

    def show(self, preamble: Preamble, conspicuous: Collection[int], part: int) -> None:
        """Show the parts of a preamble.

        Args:
            preamble: It.
            conspicuous: Numbers of the examples in which something was found, from 1.
            part: The row that the bar is on.
        """
        if self._shown != (preamble, conspicuous):
            self._shown = (preamble, conspicuous)
            self._show_rows(preamble, conspicuous)
        if self.highlighted != part:
            self.highlighted = part

    def _show_rows(self, preamble: Preamble, conspicuous: Collection[int]) -> None:
        prompts = [_system(preamble)]
        for number, example in enumerate(preamble.examples, 1):
            start = " ".join(example.query[: 4 * _SHOWN].split())[:_SHOWN]
            prompts.append(
                Content.assemble(
                    (f"{number:>2} ", "$primary"),
                    ("▲ " if number in conspicuous else "", "$warning"),
                    ("↳ " if example.follows else "", "$quiet"),
                    sanitize_line(start) or Content.styled("(empty)", "$quiet"),
                )
            )
        prompts += [Content.styled(title, "$quiet") for _, title in FORM]
        if len(prompts) == self.option_count:
            pairs = zip(prompts, self._prompts, strict=True)
            for place, (prompt, before) in enumerate(pairs):
                if prompt != before:
                    self.replace_option_prompt_at_index(place, prompt)
        else:
            self.clear_options()
            self.add_options([Option(prompt) for prompt in prompts])
        self._prompts = prompts


def _system(preamble: Preamble) -> Content:
    empty = "" if preamble.system.strip() else "  (none)"
    return Content.assemble(("System text", "bold"), (empty, "$quiet"))
