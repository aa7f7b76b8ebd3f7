"""Many answers at once, beside llama.cpp's server: `python -m benchmarks.parallel --help`.

The same questions behind the same preamble, greedily, with the same most tokens of each answer and
no stop strings; so many of them on their way at a time as there are sequences. All contenders run
in every round, in an order that rotates, each in a new process and one at a time. Answers differ by
rounding and may end at different places, so a rate is that of the tokens that were written.
docs/benchmarks.md says more.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import os
import platform
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import FrameType
from typing import NoReturn

import msgspec

from benchmarks import llama_server, results, worker_line
from benchmarks.contenders import Measured
from benchmarks.parallel_items import ITEMS, Item
from benchmarks.parallel_work import Prompt, Work
from benchmarks.results import Ratio, Series, Target
from benchmarks.speed import Failure, at_least, run_rounds
from benchmarks.worker_line import WorkerLine
from tools.synthetic import SHAPES, write_model
from urial_tui import __version__
from urial_tui.benchmark.prompts import QUESTION, WARM_UP, pause_s
from urial_tui.benchmark.report import Machine, busy_warning, this_machine
from urial_tui.engine.native.threads import physical_cores
from urial_tui.engine.wire.values import EngineOptions
from urial_tui.errors import UrialError
from urial_tui.models.registry import resolve
from urial_tui.prompting.preamble import Preamble
from urial_tui.prompting.preamble_file import find_preamble
from urial_tui.prompting.render import open_turn, opening_text, preamble_text
from urial_tui.sanitize import sanitize_line

ALONE = "alone"
"""Our worker with one answer after another, as a chat has it: what others are a multiple of."""

METRICS = {
    "tokens_per_s": "tokens written a second",
    "items_per_s": "answers a second",
    "first_token": "from a question to its first token, median, s",
    "tokens": "tokens written",
    "read": "tokens of questions read",
}

_RANDOM_ITEMS, _RANDOM_SCALE = 16, 0.25
"""How much is asked of a model with random weights, which is a slow one, unless that is said."""


class Contexts(msgspec.Struct, frozen=True, kw_only=True):
    """Tokens of a context for so many sequences.

    `pool`: our worker's, where all stand behind one preamble. `server`: llama-server's, where each
    has a preamble of its own.
    """

    sequences: int
    pool: int
    server: int


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """The document that `--json` writes.

    `limit`: the most tokens of all answers together. `n_ctx`: of the context of one answer. `rest`:
    seconds between the warm-up and the clock.
    """

    model: str
    model_bytes: int
    random: bool
    preamble: str
    preamble_tokens: int
    items: int
    question_tokens: int
    limit: int
    threads: int
    n_ctx: int
    contexts: tuple[Contexts, ...]
    rest: float
    machine: Machine
    platform: str
    versions: dict[str, str]
    rounds: int
    complete: bool
    contenders: dict[str, dict[str, Series]]
    ratios: tuple[Ratio, ...]
    failures: tuple[Failure, ...]


def chosen_items(count: int, scale: float) -> tuple[Item, ...]:
    """The first questions, and this share of the tokens of their answers, at least one."""
    return tuple(Item(item.question, max(1, round(scale * item.limit))) for item in ITEMS[:count])


def together(sequences: int) -> str:
    """The name of our worker with so many sequences."""
    return f"together-{sequences}"


def server(sequences: int) -> str:
    """The name of llama-server with so many slots."""
    return f"llama-server-{sequences}"


def targets(sequences: Sequence[int], *, beside_server: bool) -> tuple[Target, ...]:
    """The ratios that are told; nothing is wanted of them."""
    rate = "tokens_per_s"
    names = [together(number) for number in sequences]
    found = [Target(metric=rate, ours=name, theirs=ALONE) for name in names]
    if beside_server:
        servers = [server(number) for number in sequences]
        found += [Target(metric=rate, ours=name, theirs=ALONE) for name in servers]
        for metric in (rate, "first_token"):
            found += [
                Target(metric=metric, ours=ours, theirs=theirs)
                for ours, theirs in zip(names, servers, strict=True)
            ]
    return tuple(found)


def make_work(
    model: Path,
    preamble: Preamble,
    items: Sequence[Item],
    *,
    threads: int,
    rest: float,
    directory: Path,
) -> tuple[Work, str]:
    """What each contender is given, tokenised by our worker; and what that computes with.

    Raises:
        UrialError: The model can't be loaded, or was trained on less than an answer takes.
    """
    text = preamble_text(preamble)
    with WorkerLine(directory) as line:
        loaded = line.load(str(model), EngineOptions(n_ctx=256, threads=threads))

        def prompt(question: str, limit: int) -> Prompt:
            turn = open_turn(preamble, question)
            return Prompt(turn, line.tokenize(turn), limit)

        work = Work(
            model=str(model),
            threads=threads,
            preamble=text,
            preamble_ids=line.tokenize(text, start=True),
            prompts=tuple(prompt(item.question, item.limit) for item in items),
            warm_up=prompt(QUESTION, WARM_UP),
            opening=opening_text(preamble),
            rest=rest,
        )
        trained = loaded.info.n_ctx_train
        if trained and trained < work.n_ctx:
            raise UrialError(
                f"An answer takes {work.n_ctx} tokens, but the model was trained on {trained}.",
                "Choose a shorter preamble, or another model.",
            )
        return work, line.library


def compare(
    model: Path,
    preamble_name: str,
    items: Sequence[Item],
    *,
    sequences: Sequence[int],
    rounds: int,
    threads: int,
    program: Path | None,
    rests: bool,
    random: bool,
    say: Callable[[str], None],
) -> Comparison:
    """Measure everything.

    Raises:
        UrialError: The preamble is unsound or has no text, or the model can't be loaded.
    """
    preamble = find_preamble(preamble_name)
    if not preamble_text(preamble):
        raise UrialError(
            f"The preamble {preamble.name} has no text, so there is nothing to be behind.",
            "Choose another one.",
        )
    machine = this_machine()
    if warning := busy_warning(machine.load_average, machine.cores):
        say(warning)
    size = model.stat().st_size
    versions = {
        "urial-tui": __version__,
        "llama-cpp-python": importlib.metadata.version("llama-cpp-python"),
        "python": platform.python_version(),
    }
    if program is None:
        say("llama-server is not given (--llama-server PATH), so nothing is compared with it.")
    else:
        versions["llama-server"] = llama_server.server_version(program)
    with tempfile.TemporaryDirectory(prefix="urial-parallel-") as name:
        rest = pause_s(size) if rests else 0.0
        work, versions["library"] = make_work(
            model, preamble, items, threads=threads, rest=rest, directory=Path(name)
        )
    contenders: dict[str, Callable[[], Measured]] = {ALONE: partial(_ours, work, 0)}
    for number in sequences:
        contenders[together(number)] = partial(_ours, work, number)
        if program is not None:
            contenders[server(number)] = partial(_theirs, work, program, number)
    found, failures, complete = run_rounds(contenders, rounds, work.tokens, say)
    return Comparison(
        model=model.name,
        model_bytes=size,
        random=random,
        preamble=preamble.name,
        preamble_tokens=len(work.preamble_ids),
        items=len(items),
        question_tokens=sum(len(prompt.ids) for prompt in work.prompts),
        limit=work.tokens,
        threads=threads,
        n_ctx=work.n_ctx,
        contexts=tuple(
            Contexts(sequences=number, pool=work.pool(number), server=number * work.n_ctx)
            for number in sequences
        ),
        rest=rest,
        machine=machine,
        platform=f"{platform.system()} {platform.machine()}",
        versions=versions,
        rounds=len(found),
        complete=complete,
        contenders={name: results.contender_series(found, name, METRICS) for name in contenders},
        ratios=tuple(
            results.ratio(target, found)
            for target in targets(sequences, beside_server=program is not None)
        ),
        failures=tuple(failures),
    )


def _ours(work: Work, sequences: int) -> Measured:
    """Our worker; 0 sequences: one answer after another."""
    with tempfile.TemporaryDirectory(prefix="urial-parallel-") as name:
        return worker_line.measure(work, Path(name), max(1, sequences), together=sequences > 0)


def _theirs(work: Work, program: Path, slots: int) -> Measured:
    with tempfile.TemporaryDirectory(prefix="urial-parallel-") as name:
        return llama_server.measure(work, program, Path(name), slots)


def report(comparison: Comparison) -> str:
    """The comparison for people to read."""
    versions = comparison.versions
    weights = ", random weights" if comparison.random else ""
    lines = [
        f"{comparison.model}{weights} behind {comparison.preamble} ({comparison.preamble_tokens} "
        f"tokens), {comparison.items} questions of {comparison.question_tokens} tokens, answers of "
        f"at most {comparison.limit}, {comparison.threads} threads, "
        f"rounds: {comparison.rounds}{'' if comparison.complete else ' (interrupted)'}",
        f"{comparison.machine.processor}, {comparison.machine.cores} cores",
        f"llama-cpp-python {versions['llama-cpp-python']}, {versions['library']}",
        f"llama-server {versions.get('llama-server', 'not given')}",
        f"context of an answer: {comparison.n_ctx} tokens; of all, ours / llama-server's: "
        + ", ".join(
            f"{each.sequences}: {each.pool} / {each.server}" for each in comparison.contexts
        ),
        f"{ALONE}: our worker, one answer after another; together-1: the same in a pool",
    ]
    for metric, title in METRICS.items():
        rows = [
            (name, figures[metric])
            for name, figures in comparison.contenders.items()
            if metric in figures
        ]
        if rows:
            lines += ["", f"{title:48}{'median':>9}{'lowest':>9}{'highest':>9}"]
            lines += [f"  {name:46}{results.columns(values)}" for name, values in rows]
    lines += ["", f"{'ratio of the same round':48}{'median':>9}{'lowest':>9}{'highest':>9}"]
    lines += [f"  {ratio.name:46}{results.columns(ratio.ratio)}" for ratio in comparison.ratios]
    if comparison.failures:
        lines += [
            "",
            "not measured:",
            *(
                f"  round {failure.round}, {failure.contender}: {failure.message}"
                for failure in comparison.failures
            ),
        ]
    return "\n".join(sanitize_line(line) for line in lines)


@contextmanager
def _model(name: str, shape: str | None) -> Iterator[Path]:
    """The model's file; one of a shape is written, and removed again."""
    if shape is None:
        yield resolve(name).path.absolute()
        return
    with tempfile.TemporaryDirectory(prefix="urial-parallel-") as directory:
        _say(f"writing a model of the shape {shape}")
        yield write_model(Path(directory) / f"{shape}.gguf", SHAPES[shape])


def main(arguments: Sequence[str] | None = None) -> int:
    """Compare and print; the exit code, 1 where something was not measured."""
    chosen = _parser().parse_args(arguments)
    count = chosen.items or (_RANDOM_ITEMS if chosen.random else len(ITEMS))
    scale = chosen.scale or (_RANDOM_SCALE if chosen.random else 1.0)
    program = chosen.llama_server
    try:
        if program is not None and not os.access(program, os.X_OK):
            raise UrialError(
                f"There is no llama-server to run at {program}.",
                "docs/benchmarks.md says how to build it.",
            )
        with _model(chosen.model, chosen.random) as model:
            comparison = compare(
                model,
                chosen.preamble,
                chosen_items(count, scale),
                sequences=chosen.sequences,
                rounds=chosen.rounds,
                threads=chosen.threads,
                program=program and program.absolute(),
                rests=not chosen.no_rest,
                random=chosen.random is not None,
                say=_say,
            )
        print(report(comparison))
        if chosen.json is not None:
            text = msgspec.json.format(msgspec.json.encode(comparison), indent=2)
            chosen.json.write_bytes(text + b"\n")
    except UrialError as error:
        _say(str(error))
        return error.exit_code
    except OSError as error:
        _say(f"{error.filename or chosen.json} can't be written: {error.strerror or error}.")
        return 1
    except KeyboardInterrupt:
        return 130
    if not comparison.complete:
        return 130
    return 1 if comparison.failures else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.parallel",
        description="Measure many answers at once, beside llama.cpp's server.",
    )
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--model", default="gemma-3-270m", help="a .gguf file, or a catalogue name")
    which.add_argument(
        "--random", type=_shape, metavar="SHAPE", help="a model of this shape, e.g. 1b, is written"
    )
    parser.add_argument("--preamble", default="urial-k3", help="a name or a file")
    parser.add_argument("--llama-server", type=Path, help="the llama-server program of llama.cpp")
    parser.add_argument("--sequences", type=_numbers, default=(1, 4, 8, 16, 32), metavar="N,N,…")
    parser.add_argument("--rounds", type=at_least(1), default=3)
    parser.add_argument("--items", type=at_least(1), help=f"how many questions, of {len(ITEMS)}")
    parser.add_argument("--scale", type=_share, help="share of the tokens of each answer, up to 1")
    parser.add_argument("--threads", type=at_least(1), default=physical_cores())
    parser.add_argument("--no-rest", action="store_true", help="no pause behind the warm-up")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the document there")
    return parser


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(dict.fromkeys(at_least(1)(part) for part in text.split(",")))


def _share(text: str) -> float:
    try:
        share = float(text)
    except ValueError:
        share = 0.0
    if not 0 < share <= 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no share above 0, up to 1")
    return share


def _shape(text: str) -> str:
    name = text if text in SHAPES else f"llama-{text}"
    if name not in SHAPES:
        raise argparse.ArgumentTypeError(f"{text!r} is none of {', '.join(SHAPES)}")
    return name


def _end(number: int, _frame: FrameType | None) -> NoReturn:
    """End with everything that was started."""
    raise SystemExit(128 + number)


def _say(sentence: str) -> None:
    print(f"parallel: {sanitize_line(sentence)}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    for each in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(each, _end)
    sys.exit(main())
