"""Clips laid side by side: what the pictures show of sound that is known, and what bad input is told."""

import base64
import hashlib
import json
import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np
import pytest
import soundfile

from analysis.sounds import comparison, comparison_page, pictures
from analysis.sounds import comparison_charts as plots
from analysis.sounds.comparison import ComparisonError
from caw import audio
from caw.measures.spectra import MeasureError

RATE = 8000


def tone(hz: float, seconds: float, rate: int = RATE, level: float = 0.5) -> np.ndarray:
    return (level * np.sin(2 * np.pi * hz * np.arange(round(seconds * rate)) / rate)).astype(np.float32)


def clicks(bpm: float, seconds: float, rate: int = RATE) -> np.ndarray:
    """Short bursts of noise at a steady tempo over a faint floor."""
    dice = np.random.default_rng(1)
    x = 1e-3 * dice.standard_normal(round(seconds * rate))
    for place in np.arange(0, seconds - 0.03, 60 / bpm):
        at = round(place * rate)
        x[at : at + 160] += 0.5 * dice.standard_normal(160) * np.hanning(160)
    return x.astype(np.float32)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """An original and two clips: soft at another rate, and loud, stereo and short."""
    folder = tmp_path_factory.mktemp("sounds")
    soundfile.write(folder / "source.wav", clicks(120, 6, 16000), 16000)
    soundfile.write(folder / "soft.wav", 0.1 * clicks(120, 8), RATE)
    soundfile.write(folder / "short.wav", np.stack([tone(1000, 1.2)] * 2, axis=1), RATE)
    return folder


@pytest.fixture(scope="module")
def found(files):
    return comparison.load(files / "source.wav", [files / "soft.wav", files / "short.wav"])


def test_a_sine_peaks_at_its_frequency_with_its_level():
    spectrum = pictures.long_term_spectrum(tone(1000, 2), RATE)
    peak = spectrum.loc[spectrum["level"].idxmax()]
    assert peak["frequency"] == pytest.approx(1000)
    assert peak["level"] == pytest.approx(20 * np.log10(0.5) - 3.01, abs=0.05)
    others = spectrum[np.abs(np.log2(spectrum["frequency"] / 1000)) > 0.25]
    assert others["level"].max() < peak["level"] - 40


@pytest.mark.parametrize("hz", [250, 500, 2000])
def test_the_mel_spectrogram_is_brightest_at_the_tone(hz):
    grid = pictures.mel_spectrogram(tone(hz, 2), RATE)
    brightest = grid.rows[grid.values.mean(axis=1).argmax()]
    assert abs(brightest - hz) < np.diff(grid.rows).max()
    assert grid.seconds == 2


@pytest.mark.parametrize("bpm", [75, 120, 160])
def test_the_tempogram_of_clicks_is_strongest_at_their_tempo(bpm):
    grid = pictures.tempogram(clicks(bpm, 20), RATE)
    assert pictures.strongest_tempo(grid) == pytest.approx(bpm, rel=0.025)
    assert 0 <= grid.values.min() <= grid.values.max() <= 1


def test_onsets_rise_where_the_clicks_are():
    envelope = pictures.onset_envelope(clicks(60, 5), RATE)
    strong = envelope["time"][envelope["rise"] > envelope["rise"].max() / 2]
    assert np.abs(strong - strong.round()).max() < 0.06
    assert len(set(strong.round())) >= 4


def test_the_waveform_keeps_peaks_however_long_the_clip():
    x = np.zeros(100_000, np.float32)
    x[77_777] = 0.9
    assert pictures.waveform(x, RATE)["high"].max() == pytest.approx(0.9)


def test_all_are_brought_to_the_lowest_rate_and_one_loudness(found):
    assert found.rate == RATE
    assert [sound.rate for sound in found.sounds] == [RATE] * 3
    levels = [audio.loudness(sound.samples, RATE) for sound in found.sounds]
    assert max(levels) - min(levels) < 0.01
    assert max(sound.peak for sound in found.sounds) <= comparison.HIGHEST_PEAK + 0.01
    told = " ".join(found.notes)
    assert "8000 Hz, the lowest rate among the files (soft, short)" in told
    assert "LUFS" in told
    assert "mean of the channels of short" in told


def test_what_a_clip_is_too_short_for_is_missing_and_the_rest_is_there(found):
    table = found.table().set_index("clip")
    assert np.isnan(table.loc["short", "tempo"])
    assert table.loc["soft", "tempo"] == pytest.approx(120, abs=2)
    assert {"real", "halves", "imposed", "mosaic", "noise"} <= set(table.index)
    assert found.anchors["noise"]["frechet_0.13"] > 0
    records = json.loads(json.dumps(found.records(), allow_nan=False))
    assert "pulse" in records["anchors"]["real"]
    assert records["clips"][2]["spectrum_peak"] == pytest.approx(1000)
    assert records["clips"][0]["strongest_tempo"] == pytest.approx(120, rel=0.025)


def test_charts_share_their_axes(found):
    for draw in (plots.waveform, plots.mel, plots.onsets, plots.tempogram):
        charts = [draw(sound, found).to_dict() for sound in found.sounds]
        for channel in "xy":
            domains = [chart["encoding"][channel]["scale"]["domain"] for chart in charts]
            assert domains[0] == domains[1] == domains[2]
        assert charts[0]["encoding"]["x"]["scale"]["domain"] == [0, 8.0]
    layers = [len(plots.spectrum(sound, found).to_dict()["layer"]) for sound in found.sounds]
    assert layers == [1, 2, 2]  # the original lies behind what was made from it


def test_a_picture_is_as_wide_as_its_clip_is_long(found):
    widths = [plots.mel(sound, found).to_dict()["mark"]["width"] for sound in found.sounds]
    assert widths == pytest.approx([plots.WIDTH * share for share in (6 / 8, 1, 1.2 / 8)])


def test_pictures_have_low_rows_at_the_bottom_and_the_ramp_for_colours():
    from io import BytesIO

    from PIL import Image

    picture = Image.open(BytesIO(pictures.png(np.array([[0.0, 1.0], [2.0, 3.0]]), 0, 3))).convert("RGB")
    assert picture.getpixel((0, 1)) == tuple(pictures.palette()[0])
    assert picture.getpixel((1, 0)) == tuple(pictures.palette()[255])
    light = pictures.palette() @ [0.2126, 0.7152, 0.0722]
    assert (np.diff(light) >= 0).all()  # reads in grey


def test_the_page_holds_all_it_needs_and_plays_levelled_sound(files, found, tmp_path):
    labels = ["<b>CAW</b>", "Jukebox"]
    made = [files / "soft.wav", files / "short.wav"]
    text = comparison.page(files / "source.wav", made, labels, out=tmp_path / "out")
    assert (tmp_path / "out" / "index.html").read_text() == text
    assert not re.search(r"""(?:src|href|url)\s*[=(]\s*["']?(?:https?:)?//""", text)
    assert "<b>CAW" not in text
    script = re.search(r"<script>(.*)</script>", text, re.S).group(1)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in text
    sounds = re.findall(r'data:audio/flac;base64,([^"]+)"', text)
    assert len(sounds) == 3
    played, rate = _decoded(sounds[1])
    assert rate == RATE
    assert audio.loudness(played, rate) == pytest.approx(found.loudness, abs=0.1)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "comparison.json",
        "comparison.png",
        "comparison.svg",
        "index.html",
        "measures.csv",
    ]
    ElementTree.parse(tmp_path / "out" / "comparison.svg")
    assert (tmp_path / "out" / "comparison.svg").stat().st_size < 2_000_000


def test_the_place_of_the_picture_in_a_drawing_is_found(found):
    from analysis.plots import theme

    svg = theme.render(plots.mel(found.original, found))
    box = [float(part) for part in re.search(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', svg).groups()]
    place = plots.within_axes(svg, plots.WIDTH, plots.HEIGHT)
    assert place["width"] == pytest.approx(100 * plots.WIDTH / box[0], abs=0.01)
    assert 0 < place["left"] < 100 - place["width"]


def test_labels_are_one_for_each_and_alike_ones_are_numbered(files):
    made = [files / "soft.wav", files / "soft.wav"]
    found = comparison.load(files / "source.wav", made)
    assert [sound.label for sound in found.sounds] == ["Original", "soft (1)", "soft (2)"]
    found = comparison.load(files / "source.wav", made[:1], ["Riff", "CAW"])
    assert [sound.label for sound in found.sounds] == ["Riff", "CAW"]
    with pytest.raises(ComparisonError, match="3 labels were given for 1 generated"):
        comparison.load(files / "source.wav", made[:1], ["a", "b", "c"])


def test_a_passage_of_the_original_can_be_taken(files):
    found = comparison.load(files / "source.wav", [files / "soft.wav"], start=1, seconds=2)
    assert found.original.seconds == 2


@pytest.mark.slow
def test_one_second_beside_twenty_five(tmp_path):
    soundfile.write(tmp_path / "a.wav", tone(300, 25, 4000), 4000)
    soundfile.write(tmp_path / "b.wav", clicks(100, 1), RATE)
    for original, made in (("a.wav", "b.wav"), ("b.wav", "a.wav")):
        found = comparison.load(tmp_path / original, [tmp_path / made])
        assert (found.rate, found.seconds) == (4000, 25)
        assert "1 to 25 s" in " ".join(found.notes)
        assert len(plots.sections(found)) == len(plots.KINDS)
    assert "<table" in comparison_page.html(found)


@pytest.mark.parametrize(
    ("name", "content", "error", "told"),
    [
        ("missing.wav", None, audio.AudioError, "no such file"),
        ("text.wav", b"these are words, no sound", audio.AudioError, "not sound"),
        ("empty.wav", b"", audio.AudioError, "empty"),
        ("silent.wav", np.zeros(RATE), audio.AudioError, "silent"),
        ("blip.wav", tone(500, 0.2), MeasureError, "at least 0.5 s"),
    ],
)
def test_bad_files_are_told_and_nothing_is_written(files, tmp_path, name, content, error, told):
    if isinstance(content, bytes):
        (tmp_path / name).write_bytes(content)
    elif content is not None:
        soundfile.write(tmp_path / name, content, RATE)
    with pytest.raises(error, match=told):
        comparison.page(files / "source.wav", [tmp_path / name], out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_too_many_clips_and_a_file_for_a_folder_are_refused(files, tmp_path):
    with pytest.raises(ComparisonError, match="give 1 to 8"):
        comparison.load(files / "source.wav", [files / "soft.wav"] * 9)
    with pytest.raises(ComparisonError, match="is a file"):
        comparison.page(files / "source.wav", [files / "soft.wav"], out=files / "soft.wav")


def _decoded(text: str) -> tuple[np.ndarray, int]:
    from io import BytesIO

    return soundfile.read(BytesIO(base64.b64decode(text)))


def test_labels_that_a_reader_takes_for_one_are_numbered():
    paths = [Path("o.wav"), Path("Take.wav"), Path("take.wav"), Path("e\u0301.wav"), Path("\u00e9.wav")]
    labels = comparison._labels(paths, None)
    assert labels == ["Original", "Take (1)", "take (2)", "\u00e9 (1)", "\u00e9 (2)"]
    assert comparison._labels(paths[:3], ["a (1)", "a"]) == ["Original", "a (1)", "a"]
    assert comparison._labels(paths[:2], ["caf\udce9\n\u202e"]) == ["Original", "caf\ufffd\ufffd\ufffd"]
