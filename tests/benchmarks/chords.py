"""Chords, tempo and bars as `caw.compose.transcription` hears them, on music whose chords are known.

    python -m tests.benchmarks.chords                  # a table in Markdown, on standard output

The pieces of `beat_scores` that have pitches, with random chords foreign to any key and on other instruments
than those that the recognition's few numbers were set with; those with a guitar also with power chords.
Judged are major and minor triads and power chords, exactly, and their roots.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from unittest import mock

import numpy as np

from caw import audio
from caw.compose import chords, transcription
from tests.benchmarks import beat_scores, compose_riff

RATE = 16000  # Hz, as a study's clips
# General-MIDI programs: electric piano, distortion guitar, steel strings, picked bass, and so on
OTHERS = {"piano": 4, "guitar": 30, "nylon": 25, "bass": 34, "strings": 50, "organ": 19, "flute": 71}
SURE = (0.0, 0.5, 0.7, 0.9, 1.01)
ROOTS = tuple(beat_scores.ROOTS)


def pieces(seed: int, *, power: bool = False):
    """(name, samples [n] at RATE, bars in seconds, the chord of each bar), of every piece."""
    dice = np.random.default_rng(seed)
    parts = {
        name: (channel, OTHERS.get(name, program), volume, loose)
        for name, (channel, program, volume, loose) in beat_scores.PARTS.items()
    }
    for piece in beat_scores.PIECES:
        if piece.lines.keys() <= beat_scores.DRUMS.keys() or power and not _can_have_power_chords(piece):
            continue
        qualities = ("",) if power else ("", "m")
        line = [ROOTS[dice.integers(12)] + qualities[dice.integers(len(qualities))] for _ in range(8)]
        notes = _power_chords if power else beat_scores._notes
        with mock.patch.multiple(beat_scores, PARTS=parts, _notes=notes):
            sound = replace(piece, chords=" ".join(line)).render()
        sound = sound if sound.ndim == 1 else sound.mean(axis=0)
        samples = audio.resample(sound.astype(np.float32), compose_riff.RATE, RATE)
        _, bars = piece.truth()
        names = [line[k % len(line)] + "5" * power for k in range(len(bars))]
        yield piece.name, samples, bars, names


def _can_have_power_chords(piece: beat_scores.Piece) -> bool:
    return "guitar" in piece.lines and "3" not in piece.lines.get("bass", "")


def _power_chords(part: str, sign: str, chord: str, made=beat_scores._notes) -> tuple[int, ...]:
    notes = made(part, sign, chord)
    return (notes[0], notes[2], notes[0] + 12) if sign == "c" else notes


def at_true_bars(samples, bars, names) -> list[tuple[bool, bool, float]]:
    """(right, right root, certainty) of every half of the bars, whose places are known."""
    edges = np.sort(np.concatenate([bars, (bars[1:] + bars[:-1]) / 2]))
    stay = np.where(np.arange(len(edges) - 2) % 2 == 0, transcription.STAY_IN_BAR, transcription.STAY_AT_LINE)
    found, sure = chords.recognise(transcription.chroma(samples, RATE, edges), stay=stay)
    wanted = [chords.parse(name) for name in names[:-1] for _ in range(2)]
    return [(_same(a, b), a.root == b.root, c) for a, b, c in zip(found, wanted, sure, strict=True)]


def all_heard(samples, bars, names) -> float:
    """The share of moments, a tenth of a second apart, whose chord is right, the beat being found as well."""
    plan = transcription.transcribe(samples, RATE)
    if plan.beats is None:
        return np.nan
    right, starts = [], plan.times()
    for start, end, bar in zip(starts, [*starts[1:], plan.beats[-1]], plan.bars(), strict=True):
        for time in np.arange(max(start, bars[0]) + 0.05, end, 0.1):
            name = bar.chords[min(int((time - start) / (end - start) * len(bar.chords)), len(bar.chords) - 1)]
            right.append(_same(chords.parse(name), chords.parse(names[np.searchsorted(bars, time) - 1])))
    return float(np.mean(right))


def _same(one: chords.Chord, other: chords.Chord) -> bool:
    return (one.root, one.pitch_classes) == (other.root, other.pitch_classes)


def main() -> int:
    print("| | right | root right | certainty | with the beat found too |", "|---" * 5 + "|", sep="\n")
    means, halves = {}, []
    for kind in ("triads", "power chords"):
        for name, samples, bars, names in pieces(11, power=kind != "triads"):
            each = np.array(at_true_bars(samples, bars, names), float)
            row = [*each.mean(axis=0), all_heard(samples, bars, names)]
            means.setdefault(kind, []).append(row)
            halves.append(each)
            print(f"{kind}: {name}", file=sys.stderr)
            print(f"| {kind}: {name} |", " | ".join(f"{value:.2f}" for value in row), "|")
    for kind, rows in means.items():
        values = " | ".join(f"{value:.2f}" for value in np.nanmean(rows, axis=0))
        print(f"| all {len(rows)}, {kind} | {values} |")
    right, _, sure = np.concatenate(halves).T
    for low, high in zip(SURE, SURE[1:], strict=False):
        there = (sure >= low) & (sure < high)
        if there.any():
            share = f"{right[there].mean():.2f} of {there.sum()}"
            print(f"certainty from {low:g} to {min(high, 1):g}: {share} right")
    return 0


if __name__ == "__main__":
    sys.exit(main())
