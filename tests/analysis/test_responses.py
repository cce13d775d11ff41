"""The frame is either valid or refused, with the row and the column that are at fault."""

import re
from importlib import resources

import pandas as pd
import pytest

from analysis import responses
from analysis.responses import ResponsesError
from tests.analysis import panels


@pytest.fixture
def table() -> pd.DataFrame:
    """The case study's table as written: text cells, blanks empty."""
    return responses.founding().drop(columns=["repeat", "listener"])


def refused(table) -> ResponsesError:
    with pytest.raises(ResponsesError) as caught:
        responses.load(table)
    return caught.value


def test_the_founding_table_is_as_reported():
    frame = responses.founding()
    assert frame.shape[0] == 20
    assert list(frame["set"].unique()) == ["UMG", "VAR"]
    assert responses.listeners(frame) == [responses.ONE_LISTENER]
    assert frame["epochs"].isna().sum() == 4 + 2 + 6  # originals, Jukebox, and CAW clips it does not state
    assert frame["musicality"].isna().sum() == 4
    assert not frame["repeat"].any()


def test_file_and_frame_load_alike(tmp_path):
    frame = responses.load(panels.panel(listeners=3))
    path = tmp_path / "answers.csv"
    frame.drop(columns="repeat").to_csv(path, index=False)
    pd.testing.assert_frame_equal(responses.load(path), frame, check_dtype=False)


def test_blanks_are_missing_and_words_are_kept(table):
    table["name"] = ["NA", "null", *table["name"][2:]]
    table["comment"] = ["  loud, then quiet ", "", None, *["x\x00y\x1b"] * 17]
    frame = responses.load(table)
    assert list(frame["name"][:2]) == ["NA", "null"]
    assert list(frame["comment"][:4]) == ["loud, then quiet", None, None, "xy"]


@pytest.mark.parametrize(
    ("column", "row", "value", "told"),
    [
        ("truth", 3, "maybe", "'maybe' is not one of real, fake"),
        ("verdict", 5, "Fake", "'Fake' is not one of real, fake"),
        ("verdict", 5, None, "is empty; leave out rows of clips that were not judged"),
        ("difficulty", 1, "hard", "'hard' is not one of easy"),
        ("inspiring", 20, "perhaps", "'perhaps' is not one of yes"),
        ("mode", 2, "umg", "'umg' is not one of UMG, VAR"),
        ("musicality", 4, "11", "11 is out of range; it must be between 0 and 10"),
        ("musicality", 4, "-1", "-1 is out of range"),
        ("musicality", 4, "nan", "nan is out of range"),
        ("musicality", 4, "good", "'good' is not a number"),
        ("musicality", 4, "4,5", "'4,5' is not a number; write 4.5, with a point"),
        ("musicality", 4, "4.5", "4.5 is not a whole number"),
        ("musicality", 4, 10.5, "10.5 is out of range"),
        ("verdict", 5, " REAL", "write 'real'"),
        ("epochs", 6, "2000.5", "2000.5 is not a whole number"),
        ("position", 6, "0", "0 is out of range; it must be 1 or more"),
        ("name", 7, " ", "is empty"),
        ("backend", 1, "original", "truth is 'fake' but backend is 'original'"),
        ("backend", 2, "caw", "truth is 'real' but backend is 'caw'"),
    ],
)
def test_a_wrong_cell_is_named(table, column, row, value, told):
    table = table.astype(object)
    table.loc[row - 1, column] = value
    error = refused(table)
    assert error.row == row
    assert told in str(error)
    assert f"row {row}" in str(error)


def test_missing_columns_are_all_named(table):
    error = refused(table.drop(columns=["truth", "epochs"]))
    assert "lacks truth, epochs" in str(error)


def test_one_answer_per_listener_and_clip(table):
    table.loc[4, "name"] = table.loc[3, "name"]
    error = refused(table)
    assert (error.row, error.column) == (5, "name")
    assert "in row 4 already" in str(error)


def test_a_clip_is_described_in_one_way():
    frame = panels.panel(listeners=2)
    row = frame.index[(frame["listener"] == "L02") & (frame["backend"] == "caw")][0]
    frame.loc[row, "epochs"] = 77
    error = refused(frame)
    assert (error.row, error.column) == (row + 1, "epochs")
    assert "77 here" in str(error)


def test_hidden_repeats_are_marked_and_not_refused():
    frame = panels.panel(listeners=2)
    again = frame.iloc[[0]].assign(repetition=1, position=11)
    loaded = responses.load(pd.concat([frame.assign(repetition=0), again], ignore_index=True))
    assert loaded["repeat"].sum() == 1
    assert loaded["repeat"].iloc[-1]


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "is empty"),
        (b"set,position\n", "lacks name"),
        (b"\xff\xfe\x00\x01", "is not a comma-separated UTF-8 table"),
        (b'set,"name\n', "is not a comma-separated UTF-8 table"),
        (b"a,b\n1,2,3\n", "row 2: has 3 cells, the header has 2"),
        (b"set;position;name\nA;1;x\n", "row 1: cells are separated by semicolons"),
        (b"set\tposition\nA\t1\n", "row 1: cells are separated by tabs"),
    ],
)
def test_a_file_that_is_no_table_is_told_in_one_line(tmp_path, content, told):
    path = tmp_path / "answers.csv"
    path.write_bytes(content)
    with pytest.raises(ResponsesError, match=re.escape(told)) as caught:
        responses.load(path)
    assert "\n" not in str(caught.value)


def test_no_file_and_no_rows(tmp_path, table):
    with pytest.raises(ResponsesError, match="no such table"):
        responses.load(tmp_path / "nowhere.csv")
    with pytest.raises(ResponsesError, match="no answers"):
        responses.load(table.iloc[:0])


def test_other_columns_are_carried_along(table):
    table["app_version"] = "1.2"
    assert set(responses.load(table)["app_version"]) == {"1.2"}


def test_rows_are_those_of_the_file_with_its_blank_lines(tmp_path, table):
    table.loc[2, "verdict"] = "perhaps"
    path = tmp_path / "answers.csv"
    header, *rows = table.to_csv(index=False).splitlines()
    for lines, row in (([header, *rows], 4), ([header, rows[0], "", ",,,,,,,,,,", *rows[1:]], 6)):
        path.write_text("\n".join(lines))
        with pytest.raises(ResponsesError, match=f"row {row}, column 'verdict': 'perhaps' is not one of"):
            responses.load(path)


def test_a_repeated_answer_names_both_rows_of_the_file(tmp_path, table):
    path = tmp_path / "answers.csv"
    pd.concat([table, table.iloc[[3]]]).to_csv(path, index=False)
    with pytest.raises(ResponsesError, match="row 22, column 'name': .* in row 5 already; keep one"):
        responses.load(path)


def test_a_byte_order_mark_and_windows_line_ends_are_no_matter(tmp_path, table):
    path = tmp_path / "answers.csv"
    path.write_bytes(b"\xef\xbb\xbf" + table.to_csv(index=False, lineterminator="\r\n").encode())
    pd.testing.assert_frame_equal(responses.load(path), responses.founding(), check_dtype=False)


def test_a_folder_is_no_table(tmp_path):
    with pytest.raises(ResponsesError, match="is a folder"):
        responses.load(tmp_path)


def test_the_table_given_is_left_as_it_was(table):
    table.columns = [f" {column}" for column in table]
    before = table.copy()
    responses.load(table)
    pd.testing.assert_frame_equal(table, before)


def test_confidence_and_kept_are_read_as_any_table_writes_them(table):
    table["confidence"] = ["1", "5.0", None, *["3"] * 17]
    table["kept"] = ["True", "false", "", True, 0, 1.0, *["yes"] * 14]
    frame = responses.load(table)
    assert frame["confidence"].tolist()[:2] == [1, 5]
    assert frame["confidence"].isna().sum() == 1
    assert frame["kept"].tolist()[:2] == [True, False]
    assert frame["kept"].tolist()[3:6] == [True, False, True]
    assert frame["kept"].isna().sum() == 1


@pytest.mark.parametrize(
    ("column", "value", "told"),
    [
        ("confidence", "6", "6 is out of range; it must be between 1 and 5"),
        ("kept", "perhaps", "'perhaps' is not true or false"),
        ("rating_position", "1.5", "1.5 is not a whole number"),
        ("rating_response_seconds", "-1", "-1 is out of range"),
    ],
)
def test_columns_of_the_study_room_are_checked(table, column, value, told):
    table[column] = value
    assert told in str(refused(table))


def test_the_note_on_the_source_names_what_the_table_lacks():
    """SOURCE.md ships beside the table; what it says was not stated must be what is empty there."""
    note = resources.files("analysis").joinpath("data", "SOURCE.md").read_text(encoding="utf-8")
    frame = responses.founding()
    caw = frame[frame["backend"] == "caw"]
    without = caw.loc[caw["epochs"].isna(), "name"]
    assert f"({', '.join(without)})" in " ".join(note.split())
    unrated = frame[frame["musicality"].isna()]
    assert set(unrated.loc[unrated["truth"] == "fake", "name"]) == {"J2", "S4_3_V"}
    assert (unrated["truth"] == "real").sum() == 2
    assert frame.loc[frame["inspiring"].isna(), "truth"].tolist() == ["real", "real"]
    assert set(frame.loc[frame["difficulty"].isna(), "truth"]) == {"real"}
    assert frame["difficulty"].isna().sum() == 4
    clips = frame.set_index("name")
    assert tuple(clips.loc["S7_V_2", ["difficulty", "verdict"]]) == ("difficult", "real")
    assert tuple(clips.loc["S7_1500_U", ["mode", "set"]]) == ("UMG", "VAR")
    assert all(f"`{column}`" in note for column in responses.REQUIRED)
