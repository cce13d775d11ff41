"""What clips measured, laid out beside the answers."""

import re

import pytest

from analysis import plots
from analysis.report import figures, report
from analysis.report.report import ReportFacts
from analysis.results import measured, stimuli
from tests.analysis.test_plots import rows
from tests.analysis.test_report import HOSTILE, Page

NAMES = ("frechet_0.13", "coverage_0.13", "copied_share", "longest_run", "edge_500", "edge_2000", "clicks")


def record_of(frame, sources=("riff",), leave_out=()):
    """Measures for every machine-made clip of the frame: they grow from clip to clip."""
    clips = frame.loc[frame["truth"] == "fake", ["set", "name"]].drop_duplicates()
    listed = []
    for place, (group, name) in enumerate(clips.itertuples(index=False)):
        values = {measure: 0.04 * (place + 1) for measure in NAMES}
        one = {"set": group, "name": name, "source": sources[place % len(sources)], "recipe": "r"}
        listed.append(one if name in leave_out else one | {"measures": values})
    anchors = {
        source: {
            "recipe": "r",
            "halves": dict.fromkeys(NAMES, 0.01 * (place + 1)),
            "noise": dict.fromkeys(NAMES, 4.0 * (place + 1)) | {"copied_share": 0.0},
        }
        for place, source in enumerate(sources)
    }
    return {"rate": 16000, "bandwidth": 7200.0, "clips": listed, "anchors": anchors}


@pytest.fixture(scope="module")
def found(founding):
    return measured.of(record_of(founding), stimuli.by_stimulus(founding))


def test_measures_meet_the_answers_by_set_and_name(founding, found):
    expected = stimuli.by_stimulus(founding).set_index(["set", "name"])["judged_real"]
    assert len(found.clips) == 16
    for clip in found.clips.itertuples():
        assert clip.judged_real == expected[clip.set, clip.name]
    assert found.clips["clicks"].iloc[3] == pytest.approx(0.16)
    assert list(found.anchors["anchor"]) == ["halves", "noise"]


def test_measures_stand_in_the_order_of_the_catalogue(found):
    assert found.names == list(NAMES)


@pytest.mark.parametrize("record", [None, {}, {"clips": []}])
def test_a_study_without_measures_has_none(founding, record):
    assert measured.of(record, stimuli.by_stimulus(founding)) is None


def test_clips_without_measures_are_counted_and_said(founding):
    bare = founding.loc[founding["truth"] == "fake", "name"].unique()[:3]
    found = measured.of(record_of(founding, leave_out=bare), stimuli.by_stimulus(founding))
    assert (len(found.clips), found.without) == (13, 3)
    assert "13 machine-made clips were measured as heard (up to 7200 Hz)" in measured.line(found)
    assert "3 more could not be" in measured.line(found)


def test_a_measure_that_was_not_taken_is_empty(founding):
    record = record_of(founding)
    for clip in record["clips"]:
        clip["measures"]["frechet_0.13"] = None
    for values in record["anchors"].values():
        values["halves"]["frechet_0.13"] = values["noise"]["frechet_0.13"] = None
    found = measured.of(record, stimuli.by_stimulus(founding))
    assert measured.correlation(found, "frechet_0.13") == ""
    table = measured.tables(found)[0]
    assert "frechet 0.13" not in table.text()
    for draw in (plots.measured.groups, lambda found: plots.measured.verdicts(found, one=True)):
        assert "<svg" in plots.render(draw(found))


def test_the_table_ends_with_the_anchors_and_the_most_like_come_first(found):
    table, meaning = measured.tables(found)
    assert list(table.frame["clip"].iloc[-2:]) == ["riff: halves", "riff: noise"]
    assert table.frame["frechet_0.13"].iloc[:16].is_monotonic_increasing
    assert (
        table.frame["judged real"].iloc[-1] != table.frame["judged real"].iloc[-1]
    )  # an anchor was not heard
    assert {"edge_500", "longest_run"} <= set(table.frame)
    assert "longest run (s)" in table.text()
    assert list(meaning.frame["measure"]) == [measured.title(name) for name in NAMES]
    assert set(meaning.text()["measure"]) < set(meaning.frame["measure"])


def test_what_shaped_noise_passes_is_said_for_each_source(founding):
    record = record_of(founding, sources=("a", "b"))
    for source, frechet in (("a", 0.001), ("b", 3.0)):
        record["anchors"][source]["imposed"] = dict.fromkeys(NAMES, 0.0) | {"frechet_0.13": frechet}
    found = measured.of(record, stimuli.by_stimulus(founding))
    assert found.passed == {"frechet_0.13": ["a"]}
    meaning = measured.tables(found)[1].frame.set_index("measure")
    assert meaning.loc["frechet 0.13", "no target, as shaped noise passes it"] == "a"
    assert meaning.loc["clicks (/min)", "no target, as shaped noise passes it"] == ""
    assert list(found.anchors["anchor"]) == ["halves", "imposed", "noise"] * 2


def test_a_study_without_shaped_noise_says_nothing_of_it(found):
    assert "no target, as shaped noise passes it" not in measured.tables(found)[1].frame


def test_the_correlation_is_spearmans(founding):
    clips = stimuli.by_stimulus(founding)
    found = measured.of(record_of(founding), clips)
    found.clips["judged_real"] = -found.clips["clicks"]
    assert "\N{MINUS SIGN}1.00 over 16 clips" in measured.correlation(found, "clicks")
    found.clips["judged_real"] = 0.0
    assert measured.correlation(found, "clicks") == ""


def test_every_clip_is_a_mark_and_every_anchor_a_line(founding, found):
    chart = plots.measured.verdicts(found, one=True)
    marks = rows(chart, "y", "judged_real")
    assert len(marks) == 2 * 16
    assert all(abs(mark["y"] - mark["judged_real"]) < 0.11 for mark in marks)
    lines = [row["x"] for row in rows(chart, "anchor", "x")]
    assert {0.01, 4.0} <= set(lines)


def test_the_groups_are_those_of_the_report_in_their_order(found):
    table = measured.groups(found)
    assert list(dict.fromkeys(table["kind"])) == ["backend", "mode", "epochs"]
    epochs = list(dict.fromkeys(table.loc[table["kind"] == "epochs", "group"]))
    assert epochs == ["1500", "2000", "3000", "3500", "not stated"]
    assert table.groupby("kind").size().to_dict() == {
        "backend": 16,
        "mode": 16,
        "epochs": 14,
    }  # Jukebox has none


@pytest.mark.slow
@pytest.mark.parametrize("width", [plots.WIDE, plots.NARROW])
def test_both_charts_draw_for_one_and_for_many_with_several_originals(panel, width):
    found = measured.of(record_of(panel, sources=("a", "b", "c")), stimuli.by_stimulus(panel))
    for chart in (
        plots.measured.verdicts(found, one=False, width=width),
        plots.measured.groups(found, width=width),
    ):
        svg = plots.render(chart)
        assert "halves" in svg
        assert float(re.search(r'\bwidth="([\d.]+)"', svg)[1]) < 1.05 * width


@pytest.mark.slow
def test_the_report_shows_measures_and_says_that_they_are_not_tested(founding, tmp_path):
    record = record_of(founding)
    page = Page(report.write(founding, tmp_path / "r", facts=ReportFacts(measures=record)).read_text())
    assert ("section", {"id": "measures"}) in page.tags
    assert "16 machine-made clips were measured as heard" in page.text
    assert "described, not tested" in page.text
    assert {"plot-measured_verdicts", "plot-measured_groups"} <= {t[1].get("id") for t in page.tags}
    names = {path.name for path in (tmp_path / "r" / "tables").iterdir()}
    assert {"measures.csv", "measures_meaning.md"} <= names


@pytest.mark.slow
def test_a_study_that_measured_nothing_says_so_and_a_table_says_nothing(founding, tmp_path):
    old = report.write(founding, tmp_path / "old", facts=ReportFacts(measures={})).read_text()
    assert "Not measured: this study was built by an older version" in old
    bare = report.write(founding, tmp_path / "bare").read_text()
    assert 'id="measures"' not in bare


@pytest.mark.slow
def test_names_in_measures_are_harmless(founding, tmp_path):
    frame = founding.astype({"name": object})
    frame["name"] = HOSTILE + frame["name"]
    record = record_of(frame, sources=(HOSTILE,))
    page = Page(report.write(frame, tmp_path / "r", facts=ReportFacts(measures=record)).read_text())
    assert [tag for tag, _ in page.tags].count("script") == 1  # the report's own
    assert not any("onerror" in attributes for _, attributes in page.tags)


def test_figures_without_measures_are_the_old_ones(founding, founding_results, found):
    old = [figure.name for figure in figures.everything(founding, founding_results)]
    new = [figure.name for figure in figures.everything(founding, founding_results, found)]
    assert new == [*old, "measured_verdicts", "measured_groups"]
