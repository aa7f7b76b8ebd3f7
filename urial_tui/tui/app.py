"""The terminal application.

It shows its first screen before anything is loaded, and the worker process is ended with the
application, however that ends.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from io import StringIO
from typing import TYPE_CHECKING, Any, ClassVar

from rich.console import Console, RenderableType
from textual import on, work
from textual.app import SystemCommand
from textual.binding import Binding, BindingType
from textual.command import Provider
from textual.driver import Driver
from textual.events import Event, Key, Paste
from textual.screen import Screen
from textual.timer import Timer

from urial_tui.chat.store import Store
from urial_tui.chat.unsaved import Unsaved
from urial_tui.errors import StoreError, UrialError, UsageError
from urial_tui.prompting.preamble import Preamble
from urial_tui.prompting.preamble_file import find_preamble
from urial_tui.runtime.host import FindModel
from urial_tui.runtime.loading import LoadFile, load
from urial_tui.runtime.writer import Choice
from urial_tui.sanitize import sanitize_line
from urial_tui.settings import Settings
from urial_tui.tui.chat.chat_engine import ChatEngine
from urial_tui.tui.chat.chat_screen import ChatScreen
from urial_tui.tui.chat.switching import MakeFirstRun
from urial_tui.tui.drawing.markdown_lines import highlighted
from urial_tui.tui.frame.configured_app import ConfiguredApp
from urial_tui.tui.frame.factories import (
    MakeComparisonEngine,
    MakeDuel,
    MakeJobQueue,
    find_model,
    list_models,
    make_comparison_engine,
    make_duel,
    make_engine,
    make_first_run,
    make_job_queue,
)
from urial_tui.tui.frame.keys import keyed, shown
from urial_tui.tui.frame.messages import (
    CompareRequested,
    CopyRequested,
    EvaluateRequested,
    ModelsRequested,
    PromptsRequested,
    PullRequested,
    SidesRequested,
)
from urial_tui.tui.frame.private_names import (
    end_at_once,
    error_of,
    handle_error,
    loop_of,
    remember_copy,
)
from urial_tui.tui.frame.prompt_screen import PromptScreen
from urial_tui.tui.frame.settings_screen import SettingsScreen
from urial_tui.tui.frame.starting_point import starting_point
from urial_tui.tui.frame.terminal import TerminalDriver, understand_input
from urial_tui.tui.frame.watchdog import Watchdog
from urial_tui.tui.models.downloads import Downloads, in_short, left_behind, told

if TYPE_CHECKING:
    from urial_tui.engine.client.engine import Engine
    from urial_tui.tui.compare.comparison_engine import ComparisonEngine
    from urial_tui.tui.duel.side_by_side import SideBySideScreen
    from urial_tui.tui.evaluate.job_queue import JobQueue

DOWNLOADS_SHOWN_EVERY = 0.5
"""Seconds."""


def run(model: str | None = None, preamble: str | None = None) -> int:
    """Open the chat in this terminal; returns the exit code.

    Args:
        model: A catalogue name or a path; the settings' model unless given.
        preamble: A name or a path; the settings' preamble unless given.

    Raises:
        UsageError: There is no terminal.
        PreambleError: There is no such preamble, or it is unsound.
        StoreError: At the end, something of the conversations could not be written.
    """
    require_terminal()
    start = starting_point(preamble)
    store: Store | None = None
    trouble: UrialError | None = None
    try:
        store = Store()
        store.purge()
    except StoreError as error:
        trouble = error
    app = UrialApp(
        settings=start.settings,
        store=store,
        preamble=start.preamble,
        model=model or start.settings.chat.model,
        trouble=trouble,
    )
    app.troubles += start.troubles
    try:
        try:
            return run_in_terminal(app)
        finally:
            for sentence in left_behind(app.downloads):
                sys.stderr.write(f"urial: {sanitize_line(sentence)}\n")
            app.unsaved.save()
    finally:
        if store is not None:
            store.close()


def run_in_terminal(app: UrialApp) -> int:
    """Run an application until it ends, by whatever; no worker is left. The exit code.

    A mistake of ours that ended it is raised when the terminal is as it was before.
    """
    understand_input()
    app.in_terminal = True
    with Watchdog(sys.stdin.fileno(), app.end_soon, app.rescue) as watchdog:
        app.on_input_lost = partial(watchdog.end, signal.SIGHUP)
        try:
            app.run()
        finally:
            app.close_engine()
    if app.mistake is not None:
        raise app.mistake
    return app.return_code or 0


def require_terminal(
    what: str = "The chat", instead: str = "In scripts and pipes, use `urial ask` instead."
) -> None:
    """Refuse to start `what` where nothing can be shown; `instead` is what to do then.

    Raises:
        UsageError: Standard input or output is no terminal, or a dumb one.
    """
    if not (sys.stdin.isatty() and sys.stdout.isatty()) or os.environ.get("TERM") == "dumb":
        raise UsageError(f"{what} needs a terminal.", instead)


def commands() -> type[Provider]:
    """What the command palette offers; imported when it is opened."""
    from urial_tui.tui.frame.palette import Commands

    return Commands


class UrialApp(ConfiguredApp):
    """The application around the chat screen.

    Args:
        engine_factory: Makes the engine, in another thread.
        store: Where conversations are kept; None keeps nothing.
        settings: The user's settings.
        model: The model's name or path; the settings' unless given.
        preamble: What answers are written under; the settings' unless given.
        find_model: Looks a model up.
        list_models: Names the models on this machine.
        comparison_factory: Makes the engine behind the compare screen.
        sides_factory: Makes what answers on the side-by-side screen.
        evaluation_factory: Makes what does the work of the evaluation screen, and what measures.
        trouble: Something to tell from the start.
        downloads: Downloads models.
        clock: Measures the rate of tokens.
        load: Loads a model that was found.
        first_run: Makes the screen that helps where there is no model.

    Raises:
        SettingsError: The settings give keys to actions that can't be.
    """

    TITLE = "urial"
    CSS_PATH = "frame/urial.tcss"
    COMMANDS: ClassVar[set[type[Provider] | Callable[[], type[Provider]]]] = {commands}
    VERTICAL_BREAKPOINTS = [(0, "-short"), (18, "-roomy")]  # noqa: RUF012  # as Textual types it
    BINDING_GROUP_TITLE = "Everywhere"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+q", "quit", "Quit", priority=True, id="app.quit"),
        Binding("ctrl+p", "command_palette", "Commands", priority=True, id="app.commands"),
        Binding("f1,question_mark", "help", "Keys", id="app.keys"),
    ]

    def __init__(
        self,
        *,
        engine_factory: Callable[[], Engine] = make_engine,
        store: Store | None = None,
        settings: Settings | None = None,
        model: str | None = None,
        preamble: Preamble | None = None,
        find_model: FindModel = find_model,
        list_models: Callable[[], Sequence[str]] = list_models,
        comparison_factory: MakeComparisonEngine = make_comparison_engine,
        sides_factory: MakeDuel = make_duel,
        evaluation_factory: MakeJobQueue = make_job_queue,
        trouble: UrialError | None = None,
        downloads: Downloads | None = None,
        clock: Callable[[], float] = time.monotonic,
        load: LoadFile = load,
        first_run: MakeFirstRun = make_first_run,
    ) -> None:
        settings = settings or Settings()
        super().__init__(settings)
        self.in_terminal = False
        self.when_ready: Callable[[], object] = lambda: None
        """Called once there is a screen to act on."""
        self.on_input_lost: Callable[[], None] = lambda: None
        """Called in the input's thread when nothing can be read any more."""
        self._comparison_factory = comparison_factory
        self._find_model = find_model
        self._list_models = list_models
        self._comparison: ComparisonEngine | None = None
        self._sides_factory = sides_factory
        self._sides: SideBySideScreen | None = None
        self._evaluation_factory = evaluation_factory
        self._evaluation: JobQueue | None = None
        self._measuring: JobQueue | None = None
        self.downloads = downloads or Downloads()
        self._watching_downloads: Timer | None = None
        self.unsaved = Unsaved()
        self.chat = ChatScreen(
            ChatEngine(engine_factory, find_model, load),
            list_models,
            choice=Choice(
                model=model or settings.chat.model,
                preamble=preamble or find_preamble(settings.chat.preamble),
            ),
            store=store,
            settings=settings,
            unsaved=self.unsaved,
            clock=clock,
            first_run=first_run,
            trouble=trouble,
        )

    def get_default_screen(self) -> Screen[Any]:
        """The chat is the screen below all others."""
        return self.chat

    def get_driver_class(self) -> type[Driver]:
        """The terminal's, which outlives the terminal."""
        return TerminalDriver

    def on_mount(self) -> None:
        """Tell what is wrong with the user's files."""
        self.tell_troubles()
        self._watching_downloads = self.set_interval(
            DOWNLOADS_SHOWN_EVERY, self._show_downloads, pause=True
        )

    def on_ready(self) -> None:
        """Get out of the way of keys what would hold them up in the middle of an answer."""
        self.when_ready()
        if self.in_terminal:
            # Looking for garbage among all that is there by now takes 80 ms, again and again.
            gc.freeze()
            gc.set_threshold(20_000, 20, 50)
            # So does, once, what colours the language that is asked for most.
            threading.Thread(target=highlighted, args=("", "python"), daemon=True).start()

    async def on_event(self, event: Event) -> None:
        """Have what is typed arrive in the prompt of a screen that has one."""
        if isinstance(event, Key | Paste):
            screen = self.screen_stack[-1] if self.screen_stack else None
            if isinstance(screen, PromptScreen):
                screen.lead_to_prompt(event)
        await super().on_event(event)

    async def on_unmount(self) -> None:
        """No worker outlives the application."""
        await asyncio.to_thread(self.close_engine)

    def close_engine(self) -> None:
        """End the running answer, keeping its text, and the workers; safe to call twice."""
        self.chat.drafts.close()
        self.downloads.close()
        self.chat.models.engine.close()
        if self._comparison is not None:
            self._comparison.close()
        if self._evaluation is not None:
            self._evaluation.close()
        if self._measuring is not None:
            self._measuring.close()
        if self._sides is not None:
            self._sides.duel.close()
            self.unsaved.note(self._sides.conversation)

    @on(CompareRequested)
    def open_comparison(self, event: CompareRequested) -> None:
        """Open the compare screen over the chat."""
        # These bring numpy along, which nobody should wait for who only chats.
        from urial_tui.compare.comparison_start import for_conversation, for_model
        from urial_tui.tui.compare.compare_screen import CompareScreen

        try:
            start = (
                for_model(event.model, event.preamble)
                if event.conversation is None
                else for_conversation(event.conversation, event.preamble, event.second)
            )
        except UrialError as error:
            self.notify(str(error), markup=False)
            return
        self._comparison = self._comparison_factory(self._find_model)
        screen = CompareScreen(
            self._comparison,
            self._list_models,
            base=start.base,
            aligned=start.aligned,
            settings=self.settings,
            subject=start.subject,
            note=start.note,
        )
        screen.drafts = self.chat.drafts
        self.push_screen(screen)

    @on(EvaluateRequested)
    def open_evaluations(self) -> None:
        """Open the evaluation screen over the chat."""
        # Reports bring numpy along, which nobody should wait for who only chats.
        from urial_tui import paths
        from urial_tui.tui.evaluate.dialogs import Dialogs
        from urial_tui.tui.evaluate.evaluate_screen import EvaluateScreen

        try:
            directory = paths.evaluations_dir()
        except UrialError as error:
            self.notify(sanitize_line(str(error)), severity="error", markup=False)
            return
        self._evaluation = self._evaluation_factory()
        dialogs = Dialogs(
            self._list_models,
            directory=directory,
            model=self.chat.choice.model,
            context=self.chat.choice.preamble.name,
            settings=self.settings,
        )
        self.push_screen(
            EvaluateScreen(self._evaluation, dialogs, directory=directory, settings=self.settings)
        )

    @on(ModelsRequested)
    def open_models(self) -> None:
        """Open the screen about models over the chat."""
        # Headers and catalogues are for whoever looks at them.
        from urial_tui.tui.models.models_screen import ModelsScreen

        chat = self.chat

        def go_on_with(model: str | None) -> None:
            if model is not None and chat.switching.can_switch():
                chat.switching.use(Choice(model=model, preamble=chat.choice.preamble))

        screen = ModelsScreen(
            self.downloads,
            self.settings,
            in_use=chat.choice.model,
            devices=lambda: chat.models.engine.devices,
        )
        self.push_screen(screen, go_on_with)

    @on(PullRequested)
    def pull_models(self, event: PullRequested) -> None:
        """Download models while one does something else."""
        for name in event.names:
            self.downloads.add(name)
        self._show_downloads()
        if self._watching_downloads is not None:
            self._watching_downloads.resume()

    def _show_downloads(self) -> None:
        """How far they are, in the chat's status line; what ended is told wherever one is."""
        for state in self.downloads.news():
            sentence = sanitize_line(told(state))
            if state.stage == "failed":
                self.notify(sentence, severity="error", timeout=15, markup=False)
            else:
                self.notify(sentence, markup=False)
        if self.chat.view.alive:
            self.chat.view.show_status(download=in_short(self.downloads))
        if not self.downloads.busy and self._watching_downloads is not None:
            self._watching_downloads.pause()

    @on(PromptsRequested)
    def open_prompts(self) -> None:
        """Open the screen about preambles over the chat."""
        # Measures bring numpy along, which nobody should wait for who only chats.
        from urial_tui.tui.prompts.laboratory import Laboratory
        from urial_tui.tui.prompts.prompts_screen import PromptsScreen

        chat = self.chat
        laboratory = Laboratory(
            chat.models.engine,
            chat.choice.model,
            chat.drafts,
            chat.models.load_again,
            max_tokens=self.settings.chat.max_tokens,
        )
        self._measuring = self._evaluation_factory()

        def go_on_under(preamble: Preamble | None) -> None:
            if preamble is not None and chat.switching.can_switch():
                chat.switching.use(Choice(model=chat.choice.model, preamble=preamble))

        self.push_screen(PromptsScreen(laboratory, self._measuring, self.settings), go_on_under)

    def use_settings(self, settings: Settings) -> None:
        """The next answer is sampled so; the next load takes the engine's options."""
        self.chat.settings = settings

    async def find_commands(self, screen: Screen[Any]) -> Iterable[SystemCommand]:
        """Conversations to open and models to use, from the chat."""
        if screen is not self.chat:
            return ()
        from urial_tui.tui.frame.places import places

        return await places(self.chat, self._list_models)

    @on(SettingsScreen.ReloadRequested)
    def reload_model(self) -> None:
        """Load the chat's model again."""
        self.chat.action_reload()

    def get_system_commands(self, screen: Screen[Any]) -> Iterable[SystemCommand]:
        """What the command palette offers beside what has a key."""
        if screen is self.chat:
            switch = partial(self.chat.action_switch, "preambles")
            yield SystemCommand("Preamble", "Go on under another one", switch)
        yield from super().get_system_commands(screen)

    @on(SidesRequested)
    def open_sides(self) -> None:
        """Open the side-by-side screen on the chat's conversation; it starts as it was left."""
        from urial_tui.tui.duel.side_by_side import side_by_side

        chat = self.chat
        duel = self._sides_factory(self._find_model)
        screen = self._sides = side_by_side(chat, duel, self._sides)

        def go_on_in_chat(_: None) -> None:
            self.unsaved.note(screen.conversation)
            chat.stored.show(screen.conversation)

        self.push_screen(screen, go_on_in_chat)

    @on(CopyRequested)
    def copy(self, event: CopyRequested) -> None:
        """Copy what somebody asks for."""
        self.copy_to_clipboard(event.text, event.what)

    def copy_to_clipboard(self, text: str, what: str = "") -> None:
        """Copy a text and say how; all that is copied goes through here.

        Args:
            text: What is copied.
            what: Names it; its length unless given.
        """
        remember_copy(self, text)
        self._copy(text, what)

    @work(group="copy")
    async def _copy(self, text: str, what: str) -> None:
        from urial_tui.tui.frame.clipboard import copy

        loop = asyncio.get_running_loop()
        terminal = super().copy_to_clipboard
        try:
            told = await asyncio.to_thread(
                copy, text, lambda asked: loop.call_soon_threadsafe(terminal, asked), what
            )
        except UrialError as error:
            self.notify(str(error), severity="error", markup=False)
        else:
            self.notify(sanitize_line(told), markup=False)

    def action_help_quit(self) -> None:
        """Ctrl+C where nothing is selected ends nothing; say what does."""
        stop = ", {chat.stop} stops the answer" if self.chat.here.asking.answering else ""
        copy = f"{shown('ctrl+c')} copies what is selected."
        self.notify(f"{keyed(self, '{app.quit} quits' + stop)}. {copy}", markup=False)

    # -- the end --------------------------------------------------------------------

    def exit(self, *arguments: Any, **named: Any) -> None:
        """End, with what was typed until now kept."""
        self._keep_drafts()
        super().exit(*arguments, **named)

    def _keep_drafts(self) -> None:
        for screen in self.screen_stack:
            if isinstance(screen, PromptScreen):
                # A mistake may have left it half made.
                with contextlib.suppress(Exception):
                    screen.keep_draft()

    def end_soon(self, code: int) -> bool:
        """Have the event loop end the application with an exit code; from any thread.

        Returns:
            Whether there is an event loop that can be asked.
        """
        loop = loop_of(self)
        if loop is None:
            return False
        with contextlib.suppress(RuntimeError):  # it has been closed: the end is near
            loop.call_soon_threadsafe(partial(self.exit, return_code=code))
        return True

    def rescue(self) -> None:
        """Store what there is and end the workers where the event loop no longer does it."""
        self.close_engine()
        self.chat.models.engine.rescue()
        if self._sides is not None:
            self._sides.duel.rescue()
            self.unsaved.note(self._sides.conversation)
        with contextlib.suppress(StoreError):
            self.unsaved.save()

    # -- a mistake of ours ----------------------------------------------------------

    @property
    def mistake(self) -> BaseException | None:
        """What ended the application, if that was no wish of anybody."""
        return error_of(self)

    def _fatal_error(self) -> None:
        """End, and leave it to whoever called us to tell.

        Textual would print a trace, with the values of all variables.
        """
        self._keep_drafts()
        end_at_once(self)

    def panic(self, *renderables: RenderableType) -> None:
        """As `_fatal_error`: Textual's own threads hand over nothing but their traces."""
        text = StringIO()
        Console(file=text, width=100, color_system=None).print(*renderables)
        error = RuntimeError("the terminal's input could not be read")
        error.add_note(text.getvalue())
        handle_error(self, error)
