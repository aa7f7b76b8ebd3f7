"""The command `urial`, and the one edge where errors become sentences and exit codes.

Commands are imported when they run: `urial --help` and `--version` load neither the
screens nor the engine. Exit codes: 0 done, 1 failed, 2 wrong usage, 130 interrupted.
"""

from __future__ import annotations

import contextlib
import errno
import importlib
import io
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from urial_tui import __version__, interrupts
from urial_tui.cli.names import NAME
from urial_tui.errors import LONGEST, UrialError, UsageError
from urial_tui.sanitize import sanitize_line, shortened

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

_COMMANDS: dict[str, tuple[str, str]] = {
    "ask": ("urial_tui.cli.ask:ask", "Ask one question and print the answer."),
    "compare": ("urial_tui.cli.compare:compare", "Compare two models token by token."),
    "eval": ("urial_tui.cli.eval:evaluate", "Evaluate a model: its answers to many items, judged."),
    "chats": ("urial_tui.cli.chats:chats", "List, search, export and import conversations."),
    "models": ("urial_tui.cli.models:models", "List the models, and tell how to get one."),
    "prompts": ("urial_tui.cli.prompts:prompts", "List, check, import and export the preambles."),
    "votes": ("urial_tui.cli.votes:votes", "Count the votes between answers."),
    "bench": ("urial_tui.cli.bench:bench", "Measure this machine's speed."),
    "doctor": (
        "urial_tui.cli.doctor:doctor",
        "Say what is wrong with this machine or installation.",
    ),
    "replay": ("urial_tui.cli.replay:replay", "Play a recorded session again, for debugging."),
    "cache": ("urial_tui.cli.cache:cache", "Look after the evaluated preambles on disk."),
}
"""Each command's module and attribute, and its line in the help."""


class _LazyGroup(click.Group):
    """A group that imports a command only to run it or to show its own help."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        module, _, attribute = _COMMANDS[cmd_name][0].partition(":")
        command = getattr(importlib.import_module(module), attribute)
        interrupts.check()
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in _COMMANDS.items()])


@click.group(
    cls=_LazyGroup,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="`urial COMMAND --help` has the options of a command.",
)
@click.option(
    "-m", "--model", type=NAME, metavar="MODEL", help="Chat with this model: a name or a file."
)
@click.option(
    "-p",
    "--preamble",
    type=NAME,
    metavar="PREAMBLE",
    help="Chat under this preamble: a name or a file.",
)
@click.version_option(__version__, message="urial %(version)s")
@click.pass_context
def urial(context: click.Context, model: str | None, preamble: str | None) -> None:
    """Chat with a base language model through an in-context preamble.

    Without a command, the terminal application opens.
    """
    if command := context.invoked_subcommand:
        if model is not None or preamble is not None:
            raise UsageError(
                "--model and --preamble in front of a command are for the application.",
                f"Give them behind the command: urial {command} ….",
            )
        return
    if not (_is_terminal(sys.stdin) and _is_terminal(sys.stdout)):
        raise UsageError(
            "The application needs a terminal, and standard input or output is none.",
            'For one answer without a screen use `urial ask "…"`.',
        )
    from urial_tui.tui.app import run as run_application

    context.exit(run_application(model=model, preamble=preamble))


def run(arguments: Sequence[str] | None = None) -> int:
    """Run `urial` with these arguments (the process' own, unless given); the exit code.

    Raises nothing: whatever goes wrong is told on standard error.
    """
    _make_streams_safe()
    code = _guarded(arguments)
    try:
        sys.stdout.flush()
    except OSError as error:
        code = _output_failed(error) if code == 0 else code
        _discard_output()
    return code


def _guarded(arguments: Sequence[str] | None) -> int:
    words = sys.argv[1:] if arguments is None else list(arguments)
    try:
        code = urial.main(args=words, prog_name="urial", standalone_mode=False)
        return code if isinstance(code, int) else 0
    except UrialError as error:
        _tell(str(error))
        return error.exit_code
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.ctx.get_help() if error.ctx else error.format_message(), err=True)
        return error.exit_code
    except click.NoSuchOption as error:
        command = error.ctx.command if error.ctx else urial
        takes_text = any(isinstance(parameter, click.Argument) for parameter in command.params)
        hint = " Text that starts with a dash goes behind `--`." if takes_text else ""
        _tell(f"{_sentence(error)}{hint} See `{_path(error, words)} --help`.")
        return error.exit_code
    except click.UsageError as error:
        _tell(f"{_sentence(error)} See `{_path(error, words)} --help`.")
        return error.exit_code
    except click.ClickException as error:
        _tell(_sentence(error))
        return error.exit_code
    except (KeyboardInterrupt, click.Abort):
        _tell("Interrupted.")
        return interrupts.EXIT_CODE
    except BrokenPipeError:
        # Whoever read the output has seen enough.
        _discard_output()
        return 1
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EIO, errno.EDQUOT) and error.filename is None:
            _discard_output()
            return _output_failed(error)
        return _crashed(error)
    except Exception as error:  # noqa: BLE001  # the process' edge: logged and told
        return _crashed(error)


def _sentence(error: click.ClickException) -> str:
    message = error.format_message()
    return message if message.endswith((".", "?")) else f"{message}."


def _path(error: click.UsageError, words: Sequence[str]) -> str:
    """The words that call the command which was called wrong.

    Where an option lacks its value, the error does not know.
    """
    if error.ctx:
        return error.ctx.command_path
    command: click.Command = urial
    path = ["urial"]
    for word in words:
        inner = (
            command.get_command(click.Context(command), word)
            if isinstance(command, click.Group)
            else None
        )
        if inner is not None:
            command, path = inner, [*path, word]
    return " ".join(path)


def _tell(message: str) -> None:
    # Not everything comes from an `UrialError`: a command line can have any length as well.
    with contextlib.suppress(OSError):
        click.echo(f"urial: {sanitize_line(shortened(message, 2 * LONGEST))}", err=True)


def _output_failed(error: OSError) -> int:
    if not isinstance(error, BrokenPipeError):
        _tell(
            f"The output can't be written: {error.strerror or error}. "
            "Free some space, or send it to another place."
        )
    return 1


def _crashed(error: Exception) -> int:
    """A bug: one sentence for the user, the traceback for the log."""
    from urial_tui.mistakes import explained

    _tell(str(explained(error)))
    return 1


class _BestEffort(io.FileIO):
    """Standard error; what can't be written there is lost, for nothing may fail because of it."""

    def write(self, data: ReadableBuffer) -> int:
        try:
            return super().write(data)
        except OSError:
            return memoryview(data).nbytes


def _make_streams_safe() -> None:
    """Streams that are closed, full or can't encode a character must not end the program."""
    errors = sys.__stderr__
    if errors is not None and sys.stderr is errors:
        raw = _BestEffort(errors.fileno(), "w", closefd=False)
        sys.stderr = io.TextIOWrapper(
            io.BufferedWriter(raw), encoding=errors.encoding, line_buffering=True
        )
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, Path(os.devnull).open("w"))  # noqa: SIM115  # lasts as long as the process
        elif hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")


def _discard_output() -> None:
    """Keep the interpreter from failing once more, when it flushes at its end."""
    with contextlib.suppress(OSError, ValueError):
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, sys.stdout.fileno())
        os.close(null)


def _is_terminal(stream: object) -> bool:
    try:
        return bool(stream.isatty())  # type: ignore[attr-defined]
    except (AttributeError, ValueError):
        return False
