"""Makes nested.csv, whose clips come of trainings, for nested.R: python make_nested.py, in this folder."""

import csv

import numpy as np

COLUMNS = ["listener", "stimulus", "training", "model", "truth", "doublings", "musicality", "fake"]


def study(seed=6, listeners=12, trainings=8, epochs=(100, 400), clips=2, originals=6, missing=0.1):
    """Rows of COLUMNS: machine-made clips, `clips` at every epoch count of each training, and originals.

    A model is a training at one epoch count. Originals have no training and no doublings of epochs.
    """
    dice = np.random.default_rng(seed)
    made = []
    for t in range(trainings):
        level = dice.normal(0, 0.9)
        for count in epochs:
            own = level + dice.normal(0, 0.6)
            for _ in range(clips):
                made.append((f"T{t}", f"T{t}-{count}", 0.5, np.log2(count / 100), own + dice.normal(0, 0.7)))
    made += [("", "", -0.5, "", 1.2 + dice.normal(0, 0.7)) for _ in range(originals)]
    rows = []
    for i in range(listeners):
        level, leaning = dice.normal(0, 0.8), dice.normal(0, 0.4)
        for j, (training, model, truth, doublings, quality) in enumerate(made):
            noise, doubt = dice.normal(0, 1.4), dice.normal()
            if dice.random() < missing:
                continue
            liked = int(np.clip(round(4.5 + level + quality + noise), 0, 10))
            fake = int(0.4 + leaning + 0.8 * truth - 0.5 * quality + doubt > 0)
            rows.append((f"L{i:02d}", f"S{j:02d}", training, model, truth, doublings, liked, fake))
    return rows


if __name__ == "__main__":
    with open("nested.csv", "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        writer.writerows(study())
