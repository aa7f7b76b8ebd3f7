"""Opening the screens over the chat, with lazy imports; what they have running is closed.

They are imported when they are opened, for many bring numpy along, or headers and catalogues:
nobody should wait for these who only chats.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Protocol

from urial_tui import paths
from urial_tui.chat.unsaved import Unsaved
from urial_tui.errors import UrialError
from urial_tui.prompting.preamble import Preamble
from urial_tui.runtime.host import FindModel
from urial_tui.runtime.writer import WriterChoice
from urial_tui.sanitize import sanitize_line
from urial_tui.tui.chat.chat_screen import ChatScreen
from urial_tui.tui.chat.factories import MakeComparisonEngine, MakeDuel, MakeJobQueue
from urial_tui.tui.frame.configured_app import ConfiguredApp
from urial_tui.tui.frame.messages import (
    CompareRequested,
    EvaluateRequested,
    ModelsRequested,
    PromptsRequested,
    ScreenRequested,
    SidesRequested,
)
from urial_tui.tui.models.downloads import Downloads

if TYPE_CHECKING:
    from urial_tui.tui.duel.side_by_side import SideBySideScreen


class _Running(Protocol):
    def close(self) -> None:
        """End what runs and its processes; safe to call twice."""


class Openings:
    """Makes and pushes screens, and remembers what is to be closed with the application.

    Args:
        app: Shows them.
        chat: The screen below.
        downloads: The application's.
        unsaved: Remembers conversations of which not all could be stored.
        find_model: Looks a model up.
        list_models: Names the models on this machine.
        make_comparison: Makes the engine behind the compare screen.
        make_duel: Makes what answers on the side-by-side screen.
        make_queue: Makes what does the work of the evaluation screen, and what measures.
    """

    def __init__(
        self,
        app: ConfiguredApp,
        chat: ChatScreen,
        downloads: Downloads,
        unsaved: Unsaved,
        *,
        find_model: FindModel,
        list_models: Callable[[], Sequence[str]],
        make_comparison: MakeComparisonEngine,
        make_duel: MakeDuel,
        make_queue: MakeJobQueue,
    ) -> None:
        self._app = app
        self._chat = chat
        self._downloads = downloads
        self._unsaved = unsaved
        self._find_model = find_model
        self._list_models = list_models
        self._make_comparison = make_comparison
        self._make_duel = make_duel
        self._make_queue = make_queue
        self._running: dict[type[ScreenRequested], _Running] = {}
        """What each kind of screen that was opened last has running."""
        self._sides: SideBySideScreen | None = None

    def open(self, event: ScreenRequested) -> None:
        """Open a screen over the chat."""
        match event:
            case CompareRequested():
                self._open_comparison(event)
            case EvaluateRequested():
                self._open_evaluations()
            case ModelsRequested():
                self._open_models()
            case PromptsRequested():
                self._open_prompts()
            case SidesRequested():
                self._open_sides()

    def close(self) -> None:
        """End what runs; safe to call twice."""
        for running in self._running.values():
            running.close()
        self._note_sides()

    def rescue(self) -> None:
        """Save answers where the event loop no longer does it."""
        if self._sides is not None:
            self._sides.duel.rescue()
        self._note_sides()

    def _note_sides(self) -> None:
        if self._sides is not None:
            self._unsaved.note(self._sides.conversation)

    def _open_comparison(self, event: CompareRequested) -> None:
        from urial_tui.compare.comparison_start import for_conversation, for_model
        from urial_tui.tui.compare.compare_screen import CompareScreen

        try:
            start = (
                for_model(event.model, event.preamble)
                if event.conversation is None
                else for_conversation(event.conversation, event.preamble, event.second)
            )
        except UrialError as error:
            self._app.notify(str(error), markup=False)
            return
        engine = self._running[CompareRequested] = self._make_comparison(self._find_model)
        screen = CompareScreen(
            engine,
            self._list_models,
            base=start.base,
            aligned=start.aligned,
            settings=self._app.settings,
            subject=start.subject,
            note=start.note,
        )
        screen.drafts = self._chat.drafts
        self._app.push_screen(screen)

    def _open_evaluations(self) -> None:
        from urial_tui.tui.evaluate.dialogs import Dialogs
        from urial_tui.tui.evaluate.evaluate_screen import EvaluateScreen

        try:
            directory = paths.evaluations_dir()
        except UrialError as error:
            self._app.notify(sanitize_line(str(error)), severity="error", markup=False)
            return
        queue = self._running[EvaluateRequested] = self._make_queue()
        choice, settings = self._chat.choice, self._app.settings
        dialogs = Dialogs(
            self._list_models,
            directory=directory,
            model=choice.model,
            context=choice.preamble.name,
            settings=settings,
        )
        screen = EvaluateScreen(queue, dialogs, directory=directory, settings=settings)
        self._app.push_screen(screen)

    def _open_models(self) -> None:
        from urial_tui.tui.models.models_screen import ModelsScreen

        chat = self._chat

        def go_on_with(model: str | None) -> None:
            if model is not None:
                chat.switching.use_if_free(WriterChoice(model=model, preamble=chat.choice.preamble))

        screen = ModelsScreen(
            self._downloads,
            self._app.settings,
            in_use=chat.choice.model,
            devices=lambda: chat.models.engine.devices,
        )
        self._app.push_screen(screen, go_on_with)

    def _open_prompts(self) -> None:
        from urial_tui.tui.prompts.laboratory import Laboratory
        from urial_tui.tui.prompts.prompts_screen import PromptsScreen

        chat, settings = self._chat, self._app.settings
        laboratory = Laboratory(
            chat.models.engine,
            chat.choice.model,
            chat.drafts,
            chat.models.load_again,
            settings,
        )
        queue = self._running[PromptsRequested] = self._make_queue()

        def go_on_under(preamble: Preamble | None) -> None:
            if preamble is not None:
                chat.switching.use_if_free(WriterChoice(model=chat.choice.model, preamble=preamble))

        in_use = chat.choice.preamble.name
        screen = PromptsScreen(laboratory, queue, settings, in_use=in_use)
        self._app.push_screen(screen, go_on_under)

    def _open_sides(self) -> None:
        """Open it as it was left."""
        from urial_tui.tui.duel.side_by_side import side_by_side

        chat = self._chat
        duel = self._running[SidesRequested] = self._make_duel(self._find_model)
        screen = self._sides = side_by_side(chat, duel, self._sides)

        def go_on_in_chat(_: None) -> None:
            self._unsaved.note(screen.conversation)
            chat.stored.show(screen.conversation)

        self._app.push_screen(screen, go_on_in_chat)
