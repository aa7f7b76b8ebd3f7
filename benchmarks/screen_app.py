"""The application as `benchmarks.screen` runs it: on a recording of a made-up answer.

What is played is a session as `engine.client.recording` keeps it, so everything above the line to
the worker is what a user has: the client, its thread, the store and the screens. The events
come as the worker sends them: some text every `EMIT_EVERY` seconds.
"""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Iterator
from pathlib import Path

from urial_tui.chat.store import Store
from urial_tui.engine.client.engine import Engine
from urial_tui.engine.client.recording import Received, Recording, RecordingHead, Sent, Started
from urial_tui.engine.client.replay import Replay
from urial_tui.engine.wire.commands import Generate, LoadModel, PreparePreamble
from urial_tui.engine.wire.events import (
    Event,
    Finished,
    Loaded,
    PreambleReady,
    PromptReady,
    TextDelta,
)
from urial_tui.engine.wire.frames import encode
from urial_tui.engine.wire.values import ModelInfo
from urial_tui.prompting.preamble_file import find_preamble
from urial_tui.runtime.loading import load_unchecked
from urial_tui.tui.app import UrialApp, run_in_terminal
from urial_tui.tui.replay import RecordedModel

EMIT_EVERY = 0.04
"""Seconds between two text events, as `engine.worker.generation` has it; that takes long to
import."""
CHARACTERS = 4
"""A token's, about: English text with some code."""

PARAGRAPH = (
    "A file is read **line by line**, so that a large one does not have to fit into the memory; "
    "`open` gives a handle, and `with` closes it *whatever happens* in between. "
)
CODE = '    for number, line in enumerate(file):  # from zero\n        print(f"{number}: {line}")\n'

MIXED = f"""\
## Reading a file

{PARAGRAPH * 2}

1. Open the file with `open`, and name its *encoding*.
2. Read it **line by line**.
3. Let `with` close it, also after an error.

```python
with open("notes.txt", encoding="utf-8") as file:
{CODE * 4}```

{PARAGRAPH}

- Large files are no matter for this.
- Binary files are: open those with `"rb"`.

| mode | reads | writes |
| --- | --- | --- |
| `r` | yes | no |
| `w` | no | yes, from the start |
| `a` | no | yes, at the end |

> Nobody has to call `close` here.

"""

TEXTS = {
    "mixed": MIXED,
    "paragraph": PARAGRAPH,
    "code": CODE,
    "list": "- " + PARAGRAPH + "\n",
    "table": "| `open` | opens a **file** | gives a handle |\n",
}
HEADS = {"code": "```python\nwith open(name) as file:\n", "table": "| a | b | c |\n|---|---|---|\n"}

INFO = ModelInfo(
    path="made-up.gguf",
    name="Made-up",
    architecture="llama",
    description="llama 1M F16",
    parameters=1_000_000,
    size=2_000_000,
    n_vocab=512,
    n_ctx=8192,
    n_ctx_train=8192,
    n_layer=2,
    n_swa=0,
    memory="attention",
    threads=2,
    gpu_layers=0,
    kv_type="f16",
)


def written(kind: str, tokens: int) -> str:
    """An answer of so many tokens."""
    length = tokens * CHARACTERS
    text = HEADS.get(kind, "") + TEXTS[kind] * (length // len(TEXTS[kind]) + 1)
    return text[:length]


def events(text: str, rate: float) -> Iterator[tuple[float, Event]]:
    """The events of an answer, each with the seconds since the one before.

    Args:
        text: The answer.
        rate: Tokens a second.
    """
    yield 0.2, PromptReady(id=3, turns=(((1, 2, 3),),), reused=1190, prefilled=20, used=1210)
    size = max(1, round(EMIT_EVERY * rate * CHARACTERS))
    generated = 0
    for at in range(0, len(text), size):
        piece = text[at : at + size]
        tokens = tuple(range(-(-len(piece) // CHARACTERS)))
        generated += len(tokens)
        yield EMIT_EVERY, TextDelta(id=3, text=piece, ids=tokens, generated=generated)
    yield (
        EMIT_EVERY,
        Finished(
            id=3,
            stop_reason="stop",
            text=text,
            ids=tuple(range(generated)),
            tail="",
            generated=generated,
            used=1210 + generated,
            room=2000,
            decode_s=generated / rate,
            decode_tokens_per_s=rate,
        ),
    )


def recording(text: str, rate: float) -> Recording:
    """A session: a model is loaded, a preamble read, a question answered, and that read ahead."""
    session: list[tuple[float, Event | LoadModel | PreparePreamble | Generate]] = [
        (0.0, LoadModel(id=1, model=1, path=INFO.path)),
        (0.0, Loaded(id=1, info=INFO, load_s=0.1)),
        (0.0, PreparePreamble(id=2, model=1, preamble=())),
        (0.0, PreambleReady(id=2, tokens=1190, source="disk", seconds=0.1)),
        (0.0, Generate(id=3, model=1, preamble=(), turns=())),
        *events(text, rate),
        # What is read ahead of the next question; without it the recording would end here.
        (0.0, PreparePreamble(id=4, model=1, preamble=())),
        (0.0, PreambleReady(id=4, tokens=1190, source="memory", seconds=0.0)),
    ]
    times = itertools.accumulate(pause for pause, _ in session)
    entries = [
        Sent(at=at, body=encode(message))
        if isinstance(message, LoadModel | PreparePreamble | Generate)
        else Received(at=at, body=encode(message))
        for at, (_, message) in zip(times, session, strict=True)
    ]
    return Recording(
        head=RecordingHead(at=0.0, program="benchmark"), entries=(Started(at=0.0), *entries)
    )


def main() -> None:
    """Run the application in this terminal."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--store", type=Path, required=True, help="where conversations are")
    parser.add_argument("--text", choices=TEXTS, default="mixed", help="what is written")
    parser.add_argument("--rate", type=float, default=120.0, help="tokens a second")
    parser.add_argument("--seconds", type=float, default=20.0, help="of writing")
    options = parser.parse_args()
    text = written(options.text, round(options.rate * options.seconds))
    replay = Replay(recording(text, options.rate))
    with Store(options.store) as store:
        run_in_terminal(
            UrialApp(
                engine_factory=lambda: Engine(launch=replay.launch),
                find_model=lambda name, progress: RecordedModel(name=name, path=Path(INFO.path)),
                load=load_unchecked,
                store=store,
                model="made-up",
                preamble=find_preamble("urial-k3"),
            )
        )


if __name__ == "__main__":
    main()
