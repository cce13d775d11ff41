"""An inventory as files: a page whose tables sort, needing nothing else, and CSV."""

from __future__ import annotations

import base64
import hashlib
from importlib import resources
from pathlib import Path
from typing import Any

import jinja2
import pandas as pd
import vl_convert
from markupsafe import Markup

from analysis import formats as f
from analysis.inventory import VOCALS, Inventory, InventoryError
from analysis.plots import inventory as plots
from analysis.plots import theme
from caw import atomic, file_names, spreadsheet

PAGE, FILES, SPLITS, SONGS, PICTURE = "index.html", "inventory.csv", "splits.csv", "songs.csv", "durations"


def write(found: Inventory, out: Path) -> Path:
    """Write index.html, inventory.csv, splits.csv, songs.csv, durations.png and .svg into the folder `out`.

    Each file appears whole or not at all, the page last. Returns the page's path. Raises: InventoryError
    where `out` is a file, OSError.
    """
    out = Path(out)
    check_place(out)
    wide, narrow = _pictures(found)
    text = html(found, wide, narrow)
    tables = {FILES: found.frame(), SPLITS: found.totals("split"), SONGS: found.totals("song")}
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
        raise InventoryError(f"{out} is a file; name a folder for the inventory")


def html(found: Inventory, wide: str = "", narrow: str = "") -> str:
    """The page's text. wide, narrow: the histogram as SVG, for a desktop and for a phone."""
    templates = resources.files("analysis") / "templates"
    script = (templates / "inventory.js").read_text(encoding="utf-8")
    style = "".join(
        (templates / name).read_text(encoding="utf-8") for name in ("report.css", "inventory.css")
    )
    environment = jinja2.Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    template = environment.from_string((templates / "inventory.html.j2").read_text(encoding="utf-8"))
    files = found.frame()
    return template.render(
        css=Markup(style),
        script=Markup(script),
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        title=file_names.shown(found.folder.resolve().name or found.folder),
        summary=summary(found),
        wide=Markup(theme.inline(wide, "wide")) if wide else "",
        narrow=Markup(theme.inline(narrow, "narrow")) if narrow else "",
        splits=_totals(found.totals("split"), "split"),
        songs=_totals(found.totals("song"), "song"),
        files=[_row(row) for row in files[files["problem"] == ""].to_dict("records")],
        unreadable=[(entry.file, entry.problem) for entry in found.unreadable],
        rules=found.rules,
        vocals=VOCALS,
    )


def summary(found: Inventory) -> str:
    """What the folder holds, in a sentence or two."""
    seconds = sum(entry.seconds for entry in found.readable)
    splits: dict[str, set[str]] = {}
    for entry in found.readable:
        splits.setdefault(entry.song, set()).add(entry.split)
    told = f"{f.plural(len(found.readable), 'file')} of {f.plural(len(splits), 'song')}"
    told += f", {length(seconds)} in all."
    if shared := sum(len(kinds) > 1 for kinds in splits.values()):  # what is tested on was trained on
        told += f" {f.plural(shared, 'song')} {'lies' if shared == 1 else 'lie'} in more than one split."
    if found.unreadable:
        told += f" {f.plural(len(found.unreadable), 'more file')} could not be read."
    if found.left_out:
        kinds = [f"{count} {kind or 'without a suffix'}" for kind, count in found.left_out.items()]
        told += f" Left out as no sound: {', '.join(kinds)}."
    if found.hidden:
        told += f" {found.hidden} hidden {'entry was' if found.hidden == 1 else 'entries were'} left out."
    return told


def length(seconds: float | None) -> str:
    """Seconds as h:mm:ss, m:ss, or, under a minute, with a tenth."""
    if not f.known(seconds):
        return f.NONE
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d} h" if hours else f"{minutes}:{rest:02d} min"


def _pictures(found: Inventory) -> tuple[str, str]:
    """The histogram for a desktop and for a phone; nothing where no file could be read."""
    if not found.readable:
        return "", ""
    files = pd.DataFrame([{"seconds": one.seconds, "split": one.split} for one in found.readable])
    wide, narrow = (theme.render(plots.durations(files, width=width)) for width in (theme.WIDE, theme.NARROW))
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
    texts = [(row[name], row[name]) for name in ("file", "split", "song")]
    return [*texts, *((text, _key(value)) for text, value in numbers), (note, note)]


def _key(value: Any) -> Any:
    return "" if not isinstance(value, str) and not f.known(value) else value
