"""Our engine beside other ways to run the same model: `python -m benchmarks.speed --help`.

All contenders run in every round, in an order that rotates, each in a process of its own
and one at a time. What is printed was measured in this run; docs/benchmarks.md says what
the figures are and how to get llama-bench.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import os
import platform
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from benchmarks import results
from benchmarks.contenders import Counted, Measured, Workload
from benchmarks.processes import ContenderFailed, contender, first_tokens, llama_bench
from benchmarks.results import METRICS, TARGETS, Ratio, Round, SecondTurns, Series
from urial_tui import __version__
from urial_tui.benchmark.memory_speed import bytes_per_token, read_speed
from urial_tui.benchmark.prompts import BEGUN, QUESTION
from urial_tui.benchmark.report import Machine, busy_warning, this_machine
from urial_tui.engine.native.threads import physical_cores
from urial_tui.errors import UrialError
from urial_tui.models.registry import resolve
from urial_tui.prompting.preamble import Preamble
from urial_tui.prompting.preamble_file import find_preamble
from urial_tui.prompting.render import close_text, open_turn, preamble_text
from urial_tui.prompting.stops import stop_rules
from urial_tui.sanitize import sanitize_line

_CONTEXT = 4096
_ROOM = 64
"""Tokens of the context that are left over: cuts between texts may move a token or two."""


class Failure(msgspec.Struct, frozen=True, kw_only=True):
    """A contender that gave no figure in a round (counted from 1), and why."""

    round: int
    contender: str
    message: str


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """The document that `--json` writes; docs/benchmarks.md describes it."""

    model: str
    model_bytes: int
    weight_bytes_per_token: int | None
    preamble: str
    preamble_tokens: int
    tokens: int
    threads: int
    machine: Machine
    platform: str
    versions: dict[str, str]
    llama_bench: bool
    rounds: int
    complete: bool
    contenders: dict[str, dict[str, Series]]
    ratios: tuple[Ratio, ...]
    second_turn: SecondTurns
    failures: tuple[Failure, ...]

    @property
    def passes(self) -> bool:
        """Whether every target was measured and is met."""
        wanted = [ratio.met for ratio in self.ratios if ratio.wanted]
        return self.complete and all(wanted) and bool(self.second_turn.met)


def make_workload(model: Path, preamble: Preamble, tokens: int) -> Workload:
    """What each contender does, with room in the context still to be found."""
    return Workload(
        model=str(model),
        threads=physical_cores(),
        n_ctx=_CONTEXT,
        tokens=tokens,
        preamble=preamble_text(preamble),
        prompt=open_turn(preamble, QUESTION) + BEGUN,
        questions=(
            open_turn(preamble, "What is the capital of Italy?"),
            open_turn(preamble, "And what is it known for?"),
        ),
        stops=stop_rules(preamble),
        close=close_text(preamble),
    )


def run_rounds(
    contenders: dict[str, Callable[[], Measured]],
    rounds: int,
    tokens: int,
    say: Callable[[str], None],
) -> tuple[list[Round], list[Failure], bool]:
    """All rounds, or those before Ctrl-C; what failed; and whether that were all.

    The last round may lack some contenders if it was cut short.
    """
    found: list[Round] = []
    failures: list[Failure] = []
    started = time.monotonic()
    try:
        for number in range(rounds):
            this: dict[str, Measured] = {}
            found.append(this)
            for name in results.order(list(contenders), number):
                say(f"round {number + 1} of {rounds}: {name}")
                try:
                    measured, short = results.without_short_texts(contenders[name](), tokens)
                except ContenderFailed as error:
                    failures.append(Failure(round=number + 1, contender=name, message=str(error)))
                    say(str(error))
                    continue
                this[name] = measured
                failures += [
                    Failure(
                        round=number + 1,
                        contender=name,
                        message=f"{metric}: the model ended its text before half of the tokens.",
                    )
                    for metric in short
                ]
            minutes = (time.monotonic() - started) / (number + 1) * (rounds - number - 1) / 60
            if number + 1 < rounds:
                say(f"about {minutes:.1f} minutes left")
    except KeyboardInterrupt:
        say("interrupted")
        return found, failures, False
    return found, failures, True


def compare(
    model: Path,
    preamble_name: str,
    *,
    rounds: int,
    tokens: int,
    bench: Path | None,
    say: Callable[[str], None],
) -> Comparison:
    """Measure everything.

    Raises:
        UrialError: The preamble is unsound or too short, or the model can't be loaded.
    """
    if preamble_name.endswith(".toml") or os.sep in preamble_name:
        preamble_name = str(Path(preamble_name).expanduser().absolute())
    preamble = find_preamble(preamble_name)
    workload = make_workload(model, preamble, tokens)
    if not workload.preamble:
        raise UrialError(
            f"The preamble {preamble.name} has no text, so there is nothing to be behind.",
            "Choose another one.",
        )
    machine = this_machine()
    if warning := busy_warning(machine.load_average, machine.cores):
        say(warning)
    say("counting the preamble's tokens")
    counted = contender("count", workload, Counted)
    needed = counted.preamble + counted.prompt + _ROOM
    workload = msgspec.structs.replace(workload, n_ctx=max(_CONTEXT, -(-needed // 256) * 256))
    contenders = {
        name: _contender(name, workload) for name in ("worker", "in-process", "bare", "llama-class")
    }
    if bench is None:
        say("llama-bench is not given (--llama-bench PATH), so nothing is compared with it.")
    else:
        contenders["llama-bench"] = lambda: llama_bench(bench, workload, counted)
    weights = bytes_per_token(model)
    contenders["memory"] = lambda: memory(workload.threads, weights)
    contenders["start"] = lambda: first_tokens(workload.model, preamble_name)
    found, failures, complete = run_rounds(contenders, rounds, tokens, say)
    return Comparison(
        model=model.name,
        model_bytes=model.stat().st_size,
        weight_bytes_per_token=weights,
        preamble=preamble.name,
        preamble_tokens=counted.preamble,
        tokens=tokens,
        threads=workload.threads,
        machine=machine,
        platform=f"{platform.system()} {platform.machine()}",
        versions={
            "urial-tui": __version__,
            "llama-cpp-python": importlib.metadata.version("llama-cpp-python"),
            "python": platform.python_version(),
        },
        llama_bench=bench is not None,
        rounds=len(found),
        complete=complete,
        contenders={name: results.contender_series(found, name) for name in contenders},
        ratios=tuple(results.ratio(target, found) for target in TARGETS),
        second_turn=results.second_turns(found),
        failures=tuple(failures),
    )


def memory(threads: int, weights: int | None) -> Measured:
    """What the memory gives in this round, and how fast a token's weights can come from it."""
    speed = read_speed(threads)
    limit = {} if weights is None else {"decode_limit": speed / weights}
    return Measured(figures={"memory_read": speed / 1e9, **limit})


def _contender(name: str, workload: Workload) -> Callable[[], Measured]:
    return lambda: contender(name, workload, Measured)


def report(comparison: Comparison) -> str:
    """The comparison for people to read."""
    lines = [
        f"{comparison.model} behind {comparison.preamble} ({comparison.preamble_tokens} tokens), "
        f"{comparison.tokens} tokens, {comparison.threads} threads, "
        f"rounds: {comparison.rounds}{'' if comparison.complete else ' (interrupted)'}",
        f"{comparison.machine.processor}, {comparison.machine.cores} cores; llama-cpp-python "
        f"{comparison.versions['llama-cpp-python']}",
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
    lines += ["", f"{'ratio of the same round':48}{'median':>9}{'lowest':>9}{'highest':>9}  wanted"]
    for ratio in comparison.ratios:
        verdict = f"  {ratio.wanted}: {_verdict(ratio.met)}" if ratio.wanted else ""
        lines.append(f"  {ratio.name:46}{results.columns(ratio.ratio)}{verdict}")
    turns = comparison.second_turn
    lines += [
        "",
        "second turn, tokens evaluated of tokens that are new: "
        + (", ".join(f"{turn.prefilled} of {turn.new}" for turn in turns.turns) or "not measured"),
        f"  wanted: no more than the new ones: {_verdict(turns.met)}",
    ]
    if not comparison.llama_bench:
        lines += ["", "llama-bench was not given, so nothing was compared with it."]
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


def _verdict(met: bool | None) -> str:
    return "not measured" if met is None else "met" if met else "NOT met"


def main(arguments: Sequence[str] | None = None) -> int:
    """Compare and print; the exit code (1 for a failure, or with --check a missed target)."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.speed",
        description="Measure our engine beside other ways to run the same model.",
    )
    parser.add_argument("--model", required=True, help="a .gguf file, or a catalogue name")
    parser.add_argument("--preamble", default="urial-k3", help="a name or a file")
    parser.add_argument("--llama-bench", type=Path, help="the llama-bench program of llama.cpp")
    parser.add_argument("--rounds", type=at_least(1), default=5)
    parser.add_argument("--tokens", type=at_least(4), default=128, help="for a decoding speed")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the document there")
    parser.add_argument("--check", action="store_true", help="fail where a target is not met")
    chosen = parser.parse_args(arguments)
    try:
        if chosen.llama_bench is not None and not os.access(chosen.llama_bench, os.X_OK):
            raise UrialError(
                f"There is no llama-bench to run at {chosen.llama_bench}.",
                "docs/benchmarks.md says how to build it.",
            )
        comparison = compare(
            resolve(chosen.model).path.absolute(),
            chosen.preamble,
            rounds=chosen.rounds,
            tokens=chosen.tokens,
            bench=chosen.llama_bench and chosen.llama_bench.absolute(),
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
        _say(f"{chosen.json} can't be written: {error.strerror or error}.")
        return 1
    except KeyboardInterrupt:
        return 130
    if not comparison.complete:
        return 130
    return 1 if chosen.check and not comparison.passes else 0


def at_least(least: int) -> Callable[[str], int]:
    """Reads a number of a command line that is not smaller."""

    def number(text: str) -> int:
        if not text.isdecimal() or int(text) < least:
            raise argparse.ArgumentTypeError(f"{text!r} is no number of at least {least}")
        return int(text)

    return number


def _say(sentence: str) -> None:
    print(f"speed: {sanitize_line(sentence)}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
