import numpy as np
import pytest

from caw.samplernn.quantisation import SILENCE, decode, encode, turned


@pytest.mark.parametrize("kind", ["mu-law", "linear"])
def test_levels_are_the_nearest_and_come_back(kind):
    levels = np.arange(256, dtype=np.uint8)
    assert (encode(decode(levels, kind), kind) == levels).all()
    assert (np.diff(decode(levels, kind)) > 0).all()
    np.testing.assert_array_equal(decode(turned(levels), kind), -decode(levels, kind))
    assert encode(np.zeros(1), kind)[0] == SILENCE
    assert list(encode(np.array([-2.0, -1.0, 1.0, 2.0]), kind)) == [0, 0, 255, 255]


@pytest.mark.parametrize(
    ("gain", "mu_law", "linear"), [(0.9, (33, 42), (46, 51)), (0.02, (28, 42), (12, 18))]
)
def test_mu_law_keeps_soft_sound_where_linear_drowns_it(gain, mu_law, linear):
    sound = gain * np.sin(np.arange(20000) * 0.05)

    def ratio(kind: str) -> float:  # dB of sound over error
        error = decode(encode(sound, kind), kind) - sound
        return 10 * np.log10((sound**2).mean() / (error**2).mean())

    assert mu_law[0] < ratio("mu-law") < mu_law[1]
    assert linear[0] < ratio("linear") < linear[1]
