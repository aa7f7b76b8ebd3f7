"""Style sheets that are parsed once in a process of tests, not once in each application.

Textual parses what its widgets and ours declare whenever an application starts. What comes of
it depends on nothing but the text, where it stands and the theme's variables, and is only read
afterwards; `test_parsed_styles` holds both.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

import pytest
from textual.css.model import RuleSet
from textual.css.stylesheet import Stylesheet

parse_rules = Stylesheet._parse_rules
"""Textual's own."""

PARSED: dict[Hashable, list[RuleSet]] = {}
"""What was parsed without an error, by all that it depends on."""


def share_parsed_styles(patch: pytest.MonkeyPatch) -> None:
    """Have all style sheets of this process share what is parsed."""
    patch.setattr(Stylesheet, "_parse_rules", _parsed)


def key(sheet: Stylesheet, css: str, where: Any, how: tuple[bool, int, str]) -> Hashable:
    """All that the rules of a text depend on."""
    return (css, where, how, frozenset(sheet._variables.items()))


def _parsed(
    self: Stylesheet,
    css: str,
    read_from: Any,
    is_default_rules: bool = False,
    tie_breaker: int = 0,
    scope: str = "",
) -> list[RuleSet]:
    how = (is_default_rules, tie_breaker, scope)
    of = key(self, css, read_from, how)
    if (found := PARSED.get(of)) is not None:
        return found
    rules = parse_rules(self, css, read_from, *how)
    if not any(rule.errors for rule in rules):
        PARSED[of] = rules
    return rules
