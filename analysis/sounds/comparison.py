"""A clip beside the clips made from it: the same pictures on the same axes at the same level, and measures.

`load` reads and levels the files, `page` gives one HTML page that needs nothing else, `write` a folder. All
clips are taken as the mean of their channels, at the lowest rate among the files and at one integrated
loudness (ITU-R BS.1770), so that neither bandwidth nor level tells them apart; players play just that.
"""

from __future__ import annotations

import json
import math
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from analysis import formats as f
from analysis.sounds import pictures
from analysis.sounds.pictures import Heatmap
from caw import audio, measures
from caw.files import atomic, file_names, spreadsheet
from caw.measures import catalogue, spectra
from caw.problems import ProblemError

PAGE, PICTURE, RECORDS, TABLE = "index.html", "comparison", "comparison.json", "measures.csv"
LOUDNESS = -18.0  # LUFS; lower for all where a peak would exceed the next
HIGHEST_PEAK = -1.0  # dBFS
MOST = 8  # generated clips side by side
LONGEST = 600.0  # seconds of one clip, in pages that hold all of their sound
ORIGINAL = "Original"


class ComparisonError(ProblemError):
    """Clips that cannot be laid side by side."""


@dataclass(frozen=True)
class Sound:
    """One clip as it is shown and heard. samples: float32 [n], levelled, at `rate` Hz.

    own_rate, channels and own_loudness (LUFS) are the file's, gain (dB) what levelling has done.
    """

    label: str
    file: str
    original: bool
    samples: np.ndarray
    rate: int
    own_rate: int
    channels: int
    own_loudness: float
    gain: float

    @property
    def seconds(self) -> float:
        return self.samples.size / self.rate

    @cached_property
    def clip(self) -> spectra.AnalysedClip:
        return spectra.AnalysedClip(self.samples, self.rate, name=self.label)

    @cached_property
    def waveform(self) -> pd.DataFrame:
        return pictures.waveform(self.samples, self.rate)

    @cached_property
    def spectrum(self) -> pd.DataFrame:
        return pictures.long_term_spectrum(self.samples, self.rate)

    @cached_property
    def mel(self) -> Heatmap:
        return pictures.mel_spectrogram(self.clip, self.rate)

    @cached_property
    def onsets(self) -> pd.DataFrame:
        return pictures.onset_envelope(self.clip, self.rate)

    @cached_property
    def tempogram(self) -> Heatmap:
        return pictures.tempogram(self.clip, self.rate)

    @cached_property
    def tempo(self) -> float | None:
        """Beats per minute as `caw measure` has it; None for a clip too short for one."""
        return measures.tempo(self.clip, self.rate)

    @cached_property
    def peak(self) -> float:
        """dBFS, after levelling."""
        return audio.peak_db(self.samples)


@dataclass(frozen=True)
class Comparison:
    """The original first, then the generated clips. rate: Hz; loudness: LUFS; notes: for the reader."""

    sounds: list[Sound]
    rate: int
    loudness: float
    notes: list[str] = field(default_factory=list)

    @property
    def original(self) -> Sound:
        return self.sounds[0]

    @property
    def generated(self) -> list[Sound]:
        return self.sounds[1:]

    @property
    def seconds(self) -> float:
        """Of the longest clip: the axis of time that all share."""
        return max(sound.seconds for sound in self.sounds)

    @cached_property
    def measured(self) -> list[dict[str, float | None]]:
        """Of each generated clip, every measure of `caw measure` by its name."""
        values = [measures.evaluate(self.original.clip, one.clip, self.rate) for one in self.generated]
        diversity = measures.diversities([one.samples for one in self.generated], self.rate)
        return [one | {"diversity": value} for one, value in zip(values, diversity, strict=True)]

    @cached_property
    def anchors(self) -> dict[str, dict[str, float | None]]:
        """The same of sounds that are known, as `measures.anchors` has them; those that could be taken."""
        taken = measures.anchors(self.original.clip, self.rate)
        return {name: values for name, values in taken.items() if values}

    def measure_names(self) -> list[str]:
        """In the catalogue's order; without diversity where one clip has nothing to differ from."""
        edges = measures.edges(measures.SCALES, self.rate)
        named = [one.name for one in catalogue.measures(edges)]
        return [name for name in named if any(one.get(name) is not None for one in self.measured)]

    def table(self) -> pd.DataFrame:
        """One row per generated clip and anchor: clip, kind (generated, anchor), then every measure."""
        names = self.measure_names()
        rows = [
            {"clip": sound.label, "kind": "generated"} | {name: values.get(name) for name in names}
            for sound, values in zip(self.generated, self.measured, strict=True)
        ]
        rows += [
            {"clip": anchor, "kind": "anchor"} | {name: self.anchors[anchor].get(name) for name in names}
            for anchor in self.anchors
        ]
        return pd.DataFrame(rows, columns=["clip", "kind", *names])

    def records(self) -> dict[str, Any]:
        """What the pictures and the table say, as plain values for JSON."""
        return {
            "rate": self.rate,
            "loudness": round(self.loudness, 2),
            "notes": self.notes,
            "clips": [_record(sound) for sound in self.sounds],
            "measures": dict(zip((one.label for one in self.generated), self.measured, strict=True)),
            "anchors": self.anchors,
            "passed_by_noise": catalogue.passed_by_noise(self.anchors),
        }


def load(
    original: Path,
    generated: Sequence[Path],
    labels: Sequence[str] | None = None,
    *,
    start: float = 0.0,
    seconds: float | None = None,
) -> Comparison:
    """Read clips at their lowest rate, as the mean of their channels, and bring them to one loudness.

    Parameters
    ----------
    original : Path
    generated : sequence of Path
        One to `MOST` clips that were made from it.
    labels : sequence of str, optional
        One per generated clip, or one per clip with the original's first; by default the names of the files.
    start, seconds : float, optional
        The passage of the original that the others were made from, in seconds, where it is not all of it.

    Returns
    -------
    Comparison

    Raises
    ------
    ComparisonError
        For too many clips or labels, and for clips that are too long or too soft.
    AudioError
        For a file that cannot be used.
    MeasureError
        For a clip under 0.5 s.
    """
    paths = [Path(original), *map(Path, generated)]
    if not 2 <= len(paths) <= MOST + 1:
        raise ComparisonError(f"{len(paths) - 1} generated clips were given", f"give 1 to {MOST}")
    labels = _labels(paths, labels)
    infos = [audio.inspect(path) for path in paths]
    for info in infos[1:] if seconds is not None else infos:
        if info.seconds > LONGEST:
            message = f"{info.path}: is {info.seconds:.0f} s long"
            raise ComparisonError(message, f"the page holds up to {LONGEST:g} s of a clip, cut it shorter")
    rate = min(info.rate for info in infos)
    piece = {"start": start, "seconds": seconds}
    arrays = [
        audio.read(path, rate=rate, **(piece if not place else {}))[0] for place, path in enumerate(paths)
    ]
    return of_arrays(arrays, rate, labels, files=[file_names.shown(path.name) for path in paths], infos=infos)


def of_arrays(
    arrays: Sequence[np.ndarray],
    rate: int,
    labels: Sequence[str],
    *,
    files: Sequence[str] | None = None,
    infos: Sequence[audio.AudioInfo] | None = None,
) -> Comparison:
    """Compare arrays of samples.

    Parameters
    ----------
    arrays : sequence of numpy.ndarray
        Float samples [n], the original first.
    rate : int
        Of all of them, in Hz.
    labels : sequence of str
        One per array.
    files, infos : sequence, optional
        The names and headers of the files that they come from.

    Returns
    -------
    Comparison

    Raises
    ------
    ComparisonError
        For an array that is too soft to be levelled.
    MeasureError
        For an array that is silent, not finite or under 0.5 s.

    Examples
    --------
    >>> tones = [np.sin(np.arange(16000) * hz / 2500) for hz in (440, 450)]
    >>> compared = of_arrays(tones, 16000, ["Original", "Take 1"])
    >>> compared.seconds, round(compared.loudness)
    (1.0, -18)
    """
    arrays = [spectra.validated(x, rate, label) for x, label in zip(arrays, labels, strict=True)]
    own = [audio.loudness(x, rate) for x in arrays]
    for label, value in zip(labels, own, strict=True):
        if not math.isfinite(value):
            raise ComparisonError(f"{label}: is too soft to be levelled (under -70 LUFS)", "raise its level")
    excess = max(audio.peak_db(x) - value for x, value in zip(arrays, own, strict=True))
    target = min(LOUDNESS, HIGHEST_PEAK - excess)
    sounds = []
    for place, (x, label, value) in enumerate(zip(arrays, labels, own, strict=True)):
        levelled = (x * 10 ** ((target - value) / 20)).astype(np.float32)
        info = infos[place] if infos else None
        file = files[place] if files else label
        own_rate, channels = (info.rate, info.channels) if info else (rate, 1)
        sounds.append(
            Sound(label, file, not place, levelled, rate, own_rate, channels, value, target - value)
        )
    return Comparison(sounds, rate, target, _notes(sounds, rate, target))


def page(
    original: Path,
    generated: Sequence[Path],
    labels: Sequence[str] | None = None,
    *,
    out: Path | None = None,
    start: float = 0.0,
    seconds: float | None = None,
) -> str:
    """The comparison as one HTML page with its players and pictures, needing nothing else.

    Parameters
    ----------
    original, generated, labels, start, seconds
        As for `load`.
    out : Path, optional
        A folder for the page and the other files of `write`; by default nothing is written.

    Returns
    -------
    str
        The text of the page.

    Raises
    ------
    ComparisonError, AudioError, MeasureError
        As for `load`; ComparisonError also where `out` is a file.
    OSError
        Where nothing can be written.
    """
    from analysis.sounds import comparison_page

    if out is not None:
        _check_place(Path(out))
    comparison = load(original, generated, labels, start=start, seconds=seconds)
    text = comparison_page.html(comparison)
    if out is not None:
        _write(comparison, text, Path(out))
    return text


def write(comparison: Comparison, out: Path) -> Path:
    """Write index.html, comparison.png, comparison.svg, comparison.json and measures.csv into a folder.

    Each file appears whole or not at all, the page last.

    Parameters
    ----------
    comparison : Comparison
    out : Path
        The folder; it is made where it is missing.

    Returns
    -------
    Path
        Of the page.

    Raises
    ------
    ComparisonError
        Where `out` is a file.
    OSError
        Where it cannot be written.
    """
    from analysis.sounds import comparison_page

    _check_place(Path(out))
    return _write(comparison, comparison_page.html(comparison), Path(out))


def _write(comparison: Comparison, text: str, out: Path) -> Path:
    from analysis.sounds import comparison_charts as plots

    svg, png = plots.sheet_files(comparison)
    atomic.write(out / TABLE, spreadsheet.frame_as_csv(comparison.table()))
    atomic.write(out / RECORDS, json.dumps(comparison.records(), allow_nan=False, indent=1) + "\n")
    atomic.write(out / f"{PICTURE}.svg", svg)
    atomic.write(out / f"{PICTURE}.png", png)
    atomic.write(out / PAGE, text)
    return out / PAGE


def _check_place(out: Path) -> None:
    if out.exists() and not out.is_dir():
        raise ComparisonError(f"{out} is a file", "name a folder for the comparison")


def _labels(paths: Sequence[Path], labels: Sequence[str] | None) -> list[str]:
    """A label for each clip; alike ones are numbered."""
    names = [path.stem for path in paths[1:]] if labels is None else list(labels)
    names = [unicodedata.normalize("NFC", file_names.shown(label)) for label in names]
    if len(names) == len(paths) - 1:
        names = [ORIGINAL, *names]
    if len(names) != len(paths):
        message = f"{len(names)} labels were given for {len(paths) - 1} generated clips"
        raise ComparisonError(message, "give one for each, in their order")
    if empty := [place for place, label in enumerate(names) if not label.strip()]:
        raise ComparisonError(f"label {empty[0]} is empty", "give every clip a name")
    forms = [file_names.same(label) for label in names]
    numbered = [
        f"{label} ({forms[: place + 1].count(form)})" if forms.count(form) > 1 else label
        for place, (label, form) in enumerate(zip(names, forms, strict=True))
    ]
    return file_names.distinct(numbered)


def _notes(sounds: Sequence[Sound], rate: int, target: float) -> list[str]:
    lowest = [sound.label for sound in sounds if sound.own_rate == rate]
    if all(sound.own_rate == rate for sound in sounds):
        notes = [f"All files have {rate} Hz."]
    else:
        notes = [
            f"Shown, heard and measured at {rate} Hz, the lowest rate among the files ({', '.join(lowest)})."
        ]
    text = f"All at one loudness, {f.number(target, 1)} LUFS (ITU-R BS.1770)"
    if target < LOUDNESS - 0.05:
        text += f", below {f.number(LOUDNESS, 0)} so that no peak exceeds {f.number(HIGHEST_PEAK, 0)} dBFS"
    notes.append(text + "; pictures and players alike.")
    if many := [sound.label for sound in sounds if sound.channels > 1]:
        notes.append(f"The mean of the channels of {', '.join(many)}.")
    lengths = [round(sound.seconds, 1) for sound in sounds]
    if len(set(lengths)) > 1:
        notes.append(
            f"Clips last {min(lengths):g} to {max(lengths):g} s; where one ends, its pictures stay empty."
        )
    return notes


def _record(sound: Sound) -> dict[str, Any]:
    spectrum = sound.spectrum
    return {
        "label": sound.label,
        "file": sound.file,
        "original": sound.original,
        "seconds": round(sound.seconds, 3),
        "rate": sound.own_rate,
        "channels": sound.channels,
        "loudness": round(sound.own_loudness, 2),
        "gain": round(sound.gain, 2),
        "peak": round(sound.peak, 2),
        "tempo": sound.tempo,
        "strongest_tempo": round(pictures.strongest_tempo(sound.tempogram), 1),
        "spectrum_peak": round(float(spectrum["frequency"][spectrum["level"].idxmax()]), 1),
        "spectrum": {name: [round(value, 2) for value in spectrum[name].tolist()] for name in spectrum},
    }
