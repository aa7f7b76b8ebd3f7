"""The ways to run a model that are compared, each in a process of its own.

`python -m benchmarks.contenders NAME` reads a `Workload` as JSON from standard input, does
it, and prints one line: what it measured, a `Measured` as JSON. All of them decode greedily,
without penalties and stop strings, the same number of tokens from the same prompts.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, Protocol, TypeVar

import msgspec

from urial_tui.benchmark.prompts import NUMBERS, WARM_UP, pause_s
from urial_tui.engine.client.engine import Engine
from urial_tui.engine.client.model import Model
from urial_tui.engine.wire.commands import Generate, LoadModel, PreparePreamble
from urial_tui.engine.wire.events import Event, Finished, PreambleReady, PromptReady
from urial_tui.engine.wire.values import (
    EngineOptions,
    Sampling,
    StopRules,
    TextSegment,
    TokenSegment,
    Turn,
)

BATCH = 512
_CONVERSATION_TOKENS = 32
"""The longest answer of the conversation that shows what a second turn costs."""


class Workload(msgspec.Struct, frozen=True, kw_only=True):
    """What to do. `prompt`: the question and the start of its answer, behind the preamble.

    `questions`: two turns of a conversation, each up to where its answer starts; `stops`
    and `close` belong to its format.
    """

    model: str
    threads: int
    n_ctx: int
    tokens: int
    preamble: str
    prompt: str
    questions: tuple[str, str]
    stops: StopRules = StopRules()
    close: str = ""


class SecondTurn(msgspec.Struct, frozen=True, kw_only=True):
    """What the second turn of a conversation made the engine evaluate, in tokens.

    `new`: the tokens of its question; the first turn was read ahead, as the program does.
    """

    prefilled: int
    new: int


class Measured(msgspec.Struct, frozen=True, kw_only=True):
    """What a contender found. `figures`: tokens a second or seconds, by the metric's name.

    `generated`: how many tokens each decoding rate stands on.
    """

    figures: dict[str, float]
    generated: dict[str, int] = {}
    second_turn: SecondTurn | None = None


class Counted(msgspec.Struct, frozen=True, kw_only=True):
    """Tokens of the preamble (BOS included), of the question, and of all that is put behind it."""

    preamble: int
    question: int
    prompt: int


E_ = TypeVar("E_", bound=Event)


def one(kind: type[E_], events: Iterable[Event]) -> E_:
    """The event of this kind, of which a request has just one."""
    (found,) = [event for event in events if isinstance(event, kind)]
    return found


# -- our engine ------------------------------------------------------------------------


class OurEngine(Protocol):
    """The engine, wherever it runs; each call gives all events of the request."""

    def rest(self, model_bytes: int) -> None: ...  # noqa: D102
    def prepare(  # noqa: D102
        self, preamble: Turn, turns: Sequence[Turn] = ()
    ) -> Sequence[Event]: ...
    def generate(  # noqa: D102
        self, preamble: Turn, turns: Sequence[Turn], tokens: int, stops: StopRules, close: str
    ) -> Sequence[Event]: ...


class InWorker:
    """The engine as the program uses it: in a worker process, over a pipe."""

    def __init__(self, model: Model) -> None:
        self._model = model

    def rest(self, model_bytes: int) -> None:
        """Leave it alone for as long as its idle work may take."""
        time.sleep(pause_s(model_bytes))

    def prepare(self, preamble: Turn, turns: Sequence[Turn] = ()) -> Sequence[Event]:
        """Pin a preamble, and read finished turns behind it."""
        return list(self._model.prepare(preamble, turns=turns))

    def generate(
        self, preamble: Turn, turns: Sequence[Turn], tokens: int, stops: StopRules, close: str
    ) -> Sequence[Event]:
        """Answer the last turn, greedily."""
        return list(
            self._model.generate(
                preamble=preamble,
                turns=turns,
                sampling=Sampling(),
                stops=stops,
                close=close,
                max_tokens=tokens,
            )
        )


class InProcess:
    """The same loop in this process: what is left is the price of the worker."""

    def __init__(self, loaded: Any) -> None:
        self._loaded = loaded

    def rest(self, model_bytes: int) -> None:
        """Do what the worker does while it is idle."""
        weights = self._loaded.model.weights
        weights.find()
        while weights.move():
            pass

    def prepare(self, preamble: Turn, turns: Sequence[Turn] = ()) -> Sequence[Event]:
        """Pin a preamble, and read finished turns behind it."""
        from urial_tui.engine.worker.generation import prepare
        from urial_tui.engine.worker.steps import complete

        events: list[Event] = []
        request = PreparePreamble(id=1, model=1, preamble=preamble, turns=tuple(turns))
        events.append(complete(prepare(self._loaded, request, events.append)))
        return events

    def generate(
        self, preamble: Turn, turns: Sequence[Turn], tokens: int, stops: StopRules, close: str
    ) -> Sequence[Event]:
        """Answer the last turn, greedily."""
        from urial_tui.engine.worker.generation import answer
        from urial_tui.engine.worker.steps import complete

        events: list[Event] = []
        request = Generate(
            id=1,
            model=1,
            preamble=preamble,
            turns=tuple(turns),
            sampling=Sampling(),
            stops=stops,
            close=close,
            max_tokens=tokens,
        )
        complete(answer(self._loaded, None, request, events.append))
        return events


def measure_engine(engine: OurEngine, workload: Workload) -> Measured:
    """Prefill, decode, first token and a second turn, in a loaded engine."""

    def answer(preamble: Turn, text: str, tokens: int) -> Finished:
        turn = (TextSegment(text=text),)
        return one(Finished, engine.generate(preamble, [turn], tokens, StopRules(), ""))

    preamble = (TextSegment(text=workload.preamble),)
    answer((), NUMBERS, WARM_UP)
    engine.rest(Path(workload.model).stat().st_size)
    empty = answer((), NUMBERS, workload.tokens)
    prefilled = answer((), workload.preamble, 1)
    one(PreambleReady, engine.prepare(preamble))
    behind = answer(preamble, workload.prompt, workload.tokens)
    return Measured(
        figures={
            "prefill": prefilled.prefill_tokens_per_s,
            "decode_empty": empty.decode_tokens_per_s,
            "decode_preamble": behind.decode_tokens_per_s,
            "first_token_running": behind.first_token_s,
        },
        generated={"decode_empty": empty.generated, "decode_preamble": behind.generated},
        second_turn=measure_second_turn(engine, workload, preamble),
    )


def measure_second_turn(engine: OurEngine, workload: Workload, preamble: Turn) -> SecondTurn:
    """A conversation of two turns, with the format's own stops."""
    tokens = min(workload.tokens, _CONVERSATION_TOKENS)
    first, second = ((TextSegment(text=text),) for text in workload.questions)
    events = engine.generate(preamble, [first], tokens, workload.stops, workload.close)
    asked, finished = one(PromptReady, events).turns[-1], one(Finished, events)
    said: Turn = (
        *(TokenSegment(ids=ids) for ids in asked),
        TokenSegment(ids=finished.ids),
        TextSegment(text=finished.tail),
    )
    engine.prepare(preamble, [said])
    events = engine.generate(preamble, [said, second], 1, workload.stops, workload.close)
    prompt = one(PromptReady, events)
    return SecondTurn(prefilled=prompt.prefilled, new=sum(len(ids) for ids in prompt.turns[-1]))


def _options(workload: Workload) -> EngineOptions:
    return EngineOptions(n_ctx=workload.n_ctx, threads=workload.threads)


def worker(workload: Workload) -> Measured:
    """Our engine in its worker process."""
    with tempfile.TemporaryDirectory(prefix="urial-bench-") as name:
        directory = Path(name)
        with Engine(cache_dir=directory / "cache", log_file=directory / "engine.log") as engine:
            model = engine.load(Path(workload.model), options=_options(workload)).result()
            return measure_engine(InWorker(model), workload)


def in_process(workload: Workload) -> Measured:
    """Our decode loop without the worker."""
    from urial_tui.engine.native import llama
    from urial_tui.engine.native.abort_flag import AbortFlag
    from urial_tui.engine.worker.loaded import LoadedModel

    llama.initialise()
    with tempfile.TemporaryDirectory(prefix="urial-bench-") as name:
        command = LoadModel(id=1, model=1, path=workload.model, options=_options(workload))
        loaded = LoadedModel(
            command, Path(name), AbortFlag(), lambda _fraction: None, lambda _message: None
        )
        try:
            return measure_engine(InProcess(loaded), workload)
        finally:
            loaded.close()


def count_tokens(workload: Workload) -> Counted:
    """How long the preamble and the prompts are in the model's own tokens."""
    from urial_tui.engine.native import llama

    llama.initialise()
    model = llama.NativeModel(workload.model, gpu_layers=0, progress=lambda _fraction: True)
    try:
        vocab = model.vocab
        preamble = len(vocab.bos) + len(vocab.tokenize(workload.preamble, start=True))
        conversation = sum(len(vocab.tokenize(text)) for text in workload.questions)
        return Counted(
            preamble=preamble,
            question=len(vocab.tokenize(workload.prompt)),
            prompt=max(
                len(vocab.tokenize(workload.prompt)) + workload.tokens,
                conversation + _CONVERSATION_TOKENS,
            ),
        )
    finally:
        model.close()


# -- the others ------------------------------------------------------------------------


def bare(workload: Workload) -> Measured:
    """llama.cpp's own calls and its greedy sampler; no text, and no end of text either."""
    from llama_cpp import llama_cpp as native

    native.llama_backend_init()
    model_params = native.llama_model_default_params()
    model_params.n_gpu_layers = -1
    model = native.llama_model_load_from_file(workload.model.encode(), model_params)
    params = native.llama_context_default_params()
    params.n_ctx = workload.n_ctx
    params.n_batch = params.n_ubatch = BATCH
    params.n_threads = params.n_threads_batch = workload.threads
    params.flash_attn_type = 1
    params.no_perf = True
    context = native.llama_init_from_model(model, params) if model else None
    if not context:
        raise SystemExit("the model or its context can't be made")
    vocab = native.llama_model_get_vocab(model)
    sampler = native.llama_sampler_init_greedy()

    def tokenize(text: str) -> list[int]:
        data = text.encode()
        ids = (native.llama_token * (len(data) + 8))()
        count = native.llama_tokenize(vocab, data, len(data), ids, len(ids), True, False)
        return list(ids[:count])

    def decode(tokens: Sequence[int]) -> None:
        ids = (native.llama_token * len(tokens))(*tokens)
        if native.llama_decode(context, native.llama_batch_get_one(ids, len(tokens))):
            raise SystemExit("llama_decode failed")

    def prefill(tokens: Sequence[int]) -> float:
        """Evaluate from an empty memory; the seconds it took."""
        native.llama_memory_clear(native.llama_get_memory(context), True)
        started = time.perf_counter()
        for start in range(0, len(tokens), BATCH):
            decode(tokens[start : start + BATCH])
        native.llama_synchronize(context)
        return time.perf_counter() - started

    def rate(count: int) -> float:
        """Tokens a second, behind what is in the memory."""
        token = native.llama_sampler_sample(sampler, context, -1)
        started = time.perf_counter()
        for _ in range(count - 1):
            decode((token,))
            token = native.llama_sampler_sample(sampler, context, -1)
        return (count - 1) / (time.perf_counter() - started)

    prefill(tokenize(NUMBERS))
    rate(WARM_UP)
    prefill(tokenize(NUMBERS))
    empty = rate(workload.tokens)
    preamble = tokenize(workload.preamble)
    prefill_s = prefill(preamble)
    prefill(tokenize(workload.preamble + workload.prompt))
    behind = rate(workload.tokens)
    native.llama_sampler_free(sampler)
    native.llama_free(context)
    native.llama_model_free(model)
    return Measured(
        figures={
            "prefill": len(preamble) / prefill_s,
            "decode_empty": empty,
            "decode_preamble": behind,
        },
        generated={"decode_empty": workload.tokens, "decode_preamble": workload.tokens},
    )


def llama_class(workload: Workload) -> Measured:
    """llama-cpp-python's `Llama` with the settings that are best for it, streaming."""
    import llama_cpp

    times: list[float] = []

    class Timed(llama_cpp.Llama):  # type: ignore[misc]
        """Notes when each token was chosen: its chunks of text may hold several."""

        def sample(self, *arguments: Any, **options: Any) -> Any:
            token = super().sample(*arguments, **options)
            times.append(time.perf_counter())
            return token

    llama = Timed(
        workload.model,
        n_ctx=workload.n_ctx,
        n_batch=BATCH,
        n_ubatch=BATCH,
        n_threads=workload.threads,
        n_threads_batch=workload.threads,
        n_gpu_layers=-1,
        flash_attn=True,
        verbose=False,
    )

    def complete(prompt: list[int], tokens: int) -> tuple[float, int, float]:
        """Seconds to the first token, tokens generated, and tokens a second after the first."""
        times.clear()
        reason = None
        started = time.perf_counter()
        for chunk in llama.create_completion(
            prompt, max_tokens=tokens, temperature=0.0, repeat_penalty=1.0, stream=True
        ):
            reason = chunk["choices"][0]["finish_reason"] or reason
        ended = time.perf_counter()
        # The last one chosen is no part of the text where it says that the text ends.
        generated = len(times) - (reason != "length")
        rate = (generated - 1) / (ended - times[0]) if generated > 1 else 0.0
        return times[0] - started, generated, rate

    def tokenize(text: str) -> list[int]:
        return list(llama.tokenize(text.encode(), add_bos=True, special=False))

    complete(tokenize(NUMBERS), WARM_UP)
    _, empty_tokens, empty = complete(tokenize(NUMBERS), workload.tokens)
    preamble = tokenize(workload.preamble)
    prefill_s, _, _ = complete(preamble, 1)
    # It keeps the longest common prefix: the preamble is not evaluated again.
    first_token_s, behind_tokens, behind = complete(
        tokenize(workload.preamble + workload.prompt), workload.tokens
    )
    llama.close()
    return Measured(
        figures={
            "prefill": len(preamble) / prefill_s,
            "decode_empty": empty,
            "decode_preamble": behind,
            "first_token_running": first_token_s,
        },
        generated={"decode_empty": empty_tokens, "decode_preamble": behind_tokens},
    )


CONTENDERS: dict[str, Callable[[Workload], Measured | Counted]] = {
    "worker": worker,
    "in-process": in_process,
    "bare": bare,
    "llama-class": llama_class,
    "count": count_tokens,
}


def main() -> None:
    """Do the workload on standard input and print one line."""
    workload = msgspec.json.decode(sys.stdin.buffer.read(), type=Workload)
    measured = CONTENDERS[sys.argv[1]](workload)
    # Native code may have left an open line on this stream.
    sys.stdout.write(f"\n{msgspec.json.encode(measured).decode()}\n")


if __name__ == "__main__":
    main()
