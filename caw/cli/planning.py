"""The command `caw plan`, and the options by which other commands follow a plan."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from caw import audio
from caw.files import file_names

if TYPE_CHECKING:
    from caw.compose.plan import Plan

Chords = Annotated[
    str | None,
    typer.Option(
        "--chords",
        metavar="CHART",
        help='A bar a word, commas within a bar, | between sections: "Em C G D | Am F". '
        "Names as Em, F#m7b5, G/B or E:min; those of the clip if not given.",
    ),
]
Bpm = Annotated[
    float | None,
    typer.Option("--bpm", min=30, max=300, help="Quarter notes a minute; the clip's if not given."),
]
Metre = Annotated[
    str | None,
    typer.Option("--metre", help='4/4, 7/8 or 5/4, or one a bar: "7/8 7/8 4/4"; the clip\'s if not given.'),
]
Form = Annotated[
    str | None, typer.Option("--form", help='Sections in order, as "A A B A"; each comes back as it was.')
]
Novelty = Annotated[
    float | None,
    typer.Option("--novelty", min=0, max=1, help="0: on as the clip goes; 1: new turns wherever they fit."),
]
PlanFile = Annotated[
    Path | None,
    typer.Option("--plan", metavar="FILE", help="A plan as caw plan writes it; the other options change it."),
]


def plan_of(
    *,
    plan: Path | None = None,
    chords: str | None = None,
    bpm: float | None = None,
    metre: str | None = None,
    form: str | None = None,
    novelty: float | None = None,
) -> Plan | None:
    """The plan that the options above describe; None where none is given.

    Raises PlanError and ChordError, and OSError for a file that cannot be read.
    """
    options = {"chords": chords, "bpm": bpm, "metre": metre, "form": form, "novelty": novelty}
    if plan is None and all(value is None for value in options.values()):
        return None
    from caw.compose import plan as plans
    from caw.compose.chords import ChordError

    base = plans.read(plan) if plan is not None else None
    try:
        return plans.Plan.from_options(**options, base=base)
    except ChordError as error:
        raise ChordError(f"--chords, {error.problem.what}", error.problem.fix) from None


def add_to(app: typer.Typer) -> None:
    """Add the command `plan` to `app`."""
    app.command("plan")(hear)


def hear(
    clip: Annotated[
        Path, typer.Argument(metavar="CLIP", help="WAV, FLAC, OGG, AIFF, MP3 or M4A.", show_default=False)
    ],
    start: Annotated[float, typer.Option(min=0, help="Where the passage begins, in seconds.")] = 0.0,
    seconds: Annotated[
        float | None, typer.Option(help="Length of the passage; the whole file if not given.")
    ] = None,
    bpm: Annotated[
        float | None, typer.Option(min=30, max=300, help="The tempo, where you know it, to 10 %.")
    ] = None,
    metre: Annotated[str | None, typer.Option(help="The metre, where you know it, as 7/8.")] = None,
    out: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="The plan to write, .toml or .json; CLIP.plan.toml if not given."),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a plan that is there.")] = False,
) -> None:
    """Hear a clip's tempo, metre, bars and chords, and write them as a plan to change and to play by."""
    from caw.compose import plan as plans
    from caw.compose import transcription

    path = Path(f"{clip.stem}.plan.toml") if out is None else out
    check_place(path, overwrite=overwrite)
    if metre is not None:
        plans.beats_in(metre)
    samples, rate = audio.read(clip, start=start, seconds=seconds)
    heard = transcription.transcribe(samples, rate, bpm=bpm, metre=metre, source=file_names.shown(clip.name))
    typer.echo(table(heard))
    plans.write(path, heard)
    typer.echo(f"plan: {path}")


def check_place(path: Path, *, overwrite: bool) -> None:
    """Raise PlanError where no plan can be written, or where one is that somebody may have edited."""
    from caw.compose.plan import PlanError

    if path.suffix.lower() not in (".toml", ".json"):
        raise PlanError(f"--out {path} is no plan's name", "use .toml or .json")
    if path.is_dir():
        raise PlanError(f"--out {path} is a folder", "name a file in it")
    if path.exists() and not overwrite:
        raise PlanError(
            f"{path} is there already and may hold your changes", "use another --out, or --overwrite"
        )


def table(plan: Plan) -> str:
    """A plan as a table, a bar a line: its number, section, time, metre, chords and their certainty."""
    heard = plan.heard
    lines = list(heard.remarks) if heard else []
    if plan.beats is None:
        return "\n".join(lines)
    bars, names = plan.bars(), plan.section_of_bar()
    sure = heard.chords if heard and len(heard.chords) == len(bars) else (None,) * len(bars)
    lines.append(f"tempo   {plan.bpm:g} quarter notes a minute{_certain(heard and heard.tempo)}")
    lines.append(f"metre   {plan.metre}{_certain(heard and heard.metre)}")
    rows = [("bar", "section", "time", "metre", "chords", "certain")]
    for number, (bar, name, time, value) in enumerate(zip(bars, names, plan.times(), sure, strict=True), 1):
        certainty = "" if value is None else f"{100 * value:.0f} %"
        rows.append((str(number), name, f"{time:.2f} s", bar.metre, ",".join(bar.chords) or "?", certainty))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    right = (True, False, True, False, False, True)
    for row in rows:
        cells = zip(row, widths, right, strict=True)
        lines.append("  ".join(text.rjust(w) if r else text.ljust(w) for text, w, r in cells).rstrip())
    return "\n".join(lines)


def _certain(value: float | None) -> str:
    return "" if value is None else f", {100 * value:.0f} % certain"
