"""`urial replay`: a recorded session again, in the application or as JSON."""

from __future__ import annotations

from pathlib import Path

import click

from urial_tui.cli.names import FILE


@click.command()
@click.argument("file", type=FILE)
@click.option("--fast", is_flag=True, help="Play at once, not at the recorded pace.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object for each message.")
@click.pass_context
def replay(context: click.Context, file: Path, fast: bool, as_json: bool) -> None:
    """Play the recorded session FILE in the application, as its user saw it.

    With the variable URIAL_RECORD set to a directory, every session is recorded there. A
    recording holds the whole conversation.
    """
    if as_json:
        from urial_tui.cli.output import print_json
        from urial_tui.engine.client.recording import document, read_recording

        recording = read_recording(file)
        for entry in (recording.head, *recording.entries):
            print_json(document(entry))
        return
    from urial_tui.tui.replay import run

    context.exit(run(file, fast=fast))
