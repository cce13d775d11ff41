"""Pitch classes of stretches of sound by approximate transcription, which partials and drums disturb little.

The method of Mauch and Dixon 2010 ("Approximate note transcription for the improved identification of
difficult chords", ISMIR): a spectrum in thirds of semitones, put in tune and evened out, is explained by
notes with their partials, by non-negative least squares; the notes found are summed by pitch class. librosa's
chroma has the partials in it, so that every note sounds as a major chord.
"""

from __future__ import annotations

import functools

import numpy as np
from scipy import ndimage, optimize, signal

from caw import audio

RATE = 11025  # Hz
WINDOW = 4096  # samples: 0.37 s
HOP = 512  # samples
THIRDS = 3  # bins a semitone
LOWEST, HIGHEST = 28, 100  # MIDI numbers of the spectrum, E1 to E7
NOTES = range(28, 89)  # what may have been played
PARTIALS, DECAY = 16, 0.7  # of a note; each partial's amplitude to the one before
EVENED = 12 * THIRDS  # bins to either side over which the spectrum is evened out
EVENNESS = 0.7  # power of the local deviation that is divided by
BASS = (40.0, 55.0)  # MIDI: all of it below the first, none above the second
BASS_WEIGHT = 0.3  # beside the rest


def chroma(samples: np.ndarray, rate: int, bounds: np.ndarray) -> np.ndarray:
    """Pitch classes [n, 12] from C up of the n stretches of samples [m] between bounds [n + 1] in seconds.

    Low notes count once more, as the bass says what a chord is. Silence gives zeros.
    """
    pitches = np.array(NOTES)
    weights = 1 + BASS_WEIGHT * np.clip((BASS[1] - pitches) / (BASS[1] - BASS[0]), 0, 1)
    return (_notes_of(samples, rate, bounds) * weights) @ np.eye(12)[pitches % 12]


def _notes_of(samples: np.ndarray, rate: int, bounds: np.ndarray) -> np.ndarray:
    """How strong each note of NOTES is in each stretch."""
    low = audio.resample(np.asarray(samples, np.float32), rate, RATE) if rate != RATE else samples
    spectra = _evened(_tuned(_thirds(low)))
    rows = np.clip(np.rint(np.asarray(bounds) * RATE / HOP).astype(int), 0, len(spectra))
    notes = np.zeros((len(rows) - 1, len(NOTES)))
    for index, (first, last) in enumerate(zip(rows, rows[1:], strict=False)):
        mean = spectra[min(first, len(spectra) - 1) : max(last, first + 1)].mean(axis=0)
        if mean.any():
            notes[index] = optimize.nnls(_dictionary(), mean)[0]
    return notes


def _thirds(samples: np.ndarray) -> np.ndarray:
    """Amplitudes [frames, bins] in thirds of semitones; row k is the moment k * HOP."""
    _, _, spectra = signal.stft(
        samples, RATE, "hann", WINDOW, WINDOW - HOP, boundary="zeros", padded=True, return_onesided=True
    )
    return np.abs(spectra.T) @ _mapping()


@functools.cache
def _mapping() -> np.ndarray:
    """Weights [WINDOW / 2 + 1, bins] from even to logarithmic frequency."""
    numbers = np.arange(THIRDS * (HIGHEST - LOWEST) + 1) / THIRDS + LOWEST
    centres = 440 * 2 ** ((numbers - 69) / 12) * WINDOW / RATE  # in bins of the spectrum
    width = np.maximum(np.gradient(centres), 1.0)
    apart = np.abs(np.arange(WINDOW // 2 + 1)[:, None] - centres) / width
    weights = np.maximum(1 - apart, 0)
    return weights / weights.sum(axis=0)


@functools.cache
def _dictionary() -> np.ndarray:
    """Spectra [bins, notes] of one note each, evened out as the sound is."""
    time, shape = np.arange(WINDOW) / RATE, signal.get_window("hann", WINDOW)
    columns = []
    for number in NOTES:
        hz = 440 * 2 ** ((number - 69) / 12) * np.arange(1, PARTIALS + 1)
        hz = hz[hz < RATE / 2.2]
        parts = np.abs(np.fft.rfft(np.cos(2 * np.pi * hz[:, None] * time) * shape, axis=1)) / WINDOW
        columns.append(DECAY ** np.arange(len(hz)) @ parts @ _mapping())
    notes = np.array(columns)
    return (notes / np.linalg.norm(notes, axis=1, keepdims=True)).T


def _tuned(spectra: np.ndarray) -> np.ndarray:
    """The same, moved by up to half a semitone so that notes lie on their bins."""
    bins = spectra.shape[1]
    turn = np.exp(-2j * np.pi * np.arange(bins) / THIRDS)
    off = -np.angle(np.sum(spectra.sum(axis=0) * turn)) / (2 * np.pi) * THIRDS  # bins by which all is sharp
    return ndimage.shift(spectra, (0, -off), order=1, mode="nearest")


def _evened(spectra: np.ndarray) -> np.ndarray:
    """What stands out of the surrounding bins, over how much they vary; loud regions hide no soft ones."""
    size = 2 * EVENED + 1
    mean = ndimage.uniform_filter1d(spectra, size, axis=1)
    deviation = np.sqrt(np.maximum(ndimage.uniform_filter1d(spectra**2, size, axis=1) - mean**2, 0))
    floor = max(1e-3 * float(spectra.max(initial=0)), 1e-9)
    return np.maximum(spectra - mean, 0) / np.maximum(deviation, floor) ** EVENNESS
