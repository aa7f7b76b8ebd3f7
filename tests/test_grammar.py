"""An answer that follows a grammar: whatever is drawn, what was written is a text of it."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tests.wires import MODEL, Wire
from urial_tui.engine.native import llama
from urial_tui.engine.wire.commands import Generate
from urial_tui.engine.wire.events import Failed, Finished
from urial_tui.engine.wire.values import EngineOptions, Grammar, Sampling, TextSegment
from urial_tui.engine.worker.constraint import Constraint
from urial_tui.engine.worker.gbnf import to_lark
from urial_tui.engine.worker.sampling import Sampler
from urial_tui.errors import EngineError

Row = NDArray[np.float32]

REGULAR = (
    (r'root ::= "yes" | "no"', r"yes|no"),
    (r"root ::= [a-c]+ [0-9]{2,4}", r"[a-c]+[0-9]{2,4}"),
    (r'root ::= ("the" | "and" | " ")* "."', r"(the|and| )*\."),
    ('root ::= line+\nline ::= [^\\n]{1,30} "\\n"', r"([^\n]{1,30}\n)+"),
    ('root ::= "é" [à-ü]? | [—中🙂] "x"{3}', r"é[à-ü]?|[—中🙂]xxx"),
    (r'root ::= "a"? "b"? "c"? ("d" | "")', r"a?b?c?d?"),
    (r'root ::= ([ab]* "-")* "!"', r"([ab]*-)*!"),
    (r"root ::= .{0,12}", r"(?s:.{0,12})"),
    (r'root ::= [^a-z"\\]{3,9} "z"', r'[^a-z"\\]{3,9}z'),
    (
        '# what\nroot ::= a |\n b # or\na ::= "\\x41\\u00e9\\U0001F642"\nb ::= (\n"[" "]" )',
        r"Aé🙂|\[\]",
    ),
)
"""Grammars, and the same as regular expressions."""

NESTED = r"""
root ::= list
list ::= "(" (item ("," item)*)? ")"
item ::= list | [a-z]+ | list "?"
"""
PARENTHESES = 'root ::= "(" root ")" | "(" root ")?" | "d"'
KINDS = ["llama_gguf", "sliding_window_gguf", "recurrent_gguf", "hybrid_gguf"]
ANIMAL = {
    "type": "object",
    "properties": {"animal": {"enum": ["cat", "dog", "sheep"]}, "legs": {"type": "integer"}},
    "required": ["animal", "legs"],
    "additionalProperties": False,
}


def gbnf(text: str) -> Grammar:
    return Grammar(kind="gbnf", text=text)


def schema(value: Any) -> Grammar:
    return Grammar(kind="json-schema", text=json.dumps(value))


@pytest.fixture(scope="module")
def spm(llama_gguf: Path) -> Iterator[llama.NativeModel]:
    """Byte tokens, and a token for each beginning of some words."""
    yield from _loaded(llama_gguf)


@pytest.fixture(scope="module")
def bpe(recurrent_gguf: Path) -> Iterator[llama.NativeModel]:
    """Tokens that begin or end inside a character."""
    yield from _loaded(recurrent_gguf)


def _loaded(path: Path) -> Iterator[llama.NativeModel]:
    llama.initialise()
    model = llama.NativeModel(str(path), gpu_layers=0, progress=lambda _fraction: True)
    yield model
    model.close()


@pytest.fixture(params=["spm", "bpe"])
def model(request: pytest.FixtureRequest) -> llama.NativeModel:
    found = request.getfixturevalue(request.param)
    assert isinstance(found, llama.NativeModel)
    return found


def rows(model: llama.NativeModel, seed: int, patience: int) -> Iterator[Row]:
    """Rows at random; after some tokens, those that end an answer are the likeliest."""
    random = np.random.default_rng(seed)
    ending = [token for token in range(model.vocab.size) if model.vocab.is_eog(token)]
    count = 0
    while True:
        row = (random.standard_normal(model.vocab.size) * 3).astype(np.float32)
        row[ending] = 30.0 if count >= patience else row[ending]
        count += 1
        yield row


def write(
    model: llama.NativeModel,
    grammar: Grammar | None,
    sampling: Sampling,
    *,
    seed: int = 0,
    patience: int = 12,
    most: int = 600,
) -> tuple[bytes, list[int]]:
    """What is written and its tokens, the last of which ends it."""
    sampler = Sampler(model.vocab, sampling, model.n_ctx_train, grammar)
    written: list[int] = []
    try:
        for row in rows(model, seed, patience):
            written.append(sampler.sample(row))
            if model.vocab.is_eog(written[-1]):
                break
            assert len(written) < most, "it does not end"
    finally:
        sampler.close()
    return b"".join(model.vocab.piece(token) for token in written[:-1]), written


samplings = st.builds(
    Sampling,
    temperature=st.sampled_from([0.0, 0.7, 2.0]),
    top_k=st.sampled_from([1, 5, 40, 1000]),
    top_p=st.sampled_from([0.5, 1.0]),
    min_p=st.sampled_from([0.0, 0.1]),
    repetition_penalty=st.sampled_from([1.0, 1.3]),
    presence_penalty=st.sampled_from([0.0, 0.5, -0.5]),
    dry_multiplier=st.sampled_from([0.0, 0.8]),
    seed=st.integers(0, 2**32 - 1),
)


many = settings(
    max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


# -- what is written ---------------------------------------------------------------------


@pytest.mark.parametrize(("text", "pattern"), REGULAR)
@given(sampling=samplings, seed=st.integers(0, 2**32))
@many
def test_what_is_drawn_is_a_text_of_the_grammar(
    model: llama.NativeModel, text: str, pattern: str, sampling: Sampling, seed: int
) -> None:
    data, _ = write(model, gbnf(text), sampling, seed=seed)
    assert re.fullmatch(pattern, data.decode("utf-8")), data


@given(sampling=samplings, seed=st.integers(0, 2**32))
@many
def test_nested_lists_are_closed(model: llama.NativeModel, sampling: Sampling, seed: int) -> None:
    data, _ = write(model, gbnf(NESTED), sampling, seed=seed)
    text = data.decode("utf-8")
    while (shorter := re.sub(r"\((?:(?:[a-z]+|L\??)(?:,(?:[a-z]+|L\??))*)?\)", "L", text)) != text:
        text = shorter
    assert text == "L"


def test_the_same_seed_writes_the_same(model: llama.NativeModel) -> None:
    sampling = Sampling(temperature=1.0, seed=5, repetition_penalty=1.2)
    first = write(model, gbnf(NESTED), sampling, seed=1)
    assert first == write(model, gbnf(NESTED), sampling, seed=1)
    others = {
        write(model, gbnf(NESTED), Sampling(temperature=1.0, seed=seed), seed=1)[0]
        for seed in range(8)
    }
    assert len(others) > 1


def test_a_refused_token_is_not_counted(spm: llama.NativeModel) -> None:
    """Had the x been counted when it was refused, the y would be the likelier one."""
    (a,), (x,), (y,) = (spm.vocab.tokenize(letter) for letter in "axy")
    row = np.full(spm.vocab.size, -10.0, np.float32)
    row[[x, y, a]] = 5.0, 4.5, 4.0
    sampling = Sampling(presence_penalty=1.0)
    sampler = Sampler(spm.vocab, sampling, spm.n_ctx_train, gbnf('root ::= "a" [xy] [xy]'))
    written = [sampler.sample(row) for _ in range(3)]
    sampler.close()
    assert written == [a, x, y]


# -- which tokens may come next ------------------------------------------------------------


@given(
    seed=st.integers(0, 2**32),
    text=st.sampled_from([NESTED, *(text for text, _ in REGULAR)]),
)
@many
def test_a_token_alone_and_the_whole_vocabulary_get_one_answer(
    model: llama.NativeModel, text: str, seed: int
) -> None:
    random = np.random.default_rng(seed)
    asked = Constraint(model.vocab, gbnf(text))
    for _ in range(8):
        allowed = asked.allowed()
        every = range(model.vocab.size)
        assert allowed.tolist() == [token for token in every if asked.allows(token)]
        going = [token for token in allowed.tolist() if not model.vocab.is_eog(token)]
        if not going:
            break
        asked.accept(int(random.choice(going)))


def test_an_answer_ends_only_where_the_grammar_does(spm: llama.NativeModel) -> None:
    ending = [token for token in range(spm.vocab.size) if spm.vocab.is_eog(token)]
    assert len(ending) == 2
    asked = Constraint(spm.vocab, gbnf('root ::= "a" ("b" "c")?'))
    for letter, complete in (("", False), ("a", True), ("b", False), ("c", True)):
        for token in spm.vocab.tokenize(letter):
            asked.accept(token)
        assert [asked.allows(token) for token in ending] == [complete] * 2
    assert asked.allowed().tolist() == ending


def test_a_control_token_is_not_its_name(spm: llama.NativeModel) -> None:
    """Nothing of it is written."""
    asked = Constraint(spm.vocab, gbnf('root ::= "<" "s>" | "<start_of_turn>"'))
    assert {spm.vocab.piece(token) for token in asked.allowed().tolist()} == {b"<"}


def test_a_character_is_completed_as_the_grammar_has_it(bpe: llama.NativeModel) -> None:
    asked = Constraint(bpe.vocab, gbnf("root ::= [^🙂]"))
    written = b""
    for byte in "🙁".encode()[:3]:
        (token,) = [
            token for token in range(bpe.vocab.size) if bpe.vocab.piece(token) == bytes([byte])
        ]
        asked.accept(token)
        written += bytes([byte])
    last = {bpe.vocab.piece(token) for token in asked.allowed().tolist()}
    assert last == {bytes([byte]) for byte in range(0x80, 0xC0)} - {"🙂".encode()[3:]}


# -- going on with what was written -----------------------------------------------------------


def test_what_is_continued_is_read_first(spm: llama.NativeModel) -> None:
    sampler = Sampler(spm.vocab, Sampling(), spm.n_ctx_train, gbnf('root ::= "answer" [0-9]'))
    sampler.accept([*spm.vocab.bos, *spm.vocab.tokenize("answer")])
    row = np.zeros(spm.vocab.size, np.float32)
    assert re.fullmatch(rb"[0-9]", spm.vocab.piece(sampler.sample(row)))
    assert spm.vocab.is_eog(sampler.sample(row))
    sampler.close()


def test_what_is_continued_has_to_follow_the_grammar(spm: llama.NativeModel) -> None:
    sampler = Sampler(spm.vocab, Sampling(), spm.n_ctx_train, gbnf('root ::= "answer" [0-9]'))
    with pytest.raises(EngineError, match="does not follow the grammar") as caught:
        sampler.accept(spm.vocab.tokenize("answers"))
    assert_readable(caught.value)
    sampler.close()


@pytest.mark.parametrize("sampling", [Sampling(), Sampling(temperature=1.0, seed=1)])
def test_a_dead_end_is_said(spm: llama.NativeModel, sampling: Sampling) -> None:
    """No token of the model can be written: the row excludes what the grammar admits."""
    sampler = Sampler(spm.vocab, sampling, spm.n_ctx_train, gbnf('root ::= "ab"'))
    row = np.zeros(spm.vocab.size, np.float32)
    sampler.sample(row)
    row[[token for token in range(spm.vocab.size) if spm.vocab.piece(token)[:1] == b"b"]] = -np.inf
    with pytest.raises(EngineError, match="has no token with which") as caught:
        sampler.sample(row)
    assert_readable(caught.value)
    sampler.close()


def test_an_end_that_can_not_be_written_is_said(spm: llama.NativeModel) -> None:
    sampler = Sampler(spm.vocab, Sampling(), spm.n_ctx_train, gbnf('root ::= "a"'))
    row = np.zeros(spm.vocab.size, np.float32)
    sampler.sample(row)
    row[[token for token in range(spm.vocab.size) if spm.vocab.is_eog(token)]] = -np.inf
    with pytest.raises(EngineError, match="no token to end with") as caught:
        sampler.sample(row)
    assert_readable(caught.value)
    sampler.close()


def test_choosing_again_takes_no_token_that_the_model_excludes(
    spm: llama.NativeModel,
) -> None:
    (a,), (b,), (x,) = (spm.vocab.tokenize(letter) for letter in "abx")
    row = np.full(spm.vocab.size, -np.inf, np.float32)
    row[x], row[b] = 1.0, -3.0
    for sampling in (
        Sampling(),
        Sampling(temperature=1.0, seed=1, top_p=1.0, min_p=0.0),
    ):
        sampler = Sampler(spm.vocab, sampling, spm.n_ctx_train, gbnf("root ::= [ab]{2}"))
        sampler.sample(np.zeros(spm.vocab.size, np.float32))
        assert sampler.sample(row) == b != a
        sampler.close()


# -- grammars that are refused ----------------------------------------------------------------


def assert_readable(error: EngineError) -> None:
    for sentence in (error.message, error.hint):
        assert sentence[:1].isupper() or sentence[:1] == '"'
        assert sentence.endswith(".")
        assert "\n" not in sentence


WRONG = {
    "": 'no rule "root"',
    "  # nothing\n": 'no rule "root"',
    'a ::= "a"': 'no rule "root"',
    "root ::= a": '"a" is not defined',
    'root ::= "a"\nb ::= root c': '"c" is not defined',
    'root ::= "a': "is not closed",
    "root ::= [a": "is not closed",
    'root ::= "\\': "is not closed",
    'root ::= "\\q"': "what follows a backslash",
    'root ::= "\\x4"': "what follows a backslash",
    'root ::= "\\UFFFFFFFF"': "no such character",
    'root ::= "\\ud800"': "no such character",
    'root ::= "\ud800"': "no such character",
    'root ::= \ud800"': "means nothing here",
    'root ::= ("a"': "a parenthesis is not closed",
    'root ::= "a")': "a parenthesis is closed that was not opened",
    'root ::= ("a" & "b")': '"&" means nothing here',
    'root = "a"': '"=" means nothing here',
    "root": '"::=" is expected',
    'root ::= "a"\n| "b"': "the name of a rule is expected (line 2)",
    'root ::= "a"\nroot ::= "b"': "defined twice",
    "root ::= *": "nothing to repeat",
    'root ::= "a" | +': "nothing to repeat",
    'root ::= "a"{': "means nothing here",
    'root ::= "a"{x}': "means nothing here",
    'root ::= "a"{3,2}': "the least number of times is more than the most",
    'root ::= "a"{1,100000}': "repeated more than 2,000 times",
    'root ::= "a"{1,99999999999999999999999}': "means nothing here",
    f'root ::= "{"a" * 200_000}"': "too large",
    f'root ::= "{"a" * 1_000_001}"': "more than 1,000,000 characters",
    "root ::= " + "(" * 150_000: "nested too deep",
    "root ::= a0\n" + "".join(f"a{n} ::= a{n + 1}\n" for n in range(9000)) + 'a9000 ::= "x"': (
        "too many rules"
    ),
    "root ::= []": "a class of characters is empty",
    "root ::= [z-a]": "the wrong way round",
    "root ::= <[7]>": "means nothing here",
    'root ::= a "x"\na ::= b\nb ::= a': "No text that the model can write",
    "root ::= a\na ::= b\nb ::= a": "No text that the model can write",
}
"""Texts, and what is said about them."""

WRONG_SCHEMAS: dict[str, str] = {
    "nonsense": "not valid JSON",
    "": "not valid JSON",
    '{"const": NaN}': "not valid JSON",
    '{"const": "a\0b"}': "not valid JSON",
    "[1, 2]": "not a JSON object",
    "true": "not a JSON object",
    "[" * 100_000: "not valid JSON",
    '{"items":' * 90_000 + "{}" + "}" * 90_000: "not valid JSON",
    '{"items":' * 150 + "{}" + "}" * 150: "nested too deep",
    json.dumps({"$ref": "#/d/0", "d": [{"items": {"$ref": f"#/d/{n}"}} for n in range(5000)]}): (
        "too many references"
    ),
    '{"$ref": "https://example.invalid/schema.json"}': "can't be followed",
    '{"$ref": "file:///etc/passwd"}': "can't be followed",
    '{"$id": "http://a.invalid/b", "$ref": "other.json"}': "can't be followed",
    '{"$schema": "http://a.invalid/b"}': "can't be followed",
    '{"$ref": "#/nowhere"}': "can't be followed",
    '{"$ref": "#"}': "No text that the model can write",
    '{"$ref": "#/a", "a": {"$ref": "#/b"}, "b": {"$ref": "#/a"}}': "can't be followed",
    '{"type": "nonsense"}': "can't be followed",
    '{"const": "\\ud800"}': "can't be followed",
    '{"const": 1e999}': "can't be followed",
    '{"enum": []}': "can't be followed",
    '{"minItems": -1}': "can't be followed",
    '{"not": {}}': 'Unimplemented keys: ["not"]',
    '{"x-guidance": {"lenient": true}, "not": {}}': 'Unimplemented keys: ["not"]',
    '{"type": "string", "pattern": "(?=a)"}': "can't be followed",
    '{"type": "string", "format": "who knows"}': "Unknown format",
    json.dumps({"type": "string", "pattern": "(" * 20_000 + ")" * 20_000}): "can't be followed",
    json.dumps({"properties": {f"a{n}": {"type": "string"} for n in range(20_000)}}): "too large",
}


def refused(model: llama.NativeModel, grammar: Grammar, sentence: str) -> None:
    started = time.monotonic()
    with pytest.raises(EngineError, match=re.escape(sentence)) as caught:
        Constraint(model.vocab, grammar)
    assert_readable(caught.value)
    assert time.monotonic() - started < 60


@pytest.mark.parametrize("text", WRONG, ids=lambda text: repr(text[:40]))
def test_a_bad_grammar_is_one_sentence(spm: llama.NativeModel, text: str) -> None:
    refused(spm, gbnf(text), WRONG[text])


@pytest.mark.parametrize("text", WRONG_SCHEMAS, ids=lambda text: repr(text[:50]))
def test_a_bad_schema_is_one_sentence_and_no_connection_is_opened(
    spm: llama.NativeModel, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_args: object, **_named: object) -> None:
        raise AssertionError("a connection")

    for name in ("socket", "create_connection", "getaddrinfo"):
        monkeypatch.setattr(socket, name, refuse)
    refused(spm, Grammar(kind="json-schema", text=text), WRONG_SCHEMAS[text])


@given(st.text(max_size=60) | st.text('root ::=|()[]{}*+?"\\^-.ab0,<>!#\n', max_size=60))
@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
def test_no_text_makes_a_grammar_fail_otherwise(spm: llama.NativeModel, text: str) -> None:
    for whole in (text, f"root ::= {text}"):
        try:
            to_lark(whole)
            Constraint(spm.vocab, gbnf(whole)).allowed()
        except EngineError as error:
            assert_readable(error)


HARMLESS = {
    "root ::= " + "(" * 3000 + '"a"' + ")" * 3000: "a",
    "root ::= a0\n" + "".join(f"a{n} ::= a{n + 1}\n" for n in range(3990)) + 'a3990 ::= "x"': "x",
    "root ::= a0\n"
    + "".join(f"a{n} ::= a{n + 1} | a{n + 1}\n" for n in range(60))
    + 'a60 ::= "x"': "x",
    'root ::= ("z"*)* "x"': "zzx",
    'root ::= ("")* "x"': "x",
    'root ::= "a"{0,0} "b"{0} "c"': "c",
    'root ::= "a"{0,2000}': "a" * 1999,
    'root ::= root "a" | "b"': "baa",
    'root ::= [a&&b]+ [a-z]+ "e" "\\"/\\]" [-x] [^\\]]': 'a&&be"/]-[',
    'root ::= [a-z]+ "e" | "ab" | [a] "bc"': "abc",
    # Two ways to read each parenthesis.
    PARENTHESES: "(" * 100 + "d" + ")?" * 50 + ")" * 50,
    'root ::= "a" root root | "a" root | "a"': "a" * 60,
}


@pytest.mark.parametrize("text", HARMLESS, ids=lambda text: repr(text[:40]))
def test_what_looks_dangerous_is_followed(spm: llama.NativeModel, text: str) -> None:
    started = time.monotonic()
    asked = Constraint(spm.vocab, gbnf(text))
    asked.accept_text(spm.vocab.tokenize(HARMLESS[text]))
    assert any(asked.allows(token) for token in range(spm.vocab.size) if spm.vocab.is_eog(token))
    assert time.monotonic() - started < 60


@pytest.mark.parametrize(
    "text",
    [
        'root ::= "a" root root | "a" root | "a"',
        'root ::= (((([a-z]{0,40}){0,40}){0,40}){0,40}){0,40} "!"',
        "root ::= " + " | ".join(f'"{number}"' for number in range(3000)),
    ],
)
def test_too_many_ways_are_said_in_time(spm: llama.NativeModel, text: str) -> None:
    (a,) = spm.vocab.tokenize("a")
    started = time.monotonic()
    with pytest.raises(EngineError, match="too many ways") as caught:  # noqa: PT012
        asked = Constraint(spm.vocab, gbnf(text))
        for _ in range(20_000):
            asked.allowed()
            asked.accept(a)
    assert_readable(caught.value)
    assert time.monotonic() - started < 90


# -- JSON schemas ------------------------------------------------------------------------------


SCHEMAS: tuple[Any, ...] = (
    ANIMAL,
    {"type": "integer"},
    {"type": ["boolean", "null"]},
    {"enum": ['a "b"', "line\nbreak", "back\\slash", "🙂é", 5, 2.5, None, True, {"a": ["\t"]}]},
    {"type": "string", "minLength": 3, "maxLength": 5},
    {"type": "string", "pattern": "^[A-Z]{2}-\\d+(\\.x|y)?$"},
    {"type": "array", "items": {"type": "integer"}, "minItems": 2, "maxItems": 4},
    {"type": "object", "additionalProperties": {"type": "integer"}},
    {
        "$defs": {
            "a": {
                "type": "object",
                "properties": {"next": {"$ref": "#/$defs/a"}, "v": {"type": "integer"}},
                "additionalProperties": {"type": "null"},
            }
        },
        "$ref": "#/$defs/a",
    },
    {"anyOf": [{"type": "null"}, {"type": "array", "items": {"$ref": "#"}}]},
)


def validates(value: Any, part: Any, document: Any) -> bool:
    """JSON schema, as far as the schemas above use it."""
    if isinstance(part, bool):
        return part
    if "$ref" in part:
        found = document
        for step in part["$ref"].split("/")[1:]:
            found = found[step.replace("~1", "/")]
        return validates(value, found, document)
    kinds: dict[str, Any] = {
        "string": str, "object": dict, "array": list, "null": type(None), "boolean": bool,
        "integer": int, "number": (int, float),
    }  # fmt: skip
    types = part.get("type", list(kinds))
    named = [types] if isinstance(types, str) else types
    checks = [
        any(
            isinstance(value, kinds[name]) and (not isinstance(value, bool) or name == "boolean")
            for name in named
        ),
        "const" not in part or value == part["const"],
        "enum" not in part or value in part["enum"],
        all(validates(value, one, document) for one in part.get("allOf", ())),
        "anyOf" not in part or any(validates(value, one, document) for one in part["anyOf"]),
    ]
    if isinstance(value, str):
        checks += [
            part.get("minLength", 0) <= len(value) <= part.get("maxLength", len(value)),
            re.search(part.get("pattern", ""), value) is not None,
        ]
    if isinstance(value, list):
        leading = part.get("prefixItems", [])
        checks += [validates(*pair, document) for pair in zip(value, leading, strict=False)]
        checks += [
            validates(one, part.get("items", True), document) for one in value[len(leading) :]
        ]
        checks.append(part.get("minItems", 0) <= len(value) <= part.get("maxItems", len(value)))
    if isinstance(value, dict):
        listed = part.get("properties", {})
        checks += [name in value for name in part.get("required", ())]
        checks += [
            validates(one, listed.get(name, part.get("additionalProperties", True)), document)
            for name, one in value.items()
        ]
    return all(checks)


@pytest.mark.parametrize("value", SCHEMAS, ids=lambda value: json.dumps(value)[:40])
@given(sampling=samplings, seed=st.integers(0, 2**32))
@many
def test_what_is_drawn_is_json_of_the_schema(
    spm: llama.NativeModel, value: Any, sampling: Sampling, seed: int
) -> None:
    data, _ = write(spm, schema(value), sampling, seed=seed, patience=30, most=20_000)
    answer = json.loads(data.decode("utf-8"))
    assert validates(answer, value, value), answer


# -- in answers ----------------------------------------------------------------------------


def asked(text: str, grammar: Grammar | None, **more: Any) -> Generate:
    return Generate(
        id=0,
        model=MODEL,
        preamble=(TextSegment(text="# Query:\nHello world\n\n# Answer:\nhope it helps\n\n"),),
        turns=((TextSegment(text=f"# Query:\n{text}\n\n# Answer:\n"),),),
        grammar=grammar,
        **{"max_tokens": 24, **more},
    )


@pytest.mark.parametrize("kind", KINDS)
def test_one_bad_grammar_among_eight_fails_alone(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    good = gbnf('root ::= "yes" | "no" [a-c]{3}')
    grammars = [good, None, gbnf("root ::= ("), schema(ANIMAL), good, good, None, good]
    options = EngineOptions(n_ctx=2048, threads=1, parallel=8)
    with Wire(tmp_path, request.getfixturevalue(kind), options) as wire:
        for together in (True, False):
            commands = [
                asked(f"Number {at}?", grammar, together=together, max_tokens=200)
                for at, grammar in enumerate(grammars)
            ]
            answers = wire.run_all(commands) if together else [wire.run(one) for one in commands]
            assert "is not closed" in answers[2].one(Failed).message
            for at, (grammar, events) in enumerate(zip(grammars, answers, strict=True)):
                if at == 2:
                    continue
                done = events.one(Finished)
                assert events.streamed() == done.text
                if grammar is good:
                    assert re.fullmatch("yes|no[a-c]{3}", done.text)
                    assert (done.stop_reason, done.end_token) == ("eos", None)
            done = answers[3].one(Finished)
            if done.stop_reason == "eos":
                assert validates(json.loads(done.text), ANIMAL, ANIMAL)


def test_a_prefix_is_a_part_of_what_the_grammar_admits(llama_gguf: Path, tmp_path: Path) -> None:
    grammar = gbnf('root ::= "answer" [0-9]')
    options = EngineOptions(n_ctx=2048, threads=1, parallel=4)
    with Wire(tmp_path, llama_gguf, options) as wire:
        for together in (True, False):
            good, bad = (
                wire.run(asked("So?", grammar, prefix=(TextSegment(text=text),), together=together))
                for text in ("answer", "answers")
            )
            assert re.fullmatch("answer[0-9]", good.one(Finished).text)
            assert "does not follow the grammar" in bad.one(Failed).message
            # What was reserved for the bad one is free again.
            assert wire.run(asked("And?", None, together=together)).one(Finished)


def test_samples_follow_it_each(llama_gguf: Path, tmp_path: Path) -> None:
    with Wire(tmp_path, llama_gguf, EngineOptions(n_ctx=2048, threads=1, parallel=4)) as wire:
        sampling = Sampling(temperature=2.0, seed=1, top_k=1000, top_p=1.0, min_p=0.0)
        events = wire.run(asked("So?", gbnf("root ::= [a-f]{4}"), samples=6, sampling=sampling))
        texts = [done.text for done in events.all(Finished)]
        assert len(texts) == 6
        assert all(re.fullmatch("[a-f]{4}", text) for text in texts)
        assert len(set(texts)) > 1


def test_the_library_is_imported_for_a_grammar_only() -> None:
    code = "import sys, urial_tui.engine.worker.main; assert 'llguidance' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_real_model_writes_json_of_a_schema(demo_model: Path, tmp_path: Path) -> None:
    with Wire(tmp_path, demo_model, EngineOptions(n_ctx=512, threads=1)) as wire:
        done = wire.run(
            asked("Which animal has four legs? As JSON.", schema(ANIMAL), max_tokens=60)
        ).one(Finished)
    assert done.stop_reason == "eos"
    assert validates(json.loads(done.text), ANIMAL, ANIMAL)
