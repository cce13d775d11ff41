"""Whether a file is a recording that is taken: `python -m study.server.recording_check FILE`.

What a listener sends is decoded to its end, with the decoders that read clips, in a process apart. A file
that is made to bring them down brings down that process, which has little memory, little time and no right to
write. It prints one word: the suffix of the kind, or why the file is not taken.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

LONGEST = 600.0  # s of sound
KINDS = {
    "WAV": "wav",
    "WAVEX": "wav",
    "RF64": "wav",
    "FLAC": "flac",
    "OGG": "ogg",
    "MP3": "mp3",
    "MP4": "m4a",
}
SUFFIXES = tuple(dict.fromkeys(KINDS.values()))
NO_SOUND, TOO_LONG, TOO_HARD = "no_sound", "too_long", "too_hard"
_CPU_SECONDS, _WALL_SECONDS, _BYTES = 30, 90.0, 3 << 30
_PIECE = 1 << 16  # frames decoded at a time


def kind(file: Path) -> str:
    """One of SUFFIXES, or NO_SOUND or TOO_LONG."""
    from caw.files import sound_files

    try:
        survey = sound_files.survey(file)
        suffix = KINDS.get(survey.format)
        if suffix is None or not survey.frames:
            return NO_SOUND
        if survey.frames > LONGEST * survey.rate:
            return TOO_LONG
        decoded = sum(len(piece) for piece in survey.pieces(_PIECE))
    except (sound_files.AudioError, OSError, ValueError):
        return NO_SOUND
    return suffix if decoded else NO_SOUND


def checked(file: Path) -> str:
    """The same by a process of its own; TOO_HARD where that ends otherwise or takes too long."""
    try:
        ended = subprocess.run(
            [sys.executable, "-m", __name__, str(file)],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_WALL_SECONDS,
            env=_environment(),
        )
    except subprocess.TimeoutExpired:
        return TOO_HARD
    word = ended.stdout.strip()
    known = (*SUFFIXES, NO_SOUND, TOO_LONG)
    return word if ended.returncode == 0 and word in known else TOO_HARD


def _environment() -> dict[str, str]:
    """No secret of the server's, and one thread: each would ask for memory of its own."""
    import os

    import study

    root = str(Path(study.__file__).parents[1])
    paths = os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH")]))
    threads = dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    return {"PATH": os.environ.get("PATH", ""), "PYTHONPATH": paths, **threads}


def _confine() -> None:
    """Take from this process what decoding does not need; where the system has no such limits, nothing."""
    try:
        import resource
    except ImportError:
        return
    resource.setrlimit(resource.RLIMIT_CPU, (_CPU_SECONDS, _CPU_SECONDS))
    resource.setrlimit(resource.RLIMIT_AS, (_BYTES, _BYTES))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


if __name__ == "__main__":
    _confine()
    print(kind(Path(sys.argv[1])))
