"""Options that name something: a model, a preamble, a context."""

from __future__ import annotations

from typing import Any

import click
from click.types import StringParamType


class Name(StringParamType):
    """A click parameter type: a text that is not empty. `-m "$UNSET"` is a mistake, not the
    default.
    """

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The text as it is; a click error where it is empty."""
        text = str(value)
        if not text.strip():
            self.fail("it is empty.", param, ctx)
        return text


NAME = Name()
