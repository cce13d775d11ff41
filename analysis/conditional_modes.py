"""Who rates high, which clip is liked: the conditional modes of listeners and clips, shrunken to the mean.

Given the variances of a linear mixed model, the random effects b of listeners and stimuli are normal around
their modes. With R the residual variance and G that of the effects, the modes solve
(Z'Z / R + G^-1) b = Z'(y - X beta) / R, and the inverse of that matrix is their covariance (Bates et al.
2015, J. Stat. Softw. 67(1), section 3; lme4's `ranef(condVar = TRUE)`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import scipy.linalg

from analysis import mixed


@dataclass(frozen=True)
class Modes:
    """One mode and its conditional standard deviation per label, in the units of the answers."""

    labels: list[str]
    mode: np.ndarray
    sd: np.ndarray


def linear(fit: mixed.Fit, y, fixed: dict[str, Sequence[float]], listener, stimulus) -> tuple[Modes, Modes]:
    """The modes of listeners and of stimuli. fit: of `mixed.linear`, without slopes, on the same data.

    Raises MixedModelError where a variance is estimated as 0: there is nothing to shrink towards.
    """
    listener_sd, stimulus_sd = float(fit.listener_sd[0]), fit.stimulus_sd
    if len(fit.listener_sd) > 1 or fit.residual_sd is None:
        raise mixed.MixedModelError("conditional modes are of linear models without slopes")
    if fit.singular or min(listener_sd, stimulus_sd) <= 0:
        raise mixed.MixedModelError("a random effect's variance is estimated as 0, so its modes are all 0")
    i, who = pd.factorize(np.asarray(listener, dtype=object))
    j, what = pd.factorize(np.asarray(stimulus, dtype=object))
    noise = fit.residual_sd**2
    x = np.column_stack([np.asarray(column, float) for column in fixed.values()])
    rest = (np.asarray(y, float) - x @ fit.estimate) / noise
    together = np.bincount(i * len(what) + j, minlength=len(who) * len(what)).reshape(len(who), len(what))
    own = together.sum(axis=1) / noise + 1 / listener_sd**2  # [I], the listeners' diagonal block
    between = together / noise  # [I, J]
    weighted = between / own[:, None]
    left = np.diag(together.sum(axis=0) / noise + 1 / stimulus_sd**2) - between.T @ weighted
    spread = scipy.linalg.inv(left)  # [J, J], the stimuli's block of the inverse
    mine, theirs = np.bincount(i, rest, len(who)), np.bincount(j, rest, len(what))
    clips = spread @ (theirs - weighted.T @ mine)
    people = mine / own - weighted @ clips
    variance = 1 / own + np.einsum("ij,jk,ik->i", weighted, spread, weighted)
    return (
        Modes([str(name) for name in who], people, np.sqrt(variance)),
        Modes([str(name) for name in what], clips, np.sqrt(np.diag(spread))),
    )
