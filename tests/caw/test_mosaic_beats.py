import numpy as np
import pytest

from caw import beats, features
from tests.caw.band import RATE, band, plucks


def grid_of(samples, **options):
    return beats.beat_grid(features.analyse(samples, RATE), **options)


@pytest.mark.parametrize(
    ("tempo", "metre", "offbeat"),
    [(120, 4, None), (90, 3, None), (100, 5, None), (132, 3, 0.5), (120, 4, 2 / 3), (84, 4, 0.5)],
)
def test_beats_bars_and_their_beginnings_are_found(tempo, metre, offbeat):
    samples, true = band(tempo, metre, offbeat=offbeat)
    grid = grid_of(samples)
    assert grid.kind == "beats"
    times = {1: tempo, 2: 2 * tempo}  # eighths may be heard as the beat
    ratio = min(times, key=lambda ratio: abs(times[ratio] - grid.tempo))
    assert grid.tempo == pytest.approx(times[ratio], rel=0.005)
    apart = [np.abs(grid.bounds - beat).min() for beat in true[1:-1]]
    assert np.median(apart) < 0.003
    assert max(apart) < 0.01
    if ratio == 1:
        assert grid.per_bar == metre
        firsts = grid.bounds[:-1][grid.places == 0]
        assert all(np.abs(true[::metre] - first).min() < 0.01 for first in firsts)
        assert len(firsts) >= len(true) // metre - 1


def test_a_metre_that_is_told_is_taken():
    samples, true = band(120, 4)
    grid = grid_of(samples, beats_per_bar=3)
    assert grid.per_bar == 3
    assert grid.places.max() == 3 * grid.per_beat - 1


def test_a_tempo_that_is_told_chooses_the_metric_level():
    samples, _ = band(120, 4, offbeat=0.5)
    assert grid_of(samples, tempo=62).tempo == pytest.approx(60, rel=0.01)
    assert grid_of(samples, tempo=235).tempo == pytest.approx(240, rel=0.01)


def test_a_grid_covers_the_clip():
    samples, _ = band(100, 4)
    grid = grid_of(samples)
    assert grid.bounds[0] < 0.35
    assert grid.bounds[-1] > 20 - 0.35
    assert np.diff(grid.bounds).min() > 0.2


@pytest.mark.parametrize("kind", ["plucks", "noise", "swells"])
def test_music_without_a_beat_is_cut_at_its_onsets(kind):
    time = np.arange(12 * RATE) / RATE
    samples = {
        "plucks": plucks(),
        "noise": 0.1 * np.random.default_rng(0).standard_normal(len(time)),
        "swells": 0.1
        * sum(np.sin(2 * np.pi * hz * time) * (1 + np.sin(0.7 * time + hz)) for hz in (220, 277)),
    }[kind]
    grid = grid_of(np.asarray(samples, np.float32))
    assert grid.kind == "onsets"
    assert "no clear beat" in grid.description()
    assert grid.bounds[0] == 0
    assert np.diff(grid.bounds).max() <= beats.LONGEST_UNIT + 1e-6
    assert np.diff(grid.bounds).min() >= 0.1


def test_the_rate_does_not_matter():
    found = [beats.beat_grid(features.analyse(band(110, 4, rate=rate)[0], rate)) for rate in (8000, 44100)]
    assert found[0].tempo == pytest.approx(found[1].tempo, rel=0.002)
    assert found[0].per_bar == found[1].per_bar == 4


def test_a_changed_metre_does_not_turn_what_follows():
    accents = np.full(48, -0.3)
    accents[[0, 8, 16, 22, 30, 38, 46]] = 3.0  # one bar of six among those of eight
    places = beats._places(accents, 8, free=True)
    assert list(np.flatnonzero(places == 0)) == [0, 8, 16, 22, 30, 38, 46]
