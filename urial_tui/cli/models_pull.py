"""`urial models pull`: downloads a model, and goes on where a download was interrupted."""

from __future__ import annotations

import click

from urial_tui.cli.names import NAME


@click.command()
@click.argument("name", type=NAME)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def pull(name: str, as_json: bool) -> None:
    """Download the model NAME, or the rest of it.

    NAME is one of `urial models list`, hf.co/OWNER/REPO[:QUANT], hf.co/OWNER/REPO/FILE.gguf or the
    https:// address of a .gguf file. What was interrupted goes on; Ctrl-C keeps what came.
    """
    import msgspec

    from urial_tui import interrupts, wording
    from urial_tui.cli.model_output import call_of
    from urial_tui.cli.output import print_json
    from urial_tui.cli.progress_line import ProgressLine
    from urial_tui.errors import ModelError
    from urial_tui.models.connection import KEPT
    from urial_tui.models.download import Downloader
    from urial_tui.models.pace import Meter, Pace
    from urial_tui.models.pull import pull as pull_model
    from urial_tui.sanitize import sanitize_line

    with ProgressLine() as line:
        meter = Meter()
        begun = False
        line.show(f"Asking for {name}")

        def begin(file: str) -> None:
            nonlocal begun
            begun = True
            tell(meter.begin(file))

        def show(done: int, total: int) -> None:
            tell(meter.count(done, total))

        def read(done: int, total: int) -> None:
            tell(meter.read(done, total))

        def retry(why: str) -> None:
            pace = meter.again(why)
            line.change(f"{pace.name or name}: {pace.words}")

        def tell(pace: Pace) -> None:
            line.show(f"{pace.name}: {pace.words}")

        try:
            with Downloader(show, read=read, retry=retry) as downloader:
                pulled = pull_model(name, downloader, begin)
        except KeyboardInterrupt:
            if not begun:
                raise
            line.say(f"Interrupted. {KEPT}")
            raise click.exceptions.Exit(interrupts.EXIT_CODE) from None
    if as_json:
        print_json(msgspec.to_builtins(pulled, enc_hook=str))
        return
    for file in pulled.files:
        click.echo(sanitize_line(str(file.path)))
    size = wording.size(sum(file.size for file in pulled.files))
    what = "Downloaded" if any(file.new for file in pulled.files) else "It is here already:"
    try:
        call = call_of(pulled.path, pulled.name)
    except ModelError:
        # It came as it was sent; whoever loads it is told what is wrong.
        call = ""
    click.echo(f"{what} {size}." + (f" `{call}` uses it." if call else ""), err=True)
