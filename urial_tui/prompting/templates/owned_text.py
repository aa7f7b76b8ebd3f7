"""A string that knows of each of its characters who wrote it: a template, or somebody it quotes.

It is the same string as without: every method gives the same characters, and where these can be
followed, their owners. Where they can't (a method that mixes two owners in a way that is not
known here, a plain string from elsewhere), the owner is UNKNOWN, and never a guess. So a
character is a template's own only if it was followed all the way from the template's source.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, SupportsIndex

TEMPLATE = "\0"
UNKNOWN = "\1"
_FIRST = 2

_CHARACTER = re.compile(r"%(\([^)]*\))?[^a-zA-Z%]*[hlL]?c|:[^{}]*c\}")
"""A place of a format that makes a character of a number."""


def owner_of(index: int) -> str:
    """The owner that stands for a content."""
    return chr(_FIRST + index)


def index_of(owner: str) -> int:
    """The content that an owner stands for; negative for none."""
    return ord(owner) - _FIRST


class OwnedText(str):
    """A `str` with an owner for each character.

    Args:
        text: The string.
        owners: One for each character, or one for all; UNKNOWN where none is given.
    """

    __slots__ = ("_owners",)
    _owners: str

    def __new__(cls, text: str = "", owners: str | None = None) -> OwnedText:
        """See the class."""
        self = super().__new__(cls, text)
        if owners is None:
            owners = UNKNOWN * len(self)
        elif len(owners) == 1:
            owners *= len(self)
        self._owners = owners
        return self

    def __str__(self) -> OwnedText:
        return self

    def __add__(self, other: str) -> OwnedText:
        return OwnedText(str.__add__(self, other), self._owners + owners_of(other))

    def __radd__(self, other: str) -> OwnedText:
        return OwnedText(str.__add__(other, self), owners_of(other) + self._owners)

    def __mul__(self, count: SupportsIndex) -> OwnedText:
        return OwnedText(str.__mul__(self, count), self._owners * count)

    def __rmul__(self, count: SupportsIndex) -> OwnedText:
        return self * count

    def __mod__(self, values: Any) -> OwnedText:
        return filled(str.__mod__(self, values), self, values)

    def __getitem__(self, key: SupportsIndex | slice) -> OwnedText:
        return OwnedText(str.__getitem__(self, key), self._owners[key])

    def __iter__(self) -> Iterator[str]:
        return (self[at] for at in range(len(self)))

    # -- pieces -----------------------------------------------------------------------

    def lstrip(self, chars: str | None = None, /) -> OwnedText:
        """As `str.lstrip`."""
        return self[len(self) - len(str.lstrip(self, chars)) :]

    def rstrip(self, chars: str | None = None, /) -> OwnedText:
        """As `str.rstrip`."""
        return self[: len(str.rstrip(self, chars))]

    def strip(self, chars: str | None = None, /) -> OwnedText:
        """As `str.strip`."""
        return self.lstrip(chars).rstrip(chars)

    def removeprefix(self, prefix: str, /) -> OwnedText:
        """As `str.removeprefix`."""
        return self[len(self) - len(str.removeprefix(self, prefix)) :]

    def removesuffix(self, suffix: str, /) -> OwnedText:
        """As `str.removesuffix`."""
        return self[: len(str.removesuffix(self, suffix))]

    def split(self, sep: str | None = None, maxsplit: SupportsIndex = -1) -> list[str]:
        """As `str.split`."""
        return self._found(str.split(self, sep, maxsplit), sep)

    def rsplit(self, sep: str | None = None, maxsplit: SupportsIndex = -1) -> list[str]:
        """As `str.rsplit`."""
        return self._found(str.rsplit(self, sep, maxsplit), sep)

    def splitlines(self, keepends: bool = False) -> list[str]:
        """As `str.splitlines`."""
        whole = self._found(str.splitlines(self, True), "")
        return [
            line[: len(bare)]
            for line, bare in zip(whole, str.splitlines(self, keepends), strict=True)
        ]

    def partition(self, sep: str, /) -> tuple[str, str, str]:
        """As `str.partition`."""
        head, middle, _ = str.partition(self, sep)
        return self._in_three(len(head), len(middle))

    def rpartition(self, sep: str, /) -> tuple[str, str, str]:
        """As `str.rpartition`."""
        head, middle, _ = str.rpartition(self, sep)
        return self._in_three(len(head), len(middle))

    # -- other characters -------------------------------------------------------------

    def replace(self, old: str, new: str, /, count: SupportsIndex = -1) -> OwnedText:
        """As `str.replace`: what takes a place is of who wrote it."""
        if not old:
            return derived(str.replace(self, old, new, count), self, new)
        return OwnedText(new, owners_of(new)).join(self.split(old, count))

    def join(self, items: Iterable[str], /) -> OwnedText:
        """As `str.join`."""
        parts = list(items)
        return OwnedText(str.join(self, parts), self._owners.join(map(owners_of, parts)))

    def lower(self) -> OwnedText:
        """As `str.lower`."""
        return self._each(str.lower(self))

    def upper(self) -> OwnedText:
        """As `str.upper`."""
        return self._each(str.upper(self))

    def casefold(self) -> OwnedText:
        """As `str.casefold`."""
        return self._each(str.casefold(self))

    def swapcase(self) -> OwnedText:
        """As `str.swapcase`."""
        return self._each(str.swapcase(self))

    def capitalize(self) -> OwnedText:
        """As `str.capitalize`."""
        return self._each(str.capitalize(self))

    def title(self) -> OwnedText:
        """As `str.title`."""
        return self._each(str.title(self))

    def translate(self, table: Any, /) -> OwnedText:
        """As `str.translate`, whose table holds characters as numbers, which have no owner."""
        return OwnedText(str.translate(self, table))

    def expandtabs(self, tabsize: SupportsIndex = 8) -> OwnedText:
        """As `str.expandtabs`."""
        return derived(str.expandtabs(self, tabsize), self)

    def center(self, width: SupportsIndex, fillchar: str = " ", /) -> OwnedText:
        """As `str.center`."""
        return derived(str.center(self, width, fillchar), self, fillchar)

    def ljust(self, width: SupportsIndex, fillchar: str = " ", /) -> OwnedText:
        """As `str.ljust`."""
        return self + OwnedText(str.ljust(self, width, fillchar)[len(self) :], owners_of(fillchar))

    def rjust(self, width: SupportsIndex, fillchar: str = " ", /) -> OwnedText:
        """As `str.rjust`."""
        added = len(padded := str.rjust(self, width, fillchar)) - len(self)
        return OwnedText(padded[:added], owners_of(fillchar)) + self

    def zfill(self, width: SupportsIndex, /) -> OwnedText:
        """As `str.zfill`."""
        return derived(str.zfill(self, width), self)

    # -- steps ------------------------------------------------------------------------

    def _found(self, parts: list[str], sep: str | None = None) -> list[str]:
        """The parts, which stand in this order, as they stand here."""
        found: list[str] = []
        end = 0
        for number, part in enumerate(parts):
            gap = len(sep) if sep and number else 0
            start = end + gap if sep is not None else str.index(self, part, end)
            end = start + len(part)
            found.append(self[start:end])
        return found

    def _in_three(self, first: int, second: int) -> tuple[str, str, str]:
        return self[:first], self[first : first + second], self[first + second :]

    def _each(self, changed: str) -> OwnedText:
        """`changed` has a character for each of these, or for some more than one."""
        if len(changed) == len(self):
            return OwnedText(changed, self._owners)
        return derived(changed, self)


def owners_of(text: str) -> str:
    """The owners of a string's characters, one each."""
    return text._owners if isinstance(text, OwnedText) else UNKNOWN * len(text)


def derived(text: str, *inputs: object) -> OwnedText:
    """What was made of `inputs` in a way that is not known: of their owner, if they have one.

    Of numbers alone it is the template's, which chose them.
    """
    owners = set[str]()
    for value in inputs:
        owners |= _owners_in(value)
    if not owners:
        return OwnedText(text, TEMPLATE)
    return OwnedText(text, owners.pop() if len(owners) == 1 else UNKNOWN)


def filled(text: str, form: str, *values: object) -> OwnedText:
    """What `form` became with values in its places, by either way of formatting."""
    return OwnedText(text) if _CHARACTER.search(form) else derived(text, form, values)


def _owners_in(value: object) -> set[str]:
    if isinstance(value, str):
        return set(owners_of(value))
    if value is None or isinstance(value, bool | int | float):
        return set()
    if isinstance(value, Mapping):
        return _owners_in([*value, *value.values()])
    if isinstance(value, list | tuple):
        return set().union(*map(_owners_in, value))
    return {UNKNOWN}


def runs(text: str) -> Iterator[tuple[str, str]]:
    """Run-length encoding: the longest stretches of a text that have one owner.

    Returns:
        The owner and the text of each.
    """
    owners = owners_of(text)
    start = 0
    while start < len(owners):
        owner = owners[start]
        end = start + len(owners[start:]) - len(owners[start:].lstrip(owner))
        yield owner, str.__str__(text)[start:end]
        start = end
