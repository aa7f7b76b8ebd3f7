"""The engines behind two sides: as many as there are models, where the memory allows it.

A model stays loaded as long as a side uses it and nothing else needs its place. Two models
that do not fit together take turns in one engine.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from pathlib import Path

from urial_tui.engine.client.engine import Engine
from urial_tui.engine.client.model import Model

Fits = Callable[[Path], bool]
"""Whether a model fits into the memory beside what is loaded already."""


class SideEngines:
    """Up to two engines and the names of the models in them.

    Args:
        make_engine: Makes one.
    """

    def __init__(self, make_engine: Callable[[], Engine]) -> None:
        self._make_engine = make_engine
        self._models: dict[Engine, str] = {}

    def model(self, name: str) -> Model | None:
        """A model that is loaded, by its name."""
        for engine, held in self._models.items():
            if held == name and engine.models:
                return engine.models[0]
        return None

    def place_for(self, name: str, path: Path, wanted: Collection[str], fits: Fits) -> Engine:
        """The engine that a model is to be loaded into; it is known by that name from then on.

        Args:
            name: The model's.
            path: Its file.
            wanted: Names of the models that the sides use; others give way.
            fits: Asked only where something that is wanted is loaded.
        """
        free = [held for held, model in self._models.items() if model not in {*wanted} - {name}]
        if free:
            engine = free[0]
        elif self._models and not fits(path):
            engine = next(iter(self._models))
        else:
            engine = self._make_engine()
        self._models[engine] = name
        return engine

    def cancel(self) -> None:
        """Stop what runs; any thread."""
        for engine in list(self._models):
            engine.cancel()

    def insist(self) -> None:
        """End those that were asked to stop and don't; any thread."""
        for engine in list(self._models):
            engine.insist()

    def close(self) -> None:
        """End the workers; any thread."""
        for engine in list(self._models):
            engine.close()
