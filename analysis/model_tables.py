"""Tables of what mixed models say, and of confidence: results in, table frames out. See `tables`."""

from __future__ import annotations

from collections.abc import Iterable

import pandas as pd

from analysis import confidence, panel_models
from analysis import formats as f
from analysis.results import CHECK, Result
from analysis.tables import Table, inferential

SCALES = {  # what the estimate of a mixed model counts
    panel_models.CRITERION: "in units of d\N{PRIME}",
    panel_models.MUSICALITY: "points",
    panel_models.ORDINAL: "log odds",
    panel_models.ICC_CLIPS: "share of variance",
    panel_models.ICC_LISTENERS: "share of variance",
    **dict.fromkeys(panel_models.ICC_NESTS.values(), "share of variance"),
    panel_models.DOSE: "points",
    panel_models.LEARNING: "log odds",
    panel_models.SPEED: "log seconds",
    panel_models.SIMILAR: "points",
}

QUESTIONS = {  # the families as headings
    panel_models.MIXED: "machine-made against originals, and agreement",
    f"{panel_models.MIXED}, backends": "backends",
    f"{panel_models.MIXED}, modes": "modes",
    f"{panel_models.MIXED}, epochs": "epochs",
    panel_models.ORDER: "order and learning",
    panel_models.EQUIVALENCE: "equivalence with originals",
}


def level(result: Result) -> str:
    """What follows an interval that is not of 95 %."""
    return " (90%)" if "90 % interval" in result.method and result.low is not None else ""


def modelled(result: Result) -> bool:
    """True for what a mixed model says."""
    family = result.family
    return family.startswith(panel_models.MIXED) or family in (panel_models.ORDER, panel_models.EQUIVALENCE)


def models(results: Iterable[Result]) -> Table:
    """What the crossed mixed models say, one effect a row; empty with one listener."""
    rows = [r for r in inferential(results) if modelled(r)]
    table = pd.DataFrame(
        {
            "effect": [r.name.removesuffix(CHECK) for r in rows],
            "of": ["" if r.group == "all" else r.group for r in rows],
            "estimate": [r.estimate for r in rows],
            "counted in": [SCALES.get(r.name, "") for r in rows],
            "low": [r.low for r in rows],
            "high": [r.high for r in rows],
            "p": [r.p for r in rows],
            "p (Holm)": [r.p_holm for r in rows],
            "model": [r.method for r in rows],
            "fitted to": [r.note for r in rows],
        }
    )
    written = {"p": f.p_value, "p (Holm)": f.p_value, "estimate": f.number}
    shown = Table("", "", table, written).cells()
    shown["low"] = [f.interval(r.low, r.high) + level(r) for r in rows]
    shown = shown.drop(columns="high").rename(columns={"low": "95% interval"})
    return Table("mixed_models", "Mixed models", table, written, shown=shown)


def certainty(results: Iterable[Result]) -> Table:
    """How confident listeners were when right and when wrong, and how often they were right at each level."""
    rows = [r for r in results if r.family == confidence.FAMILY and not r.refused]
    table = pd.DataFrame(
        [(r.name, r.estimate, r.low, r.high, r.count, r.total) for r in rows],
        columns=["what", "value", "low", "high", "count", "of"],
    )
    lines = []
    for r in rows:
        share = r.name.startswith(confidence.RIGHT_AT)
        counted = f.whole(r.count) if r.name in (confidence.WHEN_RIGHT, confidence.WHEN_WRONG) else ""
        value = f"{r.count}/{r.total} ({f.percent(r.estimate)})" if share else f.number(r.estimate)
        lines.append((r.name, value, f.interval(r.low, r.high, f.percent), counted))
    shown = pd.DataFrame(lines, columns=["what", "value", "95% interval", "answers"])
    return Table("confidence", "Confidence", table, shown=shown)
