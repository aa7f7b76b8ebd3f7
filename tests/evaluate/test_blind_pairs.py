"""Which pairs a person is shown, in which order, and whose answer is at the left."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.evaluate.blind import FIRST, SECOND, by_id, output, run_files, runs
from tests.evaluate.judged import answer, written
from urial_tui.evaluate.blind_file import new_seed
from urial_tui.evaluate.blind_pairs import arranged, read_shared, shared_items
from urial_tui.evaluate.items import EvaluateError
from urial_tui.evaluate.outputs import AnsweredTurn

SEEDS = st.integers(0, 2**53 - 1)


class TestShared:
    def test_what_both_have_answered_is_judged_and_the_rest_is_counted(self) -> None:
        first = by_id([output(number, FIRST) for number in (1, 2, "b", 4)])
        second = by_id([output(number, SECOND) for number in ("b", 1, 5, 2)])
        asked = AnsweredTurn(instruction="Something else?", output="Yes.")
        second["2"] = msgspec.structs.replace(second["2"], exchanges=(asked,))
        shared = shared_items(first, second)
        assert [pair.first.id for pair in shared.pairs] == [1, "b"]
        assert (shared.alone, shared.otherwise) == (2, 1)
        assert shared.left_out == (
            "Left out: 2 items that only one of the two has answered, and 1 item of which they "
            "were asked another thing."
        )

    def test_an_id_is_the_same_as_text_and_as_a_number(self) -> None:
        first, second = by_id([output(1, FIRST)]), by_id([output("1", SECOND)])
        assert len(shared_items(first, second).pairs) == 1
        assert not shared_items(first, second).left_out

    def test_all_turns_have_to_be_the_same(self) -> None:
        turns = [AnsweredTurn(instruction=f"{n}?", output="So.") for n in range(2)]
        one = msgspec.structs.replace(output(1, FIRST), exchanges=tuple(turns))
        other = msgspec.structs.replace(output(1, SECOND), exchanges=tuple(turns[:1]))
        with pytest.raises(EvaluateError, match="no item that both 'llama, urial-k3' and 'llama"):
            shared_items(by_id([one]), by_id([other]))

    def test_keys_go_by_what_is_judged(self) -> None:
        first, second = by_id([output(1, FIRST)]), by_id([output(1, SECOND)])
        (pair,) = shared_items(first, second).pairs
        (turned,) = shared_items(second, first).pairs
        assert pair.key == turned.key
        changed = by_id([output(1, SECOND, "Another one.")])
        assert shared_items(first, changed).pairs[0].key != pair.key

    def test_files_are_read(self, tmp_path: Path) -> None:
        shared = read_shared(*run_files(tmp_path, 3))
        assert (shared.first, shared.second, len(shared.pairs)) == (FIRST, SECOND, 3)


class TestRefused:
    def refusal(self, first: Path, second: Path) -> str:
        with pytest.raises(EvaluateError) as caught:
            read_shared(first, second)
        assert caught.value.hint.startswith(("Choose ", "Name ", "It needs ", "Take one "))
        return caught.value.message

    def test_a_file_beside_itself(self, tmp_path: Path) -> None:
        first, _ = run_files(tmp_path, 3)
        link = tmp_path / "link.json"
        link.symlink_to(first)
        assert "Both runs are the file" in self.refusal(first, link)

    def test_runs_of_one_name(self, tmp_path: Path) -> None:
        first, _ = run_files(tmp_path, 1)
        other = written(tmp_path / "x.json", [answer(1, "Else.", FIRST)])
        assert "Both runs are called 'llama, urial-k3'" in self.refusal(first, other)

    def test_what_is_no_file_of_one_run(self, tmp_path: Path) -> None:
        first, _ = run_files(tmp_path, 1)
        assert "There is no file" in self.refusal(first, tmp_path / "none.json")
        empty = written(tmp_path / "empty.json", [])
        assert "has no answer" in self.refusal(first, empty)
        mixed = written(tmp_path / "mixed.json", [answer(1, "A."), answer(1, "B.", "gemma")])
        assert "holds answers of 2 generators" in self.refusal(first, mixed)
        twice = written(tmp_path / "twice.json", [answer(1, "A."), answer(1, "B.")])
        assert "has the id of record 1" in self.refusal(first, twice)
        other = written(tmp_path / "other.json", [{"eval_config": {}}])
        assert "is no output of a model" in self.refusal(first, other)
        broken = tmp_path / "broken.json"
        broken.write_text("[{")
        assert "is no JSON list" in self.refusal(first, broken)

    def test_runs_over_other_items(self, tmp_path: Path) -> None:
        first, _ = run_files(tmp_path, 2)
        other = written(tmp_path / "other.json", [answer(99, "A.")])
        assert "There is no item that both" in self.refusal(first, other)


class TestArranged:
    @given(SEEDS, st.integers(1, 25))
    def test_each_run_is_at_the_left_as_often_as_the_other(self, seed: int, count: int) -> None:
        shown = arranged(runs(count).pairs, seed, {})
        assert sorted(one.pair.first.id for one in shown) == list(range(count))
        swapped = sum(one.swapped for one in shown)
        assert abs(2 * swapped - count) <= 1
        for one in shown:
            sides = (one.left.generator, one.right.generator)
            assert sides == ((SECOND, FIRST) if one.swapped else (FIRST, SECOND))

    def test_the_seed_alone_decides(self) -> None:
        pairs = runs(12).pairs
        assert arranged(pairs, 3, {}) == arranged(pairs[::-1], 3, {})
        orders = {
            tuple((one.pair.first.id, one.swapped) for one in arranged(pairs, seed, {}))
            for seed in range(50)
        }
        assert len(orders) == 50

    def test_each_place_and_each_side_is_as_likely_as_any_other(self) -> None:
        pairs = runs(3).pairs
        first_shown: Counter[object] = Counter()
        swapped: Counter[object] = Counter()
        for seed in range(3000):
            for at, one in enumerate(arranged(pairs, seed, {})):
                first_shown[one.pair.first.id] += at == 0
                swapped[one.pair.first.id] += one.swapped
        # Four standard deviations of 3,000 draws.
        assert all(abs(count - 1000) < 104 for count in first_shown.values())
        assert all(abs(count - 1500) < 110 for count in swapped.values())

    def test_seeds_are_drawn_anew(self) -> None:
        assert len({new_seed() for _ in range(20)}) == 20

    @given(SEEDS, st.integers(1, 12), st.integers(1, 12), st.data())
    def test_what_was_shown_stays_as_it_was_and_new_pairs_even_it_out(
        self, seed: int, before: int, more: int, data: st.DataObject
    ) -> None:
        pairs = runs(before + more).pairs
        old = arranged(pairs[:before], seed, {})
        shown = {one.pair.key: one.swapped for one in old}
        some = data.draw(st.sets(st.sampled_from(sorted(shown))))
        shown = {key: swap for key, swap in shown.items() if key in some}
        now = arranged(pairs, seed, shown)
        assert all(one.swapped == shown[one.pair.key] for one in now if one.pair.key in shown)
        swapped, fixed = sum(one.swapped for one in now), sum(shown.values())
        forced = max(fixed, len(shown) - fixed)
        assert abs(2 * swapped - len(pairs)) <= max(1, 2 * forced - len(pairs))


def test_hostile_texts_have_a_key(tmp_path: Path) -> None:
    """Half a character can't be encoded, and may stand in a file all the same."""
    path = tmp_path / "x.json"
    path.write_text(json.dumps([answer(1, "\U0001f600\x1b[2J\u202e")]))
    other = written(tmp_path / "y.json", [answer(1, "", "gemma")])
    (pair,) = read_shared(path, other).pairs
    assert len(pair.key) == 64
