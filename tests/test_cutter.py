"""What a context becomes with a model's vocabulary: as the engine puts it there."""

from __future__ import annotations

from pathlib import Path

import pytest

from urial_tui.engine.client.engine import Engine
from urial_tui.engine.client.model import Model
from urial_tui.engine.wire.events import PromptReady
from urial_tui.engine.wire.values import EngineOptions, TextSegment
from urial_tui.errors import EngineError
from urial_tui.prompting.preamble_file import find_preamble
from urial_tui.prompting.render import open_turn, preamble_text, preamble_turn
from urial_tui.prompting.token_check import check_tokens
from urial_tui.runtime.cutter import Cutter

OPTIONS = EngineOptions(n_ctx=4096, threads=1)


@pytest.fixture
def roomy(engine: Engine, llama_gguf: Path) -> Model:
    """A model whose vocabulary has characters alone, and BOS."""
    return engine.load(llama_gguf, options=OPTIONS).result()


@pytest.mark.parametrize("name", ["zero-shot", "urial-k1", "vanilla-icl"])
def test_the_tokens_are_those_that_an_answer_is_written_behind(roomy: Model, name: str) -> None:
    preamble = find_preamble(name)
    cutter = Cutter(roomy)
    query = "Où est l'😀 gare?"
    tokens = cutter.tokens(preamble, query)
    ready = roomy.prepare(preamble_turn(preamble)).result()
    call = roomy.generate(
        preamble=preamble_turn(preamble),
        turns=[(TextSegment(text=open_turn(preamble, query)),)],
        max_tokens=1,
    )
    (prompt,) = [event for event in call if isinstance(event, PromptReady)]
    before = [token for token in tokens if token.part != "turn"]
    assert ready.tokens == len(before) == cutter.cut(preamble).tokens
    (turn,) = prompt.turns
    asked = tuple(id for segment in turn for id in segment)
    assert tuple(token.id for token in tokens if token.part == "turn") == asked


def test_what_stands_in_front_is_a_control_token_and_no_text(roomy: Model) -> None:
    preamble = find_preamble("urial-k1")
    first, *rest = Cutter(roomy).tokens(preamble, "Why?")
    assert (first.part, first.control) == ("start", True)
    assert not any(token.control for token in rest)
    text = b"".join(token.data for token in rest).decode()
    # The vocabulary puts a space in front of a text.
    assert text.removeprefix(" ") == preamble_text(preamble) + open_turn(preamble, "Why?")


def test_a_control_token_that_is_typed_is_cut_as_text(roomy: Model) -> None:
    typed = Cutter(roomy).tokens(find_preamble("zero-shot"), "<s></s>")
    assert not any(token.control for token in typed if token.part == "turn")


def test_a_model_that_is_gone_is_an_error(roomy: Model) -> None:
    cutter = Cutter(roomy)
    roomy.unload().result()
    with pytest.raises(EngineError):
        cutter.cut(find_preamble("zero-shot"))


def test_without_a_preamble_no_token_reaches_over_a_cut(roomy: Model) -> None:
    plain = find_preamble("zero-shot")
    places = [finding.where for finding in check_tokens(plain, Cutter(roomy).cut(plain))]
    assert "between the preamble and a turn" not in places


def test_a_model_without_a_beginning_of_text_has_nothing_in_front(recurrent_gguf: Path) -> None:
    with Engine() as engine:
        model = engine.load(recurrent_gguf, options=OPTIONS).result()
        preamble = find_preamble("vanilla-icl")
        tokens = Cutter(model).tokens(preamble, "Why?")
        assert {token.part for token in tokens} == {"preamble", "turn"}
        text = preamble_text(preamble) + open_turn(preamble, "Why?")
        assert b"".join(token.data for token in tokens).decode() == text
