"""`urial chats`: the stored conversations."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from urial_tui import wording
from urial_tui.cli.names import FILE
from urial_tui.cli.numbers import COUNT

if TYPE_CHECKING:
    from collections.abc import Sequence

    from urial_tui.chat.marking import Marked
    from urial_tui.chat.search import Hit
    from urial_tui.chat.store import Store
    from urial_tui.chat.turns import ConversationRecord, TurnRecord, WholeConversation

_LISTED = 20
_AS_JSON = click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
_CHAT = click.argument("chat", metavar="ID|last")


@click.group()
def chats() -> None:
    """List, search, export and import the stored conversations.

    A conversation is named by its id, which `urial chats list` shows, or by "last".
    """


@chats.command("list")
@click.option(
    "--limit",
    type=COUNT,
    default=_LISTED,
    show_default=True,
    metavar="N",
    help="At most so many.",
)
@_AS_JSON
def list_command(limit: int, as_json: bool) -> None:
    """Show the newest conversations first."""
    from urial_tui.chat.store import Store
    from urial_tui.cli.output import TableColumn, print_json, print_table

    with Store() as store:
        records, count = store.conversations(limit), store.count()
    if as_json:
        print_json({"count": count, "conversations": [_document(one) for one in records]})
        return
    columns = (
        TableColumn("ID"),
        TableColumn("CHANGED"),
        TableColumn("TURNS", right=True, drop=1),
        TableColumn("MODEL", drop=2),
        TableColumn("PREAMBLE", drop=3),
        TableColumn("TITLE", shrink=24),
    )
    rows = [
        (
            str(one.id),
            _local_time(one.updated),
            f"{one.turns:,}",
            one.model,
            one.preamble,
            one.title or "(no title)",
        )
        for one in records
    ]
    if rows:
        print_table(columns, rows)
    newest = f" The newest {len(rows)} are shown." if count > len(rows) else ""
    click.echo(f"{_conversations(count)}.{newest}", err=True)


@chats.command("search")
@click.argument("words", nargs=-1, required=True)
@_AS_JSON
def search(words: tuple[str, ...], as_json: bool) -> None:
    """Find conversations that hold all WORDS.

    They stand in one turn, or in the title. Words are found by how they start;
    "quoted words" as they are.
    """
    from urial_tui.chat.search import Search
    from urial_tui.chat.store import Store
    from urial_tui.cli.output import print_json

    with Store() as store, Search(store.path) as searching:
        # A shell takes the quotes; an argument of several words was quoted.
        found = searching.find(" ".join(f'"{word}"' if " " in word else word for word in words))
    if as_json:
        documents = [
            _document(hit.conversation)
            | {
                "hits": hit.count,
                "turns_found": [
                    {"id": str(turn.turn_id), "role": turn.role, "excerpt": _pieces(turn.excerpt)}
                    for turn in hit.turns
                ],
            }
            for hit in found.hits
        ]
        print_json({"count": found.count, "conversations": documents})
        return
    for hit in found.hits:
        _print_hit(hit)
    newest = f" The newest {len(found.hits)} are shown." if found.count > len(found.hits) else ""
    click.echo(f"Found in {_conversations(found.count)}.{newest}", err=True)


@chats.command("show")
@_CHAT
@_AS_JSON
def show(chat: str, as_json: bool) -> None:
    """Print the turns of a conversation, as they were seen last."""
    from urial_tui.chat.export import whole_conversation
    from urial_tui.chat.store import Store
    from urial_tui.chat.tree import TurnTree
    from urial_tui.cli.output import bold, print_json
    from urial_tui.sanitize import sanitize, sanitize_line

    with Store() as store:
        whole = whole_conversation(store, find_conversation(store, chat))
    _tell_damage(whole)
    path = TurnTree(whole.turns, whole.record.leaf).path
    if as_json:
        print_json(_document(whole.record) | {"path": [_turn_document(turn) for turn in path]})
        return
    for turn in path:
        author = "You" if turn.role == "user" else sanitize_line(turn.model) or "Assistant"
        click.echo(f"{bold(author)}\n{sanitize(turn.text)}\n")


@chats.command("export")
@click.argument("chat", metavar="ID|last|all")
@click.option(
    "--format",
    "form",
    type=click.Choice(("md", "json")),
    help="md: the turns as seen last, for people. json: everything, to be imported whole."
    "  [default: by the name of FILE, else md]",
)
@click.option(
    "-o",
    "--out",
    type=FILE,
    metavar="FILE",
    help="Write this file instead of standard output.",
)
@click.option("--force", is_flag=True, help="Replace FILE if it is there.")
def export(chat: str, form: str | None, out: Path | None, force: bool) -> None:
    """Print a conversation (all: as JSON), or write it to a file."""
    from urial_tui.chat.export import exported, form_of, whole_conversation, write_file
    from urial_tui.chat.store import Store
    from urial_tui.errors import UsageError
    from urial_tui.sanitize import sanitize_line

    chosen = form or ("json" if chat == "all" and out is None else form_of(out or Path("-")))
    with Store() as store:
        if chat == "all":
            ids = [one.id for one in store.conversations(sys.maxsize)]
        else:
            ids = [find_conversation(store, chat)]
        if chat == "all" and not ids:
            raise _nothing_stored()
        wholes = [whole_conversation(store, one) for one in ids]
    for whole in wholes:
        _tell_damage(whole)
    text = exported(wholes, "json" if chosen == "json" else "md")
    if out is None:
        # UTF-8 whatever the locale says, so that the same file comes of -o and of a pipe.
        sys.stdout.flush()
        sys.stdout.buffer.write(text.encode())
        sys.stdout.buffer.flush()
        return
    try:
        write_file(out, text, replace=force)
    except FileExistsError as error:
        raise UsageError(
            f"{sanitize_line(str(out))} is there already.", "--force replaces it."
        ) from error
    click.echo(f"Wrote {sanitize_line(str(out))}.", err=True)


@chats.command("import")
@click.argument(
    "files",
    nargs=-1,
    required=True,
    type=FILE,
    metavar="FILE…",
)
@_AS_JSON
def import_command(files: tuple[Path, ...], as_json: bool) -> None:
    """Take in conversations from Markdown or JSON files.

    "-" is standard input. All are taken, or none. Nothing that is stored changes: each
    becomes a conversation of its own, but for those that are stored already.
    """
    from urial_tui.chat.export import already_stored
    from urial_tui.chat.store import Store
    from urial_tui.cli.output import print_json
    from urial_tui.sanitize import sanitize_line

    read = [whole for file in files for whole in _read(file)]
    with Store() as store:
        added = store.add(read)
    if as_json:
        print_json(
            {
                "conversations": [_document(one) for one in added.records],
                "already_stored": [_document(one) for one in added.already],
            }
        )
        return
    for one in added.records:
        click.echo(f"{one.id}  {sanitize_line(one.title) or '(no title)'}")
    if added.already:
        click.echo(already_stored(added.already), err=True)


@chats.command("rename")
@_CHAT
@click.argument("title")
@_AS_JSON
def rename(chat: str, title: str, as_json: bool) -> None:
    """Give a conversation another TITLE."""
    from urial_tui.chat.store import Store
    from urial_tui.cli.output import print_json
    from urial_tui.sanitize import sanitize_line

    with Store() as store:
        conversation_id = find_conversation(store, chat)
        kept = store.rename(conversation_id, title)
    if as_json:
        print_json({"id": str(conversation_id), "title": kept})
    else:
        click.echo(f"It is called “{sanitize_line(kept)}” now.", err=True)


@chats.command("delete")
@_CHAT
@_AS_JSON
def delete(chat: str, as_json: bool) -> None:
    """Delete a conversation; it can be restored for 30 days."""
    from urial_tui.chat.store import Store
    from urial_tui.cli.output import print_json
    from urial_tui.sanitize import sanitize_line

    with Store() as store:
        record = store.conversation(find_conversation(store, chat))
        store.delete(record.id)
    if as_json:
        print_json({"deleted": _document(record)})
    else:
        title = sanitize_line(record.title) or "(no title)"
        click.echo(
            f"Deleted “{title}”. `urial chats restore {record.id}` brings it back.", err=True
        )


@chats.command("restore")
@click.argument("chat", metavar="[ID|last]", default="last")
@_AS_JSON
def restore(chat: str, as_json: bool) -> None:
    """Bring back a deleted conversation.

    "last", or no id, is the one that was deleted last.
    """
    from urial_tui.chat.store import Store
    from urial_tui.cli.output import print_json
    from urial_tui.errors import UsageError
    from urial_tui.sanitize import sanitize_line

    with Store() as store:
        record = store.bring_back(None if chat == "last" else _id(chat))
    if record is None:
        which = "" if chat == "last" else f" {sanitize_line(chat)}"
        raise UsageError(f"There is no deleted conversation{which}.", "They are kept for 30 days.")
    if as_json:
        print_json({"restored": _document(record)})
    else:
        title = sanitize_line(record.title) or "(no title)"
        click.echo(f"“{title}” is back.", err=True)


def find_conversation(store: Store, chat: str) -> int:
    """The id of a conversation that is there."""
    from urial_tui.errors import UsageError
    from urial_tui.sanitize import sanitize_line

    if chat == "last":
        newest = store.conversations(1)
        if not newest:
            raise _nothing_stored()
        return newest[0].id
    conversation_id = _id(chat)
    if conversation_id and store.title(conversation_id) is not None:
        return conversation_id
    raise UsageError(
        f"There is no conversation {sanitize_line(chat)}.",
        "`urial chats list` shows their ids; “last” is the newest.",
    )


def _id(chat: str) -> int:
    """An id as it was typed; 0, which none has, for what can't be one."""
    typed = chat.isascii() and chat.isdigit() and len(chat) < 20
    return int(chat) if typed and int(chat) < 2**63 else 0


def _tell_damage(whole: WholeConversation) -> None:
    if whole.damage:
        click.echo(f"urial: {whole.damage}", err=True)


def _conversations(count: int) -> str:
    return wording.amount(count, "conversation")


def _nothing_stored() -> Exception:
    from urial_tui.errors import UsageError

    return UsageError("There are no conversations yet.", "Ask something first.")


def _read(file: Path) -> Sequence[WholeConversation]:
    from urial_tui.chat.export import LARGEST_FILE, imported, read_file
    from urial_tui.errors import UrialError, UsageError
    from urial_tui.files import read_stream, reason

    if str(file) != "-":
        return read_file(file)
    if sys.stdin is None:
        raise UsageError("There is no standard input.", "Name a file.")
    try:
        return imported(read_stream(sys.stdin.buffer, LARGEST_FILE))
    except OSError as error:
        raise UrialError(
            f"Standard input can't be read: {reason(error)}.", "Name a file."
        ) from error


def _document(record: ConversationRecord) -> dict[str, object]:
    return {
        "id": str(record.id),
        "title": record.title,
        "created": _utc_time(record.created),
        "updated": _utc_time(record.updated),
        "model": record.model,
        "preamble": record.preamble,
        "turns": record.turns,
    }


def _turn_document(turn: TurnRecord) -> dict[str, object]:
    return {
        "id": str(turn.id),
        "role": turn.role,
        "text": turn.text,
        "created": _utc_time(turn.created),
        "model": turn.model,
        "preamble": turn.preamble,
        "stop_reason": turn.stop_reason,
        "examples": turn.examples
        and [{"query": one.query, "answer": one.answer} for one in turn.examples],
    }


def _print_hit(hit: Hit) -> None:

    record = hit.conversation
    head = f"{record.id}  {_local_time(record.updated)}  "
    click.echo(head + (_shown(hit.title) or "(no title)"))
    for turn in hit.turns:
        author = "You" if turn.role == "user" else "Answer"
        click.echo(f"    {author}: {_shown(turn.excerpt)}")
    if hit.count > len(hit.turns):
        click.echo(f"    and {wording.amount(hit.count - len(hit.turns), 'more turn')}")


def _shown(pieces: Marked) -> str:
    """With the words in bold, where that can be seen."""
    from urial_tui.cli.output import bold
    from urial_tui.sanitize import sanitize_line

    return "".join(
        bold(sanitize_line(text)) if hit else sanitize_line(text) for text, hit in pieces
    )


def _pieces(pieces: Marked) -> list[dict[str, object]]:
    return [{"text": text, "match": hit} for text, hit in pieces]


def _local_time(seconds: float) -> str:
    from datetime import datetime

    return datetime.fromtimestamp(seconds).astimezone().strftime("%Y-%m-%d %H:%M")


def _utc_time(seconds: float) -> str:
    from datetime import UTC, datetime

    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
