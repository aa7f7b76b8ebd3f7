"""A model that an engine has loaded, for tests that speak to one at a time."""

from __future__ import annotations

from pathlib import Path

from urial_tui.engine.client.engine import Engine
from urial_tui.engine.client.model import Model
from urial_tui.engine.wire.events import Event
from urial_tui.engine.wire.values import EngineOptions
from urial_tui.prompting.preamble import Preamble
from urial_tui.prompting.preamble_file import find_preamble
from urial_tui.runtime.writer import Writer, WriterChoice

ZERO_SHOT = find_preamble("zero-shot")


def newest(engine: Engine) -> Model:
    """The model that was loaded last."""
    return engine.models[-1]


def load_only(engine: Engine, path: Path, options: EngineOptions) -> list[Event]:
    """Load a model in place of all that are loaded."""
    for model in engine.models:
        model.unload()
    return list(engine.load(path, options=options))


def writer_of(model: Model, preamble: Preamble = ZERO_SHOT, name: str = "tiny") -> Writer:
    """A model that answers under a preamble, and what the user calls it."""
    return Writer(choice=WriterChoice(model=name, preamble=preamble), model=model)
