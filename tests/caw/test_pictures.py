"""Pictures of clips: what a constant-Q spectrum says of tones, and where the beats are drawn."""

import io

import numpy as np
import pytest
from PIL import Image

from caw.measures import pictures
from tests.caw.test_distances import white
from tests.caw.test_measures_of_composing import clicks

RATE = 8000


@pytest.mark.parametrize("hertz", [55.0, 440.0, 3000.0])
def test_a_tone_is_one_bin_at_its_level(hertz):
    tone = 0.5 * np.sin(2 * np.pi * hertz * np.arange(2 * RATE) / RATE)
    levels = pictures.constant_q(tone, RATE)
    assert levels.shape == (7 * pictures.BINS, int(2 / pictures.HOP) + 1)
    middle = levels[:, levels.shape[1] // 2]
    place = np.log2(hertz / pictures.LOWEST) * pictures.BINS
    assert abs(middle.argmax() - place) <= 1
    assert middle.max() == pytest.approx(20 * np.log10(0.5), abs=1.5)
    assert middle[abs(np.arange(len(middle)) - place) > 6].max() < middle.max() - 25


def test_beats_and_bars_are_drawn_where_they_are():
    sound = clicks(0.5, seconds=12.0)[::2]
    one = pictures.row("clicks.wav", sound, RATE)
    assert np.median(np.diff(one.beats)) == pytest.approx(0.5, abs=0.01)
    assert "120.0 beats a minute" in one.caption
    bare = pictures.PictureRow(one.name, one.levels, one.beats[:0], one.bars[:0], "")
    drawn, plain = (pictures._painted(row, float(one.levels.max()), 12.0) for row in (one, bare))
    columns = np.flatnonzero((drawn != plain).any(axis=(0, 2)))
    expected = {int(time / 12.0 * pictures.WIDTH) for time in (*one.beats, *one.bars)}
    assert set(columns) <= expected
    assert len(columns) >= len(one.beats) - 1


def test_without_a_beat_none_is_drawn_and_that_is_said():
    one = pictures.row("noise.wav", white(4.0, rate=RATE), RATE)
    assert (one.caption, one.beats.size, one.bars.size) == ("no clear beat", 0, 0)


def test_the_first_clip_heads_every_picture(tmp_path, monkeypatch):
    monkeypatch.setattr(pictures, "WIDTH", 150)
    nothing = np.zeros(0)
    rows = [
        pictures.PictureRow(f"{n}", np.full((168, 60 + n), -20.0), nothing, nothing, "") for n in range(6)
    ]
    files = pictures.write(tmp_path, rows)
    assert [file.name for file in files] == ["spectrograms-1.png", "spectrograms-2.png"]
    sizes = [Image.open(io.BytesIO(file.read_bytes())).size for file in files]
    assert sizes[0][0] == sizes[1][0] == pictures.LEFT + pictures.WIDTH
    step = pictures.HEAD + 7 * pictures.BINS * pictures.ROW + pictures.GAP
    assert [size[1] for size in sizes] == [5 * step + pictures.HEAD, 2 * step + pictures.HEAD]
