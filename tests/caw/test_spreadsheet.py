"""Tables go out harmless and come back as they were; what spreadsheets make of them is taken or refused."""

import csv
import io
import re
import zipfile
from importlib import resources

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from caw.files import spreadsheet
from caw.files.spreadsheet import TableError

COLUMNS = ("set", "name", "comment", "epochs")
SIGNS = "=+-@\uff1d\uff0b\uff0d\uff20"
# Cells of what matters here more often than any text would hold it; no table holds NUL or half a character.
TRICKY = st.text(st.sampled_from(SIGNS + "'\"; \t\r\n,\xa0\u200b\ufeffa1.\x0b|"), max_size=12)
ANY = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12)
ROWS = st.lists(st.tuples(*[TRICKY | ANY] * 3).map(lambda cells: ("x", *cells)), max_size=4)


def saved(path, content: bytes | str, known=COLUMNS) -> spreadsheet.Table:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return spreadsheet.read(path, known)


@pytest.fixture
def file(tmp_path):
    return tmp_path / "table.csv"


def refused(file, content: bytes | str) -> str:
    with pytest.raises(TableError) as caught:
        saved(file, content)
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith(str(file))
    return str(caught.value).removeprefix(f"{file}: ")


@given(rows=ROWS)
def test_a_table_comes_back_as_it_was_written(tmp_path_factory, rows):
    file = tmp_path_factory.getbasetemp() / "round_trip.csv"
    records = [dict(zip(COLUMNS, row, strict=True)) for row in rows]
    file.write_text(spreadsheet.as_csv(COLUMNS, records), "utf-8", newline="")
    assert spreadsheet.read(file, COLUMNS).columns == list(COLUMNS)
    assert spreadsheet.records(file, COLUMNS) == records


@settings(max_examples=300)
@given(text=TRICKY | ANY)
def test_the_guard_comes_off_whatever_it_stands_before(text):
    assert spreadsheet.unguarded(spreadsheet.guarded(text)) == text


@given(rows=ROWS, separator=st.sampled_from(";\t,"))
def test_no_cell_runs_with_whichever_separator_the_table_is_opened(rows, separator):
    """A program that takes another separator, and one that takes no quotation marks for such."""
    text = spreadsheet.as_csv(COLUMNS, [dict(zip(COLUMNS, row, strict=True)) for row in rows])
    for quoting in (csv.QUOTE_MINIMAL, csv.QUOTE_NONE):
        if quoting == csv.QUOTE_NONE and separator == ",":
            continue  # where commas part cells, quotation marks are what they are
        for cells in csv.reader(io.StringIO(text, newline=""), delimiter=separator, quoting=quoting):
            for cell in cells:
                begin = re.sub(r"^[\s\x00-\x1f\"\u200b\xad\ufeff]+", "", cell)
                number = re.match(r"-(\d+\.?\d*)?(,|$)", begin)
                assert not begin.startswith(tuple(SIGNS)) or number, (text, cell)


def test_the_guard_stands_where_a_formula_could_begin_and_nowhere_else():
    for text in (
        "=1",
        "+1+1",
        "-2+3",
        "@SUM(A1)",
        "\uff1d1",
        "  =1",
        "\x01=1",
        "\t1",
        "\r1",
        "'=1",
        "\u200b-a",
        '"=1',
    ):
        assert spreadsheet.guarded(text) == f"'{text}"
    for text in ("a;=1", "a;  =1", "a\t@x", "a\n\uff0bx", 'a;"=1"'):
        assert spreadsheet.guarded(text) == text[:2] + "'" + text[2:]
    for text in ("fine = so", "", "-3", "-2.30", "-1e-05", "-", "a-b", "don't", "12:30", "a, -b"):
        assert spreadsheet.guarded(text) == text


def test_numbers_are_plain_and_what_is_missing_is_empty():
    frame = pd.DataFrame(
        {"a": [-1.5, 2.0, None], "b": pd.array([1, None, -3], "Int64"), "=c": [True, "x,y", "-"]}
    )
    assert spreadsheet.frame_as_csv(frame) == 'a,b,\'=c\n-1.5,1,True\n2,,"x,y"\n,-3,-\n'


def test_what_no_table_can_hold_does_not_stop_the_writing(file):
    spreadsheet.write(file, ["name"], [{"name": "a\0b"}, {"name": "r\udcffd"}])
    assert [row["name"] for row in spreadsheet.records(file)] == ["ab", "r\\udcffd"]


def test_tables_of_before_read_byte_for_byte_the_same(file):
    with resources.as_file(resources.files("analysis") / "data" / "case_study_2022.csv") as old:
        assert spreadsheet.records(old) == list(csv.DictReader(old.open(encoding="utf-8", newline="")))
    export = 'set,comment,response_seconds\nUMG,"loud, ""then"" quiet\nand end",4.0\nVAR,\'=1+1,12.534\n'
    rows = saved(file, export, ()).records()
    assert [row["comment"] for row in rows] == ['loud, "then" quiet\nand end', "=1+1"]
    assert [row["response_seconds"] for row in rows] == ["4.0", "12.534"]


PLAIN = "set,name,comment,epochs\nUMG,S1,fine,2000\n"
TAKEN = [{"set": "UMG", "name": "S1", "comment": "fine", "epochs": "2000"}]


@pytest.mark.parametrize(
    "content",
    [
        PLAIN,
        "\ufeff" + PLAIN,
        PLAIN.replace(",", ";"),
        PLAIN.replace(",", "\t"),
        PLAIN.replace(",", "|"),
        "sep=;\n" + PLAIN.replace(",", ";"),
        PLAIN.replace("\n", "\r\n"),
        PLAIN.replace("\n", "\r"),
        PLAIN.replace("\n", "\r\r\n"),
        PLAIN.replace("\n", ",,\n") + ",,,\n\xa0,\n",
        "\n\n" + PLAIN,
        PLAIN.replace("set,name", "  Set ,NAME"),
        PLAIN.encode("utf-16"),
        PLAIN.encode("utf-16-be"),
        PLAIN.encode("utf-32"),
        PLAIN.rstrip("\n"),
        PLAIN + "\x1a",
        '"' + PLAIN.replace(",", '","').replace("\n", '"\n"').removesuffix('"'),
    ],
)
def test_a_table_of_any_spreadsheet_is_the_same_table(file, content):
    assert saved(file, content).records() == TAKEN


def test_cells_that_a_spreadsheet_left_out_at_the_end_are_empty(file):
    assert saved(file, "set,name,comment,epochs\nUMG,S1\n").records() == [
        {"set": "UMG", "name": "S1", "comment": "", "epochs": ""}
    ]


@pytest.mark.parametrize(
    ("name", "encoding", "taken"),
    [
        ("M\xfcller, Gr\xf6\xdfe", "cp1252", True),
        ("caf\xe9", "latin-1", True),
        ("Espa\xf1a", "cp1252", False),  # which is Espa\u0144a in cp1250
        ("Wa\u0142\u0119sa", "cp1250", True),
        ("M\xfcller", "mac_roman", False),  # which is Mzller with an accent in Poland, and more
        ("don\u2019t", "cp1252", False),
        ("2\xa0000", "cp1252", False),
        ("\u20ac 5", "cp1252", False),
        ("\u201cgood\u201d \u2013 so", "cp1252", False),
        ("\xdcbung", "cp1252", False),
        ("\u041c\u0443\u0437\u044b\u043a\u0430", "cp1251", False),
        ("\u97f3\u697d", "shift_jis", False),
    ],
)
def test_another_encoding_is_taken_only_where_it_can_be_no_other(file, name, encoding, taken):
    content = f'set,name\nA,b\nA,"{name}"\n'.encode(encoding)
    if taken:
        assert saved(file, content).rows[1] == ["A", name]
    else:
        message = refused(file, content)
        assert message.startswith("row 3: is not UTF-8 text (after ")
        assert message.endswith("save it as CSV UTF-8")


def workbook(*names: str) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name in names:
            archive.writestr(name, "x")
    return content.getvalue()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty; a table starts with a header row"),
        (b"\n \n,,\n", "is empty"),
        (
            workbook("xl/workbook.xml"),
            "is an Excel workbook (.xlsx); in a spreadsheet open it and save it as CSV UTF-8",
        ),
        (workbook("content.xml"), "is an OpenDocument table (.ods)"),
        (b"PK\x03\x04zip", "is a zip archive or workbook that is damaged"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1", "is an Excel workbook (.xls"),
        (b"\xef\xbb\xbf \n<!DOCTYPE html><html>", "is a web page (HTML)"),
        (b"<table><tr><td>", "is a web page (HTML)"),
        (b"PAR1\x15\x04", "is a Parquet file; export the answers as .csv"),
        (b"%PDF-1.4", "is a PDF"),
        (PLAIN.encode() + b"A,\0\0,,\n", "row 3: holds NUL characters"),
        (PLAIN.encode() + b"\0" * 500, "row 3: holds NUL characters"),
        (PLAIN + 'A,"b,c,1\nB,d,e,2\n', "row 3: a double quote opens and is not closed"),
        (PLAIN + 'A,"b"c,d,1\n', "row 3: text follows a closing double quote"),
        (PLAIN + "A," + "x" * 200_000 + ",c,1\n", "row 3: a cell has more than 131,072 characters"),
        (PLAIN + "A,b,c, d,1\n", "row 3: has 5 cells, the header has 4; column E holds '1'"),
        (PLAIN + "A,\u201cb,c\u201d,d,1\n", 'write straight double quotes (") for \u201c \u201d'),
        ("set,,name\nA,note,b\n", "row 2: column B has no name in row 1 and holds 'note'"),
        ("set,Name,name \nA,b,c\n", "row 1: the header names 'name' twice, in columns B and C"),
        (PLAIN + "A,b", "row 3: ends early, with 2 of 4 cells, as a file does that was cut off"),
        ('"set,name,epochs"\n"A,b,1"\n', "row 1: the whole row stands in its first cell"),
        (
            "Results of 2022\n" + PLAIN,
            "row 1: is not the header, which stands in row 2; delete the rows above",
        ),
        ('set,name,comment,epochs\n"A,b,""c"",1"\n', "row 2: the whole row stands in its first cell"),
    ],
)
def test_what_cannot_be_taken_is_refused_in_one_line_with_place_and_fix(file, content, message):
    assert message in refused(file, content)


def test_a_folder_a_missing_file_and_an_endless_one_are_refused(tmp_path):
    for path, message in (
        (tmp_path, "is a folder"),
        (tmp_path / "no.csv", "no such table"),
        ("/dev/zero", "is larger than"),
    ):
        with pytest.raises(TableError, match=message):
            spreadsheet.read(type(tmp_path)(path))
    assert spreadsheet.records(tmp_path / "no.csv") == []
