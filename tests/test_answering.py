"""An answer while it is written: read by a thread or by a task, it is kept in the same way."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import msgspec
import pytest

from tests.loaded import writer_of
from tests.scripted import (
    TINY,
    Gate,
    ScriptedEngine,
    Step,
    answer,
    delta,
    dropped,
    finished,
    prefill,
)
from urial_tui.chat.answering import AnswerStream
from urial_tui.chat.session import Conversation
from urial_tui.chat.store import Store
from urial_tui.chat.turns import TurnRecord
from urial_tui.chat.unsaved import Unsaved
from urial_tui.engine.wire.events import Event, Finished, TextDelta
from urial_tui.errors import EngineDied, EngineError, StoreError, UrialError
from urial_tui.prompting.preamble_file import find_preamble
from urial_tui.runtime.writer import Writer

PATIENCE = 60.0


class WatchedStore(Store):
    """Remembers each answer that it was given; `broken`: and refuses it; `held`: and waits."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.given: list[TurnRecord] = []
        self.broken = False
        self.waits = threading.Event()
        self.held: threading.Event | None = None

    def save_answer(self, turn: TurnRecord) -> None:
        self.given.append(turn)
        if self.held is not None:
            self.waits.set()
            assert self.held.wait(PATIENCE)
        if self.broken:
            raise StoreError("The disk is full.", "Make room.")
        super().save_answer(turn)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[WatchedStore]:
    with WatchedStore(tmp_path / "conversations.db") as opened:
        yield opened


@pytest.fixture
def writer(script: ScriptedEngine) -> Writer:
    return writer_of(script.load(TINY).result(), find_preamble("urial-k1"))


@pytest.fixture
def conversation(store: WatchedStore) -> Conversation:
    return Conversation.new(store, clock=every_delta())


def every_delta() -> Callable[[], float]:
    """A clock that has every piece of text stored at once."""
    ticks = itertools.count()
    return lambda: float(next(ticks))


def stored(conversation: Conversation) -> list[TurnRecord]:
    assert conversation.store is not None
    return conversation.store.turns(conversation.record.id)


# -- by a thread and by a task -----------------------------------------------------------


See = Callable[[Event], object]


def by_thread(answering: AnswerStream, see: See) -> UrialError | None:
    """Why it failed, if it did."""
    try:
        for event in answering:
            see(event)
    except UrialError as error:
        return error
    return None


def by_task(answering: AnswerStream, see: See) -> UrialError | None:
    async def read() -> None:
        async for event in answering:
            see(event)

    try:
        asyncio.run(read())
    except UrialError as error:
        return error
    return None


def left_by_thread(answering: AnswerStream) -> None:
    for event in answering:
        if isinstance(event, TextDelta):
            break
    answering.close()


def left_by_task(answering: AnswerStream) -> None:
    async def read() -> None:
        async with contextlib.aclosing(aiter(answering)) as events:
            async for event in events:
                if isinstance(event, TextDelta):
                    break

    asyncio.run(read())


def left_by_cancelled_task(answering: AnswerStream) -> None:
    async def main() -> None:
        reached = asyncio.Event()

        async def read() -> None:
            async for event in answering:
                if isinstance(event, TextDelta):
                    reached.set()

        task = asyncio.ensure_future(read())
        await reached.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())


class Case(NamedTuple):
    """An answer: what it is, and what is done to it at a piece of its text."""

    steps: tuple[Step, ...]
    samples: int = 1
    cancelled_at: str = ""
    broken_at: str = ""
    mended_at: str = ""


DIED = EngineDied("The engine stopped.", "Load the model again.")
CASES = {
    "finished": Case(answer("Hello there", 4)),
    "closed by the engine": Case(
        (delta("Hel"), finished("Hello", "stop", tail="\n", stopped_by="#"))
    ),
    "behind dropped turns": Case((dropped(1), *answer("Hello there"))),
    "cancelled": Case((delta("Hel"), delta("lo"), Gate(), delta("!")), cancelled_at="lo"),
    "cancelled at the start": Case((prefill("prompt", 1, 2), Gate()), cancelled_at="the prompt"),
    "died": Case((delta("Hel"), delta("l", pending="l"), DIED)),
    "died at the start": Case((DIED,)),
    "refused": Case((EngineError("The question is too long.", "Shorten it."),)),
    "several": Case(
        (delta("A"), delta("C", sample=2), delta("B", sample=1), finished("B", sample=1)), samples=3
    ),
    "several, cancelled": Case((delta("B", sample=1), Gate()), samples=3, cancelled_at="B"),
    "several, died": Case((delta("C", sample=2), delta("A"), DIED), samples=3),
    "a store that fails for a while": Case(
        (delta("a"), delta("b"), delta("c"), delta("d")), broken_at="b", mended_at="d"
    ),
    "a store that fails": Case((delta("a"), delta("b"), delta("c")), broken_at="b"),
    "a store that fails, and cancelled": Case(
        (delta("a"), delta("b"), Gate()), broken_at="a", cancelled_at="b"
    ),
    "a store that fails, and died": Case((delta("a"), delta("b"), DIED), broken_at="a"),
    "several, and a store that fails": Case(
        (delta("B", sample=1), delta("A")), samples=2, broken_at="B"
    ),
}


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """All that can be seen of an answer behind its end; turns by their numbers."""

    events: list[Event]
    error: str
    store_error: str
    given: list[TurnRecord]
    stored: list[TurnRecord]
    tree: list[TurnRecord]
    path: list[int | None]
    opened_path: list[int | None]


def kept(place: Path, case: Case, read: Callable[[AnswerStream, See], UrialError | None]) -> Kept:
    """What one reading keeps, of a conversation that has an exchange already."""
    events: list[Event] = []
    with ScriptedEngine() as script, WatchedStore(place) as store:
        writer = writer_of(script.load(TINY).result(), find_preamble("urial-k1"))
        conversation = Conversation.new(store, clock=every_delta())
        list(conversation.ask(writer, "First?"))
        script.enqueue(*case.steps)
        conversation.add_question("Second?", writer.choice)
        answering = conversation.answer(writer, samples=case.samples)

        def see(event: Event) -> None:
            events.append(msgspec.structs.replace(event, id=0))
            text = event.text if isinstance(event, TextDelta) else "the prompt"
            if text == case.cancelled_at:
                answering.cancel()
            if text in (case.broken_at, case.mended_at):
                store.broken = text == case.broken_at

        error = read(answering, see)
        store.broken = False
        on_disk = stored(conversation)
        tree = sorted(conversation.tree._turns.values(), key=lambda turn: turn.id)
        numbers: dict[int | None, int | None] = {turn.id: n for n, turn in enumerate(tree)}
        numbers[None] = None

        def comparable(turn: TurnRecord) -> TurnRecord:
            return msgspec.structs.replace(
                turn,
                id=numbers[turn.id],
                parent_id=numbers[turn.parent_id],
                context_from=numbers[turn.context_from],
                conversation_id=0,
                created=0.0,
            )

        reopened = Conversation.open(store, conversation.record.id)
        return Kept(
            events=events,
            error=repr(error),
            store_error=repr(conversation.store_error),
            given=[comparable(turn) for turn in store.given],
            stored=[comparable(turn) for turn in on_disk],
            tree=[comparable(turn) for turn in tree],
            path=[numbers[turn.id] for turn in conversation.path],
            opened_path=[numbers[turn.id] for turn in reopened.path],
        )


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_a_task_keeps_what_a_thread_keeps(case: Case, tmp_path: Path) -> None:
    thread = kept(tmp_path / "thread.db", case, by_thread)
    assert kept(tmp_path / "task.db", case, by_task) == thread
    if not case.broken_at or case.mended_at:
        assert thread.stored == thread.tree
    assert len(thread.tree) > 3
    assert all(turn.stop_reason is not None for turn in thread.tree if turn.role == "assistant")


@pytest.mark.parametrize("leave", [left_by_thread, left_by_task, left_by_cancelled_task])
def test_what_was_read_is_kept_when_it_is_left(
    leave: Callable[[AnswerStream], None],
    conversation: Conversation,
    script: ScriptedEngine,
    writer: Writer,
) -> None:
    script.enqueue(delta("Hel"), Gate(), delta("lo"))
    leave(conversation.ask(writer, "Hi"))
    leaf = stored(conversation)[-1]
    assert (leaf.text, leaf.stop_reason) == ("Hel", "cancelled")
    assert leaf == conversation.leaf
    list(conversation.ask(writer, "And?"))
    assert stored(conversation)[-1].text == "Certainly."


async def test_a_loop_goes_on_while_it_is_stored(
    conversation: Conversation, script: ScriptedEngine, writer: Writer, store: WatchedStore
) -> None:
    script.enqueue(delta("a"))
    answering = conversation.ask(writer, "Hi")
    store.held = threading.Event()

    async def let_go() -> None:
        assert await asyncio.to_thread(store.waits.wait, PATIENCE)
        assert store.held is not None
        store.held.set()

    letting = asyncio.ensure_future(let_go())
    events = [event async for event in answering]
    await letting
    assert isinstance(events[-1], Finished)
    assert stored(conversation)[-1].text == "a"


async def test_the_end_is_stored_however_often_the_task_is_cancelled(
    script: ScriptedEngine, writer: Writer, store: WatchedStore
) -> None:
    conversation = Conversation.new(store, clock=lambda: 100.0)
    script.enqueue(delta("a"), delta("b"), Gate())
    answering = conversation.ask(writer, "Hi")
    reached = asyncio.Event()

    async def read() -> None:
        async for event in answering:
            if isinstance(event, TextDelta) and event.text == "b":
                reached.set()

    task = asyncio.ensure_future(read())
    await reached.wait()
    assert stored(conversation)[-1].text == "a"
    # The loop's threads have something else to do meanwhile.
    free = threading.Event()
    with ThreadPoolExecutor(1) as threads:
        threads.submit(free.wait, PATIENCE)
        asyncio.get_running_loop().set_default_executor(threads)
        for _ in range(3):
            task.cancel()
            await asyncio.sleep(0.01)
        with pytest.raises(asyncio.CancelledError):
            await task
        free.set()
    assert (stored(conversation)[-1].text, stored(conversation)[-1].stop_reason) == (
        "ab",
        "cancelled",
    )


# -- for who can't wait ------------------------------------------------------------------


@pytest.mark.parametrize("read", [by_thread, by_task])
def test_a_running_answer_is_stored_by_another_thread(
    read: Callable[[AnswerStream, See], UrialError | None],
    conversation: Conversation,
    script: ScriptedEngine,
    writer: Writer,
) -> None:
    gate = Gate()
    script.enqueue(delta("Hel"), gate, delta("lo"))
    answering = conversation.ask(writer, "Hi")
    events: list[Event] = []
    begun = threading.Event()

    def see(event: Event) -> None:
        events.append(event)
        if isinstance(event, TextDelta):
            begun.set()

    with ThreadPoolExecutor(1) as threads:
        reading = threads.submit(read, answering, see)
        assert begun.wait(PATIENCE)
        answering.keep()
        answering.keep()
        leaf = stored(conversation)[-1]
        assert (leaf.text, leaf.stop_reason) == ("Hel", "cancelled")
        gate.open()
        # It is what there is of it from then on; nothing is rewritten, and nothing fails.
        assert reading.result(PATIENCE) is None
    assert isinstance(events[-1], Finished)
    assert stored(conversation)[-1] == leaf == conversation.leaf
    list(conversation.ask(writer, "And?"))


def test_what_is_kept_at_any_moment_is_a_beginning_of_the_answer(
    script: ScriptedEngine, writer: Writer
) -> None:
    text = "".join(chr(0x4E00 + number) for number in range(300))
    for round_ in range(20):
        conversation = Conversation.new(None)
        script.enqueue(*map(delta, text))
        answering = conversation.ask(writer, "Hi")
        keeping = threading.Timer(round_ * 0.0005, answering.keep)
        keeping.start()
        list(answering)
        keeping.join()
        leaf = conversation.leaf
        assert leaf is not None
        if leaf.role == "assistant":
            assert text.startswith(leaf.text)
            assert leaf.ids == tuple(map(ord, leaf.text))


# -- what is not on the disk -------------------------------------------------------------


def test_a_turn_that_grows_while_it_is_written_is_written_again(
    conversation: Conversation, writer: Writer, store: WatchedStore
) -> None:
    question = conversation.add_question("Hi", writer.choice)
    short = TurnRecord(
        id=question.id + 1,
        conversation_id=conversation.record.id,
        parent_id=question.id,
        role="assistant",
        text="a",
        created=0.0,
    )
    store.held = threading.Event()
    conversation.keep(short)
    writing = threading.Thread(target=conversation.try_to_save)
    writing.start()
    assert store.waits.wait(PATIENCE)
    longer = msgspec.structs.replace(short, text="ab")
    conversation.keep(longer)
    store.held.set()
    writing.join()
    assert stored(conversation)[-1].text == "a"
    conversation.try_to_save()
    conversation.try_to_save()
    assert store.given == [short, longer]
    assert stored(conversation)[-1].text == "ab"


class TestUnsaved:
    def test_they_are_stored_when_the_store_can(
        self, store: WatchedStore, script: ScriptedEngine, writer: Writer
    ) -> None:
        conversations = []
        for text in ("One.", "Two."):
            store.broken = False
            script.enqueue(delta(text))
            conversation = Conversation.new(store)
            answering = iter(conversation.ask(writer, "Hi"))
            store.broken = True
            with pytest.raises(StoreError):
                list(answering)
            conversations.append(conversation)
        unsaved = Unsaved()
        for conversation in (*conversations, *conversations):
            unsaved.note(conversation)
        with pytest.raises(StoreError):
            unsaved.save()
        assert [len(stored(conversation)) for conversation in conversations] == [1, 1]
        store.broken = False
        unsaved.save()
        assert [stored(conversation)[-1].text for conversation in conversations] == ["One.", "Two."]
        assert [conversation.store_error for conversation in conversations] == [None, None]
        # They are not written again.
        given = len(store.given)
        unsaved.save()
        assert len(store.given) == given

    def test_what_is_stored_is_not_remembered(
        self, conversation: Conversation, writer: Writer, store: WatchedStore
    ) -> None:
        list(conversation.ask(writer, "Hi"))
        unsaved = Unsaved()
        unsaved.note(conversation)
        store.broken = True
        unsaved.save()

    def test_one_that_was_stored_by_its_next_question_is_forgotten(
        self, conversation: Conversation, writer: Writer, store: WatchedStore
    ) -> None:
        answering = conversation.ask(writer, "Hi")
        store.broken = True
        with pytest.raises(StoreError):
            list(answering)
        unsaved = Unsaved()
        unsaved.note(conversation)
        store.broken = False
        list(conversation.ask(writer, "And?"))
        given = len(store.given)
        unsaved.save()
        assert len(store.given) == given
        assert conversation.store_error is None
