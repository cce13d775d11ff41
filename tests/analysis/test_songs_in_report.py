"""What a report says of songs: the sentence, the tables, the cards of the clips, the chart and the page."""

import numpy as np
import pytest

import analysis
from analysis import plots, responses, song_answers
from analysis.report import figures, inspiring_clips, methods, report, songs, tables
from analysis.results import songs as results_of_songs
from analysis.results import stimuli
from analysis.results.outcomes import WOULD_USE
from analysis.results.result import MACHINE, Question
from analysis.results.stimuli import Panel
from tests.analysis.test_songs import answers, by_coin, its_own


def told(frame, used: float = 0.5):
    """The results that the report's words are made of."""
    first = stimuli.distinct(frame)
    question = Question("truth", WOULD_USE.mean, MACHINE)
    share = question.result(used, (0.4, 0.6), of=(12, 24))
    return [share, *results_of_songs.records(first, Panel.of(first))]


def of_one(choose):
    frame = answers(choose, listeners=1).assign(inspiring="yes")
    frame["use_as"] = np.where(frame["use_in"] != song_answers.NONE, "bridge", None)
    frame["take"] = np.where(frame["use_in"] != song_answers.NONE, "groove; sound", None)
    frame["moment"] = np.where(frame["use_in"] != song_answers.NONE, 67.4, np.nan)
    return frame


@pytest.mark.parametrize("listeners", [1, 6])
def test_the_summary_says_whether_clips_suit_their_own_song(listeners):
    own = answers(its_own, listeners=listeners)
    (sentence,) = songs.sentences(told(responses.load(own)), Panel(listeners))
    assert "12 of 24" in sentence or "twelve of 24" in sentence
    assert "Clips were chosen more often for the song that they were made for than for the others" in sentence
    chance = answers(by_coin({"dune": 0.5, "moss": 0.6}), listeners=listeners)
    (sentence,) = songs.sentences(told(responses.load(chance)), Panel(listeners))
    assert "do not show that clips are chosen more often for the song that they were made" in sentence
    alone = answers(its_own, listeners=listeners, names=("dune",))
    (sentence,) = songs.sentences(told(responses.load(alone)), Panel(listeners))
    assert f"cannot be said: {results_of_songs.ONE_SONG}" in sentence


def test_a_study_that_did_not_ask_says_nothing_of_songs(founding, founding_results):
    assert not songs.sentences(founding_results, Panel(1))
    assert not songs.tables(founding_results)
    assert "song" not in methods.paragraphs(founding)[1]
    assert "songs" not in tables.answers(founding, "UMG").frame
    assert "song_choices" not in [figure.name for figure in figures.everything(founding, founding_results)]
    assert analysis.open(founding).song_choices.empty


def test_cards_name_songs_and_play_from_the_moment():
    used = [clip for clip in inspiring_clips.leading(responses.load(of_one(its_own))).clips if clip["uses"]]
    assert {clip["songs"] for clip in used} == {
        "dune as bridge, takes groove and sound",
        "moss as bridge, takes groove and sound",
    }
    assert used[0]["uses"][0]["pins"][0].time == "1:07"
    several = responses.load(
        answers(lambda clip, *_: "dune; moss" if clip.endswith("0") else "moss").assign(inspiring="yes")
    )
    said = {clip["clip"][-1]: clip["songs"] for clip in inspiring_clips.leading(several).clips}
    assert said["2"] == "moss 8 of 8"
    assert set(said["0"].removesuffix(" of 8").split(", ")) == {"dune 8", "moss 8"}


def test_tables_and_chart_hold_every_song_and_kind_of_clips():
    frame = responses.load(of_one(its_own))
    results = told(frame)
    chosen, taken = songs.tables(results)
    kinds = ["made for it", "made for another", "originals"]
    assert list(chosen.frame["song"]) == ["dune"] * 3 + ["moss"] * 3
    assert list(chosen.frame["clips are"]) == kinds * 2
    assert set(taken.frame["answer"]) == {*song_answers.INGREDIENTS, *song_answers.ROLES}
    assert chosen.text()["answers"].str.contains(r"\d/\d+ \(\d+%\)").all()
    for width in (plots.WIDE, plots.NARROW):
        drawn = plots.render(plots.songs.chosen(results, width=width))
        assert "dune" in drawn
        assert "made for another" in drawn
    assert tables.answers(frame, "UMG").frame["songs"].str.contains("as bridge, takes groove").any()


@pytest.mark.slow
def test_the_page_has_a_part_on_songs(tmp_path):
    page = report.write(responses.load(of_one(its_own)), tmp_path / "report").read_text(encoding="utf-8")
    for words in (
        "For which songs?",
        "What would be taken",
        "Its p is of the exact permutation of the songs",
    ):
        assert words in page
    assert '<span class="pin">1:07</span>' in page
    assert (tmp_path / "report" / "tables" / "song_choices.csv").exists()
    assert not analysis.open(tmp_path / "report").song_choices.empty
