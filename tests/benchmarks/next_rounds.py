"""Does the rule of next rounds learn what a listener likes, and stay even where there is nothing to learn?

    python -m tests.benchmarks.next_rounds

Twelve settings (two modes, three epoch counts, a plan or none), a first round of 16 machine-made clips, then
four rounds of 8, 300 listeners of each kind. For each round it prints the mean chance to be liked of the
sampled clips, beside those of clips drawn evenly (what the fresh share has) and of the best setting; what was
lost against the best setting in all rounds, by the rule and by drawing evenly; and the largest share that one
setting takes. Beside it the same rule without what the
parts of a setting let expect, and listeners who cannot be learnt
from: who keep everything, nothing, or at random.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import numpy as np

from study.rounds import rule
from study.rounds.rule import Arm

GRID = [
    Arm("riff", "caw", mode, epochs, plan)
    for mode in ("UMG", "VAR")
    for epochs in (500, 1500, 3000)
    for plan in ("", "bold")
]
FIRST, CLIPS, ROUNDS, FRESH, LISTENERS = 16, 8, 4, 0.25, 300
Taste = Callable[[np.random.Generator], dict[Arm, float]]


def none(dice: np.random.Generator) -> dict[Arm, float]:
    """All settings are liked alike."""
    return dict.fromkeys(GRID, 0.35)


def parts(dice: np.random.Generator) -> dict[Arm, float]:
    """Each listener likes one plan and more training; a setting is the sum of its parts."""
    plan, mode = dice.choice(["", "bold"]), dice.choice(["UMG", "VAR"])
    gain = {500: 0.0, 1500: 0.1, 3000: 0.2}
    return {
        one: 0.1 + 0.3 * (one.plan == plan) + 0.15 * (one.mode == mode) + gain[one.epochs] for one in GRID
    }


def single(dice: np.random.Generator) -> dict[Arm, float]:
    """One setting alone is liked, which its parts do not tell."""
    best = GRID[dice.integers(len(GRID))]
    return {one: 0.7 if one == best else 0.2 for one in GRID}


def simulate(taste: Taste, seed: int, answer: Callable[[np.random.Generator, float], float]) -> dict:
    """One listener through all rounds: the chances of sampled clips by round, and all that was chosen."""
    dice = np.random.default_rng(seed)
    chances = taste(dice)
    order = [GRID[index] for _ in range(2) for index in dice.permutation(len(GRID))][:FIRST]
    outcomes = [(arm, answer(dice, chances[arm])) for arm in order]
    sampled, lost, chosen = [], 0.0, Counter()
    best, even = max(chances.values()), float(np.mean(list(chances.values())))
    for number in range(ROUNDS):
        choices = rule.choose(GRID, outcomes, CLIPS, FRESH, seed=1000 * seed + number)
        sampled.append(np.mean([chances[one.arm] for one in choices if one.why == rule.SAMPLED]))
        lost += sum(best - chances[one.arm] for one in choices)
        chosen.update(one.arm for one in choices if one.why == rule.SAMPLED)
        outcomes += [(one.arm, answer(dice, chances[one.arm])) for one in choices]
    spread = max(chosen.values()) / sum(chosen.values())
    return {
        "sampled": sampled,
        "even": even,
        "best": best,
        "lost": lost,
        "lost evenly": (best - even) * CLIPS * ROUNDS,
        "share": spread,
    }


def honest(dice: np.random.Generator, chance: float) -> float:
    """Liked clips are kept, or inspire in part."""
    liked = dice.random() < chance
    return 1.0 if liked else 0.5 if dice.random() < 0.15 else 0.0


ANSWERS = {
    "keeps everything": lambda dice, chance: 1.0,
    "keeps nothing": lambda dice, chance: 0.0,
    "keeps at random": lambda dice, chance: float(dice.random() < 0.5),
}


def alone(arms: list[Arm], outcomes: list[tuple[Arm, float]]) -> list[tuple[float, float]]:
    """What is believed of each setting by its own answers, without those that share its parts."""
    own = [[value for other, value in outcomes if other == arm] for arm in arms]
    return [(1.0 + sum(values), 1.0 + len(values) - sum(values)) for values in own]


def line(title: str, runs: list[dict]) -> str:
    """One row: the mean over listeners, and of what was lost its Monte Carlo error."""
    by_round = np.mean([run["sampled"] for run in runs], axis=0)
    lost = np.array([run["lost"] for run in runs])
    values = [np.mean([run[name] for run in runs]) for name in ("even", "best", "lost evenly", "share")]
    even, best, evenly, share = values
    rounds = "  ".join(f"{value:.2f}" for value in by_round)
    error = lost.std() / np.sqrt(len(lost))
    losses = f"{lost.mean():5.2f} +-{error:.2f} {evenly:6.2f}"
    return f"{title:42s} {rounds}   {even:.2f}  {best:.2f}   {losses}   {share:.2f}"


def main() -> None:
    """Print the table."""
    print(f"{'':42s} sampled, by round        even  best   lost by rule  evenly   largest share")
    tastes, beliefs = (
        {"parts are liked": parts, "one setting is liked": single, "nothing": none},
        rule.beliefs,
    )
    for title, chosen in (("", beliefs), (", each setting alone", alone)):
        rule.beliefs = chosen
        for name, taste in tastes.items():
            runs = [simulate(taste, seed, honest) for seed in range(LISTENERS)]
            print(line(f"{name}{title}", runs), flush=True)
    rule.beliefs = beliefs
    for name, answer in ANSWERS.items():
        print(line(name, [simulate(parts, seed, answer) for seed in range(LISTENERS)]))
    even = [1 / len(GRID)] * len(GRID)
    drawn = [
        np.random.default_rng(seed).multinomial(6 * ROUNDS, even).max() / (6 * ROUNDS) for seed in range(999)
    ]
    print(f"\nlargest share of {6 * ROUNDS} clips drawn evenly: {np.mean(drawn):.2f}")


if __name__ == "__main__":
    main()
