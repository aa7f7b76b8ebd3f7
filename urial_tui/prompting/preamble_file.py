"""A preamble as the TOML file that it can be read from again, without loss."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

from urial_tui.engine.wire.protocol import Rules
from urial_tui.errors import PreambleError, UsageError
from urial_tui.files import NewFile, make_directory, reason
from urial_tui.prompting.preamble import Preamble
from urial_tui.sanitize import sanitize_line

_NEEDS_ESCAPES = re.compile("'''|[\x00-\x08\x0b-\x1f\x7f]")
"""What can't stand in a literal string of several lines."""


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
