"""A study opened in a notebook: its examples run, and it says what a report says."""

import doctest
import json

import pandas as pd
import pytest

import analysis
from analysis import notebook, responses
from analysis.plan import AnalysisPlan
from analysis.results import comparisons
from tests.analysis import panels


def public():
    """Every public function, method and property of the notebook's module."""
    members = [notebook.open, *(value for name, value in vars(notebook.Study).items() if name[0] != "_")]
    return [getattr(member, "fget", None) or getattr(member, "func", None) or member for member in members]


@pytest.mark.parametrize("member", public(), ids=lambda member: member.__name__)
def test_every_member_has_an_example_that_runs(member, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert "Examples" in member.__doc__
    tests = doctest.DocTestParser().get_doctest(member.__doc__, {"analysis": analysis}, "example", None, 0)
    assert tests.examples
    assert doctest.DocTestRunner().run(tests).failed == 0


@pytest.fixture(scope="module")
def study():
    return analysis.open(panels.panel(listeners=3, effect=1.0), plan=AnalysisPlan(primary="musicality"))


@pytest.mark.slow
def test_tables_hold_what_the_results_hold(study):
    results = study.results.set_index(["family", "name", "group"])
    table = study.by_backend.set_index("backend")
    row = results.loc[("backends", "judged real", "caw")]
    assert table.loc["caw", "judged real"] == pytest.approx(row["estimate"])
    assert table.loc["caw", "judged real low"] == pytest.approx(row["low"])
    real = results.loc[("truth", "musicality, mean", "originals")]
    assert table.loc["originals", "musicality, mean"] == pytest.approx(real["estimate"])


@pytest.mark.slow
def test_comparisons_are_those_of_the_report(study):
    found = study.compare("backend", "musicality")
    assert set(found["groups"]) >= {"caw - originals"}
    assert set(found["outcome"]) == {"musicality, difference"}
    both = study.compare("truth")
    assert len(both) == len(comparisons.COMPARED)


@pytest.mark.parametrize(
    ("ask", "words"),
    [
        (lambda study: study.by("colour"), "'colour'; choose of backend, mode, epochs"),
        (lambda study: study.by(), "choose of backend"),
        (lambda study: study.by("source"), "'source'"),
        (lambda study: study.compare("set"), "'set' is not compared"),
        (lambda study: study.compare("mode", "beauty"), "'beauty' is not compared; choose of judged real"),
        (lambda study: study.plot("pie"), "no chart 'pie'"),
    ],
)
def test_a_question_without_an_answer_says_what_can_be_asked(study, ask, words):
    with pytest.raises(notebook.StudyError, match=words):
        ask(study)


@pytest.mark.slow
def test_a_report_can_be_opened_again_with_its_plan_title_and_sounds(tmp_path):
    sound = tmp_path / "clip.flac"
    sound.write_bytes(b"fLaC")
    first = responses.load(panels.panel(listeners=1))
    name = first["stimulus_id"].iloc[0]
    facts = notebook.ReportFacts(title="Ours", stimuli={name: sound}, plan=AnalysisPlan(musicality_bound=2))
    page = notebook.Study(first, facts).report(tmp_path / "mystudy" / "report")
    again = analysis.open(page.parent.parent)
    pd.testing.assert_frame_equal(again.answers, responses.load(first), check_dtype=False)
    assert again._facts.plan == AnalysisPlan(musicality_bound=2)
    assert again._facts.title == "Ours"
    assert again._facts.stimuli[name].resolve() == sound
    assert json.loads((page.parent / "statistics.json").read_text())


def test_a_study_that_is_still_blind_says_how_it_is_unblinded(tmp_path):
    with pytest.raises(notebook.StudyError, match="study report"):
        analysis.open(tmp_path)
    with pytest.raises(notebook.StudyError, match="does not exist"):
        analysis.open(tmp_path / "nowhere")
