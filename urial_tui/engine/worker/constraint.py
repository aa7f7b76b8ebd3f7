"""The grammar of one answer: which tokens may come next, and what was written so far.

The model chooses first, and the grammar is asked about that one token, which takes some
microseconds. Only where it refuses the token is the whole vocabulary looked at, and the choice
made again among what it admits. An answer may end where the grammar may.

llguidance follows the grammar (docs/decisions/0030-grammars-by-llguidance.md). It is imported for
the first grammar, with limits for each of its steps; what it recurses over was bounded before,
for it has no limit of its own there. It opens no connection.
"""

from __future__ import annotations

import json
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from urial_tui.engine.native.llama import Vocab
from urial_tui.engine.wire.values import Grammar
from urial_tui.engine.worker.gbnf import to_lark
from urial_tui.errors import EngineError

if TYPE_CHECKING:
    from llguidance import LLMatcher

Ids = NDArray[np.int64]
T = TypeVar("T")

_MOST_TEXT = 1_000_000
_MOST_LEVELS = 4000
"""Nesting of a schema times its references: as deep may llguidance recurse."""
_MOST_NESTED = 100
_STACK = 256 * 1024 * 1024
"""Bytes, of which only what is used is taken. A level needs up to 16,000."""

_KEPT = 8
"""Grammars of a model that are kept as they were compiled."""

_UNTYPED = (2, 3)
"""Tokens of these types, unknown and control, write nothing."""

_WHITESPACE = r" |\n {0,40}"
"""Between the parts of JSON; more than that a model may repeat until its room is full."""


class Constraint:
    """What a grammar says about the tokens of one answer.

    Args:
        vocab: The model's.
        grammar: What the answer has to follow.

    Raises:
        EngineError: The grammar can't be read, or takes too much to follow (here, and wherever it
            is asked).
    """

    def __init__(self, vocab: Vocab, grammar: Grammar) -> None:
        vocabulary = _vocabularies.get(vocab)
        with _caught():
            if vocabulary is None:
                vocabulary = _vocabularies[vocab] = _Vocabulary(vocab)
            self._matcher = vocabulary.matcher(grammar)
        self._vocab = vocab
        self._ending = vocabulary.ending

    @property
    def complete(self) -> bool:
        """Whether what was written is a whole text of the grammar, and none goes on from it."""
        return self._matcher.is_stopped() and self._matcher.is_accepting()

    def allows(self, token: int) -> bool:
        """Whether the answer may go on with this token, or end with it."""
        if self._vocab.is_eog(token):
            return self._matcher.is_accepting()
        if self._matcher.is_stopped() or not self._vocab.piece(token):
            return False
        with _caught():
            allowed = self._matcher.validate_tokens([token]) == 1
        self._check()
        return allowed

    def allowed(self) -> Ids:
        """All tokens that `allows` is true for, ascending."""
        bits = np.zeros(self._vocab.size, np.uint8)
        if not self._matcher.is_stopped():
            with _caught():
                mask = np.frombuffer(self._matcher.compute_bitmask(), np.uint8)
            self._check()
            if not self._matcher.is_error():
                bits = np.unpackbits(mask, bitorder="little", count=self._vocab.size)
        if self._matcher.is_accepting():
            bits[self._ending] = 1
        return np.flatnonzero(bits).astype(np.int64)

    def accept(self, token: int) -> None:
        """A token that is allowed was written."""
        if self._vocab.is_eog(token):
            return
        with _caught():
            self._matcher.consume_token(token)
        self._check()

    def accept_text(self, tokens: Sequence[int]) -> None:
        """Tokens that were written before, whatever chose them; those without text count nothing.

        Raises:
            EngineError: The grammar forbids what they write.
        """
        for token in tokens:
            if not self._vocab.piece(token):
                continue
            if not self.allows(token):
                raise EngineError(
                    "What is to be continued does not follow the grammar.",
                    "Continue it without the grammar, or write a new answer.",
                )
            self.accept(token)

    def dead_end(self) -> EngineError:
        """What to raise where nothing is allowed that the model could write."""
        if self._matcher.is_accepting():
            return EngineError(
                "The grammar allows nothing more here, and the model has no token to end with.",
                "Stop the answer here.",
            )
        return EngineError(
            "The model has no token with which the answer could go on as the grammar demands.",
            "Allow other characters in the grammar, or choose another model.",
        )

    def _check(self) -> None:
        if self._matcher.is_error() and not _is_dead_end(self._matcher):
            raise _too_many_ways()


class _Vocabulary:
    """A model's tokens as llguidance wants them, and the grammars that were compiled for them."""

    def __init__(self, vocab: Vocab) -> None:
        from llguidance import LLParserLimits, LLTokenizer, TokenizerWrapper

        pieces, types = vocab.read_all()
        ending = [token for token in range(vocab.size) if vocab.is_eog(token)]
        self.ending: Ids = np.array(ending, np.int64)
        # Where the answer may end is asked for; that token of its own stands for the end.
        end = len(pieces)
        silent = [token for token, kind in enumerate(types) if kind in _UNTYPED]
        tokens = _Tokens([*pieces, b""], end, sorted({*silent, *ending, end}))
        self._tokenizer = LLTokenizer(TokenizerWrapper(tokens), eos_token=end)
        self._limits = LLParserLimits(
            max_items_in_row=500,
            initial_lexer_fuel=1_000_000,
            step_lexer_fuel=500_000,
            step_max_items=4_000_000,
            max_lexer_states=20_000,
            max_grammar_size=200_000,
            precompute_large_lexemes=False,
            verbose_errors=False,
        )
        self._compiled: OrderedDict[Grammar, LLMatcher] = OrderedDict()

    def matcher(self, grammar: Grammar) -> LLMatcher:
        """One that stands at the start of a grammar."""
        found = self._compiled.get(grammar)
        if found is None:
            found = self._compiled[grammar] = self._compile(grammar)
            while len(self._compiled) > _KEPT:
                self._compiled.popitem(last=False)
        self._compiled.move_to_end(grammar)
        return found.deep_copy()

    def _compile(self, grammar: Grammar) -> LLMatcher:
        from llguidance import LLMatcher

        if len(grammar.text) > _MOST_TEXT:
            raise EngineError(
                f"The grammar has more than {_MOST_TEXT:,} characters.", "Make it shorter."
            )
        if grammar.kind == "gbnf":
            rules = to_lark(grammar.text)
        else:
            rules = f"start: %json {_schema(grammar.text)}"
        # Unforced, it tells all tokens that may come and not only those it would write itself.
        text = LLMatcher.grammar_from_lark(f'%llguidance {{"no_forcing": true}}\n{rules}\n')
        matcher = _with_stack(
            lambda: LLMatcher(self._tokenizer, text, log_level=0, limits=self._limits)
        )
        if matcher.is_error():
            raise _refused(grammar, matcher.get_error())
        # What can't begin is told now.
        mask = matcher.compute_bitmask()
        if matcher.is_error() and not _is_dead_end(matcher):
            raise _too_many_ways()
        if not any(mask) or matcher.is_error():
            raise EngineError(
                "No text that the model can write follows the grammar.",
                "Look for a rule that needs itself, or for characters that the model lacks.",
            )
        return matcher


class _Tokens:
    """What llguidance asks a tokenizer for."""

    bos_token_id = None

    def __init__(self, tokens: list[bytes], end: int, special: list[int]) -> None:
        self.tokens = tokens
        self.eos_token_id = end
        self.special_token_ids = special

    def __call__(self, _text: object) -> list[int]:
        return []  # wanted only where text is forced


_vocabularies: WeakKeyDictionary[Vocab, _Vocabulary] = WeakKeyDictionary()


def _schema(text: str) -> str:
    """A JSON schema, as llguidance may read it.

    Raises:
        EngineError: It is no JSON object, or nested too deep.
    """

    def refuse(name: str) -> None:
        raise ValueError(name)

    try:
        schema = json.loads(text, parse_constant=refuse)
    except (ValueError, RecursionError) as error:
        raise EngineError("The JSON schema is not valid JSON.", "Correct it.") from error
    if not isinstance(schema, dict):
        raise EngineError("The JSON schema is not a JSON object.", "Correct it.")
    nested, references = _measure(schema)
    if nested > _MOST_NESTED or nested * (1 + references) > _MOST_LEVELS:
        raise EngineError(
            "The JSON schema is nested too deep, or has too many references.", "Make it simpler."
        )
    schema["x-guidance"] = {"whitespace_pattern": _WHITESPACE}
    return json.dumps(schema)


def _measure(schema: object) -> tuple[int, int]:
    """How deep it is nested, and to how many parts it refers."""
    deepest = 0
    references: set[str] = set()
    left: list[tuple[Any, int]] = [(schema, 1)]
    while left:
        value, depth = left.pop()
        deepest = max(deepest, depth)
        if isinstance(value, dict):
            references.update(
                str(inner) for key, inner in value.items() if key in ("$ref", "$dynamicRef")
            )
            left += [(inner, depth + 1) for inner in value.values()]
        elif isinstance(value, list):
            left += [(inner, depth + 1) for inner in value]
    return deepest, len(references)


@contextmanager
def _caught() -> Iterator[None]:
    """Make a sentence of what llguidance raises, its panics included."""
    try:
        yield
    except EngineError:
        raise
    except BaseException as error:
        if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
            raise
        raise EngineError(
            "The grammar can't be followed.", "Make it simpler, or answer without it."
        ) from error


_stack_lock = threading.Lock()


def _with_stack(compute: Callable[[], T]) -> T:
    """Compute on a stack that is large enough for the deepest grammar."""
    done: list[T] = []
    failed: list[BaseException] = []

    def run() -> None:
        try:
            done.append(compute())
        except BaseException as error:  # noqa: BLE001 - raised where it was asked for
            failed.append(error)

    with _stack_lock:
        before = threading.stack_size(_STACK)
        try:
            thread = threading.Thread(target=run, name="grammar")
            thread.start()
        finally:
            threading.stack_size(before)
    thread.join()
    if failed:
        raise failed[0]
    return done[0]


def _is_dead_end(matcher: LLMatcher) -> bool:
    """Whether its error is that no token of the vocabulary may come."""
    return matcher.get_error().startswith("NoExtension")


def _refused(grammar: Grammar, reason: str) -> EngineError:
    what = "grammar" if grammar.kind == "gbnf" else "JSON schema"
    first = next((line.strip() for line in reason.splitlines() if line.strip()), "")
    first = first.removeprefix("at ").rstrip(".:")
    shown = "".join(one if one.isprintable() else "�" for one in first[:200])
    return EngineError(
        f"The {what} can't be followed: {shown or 'it is not understood'}.", "Make it simpler."
    )


def _too_many_ways() -> EngineError:
    return EngineError(
        "The grammar leaves too many ways to read what was written.",
        "Let each text be read in one way; a long list of words can be the enum of a schema.",
    )
