"""The chat as its user has it: what is asked, and what is answered."""

from __future__ import annotations

from textual.events import Paste
from textual.pilot import Pilot
from textual.widgets import OptionList, Static

from tests.scripted import ScriptedEngine, answer
from tests.tui.page import PromptPage
from urial_tui.chat.unsaved import Unsaved
from urial_tui.tui.app import UrialApp
from urial_tui.tui.chat.chat_screen import ChatScreen
from urial_tui.tui.chat.transcript import Transcript
from urial_tui.tui.compare.pick_side import PickSideScreen
from urial_tui.tui.drawing.answer_text import AnswerText


class ChatPage(PromptPage[ChatScreen]):
    """The screen, driven by its keys.

    Args:
        pilot: Of an application.
        engine: It answers.
    """

    kind = ChatScreen

    def __init__(self, pilot: Pilot[None], engine: ScriptedEngine) -> None:
        super().__init__(pilot)
        self.engine = engine

    @property
    def transcript(self) -> Transcript:
        return self.screen.query_one(Transcript)

    @property
    def answers(self) -> list[str]:
        """The texts of the answers that are shown, as they were written."""
        return [view.source for view in self.transcript.query(AnswerText)]

    @property
    def earlier(self) -> str:
        """What the line above the turns says; "" where it is not there."""
        line = self.transcript.query_one("#earlier", Static)
        return str(line.render()) if line.display else ""

    @property
    def notices(self) -> list[str]:
        """What is told in the corner."""
        return [notice.message for notice in self.pilot.app._notifications]

    @property
    def unsaved(self) -> Unsaved:
        """The conversations of which not all is stored."""
        assert isinstance(self.app, UrialApp)
        return self.app.unsaved

    @property
    def ready(self) -> bool:
        """Whether the next question would be answered at once.

        The status alone says so also in the moment between a question and its answer.
        """
        return "ready" in self.status and not self.screen.here.asking.busy

    async def is_ready(self) -> None:
        """Wait until the next question would be answered at once."""
        await self.until(lambda: self.ready)

    async def has_ended(self) -> None:
        """Wait until no question is on its way, whatever ended it."""
        await self.until(lambda: not self.screen.here.asking.busy)

    async def exchanges(self, question: str, reply: str) -> None:
        """Ask, and wait for the end of the answer, which is this."""
        before = len(self.answers)
        self.engine.enqueue(*answer(reply))
        await self.asks(question)
        await self.until(lambda: self.answers[before:] == [reply])
        await self.is_ready()

    async def gets_another(self, key: str, reply: str) -> None:
        """Press a key that has something answered, and wait for the end of the answer."""
        self.engine.enqueue(*answer(reply))
        await self.pilot.press(key)
        await self.until(lambda: self.answers[-1:] != [] and self.answers[-1].endswith(reply))
        await self.is_ready()

    async def has_taken(self) -> None:
        """Wait until what was sent has left the prompt, and is answered."""
        await self.until(lambda: self.ready and not self.prompt.text)

    async def starts_anew(self) -> None:
        """Leave the conversation for a new one."""
        await self.pilot.press("ctrl+n")

    async def rests(self) -> None:
        """Wait until the transcript has made what it wants to make."""
        await self.until(lambda: not self.transcript.moving)

    async def pastes(self, text: str) -> None:
        self.prompt.post_message(Paste(text))
        await self.pilot.pause()

    async def opens_commands(self) -> None:
        """Open the command palette."""
        await self.pilot.press("ctrl+p")
        await self.until(lambda: bool(self.app.screen.query(OptionList)))

    async def goes_to_transcript(self) -> None:
        """Have the keys go to the turns."""
        await self.pilot.press("shift+tab")
        await self.until(lambda: self.transcript.has_focus)

    async def has_answers(self, *texts: str) -> None:
        """Wait until these are the answers that are shown, and nothing is written any more."""
        await self.until(lambda: self.answers == list(texts) and not self.screen.here.asking.busy)

    async def chooses_second_side(self) -> None:
        """Open the dialog of the x-ray."""
        await self.pilot.press("f8")
        await self.is_on(PickSideScreen)

    async def turns_xray_on(self, name: str = "tiny (zero-shot)") -> None:
        """Take the second side that is offered."""
        await self.chooses_second_side()
        await self.pilot.press("enter", "enter")
        await self.status_reads(f"x-ray {name}")
