"""Who answers: a model under a preamble, by their names, and once they are in memory."""

from __future__ import annotations

import msgspec

from urial_tui.engine.client.model import Model
from urial_tui.prompting.preamble import Preamble


class WriterChoice(msgspec.Struct, frozen=True, kw_only=True):
    """What is to answer: a model, as the user names it (a catalogue name or a path), and a
    preamble.
    """

    model: str
    preamble: Preamble


class Writer(msgspec.Struct, frozen=True, kw_only=True):
    """What answers: a choice, and its model, which is loaded."""

    choice: WriterChoice
    model: Model

    @property
    def preamble(self) -> Preamble:
        """The preamble that it answers under."""
        return self.choice.preamble
