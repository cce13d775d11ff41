"""A clip as it sounds in a song: the music before the gap, the clip, the music after it, in one file.

Every clip can be asked for in every song of the study, so that hearing it there says nothing of what it is. A
file is made when it is asked for first, one at a time, and stays as long as the server runs: there are as
many as clips times songs.
"""

from __future__ import annotations

import hashlib
import threading
from pathlib import Path

import numpy as np

from caw import audio
from study.folder import StudyFolder
from study.server.made_sounds import MadeSounds

SIDES = ("before", "after")
_SOUNDS = MadeSounds()
_ONE_AT_A_TIME = threading.Lock()  # finding beats takes a core for a second


def is_built(folder: StudyFolder, song: str) -> bool:
    """Whether the music beside a song's gap is there, on one side at least."""
    return any(folder.place(song, side).is_file() for side in SIDES)


def in_song(folder: StudyFolder, song: str, stimulus: Path) -> Path:
    """The WAV file of a stimulus in a song's gap.

    Raises: FileNotFoundError where nothing beside the gap is there.
    """
    beside = {side: folder.place(song, side) for side in SIDES if folder.place(song, side).is_file()}
    if not beside:
        raise FileNotFoundError(folder.place(song, SIDES[0]))
    facts = [(str(file), file.stat().st_mtime_ns) for file in (stimulus, *beside.values())]
    name = hashlib.sha256(repr(facts).encode()).hexdigest()[:32]
    with _ONE_AT_A_TIME:
        return _SOUNDS.file(f"{name}.wav", lambda file: _join(file, stimulus, beside, folder, song))


def _join(out: Path, stimulus: Path, beside: dict[str, Path], folder: StudyFolder, song: str) -> None:
    from study.build.places import beat_of, in_place  # here: the first page need not wait for SciPy

    clip, rate = audio.read(stimulus)
    sides: dict[str, np.ndarray | None] = dict.fromkeys(SIDES)
    sides |= {side: audio.read(file, rate=rate)[0] for side, file in beside.items()}
    joined = in_place(clip, sides["before"], sides["after"], rate, beat=beat_of(folder, song))
    audio.write(out, joined, rate, subtype="PCM_16")
