"""The command line of the running command, as somebody else would type it."""

from __future__ import annotations

import click
from click.core import ParameterSource


def command_line(context: click.Context) -> list[str]:
    """The words that call the command: those options that were given, then what has no name."""
    words: list[str] = []
    query: list[str] = []
    for parameter in context.command.params:
        name = parameter.name or ""
        if context.get_parameter_source(name) is not ParameterSource.COMMANDLINE:
            continue
        value = context.params[name]
        if isinstance(parameter, click.Argument):
            query = [*map(str, value)] if isinstance(value, tuple) else [str(value)]
            if any(word.startswith("-") for word in query):
                query = ["--", *query]
        elif isinstance(parameter, click.Option) and parameter.is_flag:
            words.append(parameter.opts[0])
        else:
            values = value if isinstance(value, tuple) else (value,)
            for one in values:
                words += [parameter.opts[0], str(one)]
    return [*context.command_path.split(), *words, *query]
