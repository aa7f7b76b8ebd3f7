"""Hugging Face's cache as a place for files: where they go, and what links to them.

models--OWNER--NAME holds each file once in `blobs`, under its checksum; a link to it stands under
the file's own name in snapshots/COMMIT, and refs/main names the newest commit. Other programs find
there what is downloaded, and it is theirs as well: a blob goes only when nothing links to it.
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
from pathlib import Path
from typing import Final

from urial_tui.errors import ModelError
from urial_tui.files import is_file, make_directory, replacing
from urial_tui.models.stores import hub
from urial_tui.sanitize import quoted

_COMMIT: Final = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_BLOB: Final = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_SHA256: Final = re.compile(r"[0-9a-f]{64}")


class Spot:
    """Where a file of a repository goes.

    Args:
        repository: OWNER/NAME.
        file: Its path there, checked to be one.
        commit: The revision.
        tag: What the hub calls its content: the SHA-256, of small files Git's number.

    Raises:
        ModelError: The hub named no such revision or content.
    """

    def __init__(self, repository: str, file: str, commit: str, tag: str) -> None:
        if not (_COMMIT.fullmatch(commit) and _BLOB.fullmatch(tag)):
            raise ModelError(
                f"The hub does not say which revision of {quoted(file)} it has.",
                "Look at HF_ENDPOINT, if it is set, or give the https:// address of the file.",
            )
        self._folder = hub.directories()[0] / hub.folder_of(repository)
        self.blob = self._folder / "blobs" / tag
        self.path = self._folder / "snapshots" / commit / file
        self._commit = commit

    def place(self) -> Path:
        """Give the blob its name in the revision; the newest one is this, where it is `main`.

        Raises:
            OSError: It can't be written.
        """
        make_directory(self.path.parent)
        if not (self.path.exists() and self.path.samefile(self.blob)):
            # A link is renamed into its place: `files.NewFile` makes files only.
            part = self.path.with_name(f".urial-{secrets.token_hex(8)}.part")
            try:
                part.symlink_to(os.path.relpath(self.blob, self.path.parent))
            except OSError:
                # File systems without symbolic links.
                os.link(self.blob, part)
            part.replace(self.path)
        return self.path

    def note_main(self) -> None:
        """Note that this revision is the newest.

        Raises:
            OSError: It can't be written.
        """
        make_directory(self._folder / "refs")
        with replacing(self._folder / "refs" / "main", private=False) as file:
            file.write(self._commit.encode())


def blob_of(path: Path) -> Path | None:
    """The blob behind a link of a snapshot; None where `path` is none."""
    target = Path(os.path.realpath(path))
    in_snapshot = any(parent.name == "snapshots" for parent in path.parents)
    return target if in_snapshot and target.parent.name == "blobs" and is_file(target) else None


def sha256_of(path: Path) -> str:
    """The checksum by which the cache calls a file; "" where it does not."""
    blob = blob_of(path)
    return blob.name if blob is not None and _SHA256.fullmatch(blob.name) else ""


def links_to(blob: Path) -> list[Path]:
    """The names of a blob in the revisions of its repository."""
    snapshots = blob.parent.parent / "snapshots"
    found = []
    for directory, _, files in os.walk(snapshots):
        for name in files:
            path = Path(directory) / name
            with contextlib.suppress(OSError):
                if path.is_symlink() and Path(os.path.realpath(path)) == blob:
                    found.append(path)
    return sorted(found)


def remove_link(path: Path) -> int:
    """Remove a file from its revision, and its content if no other one has it; the bytes freed.

    Raises:
        OSError: It can't be removed.
    """
    blob = blob_of(path)
    path.unlink()
    if blob is None or links_to(blob):
        return 0
    size = blob.stat().st_size
    blob.unlink()
    with contextlib.suppress(OSError):
        # Empty directories of a revision that has no other file.
        for parent in path.parents:
            if parent.name == "snapshots":
                break
            parent.rmdir()
    return size
