"""Every measure on signals whose answer is known."""

import numpy as np
import pytest
from scipy import signal

from caw import measures
from caw.measures import artefacts, catalogue, copying, distributions, harmony, rhythm, spectra
from tests.caw.test_distances import RATE, white
from tests.caw.test_distances import music as played

REAL = played()
HALF = RATE // 2


def chord(notes, seconds=4.0):
    """A steady chord: each note with four harmonics, over soft noise."""
    time = np.arange(round(seconds * RATE)) / RATE
    tones = [np.sin(2 * np.pi * hz * k * time) / k**2 for hz in notes for k in (1, 2, 4)]
    return np.sum(tones, axis=0) + 1e-3 * white(seconds)


def beat(tempo, seconds=20.0, seed=0):
    """Bursts of noise, one every beat, over soft noise."""
    random, sound = np.random.default_rng(seed), 1e-3 * white(seconds)
    for start in np.arange(0, seconds - 0.2, 60 / tempo):
        first = round(start * RATE)
        sound[first : first + 1600] += random.standard_normal(1600) * np.exp(-np.arange(1600) / 300)
    return sound


def shuffled(piece_seconds):
    """The clip in pieces, the last first, so that no two follow each other as they did."""
    return REAL.reshape(-1, round(piece_seconds * RATE))[::-1].ravel()


@pytest.fixture(scope="module")
def found():
    clips = {"itself": REAL, "other": played(seed=2), "noise": white()}
    return {name: measures.evaluate(REAL, clip, RATE) for name, clip in clips.items()}


def test_a_clip_is_all_of_itself(found):
    itself = found["itself"]
    zeros = [name for name in itself if name.startswith(("frechet", "sliced", "match", "edge"))]
    assert len(zeros) == 9
    for name in [*zeros, "onset_distance", "tempo_error", "chroma_distance"]:
        assert itself[name] == pytest.approx(0, abs=0.02), name
    assert itself["coverage_0.13"] == itself["coverage_0.5"] == itself["copied_share"] == 1
    assert itself["longest_run"] == pytest.approx(12, abs=0.1)


def test_measures_stand_in_the_order_of_their_list(found):
    names = [one.name for one in catalogue.measures([500, 2000]) if one.name != "diversity"]
    assert [list(values) for values in found.values()] == [names] * 3
    bare = {name for values in found.values() for name, value in values.items() if value is None}
    assert bare <= {"jitter_lo", "partial_hi", "same_chord"}  # noise holds no tone, and a tune no chords
    assert {type(value) for values in found.values() for value in values.values()} <= {float, type(None)}


def test_every_measure_is_described_once():
    names = [one.name for one in catalogue.measures([500])]
    assert len(set(names)) == len(names)
    assert all(catalogue.measure(name).name == name for name in names)
    assert "2000 Hz" in catalogue.measure("edge_2000").meaning
    with pytest.raises(KeyError):
        catalogue.measure("beauty")


def test_measures_put_another_performance_between_the_clip_and_noise(found):
    for name in (
        "frechet_0.13",
        "frechet_0.5",
        "sliced_0.13",
        "sliced_0.5",
        "match_0.25",
        "match_1",
        "match_4",
    ):
        assert found["itself"][name] < 0.5 * found["other"][name] < 0.25 * found["noise"][name], name
    for name in ("coverage_0.13", "coverage_0.5"):
        assert found["noise"][name] == 0
        assert found["other"][name] > 0.5


def test_level_does_not_count(found):
    louder = measures.evaluate(REAL, 7 * played(seed=2), RATE)
    assert louder == pytest.approx(found["other"], rel=1e-3, abs=1e-3)


def test_a_clip_whose_spectrogram_is_kept_measures_the_same(found):
    real = spectra.AnalysedClip(REAL, RATE)
    assert measures.evaluate(real, played(seed=2), RATE) == found["other"]
    with pytest.raises(spectra.MeasureError, match="real is a clip at 16000 Hz, measured at 8000 Hz"):
        copying.copying(real, REAL, 8000)


def test_anchors_hold_every_measure():
    real = REAL[: 5 * RATE]
    anchors = measures.anchors(real, RATE)
    assert list(anchors) == ["real", "halves", "imposed", "mosaic", "noise"]
    whole = measures.evaluate(real, real, RATE)
    assert all(anchors[name].keys() == whole.keys() for name in ("halves", "imposed", "mosaic", "noise"))
    assert anchors["real"] == {name: whole[name] for name in anchors["real"]}
    assert 10 * anchors["halves"]["sliced_0.13"] < anchors["noise"]["sliced_0.13"]
    assert anchors["imposed"]["sliced_0.13"] < anchors["noise"]["sliced_0.13"] / 4
    assert anchors["imposed"]["correlation_1"] > 0.9
    assert anchors["mosaic"]["copied_share"] > 0.5


def test_what_a_clip_is_too_short_for_is_left_open():
    short = measures.evaluate(REAL[: 3 * RATE], played(3, seed=2), RATE)
    assert short["match_4"] is None
    assert short["coverage_0.5"] is not None
    shorter = measures.evaluate(REAL[:HALF], REAL[:HALF], RATE)
    assert shorter["frechet_0.5"] is None
    assert shorter["copied_share"] == 1
    assert measures.anchors(REAL[: HALF + 10], RATE)["halves"] == {}
    with pytest.raises(spectra.MeasureError, match="fake is 0.25 s long"):
        measures.evaluate(REAL, REAL[: HALF // 2], RATE)


def test_sliced_wasserstein_of_a_shift_is_its_square():
    """On every line a shift d moves the cloud by d cos; the mean of its square is |d|^2 / dimensions."""
    random = np.random.default_rng(0)
    cloud, shift = random.standard_normal((300, 4)), np.array([3.0, 0, 4, 0])
    directions = random.standard_normal((4, 20000))
    directions /= np.linalg.norm(directions, axis=0)
    squares = distributions._wasserstein_squared(cloud @ directions, (cloud + shift) @ directions)
    np.testing.assert_allclose(squares, (shift @ directions) ** 2)
    assert 4 * squares.mean() == pytest.approx(25, rel=0.03)


def test_wasserstein_is_exact_for_samples_of_different_size():
    """{0, 6} against {0, 3, 6}: the third at 3 comes from both sides, 1/6 of the mass from each."""
    squares = distributions._wasserstein_squared(np.array([[6.0], [0.0]]), np.array([[3.0], [6.0], [0.0]]))
    assert squares[0] == pytest.approx(2 / 6 * 9)


def test_coverage_is_the_share_of_the_clip_that_is_played():
    """A fake that holds only the first part of a clip whose parts differ covers that part alone."""
    high = played(6, notes=(880, 988, 1175), seed=1)
    low = played(6, notes=(98, 110, 123), seed=2)
    real = np.concatenate([low, high])
    assert distributions.coverage(real, played(6, notes=(98, 110, 123), seed=5), RATE) == pytest.approx(
        0.5, abs=0.1
    )
    both = np.concatenate(
        [played(6, notes=(98, 110, 123), seed=5), played(6, notes=(880, 988, 1175), seed=6)]
    )
    assert distributions.coverage(real, both, RATE) > 0.85


def test_a_hiss_where_the_clip_is_quiet_counts():
    low = played(notes=(98, 110, 123))
    low = signal.sosfiltfilt(signal.butter(8, 1000, fs=RATE, output="sos"), low).astype(np.float32)
    hiss = signal.sosfiltfilt(signal.butter(8, 4000, "high", fs=RATE, output="sos"), white())
    hissing = low + 0.1 * hiss
    assert distributions.sliced_wasserstein(low, hissing, RATE) > 0.1
    assert distributions.coverage(low, hissing, RATE) < 0.1


@pytest.mark.parametrize("piece", [0.5, 2.0])
def test_of_a_shuffled_clip_the_longest_run_is_a_piece(piece):
    """Up to a window and a hop more or less: joints need not fall on the grid of windows."""
    run = measures.evaluate(REAL, shuffled(piece), RATE)["longest_run"]
    assert run == pytest.approx(piece, abs=0.2)


def test_matches_find_pieces_as_long_as_they_are():
    """In a clip of shuffled pieces of 2 s every stretch of 0.25 s is a copy, and none of 4 s."""
    near = {seconds: copying.match(REAL, shuffled(2.0), RATE, seconds=seconds) for seconds in (0.25, 1, 4)}
    assert near[0.25] < 1
    assert near[1] < 1
    assert near[4] > 4


def test_a_match_is_found_whatever_surrounds_it_at_whatever_level():
    """Ten seconds of noise with 2 s of the clip in it, upside down, softer and from between two frames."""
    fake = white(10, seed=3)
    assert copying.match(REAL, fake, RATE, seconds=1.0) > 10
    softer = 0.6 * spectra.rms(fake) / spectra.rms(REAL)
    fake[5 * RATE : 7 * RATE] = -softer * REAL[3 * RATE + 131 : 5 * RATE + 131]
    assert copying.match(REAL, fake, RATE, seconds=1.0) < 4
    assert copying.match(REAL, fake, RATE, seconds=4.0) > 10


def test_nearest_is_that_of_plain_sliding():
    random = np.random.default_rng(0)
    real, fake = random.standard_normal((4, 50)), random.standard_normal((4, 30))
    starts = np.array([0, 3, 20])
    slid = np.lib.stride_tricks.sliding_window_view(real, 10, axis=1)
    apart = [slid - fake[:, None, start : start + 10] for start in starts]
    np.testing.assert_allclose(
        copying._nearest(real, fake, starts, 10), [one.std(axis=(0, 2)).min() for one in apart]
    )
    assert copying._nearest(real, fake + 7, starts[:1], 10) == pytest.approx(
        min(np.hypot(one.std(), abs(7 - one.mean()) - 6) for one in apart[0].swapaxes(0, 1))
    )


def test_long_clips_are_taken_in_parts_without_a_trace(monkeypatch):
    expected = measures.evaluate(REAL, played(seed=2), RATE)
    for module in (spectra, copying):
        monkeypatch.setattr(module, "WINDOWS_AT_ONCE", 30)
    for module in (distributions, copying):
        monkeypatch.setattr(module, "DISTANCES_AT_ONCE", 30)
    monkeypatch.setattr(harmony, "PEAK_FRAMES_AT_ONCE", 30)
    assert measures.evaluate(REAL, played(seed=2), RATE) == pytest.approx(expected, rel=1e-5)


def test_diversity_is_of_each_clip():
    clips = [REAL, REAL, white()]
    each = measures.diversities(clips, RATE)
    assert each == pytest.approx([0.5, 0.5, 1])
    assert measures.diversities([REAL], RATE) == [None]


@pytest.mark.parametrize("tempo", [70, 96, 133, 180])
def test_tempo_is_found(tempo):
    said = rhythm.tempo(beat(tempo), RATE)
    assert min(abs(said * level / tempo - 1) for level in (0.5, 1, 2)) < 0.02


def test_tempo_error_forgives_halves_and_doubles_only():
    assert rhythm.tempo_error(beat(80), beat(160, seed=1), RATE) < 2
    assert rhythm.tempo_error(beat(150), beat(75, seed=1), RATE) < 2
    assert rhythm.tempo_error(beat(120), beat(132, seed=1), RATE) == pytest.approx(10, abs=2)


def test_a_clip_shorter_than_two_slow_beats_has_no_tempo():
    assert measures.tempo(REAL[: 2 * RATE], RATE) is None


def test_chroma_names_the_notes():
    """A minor: A, C and E, C at the list's head."""
    shares = harmony.chroma(chord([220, 261.63, 329.63]), RATE)
    assert set(np.argsort(shares)[-3:]) == {0, 4, 9}
    assert shares[[0, 4, 9]].sum() > 0.9


def test_chroma_distance_tells_a_transposition_and_not_an_octave():
    real = chord([220, 261.63, 329.63])
    semitone = 2 ** (1 / 12)
    octave = harmony.chroma_distance(real, chord([440, 523.25, 659.26]), RATE)
    transposed = harmony.chroma_distance(
        real, chord([220 * semitone, 261.63 * semitone, 329.63 * semitone]), RATE
    )
    assert octave < 0.1
    assert transposed > 0.9


@pytest.mark.parametrize(("gain", "low", "high"), [(0.1, -21, -12), (1, -0.5, 0.5), (4, 9, 13)])
def test_an_edge_shows_as_a_hole_or_a_ridge(gain, low, high):
    """Noise whose band of 1800 to 2200 Hz is turned down by 20 dB, left, or turned up by 12 dB."""
    band = signal.sosfiltfilt(signal.butter(6, (1800, 2200), "band", fs=RATE, output="sos"), white())
    fake = white() + (gain - 1) * band
    assert low < artefacts.edge(white(seed=7), fake, RATE, hz=2000) < high
    assert abs(artefacts.edge(white(seed=7), fake, RATE, hz=500)) < 1.5


def test_a_hole_that_the_real_clip_has_too_is_none():
    band = signal.sosfiltfilt(signal.butter(6, (1800, 2200), "band", fs=RATE, output="sos"), white())
    assert artefacts.edge(white() - band, white() - band, RATE, hz=2000) == 0


def test_edges_are_those_with_room_above_them():
    assert measures.edges((1000, 4000, 16000), 16000) == [500, 2000]
    assert measures.edges((1000, 4000, 16000), 44100) == [500, 2000, 8000]
    assert measures.edges((1000, 4000, 16000), 2000) == [500]
    with pytest.raises(spectra.TooShortError):
        artefacts.edge(REAL, REAL, RATE, hz=8000)


def test_clicks_are_counted_and_music_has_none():
    assert artefacts.clicks(REAL, RATE) == 0
    assert artefacts.clicks(white(), RATE) == 0
    clicked = chord([220, 277], seconds=6.0)
    assert artefacts.clicks(clicked, RATE) == 0
    clicked[[10000, 30000, 50000]] += 0.5
    assert artefacts.clicks(clicked, RATE) == pytest.approx(60 * 3 / 6)


def test_a_joint_is_a_click_and_an_attack_is_none():
    tone = np.sin(2 * np.pi * 220 * np.arange(4 * RATE) / RATE) + 1e-4 * white(4.0)
    joined = tone.copy()
    joined[2 * RATE :] *= -0.5
    joined[2 * RATE :] += 0.4
    assert artefacts.clicks(joined, RATE) == pytest.approx(15)
    struck = tone.copy()
    struck[2 * RATE : 2 * RATE + 800] += 0.5 * np.random.default_rng(0).standard_normal(800)
    assert artefacts.clicks(struck, RATE) == 0


def test_a_gap_is_measured_by_its_length():
    gap = REAL.copy()
    gap[4 * RATE : 5 * RATE + HALF] = 0
    before, after = artefacts.silence(REAL, RATE), artefacts.silence(gap, RATE)
    assert after["longest"] == pytest.approx(1.5, abs=0.11)
    assert after["share"] - before["share"] == pytest.approx(1.5 / 12, abs=0.02)
    assert artefacts.silence(white(), RATE) == {"share": 0.0, "longest": 0.0}


@pytest.mark.parametrize("tonic", range(12))
@pytest.mark.parametrize("mode", ["major", "minor"])
def test_a_cadence_tells_its_key(tonic, mode):
    """Tonic, subdominant, dominant, tonic: triads of the key, from C4 up."""
    third = 4 if mode == "major" else 3
    triads = [(0, third, 7), (5, 5 + third, 12), (7, 11, 14), (0, third, 7)]
    notes = [[261.63 * 2 ** ((tonic + step) / 12) for step in triad] for triad in triads]
    assert harmony.key(np.concatenate([chord(triad) for triad in notes]), RATE) == (tonic, mode)


def test_all_twelve_notes_alike_have_no_key():
    assert harmony.key(chord([261.63 * 2 ** (step / 12) for step in range(12)]), RATE) is None
