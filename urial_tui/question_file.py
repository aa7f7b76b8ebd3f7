"""The entries of a list of questions: JSON lines, or one JSON list.

What is asked is exactly what an entry says, or the entry is refused with its number and the form
that does not fit. What else an entry holds is its reader's, to use or to name.

Forms that are read, by their keys:

    query, instruction, prompt or question    the text; `input` or `context`, where it is given
                                              (Alpaca, Dolly), follows behind an empty line
    turns                                     of MT-bench
    messages, conversations                   of OpenAI and ShareGPT: questions, and what was
                                              answered to them

A system message is refused: what stands in front of a question is chosen by who asks it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from urial_tui.errors import UrialError
from urial_tui.files import read_text, reason
from urial_tui.json_text import NotJSON, key_twice, parsed
from urial_tui.sanitize import quoted, sanitize_line, storable

MAX_QUESTIONS_BYTES = 256 * 1024 * 1024
TEXT_KEYS = ("query", "instruction", "prompt", "question")
NAMED_KEYS = 8
"""Keys that a sentence names."""
MORE_KEYS = ("input", "context")
"""What a question is about, apart from it."""
ANSWER_KEYS = ("output", "response", "answer")
"""What was answered to a text, beside it."""
ID_KEYS = ("id", "question_id")
_MESSAGE_FORMS = {"messages": "OpenAI's messages", "conversations": "ShareGPT's conversations"}
_ROLES = {"role": "content", "from": "value"}
"""Who speaks, and what is said: the keys of OpenAI's and of ShareGPT's messages."""
_ASKING, _ANSWERING = ("user", "human"), ("assistant", "gpt")


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What an entry asks under one of its keys.

    `turns`: each asked once the one before was answered; none is empty. `answers`: what the entry
    has as the answer to each, "" where it has none; empty where it has none at all. `used`: the
    keys that this is made of.
    """

    key: str
    turns: tuple[str, ...]
    answers: tuple[str, ...] = ()
    used: frozenset[str]


class QuestionEntry:
    """One entry of a list.

    Args:
        value: What stands there; a text alone is a question.
        number: Its number, from 1.
        shown: The file's name, as it is shown.
        error: The kind of the errors that are raised.
    """

    def __init__(self, value: Any, number: int, shown: str, error: type[UrialError]) -> None:
        self.value: Mapping[str, Any] = _object_of(value)
        self.number = number
        self._shown = shown
        self._error = error

    @property
    def forms(self) -> tuple[str, ...]:
        """The keys under which it asks something; where it has a text, that comes first."""
        texts = [key for key in TEXT_KEYS if isinstance(self.value.get(key), str)]
        others = ("turns", *_MESSAGE_FORMS)
        return (*texts, *(key for key in others if self.value.get(key) is not None))

    def asked(self, form: str | None = None) -> Asked:
        """What it asks under one of its `forms`, else under the first.

        Raises:
            UrialError: It asks nothing that can be asked.
        """
        key = form or next(iter(self.forms), "")
        if key == "turns":
            asked = self._turns()
        elif key in _MESSAGE_FORMS:
            asked = self._messages(key)
        elif key:
            asked = self._text(key)
        else:
            keys = ", ".join(quoted(key, 40) for key in list(self.value)[:NAMED_KEYS])
            raise self.refused(
                "has no question" + (f" (its keys are {keys})" if keys else ""),
                f"It needs a text under one of the keys {', '.join(TEXT_KEYS)}.",
            )
        if any(not turn.strip() for turn in asked.turns):
            raise self.refused("has an empty question", "Write it, or take the entry out.")
        return asked

    @property
    def id(self) -> int | str | None:
        """What it is called; None where it has no id.

        Raises:
            UrialError: Its id is something else than a text or a whole number.
        """
        for key in ID_KEYS:
            value = self.value.get(key)
            if isinstance(value, str | int) and not isinstance(value, bool) and value != "":
                return storable(value) if isinstance(value, str) else value
            if value is not None and value != "":
                raise self.refused(
                    f"has an id that is neither text nor a whole number: {quoted(value, 40)}",
                    "Correct it, or leave it out.",
                )
        return None

    def refused(self, what: str, hint: str) -> UrialError:
        """The error that refuses it; `what` goes on after its number and the file's name."""
        return self._error(f"Entry {self.number} of {self._shown} {what}.", hint)

    def _text(self, key: str) -> Asked:
        about = {more: text for more in MORE_KEYS if isinstance(text := self.value.get(more), str)}
        parts = [str(self.value[key]), *(text for text in about.values() if text.strip())]
        # An empty question stays one, whatever it would be about.
        text = "\n\n".join(parts) if parts[0].strip() else ""
        return Asked(key=key, turns=(storable(text),), used=frozenset({key, *about}))

    def _turns(self) -> Asked:
        turns = self.value["turns"]
        if not isinstance(turns, list) or not turns or not _are_texts(turns):
            raise self.refused(
                "has turns (the form of MT-bench) that are not a list of texts",
                'They look like {"turns": ["...", "..."]}.',
            )
        return Asked(
            key="turns", turns=tuple(storable(turn) for turn in turns), used=frozenset({"turns"})
        )

    def _messages(self, key: str) -> Asked:
        messages = self.value[key]
        said = [_said(message) for message in messages] if isinstance(messages, list) else []
        turns: list[str] = []
        answers: list[str] = []
        for number, (speaker, text) in enumerate(said):
            if text is None or speaker not in (_ANSWERING if number % 2 else _ASKING):
                turns.clear()
                break
            (answers if number % 2 else turns).append(storable(text))
        if not turns:
            found = ", ".join(quoted(speaker, 20) for speaker, _ in said[:4])
            raise self.refused(
                f"has {_MESSAGE_FORMS[key]} of {found or 'no form that is known'}, and only texts "
                "of a user, each but the last with its answer, can be asked",
                "Take the others out, or write what you want to ask as "
                '"query" (of one question) or "turns".',
            )
        answers += [""] * (len(turns) - len(answers))
        return Asked(
            key=key,
            turns=tuple(turns),
            answers=tuple(answers) if any(answers) else (),
            used=frozenset({key}),
        )


def read_entries(path: Path, error: type[UrialError]) -> Iterator[QuestionEntry]:
    """The entries of a file, in their order.

    Args:
        path: Read when the first entry is asked for.
        error: The kind of the errors that are raised, also by the entries.

    Raises:
        UrialError: The file can't be read, or is neither JSON lines nor a list.
    """
    shown = sanitize_line(str(path))
    try:
        text = read_text(path, MAX_QUESTIONS_BYTES)
    except OSError as failure:
        raise error(
            f"The questions in {shown} can't be read: {reason(failure)}.", "Name another file."
        ) from failure
    what, number = "the list", 0
    try:
        if text.lstrip().startswith("["):
            for number, value in enumerate(parsed(text), start=1):
                yield _entry(value, number, shown, error)
            return
        place = 0
        # Lines end at newlines alone, for JSON has other separators in its strings.
        for number, line in enumerate(text.split("\n"), start=1):
            if line.strip():
                what, place = f"line {number}", place + 1
                yield _entry(parsed(line), place, shown, error)
    except NotJSON as failure:
        raise error(
            f"The file {shown} is neither JSON lines nor a JSON list ({what}: {failure}).",
            'Each line has to look like {"id": "1", "query": "..."}.',
        ) from failure


def _entry(value: Any, number: int, shown: str, error: type[UrialError]) -> QuestionEntry:
    entry = QuestionEntry(value, number, shown, error)
    if (key := key_twice(value)) is not None:
        raise entry.refused(f"has the key {quoted(key, 40)} twice", "Leave one of them.")
    return entry


def _object_of(value: Any) -> Mapping[str, Any]:
    """An entry's keys; a text alone is a question, and anything else has none."""
    if isinstance(value, str):
        return {"query": value}
    return value if isinstance(value, dict) else {}


def _are_texts(values: list[Any]) -> bool:
    return all(isinstance(value, str) for value in values)


def _said(message: Any) -> tuple[str, str | None]:
    """Who speaks in a message, and what; None for what is no text."""
    if isinstance(message, dict):
        for who, what in _ROLES.items():
            if isinstance(speaker := message.get(who), str):
                return speaker.lower(), _text_of(message.get(what))
    return "?", None


def _text_of(content: Any) -> str | None:
    """A message's text, also where it is written as a list of texts."""
    if isinstance(content, str):
        return content
    if not isinstance(content, list) or not content:
        return None
    texts = [part.get("text") for part in content if isinstance(part, dict)]
    said = [text for text in texts if isinstance(text, str)]
    return "\n".join(said) if len(said) == len(content) else None
