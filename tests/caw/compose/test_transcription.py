"""What is heard in clips whose tempo, metre, chords and loudness are known, and in clips without a beat."""

import numpy as np
import pytest

from caw.compose import chords, transcription
from caw.compose.plan import PlanError
from tests.caw import band

RATE = 16000
PROGRESSIONS = ("Em C G D", "Am F Gb B", "Bbm Eb7 Ab Db", "F#m D A E")


def progression(line: str, *, bpm: float, beats: int = 4, bars: int = 8, halves: bool = False, rate=RATE):
    """Samples [n] of chords with four partials over their bass, struck on every beat, with a kick a bar."""
    dice, period = np.random.default_rng(0), 60 / bpm
    time = np.arange(round(period * rate)) / rate
    sound = 0.002 * dice.standard_normal(round(bars * beats * period * rate))
    names = line.split()
    for beat in range(bars * beats):
        bar, place = divmod(beat, beats)
        index = 2 * bar + (place >= beats / 2) if halves else bar
        chord = chords.parse(names[index % len(names)])
        numbers = [40 + (chord.bass - 40) % 12, *(60 + (pitch - 60) % 12 for pitch in chord.pitch_classes)]
        wave = np.zeros(len(time))
        for number in numbers:
            for partial in range(1, 5):
                hz = partial * 440 * 2 ** ((number - 69) / 12)
                wave += 0.6**partial * np.sin(2 * np.pi * hz * time)
        wave *= 0.1 * np.exp(-3 * time)
        if place == 0:
            wave += 0.4 * np.sin(2 * np.pi * 55 * time) * np.exp(-20 * time)
        wave[:400] += 0.05 * dice.standard_normal(400) * np.exp(-np.arange(400) / 80)
        first = round(beat * period * rate)
        sound[first : first + len(wave)] += wave[: len(sound) - first]
    return sound.astype(np.float32)


def share_right(found, wanted) -> float:
    """Of bars, with the chord of a seventh read as its triad."""
    triads = [set(chords.parse(name).pitch_classes) for name in found]
    return float(
        np.mean([a <= set(chords.parse(b).pitch_classes) for a, b in zip(triads, wanted, strict=True)])
    )


@pytest.mark.parametrize("line", PROGRESSIONS)
def test_chords_of_rendered_progressions_are_recognised(line):
    samples = progression(line, bpm=120, bars=4)
    found, certainty = chords.recognise(transcription.chroma(samples, RATE, np.arange(17) * 0.5))
    assert share_right([chord.label for chord in found], np.repeat(line.split(), 4)) >= 15 / 16
    assert certainty.mean() > 0.8


def test_certainty_is_near_none_where_nothing_is_to_be_heard():
    noise = np.random.default_rng(0).standard_normal(10 * RATE).astype(np.float32)
    for sound in (noise, np.zeros_like(noise)):
        found, certainty = chords.recognise(transcription.chroma(sound, RATE, np.arange(0, 10, 0.5)))
        assert certainty.max() < 0.15
        assert np.mean([chord.root is None for chord in found]) >= 0.8
    found, certainty = chords.recognise(np.ones((5, 12)))
    assert [chord.label for chord in found] == ["N"] * 5
    assert certainty.max() == 0


@pytest.mark.parametrize(
    ("line", "key"),
    [("Fm C# Ab Eb", "Fm Db Ab Eb"), ("B Abm E F#5", "B G#m E F#5"), ("Am F C N", "Am F C N"), ("N", "N")],
)
def test_recognised_chords_are_spelled_in_their_key(line, key):
    found = [chords.parse(name) for name in line.split()]
    spelled = chords.spelled(found)
    assert " ".join(chord.label for chord in spelled) == key
    assert [chord.root for chord in spelled] == [chord.root for chord in found]


@pytest.mark.parametrize("shape", [(12,), (4, 11)])
def test_chroma_of_another_shape_is_refused(shape):
    with pytest.raises(ValueError, match="use \\[n, 12\\]"):
        chords.recognise(np.ones(shape))


def test_chroma_of_nothing_is_no_chord():
    assert chords.recognise(np.ones((0, 12)))[0] == []


def test_templates_are_recognised_as_themselves_whatever_their_scale():
    names = ["C", "C", "Em", "Em", "F#5", "F#5", "Bbm", "N"]
    chroma = np.array([chords.parse(name).template() for name in names]) * np.logspace(-3, 3, 8)[:, None]
    assert [chord.label for chord in chords.recognise(chroma)[0]] == names


@pytest.fixture(scope="module")
def heard():
    """A song of two chords a bar, in 4/4 at 110, its second half at half the level."""
    samples = progression("Em Em C D G G Am B", bpm=110, bars=8, halves=True)
    samples[len(samples) // 2 :] *= 0.5
    return transcription.transcribe(samples, RATE, source="song.wav")


def test_a_plan_is_heard(heard):
    assert heard.bpm == pytest.approx(110, rel=0.005)
    assert heard.metre == "4/4"
    assert heard.heard.source == "song.wav"
    assert heard.times() == pytest.approx(np.arange(len(heard.bars())) * 240 / 110, abs=0.03)
    assert [bar.chords for bar in heard.bars()][:4] == [("Em",), ("C", "D"), ("G",), ("Am", "B")]
    assert heard.heard.tempo > 0.8
    assert heard.heard.metre > 0.4  # half of the changes are at bar lines
    assert len(heard.heard.chords) == len(heard.bars())


def test_a_section_that_comes_back_is_written_once(heard):
    assert heard.form == ("A", "A")
    assert len(heard.sections[0].bars) == 4


def test_loudness_is_averaged_where_a_section_comes_back(heard):
    assert heard.sections[0].bars[0].loudness == pytest.approx(-1.0, abs=0.5)  # 0 and -6 dB, over their mean


@pytest.mark.parametrize(("tempo", "beats"), [(120, 4), (100, 3), (140, 5)])
def test_metres_of_a_band_are_heard(tempo, beats):
    samples, times = band.band(tempo, beats)
    plan = transcription.transcribe(samples, band.RATE)
    assert plan.metre == f"{beats}/4"
    assert {bar.metre for bar in plan.bars()} == {plan.metre}
    wanted = [("A", "D", "E", "F#m")[k % 4] for k in range(len(plan.bars()))]
    assert [bar.chords for bar in plan.bars()] == [(name,) for name in wanted]
    assert plan.times() == pytest.approx(times[::beats][: len(plan.bars())], abs=0.03)
    assert {bar.loudness for bar in plan.bars()} == {None}  # as loud throughout


def test_bars_of_seven_eighths_are_heard_where_they_are_named():
    samples = progression("Em C G D", bpm=220, beats=7, bars=8)
    plan = transcription.transcribe(samples, RATE, bpm=110, metre="7/8")
    assert {bar.metre for bar in plan.bars()} == {"7/8"}
    assert [bar.chords for bar in plan.bars()][:4] == [("Em",), ("C",), ("G",), ("D",)]
    with pytest.raises(PlanError, match="metre '7/9'"):
        transcription.transcribe(samples, RATE, metre="7/9")


def test_without_a_beat_the_plan_says_so_and_asks_for_nothing():
    for samples in (band.plucks(), np.zeros(5 * RATE, np.float32)):
        plan = transcription.transcribe(np.stack([samples, samples]), RATE)
        assert (plan.bpm, plan.beats, plan.sections) == (None, None, ())
        assert plan.heard.remarks[0].startswith("no clear beat")
