"""The commands that need no run: `caw mosaic`, `caw inpaint`, `caw extend` and `caw denoise`."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from caw import audio
from caw.cli.outputs import Count, Out, Seed, Suffix, bar, check_place, write_clip
from caw.files import file_names

SUBTYPES = ("PCM_16", "PCM_24")  # that can be written as they were read

Clip = Annotated[
    Path, typer.Argument(metavar="CLIP", help="WAV, FLAC, OGG, AIFF, MP3 or M4A.", show_default=False)
]
OutFile = Annotated[Path, typer.Option("--out", help="File to write (.wav or .flac).", show_default=False)]


def add_to(app: typer.Typer) -> None:
    """Add these commands to `app`."""
    for command in (mosaic, inpaint, extend, denoise):
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

        def progress(step: int, steps: int, loss: float) -> None:
            show(step / steps, note=f"loss {loss:.3f}")

        learnt = extension.learn(material, rate, low_rate, seed=seed, progress=progress)
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


def mosaic(
    clip: Annotated[
        Path, typer.Argument(metavar="CLIP", help="WAV, FLAC, OGG, AIFF, MP3 or M4A.", show_default=False)
    ],
    out: Out,
    n: Count = 1,
    seconds: Annotated[
        float | None, typer.Option(help="Length of new music; that of the passage if not given.")
    ] = None,
    vary: Annotated[
        bool, typer.Option("--vary", help="Variations (VAR): the clip's harmony and onsets are kept.")
    ] = False,
    seed: Seed = 0,
    start: Annotated[float, typer.Option(min=0, help="Where the passage begins, in seconds.")] = 0.0,
    length: Annotated[
        float | None, typer.Option(help="Length of the passage; all of the file if not given.")
    ] = None,
    run: Annotated[
        int | None,
        typer.Option(help="Longest stretch of the clip kept as it is, in beats; a bar if not given."),
    ] = None,
    beats_per_bar: Annotated[int | None, typer.Option(help="Found if not given.")] = None,
    tempo: Annotated[float | None, typer.Option(help="Beats a minute, to 10 %; found if not given.")] = None,
    suffix: Suffix = "wav",
) -> None:
    """Put a clip's own pieces in another order, in time and in tune; nothing is trained."""
    from caw import mosaic as mosaics

    if vary and seconds is not None:
        raise mosaics.MosaicError("--vary keeps the passage's length", "leave --seconds out, or --vary")
    check_place(out, suffix)
    mosaics.check_options(run=run, beats_per_bar=beats_per_bar, tempo=tempo, seconds=seconds)
    samples, rate = audio.read(clip, start=start, seconds=length, mono=False)
    pieces = mosaics.cut(samples, rate, run=run, beats_per_bar=beats_per_bar, tempo=tempo)
    typer.echo(pieces.grid.description(), err=True)
    for number in range(seed, seed + n):
        if vary:
            path, drawn = out / f"mosaic-var-{number}.{suffix}", pieces.vary(seed=number)
        else:
            path = out / f"mosaic-umg-{number}.{suffix}"
            drawn = pieces.generate(samples.shape[1] / rate if seconds is None else seconds, seed=number)
        write_clip(path, drawn, rate)


def _stretch(option: str, text: str) -> tuple[float, float]:
    start, _, end = text.partition(":")
    try:
        return float(start), float(end)
    except ValueError:
        fix = "give START:END in seconds, such as 3.0:3.75"
        raise audio.AudioError(f"{option} is {text!r}", fix) from None


def _subtype(path: Path) -> str:
    """16 or 24 bit as the file has it; anything else is written with 24 bit, which gives a warning."""
    subtype = audio.inspect(path).subtype
    if subtype not in SUBTYPES and not subtype.startswith(("VORBIS", "MPEG", "OPUS")):
        warnings.warn(f"{path.name} is {subtype}; written with 24 bit", audio.AudioWarning, stacklevel=3)
    return subtype if subtype in SUBTYPES else "PCM_24"


def _material(path: Path) -> tuple[np.ndarray, int]:
    """Mono samples and rate of a run's clips, one after another, or of a sound file."""
    if not path.is_dir():
        return audio.read(path)
    from caw import runs

    run = runs.load(path)
    mono = [clip.numpy().mean(axis=0) for clip in run.training_clips()]
    return np.concatenate(mono), run.rate
