"""Rules of a preamble: what they add to a row, and what an answer becomes by them."""

from __future__ import annotations

import hashlib
import json
import math
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from tests.evaluate.runs import ITEMS, TERMS
from tests.loaded import writer_of
from tests.wires import MODEL, Wire
from urial_tui import paths
from urial_tui.chat.json_form import from_json, to_json
from urial_tui.chat.session import Conversation
from urial_tui.chat.turns import WholeConversation
from urial_tui.compare.items import Query, ScoredItem
from urial_tui.compare.run_terms import run_terms as run_terms_of_comparison
from urial_tui.compare.runner import comparison_of
from urial_tui.compare.sides import Side, Task
from urial_tui.engine.client.call import Call
from urial_tui.engine.client.engine import Engine
from urial_tui.engine.client.model import Model
from urial_tui.engine.native import llama
from urial_tui.engine.native.context import LlamaContext
from urial_tui.engine.wire.commands import Generate
from urial_tui.engine.wire.events import Finished, PromptReady
from urial_tui.engine.wire.limits import chat_size
from urial_tui.engine.wire.values import EngineOptions, Rules, Sampling, TextSegment, TokenShift
from urial_tui.engine.worker.chain_trace import ChainTrace
from urial_tui.engine.worker.rule_bias import RuleBias
from urial_tui.engine.worker.sampling import Sampler
from urial_tui.prompting.context import find_context
from urial_tui.prompting.preamble import Preamble
from urial_tui.prompting.preamble_file import find_preamble, load_preamble, toml_text
from urial_tui.prompting.render import open_turn
from urial_tui.prompting.rules import MOST_BIAS, ruled, rules_mistake
from urial_tui.prompting.stops import stop_rules
from urial_tui.prompting.templates.renderer import TemplateRenderer

URIAL = [sys.executable, "-m", "urial_tui"]
PROMPT = "# Query:\nHello world\n\n# Answer:\n"
RULES = Rules(
    end_bias=9.0,
    end_tokens=12,
    repeat_bias=-2.5,
    shifts=(
        TokenShift(texts=(" the", "the", "**"), bias=-4.0),
        TokenShift(texts=(" hope", "!", "no such token at all"), bias=1.5),
    ),
)


@pytest.fixture(scope="module")
def tiny(llama_gguf: Path) -> Iterator[llama.NativeModel]:
    llama.initialise()
    model = llama.NativeModel(str(llama_gguf), gpu_layers=0, progress=lambda _fraction: True)
    yield model
    model.close()


@pytest.fixture(scope="module")
def evaluated(tiny: llama.NativeModel) -> Iterator[LlamaContext]:
    context = LlamaContext(
        tiny, chat_size(512, 512), threads=1, kv_type="f16", flash_attention=False
    )
    yield context
    context.close()


class ByHand:
    """The rules once more, from their definition: nothing of the worker's is used."""

    def __init__(self, model: llama.NativeModel, rules: Rules) -> None:
        pieces, types = model.vocab.read_all()
        self.rules = rules
        self.shifts = {
            token: shift.bias
            for shift in rules.shifts
            for text in shift.texts
            for token, piece in enumerate(pieces)
            # Normal or user-defined: neither a control token nor a byte.
            if piece == text.encode() and types[token] in (1, 4)
        }
        self.ends = [token for token in range(len(pieces)) if model.vocab.is_eog(token)]

    def row(self, row: np.ndarray, written: Sequence[int]) -> np.ndarray:
        ruled = row.astype(np.float32).copy()
        for token in range(len(row)):
            bias = np.float32(0)
            if token in self.shifts:
                bias += np.float32(self.shifts[token])
            if token in set(written):
                bias += np.float32(self.rules.repeat_bias)
            if token in self.ends:
                share = min(1.0, len(written) / self.rules.end_tokens)
                bias += np.float32(self.rules.end_bias * share)
            ruled[token] = row[token] + bias
        return ruled


def test_a_row_is_what_the_definition_says_to_the_bit(tiny: llama.NativeModel) -> None:
    by_hand = ByHand(tiny, RULES)
    assert len(by_hand.shifts) >= 4
    bias = RuleBias(tiny.vocab, RULES)
    random = np.random.default_rng(3)
    written: list[int] = []
    for _ in range(20):
        row = (random.standard_normal(tiny.vocab.size) * 8).astype(np.float32)
        before = row.copy()
        ruled = bias.added_to(row)
        assert ruled.dtype == np.float32
        assert np.array_equal(ruled, by_hand.row(row, written))
        assert np.array_equal(row, before)
        token = int(random.integers(0, 40)) + 300
        written.append(token)
        bias.accept(token)
    assert len(set(written)) < len(written)


def test_a_logit_that_is_out_stays_out(tiny: llama.NativeModel) -> None:
    row = np.full(tiny.vocab.size, -np.inf, np.float32)
    row[300] = 1.0
    ruled = RuleBias(tiny.vocab, RULES).added_to(row)
    assert np.count_nonzero(np.isfinite(ruled)) == 1


def written_by_hand(
    tiny: llama.NativeModel, context: LlamaContext, rules: Rules, prompt: list[int], most: int
) -> list[int]:
    """Greedy decoding with the rules, by a plain loop."""
    by_hand = ByHand(tiny, rules)
    context.clear()
    context.decode(prompt, 0, 0)
    written: list[int] = []
    while len(written) < most:
        token = int(by_hand.row(np.array(context.logits()), written).argmax())
        if tiny.vocab.is_eog(token):
            break
        written.append(token)
        context.decode([token], len(prompt) + len(written) - 1, 0)
    return written


@pytest.mark.parametrize(
    ("rules", "reason"),
    [(RULES, "length"), (msgspec.structs.replace(RULES, end_bias=60.0), "eos")],
)
def test_an_answer_by_rules_is_that_of_a_plain_loop(
    tiny: llama.NativeModel, evaluated: LlamaContext, model: Model, rules: Rules, reason: str
) -> None:
    events = list(answered(model, Sampling(rules=rules)))
    (ready,) = [event for event in events if isinstance(event, PromptReady)]
    finished = events[-1]
    assert isinstance(finished, Finished)
    prompt = [*tiny.vocab.bos, *(token for turn in ready.turns for ids in turn for token in ids)]
    assert list(finished.ids) == written_by_hand(tiny, evaluated, rules, prompt, 40)
    assert finished.stop_reason == reason


def test_rules_leave_nothing_behind_for_the_next_answer(model: Model) -> None:
    plain, ruled_answer, again = (
        answered(model, sampling).result().ids
        for sampling in (Sampling(), Sampling(rules=RULES), Sampling())
    )
    assert plain != ruled_answer
    assert plain == again


def answered(model: Model, sampling: Sampling) -> Call[Finished]:
    return model.generate(
        preamble=(), turns=((TextSegment(text=PROMPT),),), sampling=sampling, max_tokens=40
    )


def test_answers_that_are_written_together_have_each_their_own_rules(
    llama_gguf: Path, tmp_path: Path
) -> None:
    texts = ("Hello world", "first second", "please list the number")
    samplings = (Sampling(rules=RULES), Sampling(), Sampling(rules=Rules(repeat_bias=-20.0)))

    def asked(number: int, *, together: bool) -> Generate:
        return Generate(
            id=0,
            model=MODEL,
            preamble=(),
            turns=((TextSegment(text=f"# Query:\n{texts[number]}\n\n# Answer:\n"),),),
            sampling=samplings[number],
            max_tokens=24,
            together=together,
        )

    with Wire(tmp_path, llama_gguf, EngineOptions(n_ctx=1024, threads=1)) as wire:
        alone = [wire.run(asked(number, together=False)).one(Finished) for number in range(3)]
        several = wire.run_all([asked(number, together=True) for number in range(3)])
    for one, events in zip(alone, several, strict=True):
        other = events.one(Finished)
        assert (one.ids, one.stop_reason) == (other.ids, other.stop_reason)
    assert len(set(alone[2].ids)) == len(alone[2].ids)


def test_an_answer_that_is_gone_on_with_counts_its_first_tokens(tiny: llama.NativeModel) -> None:
    rules = Rules(end_bias=50.0, end_tokens=4)
    row = np.zeros(tiny.vocab.size, np.float32)
    row[300] = 30.0
    sampler = Sampler(tiny.vocab, Sampling(rules=rules), tiny.n_ctx_train)
    assert sampler.sample(row) == 300
    sampler.close()
    sampler = Sampler(tiny.vocab, Sampling(rules=rules), tiny.n_ctx_train)
    sampler.accept([301, 302, 303])
    assert tiny.vocab.is_eog(sampler.sample(row))
    sampler.close()


def test_drawing_and_penalties_come_behind_the_rules(tiny: llama.NativeModel) -> None:
    row = np.full(tiny.vocab.size, -20.0, np.float32)
    row[[300, 301]] = 10.0, 9.9
    text = tiny.vocab.piece(300).decode()
    sampling = Sampling(
        temperature=1.0,
        seed=4,
        repetition_penalty=1.1,
        rules=Rules(shifts=(TokenShift(texts=(text,), bias=-30.0),)),
    )
    sampler = Sampler(tiny.vocab, sampling, tiny.n_ctx_train)
    assert [sampler.sample(row) for _ in range(8)] == [301] * 8
    sampler.close()
    assert sampling.stages[0] == "rules"


def test_a_trace_tells_what_the_rules_made_of_a_token(tiny: llama.NativeModel) -> None:
    random = np.random.default_rng(9)
    row = (random.standard_normal(tiny.vocab.size) * 4).astype(np.float32)
    by_hand = ByHand(tiny, RULES)
    for sampling in (
        Sampling(rules=RULES),
        Sampling(rules=RULES, temperature=0.7, repetition_penalty=1.2),
    ):
        traced = ChainTrace(tiny.vocab, sampling, tiny.n_ctx_train)
        traced.accept(310)
        ruled_row = by_hand.row(row, [310]).astype(np.float64)
        best = int(ruled_row.argmax())
        followed = traced.follow(row, best, [310])
        traced.close()
        shares = np.exp(ruled_row - ruled_row.max())
        assert len(followed.stages) == len(sampling.stages)
        assert followed.stages[0].p == pytest.approx(shares[best] / shares.sum(), rel=1e-5)
        assert followed.stages[0].left == tiny.vocab.size
        changed = np.count_nonzero(by_hand.row(np.zeros_like(row), [310]))
        assert followed.stages[0].changed == changed
        assert followed.outcomes[0].passed == len(sampling.stages)


# -- the preamble ------------------------------------------------------------------------


def with_rules(preamble: Preamble, rules: Rules | None) -> Preamble:
    return msgspec.structs.replace(preamble, rules=rules)


def test_the_rules_of_a_preamble_are_its_answers_sampling(model: Model) -> None:
    preamble = with_rules(find_preamble("rules"), RULES)
    conversation = Conversation.new(None)
    writer = writer_of(model, preamble)
    for _ in conversation.ask(writer, "Hello", sampling=Sampling(top_k=7), max_tokens=4):
        pass
    assert conversation.leaf is not None
    assert conversation.leaf.sampling == Sampling(top_k=7, rules=RULES)


def test_without_rules_a_sampling_stays_what_it_is() -> None:
    sampling = Sampling(temperature=0.5)
    assert ruled(sampling, find_preamble("zero-shot")) is sampling
    assert ruled(sampling, None) is sampling
    assert ruled(sampling, find_preamble("rules")).rules == find_preamble("rules").rules


def test_the_shipped_rules_are_those_of_the_paper_where_they_say_so() -> None:
    rules = find_preamble("rules").rules
    assert rules is not None
    assert (rules.end_bias, rules.end_tokens, rules.repeat_bias) == (15.0, 250, -1.5)


@pytest.mark.parametrize(
    ("rules", "told"),
    [
        (Rules(end_bias=math.nan), "end_bias is nan"),
        (Rules(end_bias=math.inf), "end_bias is inf"),
        (Rules(repeat_bias=-MOST_BIAS - 1), "repeat_bias is -101"),
        (Rules(end_tokens=0), "end_tokens is 0"),
        (Rules(shifts=(TokenShift(texts=("a",), bias=1e9),)), "shifts[0].bias"),
        (Rules(shifts=(TokenShift(texts=("",), bias=1),)), "''"),
        (Rules(shifts=(TokenShift(texts=("a" * 101,), bias=1),)), "1 to 100 characters"),
        (Rules(shifts=(TokenShift(texts=("a", "b", "a"), bias=1),)), "'a' twice"),
        (Rules(shifts=(TokenShift(texts=tuple(map(str, range(1001))), bias=1),)), "1,001 texts"),
        (RULES, ""),
    ],
)
def test_rules_that_can_not_be_are_told_with_their_key(rules: Rules, told: str) -> None:
    found = rules_mistake(rules)
    assert told in found
    assert bool(found) == bool(told)


def test_rules_of_a_strangers_export_are_not_known_where_they_can_not_be(
    model: Model,
) -> None:
    preamble = with_rules(find_preamble("rules"), RULES)
    conversation = Conversation.new(None)
    for _ in conversation.ask(writer_of(model, preamble), "Hello", max_tokens=4):
        pass
    whole = WholeConversation(conversation.record, conversation.path)
    text = to_json([whole])
    (again,) = from_json(text.encode())
    assert again.turns[-1].sampling == Sampling(rules=RULES)
    assert "-2.5" in text
    (hostile,) = from_json(text.replace("-2.5", "-2500.0").encode())
    assert hostile.turns[-1].sampling is None


# -- in a comparison and an evaluation -----------------------------------------------------


@pytest.fixture
def rules_file(tmp_path: Path) -> Path:
    """A preamble with `RULES`, that ends by nothing else than the model's own end."""
    preamble = msgspec.structs.replace(find_preamble("rules"), name="mine", rules=RULES)
    path = tmp_path / "mine.toml"
    path.write_text(toml_text(preamble), encoding="utf-8")
    return path


def compared(
    model: Path, aligned_context: str, *, one_by_one: bool = False
) -> tuple[list[int], list[int], dict[str, Any]]:
    """(the ids of an answer, their ranks on the base side, the terms of the run)."""
    side = Side(name="base", path=model, context=find_context("zero-shot"))
    aligned = msgspec.structs.replace(side, name="aligned", context=find_context(aligned_context))
    query = Query(id="1", text="Hello world")
    with Engine() as engine, TemplateRenderer() as templates:
        comparison = comparison_of(
            engine,
            side,
            aligned,
            options=EngineOptions(n_ctx=512, threads=1),
            templates=templates,
            max_tokens=24,
            memory="one" if one_by_one else "both",
        )
        for _ in comparison.open():
            pass
        (item,) = [
            step for step in comparison.run([Task(query=query)]) if isinstance(step, ScoredItem)
        ]
        terms = msgspec.to_builtins(run_terms_of_comparison(comparison, "answers"))
    return item.scores.ids.tolist(), item.scores.rank.tolist(), terms


def test_a_comparison_tells_what_the_rules_of_its_aligned_side_chose(
    llama_gguf: Path, rules_file: Path, model: Model
) -> None:
    plain, plain_ranks, plain_terms = compared(llama_gguf, "zero-shot")
    ids, ranks, terms = compared(llama_gguf, str(rules_file))
    assert set(plain_ranks) == {1}
    assert ids != plain
    # One and the same model in one context: where the rules chose, the base side's best lost.
    assert max(ranks) > 1
    assert plain_terms["aligned"]["context"] != terms["aligned"]["context"]
    assert plain_terms["base"] == terms["base"] == plain_terms["aligned"]
    alone = model.generate(
        preamble=(),
        turns=((TextSegment(text=open_turn(load_preamble(rules_file), "Hello world")),),),
        sampling=Sampling(rules=RULES),
        stops=stop_rules(load_preamble(rules_file)),
        max_tokens=24,
    ).result()
    assert tuple(ids[: len(alone.ids)]) == alone.ids
    assert compared(llama_gguf, str(rules_file), one_by_one=True)[:2] == (ids, ranks)


def test_the_key_of_an_answer_depends_on_every_rule() -> None:
    base = msgspec.structs.replace(TERMS, sampling=Sampling(rules=RULES))
    others = [
        TERMS,
        *(
            msgspec.structs.replace(
                base, sampling=Sampling(rules=msgspec.structs.replace(RULES, **changes))
            )
            for changes in (
                {"end_bias": 9.5},
                {"end_tokens": 13},
                {"repeat_bias": -2.0},
                {"shifts": RULES.shifts[:1]},
                {"shifts": (*RULES.shifts[:1], TokenShift(texts=(" hope",), bias=1.5))},
                {"shifts": (*RULES.shifts[:1], TokenShift(texts=(" hope", "!"), bias=1.5))},
            )
        ),
    ]
    keys = {terms.key(ITEMS[0]) for terms in (base, *others)}
    assert len(keys) == len(others) + 1


def test_what_was_kept_before_there_were_rules_is_found_again() -> None:
    sampling = msgspec.structs.asdict(TERMS.sampling)
    del sampling["rules"]
    terms = msgspec.structs.asdict(TERMS) | {"sampling": sampling}
    text = json.dumps((terms, ITEMS[0].id, ITEMS[0].turns), ensure_ascii=True, sort_keys=True)
    assert TERMS.key(ITEMS[0]) == hashlib.sha256(text.encode()).hexdigest()


def test_an_evaluation_answers_as_the_chat_does(
    llama_gguf: Path, rules_file: Path, tmp_path: Path
) -> None:
    items = tmp_path / "items.json"
    items.write_text(json.dumps([{"id": 1, "instruction": "Hello world"}]), encoding="utf-8")
    out = tmp_path / "out.json"
    settings = paths.settings_file()
    settings.parent.mkdir(parents=True, exist_ok=True)
    settings.write_text("[engine]\nthreads = 1\ncontext = 512\n")
    options = ["-m", str(llama_gguf), "--max-tokens", "24"]
    run = [*options, "--items", str(items), "--parallel", "1", "--out", str(out)]
    for context in (["--context", str(rules_file)], ["-p", str(rules_file)]):
        out.unlink(missing_ok=True)
        done = subprocess.run(
            [*URIAL, "eval", "run", *run, *context, "--json"], capture_output=True, check=True
        )
        assert json.loads(done.stdout)["sampling"]["rules"]["repeat_bias"] == -2.5
        (record,) = json.loads(out.read_text(encoding="utf-8"))
        asked = subprocess.run(
            [*URIAL, "ask", "Hello world", *options, "-p", str(rules_file), "--no-store", "--json"],
            capture_output=True,
            stdin=subprocess.DEVNULL,
            check=True,
        )
        assert record["output"] == json.loads(asked.stdout)["text"]
