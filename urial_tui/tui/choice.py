"""What answers: a model under a preamble."""

from __future__ import annotations

from typing import Literal

import msgspec

from urial_tui.chat.votes import Contestant
from urial_tui.prompting.preamble import Preamble

ListName = Literal["models", "preambles"]
"""The two lists that a choice is made from."""


class Choice(msgspec.Struct, frozen=True, kw_only=True):
    """A model, as the user names it (a catalogue name or a path), and a preamble."""

    model: str
    preamble: Preamble

    @property
    def contestant(self) -> Contestant:
        """Both by their names."""
        return Contestant(self.model, self.preamble.name)
