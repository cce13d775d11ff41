"""Which clips come of one training, and what that means for the analysis.

A training is one random draw of a model: what it learnt well or badly, all of its clips share, in both modes
and at all of its epoch counts (they go on from one another, or at least from one seed). So several clips of
one training say less of the next training than as many clips of several. At one epoch count a training is a
model, whose clips share more than those of the training's other epoch counts do.

A table tells the trainings by `run`, the folder under models/ that a clip came from. Where no source was
trained more than once, a training cannot be told from its source, and nothing is modelled.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from analysis.results.stimuli import LEAST_TRAININGS

_MADE = ["run", "backend", "source", "epochs"]
_CELL = ["source", "backend", "mode", "epochs"]  # clips of one training of a cell differ in their seed alone


def labels(frame: pd.DataFrame) -> pd.Series:
    """The training of each row (answers or clips), None where none is told: its run without its epochs.

    Runs of several epoch counts that are one training bear these at their end (riff-t2-500, riff-t2-1000); a
    run that serves several epoch counts, or has something else at its end, is a training by its own name.
    """
    if "run" not in frame or frame["run"].isna().all():
        return pd.Series([None] * len(frame), index=frame.index, dtype=object)
    made = _described(frame)[_MADE]
    runs = made.dropna(subset=["run"]).drop_duplicates()
    serves = runs.groupby("run")["epochs"].nunique()
    keys = {}
    for run, backend, source, epochs in runs.itertuples(index=False, name=None):
        ending = "" if pd.isna(epochs) or serves[run] > 1 else f"-{epochs}"
        keys[run, backend, source, str(epochs)] = (run.removesuffix(ending) or run, backend, source)
    several = pd.Series([key[0] for key in dict.fromkeys(keys.values())], dtype=object)
    shared = set(several[several.duplicated()])  # runs of two systems that come to one name
    names = {
        key: f"{key[0]} ({', '.join(filter(None, key[1:]))})" if key[0] in shared else key[0]
        for key in keys.values()
    }
    labelled = [
        names[keys[run, backend, source, str(epochs)]] if isinstance(run, str) else None
        for run, backend, source, epochs in made.itertuples(index=False, name=None)
    ]
    return pd.Series(labelled, index=frame.index, dtype=object)


def models(frame: pd.DataFrame) -> pd.Series:
    """The model of each row: its training at one epoch count; None where no training is told."""
    names = [
        name if name is None or pd.isna(epochs) else f"{name} at {epochs}"
        for name, epochs in zip(labels(frame), frame["epochs"], strict=True)
    ]
    return pd.Series(names, index=frame.index, dtype=object)


def repeated(frame: pd.DataFrame) -> bool:
    """Whether any cell (source, backend, mode, epochs) has clips of two or more trainings."""
    if "run" not in frame or frame["run"].isna().all():
        return False
    made = _described(frame).assign(training=labels(frame))
    return bool((made.groupby(_CELL, dropna=False)["training"].nunique() > 1).any())


def shared(frame: pd.DataFrame) -> bool:
    """Whether any training made two or more clips of `frame` (clips, or answers)."""
    clips = frame.drop_duplicates(["set", "name"])
    return bool(labels(clips).dropna().duplicated().any())


@dataclass(frozen=True)
class Nests:
    """What a mixed model of some answers takes the clips to be nested in.

    groups: as `analysis.models.mixed` takes them, wide ones first; kinds: what they are called. left_out:
    what could not be modelled, and why; "" where nothing is left out.
    """

    groups: tuple[pd.Series, ...] = ()
    kinds: tuple[str, ...] = ()
    left_out: str = ""


def nests(frame: pd.DataFrame, side: np.ndarray | None = None) -> Nests:
    """Sources, trainings and models, each within the one before, as far as `frame` can tell their variance.

    frame: answers as of `stimuli.distinct`. side: [n], the effect that is asked for: what is left out matters
    where it lies between the groups. Trainings are modelled where a cell has several; else they are their
    sources.
    """
    clips = frame.drop_duplicates("clip")
    kinds = [("sources", sources), ("trainings", labels), ("models", models)]
    nesting, few = Nests(), []
    before = 0
    for kind, labels_of in kinds if repeated(frame) else kinds[:1]:
        groups, of_clips = labels_of(frame), labels_of(clips).dropna()
        count = of_clips.nunique()
        if count in (0, before) or len(of_clips) == count:  # the same again; or a group for each clip
            continue
        before = count
        if count >= LEAST_TRAININGS:
            nesting = Nests((*nesting.groups, groups), (*nesting.kinds, kind))
        elif count > 1 and (side is None or _between(groups, side)):
            few.append(
                f"{count} {kind}, fewer than {LEAST_TRAININGS}: "
                "how they differ is not in the interval, too narrow"
            )
    return Nests(nesting.groups, nesting.kinds, "; ".join(few))


def sources(frame: pd.DataFrame) -> pd.Series:
    """The source of each row, None where the table names none."""
    if "source" not in frame:
        return pd.Series([None] * len(frame), index=frame.index, dtype=object)
    return frame["source"].where(frame["source"].notna(), None).astype(object)


def _between(groups: pd.Series, side: np.ndarray) -> bool:
    """Whether an effect is constant within each group."""
    return bool((pd.Series(np.asarray(side), index=groups.index).groupby(groups).nunique() <= 1).all())


def _described(frame: pd.DataFrame) -> pd.DataFrame:
    """What made each row's clip, with empty text where the source is not told, and no run for originals."""
    source = frame["source"] if "source" in frame else pd.Series("", index=frame.index, dtype=object)
    run = frame["run"] if "run" in frame else pd.Series(None, index=frame.index, dtype=object)
    return pd.DataFrame(
        {
            "run": run.where(run.notna() & (frame["truth"] == "fake"), None).astype(object),
            "backend": frame["backend"],
            "mode": frame["mode"],
            "source": source.fillna("").astype(str),
            "epochs": frame["epochs"],
        },
        index=frame.index,
    )
