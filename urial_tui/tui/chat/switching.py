"""Changing model and preamble within a conversation, and keeping that in the settings.

What is written goes on with what was chosen; turns keep what they were written with. A
choice that can't be had leaves what was in use.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

from textual.screen import Screen

from urial_tui import paths
from urial_tui.engine.wire.values import EngineOptions
from urial_tui.errors import ModelError, PreambleError, UrialError
from urial_tui.files import is_file
from urial_tui.prompting.preamble_file import find_preamble
from urial_tui.runtime.writer import WriterChoice
from urial_tui.sanitize import sanitize_line
from urial_tui.settings import described
from urial_tui.tui.chat.chat_view import ChatView
from urial_tui.tui.chat.model_loading import ModelLoading
from urial_tui.tui.chat.open_conversation import OpenConversation

if TYPE_CHECKING:
    from urial_tui.tui.chat.choose import ListName

MakeFirstRun = Callable[[UrialError, EngineOptions], Screen[str | None]]
"""Makes the screen that ends with the model to use, from why there is none."""


class Switching:
    """Opens the dialogs that choose a model or a preamble, and changes to them.

    Args:
        view: Opens the lists.
        models: What is in use.
        here: Whether an answer is being written.
        first_run: Makes the screen that helps where there is no model.
    """

    def __init__(
        self,
        view: ChatView,
        models: ModelLoading,
        here: OpenConversation,
        first_run: MakeFirstRun,
    ) -> None:
        self._view = view
        self._models = models
        self._here = here
        self._first_run = first_run

    def can_switch(self) -> bool:
        """Whether nothing is written or loaded; the user is told if something is."""
        answering = self._here.asking.answering
        if answering:
            self._view.tell(f"An answer is being written; {self._view.key('chat.stop')} stops it.")
        elif self._models.coming:
            self._view.tell("A model is being loaded; wait until it is there.")
        return not (answering or self._models.coming)

    def reload(self) -> None:
        """Load the model again, after a failure or to start afresh."""
        if self._here.asking.answering:
            self._here.refuse_while_busy()
        elif not self._models.coming:
            self._view.settle_trouble()
            self._models.load()

    def offer_models(self, error: ModelError) -> None:
        """Offer the models that there are, unless something else is looked at."""
        if self._view.screen.is_current:
            self._view.work_alone("model", self._choose_first, error)

    async def _choose_first(self, error: ModelError) -> None:
        chosen = await self._view.chosen_on(self._first_run(error, self._models.options))
        if chosen is not None:
            self._models.use_model(chosen)
            self._view.tell(
                "This model is used until you quit; chat.model in settings.toml keeps it."
            )

    def switch(self, focus: ListName = "models") -> None:
        """Let the user choose what answers from now on."""
        if self.can_switch():
            self._view.work_alone("switch", self._choose, focus)

    async def _choose(self, focus: ListName) -> None:
        # Listing the models looks at files, and the screen for it is seldom needed.
        from urial_tui.tui.chat.choose import chooser

        models = self._models
        try:
            make = await asyncio.to_thread(chooser, models.options, models.measured)
        except UrialError as error:
            self._view.complain(error)
            return
        chosen = await self._view.chosen_on(make("Answer with", models.choice, focus))
        if chosen is not None:
            self.use(chosen)

    def use_if_free(self, chosen: WriterChoice) -> None:
        """Go on with what was chosen elsewhere, unless something is written or loaded."""
        if self.can_switch():
            self.use(chosen)

    def use(self, chosen: WriterChoice) -> None:
        """Go on with another model, another preamble, or both."""
        models, before = self._models, self._models.choice
        if chosen == before and models.ready:
            return
        self._view.settle_trouble()
        models.show(chosen)
        if not models.ready:
            models.load()
            return
        models.await_engine()
        same = chosen.model == before.model
        self._view.show_status(state="reading the preamble" if same else "loading")
        self._view.work("engine", self._bring, before, chosen)

    async def _bring(self, before: WriterChoice, chosen: WriterChoice) -> None:
        models = self._models
        writer = models.engine.writer
        try:
            if chosen.model == before.model:
                await models.engine.pin(chosen.preamble, take=models.take)
            else:
                await models.bring(chosen)
        except UrialError as error:
            if not self._view.alive:
                return
            models.show(before)
            goes_on = f"{sanitize_line(before.model)} under {sanitize_line(before.preamble.name)}"
            self._view.complain(error, f"{goes_on} goes on.")
            if writer is not None and writer.model.loaded:
                models.get_ready()
            else:
                # It had to make room.
                models.load()
        else:
            if self._view.alive:
                models.get_ready()

    def keep(self) -> None:
        """Write what is in use into the settings."""
        self._view.work_alone("keep", self._keep)

    async def _keep(self) -> None:
        if not self._models.ready:
            self._view.tell("Nothing is loaded that could be kept.")
            return
        try:
            await asyncio.to_thread(keep_choice, self._models.choice)
        except UrialError as error:
            self._view.complain(error)
            return
        self._view.tell("urial starts with this model and preamble from now on.")


def keep_choice(choice: WriterChoice) -> None:
    """Save this as the model and the preamble of the settings file.

    Raises:
        SettingsError: The file is unsound, or can't be written.
        PreambleError: The preamble can't be found by its name.
    """
    # Needed only where somebody keeps something.
    from urial_tui.settings_file import read_settings_file

    name = choice.preamble.name
    if find_preamble(name) != choice.preamble:
        raise PreambleError(
            f"The preamble {name} is not the one that this name stands for.",
            f"Put its file into {paths.user_prompts_dir()}, or set chat.preamble to its path.",
        )
    path = paths.typed_path(choice.model)
    is_path = path.suffix.lower() == ".gguf" or path.name != choice.model
    model = str(path.absolute()) if is_path and is_file(path) else choice.model
    changed = before = read_settings_file()
    for setting in described():
        if setting.key in ("chat.model", "chat.preamble"):
            changed = changed.with_value(setting, model if setting.name == "model" else name)
    if changed != before:
        changed.save(before)
