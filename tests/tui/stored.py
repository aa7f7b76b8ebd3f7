"""Conversations for the tests of the screen that looks after them."""

from __future__ import annotations

from urial_tui.chat.store import Store
from urial_tui.chat.turns import ConversationRecord, TurnRecord, WholeConversation, new_id

THEN = 1.7e9
"""Long ago, so that dates are told as dates."""


def put(
    store: Store,
    title: str,
    *texts: str,
    updated: float = THEN,
    model: str = "tiny",
    preamble: str = "urial-k1",
) -> WholeConversation:
    """Store questions and answers in turn."""
    conversation_id = new_id()
    turns: list[TurnRecord] = []
    for number, text in enumerate(texts or (title, "An answer.")):
        turns.append(
            TurnRecord(
                id=new_id(),
                conversation_id=conversation_id,
                parent_id=turns[-1].id if turns else None,
                role="assistant" if number % 2 else "user",
                text=text,
                created=THEN + number,
                stop_reason="eos" if number % 2 else None,
                model=model,
                preamble=preamble,
            )
        )
    record = ConversationRecord(
        id=conversation_id,
        title=title,
        created=THEN,
        updated=updated,
        model=model,
        preamble=preamble,
        leaf=turns[-1].id,
    )
    whole = WholeConversation(record, tuple(turns))
    store.add([whole])
    return whole


def put_some(store: Store) -> list[WholeConversation]:
    """A few as people have them; the first is the newest."""
    return [
        put(
            store,
            "How do I read a file?",
            "How do I read a file?",
            "Open it with `open`, then read it line by line:\n\n```python\nwith open(name) as file:"
            "\n    for line in file:\n        print(line)\n```",
            "And a large one?",
            "The same way: a file is read line by line, so it never has to fit into memory.",
            updated=THEN + 3e5,
            model="gemma-3-270m",
            preamble="urial-k3",
        ),
        put(
            store,
            "Plan a garden",
            "What grows in the shade of a wall?",
            "Ferns, hostas and ivy grow in the shade. Water them in the evening.",
            updated=THEN + 2e5,
            model="mistral-7b",
            preamble="urial-k8",
        ),
        put(
            store,
            "[bold]Not markup[/bold] and an escape \x1b[31m sequence \u202egnihtemos",
            "Is \x1b[31mthis\x1b[0m safe to read?",
            "It is [red]shown[/red], not obeyed.",
            updated=THEN + 1e5,
        ),
        put(store, "水はどこから来ますか？", "水はどこから来ますか？", "雨から来ます。"),
    ]
