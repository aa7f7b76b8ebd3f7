"""The second model in the chat's engine: it reads along while the first one answers.

Nothing about it keeps an answer from being written: what goes wrong is told, and the chat goes
on without. All but `want` and `unwant` is called in the engine's thread.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from textual.message import Message

from urial_tui.engine.client.call import Steps, follow
from urial_tui.engine.client.engine import Engine
from urial_tui.engine.client.model import Model
from urial_tui.engine.wire.protocol import (
    EngineOptions,
    Event,
    LoadProgress,
    Notice,
    PrefillProgress,
    Silence,
    Watch,
)
from urial_tui.errors import EngineDied, UrialError
from urial_tui.mistakes import explaining
from urial_tui.prompting.conversation import Exchanged
from urial_tui.prompting.templates.renderer import TemplateRenderer
from urial_tui.runtime.loading import LoadFile
from urial_tui.tui.messages import EngineNotice, EngineSilent, EngineTrouble
from urial_tui.tui.side_choice import SideChoice, side_of
from urial_tui.tui.xray_messages import (
    AnswerWatched,
    SecondFailed,
    SecondLoading,
    SecondReady,
)

if TYPE_CHECKING:
    from urial_tui.compare.second_side import SecondSide
    from urial_tui.runtime.host import FindModel

Tell = Callable[[Message], None]


class ReadingAlong:
    """Loads, lends and frees the second side.

    Args:
        tell: Delivers a message; must be callable from any thread.
        load_file: Loads a model that was found.
    """

    def __init__(self, tell: Tell, load_file: LoadFile) -> None:
        self._tell = tell
        self._load_file = load_file
        self._templates = TemplateRenderer()
        self._second: SecondSide | None = None
        self._name = ""
        self._unwanted = threading.Event()
        """Set when the newest second side is no longer wanted."""
        self._opening = False

    def want(self) -> threading.Event:
        """Ask for another one; the event is set when that one is no longer wanted."""
        self._unwanted = threading.Event()
        return self._unwanted

    def unwant(self, engine: Engine | None) -> None:
        """Ask for none, and end the loading of one; any thread."""
        self._unwanted.set()
        self._templates.cancel()
        if self._opening and engine is not None:
            engine.cancel()

    def stop(self) -> None:
        """Give up what an answer's reading waits for, if it does; any thread."""
        self._templates.cancel()

    def end(self) -> None:
        """End what belongs to this; any thread."""
        self._templates.close()

    # -- in the engine's thread -------------------------------------------------------

    def open(
        self,
        engine: Engine,
        writing: Model | None,
        find: FindModel,
        choice: SideChoice,
        options: EngineOptions,
        unwanted: threading.Event,
    ) -> None:
        """Load a side; ends with SecondReady or SecondFailed, where it is still wanted."""
        # It brings numpy along, which nobody should wait for who only chats.
        from urial_tui.compare.second_side import open_second_side

        self.close()
        if unwanted.is_set() or writing is None or not writing.loaded:
            return
        self._opening = True
        try:
            self._tell(SecondLoading("loading", 0.0))
            with explaining():
                model = find(
                    choice.model,
                    lambda done, total: self._tell(
                        SecondLoading("unpacking", done / max(1, total))
                    ),
                )
                side = side_of(choice, model)
                opening = open_second_side(
                    engine, side, options, self._templates, self._load_file, beside=writing
                )
                self._second = self._follow(engine, opening, unwanted)
            self._name = str(choice)
        except UrialError as error:
            self._fail(error, unwanted)
        else:
            if not unwanted.is_set():
                self._tell(SecondReady())
        finally:
            self._opening = False

    def close(self) -> None:
        """Free what is loaded."""
        second, self._second = self._second, None
        if second is None or not second.model.loaded:
            return
        try:
            second.model.unload().result()
        except UrialError as error:
            self._tell(EngineTrouble(error, needs_reload=True))

    def reader(self, question: int) -> Reader | None:
        """What reads the answer to a question along; None: nothing."""
        if self._second is None or not self._second.model.loaded:
            return None
        return Reader(self._second, self._name, question, self._tell)

    def _follow(
        self,
        engine: Engine,
        opening: Steps[SecondSide],
        unwanted: threading.Event,
    ) -> SecondSide:
        cancelled = False

        def take(event: Event) -> None:
            nonlocal cancelled
            if unwanted.is_set() and not cancelled:
                # `unwant` may have come before the request reached the engine.
                cancelled = True
                engine.cancel()
            match event:
                case LoadProgress(fraction=fraction):
                    self._tell(SecondLoading("loading", fraction))
                case PrefillProgress(done=done, total=total):
                    self._tell(SecondLoading("reading the preamble", done / max(1, total)))
                case Notice(message=message):
                    self._tell(EngineNotice(message))
                case Silence():
                    self._tell(EngineSilent(event))
                case _:
                    pass

        return follow(opening, take)

    def _fail(self, error: UrialError, unwanted: threading.Event) -> None:
        if isinstance(error, EngineDied):
            self._tell(EngineTrouble(error, needs_reload=True))
        if not unwanted.is_set():
            self._tell(SecondFailed(error))


class Reader:
    """A second side, lent to one answer (a `chat.reader.Reader`)."""

    def __init__(self, second: SecondSide, name: str, question: int, tell: Tell) -> None:
        self._second = second
        self._name = name
        self._question = question
        self._tell = tell

    def watch(self, exchanges: Sequence[Exchanged]) -> Watch | None:
        """What the second side is shown; None, and why, where it can't be shown this."""
        try:
            with explaining():
                watch = self._second.watch(exchanges)
        except UrialError as error:
            self._tell(EngineNotice(f"This answer has no x-ray. {error}"))
            return None
        self._tell(AnswerWatched(self._question, self._name))
        return watch
