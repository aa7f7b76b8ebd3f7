"""Moving in the tree of turns: nothing is lost, and every move can be undone."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from urial_tui.chat.tree import TurnTree
from urial_tui.chat.turns import TurnRecord


def turn(number: int, parent: int | None) -> TurnRecord:
    role = "user" if parent is None or _depth[parent] % 2 else "assistant"
    _depth[number] = 0 if parent is None else _depth[parent] + 1
    return TurnRecord(
        id=number,
        conversation_id=1,
        parent_id=parent,
        role="user" if role == "user" else "assistant",
        text=f"turn {number}",
        created=float(number),
        stop_reason=None if role == "user" else "stop",
    )


_depth: dict[int, int] = {}


def ids(tree: TurnTree) -> list[int]:
    return [turn.id for turn in tree.path]


@pytest.fixture
def tree() -> TurnTree:
    """Question 1 with the answers 2 and 3; behind 2 the question 4 with 5 and 6, and 7."""
    _depth.clear()
    links = [(1, None), (2, 1), (3, 1), (4, 2), (5, 4), (6, 4), (7, 2)]
    return TurnTree(turn(number, parent) for number, parent in links)


def test_it_starts_at_the_newest_turn(tree: TurnTree) -> None:
    assert ids(tree) == [1, 2, 7]


def test_an_empty_tree_stands_nowhere() -> None:
    tree = TurnTree()
    assert tree.leaf is None
    assert tree.path == ()
    assert tree.exchanges == ()
    assert not tree.can_undo
    tree.undo()
    assert tree.leaf is None


def test_siblings_know_their_places(tree: TurnTree) -> None:
    assert [tree.place(turn) for turn in tree.siblings(3)] == [(1, 2), (2, 2)]
    assert [(e.question_place, e.answer_place) for e in tree.exchanges] == [
        ((1, 1), (1, 2)),
        ((2, 2), (1, 1)),
    ]


def test_a_step_goes_to_the_sibling_and_on_to_the_newest_turn_behind_it(tree: TurnTree) -> None:
    assert tree.step(7, -1)
    assert ids(tree) == [1, 2, 4, 6]
    assert not tree.step(4, -1)
    assert ids(tree) == [1, 2, 4, 6]


def test_a_branch_is_entered_as_it_was_left(tree: TurnTree) -> None:
    tree.select(5)
    assert tree.step(2, 1)
    assert ids(tree) == [1, 3]
    assert tree.step(3, -1)
    assert ids(tree) == [1, 2, 4, 5]


def test_every_move_is_undone_in_turn(tree: TurnTree) -> None:
    tree.select(5)
    tree.stand_at(1)
    tree.put(turn(8, 1))
    assert ids(tree) == [1, 8]
    tree.undo()
    assert ids(tree) == [1, 2, 4, 5]
    tree.undo()
    assert ids(tree) == [1, 2, 7]
    assert not tree.can_undo
    assert [child.id for child in tree.children(1)] == [2, 3, 8]


def test_one_can_stand_before_the_first_turn(tree: TurnTree) -> None:
    tree.stand_at(None)
    assert tree.path == ()
    tree.put(turn(8, None))
    assert ids(tree) == [8]
    assert tree.place(tree[8]) == (2, 2)


def test_an_update_moves_nothing(tree: TurnTree) -> None:
    tree.update(msgspec.structs.replace(tree[5], text="longer"))
    assert ids(tree) == [1, 2, 7]
    assert tree[5].text == "longer"
    assert [child.id for child in tree.children(4)] == [5, 6]


@given(st.lists(st.tuples(st.sampled_from("psu"), st.integers(0, 1 << 16)), max_size=40))
def test_whatever_is_done_the_path_is_a_chain_and_no_turn_goes(
    moves: list[tuple[str, int]],
) -> None:
    _depth.clear()
    tree = TurnTree([turn(1, None)])
    made = 1
    for kind, number in moves:
        chosen = number % made + 1
        if kind == "p":
            made += 1
            tree.stand_at(chosen)
            tree.put(turn(made, chosen))
        elif kind == "s":
            tree.select(chosen)
            assert chosen in ids(tree)
        else:
            tree.undo()
        path = tree.path
        assert [t.parent_id for t in path] == [None, *ids(tree)[:-1]]
    assert all(number in tree for number in range(1, made + 1))
