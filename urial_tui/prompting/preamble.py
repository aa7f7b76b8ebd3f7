"""Preamble files: finding, reading and checking them.

A preamble is one TOML file, named after its stem. What loads is sound: its format has
every placeholder once, its turns can be cut at line starts (so that text tokenised in
pieces gives the tokens of the whole), and its stop rules end each of its examples where
the example ends, no earlier and no later. A file that would teach the model something
that the stop rules then cut away is refused, with the key that is wrong.
"""

from __future__ import annotations

import difflib
import os
import re
from pathlib import Path
from typing import Literal

import msgspec

from urial_tui import paths
from urial_tui.errors import PreambleError
from urial_tui.files import read_text, reason
from urial_tui.prompting.render import fill
from urial_tui.prompting.stops import answer_end, format_rules
from urial_tui.sanitize import quoted, sanitize_line

Method = Literal["urial", "zero-shot", "vanilla-icl"]
Origin = Literal["shipped", "user"]

MAX_BYTES = 256 * 1024
"""A longer file is refused: it would fill any context and is most likely not a preamble."""

_NAME = re.compile(r"[a-z0-9]+(?:[.-][a-z0-9]+)*")


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
    """A query and the answer that shows the style."""

    query: str
    answer: str


class Preamble(_Table, frozen=True, kw_only=True):
    """A checked preamble. Texts carry no white space at their ends; templates are verbatim."""

    name: str
    title: str
    description: str
    method: Method
    format: PromptFormat
    system: str = ""
    examples: tuple[Example, ...] = ()


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
    try:
        preamble = msgspec.toml.decode(_read(path), type=Preamble)
    except msgspec.ValidationError as error:
        raise _mistake(path, _in_toml_terms(str(error))) from error
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise PreambleError(
            f"The preamble {_shown(path)} is not valid TOML: {sanitize_line(str(error))}.",
            "Correct the file at that place.",
        ) from error
    preamble = _trimmed(preamble)
    _check_names(preamble, path)
    _check_method(preamble, path)
    _check_templates(preamble, path)
    _check_stops(preamble, path)
    return preamble


def find_preamble(name_or_path: str) -> Preamble:
    """Load a preamble by its name, or by a path (a separator in it, or `.toml` at its end).

    The user's file wins where a shipped one has the same name, also when it is damaged.

    Raises:
        PreambleError: There is no such preamble, or its file is unsound.
    """
    separators = {os.sep, os.altsep or os.sep}
    if name_or_path.endswith(".toml") or separators & set(name_or_path):
        return load_preamble(paths.typed_path(name_or_path))
    files = _files()
    if name_or_path in files:
        return load_preamble(files[name_or_path][0])
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


def _trimmed(preamble: Preamble) -> Preamble:
    """Multi-line strings end with a newline that belongs to the file and not to the text."""
    return msgspec.structs.replace(
        preamble,
        system=preamble.system.strip(),
        examples=tuple(
            Example(query=example.query.strip(), answer=example.answer.strip())
            for example in preamble.examples
        ),
    )


def _check_names(preamble: Preamble, path: Path) -> None:
    if not _NAME.fullmatch(preamble.name):
        raise _mistake(
            path,
            f"name is {quoted(preamble.name)}, but may only hold lower-case letters, digits, "
            "and single dots or dashes between them",
        )
    if preamble.name != path.stem:
        raise _mistake(
            path,
            f"name is {quoted(preamble.name)}, but the file is called {quoted(path.name)}",
            f"Rename the file to {preamble.name}.toml, or change the name in it.",
        )
    for key in ("title", "description"):
        text = getattr(preamble, key)
        if not text.strip() or "\n" in text:
            raise _mistake(path, f"{key} has to be one line of text")


def _check_method(preamble: Preamble, path: Path) -> None:
    if preamble.method == "urial" and not preamble.system:
        raise _mistake(path, "system is empty, but the method urial needs a system text")
    if preamble.method != "urial" and preamble.system:
        raise _mistake(path, f"system is given, but the method {preamble.method} has none")
    if preamble.method == "zero-shot" and preamble.examples:
        raise _mistake(path, "examples are given, but the method zero-shot has none")
    if preamble.method == "vanilla-icl" and not preamble.examples:
        raise _mistake(path, "examples are missing, but the method vanilla-icl needs them")
    for number, example in enumerate(preamble.examples, 1):
        for key in ("query", "answer"):
            if not getattr(example, key):
                raise _mistake(path, f"{key} of example {number} is empty")


def _check_templates(preamble: Preamble, path: Path) -> None:
    """Each placeholder once, and every cut between two pieces of text at a line start.

    Tokenisers merge across a cut within a line or between two newlines, so that the
    tokens of a conversation would depend on how it was cut.
    """
    form = preamble.format
    for key in ("system", "query", "answer"):
        template: str = getattr(form, key)
        if key == "system" and not (preamble.system or template):
            continue
        if template.count("{" + key + "}") != 1:
            raise _mistake(path, f"format.{key} has to hold {{{key}}} exactly once")
        if template.startswith("\n"):
            raise _mistake(
                path,
                f"format.{key} starts with an empty line",
                "Put the empty line at the end of the template that comes before it.",
            )
    if form.system and not form.system.endswith("\n"):
        raise _mistake(path, "format.system has to end with a newline")
    head, _, tail = form.answer.partition("{answer}")
    if not (form.query.partition("{query}")[2] + head).endswith("\n"):
        raise _mistake(path, "{answer} in format.answer has to start a line")
    if not (tail.startswith("\n") and tail.endswith("\n")):
        raise _mistake(path, "format.answer needs a newline after {answer} and at its end")


def _check_stops(preamble: Preamble, path: Path) -> None:
    """Each example's answer, followed by a next turn, ends exactly where it ends."""
    form = preamble.format
    if not form.stop and not form.fence:
        raise _mistake(path, "format.stop and format.fence are both empty, so no answer ends")
    if "" in form.stop or any(not stop.strip() for stop in form.stop):
        raise _mistake(path, "format.stop holds an empty string")
    if form.fence and (form.fence != form.fence.strip() or "\n" in form.fence):
        raise _mistake(path, "format.fence has to be one line without white space around it")
    rules = format_rules(form)
    close = form.answer.partition("{answer}")[2]
    answers = {f"example {number}": e.answer for number, e in enumerate(preamble.examples, 1)}
    for place, answer in (answers or {"an answer": "Yes."}).items():
        end = answer_end(answer + close + fill(form.query, "{query}", "Why?"), rules)
        if end is None:
            raise _mistake(
                path,
                "format.stop matches nothing between an answer and the next query, "
                "so no answer ends",
                "Make a stop string of the text that follows {answer} and starts the query.",
            )
        if end < len(answer):
            raise _mistake(
                path,
                f"the answer of {place} would be cut by the file's own stop rules "
                f"in front of {answer[end : end + 20]!r}",
                "Change the answer or the stop rules.",
            )
        if end > len(answer):
            raise _mistake(
                path,
                "format.stop leaves a part of the format in the answer: "
                f"{(answer + close)[len(answer) : end]!r}",
                "Add a stop string that starts right after {answer}, in front of the others.",
            )


def _mistake(path: Path, what: str, hint: str = "") -> PreambleError:
    return PreambleError(
        f"The preamble {_shown(path)} holds a mistake: {sanitize_line(what)}.",
        hint or "Correct that key; docs/preambles.md describes the format.",
    )


def _in_toml_terms(message: str) -> str:
    """A validation message with keys instead of JSON paths."""
    message = message.replace("Object", "The file", 1)
    return re.sub(r" - at `\$\.?(.*)`$", lambda m: f" (at {m[1]})" if m[1] else "", message)


def _shown(path: Path) -> str:
    return sanitize_line(str(path))
