"""Charts show what results hold, in colours and shapes that never share a legend by accident."""

import dataclasses
import re
import xml.etree.ElementTree as ElementTree
from importlib import resources

import pytest

from analysis import plots, responses
from analysis.plots import theme
from analysis.report import figures
from analysis.results import individuals, statistics, stimuli
from tests.analysis import panels


def rows(chart, *needed) -> list[dict]:
    """The data sets of a chart whose rows have the needed fields, joined."""
    found = [rows for rows in chart.to_dict()["datasets"].values() if rows and set(needed) <= set(rows[0])]
    assert found
    return [row for part in found for row in part]


def test_the_scorecard_has_a_mark_per_clip_and_keeps_unrated_ones_off_the_scale(founding):
    marks = rows(plots.scorecard(founding), "clip", "outcome")
    assert len(marks) == 20
    assert [m["clip"] for m in marks if not m["rated"]] == ["S5_Ud", "J2", "S4_3_V", "S5_Vd"]
    assert all(m["musicality"] < 0 for m in marks if not m["rated"])
    assert {m["clip"]: m["mistake"] for m in marks if m["mistake"]} == {
        "S1_Ud": "doubted",
        "S7_V_2": "fooled",
    }


def test_the_two_by_two_table_is_the_founding_one(founding_results):
    tiles = rows(plots.counts(founding_results), "said", "count")
    assert [t["count"] for t in tiles] == [15, 1, 1, 3]


def test_fooling_shows_k_of_n_and_the_line_of_originals(founding_results):
    chart = plots.fooling(founding_results)
    text = {(row["kind"], row["group"]): row["text"] for row in rows(chart, "kind", "low")}
    assert text["backend", "caw"] == "1/14"
    assert text["mode", "VAR"] == "1/7"
    assert text["epochs", "not stated"] == "1/6"
    assert any(row.get("text") == "originals judged real 3/4" for row in rows(chart, "value"))


def test_epochs_are_ordinal_and_in_order(founding_results, founding):
    chart = plots.dose(founding_results, stimuli.by_stimulus(founding)).to_dict()
    encodings = [layer["encoding"]["x"] for layer in chart["layer"]]
    assert all(x["type"] == "ordinal" for x in encodings)
    assert encodings[0]["scale"]["domain"] == ["1500", "2000", "3000", "3500", "not stated"]


def test_dots_bear_the_names_of_the_groups_where_a_backend_was_not_rated(founding):
    caw = founding["backend"] == "caw"
    other = caw & (founding["epochs"] == 3000)
    table = founding.assign(
        backend=founding["backend"].mask(other, "srnn"), musicality=founding["musicality"].mask(other)
    )
    chart = plots.dose(statistics.evaluate(table), stimuli.by_stimulus(table))
    domain = chart.to_dict()["layer"][0]["encoding"]["x"]["scale"]["domain"]
    assert {row["group"] for row in rows(chart, "lane", "group")} <= set(domain)


@pytest.mark.slow
def test_inspiring_bars_are_centred_on_maybe(panel_results):
    bars = rows(plots.inspiring(panel_results), "answer", "start")
    for bar in bars:
        if bar["answer"] == "maybe":
            assert bar["start"] == pytest.approx(-bar["end"])
    groups = {(bar["kind"], bar["group"]) for bar in bars}
    for kind, group in groups:
        parts = [b for b in bars if (b["kind"], b["group"]) == (kind, group)]
        assert sum(b["end"] - b["start"] for b in parts) == pytest.approx(1)


def test_the_roc_counts_every_listener_and_its_curves_keep_their_d_prime(panel_results):
    chart = plots.roc(panel_results)
    assert sum(row["listeners"] for row in rows(chart, "listeners")) == 24
    curve = [row for row in rows(chart, "d", "alarm") if row["d"] == 0]
    assert all(row["alarm"] == pytest.approx(row["hit"]) for row in curve)


def test_the_caterpillar_has_a_mark_per_listener_and_clip_and_one_shape_per_kind(panel, panel_results):
    clips = stimuli.by_stimulus(panel)
    chart = plots.modes(panel_results, clips)
    marks = rows(chart, "label", "mode")
    assert {m["label"] for m in marks} == {*panel["listener"], *clips["label"]}
    assert all(m["low"] < m["mode"] < m["high"] for m in marks)
    kinds = {m["label"]: m["kind"] for m in marks if m["kind"]}
    assert kinds == dict(zip(clips["label"], clips["truth"].map(theme.KIND), strict=True))
    listeners, below = chart.to_dict()["vconcat"]
    assert (
        listeners["layer"][1]["encoding"]["y"]["sort"][0]
        == max((m for m in marks if not m["kind"]), key=lambda m: m["mode"])["label"]
    )
    domain = below["layer"][1]["encoding"]["x"]["scale"]["domain"]
    assert domain[0] == -domain[1]  # the mean is in the middle


def test_hundreds_of_listeners_are_drawn_without_their_names(panel_results, panel):
    listener = next(r for r in panel_results if r.name == individuals.OF_LISTENER)
    others = [dataclasses.replace(listener, group=f"extra {i}") for i in range(100)]
    chart = plots.modes([*panel_results, *others], stimuli.by_stimulus(panel)).to_dict()
    named = [part["layer"][1]["encoding"]["y"]["axis"]["labels"] for part in chart["vconcat"]]
    assert named == [False, True]
    assert chart["vconcat"][0]["height"] <= 1000


def test_faint_lines_are_single_listeners(panel, panel_results):
    lines = stimuli.listener_means(panel[panel["truth"] == "fake"], "epochs")
    chart = plots.dose(panel_results, stimuli.by_stimulus(panel), lines).to_dict()
    faint = [layer for layer in chart["layer"] if layer["mark"]["type"] == "line"]
    assert len(faint) == 1
    assert faint[0]["encoding"]["detail"]["field"] == "listener"
    assert faint[0]["mark"]["opacity"] < 0.5


def test_text_is_legible_at_the_width_of_a_phone(panel, panel_results):
    for figure in figures.everything(panel, panel_results):
        svg = plots.render(figure.draw(width=plots.NARROW))
        sizes = [float(size) for size in re.findall(r'font-size="([\d.]+)px"', svg)]
        assert sizes
        assert min(sizes) >= 11, figure.name


@pytest.mark.slow
def test_long_names_are_not_cut_where_they_differ():
    """The names of a study with several backends: source, backend, mode, epochs and number."""
    table = panels.panel(listeners=3, caw=4, jukebox=2, originals=4)
    table["backend"] = table["backend"].replace({"caw": "caw-standard"})
    table["name"] = table["name"].str.replace("_", "-samplernn-").str.replace("-samplernn-0", "-1000-")
    frame = responses.load(table)
    assert frame["name"].str.len().max() >= 27
    for figure in figures.everything(frame, statistics.evaluate(frame)):
        for width in (plots.WIDE, plots.NARROW):
            assert "\u2026" not in plots.render(figure.draw(width=width)), (figure.name, width)


LONG = "the-very-long-name-of-a-song-that-nobody-would-ever-want-to-write-out"


@pytest.mark.parametrize(
    "names",
    [
        [f"{LONG}-caw-VAR-{epochs}-{i}" for epochs in (100, 1500) for i in range(3)],
        [f"{i}-{LONG}" for i in range(12)],
        [f"{LONG}-{i}-{LONG}" for i in range(12)],
        [LONG[:place] + letter + LONG[place:] for place in range(2, 60, 7) for letter in "ab"],
        ["short", LONG, LONG + "s"],
    ],
)
def test_shortened_names_fit_and_stay_apart(names):
    forms = theme.shortened(names, lambda form: len(form) <= 20)
    assert list(forms) == names
    assert all(len(form) <= 20 for form in forms.values())
    assert len(set(forms.values())) == len(names)
    assert all(form == name or theme.ELLIPSIS in form for name, form in forms.items())


def test_a_name_that_fits_stays_whole():
    assert theme.shortened(["S1_U_3", "S1_Ud"], lambda form: len(form) <= 6) == {
        "S1_U_3": "S1_U_3",
        "S1_Ud": "S1_Ud",
    }


@pytest.mark.slow
@pytest.mark.parametrize("listeners", [1, 3])
def test_clips_with_long_names_have_different_labels_in_every_chart(listeners):
    """What an axis shows, once Vega has drawn it: no two clips with the same cut name."""
    table = panels.panel(listeners=listeners, caw=4, jukebox=2, originals=4)
    table["name"] = f"{LONG}-" + table["name"] + "-" + LONG
    frame = responses.load(table)
    clips = stimuli.by_stimulus(frame)
    for figure in figures.everything(frame, statistics.evaluate(frame)):
        if figure.name not in ("scorecard", "clips", "verdicts", "modes"):
            continue
        for width in (plots.WIDE, plots.NARROW):
            text = [
                element.text
                for element in ElementTree.fromstring(plots.render(figure.draw(width=width))).iter()
                if element.text
            ]
            cut = [label for label in text if theme.ELLIPSIS in label]
            assert len(cut) == len(set(cut)) == len(clips), (figure.name, width)


def test_charts_take_the_font_and_the_width_of_the_page(panel, panel_results):
    css = (resources.files("analysis") / "templates" / "report.css").read_text(encoding="utf-8")
    assert f"1.55 {theme.FONT};" in css
    chart = plots.clips(panel_results, stimuli.by_stimulus(panel))
    assert chart.to_dict()["config"]["font"] == theme.FONT
    svg = plots.render(chart)
    assert 0.95 * plots.WIDE <= float(ElementTree.fromstring(svg).get("width")) <= plots.WIDE + 10


def test_names_of_clips_that_would_run_into_each_other_are_left_out(panel, panel_results):
    clips = stimuli.by_stimulus(panel)
    for width, told in ((plots.WIDE, True), (plots.NARROW, False)):
        parts = plots.verdicts(panel, panel_results, clips, width=width).to_dict()["hconcat"]
        assert {part["encoding"]["x"]["axis"]["labels"] for part in parts} == {told}


def test_the_heat_map_has_a_tile_per_answer(panel, panel_results):
    chart = plots.verdicts(panel, panel_results, stimuli.by_stimulus(panel))
    assert len(rows(chart, "listener", "verdict")) == len(panel)


@pytest.mark.parametrize("study", ["founding", "panel"])
def test_every_figure_has_words_and_draws_at_both_widths(study, request, tmp_path):
    frame, results = request.getfixturevalue(study), request.getfixturevalue(f"{study}_results")
    drawn = figures.everything(frame, results)
    assert {figure.name for figure in drawn} >= {"fooling", "musicality", "dose", "inspiring"}
    assert all(figure.alt and figure.caption for figure in drawn)
    figure = drawn[0]
    for width in (plots.WIDE, plots.NARROW):
        svg = plots.render(figure.draw(width=width))
        assert float(ElementTree.fromstring(svg).get("width")) <= width + 45
    png, vector = plots.save(svg, tmp_path / figure.name)
    assert png.read_bytes().startswith(b"\x89PNG")
    assert vector.read_text(encoding="utf-8") == svg


def test_two_drawings_on_one_page_share_no_id():
    drawing = '<svg><clipPath id="clip0"/><g clip-path="url(#clip0)"/><use xlink:href="#clip0"/></svg>'
    assert plots.inline(drawing, "a") == (
        '<svg><clipPath id="a-clip0"/><g clip-path="url(#a-clip0)"/><use xlink:href="#a-clip0"/></svg>'
    )


def test_a_drawing_inside_a_page_leaves_its_name_to_the_page(founding_results):
    svg = plots.render(plots.fooling(founding_results))
    placed = plots.inline(svg, "one")
    assert "aria-" in svg
    assert "aria-" not in placed
    assert 'role="graphics' not in placed
    assert re.sub(r"<[^>]*>", "", placed) == re.sub(r"<[^>]*>", "", svg)  # the words in it stay
