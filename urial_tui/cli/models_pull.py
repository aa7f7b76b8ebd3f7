"""`urial models pull`: downloads a model, and goes on where a download was interrupted."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import click

from urial_tui.cli.names import NAME

if TYPE_CHECKING:
    from urial_tui.cli.output import ProgressLine

_WINDOW_S = 20.0
"""Seconds by which a rate is measured."""


@click.command()
@click.argument("name", type=NAME)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def pull(name: str, as_json: bool) -> None:
    """Download the model NAME, or the rest of it.

    NAME is one of `urial models list`, hf.co/OWNER/REPO[:QUANT], hf.co/OWNER/REPO/FILE.gguf or the
    https:// address of a .gguf file. What was interrupted goes on; Ctrl-C keeps what came.
    """
    import msgspec

    from urial_tui import wording
    from urial_tui.cli.output import ProgressLine, print_json
    from urial_tui.models.download import Downloader
    from urial_tui.models.pull import pull as pull_model
    from urial_tui.sanitize import sanitize_line

    with ProgressLine() as line:
        meter = Meter(line)
        with Downloader(meter.count) as downloader:
            pulled = pull_model(name, downloader, meter.begin)
    if as_json:
        print_json(msgspec.to_builtins(pulled, enc_hook=str))
        return
    for file in pulled.files:
        click.echo(sanitize_line(str(file.path)))
    size = wording.size(sum(file.size for file in pulled.files))
    what = "Downloaded" if any(file.new for file in pulled.files) else "It is here already:"
    click.echo(f"{what} {size}. `urial ask -m {sanitize_line(pulled.name)}` uses it.", err=True)


class Meter:
    """Bytes, rate and time left, on a line of progress."""

    def __init__(self, line: ProgressLine) -> None:
        self._line = line
        self._name = ""
        self._marks: list[tuple[float, int]] = []

    def begin(self, name: str) -> None:
        """Another file comes."""
        self._name, self._marks = name, []

    def count(self, done: int, total: int) -> None:
        """So many bytes of so many are there."""
        from urial_tui import wording

        now = time.monotonic()
        if not self._marks or now - self._marks[-1][0] >= 0.5 or done < self._marks[-1][1]:
            if self._marks and done < self._marks[-1][1]:
                self._marks = []
            self._marks = [mark for mark in self._marks if now - mark[0] < _WINDOW_S]
            self._marks.append((now, done))
        since, at = self._marks[0]
        rate = (done - at) / (now - since) if now - since >= 1.0 else 0.0
        words = f"{self._name}: {wording.size(done)}"
        if total:
            words += f" of {wording.size(total)} ({done / total:.0%})"
        if rate >= 1:
            words += f", {wording.size(round(rate))}/s"
            if total:
                words += f", {wording.duration((total - done) / rate)} left"
        self._line.show(words)
