"""The scores of the beat benchmark, and how it judges; nothing is rendered here."""

import numpy as np
import pytest

from caw.beats import BeatGrid
from tests.benchmarks import beat_scores, beats, compose_riff
from tests.benchmarks.beat_scores import Piece

pytestmark = pytest.mark.slow

TICK = 60 / compose_riff.TEMPO / compose_riff.TICKS  # seconds


def struck(piece: Piece, drum: str) -> np.ndarray:
    """When a drum is struck, in seconds."""
    events = sorted(piece.score().events)
    head = bytes([0x90 | beat_scores.PARTS["drums"][0], beat_scores.DRUMS[drum]])
    return np.array([tick * TICK for tick, _, message in events if message[:2] == head])


@pytest.mark.parametrize("piece", beat_scores.PIECES, ids=lambda piece: piece.name)
def test_every_piece_fills_the_clip_with_whole_bars(piece):
    ticks = [tick for tick, _, message in piece.score().events if message[0] & 0xF0 == 0x90]
    assert max(ticks) * TICK > compose_riff.SECONDS - 3
    told, bars = piece.truth()
    assert told[0] == bars[0] == pytest.approx(beat_scores.LEAD)
    assert told[-1] < compose_riff.SECONDS
    assert set(bars) <= set(told)


@pytest.mark.parametrize("tempo", [60, 190, (100, 116), (138, 124)])
def test_beats_are_where_the_notes_are(tempo):
    piece = Piece("kick on every beat", tempo, 3, 1, {"kick": "Xxx"})
    told, bars = piece.truth()
    assert np.abs(struck(piece, "kick")[: len(told)] - told).max() < 0.02
    np.testing.assert_array_equal(bars, told[::3])
    first, last = piece.tempi
    assert 60 / (told[1] - told[0]) == pytest.approx(first, rel=0.01)
    assert 60 / (told[-1] - told[-2]) == pytest.approx(last, rel=0.01)
    assert 60 / np.diff(piece.at(1.2).truth()[0])[0] == pytest.approx(1.2 * first, rel=0.01)


def test_swing_delays_the_middle_of_a_beat():
    piece = Piece("swing", 120, 2, 2, {"kick": ".x .x"}, swing=2 / 3)
    off = struck(piece, "kick")[:20] - beat_scores.LEAD
    assert np.abs(off % 0.5 - 1 / 3).max() < 0.02


def test_a_bar_of_another_length_is_refused():
    with pytest.raises(ValueError, match="wrong, kick: xxx has 3 steps"):
        Piece("wrong", 120, 4, 1, {"kick": "xxx"}).score()


def test_the_riff_has_three_metres():
    told, bars = beat_scores.riff()
    eighths = np.rint(np.diff(bars) / (told[1] - told[0])).astype(int)
    assert set(eighths) == {7, 8, 10}


def test_beats_are_judged():
    pytest.importorskip("mir_eval", reason="no mir_eval, which only this benchmark needs; pip install it")
    true = np.arange(0.2, 25, 0.5)
    assert beats.scores(true, true + 0.01)[:4] == pytest.approx([1, 1, 1, 10])
    assert beats.scores(true, true[::2])[1:3] == pytest.approx([0, 1], abs=0.06)
    assert beats.scores(true, true[:3])[:3] == [0, 0, 0]


def test_bars_are_judged():
    pytest.importorskip("mir_eval", reason="no mir_eval, which only this benchmark needs; pip install it")
    true = np.arange(0.2, 25, 0.5)

    def bars_of(per_bar):
        places = np.arange(len(true)) % (per_bar or 1)
        return BeatGrid("beats", np.append(true, 25.0), places, 120.0, 1, per_bar, 1.0)

    assert beats.bar_scores(true[::4], bars_of(4)) == [1, 1]
    assert beats.bar_scores(true[::4], bars_of(2))[1] == 0.5
    assert beats.bar_scores(true[::4], bars_of(3))[1] == 0
    assert beats.bar_scores(true[::4], bars_of(None)) == [0, 0]


@pytest.mark.parametrize(
    ("told", "right"), [(123, (True, True)), (126, (False, False)), (61, (False, True)), (358, (False, True))]
)
def test_a_tempo_is_right_within_4_percent_at_its_metric_level_or_another(told, right):
    assert beats.tempo_right(told, 120) == right


def test_the_table_says_how_far_each_is_from_ours():
    near = {beats.OURS: [1, 1, 1, 6, 1, 1], beats.DEFAULT: [0.5, 0.5, 0.75, 40, np.nan, np.nan]}
    found = {"a": [near], "b": [near, near]}
    table = beats.summary(found).splitlines()
    assert table[2] == f"| {beats.OURS} | 1.00 | 1.00 | 1.00 | 6 | 1.00 | 1.00 |  |"
    assert table[3] == f"| {beats.DEFAULT} | 0.50 | 0.50 | 0.75 | 40 |  |  | -0.25 (-0.25 to -0.25) |"
