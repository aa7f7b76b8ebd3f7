"""Preamble files: finding, reading and writing them.

A preamble is one TOML file, named after its stem. What loads is sound (`soundness` has what that
means); what is not is refused, with the key that is wrong. What is written can be read again,
without loss.
"""

from __future__ import annotations

import difflib
import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import msgspec

from urial_tui import paths
from urial_tui.engine.wire.values import Rules
from urial_tui.errors import PreambleError, UsageError
from urial_tui.files import NewFile, is_file, make_directory, read_text, reason
from urial_tui.prompting.preamble import Preamble
from urial_tui.prompting.soundness import check_sound, mistake
from urial_tui.sanitize import sanitize_line

PreambleOrigin = Literal["shipped", "user"]

MAX_BYTES = 256 * 1024
"""A longer file is refused: it would fill any context and is most likely not a preamble."""

_PUBLISHED = re.compile(r"\A\s*# (?:Instruction|Query:)[ \t]*\n")
"""How a published text starts; TOML takes the line for a comment."""

_NEEDS_ESCAPES = re.compile("'''|[\x00-\x08\x0b-\x1f\x7f]")
"""What can't stand in a literal string of several lines."""


class PreambleEntry(msgspec.Struct, frozen=True, kw_only=True):
    """A file among the preambles: `preamble`, or else `error`, the sentence that says why not."""

    name: str
    path: Path
    origin: PreambleOrigin
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
    return parse_preamble(_text_of(path), path)


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


def _files() -> dict[str, tuple[Path, PreambleOrigin]]:
    """The preamble files by name; later directories win. Hidden files are editors' own."""
    found: dict[str, tuple[Path, PreambleOrigin]] = {}
    directories: tuple[tuple[Path, PreambleOrigin], ...] = (
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


def _text_of(path: Path) -> str:
    try:
        return read_text(path, MAX_BYTES)
    except OSError as error:
        raise PreambleError(
            f"The preamble {_shown(path)} can't be read: {reason(error)}.",
            "Check the path, or choose another; `urial prompts list` shows those there are.",
        ) from error


def _in_toml_terms(message: str) -> str:
    """A validation message with keys instead of JSON paths."""
    for said, meant in (
        (r"^Object missing required field (`.*?`)", r"there is no key \1"),
        (r"^Object contains unknown field (`.*?`)", r"the key \1 is none of a preamble"),
    ):
        message = re.sub(said, meant, message)
    return re.sub(r" - at `\$\.?(.*)`$", lambda m: f" (at {m[1]})" if m[1] else "", message)


def _shown(path: Path) -> str:
    return sanitize_line(str(path))


# -- writing ---------------------------------------------------------------------------


def toml_text(preamble: Preamble) -> str:
    """The file's text; `parse_preamble` makes the same preamble of it."""
    return "\n".join(_lines(preamble))


def write_preamble_file(path: Path, text: str, *, replace: bool = False) -> None:
    """Write a file of a preamble, in one step; its directory is made where it is missing.

    Raises:
        UsageError: There is one, and `replace` is not given.
        PreambleError: It can't be written.
    """
    try:
        make_directory(path.absolute().parent)
        with NewFile(path, private=False) as new:
            new.file.write(text.encode("utf-8"))
            new.sync()
            if replace:
                new.put()
            else:
                new.put_if_free()
    except FileExistsError as error:
        raise UsageError(
            f"{sanitize_line(str(path))} is there already.", "--force replaces it."
        ) from error
    except OSError as error:
        raise PreambleError(
            f"{sanitize_line(str(path))} can't be written: {reason(error)}.",
            "Choose another place with --out.",
        ) from error


def _lines(preamble: Preamble) -> Iterator[str]:
    for key in ("name", "title", "description", "method"):
        yield f"{key} = {_one_line(getattr(preamble, key))}"
    if preamble.system:
        yield f"\nsystem = {_text(preamble.system)}"
    form = preamble.format
    yield "\n[format]"
    for key in ("system", "query", "answer"):
        if key != "system" or form.system:
            yield f"{key} = {_template(getattr(form, key))}"
    if form.stop:
        yield "stop = ["
        yield from (f"    {_one_line(stop)}," for stop in form.stop)
        yield "]"
    if form.fence:
        yield f"fence = {_one_line(form.fence)}"
    if preamble.rules is not None:
        yield "\n[rules]"
        yield from rules_lines(preamble.rules, "rules.")
    if preamble.retrieval is not None:
        retrieval = preamble.retrieval
        yield "\n[retrieval]"
        yield f"index = {_one_line(retrieval.index)}"
        yield f"k = {retrieval.k}"
        yield f"most_words = {retrieval.most_words}"
        yield f"embedding = {_one_line(retrieval.embedding)}"
    for example in preamble.examples:
        yield "\n[[examples]]"
        if example.follows:
            yield "follows = true"
        for key in ("query_format", "answer_format"):
            if template := getattr(example, key):
                yield f"{key} = {_template(template)}"
        yield f"query = {_text(example.query)}"
        yield f"answer = {_text(example.answer)}"
    yield ""


def rules_lines(rules: Rules, table: str = "") -> Iterator[str]:
    """The lines of rules; `table`: that of which they are, up to its dot."""
    yield f"end_bias = {rules.end_bias!r}"
    yield f"end_tokens = {rules.end_tokens}"
    yield f"repeat_bias = {rules.repeat_bias!r}"
    for shift in rules.shifts:
        yield f"\n[[{table}shifts]]"
        yield f"texts = [{', '.join(map(_one_line, shift.texts))}]"
        yield f"bias = {shift.bias!r}"


def _text(text: str) -> str:
    """A text whose white space at its ends does not count."""
    return _one_line(text) if _NEEDS_ESCAPES.search(text) else f"'''\n{text}\n'''"


def _template(text: str) -> str:
    """A text that counts to the character."""
    # A quote at the end would be taken for one of those that close the string.
    if _NEEDS_ESCAPES.search(text) or text.endswith("'"):
        return _one_line(text)
    return f"'''\n{text}'''"


def _one_line(text: str) -> str:
    # JSON's escapes are TOML's, but for DEL, which TOML wants escaped.
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
