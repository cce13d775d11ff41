"""The arithmetic of crossed listeners and stimuli: sums over answers, and M = I + (Z L)' W (Z L) solved.

Z spreads random effects over answers, L scales them, W weighs the answers. Listeners' blocks of M are k x k
each, so that they are eliminated first, and a matrix of the stimuli's size is left: a model of hundreds of
listeners costs what its answers cost. Where stimuli are nested in groups, the groups' effects are columns
beside the stimuli's. Equations are of Bates, Maechler, Bolker and Walker 2015, "Fitting linear mixed-effects
models using lme4", J. Stat. Softw. 67(1).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import scipy.linalg

from analysis.models.minimise import STEP, hessian

LARGEST = 30.0  # relative standard deviation that the search reaches
FREE = 1e2  # relative standard deviation of listeners' means that are taken as unknown constants
_HALVINGS = 12
_ITERATIONS = 60
_LAST_STEP = 1e-6  # of a mode; Newton's method is its square from the mode after it

# Linear predictor [n] -> of each answer: log likelihood, its slope, the weight that Laplace's approximation
# gives it, and its curvature (minus the second derivative), by which the mode is found.
Density = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]]


class Crossed:
    """The random effects' side of a model: who answered about what, and the sums over their answers.

    listener, stimulus: [n], numbered from 0. level: [n] numbered from 0, or None: which of L groups the
    answer is about. Listeners then differ in their mean and, independently, in each level's deviation from
    it. apart: the listeners' means are taken as unknown constants (of a variance without bound), so that a
    comparison of levels is within listeners. nests: of each kind of group that stimuli are nested in, its
    number per answer [n], -1 for a stimulus in none.
    """

    def __init__(
        self,
        listener: np.ndarray,
        stimulus: np.ndarray,
        level: np.ndarray | None = None,
        nests: Sequence[np.ndarray] = (),
        *,
        apart: bool = False,
    ) -> None:
        self.i, self.j, self.apart = listener, stimulus, apart
        self.listeners, self.stimuli = listener.max() + 1, stimulus.max() + 1
        self.z = np.ones((len(listener), 1)) if level is None else np.eye(level.max() + 1)[level]  # [n, k]
        self.k = self.z.shape[1]
        self.mean = np.full((self.k, self.k), 1 / self.k)  # projects levels onto their mean
        self.cell = listener * self.stimuli + stimulus
        first = np.unique(stimulus, return_index=True)[1]
        self.nests = [numbers[first] for numbers in nests]  # [J] each
        self.spread = None  # [J, C]: which columns a stimulus takes part in; its own alone where None
        self.kind = np.zeros(self.stimuli, int)  # of each column: 0 a stimulus, 1 a group of the first kind
        for kind, groups in enumerate(self.nests, 1):
            members = (groups[:, None] == np.arange(groups.max() + 1)).astype(float)
            before = np.eye(self.stimuli) if self.spread is None else self.spread
            self.spread = np.hstack([before, members])
            self.kind = np.append(self.kind, np.full(members.shape[1], kind))

    @property
    def columns(self) -> int:
        """C: stimuli, and the groups they are nested in."""
        return len(self.kind)

    @property
    def scales(self) -> int:
        """How many relative standard deviations there are: of listeners, their levels, stimuli and groups."""
        return (not self.apart) + (self.k > 1) + 1 + len(self.nests)

    @property
    def start(self) -> np.ndarray:
        return np.full(self.scales, 0.5)

    @property
    def bounds(self) -> list[tuple[float, float]]:
        return [(0.0, LARGEST)] * self.scales

    def factors(self, theta: Sequence[float]) -> tuple[np.ndarray, float | np.ndarray]:
        """T [k, k] and s: one for all stimuli, or [C] where they are nested."""
        groups = 1 + len(self.nests)
        of_mean, *of_levels = [FREE, *theta[:-groups]] if self.apart else theta[:-groups]
        t = of_mean * math.sqrt(self.k) * self.mean
        if of_levels:
            t = t + of_levels[0] * (np.eye(self.k) - self.mean)
        return t, float(theta[-1]) if self.spread is None else np.asarray(theta[-groups:])[self.kind]

    def sums(self, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Z' values: [n] -> of listeners [I, k], of stimuli and their groups [C]."""
        mine = [np.bincount(self.i, self.z[:, a] * values, self.listeners) for a in range(self.k)]
        theirs = np.bincount(self.j, values, self.stimuli)
        return np.stack(mine, 1), theirs if self.spread is None else theirs @ self.spread

    def products(self, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Z' W Z: of listeners [I, k, k], of stimuli [J] (nested: [C, C]), between them [I, k, C]."""
        own = np.empty((self.listeners, self.k, self.k))
        between = np.empty((self.listeners, self.k, self.stimuli))
        for a in range(self.k):
            weighted = weights * self.z[:, a]
            cells = np.bincount(self.cell, weighted, self.listeners * self.stimuli)
            between[:, a] = cells.reshape(self.listeners, self.stimuli)
            for b in range(a + 1):
                own[:, a, b] = own[:, b, a] = np.bincount(self.i, weighted * self.z[:, b], self.listeners)
        single = np.bincount(self.j, weights, self.stimuli)
        if self.spread is None:
            return own, single, between
        return own, self.spread.T @ (single[:, None] * self.spread), between @ self.spread

    def effects(self, theta: Sequence[float], u: np.ndarray, v: np.ndarray) -> np.ndarray:
        """Z L (u, v): [n]."""
        t, s = self.factors(theta)
        theirs = s * v[self.j] if self.spread is None else (self.spread @ (s * v))[self.j]
        return np.sum(self.z * (u @ t.T)[self.i], 1) + theirs


def _times(blocks: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Product block by block; blocks of one number are multiplied, which is far quicker."""
    return blocks * right if blocks.shape[1] == 1 else blocks @ right


def _cholesky(matrix: np.ndarray) -> np.ndarray:
    """The lower root of a positive definite matrix, as of scipy.linalg.cholesky without its many checks."""
    root, failed = scipy.linalg.lapack.dpotrf(matrix, lower=1, clean=1)
    if failed:
        raise np.linalg.LinAlgError("the matrix is not positive definite")
    return root


def _solved(root: np.ndarray, right: np.ndarray) -> np.ndarray:
    """matrix^-1 right of a matrix whose lower root this is."""
    return scipy.linalg.lapack.dpotrs(root, right, lower=1)[0]


class System:
    """M for given weights and relative factors, factorised."""

    def __init__(
        self, products: tuple[np.ndarray, np.ndarray, np.ndarray], t: np.ndarray, s: float | np.ndarray
    ) -> None:
        own, single, between = products
        block = np.einsum("ba,ibc,cd->iad", t, own, t) + np.eye(len(t))
        root = np.linalg.cholesky(block)
        self.inverse = 1 / root if len(t) == 1 else np.linalg.inv(root)  # of blocks this small, as exact
        self.across = _times(self.inverse, s * (t.T @ between))
        flat = self.across.reshape(-1, len(single))
        if single.ndim == 1:
            theirs = np.diag(1 + s**2 * single)
        else:
            theirs = np.eye(len(single)) + s[:, None] * single * s
        rest = theirs - flat.T @ flat
        self.rest = _cholesky(rest)
        blocks = np.diagonal(root, axis1=1, axis2=2)
        self.log_determinant = 2 * (np.log(blocks).sum() + np.log(np.diag(self.rest)).sum())

    def solve(self, mine: np.ndarray, theirs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """M^-1 (mine [I, k, c], theirs [C, c])."""
        ahead = _times(self.inverse, mine)
        left = theirs - np.tensordot(self.across, ahead, ((0, 1), (0, 1)))
        v = _solved(self.rest, left)
        return _times(self.inverse.transpose(0, 2, 1), ahead - self.across @ v), v


class Linear:
    """The profiled REML criterion of a linear model (Bates et al. 2015, equations 39 to 42)."""

    def __init__(self, y: np.ndarray, x: np.ndarray, crossed: Crossed) -> None:
        self.crossed = crossed
        self.n, self.p = x.shape
        self.free = self.n - self.p - (crossed.listeners - 1 if crossed.apart else 0)
        self.products = crossed.products(np.ones(self.n))
        columns = [crossed.sums(column) for column in (*x.T, y)]
        self.mine = np.stack([mine for mine, _ in columns], 2)  # [I, k, p + 1]
        self.theirs = np.stack([theirs for _, theirs in columns], 1)  # [C, p + 1]
        both = np.column_stack([x, y])
        self.plain = both.T @ both

    def solve(self, theta: Sequence[float]) -> tuple[float, np.ndarray, float, np.ndarray]:
        """log|M| + log|RX' RX|, beta, penalised weighted sum of squares, (RX' RX)^-1."""
        t, s = self.crossed.factors(theta)
        system = System(self.products, t, s)
        mine, theirs = np.einsum("ba,ibc->iac", t, self.mine), np.reshape(s, (-1, 1)) * self.theirs
        u, v = system.solve(mine, theirs)
        left = self.plain - np.einsum("iac,iad->cd", mine, u) - theirs.T @ v
        root = _cholesky(left[:-1, :-1])
        beta = _solved(root, left[:-1, -1:])[:, 0]
        weighted = left[-1, -1] - left[:-1, -1] @ beta
        inverse = _solved(root, np.eye(self.p))
        logs = system.log_determinant + 2 * np.log(np.diag(root)).sum()
        return logs, beta, max(weighted, 1e-300), inverse

    def criterion(self, theta: Sequence[float]) -> float:
        logs, _, weighted, _ = self.solve(theta)
        return logs + self.free * (1 + math.log(2 * math.pi * weighted / self.free))

    def modes(self, theta: np.ndarray, beta: np.ndarray) -> tuple[np.ndarray, np.ndarray, Callable]:
        """Conditional modes of listeners [I, k] and of stimuli and groups [C], and how sure they are.

        The last is called for their conditional standard deviations [I, k] and [C], over the residual's
        (Bates et al. 2015, section 3; lme4's `ranef(condVar = TRUE)`).
        """
        t, s = self.crossed.factors(theta)
        system, s = System(self.products, t, s), np.broadcast_to(s, self.crossed.columns)
        weights = np.append(-beta, 1.0)
        mine, theirs = self.mine @ weights @ t, s * (self.theirs @ weights)
        u, v = system.solve(mine[..., None], theirs[:, None])

        def spread() -> tuple[np.ndarray, np.ndarray]:
            listeners, k, columns = len(mine), len(t), len(s)
            units = np.eye(listeners * k + columns)
            ahead = units[: listeners * k].reshape(listeners, k, -1)
            u, v = system.solve(np.einsum("ba,ibc->iac", t, ahead), s[:, None] * units[listeners * k :])
            own = np.einsum("ba,iac->ibc", t, u).reshape(listeners * k, -1)[:, : listeners * k]
            return np.sqrt(np.diag(own)).reshape(listeners, k), np.sqrt(
                np.diag((s[:, None] * v)[:, -columns:])
            )

        return u[..., 0] @ t.T, s * v[:, 0], spread

    def variance(self, theta: np.ndarray, sigma: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The fixed effects' covariance V [p, p], its slopes [q, p, p] and A [q, q], all over (theta, sigma).

        A is the covariance of (theta, sigma). They give Satterthwaite's degrees of freedom of a contrast c:
        2 v^2 / (g' A g) of v = c' V c, whose slopes are g = c' slopes c.
        """

        def deviance(parameters: np.ndarray) -> float:
            logs, _, weighted, _ = self.solve(parameters[:-1])
            square = parameters[-1] ** 2
            return logs + weighted / square + self.free * math.log(2 * math.pi * square)

        def covariance(parameters: np.ndarray) -> np.ndarray:
            return parameters[-1] ** 2 * self.solve(parameters[:-1])[3]

        at = np.append(theta, sigma)
        values, vectors = np.linalg.eigh(hessian(deviance, at))
        positive = values > 1e-8 * max(1.0, values.max())
        spread = 2 * (vectors[:, positive] / values[positive]) @ vectors[:, positive].T
        steps = STEP * np.eye(len(at))
        slopes = np.array([(covariance(at + e) - covariance(at - e)) / (2 * STEP) for e in steps])
        return covariance(at), slopes, spread


class Laplace:
    """-2 log likelihood by Laplace's approximation; the modes of one call are where the next one starts."""

    def __init__(self, crossed: Crossed) -> None:
        self.crossed = crossed
        self.u = np.zeros((crossed.listeners, crossed.k))
        self.v = np.zeros(crossed.columns)

    def deviance(self, theta: np.ndarray, offset: np.ndarray, density: Density) -> float:
        """theta: relative factors; offset: what the fixed effects give, [n]."""
        crossed, (t, s) = self.crossed, self.crossed.factors(theta)
        u, v = self.u, self.v

        def at(u, v):
            terms = density(offset + crossed.effects(theta, u, v))
            return terms, terms[0].sum() - ((u**2).sum() + (v**2).sum()) / 2

        terms, height = at(u, v)
        if not np.isfinite(height):
            u, v = np.zeros_like(u), np.zeros_like(v)
            terms, height = at(u, v)
        if not np.isfinite(height):
            return 1e10
        for _ in range(_ITERATIONS):
            system = System(crossed.products(terms[3]), t, s)
            mine, theirs = crossed.sums(terms[1])
            step_u, step_v = system.solve((mine @ t - u)[..., None], (s * theirs - v)[:, None])
            step_u, step_v = step_u[..., 0], step_v[:, 0]
            for halving in range(_HALVINGS):
                trial_u, trial_v = u + 0.5**halving * step_u, v + 0.5**halving * step_v
                tried, reached = at(trial_u, trial_v)
                if np.isfinite(reached) and reached >= height - 1e-9 * (1 + abs(height)):
                    break
            u, v, terms, height = trial_u, trial_v, tried, reached
            if max(np.abs(step_u).max(), np.abs(step_v).max()) < _LAST_STEP:
                break
        self.u, self.v = u, v
        system = System(crossed.products(terms[2]), t, s)
        return float(-2 * height + system.log_determinant)
