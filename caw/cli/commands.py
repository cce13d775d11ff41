"""The command `caw`: train on clips, draw from a run, look at a run."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from caw import audio
from caw.cli import bridging, command_line, measuring, outputs, planning, tasks
from caw.cli.outputs import (
    MOST_EPOCHS,
    Count,
    Number,
    Out,
    Seed,
    Suffix,
    bar,
    check_cut,
    check_place,
    check_rate,
    sources_of,
    write_clip,
)
from caw.config import PRESETS, FlowSettings, SettingsError
from caw.config import preset as named_preset
from caw.files import file_names

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Catch-A-Waveform: train a small model on a clip, then draw new music (UMG) or variations (VAR).",
)

RunFolder = Annotated[
    Path, typer.Argument(metavar="RUN", help="A run folder made by caw train.", show_default=False)
]


@app.command()
def train(
    clips: Annotated[
        list[Path],
        typer.Argument(
            metavar="CLIP",
            help="WAV, FLAC, OGG, AIFF, MP3 or M4A; several, as songs of one band, are learned together.",
            show_default=False,
        ),
    ],
    out: Annotated[Path, typer.Option("--out", help="Run folder to make.", show_default=False)],
    preset: Annotated[
        str, typer.Option(help=f"{', '.join(PRESETS)}; paper is the published recipe.")
    ] = "fast",
    epochs: Annotated[
        str | None,
        typer.Option(
            metavar="N[,N...]",
            help="Optimiser steps per scale; several counts share steps and give a run each, in --out/N.",
        ),
    ] = None,
    start: Annotated[float, typer.Option(min=0, help="Where the passage begins, in seconds.")] = 0.0,
    seconds: Annotated[
        float | None, typer.Option(help="Length of the passage; the whole file if not given.")
    ] = None,
    rate: Annotated[
        int | None,
        typer.Option(help="Hz to work at, at most the clips' own lowest; 16000 if not given."),
    ] = None,
    stereo: Annotated[
        bool, typer.Option("--stereo", help="Keep both channels, which are mixed if not given.")
    ] = False,
    seed: Annotated[int | None, typer.Option(min=0, help="Of everything random.")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    resume: Annotated[bool, typer.Option("--resume", help="Go on with an unfinished run in --out.")] = False,
    plan: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="What caw plan heard in the clip, put right; heard anew without it."
        ),
    ] = None,
    passage: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="The clip, where CLIP is the band's other recordings or a folder of them: the first epochs "
            "learn from all of them. --start and --seconds cut it.",
        ),
    ] = None,
) -> None:
    """Train on a clip, or on several together, and leave a run folder."""
    album = []
    if passage is not None:
        album, clips = outputs.recordings(clips, passage), [passage]
    if resume and epochs is None and (known := outputs.epochs_of(out)):
        epochs = str(known)  # the preset's default may have changed since
    counts = _counts(epochs)
    wanted = [named_preset(preset, epochs=n, seed=seed, device=device, rate=rate) for n in counts]
    check_cut(clips, start, seconds)
    plans = None if plan is None else _plan_of(plan, clips)
    lowest = min(audio.inspect(clip).rate for clip in clips)
    check_rate(rate, lowest)
    passages = [_passage(clip, lowest, start, seconds, stereo) for clip in clips]
    others = [_passage(one, lowest, 0.0, None, stereo) for one in album]
    sources = sources_of(clips, start, seconds)
    from caw.training import train as train_run  # takes seconds to load

    shared = out / "trunk.pt" if len(counts) > 1 and wanted[0].shares_steps else None
    several = f"{len(clips)} clips" if len(clips) > 1 else ""
    name = several or file_names.shown(clips[0].stem)
    for settings in wanted:
        folder = out / str(settings.epochs) if len(counts) > 1 else out
        with bar(f"Training {name}, {settings.epochs} epochs per scale") as show:
            run = train_run(
                passages, lowest, folder, settings=settings, source=sources, resume=resume,
                shared_checkpoint=shared, plan=plans, album=others,
                progress=lambda now, show=show: _show(now, show, name),
            )  # fmt: skip
        what = several or f"{run.seconds:.1f} s"
        typer.echo(f"trained {what} at {run.rate} Hz, {run.epochs} epochs per scale: {folder}")
    if shared:
        shared.unlink(missing_ok=True)


@app.command()
def generate(
    run: RunFolder,
    out: Out,
    n: Count = 1,
    seconds: Annotated[
        float | None, typer.Option(help="Length; the plan's or the training clip's if not given.")
    ] = None,
    seed: Seed = 0,
    suffix: Suffix = "wav",
    plan: planning.PlanFile = None,
    chords: planning.Chords = None,
    bpm: planning.Bpm = None,
    metre: planning.Metre = None,
    form: planning.Form = None,
    novelty: planning.Novelty = None,
) -> None:
    """Unconditional generation (UMG): new music in the manner of the clip, by a plan where there is one."""
    wanted = planning.plan_of(plan=plan, chords=chords, bpm=bpm, metre=metre, form=form, novelty=novelty)
    model = _load(run)
    seeds = range(seed, seed + n)
    _write_clips(model, out, suffix, "umg", seeds, lambda s: model.generate(seconds, seed=s, plan=wanted))


@app.command()
def vary(
    run: RunFolder,
    out: Out,
    n: Count = 1,
    seed: Seed = 0,
    clip: Number = 1,
    strength: Annotated[
        float | None,
        typer.Option(
            help="How far the music goes from the clip's, 0 to 1; the run's own if not given. 0 draws its "
            "details anew, 1 keeps its beats and chords alone."
        ),
    ] = None,
    suffix: Suffix = "wav",
    chords: planning.Chords = None,
    keep: Annotated[
        str | None,
        typer.Option(help="rhythm leaves the harmony free, harmony the rhythm; both are kept if not given."),
    ] = None,
    add_section: bridging.Section = None,
) -> None:
    """Variations (VAR): a training clip with its structure kept, as far as the strength says."""
    plan = planning.plan_of(chords=chords)
    model = _load(run)
    index = _index(model, clip)
    kind = "var" if model.clips == 1 else f"var-clip{clip}"
    seeds = range(seed, seed + n)
    if add_section is not None:
        bridging.check_alone(strength=strength, keep=keep)
        bridging.write_sections(model, add_section, out, suffix, seeds, index, plan, kind)
        return
    options = {"strength": strength, "clip": index, "plan": plan, "keep": keep}
    _write_clips(model, out, suffix, kind, seeds, lambda s: model.vary(seed=s, **options))


@app.command()
def reconstruct(
    run: RunFolder,
    out: Annotated[Path, typer.Option("--out", help="File to write (.wav or .flac).", show_default=False)],
    clip: Number = 1,
) -> None:
    """A training clip as the model redraws it."""
    audio.require_writable(out)
    model = _load(run)
    samples = model.reconstruct(clip=_index(model, clip))
    audio.write(out, audio.within_full_scale(samples, out.name), model.rate)
    typer.echo(str(out))


@app.command()
def info(run: RunFolder) -> None:
    """What a run was trained on and how far it got."""
    from caw.run_folder import check_digests

    model = _load(run)
    whole = check_digests(model.folder, model.config)
    facts = []
    for number, clip in enumerate(model.config["clips"], 1):
        label = "clip" if model.clips == 1 else f"clip {number}"
        file = clip["source"].get("file", "given as an array")
        facts += [(label, f"{file}, {clip['samples'] / model.rate:.2f} s"), ("  sha256", clip["sha256"])]
    facts += [
        ("channels", "2 (stereo)" if model.channels == 2 else "1 (mono)"),
        ("preset", model.settings.preset),
        ("epochs", f"{model.epochs} per scale"),
        ("scales", _in_words(model)),
        ("seed", model.settings.seed),
        ("state", "trained" if model.complete else "unfinished: go on with caw train --resume"),
        ("files", "as the training wrote them" if whole else "not checked: an older version noted no sha256"),
        ("versions", ", ".join(f"{k} {v}" for k, v in model.config["versions"].items())),
    ]
    if begun := model.config.get("begun"):
        facts.append(("begun", f"where a run of {begun['epochs']} epochs ended, from {begun['trunk']}"))
    for name, value in facts:
        typer.echo(f"{name:<10} {value}")


app.command()(measuring.measure)
tasks.add_to(app)
planning.add_to(app)
bridging.add_to(app)


def _counts(epochs: str | None) -> list[int | None]:
    """The counts of --epochs, ascending; [None] for the preset's own."""
    if epochs is None:
        return [None]
    if not re.fullmatch(r"-?\d{1,99}(,\d{1,99})*", epochs):
        fix = "use a whole number of 1 or more, or several with commas between them, as 100,500,1000"
        raise SettingsError(f"--epochs is {epochs!r}", fix)
    counts = sorted({int(count) for count in epochs.split(",")})
    if counts[-1] > MOST_EPOCHS:
        raise SettingsError(f"--epochs is {epochs}", f"use at most {MOST_EPOCHS}")
    return counts


def _load(folder: Path):
    from caw import runs

    return runs.load(folder)


def _passage(path: Path, rate: int, start: float, seconds: float | None, stereo: bool) -> np.ndarray:
    """A clip to train on, [n] or [2, n]."""
    samples, _ = audio.read(path, rate=rate, start=start, seconds=seconds, mono=not stereo)
    if stereo and len(samples) != 2:
        count = "one channel" if len(samples) == 1 else f"{len(samples)} channels"
        raise audio.AudioError(f"{path}: has {count}", "--stereo takes two: leave it out to train in mono")
    return samples


def _plan_of(path: Path, clips: list[Path]):
    """The plan of the clip to train on. Raises PlanError where there are several."""
    from caw.compose import plan

    if len(clips) > 1:
        what = f"--plan {path} is of one clip, not of {len(clips)}"
        raise plan.PlanError(what, "train on one of them")
    return plan.read(path)


def _index(model, number: int) -> int:
    """A clip's place in the run, from its number on the command line."""
    if number > model.clips:
        raise audio.AudioError(f"--clip is {number}", f"use 1 to {model.clips}, see caw info")
    return number - 1


def _in_words(model) -> str:
    """The scales in words: `paper` has waveforms alone, the other presets a score below them."""
    scored = isinstance(model.settings, FlowSettings)
    waveforms = f"waveforms at {', '.join(f'{rate:g}' for rate in model.rates[scored:])} Hz"
    return f"score at {model.rates[0]:g} frames per second, {waveforms}" if scored else waveforms


def _show(now, show, name: str) -> None:
    """Show the progress of a training on `name`."""
    what = f"Training {name}, epoch {now.epoch} of {now.epochs}, {now.finished} of {now.scales} scales done"
    losses = "  ".join(f"{name} {value:.3f}" for name, value in now.losses.items())
    show(now.fraction, now.remaining, what, losses)


def _write_clips(model, out: Path, suffix: str, kind: str, seeds: range, draw) -> None:
    """Draw and write `kind`-SEED.`suffix` for every seed."""
    check_place(out, suffix)
    count, made_by = len(seeds), f"({kind.partition('-')[0].upper()}, {model.epochs} epochs)"
    with bar(f"Making {count} clip{'s' if count > 1 else ''} {made_by}") as show:
        for done, seed in enumerate(seeds, start=1):
            samples = draw(seed)  # raises what it cannot draw before there is any output
            show(done / count, None, f"Making clip {min(done + 1, count)} of {count} {made_by}")
            write_clip(out / f"{kind}-{seed}.{suffix}", samples, model.rate)


def main() -> None:
    """Run the command; a user's mistake is one line on stderr and exit code 2."""
    training = "the training goes on with the same command and --resume"
    nothing = "what was finished is kept, nothing is half written"
    command_line.run(app, "caw", goes_on=training if sys.argv[1:2] == ["train"] else nothing)


if __name__ == "__main__":
    main()
