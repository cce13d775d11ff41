"""Files that appear whole or not at all, and names that file systems confuse or that no text can hold."""

import errno
import os
import stat
import unicodedata

import pytest

from caw.files import atomic, file_names, spreadsheet


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


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (["a", "b"], ["a", "b"]),
        (["a", "a", "a"], ["a", "a-2", "a-3"]),
        (["Take", "take"], ["Take", "take-2"]),
        (["a", "A", "a-2"], ["a", "A-3", "a-2"]),
        (["\u00e9", "e\u0301"], ["\u00e9", "e\u0301-2"]),
        (["STRASSE", "stra\u00dfe"], ["STRASSE", "stra\u00dfe-2"]),
    ],
)
def test_names_become_distinct_on_every_disk(given, expected):
    assert file_names.distinct(given) == expected
    assert len({file_names.same(name) for name in file_names.distinct(given)}) == len(given)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("take 1", "take 1"),
        ("-rf", "rf"),
        ("..", "clip"),
        ("a/b\\c:d", "a_b_c_d"),
        ("caf\udce9", "caf_"),
        ("line\nbreak\x1b[0m", "line_break_[0m"),
        ("\u202egnp", "_gnp"),
        ("e\u0301", "\u00e9"),
        ("\U0001f3b8 riff", "\U0001f3b8 riff"),
    ],
)
def test_a_safe_name_is_near_to_the_given_one(given, expected):
    assert file_names.safe(given) == expected


def test_a_safe_name_leaves_room_for_suffixes():
    name = file_names.safe("\U0001f3b8" * 100)
    assert len(name.encode()) <= file_names.LONGEST_STEM
    assert unicodedata.is_normalized("NFC", name)


def test_what_cannot_be_printed_is_marked():
    assert file_names.shown("a\nb\udcffc\u202ed\u2028e") == "a\ufffdb\ufffdc\ufffdd\ufffde"
    assert file_names.shown("Träumerei \U0001f3b8 \u05d0") == "Träumerei \U0001f3b8 \u05d0"


def test_takes_keep_their_ends():
    first, second = (file_names.shortened("x" * 70 + end, 40) for end in ("_01", "_02"))
    assert len(first) == 40
    assert first != second


def test_a_file_of_the_longest_name_is_written(tmp_path):
    path = tmp_path / ("\u00e9" * 125 + ".json")
    atomic.write(path, "{}")
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]


def test_a_name_that_is_no_text_does_not_end_a_table(tmp_path):
    spreadsheet.write(tmp_path / "a.csv", ["file"], [{"file": "caf\udce9.wav"}])
    assert spreadsheet.records(tmp_path / "a.csv") == [{"file": "caf\\udce9.wav"}]
