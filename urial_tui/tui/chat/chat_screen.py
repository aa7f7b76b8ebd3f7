"""The chat: what its keys lead to besides asking and answering."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import ClassVar

from textual import work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.screen import Screen

from urial_tui.chat.answer_trace import trace_of
from urial_tui.chat.drafts import Drafts
from urial_tui.chat.session import Conversation
from urial_tui.chat.store import Store
from urial_tui.chat.turns import TurnRecord
from urial_tui.chat.unsaved import Unsaved
from urial_tui.engine.wire.protocol import EngineOptions, Event, Silence, TokenSegment, Trace
from urial_tui.errors import EngineDied, ModelError, UrialError, UsageError
from urial_tui.prompting.preamble import Preamble
from urial_tui.sanitize import sanitize_line
from urial_tui.settings import Settings, engine_options, sampling
from urial_tui.tui.chat.answer_start import Start
from urial_tui.tui.chat.chat_engine import ChatEngine
from urial_tui.tui.chat.drafting_screen import DraftingScreen
from urial_tui.tui.chat.header_line import HeaderLine
from urial_tui.tui.chat.several_screen import SeveralScreen
from urial_tui.tui.chat.status_line import StatusLine
from urial_tui.tui.chat.switching_screen import SwitchingScreen
from urial_tui.tui.chat.transcript import Transcript
from urial_tui.tui.chat.welcome import Welcome
from urial_tui.tui.chat.xray_screen import ListModels, XrayScreen
from urial_tui.tui.frame.messages import (
    CompareRequested,
    EvaluateRequested,
    ModelsRequested,
    PromptsRequested,
    SidesRequested,
)
from urial_tui.tui.widgets.banner import Banner
from urial_tui.tui.widgets.prompt import Prompt

MakeFirstRun = Callable[[UrialError, EngineOptions], Screen[str | None]]
"""Makes the screen that ends with the model to use, from why there is none."""


class ChatScreen(SwitchingScreen, XrayScreen, DraftingScreen, SeveralScreen):
    """The first screen.

    Args:
        engine: Loads and answers.
        list_models: Names of the models on this machine.
        model: The model's name as the user gave it.
        preamble: What answers are written under.
        store: Where conversations are kept; None keeps nothing.
        settings: Sampling, lengths and the engine's options.
        unsaved: Remembers conversations of which not all could be stored.
        clock: Seconds, monotonic; measures the rate of tokens.
        first_run: Makes the screen that helps where there is no model.
        trouble: Something to tell from the start, such as a store that can't be opened.
    """

    AUTO_FOCUS = "#prompt"
    BINDING_GROUP_TITLE = "Chat"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+n", "new", "New conversation", priority=True, id="chat.new"),
        Binding("ctrl+r", "reload", "Load the model again", priority=True, id="chat.reload"),
        Binding("ctrl+s", "app.settings", "Settings", id="chat.settings"),
        Binding("f2", "compare", "Compare two models", id="chat.compare"),
        Binding(
            "f3", "compare_answer", "Compare this answer, token by token", id="chat.compare_answer"
        ),
        Binding("f9", "sides", "Two answers side by side", id="chat.sides"),
        Binding("alt+e", "evaluate", "Evaluate models", id="chat.evaluate"),
        Binding("alt+p", "prompts", "Preambles: try, measure, change", id="chat.prompts"),
        Binding("alt+m", "models", "Models: find, download, check, choose", id="chat.models"),
        Binding("f4", "tokens", "Tokens of the answer, and what else there was", id="chat.tokens"),
    ]

    def __init__(
        self,
        engine: ChatEngine,
        list_models: ListModels,
        *,
        model: str,
        preamble: Preamble,
        store: Store | None,
        settings: Settings,
        unsaved: Unsaved,
        clock: Callable[[], float],
        first_run: MakeFirstRun,
        trouble: UrialError | None = None,
    ) -> None:
        super().__init__(
            engine,
            list_models,
            model=model,
            preamble=preamble,
            store=store,
            settings=settings,
            unsaved=unsaved,
            clock=clock,
        )
        self.drafts = Drafts(store)
        self._first_trouble = trouble
        self._first_run = first_run

    def compose(self) -> ComposeResult:
        """From the top: header, transcript or welcome, banner, prompt, status."""
        yield from super().compose()
        yield HeaderLine(id="header")
        yield Welcome(id="welcome")
        yield Transcript(id="transcript")
        yield Banner(id="banner")
        yield Prompt(id="prompt")
        yield StatusLine(id="status")

    def on_mount(self) -> None:
        """Show the empty conversation and start loading."""
        self.query_one(Transcript).display = False
        header = self.query_one(HeaderLine)
        header.model, header.preamble = self.model, self.preamble.name
        header.note = "" if self.store else "not stored"
        welcome = self.query_one(Welcome)
        welcome.model = self.model
        welcome.preamble = f"{self.preamble.name}: {self.preamble.description}"
        self.show_status(model=self.model, preamble=self.preamble.name)
        if self._first_trouble is not None:
            self.complain(self._first_trouble)
        self._read_history()
        self.load()

    def on_screen_resume(self) -> None:
        """Load the model again where it gave way to what another screen has loaded."""
        if self.ready and self.engine.writer is None:
            self.load()

    def load_again(self) -> None:
        """Load the model where none is loaded or on its way."""
        if self.engine.writer is None and not self.model_coming:
            self.settle_trouble()
            self.load()

    # -- the user -------------------------------------------------------------------

    def action_new(self) -> None:
        """Leave this conversation for an empty one."""
        self.show_conversation(self.new_conversation())

    def new_conversation(self) -> Conversation:
        """An empty one, with what is in use."""
        return Conversation.new(self.store)

    def action_reload(self) -> None:
        """Load the model again, after a failure or to start afresh."""
        if self.answering:
            self.refuse_while_busy()
        elif not self.model_coming:
            self.settle_trouble()
            self.load()

    def when_no_model(self, error: ModelError) -> None:
        """Offer the models that there are, unless something else is looked at."""
        if self.is_current:
            self._choose_model(error)

    @work(exclusive=True, group="model")
    async def _choose_model(self, error: ModelError) -> None:
        screen = self._first_run(error, engine_options(self.settings))
        chosen = await self.app.push_screen_wait(screen)
        if chosen is not None:
            self.use_model(chosen)
            self.notify(
                "This model is used until you quit; chat.model in settings.toml keeps it.",
                markup=False,
            )

    def action_compare(self) -> None:
        """Compare two models on a question."""
        if not self.refuse_while_busy():
            self.post_message(CompareRequested(self.model, self.preamble))

    def action_compare_answer(self) -> None:
        """Compare the newest answer with what the second side, if any, says of it; else with what
        the model says without the preamble.
        """
        if not self.refuse_while_busy():
            self.post_message(
                CompareRequested(self.model, self.preamble, self.conversation, self._second)
            )

    def action_sides(self) -> None:
        """Have two sides answer the next questions."""
        if not self.refuse_while_busy():
            self.post_message(SidesRequested())

    def action_evaluate(self) -> None:
        """Have models answer many questions, and judge the answers."""
        if not self.refuse_while_busy():
            self.post_message(EvaluateRequested())

    def action_prompts(self) -> None:
        """Look at the preambles."""
        if not self.refuse_while_busy():
            self.post_message(PromptsRequested())

    def action_models(self) -> None:
        """Look at the models that are here, and at those that can be."""
        if not self.refuse_while_busy():
            self.post_message(ModelsRequested())

    @work(exclusive=True, group="tokens")
    async def action_tokens(self) -> None:
        """Look at an answer token by token; go on from another token where one is chosen."""
        if self.refuse_while_busy():
            return
        answer = self._target_answer()
        if answer is None:
            self.notify("There is no answer here to look at.", markup=False)
            return
        writer = self.engine.writer
        if writer is None or not self.ready:
            self.notify("The model has to be loaded first.", markup=False)
            return
        from urial_tui.tui.tokens.tokens_screen import TokensScreen

        conversation = self.conversation
        try:
            trace = trace_of(conversation, answer, writer, sampling(self.settings))
        except UsageError as error:
            self.notify(sanitize_line(str(error)), markup=False)
            return
        branch = await self.app.push_screen_wait(
            TokensScreen(
                lambda: self._traced(trace.request),
                self.engine.stop,
                trace,
                writer.model.info,
            )
        )
        if branch is None or conversation is not self.conversation or self.refuse_while_busy():
            return
        chosen = self.another_sampling() if branch.again else sampling(self.settings)
        self._answer_again(answer.parent_id, Start(chosen, (TokenSegment(ids=branch.ids),)))

    async def _traced(self, request: Trace) -> AsyncGenerator[Event, None]:
        """An answer that is read again; where that ends the engine, this screen says so, too."""
        try:
            async with aclosing(self.engine.trace(request)) as events:
                async for event in events:
                    if isinstance(event, Silence):
                        self.take(event)
                    yield event
        except EngineDied as error:
            self.show_trouble(error, needs_reload=True)
            raise

    def _target_answer(self) -> TurnRecord | None:
        """The answer that keys act on; a question stands for the one that follows it."""
        turn = self.target()
        if turn is None or turn.role == "assistant":
            return turn
        exchanges = self.conversation.exchanges
        return next((one.answer for one in exchanges if one.question.id == turn.id), None)

    def action_page_transcript(self, direction: int) -> None:
        """Scroll the transcript by a page from within the prompt."""
        scrolled = self.query_one(Welcome if self.query_one(Welcome).display else Transcript)
        if direction < 0:
            scrolled.scroll_page_up(animate=False)
        else:
            scrolled.scroll_page_down(animate=False)

    @work(exclusive=True, group="history")
    async def _read_history(self) -> None:
        """Let the prompt recall the questions of all conversations."""
        if self.store is None:
            return
        try:
            self.query_one(Prompt).earlier = await asyncio.to_thread(self.store.recent_questions)
        except UrialError as error:
            self.complain(error)
