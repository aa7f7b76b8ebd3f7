"""The parts of a preamble that are changed one at a time: their texts, and what is typed there.

They are numbered as they are listed: the system text is 0, then come the examples, then what all of
these stand in and where an answer ends.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

from urial_tui.prompting.edited import EditedPreamble
from urial_tui.prompting.edited_rules import rules_text, stops_text
from urial_tui.prompting.preamble import Preamble

PreamblePart = Literal["system", "example", "system-template", "turns", "ends", "rules"]
FORM: tuple[tuple[PreamblePart, str], ...] = (
    ("system-template", "Around the system text"),
    ("turns", "Around queries and answers"),
    ("ends", "Where an answer ends"),
    ("rules", "Rules"),
)
"""The parts behind the examples, and what they are called."""


class PartTexts(NamedTuple):
    """Two texts with their titles; without a second title there is one."""

    first_title: str
    first: str
    second_title: str = ""
    second: str = ""


def part_at(preamble: Preamble, number: int) -> PreamblePart:
    """Which part has a number."""
    if number == 0:
        return "system"
    behind = number - len(preamble.examples) - 1
    return "example" if behind < 0 else FORM[behind][0]


def part_texts(preamble: Preamble, number: int) -> PartTexts:
    """What a part says now."""
    form = preamble.format
    match part_at(preamble, number):
        case "example":
            example = preamble.examples[number - 1]
            title = f"Query of example {number}"
            return PartTexts(title, example.query, "Its answer", example.answer)
        case "system-template":
            return PartTexts("What {system} stands in", form.system)
        case "turns":
            return PartTexts(
                "What {query} stands in", form.query, "What {answer} stands in", form.answer
            )
        case "ends":
            return PartTexts(
                "Before each of these an answer ends (one a line; \\n: a line end)",
                stops_text(form.stop),
                "A fence that ends an answer, alone on its line",
                form.fence,
            )
        case "rules":
            return PartTexts(
                "Keys as in a file: end_bias, end_tokens, repeat_bias, [[shifts]]",
                rules_text(preamble.rules),
            )
        case _:
            return PartTexts("System text", preamble.system)


def write_part(edited: EditedPreamble, number: int, first: str, second: str) -> None:
    """Have a part say this.

    Raises:
        PreambleError: It can't.
    """
    match part_at(edited.preamble, number):
        case "example":
            edited.write_example(number - 1, first, second)
        case "system-template":
            edited.write_system_template(first)
        case "turns":
            edited.write_turns(first, second)
        case "ends":
            edited.write_ends(first, second)
        case "rules":
            edited.write_rules(first)
        case _:
            edited.write_system(first)
