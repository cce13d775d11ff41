"""`study audit`: what is built, or any two folders of clips, looked through for what gives truth away."""

from __future__ import annotations

import getpass
import warnings
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from caw import atomic, audio, file_names, sound_files
from study import design
from study.folder import PRACTICE, StudyFolder
from study.preparation import audit, audit_tables, blinding
from study.preparation.findings import Audit, Heard

_MOST_NAMED = 5  # of files that are left out
FOREWORD = (
    "For the researcher alone: the key is read, and real and fake clips are shown as groups. No clip is"
    " named, so the study stays blinded; but who reads on should not listen."
)


class AuditError(ValueError):
    """An audit that cannot be made of what was given."""


def of_study(folder: StudyFolder, *, sets: Sequence[str] = (), alpha: float = audit.ALPHA) -> Audit:
    """Audit the built sets as their files, their key and the listeners' orders are now.

    sets: names of those to look at; all where none is given. The findings are written to private/audit, and
    that they were made stands among the study's events.
    Raises: AuditError, BlindingError for a key that is not the sealed one, FolderError, DesignError.
    """
    from study.room.presented import places
    from study.room.store import Store

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
        heard: dict[str, list[Heard]] = {}
        for row in key:
            file = folder.stimulus(row["set"], row["stimulus_id"])
            place, times = presented.get(row["stimulus_id"], (None, None))
            sealed = atomic.sha256(file) == row["sha256"]
            clip = Heard(file, row["truth"] == "real", as_sealed=sealed, presented=place, times=times)
            heard.setdefault(row["set"], []).append(clip)
        practice = heard.pop(PRACTICE, [])
        chosen = {name: heard[name] for name in build.stimuli if name in heard and (not sets or name in sets)}
        found = audit.run(chosen, practice, alpha=alpha, accept=settings.stimuli.accept)
        title = f"Leak audit of {settings.study.title}"
        audit_tables.write(found, folder.make_private() / folder.audit.name, title=title)
        store.log_event(getpass.getuser(), "audit", audit_tables.verdict_line(found))
    finally:
        store.close()
    return found


def of_folders(real: Path, fake: Path, *, alpha: float = audit.ALPHA, out: Path | None = None) -> Audit:
    """Audit the clips of two folders, as of a study that another tool runs.

    out: folder for audit.json, audit.csv and index.html, where they are wanted.
    Raises: AuditError for a folder without clips, AudioError for a file that is no sound.
    """
    clips = [Heard(file, True) for file in _clips(real)] + [Heard(file, False) for file in _clips(fake)]
    found = audit.run({"clips": clips}, alpha=alpha, loose=True)
    if out is not None:
        audit_tables.write(found, out)
    return found


def show(found: Audit, console: Console) -> None:
    """Print the table, the outcome and the notes."""
    console.print(audit_tables.as_table(found))
    console.print(audit_tables.verdict_line(found), markup=False, soft_wrap=True)
    for note in found.notes():
        console.print(f"note: {note}", markup=False, soft_wrap=True)


def _clips(folder: Path) -> list[Path]:
    if not folder.is_dir():
        raise AuditError(f"{folder}: no such folder; name one that holds the clips of one kind")
    files, others = sound_files.in_folder(folder)
    if not files:
        raise AuditError(f"{folder}: holds no clips; put {audio.READABLE} files into it")
    for file in files:
        audio.inspect(file)
    if others:
        names = ", ".join(file_names.shown(other.name) for other in others[:_MOST_NAMED])
        more = f" and {len(others) - _MOST_NAMED} more" if len(others) > _MOST_NAMED else ""
        told = f"{folder}: left out as no sound: {names}{more}"
        warnings.warn(told, audio.AudioWarning, stacklevel=2)
    return files
