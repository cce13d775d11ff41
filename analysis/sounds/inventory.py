"""What a folder of recordings holds: a row for every audio file, with split, song, length, level and tempo.

`take` looks at every file in parallel processes and loses none: what cannot be read is a row with its reason.
Split, song and part are read off the names; `RULES` says how, and the page repeats it. Nothing listens for
voices.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import pandas as pd

from analysis.sounds import recording_names
from analysis.sounds.recording_names import NO_SPLIT, SPLITS, natural
from caw import audio, measures
from caw.files import file_names, sound_files
from caw.problems import ProblemError
from caw.process import environment_variables

LONGEST = 1800.0  # seconds that are measured of a longer file; its duration is counted to its end
TEMPO_SECONDS, TEMPO_RATE = 120.0, 16000  # tempo is looked for in the first two minutes, at this rate in Hz
BITS = {"PCM_S8": 8, "PCM_U8": 8, "PCM_16": 16, "PCM_24": 24, "PCM_32": 32, "FLOAT": 32, "DOUBLE": 64}
VOCALS = "vocals: not checked"
RULES = (
    *recording_names.RULES,
    "Silence: share of frames of 50 ms that stay 60 dB below the file's own peak. Loudness: integrated, "
    "ITU-R BS.1770. True peak: fourfold oversampling. Tempo: of the first two minutes; halves and doubles "
    "are easily mistaken.",
    "Hidden files and folders are left out; a folder reached twice by links is looked at once.",
    f"Read are {', '.join(kind[1:] for kind in sound_files.SUFFIXES)} (of a video its sound), and files of "
    "another name that begin as WAV, AIFF, FLAC, Ogg, CAF or M4A do. All others are left out and counted.",
)


class InventoryError(ProblemError):
    """A folder that no inventory can be taken of."""


class Stopped(InventoryError):
    """Stopped by the user; nothing was written."""

    exit_code = 130


@dataclass(frozen=True)
class Entry:
    """One audio file. Levels in LUFS, dBFS, dBTP; silence a share; tempo in BPM; None where not known.

    section, mode, epochs: as `recording_names.Name` has them. bits: per sample, None for lossy codings.
    problem: why it could not be read, "" where it was.
    """

    file: str  # relative to the folder, with /
    split: str = NO_SPLIT
    song: str = ""
    section: str = ""
    mode: str = ""
    epochs: int | None = None
    seconds: float | None = None
    rate: int | None = None
    channels: int | None = None
    bits: int | None = None
    format: str = ""
    loudness: float | None = None
    peak: float | None = None
    true_peak: float | None = None
    silence: float | None = None
    tempo: float | None = None
    note: str = VOCALS
    problem: str = ""


@dataclass(frozen=True)
class Inventory:
    """Every audio file under a folder, by name.

    hidden: how many hidden files and folders were left out. left_out: how many files that are no sound, by
    their suffix ("" for none).
    """

    folder: Path
    entries: list[Entry]
    hidden: int = 0
    left_out: dict[str, int] = field(default_factory=dict)
    rules: Sequence[str] = field(default=RULES)

    @property
    def readable(self) -> list[Entry]:
        return [entry for entry in self.entries if not entry.problem]

    @property
    def unreadable(self) -> list[Entry]:
        return [entry for entry in self.entries if entry.problem]

    def in_two_splits(self) -> dict[str, dict[str, list[str]]]:
        """Songs with files in two splits or more, as song -> split -> files, the unreadable ones included."""
        songs: dict[str, dict[str, list[str]]] = {}
        for entry in self.entries:
            if entry.split != NO_SPLIT:
                songs.setdefault(entry.song, {}).setdefault(entry.split, []).append(entry.file)
        return {
            song: {split: splits[split] for split in SPLITS if split in splits}
            for song, splits in sorted(songs.items(), key=lambda item: natural(item[0]))
            if len(splits) > 1
        }

    def frame(self) -> pd.DataFrame:
        """One row per file with the fields of `Entry` as columns."""
        return pd.DataFrame([asdict(entry) for entry in self.entries])

    def totals(self, by: str) -> pd.DataFrame:
        """By "split" or "song": files, songs or splits, their seconds and how many were unreadable.

        Splits are in the order training, testing, validation, "-"; songs by name.
        """
        frame = self.frame()
        other = "song" if by == "split" else "split"
        frame["read"] = frame["problem"] == ""
        rows = []
        for name, part in frame.groupby(by):
            seconds = part.loc[part["read"], "seconds"].astype(float)
            kinds = sorted(set(part.loc[part["read"], other]))
            rows.append(
                {
                    by: name,
                    "files": int(part["read"].sum()),
                    "songs" if by == "split" else "splits": len(kinds) if by == "split" else ", ".join(kinds),
                    "seconds": float(seconds.sum()),
                    "median": float(seconds.median()) if len(seconds) else None,
                    "shortest": float(seconds.min()) if len(seconds) else None,
                    "longest": float(seconds.max()) if len(seconds) else None,
                    "unreadable": int((~part["read"]).sum()),
                }
            )
        order = [*SPLITS, NO_SPLIT]
        rows.sort(key=lambda row: order.index(row[by]) if by == "split" else natural(row[by]))
        return pd.DataFrame(rows)


def take(
    folder: Path, *, workers: int | None = None, progress: Callable[[int, int], None] | None = None
) -> Inventory:
    """Look at every audio file under a folder, in parallel processes.

    Parameters
    ----------
    folder : Path
        The folder; its folders and the folders that it links to are looked at, too.
    workers : int, optional
        How many processes work; by default one for each core of the processor. 1 works in this process.
    progress : callable, optional
        Called with (files done, files in all) after each file.

    Returns
    -------
    Inventory
        An entry for every file with sound. A file that cannot be read has the reason as its `problem`.

    Raises
    ------
    InventoryError
        Where the folder is missing or holds no audio file.
    Stopped
        Where the user interrupts the work; nothing is written.

    Examples
    --------
    >>> import numpy as np, soundfile
    >>> soundfile.write("S1_V.wav", np.sin(np.arange(16000) / 10) / 2, 16000)
    >>> entry = take(Path("."), workers=1).entries[0]
    >>> entry.song, entry.seconds, entry.rate
    ('S1', 1.0, 16000)
    """
    folder = Path(folder)
    if workers is not None and workers < 1:
        raise InventoryError(f"workers is {workers}", "give at least 1")
    names, hidden, left_out = find_files(folder)
    if not names:
        raise InventoryError(f"{folder}: holds no audio file ({audio.READABLE})", "name another folder")
    entries: list[Entry] = []
    with contextlib.closing(_looked_at(folder, names, workers or os.cpu_count() or 1)) as looks:
        try:
            for entry in looks:
                entries.append(entry)
                if progress:
                    progress(len(entries), len(names))
        except KeyboardInterrupt:
            raise Stopped(f"{folder}: interrupted at file {len(entries)}", "nothing was written") from None
    entries.sort(key=lambda entry: natural(entry.file))
    parsed = recording_names.read([entry.file for entry in entries], file_names.shown(folder.resolve().name))
    named = [replace(entry, **asdict(name)) for entry, name in zip(entries, parsed, strict=True)]
    return Inventory(folder, named, hidden, left_out)


def find_files(folder: Path) -> tuple[list[str], int, dict[str, int]]:
    """Audio files under a folder, relative to it with /, how many hidden entries were left out, and how many
    files that are no sound, by suffix.

    Links to folders are followed, each real folder once, so that no loop is. Raises: InventoryError.
    """
    if not folder.is_dir():
        reason = "is a file" if folder.exists() else "no such folder"
        raise InventoryError(f"{folder}: {reason}", "name a folder with audio files")
    names, hidden, seen, others = [], 0, set(), Counter()
    for place, folders, files in os.walk(folder, followlinks=True):
        real = os.path.realpath(place)
        if real in seen:
            folders.clear()
            continue
        seen.add(real)
        hidden += sum(name.startswith(".") for name in [*folders, *files])
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        relative = Path(place).relative_to(folder)
        for name in files:
            if sound_files.holds_sound(Path(place, name)):
                names.append((relative / name).as_posix())
            elif not name.startswith("."):
                others[file_names.shown(Path(name).suffix.lower())] += 1
    return sorted(names, key=natural), hidden, dict(sorted(others.items()))


def look(folder: Path, name: str) -> Entry:
    """What one file holds, without what its name says; an unreadable file gives an entry with its problem."""
    path, file = folder / name, file_names.shown(name)  # a name may hold bytes that are no text
    try:
        return _measured(path, file)
    except audio.AudioError as error:
        return Entry(file, problem=file_names.shown(str(error).removeprefix(f"{path}: ")))
    except (OSError, MemoryError, RuntimeError, ValueError) as error:  # one file's fault stops no inventory
        return Entry(file, problem=" ".join(f"{type(error).__name__}: {error}".split()))


def _measured(path: Path, file: str) -> Entry:
    info = audio.inspect(path)
    header = {
        "seconds": round(info.seconds, 3),
        "rate": info.rate,
        "channels": info.channels,
        "bits": BITS.get(info.subtype),
        "format": f"{info.format} {info.subtype}",
    }
    notes = [VOCALS]
    if info.seconds > LONGEST:
        notes.append(f"measured in its first {LONGEST / 60:g} minutes")
    try:
        with warnings.catch_warnings(record=True) as heard:
            warnings.simplefilter("always")
            length = LONGEST if info.seconds > LONGEST else None
            samples, rate = audio.read(path, seconds=length, mono=False)
    except audio.SilentError:
        return Entry(file, **header, silence=1.0, note="; ".join([*notes, "silent"]))
    notes += _notes(path, [str(warning.message) for warning in heard])
    loud = audio.loudness(samples, rate)
    return Entry(
        file,
        **header,
        loudness=round(loud, 2) if loud > -1000 else None,
        peak=round(audio.peak_db(samples), 2),
        true_peak=round(audio.true_peak(samples), 2),
        silence=round(audio.silent_share(samples, rate), 4),
        tempo=_tempo(samples, rate),
        note="; ".join(notes),
    )


def _notes(path: Path, warned: list[str]) -> list[str]:
    """What reading a file has warned of, in short. Silence has a column of its own."""
    texts = [text.removeprefix(f"{path}: ") for text in warned]
    notes = ["clipped" if text.startswith("clipped") else text.partition("; ")[0] for text in texts]
    return [note for note in dict.fromkeys(notes) if not note.startswith("long silence")]


def _tempo(samples, rate: int) -> float | None:
    mono = samples[:, : round(TEMPO_SECONDS * rate)].mean(axis=0)
    lower = min(rate, TEMPO_RATE)
    try:
        value = measures.tempo(audio.resample(mono, rate, lower), lower)
    except ValueError:  # too short, or its channels cancel
        return None
    return None if value is None else round(value, 1)


def _looked_at(folder: Path, names: list[str], workers: int) -> Iterator[Entry]:
    """Entries as they are done. A file that ends its process is told of, and the others go on."""
    workers = min(workers, len(names))
    if workers == 1:
        for name in names:
            yield look(folder, name)
        return
    left = list(names)
    while left:
        done, broken = set(), False
        with _pool(workers) as pool:
            futures: dict[Future, str] = {pool.submit(look, folder, name): name for name in left}
            for future in as_completed(futures):
                try:
                    entry = future.result()
                except BrokenProcessPool:
                    broken = True
                    break
                done.add(futures[future])
                yield entry
        left = [name for name in left if name not in done]
        if not broken:
            return
        if workers == 1:  # the first of those left has ended its process, as one works at a time
            yield _lost(left.pop(0))
        workers = 1


def _lost(name: str) -> Entry:
    problem = "reading it ended the process (out of memory, or a fault of the decoder); look at this file"
    return Entry(file_names.shown(name), problem=problem)


@contextlib.contextmanager
def _pool(workers: int) -> Iterator[ProcessPoolExecutor]:
    """Processes with one thread each for linear algebra; leaving early ends them without waiting."""
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    with environment_variables(dict.fromkeys(names, "1")):  # read by numpy as a new process loads it
        pool = ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"), _begin)
        try:
            yield pool
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _begin() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent hears Ctrl-C and ends the work
