"""The help of the command line: complete, and fit for a terminal of 80 columns."""

from __future__ import annotations

import importlib
from collections.abc import Iterator

import click
import pytest
from click.testing import CliRunner

from urial_tui.cli.main import _COMMANDS, urial
from urial_tui.cli.numbers import PARALLEL
from urial_tui.engine.wire.limits import MOST_PARALLEL


def commands() -> Iterator[tuple[list[str], click.Command]]:
    """Every command with the words that call it."""
    yield [], urial
    for name, (place, _) in _COMMANDS.items():
        module, _, attribute = place.partition(":")
        command: click.Command = getattr(importlib.import_module(module), attribute)
        yield [name], command
        if isinstance(command, click.Group):
            yield from (([name, inner], command.commands[inner]) for inner in command.commands)


ALL = list(commands())


@pytest.mark.parametrize(("words", "command"), ALL, ids=[" ".join(words) for words, _ in ALL])
def test_every_command_is_explained_within_80_columns(
    words: list[str], command: click.Command
) -> None:
    done = CliRunner().invoke(urial, [*words, "--help"], env={"COLUMNS": "80"})
    assert done.exit_code == 0
    usage, *lines = done.stdout.splitlines()
    assert usage.startswith("Usage: urial")
    assert all(len(line) <= 80 for line in (usage, *lines))
    # What click has no room for it cuts.
    assert not any(line.endswith("...") for line in lines)
    assert command.help
    for option in command.params:
        if isinstance(option, click.Option):
            assert option.help, f"{option.name} is not explained"
            assert "RANGE" not in option.make_metavar(click.Context(command))


def test_a_model_in_front_of_a_command_is_told_where_it_belongs() -> None:
    from urial_tui.errors import UsageError

    done = CliRunner().invoke(urial, ["-m", "x", "ask", "Hi"])
    assert isinstance(done.exception, UsageError)
    assert "urial ask" in str(done.exception)


def test_the_application_gets_the_model_and_the_preamble(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str | None, str | None]] = []

    def run(model: str | None = None, preamble: str | None = None) -> int:
        asked.append((model, preamble))
        return 0

    monkeypatch.setattr("urial_tui.cli.main._is_terminal", lambda stream: True)
    monkeypatch.setattr("urial_tui.tui.app.run", run)
    assert CliRunner().invoke(urial, ["-m", "a.gguf", "-p", "zero-shot"]).exit_code == 0
    assert CliRunner().invoke(urial, []).exit_code == 0
    assert asked == [("a.gguf", "zero-shot"), (None, None)]


def test_answers_at_once_are_as_many_as_a_pool_can_write() -> None:
    assert (PARALLEL.min, PARALLEL.max) == (1, MOST_PARALLEL)
