"""The command `samplernn`: train on clips, draw from a run, look at a run."""

from __future__ import annotations

import functools
import inspect
import sys
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, get_type_hints

import numpy as np
import typer

from caw import audio
from caw.cli import command_line
from caw.cli.outputs import (
    MOST_EPOCHS,
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
from caw.files import file_names, sound_files
from caw.samplernn.config import CANDIDATES, CELLS, MOST_CANDIDATES, Odds
from caw.samplernn.config import settings as settings_of

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="SampleRNN: learn a clip or a folder of clips, then draw new music (UMG) or variations (VAR).",
)

RunFolder = Annotated[
    Path, typer.Argument(metavar="RUN", help="A run folder made by samplernn train.", show_default=False)
]


@dataclass(frozen=True)
class Drawing:
    """The options that all commands that draw clips share, by field."""

    run: RunFolder
    out: Out
    n: Annotated[int, typer.Option("--n", min=1, max=1000, help="How many clips; all are drawn at once.")] = 1
    seed: Seed = 0
    epochs: Annotated[
        int | None,
        typer.Option(
            min=1, max=MOST_EPOCHS, help="Draw from the weights of this epoch; the last kept if not given."
        ),
    ] = None
    temperature: Annotated[
        float, typer.Option(help="Lower plays safe; 1 is as learned, above it dares more.")
    ] = Odds.temperature
    top_p: Annotated[
        float, typer.Option("--top-p", help="Draw from the likeliest levels of so much probability.")
    ] = Odds.top_p
    eta: Annotated[
        float, typer.Option(help="Draw no level that is less likely than this; 0 to draw from all.")
    ] = Odds.eta
    suffix: Suffix = "wav"

    def model(self) -> Any:
        """Load the run. Raises an error before any clip is drawn if clips cannot be written."""
        model = _load(self.run)
        check_place(self.out, self.suffix)
        return model

    def write(self, mode: str, draw: Callable[..., np.ndarray], model: Any) -> None:
        """Draw the clips with a progress bar, and write them."""
        seeds = list(range(self.seed, self.seed + self.n))
        odds = Odds(temperature=self.temperature, top_p=self.top_p, eta=self.eta)
        epochs = self.epochs or max(model.epochs, default=0)
        what = f"Making {self.n} clip{'s' if self.n > 1 else ''} ({mode.upper()}, {epochs} epochs)"
        with bar(what) as show:
            drawn = draw(seeds=seeds, epochs=self.epochs, odds=odds, progress=show)
        for samples, seed in zip(drawn, seeds, strict=True):
            write_clip(self.out / f"{mode}-{seed}.{self.suffix}", samples, model.rate)


def draws(command: Callable[..., None]) -> Callable[..., None]:
    """A command that has the options of `Drawing` before its own, and takes them as its first argument."""
    shared = inspect.signature(Drawing).parameters
    own = list(inspect.signature(command).parameters.values())[1:]

    @functools.wraps(command)
    def with_options(**values: Any) -> None:
        command(Drawing(**{name: values.pop(name) for name in shared}), **values)

    types = get_type_hints(Drawing, include_extras=True) | get_type_hints(command, include_extras=True)
    options = [
        one.replace(annotation=types[one.name], kind=inspect.Parameter.KEYWORD_ONLY)
        for one in (*shared.values(), *own)
    ]
    with_options.__signature__ = inspect.Signature(options)
    with_options.__annotations__ = {one.name: one.annotation for one in options}
    return with_options


@app.command()
def train(
    clips: Annotated[
        list[Path],
        typer.Argument(
            metavar="CLIP",
            help="WAV, FLAC, OGG, AIFF, MP3 or M4A, or a folder of them; several are learned together.",
            show_default=False,
        ),
    ],
    out: Annotated[Path, typer.Option("--out", help="Run folder to make.", show_default=False)],
    epochs: Annotated[int, typer.Option(min=1, max=MOST_EPOCHS, help="Optimiser steps.")] = 2000,
    snapshots: Annotated[
        list[int] | None,
        typer.Option(
            "--snapshot",
            min=1,
            max=MOST_EPOCHS,
            help="Keep the weights of this epoch too; may be given often.",
        ),
    ] = None,
    start: Annotated[float, typer.Option(min=0, help="Where the passage begins, in seconds.")] = 0.0,
    seconds: Annotated[
        float | None, typer.Option(help="Length of the passage; the whole file if not given.")
    ] = None,
    rate: Annotated[
        int | None, typer.Option(help="Hz to work at, at most the clips' own lowest; 16000 if not given.")
    ] = None,
    cell: Annotated[str | None, typer.Option(help=f"{' or '.join(CELLS)}.")] = None,
    dim: Annotated[int | None, typer.Option(help="Channels of every layer.")] = None,
    held_out: Annotated[
        float | None, typer.Option("--held-out", help="Share of each clip's end to score and not to learn.")
    ] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Of everything random.")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with the run in --out, to more epochs too.")
    ] = False,
) -> None:
    """Train on a clip, or on several together, and leave a run folder."""
    settings = settings_of(rate=rate, cell=cell, dim=dim, held_out=held_out, seed=seed, device=device)
    files = _sound_files(clips)
    check_cut(files, start, seconds)
    lowest = min(audio.inspect(file).rate for file in files)
    check_rate(rate, lowest)
    passages = [audio.read(file, rate=lowest, start=start, seconds=seconds)[0] for file in files]
    sources = sources_of(files, start, seconds)
    from caw.samplernn.training import train as train_run  # takes seconds to load

    name = file_names.shown(files[0].stem) if len(files) == 1 else f"{len(files)} clips"
    with bar(f"Training {name}, {epochs} epochs") as show:

        def report(p) -> None:
            text = f"Training {name}, epoch {p.epoch} of {p.epochs}"
            show(p.fraction, p.remaining, text, f"{p.bits:.3f} bits")

        run = train_run(
            passages, lowest, out, settings=settings, epochs=epochs, snapshots=snapshots or (),
            source=sources, resume=resume, progress=report,
        )  # fmt: skip
    length = sum(clip["samples"] for clip in run.config["clips"]) / run.rate
    typer.echo(f"trained {length:.1f} s at {run.rate} Hz, {epochs} epochs: {out}")


@app.command()
@draws
def generate(
    drawing: Drawing,
    seconds: Annotated[float | None, typer.Option(help="Length; the training clip's if not given.")] = None,
) -> None:
    """Unconditional generation (UMG): new music in the manner of the clips."""
    model = drawing.model()
    length = model.seconds if seconds is None else seconds
    drawing.write("umg", functools.partial(model.generate, length), model)


@app.command()
@draws
def vary(
    drawing: Drawing,
    clip: Number = 1,
    candidates: Annotated[
        int,
        typer.Option(min=1, max=MOST_CANDIDATES, help="Drawn side by side; more follow the clip closer."),
    ] = CANDIDATES,
) -> None:
    """Variations (VAR): new waveforms that follow a training clip."""
    model = drawing.model()
    if clip > len(model.config["clips"]):
        raise audio.AudioError(f"--clip is {clip}; use 1 to {len(model.config['clips'])}, see samplernn info")
    drawing.write("var", functools.partial(model.vary, clip=clip - 1, candidates=candidates), model)


@app.command()
def info(run: RunFolder) -> None:
    """What a run was trained on and how far it got."""
    from caw.run_folder import check_digests

    model = _load(run)
    whole = check_digests(model.folder, model.config)
    facts = []
    for number, clip in enumerate(model.config["clips"], 1):
        label = "clip" if len(model.config["clips"]) == 1 else f"clip {number}"
        file = clip["source"].get("file", "given as an array")
        facts += [(label, f"{file}, {clip['samples'] / model.rate:.2f} s"), ("  sha256", clip["sha256"])]
    settings = model.settings
    sizes = ", ".join(map(str, settings.frame_sizes))
    epochs = ", ".join(map(str, model.epochs))
    scores = model.scores()
    facts += [
        ("rate", f"{model.rate} Hz, 8 bit {settings.quantisation}"),
        ("network", f"{settings.cell}, {settings.dim} channels, frames of {sizes} samples"),
        ("seed", settings.seed),
        ("epochs kept", epochs or "none yet: go on with samplernn train --resume"),
    ]
    for epoch in model.epochs:
        if epoch in scores:
            bits = ", ".join(f"{name.replace('_', ' ')} {value:.3f}" for name, value in scores[epoch].items())
            facts.append((f"  at {epoch}", f"bits per sample: {bits}"))
    facts.append(("files", "as written" if whole else "not checked: an older version noted no sha256"))
    facts.append(("versions", ", ".join(f"{k} {v}" for k, v in model.config["versions"].items())))
    for name, value in facts:
        typer.echo(f"{name:<12} {value}")


def _load(folder: Path):
    from caw.samplernn import runs

    return runs.load(folder)


def _sound_files(paths: list[Path]) -> list[Path]:
    """Files, and the sound files in folders by name."""
    files = []
    for path in paths:
        sounds = [path]
        if path.is_dir():
            sounds, others = sound_files.in_folder(path)
            if not sounds:
                raise audio.AudioError(f"{path}: holds no file of {audio.READABLE}; name a folder that does")
            if others:
                names = ", ".join(file_names.shown(other.name) for other in others[:5])
                warnings.warn(f"{path}: left out as no sound: {names}", audio.AudioWarning, stacklevel=2)
        files += sounds
    return files


def main() -> None:
    """Run the command; a user's mistake is one line on stderr and exit code 2."""
    training = "the training goes on with the same command and --resume"
    drawing = "what was finished is kept, nothing is half written"
    command_line.run(app, "samplernn", goes_on=training if sys.argv[1:2] == ["train"] else drawing)


if __name__ == "__main__":
    main()
