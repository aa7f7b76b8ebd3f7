"""A plan: what somebody chose to have done, looked up before a model is loaded for it.

Whatever is wrong with a choice is told when its plan is made, so that nobody waits for a model in
vain. `planned_run`, `planned_measuring`, `planned_search` and `planned_sweep` have one each.
"""

from __future__ import annotations

from typing import Protocol, TypeVar

from urial_tui.engine.client.call import EventSteps
from urial_tui.engine.client.engine import Engine
from urial_tui.prompting.templates.renderer import TemplateRenderer
from urial_tui.runtime.host import Unpacking

Work_co = TypeVar("Work_co", covariant=True)
"""What does what was planned; None where the plan does it itself."""


class Planned(Protocol[Work_co]):
    """The protocol of a plan."""

    def load(
        self, engine: Engine, templates: TemplateRenderer, unpacking: Unpacking = ...
    ) -> EventSteps[Work_co]:
        """Load the model: the engine's events, and then what does the work.

        Args:
            engine: Loads it.
            templates: Renders chat templates.
            unpacking: Told how far a packaged model is.

        Raises:
            ModelError: There is none, or it does not fit.
            EngineError: The worker refused it.
            EngineDied: The worker ended.
        """
        ...
