"""Every row of logits that answers are chosen from, whatever was evaluated before them.

A program of its own, since native code and the tests don't share a process:
`python -m tests.answer_rows MODEL CACHE RESULT THREADS LENGTH LINES` writes a JSON object: `build`,
what the library was built for, and `answers`, by the name of a situation the answer's ids and a
hash of each row. The same question under the same name is asked by all processes; what ran before
it differs. LENGTH: tokens of the longest answer; LINES: of the longest question.
"""

from __future__ import annotations

import hashlib
import json
import platform
import re
import sys
from itertools import cycle
from pathlib import Path
from typing import Any

from urial_tui.engine.native import llama
from urial_tui.engine.native.abort_flag import AbortFlag
from urial_tui.engine.native.threads import ThreadGovernor
from urial_tui.engine.wire.commands import Generate, LoadModel, PreparePreamble
from urial_tui.engine.wire.events import Event, Finished, TextDelta
from urial_tui.engine.wire.scores import Floats
from urial_tui.engine.wire.values import EngineOptions, Sampling, TextSegment, TokenSegment, Turn
from urial_tui.engine.worker import generation
from urial_tui.engine.worker.loaded import LoadedModel
from urial_tui.engine.worker.sampling import Sampler
from urial_tui.engine.worker.steps import complete

_COMPILER = re.compile(rb"(?:GCC: \([^)\0]*\)|clang version) [\d.]+")

PREAMBLE: Turn = (TextSegment(text="# Query:\nHello world\n\n# Answer:\nhope it helps\n\n" * 24),)
OTHER: Turn = (TextSegment(text="Something else stands in front of this.\n" * 12),)


def question(text: str) -> Turn:
    return (TextSegment(text=f"# Query:\n{text}\n\n# Answer:\n"),)


class Model:
    """The worker's side of one model, without a worker."""

    def __init__(self, path: str, cache: str, threads: int, length: int, lines: int) -> None:
        self.flag = AbortFlag()
        self.length = length
        self.long = question("Read this to its end. " * lines)
        options = EngineOptions(n_ctx=4096, threads=threads)
        load = LoadModel(id=1, model=1, path=path, options=options)
        self.loaded = LoadedModel(load, Path(cache), self.flag, lambda _: None, lambda _: None)
        self.rows: list[str] = []

    def ask(
        self,
        *turns: Turn,
        preamble: Turn = PREAMBLE,
        sampling: Sampling | None = None,
        stop_after: int = 0,
    ) -> dict[str, Any]:
        """An answer: its ids, its rows, and the turn that it makes."""
        events: list[Event] = []

        def emit(event: Event) -> None:
            events.append(event)
            if stop_after and isinstance(event, TextDelta) and event.generated >= stop_after:
                self.flag.set()

        self.rows.clear()
        request = Generate(
            id=1, model=1, preamble=preamble, turns=turns,
            sampling=sampling or Sampling(temperature=0.0),
            max_tokens=self.length,
        )  # fmt: skip
        complete(generation.answer(self.loaded, None, request, emit))
        self.flag.clear()
        (done,) = [event for event in events if isinstance(event, Finished)]
        return {"ids": list(done.ids), "rows": list(self.rows)}

    def read_ahead(self, *turns: Turn) -> None:
        request = PreparePreamble(id=1, model=1, preamble=PREAMBLE, turns=turns)
        complete(generation.prepare(self.loaded, request, lambda _: None))


def closed(turn: Turn, answer: dict[str, Any]) -> Turn:
    return (*turn, TokenSegment(ids=tuple(answer["ids"])), TextSegment(text="\n\n"))


def record(model: Model) -> None:
    """Have each row hashed from which a token is chosen, and the threads changed behind it."""
    sample = Sampler.sample

    def hashing(sampler: Sampler, logits: Floats) -> int:
        model.rows.append(hashlib.sha256(logits.tobytes()).hexdigest()[:16])
        return sample(sampler, logits)

    wanted = cycle((1, 2))
    Sampler.sample = hashing  # type: ignore[method-assign, assignment]
    ThreadGovernor.observe = lambda *_: next(wanted)  # type: ignore[method-assign]


def situations(model: Model) -> dict[str, dict[str, Any]]:
    """The same questions again and again, with other work in between."""
    one, two, long = question("first of all"), question("and the second? é🙂"), model.long
    drawn = Sampling(temperature=3.0, seed=7)
    found = {"one": model.ask(one)}
    found["one, repeated"] = model.ask(one)
    found["one, drawn"] = model.ask(one, sampling=drawn)
    found["long"] = model.ask(long)
    turn = closed(one, found["one"])
    model.read_ahead(turn)
    found["two, read ahead"] = model.ask(turn, two)
    found["one, a turn back"] = model.ask(one)
    found["two, from another branch"] = model.ask(turn, two)
    found["two, regenerated"] = model.ask(turn, two)
    model.ask(turn, long, stop_after=3)
    found["two, behind a cancelled answer"] = model.ask(turn, two)
    model.ask(question("of another conversation"), preamble=OTHER)
    found["one, drawn, another preamble in between"] = model.ask(one, sampling=drawn)
    found["long, behind others"] = model.ask(long)
    found["two, from nothing"] = model.ask(turn, two)
    return found


def backwards(model: Model, known: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """The last questions first, in a process that starts from the preamble on the disk."""
    one, two, long = question("first of all"), question("and the second? é🙂"), model.long
    found = {"two, restored": model.ask(closed(one, known["one"]), two)}
    found["long, restored"] = model.ask(long)
    found["one, drawn, restored"] = model.ask(one, sampling=Sampling(temperature=3.0, seed=7))
    found["one, restored"] = model.ask(one)
    return found


def build() -> str:
    """What rounding depends on: the instructions, the compiler, the C library's functions."""
    found = set[str]()
    for file in llama.library_files():
        found.update(name.decode() for name in _COMPILER.findall(Path(file).read_bytes()))
    parts = [llama.system_info().strip(" |"), *sorted(found), " ".join(platform.libc_ver())]
    return " | ".join(parts)


def main(path: str, cache: str, result: str, *numbers: str) -> None:
    llama.initialise()
    file = Path(result)
    known = json.loads(file.read_text())["answers"] if file.exists() else {}
    model = Model(path, cache, *map(int, numbers))
    record(model)
    found = backwards(model, known) if known else situations(model)
    file.write_text(json.dumps({"build": build(), "answers": {**known, **found}}))
    model.loaded.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
