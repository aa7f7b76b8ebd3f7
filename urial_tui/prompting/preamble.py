"""Preamble files: finding and reading them.

A preamble is one TOML file, named after its stem. What loads is sound (`soundness` has what that
means); what is not is refused, with the key that is wrong.
"""

from __future__ import annotations

import difflib
import os
import re
from pathlib import Path
from typing import Literal

import msgspec

from urial_tui import paths
from urial_tui.engine.wire.protocol import Rules
from urial_tui.errors import PreambleError
from urial_tui.files import is_file, read_text, reason
from urial_tui.prompting.soundness import check_sound, mistake
from urial_tui.sanitize import sanitize_line

Method = Literal["urial", "zero-shot", "vanilla-icl", "rules", "retrieval"]
Origin = Literal["shipped", "user"]

MAX_BYTES = 256 * 1024
"""A longer file is refused: it would fill any context and is most likely not a preamble."""


_PUBLISHED = re.compile(r"\A\s*# (?:Instruction|Query:)[ \t]*\n")
"""How a published text starts; TOML takes the line for a comment."""


class _Table(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A table of a preamble file."""


class PromptFormat(_Table, frozen=True, kw_only=True):
    """How turns are written and where an answer ends.

    `system`, `query` and `answer` are templates around `{system}`, `{query}` and
    `{answer}`. An answer ends before any string of `stop`, and at a line that holds only
    `fence` (see `engine.wire.protocol.StopRules`); one of the two is given.
    """

    query: str
    answer: str
    system: str = ""
    stop: tuple[str, ...] = ()
    fence: str = ""


class Example(_Table, frozen=True, kw_only=True):
    """A query and the answer that shows the style.

    `follows`: it goes on with the example before it, as a second turn does. `query_format`,
    `answer_format`: the templates that it is written in, where these are not the format's.
    """

    query: str
    answer: str
    follows: bool = False
    query_format: str = ""
    answer_format: str = ""


class Retrieval(_Table, frozen=True, kw_only=True):
    """Where the examples of each question come from.

    `index`: the name of an index (`retrieval_index`). `k`: how many are shown. `most_words`:
    longest answer of one; a longer one is cut behind a sentence. `embedding`: the model that made
    the index; "" where it is one of words (BM25).
    """

    index: str
    k: int = 3
    most_words: int = 300
    embedding: str = ""


class Preamble(_Table, frozen=True, kw_only=True):
    """A checked preamble. Texts carry no white space at their ends; templates are verbatim.

    `rules`: what is added to the logits while an answer is written under it. `retrieval`: its
    examples are those of a pool that are most like the question.
    """

    name: str
    title: str
    description: str
    method: Method
    format: PromptFormat
    system: str = ""
    examples: tuple[Example, ...] = ()
    rules: Rules | None = None
    retrieval: Retrieval | None = None

    def trimmed(self) -> Preamble:
        """Without white space at the ends of its texts.

        Multi-line strings end with a newline that belongs to the file and not to the text.
        """
        return msgspec.structs.replace(
            self,
            system=self.system.strip(),
            examples=tuple(
                msgspec.structs.replace(
                    example, query=example.query.strip(), answer=example.answer.strip()
                )
                for example in self.examples
            ),
        )


class PreambleEntry(msgspec.Struct, frozen=True, kw_only=True):
    """A file among the preambles: `preamble`, or else `error`, the sentence that says why not."""

    name: str
    path: Path
    origin: Origin
    preamble: Preamble | None = None
    error: str = ""


def load_preamble(path: Path) -> Preamble:
    """Read and check one preamble file.

    Raises:
        PreambleError: The file can't be read, is not TOML, has an unknown, missing or
            mistyped key, or is unsound; the text names the file and the key.
    """
    preamble = read_preamble(path)
    check_sound(preamble, path)
    return preamble


def read_preamble(path: Path) -> Preamble:
    """Read one preamble file, whether it is sound or not.

    Raises:
        PreambleError: The file can't be read, is not TOML, or has an unknown, missing or
            mistyped key; the text names the file and the key.
    """
    return parse_preamble(_read(path), path)


def parse_preamble(text: str, path: Path) -> Preamble:
    """The preamble that a text of TOML is; `path` is what errors call it.

    Raises:
        PreambleError: As `read_preamble`.
    """
    try:
        return msgspec.toml.decode(text, type=Preamble).trimmed()
    except msgspec.ValidationError as error:
        raise mistake(path, _in_toml_terms(str(error))) from error
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise PreambleError(
            f"The preamble {_shown(path)} is not valid TOML: {sanitize_line(str(error))}.",
            f"It looks like a text of URIAL's authors: `urial prompts import {_shown(path)}` makes "
            "a preamble of it."
            if _PUBLISHED.search(text)
            else "Correct the file at that place.",
        ) from error


def find_preamble(name_or_path: str) -> Preamble:
    """Load a preamble by its name, or by a path (a separator in it, or `.toml` at its end).

    The user's file wins where a shipped one has the same name, also when it is damaged.

    Raises:
        PreambleError: There is no such preamble, or its file is unsound.
    """
    return load_preamble(preamble_path(name_or_path))


def preamble_path(name_or_path: str) -> Path:
    """The file of a preamble, by its name or by a path, which need not be there.

    Raises:
        PreambleError: There is no preamble of that name.
    """
    separators = {os.sep, os.altsep or os.sep}
    if name_or_path.endswith(".toml") or separators & set(name_or_path):
        return paths.typed_path(name_or_path)
    files = _files()
    if name_or_path in files:
        return files[name_or_path][0]
    if is_file(paths.typed_path(name_or_path)):
        raise PreambleError(
            f"There is no preamble named '{sanitize_line(name_or_path)}', but a file.",
            "A preamble is a TOML file, named by a path or with its .toml; `urial prompts import` "
            "makes one of a text that URIAL's authors publish.",
        )
    close = difflib.get_close_matches(name_or_path.lower(), files, n=3, cutoff=0.5)
    raise PreambleError(
        f"There is no preamble named '{sanitize_line(name_or_path)}'.",
        f"Did you mean {' or '.join(sanitize_line(name) for name in close)}?"
        if close
        else "`urial prompts list` shows those there are.",
    )


def list_preambles() -> list[PreambleEntry]:
    """Every preamble that `find_preamble` finds by name, in the order of the names.

    Raises:
        PreambleError: The user's directory can't be read.
    """
    entries = []
    for name, (path, origin) in sorted(_files().items()):
        try:
            entry = PreambleEntry(name=name, path=path, origin=origin, preamble=load_preamble(path))
        except PreambleError as error:
            entry = PreambleEntry(name=name, path=path, origin=origin, error=str(error))
        entries.append(entry)
    return entries


def _files() -> dict[str, tuple[Path, Origin]]:
    """The preamble files by name; later directories win. Hidden files are editors' own."""
    found: dict[str, tuple[Path, Origin]] = {}
    directories: tuple[tuple[Path, Origin], ...] = (
        (paths.shipped_prompts_dir(), "shipped"),
        (paths.user_prompts_dir(), "user"),
    )
    for directory, origin in directories:
        try:
            names = os.listdir(directory)  # noqa: PTH208  # names suffice, and errors surface here
        except FileNotFoundError:
            continue
        except OSError as error:
            raise PreambleError(
                f"The directory {_shown(directory)} can't be read: {error.strerror}.",
                "It has to be a directory that you may read, or not exist at all.",
            ) from error
        for name in names:
            if name.endswith(".toml") and not name.startswith("."):
                found[name.removesuffix(".toml")] = (directory / name, origin)
    return found


def _read(path: Path) -> str:
    try:
        return read_text(path, MAX_BYTES)
    except OSError as error:
        raise PreambleError(
            f"The preamble {_shown(path)} can't be read: {reason(error)}.",
            "Check the path, or choose another; `urial prompts list` shows those there are.",
        ) from error


def _in_toml_terms(message: str) -> str:
    """A validation message with keys instead of JSON paths."""
    message = message.replace("Object", "The file", 1)
    return re.sub(r" - at `\$\.?(.*)`$", lambda m: f" (at {m[1]})" if m[1] else "", message)


def _shown(path: Path) -> str:
    return sanitize_line(str(path))
