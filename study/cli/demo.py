"""The demo: a whole study from one clip, small enough to be built within minutes on two cores."""

from __future__ import annotations

from importlib.resources import as_file, files
from pathlib import Path

from caw import audio
from caw.files import atomic
from study import design
from study.build import new_study
from study.folder import FolderError, StudyFolder

EPOCHS = (100, 300, 700)  # stops of one training
LISTENER = "songwriter"
SEED = 2022
TITLE = "Eureka demo"
START = 25.0  # s into the bundled song: what models learn from is half verse in 7/8, half chorus in 4/4


def prepare(folder: StudyFolder, clip: Path | None) -> list[str]:
    """See that `folder` holds the demo of `clip` (the bundled song when None); returns what should be said.

    Raises: FolderError when the folder holds the study of another clip, AudioError for a clip of no use.
    """
    with as_file(files("study").joinpath("data", "song.flac")) as bundled:
        chosen = clip or bundled
        if folder.toml.exists():
            _require_same(folder, clip)
            held = ", ".join(dict.fromkeys(source.name for source in design.load(folder.path).sources))
            return [f"{folder.path} holds the study of {held} already; what it lacks is built"]
        return new_study.create(
            folder,
            [chosen],
            start=0.0 if clip else START,
            title=TITLE,
            epochs=EPOCHS,
            seed=SEED,
            control=True,
            repetition=True,
            rewards=True,
        )


def _require_same(folder: StudyFolder, clip: Path | None) -> None:
    if clip is None:
        return
    sources = [folder.path / source.file for source in design.load(folder.path).sources]
    if not clip.is_file():
        raise audio.AudioError(f"{clip}: no such file; check the name")
    if atomic.sha256(clip) not in [atomic.sha256(file) for file in sources if file.is_file()]:
        told = f"{folder.path}: holds the study of another clip than {clip.name}"
        raise FolderError(f"{told}; choose another folder with --dir, or delete this one")
