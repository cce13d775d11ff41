"""Made-up panels of listeners: answers with a known effect, in the shape that the study room exports."""

from __future__ import annotations

import numpy as np
import pandas as pd

EPOCHS = (100, 1500, 2000, 3000, 3500)
COMMENTS = (
    "Good groove, wrong key.",
    "Drums fall apart after a bar.",
    "I would keep the first two bars.",
    "Sounds like us on a bad day.",
    "",
)


def clips(*, caw: int = 14, jukebox: int = 2, originals: int = 4) -> pd.DataFrame:
    """The clips of a study, half of each kind in UMG and half in VAR, without answers."""
    rows = []
    for backend, count in (("caw", caw), ("jukebox", jukebox), ("original", originals)):
        for i in range(count):
            mode = ("UMG", "VAR")[i % 2]
            epochs = EPOCHS[(i // 2) % len(EPOCHS)] if backend == "caw" else None
            truth = "real" if backend == "original" else "fake"
            rows.append((mode, f"{backend}_{mode}_{i:02d}", truth, backend, mode, epochs))
    table = pd.DataFrame(rows, columns=["set", "name", "truth", "backend", "mode", "epochs"])
    table["stimulus_id"] = [f"{'abcdefgh'[i % 8]}{i:03d}wxyz" for i in range(len(table))]
    return table


def panel(
    *, listeners: int = 24, seed: int = 0, effect: float = 0.0, missing: float = 0.05, **counts
) -> pd.DataFrame:
    """Answers of `listeners` people to `clips(**counts)`.

    effect: how much higher originals are rated (points) and, in units of its noise, how much more real they
    sound. Listener, clip and answer SDs are 1, 1 and 1.5 points. missing: share of ratings left out.
    """
    rng, stimuli = np.random.default_rng(seed), clips(**counts)
    real = (stimuli["truth"] == "real").to_numpy()
    dose = np.log2(stimuli["epochs"].fillna(3000).to_numpy(dtype=float) / 1500) * 0.3
    clip, realness = rng.normal(0, 1, len(stimuli)), rng.normal(0, 0.5, len(stimuli))
    frames = []
    for number in range(1, listeners + 1):
        who, lean = rng.normal(0, 1), rng.normal(0, 0.4)
        points = 4.5 + who + clip + dose + effect * real + rng.normal(0, 1.5, len(stimuli))
        seems = realness + lean + dose / 2 + effect * real - 0.6 + rng.normal(0, 1, len(stimuli))
        answers = stimuli.assign(listener=f"L{number:02d}", verdict=np.where(seems > 0, "real", "fake"))
        answers["musicality"] = np.where(
            rng.random(len(stimuli)) < missing, np.nan, np.clip(np.rint(points), 0, 10)
        )
        ease = np.select([seems < -1.2, seems < -0.5], ["easy", "dont_know"], "difficult")
        answers["difficulty"] = np.where(seems > 0, None, ease)
        liking = points + rng.normal(0, 1, len(stimuli))
        answers["inspiring"] = np.select([liking > 7, liking > 4.5], ["yes", "maybe"], "no")
        answers["comment"] = rng.choice(COMMENTS, len(stimuli), p=[0.08, 0.08, 0.08, 0.06, 0.7])
        answers["plays"] = rng.integers(1, 5, len(stimuli))
        answers["seconds_heard"] = 10.0
        answers["response_seconds"] = np.round(rng.lognormal(2.6, 0.5, len(stimuli)), 1)
        answers["position"] = 0
        for _, part in answers.groupby("set"):
            answers.loc[part.index, "position"] = rng.permutation(len(part)) + 1
        frames.append(answers.sort_values(["set", "position"]))
    return pd.concat(frames, ignore_index=True)
