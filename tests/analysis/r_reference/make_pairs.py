"""Makes pairs.csv, the choices of a paired task, for pairs.R: python make_pairs.py, in this folder."""

import csv

import numpy as np

COLUMNS = ["question", "listener", "first", "second", "group_first", "group_second", "chosen"]
GROUPS = ("a", "b", "c")  # of machine-made clips; a real clip is of none


def study(seed=11, listeners=14, clips=12, pairs=12, missing=0.1):
    """Rows of COLUMNS: pairs of a real and a machine-made clip, then of two machine-made ones.

    Listeners have a leaning to the first clip, skills, and tastes in each group; clips have worths. chosen: 1
    where the first clip of a pair was.
    """
    dice = np.random.default_rng(seed)
    names = {"real": [f"r{n:02d}" for n in range(clips)], "fake": [f"f{n:02d}" for n in range(clips)]}
    group = {name: GROUPS[place % 3] for place, name in enumerate(names["fake"])}
    worth = {
        name: dice.normal(0, 0.6) + 0.4 * (group.get(name) == "c") for one in names.values() for name in one
    }
    rows = []
    for i in range(listeners):
        leaning, skill, taste = (
            dice.normal(0, 0.5),
            dice.normal(0, 0.4),
            dict(zip(GROUPS, dice.normal(0, 0.6, 3), strict=True)),
        )
        for question in ("real", "inspiring"):
            for _ in range(pairs):
                two = dice.choice(names["fake"], 2, replace=False)
                if question == "real":
                    two[0] = dice.choice(names["real"])
                one, other = two[:: dice.choice([-1, 1])]
                latent, doubt = leaning + worth[one] - worth[other], dice.normal(0, 1)
                for sign, name in ((1, one), (-1, other)):
                    latent += sign * (0.7 + skill if name[0] == "r" else taste[group[name]])
                if dice.random() > missing:
                    groups = (group.get(one, ""), group.get(other, ""))
                    rows.append((question, f"L{i:02d}", one, other, *groups, int(latent + doubt > 0)))
    return rows


if __name__ == "__main__":
    with open("pairs.csv", "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        writer.writerows(study())
