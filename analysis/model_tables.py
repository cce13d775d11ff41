"""Tables of what mixed models say, and of confidence: results in, table frames out. See `tables`."""

from __future__ import annotations

from collections.abc import Iterable

import pandas as pd

from analysis import confidence, panel_models
from analysis import formats as f
from analysis.results import CHECK, Result
from analysis.tables import Table, inference, inferential

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


def modelled(result: Result) -> bool:
    """True for what a mixed model says."""
    family = result.family
    return family.startswith(panel_models.MIXED) or family in (panel_models.ORDER, panel_models.EQUIVALENCE)


def models(results: Iterable[Result]) -> Table:
    """What the crossed mixed models say, one effect a row; empty with one listener."""
    rows = [r for r in inferential(results) if modelled(r)]
    about = {
        "effect": [r.name.removesuffix(CHECK) for r in rows],
        "of": ["" if r.group == "all" else r.group for r in rows],
        "counted in": [SCALES.get(r.name, "") for r in rows],
        "model": [r.method for r in rows],
        "fitted to": [r.note for r in rows],
    }
    return inference("mixed_models", "Mixed models", rows, about, before=("effect", "of"))


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
