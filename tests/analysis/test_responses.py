"""The frame is either valid or refused, with the row and the column that are at fault."""

import re
import unicodedata
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
        ("verdict", 5, "Fakes", "'Fakes' is not one of real, fake"),
        ("verdict", 5, None, "is empty; leave out rows of clips that were not judged"),
        ("difficulty", 1, "hard", "'hard' is not one of easy"),
        ("inspiring", 20, "perhaps", "'perhaps' is not one of yes"),
        ("mode", 2, "um", "'um' is not one of UMG, VAR"),
        ("inspiring", 2, "ja", "'ja' is not one of yes, no, maybe, other; write 'yes'"),
        ("inspiring", 2, "no?", "write 'no'"),
        ("musicality", 4, "11", "11 is out of range; it must be between 0 and 10"),
        ("musicality", 4, "-1", "-1 is out of range"),
        ("musicality", 4, "nan", "nan is out of range"),
        ("musicality", 4, "good", "'good' is not a number"),
        ("musicality", 4, "4,5", "'4,5' is 4.5 with a decimal comma, not a whole number; correct it"),
        ("musicality", 4, "4,0", "'4,0' is not a number; write 4"),
        ("musicality", 4, "4,000", "'4,000' is not a number; write 4"),
        ("musicality", 4, "7 of 10", "'7 of 10' is not a number; correct it"),
        ("epochs", 6, "2,000", "'2,000' is not a number; write 2000, without"),
        ("epochs", 6, "2.000", "'2.000' can mean 2 or 2000; write 2 or 2000"),
        ("epochs", 6, "1.500", "'1.500' is not a number; write 1500"),
        ("epochs", 6, "2 000", "write 2000,"),
        ("epochs", 6, "2\u202f000", "write 2000,"),
        ("epochs", 6, "2\xa0000", "write 2000,"),
        ("epochs", 6, "2'000", "write 2000,"),
        ("epochs", 6, "2\u2019000", "write 2000,"),
        ("epochs", 6, "\uff12\uff0c\uff10\uff10\uff10", "write 2000,"),
        ("epochs", 6, "1,234,567", "write 1234567,"),
        ("epochs", 6, "1.234.567", "write 1234567,"),
        ("epochs", 6, "22.06.1905", "is a date or a time, not a number; give the column the format Number"),
        ("epochs", 6, "1905-06-22", "is a date or a time"),
        ("epochs", 6, "02. Mrz", "is a date or a time"),
        ("epochs", 6, "Jun 05", "is a date or a time"),
        ("epochs", 6, "########", "a column that is too narrow; widen the column"),
        ("epochs", 6, "#REF!", "'#REF!' is what a spreadsheet shows for a formula that failed"),
        ("epochs", 6, "2000 epochs", "'2000 epochs' is not a number; write 2000 alone"),
        ("name", 6, "#WERT!", "for a formula that failed"),
        ("name", 6, "#N/A", "is empty"),
        ("verdict", 6, "-", "is empty"),
        ("musicality", 4, "4.5", "4.5 is not a whole number"),
        ("musicality", 4, 10.5, "10.5 is out of range"),
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
        (b"\xff\xfe\x00\xd8", "begins as UTF-16 text and does not go on as such"),
        (b'set,"name\n', "row 1: a double quote opens and is not closed"),
        (b"a,b\n1,2,3\n", "row 2: has 3 cells, the header has 2"),
        (b"set;position;name\nA;1;x\n", "the table lacks truth, backend"),
        (b"set\tposition\nA\t1\n", "the table lacks name, truth"),
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


def written(table: pd.DataFrame, separator: str = ",", **how) -> str:
    return table.to_csv(index=False, sep=separator, **how)


@pytest.mark.parametrize(
    "saved",
    [
        lambda t: written(t, ";").encode("utf-8-sig"),  # Excel in Germany
        lambda t: written(t, "\t").encode("utf-16"),  # Excel's "Unicode text"
        lambda t: written(t, "\t").encode("utf-16-le"),
        lambda t: written(t, lineterminator="\r").encode(),
        lambda t: ("sep=;\r\n" + written(t, ";", lineterminator="\r\n")).encode(),
        lambda t: written(t.rename(columns=lambda c: f" {c.upper()}\xa0")).encode(),
        lambda t: written(t.rename(columns={"musicality": "Musicality", "set": "\ufeffSet"})).encode(),
        lambda t: written(t.assign(verdict=[f"{v.title()} " for v in t["verdict"]])).encode(),
        lambda t: written(t.assign(mode=t["mode"].str.lower(), truth=t["truth"].str.upper())).encode(),
        lambda t: written(t.assign(epochs=t["epochs"].astype(object).fillna("#N/A"))).encode(),
        lambda t: written(t.astype(object).fillna({"epochs": "-", "difficulty": "n/a"})).encode(),
        lambda t: ("\n".join(f"{line},," for line in written(t).splitlines()) + "\n,,,\n \n").encode(),
        lambda t: ("\n".join(line.rstrip(",") for line in written(t).splitlines()) + "\n").encode(),
        lambda t: written(t.assign(name=[f"{n}\u200b " for n in t["name"]])).encode(),
        lambda t: written(t.assign(position=["\uff11", *t["position"].astype(str)[1:]])).encode(),
    ],
)  # fmt: skip
def test_what_a_spreadsheet_made_of_the_table_is_taken_as_meant(tmp_path, table, saved):
    path = tmp_path / "answers.csv"
    path.write_bytes(saved(table))
    pd.testing.assert_frame_equal(responses.load(path), responses.founding(), check_dtype=False)


def test_two_spellings_of_one_name_are_one_listener_and_one_clip():
    frame = panels.panel(listeners=2).astype({"listener": object, "name": object})
    frame["name"] = [f"Gr\xfcn {name}" for name in frame["name"]]
    frame["listener"] = [f"J\xf6rg  {name}" for name in frame["listener"]]
    other = frame["listener"] == frame["listener"].iloc[-1]
    for column in ("name", "listener"):
        decomposed = [unicodedata.normalize("NFD", text).replace(" ", "\xa0") for text in frame[column]]
        frame.loc[other, column] = pd.Series(decomposed, index=frame.index)[other]
    loaded = responses.load(frame)
    assert loaded["name"].nunique() == loaded.loc[~other.to_numpy(), "name"].nunique()
    assert list(loaded["listener"].unique()) == ["J\xf6rg L01", "J\xf6rg L02"]


def test_decimal_commas_are_taken_where_they_can_be_nothing_else(tmp_path, table):
    def seconds(cells: list[str], separator: str) -> list[float]:
        path = tmp_path / "answers.csv"
        path.write_text(written(table.assign(seconds_heard=[*cells, *["4"] * (20 - len(cells))]), separator))
        return responses.load(path)["seconds_heard"].tolist()[: len(cells)]

    assert seconds(["12,5", "1,234"], ";") == [12.5, 1.234]
    assert seconds(["12.5", "1.234"], ";") == [12.5, 1.234]
    for cells, separator, message in (
        (["12,5"], ",", "'12,5' is not a number; write 12.5, with a point"),
        (["1,234"], ";", "'1,234' can mean 1.234 or 1234; write 1.234 or 1234"),
        (["12,5", "1.5"], ";", "'12,5' is not a number; write 12.5"),
        (["1.234,5"], ";", "write 1234.5"),
    ):
        with pytest.raises(ResponsesError, match=re.escape(message)):
            seconds(cells, separator)


def test_every_advice_on_a_number_is_one_that_can_be_followed(table):
    """Whoever writes what the message says gets the number that it names."""
    for cell in ("2,000", "2.000", "2 000", "2'000", "1,234,567", "2000,0", "1.500", "2000 epochs"):
        spoilt = table.astype(object)
        spoilt.loc[5, "epochs"] = cell
        advised = re.search(r"write (?:\d+ or )?(\d+)", str(refused(spoilt)))[1]
        spoilt.loc[5, "epochs"] = advised
        assert responses.load(spoilt)["epochs"][5] == int(advised)
        assert advised in ("2000", "1234567", "1500")


def test_truth_values_are_read_as_spreadsheets_write_them(table):
    table["kept"] = ["WAHR", "FALSCH", "VRAI", "Ja", "1,0", *[""] * 15]
    assert responses.load(table)["kept"].tolist()[:5] == [True, False, True, True, True]


def test_a_fault_in_a_file_names_the_file(tmp_path):
    path = tmp_path / "mine.csv"
    responses.founding().drop(columns="repeat").iloc[:0].to_csv(path, index=False)
    with pytest.raises(responses.ResponsesError, match=r"mine\.csv: .*no answers"):
        responses.load(path)


BETTER = "What should the model do better?"


def test_final_answers_are_columns_of_the_table(tmp_path):
    """A table made elsewhere brings them along: a column for each question, once or in every row."""
    table = panels.panel(listeners=2, caw=4, jukebox=0, originals=2).drop(columns="comment")
    first = table.groupby("listener").cumcount() == 0
    table[f"Final: {BETTER}"] = table["listener"].map({"L01": "Longer - not faster.", "L02": ""})
    table["final_2"] = "NA"
    table.loc[~first, "final_2"] = None
    table.to_csv(tmp_path / "answers.csv", index=False)
    frame = responses.load(tmp_path / "answers.csv")
    assert responses.final_answers(frame) == [
        {"listener": "L01", "number": 1, "question": BETTER, "text": "Longer - not faster."},
        {"listener": "L01", "number": 2, "question": responses.FINAL_QUESTIONS[2], "text": "NA"},
        {"listener": "L02", "number": 2, "question": responses.FINAL_QUESTIONS[2], "text": "NA"},
    ]
    pd.testing.assert_frame_equal(responses.load(frame.drop(columns="repeat")), frame)


def test_a_listener_has_one_answer_to_a_final_question(table):
    table[f"final_{BETTER}"] = ["Longer.", "", "longer.", *[""] * 17]
    error = refused(table)
    assert (error.row, error.column) == (3, f"final_{BETTER}")
    assert "'longer.' differs from the answer of listener in row 1; keep one of them" in str(error)


def test_final_answers_of_a_study_become_columns_and_come_back():
    rows = [{"listener": name, "position": place} for name in ("Ada", "Ben") for place in (1, 2)]
    forms = [
        {"listener": "Ada", "number": 1, "question": "Help?", "text": "Yes."},
        {"listener": "Ada", "number": 2, "question": BETTER, "text": ""},
        {"listener": "Ben", "number": 2, "question": BETTER, "text": "Chords."},
    ]
    joined = responses.with_final_answers(rows, forms)
    assert [row[f"final_{BETTER}"] for row in joined] == [None, None, "Chords.", "Chords."]
    assert [form["text"] for form in responses.final_answers(pd.DataFrame(joined))] == ["Yes.", "Chords."]
    assert responses.with_final_answers(rows, []) == rows
