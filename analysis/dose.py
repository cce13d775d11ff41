"""Does it get better with training? Results over epoch counts, within one backend and mode."""

from __future__ import annotations

import pandas as pd

from analysis import permutation, stimuli
from analysis.results import Result
from analysis.stimuli import Panel

FAMILY = "epochs"
TREND = "trend over epochs"  # followed by the outcome
MIN_LEVELS = 3
MIN_CLIPS_PER_LEVEL = 2
OUTCOMES = (("musicality", "musicality"), ("fooling", "judged_real"))
UNSTATED = "not stated"
METHOD = "Jonckheere-Terpstra on clip means, permutation of clips, two-sided"


def records(frame: pd.DataFrame, panel: Panel) -> list[Result]:
    """Trend of musicality and of the fooling rate over epochs; the reason where there is none.

    Within a backend and mode only: unconditional generation and variation are two tasks, and an epoch of one
    system is not an epoch of another. A level heard on one clip alone is left out, as it cannot be told from
    that clip. `frame` without repeats.
    """
    clips = stimuli.by_stimulus(frame)
    fakes = clips[clips["truth"] == "fake"]
    dosed = fakes[fakes["backend"].isin(fakes.loc[fakes["epochs"].notna(), "backend"])]
    if dosed.empty:
        return [
            Result(
                FAMILY,
                f"{TREND}: {outcome}",
                unit=panel.unit,
                method=METHOD,
                note="no machine-made clip has a stated epoch count",
            )
            for outcome, _ in OUTCOMES
        ]
    found = []
    for (backend, mode), part in dosed.groupby(["backend", "mode"], sort=True):
        for outcome, column in OUTCOMES:
            found += _trend(part, f"{backend} {mode}", outcome, column, panel)
    return found


def _trend(part: pd.DataFrame, group: str, outcome: str, column: str, panel: Panel) -> list[Result]:
    place = {
        "family": FAMILY,
        "name": f"{TREND}: {outcome}",
        "group": group,
        "unit": panel.unit,
        "method": METHOD,
    }
    stated = part.dropna(subset=["epochs", column])
    sizes = stated["epochs"].value_counts()
    kept = stated[stated["epochs"].isin(sizes.index[sizes >= MIN_CLIPS_PER_LEVEL])]
    levels, unstated = kept["epochs"].nunique(), int(part["epochs"].isna().sum())
    aside = f"; epochs are not stated for {unstated} of {len(part)} clips" if unstated else ""
    if levels < MIN_LEVELS:
        note = (
            f"{levels} of {len(sizes)} epoch counts were heard on at least {MIN_CLIPS_PER_LEVEL} clips "
            f"with an answer; a trend needs {MIN_LEVELS}{aside}"
        )
        return [Result(**place, note=note)]
    test = permutation.trend(kept["epochs"].astype(float), kept[column])
    if test.smallest_p >= 0.05:
        least = f"smallest attainable p {test.smallest_p:.2g}"
        return [Result(**place, note=f"no order of these values could reach p < .05 ({least}){aside}")]
    how = "all arrangements" if test.exact else f"{permutation.EXACT_LIMIT} drawn arrangements"
    place["method"] = f"estimate: Spearman's rho; p: {METHOD}, {how} (J = {test.statistic:g})"
    return [Result(**place, estimate=test.rho, p=test.p, n=len(kept), note=f"{panel.reach}{aside}")]


def level(epochs) -> str:
    """An epoch count as a group's name."""
    return UNSTATED if pd.isna(epochs) else str(int(epochs))
