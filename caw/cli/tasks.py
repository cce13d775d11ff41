"""The commands `caw inpaint`, `caw extend` and `caw denoise`: a recording in, a mended one out."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from caw import audio
from caw.cli.outputs import bar
from caw.files import file_names

KEPT = ("PCM_16", "PCM_24")  # what can be written as it was read

Clip = Annotated[
    Path, typer.Argument(metavar="CLIP", help="WAV, FLAC, OGG, AIFF, MP3 or M4A.", show_default=False)
]
OutFile = Annotated[Path, typer.Option("--out", help="File to write (.wav or .flac).", show_default=False)]


def add_to(app: typer.Typer) -> None:
    """Make these commands verbs of `app`."""
    for command in (inpaint, extend, denoise):
        app.command()(command)


def inpaint(
    clip: Clip,
    hole: Annotated[
        list[str],
        typer.Option(
            "--hole",
            help="START:END in seconds, such as 3.0:3.75; give it again for more.",
            show_default=False,
        ),
    ],
    out: Annotated[Path, typer.Option("--out", help="Folder for the filled clips.", show_default=False)],
    n: Annotated[int, typer.Option("--n", min=1, max=1000, help="How many different fillings.")] = 1,
    seed: Annotated[
        int, typer.Option(min=0, help="Of the first filling; 0 fits best, the others are drawn.")
    ] = 0,
) -> None:
    """Fill holes from the rest of the clip; not one sample outside them changes."""
    from caw.tasks import inpainting  # takes a second to load, as what the others import

    holes = [_stretch("--hole", text) for text in hole]
    if out.exists() and not out.is_dir():
        raise audio.AudioError(f"--out {out} is a file: name a folder")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", audio.AudioWarning)  # a hole is silent
        samples, rate = audio.read(clip, mono=False)
    suffix = clip.suffix.lower() if clip.suffix.lower() in (".wav", ".flac") else ".wav"
    subtype = _subtype(clip)
    seeds, name = range(seed, seed + n), file_names.shown(clip.stem)
    fillings = inpainting.inpaintings(samples, rate, holes, seeds)
    with bar(f"Filling {name}, {n} time{'s' if n > 1 else ''}") as show:
        for done, (number, filled) in enumerate(zip(seeds, fillings, strict=True), start=1):
            show(done / n, None, f"Filling {name}, {done} of {n}")
            path = out / f"inpaint-{number}{suffix}"
            audio.write(path, filled, rate, subtype=subtype)
            typer.echo(str(path))


def extend(
    run: Annotated[
        Path,
        typer.Argument(
            metavar="RUN",
            help="Other material of the same source at the full rate: a run folder or a sound file.",
            show_default=False,
        ),
    ],
    low: Annotated[
        Path, typer.Argument(metavar="LOW", help="The recording at a low rate.", show_default=False)
    ],
    out: OutFile,
    seed: Annotated[int, typer.Option(min=0, help="Of everything random.")] = 0,
) -> None:
    """Give a recording the upper band that its source has elsewhere; what it holds already is kept."""
    from caw.tasks import extension

    audio.require_writable(out)
    samples, low_rate = audio.read(low, mono=False)
    material, rate = _material(run)
    extension.validate(material, rate, low_rate)
    name = file_names.shown(run.stem)
    with bar(f"Learning the upper band of {name}") as show:

        def told(step: int, steps: int, loss: float) -> None:
            show(step / steps, note=f"loss {loss:.3f}")

        learnt = extension.learn(material, rate, low_rate, seed=seed, progress=told)
    extended = np.stack([learnt.apply(channel, seed=seed) for channel in samples])
    audio.write(out, audio.within_full_scale(extended, out.name), rate, subtype=_subtype(low))
    typer.echo(f"{low_rate} to {rate} Hz: {out}")


def denoise(
    clip: Clip,
    out: OutFile,
    strength: Annotated[
        float, typer.Option(help="0 leaves the clip as it is, 2 doubles every reduction in dB.")
    ] = 1.0,
    noise: Annotated[
        str | None,
        typer.Option(
            help="START:END in seconds, of noise alone; the quietest moments if not given.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Lower a recording's steady noise; length, rate and level stay."""
    from caw.tasks import denoising

    audio.require_writable(out)
    passage = None if noise is None else _stretch("--noise", noise)
    samples, rate = audio.read(clip, mono=False)
    cleaned = denoising.denoise(samples, rate, strength=strength, noise=passage)
    audio.write(out, audio.within_full_scale(cleaned, out.name), rate, subtype=_subtype(clip))
    typer.echo(str(out))


def _stretch(option: str, text: str) -> tuple[float, float]:
    start, _, end = text.partition(":")
    try:
        return float(start), float(end)
    except ValueError:
        raise audio.AudioError(f"{option} is {text!r}; give START:END in seconds, such as 3.0:3.75") from None


def _subtype(path: Path) -> str:
    """16 or 24 bit, as the file has it; anything else is written with 24 bit, and said so."""
    subtype = audio.inspect(path).subtype
    if subtype not in KEPT and not subtype.startswith(("VORBIS", "MPEG", "OPUS")):
        warnings.warn(f"{path.name} is {subtype}; written with 24 bit", audio.AudioWarning, stacklevel=3)
    return subtype if subtype in KEPT else "PCM_24"


def _material(path: Path) -> tuple[np.ndarray, int]:
    """Mono samples and rate of a run's clips, one after another, or of a sound file."""
    if not path.is_dir():
        return audio.read(path)
    from caw import runs

    run = runs.load(path)
    mono = [clip.numpy().mean(axis=0) for clip in run.training_clips()]
    return np.concatenate(mono), run.rate
