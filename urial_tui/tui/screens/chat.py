"""The chat: a conversation, a prompt, and the state of the engine.

The screen holds one `Conversation` and reacts to two sources: the user's keys and the
messages of the engine's thread. It changes widgets; it never waits for the engine.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import ClassVar

import msgspec
from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.events import Resize
from textual.screen import Screen
from textual.widgets import Static

from urial_tui.chat.session import Conversation
from urial_tui.chat.store import Store
from urial_tui.errors import StoreError, UrialError, UsageError
from urial_tui.prompting.preamble import Preamble
from urial_tui.sanitize import sanitize_line
from urial_tui.settings import Settings, engine_options, sampling
from urial_tui.tui.engine_thread import EngineThread, FindModel
from urial_tui.tui.messages import (
    AnswerEnded,
    AnswerGrew,
    AnswerStarted,
    CompareRequested,
    EngineBug,
    EngineNotice,
    EngineReady,
    EngineTrouble,
    ModelLoaded,
    ModelLoading,
    ModelUnpacking,
    PreamblePinned,
    Reading,
    TurnsLeft,
)
from urial_tui.tui.screens.conversations import ConversationsScreen
from urial_tui.tui.screens.help import HelpScreen
from urial_tui.tui.widgets.banner import Banner
from urial_tui.tui.widgets.header_line import HeaderLine
from urial_tui.tui.widgets.prompt import Prompt
from urial_tui.tui.widgets.status_line import StatusLine
from urial_tui.tui.widgets.transcript import Transcript
from urial_tui.tui.widgets.turn import AnswerView
from urial_tui.tui.widgets.welcome import Welcome

MIN_WIDTH, MIN_HEIGHT = 40, 10
"""Columns and rows below which nothing useful fits."""

_RELOAD = "Ctrl+R loads the model again."


class ChatScreen(Screen[None]):
    """The first screen.

    Args:
        make_engine_thread: Makes the thread that posts to this screen.
        find_model: Looks the model up; called in the engine's thread, at each load.
        model: The model's name as the user gave it.
        preamble: What answers are written under.
        store: Where conversations are kept; None keeps nothing.
        settings: Sampling, lengths and the engine's options.
        trouble: Something to tell from the start, such as a store that can't be opened.
    """

    AUTO_FOCUS = "#prompt"
    BINDING_GROUP_TITLE = "Chat"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "stop", "Stop the answer, keep its text"),
        Binding("ctrl+n", "new", "New conversation", priority=True),
        Binding("ctrl+o", "open", "Stored conversations", priority=True),
        Binding("ctrl+r", "reload", "Load the model again", priority=True),
        Binding("f2", "compare", "Compare two models"),
        Binding("f3", "compare_answer", "Compare this answer, token by token"),
        Binding("f1,question_mark", "help", "Keys"),
    ]

    def __init__(
        self,
        make_engine_thread: Callable[[ChatScreen], EngineThread],
        find_model: FindModel,
        *,
        model: str,
        preamble: Preamble,
        store: Store | None,
        settings: Settings,
        trouble: UrialError | None = None,
    ) -> None:
        super().__init__()
        self.engine = make_engine_thread(self)
        self.conversation = Conversation.new(store, model, preamble)
        self._find_model = find_model
        self._model = model
        self._preamble = preamble
        self._store = store
        self._settings = settings
        self._first_trouble = trouble
        self._ready = False
        self._loading = False
        self._asking: int | None = None
        """The question that is being answered or waits."""
        self._waiting = False
        """Whether that question waits for the engine."""
        self._answer: AnswerView | None = None
        self._read = 0
        """Tokens in the context when the answer started."""

    def compose(self) -> ComposeResult:
        """From the top: header, transcript or welcome, banner, prompt, status."""
        yield Static(id="too-small", markup=False)
        yield HeaderLine(id="header")
        yield Welcome(id="welcome")
        yield Transcript(id="transcript")
        yield Banner(id="banner", markup=False)
        yield Prompt(id="prompt")
        yield StatusLine(id="status")

    def on_mount(self) -> None:
        """Show the empty conversation and start loading."""
        self.query_one(Transcript).display = False
        self.query_one(Banner).display = False
        header = self.query_one(HeaderLine)
        header.model, header.preamble = self._model, self._preamble.name
        header.note = "" if self._store else "not stored"
        welcome = self.query_one(Welcome)
        welcome.model = self._model
        welcome.preamble = f"{self._preamble.name}: {self._preamble.description}"
        self._status(model=self._model, preamble=self._preamble.name)
        if self._first_trouble is not None:
            self._complain(self._first_trouble)
        self._read_history()
        self.engine.start()
        self._load()

    # -- the user -------------------------------------------------------------------

    @on(Prompt.Submitted)
    def submit(self, event: Prompt.Submitted) -> None:
        """Ask what is in the prompt."""
        self._submit(event.text)

    @on(Welcome.Chosen)
    def submit_example(self, event: Welcome.Chosen) -> None:
        """Ask an example question."""
        self.query_one(Prompt).focus()
        self._submit(event.text)

    def action_stop(self) -> None:
        """Stop the answer that is written or waits; what is written stays."""
        if self._waiting:
            self._waiting = False
            self._end_answer()
        elif self._asking is not None:
            self._status(state="stopping")
            self.engine.stop()

    def action_new(self) -> None:
        """Leave this conversation for an empty one."""
        self._show(Conversation.new(self._store, self._model, self._preamble))

    @work(exclusive=True, group="open")
    async def action_open(self) -> None:
        """Let the user choose a stored conversation and show it."""
        if self._store is None:
            self.notify("Conversations are not stored in this session.", markup=False)
            return
        store = self._store
        try:
            stored = await asyncio.to_thread(store.conversations)
            chosen = await self.app.push_screen_wait(ConversationsScreen(stored))
            if chosen is None:
                return
            conversation = await asyncio.to_thread(
                Conversation.open, store, chosen, self._model, self._preamble
            )
        except UrialError as error:
            self._complain(error)
            return
        self._show(conversation)
        if conversation.record.model != self._model:
            self.notify(
                f"This was written with {sanitize_line(conversation.record.model)}; "
                f"{sanitize_line(self._model)} goes on.",
                markup=False,
            )

    def action_reload(self) -> None:
        """Load the model again, after a failure or to start afresh."""
        if self._asking is not None and not self._waiting:
            self.notify("An answer is being written; Esc stops it.", markup=False)
        elif not self._loading:
            self.query_one(Banner).trouble = None
            self._load()

    def action_compare(self) -> None:
        """Compare two models on a question."""
        if not self._busy():
            self.post_message(CompareRequested(self._model, self._preamble))

    def action_compare_answer(self) -> None:
        """Compare the newest answer with what the model says without the preamble."""
        if not self._busy():
            self.post_message(CompareRequested(self._model, self._preamble, self.conversation))

    def _busy(self) -> bool:
        """Whether an answer is being written; the user is told so."""
        if self._asking is not None and not self._waiting:
            self.notify("An answer is being written; Esc stops it.", markup=False)
            return True
        return False

    def action_help(self) -> None:
        """Show the keys."""
        self.app.push_screen(HelpScreen(list(self.active_bindings.values())))

    def action_page_transcript(self, direction: int) -> None:
        """Scroll the transcript by a page from within the prompt."""
        scrolled = self.query_one(Welcome if self.query_one(Welcome).display else Transcript)
        if direction < 0:
            scrolled.scroll_page_up(animate=False)
        else:
            scrolled.scroll_page_down(animate=False)

    def on_resize(self, event: Resize) -> None:
        """Say so where the window is too small to be of use."""
        width, height = event.size
        small = width < MIN_WIDTH or height < MIN_HEIGHT
        self.set_class(small, "-too-small")
        self.query_one("#too-small", Static).update(
            f"This window is {width} by {height}; urial needs {MIN_WIDTH} by {MIN_HEIGHT}."
        )

    # -- asking ---------------------------------------------------------------------

    def _submit(self, text: str) -> None:
        if self._asking is not None:
            self.notify("One answer at a time; Esc stops this one.", markup=False)
            return
        self._asking = 0
        self._ask(text)

    @work(exclusive=True, group="ask")
    async def _ask(self, text: str) -> None:
        """Store the question, show it, and have it answered as soon as the engine is ready."""
        conversation = self.conversation
        try:
            question = await asyncio.to_thread(conversation.add_question, text)
        except (StoreError, UsageError) as error:
            self._asking = None
            self._complain(error)
            return
        if conversation is not self.conversation:
            return
        prompt = self.query_one(Prompt)
        prompt.clear_text()
        prompt.earlier = [question.text, *(old for old in prompt.earlier if old != question.text)]
        if self._ready:
            self.query_one(Banner).trouble = None
        self.query_one(HeaderLine).title_text = conversation.record.title
        self._show_transcript(True)
        self._answer = await self.query_one(Transcript).ask(question.text, self._model)
        self._asking = question.id
        self._waiting = not self._ready
        if self._ready:
            self._status(state="reading")
            self._start_answer()
        else:
            self._answer.say("waits for the model")

    def _start_answer(self) -> None:
        self._waiting = False
        self.engine.answer(
            self.conversation, sampling(self._settings), self._settings.chat.max_tokens
        )

    def _end_answer(self) -> None:
        """Nothing is being answered any more, and nothing came of it."""
        view, self._answer, self._asking = self._answer, None, None
        if view is not None:
            view.say("■ not answered")

    # -- the engine -----------------------------------------------------------------

    def _load(self) -> None:
        self._ready = False
        self._loading = True
        self.engine.load(
            self._find_model, self._model, self._preamble, engine_options(self._settings)
        )

    @on(ModelUnpacking)
    def show_unpacking(self, event: ModelUnpacking) -> None:
        """The model's file is put together, once."""
        self._status(state=f"unpacking the model {event.done / max(1, event.total):.0%}")

    @on(ModelLoading)
    def show_loading(self, event: ModelLoading) -> None:
        """The model is on its way."""
        self._status(state=f"loading {event.fraction:.0%}")

    @on(ModelLoaded)
    def show_model(self, event: ModelLoaded) -> None:
        """The model is there."""
        self._model = event.name
        self.conversation.model_name = event.name
        self.query_one(HeaderLine).model = event.name
        self.query_one(Welcome).model = f"{event.name} ({event.info.description})"
        self._status(model=event.name, total=event.info.n_ctx, used=0, state="reading the preamble")

    @on(Reading)
    def show_reading(self, event: Reading) -> None:
        """The model reads."""
        what = "reading the preamble" if event.of_preamble else "reading"
        self._status(state=f"{what} {event.done:,}/{event.total:,}")

    @on(PreamblePinned)
    def show_preamble(self, event: PreamblePinned) -> None:
        """The preamble is in place."""
        status = self.query_one(StatusLine).status
        self._status(
            preamble_tokens=event.tokens,
            preamble_source=event.source,
            used=max(status.used, event.tokens),
        )

    @on(EngineReady)
    def go_on(self) -> None:
        """Questions can be answered; one may have waited."""
        self._ready, self._loading = True, False
        self._status(state="ready")
        if self._waiting:
            if self._answer is not None:
                self._answer.say("")
            self._status(state="reading")
            self._start_answer()

    @on(AnswerStarted)
    def show_start(self, event: AnswerStarted) -> None:
        """The question has been read."""
        if event.question_id == self._asking:
            self._read = event.used
            self._status(used=event.used, state="writing", rate=0.0)

    @on(AnswerGrew)
    async def show_growth(self, event: AnswerGrew) -> None:
        """More of the answer."""
        if event.question_id == self._asking and self._answer is not None:
            self._status(used=self._read + event.generated, rate=event.rate)
            await self._answer.write(event.text)

    @on(AnswerEnded)
    async def show_end(self, event: AnswerEnded) -> None:
        """The answer is over."""
        if event.question_id != self._asking:
            return
        view, self._answer, self._asking = self._answer, None, None
        answer = event.answer
        if view is not None:
            await view.finish(answer)
        await self.query_one(Transcript).mark_left(self.conversation.dropped)
        if answer is not None and answer.timings.used:
            self._status(used=answer.timings.used, rate=answer.timings.decode_tokens_per_s)
        if self._ready:
            stopped = answer is not None and answer.stop_reason == "cancelled"
            self._status(state="stopped" if stopped else "ready")

    @on(TurnsLeft)
    def show_left(self, event: TurnsLeft) -> None:
        """The oldest turns are out of the context; the place is marked when the answer ends."""
        if event.question_id != self._asking:
            return
        turns = "turn" if event.turns == 1 else f"{event.turns} turns"
        self.notify(f"The context is full: the oldest {turns} left it.", markup=False)

    @on(EngineNotice)
    def show_notice(self, event: EngineNotice) -> None:
        """The engine has something to say."""
        self.notify(sanitize_line(event.text), markup=False)

    @on(EngineTrouble)
    def show_trouble(self, event: EngineTrouble) -> None:
        """Something failed; the conversation and the prompt stay as they are."""
        if event.needs_reload:
            self._ready = self._loading = False
            self._status(state="no model", rate=0.0)
        self._complain(event.error, _RELOAD if event.needs_reload else "")

    @on(EngineBug)
    def crash(self, event: EngineBug) -> None:
        """A mistake in this program: end with a trace; what was stored is stored."""
        raise event.error

    # -- what is shown --------------------------------------------------------------

    def _show(self, conversation: Conversation) -> None:
        """Change to another conversation."""
        if self._asking is not None and not self._waiting:
            self.engine.stop()
        self._asking, self._waiting, self._answer = None, False, None
        self.conversation = conversation
        self.query_one(HeaderLine).title_text = conversation.record.title
        status = self.query_one(StatusLine).status
        last = conversation.leaf
        used = last.timings.used if last is not None and last.model == self._model else 0
        self._status(used=used or status.preamble_tokens, rate=0.0)
        if self._ready:
            self._status(state="ready")
        self._show_turns(conversation)
        self.query_one(Prompt).focus()

    @work(exclusive=True, group="show")
    async def _show_turns(self, conversation: Conversation) -> None:
        exchanges = conversation.exchanges
        self._show_transcript(bool(exchanges))
        await self.query_one(Transcript).show(exchanges)

    def _show_transcript(self, show: bool) -> None:
        self.query_one(Transcript).display = show
        self.query_one(Welcome).display = not show

    def _complain(self, error: UrialError, key: str = "") -> None:
        banner = self.query_one(Banner)
        banner.key = key
        banner.trouble = error

    def _status(self, **changes: object) -> None:
        line = self.query_one(StatusLine)
        line.status = msgspec.structs.replace(line.status, **changes)

    @work(exclusive=True, group="history")
    async def _read_history(self) -> None:
        if self._store is None:
            return
        try:
            self.query_one(Prompt).earlier = await asyncio.to_thread(self._store.recent_questions)
        except StoreError as error:
            self._complain(error)
