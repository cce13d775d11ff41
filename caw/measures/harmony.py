"""Harmony: pitch classes and key of a clip, its chords, and how they follow each other.

The chroma of `beat_chroma` names 95 % of the beats' triads on 19 rendered pieces whose chords are known
(`tests/benchmarks/beat_scores.py`); librosa's `chroma_cqt` names 92 % by the same templates.
"""

from collections.abc import Sequence

import numpy as np
from scipy import fft, ndimage, signal
from scipy.spatial import distance

from caw import beats, features
from caw.measures.spectra import (
    QUIET_DB,
    MeasureError,
    TooShortError,
    cached,
    require_one_length,
    rms,
    validated,
)

WINDOW, HOP = 0.3, 0.1  # seconds, of the spectra in which pitches are sought
PITCHES = (60.0, 5000.0)  # Hz, of `chroma`
PEAK_DB = -40.0  # dB below its frame's strongest bin; a peak under it is no pitch
PEAK_FRAMES_AT_ONCE = 128  # frames held as spectra by `chroma`
A4 = 440.0  # Hz
# How well each pitch class, from the tonic up, fits a key: probe-tone ratings of Krumhansl and Kessler 1982,
# as in Krumhansl 1990, "Cognitive foundations of musical pitch", table 2.1.
MAJOR = (6.35, 2.23, 3.48, 2.33, 4.38, 4.09, 2.52, 5.19, 2.39, 3.66, 2.29, 2.88)
MINOR = (6.33, 2.68, 3.52, 5.38, 2.60, 3.53, 2.54, 4.75, 3.98, 2.69, 3.34, 3.17)
CLEAR_KEY = 0.5  # correlation with a key's profile; below it no key is named
LOWEST_NOTE, NOTES, BINS = 28, 72, 3  # MIDI number; semitones up from it; bins a semitone
ROOTS_HZ = (55.0, 900.0)  # where the notes of chords lie; what is above are their harmonics
HARMONICS, DECAY = 4, 0.7  # of a note, each next one's weight
COMPRESSION = 0.5  # exponent of the amplitudes
SURROUNDINGS = 18.0  # semitones over whose mean amplitude a note must stand
ON_PITCH = 0.2  # semitones from equal temperament
FLAT = 0.4  # deviation over mean of a beat's pitch classes; white noise reads 0.2 to 0.4, music 0.4 to 1.5
STAYING = 0.2  # what a change of chord costs, in correlations with a triad
STEP = 0.5  # seconds, in place of beats where a clip has none
LEAST_BEATS = 8
NO_CHORD = 24
NAMES = 25  # 12 major and 12 minor triads, and no chord
FRAMES_AT_ONCE = 256  # frames held as spectra


def chroma(x, rate) -> np.ndarray:
    """Shares [12] of the pitch classes C, C#, ... B over the whole clip.

    They are taken from the peaks of spectra of 0.3 s, every 0.1 s, between 60 and 5000 Hz. A peak is placed
    by a parabola, shared between the two nearest semitones (440 Hz is A) and weighted by its amplitude over
    the sum of its frame's peaks (a form of Gomez 2006, "Tonal description of music audio signals", section
    3.2). Frames 40 dB under the clip's level do not count.
    """
    x = validated(x, rate, "x")
    size, hop = round(WINDOW * rate), max(1, round(HOP * rate))
    if x.size < size:
        raise TooShortError(f"{x.size / rate:.2f} s are too short for pitches", f"give {WINDOW:g} s")
    frames = np.lib.stride_tricks.sliding_window_view(x / rms(x), size)[::hop]
    window = signal.get_window("hann", size).astype(np.float32)
    shares = np.zeros(12)
    for first in range(0, len(frames), PEAK_FRAMES_AT_ONCE):
        part = frames[first : first + PEAK_FRAMES_AT_ONCE]
        loud = np.sqrt(np.mean(part**2, axis=1)) > 10 ** (QUIET_DB / 20)
        shares += _peak_shares(part[loud] * window, rate)
    total = shares.sum()
    if not total:
        raise TooShortError("no pitch was found between 60 and 5000 Hz")
    return shares / total


def chroma_distance(real, fake, rate) -> float:
    """Share of the pitch classes' weight that would have to move: 0 for the same mix, 1 for none in common.

    Half the sum of the absolute differences of `chroma` (total variation). Transposed music is far away.
    """
    return float(0.5 * np.abs(chroma(real, rate) - chroma(fake, rate)).sum())


def key(x, rate) -> tuple[int, str] | None:
    """The key as (tonic, "major" or "minor"), the tonic in semitones from C; None where none is clear.

    Krumhansl and Schmuckler's algorithm (Krumhansl 1990, chapter 4): the key whose profile, turned to its
    tonic, correlates best with the shares of the pitch classes over the whole clip.
    """
    shares = chroma(x, rate)
    fits = {
        (tonic, mode): float(np.corrcoef(np.roll(profile, tonic), shares)[0, 1])
        for mode, profile in (("major", MAJOR), ("minor", MINOR))
        for tonic in range(12)
    }
    best = max(fits, key=fits.__getitem__)
    return best if fits[best] >= CLEAR_KEY else None


def chord_transitions(real, fake, rate) -> float:
    """Jensen-Shannon distance (base 2) of two clips' transitions of chords from beat to beat, 0 to 1.

    The transitions [25, 25] are the shares of all pairs of neighbouring beats, a chord that stays among them.
    Beats are those of `beat_times`; the generated clip's are taken at the real one's metric level.
    """
    times = beat_times(real, rate)
    shares = []
    for x, name, bounds in ((real, "real", times), (fake, "fake", beat_times(fake, rate, like=times))):
        labels = chord_labels(x, rate, bounds)
        if len(labels) < LEAST_BEATS:
            raise TooShortError(f"{name} has {len(labels)} beats", f"give {LEAST_BEATS} or more")
        counts = np.zeros((NAMES, NAMES))
        np.add.at(counts, (labels[:-1], labels[1:]), 1)
        shares.append(counts.ravel() / counts.sum())
    return float(distance.jensenshannon(*shares, base=2))


def same_chord(real, fake, rate) -> float:
    """Share of the real clip's beats with a chord in which a clip of its length has the same chord, 0 to 1.

    Raises TooShortError where one clip is longer than the other, and where few beats have a chord.
    """
    require_one_length(real, fake, rate)
    times = beat_times(real, rate)
    there, here = chord_labels(real, rate, times), chord_labels(fake, rate, times)
    named = there != NO_CHORD
    if named.sum() < LEAST_BEATS:
        raise TooShortError(f"{named.sum()} beats have a chord", f"{LEAST_BEATS} are needed")
    return float(np.mean(there[named] == here[named]))


def chord_follow(x, rate, chords: Sequence, times) -> float:
    """Share of beats in which the requested chord fits better than all other requested chords, 0 to 1.

    chords: one for each beat, as a name ("Em"), a `caw.compose.chords.Chord` or pitch classes [12] from C up;
    beats without a chord ("N", all 0) are left out. times: seconds [beats + 1]. With a single chord it is 1.
    """
    templates = np.array([_template(chord) for chord in chords])
    times = np.asarray(times, float)
    if templates.ndim != 2 or len(times) != len(templates) + 1:
        problem = f"{len(templates)} chords and {len(times)} times"
        raise MeasureError(problem, "give a chord for each beat and one time more")
    has_chord = np.abs(templates).sum(axis=1) > 0
    pitch_classes = beat_chroma(x, rate, times)
    counted = has_chord & (pitch_classes.sum(axis=1) > 0)
    if not counted.any():
        raise TooShortError("no beat has both a requested chord and a pitch")
    distinct, requested = np.unique(templates[has_chord], axis=0, return_inverse=True)
    fits = _correlations(pitch_classes[has_chord], distinct)
    return float(np.mean((fits.argmax(axis=1) == requested.reshape(-1))[counted[has_chord]]))


def beat_times(x, rate, *, like: np.ndarray | None = None) -> np.ndarray:
    """Seconds [beats + 1] that bound a clip's beats (`caw.beats`); steps of 0.5 s where it has none.

    like: the beats of another clip, whose metric level is taken over, since the share of chords that follow
    themselves depends on it. Where the other clip has no beats, the result is steps. Where this clip has
    none, or its tempo is nearer to half or double the other's, its beats are tracked again near the other's
    tempo.
    """
    samples = validated(x, rate, "x")
    steps = np.arange(0, samples.size / rate, STEP)
    if like is not None and len(like) > 2 and np.allclose(np.diff(like), STEP):
        return steps
    frames = cached(x, "frames", lambda: features.analyse(samples, rate))
    grid = cached(x, "grid", lambda: beats.beat_grid(frames))
    if like is None or len(like) < 3:
        return _whole_beats(grid) if grid.kind == "beats" else steps
    wanted = 60 / float(np.median(np.diff(like)))
    if grid.kind == "onsets":
        return _whole_beats(beats.beat_grid(frames, tempo=wanted))
    octaves = np.round(np.log2(grid.tempo / wanted))
    return _whole_beats(beats.beat_grid(frames, tempo=grid.tempo / 2**octaves) if octaves else grid)


def beat_chroma(x, rate, times: np.ndarray) -> np.ndarray:
    """How strongly each pitch class, from C up, sounds in each beat: [beats, 12]; 0 in silence.

    times: seconds [beats + 1]. Notes are sums over their harmonics in spectra of 0.3 s (Hermes 1988,
    "Measurement of pitch by subharmonic summation"), so that a harmonic counts for its root.
    """
    frames = cached(x, "note classes", lambda: _note_classes(x, rate))
    place = np.searchsorted(times, np.arange(len(frames)) * _hop(rate) / rate, side="right") - 1
    inside = (place >= 0) & (place < len(times) - 1)
    summed = np.zeros((len(times) - 1, 12))
    np.add.at(summed, place[inside], frames[inside])
    return summed


def chord_labels(x, rate, times: np.ndarray) -> np.ndarray:
    """The triad of each beat, int [beats]: 0 to 11 major from C up, 12 to 23 minor, 24 none.

    The triads are the path that correlates best with `beat_chroma` (Viterbi's algorithm; a change of chord
    costs STAYING). A beat whose pitch classes are about equally strong has none.
    """
    pitch_classes = beat_chroma(x, rate, times)
    if not len(pitch_classes):
        return np.zeros(0, int)
    fits = _correlations(pitch_classes, _triads())
    total, back = fits[0], []
    for row in fits[1:]:
        best = int(total.argmax())
        stays = total + STAYING >= total[best]
        back.append(np.where(stays, np.arange(NO_CHORD), best))
        total = np.maximum(total + STAYING, total[best]) + row
    path = [int(total.argmax())]
    for row in back[::-1]:
        path.append(int(row[path[-1]]))
    flat = pitch_classes.std(axis=1) <= FLAT * pitch_classes.mean(axis=1)
    return np.where(flat, NO_CHORD, path[::-1])


def _template(chord) -> np.ndarray:
    """Pitch classes [12] of a chord in any of the forms of `chord_follow`."""
    from caw.compose import chords  # loads slowly, and few measures need it

    if isinstance(chord, np.ndarray):
        return chord
    return (chords.parse(chord) if isinstance(chord, str) else chord).template()


def _triads() -> np.ndarray:
    """Templates [24, 12] of the major and minor triads."""
    root, templates = np.arange(12), np.zeros((NO_CHORD, 12))
    for first, third in ((0, 4), (12, 3)):
        for step in (0, third, 7):
            templates[first + root, (root + step) % 12] = 1
    return templates


def _correlations(rows: np.ndarray, templates: np.ndarray) -> np.ndarray:
    """Pearson's correlation of [n, 12] with [m, 12], [n, m]; 0 for a row that is flat."""
    both = [x - x.mean(axis=1, keepdims=True) for x in (rows, templates)]
    rows, templates = (x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-12) for x in both)
    return rows @ templates.T


def _whole_beats(grid: beats.BeatGrid) -> np.ndarray:
    """The bounds of whole beats among those of halves."""
    first = int(np.argmax(grid.places % grid.per_beat == 0))
    return grid.bounds[first :: grid.per_beat]


def _hop(rate) -> int:
    return max(1, round(HOP * rate))


def _note_classes(x, rate) -> np.ndarray:
    """Strength of each pitch class [frames, 12], every `HOP` seconds from the clip's beginning."""
    x = validated(x, rate, "x")
    size = round(WINDOW * rate)
    long = fft.next_fast_len(2 * size, real=True)
    window = signal.get_window("hann", size).astype(np.float32)
    frames = np.lib.stride_tricks.sliding_window_view(np.pad(x / rms(x), size // 2), size)
    frames = frames[:: _hop(rate)]
    midi = LOWEST_NOTE + np.arange(NOTES * BINS) / BINS
    hertz = 440 * 2 ** ((midi - 69) / 12)
    bins, there = hertz * long / rate, hertz < rate / 2
    lower, part = np.minimum(bins.astype(int), long // 2 - 1), (bins % 1).astype(np.float32)
    shifts = [round(12 * BINS * np.log2(harmonic)) for harmonic in range(1, HARMONICS + 1)]
    root = (hertz >= ROOTS_HZ[0]) & (hertz <= ROOTS_HZ[1])
    root &= np.abs(midi - np.rint(midi)) < ON_PITCH
    classes = np.zeros((len(midi), 12), np.float32)
    classes[root, np.rint(midi[root]).astype(int) % 12] = 1
    rows = []
    for first in range(0, len(frames), FRAMES_AT_ONCE):
        amplitude = np.abs(fft.rfft(frames[first : first + FRAMES_AT_ONCE] * window, long, axis=1))
        notes = amplitude[:, lower] * (1 - part) + amplitude[:, lower + 1] * part
        notes = notes**COMPRESSION * there
        notes -= ndimage.uniform_filter1d(notes, round(SURROUNDINGS * BINS) | 1, axis=1)
        notes = np.maximum(notes, 0)
        summed = sum(
            DECAY**number * np.pad(notes[:, shift:], ((0, 0), (0, shift)))
            for number, shift in enumerate(shifts)
        )
        rows.append(summed @ classes)
    return np.concatenate(rows)


def _peak_shares(frames: np.ndarray, rate: float) -> np.ndarray:
    """The sum [12] of the shares of pitch classes of windowed frames [count, n]."""
    size = fft.next_fast_len(2 * frames.shape[1], real=True)
    levels = 20 * np.log10(np.abs(fft.rfft(frames, size, axis=1)) + 1e-9)
    low = max(1, int(np.ceil(PITCHES[0] * size / rate)))
    high = min(levels.shape[1] - 1, int(PITCHES[1] * size / rate))
    left, there, right = levels[:, low - 1 : high - 1], levels[:, low:high], levels[:, low + 1 : high + 1]
    is_peak = (there > left) & (there >= right) & (there > levels.max(axis=1, keepdims=True) + PEAK_DB)
    frame, place = np.nonzero(is_peak)
    before, top, after = left[is_peak], there[is_peak], right[is_peak]
    bins = low + place + 0.5 * (before - after) / (before - 2 * top + after)
    semitone = (69 + 12 * np.log2(bins * rate / size / A4)) % 12
    amplitude = 10 ** (top / 20)
    weight = amplitude / np.bincount(frame, amplitude, minlength=len(frames))[frame]
    upper = semitone % 1
    shares = np.bincount(semitone.astype(int) % 12, weight * (1 - upper), minlength=12)
    return shares + np.bincount((semitone.astype(int) + 1) % 12, weight * upper, minlength=12)
