"""The command `caw measure`: generated clips against the clip they were made from."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from caw import audio
from caw.files import atomic, file_names, spreadsheet
from caw.problems import ProblemError

SUFFIXES = (".jsonl", ".csv")


class MeasuringError(ProblemError):
    """Clips or options that `caw measure` cannot use."""


def _explain(wanted: bool) -> None:
    if wanted:
        from caw.measures import display

        typer.echo(display.explanation())
        raise typer.Exit


def measure(
    real: Annotated[Path, typer.Argument(metavar="REAL", help="The training clip.", show_default=False)],
    fakes: Annotated[
        list[Path], typer.Argument(metavar="FAKE...", help="Generated clips.", show_default=False)
    ],
    start: Annotated[float, typer.Option(min=0, help="Where REAL's passage begins, in seconds.")] = 0.0,
    seconds: Annotated[
        float | None, typer.Option(help="Length of REAL's passage; all of it if not given.")
    ] = None,
    rate: Annotated[
        int | None, typer.Option(help="Hz to measure at; the lowest of the files' if not given.")
    ] = None,
    scales: Annotated[
        str | None, typer.Option(help="Rates in Hz of the model's scales, as 1000,4000,16000.")
    ] = None,
    pictures: Annotated[
        Path | None,
        typer.Option(help="Folder for spectrograms of all clips, one under the other, with beats."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line for each FAKE.")] = False,
    out: Annotated[Path | None, typer.Option(help="Also write to this .jsonl or .csv file.")] = None,
    explain: Annotated[
        bool, typer.Option("--explain", is_eager=True, callback=_explain, help="Say what each measure means.")
    ] = False,
) -> None:
    """Measure generated clips against their training clip: likeness, copying, rhythm, artefacts."""
    from caw import measures
    from caw.measures import display

    if out is not None and out.suffix not in SUFFIXES:
        raise MeasuringError(f"--out {out}: suffix {out.suffix!r} cannot be written", "use .jsonl or .csv")
    chosen = measures.SCALES if scales is None else parse_scales(scales)
    if pictures is not None and pictures.exists() and not pictures.is_dir():
        raise MeasuringError(f"--pictures {pictures} is a file: name a folder")
    records, notes = measurements(real, fakes, start=start, seconds=seconds, rate=rate, scales=chosen)
    if pictures is not None:
        notes += _pictured(pictures, real, fakes, rate=records[0]["rate"], start=start, seconds=seconds)
    if out is not None:
        _write(out, records)
    for note in notes:
        typer.echo(note, err=as_json)
    if as_json:
        typer.echo("\n".join(_line(record) for record in records))
    else:
        for place, record in enumerate(records, start=1):
            typer.echo(f"{place:<4} {record['fake']}, {record['fake_seconds']:.1f} s")
        typer.echo(f"\n{display.tables(records)}\n\ncaw measure --explain says what each row means")


def measurements(
    real: Path, fakes: list[Path], *, start=0.0, seconds=None, rate=None, scales
) -> tuple[list[dict], list[str]]:
    """Read the files and measure: (one record per generated clip, remarks on the files).

    A record holds real, fake (file names), rate (Hz), real_seconds, fake_seconds, real_tempo (BPM), measures
    (by name, as `measures.evaluate`, with diversity), anchors (as `measures.anchors`) and passed_by_noise (as
    `catalogue.passed_by_noise`).
    Raises: AudioError, MeasureError, MeasuringError.
    """
    from caw import measures
    from caw.measures import catalogue, spectra

    own = {path: audio.inspect(path) for path in [real, *fakes]}
    rate, notes = common_rate({path: info.rate for path, info in own.items()}, rate)
    for path, info in own.items():
        if info.channels > 1:
            notes.append(f"{path.name}: {info.channels} channels, measured as their mean")
    passage = audio.read(real, rate=rate, start=start, seconds=seconds)[0]
    clips = [audio.read(path, rate=rate)[0] for path in fakes]
    for path, clip in zip([real, *fakes], [passage, *clips], strict=True):
        spectra.validated(clip, rate, str(path))
    tempo = measures.tempo(passage, rate)
    length = f"real {real.name}, {passage.size / rate:.1f} s"
    notes.insert(0, length + (f", {tempo:.0f} BPM" if tempo else "") + f"; measured at {rate} Hz")
    reference = measures.as_clip(passage, rate, "real")
    anchors = measures.anchors(reference, rate, scales=scales)
    order = [one.name for one in catalogue.measures(measures.edges(scales, rate))]
    records = []
    for path, clip, diversity in zip(fakes, clips, measures.diversities(clips, rate), strict=True):
        values = measures.evaluate(reference, clip, rate, scales=scales) | {"diversity": diversity}
        records.append(
            {
                "real": str(real),
                "fake": str(path),
                "rate": rate,
                "real_seconds": round(passage.size / rate, 3),
                "fake_seconds": round(clip.size / rate, 3),
                "real_tempo": tempo,
                "measures": {name: values[name] for name in order},
                "anchors": anchors,
                "passed_by_noise": catalogue.passed_by_noise(anchors),
            }
        )
    return records, notes


def _pictured(folder: Path, real: Path, fakes: list[Path], *, rate: int, start, seconds) -> list[str]:
    """Draw the clips into a folder; gives a remark for each picture."""
    from caw.measures import pictures

    clips = [(real.name, audio.read(real, rate=rate, start=start, seconds=seconds)[0])]
    clips += [(path.name, audio.read(path, rate=rate)[0]) for path in fakes]
    rows = [pictures.row(file_names.shown(name), samples, rate) for name, samples in clips]
    return [f"pictures: {path}" for path in pictures.write(folder, rows)]


def common_rate(rates: dict[Path, int], wanted: int | None) -> tuple[int, list[str]]:
    """The rate in Hz to measure at, and remarks on it. Raises MeasuringError."""
    lowest = min(rates, key=lambda path: rates[path])
    if wanted is None:
        remark = f"rates differ: all are brought to {rates[lowest]} Hz, that of {lowest.name}"
        return rates[lowest], [remark] if len(set(rates.values())) > 1 else []
    if wanted > rates[lowest]:
        what = f"--rate is {wanted} Hz, {lowest} has {rates[lowest]} Hz"
        raise MeasuringError(what, "ask for at most that, or leave --rate out")
    return wanted, []


def parse_scales(text: str) -> tuple[int, ...]:
    """Rates in Hz from "1000,4000,16000". Raises MeasuringError."""
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isascii() and part.isdigit() and int(part) > 0 for part in parts):
        raise MeasuringError(f"--scales is {text!r}", "use rates in Hz with commas, as 1000,4000,16000")
    return tuple(int(part) for part in parts)


def _write(out: Path, records: list[dict]) -> None:
    from caw.measures import display

    if out.suffix == ".csv":
        rows = [display.flat(record) for record in records]
        spreadsheet.write(out, list(rows[0]), rows)
    else:
        atomic.write(out, "".join(_line(record) + "\n" for record in records))


def _line(record: dict) -> str:
    return json.dumps(record, allow_nan=False)
