"""What a model emits reaches the user exactly once, up to where the answer ends.

The engine sees tokens; the user sees text. `spelled` says what the text has to be from
the bytes alone, one byte after the other; whatever way the bytes are cut into tokens, the
engine has to come to the same.
"""

from __future__ import annotations

import codecs
import itertools
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests import tinygguf
from tests.loaded import newest
from tools.vocabularies import Vocabulary
from urial_tui.engine.client.engine import Engine
from urial_tui.engine.wire.events import Finished, TextDelta
from urial_tui.engine.wire.values import EngineOptions, Sampling, StopRules, TextSegment
from urial_tui.engine.worker.text import Delta, TextStream
from urial_tui.prompting.stops import answer_end

FENCE = "```"
PLAIN = StopRules()
URIAL = StopRules(strings=("\n# Query", "# Instruction"), fence=FENCE)


# -- what has to come out ----------------------------------------------------------------


class Ending(NamedTuple):
    """Where an answer ends, in bytes, after how many bytes that is known, and by what."""

    cut: int
    known: int
    by: str


def ending(data: bytes, rules: StopRules) -> Ending | None:
    """The first moment at which a rule is met; of those met at once, what cuts most."""
    stops = [stop.encode() for stop in rules.strings]
    for known in range(1, len(data) + 1):
        met = [
            Ending(known - len(stop), known, stop.decode())
            for stop in stops
            if data[:known].endswith(stop)
        ]
        if rules.fence and data[known - 1 : known] == b"\n":
            line = bare_fence(data[: known - 1], rules.fence)
            if line is not None:
                met.append(Ending(max(line - 1, 0), known, rules.fence))
        if met:
            return min(met)
    line = bare_fence(data, rules.fence) if rules.fence else None
    return None if line is None else Ending(max(line - 1, 0), len(data), rules.fence)


def bare_fence(data: bytes, fence: str) -> int | None:
    """Where the last line starts, if it is a bare fence that closes the answer."""
    *before, last = data.split(b"\n")
    if last.rstrip(b" \t\r") != fence.encode():
        return None
    opened = False
    for line in before:
        words = line.rstrip(b" \t\r")
        if words == fence.encode():
            opened = False
        elif words.startswith(fence.encode()):
            opened = True
    return None if opened else len(data) - len(last)


def decoded(data: bytes) -> str:
    return data.decode("utf-8", "replace")


# -- driving the engine's side -----------------------------------------------------------


class Run:
    """Tokens pushed one by one, with a `take` after each token that `taken` asks for."""

    def __init__(
        self, pieces: list[bytes], rules: StopRules, close: str, taken: list[bool]
    ) -> None:
        self.pieces = pieces
        self.answer = TextStream(rules, close)
        self.text = ""
        self.ids: list[int] = []
        self.pushed = 0
        self.stopped = False
        for token, piece in enumerate(pieces):
            self.stopped = self.answer.push(token, piece)
            self.pushed += 1
            if taken[token % len(taken)]:
                self.take()
            if self.stopped:
                break
        else:
            self.stopped = self.answer.finish()
        self.take()

    def take(self) -> None:
        delta = self.answer.take()
        if delta is not None:
            assert delta.text or delta.ids
            self.text += delta.text
            self.ids += delta.ids
            assert decoded(self.spell(self.ids)) + delta.pending == self.text

    def spell(self, ids: list[int] | tuple[int, ...]) -> bytes:
        return b"".join(self.pieces[id_] for id_ in ids)


def cut_up(data: bytes, cuts: list[int]) -> list[bytes]:
    """`data` in pieces; equal cuts give empty pieces, which control tokens have."""
    ends = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    return [data[start:end] for start, end in itertools.pairwise(ends)]


FRAGMENTS = st.one_of(
    st.binary(max_size=4),
    st.sampled_from(["é", "中文", "🙂", "\ufffd", "a", "Query", "#", "`", " ", "\n", "\r\n"]).map(
        str.encode
    ),
    st.sampled_from([b"\xf0\x9f\x99", b"\xe4\xb8", b"\xc3", b"\x80", b"\xff", b"\xed\xa0\x80"]),
    st.sampled_from(
        [b"\n```\n", b"```", b"\n```python\n", b"\n``` \t\n", b"\n  ```", b"``", b"````"]
    ),
    st.sampled_from([b"\n# Query", b"\n# Que", b"# Instruction", b"# Instr", b"\n\n# ", b"\n#"]),
)
DATA = st.lists(FRAGMENTS, max_size=12).map(b"".join)
CUTS = st.lists(st.integers(0, 200), max_size=30)
TAKEN = st.lists(st.booleans(), min_size=1, max_size=5)
STOPS = st.lists(
    st.one_of(
        st.sampled_from(
            ["\n# Query", "# Instruction", "\n\n", "a", "aa", "aba", "🙂", "é#", "\n```"]
        ),
        st.text(alphabet="ab\n`", min_size=1, max_size=3),
    ),
    max_size=3,
)
RULES = st.builds(
    lambda stops, fence: StopRules(strings=tuple(stops), fence=fence),
    STOPS,
    st.sampled_from(["", FENCE]),
)
DENSE = st.text(alphabet="ab`\n é", max_size=20).map(str.encode)
CLOSES = st.sampled_from(["", "\n```\n\n", "\n```\n\n# Query:\n", "🙂\n", "\n\n", "é"])


# -- every byte, once --------------------------------------------------------------------


@given(data=st.one_of(st.binary(max_size=64), DATA), cuts=CUTS, taken=TAKEN)
def test_every_byte_reaches_the_user_once(data: bytes, cuts: list[int], taken: list[bool]) -> None:
    run = Run(cut_up(data, cuts), PLAIN, "", taken)
    assert run.text == decoded(data)
    assert not run.stopped


@given(text=st.text(), cuts=CUTS)
def test_text_is_not_changed(text: str, cuts: list[int]) -> None:
    run = Run(cut_up(text.encode(), cuts), PLAIN, "", [True])
    assert run.text == text


@given(data=DATA, cuts=CUTS)
def test_text_is_shown_as_soon_as_its_characters_are_whole(data: bytes, cuts: list[int]) -> None:
    answer = TextStream(PLAIN)
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    for token, piece in enumerate(cut_up(data, cuts)):
        answer.push(token, piece)
        delta = answer.take()
        assert (delta.text if delta else "") == decoder.decode(piece)


@given(data=DATA, cuts=CUTS)
def test_all_ids_stay_where_nothing_was_cut(data: bytes, cuts: list[int]) -> None:
    run = Run(cut_up(data, cuts), PLAIN, "\n```\n", [True])
    assert run.ids == list(range(run.pushed))
    assert run.answer.history().ids == tuple(range(run.pushed))
    assert run.answer.history().tail == "\n```\n"


# -- where the answer ends ---------------------------------------------------------------


@given(data=st.one_of(DATA, DENSE), cuts=CUTS, rules=RULES, taken=TAKEN)
def test_an_answer_ends_at_the_first_stop_and_nowhere_else(
    data: bytes, cuts: list[int], rules: StopRules, taken: list[bool]
) -> None:
    run = Run(cut_up(data, cuts), rules, "", taken)
    expected = ending(data, rules)
    if expected is None:
        assert not run.stopped
        assert run.text == decoded(data)
    else:
        assert run.stopped
        assert run.text == decoded(data[: expected.cut])
        assert run.answer.stopped_by in (*rules.strings, rules.fence)
        before = b"".join(run.pieces[: run.pushed - 1])
        assert len(before) < expected.known or expected.known == len(data)


@given(data=st.one_of(DATA, DENSE), cuts=CUTS, stops=STOPS)
def test_only_what_may_begin_a_stop_is_held_back(
    data: bytes, cuts: list[int], stops: list[str]
) -> None:
    rules = StopRules(strings=tuple(stops))
    answer = TextStream(rules)
    seen, text = b"", ""
    for token, piece in enumerate(cut_up(data, cuts)):
        seen += piece
        if answer.push(token, piece):
            return
        delta = answer.take()
        text += delta.text if delta else ""
        held = max(
            (
                n
                for stop in stops
                for n in range(len(stop.encode()))
                if seen.endswith(stop.encode()[:n])
            ),
            default=0,
        )
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        assert text == decoder.decode(seen[: len(seen) - held])


@given(data=st.one_of(DATA, DENSE), cuts=CUTS, rules=RULES, close=CLOSES, taken=TAKEN)
def test_the_history_spells_the_text_and_the_closing(
    data: bytes, cuts: list[int], rules: StopRules, close: str, taken: list[bool]
) -> None:
    run = Run(cut_up(data, cuts), rules, close, taken)
    history = run.answer.history()
    assert history.text == run.text
    assert history.ids == tuple(range(len(history.ids)))
    assert decoded(run.spell(history.ids)) + history.tail == run.text + close


@given(data=DATA, cuts=CUTS, rules=RULES)
def test_asking_again_gives_nothing_new(data: bytes, cuts: list[int], rules: StopRules) -> None:
    run = Run(cut_up(data, cuts), rules, "", [True])
    assert run.answer.take() is None


# -- cases to read -----------------------------------------------------------------------


def answer_of(text: str, rules: StopRules = URIAL) -> str:
    """The answer, the same whether the text comes letter by letter or in one piece."""
    letters = Run([bytes([byte]) for byte in text.encode()], rules, "", [True]).text
    assert Run([text.encode()], rules, "", [True]).text == letters
    return letters


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("Hello.\n```\n\n# Query:\n", "Hello."),
        ("Hello.\n```", "Hello."),
        ("Hello.\n``` \r\nmore", "Hello."),
        ("Code:\n```python\nprint(1)\n```\nDone.\n```\n", "Code:\n```python\nprint(1)\n```\nDone."),
        ("Write ``` to open a fence.\n```\n", "Write ``` to open a fence."),
        ("```\n", ""),
        ("", ""),
        ("A bare Query stays.\n```\n", "A bare Query stays."),
        ("Hello.\n# Query:\nMore", "Hello."),
        ("Hello.\n# Questions\nMore", "Hello.\n# Questions\nMore"),
        ("Four\n````\nticks", "Four\n````\nticks"),
    ],
)
def test_urial_answers_end_where_a_reader_would_end_them(text: str, answer: str) -> None:
    assert answer_of(text) == answer


def test_of_two_nested_stops_the_one_that_is_complete_first_counts() -> None:
    assert answer_of("xabc", StopRules(strings=("abc", "b"))) == "xa"


def test_what_the_model_wrote_of_the_closing_is_not_written_again() -> None:
    pieces = [b"Hello", b".\n", b"```", b"\n\n", b"# Query"]
    run = Run(pieces, StopRules(strings=("\n# Query",), fence=FENCE), "\n```\n\n# Query:\n", [True])
    assert run.text == "Hello."
    assert run.ids == [0]
    history = run.answer.history()
    assert history.ids == (0, 1, 2, 3)
    assert history.tail == "# Query:\n"


def test_the_history_does_not_keep_half_a_character() -> None:
    smile = "🙂".encode()
    run = Run([b"ok", smile[:2], smile[2:] + b"#"], StopRules(strings=("#",)), "\n", [True])
    history = run.answer.history()
    assert (history.text, history.ids, history.tail) == ("ok🙂", (0,), "🙂\n")


def test_a_character_cut_by_the_length_limit_is_shown_as_one_sign() -> None:
    run = Run([b"ok \xf0\x9f", b"\x99"], PLAIN, "\n", [True])
    assert run.text == "ok \ufffd"
    assert run.answer.history().ids == (0, 1)


def test_pending_text_bridges_a_token_that_is_shown_in_part() -> None:
    answer = TextStream(StopRules(strings=("#",)))
    answer.push(7, "中".encode() + b"\xe6")
    assert answer.take() == Delta("中", (), "中")
    answer.push(8, b"\x96\x87")
    assert answer.take() == Delta("文", (7, 8), "")


@given(text=st.lists(st.sampled_from(["a", " ", "\n", "`", "```", "```py"]), max_size=16))
def test_the_engine_ends_an_answer_where_the_check_of_preambles_does(text: list[str]) -> None:
    whole = "".join(text)
    end = answer_end(whole, URIAL)
    assert answer_of(whole) == (whole if end is None else whole[:end])


# -- through a real model ----------------------------------------------------------------


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize(
    ("write", "vocabulary"),
    [
        (tinygguf.write_llama, tinygguf.spm_vocabulary()),
        (tinygguf.write_sliding_window, tinygguf.spm_vocabulary(add_space_prefix=False)),
        (tinygguf.write_recurrent, tinygguf.bpe_vocabulary()),
    ],
)
def test_the_events_of_an_answer_spell_what_the_model_emitted(
    write: Callable[..., Path], vocabulary: Vocabulary, seed: int, tmp_path: Path
) -> None:
    path = write(tmp_path / "m.gguf", seed=seed, vocabulary=vocabulary)
    sampling = Sampling(temperature=1.0, top_k=1000, top_p=1.0, min_p=0.0, seed=seed)
    invalid = 0
    with Engine() as engine:
        for _ in engine.load(path, options=EngineOptions(n_ctx=1024, threads=1)):
            pass
        for question in ("Hello world", "naïve 🙂", "# Query:"):
            shown = ""
            ids: list[int] = []
            events = newest(engine).generate(
                preamble=(TextSegment(text="# Instruction\n"),),
                turns=[(TextSegment(text=question),)],
                sampling=sampling,
                close="\n```\n",
                max_tokens=200,
            )
            for event in events:
                if isinstance(event, TextDelta):
                    shown += event.text
                    ids += event.ids
                    assert decoded(vocabulary.spell(ids)) + event.pending == shown
            assert isinstance(event, Finished)
            assert event.text == shown
            assert list(event.ids) == ids
            assert len(ids) == event.generated
            assert decoded(vocabulary.spell(event.ids)) + event.tail == shown + "\n```\n"
            invalid += shown.count("\ufffd")
    assert invalid, "the answers have to hold invalid UTF-8"


# -- an answer that goes on ----------------------------------------------------------------


@given(st.binary(max_size=12), st.binary(max_size=12))
def test_what_an_answer_starts_with_is_handed_out_once(start: bytes, rest: bytes) -> None:
    answer = TextStream(PLAIN)
    answer.begin((number, bytes([byte])) for number, byte in enumerate(start))
    streamed = [answer.take()]
    for number, byte in enumerate(rest, len(start)):
        answer.push(number, bytes([byte]))
        streamed.append(answer.take())
    answer.finish()
    streamed.append(answer.take())
    text = "".join(delta.text for delta in streamed if delta)
    assert text == (start + rest).decode("utf-8", "replace") == answer.history().text
    assert answer.history().ids == tuple(range(len(start) + len(rest)))


@pytest.mark.parametrize(
    ("start", "rest", "shown"),
    [
        ("Code:\n```python\nx = 1\n", "```\nDone.\n```\n", "Code:\n```python\nx = 1\n```\nDone."),
        ("Code:\n```\nx = 1\n", "```\nDone.\n```\n", "Code:\n```\nx = 1\n```\nDone."),
        ("```python\nx = 1\n```\n", "Done.\n```\n", "```python\nx = 1\n```\nDone."),
        ("No code.\n# Que", "ry: more", "No code."),
        ("No code.\n# Query", " stays", "No code.\n# Query stays"),
        ("No code.\n", "Done\n# Query: more", "No code.\nDone"),
    ],
)
def test_the_stop_rules_know_how_the_answer_starts(start: str, rest: str, shown: str) -> None:
    answer = TextStream(URIAL)
    answer.begin([(0, start.encode())])
    for number, character in enumerate(rest, 1):
        if answer.push(number, character.encode()):
            break
    answer.finish()
    assert answer.history().text == shown
