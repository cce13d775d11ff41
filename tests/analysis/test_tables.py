"""Tables: the right cells, and files that harm nobody who opens them."""

import csv
import io

import pandas as pd
import pytest

from analysis import formats, responses
from analysis.report import sentences, tables
from analysis.results import quality, statistics
from analysis.results.result import Question
from analysis.table import ReportTable, numeric
from caw.files import spreadsheet


def test_one_listeners_clip_table_has_answers_beside_truth(founding):
    table = tables.answers(founding, "VAR").frame
    assert len(table) == 10
    fooled = table[table["clip"] == "S7_V_2"].iloc[0]
    assert (fooled["truth"], fooled["verdict"], fooled["musicality"]) == ("fake", "real", 8)
    assert "comment" not in table


def test_a_panels_clip_table_counts_listeners_and_leads_with_the_most_convincing(panel, panel_results):
    table = tables.clips(panel, panel_results, "UMG").frame
    assert table["judged real"].is_monotonic_decreasing
    assert (table["listeners"] == 24).all()
    assert (table[["inspiring yes", "inspiring maybe", "inspiring no"]].sum(axis=1) == 24).all()


def test_groups_are_read_as_k_of_n(founding_results):
    text = tables.by_group(founding_results, "backends", "By backend").text()
    row = text[text["backend"] == "caw"].iloc[0]
    assert row["judged real"] == "1/14 (7%)"
    inspiring = "inspiring yes / maybe / no / not said"  # of the originals' row below, too
    assert row[inspiring] == "0 / 8 / 6 / 0"
    assert text.iloc[-1]["backend"] == "originals"
    assert text.iloc[-1][["judged real", inspiring]].tolist() == ["3/4 (75%)", "0 / 1 / 1 / 2"]
    assert "mean, 95% interval" not in text  # one listener has none


def test_every_refusal_stands_in_one_table_with_its_reason(founding_results):
    table = tables.not_computed(founding_results).frame
    assert (table["why not"].str.len() > 10).all()
    assert table["analysis"].str.contains("trend over epochs: musicality \\(caw UMG\\)").any()
    assert table["analysis"].str.contains("agreement on the verdict").any()


@pytest.fixture
def hostile() -> ReportTable:
    words = [
        "=HYPERLINK(1)",
        "+1",
        "-2+3",
        "@SUM(A1)",
        "\t=1",
        'say "no", then\nleave',
        "a|b_c*d",
        "50% & $5 {x}_y",
    ]
    frame = pd.DataFrame({"words": words, "value": [-1.5, 2.0, None, 0.25, 1e-9, 3.0, -4.0, 5.0]})
    return ReportTable("hostile", "Words & numbers", frame)


def test_csv_runs_nothing_and_keeps_numbers(hostile):
    rows = list(csv.reader(io.StringIO(spreadsheet.frame_as_csv(hostile.frame))))
    assert [row[0][0] for row in rows[1:6]] == ["'"] * 5
    assert rows[6][0] == 'say "no", then\nleave'
    assert [row[1] for row in rows[1:]] == ["-1.5", "2", "", "0.25", "1e-09", "3", "-4", "5"]


def test_markdown_and_latex_keep_their_columns(hostile):
    lines = hostile.to_markdown().splitlines()
    assert all(line.replace("\\|", "").count("|") == 3 for line in lines[2:])
    assert len(lines) == 4 + 8
    latex = hostile.to_latex()
    assert r"50\% \& \$5 \{x\}\_y" in latex
    assert latex.count(r"\\") == 8 + 2
    assert r"\caption{Words \& numbers}" in latex


def test_every_table_of_a_study_becomes_three_files(panel, panel_results, tmp_path):
    for table in tables.everything(panel, panel_results):
        paths = table.write(tmp_path)
        assert [path.suffix for path in paths] == [".csv", ".md", ".tex"]
        rows = list(csv.reader(paths[0].open(encoding="utf-8", newline="")))
        assert len(rows) == 1 + len(table.frame)


def test_a_set_cannot_name_a_file_outside_the_folder(tmp_path):
    table = ReportTable("clips_../../x\\y:z", "", pd.DataFrame({"a": [1]}))
    assert {path.parent for path in table.write(tmp_path)} == {tmp_path}


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (formats.percent(0.125), "13%"),
        (formats.percent(0.001), "<1%"),
        (formats.percent(0.999), ">99%"),
        (formats.percent(0.0), "0%"),
        (formats.percent(None), "—"),
        (formats.p_value(0.0134), ".013"),
        (formats.p_value(0.00001), "<.001"),
        (formats.p_value(1.0), "1"),
        (formats.number(-0.001), "0.00"),
        (formats.number(-1.5, 1), "−1.5"),
        (formats.rating(8.0), "8"),
        (formats.rating(3.75), "3.8"),
        (formats.interval(None, 1.0), ""),
    ],
)
def test_numbers_are_written_for_readers(written, expected):
    assert written == expected


@pytest.mark.slow
def test_what_inspires_adds_up_to_the_answers_of_each_row(panel):
    """Whatever the protocol allows: yes, maybe, no, other, and nothing said (a first pass alone)."""
    said = panel["inspiring"].copy()
    said[::5] = "other"
    said[::7] = None
    frame = panel.assign(inspiring=said)
    frame = frame[frame["listener"] < "L04"]
    results = statistics.evaluate(frame)
    answers = ["yes", "maybe", "no", "other", "not said"]
    for table in tables.everything(frame, results):
        if table.name.startswith("clips_"):
            counted = table.frame[[f"inspiring {answer}" for answer in answers]].sum(axis=1)
            assert (counted == table.frame["listeners"]).all()
        elif table.name.startswith("by_"):
            assert (table.frame[answers].sum(axis=1) == table.frame["of"]).all()
            assert "inspiring yes / maybe / no / other / not said" in table.text()


def test_other_and_unsaid_have_a_place_only_where_they_occur(panel, panel_results):
    whole = {table.name: table for table in tables.everything(panel, panel_results)}
    assert "inspiring yes / maybe / no" in whole["by_mode"].text()
    assert not {"other", "not said"} & set(whole["by_mode"].frame)
    assert "inspiring other" not in whole["clips_UMG"].frame


def test_an_interval_that_is_not_of_95_percent_says_so():
    questions = [
        Question("equivalence", "as musical as originals"),
        Question("truth", "musicality, difference"),
    ]
    results = [
        question.result(1.0, (0.5, 1.5), 0.01, level=level)
        for question, level in zip(questions, (0.9, 0.95), strict=True)
    ]
    text = tables.statistics(results).text()
    assert list(text["95% interval"]) == ["0.50 to 1.50 (90%)", "0.50 to 1.50"]
    assert "95% interval" in numeric(text)


def test_statistics_hold_every_comparison_and_no_description(panel_results):
    table = tables.statistics(panel_results).frame
    compared = table[table["result"].str.endswith(", difference")]
    assert set(compared["question"]) == {"truth", "backends", "modes", "epochs"}
    assert set(compared["counted in"]) == {"share", "points"}
    assert compared["p (Holm)"].notna().all()
    assert not table["result"].isin(tables.DESCRIPTIVE).any()


def test_values_that_were_left_empty_are_counted_and_named():
    frame = responses.founding().drop(columns="repeat")
    assert not [one for one in quality.records(responses.load(frame)) if one.name == quality.ODD]
    frame["left_empty"] = [None] * 17 + ["musicality", "response_seconds", "musicality response_seconds"]
    results = quality.records(responses.load(frame))
    (odd,) = [one for one in results if one.name == quality.ODD]
    assert (odd.estimate, odd.count, odd.total) == (3, 3, 20)
    assert odd.note == "musicality of 2, response seconds of 2"
    text = sentences.left_empty(results)
    assert text.startswith("3 answers have a value that cannot be")
    assert odd.note in text
    assert odd.note in set(tables.data_quality(results).frame["note"])
    frame["left_empty"] = None
    results = quality.records(responses.load(frame))
    assert [one.count for one in results if one.name == quality.ODD] == [0]
    assert sentences.left_empty(results) == ""
