"""`urial eval run` end to end, beside llama.cpp's server: `python -m benchmarks.evaluate --help`.

The items that come with the program and have one turn, greedily and without penalties, with the
same longest answer; by the command as users run it, its file and journal included, with so many
answers at once, and by a client that keeps a slot of llama-server busy for each. All contenders run
in every round, in an order that rotates, each in new processes and one at a time. The clock starts
when the model is loaded; the preamble is on the disk, and in the server's slots. Answers end where
they end, by the preamble's format too, so a rate is that of the tokens that were written.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import msgspec

from benchmarks import llama_server, results
from benchmarks.contenders import Measured
from benchmarks.parallel import make_work
from benchmarks.parallel_items import Item
from benchmarks.parallel_work import Work
from benchmarks.processes import TIMEOUT, ContenderFailed
from benchmarks.results import Target
from benchmarks.speed import at_least, run_rounds
from urial_tui.benchmark.report import busy_warning, this_machine
from urial_tui.engine.native.threads import physical_cores
from urial_tui.errors import UrialError
from urial_tui.evaluate.item_files import find_items
from urial_tui.models.registry import resolve
from urial_tui.prompting.preamble import Preamble
from urial_tui.prompting.preamble_file import find_preamble
from urial_tui.prompting.stops import stop_rules
from urial_tui.sanitize import sanitize_line

METRICS = {"tokens_per_s": "tokens written a second", "items_per_s": "answers a second"}

_SETTINGS = """\
[sampling]
temperature = 0.0
repetition_penalty = 1.0
dry_multiplier = 0.0
[engine]
threads = {threads}
"""


def name_of(parallel: int) -> str:
    """What our command is called with so many answers at once."""
    return f"eval-run-{parallel}"


def measure(
    model: Path, preamble: str, items: Path, parallel: int, tokens: int, home: Path
) -> Measured:
    """Run the command once, in a new process.

    Raises:
        ContenderFailed: It did not work.
    """
    with tempfile.TemporaryDirectory(prefix="urial-evaluate-") as name:
        command = [
            *(sys.executable, "-m", "urial_tui", "eval", "run", "--json"),
            *("-m", str(model), "-p", preamble, "--items", str(items)),
            *("--parallel", str(parallel), "--max-tokens", str(tokens)),
            *("--out", str(Path(name) / "out.json")),
        ]
        try:
            done = subprocess.run(
                command, env=_environment(home), capture_output=True, timeout=TIMEOUT, check=False
            )
        except subprocess.TimeoutExpired as error:
            raise ContenderFailed(f"{name_of(parallel)} took too long.") from error
    if done.returncode:
        said = done.stderr.decode("utf-8", "replace").strip().splitlines()
        raise ContenderFailed(f"{name_of(parallel)}: {said[-1] if said else 'no word'}")
    written = json.loads(done.stdout)["written"]
    return Measured(
        figures={
            "tokens_per_s": written["tokens_per_s"],
            "items_per_s": written["answers_per_minute"] / 60,
        },
        generated={"tokens_per_s": written["tokens"]},
    )


def compare(chosen: argparse.Namespace, say: Callable[[str], None]) -> str:
    """Measure everything, and tell it.

    Raises:
        UrialError: The model or the preamble can't be had.
    """
    model = resolve(chosen.model).path.absolute()
    preamble = find_preamble(chosen.preamble)
    file = Path(chosen.preamble)
    named = str(file.absolute()) if file.is_file() else chosen.preamble
    texts = [item.turns[0] for item in find_items(None).items if len(item.turns) == 1]
    texts = texts[: chosen.items]
    machine = this_machine()
    if warning := busy_warning(machine.load_average, machine.cores):
        say(warning)
    with tempfile.TemporaryDirectory(prefix="urial-evaluate-") as name:
        directory = Path(name)
        items = directory / "items.json"
        items.write_text(json.dumps([{"instruction": text} for text in texts]), encoding="utf-8")
        settings = directory / "config" / "urial-tui" / "settings.toml"
        settings.parent.mkdir(parents=True)
        settings.write_text(_SETTINGS.format(threads=chosen.threads), encoding="utf-8")
        run = partial(measure, model, named, items, tokens=chosen.tokens, home=directory)
        one = directory / "one.json"
        one.write_text(json.dumps([{"instruction": texts[0]}]), encoding="utf-8")
        say("the preamble is put on the disk")
        for parallel in {1, max(chosen.parallel)}:
            measure(model, named, one, parallel, 1, directory)
        contenders: dict[str, Callable[[], Measured]] = {
            name_of(parallel): partial(run, parallel) for parallel in (1, *chosen.parallel)
        }
        if chosen.llama_server is not None:
            work, _ = make_work(
                model,
                preamble,
                [Item(text, chosen.tokens) for text in texts],
                threads=chosen.threads,
                rest=0.0,
                directory=directory,
            )
            work = msgspec.structs.replace(work, stops=server_stops(preamble))
            for parallel in chosen.parallel:
                contenders[_server(parallel)] = partial(
                    _theirs, work, chosen.llama_server.absolute(), parallel
                )
        found, failures, complete = run_rounds(contenders, chosen.rounds, 0, say)
    targets = [
        Target(metric="tokens_per_s", ours=one, theirs=name_of(1))
        for one in contenders
        if one != name_of(1)
    ]
    targets += [
        Target(metric="tokens_per_s", ours=name_of(parallel), theirs=_server(parallel))
        for parallel in chosen.parallel
        if _server(parallel) in contenders
    ]
    lines = [
        f"{model.name} behind {preamble.name}, {len(texts)} items, answers of at most "
        f"{chosen.tokens} tokens, {chosen.threads} threads, "
        f"rounds: {len(found)}{'' if complete else ' (interrupted)'}",
        f"{machine.processor}, {machine.cores} cores",
    ]
    for metric, title in METRICS.items():
        lines += ["", f"{title:48}{'median':>9}{'lowest':>9}{'highest':>9}"]
        for contender in contenders:
            figures = results.contender_series(found, contender, METRICS)
            if metric in figures:
                lines.append(f"  {contender:46}{results.columns(figures[metric])}")
    lines += ["", f"{'ratio of the same round':48}{'median':>9}{'lowest':>9}{'highest':>9}"]
    for target in targets:
        ratio = results.ratio(target, found)
        lines.append(f"  {ratio.name:46}{results.columns(ratio.ratio)}")
    lines += [f"not measured: {failure.contender}: {failure.message}" for failure in failures]
    return "\n".join(sanitize_line(line) for line in lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """Compare and print; the exit code, 1 where it could not be measured."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.evaluate",
        description="Measure `urial eval run` end to end, beside llama.cpp's server.",
    )
    parser.add_argument("--model", default="gemma-3-270m", help="a .gguf file, or a catalogue name")
    parser.add_argument("--preamble", default="urial-k3", help="a name or a file")
    parser.add_argument("--llama-server", type=Path, help="the llama-server program of llama.cpp")
    parser.add_argument("--parallel", type=at_least(2), nargs="+", default=[16])
    parser.add_argument("--tokens", type=at_least(1), default=96, help="longest answer")
    parser.add_argument("--items", type=at_least(1), help="how many; all, if that is not said")
    parser.add_argument("--rounds", type=at_least(1), default=2)
    parser.add_argument("--threads", type=at_least(1), default=physical_cores())
    try:
        print(compare(parser.parse_args(arguments), _say))
    except (UrialError, ContenderFailed) as error:
        _say(str(error))
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def server_stops(preamble: Preamble) -> tuple[str, ...]:
    """Texts that end an answer where the preamble's format ends it, but for code within it."""
    rules = stop_rules(preamble)
    return (*rules.strings, *([f"\n{rules.fence}\n"] if rules.fence else []))


def _server(slots: int) -> str:
    return f"llama-server-{slots}"


def _theirs(work: Work, program: Path, slots: int) -> Measured:
    with tempfile.TemporaryDirectory(prefix="urial-evaluate-") as name:
        return llama_server.measure(work, program, Path(name), slots)


def _environment(home: Path) -> dict[str, str]:
    """That of a user with these settings, and with nothing of this one's."""
    places = {"CONFIG": "config", "CACHE": "cache", "STATE": "state", "DATA": "data"}
    own = {f"XDG_{kind}_HOME": str(home / place) for kind, place in places.items()}
    return {**os.environ, **own, "NO_COLOR": "1"}


def _say(sentence: str) -> None:
    print(f"evaluate: {sanitize_line(sentence)}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
