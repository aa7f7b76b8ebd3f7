"""A preamble while somebody changes it: what is deleted can be brought back.

What is typed may be anything; whether it works is for `check` to say. The method follows from what
there is, so that no change makes a preamble that its own method forbids.
"""

from __future__ import annotations

import msgspec

from urial_tui.prompting.edited_rules import rules_of, stops_of
from urial_tui.prompting.preamble import Example, Method, Preamble

SYSTEM_TEMPLATE = "# Instruction\n\n{system}\n\n"
"""Stands around a system text where the format had no place for one."""


class EditedPreamble:
    """A preamble, and the examples that were deleted.

    Args:
        preamble: What is changed.
    """

    def __init__(self, preamble: Preamble) -> None:
        self.preamble = preamble
        self._deleted: list[tuple[int, Example]] = []

    def write_system(self, text: str) -> None:
        """Have it say this in front of the examples."""
        form = self.preamble.format
        if text.strip() and not form.system:
            form = msgspec.structs.replace(form, system=SYSTEM_TEMPLATE)
        self._set(msgspec.structs.replace(self.preamble, system=text, format=form))

    def write_example(self, place: int, query: str, answer: str) -> None:
        """Have an example ask and answer this."""
        examples = list(self.preamble.examples)
        examples[place] = msgspec.structs.replace(examples[place], query=query, answer=answer)
        self._set(msgspec.structs.replace(self.preamble, examples=tuple(examples)))

    def write_system_template(self, text: str) -> None:
        """Have the system text stand in this."""
        self._format(system=text)

    def write_turns(self, query: str, answer: str) -> None:
        """Have queries and answers stand in these templates."""
        self._format(query=query, answer=answer)

    def write_ends(self, stops: str, fence: str) -> None:
        """Have answers end at these strings (`stops_text`), and at a line that is this fence."""
        self._format(stop=stops_of(stops), fence=fence.strip())

    def write_rules(self, text: str) -> None:
        """Have these rules count (`rules_text`).

        Raises:
            PreambleError: They are none; those of before count.
        """
        self._set(msgspec.structs.replace(self.preamble, rules=rules_of(text)))

    def add(self, place: int) -> None:
        """Put an empty example at a place, in front of what is there."""
        self._insert(place, Example(query="", answer=""))

    def delete(self, place: int) -> None:
        """Delete an example."""
        examples = list(self.preamble.examples)
        self._deleted.append((place, examples.pop(place)))
        self._put(examples)

    @property
    def can_bring_back(self) -> bool:
        """Whether an example was deleted that is not back."""
        return bool(self._deleted)

    def bring_back(self) -> int | None:
        """Put the example back that was deleted last: its place; None where there is none."""
        if not self._deleted:
            return None
        place, example = self._deleted.pop()
        place = min(place, len(self.preamble.examples))
        self._insert(place, example)
        return place

    def move(self, place: int, by: int) -> int:
        """Put an example so many places further on, as far as there are any: its place then."""
        examples = list(self.preamble.examples)
        there = max(0, min(place + by, len(examples) - 1))
        examples.insert(there, examples.pop(place))
        self._put(examples)
        return there

    def call(self, name: str, title: str, description: str) -> None:
        """Give it another name, and other words for lists."""
        self._set(
            msgspec.structs.replace(self.preamble, name=name, title=title, description=description)
        )

    @property
    def result(self) -> Preamble:
        """It as its file will have it: without white space at the ends of its texts."""
        return self.preamble.trimmed()

    def _format(self, **changes: object) -> None:
        form = msgspec.structs.replace(self.preamble.format, **changes)
        self._set(msgspec.structs.replace(self.preamble, format=form))

    def _insert(self, place: int, example: Example) -> None:
        examples = list(self.preamble.examples)
        examples.insert(place, example)
        self._put(examples)

    def _put(self, examples: list[Example]) -> None:
        if examples and examples[0].follows:
            # There is nothing in front of it that it could follow.
            examples[0] = msgspec.structs.replace(examples[0], follows=False)
        self._set(msgspec.structs.replace(self.preamble, examples=tuple(examples)))

    def _set(self, preamble: Preamble) -> None:
        self.preamble = msgspec.structs.replace(preamble, method=_method(preamble))


def _method(preamble: Preamble) -> Method:
    """What a preamble is with what it has now."""
    if preamble.retrieval is not None:
        return "retrieval"
    if preamble.system.strip():
        return "urial"
    if preamble.examples:
        return "vanilla-icl"
    return "zero-shot" if preamble.rules is None else "rules"
