"""Exports of online forms become tables of answers, and what a mapping does not explain is refused."""

from __future__ import annotations

import csv
from pathlib import Path

import pandas as pd
import pytest

from analysis import responses
from study.cli.commands import main

HEADINGS = {
    "clip": "Which clip did you hear?",
    "verdict": "Real or fake?",
    "difficulty": "How easy was it to tell?",
    "musicality": "How good is it?",
    "inspiring": "Is it inspiring?",
}
FINAL = "What should the model do better?"
WORDS = {
    "verdict": {"It is real": "real", "It is fake": "fake"},
    "difficulty": {"I don't know": "dont_know"},
    "inspiring": {"*": "other"},
}
FACTS = ("name", "set", "backend", "mode", "epochs")


def said(row: pd.Series) -> dict[str, str]:
    """What the founding listener would have ticked in a form."""
    verdict = {"real": "It is real", "fake": "it is  FAKE"}[row.verdict]
    musicality = "" if pd.isna(row.musicality) else f"{row.musicality:g}"
    return {
        "verdict": verdict,
        "difficulty": row.difficulty or "",
        "musicality": musicality,
        "inspiring": row.inspiring or "",
    }


def mapping_of(
    frame: pd.DataFrame, file: Path, *, rows: str, columns: dict[str, str], extra: str = ""
) -> Path:
    lines = [
        "[form]",
        f'rows = "{rows}"',
        *(['listener = "Your name"'] if rows == "listeners" else []),
        extra,
    ]
    lines += ["[columns]", *(f'{name} = "{heading}"' for name, heading in columns.items())]
    for name, words in WORDS.items():
        lines += [f"[words.{name}]", *(f'"{word}" = "{meaning}"' for word, meaning in words.items())]
    for clip in frame.drop_duplicates("name").itertuples():
        lines += ["[[clip]]"]
        lines += [f'{key} = "{getattr(clip, key)}"' for key in FACTS[:-1]]
        lines += [] if pd.isna(clip.epochs) else [f"epochs = {clip.epochs}"]
        lines += ['written = ["S1 U3"]'] if clip.name == "S1_U_3" else []
    text = "\n".join([f'final = ["{FINAL}"]', *lines]) + "\n"
    file.write_text(text)
    return file


def written(file: Path, rows: list[list[str]]) -> Path:
    with file.open("w", newline="") as out:
        csv.writer(out).writerows(rows)
    return file


@pytest.fixture
def a_row_for_each_clip(tmp_path) -> tuple[Path, Path]:
    """The founding study as its listener gave it: one submission for each clip, whose name he typed."""
    frame = responses.founding()
    rows = [["Timestamp", *HEADINGS.values(), FINAL]]
    for number, row in enumerate(frame.itertuples()):
        typed = "s1 u3" if row.name == "S1_U_3" else row.name
        final = "Longer clips." if number == 0 else ""
        rows.append([f"2022/05/01 10:{number:02d}:00", typed, *said(row).values(), final])
    mapping = mapping_of(frame, tmp_path / "form.toml", rows="clips", columns=HEADINGS)
    return written(tmp_path / "export.csv", rows), mapping


@pytest.fixture
def a_row_for_each_listener(tmp_path) -> tuple[Path, Path]:
    """Two listeners; the verdict's headings name the clip, the others stand once for each clip."""
    frame = responses.founding()
    asked = [name for name in HEADINGS if name != "clip"]
    columns = {name: HEADINGS[name] for name in asked} | {"verdict": "Real or fake? [{clip}]"}
    header, ann, bob = ["Timestamp", "Your name"], ["2022/05/01", "Ann"], ["2022/05/02", "Bob"]
    for row in frame.itertuples():
        header += [columns["verdict"].replace("{clip}", row.name), *(HEADINGS[name] for name in asked[1:])]
        ann += said(row).values()
        bob += ["It is real", "", "5", "it depends"] if row.set == "VAR" else ["", "", "", ""]
    mapping = mapping_of(frame, tmp_path / "form.toml", rows="listeners", columns=columns)
    rows = [[*header, FINAL], [*ann, "Longer clips."], [*bob, ""]]
    return written(tmp_path / "export.csv", rows), mapping


def run(monkeypatch, *arguments: object) -> int:
    monkeypatch.setattr("sys.argv", ["study", "import-form", *map(str, arguments)])
    with pytest.raises(SystemExit) as ended:
        main()
    return ended.value.code or 0


def same_as_founding(frame: pd.DataFrame) -> None:
    founding = responses.founding()
    for column in ("set", "position", "name", "truth", "backend", "mode", "epochs"):
        assert frame[column].tolist() == founding[column].tolist(), column
    for column in ("verdict", "difficulty", "inspiring"):
        assert frame[column].tolist() == founding[column].tolist(), column
    pd.testing.assert_series_equal(frame["musicality"], founding["musicality"])


def test_the_founding_study_comes_out_of_its_form(a_row_for_each_clip, tmp_path, monkeypatch, capsys):
    export, mapping = a_row_for_each_clip
    out = tmp_path / "answers.csv"
    assert run(monkeypatch, export, "--mapping", mapping, "--out", out) == 0
    assert "20 answers" in capsys.readouterr().out
    frame = responses.load(out)
    same_as_founding(frame)
    assert responses.final_answers(frame)[0]["question"] == FINAL


def test_a_row_for_each_listener_with_repeated_headings(a_row_for_each_listener, tmp_path, monkeypatch):
    export, mapping = a_row_for_each_listener
    out = tmp_path / "answers.csv"
    assert run(monkeypatch, export, "--mapping", mapping, "--out", out) == 0
    frame = responses.load(out)
    same_as_founding(frame[frame["listener"] == "Ann"].reset_index(drop=True))
    bob = frame[frame["listener"] == "Bob"]
    assert set(bob["set"]) == {"VAR"}
    assert set(bob["inspiring"]) == {"other"}
    assert set(bob["inspiring_text"]) == {"it depends"}
    assert bob["position"].tolist() == list(range(1, 11))


@pytest.mark.parametrize(
    ("before", "after", "line"),
    [
        ("s1 u3", "S1_V", "row 2: no clip of the mapping is written 'S1_V'"),
        ("It is real", "perhaps", "row 8, column 'verdict': 'perhaps' is not one of real, fake"),
        ("S1_Ud", "S1_U_3", "row 3: listener answered 'S1_U_3' in row 2 already; delete one of them"),
        (",8,maybe", ",11,maybe", "row 3, column 'musicality': 11 is out of range"),
        ("Is it inspiring?", "Does it inspire?", "there is no column 'Is it inspiring?', which the mapping"),
    ],
)
def test_what_the_mapping_does_not_explain_is_refused(
    a_row_for_each_clip, tmp_path, monkeypatch, capsys, before, after, line
):
    export, mapping = a_row_for_each_clip
    text = export.read_text()
    assert before in text
    export.write_text(text.replace(before, after, 1))
    out = tmp_path / "answers.csv"
    assert run(monkeypatch, export, "--mapping", mapping, "--out", out) == 2
    errors = capsys.readouterr().err
    assert line in errors
    assert errors.count("\n") == 1
    assert not out.exists()


@pytest.mark.parametrize(
    ("before", "after", "line"),
    [
        ('rows = "clips"', 'rows = "clip"', "form.rows"),
        ("[columns]", "[column]", "unknown key; did you mean `columns`?"),
        (
            '"It is real" = "real"',
            '"It is real" = "genuine"',
            "'It is real' of verdict cannot mean 'genuine'",
        ),
        ('name = "S1_Ud"', 'name = "S1_U_3"', "'S1_U_3' names two clips"),
        ('mode = "UMG"', 'mode = "umg"', "clip[1].mode"),
        ('clip = "Which clip did you hear?"', "", "columns.clip: is missing"),
        ('musicality = "', 'quality = "', "'quality' is no question"),
    ],
)
def test_a_wrong_mapping_is_one_line(a_row_for_each_clip, tmp_path, monkeypatch, capsys, before, after, line):
    export, mapping = a_row_for_each_clip
    text = mapping.read_text()
    assert before in text
    mapping.write_text(text.replace(before, after, 1))
    assert run(monkeypatch, export, "--mapping", mapping, "--out", tmp_path / "answers.csv") == 2
    errors = capsys.readouterr().err
    assert line in errors
    assert errors.count("\n") == 1


def test_of_two_answers_to_a_clip_the_last_can_be_kept(a_row_for_each_clip, tmp_path, monkeypatch):
    export, mapping = a_row_for_each_clip
    again = export.read_text().splitlines()[1].replace("s1 u3", "S1_U_3").replace(",4,", ",9,")
    export.write_text(export.read_text() + again + "\n")
    mapping.write_text(mapping.read_text().replace("[form]", '[form]\nkeep = "last"'))
    out = tmp_path / "answers.csv"
    assert run(monkeypatch, export, "--mapping", mapping, "--out", out) == 0
    frame = responses.load(out).set_index("name")
    assert (len(frame), frame.at["S1_U_3", "musicality"]) == (20, 9)


def test_the_export_itself_is_never_written_over(a_row_for_each_clip, monkeypatch, capsys):
    export, mapping = a_row_for_each_clip
    before = export.read_bytes()
    assert run(monkeypatch, export, "--mapping", mapping, "--out", export) == 2
    assert "would be written over" in capsys.readouterr().err
    assert export.read_bytes() == before
