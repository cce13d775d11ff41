"""`study audit`: what is built, or any two folders of clips, looked through for what gives truth away."""

from __future__ import annotations

import getpass
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from caw import audio
from caw.cli.command_line import stage
from caw.files import atomic, file_names, sound_files
from study import blinding, design
from study.audit import audit, tables
from study.audit.findings import Audit, AuditedFile
from study.build import measuring
from study.folder import PRACTICE, StudyFolder

_NAMES_SHOWN = 5  # of files that are left out
FOREWORD = (
    "For the researcher alone: the key is read, and real and fake clips are shown as groups. No clip is"
    " named but those that share sound, where that tells nothing of truth: the study stays blinded; but who"
    " reads on should not listen."
)


class AuditError(ValueError):
    """An audit that cannot be made of what was given."""


def of_study(folder: StudyFolder, *, sets: Sequence[str] = (), alpha: float = audit.ALPHA) -> Audit:
    """Audit the built sets as their files, their key and the listeners' orders are now.

    sets: names of those to look at; all where none is given. The findings are written to private/audit, and
    that they were made stands among the study's events.
    Raises: AuditError, BlindingError for a key that is not the sealed one, FolderError, DesignError.
    """
    from study.store.presented import places
    from study.store.store import Store

    settings = design.load(folder.require().path)
    store = Store.for_folder(folder)
    try:
        build = store.build()
        if build is None:
            raise AuditError(f"{folder.path}: nothing is built yet; run `study build {folder.path}`")
        key = blinding.read_key(folder, build.key_sha256)
        if unknown := [name for name in sets if name not in build.stimuli]:
            told = f"{folder.path}: there is no set {unknown[0]!r}"
            raise AuditError(f"{told}; its sets are {', '.join(build.stimuli)}")
        presented = places(store.engine)
        heard: dict[str, list[AuditedFile]] = {}
        for row in key:
            file = folder.stimulus(row["set"], row["stimulus_id"])
            place, times = presented.get(row["stimulus_id"], (None, None))
            sealed = atomic.sha256(file) == row["sha256"]
            clip = AuditedFile(file, row["truth"] == "real", as_sealed=sealed, presented=place, times=times)
            heard.setdefault(row["set"], []).append(clip)
        practice = heard.pop(PRACTICE, [])
        chosen = {name: heard[name] for name in build.stimuli if name in heard and (not sets or name in sets)}
        stage(f"Auditing {sum(map(len, chosen.values()))} clips of {', '.join(chosen)}")
        found = audit.run(chosen, practice, alpha=alpha, accept=settings.stimuli.accept)
        title = f"Leak audit of {settings.study.title}"
        tables.write(
            found, folder.make_private() / folder.audit.name, title=title, measures=measuring.read(folder)
        )
        store.log_event(getpass.getuser(), "audit", tables.verdict_line(found))
    finally:
        store.close()
    return found


def of_folders(real: Path, fake: Path, *, alpha: float = audit.ALPHA, out: Path | None = None) -> Audit:
    """Audit the clips of two folders, as of a study that another tool runs.

    out: folder for audit.json, audit.csv and index.html, where they are wanted.
    Hidden files are left out. What is no sound is named in a note, unless its name says it is one.
    Raises: AuditError for a folder without clips, AudioError for a sound file that cannot be read.
    """
    clips, left_out = [], []
    for folder, is_real in ((real, True), (fake, False)):
        files, others = _clips(folder)
        clips += [AuditedFile(file, is_real) for file in files]
        left_out += others
    stage(f"Auditing {len(clips)} clips of {real.name} and {fake.name}")
    found = replace(audit.run({"clips": clips}, alpha=alpha, loose=True), left_out=left_out)
    if out is not None:
        tables.write(found, out)
    return found


def show(found: Audit, console: Console) -> None:
    """Print the table, the outcome and the notes."""
    console.print(tables.as_table(found))
    console.print(tables.verdict_line(found), markup=False, soft_wrap=True)
    for note in found.notes():
        console.print(f"note: {note}", markup=False, soft_wrap=True)


def _clips(folder: Path) -> tuple[list[Path], list[str]]:
    """The clips of a folder, and lines on what else lies in it; hidden files, as a Mac's `._`, are out."""
    if not folder.is_dir():
        raise AuditError(f"{folder}: no such folder; name one that holds the clips of one kind")
    sounds, others = sound_files.in_folder(folder)
    for file in sounds:
        audio.inspect(file)
    folders = [entry for entry in sorted(folder.iterdir()) if entry.is_dir() and entry.name[0] != "."]
    names = [file_names.shown(other.name) for other in others]
    names += [f"{file_names.shown(entry.name)}/" for entry in folders]
    listed = ", ".join(names[:_NAMES_SHOWN])
    if len(names) > _NAMES_SHOWN:
        listed += f" and {len(names) - _NAMES_SHOWN} more"
    if not sounds:
        reason = f"; not {listed}" if listed else ""
        raise AuditError(f"{folder}: holds no clips; put {audio.READABLE} files into it{reason}")
    lines = [f"{folder}: not looked at, as no sound that can be read: {listed}"] if listed else []
    if hidden := sum(entry.name.startswith(".") for entry in folder.iterdir()):
        lines.append(f"{folder}: {hidden} hidden file{'s were' if hidden > 1 else ' was'} left out")
    return sounds, lines
