"""The unit of inference: one row per clip, the answers to it averaged over listeners.

Stimuli are crossed with listeners, so the answers to one clip are not independent, and neither are the
answers of one listener. Tests therefore see one value per clip; with one listener it is the answer itself.
"""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from analysis import conditions, responses
from analysis.results import outcomes

# how many there must be for what is inferred: the one place that says it
LEAST_CLIPS = 4  # in a group, for a test or an interval of a panel
LEAST_ORIGINALS = 8  # in all: with fewer, tests err where originals vary more than machine-made clips
LEAST_EQUIVALENCE = 10  # originals, to show that machine-made clips are like them
LEAST_LEVELS = 3  # epoch counts, for a trend
LEAST_SPARE = 3  # clips more than epoch counts, for a trend of a panel: fewer do not say how clips differ
LEAST_TRAININGS = 3  # or sources, or models: for how they differ to be modelled


@dataclass(frozen=True)
class Panel:
    """Who listened, and so what a clip's value stands for."""

    listeners: int

    @classmethod
    def of(cls, frame: pd.DataFrame) -> Panel:
        return cls(len(responses.listeners(frame)))

    @property
    def single_listener(self) -> bool:
        return self.listeners == 1

    @property
    def unit(self) -> str:
        return (
            "clip, this listener only"
            if self.single_listener
            else f"clip, mean over {self.listeners} listeners"
        )

    @property
    def reach(self) -> str:
        """Of whom an interval or a test speaks."""
        if self.single_listener:
            return "says nothing of other listeners"
        return "speaks of listeners and clips like these"


def distinct(frame: pd.DataFrame) -> pd.DataFrame:
    """The answers of which each listener gave one to each clip, with a column `clip` that names it.

    Hidden repeats are left out, and where one stimulus is in several sets, all of a listener's answers to it
    but the first row's. A stimulus is known by its `stimulus_id` where the table has one for every row and
    none is described in two ways, else by its set and name.
    """
    first = frame[~frame["repeat"]] if "repeat" in frame else frame
    own = first["set"] + "/" + first["name"]
    if "stimulus_id" in first and first["stimulus_id"].notna().all():
        described = first[["stimulus_id", *responses.DESCRIPTION]].drop_duplicates()
        if described["stimulus_id"].is_unique:
            own = first["stimulus_id"]
    first = first.assign(clip=own.astype(object))
    return first.drop_duplicates(["listener", "clip"])


def who(frame: pd.DataFrame) -> tuple[pd.Series, pd.Series]:
    """Listener and clip of every answer, as a mixed model takes them. frame: as of `distinct`."""
    return frame["listener"], frame["clip"]


def by_stimulus(frame: pd.DataFrame) -> pd.DataFrame:
    """One row per clip of each set, in the order first heard; repeats are left out.

    Columns: set, name, truth, backend, mode, epochs; plan, strength and song where any is stated; answers
    (how many listeners judged it); judged_real (share in [0, 1]); musicality (mean of those who rated, 0-10,
    NaN if none) and rated (how many); inspired (share of yes or maybe among yes, maybe and no, NaN if none);
    label (its name, after its set's where two sets share the name).
    """
    first = frame[~frame["repeat"]] if "repeat" in frame else frame
    first = first.assign(
        judged_real=outcomes.JUDGED_REAL.values(first), inspired=outcomes.INSPIRED.values(first)
    )
    keys = ["set", "name"]
    described = [*keys, *responses.DESCRIPTION, *conditions.stated(first)]
    clips = first.drop_duplicates(keys)[described].set_index(keys)
    by_clip = first.groupby(keys, sort=False)
    means = by_clip[["judged_real", "musicality", "inspired"]].mean()
    counts = pd.DataFrame({"answers": by_clip.size(), "rated": by_clip["musicality"].count()})
    clips = clips.join(means).join(counts).reset_index()
    twice = clips["name"].duplicated(keep=False)
    clips["label"] = clips["name"].mask(twice, clips["set"] + " " + clips["name"])
    return clips


def listener_means(frame: pd.DataFrame, by: str, value: str = "musicality") -> pd.DataFrame:
    """Mean of `value` for each listener and level of `by`: columns listener, `by`, `value`."""
    rated = frame[~frame["repeat"]].dropna(subset=[by, value])
    return rated.groupby(["listener", by], sort=True)[value].mean().reset_index()
