import numpy as np
import pytest

from caw.measures.spectra import log_mel
from caw.tasks.inpainting import InpaintingError, hole_spans, inpaint
from tests.caw.conftest import tune

RATE = 8000
HOLE = (2.6, 3.2)


def loop(seconds: float = 6.0) -> np.ndarray:
    """A bar of music again and again, each time with other hiss. [n]"""
    bar = tune(1.5, RATE)
    repeated = np.tile(bar, round(seconds / 1.5))
    return (repeated + 0.01 * np.random.default_rng(0).standard_normal(len(repeated))).astype(np.float32)


def holed(clip: np.ndarray, *holes: tuple[float, float]) -> np.ndarray:
    clip = clip.copy()
    for start, end in holes:
        clip[..., round(start * RATE) : round(end * RATE)] = 0
    return clip


def distance(a: np.ndarray, b: np.ndarray) -> float:
    """Mean log-mel difference inside HOLE, dB."""
    frames = slice(round(HOLE[0] / 0.016) + 2, round(HOLE[1] / 0.016) - 2)
    return float(np.abs(log_mel(a, RATE)[:, frames] - log_mel(b, RATE)[:, frames]).mean())


def test_samples_outside_the_holes_are_bit_identical():
    clip = loop()
    holes = [(1.0, 1.3), HOLE]
    filled = inpaint(holed(clip, *holes), RATE, holes)
    outside = np.ones(len(clip), bool)
    for start, end in holes:
        outside[round(start * RATE) : round(end * RATE)] = False
    np.testing.assert_array_equal(filled[outside], clip[outside])
    assert np.std(filled[~outside]) > 0.5 * np.std(clip[~outside])


def test_the_filling_is_what_the_music_repeats():
    clip = loop()
    silent = holed(clip, HOLE)
    hiss = silent.copy()
    inside = slice(round(HOLE[0] * RATE), round(HOLE[1] * RATE))
    hiss[inside] = np.std(clip) * np.random.default_rng(1).standard_normal(inside.stop - inside.start)
    filled = inpaint(silent, RATE, [HOLE])
    assert distance(clip, filled) < 0.25 * min(distance(clip, silent), distance(clip, hiss))
    assert np.corrcoef(clip[inside], filled[inside])[0, 1] > 0.8


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_edges_are_continuous(seed):
    time = np.arange(6 * RATE) / RATE
    clip = (0.3 * np.sin(2 * np.pi * 123.4 * time) + 0.2 * np.sin(2 * np.pi * 311.7 * time)).astype(
        np.float32
    )
    filled = inpaint(holed(clip, HOLE), RATE, [HOLE], seed=seed)
    steps = np.abs(np.diff(clip)).max()
    assert np.abs(np.diff(filled)).max() < 1.5 * steps  # cut to silence, the clip jumps by ten


def test_what_stands_in_the_hole_does_not_matter():
    clip = loop()
    np.testing.assert_array_equal(inpaint(clip, RATE, [HOLE]), inpaint(holed(clip, HOLE), RATE, [HOLE]))


def test_seeds_are_reproducible_and_differ():
    clip = holed(loop(), HOLE)
    fillings = [inpaint(clip, RATE, [HOLE], seed=seed) for seed in (0, 1, 2, 1)]
    np.testing.assert_array_equal(fillings[1], fillings[3])
    assert any(not np.array_equal(fillings[0], other) for other in fillings[1:3])


def test_channels_are_filled_together():
    left = loop()
    stereo = np.stack([left, -0.5 * left])
    filled = inpaint(holed(stereo, HOLE), RATE, [HOLE])
    assert filled.shape == stereo.shape
    inside = slice(round(HOLE[0] * RATE), round(HOLE[1] * RATE))
    assert np.corrcoef(filled[0, inside], filled[1, inside])[0, 1] < -0.99


def test_holes_that_overlap_or_touch_become_one():
    assert hole_spans(np.zeros(6 * RATE), RATE, [(3, 3.5), (2, 2.5), (2.4, 3)]) == [(2 * RATE, 7 * RATE // 2)]


@pytest.mark.parametrize(
    ("holes", "words"),
    [
        ([], "START:END"),
        ([(3, 2)], "START before END"),
        ([(2, 2)], "START before END"),
        ([(-1, 2)], "-1:2"),
        ([(2, float("nan"))], "2:nan"),
        ([(5, 7)], r"ends after the clip \(6.00 s\)"),
        ([(0, 1)], "start off"),
        ([(5.5, 6)], "end off"),
        ([(0.9, 3), (3.5, 5.9)], "in one piece"),
        ([(1.5, 5.5)], "make it shorter"),
    ],
)
def test_holes_that_cannot_be_filled_are_refused(holes, words):
    with pytest.raises(InpaintingError, match=words):
        inpaint(loop(), RATE, holes)
