"""The terminal application: its screens, its start, and its end whatever happens.

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
from textual import on
from textual.app import SystemCommand
from textual.binding import Binding, BindingType
from textual.command import Provider
from textual.driver import Driver
from textual.events import Event, Key, Paste
from textual.screen import Screen

from urial_tui.chat.store import Store
from urial_tui.chat.unsaved import Unsaved
from urial_tui.errors import StoreError, UrialError, UsageError
from urial_tui.prompting.preamble import Preamble
from urial_tui.prompting.preamble_file import find_preamble
from urial_tui.runtime.host import FindModel
from urial_tui.runtime.loading import LoadFile, load
from urial_tui.runtime.writer import WriterChoice
from urial_tui.sanitize import sanitize_line
from urial_tui.settings import Settings
from urial_tui.tui.chat.chat_engine import ChatEngine
from urial_tui.tui.chat.chat_screen import ChatScreen
from urial_tui.tui.chat.factories import (
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
from urial_tui.tui.chat.openings import Openings
from urial_tui.tui.chat.switching import MakeFirstRun
from urial_tui.tui.drawing.markdown_lines import highlighted
from urial_tui.tui.frame.configured_app import ConfiguredApp
from urial_tui.tui.frame.copying import Copying
from urial_tui.tui.frame.keys import keyed, shown
from urial_tui.tui.frame.messages import CopyRequested, PullRequested, ScreenRequested
from urial_tui.tui.frame.private_names import (
    end_at_once,
    error_of,
    handle_error,
    loop_of,
)
from urial_tui.tui.frame.prompt_screen import PromptScreen
from urial_tui.tui.frame.settings_screen import SettingsScreen
from urial_tui.tui.frame.starting_point import starting_point
from urial_tui.tui.frame.terminal import TerminalDriver, understand_input
from urial_tui.tui.frame.watchdog import Watchdog
from urial_tui.tui.models.download_news import DownloadNews
from urial_tui.tui.models.downloads import Downloads, left_behind

if TYPE_CHECKING:
    from urial_tui.engine.client.engine import Engine


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
    """The provider of the palette's commands: a lazy import, when the palette is opened."""
    from urial_tui.tui.frame.palette import Commands

    return Commands


class UrialApp(ConfiguredApp):
    """The Textual application around the chat screen.

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
        self._list_models = list_models
        self.downloads = downloads or Downloads()
        self.unsaved = Unsaved()
        self.chat = ChatScreen(
            ChatEngine(engine_factory, find_model, load),
            list_models,
            choice=WriterChoice(
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
        self._openings = Openings(
            self,
            self.chat,
            self.downloads,
            self.unsaved,
            find_model=find_model,
            list_models=list_models,
            make_comparison=comparison_factory,
            make_duel=sides_factory,
            make_queue=evaluation_factory,
        )
        self._news = DownloadNews(self, self.chat.view, self.downloads)
        self._copying = Copying(self, super().copy_to_clipboard)

    def get_default_screen(self) -> Screen[Any]:
        """The chat is the screen below all others."""
        return self.chat

    def get_driver_class(self) -> type[Driver]:
        """The terminal's, which outlives the terminal."""
        return TerminalDriver

    def on_mount(self) -> None:
        """Tell what is wrong with the user's files."""
        self.tell_troubles()

    def on_ready(self) -> None:
        """Tune the garbage collector and warm up, so that no key waits while an answer comes."""
        self.when_ready()
        if self.in_terminal:
            # Looking for garbage among all that is there by now takes 80 ms, again and again.
            gc.freeze()
            gc.set_threshold(20_000, 20, 50)
            # So does, once, what colours the language that is asked for most.
            threading.Thread(target=highlighted, args=("", "python"), daemon=True).start()

    async def on_event(self, event: Event) -> None:
        """Lead keys that are text to the prompt of a screen that has one."""
        if isinstance(event, Key | Paste):
            screen = self.screen_stack[-1] if self.screen_stack else None
            if isinstance(screen, PromptScreen):
                screen.lead_to_prompt(event)
        await super().on_event(event)

    async def on_unmount(self) -> None:
        """Close the engines: no worker outlives the application."""
        await asyncio.to_thread(self.close_engine)

    def close_engine(self) -> None:
        """End the running answer, keeping its text, and the workers; safe to call twice."""
        self.chat.drafts.close()
        # Each may wait some seconds: together they take no longer than one.
        downloads = threading.Thread(target=self.downloads.close, daemon=True)
        downloads.start()
        self.chat.models.engine.close()
        self._openings.close()
        downloads.join()

    @on(ScreenRequested)
    def open_screen(self, event: ScreenRequested) -> None:
        """Open a screen over the chat."""
        self._openings.open(event)

    @on(PullRequested)
    def pull_models(self, event: PullRequested) -> None:
        """Download models while one does something else."""
        self._news.pull(event.names)

    def use_settings(self, settings: Settings) -> None:
        """Apply settings: to the next answer, and the engine's options to the next load."""
        self.chat.settings = settings

    async def find_commands(self, screen: Screen[Any]) -> Iterable[SystemCommand]:
        """Conversations to open and models to use, from the chat."""
        if screen is not self.chat:
            return ()
        from urial_tui.tui.chat.places import places

        return await places(self.chat, self._list_models)

    @on(SettingsScreen.ReloadRequested)
    def reload_model(self) -> None:
        """Load the chat's model again."""
        self.chat.action_reload()

    def get_system_commands(self, screen: Screen[Any]) -> Iterable[SystemCommand]:
        """Commands of the palette that have no key."""
        if screen is self.chat:
            switch = partial(self.chat.action_switch, "preambles")
            yield SystemCommand("Preamble", "Go on under another one", switch)
        yield from super().get_system_commands(screen)

    @on(CopyRequested)
    def copy(self, event: CopyRequested) -> None:
        """Copy what somebody asks for."""
        self._copying.copy(event.text, event.what)

    def copy_to_clipboard(self, text: str) -> None:
        """Copy a text and say how; Textual calls it."""
        self._copying.copy(text)

    def action_help_quit(self) -> None:
        """Say what quits: Ctrl+C where nothing is selected ends nothing."""
        stop = ", {chat.stop} stops the answer" if self.chat.here.asking.answering else ""
        copy = f"{shown('ctrl+c')} copies what is selected."
        self.notify(f"{keyed(self, '{app.quit} quits' + stop)}. {copy}", markup=False)

    # -- the end --------------------------------------------------------------------

    def exit(self, *arguments: Any, **named: Any) -> None:
        """End, with what was typed until now saved as drafts."""
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
        """Save answers and end the workers where the event loop no longer does it."""
        self.close_engine()
        self.chat.models.engine.rescue()
        self._openings.rescue()
        with contextlib.suppress(StoreError):
            self.unsaved.save()

    # -- a mistake of ours ----------------------------------------------------------

    @property
    def mistake(self) -> BaseException | None:
        """The exception that ended the application, if one did."""
        return error_of(self)

    def _fatal_error(self) -> None:
        """End on an exception, and leave it to the caller to tell.

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
