"""`urial prompts index`: a pool of examples, from which each question gets its own."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from urial_tui.cli.names import FILE, NAME
from urial_tui.cli.numbers import Whole
from urial_tui.cli.preamble_place import check_name

if TYPE_CHECKING:
    from urial_tui.prompting.pool import Pair
    from urial_tui.prompting.retrieval_index import IndexHeader


@click.command()
@click.argument("pool", type=FILE, metavar="POOL.jsonl")
@click.option(
    "--name", type=NAME, metavar="NAME", help="What it is called.  [default: after the file]"
)
@click.option("-k", type=Whole(1, 64), metavar="K", help="Examples of a question.  [default: 3]")
@click.option(
    "--most-words",
    type=Whole(1, 2000),
    metavar="N",
    help="Longest answer of an example; longer ones are cut behind a sentence.  [default: 300]",
)
@click.option(
    "--like",
    type=NAME,
    metavar="PREAMBLE",
    help="Take the format and the system text of this preamble.  [default: vanilla-icl]",
)
@click.option(
    "--embedding",
    type=NAME,
    metavar="MODEL",
    help="Find what is alike by the vectors of this embedding model, not by words.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def index(
    pool: Path,
    name: str | None,
    k: int | None,
    most_words: int | None,
    like: str | None,
    embedding: str | None,
    as_json: bool,
) -> None:
    """Have each question get its own examples of a pool.

    The pairs of POOL.jsonl, a query and an answer on each line, are indexed, and a preamble is
    written: `urial ask -p NAME` has in front of each question the K pairs whose queries are most
    like it, by their words (BM25) or by an embedding model. Run again on a pool that has changed,
    it replaces the index; of the preamble, what is not named stays.
    """
    import msgspec

    from urial_tui import paths
    from urial_tui.cli.output import print_json
    from urial_tui.errors import PreambleError, UsageError
    from urial_tui.files import is_file, is_there
    from urial_tui.prompting.pool import read_pool
    from urial_tui.prompting.preamble_file import load_preamble, toml_text, write_preamble_file
    from urial_tui.prompting.published import name_for
    from urial_tui.prompting.retrieval_index import forget_begun, index_path, write_index
    from urial_tui.prompting.retrieving import retrieving_preamble
    from urial_tui.sanitize import sanitize_line
    from urial_tui.wording import amount

    chosen = name or name_for(pool)
    if not chosen:
        raise UsageError("No name can be made of the file's name.", "Choose one with --name.")
    check_name(chosen)
    place = paths.user_prompts_dir() / f"{chosen}.toml"
    if is_there(paths.shipped_prompts_dir() / place.name):
        raise UsageError(
            f"The program has a preamble named {chosen}.", "Choose another name with --name."
        )
    before = load_preamble(place) if is_there(place) else None
    if before is not None and before.retrieval is None:
        raise UsageError(
            f"There is a preamble named {chosen} that has its own examples.",
            "Choose another name with --name.",
        )
    found = read_pool(pool)
    preamble = retrieving_preamble(chosen, before, like=like, k=k, most_words=most_words)
    assert preamble.retrieval is not None
    # What an index was made by stays with it, unless another is named.
    model = embedding or preamble.retrieval.embedding
    if model:
        # A preamble is used from other directories, too.
        if is_file(paths.typed_path(model)):
            model = str(paths.typed_path(model).absolute())
        preamble = msgspec.structs.replace(
            preamble, retrieval=msgspec.structs.replace(preamble.retrieval, embedding=model)
        )
        header = _embedded(chosen, found.pairs, model)
    else:
        header = write_index(chosen, found.pairs)
        # What an embedding model had begun for it, nobody will go on with.
        forget_begun(chosen)
    try:
        write_preamble_file(place, toml_text(preamble), replace=True)
    except PreambleError as error:
        raise PreambleError(error.message, "The index is there; build it again.") from error
    for note in found.notes:
        click.echo(f"urial: {sanitize_line(note)}", err=True)
    if as_json:
        retrieval = preamble.retrieval
        assert retrieval is not None
        print_json(
            {
                "name": chosen,
                "pairs": header.pairs,
                "left_out": {what: list(lines) for what, lines in found.left_out.items()},
                "asked_again": list(found.asked_again),
                "embedding": retrieval.embedding or None,
                "k": retrieval.k,
                "most_words": retrieval.most_words,
                "preamble": str(place),
                "index": str(index_path(chosen)),
            }
        )
        return
    click.echo(
        f"Indexed {amount(header.pairs, 'pair')}. Use them with -p {chosen} "
        f"({sanitize_line(str(place))}).",
        err=True,
    )


def _embedded(name: str, pairs: Sequence[Pair], model: str) -> IndexHeader:
    """The index of an embedding model; what was embedded for it before is not embedded again."""
    from urial_tui.cli.progress_line import ProgressLine
    from urial_tui.engine.client.call import follow
    from urial_tui.engine.client.engine import Engine
    from urial_tui.engine.wire.events import EmbedProgress, Event
    from urial_tui.errors import RetrievalError
    from urial_tui.prompting.retrieval_index import (
        RetrievalIndex,
        begun_file,
        forget_begun,
        write_index,
    )
    from urial_tui.runtime.query_rows import kept_words, query_rows
    from urial_tui.runtime.retriever import named_embedder
    from urial_tui.settings import engine_options, load_settings

    begun = begun_file(name)
    try:
        known = RetrievalIndex(name)
    except RetrievalError:
        known = None
    done = 0
    with Engine() as engine, ProgressLine() as progress:

        def show(event: Event) -> None:
            nonlocal done
            if isinstance(event, EmbedProgress):
                progress.show(f"Embedding: {done + event.done:,} of {len(pairs):,}")
                done += event.total if event.done == event.total else 0

        embedder = follow(named_embedder(engine, model, engine_options(load_settings())), show)
        rows = follow(query_rows(pairs, embedder, known, begun), show)
    try:
        header = write_index(name, pairs, rows, embedder=embedder.identity, model=model)
    except RetrievalError as error:
        raise RetrievalError(error.message, f"{error.hint} {kept_words(begun)}".rstrip()) from error
    forget_begun(name)
    return header
