"""Votes as rows of their table."""

from __future__ import annotations

import sqlite3
from typing import Any

import msgspec

from urial_tui.chat.turns import possible_time
from urial_tui.chat.votes import Contestant, Vote
from urial_tui.engine.wire.values import Sampling

_COLUMNS = (
    "id, created, question_id, left_id, right_id, left_model, left_preamble,"
    " right_model, right_preamble, sampling, max_tokens, blind, choice"
)
READ = f"SELECT {_COLUMNS} FROM votes ORDER BY id"
"""Reads all votes, oldest first, for `vote_from`."""


def insert(connection: sqlite3.Connection, vote: Vote) -> None:
    """Write a vote, inside the caller's transaction."""
    sides = (vote.left.model, vote.left.preamble, vote.right.model, vote.right.preamble)
    connection.execute(
        f"INSERT INTO votes ({_COLUMNS}) VALUES ({', '.join('?' * 13)})",
        (
            vote.id,
            vote.created,
            vote.question_id,
            vote.left_id,
            vote.right_id,
            # Names of undecodable command lines can't be written as they are.
            *(name.encode("utf-8", "replace").decode() for name in sides),
            msgspec.json.encode(vote.sampling).decode(),
            vote.max_tokens,
            vote.blind,
            vote.choice,
        ),
    )


def vote_from(row: tuple[Any, ...]) -> Vote:
    """The vote of a row that `READ` gave."""
    vote_id, created, question, left, right, *names, sampling, max_tokens, blind, choice = row
    try:
        read = msgspec.json.decode(sampling, type=Sampling)
    except (msgspec.DecodeError, TypeError):
        # A foreign document costs what is known of the sampling, never the vote.
        read = Sampling()
    return Vote(
        id=vote_id,
        created=possible_time(created),
        question_id=question,
        left_id=left,
        right_id=right,
        left=Contestant(*names[:2]),
        right=Contestant(*names[2:]),
        sampling=read,
        max_tokens=max_tokens,
        blind=bool(blind),
        choice=choice,
    )
