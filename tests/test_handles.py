"""Models are known by handles: several in one worker, and what is asked of one that is gone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.wires import MODEL, Wire
from urial_tui.engine.wire.commands import (
    Generate,
    LoadModel,
    PreparePreamble,
    ReadVocabulary,
    ScoreBoth,
    ScoreSide,
    ScoreStored,
    Tokenize,
    Trace,
    Unload,
)
from urial_tui.engine.wire.events import (
    Failed,
    Finished,
    Loaded,
    Scored,
    Shifts,
    Unloaded,
    VocabularyRead,
)
from urial_tui.engine.wire.limits import Purpose
from urial_tui.engine.wire.scores import PositionScores
from urial_tui.engine.wire.values import EngineOptions, TextSegment, TokenSegment, Turn, Watch

OPTIONS = EngineOptions(n_ctx=1024, threads=1, parallel=4)
GONE, OTHER = 7, 2
TURN: Turn = (TextSegment(text="# Query:\nHello\n\n# Answer:\n"),)
ANSWER = TokenSegment(ids=(5, 6, 7))
NOT_LOADED = ("This model is not loaded any more.", "Load it again.")


def asked(model: int = MODEL, **more: Any) -> Generate:
    return Generate(
        id=0, model=model, preamble=(TextSegment(text="Hi. "),), turns=(TURN,), max_tokens=9, **more
    )


@pytest.fixture
def wire(endless_gguf: Path, tmp_path: Path) -> Iterator[Wire]:
    """A worker from which a model was unloaded that it had beside another one."""
    with Wire(tmp_path, endless_gguf, OPTIONS) as wire:
        load(wire, endless_gguf, GONE)
        assert wire.run(Unload(id=0, model=GONE)).one(Unloaded)
        yield wire


def load(wire: Wire, path: Path, handle: int, purpose: Purpose = "chat") -> Loaded:
    command = LoadModel(id=0, model=handle, path=str(path), options=OPTIONS, purpose=purpose)
    return wire.run(command).one(Loaded)


@pytest.mark.parametrize(
    "command",
    [
        PreparePreamble(id=0, model=GONE, preamble=TURN),
        Tokenize(id=0, model=GONE, turns=(TURN,)),
        ReadVocabulary(id=0, model=GONE),
        asked(GONE),
        asked(GONE, together=True),
        asked(GONE, samples=3),
        asked(watch=Watch(model=GONE, same_ids=True)),
        Trace(id=0, model=GONE, preamble=(), turns=(TURN,), answer=(ANSWER,)),
        ScoreBoth(id=0, aligned=GONE, base=MODEL, context=TURN, answer=ANSWER),
        ScoreBoth(id=0, aligned=MODEL, base=GONE, context=TURN, answer=ANSWER),
        ScoreSide(id=0, model=GONE, context=TURN, answer=ANSWER),
        ScoreStored(id=0, model=GONE, context=TURN, answer=ANSWER, rows="/nowhere"),
    ],
    ids=lambda command: type(command).__name__,
)
def test_a_command_to_a_model_that_is_gone_fails_alone(wire: Wire, command: Any) -> None:
    before = wire.run(asked()).one(Finished)
    beside, refused = wire.send(asked(together=True)), wire.send(command)
    others, failed = wire.wait(beside, refused)
    assert [(event.message, event.hint) for event in failed.all(Failed)] == [NOT_LOADED]
    assert len(failed) == 1
    assert others.one(Finished)
    assert wire.run(asked()).one(Finished).ids == before.ids


def test_a_handle_that_is_in_use_is_refused_and_keeps_its_model(
    wire: Wire, llama_gguf: Path
) -> None:
    before = wire.run(asked()).one(Finished)
    again = wire.run(LoadModel(id=0, model=MODEL, path=str(llama_gguf), options=OPTIONS))
    assert "handle" in again.one(Failed).message
    assert wire.run(asked()).one(Finished).ids == before.ids


def test_a_load_that_fails_takes_no_handle(wire: Wire, endless_gguf: Path, tmp_path: Path) -> None:
    missing = LoadModel(id=0, model=OTHER, path=str(tmp_path / "none.gguf"), options=OPTIONS)
    assert "is not there" in wire.run(missing).one(Failed).message
    load(wire, endless_gguf, OTHER)
    assert wire.run(asked(OTHER)).one(Finished).ids == wire.run(asked()).one(Finished).ids


def test_unloading_twice_and_what_was_never_loaded_is_no_error(wire: Wire) -> None:
    for handle in (GONE, 99, MODEL, MODEL):
        assert wire.run(Unload(id=0, model=handle)).one(Unloaded)
    assert wire.run(asked()).one(Failed).message == NOT_LOADED[0]


def test_models_share_the_weights_of_any_other_and_outlive_it(
    wire: Wire, endless_gguf: Path, recurrent_gguf: Path
) -> None:
    expected = wire.run(asked()).one(Finished)
    load(wire, recurrent_gguf, OTHER)
    third, fourth = load(wire, endless_gguf, 3), load(wire, endless_gguf, 4, "base")
    assert third.info.content == fourth.info.content == wire.info.content
    assert expected.ids == wire.run(asked(3)).one(Finished).ids
    wire.run(Unload(id=0, model=MODEL))
    wire.run(Unload(id=0, model=3))
    assert expected.ids == wire.run(asked(4)).one(Finished).ids
    assert wire.run(asked(OTHER)).one(Finished).ids


def test_each_of_several_models_has_a_pool_of_its_own(wire: Wire, llama_gguf: Path) -> None:
    load(wire, llama_gguf, OTHER)
    alone = [wire.run(asked(model, together=True)) for model in (MODEL, OTHER)]
    both = wire.wait(*[wire.send(asked(model, together=True)) for model in (MODEL, OTHER)])
    for one, other in zip(alone, both, strict=True):
        assert one.one(Finished).ids == other.one(Finished).ids


def test_a_vocabulary_that_was_read_aside_is_the_same(wire: Wire, llama_gguf: Path) -> None:
    def told(model: int) -> VocabularyRead:
        read = wire.run(ReadVocabulary(id=0, model=model)).one(VocabularyRead)
        return msgspec.structs.replace(read, id=0)

    plain = told(MODEL)
    load(wire, llama_gguf, OTHER, "watched")
    assert told(MODEL) == plain
    assert told(MODEL) == plain, "and once more"
    assert len(told(OTHER).pieces) == len(plain.pieces)


def test_a_model_is_not_compared_with_its_own_context(wire: Wire, endless_gguf: Path) -> None:
    itself = ScoreBoth(id=0, aligned=MODEL, base=MODEL, context=TURN, answer=ANSWER)
    assert "the same loaded model" in wire.run(itself).one(Failed).message
    load(wire, endless_gguf, OTHER, "base")
    twice = msgspec.structs.replace(itself, base=OTHER, same_ids=True)
    scores = PositionScores.from_bytes(wire.run(twice).one(Scored).scores)
    assert not scores.kl_aligned_base.any()


def test_a_model_does_not_read_along_what_it_writes(wire: Wire) -> None:
    watched = asked(watch=Watch(model=MODEL, same_ids=True))
    assert "read along" in wire.run(watched).one(Failed).message
    assert wire.run(asked()).one(Finished).generated


def test_a_model_that_writes_itself_can_read_another_one_along(
    wire: Wire, endless_gguf: Path
) -> None:
    load(wire, endless_gguf, OTHER)
    events = wire.run(asked(watch=Watch(model=OTHER, same_ids=True)))
    ranks = [rank for event in events.all(Shifts) for rank in event.ranks]
    assert ranks == [1] * events.one(Finished).generated
