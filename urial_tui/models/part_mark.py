"""The mark of a split model, `split.count`, where it stands behind the vocabulary of a file.

Most writers put it there, megabytes into the header. To walk all of those takes a tenth of a second
for a large vocabulary; to search their bytes takes a hundredth of that. What is found so is only
believed when the header was walked.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from urial_tui.errors import ModelError
from urial_tui.models.gguf_file import HEAD, Bytes, Metadata
from urial_tui.models.header import open_model, whole_header

_BLOCK: Final = 1 << 20
_MOST: Final = 64 << 20
"""Bytes that are searched, at most."""
_A_TOKEN: Final = 128
"""Bytes of a header for a token, at most; 61 where there are most merges."""


def _text(text: bytes) -> bytes:
    """A text as it stands in a header, behind its length."""
    return len(text).to_bytes(8, "little") + text


_MARK: Final = _text(b"split.count")
_FIRST_TENSOR: Final = _text(b"token_embd.weight")
"""What stands in the table of tensors, mostly as the first, behind all keys."""


def parts_told(path: Path, start: Metadata) -> int:
    """How many files a model is split into, by all of its header; 1 for a whole one.

    Args:
        path: The file.
        start: What its first bytes tell.

    Raises:
        OSError: It can't be read.
    """
    if start.parts > 1:
        return start.parts
    try:
        with open_model(path) as file:
            if not _goes_on(file, start) or not _has_mark(file, start):
                return 1
            return whole_header(path, file).parts
    except ModelError:
        # It is damaged behind its start, which is told when it is to be used.
        return 1


def _goes_on(file: Bytes, start: Metadata) -> bool:
    """Whether there are keys behind those that were read."""
    file.seek(0)
    keys = int(HEAD.unpack(file.read(HEAD.size))[3])
    return len(start.metadata.keys() | start.lengths.keys()) < keys


def _has_mark(file: Bytes, start: Metadata) -> bool:
    """Whether something like the mark stands in front of the tensors."""
    most = min(_MOST, _BLOCK + _A_TOKEN * start.lengths.get("tokenizer.ggml.tokens", 0))
    file.seek(0)
    read, end = 0, b""
    while read < most:
        block = file.read(_BLOCK)
        if not block:
            return False
        read += len(block)
        window = end + block
        tensors = window.find(_FIRST_TENSOR)
        if window.find(_MARK, 0, tensors if tensors >= 0 else len(window)) >= 0:
            return True
        if tensors >= 0:
            return False
        end = window[-len(_FIRST_TENSOR) :]
    return False
