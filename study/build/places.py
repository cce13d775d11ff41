"""A clip in place: after the music that comes before a song's gap, and before the music that follows it.

Everything joins at beats. Any clip can be put into any song's place, so that hearing one there says nothing
of what the clip is.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from scipy import ndimage

from caw import audio, beats, features
from caw.beats import BeatGrid
from caw.files import atomic
from study import gaps
from study.backends import seed_for
from study.build import songs, stimuli
from study.build.progress import BuildProgress
from study.build.sources import Passage
from study.design import Design, Song
from study.folder import StudyFolder, make_private

FADE = (
    0.02  # s: sound is cut so long before a beat, and crosses over up to the beat, whose attack stays whole
)
_SAME_TEMPO = 0.1  # octaves
_BANDS = ((0, 6), (6, 14), (14, 26), (26, 40))  # of `features.Frames.mel`
_PLACES = 48  # of a beat, at which onsets are counted
_STRONGEST = 4.0  # that an onset counts
_ALIKE = 0.55  # correlation of onsets; measured: .59 and more in a clip's own song, .50 and less in others
_LOUDEST = 0.98  # of full scale
_FORM = 1  # raise it when places are made in another way than before
_RECORD = "places.json"
_BARS, _SHORTEST, _USUAL, _LONGEST = 4, 4.0, 6.0, 12.0  # bars of each side, and bounds in s
_SECONDS = 0.5  # of work for a place; for the progress bar


def build(
    folder: StudyFolder,
    design: Design,
    passages: Mapping[str, Passage],
    rates: Mapping[str, int],
    progress: BuildProgress,
) -> int:
    """Make the places of all songs that are missing or not those of the design; return how many that were.

    passages: by the name of their song. rates: in Hz, of every clip in the sets; they decide the band.
    A place is as long as four bars, or 6 s where no bar is clear, at the rate and band of stimuli. Both of
    a song are brought to the loudness of stimuli by one gain, so that the song's own dynamics stay.
    """
    if not design.songs:
        shutil.rmtree(folder.places, ignore_errors=True)
        return 0
    bandwidth = stimuli.common_bandwidth(design.stimuli, rates)
    known = _read(folder)
    record = {song.name: _facts(design, song, passages[song.name], bandwidth) for song in design.songs}
    if record == known and all(_is_whole(folder, song) for song in design.songs):
        return 0
    due = [
        song
        for song in design.songs
        if known.get(song.name) != record[song.name] or not _is_whole(folder, song)
    ]
    make_private(folder.places)
    cost = _SECONDS * len(due)
    if due:
        with progress.over(cost), progress.step(cost, "cut the music around the gaps of songs"):
            for song in due:
                _cut(folder, design, song, passages[song.name], bandwidth)
    wanted = {file.name for song in design.songs for file in _files(folder, song)}
    for file in folder.places.glob("*.wav"):
        if file.name not in wanted:
            file.unlink()
    atomic.write(folder.places / _RECORD, json.dumps(record, indent=1) + "\n", mode=0o600)
    return len(due)


def _files(folder: StudyFolder, song: Song) -> list[Path]:
    """The files of a song's places, of which a rework at an end of its file lacks one."""
    return [folder.place(song.name, side) for side in _sides(song)]


def _sides(song: Song) -> list[str]:
    stated = {gaps.BEFORE: song.before, gaps.AFTER: song.after}
    return [side for side, passage in stated.items() if passage is not None or song.passage is not None]


def _is_whole(folder: StudyFolder, song: Song) -> bool:
    files = _files(folder, song)
    return all(file.is_file() for file in files) if song.passage is None else any(map(Path.is_file, files))


def _cut(folder: StudyFolder, design: Design, song: Song, passage: Passage, bandwidth: float) -> None:
    """Write the places of one song."""
    gap, form = songs.gap_of(design, song), design.stimuli
    seams = gaps.seams(passage.file, gap)
    seconds = _USUAL if not (seams.beat and seams.bar) else _BARS * seams.bar * seams.beat
    seconds = float(np.clip(seconds, _SHORTEST, _LONGEST))
    lowest, highest = (0.0, passage.file_seconds) if song.passage else (None, None)
    ends: dict[str, tuple[float, float]] = {}
    if gaps.BEFORE in _sides(song) and seams.leave is not None:
        first = lowest if song.before is None else song.before[0]
        end = min(seams.leave + FADE, passage.file_seconds)
        ends[gaps.BEFORE] = max(first, end - seconds), end
    if gaps.AFTER in _sides(song) and seams.enter is not None:
        last = highest if song.after is None else song.after[1]
        ends[gaps.AFTER] = seams.enter, min(last, seams.enter + seconds)
    sounds = {
        side: _shaped(passage.file, side, begin, end, design, bandwidth)
        for side, (begin, end) in ends.items()
        if end - begin >= 1.0
    }
    around = np.concatenate(list(sounds.values()))
    loud = audio.loudness(around, form.rate)
    gain = 10 ** ((form.loudness - loud) / 20) if np.isfinite(loud) else 1.0
    peak = float(np.abs(around).max(initial=0.0))
    gain = min(gain, _LOUDEST / max(peak, 1e-9))
    for side, samples in sounds.items():
        dither = seed_for(design.study.seed, "place", song.name, side)
        file = folder.place(song.name, side)
        audio.write(file, stimuli.quantise(gain * samples, dither), form.rate, subtype="PCM_16")
        file.chmod(0o600)


def _shaped(file: Path, side: str, begin: float, end: float, design: Design, bandwidth: float) -> np.ndarray:
    """A stretch of a file at the rate and in the band of stimuli, faded where nothing is joined to it."""
    form = design.stimuli
    samples, rate = audio.read(file, start=begin, seconds=end - begin)
    resampled = audio.resample(samples, rate, form.rate).astype(np.float64)
    inside = stimuli.low_pass(stimuli.high_pass(resampled, form.rate, form.lowest), form.rate, bandwidth)
    centred = inside - inside.mean()
    slope = np.linspace(0, 1, round(FADE * form.rate), endpoint=False)
    if side == gaps.BEFORE:
        centred[: len(slope)] *= slope
    else:
        centred[len(centred) - len(slope) :] *= slope[::-1]
    return centred


def beat_of(folder: StudyFolder, song: str) -> float | None:
    """Seconds between beats of a song, as the build heard them; None where it heard none."""
    return _read(folder).get(song, {}).get("beat")


def _facts(design: Design, song: Song, passage: Passage, bandwidth: float) -> dict[str, Any]:
    """What the places of a song are made from, and its beat."""
    gap, form = songs.gap_of(design, song), design.stimuli
    shape = [form.rate, form.loudness, form.lowest, bandwidth, design.study.seed]
    content = json.dumps([_FORM, passage.sha256, gap.facts, gap.bpm, gap.metre, shape])
    digest = hashlib.sha256(content.encode()).hexdigest()[:16]
    return {"recipe": digest, "beat": gaps.seams(passage.file, gap).beat}


def _read(folder: StudyFolder) -> dict[str, dict[str, Any]]:
    """What the places in the folder were made from, by the song's name; {} where that is not known."""
    try:
        record = atomic.read_json(folder.places / _RECORD)
    except (OSError, ValueError):
        return {}
    whole = isinstance(record, dict) and all(isinstance(one, dict) for one in record.values())
    return record if whole else {}


def in_place(
    clip: np.ndarray,
    before: np.ndarray | None,
    after: np.ndarray | None,
    rate: int,
    *,
    beat: float | None = None,
) -> np.ndarray:
    """A clip with the music around a gap: before, clip, after.

    Parameters
    ----------
    clip : ndarray, shape (n,)
        What is heard in the gap.
    before, after : ndarray, shape (n,), or None
        The music on both sides, as `study build` leaves it in places/: `before` ends and `after` begins where
        a beat is due. None where the gap lies at that end of the song.
    rate : int
        Of all three, in Hz.
    beat : float, optional
        Seconds between beats of the song, from `beat_of`. A clip in half the tempo has twice as many beats.

    Returns
    -------
    ndarray of float32, shape (n,)
        The clip is taken from its first beat to its last: its own beats, or the song's where it has no clear
        ones. The music around it gets the clip's loudness by one gain for both sides. Each seam is an
        equal-power crossfade of 20 ms.
    """
    sides = [one for one in (before, after) if one is not None and len(one)]
    if not sides:
        return np.asarray(clip, np.float32)
    first, last = _reach(np.asarray(clip, np.float32), before, after, rate, beat)
    gain = _gain(clip, np.concatenate(sides), rate)
    fade = round(FADE * rate)
    missing = max(0, -first), max(0, last - len(clip)) + fade
    parts = np.pad(np.asarray(clip[max(0, first) :], float), missing)
    if after is not None and len(after):
        parts = _crossed(parts[: last - first + fade], gain * after, fade)
    else:
        parts = parts[: len(parts) - fade]
    if before is not None and len(before):
        parts = _crossed(gain * before, parts, fade)
    peak = float(np.abs(parts).max(initial=0.0))
    return (parts * min(1.0, _LOUDEST / max(peak, 1e-9))).astype(np.float32)


def _crossed(one: np.ndarray, other: np.ndarray, fade: int) -> np.ndarray:
    """Two sounds, of which the second begins `fade` samples before the first one's end."""
    fade = min(fade, len(one), len(other))
    angle = np.pi / 2 * (np.arange(fade) + 0.5) / max(fade, 1)
    seam = one[len(one) - fade :] * np.cos(angle) + other[:fade] * np.sin(angle)
    return np.concatenate([one[: len(one) - fade], seam, other[fade:]])


def _gain(clip: np.ndarray, around: np.ndarray, rate: int) -> float:
    """The factor that gives the music around the gap the clip's loudness."""
    own, other = audio.loudness(np.asarray(clip, float), rate), audio.loudness(around, rate)
    return 10 ** ((own - other) / 20) if np.isfinite(own) and np.isfinite(other) else 1.0


def _reach(
    clip: np.ndarray, before: np.ndarray | None, after: np.ndarray | None, rate: int, beat: float | None
) -> tuple[int, int]:
    """The samples at which a clip is entered and left, which may lie just beyond its ends."""
    times = _beats(clip, before, after, rate, beat)
    if times is None or len(times) < 2:
        return 0, len(clip)
    first = 0 if before is None else max(round((times[0] - FADE) * rate), -round(FADE * rate))
    last = len(clip) if after is None else round((times[-1] - FADE) * rate)
    return (first, last) if last > first else (0, len(clip))


def _beats(
    clip: np.ndarray, before: np.ndarray | None, after: np.ndarray | None, rate: int, beat: float | None
) -> np.ndarray | None:
    """Times in s of a clip's beats, as long as the song's where those are another metric level of them.

    Where a beat of the clip has its onsets as a beat of the song has, the song says what is on the beat and
    what is between two beats: loud off-beats are easily taken for beats. None where there is no beat at all.
    """
    frames, seconds = features.analyse(clip, rate), len(clip) / rate
    if beat and (first := _first_beat(frames, before, after, rate, beat)) is not None:
        return np.arange(first, seconds + FADE, beat)
    grid = beats.beat_grid(frames)
    if grid.tempo is None and beat:  # the song's, as well as it can be followed
        grid = beats.beat_grid(frames, tempo=60 / beat)
    if grid.tempo is None:
        return None
    octaves = float(np.log2(grid.tempo * beat / 60)) if beat else 0.0
    if round(octaves) and abs(octaves - round(octaves)) < _SAME_TEMPO:
        grid = beats.beat_grid(frames, tempo=60 / beat)
    return _whole_beats(grid, seconds)


def _first_beat(
    frames: features.Frames, before: np.ndarray | None, after: np.ndarray | None, rate: int, beat: float
) -> float | None:
    """Second of a clip's first beat, by what a beat of the song has where; None where they are not alike."""
    song = np.zeros((len(_BANDS), _PLACES))
    if before is not None and len(before):
        song += _in_a_beat(features.analyse(before, rate), len(before) / rate, beat)
    if after is not None and len(after):
        song += _in_a_beat(features.analyse(after, rate), FADE, beat)
    own = _in_a_beat(frames, 0.0, beat)
    alike = np.array([np.sum(np.roll(own, -shift, axis=1) * song) for shift in range(_PLACES)])
    scale = np.sqrt(np.sum(own**2) * np.sum(song**2))
    if alike.max() <= _ALIKE * scale:
        return None
    first = float(np.argmax(alike)) / _PLACES * beat
    return first - beat if first > beat - FADE else first


def _in_a_beat(frames: features.Frames, start: float, beat: float) -> np.ndarray:
    """Mean strength of onsets by their place in a beat, over the mean of their band. [bands, _PLACES]

    start: second of any beat.
    """
    place = np.arange(len(frames)) * features.HOP / beat - start / beat
    index = np.floor(place % 1 * _PLACES).astype(int) % _PLACES
    count = np.maximum(np.bincount(index, minlength=_PLACES), 1)
    rows = []
    for low, high in _BANDS:
        strength = np.minimum(features.onsets(frames.mel[:, low:high]), _STRONGEST)
        mean = np.bincount(index, strength, _PLACES) / count
        rows.append(ndimage.gaussian_filter1d(mean - mean.mean(), 1.5, mode="wrap"))
    return np.array(rows)


def _whole_beats(grid: BeatGrid, seconds: float) -> np.ndarray:
    """The beats of a grid, of whose units some may be half beats.

    A beat beyond an end of the clip counts where the crossfade reaches it: further out there is no sound.
    """
    phase = int(np.argmin(grid.places != 0)) % grid.per_beat  # bars begin with a beat
    times = grid.bounds[phase :: grid.per_beat]
    period = float(np.median(np.diff(times))) if len(times) > 1 else seconds
    early, late = times[0] - period, times[-1] + period
    if early >= -FADE:
        times = np.append(early, times)
    if late <= seconds + FADE:
        times = np.append(times, late)
    return times
