import numpy as np
import pytest

from caw import audio
from study.audit import audit, repetition, tables
from study.audit.audit import AuditedFile
from tests.study.conftest import music

RATE = 16000


@pytest.fixture
def write(tmp_path):
    """Writes sound [n] at RATE as a stimulus, with fades, dither and 16 bits; returns the file."""

    def make(name: str, samples: np.ndarray, gain: float = 0.5):
        dice = np.random.default_rng(len(name) + int(1e6 * abs(samples[100])))
        faded = samples * np.minimum(
            1, np.minimum(np.arange(len(samples)), np.arange(len(samples))[::-1]) / 160
        )
        steps = np.rint(gain * faded * 2**15 + dice.random(len(samples)) - dice.random(len(samples)))
        audio.write(tmp_path / f"{name}.wav", steps / 2**15, RATE, subtype="PCM_16")
        return tmp_path / f"{name}.wav"

    return make


@pytest.fixture(scope="module")
def piece():
    return np.concatenate([music(2.0, RATE, seed=100 + part) for part in range(20)])


def shared(files) -> dict[tuple[str, str], float]:
    return {(pair.first.stem, pair.second.stem): pair.seconds for pair in repetition.find(files)}


def second(place: float) -> int:
    return round(place * RATE)


@pytest.mark.parametrize("gain", [0.5, 0.2, -0.4])
def test_an_overlap_is_measured_whatever_gain_polarity_and_fraction_of_a_sample(write, piece, gain):
    first = write("first", piece[: second(6)])
    between = audio.resample(piece[second(4) : second(10)], RATE, 44100)  # not at a sample of the first
    again = write("again", audio.resample(between[7:], 44100, RATE), gain)
    other = write("other", piece[second(20) : second(26)])
    result = shared([first, again, other])
    assert list(result) == [("again", "first")]
    assert result["again", "first"] == pytest.approx(2.0, abs=0.15)


def test_what_is_shared_in_the_middle_and_in_clips_of_other_lengths_and_rates_is_measured(
    write, piece, tmp_path
):
    quote = piece[second(30) : second(32.5)]
    whole = write("whole", np.concatenate([piece[: second(3)], quote, piece[second(3) : second(5)]]))
    quoting = audio.resample(np.concatenate([piece[second(10) : second(12)], quote]), RATE, 22050)
    audio.write(tmp_path / "quoting.wav", quoting * 0.5, 22050, subtype="PCM_16")
    result = shared([whole, tmp_path / "quoting.wav"])
    assert result["quoting", "whole"] == pytest.approx(2.5, abs=0.15)


def test_other_notes_of_one_instrument_and_noise_are_not_the_same_sound(write):
    files = [write(f"clip{seed}", music(4.0, RATE, seed=seed)) for seed in range(6)]
    dice = np.random.default_rng(5)
    files += [write(f"noise{seed}", 0.2 * dice.standard_normal(second(4)).clip(-3, 3)) for seed in range(3)]
    assert shared(files) == {}


def test_silence_is_nothing_to_share(write, piece):
    quiet = np.zeros(second(3))
    files = [
        write("a", np.concatenate([piece[: second(2)], quiet])),
        write("b", np.concatenate([piece[second(10) : second(12)], quiet])),
    ]
    assert shared(files) == {}


def two_sets(write, piece, starts: dict[bool, list[float]]) -> dict[str, list[AuditedFile]]:
    """Two sets of 2 s clips: real ones from those seconds of the piece, fakes of other music."""
    sets: dict[str, list[AuditedFile]] = {"UMG": [], "VAR": []}
    for number, (name, real) in enumerate((name, real) for name in sets for real in [True] * 2 + [False] * 5):
        start = starts[real][number % 7 % len(starts[real])] if starts[real] else None
        sound = music(2.0, RATE, seed=50 + number)
        if start is not None:
            sound = piece[second(start) : second(start + 2)]
        sets[name].append(AuditedFile(write(f"{'abcdefghijklmnop'[number]}2345678", sound), real))
    return sets


@pytest.mark.slow
def test_originals_that_repeat_are_a_leak_with_how_long_and_its_fix(write, piece):
    result = audit.run(two_sets(write, piece, {True: [1.0, 1.6], False: []}))
    leak = next(leak for leak in result.leaks if leak.property == "repetition (s)")
    assert (leak.noticed_by, leak.fake) == ("listener", "0")
    assert "stimuli.accept" in leak.fix
    assert "a listener can notice repetition (s)" in tables.verdict_line(result)
    assert any("a2345678 and b2345678 share 1.4 s" in note for note in result.notes())
    accepted = audit.run(two_sets(write, piece, {True: [1.0, 1.6], False: []}), accept=["repetition"])
    assert "repetition (s)" not in {leak.property for leak in accepted.leaks}
    assert not [note for note in accepted.notes() if "a2345678" in note], "the pairs would tell the originals"
    assert accepted.named_repeats == []


def test_repetition_of_both_kinds_is_a_note_with_the_pairs(write, piece, tmp_path):
    starts = {True: [1.0, 12.0], False: [1.4, 12.4, 20.0, 30.0, 35.0]}
    result = audit.run(two_sets(write, piece, starts))
    assert "repetition (s)" not in {leak.property for leak in result.leaks}
    assert any(note.startswith("repetition: ") and "share" in note for note in result.notes())
    tables.write(result, tmp_path / "audit")
    page = (tmp_path / "audit" / "index.html").read_text()
    assert "Shared stretches" in page
    assert result.repeats[0].first.stem in page


def test_practice_that_holds_a_clip_of_a_set_counts(write, piece):
    sets = two_sets(write, piece, {True: [1.0, 12.0], False: []})
    practice = [AuditedFile(write("z2345678", piece[second(0.5) : second(2.5)]), True)]
    repeats = audit.run(sets, practice).repeats
    assert ("a2345678", "z2345678") in {(pair.first.stem, pair.second.stem) for pair in repeats}
