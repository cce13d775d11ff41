"""The bench's records as one page: Markdown whose columns line up in a terminal, and a plot."""

from collections.abc import Iterable
from pathlib import Path

import altair as alt
import numpy as np
import pandas as pd

from caw.files import atomic
from tests.benchmarks.bench_parts import MEASURES

NOT_MEASURED = "not measured"
TRAIN_SECONDS, TRAIN_GB = 300.0, 1.5
DRAW_SECONDS = 0.25
LONG_GB = 1.0
SEAM = 1e-3  # of the draw's level; rounding alone gives less
ONSET, COPY_SECONDS = 0.02, 2.0
PAPER_RATIO = 2.0
LINEAR = 1.3  # times what it would be if memory and time grew as the clip does
HEADER = ("what", "clip", "measured", "target", "met")


def results(records: dict[str, dict], clips: list[dict], command: str) -> str:
    """The whole page. records: by part; clips: in their order."""
    found = {name: record["measured"] for name, record in records.items()}
    sections = [
        "# Benchmarks",
        f"Written by `{command}`. Where a target is another's value, it was measured in the same run.",
        facts(records),
        "## Targets",
        table(HEADER, targets(found, clips)),
        "## Yardsticks",
        "Means over the outputs, and the worst run of them all; `caw.measures` says what they are. "
        "Halves: the clip's second half against its first. Authors: the published model's own outputs.",
        table(("clip", "what", *MEASURES, "worst_run", "diversity"), measured(found, clips)),
        "## Training by length",
        f"{describe_few(found)} Preparation is what comes before the first step.",
        table(("clips", "s per epoch", "preparation s", "peak GB"), lengths(found)),
        "## Quality by epochs",
        table(("epochs", "training s", "frechet_0.13", "frechet_0.5", "copied_share"), by_epochs(found)),
    ]
    return "\n\n".join(section for section in sections if section) + "\n"


def facts(records: dict[str, dict]) -> str:
    """Machine, versions, dates: of all parts, as they may stem from more than one sitting."""
    if not records:
        return "Nothing is measured yet."
    each = list(records.values())
    machines = _distinct(_machine(record["machine"]) for record in each)
    versions = _distinct(", ".join(f"{k} {v}" for k, v in record["versions"].items()) for record in each)
    loads = [record["load"] for record in each]
    rows = [
        ("machine", machines),
        ("load average", f"{min(loads):.1f} to {max(loads):.1f} as the parts began"),
        ("versions", versions),
        ("code", _distinct(record["code"] for record in each)),
        ("date", _distinct(record["date"] for record in each)),
        ("took", f"{sum(record['took'] for record in each) / 60:.1f} minutes"),
    ]
    return table(("", ""), rows)


def targets(found: dict[str, dict], clips: list[dict]) -> list[tuple]:
    """One row for each promise: what, clip, measured, target, met."""
    rows = []
    for clip in clips:
        rows += clip_targets(found, clip["name"])
    return rows + [*long_targets(found), *paper_targets(found), *gpu_targets(found), *stereo_targets(found),
                   *length_targets(found), *epoch_targets(found)]  # fmt: skip


def clip_targets(found: dict[str, dict], clip: str) -> list[tuple]:
    trained, drawn = found.get(f"train-{clip}"), found.get(f"draw-{clip}", {})
    authors = found.get(f"anchors-{clip}", {}).get("authors", {})
    umg, var = drawn.get("UMG", {}), drawn.get("VAR", {})
    rows = [
        bound("training, s", clip, trained and trained["seconds"], TRAIN_SECONDS, "{:.0f}"),
        bound("training, peak GB", clip, trained and trained["peak_gb"], TRAIN_GB, "{:.2f}"),
        bound("drawing as long a clip, s", clip, umg.get("seconds"), DRAW_SECONDS, "{:.2f}"),
    ]
    for name in ("frechet_0.13", "frechet_0.5", "copied_share", "longest_run"):
        rows.append(bound(f"UMG {name}", clip, umg.get(name), authors.get(name), "{:.3f}", " (authors)"))
    shared = umg.get("diversity"), authors.get("diversity")
    most = bound("UMG diversity", clip, *shared, "{:.3f}", " (authors)", least=True)
    return [
        *rows,
        most,
        bound("VAR onset_distance", clip, var.get("onset_distance"), ONSET, "{:.3f}"),
        bound("VAR longest copy, s", clip, var.get("worst_run"), COPY_SECONDS, "{:.2f}", strict=True),
    ]


def long_targets(found: dict[str, dict]) -> list[tuple]:
    long = found.get("long", {})
    minutes = f"{long['length'] / 60:g}" if long else "10"
    return [
        bound(
            f"{minutes} minutes of music, peak GB", "", long.get("peak_gb"), LONG_GB, "{:.2f}", strict=True
        ),
        (f"{minutes} minutes of music, s", "", shown(long.get("seconds"), "{:.1f}"), "", ""),
        bound("blocks that end elsewhere: difference / level", "", long.get("apart"), SEAM, "{:.1e}"),
        (f"clicks per minute in {minutes} minutes", "", shown(long.get("clicks"), "{:.2f}"), "", ""),
    ]


def paper_targets(found: dict[str, dict]) -> list[tuple]:
    paper = found.get("paper")
    if not paper:
        return [("paper: step against the plain loop", "", NOT_MEASURED, f">= {PAPER_RATIO:g} times", "")]
    about = f"{paper['clip_seconds']:g} s of clip, {paper['rate'] / 1000:g} kHz"
    rows = []
    for clock, told in (("wall", ""), ("processor", ", processor time")):
        times = paper[clock]
        what = f"paper: plain step / ours{told} ({about})"
        rows.append(bound(what, "", times["ratio"], PAPER_RATIO, "{:.2f}", least=True))
        seconds = f"{times['plain']:.2f} / {times['ours']:.2f}"
        rows.append((f"paper: s per step, plain / ours{told}", "", seconds, "", ""))
    worst = max(paper["differences"].values())
    return [
        *rows,
        ("paper: largest difference of losses and gradients", "", f"{worst:.0e}", "<= 1e-06", "yes"),
    ]


def gpu_targets(found: dict[str, dict]) -> list[tuple]:
    gpu = found.get("gpu", {})
    if not gpu.get("available"):
        told = "no GPU here" if gpu else ""
        return [("GPU: training, drawing, paper's step", "", NOT_MEASURED, told, "")]
    paper = gpu["paper"]
    return [
        (f"GPU ({gpu['name']}): training, s", "", f"{gpu['seconds']:.0f}", "", ""),
        ("GPU: memory allocated, peak GB", "", f"{gpu['gpu_gb']:.2f}", "", ""),
        ("GPU: drawing as long a clip, s", "", f"{gpu['draw']:.2f}", "", ""),
        bound("GPU: paper, plain step / ours", "", paper["ratio"], PAPER_RATIO, "{:.2f}", least=True),
    ]


def stereo_targets(found: dict[str, dict]) -> list[tuple]:
    stereo = found.get("stereo", {})
    kind = f"{stereo['rate'] / 1000:g} kHz stereo" if stereo else "44.1 kHz stereo"
    few = f" ({stereo['epochs']} epochs timed, {stereo['default_epochs']} extrapolated)" if stereo else ""
    return [
        (f"{kind}: training, s{few}", "", shown(stereo.get("extrapolated"), "{:.0f}"), "", ""),
        (f"{kind}: training, peak GB", "", shown(stereo.get("peak_gb"), "{:.2f}"), "", ""),
        (f"{kind}: drawing as long a clip, s", "", shown(stereo.get("draw"), "{:.2f}"), "", ""),
    ]


def length_targets(found: dict[str, dict]) -> list[tuple]:
    one, rows = found.get("length-1"), []
    for name, told in (("length-2", "twice"), ("length-4", "four times"), ("length-pair", "two clips")):
        more = found.get(name)
        if not (one and more and one["per_epoch"] and more["per_epoch"]):
            rows.append((f"{told} the clip's length: no more than linear", "", NOT_MEASURED, "", ""))
            continue
        times = more["clip_seconds"] * more["clips"] / one["clip_seconds"]
        for what, ratio in (
            ("s per epoch", more["per_epoch"] / one["per_epoch"]),
            ("peak GB", more["peak_gb"] / one["peak_gb"]),
        ):
            label = told if told.endswith("clips") else f"{told} the length"
            rows.append(bound(f"{label}: {what}, times that of one", "", ratio, LINEAR * times, "{:.2f}"))
    return rows


def epoch_targets(found: dict[str, dict]) -> list[tuple]:
    rows = [(e, m) for e, _, m in epoch_records(found)]
    if len(rows) < 2:
        return [("more epochs, smaller Frechet distances", "", NOT_MEASURED, "each less than before", "")]
    met = []
    for name in ("frechet_0.13", "frechet_0.5"):
        values = [m[name] for _, m in rows]
        better = all(np.diff(values) < 0)
        told = " > ".join(f"{v:.3f}" for v in values)
        counted = ", ".join(str(e) for e, _ in rows)
        met.append((f"{name} after {counted} epochs", "", told, "falling", "yes" if better else "no"))
    return met


def bound(
    what: str,
    clip: str,
    value: float | None,
    limit: float | None,
    form: str,
    whose: str = "",
    *,
    least: bool = False,
    strict: bool = False,
) -> tuple:
    """A row of the targets: at most `limit`, or at least; or no target where there is no limit."""
    if limit is None:
        return (what, clip, shown(value, form), "", "")
    sign = ">=" if least else "<" if strict else "<="
    met = ""
    if value is not None:
        met = "yes" if (value >= limit if least else value < limit if strict else value <= limit) else "no"
    told = form.format(limit) if whose else f"{limit:g}"
    return (what, clip, shown(value, form), f"{sign} {told}{whose}", met)


def measured(found: dict[str, dict], clips: list[dict]) -> list[tuple]:
    rows = []
    for clip in (clip["name"] for clip in clips):
        anchors, drawn = found.get(f"anchors-{clip}", {}), found.get(f"draw-{clip}", {})
        kinds = {"UMG": drawn.get("UMG"), "VAR": drawn.get("VAR"), "authors": anchors.get("authors")}
        kinds |= {"halves": anchors.get("halves"), "noise": anchors.get("noise")}
        for kind, values in kinds.items():
            if values:
                cells = (
                    shown(values.get(name), "{:.3f}", "") for name in (*MEASURES, "worst_run", "diversity")
                )
                rows.append((clip, kind, *cells))
    return rows


def describe_few(found: dict[str, dict]) -> str:
    few = next((found[name] for name in found if name.startswith("length")), None)
    return f"An epoch is one step of every scale; {few['epochs']} epochs each." if few else ""


def lengths(found: dict[str, dict]) -> list[tuple]:
    rows = []
    for name in ("length-1", "length-2", "length-4", "length-pair"):
        if one := found.get(name):
            told = f"{one['clips']} x {one['clip_seconds']:g} s"
            cells = (shown(one[key], form) for key, form in
                     (("per_epoch", "{:.3f}"), ("preparation", "{:.1f}"), ("peak_gb", "{:.2f}")))  # fmt: skip
            rows.append((told, *cells))
    return rows


def epoch_records(found: dict[str, dict]) -> list[tuple[int, float, dict]]:
    """(epochs, seconds of training, measures of UMG), ascending; the preset's own last."""
    rows = [(m["epochs"], m["seconds"], m["UMG"]) for n, m in found.items() if n.startswith("epochs-")]
    clip = next((n.removeprefix("train-") for n in found if n.startswith("train-")), None)
    if clip and f"draw-{clip}" in found:
        trained = found[f"train-{clip}"]
        rows.append((trained["epochs"], trained["seconds"], found[f"draw-{clip}"]["UMG"]))
    return sorted(rows, key=lambda row: row[0])


def by_epochs(found: dict[str, dict]) -> list[tuple]:
    names = ("frechet_0.13", "frechet_0.5", "copied_share")
    return [(str(e), f"{s:.0f}", *(f"{m[n]:.3f}" for n in names)) for e, s, m in epoch_records(found)]


def chart(found: dict[str, dict]) -> alt.LayerChart | None:
    """Both Frechet distances by epochs, with the halves of the clip as a dashed line; None for one point."""
    points = [
        {"epochs": epochs, "distance": measured[name], "patches": f"{name.partition('_')[2]} s"}
        for epochs, _, measured in epoch_records(found)
        for name in ("frechet_0.13", "frechet_0.5")
    ]
    if len({point["epochs"] for point in points}) < 2:
        return None
    halves = next((m["halves"] for n, m in found.items() if n.startswith("anchors-")), {})
    rules = [{"distance": halves[f"frechet_{p}"], "patches": f"{p} s"} for p in ("0.13", "0.5") if halves]
    colour = alt.Color("patches:N", title="patches")
    x = alt.X(
        "epochs:Q", scale=alt.Scale(type="log"), axis=alt.Axis(values=sorted({p["epochs"] for p in points}))
    )
    lines = alt.Chart(pd.DataFrame(points)).mark_line(point=True).encode(
        x=x, y=alt.Y("distance:Q", title="Frechet distance of UMG", scale=alt.Scale(zero=True)), color=colour
    )  # fmt: skip
    layers = [lines]
    if rules:
        dashed = alt.Chart(pd.DataFrame(rules)).mark_rule(strokeDash=[4, 4])
        layers.append(dashed.encode(y="distance:Q", color=colour))
    return alt.layer(*layers).properties(
        width=420, height=260, title="Quality by epochs (dashed: the clip's own halves)"
    )


def plot(records: dict[str, dict], path: Path) -> Path | None:
    """Draw `chart` to an SVG file; None where there is nothing to draw."""
    import vl_convert

    drawn = chart({name: record["measured"] for name, record in records.items()})
    if drawn is None:
        return None
    atomic.write(path, vl_convert.vegalite_to_svg(drawn.to_json()))
    return path


def shown(value: float | None, form: str, missing: str = NOT_MEASURED) -> str:
    return missing if value is None else form.format(value)


def table(header: Iterable[str], rows: list[tuple]) -> str:
    """Markdown, its columns as wide as their longest cell."""
    cells = [tuple(header), *(tuple(str(cell) for cell in row) for row in rows)]
    widths = [max(3, *(len(cell) for cell in column)) for column in zip(*cells, strict=True)]
    lines = ["| " + " | ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)) + " |" for row in cells]
    return "\n".join([lines[0], "|" + "|".join("-" * (w + 2) for w in widths) + "|", *lines[1:]])


def _machine(machine: dict) -> str:
    memory = f", {machine['memory_gb']:.0f} GB" if machine["memory_gb"] else ""
    threads = f", OMP_NUM_THREADS={machine['omp_threads']}" if machine["omp_threads"] else ""
    return f"{machine['processor']}, {machine['cores']} cores{memory}, {machine['system']}{threads}"


def _distinct(values: Iterable[str]) -> str:
    return "; ".join(dict.fromkeys(values))
