"""What an answer depends on, and the seeds that answers are drawn with."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from tests.evaluate.runs import ITEMS, TERMS
from urial_tui.engine.wire.values import MOST_SEEDS, Sampling
from urial_tui.evaluate.items import Item

OTHER: dict[str, Any] = {
    "numerics": 3,
    "library": "another build",
    "content": "n",
    "adapter": "l",
    "context": "d",
    "kv_type": "q8_0",
    "n_ctx": 2048,
    "gpu_layers": 1,
    "sampling": Sampling(top_k=41),
    "seed": 0,
    "max_tokens": 301,
    "parallel": 2,
}


@pytest.mark.parametrize("name", TERMS.__struct_fields__)
def test_a_key_depends_on_every_term(name: str) -> None:
    changed = msgspec.structs.replace(TERMS, **{name: OTHER[name]})
    assert changed.key(ITEMS[0]) != TERMS.key(ITEMS[0])


def test_a_key_depends_on_the_bytes_of_all_turns_and_on_the_id() -> None:
    turns = [("a",), ("a", ""), ("", "a"), ("a ",), ("a\r\n",), ("a\n",), ("\udc80",), ("é",)]
    turns += [("e\u0301",), ("a", "b"), ("ab",), ("b", "a")]
    items = [Item(id=1, turns=each) for each in turns]
    items += [Item(id="1", turns=("a",)), Item(id=2, turns=("a",))]
    assert len({TERMS.key(item) for item in items}) == len(items)


def test_a_key_does_not_depend_on_what_is_not_shown_to_the_model() -> None:
    item = Item(id=1, turns=("a",), category="safety", dataset="d", references=("r",))
    assert TERMS.key(item) == TERMS.key(Item(id=1, turns=("a",)))


def test_nothing_is_drawn_without_a_seed() -> None:
    assert TERMS.drawn(ITEMS[0], 0).seed is None


def test_seeds_follow_from_the_run_the_item_and_the_turn() -> None:
    seeds = {
        msgspec.structs.replace(TERMS, seed=seed).drawn(Item(id=id_, turns=("a",)), turn).seed
        for seed in (0, 1)
        for id_ in (1, "1", 2)
        for turn in (0, 1)
    }
    assert len(seeds) == 12
    assert all(seed is not None and 0 <= seed < MOST_SEEDS for seed in seeds)
    # Written down, so that a change of the rule is seen: SHA-256 of "[0, 1, 0]", by hand.
    drawn = msgspec.structs.replace(TERMS, seed=0).drawn(Item(id=1, turns=("a",)), 0)
    assert drawn.seed == 2_524_134_834
