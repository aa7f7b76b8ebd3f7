"""What a preamble has to be, so that it can work at all.

Its format has every placeholder once, its turns can be cut at line starts (so that text tokenised
in pieces gives the tokens of the whole), and its stop rules end each of its examples where the
example ends, no earlier and no later. A file that would teach the model something that the stop
rules then cut away is refused, with the key that is wrong.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from urial_tui.errors import PreambleError
from urial_tui.prompting.preamble import Example, Preamble, PromptFormat
from urial_tui.prompting.render import answer_template, fill, query_template
from urial_tui.prompting.rules import rules_mistake
from urial_tui.prompting.stops import answer_end, format_rules
from urial_tui.sanitize import quoted, sanitize_line

NAME = re.compile(r"[a-z0-9]+(?:[.-][a-z0-9]+)*")
"""What a preamble may be called."""

MOST_EXAMPLES, MOST_WORDS = 64, 2000
"""Of what is retrieved: examples, and words of the answer of one."""


def check_sound(preamble: Preamble, path: Path) -> None:
    """Refuse what can't work; `path` is the file that it was read from.

    Raises:
        PreambleError: It is unsound; the text names the file and the key.
    """
    _check_names(preamble, path)
    _check_method(preamble, path)
    _check_templates(preamble, path)
    _check_stops(preamble, path)


def mistake(path: Path, what: str, hint: str = "") -> PreambleError:
    """What is told of a file that holds a mistake."""
    return PreambleError(
        f"The preamble {sanitize_line(str(path))} holds a mistake: {sanitize_line(what)}.",
        hint or "Correct that key; docs/preambles.md describes the format.",
    )


def _check_names(preamble: Preamble, path: Path) -> None:
    if not NAME.fullmatch(preamble.name):
        raise mistake(
            path,
            f"name is {quoted(preamble.name)}, but may only hold lower-case letters, digits, "
            "and single dots or dashes between them",
        )
    if preamble.name != path.stem:
        raise mistake(
            path,
            f"name is {quoted(preamble.name)}, but the file is called {quoted(path.name)}",
            f"Rename the file to {preamble.name}.toml, or change the name in it.",
        )
    for key in ("title", "description"):
        text = getattr(preamble, key)
        if not text.strip() or "\n" in text:
            raise mistake(path, f"{key} has to be one line of text")


def _check_method(preamble: Preamble, path: Path) -> None:
    method, examples = preamble.method, preamble.examples
    if method == "urial" and not preamble.system:
        raise mistake(path, "system is empty, but the method urial needs a system text")
    if method not in ("urial", "retrieval") and preamble.system:
        raise mistake(path, f"system is given, but the method {method} has none")
    if method in ("zero-shot", "rules", "retrieval") and examples:
        raise mistake(path, f"examples are given, but the method {method} has none")
    if method == "vanilla-icl" and not examples:
        raise mistake(path, "examples are missing, but the method vanilla-icl needs them")
    if (method == "retrieval") != (preamble.retrieval is not None):
        what = "is missing" if method == "retrieval" else "is given"
        raise mistake(path, f"the table retrieval {what}, and the method is {method}")
    _check_retrieval(preamble, path)
    if method == "rules" and preamble.rules is None:
        raise mistake(path, "rules are missing, but the method rules needs them")
    if preamble.rules is not None and (what := rules_mistake(preamble.rules)):
        raise mistake(path, f"rules.{what}")
    for number, example in enumerate(examples, 1):
        for key in ("query", "answer"):
            if not getattr(example, key):
                raise mistake(path, f"{key} of example {number} is empty")
        if example.follows and number == 1:
            raise mistake(path, "example 1 can't follow another one")


def _check_retrieval(preamble: Preamble, path: Path) -> None:
    retrieval = preamble.retrieval
    if retrieval is None:
        return
    if not NAME.fullmatch(retrieval.index):
        raise mistake(
            path, f"retrieval.index is {quoted(retrieval.index)}, which no index is called"
        )
    for key, most in (("k", MOST_EXAMPLES), ("most_words", MOST_WORDS)):
        if not 1 <= getattr(retrieval, key) <= most:
            raise mistake(path, f"retrieval.{key} has to be a number from 1 to {most:,}")
    if retrieval.embedding != retrieval.embedding.strip():
        raise mistake(path, "retrieval.embedding has white space around it")


def _check_templates(preamble: Preamble, path: Path) -> None:
    """Each placeholder once, and every cut between two pieces of text at a line start.

    Tokenisers merge across a cut within a line or between two newlines, so that the
    tokens of a conversation would depend on how it was cut. Examples are one piece with all that
    is in front of them, so that their own templates may be cut anywhere.
    """
    form = preamble.format
    for key in ("system", "query", "answer"):
        template: str = getattr(form, key)
        if key == "system" and not (preamble.system or template):
            continue
        _check_placeholder(template, f"format.{key}", key, path)
        if template.startswith("\n"):
            raise mistake(
                path,
                f"format.{key} starts with an empty line",
                "Put the empty line at the end of the template that comes before it.",
            )
    if form.system and not form.system.endswith("\n"):
        raise mistake(path, "format.system has to end with a newline")
    head, _, tail = form.answer.partition("{answer}")
    if not (form.query.partition("{query}")[2] + head).endswith("\n"):
        raise mistake(path, "{answer} in format.answer has to start a line")
    if not (tail.startswith("\n") and tail.endswith("\n")):
        raise mistake(path, "format.answer needs a newline after {answer} and at its end")
    for number, example in enumerate(preamble.examples, 1):
        for key in ("query", "answer"):
            if template := getattr(example, f"{key}_format"):
                _check_placeholder(template, f"{key}_format of example {number}", key, path)
    if preamble.examples and not answer_template(preamble.examples[-1], form).endswith("\n"):
        raise mistake(path, "answer_format of the last example has to end with a newline")


def _check_placeholder(template: str, where: str, key: str, path: Path) -> None:
    if template.count("{" + key + "}") != 1:
        raise mistake(path, f"{where} has to hold {{{key}}} exactly once")


def _check_stops(preamble: Preamble, path: Path) -> None:
    """Each example's answer, followed by a next turn, ends exactly where it ends."""
    form = preamble.format
    if not form.stop and not form.fence:
        raise mistake(path, "format.stop and format.fence are both empty, so no answer ends")
    if "" in form.stop or any(not stop.strip() for stop in form.stop):
        raise mistake(path, "format.stop holds an empty string")
    if form.fence and (form.fence != form.fence.strip() or "\n" in form.fence):
        raise mistake(path, "format.fence has to be one line without white space around it")
    rules = format_rules(form)
    for place, answer, behind, own in _answers(preamble.examples, form):
        end = answer_end(answer + behind, rules)
        if end is None:
            raise mistake(
                path,
                "format.stop matches nothing between an answer and the next query, "
                "so no answer ends",
                "Make a stop string of the text that follows {answer} and starts the query.",
            )
        if end < len(answer):
            raise mistake(
                path,
                f"the answer of {place} would be cut by the file's own stop rules "
                f"in front of {answer[end : end + 20]!r}",
                "Change the answer or the stop rules.",
            )
        # White space of its own is no part of what a turn's answer ends with.
        if end > len(answer) and not (own and not behind[: end - len(answer)].strip()):
            raise mistake(
                path,
                "format.stop leaves a part of the format in the answer: "
                f"{behind[: end - len(answer)]!r}",
                "Add a stop string that starts right after {answer}, in front of the others.",
            )


class _Answer(NamedTuple):
    """An answer, and what stands behind it; `own`: in a template of its own."""

    place: str
    answer: str
    behind: str
    own: bool


def _answers(examples: Sequence[Example], form: PromptFormat) -> list[_Answer]:
    """Those of the examples; where there are none, that of a turn."""
    turn = fill(form.query, "{query}", "Why?")
    if not examples:
        return [
            _Answer("an answer", "Yes.", form.answer.partition("{answer}")[2] + turn, own=False)
        ]
    queries = [fill(query_template(one, form), "{query}", one.query) for one in examples]
    return [
        _Answer(
            f"example {number}",
            one.answer,
            answer_template(one, form).partition("{answer}")[2] + behind,
            own=bool(one.answer_format),
        )
        for number, (one, behind) in enumerate(zip(examples, (*queries[1:], turn), strict=True), 1)
    ]
