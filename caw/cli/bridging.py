"""The commands `caw bridge`, `caw continue` and `caw intro`: new bars beside a band's own passages."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from caw import audio
from caw.cli import planning
from caw.cli.outputs import Count, Out, Seed, Suffix, bar, check_place, sources_of, write_clip
from caw.files import file_names

FIRST_HELP = "The passage that the new bars follow: WAV, FLAC, OGG, AIFF, MP3 or M4A."
Before = Annotated[Path, typer.Argument(metavar="A", help=FIRST_HELP, show_default=False)]
After = Annotated[
    Path, typer.Argument(metavar="B", help="The passage that follows them.", show_default=False)
]
Bars = Annotated[int, typer.Option("--bars", help="How many new bars, in the passages' metre and tempo.")]
RunFolder = Annotated[
    Path | None,
    typer.Option(
        "--run",
        metavar="RUN",
        help="A run trained on these passages or on their song; if not given, one is trained on them first "
        "(minutes), in --out/run, and used again for the same passages.",
        show_default=False,
    ),
]
Section = Annotated[
    int | None,
    typer.Option(
        "--add-section",
        metavar="BARS",
        help="The clip as it is, with so many new bars inside, at the bar line next to two thirds of it.",
    ),
]
OnlyNew = Annotated[bool, typer.Option("--only-new", help="Write the new bars alone, without the passages.")]


def add_to(app: typer.Typer) -> None:
    """Add these commands to `app`."""
    app.command("bridge")(bridge)
    app.command("continue")(go_on)
    app.command("intro")(intro)


def bridge(
    before: Before,
    after: After,
    out: Out,
    bars: Bars = 8,
    run: RunFolder = None,
    chords: planning.Chords = None,
    novelty: planning.Novelty = None,
    only_new: OnlyNew = False,
    n: Count = 1,
    seed: Seed = 0,
    suffix: Suffix = "wav",
) -> None:
    """New bars between two passages, in their tempo, metre and key; the passages stay as they are.

    Cut the passages at bar lines (a cut on a beat is taken for one); one that ends elsewhere within a bar
    has the bar completed.
    """
    plan = planning.plan_of(chords=chords, novelty=novelty)
    _write("bridge", [before, after], out, run, suffix, range(seed, seed + n), only_new, bars=bars, plan=plan)


def go_on(
    before: Before,
    out: Out,
    bars: Bars = 8,
    ending: Annotated[
        bool,
        typer.Option(
            "--ending",
            help="The bars close: softer, sparser, at last slower, on the chart's last chord or the tonic, "
            "which is held and dies away.",
        ),
    ] = False,
    run: RunFolder = None,
    chords: planning.Chords = None,
    novelty: planning.Novelty = None,
    only_new: OnlyNew = False,
    n: Count = 1,
    seed: Seed = 0,
    suffix: Suffix = "wav",
) -> None:
    """New bars after a passage, which stays as it is; with --ending, the song's end."""
    plan = planning.plan_of(chords=chords, novelty=novelty)
    kind, seeds = "ending" if ending else "continue", range(seed, seed + n)
    _write(kind, [before, None], out, run, suffix, seeds, only_new, bars=bars, plan=plan, ending=ending)


def intro(
    after: After,
    out: Out,
    bars: Bars = 8,
    run: RunFolder = None,
    chords: planning.Chords = None,
    novelty: planning.Novelty = None,
    only_new: OnlyNew = False,
    n: Count = 1,
    seed: Seed = 0,
    suffix: Suffix = "wav",
) -> None:
    """New bars before a passage, which stays as it is."""
    plan = planning.plan_of(chords=chords, novelty=novelty)
    _write("intro", [None, after], out, run, suffix, range(seed, seed + n), only_new, bars=bars, plan=plan)


def check_alone(**others) -> None:
    """Raise RunError where --add-section is given with options that vary the clip."""
    from caw.run_folder import RunError

    if options := [f"--{name}" for name, value in others.items() if value is not None]:
        raise RunError("--add-section leaves the clip as it is", f"leave {' and '.join(options)} out")


def write_sections(
    model, bars: int, out: Path, suffix: str, seeds: range, clip: int, plan, kind: str
) -> None:
    """For `caw vary --add-section`: write a training clip with a new section inside, for every seed."""
    check_place(out, suffix)
    for seed in seeds:
        section = model.with_section(bars, seed=seed, clip=clip, plan=plan)
        _report(section)
        write_clip(out / f"{kind}-section-{seed}.{suffix}", section.samples, model.rate)


def _write(
    kind: str,
    files: list[Path | None],
    out: Path,
    folder: Path | None,
    suffix: str,
    seeds: range,
    only_new: bool,
    **options,
) -> None:
    """Draw and write `kind`-SEED.`suffix` for every seed."""
    from caw import runs  # take seconds to load
    from caw.tasks import bridges
    from caw.training import DEFAULT_RATE

    check_place(out, suffix)
    bridges.check_bars(options["bars"])
    run = None if folder is None else runs.load(folder)
    if run is not None:
        run.scales  # noqa: B018  raises RunError for an unfinished run before long work
    lowest = min(audio.inspect(file).rate for file in files if file)
    rate = min(lowest, DEFAULT_RATE) if run is None else run.rate
    mono = run is None or run.channels == 1
    passages = [None if file is None else _passage(file, rate, mono) for file in files]
    if run is None:
        run = _trained([passage for passage in passages if passage is not None], rate, files, out / "run")
    with bar(f"Making {len(seeds)} clip{'s' if len(seeds) > 1 else ''} ({kind})") as show:
        for done, seed in enumerate(seeds, start=1):
            bars = run.beside(*passages, rate, seed=seed, **options)
            show(done / len(seeds))
            _report(bars)
            write_clip(out / f"{kind}-{seed}.{suffix}", bars.new if only_new else bars.samples, bars.rate)


def _passage(file: Path, rate: int, mono: bool) -> np.ndarray:
    """A passage at the run's rate. One at a lower rate is refused; one at a higher rate gives a warning."""
    own = audio.inspect(file).rate
    name = file_names.shown(file.name)
    if own < rate:
        fix = f"give a run trained with --rate {own}"
        raise audio.AudioError(f"{name} has {own} Hz, the run {rate}", fix)
    if own > rate:
        message = f"{name} has {own} Hz: it is brought to {rate}, at which all is written"
        warnings.warn(message, audio.AudioWarning, stacklevel=2)
    return audio.read(file, rate=rate, mono=mono)[0]


def _trained(passages: list[np.ndarray], rate: int, files: list[Path | None], folder: Path):
    """A run of the passages, from `folder` where it is there or has been begun."""
    from caw.config import preset
    from caw.training import train

    names = " and ".join(file_names.shown(file.stem) for file in files if file)
    sources = sources_of([file for file in files if file], 0.0, None)
    with bar(f"Training {names} for the first time, minutes; the run is kept in {folder}") as show:
        return train(
            passages, rate, folder, settings=preset("fast"), source=sources, resume=True,
            progress=lambda now: show(now.fraction, now.remaining, f"Training {names}"),
        )  # fmt: skip


def _report(bars) -> None:
    begin, end = bars.first / bars.rate, bars.last / bars.rate
    for line in (*bars.remarks, f"new from {begin:.2f} to {end:.2f} s"):
        typer.echo(line, err=True)
