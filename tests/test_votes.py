"""Votes between two answers: kept as they were cast, and counted honestly."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from urial_tui import paths
from urial_tui.chat.schema import MIGRATIONS
from urial_tui.chat.store import Store
from urial_tui.chat.turns import ConversationRecord, Role, TurnRecord, new_id
from urial_tui.chat.votes import Contestant, Vote, VotedFor, tally, tally_of
from urial_tui.cli import main as cli
from urial_tui.engine.wire.values import Sampling
from urial_tui.errors import StoreError

K3 = Contestant("gemma", "urial-k3")
ZERO = Contestant("gemma", "zero-shot")
SFT = Contestant("gemma-sft", "zero-shot")


@pytest.fixture
def store(home: Path) -> Iterator[Store]:
    with Store() as opened:
        yield opened


def vote(
    choice: VotedFor, left: Contestant = K3, right: Contestant = ZERO, blind: bool = True
) -> Vote:
    return Vote(
        id=new_id(),
        created=1_700_000_000.0,
        question_id=None,
        left_id=None,
        right_id=None,
        left=left,
        right=right,
        sampling=Sampling(temperature=0.7, seed=7),
        max_tokens=512,
        blind=blind,
        choice=choice,
    )


def voted_on(store: Store) -> tuple[ConversationRecord, Vote]:
    """A stored question with two answers, and a vote on them."""
    head = ConversationRecord(
        id=new_id(), title="T", created=1.0, updated=1.0, model="gemma", preamble="urial-k3"
    )

    def turn(role: Role, parent: int | None = None) -> TurnRecord:
        return TurnRecord(
            id=new_id(),
            conversation_id=head.id,
            parent_id=parent,
            role=role,
            text=role,
            created=1.0,
            stop_reason=None if role == "user" else "stop",
        )

    question = turn("user")
    answers = turn("assistant", question.id), turn("assistant", question.id)
    store.add_question(head, question)
    for answer in answers:
        store.save_answer(answer)
    cast = msgspec.structs.replace(
        vote("left"), question_id=question.id, left_id=answers[0].id, right_id=answers[1].id
    )
    store.add_vote(cast)
    return head, cast


class TestKeeping:
    def test_a_vote_comes_back_with_every_field(self, store: Store) -> None:
        _, cast = voted_on(store)
        assert store.votes() == [cast]

    def test_votes_come_back_oldest_first(self, store: Store) -> None:
        cast = [vote("left"), vote("tie"), vote("neither", blind=False)]
        for each in cast:
            store.add_vote(each)
        assert store.votes() == cast

    def test_a_vote_is_not_cast_twice(self, store: Store) -> None:
        _, cast = voted_on(store)
        with pytest.raises(StoreError):
            store.add_vote(msgspec.structs.replace(cast, choice="right"))
        assert store.votes() == [cast]

    @pytest.mark.parametrize(
        "change", ["choice = 'right'", "blind = 0", "left_model = 'other'", "created = 1"]
    )
    def test_a_vote_is_not_rewritten(self, store: Store, change: str) -> None:
        voted_on(store)
        with (
            contextlib.closing(sqlite3.connect(store.path)) as raw,
            pytest.raises(sqlite3.IntegrityError, match="not rewritten"),
        ):
            raw.execute(f"UPDATE votes SET {change}")

    def test_a_vote_outlives_its_conversation(self, store: Store) -> None:
        head, cast = voted_on(store)
        store.delete(head.id)
        store.purge(older_than=-1.0)
        assert store.turns(head.id) == []
        assert store.votes() == [
            msgspec.structs.replace(cast, question_id=None, left_id=None, right_id=None)
        ]

    def test_damaged_sampling_costs_no_vote(self, store: Store) -> None:
        cast = vote("left")
        with contextlib.closing(sqlite3.connect(store.path)) as raw, raw:
            raw.execute(
                "INSERT INTO votes VALUES (?, ?, NULL, NULL, NULL, 'gemma', 'urial-k3',"
                " 'gemma', 'zero-shot', '{', 512, 1, 'left')",
                (cast.id, cast.created),
            )
        assert store.votes() == [msgspec.structs.replace(cast, sampling=Sampling())]

    def test_a_name_that_is_no_unicode_can_be_voted_for(self, store: Store) -> None:
        store.add_vote(vote("left", left=Contestant("bad\udcff", "urial-k3")))
        assert [each.left.model for each in store.votes()] == ["bad?"]

    def test_an_older_database_learns_to_keep_votes(self, tmp_path: Path) -> None:
        path = tmp_path / "old.db"
        before = [each.__name__ for each in MIGRATIONS].index("_votes")
        with contextlib.closing(sqlite3.connect(path)) as raw, raw:
            for migration in MIGRATIONS[:before]:
                migration(raw)
            raw.execute(f"PRAGMA user_version = {before}")
        with Store(path) as store:
            store.add_vote(vote("right"))
            assert len(store.votes()) == 1


class TestCounting:
    def test_sides_are_told_apart_wherever_they_stood(self) -> None:
        cast = [vote("left"), vote("right", left=ZERO, right=K3), vote("right"), vote("tie")]
        (counted,) = tally(cast)
        assert (counted.first, counted.second) == (K3, ZERO)
        assert (counted.first_better, counted.second_better, counted.ties) == (2, 1, 1)

    def test_the_one_with_more_votes_comes_first(self) -> None:
        (counted,) = tally([vote("right"), vote("neither")])
        assert (counted.first, counted.second, counted.neither) == (ZERO, K3, 1)

    def test_blind_votes_are_counted_apart(self) -> None:
        cast = [vote("left"), vote("left"), vote("right", blind=False)]
        assert [(t.blind, t.first_better) for t in tally(cast)] == [(True, 2), (False, 1)]
        found = tally_of(cast, ZERO, K3, blind=False)
        assert found is not None
        assert (found.first, found.votes) == (ZERO, 1)

    def test_pairs_are_counted_apart(self) -> None:
        cast = [vote("left"), vote("left", right=SFT), vote("left", right=SFT)]
        assert [t.second for t in tally(cast)] == [SFT, ZERO]
        assert tally_of(cast, ZERO, SFT, blind=True) is None

    def test_a_contestant_does_not_beat_itself(self) -> None:
        assert tally([vote("left", right=K3)]) == []


class TestCommand:
    def test_no_votes_is_a_hint(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert cli.run(["votes"]) == 0
        assert "sets two answers side by side" in capsys.readouterr().out

    def test_a_table_of_the_pairs(self, store: Store, capsys: pytest.CaptureFixture[str]) -> None:
        for choice in ("left", "left", "tie", "right", "left", "left", "left", "neither"):
            store.add_vote(vote(choice))
        assert cli.run(["votes"]) == 0
        _, row = capsys.readouterr().out.splitlines()
        assert row.split() == [
            *("5", ":", "1", "gemma/urial-k3", "gemma/zero-shot", "1", "1", "yes", "0.22")
        ]

    def test_the_document(self, store: Store, capsys: pytest.CaptureFixture[str]) -> None:
        _, cast = voted_on(store)
        store.add_vote(vote("neither", left=SFT, blind=False))
        assert cli.run(["votes", "--json"]) == 0
        document: dict[str, Any] = json.loads(capsys.readouterr().out)
        assert document["pairs"][0] == {
            "first": {"model": "gemma", "preamble": "urial-k3"},
            "second": {"model": "gemma", "preamble": "zero-shot"},
            "blind": True,
            "votes": 1,
            "first_better": 1,
            "second_better": 0,
            "ties": 0,
            "neither": 0,
            "p_value": 1.0,
        }
        first, second = document["votes"]
        assert (first["choice"], first["sampling"]["temperature"]) == ("left", 0.7)
        assert first["time"] == "2023-11-14T22:13:20+00:00"
        # As `urial chats` names them: strings, since readers of JSON round such numbers.
        assert first["question"] == str(cast.question_id)
        assert first["answers"] == {"left": str(cast.left_id), "right": str(cast.right_id)}
        assert (second["answers"], second["blind"]) == ({"left": None, "right": None}, False)

    def test_an_unreadable_database_is_one_sentence(
        self, home: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        paths.database_file().parent.mkdir(parents=True)
        paths.database_file().write_bytes(b"no database at all " * 100)
        assert cli.run(["votes"]) == 1
        assert capsys.readouterr().err.startswith("urial: The database")
