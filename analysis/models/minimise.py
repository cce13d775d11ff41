"""Where a smooth function of a few parameters is least, and how it curves there, by differences alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import scipy.optimize

SINGULAR = 1e-4  # a relative standard deviation below it counts as none, as in lme4
STEP = 1e-3  # of a parameter, for second derivatives
OFF_BOUND = (0.3, 0.1, 0.03, 1.0)  # where a parameter at its bound of 0 is tried again
NEAR = 0.02  # of a parameter: a step over which second derivatives hardly change

Bounds = Sequence[tuple[float | None, float | None]]


def minimum(
    function: Callable[[np.ndarray], float], start: Sequence[float], bounds: Bounds
) -> tuple[np.ndarray, np.ndarray | None]:
    """Where `function` is least within the bounds: a quasi-Newton search, then Newton steps.

    Also its second derivatives there, of the parameters that are not at a bound; None where unknown.
    """
    best, value = _search(function, start, bounds)
    low = np.array([low == 0.0 for low, _ in bounds])
    for _ in low:  # where one leaves its bound, another may, too
        left = value
        for place in np.flatnonzero(low & (best < 0.05)):  # near 0 an SD hardly moves the function
            for away in OFF_BOUND:
                trial = np.where(np.arange(len(best)) == place, away, best)
                if function(trial) < value - 1e-8:
                    best, value = _search(function, trial, bounds)
                    break
        if value > left - 1e-8:
            break
    lows, highs = np.array([(low, high) for low, high in bounds], float).T  # None becomes NaN: no bound
    free, curvature, moved, away = _inside(best, bounds), None, np.inf, 0.0
    for _ in range(6):
        if not free.any():
            break
        if curvature is None or moved > NEAR:  # closer by, the last one is as good
            curvature, away = hessian(function, best, free), 0.0
        gradient = _gradient(function, best)[free]
        try:
            step = np.linalg.solve(curvature, gradient)
        except np.linalg.LinAlgError:
            break
        if gradient @ step < 0 or np.abs(step).max() > 1:  # no valley here: as good as the search got
            break
        trial = best.copy()
        trial[free] -= step
        trial = np.fmin(np.fmax(trial, lows), highs)
        reached = function(trial)
        if not reached <= value + 1e-10:
            break
        moved = np.abs(step).max()
        away += moved
        best, value = trial, reached
        if moved < 1e-7:
            break
    return best, curvature if away < STEP and (free == _inside(best, bounds)).all() else None


def _search(function, start: Sequence[float], bounds: Bounds) -> tuple[np.ndarray, float]:
    options = {"ftol": 1e-8, "gtol": 1e-5, "maxiter": 300}
    solution = scipy.optimize.minimize(function, start, method="L-BFGS-B", bounds=bounds, options=options)
    return solution.x, solution.fun


def _inside(at: np.ndarray, bounds: Bounds) -> np.ndarray:
    """Which parameters are not at a lower bound of 0."""
    return np.array([low != 0.0 or value > SINGULAR for value, (low, _) in zip(at, bounds, strict=True)])


def covariance(
    deviance: Callable[[np.ndarray], float],
    at: np.ndarray,
    bounds: Bounds,
    curvature: np.ndarray | None = None,
) -> np.ndarray:
    """Twice the inverse of the deviance's second derivatives; parameters at a bound are taken as known.

    curvature: the second derivatives of the others, where `minimum` gave them.
    """
    free = _inside(at, bounds)
    full = np.zeros((len(at), len(at)))
    curvature = hessian(deviance, at, free) if curvature is None else curvature
    full[np.ix_(free, free)] = 2 * np.linalg.pinv(curvature, hermitian=True)
    return full


def _gradient(function, at: np.ndarray) -> np.ndarray:
    steps = 1e-4 * np.eye(len(at))
    return np.array([(function(at + e) - function(at - e)) / 2e-4 for e in steps])


def hessian(
    function: Callable[[np.ndarray], float], at: np.ndarray, free: np.ndarray | None = None
) -> np.ndarray:
    """Second derivatives by central differences, of the free parameters."""
    chosen = np.arange(len(at)) if free is None else np.flatnonzero(free)
    steps = STEP * np.eye(len(at))[chosen]
    middle = function(at)
    curvature = np.empty((len(chosen), len(chosen)))
    ahead = [function(at + e) for e in steps]
    behind = [function(at - e) for e in steps]
    for a in range(len(chosen)):
        curvature[a, a] = (ahead[a] - 2 * middle + behind[a]) / STEP**2
        for b in range(a):
            both = function(at + steps[a] + steps[b]) + function(at - steps[a] - steps[b])
            mixed = both - ahead[a] - ahead[b] - behind[a] - behind[b] + 2 * middle
            curvature[a, b] = curvature[b, a] = mixed / (2 * STEP**2)
    return curvature
