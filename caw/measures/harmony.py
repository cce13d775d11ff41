"""Chords: how they follow each other, whether those asked for are heard, whether a variation keeps them.

Plain numpy: on 19 rendered pieces whose chords are known (`tests/benchmarks/beat_scores.py`), the chroma of
this module names 95 % of the beats' triads, librosa's `chroma_cqt` 92 % by the same templates; librosa takes
1.5 s of start besides, and 16 where numba has kept nothing of it yet.
"""

from collections.abc import Sequence

import numpy as np
from scipy import fft, ndimage, signal
from scipy.spatial import distance

from caw import beats, features
from caw.measures import matches, yardstick

WINDOW, HOP = 0.3, 0.1  # seconds, of the spectra
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
AT_ONCE = 256  # frames held as spectra


def chord_transitions(real, fake, rate) -> float:
    """Jensen-Shannon distance (base 2) of two clips' transitions of chords from beat to beat, 0 to 1.

    The transitions [25, 25] are the shares of all pairs of neighbouring beats, a chord that stays among them.
    Beats are those of `beat_times`, the generated clip's at the real one's metric level.
    """
    times = beat_times(real, rate)
    shares = []
    for x, name, bounds in ((real, "real", times), (fake, "fake", beat_times(fake, rate, like=times))):
        labels = chord_labels(x, rate, bounds)
        if len(labels) < LEAST_BEATS:
            raise yardstick.TooShortError(f"{name} has {len(labels)} beats; give {LEAST_BEATS} or more")
        counts = np.zeros((NAMES, NAMES))
        np.add.at(counts, (labels[:-1], labels[1:]), 1)
        shares.append(counts.ravel() / counts.sum())
    return float(distance.jensenshannon(*shares, base=2))


def same_chord(real, fake, rate) -> float:
    """Share of the real clip's beats with a chord in which a clip of its length has the same chord, 0 to 1.

    Raises: TooShortError where one clip is longer than the other, and where few beats have a chord.
    """
    matches.require_one_length(real, fake, rate)
    times = beat_times(real, rate)
    there, here = chord_labels(real, rate, times), chord_labels(fake, rate, times)
    named = there != NO_CHORD
    if named.sum() < LEAST_BEATS:
        raise yardstick.TooShortError(f"{named.sum()} beats have a chord; {LEAST_BEATS} are needed")
    return float(np.mean(there[named] == here[named]))


def chord_follow(x, rate, chords: Sequence, times) -> float:
    """Share of beats in which the chord that was asked for fits better than all others asked for, 0 to 1.

    chords: one for each beat, as a name ("Em"), a `caw.compose.chords.Chord` or pitch classes [12] from C up;
    no chord ("N", all 0) is left out. times: seconds [beats + 1]. With one chord alone it is 1.
    """
    templates = np.array([_template(chord) for chord in chords])
    times = np.asarray(times, float)
    if templates.ndim != 2 or len(times) != len(templates) + 1:
        problem = f"{len(templates)} chords and {len(times)} times"
        raise yardstick.YardstickError(f"{problem}; give a chord for each beat and one time more")
    asked_at = np.abs(templates).sum(axis=1) > 0
    heard = beat_chroma(x, rate, times)
    counted = asked_at & (heard.sum(axis=1) > 0)
    if not counted.any():
        raise yardstick.TooShortError("no beat has both a chord asked for and a pitch")
    distinct, asked = np.unique(templates[asked_at], axis=0, return_inverse=True)
    fits = _correlations(heard[asked_at], distinct)
    return float(np.mean((fits.argmax(axis=1) == asked.reshape(-1))[counted[asked_at]]))


def beat_times(x, rate, *, like: np.ndarray | None = None) -> np.ndarray:
    """Seconds [beats + 1] that bound a clip's beats (`caw.beats`); steps of 0.5 s where it has none.

    like: another clip's. Where that one has no beats, steps are taken; where this one's beats are nearer to
    its half or its double, or none, they are sought again at its level: how often a chord follows itself
    depends on it.
    """
    samples = yardstick.validated(x, rate, "x")
    steps = np.arange(0, samples.size / rate, STEP)
    if like is not None and len(like) > 2 and np.allclose(np.diff(like), STEP):
        return steps
    frames = yardstick.kept(x, "frames", lambda: features.analyse(samples, rate))
    grid = yardstick.kept(x, "grid", lambda: beats.grid(frames))
    if like is None or len(like) < 3:
        return _whole_beats(grid) if grid.kind == "beats" else steps
    wanted = 60 / float(np.median(np.diff(like)))
    if grid.kind == "onsets":
        return _whole_beats(beats.grid(frames, tempo=wanted))
    octaves = np.round(np.log2(grid.tempo / wanted))
    return _whole_beats(beats.grid(frames, tempo=grid.tempo / 2**octaves) if octaves else grid)


def beat_chroma(x, rate, times: np.ndarray) -> np.ndarray:
    """How strongly each pitch class, from C up, sounds in each beat: [beats, 12]; 0 where nothing is heard.

    Times: seconds [beats + 1]. Notes are sums over their harmonics in spectra of 0.3 s (Hermes 1988,
    "Measurement of pitch by subharmonic summation"), so that a harmonic counts for its root.
    """
    frames = yardstick.kept(x, "note classes", lambda: _note_classes(x, rate))
    place = np.searchsorted(times, np.arange(len(frames)) * _hop(rate) / rate, side="right") - 1
    inside = (place >= 0) & (place < len(times) - 1)
    summed = np.zeros((len(times) - 1, 12))
    np.add.at(summed, place[inside], frames[inside])
    return summed


def chord_labels(x, rate, times: np.ndarray) -> np.ndarray:
    """The triad of each beat, int [beats]: 0 to 11 major from C up, 12 to 23 minor, 24 none.

    The path of triads that correlates best with `beat_chroma`, a change costing STAYING (Viterbi); none where
    the pitch classes sound alike.
    """
    heard = beat_chroma(x, rate, times)
    if not len(heard):
        return np.zeros(0, int)
    fits = _correlations(heard, _triads())
    total, back = fits[0], []
    for row in fits[1:]:
        best = int(total.argmax())
        stays = total + STAYING >= total[best]
        back.append(np.where(stays, np.arange(NO_CHORD), best))
        total = np.maximum(total + STAYING, total[best]) + row
    path = [int(total.argmax())]
    for row in back[::-1]:
        path.append(int(row[path[-1]]))
    flat = heard.std(axis=1) <= FLAT * heard.mean(axis=1)
    return np.where(flat, NO_CHORD, path[::-1])


def _template(chord) -> np.ndarray:
    """Pitch classes [12] of a chord in any of the forms of `chord_follow`."""
    from caw.compose import chords  # half a second for few

    if isinstance(chord, np.ndarray):
        return chord
    return (chords.parse(chord) if isinstance(chord, str) else chord).template()


def _triads() -> np.ndarray:
    """[24, 12]."""
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


def _whole_beats(grid: beats.Grid) -> np.ndarray:
    first = int(np.argmax(grid.places % grid.per_beat == 0))
    return grid.bounds[first :: grid.per_beat]


def _hop(rate) -> int:
    return max(1, round(HOP * rate))


def _note_classes(x, rate) -> np.ndarray:
    """[frames, 12], one every `HOP` seconds from the clip's first moment."""
    x = yardstick.validated(x, rate, "x")
    size = round(WINDOW * rate)
    long = fft.next_fast_len(2 * size, real=True)
    window = signal.get_window("hann", size).astype(np.float32)
    frames = np.lib.stride_tricks.sliding_window_view(np.pad(x / yardstick.rms(x), size // 2), size)
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
    for first in range(0, len(frames), AT_ONCE):
        amplitude = np.abs(fft.rfft(frames[first : first + AT_ONCE] * window, long, axis=1))
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
