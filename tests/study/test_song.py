"""The bundled song: what the demo needs of it, and that the file is what its composer makes."""

from importlib.resources import files

import librosa
import numpy as np
import pyloudnorm
import pytest
from scipy import signal

from caw import audio
from study.data import band, compose_song

SONG = files("study") / "data" / "song.flac"
LOUD, QUIET = ("chorus 1", "chorus 2", "solo", "chorus 3"), ("verse 1", "verse 2", "bridge")


@pytest.fixture(scope="module")
def song():
    return audio.read(SONG)


@pytest.fixture(scope="module")
def score():
    return compose_song.compose()


@pytest.fixture(scope="module")
def sections(score, song):
    """The sound of each section."""
    samples, rate = song
    found = {bar.section: [] for bar in score.bars}
    for bar in score.bars:
        end = bar.start + bar.steps * 15 / bar.tempo
        found[bar.section].append(samples[round(bar.start * rate) : round(end * rate)])
    return {name: np.concatenate(bars) for name, bars in found.items()}


def test_the_file_is_small_whole_and_never_silent(song, score):
    samples, rate = song
    assert rate == band.OUT
    assert samples.size == round(score.seconds * rate)
    assert 195 < score.seconds < 210
    over = signal.resample_poly(samples, 4, 1)
    assert audio.peak_db(over) < -1
    assert abs(float(samples.mean())) < 1e-3
    seconds = samples[: samples.size // rate * rate].reshape(-1, rate)
    assert min(10 * np.log10(np.mean(second**2)) for second in seconds) > -40
    assert SONG.stat().st_size < 3_000_000


def test_it_begins_as_it_is_composed(song, score):
    """The rest is rendered alike; rendering takes about a fifth of the song's length."""
    made = band.render(score, 7.0)[: round(6.9 * band.OUT)]
    assert np.abs(made - song[0][: len(made)]).max() < 0.51 * band.DEPTH


def test_it_is_played_alike_each_time(score):
    again = compose_song.compose()
    assert (again.bars, again.notes) == (score.bars, score.notes)


def test_it_has_a_song_s_form_in_three_metres(score):
    order = list(dict.fromkeys(bar.section for bar in score.bars))
    middle = ["verse 1", "rise 1", "chorus 1", "link", "verse 2", "rise 2", "chorus 2", "bridge", "solo"]
    assert order == ["intro", *middle, "chorus 3", "ending"]
    metres = {bar.section: bar.steps for bar in score.bars}
    assert {metres[name] for name in ("intro", "verse 1", "verse 2", "solo")} == {14}
    assert {metres[f"chorus {number}"] for number in (1, 2, 3)} == {16}
    assert metres["bridge"] == 20


def test_hand_written_bars_have_the_steps_of_their_metre():
    def steps(words):
        return sum(int(word.split(":")[-1] if ":" in word else word[-1]) for word in words.split())

    assert {steps(bar) for bar in compose_song.RIFF} == {14}
    assert {steps(bar) for bar in compose_song.STROKES} == {16}
    assert {steps(hum) for hum in compose_song.HUMS} == {4 * 14}
    assert {steps(tune) for tune in compose_song.TUNES} == {8 * 16}
    assert steps(compose_song.ARIA) == 12 * 20
    for bars, count in ((compose_song.SEVENS, 14), (compose_song.FOURS, 16), (compose_song.FIVES, 20)):
        assert {len(line) for bar in bars for line in bar} == {count}


def test_verses_are_quiet_and_choruses_loud(sections, song):
    meter = pyloudnorm.Meter(song[1])
    loudness = {name: meter.integrated_loudness(sections[name]) for name in (*LOUD, *QUIET)}
    assert min(loudness[name] for name in LOUD) > max(loudness[name] for name in QUIET) + 2
    assert loudness["chorus 1"] > loudness["verse 1"] + 6


@pytest.mark.parametrize("section", [*LOUD, *QUIET])
def test_the_beat_is_in_the_sound(sections, song, score, section):
    """Attacks come again after a bar, and not a sixteenth before or after it."""
    samples, rate = sections[section], song[1]
    bars = [bar for bar in score.bars if bar.section == section]
    rise = librosa.onset.onset_strength(y=samples, sr=rate, hop_length=rate // 100)
    rise = rise - rise.mean()
    sixteenth = samples.size / rate / sum(bar.steps for bar in bars)

    def likeness(steps):
        lag = round(100 * sixteenth * steps)
        return max(float(rise[:-k] @ rise[k:] / (rise @ rise)) for k in range(lag - 2, lag + 3))

    steps = bars[0].steps
    assert likeness(steps) > 0.4
    assert max(likeness(steps - 1), likeness(steps + 1)) < 0.2


def test_no_section_is_another_one_again(sections, song):
    """Choruses are played anew: their last 10 s are other waveforms, at whatever lag, than any section's."""
    ends = [sections[name][-10 * song[1] :] for name in (*LOUD, *QUIET)]
    for number, one in enumerate(ends):
        for other in ends[:number]:
            both = np.abs(signal.correlate(one, other, method="fft")).max()
            assert both / np.sqrt(np.sum(one**2) * np.sum(other**2)) < 0.2
