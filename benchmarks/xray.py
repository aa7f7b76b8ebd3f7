"""What an x-ray costs: `python -m benchmarks.xray --help`.

One answer is written without and with a second side that reads it along, and is scored once by a
forced pass on that side, in turns, so that a machine that gets slower meanwhile does so for all
three. What counts is (with - without) / scoring once, of each round, and the median of that. The
times of an answer are those of the whole request, the second side's reading of the question
included; scoring includes that as well. No stop rule ends the answer, so it always has the same
number of tokens. (Which ones may change at a near tie: the KV cache puts a sequence into other
cells each time, and sums over them in another order.)
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

from urial_tui.benchmark.prompts import pause_s
from urial_tui.compare.second_side import SecondSide, open_second_side
from urial_tui.compare.sides import Side
from urial_tui.engine.client.call import EventSteps
from urial_tui.engine.client.engine import Engine
from urial_tui.engine.client.model import Model
from urial_tui.engine.native.threads import physical_cores
from urial_tui.engine.wire.commands import ScoreSide
from urial_tui.engine.wire.events import Finished, Shifts
from urial_tui.engine.wire.values import EngineOptions, TextSegment, TokenSegment, Turn, Watch
from urial_tui.errors import UrialError
from urial_tui.models.registry import resolve
from urial_tui.prompting.context import find_context
from urial_tui.prompting.conversation import Exchanged
from urial_tui.prompting.preamble import Preamble
from urial_tui.prompting.preamble_file import find_preamble
from urial_tui.prompting.render import open_turn, preamble_turn
from urial_tui.prompting.templates.renderer import TemplateRenderer
from urial_tui.runtime.loading import load
from urial_tui.sanitize import sanitize_line

TARGET = 1.0
QUESTION = "Write a long story about a mountain sheep and a shepherd."


class Round(msgspec.Struct, frozen=True, kw_only=True):
    """Seconds: of the answer without and with the second side, and of scoring it once."""

    without: float
    along: float
    scoring: float

    @property
    def ratio(self) -> float:
        """The x-ray's cost, in times of scoring the answer once."""
        return (self.along - self.without) / self.scoring


class XrayReport(msgspec.Struct, frozen=True, kw_only=True):
    """The document that `--json` writes. `tokens`: of the answer."""

    model: str
    second: str
    threads: int
    load_average: float
    tokens: int
    target: float
    rounds: tuple[Round, ...]
    ratio: float


class Answered(NamedTuple):
    """One answer: its tokens, how many of them were ranked, and the seconds that it took."""

    ids: tuple[int, ...]
    ranked: int
    seconds: float


class Bench:
    """Two loaded sides and one question."""

    def __init__(self, writing: Model, second: SecondSide, preamble: Preamble, tokens: int) -> None:
        self._writing = writing
        self._second = second
        self._preamble = preamble
        self._tokens = tokens
        self._watch = second.watch([Exchanged(QUESTION)])

    def answer(self, watch: Watch | None) -> Answered:
        """The greedy answer to the question."""
        started = time.perf_counter()
        ids: tuple[int, ...] = ()
        ranked = 0
        for event in self._writing.generate(
            preamble=preamble_turn(self._preamble),
            turns=[(TextSegment(text=open_turn(self._preamble, QUESTION)),)],
            max_tokens=self._tokens,
            watch=watch,
        ):
            if isinstance(event, Finished):
                ids = event.ids
            elif isinstance(event, Shifts):
                ranked += len(event.ranks)
        return Answered(ids, ranked, time.perf_counter() - started)

    def scoring(self, ids: tuple[int, ...]) -> float:
        """Seconds of one forced pass over an answer on the second side."""
        context: Turn = (*self._watch.preamble, *self._watch.turns[0])
        answer = TokenSegment(ids=ids)
        request = ScoreSide(id=0, model=0, context=context, answer=answer, top_k=0)
        started = time.perf_counter()
        scored = self._second.model.score(request).result()
        assert len(scored.ids) == len(ids)
        return time.perf_counter() - started

    def warm_up(self) -> None:
        """Have the question in both caches: read in another batch, it rounds differently."""
        for watch in (self._watch, None, self._watch):
            self.answer(watch)

    def round(self, number: int) -> tuple[Round, int]:
        """One round, and the answer's tokens; who goes first changes."""
        order = ["without", "along"] if number % 2 else ["along", "without"]
        found = {name: self.answer(self._watch if name == "along" else None) for name in order}
        ids = found["without"].ids
        if any(len(one.ids) != self._tokens for one in found.values()):
            raise UrialError("The answer ended early.", "Measure fewer tokens, or another model.")
        if found["along"].ranked != self._tokens:
            raise UrialError("The second side did not read the whole answer.")
        measured = Round(
            without=found["without"].seconds,
            along=found["along"].seconds,
            scoring=self.scoring(ids),
        )
        return measured, len(ids)


def measure(
    model: str, second: str, context: str, *, threads: int, rounds: int, tokens: int
) -> XrayReport:
    """Measure `rounds` rounds behind one that warms up."""
    options = EngineOptions(n_ctx=4096, threads=threads)
    main, other = resolve(model), resolve(second)
    side = Side(
        name=second,
        path=other.path,
        adapter=other.adapter,
        chat_template=other.chat_template,
        context=find_context(context),
    )
    with (
        tempfile.TemporaryDirectory() as cache,
        TemplateRenderer() as templates,
        Engine(cache_dir=Path(cache)) as engine,
    ):
        for _ in load(engine, main.path, adapter=main.adapter, options=options):
            pass
        (writing,) = engine.models
        opened = _opened(open_second_side(engine, side, options, templates, beside=writing))
        bench = Bench(writing, opened, find_preamble("urial-k3"), tokens)
        bench.warm_up()
        time.sleep(pause_s(main.path.stat().st_size + other.path.stat().st_size))
        found = [bench.round(number) for number in range(rounds)]
    return XrayReport(
        model=model,
        second=f"{second} ({context})",
        threads=threads,
        load_average=os.getloadavg()[0],
        tokens=found[0][1],
        target=TARGET,
        rounds=tuple(one for one, _ in found),
        ratio=statistics.median(one.ratio for one, _ in found),
    )


def _opened(opening: EventSteps[SecondSide]) -> SecondSide:
    while True:
        try:
            next(opening)
        except StopIteration as end:
            second: SecondSide = end.value
            return second


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print; 0 if the target is met, 1 if not."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.xray", description=__doc__)
    parser.add_argument("-m", "--model", default="gemma-3-270m", help="what writes")
    parser.add_argument("--second", default="gemma-3-270m-sft", help="what reads along")
    parser.add_argument("--context", default="chat", help="of what reads along")
    parser.add_argument("--threads", type=int, default=0, help="0: the physical cores")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--tokens", type=int, default=200, help="longest answer")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args(arguments)
    try:
        report = measure(
            options.model,
            options.second,
            options.context,
            threads=options.threads or physical_cores(),
            rounds=options.rounds,
            tokens=options.tokens,
        )
    except UrialError as error:
        sys.stderr.write(f"{sanitize_line(str(error))}\n")
        return error.exit_code
    if options.json:
        sys.stdout.write(msgspec.json.encode(report).decode() + "\n")
        return 0 if report.ratio <= report.target else 1
    print(
        f"{sanitize_line(report.model)}, read along by {sanitize_line(report.second)}; "
        f"{report.tokens} tokens, {report.threads} threads, load average {report.load_average:.1f}"
    )
    print(f"{'without s':>10}{'with s':>10}{'scoring s':>11}{'cost / scoring':>16}")
    for one in report.rounds:
        print(f"{one.without:>10.2f}{one.along:>10.2f}{one.scoring:>11.2f}{one.ratio:>16.2f}")
    print(f"median cost {report.ratio:.2f} of scoring once; target: <= {report.target:.1f}")
    return 0 if report.ratio <= report.target else 1


if __name__ == "__main__":
    sys.exit(main())
