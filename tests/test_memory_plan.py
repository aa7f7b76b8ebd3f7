"""What the program has in memory over all its engines: what fits, gives way, or is refused."""

from __future__ import annotations

import os
from collections.abc import Collection
from pathlib import Path

import msgspec
import pytest

from tests import tinygguf
from tests.scripted import INFO, Gate, ScriptedEngine
from urial_tui.engine.client.engine import Engine
from urial_tui.engine.client.model import Model
from urial_tui.engine.wire.events import Event, LoadProgress, Notice, Unloaded
from urial_tui.engine.wire.limits import Purpose
from urial_tui.engine.wire.values import Device, EngineOptions
from urial_tui.errors import EngineError, ModelError
from urial_tui.memory import MachineMemory
from urial_tui.models.fit import need_of
from urial_tui.runtime.loading import load
from urial_tui.runtime.memory_plan import MemoryPlan

GB = 1_000_000_000
SMALL = EngineOptions(n_ctx=256, gpu_layers=0)
CARD = Device(name="CUDA0", description="A card", kind="gpu", memory_total=24 * GB)
CPU = Device(name="CPU", description="A processor", kind="cpu", memory_total=16 * GB)


class Machine:
    """A machine whose free memory is what its total leaves of what is promised."""

    def __init__(self, total: int, available: int | None = None) -> None:
        self.total = total
        self.available = available
        self.asked: list[tuple[list[int], int]] = []
        """For each look: the workers that were to leave, and the bytes that were promised."""

    def __call__(self, *, leaving: Collection[int], promised: dict[int, int]) -> MachineMemory:
        taken = sum(promised.values())
        self.asked.append((list(leaving), taken))
        available = self.total - taken if self.available is None else self.available
        return MachineMemory(total=self.total, available=max(0, available))


def large_file(path: Path, size: int = 6 * GB) -> Path:
    """A model's file of which only the start was written."""
    tinygguf.write_llama(path)
    os.truncate(path, size)
    return path


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path, Path]:
    return tuple(large_file(tmp_path / f"{name}.gguf") for name in "abc")  # type: ignore[return-value]


def events_of(
    plan: MemoryPlan,
    engine: Engine,
    path: Path,
    *,
    options: EngineOptions = SMALL,
    purpose: Purpose = "chat",
    instead_of: Model | None = None,
    owner: object | None = None,
) -> tuple[Model, list[Event]]:
    """Load a model with a plan: the model, and what was told."""
    steps = load(
        engine,
        path,
        options=options,
        purpose=purpose,
        instead_of=instead_of,
        owner=owner,
        plan=plan,
    )
    events: list[Event] = []
    while True:
        try:
            events.append(next(steps))
        except StopIteration as stop:
            return stop.value, events


def loaded(plan: MemoryPlan, engine: Engine, path: Path) -> Model:
    return events_of(plan, engine, path)[0]


class TestRefusing:
    def test_two_hosts_that_ask_for_too_much_get_one_and_one_sentence(
        self, files: tuple[Path, Path, Path]
    ) -> None:
        plan = MemoryPlan(Machine(10 * GB))
        with ScriptedEngine() as first, ScriptedEngine() as second:
            kept = loaded(plan, first, files[0])
            with pytest.raises(ModelError) as caught:
                loaded(plan, second, files[1])
            assert caught.value.message == (
                "The model b.gguf does not fit beside a.gguf: it needs 6.13 GB of memory, and of "
                "the 10.0 GB of this machine 6.13 GB are taken by what is loaded."
            )
            assert caught.value.hint
            assert kept.loaded
            assert not second.loads

    def test_a_model_that_is_still_being_loaded_counts(
        self, files: tuple[Path, Path, Path]
    ) -> None:
        plan = MemoryPlan(Machine(10 * GB))
        with ScriptedEngine() as first, ScriptedEngine() as second:
            first.enqueue_load(LoadProgress(id=0, fraction=0.5), gate := Gate())
            steps = load(first, files[0], options=SMALL, plan=plan)
            # Without it the first that is told is that loading takes long, after 20 seconds.
            assert isinstance(next(steps), LoadProgress)
            with pytest.raises(ModelError, match=r"does not fit beside a\.gguf"):
                loaded(plan, second, files[1])
            gate.open()
            steps.close()

    def test_what_failed_or_was_given_up_or_died_counts_no_more(
        self, files: tuple[Path, Path, Path]
    ) -> None:
        plan = MemoryPlan(Machine(10 * GB))
        with ScriptedEngine() as first, ScriptedEngine() as second:
            first.enqueue_load(EngineError("It is broken.", "Take another."))
            with pytest.raises(EngineError, match="broken"):
                loaded(plan, first, files[0])
            steps = load(first, files[0], options=SMALL, plan=plan)
            next(steps)
            steps.close()
            loaded(plan, second, files[1])
            second.close()
            loaded(plan, first, files[0])

    def test_what_is_replaced_does_not_count(self, files: tuple[Path, Path, Path]) -> None:
        machine = Machine(10 * GB)
        plan = MemoryPlan(machine)
        with ScriptedEngine() as engine:
            first = loaded(plan, engine, files[0])
            model, events = events_of(plan, engine, files[1], instead_of=first)
            assert machine.asked[-1][1] == 0
            assert not [event for event in events if isinstance(event, Notice)]
            assert engine.models == (model,)

    def test_a_model_beside_the_one_that_is_replaced_stays(
        self, files: tuple[Path, Path, Path]
    ) -> None:
        machine = Machine(14 * GB)
        plan = MemoryPlan(machine)
        with ScriptedEngine() as engine:
            first = loaded(plan, engine, files[0])
            loaded(plan, engine, files[1])
            model, _ = events_of(plan, engine, files[2], instead_of=first)
            assert model.loaded
            assert machine.asked[-1][0] == [], "the one beside it stays"
            with pytest.raises(ModelError, match=r"beside b\.gguf and c\.gguf"):
                loaded(plan, engine, files[0])

    def test_a_file_counts_once_in_an_engine_and_again_in_another(self, tmp_path: Path) -> None:
        path = large_file(tmp_path / "a.gguf")
        need = need_of(path, SMALL)
        plan = MemoryPlan(Machine(need.total + need.buffers))
        with ScriptedEngine() as engine, ScriptedEngine() as other:
            loaded(plan, engine, path)
            with pytest.raises(ModelError, match="does not fit beside"):
                loaded(plan, other, path)
            loaded(plan, engine, path)
            with pytest.raises(ModelError, match="does not fit beside"):
                loaded(plan, engine, path)

    def test_without_a_known_total_nothing_is_refused(self, files: tuple[Path, Path, Path]) -> None:
        plan = MemoryPlan(lambda leaving, promised: MachineMemory())
        with ScriptedEngine() as first, ScriptedEngine() as second:
            loaded(plan, first, files[0])
            loaded(plan, second, files[1])


class TestGivingWay:
    def test_what_is_idle_is_unloaded_for_what_needs_its_memory(
        self, files: tuple[Path, Path, Path]
    ) -> None:
        plan = MemoryPlan(Machine(10 * GB))
        with ScriptedEngine() as first, ScriptedEngine() as second:
            idle = loaded(plan, first, files[0])
            plan.may_give_way(first, lambda: True)
            model, events = events_of(plan, second, files[1])
            assert not idle.loaded
            assert model.loaded
            assert isinstance(events[0], Unloaded)
            assert not [event for event in events if isinstance(event, Notice)]

    def test_what_has_room_leaves_the_others_alone(self, files: tuple[Path, Path, Path]) -> None:
        plan = MemoryPlan(Machine(20 * GB))
        with ScriptedEngine() as first, ScriptedEngine() as second:
            idle = loaded(plan, first, files[0])
            plan.may_give_way(first, lambda: True)
            loaded(plan, second, files[1])
            assert idle.loaded

    def test_the_one_that_was_loaded_first_goes_first(self, files: tuple[Path, Path, Path]) -> None:
        plan = MemoryPlan(Machine(16 * GB))
        with ScriptedEngine() as first, ScriptedEngine() as second, ScriptedEngine() as third:
            models = [loaded(plan, first, files[0]), loaded(plan, second, files[1])]
            for engine in (second, first):
                plan.may_give_way(engine, lambda: True)
            loaded(plan, third, files[2])
            assert [model.loaded for model in models] == [False, True]

    def test_what_is_short_now_is_enough_of_a_reason(self, files: tuple[Path, Path, Path]) -> None:
        # Other programs have taken the rest.
        plan = MemoryPlan(Machine(100 * GB, available=3 * GB))
        with ScriptedEngine() as first, ScriptedEngine() as second:
            idle = loaded(plan, first, files[0])
            plan.may_give_way(first, lambda: True)
            _, events = events_of(plan, second, files[1])
            assert not idle.loaded
            (notice,) = [event for event in events if isinstance(event, Notice)]
            assert "only 3.00 GB are free now" in notice.message

    @pytest.mark.parametrize("why", ["it says so", "it is asked something", "it is his own"])
    def test_what_is_in_use_stays(self, files: tuple[Path, Path, Path], why: str) -> None:
        plan = MemoryPlan(Machine(10 * GB))
        owner = object()
        with ScriptedEngine() as first, ScriptedEngine() as second:
            model, _ = events_of(plan, first, files[0], owner=owner)
            plan.may_give_way(first, lambda: why != "it says so")
            if why == "it is asked something":
                first.enqueue(gate := Gate())
                call = model.generate(preamble=(), turns=())
                assert gate.reached.wait(60)
            with pytest.raises(ModelError, match="does not fit beside"):
                events_of(plan, second, files[1], owner=owner if why == "it is his own" else None)
            assert model.loaded
            if why == "it is asked something":
                call.close()
                gate.open()

    def test_a_worker_that_is_dead_needs_not_be_asked(self, files: tuple[Path, Path, Path]) -> None:
        plan = MemoryPlan(Machine(10 * GB))
        with ScriptedEngine() as first, ScriptedEngine() as second:
            loaded(plan, first, files[0])
            plan.may_give_way(first, lambda: True)
            first.close()
            _, events = events_of(plan, second, files[1])
            assert not [event for event in events if isinstance(event, Unloaded)]

    def test_what_lies_on_a_server_goes_for_another_engine_that_needs_it(
        self, files: tuple[Path, Path, Path]
    ) -> None:
        """A server serves one engine, however much room there is."""
        plan = MemoryPlan(Machine(100 * GB))
        here = msgspec.structs.replace(SMALL, gpu_layers=-1, rpc=("box:1", "box:2"))
        there = msgspec.structs.replace(here, rpc=("box:2",))
        other = msgspec.structs.replace(here, rpc=("box:3",))
        with ScriptedEngine() as first, ScriptedEngine() as second, ScriptedEngine() as third:
            for engine in (first, second):
                plan.may_give_way(engine, lambda: True)
            idle, _ = events_of(plan, first, files[0], options=here)
            apart, _ = events_of(plan, second, files[1], options=other)
            model, _ = events_of(plan, third, files[2], options=there)
            assert not idle.loaded
            assert apart.loaded
            assert model.loaded


class TestAsking:
    def test_two_fit_where_the_sum_does_and_idle_ones_would_go(
        self, files: tuple[Path, Path, Path]
    ) -> None:
        both: list[tuple[Path, Purpose]] = [(files[0], "aligned"), (files[1], "base")]
        plan = MemoryPlan(machine := Machine(13 * GB))
        owner = object()
        assert plan.fits(both, SMALL, owner=owner)
        assert not plan.fits([*both, (files[2], "chat")], SMALL, owner=owner)
        with ScriptedEngine() as engine:
            loaded(plan, engine, files[2])
            assert not plan.fits(both, SMALL, owner=owner)
            assert plan.fits(both, SMALL, owner=owner, replacing=engine)
            plan.may_give_way(engine, lambda: True)
            assert plan.fits(both, SMALL, owner=owner)
            assert machine.asked[-1][1] == 0
            assert engine.models, "asking unloads nothing"

    def test_answers_together_need_room_for_their_context(self, llama_gguf: Path) -> None:
        chat, more = (need_of(llama_gguf, SMALL, purpose) for purpose in ("chat", "together"))
        wanted = more.buffers - chat.buffers
        machine = Machine(100 * GB, available=wanted - 1)
        plan = MemoryPlan(machine)
        with ScriptedEngine() as engine:
            model = loaded(plan, engine, llama_gguf)
            with pytest.raises(
                ModelError, match=r"Several answers at once need .* of memory more, and"
            ):
                plan.widen(model)
            machine.available = wanted
            plan.widen(model)
            machine.available = 0
            plan.widen(model)  # it has that context already
            plan.fits([], SMALL, owner=self)
            assert machine.asked[-1][1] == more.total

    def test_a_model_that_nobody_has_looked_at_is_used_as_it_is(self, llama_gguf: Path) -> None:
        plan = MemoryPlan(Machine(1))
        with ScriptedEngine() as engine:
            plan.widen(engine.load(llama_gguf, options=SMALL).result())

    def test_answers_at_once_are_as_many_as_their_context_has_room_for(
        self, llama_gguf: Path
    ) -> None:
        def chosen(free: int | None, total: int | None = 64 * GB) -> int:
            plan = MemoryPlan(lambda **_: MachineMemory(total=total, available=free))
            with ScriptedEngine() as engine:
                return plan.together(engine, llama_gguf, pooled).parallel

        for number in (16, 8, 4, 2):
            enough = need_of(llama_gguf, pooled(number), "together").total
            assert chosen(enough) == number
            assert chosen(enough - 1) == number // 2
        assert chosen(0) == 1
        assert chosen(None) == 16
        assert chosen(None, total=need_of(llama_gguf, pooled(4), "together").total) == 4
        assert chosen(None, total=None) == 16

    def test_what_would_give_way_leaves_room_for_answers_at_once(self, llama_gguf: Path) -> None:
        room = need_of(llama_gguf, pooled(16), "together").total

        def read(*, leaving: Collection[int], promised: dict[int, int]) -> MachineMemory:
            return MachineMemory(total=64 * GB, available=0 if promised else room)

        plan = MemoryPlan(read)
        with ScriptedEngine() as idle, ScriptedEngine() as engine:
            loaded(plan, idle, llama_gguf)
            assert plan.together(engine, llama_gguf, pooled).parallel == 1
            plan.may_give_way(idle, lambda: True)
            assert plan.together(engine, llama_gguf, pooled).parallel == 16

    def test_more_answers_at_once_than_the_machine_can_hold_are_refused(
        self, llama_gguf: Path
    ) -> None:
        need = need_of(llama_gguf, pooled(100), "together").total

        def asked(total: int | None, *cards: Device, gpu_layers: int = 0) -> int:
            plan = MemoryPlan(lambda **_: MachineMemory(total=total, available=0))

            def options(number: int) -> EngineOptions:
                return msgspec.structs.replace(pooled(number), gpu_layers=gpu_layers)

            with ScriptedEngine() as engine:
                engine.cards = cards
                return plan.together(engine, llama_gguf, options, 100).parallel

        assert asked(need) == 100
        assert asked(None) == 100
        with pytest.raises(ModelError) as caught:
            asked(need - 1)
        assert "To write 100 answers together takes" in caught.value.message
        assert caught.value.hint == "Write fewer at once: there is room for 1 now."
        # A card may hold what the machine can't.
        assert asked(need - 1, CARD, gpu_layers=-1) == 100
        with pytest.raises(ModelError):
            asked(need - 1, CPU, gpu_layers=-1)


def pooled(number: int) -> EngineOptions:
    """How a model is loaded for so many answers at once."""
    return msgspec.structs.replace(SMALL, parallel=number, pool=4096 * number)


class TestGraphicsCards:
    def test_the_engine_is_asked_for_its_cards_where_they_matter(self, tmp_path: Path) -> None:
        large = large_file(tmp_path / "large.gguf", 20 * GB)
        plan = MemoryPlan(Machine(16 * GB, available=12 * GB))
        with ScriptedEngine() as engine, pytest.raises(ModelError, match="does not fit"):
            events_of(plan, engine, large, options=EngineOptions())
        with ScriptedEngine() as engine:
            engine.cards = (CPU, CARD)
            events_of(plan, engine, large, options=EngineOptions())
            assert engine.loads == [large]

    def test_what_is_on_a_card_takes_none_of_the_machine_s_memory(self, tmp_path: Path) -> None:
        plan = MemoryPlan(Machine(8 * GB))
        card = msgspec.structs.replace(INFO, gpu_layers=99)
        with ScriptedEngine(card) as first, ScriptedEngine() as second:
            first.cards = (CPU, CARD)
            large = large_file(tmp_path / "large.gguf", 20 * GB)
            events_of(plan, first, large, options=EngineOptions())
            loaded(plan, second, large_file(tmp_path / "b.gguf"))


def test_a_real_model_is_replaced_once_the_new_file_was_looked_at(
    tmp_path: Path, llama_gguf: Path
) -> None:
    large = large_file(tmp_path / "large.gguf", 20 * GB)
    plan = MemoryPlan(Machine(16 * GB, available=12 * GB))
    with Engine() as engine:
        first = loaded(plan, engine, llama_gguf)
        with pytest.raises(ModelError, match="does not fit"):
            events_of(plan, engine, large, instead_of=first)
        assert engine.models == (first,)
        second, _ = events_of(plan, engine, llama_gguf, instead_of=first)
        assert engine.models == (second,)
        events_of(plan, engine, llama_gguf, purpose="watched")
        assert len(engine.models) == 2
