"""What machine-made clips measured against the clip they were made from, beside how they were judged.

The measures are `caw.measures`'; they come with the study. They are described, never tested: clips were not
drawn to vary in them, and nothing here says that listeners heard what was measured.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from analysis import conditions
from analysis import formats as f
from analysis.table import ReportTable
from caw.measures import catalogue, display

LIKENESS, COPYING = "frechet_0.13", "copied_share"  # what the plots set against the answers
ON_PAGE = (
    LIKENESS,
    "coverage_0.13",
    COPYING,
    "longest_run",
    "correlation_1",
    "pulse",
    "bar_acf",
    "onset_distance",
    "trans",
    "rough_mid",
    "partial_mid",
    "clicks",
)
FEWEST = 5  # clips, for a rank correlation to be worth a line


@dataclass(frozen=True)
class ClipMeasures:
    """The machine-made clips with their measures.

    clips: one row each, as `stimuli.by_stimulus`, with source and a column per measure (NaN where it was not
    taken). anchors: one row per source and anchor, with the same measures. names: of the measures, in the
    catalogue's order. passed: by a measure's name, the sources for which shaped noise reaches its aim. rate:
    Hz; bandwidth: Hz that every clip was limited to. without: how many clips have no measures.
    """

    clips: pd.DataFrame
    anchors: pd.DataFrame
    names: list[str]
    passed: dict[str, list[str]]
    rate: int
    bandwidth: float
    without: int


def of(record: Mapping[str, Any] | None, clips: pd.DataFrame) -> ClipMeasures | None:
    """The measures that a study took, joined with its clips; None where it took none.

    record: rate, bandwidth, clips (set, name, source, measures) and anchors (source -> halves, noise ...).
    clips: as of `stimuli.by_stimulus`.
    """
    fakes = clips[clips["truth"] == "fake"]
    taken = [clip for clip in (record or {}).get("clips", []) if clip.get("measures")]
    rows = [{key: clip[key] for key in ("set", "name", "source")} | clip["measures"] for clip in taken]
    if not rows:
        return None
    joined = fakes.merge(pd.DataFrame(rows), on=["set", "name"], validate="one_to_one")
    if joined.empty:
        return None
    taken_names = set().union(*(clip["measures"] for clip in taken))
    names = _in_order(taken_names)
    joined[names] = joined[names].astype(float)
    anchors = pd.DataFrame(
        [
            {"source": source, "anchor": anchor} | {name: values[anchor].get(name) for name in names}
            for source, values in record["anchors"].items()
            for anchor in display.ANCHORS
            if values.get(anchor) and source in set(joined["source"])
        ],
        columns=["source", "anchor", *names],
    ).astype(dict.fromkeys(names, float))
    without = len(fakes) - len(joined)
    passed: dict[str, list[str]] = {}
    for source in dict.fromkeys(anchors["source"]):
        for name in catalogue.passed_by_noise(record["anchors"][source]):
            passed.setdefault(name, []).append(source)
    return ClipMeasures(joined, anchors, names, passed, record["rate"], record["bandwidth"], without)


def title(name: str) -> str:
    """A measure's name and unit as a reader sees them, as "longest run (s)"."""
    unit = catalogue.measure(name).unit
    return name.replace("_", " ") + (f" ({unit})" if unit else "")


def tables(measures: ClipMeasures) -> list[ReportTable]:
    """Every clip's measures with the anchors below them, and what each measure means."""
    clips = measures.clips
    described = {
        "clip": clips["label"],
        "made by": clips["backend"],
        "mode": clips["mode"],
        "epochs": clips["epochs"],
        **{column: clips[column] for column in conditions.stated(clips)},
        "judged real": clips["judged_real"],
        "source": clips["source"],
    }
    rows = pd.DataFrame(described).join(clips[measures.names]).sort_values(LIKENESS, kind="stable")
    anchors = measures.anchors.assign(clip=measures.anchors["source"] + ": " + measures.anchors["anchor"])
    whole = pd.concat([rows, anchors.drop(columns="anchor")], ignore_index=True)[list(rows)]
    shown = pd.DataFrame(
        {"clip": whole["clip"], "what it was": [_origin(row) for row in whole.to_dict("records")]}
        | {"judged real": [_text(value, f.percent) for value in whole["judged real"]]}
        | {
            title(name): [_text(value, _figures) for value in whole[name]]
            for name in ON_PAGE
            if name in whole
        }
    )
    meanings = [catalogue.measure(name) for name in measures.names]
    on_page = [one.name in ON_PAGE for one in meanings]
    meaning = pd.DataFrame(
        {
            "measure": [title(one.name) for one in meanings],
            "better": [{"": "", "0": "near 0"}.get(one.better, one.better) for one in meanings],
            "meaning": [one.meaning for one in meanings],
        }
    )
    if "imposed" in set(measures.anchors["anchor"]):
        meaning["no target, as shaped noise passes it"] = [
            ", ".join(measures.passed.get(one.name, [])) for one in meanings
        ]
    return [
        ReportTable("measures", "What the clips measured", whole, shown=shown),
        ReportTable("measures_meaning", "What the measures mean", meaning, shown=meaning[on_page]),
    ]


def line(measures: ClipMeasures) -> str:
    """What was measured, in a sentence or two."""
    count = len(measures.clips)
    text = f"{count} machine-made clip{'s were' if count > 1 else ' was'} measured as heard"
    text += f" (up to {measures.bandwidth:.0f} Hz), each against the passage it was made from."
    if measures.without:
        text += f" {measures.without} more could not be: the study does not hold what they were made from."
    return text


def correlation(measures: ClipMeasures, name: str) -> str:
    """Spearman's rho of a measure and the share of listeners who judged the clip real, in words."""
    known = measures.clips[[name, "judged_real"]].dropna()
    if len(known) < FEWEST or (known.nunique() < 2).any():
        return ""
    rho = known[name].rank().corr(known["judged_real"].rank())
    return f"{title(name)}: rank correlation {f.number(rho)} over {len(known)} clips"


def groups(measures: ClipMeasures) -> pd.DataFrame:
    """Every clip once for each kind of group it is in: kind, group, then the columns of `clips`."""
    clips = measures.clips
    labels = {"backend": clips["backend"], "mode": clips["mode"]}
    if clips["epochs"].notna().any():
        labels["epochs"] = conditions.epoch_labels(conditions.with_epochs(clips))
    labels |= {column: groups.dropna() for _, column, groups in conditions.differing(clips)}
    parts = []
    for kind, groups_of in labels.items():
        order = sorted(set(groups_of), key=conditions.sort_key)
        place = groups_of.map({name: number for number, name in enumerate(order)})
        parts.append(
            clips.loc[groups_of.index]
            .assign(kind=kind, group=groups_of, place=place)
            .sort_values("place", kind="stable")
        )
    return pd.concat(parts, ignore_index=True).drop(columns="place")


def _in_order(names: set[str]) -> list[str]:
    """The measures in the order of the catalogue, edges by their frequency."""
    edges = [float(name.partition("_")[2]) for name in names if name.partition("_")[0] == catalogue.EDGE.name]
    return [one.name for one in catalogue.measures(sorted(edges)) if one.name in names]


def _origin(row: Mapping[str, Any]) -> str:
    if pd.isna(row["made by"]):
        return display.ANCHORS[row["clip"].rpartition(": ")[2]]
    epochs = "" if pd.isna(row["epochs"]) else f", {row['epochs']} epochs"
    more = (
        f", {column} {row[column]}" for column in conditions.COLUMNS.values() if not pd.isna(row.get(column))
    )
    return f"{row['made by']} {row['mode']}{epochs}{''.join(more)}"


def _text(value, write) -> str:
    return "" if pd.isna(value) else write(value)


def _figures(value: float) -> str:
    places = next((places for limit, places in ((1, 3), (10, 2), (100, 1)) if abs(value) < limit), 0)
    return "0" if round(value, places) == 0 else f.number(value, places)
