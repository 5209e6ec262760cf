import os
import stat
from pathlib import Path

import pytest

from study import files
from study.files import write_atomically


def test_the_folder_is_made_and_the_content_is_exact(tmp_path: Path):
    target = tmp_path / "a" / "b" / "file.bin"
    write_atomically(target, b"\x00\xff\r\n")
    assert target.read_bytes() == b"\x00\xff\r\n"
    assert os.listdir(target.parent) == ["file.bin"]


@pytest.mark.parametrize("step", ["fsync", "chmod", "replace"])
@pytest.mark.parametrize("error", [OSError("no space left"), KeyboardInterrupt()], ids=["full", "interrupt"])
def test_a_failure_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str, error: BaseException
):
    target = tmp_path / "file"
    write_atomically(target, b"old")

    def fail(*_arguments: object) -> None:
        raise error

    monkeypatch.setattr(files.os, step, fail)
    with pytest.raises(type(error)):
        write_atomically(target, b"new")
    assert target.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["file"]


def test_a_reader_of_the_old_file_keeps_the_old_file(tmp_path: Path):
    target = tmp_path / "file"
    write_atomically(target, b"old content")
    with target.open("rb") as reader:
        write_atomically(target, b"new")
        assert reader.read() == b"old content"
    assert target.read_bytes() == b"new"


def test_files_are_as_readable_as_the_umask_allows(tmp_path: Path):
    before = os.umask(0o027)
    try:
        write_atomically(tmp_path / "file", b"")
        assert os.umask(0o027) == 0o027
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == 0o640
