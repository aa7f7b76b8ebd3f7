"""Messages on a pipe: a 4-byte little-endian length, then one msgpack-encoded message."""

from __future__ import annotations

import os
import struct
from typing import TypeVar

import msgspec

from urial_tui.engine.wire.commands import Command
from urial_tui.engine.wire.events import Event

VERSION = 7
"""Raised with every change to a message that an older peer would misread."""

MAX_FRAME = 256 * 1024 * 1024
"""Bytes. A longer frame is refused, for its length is not to be believed."""

encode = msgspec.msgpack.Encoder().encode
_commands: msgspec.msgpack.Decoder[Command] = msgspec.msgpack.Decoder(Command)
_events: msgspec.msgpack.Decoder[Event] = msgspec.msgpack.Decoder(Event)
_Message = TypeVar("_Message")
_LENGTH = struct.Struct("<I")

_PART = 1 << 20

FRAME_HEAD = _LENGTH.size
"""Bytes of a frame beside its message."""


class ProtocolError(Exception):
    """A frame that no peer of this version sends."""


def decode_command(body: bytes) -> Command:
    """A frame's body as a command.

    Raises:
        ProtocolError: It is none.
    """
    return _decoded(_commands, body)


def decode_event(body: bytes) -> Event:
    """A frame's body as an event.

    Raises:
        ProtocolError: It is none.
    """
    return _decoded(_events, body)


def _decoded(decoder: msgspec.msgpack.Decoder[_Message], body: bytes) -> _Message:
    try:
        return decoder.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise ProtocolError(str(error)) from error


def write_frame(fd: int, message: msgspec.Struct) -> None:
    """Write one message to a file descriptor, whole.

    Raises:
        OSError: The other end is closed.
    """
    body = encode(message)
    view = memoryview(_LENGTH.pack(len(body)) + body)
    while view:
        view = view[os.write(fd, view) :]


def read_frame(fd: int) -> bytes | None:
    """Read one frame's body; None when the other end is closed (also in mid-frame).

    Raises:
        ProtocolError: The frame claims to be longer than `MAX_FRAME`.
    """
    head = _read_exactly(fd, _LENGTH.size)
    if head is None:
        return None
    (length,) = _LENGTH.unpack(head)
    if length > MAX_FRAME:
        raise ProtocolError(f"frame of {length} bytes")
    return _read_exactly(fd, length)


def _read_exactly(fd: int, count: int) -> bytes | None:
    parts: list[bytes] = []
    while count:
        part = os.read(fd, min(count, _PART))
        if not part:
            return None
        parts.append(part)
        count -= len(part)
    return b"".join(parts)
