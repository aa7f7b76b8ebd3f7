"""Which examples are looked for in the answers of a run: those that they were written behind."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from urial_tui import paths
from urial_tui.evaluate.outputs import AnsweredTurn, Output, ShownPreamble
from urial_tui.evaluate.shown_preamble import PreamblesByContent, known_preambles, shown_preamble
from urial_tui.prompting.preamble_file import find_preamble

K3 = find_preamble("urial-k3")
K1 = find_preamble("urial-k1")


def output(preamble: ShownPreamble | None, id_: int = 1) -> Output:
    turn = AnsweredTurn(instruction="?", output="!")
    return Output(id=id_, exchanges=(turn,), generator="llama", preamble=preamble)


def test_a_preamble_is_found_by_its_examples_whatever_it_is_called() -> None:
    renamed = msgspec.structs.replace(K3, name="mine", title="Mine", system="Another text.")
    told = shown_preamble(K3)
    assert told is not None
    found = PreamblesByContent([K1, renamed]).of([output(told), output(told, 2)])
    assert (found.name, found.preamble) == ("urial-k3", renamed)


def test_one_that_was_edited_under_its_name_is_not_taken_for_it() -> None:
    edited = msgspec.structs.replace(K3, examples=K3.examples[:2])
    found = PreamblesByContent([edited]).of([output(shown_preamble(K3))])
    assert (found.name, found.preamble) == ("urial-k3", None)


@pytest.mark.parametrize("name", ["zero-shot", "rules"])
def test_one_without_examples_is_not_told(name: str) -> None:
    assert shown_preamble(find_preamble(name)) is None


def test_the_untold_one_counts_for_answers_that_tell_of_none() -> None:
    known = PreamblesByContent([K3], untold=K1)
    assert known.of([output(None)]).preamble == K1
    assert known.of([output(shown_preamble(K3))]).preamble == K3
    assert PreamblesByContent([K3]).of([output(None)]).preamble is None


def test_answers_under_two_preambles_have_none_in_common() -> None:
    both = [output(shown_preamble(K3)), output(shown_preamble(K1), 2)]
    assert PreamblesByContent([K3, K1]).of(both).preamble is None
    assert PreamblesByContent([K3], untold=K1).of([both[0], output(None, 2)]).preamble is None


def test_those_of_this_machine_are_known(home: Path) -> None:
    assert known_preambles().of([output(shown_preamble(K3))]).preamble == K3
    directory = paths.user_prompts_dir()
    directory.parent.mkdir(parents=True, exist_ok=True)
    directory.write_text("a file in the place of the directory")
    assert known_preambles().of([output(shown_preamble(K3))]).preamble is None
