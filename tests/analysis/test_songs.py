"""In which songs listeners would use clips: worked by hand, gamed, and where it refuses."""

from itertools import combinations

import numpy as np
import pandas as pd
import pytest

from analysis import responses, song_answers
from analysis.results import comparisons, ratings, songs, stimuli
from analysis.results.outcomes import WOULD_USE
from analysis.results.result import MACHINE, MACHINE_LESS_ORIGINALS, ORIGINALS, find, holm
from analysis.results.stimuli import Panel
from tests.analysis import panels

SONGS = ("dune", "moss")


def answers(choose, *, listeners: int = 8, clips: int = 12, names=SONGS, originals: int = 4) -> pd.DataFrame:
    """A panel whose clips were made for the songs in turn; choose(clip, song, rng): what is said."""
    table = panels.panel(listeners=listeners, caw=clips, jukebox=0, originals=originals, missing=0)
    fakes = sorted(set(table.loc[table["truth"] == "fake", "name"]))
    table["song"] = table["name"].map({clip: names[i % len(names)] for i, clip in enumerate(fakes)})
    rng = np.random.default_rng(5)
    table["use_in"] = [
        choose(clip, song, rng) for clip, song in zip(table["name"], table["song"], strict=True)
    ]
    return table


def own(frame: pd.DataFrame):
    first = stimuli.distinct(responses.load(frame))
    return songs.own_less_others(first, Panel.of(first))


def by_coin(share):
    def choose(_clip, _song, rng):
        picked = [song for song in SONGS if rng.random() < share[song]]
        return song_answers.cell_of(picked) or song_answers.NONE

    return choose


def its_own(_clip, song, rng):
    return song if isinstance(song, str) and rng.random() < 0.8 else song_answers.NONE


GAMES = {
    "everything everywhere": lambda *_: "dune; moss",
    "nothing": lambda *_: song_answers.NONE,
    "one song for all": lambda *_: "moss",
    "by chance, one song favoured": by_coin({"dune": 0.1, "moss": 0.9}),
    "some clips in all songs": lambda clip, *_: "dune; moss" if clip.endswith("0") else song_answers.NONE,
}


@pytest.mark.parametrize("listeners", [1, 8])
@pytest.mark.parametrize("game", GAMES)
def test_who_does_not_mind_what_a_clip_was_made_for_scores_about_nothing(game, listeners):
    result = own(answers(GAMES[game], listeners=listeners))
    assert abs(result.estimate) < 0.2
    assert result.p is None or result.p > 0.05
    if game != "by chance, one song favoured":
        assert result.estimate == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("listeners", [1, 8])
def test_clips_that_suit_their_own_song_are_seen(listeners):
    result = own(answers(its_own, listeners=listeners))
    assert result.estimate > 0.5
    assert result.p < 0.01
    assert (result.low is None) == (listeners == 1)
    if listeners > 1:
        assert 0 < result.low < result.estimate < result.high <= 1


def test_one_listener_by_hand():
    """Five clips for each song, each chosen 3 times for its own song and once for the other: .6 - .2 = .4.

    Of dune less moss the clips made for dune have 1, 1, 1, -1, 0, those for moss -1, -1, 0, 0, 0: the sums
    are 2 and -2, and p is the share of the 252 ways to label ten clips that set them as far apart.
    """
    none, both = song_answers.NONE, "dune; moss"
    said = ["dune", "dune", "dune", "moss", none, "moss", "moss", both, none, none]
    names = [*[f"d{i}" for i in range(5)], *[f"m{i}" for i in range(5)]]
    frame = responses.load(
        pd.DataFrame(
            {
                "set": "UMG",
                "position": range(1, 11),
                "name": names,
                "truth": "fake",
                "backend": "caw",
                "mode": "UMG",
                "epochs": None,
                "verdict": "fake",
                "difficulty": "easy",
                "musicality": 5,
                "inspiring": "no",
                "song": ["dune"] * 5 + ["moss"] * 5,
                "use_in": said,
            }
        )
    )
    result = own(frame)
    assert result.estimate == pytest.approx(0.4)
    scores = np.array([1, 1, 1, -1, 0, -1, -1, 0, 0, 0])
    sums = [scores[list(chosen)].sum() for chosen in combinations(range(10), 5)]  # all of them add up to 0
    assert result.p == pytest.approx(np.mean(np.abs(sums) >= 2))
    assert result.unit == "clip, this listener only"
    found = songs.records(stimuli.distinct(frame), Panel(1))
    assert find(found, songs.FAMILY, songs.CHOSEN, "dune: made for it").count == 3
    difference = find(found, songs.FAMILY, songs.DIFFERENCE, "dune: made for it - made for another")
    assert difference.estimate == pytest.approx(0.6 - 0.2)


def test_a_popular_song_does_not_make_its_clips_suit_it():
    """Most are made for moss, and everybody loves moss: chosen for its own 8 of 12, yet chance."""
    frame = answers(lambda *_: "moss")
    made = frame["song"].notna()
    keep = frame["name"].isin(["caw_UMG_00", "caw_UMG_02", "caw_UMG_04", "caw_UMG_06"])
    frame.loc[made, "song"] = np.where(keep[made], "dune", "moss")
    assert own(frame).estimate == pytest.approx(0, abs=1e-9)


def test_too_little_is_refused_with_the_reason():
    result = own(answers(its_own, names=("dune",)))
    assert (result.refused, result.note) == (True, songs.ONE_SONG)
    few = own(answers(its_own, clips=6))
    assert few.note == "3 clips made for dune; at least 4 are needed"
    alone = own(answers(its_own, listeners=1, clips=4, originals=2))
    assert alone.p is None
    assert "could reach p < .05" in alone.note


def test_all_figures_stand_in_the_results_and_nothing_without_the_questions(panel):
    assert not songs.records(stimuli.distinct(panel), Panel.of(panel))
    frame = answers(its_own)
    used = frame["use_in"] != song_answers.NONE
    frame["take"] = np.where(used, "groove; sound", None)
    frame["use_as"] = np.where(used, "bridge", None)
    frame["moment"] = np.where(used, 2.5, np.nan)
    first = stimuli.distinct(responses.load(frame))
    results = holm(songs.records(first, Panel.of(first)))
    groove = find(results, songs.TAKEN, songs.TAKE, "machine-made: groove")
    harmony = find(results, songs.TAKEN, songs.TAKE, "machine-made: harmony")
    role = find(results, songs.TAKEN, songs.ROLE, "machine-made: bridge")
    assert (groove.count, groove.total) == (int(used.sum()), 96)
    assert (harmony.count, role.count, role.total) == (0, int(used.sum()), int(used.sum()))
    assert 0 < groove.low < groove.estimate < groove.high < 1
    assert find(results, songs.TAKEN, songs.MOMENTS, "machine-made").count == int(used.sum())
    assert find(results, songs.FAMILY, songs.CHOSEN, f"moss: {ORIGINALS}").count == 0
    tests = [r for r in results if r.name == songs.DIFFERENCE and r.p is not None]
    assert len(tests) == 4
    assert all(r.p_holm >= r.p for r in tests)


def test_every_group_says_how_often_its_clips_would_be_used(founding):
    first = stimuli.distinct(responses.load(answers(its_own, listeners=3)))
    truth = next(comparisons.kinds(first))
    compared = comparisons.compared(first, truth, Panel.of(first))
    compared += ratings.describe(first[truth.labels == MACHINE], "truth", MACHINE, Panel.of(first))
    used = int((first["use_in"] != song_answers.NONE).sum())
    machine = find(compared, "truth", WOULD_USE.mean, MACHINE)
    assert (machine.count, machine.total) == (used, 36)
    assert find(compared, "truth", WOULD_USE.difference, MACHINE_LESS_ORIGINALS).p < 0.05
    before = ratings.describe(stimuli.distinct(founding), "truth", "all", Panel(1))
    assert not [r for r in before if WOULD_USE.name in r.name]


@pytest.mark.parametrize(
    ("column", "cell", "reason"),
    [
        ("take", "groove; smell", "'smell' is none of them"),
        ("use_as", "solo", "'solo' is none of them"),
        ("use_in", "dune; none of them", "names songs and 'none of them'"),
        ("moment", "-1", "out of range"),
    ],
)
def test_a_table_that_says_what_cannot_be_is_refused(column, cell, reason):
    frame = answers(its_own)
    frame[column] = frame[column].astype(object) if column in frame else None
    frame.loc[0, column] = cell
    with pytest.raises(responses.ResponsesError, match=reason) as error:
        responses.load(frame)
    assert (error.value.row, error.value.column) == (1, column)


def test_cells_come_in_one_form():
    frame = answers(its_own)
    frame.loc[0, "use_in"] = "moss;dune ; moss"
    assert responses.load(frame)["use_in"][0] == "moss; dune"
