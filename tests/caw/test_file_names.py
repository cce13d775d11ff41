"""Names that file systems take for one, or that no text can hold, are told apart and shown."""

import unicodedata

import pytest

from caw.files import atomic, file_names, spreadsheet


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
