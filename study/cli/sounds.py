"""The commands about sound alone: `study compare`, `study inventory` and `study audit`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from caw.cli.command_line import stage
from caw.files import file_names
from caw.problems import ProblemError
from study.folder import PRACTICE, StudyFolder

if TYPE_CHECKING:
    from study.audit.findings import Audit, AuditedFile

OUT = Annotated[Path, typer.Option("--out", help="Folder for the page and its files.", show_default=False)]


def compare(
    original: Annotated[Path, typer.Argument(metavar="ORIGINAL", show_default=False)],
    generated: Annotated[list[Path], typer.Argument(metavar="GENERATED...", show_default=False)],
    out: OUT,
    label: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Of each GENERATED, in their order.")
    ] = None,
    start: Annotated[float, typer.Option(min=0, help="Where ORIGINAL's passage begins, in seconds.")] = 0.0,
    seconds: Annotated[
        float | None, typer.Option(help="Length of ORIGINAL's passage; all of it if not given.")
    ] = None,
) -> None:
    """Lay a clip and those made from it side by side. Pictures on the same axes, players, measures."""
    from analysis.sounds import comparison

    comparison.page(original, generated, label or None, out=out, start=start, seconds=seconds)
    print(f"The comparison is {out / comparison.PAGE}")


def inventory(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", show_default=False)],
    out: OUT,
    workers: Annotated[int | None, typer.Option(min=1, help="Processes; all cores if not given.")] = None,
) -> None:
    """List every audio file of a folder. Split, song, length, format, level, silence, tempo."""
    from analysis.sounds import inventory as taking
    from analysis.sounds import inventory_page

    inventory_page.check_place(out)
    columns = (TextColumn("Measuring the files of {task.description}"), BarColumn(bar_width=24))
    columns += (MofNCompleteColumn(), TimeRemainingColumn())
    console, name = Console(stderr=True), file_names.shown(folder.resolve().name)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        line = progress.add_task(name, total=None)
        result = taking.take(
            folder,
            workers=workers,
            progress=lambda done, total: progress.update(line, completed=done, total=total),
        )
    page = inventory_page.write(result, out)
    print(inventory_page.summary(result))
    for entry in result.unreadable[:10]:
        print(f"note: {entry.file}: {entry.problem}")
    if len(result.unreadable) > 10:
        print(f"note: {len(result.unreadable) - 10} more could not be read; the page lists them")
    print(f"The inventory is {page}")


_NAMES_SHOWN = 5  # of files that are left out
FOREWORD = (
    "For the researcher alone: the key is read, and real and fake clips are shown as groups. No clip is"
    " named but those that share sound, where that tells nothing of truth: the study stays blinded; but who"
    " reads on should not listen."
)


class AuditError(ProblemError):
    """An audit that cannot be made of these clips."""


def of_study(folder: StudyFolder, *, sets: Sequence[str] = (), alpha: float = 0.05) -> Audit:
    """Audit the built sets as their files, their key and the listeners' orders are now.

    sets: the names of those to look at; all by default. The findings are written to private/audit, and
    that they were made stands among the study's events.
    Raises: AuditError, BlindingError for a key that is not the sealed one, FolderError, DesignError.
    """
    from caw.files import atomic
    from study import blinding, design
    from study.audit import audit, tables
    from study.audit.findings import AuditedFile
    from study.build import measuring
    from study.store.builds import mean_places
    from study.store.sessions import account
    from study.store.store import Store

    settings = design.load(folder.require().path)
    store = Store.for_folder(folder)
    try:
        build = store.build()
        if build is None:
            raise AuditError(f"{folder.path}: nothing is built yet", f"run `study build {folder.path}`")
        key = blinding.read_key(folder, build.key_sha256)
        if unknown := [name for name in sets if name not in build.stimuli]:
            what = f"{folder.path}: there is no set {unknown[0]!r}"
            raise AuditError(what, f"its sets are {', '.join(build.stimuli)}")
        presented = mean_places(store.engine)
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
        result = audit.run(chosen, practice, alpha=alpha, accept=settings.stimuli.accept)
        title = f"Leak audit of {settings.study.title}"
        tables.write(
            result, folder.make_private() / folder.audit.name, title=title, measures=measuring.read(folder)
        )
        store.log_event(account(), "audit", tables.verdict_line(result))
    finally:
        store.close()
    return result


def of_folders(real: Path, fake: Path, *, alpha: float = 0.05, out: Path | None = None) -> Audit:
    """Audit the clips of two folders, as of a study that another tool runs.

    out: folder for audit.json, audit.csv and index.html, where they are wanted.
    Hidden files are left out. What is no sound is named in a note, unless its name says it is one.
    Raises: AuditError for a folder without clips, AudioError for a sound file that cannot be read.
    """
    from study.audit import audit, tables
    from study.audit.findings import AuditedFile

    clips, left_out = [], []
    for folder, is_real in ((real, True), (fake, False)):
        files, others = _clips(folder)
        clips += [AuditedFile(file, is_real) for file in files]
        left_out += others
    stage(f"Auditing {len(clips)} clips of {real.name} and {fake.name}")
    result = replace(audit.run({"clips": clips}, alpha=alpha, loose=True), left_out=left_out)
    if out is not None:
        tables.write(result, out)
    return result


def show_audit(result: Audit, console: Console) -> None:
    """Print the table, the outcome and the notes."""
    from study.audit import tables

    console.print(tables.as_table(result))
    console.print(tables.verdict_line(result), markup=False, soft_wrap=True)
    for note in result.notes():
        console.print(f"note: {note}", markup=False, soft_wrap=True)


def _clips(folder: Path) -> tuple[list[Path], list[str]]:
    """The clips of a folder, and lines on what else lies in it; hidden files, as a Mac's `._`, are out."""
    from caw import audio
    from caw.files import sound_files

    if not folder.is_dir():
        raise AuditError(f"{folder}: no such folder", "name one that holds the clips of one kind")
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
        raise AuditError(f"{folder}: holds no clips", f"put {audio.READABLE} files into it{reason}")
    lines = [f"{folder}: not looked at, as no sound that can be read: {listed}"] if listed else []
    if hidden := sum(entry.name.startswith(".") for entry in folder.iterdir()):
        lines.append(f"{folder}: {hidden} hidden file{'s were' if hidden > 1 else ' was'} left out")
    return sounds, lines
