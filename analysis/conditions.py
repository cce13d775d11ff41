"""The conditions that clips were made under: epochs, plan of new music, strength of variations, song.

A plan is asked of UMG clips alone, a strength of VAR clips alone, a song of both. Clips of the same system
and mode without one are a group of their own: the system drew them by itself, or for no song. Epochs of two
systems are of different things, so where several systems state them a group bears its system's name.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import pandas as pd

PLANS, STRENGTHS, SONGS = "plans", "strengths", "made for songs"  # families of results
COLUMNS = {PLANS: "plan", STRENGTHS: "strength", SONGS: "song"}
NO_PLAN, OWN_STRENGTH, NO_SONG = "no plan", "model's own", "no song"
UNSTATED = "not stated"  # of epochs
_MODES = {"plan": ("UMG",), "strength": ("VAR",), "song": ("UMG", "VAR")}


def stated(table: pd.DataFrame) -> list[str]:
    """The columns, of plan, strength and song, in which a table (answers or clips) says anything."""
    return [column for column in COLUMNS.values() if column in table and table[column].notna().any()]


def labels(table: pd.DataFrame, column: str) -> pd.Series:
    """The group of each machine-made row that could be asked for one, None of all others.

    table: answers or clips. column: plan, strength or song. Only systems of which any clip states one have
    groups.
    """
    groups = pd.Series([None] * len(table), index=table.index, dtype=object)
    if column not in stated(table):
        return groups
    kind = (table["truth"] == "fake") & table["mode"].isin(_MODES[column])
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
    if column != "strength":
        return values.astype(object).where(values.notna(), NO_PLAN if column == "plan" else NO_SONG)
    digits = max(len(f"{value:g}".partition(".")[2]) for value in values.dropna())
    return values.map(lambda value: OWN_STRENGTH if pd.isna(value) else f"{value:.{digits}f}").astype(object)


def with_epochs(table: pd.DataFrame) -> pd.DataFrame:
    """The machine-made rows (answers or clips) of backends of which any epoch count is stated."""
    fakes = table[table["truth"] == "fake"]
    return fakes[fakes["backend"].isin(fakes.loc[fakes["epochs"].notna(), "backend"])]


def several_backends(table: pd.DataFrame) -> bool:
    """Whether more than one backend states epochs: their counts are of different things then."""
    return table.loc[table["epochs"].notna(), "backend"].nunique() > 1


def epoch_labels(table: pd.DataFrame) -> pd.Series:
    """The group of each row: its epoch count, after its backend's name where several backends state any."""
    names = table["epochs"].map(lambda epochs: UNSTATED if pd.isna(epochs) else str(int(epochs)))
    names = names.astype(object)
    return table["backend"].astype(object) + " " + names if several_backends(table) else names


def sort_key(label: str) -> tuple:
    """Sorts groups: by backend where it is named, then epoch counts by size, then words (t2, t10)."""
    parts = re.fullmatch(rf"(?:(.*) )?(\d+|{UNSTATED})", label)
    if not parts:
        return ("", 2, 0, [int(part) if part.isdecimal() else part for part in re.split(r"(\d+)", label)])
    counted = parts[2].isdecimal()
    return (parts[1] or "", 0 if counted else 1, int(parts[2]) if counted else 0, [])
