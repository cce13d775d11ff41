"""The command `caw mosaic`: a clip in, its pieces in another order out, without training."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from caw import audio
from caw.cli.outputs import Count, Out, Seed, Suffix, check_place, write_clip


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
        raise mosaics.MosaicError("--vary keeps the passage's length; leave --seconds out, or --vary")
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
