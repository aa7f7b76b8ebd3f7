"""Which conversations from elsewhere are stored already, told by what their turns say.

Ids don't tell it: a copy that found its ids taken has others. A conversation is stored already
where a stored one, not deleted, has all of its turns in the same places: the same text by the
same author at the same time, of the same model and preamble. The stored one may have gone on
since. Titles, and where one stands, are no part of it.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections import defaultdict
from collections.abc import Iterable

import msgspec

from urial_tui.chat.rows import TURNS_OF, turns_from
from urial_tui.chat.turns import TurnRecord, WholeConversation
from urial_tui.sanitize import storable

_Beginning = tuple[object, ...]

_ROOTS = (
    "SELECT conversation_id, role, text, created FROM turns WHERE parent_id IS NULL"
    " AND conversation_id IN (SELECT id FROM conversations WHERE deleted IS NULL)"
)


class AlreadyStored:
    """What the database of a connection holds, to look conversations up in.

    What is stored while it is in use has to be told by `note`.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._beginning: defaultdict[_Beginning, list[int]] = defaultdict(list)
        for conversation_id, *root in connection.execute(_ROOTS):
            self._beginning[tuple(root)].append(conversation_id)

    def find(self, whole: WholeConversation) -> int | None:
        """The id of a stored conversation with all turns of this one; None if there is none."""
        if not whole.turns:
            return None
        wanted = _placed(whole.turns)
        for conversation_id in self._beginning.get(_beginning(whole.turns[0]), ()):
            rows = self._connection.execute(TURNS_OF, (conversation_id,))
            if wanted <= _placed(turns_from(rows).turns):
                return conversation_id
        return None

    def note(self, whole: WholeConversation) -> None:
        """Remember a conversation that has just been stored."""
        for turn in whole.turns:
            if turn.parent_id is None:
                self._beginning[_beginning(turn)].append(whole.record.id)


def _beginning(turn: TurnRecord) -> _Beginning:
    return turn.role, storable(turn.text), turn.created


def _placed(turns: Iterable[TurnRecord]) -> set[bytes]:
    """A digest for each turn: of what it says, and of all that stands before it."""
    digests: dict[int | None, bytes] = {None: b""}
    for turn in turns:
        texts = tuple(map(storable, (turn.role, turn.text, turn.model, turn.preamble)))
        content = msgspec.json.encode((digests[turn.parent_id].hex(), turn.created, *texts))
        digests[turn.id] = hashlib.sha256(content).digest()
    del digests[None]
    return set(digests.values())
