"""Files: what is read of them, and how they appear."""

from __future__ import annotations

import io
import os
import socket
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import pytest

from urial_tui import files
from urial_tui.files import NewFile, Refused, replacing

LIMIT = 1000


@pytest.fixture
def special(tmp_path: Path) -> Iterator[dict[str, Path]]:
    """Whatever can have a name and is no regular file."""
    os.mkfifo(tmp_path / "pipe")
    listening = socket.socket(socket.AF_UNIX)
    here = Path.cwd()
    os.chdir(tmp_path)  # a socket's path may have 107 bytes
    listening.bind("socket")
    os.chdir(here)
    yield {
        "pipe": tmp_path / "pipe",
        "socket": tmp_path / "socket",
        "directory": tmp_path,
        "device": Path("/dev/zero"),
    }
    listening.close()


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


# -- reading ---------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["pipe", "socket", "directory", "device"])
@pytest.mark.parametrize("linked", [False, True])
def test_what_is_no_file_is_refused_and_named_without_waiting(
    special: dict[str, Path], tmp_path: Path, kind: str, linked: bool
) -> None:
    path = special[kind]
    if linked:
        (tmp_path / "link").symlink_to(path)
        path = tmp_path / "link"
    with pytest.raises(Refused, match=kind):
        files.read_bytes(path, LIMIT)
    with pytest.raises(Refused, match=kind):
        files.open_regular(path)
    assert not files.is_file(path)


def test_a_pipe_that_takes_a_files_place_after_the_first_look_does_not_hang(
    special: dict[str, Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    regular = tmp_path / "file"
    regular.write_bytes(b"x")
    before = regular.stat()
    monkeypatch.setattr(Path, "stat", lambda path: before)
    with pytest.raises(Refused, match="pipe"):
        files.open_regular(special["pipe"])


def test_a_file_is_read_up_to_its_limit_and_refused_beyond_it(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"x" * LIMIT)
    assert files.read_bytes(path, LIMIT) == b"x" * LIMIT
    with pytest.raises(Refused, match="longer than 999 bytes"):
        files.read_bytes(path, LIMIT - 1)


def test_a_file_of_terabytes_is_refused_by_its_size(tmp_path: Path) -> None:
    path = tmp_path / "file"
    with path.open("wb") as file:
        file.truncate(1 << 42)
    with pytest.raises(Refused, match="longer than 1 MiB"):
        files.read_bytes(path, 1 << 20)


def test_a_stream_without_an_end_is_refused_once_it_is_too_long() -> None:
    class Endless(io.RawIOBase):
        given = 0

        def read(self, size: int = -1) -> bytes:
            assert size > 0
            self.given += size
            return b"y" * size

    stream = Endless()
    with pytest.raises(Refused, match="longer than 3 MiB"):
        files.read_stream(stream, 3 << 20)  # type: ignore[arg-type]
    assert stream.given == (3 << 20) + 1


@pytest.mark.parametrize("name", ["a\0b", "n" * 300])
def test_names_that_no_file_can_have_are_errors_of_the_system(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    for read in (files.open_regular, lambda path: files.read_text(path, LIMIT), NewFile):
        with pytest.raises(OSError) as raised:  # noqa: PT011  # two kinds, one base
            read(path)
        assert files.reason(raised.value) in (
            "its name holds a NUL character",
            "File name too long",
        )
    assert not files.is_there(path)
    assert not files.is_file(path)


# -- text ------------------------------------------------------------------------------

TEXT = "Grüße, 世界 😀\u2028\r\n"


@pytest.mark.parametrize(
    ("encoding", "mark"),
    [
        ("utf-8", b""),
        ("utf-8", b"\xef\xbb\xbf"),
        ("utf-16-le", b"\xff\xfe"),
        ("utf-16-be", b"\xfe\xff"),
        ("utf-32-le", b"\xff\xfe\0\0"),
        ("utf-32-be", b"\0\0\xfe\xff"),
    ],
)
def test_text_is_what_its_mark_says_without_the_mark(
    tmp_path: Path, encoding: str, mark: bytes
) -> None:
    (tmp_path / "text").write_bytes(mark + TEXT.encode(encoding))
    assert files.read_text(tmp_path / "text", LIMIT) == TEXT


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"caf\xe9", "not UTF-8 text (byte 3 can't be)"),
        (b"\xef\xbb\xbfcaf\xe9", "not UTF-8 text (byte 6 can't be)"),
        (b"\xff\xfea\0b", "not UTF-16 text (byte 4 can't be)"),
        (b"\xff\xfe\0\0a\0\0\xff", "not UTF-32 text (byte 4 can't be)"),
        ("Hello".encode("utf-16-le"), "byte 1 is NUL as in UTF-16 without a byte order mark"),
        ("Hello".encode("utf-16-be"), "byte 0 is NUL as in UTF-16 without a byte order mark"),
        (b"\xc3\xa9 zero \0 byte, and a long tail", "byte 8 is NUL)"),
        (b"\xff\xfe" + "ab\0".encode("utf-16-le"), "byte 6 is NUL)"),
    ],
)
def test_what_is_no_text_is_refused_by_its_first_wrong_byte(data: bytes, why: str) -> None:
    with pytest.raises(Refused) as raised:
        files.decoded(data)
    assert why in files.reason(raised.value)


# -- writing ---------------------------------------------------------------------------


def test_a_new_file_is_its_owners_alone_unless_it_is_to_be_handed_on(tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        for name, private in (("own", True), ("shared", False)):
            with replacing(tmp_path / name, private=private) as file:
                file.write(b"new")
    finally:
        os.umask(before)
    assert mode_of(tmp_path / "own") == 0o600
    assert mode_of(tmp_path / "shared") == 0o644


def test_a_file_that_is_replaced_keeps_its_mode_and_a_link_stays_one(tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.write_bytes(b"old")
    target.chmod(0o640)
    link = tmp_path / "link"
    link.symlink_to("target")
    with replacing(link) as file:
        file.write(b"new")
        assert target.read_bytes() == b"old"
    assert link.is_symlink()
    assert target.read_bytes() == b"new"
    assert mode_of(target) == 0o640
    assert sorted(path.name for path in tmp_path.iterdir()) == ["link", "target"]


def test_a_link_to_nothing_becomes_a_link_to_the_file(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("target")
    with replacing(tmp_path / "link") as file:
        file.write(b"new")
    assert (tmp_path / "target").read_bytes() == b"new"


def test_a_failure_in_the_middle_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")

    def fail(file: BinaryIO) -> None:
        file.write(b"half")
        raise RuntimeError

    with pytest.raises(RuntimeError), replacing(path) as file:
        fail(file)
    assert path.read_bytes() == b"old"
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize("kind", ["pipe", "socket", "directory", "device"])
def test_what_is_no_file_is_never_replaced(special: dict[str, Path], kind: str) -> None:
    with pytest.raises(Refused, match=kind):
        NewFile(special[kind])
    assert files.is_there(special[kind])


def test_a_place_that_is_taken_stays_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "file"
    with NewFile(path) as new:
        new.file.write(b"mine")
        path.write_bytes(b"theirs")
        with pytest.raises(FileExistsError):
            new.put_if_free()
    assert path.read_bytes() == b"theirs"
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_free_place_is_taken_also_where_there_are_no_links(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(source: object, target: object) -> None:
        raise PermissionError

    for name in ("linked", "unlinked"):
        with NewFile(tmp_path / name) as new:
            new.file.write(b"mine")
            new.put_if_free()
        monkeypatch.setattr(os, "link", refuse)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {
        "linked": b"mine",
        "unlinked": b"mine",
    }


def test_the_longest_name_that_can_be_read_can_be_written(tmp_path: Path) -> None:
    path = tmp_path / ("n" * 255)
    with replacing(path) as file:
        file.write(b"new")
    assert path.read_bytes() == b"new"


def test_a_new_directory_is_its_owners_alone_with_those_above_it(tmp_path: Path) -> None:
    files.make_directory(tmp_path / "a" / "b" / "c")
    files.make_directory(tmp_path / "a" / "b")
    assert {mode_of(tmp_path / name) for name in ("a", "a/b", "a/b/c")} == {0o700}


def test_one_file_is_known_under_all_its_names(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"")
    (tmp_path / "hard").hardlink_to(path)
    (tmp_path / "soft").symlink_to(path)
    (tmp_path / "dangling").symlink_to("absent")
    for name in ("hard", "soft", "../" + tmp_path.name + "/file"):
        assert files.is_same(path, tmp_path / name)
    assert files.is_same(tmp_path / "dangling", tmp_path / "absent")
    assert not files.is_same(path, tmp_path / "absent")
