"""Answers to pairs of clips, made up: a frame as `study.reporting` joins it."""

from __future__ import annotations

import numpy as np
import pandas as pd


def facts(clip: str) -> dict[str, object]:
    """What is true of a clip by its name: r1 is real; f1, f2 are machine-made with few and many epochs."""
    real = clip[0] == "r"
    return {
        "name": clip,
        "truth": "real" if real else "fake",
        "backend": "original" if real else "caw",
        "mode": "UMG",
        "epochs": None if real else (750 if int(clip[1:]) % 2 else 3000),
    }


def row(listener: str, question: str, first: str, second: str, choice: str, **more) -> dict[str, object]:
    """One answer."""
    sides = {
        f"{side}_{name}": value
        for side, clip in (("first", first), ("second", second))
        for name, value in facts(clip).items()
    }
    return (
        {"listener": listener, "set": "UMG", "question": question, "position": 1, "choice": choice}
        | sides
        | more
    )


def study(
    listeners: int, *, clips: int = 8, effect: float = 0.0, always: str = "", seed: int = 1
) -> pd.DataFrame:
    """Both questions, answered by listeners with leanings of their own; always: what everybody chooses."""
    dice, rows = np.random.default_rng(seed), []
    worth = {f"{kind}{n}": dice.normal(0, 0.4) for kind in "rf" for n in range(2 * clips)}
    for number in range(listeners):
        leaning = dice.normal(0, 0.4)
        for question in ("real", "inspiring"):
            fakes = [f"f{n}" for n in dice.permutation(clips)]
            if question == "real":
                pairs = list(zip([f"r{n}" for n in dice.permutation(clips)], fakes, strict=True))
            else:
                few = [clip for clip in fakes if int(clip[1:]) % 2]
                pairs = list(zip([clip for clip in fakes if clip not in few], few, strict=True))
            for place, (better, other) in enumerate(pairs):
                first, second = (better, other) if place % 2 else (other, better)
                sign = 1 if first == better else -1
                latent = leaning + worth[first] - worth[second] + sign * effect
                choice = always or ("first" if dice.normal() < latent else "second")
                rows.append(row(f"L{number}", question, first, second, choice))
    return pd.DataFrame(rows)
