"""The chat screen: it holds the parts of the chat, and leads keys and messages to them.

Each part is an object with a state of its own that sees the screen as `ChatView` only; what
a key does is a method of one of them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.events import Resize

from urial_tui.chat.drafts import DraftPlace, Drafts
from urial_tui.chat.session import Conversation
from urial_tui.chat.store import Store
from urial_tui.chat.unsaved import Unsaved
from urial_tui.errors import UrialError
from urial_tui.runtime.writer import WriterChoice
from urial_tui.settings import Settings
from urial_tui.tui.chat.answers import Answers
from urial_tui.tui.chat.chat_engine import ChatEngine
from urial_tui.tui.chat.chat_view import ChatView
from urial_tui.tui.chat.copies import Copies
from urial_tui.tui.chat.header_line import HeaderLine
from urial_tui.tui.chat.model_loading import ModelLoading
from urial_tui.tui.chat.moves import Moves
from urial_tui.tui.chat.open_conversation import OpenConversation
from urial_tui.tui.chat.questions import Questions
from urial_tui.tui.chat.sample_choice import SampleChoice
from urial_tui.tui.chat.samples import Samples
from urial_tui.tui.chat.screen_requests import ScreenRequests
from urial_tui.tui.chat.status_line import StatusLine
from urial_tui.tui.chat.stored_conversations import StoredConversations
from urial_tui.tui.chat.switching import MakeFirstRun, Switching
from urial_tui.tui.chat.token_screens import TokenScreens
from urial_tui.tui.chat.transcript import Transcript
from urial_tui.tui.chat.welcome import Welcome
from urial_tui.tui.chat.xray import ListModels, Xray
from urial_tui.tui.frame.prompt_screen import PromptScreen
from urial_tui.tui.widgets.banner import Banner
from urial_tui.tui.widgets.prompt import Prompt


class ChatScreen(PromptScreen):
    """The chat screen, which is the first one.

    Args:
        engine: Loads and answers.
        list_models: Names of the models on this machine.
        choice: What is to answer.
        store: Where conversations are kept; None keeps nothing.
        settings: Sampling, lengths and the engine's options.
        unsaved: Remembers conversations of which not all could be stored.
        clock: Seconds, monotonic; measures how fast the model reads and writes.
        first_run: Makes the screen that helps where there is no model.
        trouble: Something to tell from the start, such as a store that can't be opened.
    """

    AUTO_FOCUS = "#prompt"
    BINDING_GROUP_TITLE = "Chat"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "stop", "Stop the answer, keep its text", id="chat.stop"),
        Binding("f5", "regenerate", "Answer again", id="chat.regenerate"),
        # With priority, for the text area that the prompt is has its own use for these.
        Binding("f6", "typed('edit')", "Edit the question", priority=True, id="chat.edit"),
        Binding("f7", "typed('go_on')", "Go on with the answer", priority=True, id="chat.go_on"),
        Binding("alt+left", "sibling(-1)", "Other version before", id="chat.version_before"),
        Binding("alt+right", "sibling(1)", "Other version after", id="chat.version_after"),
        Binding("alt+u", "undo", "Undo", id="chat.undo"),
        Binding("alt+a", "several", "Three answers at once", id="chat.several"),
        Binding("ctrl+o", "open", "Stored conversations", priority=True, id="chat.open"),
        Binding("alt+y", "copy_answer", "Copy the newest answer", id="chat.copy_answer"),
        Binding("f8", "xray", "X-ray: a second side ranks what is written", id="chat.xray"),
        Binding("shift+f8", "xray_side", "X-ray with another second side", id="chat.xray_side"),
        Binding(
            "ctrl+t", "switch('models')", "Model and preamble", priority=True, id="chat.switch"
        ),
        Binding(
            "alt+t",
            "keep_choice",
            "Start with this model and preamble from now on",
            id="chat.keep_choice",
        ),
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
        choice: WriterChoice,
        store: Store | None,
        settings: Settings,
        unsaved: Unsaved,
        clock: Callable[[], float],
        first_run: MakeFirstRun,
        trouble: UrialError | None = None,
    ) -> None:
        super().__init__()
        self.settings = settings
        self.store = store
        self.drafts = Drafts(store)
        self._first_trouble = trouble
        view = self.view = ChatView(self)
        here = self.here = OpenConversation(view, Conversation.new(store), self.drafts)
        models = self.models = ModelLoading(view, engine, choice, lambda: self.settings, clock)
        xray = self.xray = Xray(view, models, here, list_models)
        samples = self.samples = Samples(view, models, here)
        moves = Moves(view, models, here, samples)
        answers = Answers(view, models, here, samples, xray, unsaved=unsaved, clock=clock)
        questions = self.questions = Questions(view, models, here, moves, samples, xray, answers)
        stored = self.stored = StoredConversations(
            view, models, here, moves, answers, store=store, unsaved=unsaved
        )
        switching = self.switching = Switching(view, models, here, first_run)
        copies = Copies(view, here)
        requests = ScreenRequests(view, models, here, xray)
        models.when_ready = answers.go_on
        models.when_lost = xray.come_again
        models.when_missing = switching.offer_models

        # What the bindings of this screen and of its children name.
        self.action_page_transcript = view.page
        self.action_stop = questions.stop
        self.action_regenerate = questions.regenerate
        self.action_edit = questions.edit
        self.action_go_on = questions.go_on
        self.action_several = questions.several
        self.action_sibling = moves.sibling
        self.action_undo = moves.undo
        self.action_open = stored.look
        self.action_new = stored.new
        self.action_copy_answer = copies.answer
        self.action_copy_turn = copies.turn
        self.action_copy_code = copies.code
        self.action_copy_all = copies.all
        self.action_xray = xray.toggle
        self.action_xray_side = xray.choose
        self.action_switch = switching.switch
        self.action_keep_choice = switching.keep
        self.action_reload = switching.reload
        self.action_compare = requests.compare
        self.action_compare_answer = requests.compare_answer
        self.action_sides = requests.sides
        self.action_evaluate = requests.evaluate
        self.action_prompts = requests.prompts
        self.action_models = requests.models
        self.action_tokens = TokenScreens(view, models, here, questions).look

    @property
    def conversation(self) -> Conversation:
        """The conversation that is shown."""
        return self.here.conversation

    @property
    def choice(self) -> WriterChoice:
        """What answers, or will once it is loaded."""
        return self.models.choice

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
        self.view.show_transcript(False)
        self.view.header.note = "" if self.store else "not stored"
        self.models.show(self.choice)
        if self._first_trouble is not None:
            self.complain(self._first_trouble)
        self.stored.recall()
        self.models.load()
        self.stored.bring_back()

    def on_screen_resume(self) -> None:
        """Load the model again where it gave way to what another screen has loaded."""
        if self.models.ready and self.models.engine.writer is None:
            self.models.load()

    def on_resize(self, event: Resize) -> None:
        """Several answers take the room that there is."""
        self.samples.fit(event.size.height)

    def draft(self) -> tuple[DraftPlace, str]:
        """What is in the prompt and not sent; see `PromptScreen.draft`."""
        return self.here.draft()

    # -- what is said to it -----------------------------------------------------------

    @on(Prompt.Submitted)
    def submit(self, event: Prompt.Submitted) -> None:
        """Ask what is in the prompt, or keep what was edited there."""
        self.questions.submit(event.text)

    @on(Welcome.Chosen)
    def submit_example(self, event: Welcome.Chosen) -> None:
        """Ask an example question."""
        self.questions.ask_example(event.text)

    @on(SampleChoice.Looked)
    async def look_at(self, event: SampleChoice.Looked) -> None:
        """Show another of several answers whole."""
        await self.samples.look_at(event.answer)

    @on(SampleChoice.Taken)
    async def go_on_from(self, event: SampleChoice.Taken) -> None:
        """Go on from one of several answers."""
        await self.samples.go_on_from(event.answer)

    # -- keys ---------------------------------------------------------------------------

    def action_typed(self, action: str) -> None:
        """Defer an action until what was typed is in the prompt: a priority key overtakes it."""
        self.view.prompt.call_later(self.run_action, action)
