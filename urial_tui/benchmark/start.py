"""The first token of a new process: `urial ask`, run for one token, and what it tells.

The time counts from the start of the process, so it holds what a user waits for: the
interpreter, the imports, the load and the preamble.
"""

from __future__ import annotations

import sys

import msgspec

from urial_tui.benchmark.prompts import QUESTION
from urial_tui.engine.wire.events import PreambleSource
from urial_tui.errors import EngineError
from urial_tui.sanitize import sanitize_line


class ProcessStart(msgspec.Struct, frozen=True, kw_only=True):
    """What a process of its own told about its first token."""

    first_token_s: float
    preamble_source: PreambleSource | None


class _Timings(msgspec.Struct, frozen=True, kw_only=True):
    first_token_s: float


class _AskDocument(msgspec.Struct, frozen=True, kw_only=True):
    """The part of `urial ask --json` that counts here."""

    timings: _Timings
    preamble_source: PreambleSource | None


def ask_command(model: str, preamble: str) -> list[str]:
    """The command that answers with a single token in a process of its own."""
    return [
        *(sys.executable, "-P", "-m", "urial_tui", "ask", "--json", "--no-store"),
        *("--model", model, "--preamble", preamble, "--max-tokens", "1", "--temperature", "0"),
        QUESTION,
    ]


def read_start(returncode: int, output: bytes, errors: bytes) -> ProcessStart:
    """What `ask_command` printed.

    Raises:
        EngineError: It failed, or printed something else.
    """
    if returncode:
        raise EngineError(
            f"A first answer in a process of its own failed (exit code {returncode}): "
            f"{_reason(errors)}",
            "Try `urial ask` with the same model and preamble.",
        )
    try:
        document = msgspec.json.decode(output, type=_AskDocument)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise EngineError(
            "A first answer in a process of its own was not reported as `urial ask --json` does: "
            f"{sanitize_line(str(error))}.",
            "Try `urial ask --json` with the same model and preamble.",
        ) from error
    return ProcessStart(
        first_token_s=document.timings.first_token_s,
        preamble_source=document.preamble_source,
    )


def _reason(errors: bytes) -> str:
    """The last thing that a command said: its own sentences, or else the last line."""
    text = errors.decode("utf-8", "replace").strip()
    _, ours, said = f"\n{text}".rpartition("\nurial: ")
    reason = sanitize_line(said if ours else text.rpartition("\n")[2]).strip()
    if not reason:
        return "it gave no reason."
    return reason if reason[-1] in ".!?" else f"{reason}."
