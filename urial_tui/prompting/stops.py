"""Where an answer ends.

The rules come from the preamble's format. The engine applies them while an answer is
generated; `answer_end` states the same on a whole text, to check that the examples of a
preamble survive the rules that they teach.
"""

from __future__ import annotations

import re

from urial_tui.engine.wire.values import StopRules
from urial_tui.prompting.preamble import Preamble, PromptFormat


def stop_rules(preamble: Preamble) -> StopRules:
    """The stop rules of the preamble's format, as the engine takes them."""
    return format_rules(preamble.format)


def format_rules(form: PromptFormat) -> StopRules:
    """The stop rules of a format."""
    return StopRules(strings=form.stop, fence=form.fence)


def answer_end(text: str, rules: StopRules) -> int | None:
    """The length of the answer that `text` starts with, in characters.

    None where no rule ends it. The newline in front of a closing fence belongs to the
    fence, not to the answer.
    """
    ends = [text.find(stop) for stop in rules.strings]
    if rules.fence:
        ends.append(_fence_end(text, rules.fence))
    return min((end for end in ends if end >= 0), default=None)


def _fence_end(text: str, fence: str) -> int:
    """Where a line that holds only `fence` ends the answer; -1 where none does.

    A fence with an info string opens a code block; the next bare fence closes the block
    and not the answer.
    """
    inside = False
    for line in re.finditer(r"^.*$", text, re.MULTILINE):
        words = line.group().rstrip()
        if words == fence:
            if not inside:
                return max(0, line.start() - 1)
            inside = False
        elif words.startswith(fence) and not inside:
            inside = True
    return -1
