import numpy as np
import pytest
from librosa import filters
from librosa import mel_frequencies as librosas

from caw.features import hz_to_mel, mel_filters, mel_frequencies
from caw.measures import spectra

RATES = (8000, 16000, 44100, 96000)


@pytest.mark.parametrize("rate", RATES)
def test_the_scale_is_librosas(rate):
    ours = mel_frequencies(42, 30, rate / 2)
    np.testing.assert_allclose(ours, librosas(42, fmin=30, fmax=rate / 2, htk=True), rtol=1e-12)
    assert np.ptp(np.diff(hz_to_mel(ours))) < 1e-8
    assert hz_to_mel(1000) == pytest.approx(1000, abs=0.1)  # what the scale is made for


@pytest.mark.parametrize("rate", RATES)
def test_the_measures_bands_are_librosas(rate):
    """An independent implementation, each filter brought to a sum of 1."""
    size = round(spectra.WINDOW * rate)
    # with another `norm` librosa compiles for 16 s
    theirs = filters.mel(sr=rate, n_fft=size, n_mels=spectra.BANDS, htk=True, dtype=np.float64)
    theirs /= theirs.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(spectra._mel_filters(size, rate), theirs, rtol=1e-5, atol=1e-7)


def test_a_filter_without_a_bin_is_silent():
    found = mel_filters(np.array([100.0, 110.0, 120.0, 400.0]), np.array([0.0, 200.0, 300.0]))
    np.testing.assert_array_equal(found[0], 0)
    assert found[1].sum() == pytest.approx(1)
