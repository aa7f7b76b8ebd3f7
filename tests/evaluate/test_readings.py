"""Texts that a model reads in the place of an answer: their bits, their ranks, and their keys."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec
import pytest

from tests import tinygguf
from tests.plain_bits import Job, plain_bits
from urial_tui.engine.client.call import follow
from urial_tui.engine.client.engine import Engine
from urial_tui.engine.wire.values import EngineOptions, TextSegment, TokenSegment
from urial_tui.errors import EngineError
from urial_tui.evaluate.items import Item
from urial_tui.evaluate.outputs import AnsweredTurn
from urial_tui.evaluate.readers import ContextReader, ReferenceReader, context_reader
from urial_tui.evaluate.token_reading import TextReading
from urial_tui.prompting.context import find_context
from urial_tui.prompting.render import close_text, open_turn, preamble_text
from urial_tui.prompting.templates.renderer import TemplateRenderer

PAIRS = (
    ("How many legs does a spider have?", "A spider has eight legs."),
    ("Was ist 中?", "Das ist ein Zeichen: 中.\n\n- Es heißt „Mitte“.\n"),
    ("list the number of code", "```\nthe code\n```\nis here 🙂"),
)
FIRST, SECOND = PAIRS[:2]


@pytest.fixture(scope="module")
def plain_gguf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model whose vocabulary puts no space in front of a text, wherever that stands."""
    return tinygguf.write_llama(
        tmp_path_factory.mktemp("plain") / "tiny-plain.gguf",
        vocabulary=tinygguf.spm_vocabulary(add_space_prefix=False),
    )


def reader(
    engine: Engine, path: Path, context: str, templates: TemplateRenderer, n_ctx: int = 2048
) -> ContextReader:
    model = engine.load(path, options=EngineOptions(n_ctx=n_ctx, threads=1)).result()
    return context_reader("tiny", model, model.info, find_context(context), templates)


def bits(reader: ContextReader, said: Sequence[tuple[str, str]]) -> TextReading:
    answer = TextSegment(text=said[-1][1])
    return follow(reader.read(said, answer, key="k"), lambda event: None)


def job(context: str, said: Sequence[tuple[str, str]]) -> Job:
    """The same, in the texts of which it consists."""
    found = find_context(context)
    if found.preamble is None:
        return Job(pieces=[said[0][0]], answer=said[0][1])
    pieces = [preamble_text(found.preamble)]
    for question, answer in said[:-1]:
        pieces += [open_turn(found.preamble, question), answer + close_text(found.preamble)]
    pieces.append(open_turn(found.preamble, said[-1][0]))
    return Job(pieces=pieces, answer=said[-1][1])


@pytest.mark.parametrize("context", ["zero-shot", "vanilla-icl", "urial-k1", "raw"])
def test_bits_are_those_of_a_plain_evaluation(
    context: str, plain_gguf: Path, templates: TemplateRenderer, tmp_path: Path
) -> None:
    said = [[pair] for pair in PAIRS] + ([[FIRST, SECOND]] if context != "raw" else [])
    expected = plain_bits(plain_gguf, [job(context, each) for each in said], tmp_path)
    with Engine() as engine:
        read = reader(engine, plain_gguf, context, templates)
        found = [bits(read, each) for each in said]
    for reading, right, each in zip(found, expected, said, strict=True):
        size = len(each[-1][1].encode())
        assert reading.bytes == size
        assert reading.bits_per_byte == pytest.approx(right / size, abs=1e-4)
        assert reading.unshifted + reading.marginal + reading.shifted == reading.tokens


def test_bits_of_the_demo_model_are_those_of_a_plain_evaluation(
    demo_model: Path, templates: TemplateRenderer, tmp_path: Path
) -> None:
    said = [[pair] for pair in PAIRS]
    expected = plain_bits(demo_model, [job("zero-shot", each) for each in said], tmp_path)
    with Engine() as engine:
        read = reader(engine, demo_model, "zero-shot", templates)
        found = [bits(read, each) for each in said]
    total = sum(reading.bits or 0 for reading in found)
    size = sum(reading.bytes for reading in found)
    assert total / size == pytest.approx(sum(expected) / size, abs=1e-4)


def test_what_was_read_before_changes_no_digit(
    plain_gguf: Path, templates: TemplateRenderer
) -> None:
    with Engine() as engine:
        read = reader(engine, plain_gguf, "zero-shot", templates)
        alone = bits(read, [FIRST])
        others = [bits(read, [SECOND]), bits(read, [FIRST, SECOND]), bits(read, [FIRST])]
    assert others[-1] == alone
    assert others[0].bits != others[1].bits, "what was said before counts"


def test_a_reading_of_tokens_leaves_out_what_is_behind_the_text_and_what_is_none(
    plain_gguf: Path, templates: TemplateRenderer
) -> None:
    with Engine() as engine:
        read = reader(engine, plain_gguf, "zero-shot", templates)
        text = "the answer is here"
        ((ids,),) = read.model.tokenize([(TextSegment(text=text),)]).result()
        ((more,),) = read.model.tokenize([(TextSegment(text="\n```"),)]).result()
        ((control,),) = read.model.tokenize(
            [(TextSegment(text=tinygguf.END_OF_TURN, special=True),)]
        ).result()
        answer = TokenSegment(ids=(*ids, *control, *more))
        steps = read.read([("Where?", text)], answer, key="k")
        found = follow(steps, lambda event: None)
        plain = bits(read, [("Where?", text)])
    assert len(control) == 1
    assert found == plain
    assert found.tokens == len(ids)


def test_ranks_are_counted_by_the_papers_classes(
    plain_gguf: Path, templates: TemplateRenderer
) -> None:
    with Engine() as engine:
        read = reader(engine, plain_gguf, "raw", templates)
        written = read.model.generate(
            preamble=(), turns=[(TextSegment(text="Why?"),)], max_tokens=12
        ).result()
        answer = TokenSegment(ids=written.ids)
        found = follow(read.read([("Why?", written.text)], answer, key="k"), lambda event: None)
    assert found.tokens > 0
    assert found.unshifted == found.tokens, "it takes its own greedy choices for the best"
    assert found.share("unshifted") == 1.0
    assert found.share("shifted") == 0.0


def test_a_text_that_does_not_fit_is_refused(plain_gguf: Path, templates: TemplateRenderer) -> None:
    with Engine() as engine:
        read = reader(engine, plain_gguf, "zero-shot", templates, n_ctx=256)
        with pytest.raises(EngineError, match="context holds"):
            bits(read, [("Why?", "the answer " * 200)])
        with pytest.raises(EngineError, match="does not fit"):
            bits(read, [("Why?", "the answer " * 60), ("And?", "the answer " * 60)])
        assert bits(read, [FIRST]).bits


def test_an_empty_text_has_no_bits_per_byte() -> None:
    empty = TextReading(
        key="k", by="m", tokens=0, bytes=0, bits=0.0, unshifted=0, marginal=0, shifted=0
    )
    assert empty.bits_per_byte is None
    assert empty.share("shifted") is None
    impossible = msgspec.structs.replace(empty, bytes=3, tokens=1, shifted=1, bits=None)
    assert impossible.bits_per_byte is None
    assert impossible.share("shifted") == 1.0


def test_a_reference_is_read_where_all_before_it_have_one(
    plain_gguf: Path, templates: TemplateRenderer
) -> None:
    item = Item(id=1, turns=("A?", "B?", "C?"), references=("a", "", "c"))
    exchanges = [AnsweredTurn(instruction=turn, output="said") for turn in item.turns]
    with Engine() as engine:
        references = ReferenceReader(reader(engine, plain_gguf, "zero-shot", templates))
        assert [references.has(item, exchanges, turn) for turn in range(3)] == [True, False, False]
        bare = msgspec.structs.replace(item, references=())
        assert not references.has(bare, exchanges, 0)
        whole = msgspec.structs.replace(item, references=("a", "b", "c"))
        key = references.key(whole, exchanges, 1)
        same = [
            references.key(whole, exchanges[:0], 1),
            references.key(msgspec.structs.replace(whole, id="other"), exchanges, 1),
            references.key(
                msgspec.structs.replace(whole, references=("a", "b", "changed")), exchanges, 1
            ),
        ]
        assert set(same) == {key}, "what is said of it depends on what it stands behind"
        changed = [
            references.key(msgspec.structs.replace(whole, references=("x", "b", "c")), (), 1),
            references.key(msgspec.structs.replace(whole, references=("a", "x", "c")), (), 1),
            references.key(msgspec.structs.replace(whole, turns=("X?", "B?", "C?")), (), 1),
            references.key(whole, (), 0),
        ]
        assert len({key, *changed}) == 5
