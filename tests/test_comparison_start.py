"""Which two sides a comparison starts with."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from urial_tui import paths
from urial_tui.chat.session import Conversation
from urial_tui.chat.turns import TurnRecord
from urial_tui.compare.comparison_start import for_conversation, for_model, second_for
from urial_tui.compare.side_choice import SideChoice
from urial_tui.prompting.preamble import Example, Preamble
from urial_tui.prompting.preamble_file import find_preamble
from urial_tui.prompting.retrieving import retrieving_preamble

BASE, ALIGNED = "gemma-3-270m", "gemma-3-270m-sft"


@pytest.fixture
def here(home: Path) -> None:
    """The base model's file is there, and so is the adapter that comes with the program."""
    paths.models_dir().mkdir(parents=True)
    (paths.models_dir() / "gemma-3-270m-q4_k_m.gguf").write_bytes(b"GGUF")


def talk(model: str, preamble: Preamble) -> Conversation:
    """A question and its answer."""
    conversation = Conversation.new(None)
    parent = None
    for number, (role, text) in enumerate((("user", "Why?"), ("assistant", "So.")), start=1):
        conversation.tree.put(
            TurnRecord(
                id=number,
                conversation_id=conversation.record.id,
                parent_id=parent,
                role=role,  # type: ignore[arg-type]
                text=text,
                created=float(number),
                model=model,
                preamble=preamble.name,
                stop_reason="eos",
            )
        )
        parent = number
    return conversation


def pair(start_base: SideChoice, start_aligned: SideChoice) -> tuple[tuple[str, str], ...]:
    return tuple((side.model, side.context) for side in (start_base, start_aligned))


@pytest.mark.parametrize("preamble", ["zero-shot", "urial-k1"])
@pytest.mark.parametrize("model", [BASE, ALIGNED])
def test_each_model_of_a_pair_stands_on_its_own_side(here: None, model: str, preamble: str) -> None:
    start = for_model(model, find_preamble(preamble))
    assert pair(start.base, start.aligned) == ((BASE, "zero-shot"), (ALIGNED, "chat"))


@pytest.mark.parametrize(
    ("preamble", "barer"),
    [("urial-k1", "zero-shot"), ("zero-shot", "raw"), ("urial-k0", "zero-shot")],
)
def test_no_model_is_compared_with_itself_in_one_context(preamble: str, barer: str) -> None:
    chosen = find_preamble(preamble)
    start = for_model("/some/model.gguf", chosen)
    assert pair(start.base, start.aligned) == (
        ("/some/model.gguf", barer),
        ("/some/model.gguf", preamble),
    )
    start = for_conversation(talk("/some/model.gguf", chosen), chosen)
    assert pair(start.base, start.aligned) == (
        ("/some/model.gguf", barer),
        ("/some/model.gguf", preamble),
    )
    second = second_for("/some/model.gguf", chosen)
    assert (second.model, second.context) == ("/some/model.gguf", barer)


def test_the_answer_of_an_aligned_model_is_set_against_its_base_model(here: None) -> None:
    chosen = find_preamble("zero-shot")
    start = for_conversation(talk(ALIGNED, chosen), chosen)
    assert pair(start.base, start.aligned) == ((BASE, "zero-shot"), (ALIGNED, "zero-shot"))


def test_what_the_chat_ranks_on_is_the_base_side(here: None) -> None:
    second = SideChoice(model=ALIGNED, context="chat")
    chosen = find_preamble("urial-k1")
    start = for_conversation(talk(BASE, chosen), chosen, second)
    assert start.base == second
    assert pair(start.base, start.aligned)[1] == (BASE, "urial-k1")


def test_an_answer_takes_its_examples_along_and_their_lack_is_told(home: Path) -> None:
    preamble = retrieving_preamble("facts")
    conversation = talk("tiny", preamble)
    assert "not known" in for_conversation(conversation, preamble).note
    answered = conversation.leaf
    assert answered is not None
    examples = (Example(query="Where?", answer="Here."),)
    conversation.tree.update(msgspec.structs.replace(answered, examples=examples))
    start = for_conversation(conversation, preamble)
    assert start.note == ""
    assert start.subject is not None
    assert start.subject.examples_of(preamble) == examples
    assert start.subject.examples_of(retrieving_preamble("others")) is None
