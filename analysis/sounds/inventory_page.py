"""An inventory as files: a page whose tables sort and whose rows play their recording, and CSV.

The page plays the recordings where they lie, by relative links; of what browsers do not play it has copies in
`sounds/`. Both work without a network as long as page and recordings keep their places.
"""

from __future__ import annotations

import hashlib
import math
import os
import warnings
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any
from urllib.parse import quote

import altair as alt
import pandas as pd
import vl_convert
from markupsafe import Markup

from analysis import formats as f
from analysis import web_page
from analysis.plots import theme
from analysis.plots.theme import WIDE
from analysis.sounds.comparison_page import LEAST_PLAYED_RATE, flac
from analysis.sounds.inventory import LONGEST, VOCALS, Entry, Inventory, InventoryError
from caw import audio
from caw.files import atomic, file_names, spreadsheet

PAGE, FILES, SPLITS, SONGS, PICTURE = "index.html", "inventory.csv", "splits.csv", "songs.csv", "durations"
COPIES = "sounds"  # the folder of what browsers do not play, as FLAC
PLAYED = ("WAV PCM_", "WAV FLOAT", "WAVEX PCM_", "WAVEX FLOAT", "FLAC", "OGG", "MPEG", "MP3")
MOST_PLAYED_RATE, MOST_CHANNELS = 192000, 8  # Hz; what FLAC holds
NAMED = 5  # songs in two splits that the first sentence names
STEPS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600)  # seconds a bar may span
BARS = 24  # at most, about
FEW = 5  # files up to which each has its tick: left to itself the axis counts halves of so few
SPLIT_COLOURS = {"training": theme.BLUE, "testing": theme.ORANGE, "validation": theme.GREEN, "-": theme.GREY}


def write(inventory: Inventory, out: Path) -> Path:
    """Write index.html, inventory.csv, splits.csv, songs.csv, durations.png and .svg, and where browsers do
    not play a recording a copy of its first half hour in sounds/, into the folder `out`.

    Each file appears whole or not at all, the page last. Returns the page's path. Raises: InventoryError
    where `out` is a file, OSError.
    """
    out = Path(out)
    check_place(out)
    wide, narrow = _pictures(inventory)
    text = html(
        inventory,
        wide,
        narrow,
        {entry.file: _sound(inventory.folder, entry, out) for entry in inventory.readable},
    )
    tables = {FILES: inventory.frame(), SPLITS: inventory.totals("split"), SONGS: inventory.totals("song")}
    for name, frame in tables.items():
        atomic.write(out / name, spreadsheet.frame_as_csv(frame))
    if wide:
        atomic.write(out / f"{PICTURE}.svg", wide)
        atomic.write(out / f"{PICTURE}.png", vl_convert.svg_to_png(wide, scale=theme.PNG_SCALE))
    atomic.write(out / PAGE, text)
    return out / PAGE


def check_place(out: Path) -> None:
    """Raises: InventoryError where `out` is a file; worth asking before long work."""
    if out.exists() and not out.is_dir():
        raise InventoryError(f"{out} is a file", "name a folder for the inventory")


def html(
    inventory: Inventory, wide: str = "", narrow: str = "", sounds: Mapping[str, str] = MappingProxyType({})
) -> str:
    """The page's text. wide, narrow: the histogram as SVG, for a desktop and for a phone. sounds: the address
    of each file's recording, "" or none where it is not played."""
    files = inventory.frame()
    return web_page.render(
        "inventory.html.j2",
        styles=("inventory.css",),
        script="inventory.js",
        title=file_names.shown(inventory.folder.resolve().name or inventory.folder),
        summary=summary(inventory),
        wide=Markup(theme.inline(wide, "wide")) if wide else "",
        narrow=Markup(theme.inline(narrow, "narrow")) if narrow else "",
        splits=_totals(inventory.totals("split"), "split"),
        songs=_totals(inventory.totals("song"), "song"),
        files=[_row(row) for row in files[files["problem"] == ""].to_dict("records")],
        sounds=sounds,
        in_two_splits=inventory.in_two_splits(),
        unreadable=[(entry.file, entry.problem) for entry in inventory.unreadable],
        rules=inventory.rules,
        vocals=VOCALS,
    )


def summary(inventory: Inventory) -> str:
    """What the folder holds, in a sentence or two."""
    seconds = sum(entry.seconds for entry in inventory.readable)
    songs = len({entry.song for entry in inventory.readable})
    text = (
        f"{f.plural(len(inventory.readable), 'file')} of {f.plural(songs, 'song')}, {length(seconds)} in all."
    )
    if shared := inventory.in_two_splits():  # what is tested on was trained on
        named = [f"{song} ({' and '.join(splits)})" for song, splits in list(shared.items())[:NAMED]]
        named += [f"{len(shared) - NAMED} more"] if len(shared) > NAMED else []
        lie = "lies" if len(shared) == 1 else "lie"
        text += f" {f.plural(len(shared), 'song')} {lie} in more than one split: {', '.join(named)}."
    if inventory.unreadable:
        text += f" {f.plural(len(inventory.unreadable), 'more file')} could not be read."
    if inventory.left_out:
        kinds = [f"{count} {kind or 'without a suffix'}" for kind, count in inventory.left_out.items()]
        text += f" Left out as no sound: {', '.join(kinds)}."
    if inventory.hidden:
        text += (
            f" {inventory.hidden} hidden {'entry was' if inventory.hidden == 1 else 'entries were'} left out."
        )
    return text


def length(seconds: float | None) -> str:
    """Seconds as h:mm:ss, m:ss, or, under a minute, with a tenth."""
    if not f.known(seconds):
        return f.NONE
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d} h" if hours else f"{minutes}:{rest:02d} min"


def _sound(folder: Path, entry: Entry, out: Path) -> str:
    """The address, from the page in `out`, at which a browser plays a recording; "" where it cannot."""
    path = folder / entry.file
    if not path.is_file():  # a name that is no text, or a file that is gone
        return ""
    known = entry.format.startswith(PLAYED) or entry.format.endswith(" AAC")
    if not known or not LEAST_PLAYED_RATE <= entry.rate <= MOST_PLAYED_RATE:
        name = f"{hashlib.sha256(entry.file.encode()).hexdigest()[:16]}.flac"
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", audio.AudioWarning)  # the table says it
                most = LONGEST if entry.seconds > LONGEST else None
                samples, rate = audio.read(path, seconds=most, mono=entry.channels > MOST_CHANNELS)
        except (audio.AudioError, MemoryError):
            return ""
        path = out / COPIES / name
        atomic.write(path, flac(samples, rate))
    relative = os.path.relpath(os.path.abspath(path), os.path.abspath(out))
    return quote(Path(relative).as_posix())


def _pictures(inventory: Inventory) -> tuple[str, str]:
    """The histogram for a desktop and for a phone; nothing where no file could be read."""
    if not inventory.readable:
        return "", ""
    files = pd.DataFrame([{"seconds": one.seconds, "split": one.split} for one in inventory.readable])
    wide, narrow = (theme.render(durations(files, width=width)) for width in (theme.WIDE, theme.NARROW))
    return wide, narrow


def _totals(table: pd.DataFrame, by: str) -> dict[str, Any]:
    """Cells as (text, what to sort by) under their heads."""
    other = "songs" if by == "split" else "splits"
    heads = [by, "files", other, "in all", "median", "shortest", "longest", "unreadable"]
    rows = []
    for row in table.to_dict("records"):
        times = [
            (length(row[name]), _key(row[name])) for name in ("seconds", "median", "shortest", "longest")
        ]
        counts = [(str(row[name]), row[name]) for name in ("files", other)]
        rows.append([(row[by], row[by]), *counts, *times, (str(row["unreadable"]), row["unreadable"])])
    left = [by] if by == "split" else [by, other]
    return {"heads": [(head, head not in left) for head in heads], "rows": rows}


def _row(row: dict[str, Any]) -> list[tuple[str, Any]]:
    """A file's cells as (text, what to sort by), in the order of the page's heads."""
    numbers = [
        (length(row["seconds"]), row["seconds"]),
        (f"{row['rate'] / 1000:g}", row["rate"]),
        (f.whole(row["channels"]), row["channels"]),
        (f.whole(row["bits"]) if f.known(row["bits"]) else "lossy", row["bits"]),
        (row["format"].split()[0], row["format"]),
        *((f.number(row[name], 1), row[name]) for name in ("loudness", "peak", "true_peak")),
        (f.percent(row["silence"]), row["silence"]),
        (f.whole(row["tempo"]), row["tempo"]),
    ]
    note = row["note"].removeprefix(VOCALS).removeprefix("; ")
    epochs = f"{row['epochs']:.0f} epochs" if f.known(row["epochs"]) else ""
    part = ", ".join(filter(None, (row["section"], row["mode"], epochs)))
    texts = [(row[name], row[name]) for name in ("file", "split", "song")] + [(part, part)]
    return [*texts, *((text, _key(value)) for text, value in numbers), (note, note)]


def _key(value: Any) -> Any:
    return "" if not isinstance(value, str) and not f.known(value) else value


def durations(files: pd.DataFrame, *, width: int = WIDE) -> alt.TopLevelMixin:
    """Histogram of the files' seconds, stacked by split. files: rows with seconds (float) and split."""
    table, step = histogram(files)
    there = [split for split in SPLIT_COLOURS if split in set(table["split"])]
    scale = alt.Scale(domain=there, range=[SPLIT_COLOURS[split] for split in there])
    legend = alt.Legend(title="split") if there != ["-"] else None
    unit, by = ("minutes", 60) if step >= 60 else ("seconds", 1)
    shown = table.assign(low=table["low"] / by, high=table["high"] / by)
    ends = alt.Scale(domain=[float(shown["low"].min()), float(shown["high"].max())], nice=False)
    most = int(table["above"].max())
    whole = {"values": list(range(most + 1))} if most <= FEW else {"tickMinStep": 1}
    bars = (
        alt.Chart(shown)
        .mark_bar(stroke="white", strokeWidth=0.5)
        .encode(
            x=alt.X("low:Q", scale=ends, axis=alt.Axis(title=f"length ({unit})", grid=False, tickCount=8)),
            x2="high:Q",
            y=alt.Y("below:Q", axis=alt.Axis(title="files", format="d", **whole)),
            y2="above:Q",
            color=alt.Color("split:N", scale=scale, legend=legend),
        )
        .properties(width=width - 80, height=200)
    )
    return theme.finish(bars, "How long the recordings are", width)


def histogram(files: pd.DataFrame) -> tuple[pd.DataFrame, float]:
    """Files by length and split: (low, high in seconds, split, files, below, above; seconds a bar spans).

    below, above: where a split's part of the bar begins and ends, in files.
    """
    seconds = files["seconds"].astype(float)
    reach = max(float(seconds.max() - seconds.min()), STEPS[0])
    step = next((step for step in STEPS if reach / step <= BARS), 3600 * math.ceil(reach / 3600 / BARS))
    low = (seconds // step) * step
    counts = files.assign(low=low).groupby(["low", "split"]).size().rename("files").reset_index()
    place = counts["split"].map({split: place for place, split in enumerate(SPLIT_COLOURS)})
    counts = counts.assign(high=counts["low"] + step, place=place).sort_values(["low", "place"])
    above = counts.groupby("low")["files"].cumsum()
    return counts.assign(below=above - counts["files"], above=above).drop(columns="place"), step
