import json
import os
import stat

import numpy as np
import pytest
import soundfile

from caw import audio
from study.preparation import audit, properties
from study.preparation.audit import Heard, LeakError
from study.preparation.blinding import even_out_times, new_ids

RATE = 16000


def clean_set(folder, *, reals=2, fakes=8, seed=0, suffix=".wav", change=None, seconds=1.0):
    """Files that differ in nothing but their noise; `change(samples, real)` plants a leak in the sound."""
    dice = np.random.default_rng(seed)
    real = dice.permutation([True] * reals + [False] * fakes)
    clips = []
    for name, is_real in zip(new_ids(reals + fakes), real, strict=True):
        samples = 0.05 * dice.standard_normal(round(RATE * seconds))
        samples = change(samples, is_real) if change else samples
        audio.write(folder / f"{name}{suffix}", samples, RATE, subtype="PCM_16")
        clips.append(Heard(folder / f"{name}{suffix}", bool(is_real)))
    for heard in clips:
        even_out_times(heard.file)
    return clips


def verdicts(found: audit.Audit) -> dict[str, str]:
    return {finding.property.split(" (")[0]: finding.verdict for finding in found.findings}


@pytest.mark.parametrize("suffix", [".wav", ".flac"])
def test_clean_sets_have_no_leak(tmp_path, suffix):
    found = audit.run({"UMG": clean_set(tmp_path, suffix=suffix)})
    found.require_no_leak()
    assert not found.leaks
    assert {finding.verdict for finding in found.findings if finding.kind == "format"} == {"same"}


def planted_rate(file):
    samples, _ = soundfile.read(file)
    audio.write(file, samples, 22050, subtype="PCM_16")


def planted_bits(file):
    samples, rate = soundfile.read(file)
    audio.write(file, samples, rate, subtype="PCM_24")


def planted_channels(file):
    samples, rate = soundfile.read(file)
    audio.write(file, np.stack([samples, samples]), rate, subtype="PCM_16")


def planted_length(file):
    samples, rate = soundfile.read(file)
    audio.write(file, samples[:-1], rate, subtype="PCM_16")


def planted_tag(file):
    content = bytearray(file.read_bytes())
    content += b"LIST" + (8).to_bytes(4, "little") + b"INFOfake"
    content[4:8] = (len(content) - 8).to_bytes(4, "little")
    file.write_bytes(content)


def planted_tail(file):
    file.write_bytes(file.read_bytes() + b"fake")


def planted_mode(file):
    file.chmod(0o640)


@pytest.mark.parametrize(
    ("plant", "seen"),
    [
        (planted_rate, "rate"),
        (planted_bits, "coding"),
        (planted_channels, "channels"),
        (planted_length, "samples"),
        (planted_tag, "chunks"),
        (planted_tail, "chunks"),
        (planted_mode, "permissions"),
    ],
)
def test_each_planted_leak_of_the_format_is_found(tmp_path, plant, seen):
    clips = clean_set(tmp_path)
    for heard in clips:
        if not heard.real:
            plant(heard.file)
        even_out_times(heard.file)
    found = audit.run({"UMG": clips})
    assert verdicts(found)[seen] == "leak"
    with pytest.raises(LeakError, match=r"differs in all sets: .* real, .* fake.*; "):
        found.require_no_leak()


def test_times_and_names_are_looked_at(tmp_path):
    clips = clean_set(tmp_path)
    os.utime(clips[0].file, (1, 1))
    longer = clips[1].file.rename(tmp_path / f"x{clips[1].file.name}")
    found = audit.run({"UMG": [*clips[:1], Heard(longer, clips[1].real), *clips[2:]]})
    assert {"changed", "name length"} <= {leak.property.split(" (")[0] for leak in found.leaks}


def test_practice_must_share_the_format(tmp_path):
    clips = clean_set(tmp_path)
    planted_length(clips[0].file)
    even_out_times(clips[0].file)
    assert audit.run({"UMG": clips[1:]}, practice=clips[:1]).leaks


def low_band(samples, real):
    spectrum = np.fft.rfft(samples)
    if real:
        spectrum[len(spectrum) // 2 :] = 0
    return np.fft.irfft(spectrum, len(samples))


@pytest.mark.parametrize(
    ("change", "seen"),
    [
        (low_band, "bandwidth"),
        (lambda samples, real: samples * (0.7 if real else 1.0), "loudness"),
        (lambda samples, real: samples + (0.01 if real else 0.0), "offset"),
        (
            lambda samples, real: np.where(np.arange(len(samples)) < 2000 * real, 0, samples),
            "leading silence",
        ),
        (
            lambda samples, real: np.where(np.arange(len(samples)) > 15000 + 900 * real, 0, samples),
            "trailing silence",
        ),
        (lambda samples, real: np.clip(samples * (9 if real else 1), -1, 1), "clipped samples"),
    ],
)
def test_each_planted_difference_of_the_sound_is_found_and_noted(tmp_path, change, seen):
    few = audit.run({"UMG": clean_set(tmp_path, change=change)})
    assert verdicts(few)[seen] == "hint"  # 2 real of 10: p = .044 at best
    assert any(seen in note and "by chance" in note for note in few.notes())
    assert any("no property can be significant" in note for note in few.notes())
    few.require_no_leak()
    (tmp_path / "more").mkdir()
    many = audit.run(
        {"UMG": clean_set(tmp_path / "more", reals=8, fakes=12, change=change, seconds=0.5 + 0.5)}
    )
    assert verdicts(many)[seen] == "separates"
    assert many.classifications[0].p < 0.05


def test_false_alarms_on_clean_sets_stay_at_the_nominal_level(tmp_path):
    alarms = 0
    for seed in range(20):
        (tmp_path / str(seed)).mkdir()
        clips = clean_set(tmp_path / str(seed), reals=5, fakes=5, seed=seed, seconds=0.5)
        found = audit.run({"UMG": clips})
        alarms += any(finding.verdict == "separates" for finding in found.findings)
    assert alarms <= 4  # P(more than 4 of 20 at .05) = .003


def test_one_kind_of_clip_is_nothing_to_tell_apart(tmp_path):
    found = audit.run({"UMG": clean_set(tmp_path, reals=0)})
    assert not found.leaks
    assert found.notes() == ["UMG: all clips are fake: there is nothing to tell apart"]


def test_one_real_clip_among_few_gives_no_hints(tmp_path):
    found = audit.run({"VAR": clean_set(tmp_path, reals=1, fakes=4)})
    assert found.separations == []
    assert found.classifications[0].accuracy is None


def test_tables_are_written_for_the_owner_alone(tmp_path):
    (tmp_path / "clips").mkdir()
    found = audit.run({"UMG": clean_set(tmp_path / "clips")})
    audit.write(found, tmp_path / "audit")
    for name in ("audit.json", "audit.csv"):
        assert stat.S_IMODE((tmp_path / "audit" / name).stat().st_mode) == 0o600
    content = json.loads((tmp_path / "audit" / "audit.json").read_text())
    assert len(content["findings"]) == len(found.findings)
    assert content["classifier"][0]["smallest_p"] == pytest.approx(1 / 45)
    assert audit.as_table(found).row_count == 2 + len(properties.CONTENT)


def test_metadata_of_flac_is_seen(tmp_path):
    file = tmp_path / "abcdefgh.flac"
    with soundfile.SoundFile(file, "w", RATE, 1, "PCM_16") as made:
        made.title = "fake"
        made.write(np.zeros(100))
    assert properties.chunks(file) != ""
