"""Every backend on the same clips, beside other outputs of the same clips: the table of measures.

    python -m tests.benchmarks.backends --clips FOLDER

FOLDER holds NAME_real.wav (or .flac) for each clip and, where there are any, NAME_fake1.wav and so on:
another system's outputs, as the CAW authors'. A study of all backends is built in --folder by `study build`
itself (a second call makes only what is missing), its pool is measured, and tests/benchmarks/backends.md is
written.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from rich.console import Console

from caw import measures
from caw.cli.measuring import measurements
from caw.files import atomic, spreadsheet
from study.build.build import build
from study.build.progress import BuildProgress
from study.folder import StudyFolder
from tests.benchmarks.bench_tables import table

OUT = Path(__file__).parent / "backends.md"
ROWS = ("frechet_0.13", "frechet_0.5", "copied_share", "longest_run", "match_1", "onset_distance")
ROWS += ("tempo_error", "chroma_distance", "clicks", "silence")
WORST = {"longest_run"}  # of all outputs; of the others the mean
EPOCHS = {"caw": 1000, "samplernn": 1000, "mosaic": None}
OTHERS = "others"  # the outputs beside the clips


def design(clips: Sequence[Path], epochs: dict[str, int | None], seconds: float, count: int) -> str:
    """study.toml of all backends on all clips."""
    parts = ['[study]\ntitle = "Backends"\nseed = 1\n']
    for clip in clips:
        for backend, steps in epochs.items():
            counted = f"epochs = [{steps}]\n" if steps else ""
            name = clip.stem.removesuffix("_real")
            parts.append(
                f"[[source]]\nfile = {json.dumps(str(clip.resolve()))}\nname = {json.dumps(name)}\n"
                f'backend = "{backend}"\nseconds = {seconds}\nclips = {count}\n{counted}'
            )
    stimuli = f"[stimuli]\nseconds = {seconds - 1}\n[listening]\npractice = 0\n"
    sets = "".join(f"[set.{mode}]\nfakes = 1\noriginals = 0\nimported = 0\n" for mode in ("UMG", "VAR"))
    return "\n".join(parts) + stimuli + sets


def measured(real: Path, fakes: Sequence[Path], seconds: float) -> dict[str, float]:
    """The rows of the table for outputs of one clip, and their diversity."""
    records, _ = measurements(real, list(fakes), seconds=seconds, scales=measures.SCALES)
    found = {}
    for name in (*ROWS, "diversity"):
        values = [record["measures"][name] for record in records if record["measures"][name] is not None]
        found[name] = float(max(values) if name in WORST else np.mean(values)) if values else None
    return found


def run(
    clips: Annotated[Path, typer.Option(help="Folder of NAME_real and NAME_fakeN files.")],
    folder: Annotated[Path, typer.Option(help="Where the study is built.")] = Path("build/bench/backends"),
    seconds: Annotated[float, typer.Option(help="Length of every passage.")] = 25.0,
    count: Annotated[int, typer.Option(help="Clips for each backend, mode and clip.")] = 3,
    samplernn: Annotated[int, typer.Option(help="Epochs.")] = EPOCHS["samplernn"],
    caw: Annotated[int, typer.Option(help="Epochs.")] = EPOCHS["caw"],
    out: Annotated[Path, typer.Option(help="The page to write.")] = OUT,
) -> None:
    """Build, measure, write the table."""
    reals = sorted(path for path in clips.iterdir() if path.stem.endswith("_real"))
    study, began = StudyFolder(folder), time.monotonic()
    atomic.write(study.toml, design(reals, EPOCHS | {"samplernn": samplernn, "caw": caw}, seconds, count))
    build(study, BuildProgress(Console(highlight=False)), pool_only=True)
    pool = spreadsheet.records(study.pool_table)
    rows = []
    for real in reals:
        name = real.stem.removesuffix("_real")
        systems = {("UMG", OTHERS): sorted(clips.glob(f"{name}_fake*"))}
        for row in pool:
            if row["source"] == name:
                systems.setdefault((row["mode"], row["backend"]), []).append(study.pool / row["file"])
        for (mode, backend), files in sorted(systems.items()):
            if not files:
                continue
            found = measured(real, files, seconds)
            told = ["" if found[key] is None else f"{found[key]:.3g}" for key in (*ROWS, "diversity")]
            rows.append((name, mode, backend, *told))
        anchors = measurements(real, [files[0]], seconds=seconds, scales=measures.SCALES)[0][0]["anchors"]
        for anchor in ("halves", "noise"):
            values = [anchors[anchor].get(key) for key in ROWS]
            rows.append((name, "", anchor, *("" if v is None else f"{v:.3g}" for v in values), ""))
        print(f"{name}: measured", flush=True)
    minutes = (time.monotonic() - began) / 60
    head = ("clip", "mode", "system", *ROWS, "diversity")
    told = (
        f"Written by `python -m tests.benchmarks.backends --clips FOLDER`: {count} outputs of {seconds:g} s "
        f"each, `caw` (preset fast) at {caw} epochs, `samplernn` at {samplernn}; this call took "
        f"{minutes:.0f} minutes, and runs that were there were not trained again. `{OTHERS}` are the files "
        "beside the clips. Means over the outputs, of `longest_run` the worst; `caw measure --explain` says "
        "what each column is. Mosaic copies by design."
    )
    text = f"# Every backend on the same clips\n\n{told}\n\n{table(head, rows)}\n"
    atomic.write(out, text)
    print(out)


if __name__ == "__main__":
    typer.run(run)
