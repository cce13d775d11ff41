"""Makes the data sets that reference.R and test_mixed.py fit: python make_data.py, in this folder."""

import csv

import numpy as np

UNBALANCED = {"missing": 0.2, "spread": (1.2, 0.8, 1.8), "effect": 1.0}
NEAR_SINGULAR = {"missing": 0.05, "spread": (0.05, 0.6, 2.0), "effect": 0.5, "slopes": 0.0}
DIFFERING = {"missing": 0.1, "spread": (1.4, 0.7, 1.5), "slopes": 1.2, "taste": 1.5}
STUDIES = {
    "balanced": {"seed": 1, "listeners": 24, "fakes": 16, "originals": 4},
    "unbalanced": {"seed": 2, "listeners": 20, "fakes": 10, "originals": 10, **UNBALANCED},
    "near_singular": {"seed": 3, "listeners": 10, "fakes": 9, "originals": 6, **NEAR_SINGULAR},
    "differing": {"seed": 5, "listeners": 14, "fakes": 9, "originals": 7, **DIFFERING},
}


def study(
    seed, listeners, fakes, originals, missing=0.0, spread=(1.0, 1.0, 1.5), effect=1.5, slopes=0.5, taste=0.0
):
    """Rows of listener, stimulus, truth (.5 fake, -.5 real), musicality 0-10, and 1 for the answer "fake".

    spread: SDs of listeners, stimuli and residuals of musicality. slopes, taste: SDs of listeners' own effect
    of truth on the verdict and on musicality.
    """
    dice = np.random.default_rng(seed)
    truth = np.array([0.5] * fakes + [-0.5] * originals)
    of_listener, of_stimulus = dice.normal(0, spread[0], listeners), dice.normal(0, spread[1], len(truth))
    leaning, skill = dice.normal(0, 0.4, listeners), dice.normal(0, slopes, listeners)
    guise, rows = dice.normal(0, 0.4, len(truth)), []
    own = dice.normal(0, taste, listeners) if taste else np.zeros(listeners)
    for i in range(listeners):
        for j, side in enumerate(truth):
            if dice.random() < missing:
                continue
            liked = 5 + of_listener[i] + of_stimulus[j] - (effect + own[i]) * side + dice.normal(0, spread[2])
            fake = 0.3 + leaning[i] + guise[j] + (1.2 + skill[i]) * side + dice.normal() > 0
            rows.append((f"L{i:03d}", f"S{j:02d}", side, int(np.clip(round(liked), 0, 10)), int(fake)))
    return rows


if __name__ == "__main__":
    for name, made in STUDIES.items():
        with open(f"{name}.csv", "w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["listener", "stimulus", "truth", "musicality", "fake"])
            writer.writerows(study(**made))
