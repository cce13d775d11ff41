"""One table of all measures: real clips, their anchors, the authors' outputs and any folders of outputs.

    python -m tests.benchmarks.composing --real clips/*.wav --outputs before=draws/before guided=draws/guided
        [--authors FOLDER] [--out results] [--cache FOLDER] [--only pulse,bar_acf]

An outputs' folder holds a folder for each clip, named as the clip (riff/umg-0.wav, riff/var-0.wav), or files
named as CLIP_anything.wav; umg and var are told apart by the name. Cells are medians over the files, "yes" is
where the aim is reached, and * where shaped noise (imposed) reaches it, which makes the measure no target.
--authors: files named as CLIP_fake1.flac. --cache: a folder where all values are kept, by the samples' and
the measures' own digests.
"""

import argparse
import hashlib
import json
import re
import statistics
from pathlib import Path

import numpy as np

from caw import audio, measures
from caw.files import spreadsheet
from caw.measures import catalogue, display, spectra

RATE = 16000  # Hz
SOUNDS = (".wav", ".flac", ".ogg")
CAW = Path(spectra.__file__).parents[1]  # what every value comes from
SOURCES = (
    CAW / "flow" / "score.py",
    *sorted(CAW.glob("measures/*.py")),
    *sorted(CAW.glob("mosaic/*.py")),
    CAW / "beats.py",
    CAW / "features.py",
)


def files_of(folder: Path, clip: str) -> dict[str, list[Path]]:
    """The outputs of one clip in a folder, by kind: umg, var, or "" where the name says none."""
    found: dict[str, list[Path]] = {}
    for path in sorted(folder.rglob("*")):
        if path.suffix not in SOUNDS or not (path.stem.startswith(f"{clip}_") or clip in path.parts[:-1]):
            continue
        kind = next((kind for kind in ("umg", "var") if kind in re.split("[^a-z]", path.stem.lower())), "")
        found.setdefault(kind, []).append(path)
    return found


def kept(cache: Path | None, what: str, samples, made) -> dict:
    """What `made` gives, from the cache where it was taken before."""
    if cache is None:
        return made()
    digest = hashlib.sha256(b"".join(source.read_bytes() for source in SOURCES))
    for one in samples:
        digest.update(np.ascontiguousarray(one).tobytes())
    file = cache / f"{what}-{digest.hexdigest()[:16]}.json"
    if not file.exists():
        cache.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(made()))
    return json.loads(file.read_text())


def columns(real: Path, outputs: dict[str, Path], authors: Path | None, cache: Path | None) -> dict:
    """Every column of one clip's table: name -> (files, {measure: median})."""
    samples = audio.read(real, rate=RATE)[0]
    clip = spectra.AnalysedClip(samples, RATE, name=real.name)
    found = kept(cache, "anchors", [samples], lambda: measures.anchors(clip, RATE))
    table = {name: (1, values) for name, values in found.items()}
    groups = {"authors": sorted(authors.glob(f"{real.stem}_fake*"))} if authors else {}
    for name, folder in outputs.items():
        groups |= {f"{name} {kind}".strip(): files for kind, files in files_of(folder, real.stem).items()}
    for name, files in groups.items():
        values = []
        for file in files:
            fake = audio.read(file, rate=RATE)[0]
            values.append(
                kept(cache, "clip", [samples, fake], lambda fake=fake: measures.evaluate(clip, fake, RATE))
            )
        if values:
            table[name] = (len(values), {key: _median([one.get(key) for one in values]) for key in values[0]})
    return table


def _median(values) -> float | None:
    known = [value for value in values if value is not None]
    return statistics.median(known) if known else None


def markdown(clip: str, table: dict, names: list[str]) -> str:
    heads = [f"{name} ({count})" if count > 1 else name for name, (count, _) in table.items()]
    lines = [f"### {clip}", "", f"| measure | aim | {' | '.join(heads)} |", "|---" * (len(heads) + 2) + "|"]
    anchors = {name: values for name, (_, values) in table.items() if name in display.ANCHORS}
    passed = catalogue.passed_by_noise(anchors)
    for name in names:
        one, cells = catalogue.measure(name), []
        for column, (_, values) in table.items():
            reached = column not in anchors and catalogue.reached(one, values.get(name), anchors)
            mark = display.PASSED if column == "imposed" and name in passed else " yes" if reached else ""
            cells.append(display.number(values.get(name)) + mark)
        lines.append(f"| `{name}` | {one.aim} | {' | '.join(cells)} |")
    return "\n".join(lines)


def main(arguments=None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--real", nargs="+", type=Path, required=True)
    parser.add_argument("--outputs", nargs="*", default=[], metavar="NAME=FOLDER")
    parser.add_argument("--authors", type=Path)
    parser.add_argument("--out", type=Path, help="OUT.md and OUT.csv are written")
    parser.add_argument("--cache", type=Path)
    parser.add_argument("--only", default="", help="measures, with commas")
    chosen = parser.parse_args(arguments)
    outputs = {name: Path(folder) for name, _, folder in (one.partition("=") for one in chosen.outputs)}
    known = [one.name for one in catalogue.measures(measures.edges(measures.SCALES, RATE))]
    names = [name for name in known if name in chosen.only.split(",")] if chosen.only else known
    texts, rows = [], []
    for real in chosen.real:
        table = columns(real, outputs, chosen.authors, chosen.cache)
        texts.append(markdown(real.stem, table, names))
        print(texts[-1], flush=True)
        for column, (count, values) in table.items():
            rows.append(
                {"clip": real.stem, "column": column, "files": count} | {n: values.get(n) for n in names}
            )
    if chosen.out:
        chosen.out.with_suffix(".md").write_text("\n\n".join(texts) + "\n")
        spreadsheet.write(chosen.out.with_suffix(".csv"), list(rows[0]), rows)


if __name__ == "__main__":
    main()
