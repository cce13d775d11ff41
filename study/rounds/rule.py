"""By which rule the clips of a next round are chosen: Thompson sampling over settings, beside a fresh share.

A setting, or arm, is what a clip was made with: its source or song, backend, mode, epochs, plan and strength.
Each answered clip has a reward from 0 to 1 (`reward`). What a listener likes of a setting has a Beta
distribution. Before its own answers it is worth `PRIOR` answers around what its parts let expect: the overall
mean, and for each part that varies the difference that the answers with that part make, each mean drawn
towards the overall one by `PRIOR` answers more. So few answers say something of every setting. Each answer
on the setting itself adds its reward to the first number of the distribution, and the rest to 1 to the
second, so many answers on one setting have the last word on it. (What the parts let expect is estimated from
all answers, its own among them, as empirical Bayes does: simulated listeners are learnt sooner so.)

For each clip that is "sampled" one number is drawn from each setting's distribution, and the setting with the
highest one is taken (Thompson 1933, Biometrika 25:285-294). Each "fresh" clip is of a setting drawn evenly,
whatever was answered; settings that are new are among these alone, until they have answers of their own. Pure
and seeded: the same answers and the same seed, the same choices.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal

import numpy as np

from caw.problems import ProblemError

VERSION = 1  # raise it when the same answers and the same seed lead to other choices
PRIOR = 4.0  # answers that the parts of a setting together are worth; what draws a part's mean to the overall
_RAREST = 0.05  # the lowest share of liked clips that is expected of any setting, and 1 - that the highest
SAMPLED, FRESH = "sampled", "fresh"


class RuleError(ProblemError):
    """A round that the rule cannot choose."""


@dataclass(frozen=True)
class Arm:
    """A setting that clips can be made with. `new`: not among the settings of the first round."""

    source: str = ""  # or the song that it is for
    backend: str = ""
    mode: str = ""
    epochs: int | None = None
    plan: str = ""
    strength: float | None = None
    new: bool = False

    @property
    def settings(self) -> dict[str, Any]:
        """The parts that answers are pooled over."""
        return {name: getattr(self, name) for name in PARTS}


PARTS = tuple(field.name for field in fields(Arm) if field.name != "new")


@dataclass(frozen=True)
class Choice:
    """A setting of which one clip is to be made.

    why: "sampled" or "fresh". draws: of a sampled one, the number that was drawn for each arm.
    """

    arm: Arm
    why: Literal["sampled", "fresh"]
    draws: tuple[float | None, ...] = ()


def reward(*, kept: bool | None, inspiring: str | None) -> float | None:
    """What an answer on a clip is worth: 1 for one that is kept or inspires, .5 for "maybe", 0 for "no".

    Musicality does not count: a clip may be useful to a songwriter and far from well made, and each listener
    uses that scale in another way. Any other answer says nothing unless the clip is kept.

    Examples
    --------
    >>> reward(kept=True, inspiring="no"), reward(kept=False, inspiring="maybe")
    (1.0, 0.5)
    """
    if kept or inspiring == "yes":
        return 1.0
    return {"maybe": 0.5, "no": 0.0}.get(inspiring or "")


def beliefs(arms: Sequence[Arm], outcomes: Sequence[tuple[Arm, float]]) -> list[tuple[float, float]]:
    """The Beta distribution of what the listener likes of each arm, as its two numbers.

    outcomes: the arm and the reward of each answered clip. Their arms need not be among `arms`.
    """
    values = np.array([value for _, value in outcomes])
    overall = _drawn_to(0.5, values, PRIOR / 2)
    varying = [name for name in PARTS if len({getattr(one, name) for one in (*arms, *dict(outcomes))}) > 1]
    result = []
    for arm in arms:
        expected = overall
        for name in varying:
            with_part = [getattr(other, name) == getattr(arm, name) for other, _ in outcomes]
            expected += _drawn_to(overall, values[np.array(with_part, bool)], PRIOR) - overall
        expected = min(max(expected, _RAREST), 1 - _RAREST)
        own = np.array([value for other, value in outcomes if other.settings == arm.settings])
        likes = PRIOR * expected + own.sum()
        result.append((float(likes), float(PRIOR + len(own) - likes)))
    return result


def choose(
    arms: Sequence[Arm], outcomes: Sequence[tuple[Arm, float]], clips: int, fresh: float, seed: int
) -> list[Choice]:
    """Choose the settings of a next round: the sampled ones first, then the fresh ones.

    Parameters
    ----------
    arms : sequence of Arm
        Every setting that clips can be made with.
    outcomes : sequence of (Arm, float)
        The setting and the reward of each clip that the listener has answered.
    clips : int
        How many clips are to be made, at least 2.
    fresh : float
        The share of them that is drawn evenly, above 0 and at most 1. At least one clip is; where the share
        is less than 1, at least one is not.
    seed : int
        What everything is drawn with.

    Returns
    -------
    list of Choice
        `clips` of them. An arm may come several times: each time another clip is made.

    Raises
    ------
    RuleError
        Where there is no arm, or a number cannot be.

    Examples
    --------
    >>> bold, tame = Arm(plan="bold"), Arm(plan="tame")
    >>> chosen = choose([bold, tame], [(bold, 1.0)] * 9 + [(tame, 0.0)] * 9, clips=4, fresh=0.25, seed=1)
    >>> [(choice.arm.plan, choice.why) for choice in chosen[:3]]
    [('bold', 'sampled'), ('bold', 'sampled'), ('bold', 'sampled')]
    """
    _check(arms, outcomes, clips, fresh)
    evenly = fresh_clips(clips, fresh)
    dice, apart = np.random.default_rng([seed, 0]), np.random.default_rng([seed, 1])
    answered = {tuple(arm.settings.values()) for arm, _ in outcomes}
    known = [not arm.new or tuple(arm.settings.values()) in answered for arm in arms]
    if not any(known):
        known = [True] * len(arms)
    likes, dislikes = np.array(beliefs(arms, outcomes)).T
    choices = []
    for _ in range(clips - evenly):
        drawn = np.where(known, dice.beta(likes, dislikes), -np.inf)
        draws = tuple(round(float(one), 6) if math.isfinite(one) else None for one in drawn)
        choices.append(Choice(arms[int(np.argmax(drawn))], SAMPLED, draws))
    rows = -(-evenly // len(arms))
    order = np.concatenate([apart.permutation(len(arms)) for _ in range(rows)])[:evenly]
    return [*choices, *(Choice(arms[int(index)], FRESH) for index in order)]


def fresh_clips(clips: int, fresh: float) -> int:
    """How many of the clips are drawn evenly.

    Examples
    --------
    >>> fresh_clips(8, 0.25), fresh_clips(8, 0.01), fresh_clips(8, 1.0)
    (2, 1, 8)
    """
    return clips if fresh >= 1 else min(max(1, round(clips * fresh)), clips - 1)


def record(
    arms: Sequence[Arm],
    outcomes: Sequence[tuple[Arm, float]],
    choices: Sequence[Choice],
    fresh: float,
    seed: int,
) -> dict[str, Any]:
    """All that led to the choices, as JSON: what was believed of each arm before, and every draw."""
    numbers = {tuple(arm.settings.values()): number for number, arm in enumerate(arms)}
    rows = []
    for arm, (likes, dislikes) in zip(arms, beliefs(arms, outcomes), strict=True):
        own = [value for other, value in outcomes if other.settings == arm.settings]
        row = asdict(arm) | {"answers": len(own), "reward": round(sum(own), 6)}
        rows.append(row | {"beta": [round(likes, 6), round(dislikes, 6)]})
    chosen = [
        {"arm": numbers[tuple(one.arm.settings.values())], "why": one.why, "draws": list(one.draws)}
        for one in choices
    ]
    return {"rule": VERSION, "seed": seed, "fresh": fresh, "arms": rows, "choices": chosen}


def _check(arms: Sequence[Arm], outcomes: Sequence[tuple[Arm, float]], clips: int, fresh: float) -> None:
    if not arms:
        raise RuleError("there is no setting to choose from", "add a [[source]] that makes clips")
    if len({tuple(arm.settings.values()) for arm in arms}) < len(arms):
        raise RuleError("a setting stands twice among the arms", "give each once")
    if clips < 2:
        raise RuleError(f"a round of {clips} clips holds no sampled and no fresh one", "ask for 2 or more")
    if not 0 < fresh <= 1:
        raise RuleError(f"a fresh share of {fresh:g}", "give one above 0 and at most 1, as 0.25")
    if odd := [value for _, value in outcomes if not 0 <= value <= 1]:
        raise RuleError(f"a reward of {odd[0]:g}", "give one from 0 to 1")


def _drawn_to(expected: float, values: np.ndarray, weight: float) -> float:
    """The mean of values beside `weight` more that are as expected."""
    return float((values.sum() + weight * expected) / (len(values) + weight))
