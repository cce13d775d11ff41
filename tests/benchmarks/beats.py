"""Beats and bars: `caw.beats` against librosa on music whose beats are known (`beat_scores`).

    python -m tests.benchmarks.beats CLIPS            # tables in Markdown, on standard output
    python -m tests.benchmarks.beats CLIPS --tempi    # tempo alone
    python -m tests.benchmarks.beats CLIPS --times    # seconds of CPU in fresh processes

Every piece is rendered at three tempi, once, into the folder CLIPS (`beat_scores` says by what). Beats are
judged by mir_eval (`pip install mir_eval`) as the field does, from 5 s on: F-measure within 70 ms; CMLt, the
share of the beats that are right at the annotated metric level; AMLt, at that, twice or half of it or on the
off-beats (Davies et al. 2009, "Evaluation methods for musical audio beat tracking algorithms").
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path

import numpy as np

from caw import audio, beats, features
from caw.features import HOP, Frames
from caw.measures import rhythm
from tests.benchmarks import beat_scores, compose_riff

SPEEDS = (0.85, 1.0, 1.2)
RATE = 22050  # Hz, librosa's
FINE_HOP = 110  # samples, 5 ms: the nearest to ours
OURS, DEFAULT = "ours", "librosa.beat.beat_track"
OUR_ONSETS = "beat_track on our onsets"
OUR_TEMPO = "beat_track on our onsets and tempo"
PULSE = "librosa.beat.plp on our onsets"
THEIR_FEATURES = "ours on librosa's features"
COLUMNS = ("F-measure", "CMLt", "AMLt", "off, ms", "bars' F", "bar's length")
RESAMPLES = 10_000  # of the pieces, for intervals
# a first and a second call on one clip, in a process that has done nothing else
CALLS = {
    "caw.mosaic (features and beats)": (
        "from caw import beats, features",
        "beats.beat_grid(features.analyse(x, 22050))",
    ),
    "librosa.filters.mel": (
        "from librosa import filters",
        "filters.mel(sr=22050, n_fft=512, n_mels=40, htk=True, norm=None)",
    ),
    "librosa.feature.chroma_stft": ("from librosa import feature", "feature.chroma_stft(y=x, sr=22050)"),
    "librosa.onset.onset_strength": ("from librosa import onset", "onset.onset_strength(y=x, sr=22050)"),
    "librosa.beat.beat_track": ("from librosa import beat", "beat.beat_track(y=x, sr=22050)"),
}
TIMED = """
import resource, sys
import soundfile
def now():
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime
x = soundfile.read(sys.argv[1], dtype="float32")[0]
began = now()
{0}
{1}
first = now()
{1}
print(first - began, now() - first)
"""


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("clips", type=Path, help="where the pieces are rendered to, once")
    parser.add_argument("--tempi", action="store_true", help="judge tempo alone")
    parser.add_argument("--times", action="store_true", help="measure time alone")
    options = parser.parse_args(arguments)
    options.clips.mkdir(parents=True, exist_ok=True)
    if options.times or options.tempi:
        print(times(options.clips) if options.times else tempo_table(options.clips))
        return 0
    found, tempi = {}, {}
    for name, speed, samples, rate, true_beats, true_bars in clips(options.clips):
        each = judged(samples, rate, true_beats, true_bars)
        found.setdefault(name, []).append(each)
        tempi.setdefault(name, []).append(60 / float(np.median(np.diff(true_beats))))
        print(f"{name} x {speed:g}", file=sys.stderr)
    print(summary(found), by_piece(found, tempi), sep="\n\n")
    return 0


def clips(folder: Path):
    """(name, speed, samples [n], rate, beats, bars) of every clip, rendered where it is not there yet."""
    for number, piece in enumerate(beat_scores.PIECES):
        for speed in SPEEDS:
            path, at_speed = folder / f"{number:02d}-{speed:g}.flac", piece.at(speed)
            if not path.exists():
                audio.write(path, at_speed.render(), compose_riff.RATE, subtype="PCM_16")
            yield piece.name, speed, *audio.read(path), *at_speed.truth()
    riff = Path(compose_riff.__file__).with_name("riff.flac")
    yield "riff: 7/8, 4/4, 5/4", 1.0, *audio.read(riff), *beat_scores.riff()


def judged(samples, rate: int, true_beats, true_bars) -> dict[str, list[float]]:
    """By system, the values of COLUMNS; NaN where a system says nothing."""
    frames = features.analyse(samples, rate)
    low = audio.resample(samples, rate, RATE)
    theirs = librosa_features(low)
    found = {name: scores(true_beats, told) for name, told in librosa_beats(frames, low).items()}
    ours = {}
    for name, heard in ((OURS, frames), (THEIR_FEATURES, theirs)):
        period, _ = beats.beat_period(heard.onsets)
        told = scores(true_beats, beats.snapped(beats.track(heard.onsets, period), heard.onsets))
        ours[name] = told[:4] + bar_scores(true_bars, beats.beat_grid(heard))
    return {OURS: ours[OURS]} | found | {THEIR_FEATURES: ours[THEIR_FEATURES]}


def librosa_beats(frames: Frames, low: np.ndarray) -> dict[str, np.ndarray]:
    """Beats in seconds, by system. low: the samples at RATE."""
    import librosa

    given = {"onset_envelope": frames.onsets.astype(float), "sr": round(1 / HOP), "hop_length": 1}
    period, _ = beats.beat_period(frames.onsets)
    same = {"bpm": 60 / (period * HOP), "tightness": beats.TIGHTNESS, "trim": False}
    tracked = [librosa.beat.beat_track(**given, **more)[1] * HOP for more in ({}, same)]
    pulse = librosa.beat.plp(**given, win_length=round(8.9 / HOP))  # its default in seconds
    return {
        DEFAULT: librosa.beat.beat_track(y=low, sr=RATE, units="time")[1],
        OUR_ONSETS: beats.snapped(tracked[0], frames.onsets),
        OUR_TEMPO: beats.snapped(tracked[1], frames.onsets),
        PULSE: beats.snapped(np.flatnonzero(librosa.util.localmax(pulse)) * HOP, frames.onsets),
    }


def librosa_features(low: np.ndarray) -> Frames:
    """What `features.analyse` gives, made by librosa of the samples at RATE, on its time axis."""
    import librosa

    short = {"n_fft": 512, "hop_length": FINE_HOP, "n_mels": features.BANDS, "fmin": features.LOWEST}
    power = librosa.feature.melspectrogram(y=low, sr=RATE, htk=True, **short)
    level = librosa.power_to_db(power, ref=np.max, top_db=features.DEPTH_DB)
    rise = {"lag": features.RISE, "max_size": 3, "detrend": False, "center": False}
    bands = [slice(0, features.BASS_BANDS), slice(0, features.BANDS)]
    onsets = librosa.onset.onset_strength_multi(S=level, sr=RATE, hop_length=FINE_HOP, channels=bands, **rise)
    chroma = librosa.feature.chroma_stft(
        y=low, sr=RATE, n_fft=4096, hop_length=features.CHROMA_EVERY * FINE_HOP, tuning=0.0
    )
    chroma = np.repeat(chroma, features.CHROMA_EVERY, axis=1)
    here, there = np.arange(0, len(low) / RATE, HOP), np.arange(level.shape[1]) * FINE_HOP / RATE

    def at_our_times(rows):
        return np.stack([np.interp(here, there, row[: len(there)]) for row in rows], axis=1)

    bass, whole = at_our_times(onsets / onsets.std(axis=1, keepdims=True)).T
    return Frames(at_our_times(level + features.DEPTH_DB), at_our_times(chroma), whole, bass)


def scores(true_beats, told) -> list[float]:
    """COLUMNS of beats alone; `off` is from the nearest beat or half of one, in the median."""
    import mir_eval

    true, told = (mir_eval.beat.trim_beats(times) for times in (true_beats, told))
    if len(told) < 2:
        return [0.0, 0.0, 0.0] + [np.nan] * 3
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # where a half of the beats are asked for too
        _, level, _, any_level = mir_eval.beat.continuity(true, told)
    halves = np.sort(np.concatenate([true, (true[1:] + true[:-1]) / 2]))
    off = 1000 * np.median(np.abs(halves - told[:, None]).min(axis=1))
    return [mir_eval.beat.f_measure(true, told), level, any_level, off, np.nan, np.nan]


def bar_scores(true_bars, grid: beats.BeatGrid) -> list[float]:
    """F-measure of where bars begin; their length: 1 where it is right, 0.5 for half or twice it."""
    import mir_eval

    if not grid.per_bar:
        return [0.0, 0.0]
    told = grid.bounds[:-1][grid.places == 0]
    ratio = np.median(np.diff(told)) / np.median(np.diff(true_bars)) if len(told) > 1 else 0.0
    near = [level for level in (1.0, 0.5, 2.0) if abs(ratio / level - 1) < 0.05]
    right = {(): 0.0, (1.0,): 1.0}.get(tuple(near), 0.5)
    true, told = (mir_eval.beat.trim_beats(times) for times in (true_bars, told))
    return [mir_eval.beat.f_measure(true, told), right]


def summary(found: dict[str, list[dict]]) -> str:
    """Means over the pieces, each the mean of its tempi, and how far AMLt is from ours (95 %)."""
    systems = list(next(iter(found.values()))[0])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a column that a system has nothing in
        each = {
            s: np.array([np.nanmean([clip[s] for clip in f], axis=0) for f in found.values()])
            for s in systems
        }
        means = {system: np.nanmean(values, axis=0) for system, values in each.items()}
        means = {s: np.append(means[s][:3], [np.nanmedian(each[s][:, 3]), *means[s][4:]]) for s in systems}
    dice = np.random.default_rng(0)
    chosen = dice.integers(0, len(found), (RESAMPLES, len(found)))
    lines = [f"| | {' | '.join(COLUMNS)} | AMLt less ours |", "|---" * (len(COLUMNS) + 2) + "|"]
    for system in systems:
        apart = each[system][:, 2] - each[OURS][:, 2]
        low, high = np.quantile(apart[chosen].mean(axis=1), (0.025, 0.975))
        cells = [
            "" if np.isnan(v) else f"{v:.0f}" if n == 3 else f"{v:.2f}" for n, v in enumerate(means[system])
        ]
        told = "" if system == OURS else f"{apart.mean():+.2f} ({low:+.2f} to {high:+.2f})"
        lines.append(f"| {system} | {' | '.join(cells)} | {told} |")
    return "\n".join(lines)


def by_piece(found: dict[str, list[dict]], tempi: dict[str, list[float]]) -> str:
    """AMLt of ours and librosa's, and our bars, piece by piece."""
    lines = ["| piece | beats a minute | AMLt ours | librosa | on our onsets | our bars' F | bar's length |"]
    lines.append("|---" * 7 + "|")
    for name, clips_ in found.items():
        values = [np.mean([clip[system][2] for clip in clips_]) for system in (OURS, DEFAULT, OUR_ONSETS)]
        values += list(np.mean([clip[OURS][4:] for clip in clips_], axis=0))
        speeds = " to ".join(f"{tempo:.0f}" for tempo in sorted({min(tempi[name]), max(tempi[name])}))
        lines.append(f"| {name} | {speeds} | {' | '.join(f'{value:.2f}' for value in values)} |")
    return "\n".join(lines)


def tempo_table(folder: Path) -> str:
    """Shares of clips whose tempo is within 4 %, at the annotated metric level and at any usual one.

    Accuracies 1 and 2 of Gouyon et al. 2006; means over the pieces, each the mean of its tempi.
    """
    import librosa

    systems = {
        "caw.measures.rhythm.tempo": rhythm.tempo,
        "caw.beats.beat_period": lambda x, rate: _mosaic_tempo(features.analyse(x, rate)),
        "librosa.feature.tempo": lambda x, rate: librosa.feature.tempo(y=x, sr=rate)[0],
    }
    right: dict[str, dict[str, list]] = {system: {} for system in systems}
    for name, _, samples, rate, true_beats, _ in clips(folder):
        low = audio.resample(samples, rate, RATE)
        true = 60 / float(np.median(np.diff(true_beats)))
        for system, tempo in systems.items():
            right[system].setdefault(name, []).append(tempo_right(tempo(low, RATE), true))
    lines = ["| | tempo right | or at another metric level |", "|---|---|---|"]
    for system, found in right.items():
        first, second = np.mean([np.mean(each, axis=0) for each in found.values()], axis=0)
        lines.append(f"| {system} | {first:.2f} | {second:.2f} |")
    return "\n".join(lines)


def tempo_right(told: float, true: float) -> tuple[bool, bool]:
    """Whether a tempo is within 4 %, and whether it or a half, a third, twice or three times it is."""
    off = [abs(told / true / level - 1) for level in (1.0, *rhythm.METRIC_LEVELS)]
    return off[0] < 0.04, min(off) < 0.04


def _mosaic_tempo(frames: Frames) -> float:
    return 60 / (beats.beat_period(frames.onsets)[0] * HOP)


def times(folder: Path) -> str:
    """Seconds of CPU of one core for import and first call, and for a second call, medians of three.

    cold: where numba has kept nothing of librosa yet, or may not keep it (once); files: what it keeps.
    """
    _, _, samples, rate, *_ = next(clips(folder))
    path = folder / "timed.flac"
    audio.write(path, audio.resample(samples, rate, RATE), RATE, subtype="PCM_16")
    lines = ["| | cold | import and first call | second call | files kept |", "|---|---|---|---|---|"]
    for name, (imported, called) in CALLS.items():
        with tempfile.TemporaryDirectory() as cache:
            runs = [_timed(TIMED.format(imported, called), path, cache) for _ in range(4)]
            kept = sum(entry.is_file() for entry in Path(cache).rglob("*"))
        first, second = np.median(runs[1:], axis=0)
        lines.append(f"| {name} | {runs[0][0]:.1f} | {first:.2f} | {second:.2f} | {kept} |")
    return "\n".join(lines)


def _timed(code: str, path: Path, cache: str) -> list[float]:
    single = {"OMP_NUM_THREADS": "1", "NUMBA_CACHE_DIR": cache}
    told = subprocess.run(
        [sys.executable, "-c", code, path],
        env=os.environ | single,
        capture_output=True,
        text=True,
        check=True,
    )
    return [float(word) for word in told.stdout.split()]


if __name__ == "__main__":
    sys.exit(main())
