"""What came of kept clips: rates that are known, bounds, refusals, and what the report says."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from analysis import plots, responses
from analysis.notebook import Study
from analysis.report import figures
from analysis.report import follow_up as words
from analysis.report.report import ReportFacts
from analysis.results import follow_up, stimuli
from analysis.results.result import ALL, MACHINE, ORIGINALS, find
from analysis.results.stimuli import Panel
from analysis.tests import detection


def clip(number: int) -> dict[str, Any]:
    """Clips 0 to 3 are originals, the others of caw and of the mosaic in turn."""
    real = number < 4
    return {
        "set": "UMG",
        "name": f"clip {number}",
        "stimulus_id": f"clip{number:04d}",
        "truth": "real" if real else "fake",
        "backend": "original" if real else ("caw", "mosaic")[number % 2],
        "mode": "UMG",
        "epochs": None if real else (100, 500)[number % 2],
    }


def heard(listener: str, kept: dict[int, str | None], clips: int = 12) -> list[dict[str, Any]]:
    return [
        {
            "listener": listener,
            "position": number + 1,
            **clip(number),
            "verdict": "real",
            "difficulty": None,
            "musicality": number % 11,
            "inspiring": ("yes", "maybe", "no")[number % 3],
            "kept": number in kept,
        }
        for number in range(clips)
    ]


def said(listener: str, kept: dict[int, str | None], **more: Any) -> list[dict[str, Any]]:
    """A row per kept clip; an outcome of None: nobody has said."""
    empty = dict.fromkeys(("song", "days", "words", "answered_at", "recording_bytes"))
    return [
        {"listener": listener, **clip(number), "outcome": outcome, "final": None if outcome is None else True}
        | empty
        | {"unblinded": False}
        | (more if outcome not in (None, "nothing") else {})
        for number, outcome in kept.items()
    ]


def study(kept: dict[str, dict[int, str | None]], **more: Any) -> tuple[pd.DataFrame, list[dict[str, Any]]]:
    rows = [row for listener, clips in kept.items() for row in heard(listener, clips)]
    later = [row for listener, clips in kept.items() for row in said(listener, clips, **more)]
    return responses.load(pd.DataFrame(rows)), later


def evaluated(frame: pd.DataFrame, later: list[dict[str, Any]]):
    first = stimuli.distinct(frame)
    return follow_up.records(first, Panel.of(frame), later)


def of(results, outcome, group=ALL, family=follow_up.FAMILY):
    return find(results, family, outcome.mean, group)


ONE = {"Ann": {0: "nothing", 4: "part", 5: "idea", 6: "song", 7: None}}


def test_one_listeners_rates_are_exact_and_hold_for_this_listener_only():
    results = evaluated(*study(ONE))
    rate = of(results, follow_up.EUREKA)
    assert (rate.count, rate.total, rate.estimate) == (2, 4, 0.5)
    assert (rate.low, rate.high) == pytest.approx(detection.clopper_pearson(2, 4))
    assert rate.unit == "clip, this listener only"
    assert of(results, follow_up.IDEA).count == 3
    assert of(results, follow_up.EUREKA, MACHINE).count == 2
    assert of(results, follow_up.EUREKA, ORIGINALS).count == 0


def test_kept_clips_without_an_answer_are_the_bounds_of_the_rate_of_heard_clips():
    results = evaluated(*study(ONE))
    least, most = (of(results, one) for one in (follow_up.HEARD_LEAST, follow_up.HEARD_MOST))
    assert (least.count, most.count, least.total, most.total) == (2, 3, 12, 12)
    assert of(results, follow_up.HEARD) is None
    answered = {"Ann": {**ONE["Ann"], 7: "nothing"}}
    results = evaluated(*study(answered))
    assert (of(results, follow_up.HEARD).count, of(results, follow_up.HEARD_LEAST)) == (2, None)


def test_a_listener_whom_nobody_has_asked_yet_bounds_it_too():
    """Whoever has not finished has no row, but kept clips."""
    frame, later = study({"Ann": {4: "song"}, "Bo": {5: None, 6: None}})
    results = evaluated(frame, [row for row in later if row["listener"] == "Ann"])
    assert (of(results, follow_up.HEARD_LEAST).count, of(results, follow_up.HEARD_MOST).count) == (1, 3)


def test_what_is_typed_and_not_sent_is_not_known():
    frame, later = study({"Ann": {4: "song", 5: "song"}})
    later[0]["final"] = False
    results = evaluated(frame, later)
    assert (of(results, follow_up.EUREKA).count, of(results, follow_up.EUREKA).total) == (1, 1)
    assert find(results, follow_up.FAMILY, follow_up.UNANSWERED).count == 1


def panel(listeners: int, seed: int = 1, answered: float = 1.0):
    dice = np.random.default_rng(seed)
    kept = {}
    for number in range(listeners):
        chosen = dice.choice(12, 4, replace=False)
        outcomes = dice.choice(["nothing", "idea", "part", "song"], 4, p=[0.4, 0.3, 0.2, 0.1])
        known = dice.random(4) < answered
        kept[f"L{number}"] = {
            int(clip): str(outcome) if answer else None
            for clip, outcome, answer in zip(chosen, outcomes, known, strict=True)
        }
    return study(kept, song="Rain", days=3, words="A groove.")


def test_a_panel_has_the_crossed_models_interval_and_comparisons():
    frame, later = panel(12)
    results = evaluated(frame, later)
    rate = of(results, follow_up.EUREKA)
    assert "listeners and clips" in rate.method
    assert rate.low < rate.estimate < rate.high
    compared = find(results, "follow-up, backends", follow_up.EUREKA.difference, "caw - mosaic")
    assert compared.p is not None
    assert "listeners chose which clips they kept" in compared.notes


def test_too_few_answers_are_shown_and_carry_no_interval():
    frame, later = study({"Ann": {4: "song", 5: "nothing"}, "Bo": {4: "nothing"}})
    results = evaluated(frame, later)
    rate = of(results, follow_up.EUREKA)
    assert (rate.count, rate.total, rate.low) == (1, 3, None)
    assert rate.notes[0] == "no interval: 3 answers, fewer than 10"
    refused = find(results, "follow-up, backends", follow_up.EUREKA.difference, "caw - mosaic")
    assert refused.refused
    assert "answer" in refused.note


def test_a_listener_who_always_says_song_is_one_listener():
    """One of nine who praises everything moves the rate by a ninth, however many clips they kept."""
    frame, later = study({f"L{n}": {4: "nothing", 5: "nothing", 6: "nothing"} for n in range(8)})
    praised, praise = study({"Joy": dict.fromkeys(range(12), "song")})
    results = evaluated(pd.concat([frame, praised], ignore_index=True), later + praise)
    rate = of(results, follow_up.EUREKA)
    assert (rate.count, rate.total) == (12, 36)
    assert rate.estimate == pytest.approx(1 / 9, abs=0.02)


def test_before_anybody_answers_it_says_so():
    results = evaluated(*study({"Ann": {4: None}, "Bo": {5: None}}))
    rate = of(results, follow_up.EUREKA)
    assert rate.refused
    assert words.sentences(results, Panel(2)) == [
        "What came of the 2 kept clips cannot be said yet: nobody has said yet what came of a kept clip."
    ]
    frame, later = study({"Ann": {4: None}})
    whole = Study(frame, ReportFacts(follow_up=later))
    names = [one.name for one in figures.everything(whole._frame, whole._results)]
    assert "follow_up" not in names
    assert not words.section(later, whole._results, Panel(1))["known"]


def test_without_a_follow_up_a_study_is_as_before():
    frame, _ = study(ONE)
    assert evaluated(frame, []) == []
    plain, asked = Study(frame), Study(frame, ReportFacts(follow_up=()))
    assert plain.results.equals(asked.results)
    assert plain.follow_up.empty
    assert words.methods([]) == words.sentences([], Panel(1)) == words.tables([], []) == []
    assert words.section([], [], Panel(1)) is None


def test_the_days_are_a_median_of_what_is_stated():
    frame, later = study({"Ann": {4: "part", 5: "song", 6: "song", 7: "idea"}})
    for row, days in zip(later, (2, 9, None, 30), strict=True):
        row["days"] = days
    results = evaluated(frame, later)
    days = find(results, follow_up.FAMILY, follow_up.DAYS)
    assert (days.estimate, days.count, days.total, days.low) == (5.5, 2, 3, None)
    assert "2 of 3 say when" in days.note


def test_answers_after_the_unblinding_are_named():
    frame, later = study(ONE)
    later[1]["unblinded"] = True
    results = evaluated(frame, later)
    assert find(results, follow_up.FAMILY, follow_up.LATER).count == 1
    warning = words.section(later, results, Panel(1))["warning"]
    assert warning.startswith("1 answer of 4 came after the unblinding")


def test_songs_stand_with_the_words_and_the_furthest_first():
    frame, later = study(ONE, song="Rain", days=3, words="<b>The fill.</b>")
    later[2]["song"] = None
    results = evaluated(frame, later)
    shown = words.section(later, results, Panel(1))
    assert [song["name"] for song in shown["songs"]] == ["Rain", words.NO_SONG]
    first = shown["songs"][0]["clips"][0]
    assert (first["clip"], first["came"]) == ("clip 6", "a finished song, after 3 days")
    table = {one.name: one.frame for one in words.tables(later, results)}
    assert table["follow_up_songs"].to_dict("records")[0] == {
        "song": "Rain",
        "an idea": 0,
        "a part": 1,
        "a finished song": 1,
    }
    assert set(table["follow_up_rates"]["group"]) >= {"all", MACHINE, ORIGINALS, "caw", "mosaic"}


def test_the_figure_counts_every_kept_clip():
    frame, later = panel(6, answered=0.7)
    results = evaluated(frame, later)
    table = plots.follow_up._table(results)
    for kind, part in table[table["group"] != ALL].groupby("kind"):
        assert part["clips"].sum() <= len(later), kind
    assert table.loc[table["group"] == ALL, "clips"].sum() == len(later)
    assert (table["came"] == plots.follow_up.UNKNOWN).any()
    drawn = figures._came_of_it(results)
    assert "Eureka rate of kept clips. all: " in drawn.alt


@pytest.mark.slow
def test_a_report_shows_and_quotes_it_and_a_notebook_finds_it_again(tmp_path):
    import analysis

    frame, later = study(ONE, song="Rain", words="<script>alert(1)</script>")
    page = Study(frame, ReportFacts(follow_up=later)).report(tmp_path / "report")
    text = page.read_text()
    assert "What came of the clips?" in text
    assert "&lt;script&gt;alert(1)" in text
    assert "A part or a finished song came of two of 4 kept clips with this listener" in text
    assert "There is no control for what would have come without any clip" in text
    assert (tmp_path / "report" / "tables" / "follow_up.csv").exists()
    again = analysis.open(tmp_path / "report")
    assert len(again.follow_up) == 5
    assert again.summary == Study(frame, ReportFacts(follow_up=later)).summary
