"""Chords: how they follow each other, whether those asked for are heard, whether a variation keeps them."""

from collections.abc import Sequence

import numpy as np
from scipy.spatial import distance

from caw import yardstick
from caw.measures import music
from caw.mosaic import beats, features

STEP = 0.5  # seconds, in place of beats where a clip has none
LEAST_BEATS = 8
NAMES = 25  # 12 major and 12 minor triads, and no chord


def beat_times(x, rate, *, like=None) -> np.ndarray:
    """Times in seconds [beats + 1] that bound a clip's beats; steps of 0.5 s where it has none.

    like: the beat times of another clip (the real one), whose metric level is to be kept: a beat tracker
    that hears twice or half the tempo would change how often a chord follows itself.
    """
    x = yardstick.validated(x, rate, "x")
    steps = np.arange(0, x.size / rate, STEP)
    if like is not None and np.allclose(np.diff(like), STEP):
        return steps
    frames = features.analyse(x, rate)
    own = beats.grid(frames)
    if own.kind == "onsets" and like is None:
        return steps
    if like is not None:
        wanted = 60 / float(np.median(np.diff(like)))
        ratio = 1.0 if own.tempo is None else own.tempo / wanted
        level = 2.0 ** -np.round(np.log2(ratio))
        if own.tempo is None or level != 1:
            own = beats.grid(frames, tempo=wanted * ratio * level)
    bounds = own.bounds
    first = int(np.flatnonzero(own.places % own.per_beat == 0)[0]) if own.per_beat > 1 else 0
    return bounds[first :: own.per_beat]


def beat_chroma(x, rate, times: np.ndarray) -> np.ndarray:
    """Shares of the pitch classes C, C#, ... B in each beat, [beats, 12]; rows of 0 where nothing is heard."""
    frames, every = music.chroma_frames(x, rate)
    middle = (np.arange(len(frames)) * every) + music.WINDOW / 2
    place = np.searchsorted(times, middle, side="right") - 1
    inside = (place >= 0) & (place < len(times) - 1)
    summed = np.zeros((len(times) - 1, 12))
    np.add.at(summed, place[inside], frames[inside])
    total = summed.sum(axis=1, keepdims=True)
    return summed / np.where(total > 0, total, 1)


def chord_transitions(real, fake, rate) -> float:
    """Jensen-Shannon distance of two clips' chord transitions from beat to beat, 0 to 1."""
    matrices, times = [], None
    for x, name in ((real, "real"), (fake, "fake")):
        times = beat_times(x, rate, like=times)
        labels = chord_labels(x, rate, times)
        if len(labels) < LEAST_BEATS:
            raise yardstick.TooShortError(f"{name} has {len(labels)} beats; {LEAST_BEATS} are needed")
        counts = np.zeros((NAMES, NAMES))
        np.add.at(counts, (labels[:-1], labels[1:]), 1)
        matrices.append(counts.ravel() / counts.sum())
    return float(distance.jensenshannon(*matrices, base=2))


def same_chord(real, fake, rate) -> float:
    """Share of the real clip's beats with a chord on which a clip of its length has the same one."""
    times = beat_times(real, rate)
    there, here = chord_labels(real, rate, times), chord_labels(fake, rate, times)
    named = there < NAMES - 1
    if named.sum() < LEAST_BEATS:
        raise yardstick.TooShortError(f"{named.sum()} beats have a chord; {LEAST_BEATS} are needed")
    return float(np.mean(there[named] == here[named]))


def chord_follow(x, rate, chords: Sequence, times) -> float:
    """Share of beats whose asked chord fits better than every other chord asked for, 0 to 1.

    chords: one for each beat, a template [12] (C first) or a `caw.compose.chords.Chord`; times: [beats + 1] seconds.
    """
    templates = np.array([chord.template() if hasattr(chord, "template") else chord for chord in chords])
    times = np.asarray(times, float)
    if len(times) != len(templates) + 1:
        raise yardstick.YardstickError(
            f"{len(templates)} chords and {len(times)} times; give a chord for each beat and one time more"
        )
    distinct, asked = np.unique(templates, axis=0, return_inverse=True)
    heard = beat_chroma(x, rate, times)
    fits = heard @ (distinct / np.maximum(np.linalg.norm(distinct, axis=1, keepdims=True), 1e-9)).T
    counted = (np.abs(templates).sum(axis=1) > 0) & (heard.sum(axis=1) > 0)
    if not counted.any():
        raise yardstick.TooShortError("no beat has both a chord asked for and a pitch")
    return float(np.mean(fits.argmax(axis=1)[counted] == asked.reshape(-1)[counted]))


def chord_labels(x, rate, times) -> np.ndarray:
    """The chord of each beat, int [beats]: 0 to 11 major from C up, 12 to 23 minor, 24 none."""
    heard = beat_chroma(x, rate, times)
    root = np.arange(12)
    templates = np.zeros((24, 12))
    for third, first in ((4, 0), (3, 12)):
        for step in (0, third, 7):
            templates[first + root, (root + step) % 12] = 3**-0.5
    smooth = heard / np.maximum(np.linalg.norm(heard, axis=1, keepdims=True), 1e-9)
    fits = smooth @ templates.T
    sticky = 0.1
    total = fits[0] if len(fits) else np.zeros(24)
    back = []
    for row in fits[1:]:
        best = int(total.argmax())
        stay = total + sticky >= total[best]
        back.append(np.where(stay, np.arange(24), best))
        total = np.maximum(total + sticky, total[best]) + row
    path = [int(total.argmax())] if len(fits) else []
    for row in back[::-1]:
        path.append(int(row[path[-1]]))
    labels = np.array(path[::-1], int)
    labels[heard.sum(axis=1) == 0] = NAMES - 1
    return labels
