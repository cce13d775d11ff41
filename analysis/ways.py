"""What clips were asked to be: the plan that new music follows, and the strength of variations.

A plan is asked of UMG clips alone, a strength of VAR clips alone. Clips of the same system and mode without
any are a group of their own: the system drew them by itself.
"""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

PLANS, STRENGTHS = "plans", "strengths"  # families of results
COLUMNS = {PLANS: "plan", STRENGTHS: "strength"}
NO_PLAN, OWN_STRENGTH = "no plan", "model's own"
_MODES = {"plan": "UMG", "strength": "VAR"}


def stated(table: pd.DataFrame) -> list[str]:
    """The columns, of plan and strength, in which a table (answers or clips) says anything."""
    return [column for column in COLUMNS.values() if column in table and table[column].notna().any()]


def labels(table: pd.DataFrame, column: str) -> pd.Series:
    """The group of each machine-made row that could be asked for one, None of all others.

    table: answers or clips. column: plan or strength. Only systems of which any clip states one have groups.
    """
    groups = pd.Series([None] * len(table), index=table.index, dtype=object)
    if column not in stated(table):
        return groups
    kind = (table["truth"] == "fake") & (table["mode"] == _MODES[column])
    concerned = kind & table["backend"].isin(table.loc[kind & table[column].notna(), "backend"])
    return groups.where(~concerned, _written(table[column], column))


def differing(table: pd.DataFrame) -> Iterator[tuple[str, str, pd.Series]]:
    """Family, column and groups of whatever clips of a table were asked for in more than one way."""
    for family, column in COLUMNS.items():
        groups = labels(table, column)
        if groups.nunique() > 1:
            yield family, column, groups


def _written(values: pd.Series, column: str) -> pd.Series:
    """Strengths with equally many digits, so that they sort as numbers."""
    if column == "plan":
        return values.astype(object).where(values.notna(), NO_PLAN)
    digits = max(len(f"{value:g}".partition(".")[2]) for value in values.dropna())
    return values.map(lambda value: OWN_STRENGTH if pd.isna(value) else f"{value:.{digits}f}").astype(object)
