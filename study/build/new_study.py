"""A new study folder: the clips copied into it, and a commented study.toml."""

from __future__ import annotations

import json
import math
import secrets
import shutil
import tomllib
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from string import Template

from caw import audio
from caw.config import SHORTEST_CLIP
from caw.files import atomic, file_names
from study import design
from study.build import originals, sources, stimuli
from study.design import Set, Stimuli
from study.folder import FolderError, StudyFolder

EPOCHS = (750, 1500, 3000)  # stops of one training, each twice as far as the one before
PASSAGE = design.LONGEST_DEFAULT_PASSAGE
SHORTER = (15.0, 12.0, 10.0)  # s that stimuli last where longer ones leave no room for all originals
_CONTROL_CLIPS = 2  # per mode
_SHORTENED_NAME = 56  # characters of a clip's name where two are alike; with a number it has at most 64
_CONTROL_COMMENT = """\
# The control that a learned model has to beat: the clip's own pieces in another order, in time and in tune.
# It takes seconds to make and can be recognised by its copying.
"""
_EXAMPLE = """\
# [[source]]
# file = "riff.wav"
# epochs = [750, 1500, 3000]
"""


def create(
    folder: StudyFolder,
    clips: Sequence[Path],
    *,
    start: float = 0.0,  # s into each clip, where the passage begins that models learn from
    title: str = "",
    epochs: Sequence[int] = EPOCHS,
    seed: int | None = None,
    control: bool = False,
    repetition: bool = False,
    rewards: bool = False,
) -> list[str]:
    """Make a study folder with a copy of each clip in sources/ and a study.toml that builds as it stands.

    Stimuli last 20 s, or shorter where two originals do not fit side by side into the shortest clip, or where
    one of SHORTER makes room for all originals beside the passages.

    Parameters
    ----------
    folder : StudyFolder
        The folder to make. It may exist, without a study.
    clips : sequence of Path
        Sound files.
    start : float
        Where in each clip the passage begins that models learn from, in s.
    title : str
        The study's title. By default the folder's name.
    epochs : sequence of int
        The epoch counts to compare.
    seed : int, optional
        The study's seed. Drawn by default.
    control : bool
        Whether clips of the backend `mosaic` are among those of the model. Otherwise study.toml explains how
        to add them.
    repetition : bool
        Whether listeners may hear passages twice where the clips are too short for all originals. Otherwise
        `study build` will refuse such a study, and a returned line says so.
    rewards : bool
        Whether listeners see their score and take clips home once they have finished.

    Returns
    -------
    list of str
        What the researcher should know, one line each.

    Raises
    ------
    AudioError
        If a clip cannot be used.
    FolderError
        If there is a study already.
    """
    if folder.toml.exists():
        raise FolderError(f"{folder.toml}: there is a study already; choose another folder or edit that file")
    if folder.path.exists() and not folder.path.is_dir():
        raise FolderError(f"{folder.path}: is a file; choose another name for the folder")
    infos = _inspected(clips, start)
    lengths = [info.seconds for info in infos]
    seconds, notes = stimulus_seconds(lengths), [] if start else _beginnings(clips, lengths)
    if seconds < Stimuli().seconds:
        shortest = clips[lengths.index(min(lengths))]
        note = f"stimuli last {seconds:g} s instead of {Stimuli().seconds:g} s"
        notes.append(f"{note}: {shortest.name} has {min(lengths):.1f} s, and two originals shall fit into it")
    notes += _narrow(infos)
    default = Set()
    per_cell = math.ceil(default.fakes / max(1, len(set(clips)) * len(epochs)))
    targets = _targets(clips)
    tables = [_table(target, start, epochs, per_cell) for target in targets.values()] or [_EXAMPLE]
    controls = [_control(target, start) for target in targets.values() or [Path("riff.wav")]]
    tables.append(_CONTROL_COMMENT + "\n".join(controls if control else map(_commented, controls)))
    values = {
        "title": json.dumps(title or file_names.shown(folder.path.resolve().name), ensure_ascii=False),
        "seed": secrets.randbelow(10_000) if seed is None else seed,
        "sources": "\n".join(tables),
        "fakes": default.fakes,
        "originals": default.originals,
        "rewards": json.dumps(rewards),
    }

    def text_for(seconds: float) -> str:
        return template().substitute(values, seconds=f"{seconds:.1f}")

    text = text_for(seconds)
    settings = design.parse(tomllib.loads(text), folder.toml)
    notes += [
        f"{target.as_posix()} is the copy of {file_names.shown(clip.name)}"
        for clip, target in targets.items()
        if clip.name != target.name
    ]
    for clip, target in targets.items():
        _copy(clip, folder.path / target)
    refusal = _repetition(settings, folder)
    shorter = (length for length in SHORTER if length < seconds)
    if refusal and (fits := next((one for one in shorter if not _repetition(settings, folder, one)), None)):
        refusal, text = None, text_for(fits)
        notes.append(f"stimuli last {fits:g} s instead of {seconds:g} s, so that the originals find room")
    if refusal:
        if repetition:
            text = text.replace("accept = []", f'accept = ["{originals.ACCEPTED}"]', 1)
            notes.append(f"{refusal.reason}: listeners will hear passages twice, as stimuli.accept allows")
        else:
            notes.append(f"`study build` will refuse this study: {refusal.reason}; {refusal.fix}")
    atomic.write(folder.toml, text)
    return notes


def _inspected(clips: Sequence[Path], start: float) -> list[audio.AudioInfo]:
    """What is known of each clip. Raises AudioError for one that a build could not use."""
    infos = [audio.inspect(clip) for clip in clips]
    for clip, info in zip(clips, infos, strict=True):
        if info.seconds < SHORTEST_CLIP:
            what = f"{clip}: is {info.seconds:.2f} s long"
            raise audio.AudioError(f"{what}; give a clip of at least {SHORTEST_CLIP:g} s")
        audio.read(clip, start=start, seconds=min(info.seconds - start, PASSAGE))  # refuses damaged files
    return infos


def _repetition(
    settings: design.Design, folder: StudyFolder, seconds: float | None = None
) -> originals.RepetitionError | None:
    """The error of `study build` where the clips have too little room for the originals; None where not.

    seconds: how long stimuli last, instead of what the design says.
    """
    if seconds is not None:
        form = settings.stimuli.model_copy(update={"seconds": seconds})
        settings = settings.model_copy(update={"stimuli": form})
    songs = originals.available(settings, sources.passages(settings, folder), {})
    return originals.shortage(settings, songs, {})


def stimulus_seconds(lengths: Sequence[float]) -> float:
    """How long stimuli can last, so that two of them, trimmed, fit side by side into each clip."""
    form = Stimuli()
    longest = min([PASSAGE, *(length / 2 for length in lengths)])
    fitting = math.floor(10 * (longest - 2 * form.trim) + 1e-6) / 10
    return max(0.5, min(form.seconds, fitting))


def _beginnings(clips: Sequence[Path], lengths: Sequence[float]) -> list[str]:
    """A note where clips are longer than what models learn from by default."""
    longer = [clip.name for clip, length in zip(clips, lengths, strict=True) if length > PASSAGE]
    if not longer:
        return []
    note = f"models learn from the first {PASSAGE:g} s of {', '.join(dict.fromkeys(longer))}"
    return [f"{note}; `start` and `seconds` of [[source]] in study.toml choose another passage"]


def _narrow(infos: Sequence[audio.AudioInfo]) -> list[str]:
    """A note where the rate of one clip takes the treble from all clips of the study."""
    poorest = min(infos, key=lambda info: info.rate, default=None)
    if poorest is None or poorest.rate >= Stimuli().rate:
        return []
    band = stimuli.common_bandwidth(Stimuli(), {poorest.path.name: poorest.rate})
    note = f"no clip of the study goes above {band:g} Hz: {poorest.path.name} has a rate of {poorest.rate} Hz"
    return [f"{note}; give a recording of {Stimuli().rate} Hz or more if there is one"]


def template() -> Template:
    """The commented study.toml, with ${title}, ${seed}, ${sources}, ${fakes}, ${originals}, ${seconds} and
    ${rewards} to fill in."""
    return Template(files("study.build").joinpath("study_template.toml").read_text("utf-8"))


def _table(file: Path, start: float, epochs: Sequence[int], clips: int) -> str:
    counts = ", ".join(str(count) for count in epochs)
    return (
        f"{_source(file, start)}"
        f'modes = ["UMG", "VAR"]\nepochs = [{counts}]\nclips = {clips}\nbackend = "caw"\n'
    )


def _control(file: Path, start: float) -> str:
    return f'{_source(file, start)}clips = {_CONTROL_CLIPS}\nbackend = "mosaic"\n'


def _source(file: Path, start: float) -> str:
    name = json.dumps(file.as_posix(), ensure_ascii=False)
    return f"[[source]]\nfile = {name}\n" + (f"start = {start:g}\n" if start else "")


def _commented(table: str) -> str:
    return "".join(f"# {line}\n" for line in table.splitlines())


def _targets(clips: Sequence[Path]) -> dict[Path, Path]:
    """Where in the study each clip goes: under its own name, or a similar one where that name is no text.

    The stems differ on every file system, and so do the names that study.toml takes from them.
    """
    targets: dict[Path, Path] = {}
    files: set[str] = set()
    names: set[str] = set()
    for clip in dict.fromkeys(clips):
        stem, number = file_names.safe(clip.stem), 1
        while file_names.same(stem) in files or file_names.same(_name(stem)) in names:
            own = file_names.shortened(file_names.safe(clip.stem), _SHORTENED_NAME)
            stem, number = (own if number == 1 else f"{own}-{number}"), number + 1
        files.add(file_names.same(stem))
        names.add(file_names.same(_name(stem)))
        targets[clip] = Path("sources") / f"{stem}{file_names.suffix(clip)}"
    return targets


def _name(stem: str) -> str:
    """The name that study.toml takes from a file with this stem."""
    return file_names.plain(stem)


def _copy(clip: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{target.name}{atomic.TEMPORARY}")
    try:
        shutil.copyfile(clip, temporary)
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)
