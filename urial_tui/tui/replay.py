"""The replay of a recorded session in the application, as its user saw it.

The recording stands for the worker; what the user did is done again: each question is
asked, each reload is made when the recording comes to it. Nothing is stored, and neither
the model nor its file is needed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

import msgspec
from textual.worker import Worker

from urial_tui.engine.client.engine import Engine
from urial_tui.engine.client.recording import read_recording
from urial_tui.engine.client.replay import RecordedExchange, Replay
from urial_tui.engine.wire.commands import Generate, LoadModel, PreparePreamble
from urial_tui.engine.wire.values import TextSegment, Turn
from urial_tui.prompting.preamble import Preamble
from urial_tui.prompting.preamble_file import find_preamble, list_preambles
from urial_tui.prompting.render import open_turn, preamble_text
from urial_tui.runtime.loading import load_unchecked
from urial_tui.settings import Settings, load_settings
from urial_tui.tui.app import UrialApp, require_terminal, run_in_terminal
from urial_tui.tui.frame.keys import keyed
from urial_tui.tui.widgets.prompt import Prompt

_IDLE = ("ready", "stopped", "no model")
_LOOK_EVERY = 0.02
"""Seconds between two looks at whether the next recorded step may be made."""


class RecordedModel(msgspec.Struct, frozen=True, kw_only=True):
    """The model of a recording; its file is not opened."""

    name: str
    path: Path
    adapter: Path | None = None
    chat_template: str = ""


class Player:
    """Replays what the user of a recording did.

    Args:
        app: The application, whose engine is the recording.
        replay: What is played.
        preamble: What the recorded answers were written under.
    """

    def __init__(self, app: UrialApp, replay: Replay, preamble: Preamble) -> None:
        self._app = app
        self._replay = replay
        self._preamble = preamble

    def start(self) -> Worker[None]:
        """Start the replay in the background."""
        return self._app.run_worker(self._act)

    async def _act(self) -> None:
        """Make the recorded steps, each when the one before is over."""
        chat = self._app.chat
        loaded = False
        for number, exchange in enumerate(self._replay.exchanges):
            command = exchange.command
            if isinstance(command, LoadModel) and command.purpose == "chat":
                if loaded:
                    await self._turn_of_user(exchange)
                    chat.action_reload()
                loaded = True
            elif isinstance(command, Generate):
                await self._turn_of_user(exchange)
                question = question_of(command.turns, self._preamble)
                if command.samples > 1:
                    chat.questions.ask_several(question, command.samples)
                else:
                    chat.view.prompt.post_message(Prompt.Submitted(question))
            else:
                continue
            while self._replay.played <= number:
                await asyncio.sleep(_LOOK_EVERY)
        await self._idle()
        told = keyed(self._app, "The recording ends here; {app.quit} leaves.")
        self._app.notify(told, markup=False)

    async def _turn_of_user(self, exchange: RecordedExchange) -> None:
        await self._idle()
        await asyncio.sleep(exchange.pause * self._replay.pace)

    async def _idle(self) -> None:
        """Wait until nothing is loaded, read or written."""
        while self._app.chat.view.status.state not in _IDLE:
            await asyncio.sleep(_LOOK_EVERY)


def replay_app(replay: Replay, preamble: Preamble, settings: Settings) -> UrialApp:
    """Make an application on a recording; it asks and reloads by itself.

    Args:
        replay: What is played.
        preamble: What the recorded answers were written under.
        settings: The user's.
    """
    app = UrialApp(
        engine_factory=lambda: Engine(launch=replay.launch),
        find_model=lambda name, progress: RecordedModel(name=name, path=Path(name)),
        load=load_unchecked,
        model=model_of(replay),
        preamble=preamble,
        settings=settings,
    )
    app.when_ready = Player(app, replay, preamble).start
    return app


def run(path: Path, *, fast: bool) -> int:
    """Play a recording in this terminal; returns the exit code.

    Args:
        path: The recording.
        fast: At once, not at the recorded pace.

    Raises:
        UsageError: There is no terminal.
        RecordingError: The file is no recording of this version.
        SettingsError: The settings are unsound.
    """
    recording = read_recording(path)
    require_terminal("A replay", "`urial replay --json FILE` prints what is in the recording.")
    replay = Replay(recording, pace=0.0 if fast else 1.0)
    return run_in_terminal(replay_app(replay, preamble_of(replay), load_settings()))


def model_of(replay: Replay) -> str:
    """The file name of the first model that was loaded."""
    loads = [e.command for e in replay.exchanges if isinstance(e.command, LoadModel)]
    return Path(loads[0].path).name if loads else "no model"


def preamble_of(replay: Replay) -> Preamble:
    """The preamble that was used first, by its text; one without a text where none fits."""
    plain = msgspec.structs.replace(find_preamble("zero-shot"), name="recorded")
    text = next(
        (
            _text(exchange.command.preamble)
            for exchange in replay.exchanges
            if isinstance(exchange.command, PreparePreamble | Generate)
        ),
        "",
    )
    known = [entry.preamble for entry in list_preambles() if entry.preamble is not None]
    return next((preamble for preamble in known if preamble_text(preamble) == text), plain)


def question_of(turns: Sequence[Turn], preamble: Preamble) -> str:
    """What was asked last, without the format around it as far as that is the preamble's."""
    text = _text(turns[-1]) if turns else ""
    head, _, tail = open_turn(preamble, "\0").partition("\0")
    if text.startswith(head) and text.endswith(tail):
        text = text[len(head) : len(text) - len(tail)]
    return text.strip() or "(asked again)"


def _text(turn: Turn) -> str:
    return "".join(segment.text for segment in turn if isinstance(segment, TextSegment))
