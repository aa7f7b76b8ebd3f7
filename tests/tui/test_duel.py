"""Two sides that answer one question, without a screen."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Callable

import pytest

from tests.scripted import Gate, ScriptedEngine, answer, delta
from tests.tui.conftest import PATIENCE, Found
from urial_tui.chat.session import Conversation
from urial_tui.chat.store import Store
from urial_tui.chat.turns import TurnRecord
from urial_tui.engine.wire import patience
from urial_tui.engine.wire.events import LoadProgress, Silence, TextDelta
from urial_tui.engine.wire.values import EngineOptions, Sampling
from urial_tui.errors import EngineError, InternalError, UrialError
from urial_tui.prompting.preamble_file import find_preamble
from urial_tui.runtime.host import Unpacking
from urial_tui.runtime.writer import WriterChoice
from urial_tui.tui.duel.duel import Duel, ModelSought, SideEnded, SideEvent, SidesQuestion

ONE = WriterChoice(model="tiny", preamble=find_preamble("urial-k1"))
OTHER = WriterChoice(model="tiny", preamble=find_preamble("zero-shot"))
LARGE = WriterChoice(model="large", preamble=find_preamble("zero-shot"))


class Arena:
    """A duel over scripted engines, a conversation, and what was told of it."""

    def __init__(self, store: Store) -> None:
        self.engines = [ScriptedEngine(), ScriptedEngine()]
        self.made = 0
        self.fits = True
        self.find: Callable[[str, Unpacking], Found] = lambda name, unpacking: Found(name=name)
        self.store = store
        self.conversation = Conversation.new(store)
        self.told: list[tuple[int, SideEvent]] = []
        self.duel = Duel(
            self._make_engine,
            lambda name, unpacking: self.find(name, unpacking),
            fits=lambda path, options: self.fits,
        )

    def _make_engine(self) -> ScriptedEngine:
        self.made += 1
        return self.engines[self.made - 1]

    async def ask(self, left: WriterChoice = ONE, right: WriterChoice = OTHER) -> None:
        question = self.conversation.add_question("Who?", left)
        await self.duel.answer(
            SidesQuestion(
                conversation=self.conversation,
                id=question.id,
                sides=(left, right),
                sampling=Sampling(),
                max_tokens=100,
                options=EngineOptions(),
            ),
            lambda place, event: self.told.append((place, event)),
        )

    @property
    def ends(self) -> list[tuple[int, TurnRecord | None, UrialError | None]]:
        return [
            (place, event.answer, event.error)
            for place, event in self.told
            if isinstance(event, SideEnded)
        ]

    @property
    def errors(self) -> list[UrialError | None]:
        return [error for _, _, error in self.ends]

    def heard(self, kind: type) -> bool:
        return any(isinstance(event, kind) for _, event in self.told)

    @property
    def stored(self) -> list[tuple[str, str, str]]:
        return [
            (turn.text, turn.preamble, str(turn.stop_reason))
            for turn in self.store.turns(self.conversation.record.id)
            if turn.role == "assistant"
        ]


@pytest.fixture
async def arena(store: Store) -> AsyncIterator[Arena]:
    made = Arena(store)
    yield made
    await asyncio.to_thread(made.duel.close)


async def until(happened: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not happened():
            await asyncio.sleep(0.005)


@contextlib.asynccontextmanager
async def asking(arena: Arena, *sides: WriterChoice) -> AsyncIterator[asyncio.Task[None]]:
    task = asyncio.create_task(arena.ask(*sides))
    yield task
    async with asyncio.timeout(PATIENCE):
        await asyncio.wait([task])


async def test_both_sides_answer_the_left_one_first(arena: Arena) -> None:
    arena.engines[0].enqueue(*answer("Left."))
    arena.engines[0].enqueue(*answer("Right."))
    await arena.ask()
    assert arena.stored == [("Left.", "urial-k1", "stop"), ("Right.", "zero-shot", "stop")]
    assert [place for place, _ in arena.told] == sorted(place for place, _ in arena.told)
    assert [(place, turn and turn.text) for place, turn, _ in arena.ends] == [
        (0, "Left."),
        (1, "Right."),
    ]
    assert (arena.made, len(arena.engines[0].loads)) == (1, 1)


async def test_a_name_that_the_user_chose_stays_the_name_of_who_answered(arena: Arena) -> None:
    arena.find = lambda name, unpacking: Found(name="another name")
    await arena.ask()
    assert [turn and turn.model for _, turn, _ in arena.ends] == ["tiny", "tiny"]


@pytest.mark.parametrize(("fits", "loads"), [(True, [1, 1]), (False, [4, 0])])
async def test_a_second_model_is_loaded_beside_the_first_where_it_fits(
    arena: Arena, fits: bool, loads: list[int]
) -> None:
    arena.fits = fits
    await arena.ask(ONE, LARGE)
    await arena.ask(ONE, LARGE)
    assert [len(engine.loads) for engine in arena.engines] == loads
    assert arena.errors == [None] * 4


async def test_a_stop_ends_the_side_that_writes_and_the_one_to_come(arena: Arena) -> None:
    gate = Gate()
    arena.engines[0].enqueue(delta("Half"), gate)
    async with asking(arena):
        await until(lambda: arena.heard(TextDelta))
        arena.duel.stop()
    assert arena.stored == [("Half", "urial-k1", "cancelled")]
    assert [(place, turn and turn.text, error) for place, turn, error in arena.ends] == [
        (0, "Half", None),
        (1, None, None),
    ]


async def test_a_stop_lets_a_model_be_loaded(arena: Arena) -> None:
    gate = Gate()
    arena.engines[0].enqueue_load(LoadProgress(id=0, fraction=0.5), gate)
    async with asking(arena) as task:
        await until(gate.reached.is_set)
        arena.duel.stop()
        await asyncio.sleep(0.05)
        assert not task.done()
        gate.open()
    assert arena.errors == [None, None]
    assert arena.stored == []
    assert len(arena.engines[0].models) == 1
    await arena.ask()
    assert len(arena.stored) == 2
    assert len(arena.engines[0].loads) == 1


async def test_a_stop_ends_a_load_without_a_sign_of_life(
    arena: Arena, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(patience, "TOLD_AFTER", 0.1)
    arena.engines[0].enqueue_load(Gate())
    async with asking(arena):
        await until(lambda: arena.heard(Silence))
        arena.duel.stop()
    (left, right) = arena.errors
    assert isinstance(left, EngineError)
    assert right is None
    await arena.ask()
    assert len(arena.stored) == 2


async def test_a_side_that_fails_leaves_the_other(arena: Arena) -> None:
    arena.engines[0].enqueue(delta("Ha"), EngineError("Refused.", ""))
    await arena.ask()
    left, right = arena.errors
    assert (str(left), right) == ("Refused.", None)
    assert [reason for _, _, reason in arena.stored] == ["failed", "stop"]


async def test_a_mistake_of_ours_costs_one_side(arena: Arena) -> None:
    arena.find = _mistaken_once()
    await arena.ask()
    left, right = arena.errors
    assert isinstance(left, InternalError)
    assert right is None
    assert len(arena.stored) == 1


def _mistaken_once() -> Callable[[str, Unpacking], Found]:
    asked: list[str] = []

    def find(name: str, unpacking: Unpacking) -> Found:
        asked.append(name)
        if len(asked) == 1:
            raise ZeroDivisionError
        return Found(name=name)

    return find


async def test_unpacking_is_told_in_the_event_loop(arena: Arena) -> None:
    def find(name: str, unpacking: Unpacking) -> Found:
        unpacking(1, 4)
        return Found(name=name)

    arena.find = find
    await arena.ask()
    assert arena.told[:2] == [(0, ModelSought()), (0, ModelSought(1, 4))]


async def test_what_is_written_is_stored_where_the_task_is_cancelled(arena: Arena) -> None:
    arena.engines[0].enqueue(delta("Half"), Gate())
    async with asking(arena) as task:
        await until(lambda: arena.heard(TextDelta))
        task.cancel()
        await arena.duel.over()
        assert arena.stored == [("Half", "urial-k1", "cancelled")]
    assert task.cancelled()
    assert arena.ends == []


async def test_what_is_written_is_stored_from_another_thread(arena: Arena) -> None:
    arena.engines[0].enqueue(delta("Ha"), delta("lf"), Gate())
    async with asking(arena):
        await until(lambda: sum(isinstance(e, TextDelta) for _, e in arena.told) == 2)
        rescuing = threading.Thread(target=arena.duel.rescue)
        rescuing.start()
        # The event loop stands still meanwhile.
        rescuing.join()
        assert arena.stored == [("Half", "urial-k1", "cancelled")]
        arena.duel.stop()


async def test_nothing_runs_once_it_is_closed_while_a_model_is_looked_for(arena: Arena) -> None:
    looking, goes_on = threading.Event(), threading.Event()

    def find(name: str, unpacking: Unpacking) -> Found:
        looking.set()
        goes_on.wait()
        unpacking(1, 4)
        return Found(name=name)

    arena.find = find
    async with asking(arena) as task:
        await until(looking.is_set)
        task.cancel()
        await asyncio.to_thread(arena.duel.close)
        goes_on.set()
        await arena.duel.over()
    assert not any(engine.alive for engine in arena.engines)
    assert arena.told == [(0, ModelSought())]


async def test_a_close_ends_an_answer_and_keeps_its_text(arena: Arena) -> None:
    arena.engines[0].enqueue(delta("Half"), Gate())
    async with asking(arena):
        await until(lambda: arena.heard(TextDelta))
        await asyncio.to_thread(arena.duel.close)
    assert [text for text, _, _ in arena.stored] == ["Half"]
    assert not any(engine.alive for engine in arena.engines)
