"""A factory of the evaluation screen's dialogs, with what this machine has to choose from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from urial_tui import paths
from urial_tui.compare.side_choice import contexts_of_side
from urial_tui.evaluate.beginning import NewJudging, NewRuns, begin_judging, begin_runs
from urial_tui.evaluate.plan_file import Plan
from urial_tui.evaluate.shelf import Shelved
from urial_tui.models.registry import resolve
from urial_tui.models.summary import summarise
from urial_tui.settings import Settings, engine_options
from urial_tui.tui.chat.choose import PickFileScreen
from urial_tui.tui.evaluate.evaluation_list import title_of
from urial_tui.tui.evaluate.judge_screen import JudgeScreen
from urial_tui.tui.evaluate.new_runs_screen import NewRunsScreen


class Dialogs:
    """Makes the dialogs; what it reads takes a moment, so another thread calls it.

    Args:
        list_models: Names of the models on this machine.
        directory: Where the evaluations are.
        model: What is marked at first for a new run.
        context: The same.
        settings: The engine's options, sampling and the longest answer.
    """

    def __init__(
        self,
        list_models: Callable[[], Sequence[str]],
        *,
        directory: Path,
        model: str,
        context: str,
        settings: Settings,
    ) -> None:
        self._list_models = list_models
        self._directory = directory
        self._model = model
        self._context = context
        self._settings = settings

    def new_runs(self) -> NewRunsScreen:
        """Make the dialog that chooses what is run.

        Raises:
            UrialError: What there is to choose from can't be read.
        """

        models = self._list_models()

        def begin(new: NewRuns) -> list[Plan]:
            if new.engine is None and new.aligned is not None and new.aligned not in models:
                resolve(new.aligned)
            return begin_runs(new, self._directory, self._settings)

        return NewRunsScreen(
            models,
            contexts_of_side(same=False),
            model=self._model,
            context=self._context,
            pick_file=self._pick_file,
            begin=begin,
        )

    def judge(self, runs: Sequence[Shelved]) -> JudgeScreen:
        """Make the dialog that chooses who judges.

        Args:
            runs: One, or two that are compared.

        Raises:
            UrialError: What there is to choose from can't be read.
        """
        first, *others = [run.path for run in runs]
        against = others[0] if others else None

        def begin(new: NewJudging) -> Plan:
            return begin_judging(new, first, against)

        about = (
            "It scores each answer by five aspects, those to safety items by their safety."
            if against is None
            else "It says which of two answers is the better one, in both orders."
        )
        return JudgeScreen(
            " against ".join(map(title_of, runs)),
            about,
            self._list_models(),
            pick_file=self._pick_file,
            begin=begin,
        )

    def _pick_file(self) -> PickFileScreen:
        directory, options = paths.models_dir(), engine_options(self._settings)
        start = directory if directory.is_dir() else paths.home()
        return PickFileScreen(start, lambda path: summarise(path, options))
