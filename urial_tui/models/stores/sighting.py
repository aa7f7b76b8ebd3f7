"""A file that a store holds, or one that it leaves out: what the stores tell."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import Literal

import msgspec

from urial_tui.files import reason

StoreName = Literal["models", "directory", "hub", "llama.cpp", "lmstudio", "ollama"]
"""The models directory, a directory of the settings, Hugging Face's cache, llama.cpp's older cache,
LM Studio and Ollama."""


class Sighting(msgspec.Struct, frozen=True, kw_only=True):
    """A regular file, or a link to one, that may hold a model; paths and names are foreign text.

    `names`: what it may be called as MODEL, the best first; each is tried until one is free.
    `also`: what it may be called as well, where that stands for no other. `size` in bytes;
    `modified` in nanoseconds; `device` and `inode` are the file's itself, behind all links.
    `file`: its path in the repository. `notes`: what belongs to it and is not used.
    """

    path: Path
    store: StoreName
    names: tuple[str, ...]
    size: int
    modified: int
    device: int
    inode: int
    also: tuple[str, ...] = ()
    repository: str = ""
    file: str = ""
    revision: str = ""
    tag: str = ""
    quantisation: str = ""
    notes: tuple[str, ...] = ()

    @property
    def identity(self) -> tuple[int, int]:
        """The same for two paths to one file."""
        return self.device, self.inode


class LeftOut(msgspec.Struct, frozen=True, kw_only=True):
    """A file or directory that is no model to use, and why: "NAME: " + `why`."""

    path: Path
    store: StoreName
    why: str


class Stat(msgspec.Struct, frozen=True):
    """What is asked of a file before it is opened: bytes, nanoseconds, device, inode."""

    size: int
    modified: int
    device: int
    inode: int


_KINDS = (
    (stat.S_ISDIR, "a directory with the name of a model file"),
    (stat.S_ISFIFO, "a pipe, not a file"),
    (stat.S_ISSOCK, "a socket, not a file"),
    (stat.S_ISCHR, "a device, not a file"),
    (stat.S_ISBLK, "a device, not a file"),
)


def look_at(path: Path) -> Stat | str:
    """A regular file's size and identity, through links; or why there is none. Opens nothing."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return "a link to a file that is not there" if path.is_symlink() else "not there"
    except (OSError, ValueError) as error:
        return f"it can't be looked at: {reason(error)}"
    if not stat.S_ISREG(found.st_mode):
        return next((what for test, what in _KINDS if test(found.st_mode)), "no file")
    return Stat(found.st_size, found.st_mtime_ns, found.st_dev, found.st_ino)
