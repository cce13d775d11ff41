import errno
import os
import stat

import pytest

from caw.files import atomic


def test_mode_holds_whatever_the_umask(tmp_path):
    old = os.umask(0)
    try:
        atomic.write(tmp_path / "key", "x", mode=0o600)
    finally:
        os.umask(old)
    assert stat.S_IMODE((tmp_path / "key").stat().st_mode) == 0o600


def test_a_full_disk_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    atomic.write(tmp_path / "table", "old")

    def full(handle):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left") as caught:
        atomic.write(tmp_path / "table", "new")
    assert caught.value.filename == str(tmp_path / "table")
    assert [file.name for file in tmp_path.iterdir()] == ["table"]
    assert (tmp_path / "table").read_text() == "old"


def test_a_place_below_a_file_is_named_as_it_was_given(tmp_path):
    (tmp_path / "song.wav").write_bytes(b"")
    with pytest.raises(OSError, match="Not a directory|File exists") as refused:
        atomic.write(tmp_path / "song.wav" / "x.csv", "")
    assert refused.value.filename == str(tmp_path / "song.wav" / "x.csv")


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[1]", b"null", b"\xff\xfe\x00", b"[" * 50_000, b'{"a": ' + b"9" * 5000]
)
def test_a_damaged_record_is_told_in_one_line_that_names_it(tmp_path, content):
    (tmp_path / "record.json").write_bytes(content)
    with pytest.raises(atomic.DamagedError, match=r"record.json is damaged \(.*\)$"):
        atomic.read_json(tmp_path / "record.json")
    (tmp_path / "record.json").write_text('{"a": [1]}')
    assert atomic.read_json(tmp_path / "record.json") == {"a": [1]}
