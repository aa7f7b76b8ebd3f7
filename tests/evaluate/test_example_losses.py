"""What a real, tiny model says of texts behind examples: values, choice, and what it evaluates."""

from __future__ import annotations

import itertools
from collections.abc import Generator, Iterator, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any, TypeVar

import pytest

from tests import tinygguf
from tests.plain_bits import Job, plain_bits
from urial_tui.engine.client.call import follow
from urial_tui.engine.client.engine import Engine
from urial_tui.engine.client.model import Model
from urial_tui.engine.wire.limits import WATCHED_BATCH
from urial_tui.engine.wire.values import EngineOptions, TextSegment
from urial_tui.evaluate.example_losses import ExampleLosses, with_examples
from urial_tui.evaluate.example_search import (
    ExamplePlaces,
    ExampleSearch,
    Losses,
    SearchResult,
    SearchStep,
)
from urial_tui.evaluate.items import Item
from urial_tui.evaluate.measure_store import MeasureStore
from urial_tui.evaluate.search_estimate import MOST_COUNTED, Lengths, count_lengths, estimate
from urial_tui.evaluate.search_parts import candidates_of, parts_of
from urial_tui.prompting.preamble import Example, Preamble
from urial_tui.prompting.preamble_file import find_preamble
from urial_tui.prompting.render import open_turn, preamble_text
from urial_tui.prompting.templates.renderer import TemplateRenderer

T = TypeVar("T")

EXAMPLES = tuple(
    Example(query=query, answer=answer)
    for query, answer in (
        ("How many legs has a spider?", "A spider has eight legs."),
        ("the list of code", "```\nthe code\n```\nis here"),
        ("Where is it?", "It is there, and the number is in the list of the code."),
        ("Was ist das?", "Das ist ein Zeichen."),
    )
)
TEXTS = tuple(
    Item(id=number, turns=(f"{word} is the number of it?",), references=(answer,))
    for number, (word, answer) in enumerate(
        (
            ("What", "It is one of the list."),
            ("Where", "The code is there."),
            ("Who", "A number, and the code of it."),
            ("Why", "Because a spider has the list."),
            ("When", "It is here now."),
            ("How", "Das Zeichen."),
        )
    )
)


def result(steps: Generator[Any, None, T]) -> T:
    while True:
        try:
            next(steps)
        except StopIteration as end:
            found: T = end.value
            return found


@pytest.fixture(scope="module")
def plain_gguf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model whose vocabulary puts no space in front of a text, wherever that stands."""
    return tinygguf.write_llama(
        tmp_path_factory.mktemp("plain") / "tiny-plain.gguf",
        vocabulary=tinygguf.spm_vocabulary(add_space_prefix=False),
    )


@pytest.fixture
def loaded(plain_gguf: Path, tmp_path: Path) -> Iterator[Model]:
    # With an empty cache of preambles: what is evaluated is counted.
    with Engine(cache_dir=tmp_path / "cache") as engine:
        options = EngineOptions(n_ctx=2048, threads=1)
        yield engine.load(plain_gguf, options=options, purpose="watched").result()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[MeasureStore]:
    store = MeasureStore(tmp_path / "measures.jsonl")
    yield store
    store.close()


def losses_of(
    loaded: Model,
    base: Preamble,
    templates: TemplateRenderer,
    store: MeasureStore,
    examples: Sequence[Example] = EXAMPLES,
    texts: Sequence[Item] = TEXTS,
) -> ExampleLosses:
    return ExampleLosses(loaded, "tiny", base, examples, texts, templates, store)


def brute_force(
    path: Path, base: Preamble, most: int, directory: Path
) -> dict[ExamplePlaces, list[float]]:
    """Bits per byte of each text behind all examples of up to `most`, in all orders, plainly."""
    sets = [
        examples
        for size in range(most + 1)
        for examples in itertools.permutations(range(len(EXAMPLES)), size)
    ]
    jobs: list[Job] = []
    for examples in sets:
        chosen = [EXAMPLES[place] for place in examples]
        whole = preamble_text(with_examples(base, chosen))
        # In batches of the same shapes: what all candidates share, and the last example.
        shared = preamble_text(with_examples(base, chosen[:-1]))
        for text in TEXTS:
            pieces = [shared, whole.removeprefix(shared), open_turn(base, text.turns[0])]
            jobs.append(Job(pieces=pieces, answer=text.references[0]))
    bits = iter(plain_bits(path, jobs, directory, WATCHED_BATCH))
    return {
        examples: [next(bits) / len(text.references[0].encode()) for text in TEXTS]
        for examples in sets
    }


@pytest.mark.parametrize("name", ["urial-k0", "zero-shot"])
def test_the_search_chooses_what_a_plain_evaluation_of_all_sets_says(
    name: str,
    plain_gguf: Path,
    loaded: Model,
    templates: TemplateRenderer,
    store: MeasureStore,
    tmp_path: Path,
) -> None:
    base = find_preamble(name)
    table = brute_force(plain_gguf, base, 2, tmp_path)
    reads = losses_of(loaded, base, templates, store)
    for examples, expected in table.items():
        assert result(reads.losses(examples)) == pytest.approx(expected, abs=1e-4)

    class Plain:
        def losses(self, examples: ExamplePlaces) -> Generator[SearchStep, None, Losses | None]:
            yield from ()
            return tuple(table[examples])

    expected_found = result(ExampleSearch(Plain(), len(EXAMPLES), 2).steps())
    found = result(ExampleSearch(reads, len(EXAMPLES), 2).steps())
    assert isinstance(found, SearchResult)
    assert isinstance(expected_found, SearchResult)
    assert found.best.examples == expected_found.best.examples
    assert found.tried == expected_found.tried
    # The step's choice is that of all sets of one example, whether it is beyond noise or not.
    first = found.steps[0] if found.steps else found.refused
    assert first is not None
    assert first.examples == min(
        ((place,) for place in range(len(EXAMPLES))), key=lambda one: fmean(table[one])
    )


def test_what_stands_in_front_of_all_candidates_is_evaluated_once(
    loaded: Model, templates: TemplateRenderer, store: MeasureStore
) -> None:
    base = find_preamble("urial-k0")
    texts, examples = TEXTS, EXAMPLES
    lengths = follow(count_lengths(loaded, base, examples, texts, ()), lambda event: None)
    bos = 1
    # By hand: the text as it is shown, tokenised as one.
    whole = preamble_text(with_examples(base, examples[:1]))
    ((ids,),) = loaded.tokenize([(TextSegment(text=whole),)]).result()
    assert lengths.base + lengths.examples[0] == len(ids)

    reads = losses_of(loaded, base, templates, store)
    read = sum(lengths.train)
    # The last token of a question is evaluated with its answer, of which the last one is not.
    result(reads.losses(()))
    assert reads.work.tokens == bos + lengths.base + read - len(texts)
    for place in range(len(examples)):
        before = reads.work.tokens
        result(reads.losses((place,)))
        assert reads.work.tokens - before == lengths.examples[place] + read - len(texts), place
    assert reads.work.prefix == bos + lengths.base, "the preamble once for all of them"
    before = reads.work.tokens
    for place in (1, 2, 3):
        result(reads.losses((0, place)))
    there = bos + lengths.base + lengths.examples[0]
    new = sum(lengths.examples[1:]) + 3 * (read - len(texts))
    assert reads.work.tokens - before == there + new
    assert reads.work.readings == len(texts) * (1 + 4 + 3)


def test_the_estimate_is_an_upper_bound_near_what_is_evaluated(
    loaded: Model, templates: TemplateRenderer, store: MeasureStore
) -> None:
    base = find_preamble("urial-k0")
    lengths = follow(count_lengths(loaded, base, EXAMPLES, TEXTS, ()), lambda event: None)
    reads = losses_of(loaded, base, templates, store)
    sets: list[ExamplePlaces] = [(), (0,), (1,), (2,), (3,)]
    for examples in sets:
        result(reads.losses(examples))
    expected = estimate(lengths, 1, None, 0)
    # None, and each of the four.
    assert expected.readings == reads.work.readings == len(TEXTS) * 5
    assert reads.work.tokens <= expected.tokens <= 1.2 * reads.work.tokens


def test_of_very_many_candidates_some_are_counted(loaded: Model) -> None:
    base = find_preamble("urial-k0")
    many = EXAMPLES * (MOST_COUNTED + 1)
    found = follow(count_lengths(loaded, base, many, TEXTS, TEXTS[:2]), lambda event: None)
    few = follow(count_lengths(loaded, base, EXAMPLES, TEXTS, TEXTS[:2]), lambda event: None)
    assert len(found.examples) == len(many)
    assert fmean(found.examples) == pytest.approx(fmean(few.examples), rel=0.05)
    assert (found.base, found.train, found.held_out) == (few.base, few.train, few.held_out)


def test_an_estimate_by_hand() -> None:
    lengths = Lengths(base=100, examples=(10, 30), train=(5, 7), held_out=(4, 4, 4))
    # Empty: 100 + 12. One of two: (10 + 12) + (30 + 12). Two: 100 + 20 in front, 20 + 12.
    # The other order: 100 + 20, 20 + 12. Held out: twice 100 + 12, and the two examples.
    found = estimate(lengths, 2, None, 2)
    assert found.readings == 5 * 2 + 2 * 3
    assert found.tokens == 112 + 22 + 42 + 152 + 152 + 224 + 40
    assert estimate(lengths, 2, 2, 2).readings == 2 * 2 + 2 * 3
    assert estimate(lengths, 9, None, 2) == found, "no more than all of them"


def test_what_is_kept_is_not_read_again(
    loaded: Model, templates: TemplateRenderer, store: MeasureStore
) -> None:
    base = find_preamble("urial-k0")
    first = losses_of(loaded, base, templates, store)
    said = result(first.losses((2, 1)))
    again = losses_of(loaded, base, templates, store)
    assert result(again.losses((2, 1))) == said
    assert (again.work.readings, again.work.kept, again.work.tokens) == (0, len(TEXTS), 0)
    # Another preamble, another order, another text are others.
    for reads, examples in (
        (losses_of(loaded, find_preamble("zero-shot"), templates, store), (2, 1)),
        (losses_of(loaded, base, templates, store), (1, 2)),
        (losses_of(loaded, base, templates, store, EXAMPLES[1:]), (2, 1)),
    ):
        result(reads.losses(examples))
        assert reads.work.kept == 0


def test_a_text_that_does_not_fit_is_not_read_at_all_and_an_example_is_left_out(
    loaded: Model, templates: TemplateRenderer, store: MeasureStore
) -> None:
    huge = Item(id="huge", turns=("Why?",), references=("of the code " * 2000,))
    long = Example(query="Why?", answer="the list of code " * 1500)
    reads = losses_of(
        loaded, find_preamble("urial-k0"), templates, store, (*EXAMPLES, long), (*TEXTS, huge)
    )
    assert len(result(reads.losses(())) or ()) == len(TEXTS)
    assert list(reads.unread) == ["huge"]
    assert "context" in reads.unread["huge"]
    assert result(reads.losses((4,))) is None
    assert "context" in reads.troubles[4,]
    assert len(result(reads.losses((0,))) or ()) == len(TEXTS)


# -- parts and candidates --------------------------------------------------------------


def items(count: int) -> list[Item]:
    return [
        Item(id=number, turns=(f"Question {number}?",), references=(f"Answer {number}.",))
        for number in range(count)
    ]


def test_a_text_is_in_its_part_wherever_it_stands_and_whatever_else_there_is() -> None:
    many = items(400)
    parts = parts_of(many)
    assert len(parts.train) + len(parts.held_out) == 400
    assert 150 < len(parts.train) < 250
    turned = parts_of(reversed(many))
    assert set(turned.train) == set(parts.train)
    fewer = parts_of(many[::3])
    assert set(fewer.train) == set(parts.train) & set(many[::3])


def test_one_question_is_in_one_part_however_it_is_spaced_and_answered() -> None:
    for number in range(20):
        texts = [
            Item(id=place, turns=(question,), references=(f"Answer {place}.",))
            for place, question in enumerate(
                (f"Question {number}?", f"  Question\n{number}? ", f"Question\t {number}?")
            )
        ]
        assert sorted(map(len, parts_of(texts))) == [0, 3]


def test_what_has_no_answer_is_no_text() -> None:
    assert parts_of(
        [Item(id=1, turns=("Why?",)), Item(id=2, turns=("Who?",), references=(" ",))]
    ) == ((), ())


def test_no_candidate_has_the_question_of_a_text_or_ends_an_answer_of_the_format() -> None:
    base = find_preamble("urial-k0")
    pairs = [
        (1, Example(query="Question 3?", answer="Told already.")),
        (2, Example(query=" QUESTION   4？ ", answer="Told already.")),
        (3, Example(query="Another?", answer="One.\n~~~~\nTwo.")),
        (4, Example(query="Empty?", answer="")),
        (5, Example(query="Good?", answer="Yes.")),
    ]
    found = candidates_of(pairs, base, items(9))
    assert [candidate.number for candidate in found.candidates] == [5]
    assert found.left_out == {"asked": 2, "unsound": 2}
