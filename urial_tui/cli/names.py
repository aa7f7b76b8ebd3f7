"""Options that name something: a model, a preamble, a context, a file."""

from __future__ import annotations

from pathlib import Path
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


class FileName(click.ParamType[Path]):
    """A click parameter type: the path of a file. What is there, and may be read, is found out
    by whoever opens it, and told in its words. An empty path would be the directory.
    """

    name = "file"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        """The path as it is; a click error where it is empty."""
        return Path(NAME.convert(value, param, ctx))


FILE = FileName()
