"""Next rounds: what was said of sampled and of fresh clips, and of each round."""

from __future__ import annotations

from collections.abc import Iterable

import altair as alt
import pandas as pd

from analysis import formats as f
from analysis.plots import points, theme
from analysis.plots.theme import WIDE
from analysis.results import rounds
from analysis.results.result import Result

NAMED = {
    rounds.SAMPLED: "chosen by answers",
    rounds.FRESH: "drawn evenly",
}  # what sampled and fresh clips are called
_COLOURS = {NAMED[rounds.SAMPLED]: theme.GREEN, NAMED[rounds.FRESH]: theme.ORANGE}


def means(results: Iterable[Result], *, width: int = WIDE) -> alt.TopLevelMixin:
    """Shares inspiring and kept, and musicality, of next rounds' clips by how they were drawn, and by round.

    results: of the families `rounds.RULE` and `rounds.ROUNDS`.
    """
    rows, scales = [], {}
    ordered = sorted(results, key=lambda r: (r.family != rounds.RULE, r.group != rounds.SAMPLED))
    for outcome in rounds.ASKED:
        for r in ordered:
            if r.family not in (rounds.RULE, rounds.ROUNDS) or r.name != outcome.mean or r.estimate is None:
                continue
            text = f"{r.count}/{r.total}" if outcome.share else f.number(r.estimate, 1)
            rows.append((outcome.name, NAMED.get(r.group, r.group), r.estimate, r.low, r.high, text))
            scales[outcome.name] = (
                points.Scale("share of answers")
                if outcome.share
                else points.Scale("mean (0-10)", outcome.low, outcome.high, share=False)
            )
    table = pd.DataFrame(rows, columns=points.COLUMNS)
    return points.stacked(table, scales, "Next rounds", colours=_COLOURS, width=width)
