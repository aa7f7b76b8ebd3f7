"""A screen on which model and preamble can be changed within a conversation.

What is written goes on with what was chosen; turns keep what they were written with. A
choice that can't be had leaves what was in use.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, ClassVar

from textual import work
from textual.binding import Binding, BindingType

from urial_tui import paths
from urial_tui.engine.wire.protocol import PreambleReady
from urial_tui.errors import PreambleError, UrialError
from urial_tui.files import is_file
from urial_tui.prompting.preamble import find_preamble
from urial_tui.runtime.writer import Choice
from urial_tui.sanitize import sanitize_line
from urial_tui.settings import described, engine_options
from urial_tui.tui.chat.answer_start import Start
from urial_tui.tui.chat.answering_screen import AnsweringScreen
from urial_tui.tui.chat.header_line import HeaderLine
from urial_tui.tui.chat.transcript import Transcript
from urial_tui.tui.chat.welcome import Welcome

if TYPE_CHECKING:
    from urial_tui.tui.chat.choose import ListName


class SwitchingScreen(AnsweringScreen):
    """Offers the models and the preambles of this machine."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(
            "ctrl+t", "switch('models')", "Model and preamble", priority=True, id="chat.switch"
        ),
        Binding(
            "alt+t",
            "keep_choice",
            "Start with this model and preamble from now on",
            id="chat.keep_choice",
        ),
    ]

    measured: dict[tuple[str, str], int]
    """Tokens of the preambles that were evaluated, by model and preamble."""

    def on_mount(self) -> None:
        """Nothing was evaluated yet."""
        self.measured = {}

    def action_switch(self, focus: ListName = "models") -> None:
        """Let the user choose what answers from now on."""
        if self.can_switch():
            self._choose(focus)

    def can_switch(self) -> bool:
        """Whether nothing is written or loaded; the user is told so."""
        if self.answering:
            self.notify("An answer is being written; Esc stops it.", markup=False)
        elif self.model_coming:
            self.notify("A model is being loaded; wait until it is there.", markup=False)
        return not (self.answering or self.model_coming)

    @work(exclusive=True, group="switch")
    async def _choose(self, focus: ListName) -> None:
        # Listing the models looks at files, and the screen for it is seldom needed.
        from urial_tui.tui.chat.choose import chooser

        try:
            make = await asyncio.to_thread(chooser, engine_options(self.settings), self.measured)
        except UrialError as error:
            self.complain(error)
            return
        chosen = await self.app.push_screen_wait(make("Answer with", self.choice, focus))
        if chosen is not None:
            self.use(chosen)

    def use(self, chosen: Choice) -> None:
        """Go on with another model, another preamble, or both."""
        before = self.choice
        if chosen == before and self.ready:
            return
        self.settle_trouble()
        self._show_choice(chosen)
        if not self.ready:
            self.load()
            return
        self.ready, self.model_coming = False, True
        if chosen.model == before.model:
            self.show_status(state="reading the preamble")
        else:
            self.show_status(state="loading")
        self._switch(before, chosen)

    @work(group="engine")
    async def _switch(self, before: Choice, chosen: Choice) -> None:
        writer = self.engine.writer
        try:
            if chosen.model == before.model:
                await self.engine.pin(chosen.preamble, take=self.take)
            else:
                await self.bring(chosen)
        except UrialError as error:
            if not self.has_widgets:
                return
            kept = writer is not None and writer.model.loaded
            self._go_back(before, error, kept=kept)
        else:
            if self.has_widgets:
                self.get_ready()

    @work(exclusive=True, group="keep")
    async def action_keep_choice(self) -> None:
        """Write what is in use into the settings."""
        if not self.ready:
            self.notify("Nothing is loaded that could be kept.", markup=False)
            return
        try:
            await asyncio.to_thread(_keep, self.choice)
        except UrialError as error:
            self.complain(error)
            return
        self.notify("urial starts with this model and preamble from now on.", markup=False)

    def _show_choice(self, chosen: Choice) -> None:
        self.model, self.preamble = chosen.model, chosen.preamble
        header, welcome = self.query_one(HeaderLine), self.query_one(Welcome)
        header.model, header.preamble = chosen.model, chosen.preamble.name
        welcome.model = chosen.model
        welcome.preamble = f"{chosen.preamble.name}: {chosen.preamble.description}"
        self.show_status(
            model=chosen.model,
            preamble=chosen.preamble.name,
            preamble_tokens=0,
            preamble_source=None,
            rate=0.0,
        )

    def _go_back(self, before: Choice, error: UrialError, *, kept: bool) -> None:
        """Use what was used before; load it again where it had to make room."""
        self._show_choice(before)
        goes_on = f"{sanitize_line(before.model)} under {sanitize_line(before.preamble.name)}"
        self.complain(error, f"{goes_on} goes on.")
        if kept:
            self.get_ready()
        else:
            self.load()

    def show_preamble(self, event: PreambleReady) -> None:
        """Learn what a preamble costs with this model."""
        super().show_preamble(event)
        self.measured[self.model, self.preamble.name] = event.tokens

    async def _answer_leaf(self, start: Start) -> None:
        self.query_one(Transcript).writer = (self.model, self.preamble.name)
        await super()._answer_leaf(start)


def _keep(choice: Choice) -> None:
    """Make this what the settings file says.

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
