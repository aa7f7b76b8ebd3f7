"""Style sheets that are shared between tests are those that each would have parsed itself."""

from __future__ import annotations

from textual.css.model import RuleSet
from textual.css.stylesheet import Stylesheet

from tests.tui.conftest import Opened, type_text
from tests.tui.parsed_styles import PARSED, key, parse_rules


def told(rules: list[RuleSet]) -> list[tuple[object, ...]]:
    """Everything that is asked of rules."""
    return [
        (
            rule.selectors,
            repr(sorted(rule.styles.get_rules().items())),
            [each.specificity for each in rule.selector_set],
            [[one.advance for one in each.selectors] for each in rule.selector_set],
            rule.styles.important,
            rule.is_default_rules,
            rule.tie_breaker,
            rule.selector_names,
            rule.pseudo_classes,
        )
        for rule in rules
    ]


async def test_shared_styles_are_those_of_a_style_sheet_of_ones_own(opened: Opened) -> None:
    async with opened() as pilot:
        # Drawn, hovered over and laid out, with a palette and a theme of its own on the way.
        await type_text(pilot, "Hello")
        await pilot.press("f1", "escape", "ctrl+p", "escape")
        sheet = pilot.app.stylesheet
        own = Stylesheet(variables=sheet._variables)
        compared = 0
        for where, source in sheet.source.items():
            how = (source.is_defaults, source.tie_breaker, source.scope)
            shared = PARSED[key(sheet, source.content, where, how)]
            assert told(shared) == told(parse_rules(own, source.content, where, *how)), where
            compared += len(shared)
        assert compared > 100
        assert sheet.rules, "they are what the application is drawn with"


async def test_another_themes_colours_are_parsed_anew(opened: Opened) -> None:
    async with opened() as pilot:
        before = told(pilot.app.stylesheet.rules)
        pilot.app.theme = "textual-light"
        await pilot.pause()
        light = told(pilot.app.stylesheet.rules)
    assert len(light) == len(before)
    assert light != before
