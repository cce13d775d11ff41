"""A study's own questions in the analysis: counts, estimates on clips, and who told clips apart."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from analysis import plots, responses
from analysis.report import own_questions as words
from analysis.results import own_questions, statistics, stimuli
from analysis.results.result import Question, holm
from analysis.results.stimuli import Panel
from tests.analysis.panels import panel

PLAYS = {"name": "plays", "ask": "before", "kind": "choices", "text": "What do you play?"}
PLAYS |= {"options": ["Guitar", "Bass", "Bass drum"]}
YEARS = {"name": "years", "ask": "before", "kind": "number", "text": "Years?", "min": 0, "max": None}
FEEL = {"name": "feel", "ask": "clip", "kind": "scale", "text": "Feel?", "low": 1, "high": 7}
USE = {"name": "use", "ask": "clip", "kind": "choice", "text": "Use it?", "options": ["Yes", "No"]}
MANY = {"name": "many", "ask": "clip", "kind": "choice", "text": "Which?", "options": list("ABCDE")}
WISH = {"name": "wish", "ask": "end", "kind": "text", "text": "A wish?"}
ASKED = [PLAYS, YEARS, FEEL, USE, MANY, WISH]


def answered(listeners: int = 12, seed: int = 3, effect: float = 2.0) -> pd.DataFrame:
    """A panel that feels originals `effect` steps looser, and of which those who play longer know better."""
    table, dice = panel(listeners=listeners, seed=seed, missing=0), np.random.default_rng(seed)
    names = sorted(set(table["listener"]))
    years = {name: number for number, name in enumerate(names)}
    table["before_years"] = table["listener"].map(years)
    table["before_plays"] = table["listener"].map(lambda name: "Guitar; Bass" if years[name] % 2 else None)
    table["end_wish"] = table["listener"].map(lambda name: "more" if years[name] == 1 else None)
    real = (table["truth"] == "real").to_numpy()
    table["clip_feel"] = np.clip(np.rint(3 + effect * real + dice.normal(0, 1, len(table))), 1, 7)
    table["clip_use"] = np.where(dice.random(len(table)) < 0.3 + 0.4 * real, "Yes", "No")
    table["clip_many"] = "A"
    knows = dice.random(len(table)) < 0.4 + 0.6 * table["before_years"] / listeners
    table["verdict"] = np.where(knows, table["truth"], np.where(table["truth"] == "real", "fake", "real"))
    table["difficulty"] = np.where(table["verdict"] == "fake", "easy", None)
    return responses.load(table)


def results_of(frame: pd.DataFrame, asked=ASKED) -> dict:
    first = stimuli.distinct(frame)
    made = holm(own_questions.records(first, Panel.of(first), asked))
    return {(r.family, r.name, r.group): r for r in made}


def test_listeners_are_counted_once_each():
    found = results_of(answered())
    guitar = found[own_questions.LISTENERS, own_questions.GIVEN, "before_plays: Guitar"]
    assert (guitar.count, guitar.total) == (6, 6)
    assert guitar.note == "6 listeners gave no answer"
    drum = found[own_questions.LISTENERS, own_questions.GIVEN, "before_plays: Bass drum"]
    assert drum.count == 0, "another option that begins alike does not count"
    years = found[own_questions.LISTENERS, own_questions.MIDDLE, "before_years"]
    assert (years.estimate, years.low, years.high) == (5.5, 2.75, 8.25)
    assert found[own_questions.LISTENERS, own_questions.WORDS, "end_wish"].estimate == 1


def test_answers_on_clips_are_estimated_like_all_others_and_corrected_among_themselves():
    found = results_of(answered())
    mean = found[own_questions.CLIPS, own_questions.MEAN, "feel | originals"]
    assert 4 < mean.low < mean.estimate < mean.high <= 7
    share = found[own_questions.CLIPS, own_questions.SHARE, "use: Yes | caw"]
    assert 0 < share.low < share.estimate < share.high < 1
    assert "linear mixed model" in share.method
    tests = {group: r for (_, name, group), r in found.items() if name == own_questions.DIFFERENCE}
    assert set(tests) == {"feel: machine-made - originals", "use: Yes: machine-made - originals"}
    feel = tests["feel: machine-made - originals"]
    assert feel.estimate < -1
    assert feel.p < feel.p_holm <= 2 * feel.p
    assert not any("many" in group for _, _, group in found), "five options are too many shares"


def test_one_listener_is_described_and_tested_by_permutation():
    found = results_of(answered(listeners=1))
    mean = found[own_questions.CLIPS, own_questions.MEAN, "feel | originals"]
    assert (mean.low, mean.note) == (None, "describes; no interval")
    feel = found[own_questions.CLIPS, own_questions.DIFFERENCE, "feel: machine-made - originals"]
    assert "exact permutation" in feel.method
    assert feel.unit == "clip, this listener only"
    assert found[own_questions.ACCURACY, own_questions.RANKS, "before_years"].refused


def test_accuracy_is_described_by_answer_and_never_tested():
    found = results_of(answered(listeners=24))
    rho = found[own_questions.ACCURACY, own_questions.RANKS, "before_years"]
    assert 0 < rho.low < rho.estimate < rho.high < 1
    guitar = found[own_questions.ACCURACY, own_questions.BALANCED, "before_plays: Guitar"]
    assert 0 < guitar.low < guitar.estimate < guitar.high < 1
    assert own_questions.EXPLORATORY in guitar.note
    assert all(r.p is None for (family, _, _), r in found.items() if family == own_questions.ACCURACY)


def test_who_always_says_fake_has_a_balanced_accuracy_of_one_half():
    frame = answered()
    frame["verdict"] = "fake"
    assert set(own_questions.balanced_accuracy(stimuli.distinct(frame))) == {0.5}


def test_the_rank_correlation_is_scipys():
    from scipy import stats

    frame = stimuli.distinct(answered(listeners=20))
    rho = results_of(frame)[own_questions.ACCURACY, own_questions.RANKS, "before_years"]
    people = frame.drop_duplicates("listener").set_index("listener")["before_years"]
    balanced = own_questions.balanced_accuracy(frame).reindex(people.index)
    assert rho.estimate == pytest.approx(stats.spearmanr(people, balanced)[0])


def test_a_study_without_own_questions_says_nothing_of_any():
    assert results_of(answered(), asked=[]) == {}
    assert words.tables([], []) == []
    assert words.methods(answered(), []) == ""


def test_numbers_come_back_as_numbers_and_words_as_words():
    frame = responses.founding().drop(columns="repeat")
    frame["before_years"], frame["clip_code"], frame["end_note"] = "12", ["007"] * 20, ["5", ""] * 10
    loaded = responses.load(frame)
    assert loaded["before_years"].tolist() == [12] * 20
    assert loaded["clip_code"].tolist() == ["007"] * 20
    assert (loaded["end_note"][0], pd.isna(loaded["end_note"][1])) == (5, True)


def test_tables_show_what_was_asked_and_the_methods_list_it():
    frame = answered()
    results = [*results_of(frame).values(), Question("truth", "x").refuse("not asked")]
    made = {table.name: table for table in words.tables(results, ASKED)}
    assert list(made) == ["who_listened", "asked_at_the_end", "own_questions", "accuracy_by_answer"]
    who = made["who_listened"].text()
    assert who["value"].tolist() == ["6/6 (100%)", "6/6 (100%)", "0/6 (0%)", "5.50"]
    assert who["quartiles"].tolist()[-1] == "2.75 to 8.25"
    clips = made["own_questions"].text()
    assert {"machine-made", "originals", "caw", "jukebox", "UMG", "VAR"} <= set(clips["clips are"])
    said = words.methods(frame, ASKED)
    assert "\u201cFeel?\u201d (1 to 7)" in said
    assert "Guitar, Bass, Bass drum; several possible" in said


def test_the_chart_has_a_part_for_each_scale_number_and_option():
    results = [r for r in results_of(answered(6)).values() if r.family == own_questions.CLIPS]
    again = FEEL | {"name": "again", "low": 0, "high": 9}
    twice = [*results, *(replace(r, group=f"again{r.group[4:]}") for r in results if r.group[:4] == "feel")]
    chart = plots.own_questions.of_clips(twice, [*ASKED, again], width=plots.NARROW)
    parts = chart.to_dict()["vconcat"]
    assert [part["title"]["text"] for part in parts] == ["Feel? (feel)", "Use it? Yes", "Feel? (again)"]
    domains = [part["layer"][0]["encoding"]["x"]["scale"]["domain"] for part in parts]
    assert domains == [[1, 7], [0, 1], [0, 9]]
    assert "originals" in plots.render(chart)


@pytest.mark.slow
def test_they_leave_every_other_result_as_it_is():
    frame = answered(listeners=6)
    plain = statistics.evaluate(frame)
    more = statistics.evaluate(frame, own=ASKED)
    assert [r for r in more if not r.family.startswith("own questions")] == plain
