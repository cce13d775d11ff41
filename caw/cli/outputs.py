"""Options, files and progress of the commands that draw clips."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from caw import audio
from caw.files import atomic, file_names

Out = Annotated[Path, typer.Option("--out", help="Folder for the clips.", show_default=False)]
Seed = Annotated[int, typer.Option(min=0, help="Of the first clip; the others count up from it.")]
Count = Annotated[int, typer.Option("--n", min=1, max=1000, help="How many clips.")]
Suffix = Annotated[str, typer.Option("--format", help="wav or flac, 24 bit.")]
Number = Annotated[int, typer.Option("--clip", min=1, help="Which training clip, counted from 1.")]

SOUNDS = (".wav", ".flac", ".ogg", ".aiff", ".aif", ".mp3", ".m4a")
MOST_EPOCHS = 10_000_000  # years of training: more is a slip of the finger

Show = Callable[..., None]


def check_cut(files: Sequence[Path], start: float, seconds: float | None) -> None:
    """Raise AudioError where --start or --seconds would cut more files than one."""
    if len(files) > 1 and (start or seconds is not None):
        raise audio.AudioError(
            "--start and --seconds cut one clip", "cut the files first, or train on one of them"
        )


def recordings(album: Sequence[Path], passage: Path) -> list[Path]:
    """An album's files, those in folders too, but not the passage. Raises AudioError for an empty folder."""
    files: list[Path] = []
    for path in album:
        inside = sorted(p for p in path.iterdir() if p.suffix.lower() in SOUNDS) if path.is_dir() else [path]
        if not inside:
            fix = "put WAV, FLAC, OGG, AIFF, MP3 or M4A there"
            raise audio.AudioError(f"{path}: holds no recording", fix)
        files += inside
    return [path for path in files if path.resolve() != passage.resolve()]


def epochs_of(out: Path) -> int | None:
    """The epochs of a run that was begun in a folder; None where there is none."""
    from caw import runs

    return runs.load(out).epochs if (out / runs.CONFIG).is_file() else None


def check_rate(rate: int | None, lowest: int) -> None:
    """Warn where --rate is more than the clips' own lowest rate, at which they are then learned."""
    if rate is not None and rate > lowest:
        warnings.warn(
            f"--rate is {rate}, more than the clip has: it is learned at its own {lowest} Hz",
            audio.AudioWarning,
            stacklevel=2,
        )


def sources_of(files: Sequence[Path], start: float, seconds: float | None) -> list[dict[str, Any]]:
    """The record of the files that a run learns from, for its configuration."""
    return [
        {
            "file": file_names.shown(file.name),
            "sha256": atomic.sha256(file),
            "start": start,
            "seconds": seconds,
        }
        for file in files
    ]


def check_place(out: Path, suffix: str) -> None:
    """Raise AudioError where no clip of that suffix can be written into the folder `out`."""
    if suffix not in ("wav", "flac"):
        raise audio.AudioError(f"--format is {suffix!r}", "use wav or flac")
    if out.exists() and not out.is_dir():
        raise audio.AudioError(f"--out {out} is a file: name a folder")


def write_clip(path: Path, samples: np.ndarray, rate: int) -> None:
    """Write a drawn clip, lowered where it exceeds full scale, and print its name."""
    audio.write(path, audio.within_full_scale(samples, path.name), rate)
    typer.echo(str(path))


@contextmanager
def bar(what: str) -> Iterator[Show]:
    """A progress bar; gives a function show(share, remaining seconds, description, note).

    what: the work, in words. Where stderr is no terminal, it is printed there as one line when the function
    is first called.
    """
    watched, begun = sys.stderr.isatty(), False
    display = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f}%"),
        TimeElapsedColumn(),
        TextColumn("{task.fields[left]}"),
        TextColumn("{task.fields[note]}"),
        console=Console(stderr=True, highlight=False, soft_wrap=True),
        disable=not watched,
        redirect_stdout=sys.stdout.isatty(),  # piped output stays in its pipe
    )
    task = display.add_task(what, total=1.0, left="", note="")

    def show(share: float, remaining: float | None = None, description: str = what, note: str = "") -> None:
        nonlocal begun
        if not watched and not begun:
            print(what, file=sys.stderr, flush=True)
        begun = True
        if remaining is None:
            remaining = display.tasks[0].time_remaining or 0.0
        minutes, seconds = divmod(round(remaining), 60)
        left = f"{minutes}:{seconds:02d} left" if remaining else ""
        display.update(task, completed=share, description=description, left=left, note=note)

    with display:
        yield show
