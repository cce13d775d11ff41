"""Mixed models of the paired task: listeners random, and both clips of a pair.

Two questions are asked of pairs. *Which is real?* has a right answer, and right answers have a mean with
three random effects beside it: of listeners, of the real clip and of the machine-made one (`right`). *Which
inspires you more?* compares worths: the first clip is chosen the oftener the further its worth is above the
second's, so that a clip's random effect counts +1 where it stands first and -1 where it stands second, and so
does a listener's liking of a group of clips. `shares` fits that to the choices themselves, so that a
coefficient is a share of choices; `worths` to their log odds, which is the model of Bradley and Terry 1952,
"Rank analysis of incomplete block designs", Biometrika 39, with random worths.

Both linear models are fitted by REML with Satterthwaite's degrees of freedom, as `analysis.models.mixed`, and
are what is tested; `worths` is fitted by Laplace's approximation and gives sizes alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from analysis.models.crossed import LARGEST, Crossed, Laplace, Linear
from analysis.models.minimise import SINGULAR, covariance, minimum
from analysis.models.mixed import Contrast, MixedModelError, NoSpreadError, logit_density, plain_binary

BIAS, TASTE, CLIPS, REAL, FAKE = "listeners", "listeners' groups", "clips", "real clips", "machine-made clips"


@dataclass(frozen=True)
class PairedFit:
    """A fitted model. Arrays run over `names`, the fixed effects; covariance is theirs.

    spread: the standard deviation of each kind of random effect by its name; of `worths` in log odds.
    degrees: contrast -> degrees of freedom.
    """

    names: tuple[str, ...]
    estimate: np.ndarray
    covariance: np.ndarray
    degrees: Callable[[np.ndarray], float]
    spread: Mapping[str, float]
    observations: int
    listeners: int
    clips: int

    @property
    def singular(self) -> tuple[str, ...]:
        """The kinds of random effects whose variance is estimated as 0."""
        return tuple(name for name, sd in self.spread.items() if sd < SINGULAR)

    def contrast(self, weights: Mapping[str, float]) -> Contrast:
        """A weighted sum of fixed effects, by name."""
        c = np.array([weights.get(name, 0.0) for name in self.names])
        error = math.sqrt(max(c @ self.covariance @ c, 0.0))
        return Contrast(float(c @ self.estimate), error, float(self.degrees(c)))


class Blocks(Crossed):
    """Random effects of listeners by columns of their own, and of clips by membership.

    listener: [n], numbered from 0. z: [n, k], what listeners' effects are multiplied by, and kinds [k], of
    which kind each is. member: [n, C], how far each clip's effect counts in an answer, and members [C], of
    which kind each is. Kinds count from 0, those of listeners before those of clips.
    """

    def __init__(
        self,
        listener: np.ndarray,
        z: np.ndarray,
        kinds: Sequence[int],
        member: np.ndarray,
        members: Sequence[int],
    ) -> None:
        rows, self.j = np.unique(member, axis=0, return_inverse=True)
        self.j = self.j.ravel()
        self.i, self.z, self.spread = listener, z, rows
        self.listeners, self.stimuli, self.k = listener.max() + 1, len(rows), z.shape[1]
        self.cell = listener * self.stimuli + self.j
        self.apart, self.nests, self.mean = False, [], np.zeros((self.k, self.k))
        self.mine = np.asarray(kinds, int)
        self.kind = np.asarray(members, int)

    @property
    def scales(self) -> int:
        """How many kinds of random effects there are."""
        return int(max(self.mine.max(), self.kind.max())) + 1

    @property
    def start(self) -> np.ndarray:
        """Where the search begins."""
        return np.full(self.scales, 0.3)

    @property
    def bounds(self) -> list[tuple[float, float]]:
        """Of each relative standard deviation."""
        return [(0.0, LARGEST)] * self.scales

    def factors(self, theta: Sequence[float]) -> tuple[np.ndarray, np.ndarray]:
        """T [k, k] and s [C], as of `Crossed`."""
        theta = np.asarray(theta, float)
        return np.diag(theta[self.mine]), theta[self.kind]


def right(correct, order, listener, real, fake, group=None) -> PairedFit:
    """Fit right answers on pairs of a real and a machine-made clip: P(right) = mean + order.

    Parameters
    ----------
    correct : array_like
        1 where the real clip was chosen, else 0, shape [n].
    order : array_like
        +.5 where the real clip stood first, else -.5, [n].
    listener, real, fake : array_like
        Labels [n].
    group : array_like, optional
        Labels [n] of the groups that machine-made clips are of, whose means are asked for.

    Returns
    -------
    PairedFit
        With the fixed effects "right", the share of right answers where each order is as frequent (or by the
        name of each group its own), and "order", twice what the share of answers "first" is above .5.
        Listeners differ in each of them.

    Raises
    ------
    MixedModelError
        For fewer than two listeners, real or machine-made clips, and too few answers.
    NoSpreadError
        Where all answers are right, or all wrong.
    """
    y, order = np.asarray(correct, float), np.asarray(order, float)
    i, r, f = (np.unique(np.asarray(one), return_inverse=True)[1] for one in (listener, real, fake))
    if min(i.max(initial=0), r.max(initial=0), f.max(initial=0)) < 1:
        raise MixedModelError("needs two listeners, two real and two machine-made clips")
    ones, orders = np.ones((len(y), 1)), {"order": order} if np.ptp(order) > 0 else {}
    fixed, tastes = {"right": ones[:, 0]}, np.zeros((len(y), 0))
    if group is not None:
        found, g = np.unique(np.asarray(group, dtype=str), return_inverse=True)
        tastes = np.eye(len(found))[g]
        fixed = {str(name): column for name, column in zip(found, tastes.T, strict=True)}
    fixed |= orders
    own = [(ones, BIAS), (tastes, TASTE), (order[:, None][:, : len(orders)], "listeners' order")]
    own = [(columns, name) for columns, name in own if columns.shape[1]]
    kinds = [place for place, (columns, _) in enumerate(own) for _ in range(columns.shape[1])]
    member = np.hstack([np.eye(r.max() + 1)[r], np.eye(f.max() + 1)[f]])
    members = [len(own)] * (r.max() + 1) + [len(own) + 1] * (f.max() + 1)
    blocks = Blocks(i, np.hstack([columns for columns, _ in own]), kinds, member, members)
    return _reml(y, fixed, blocks, [*(name for _, name in own), REAL, FAKE])


def shares(first_chosen, groups: Mapping[str, Sequence[float]], listener, first, second) -> PairedFit:
    """Fit choices between two clips by the groups that they are of: P(first) = .5 + position + differences.

    Parameters
    ----------
    first_chosen : array_like
        1 where the first clip was chosen, else 0, shape [n].
    groups : mapping
        By the name of each group but one, what it counts in each pair, [n]: +1 where the first clip is of it
        and the second is not, -1 the other way round, else 0. The group left out is what the others are
        compared with. {}: all clips are of one group.
    listener, first, second : array_like
        Labels [n].

    Returns
    -------
    PairedFit
        With the fixed effects "position", by how much the first clip is chosen above .5, and of each group
        by how much its clips are chosen above those of the group that is left out.

    Raises
    ------
    MixedModelError
        For fewer than two listeners or clips, groups that pairs do not connect, and too few answers.
    NoSpreadError
        Where all answers are the same.
    """
    y, fixed, blocks, names = _differences(first_chosen, groups, listener, first, second)
    return _reml(y - 0.5, fixed, blocks, names)


def worths(first_chosen, groups: Mapping[str, Sequence[float]], listener, first, second) -> PairedFit:
    """Fit choices between two clips as Bradley and Terry do, with random worths of clips: in log odds.

    Parameters
    ----------
    first_chosen, groups, listener, first, second
        As of `shares`.

    Returns
    -------
    PairedFit
        As of `shares`, in log odds; degrees of freedom are the clips less the groups.

    Raises
    ------
    MixedModelError
        As `shares`.
    """
    y, fixed, blocks, names = _differences(first_chosen, groups, listener, first, second)
    x, count, laplace = np.column_stack(list(fixed.values())), blocks.scales, Laplace(blocks)

    def deviance(parameters: np.ndarray) -> float:
        offset = x @ parameters[count:]
        return laplace.deviance(parameters[:count], offset, lambda eta: logit_density(y, eta))

    start = np.concatenate([blocks.start, plain_binary(y, x, logit_density)])
    bounds = blocks.bounds + [(None, None)] * x.shape[1]
    best, curvature = minimum(deviance, start, bounds)
    spread = covariance(deviance, best, bounds, curvature)[count:, count:]
    clips = blocks.spread.shape[1]
    free = float(max(1, clips - x.shape[1]))
    sds = dict(zip(names, map(float, best[:count]), strict=True))
    return PairedFit(
        tuple(fixed), best[count:], spread, lambda _: free, sds, len(y), int(blocks.listeners), clips
    )


def _differences(first_chosen, groups, listener, first, second):
    """The answers, fixed effects, random effects and their names of a model of worths."""
    y = np.asarray(first_chosen, float)
    i = np.unique(np.asarray(listener), return_inverse=True)[1]
    labels, numbers = np.unique(np.concatenate([np.asarray(first), np.asarray(second)]), return_inverse=True)
    if i.max(initial=0) < 1 or len(labels) < 2:
        raise MixedModelError("needs two listeners and two clips")
    n, clips = len(y), len(labels)
    member = np.zeros((n, clips))
    member[np.arange(n), numbers[:n]] += 1
    member[np.arange(n), numbers[n:]] -= 1
    fixed = {"position": np.ones(n)} | {name: np.asarray(column, float) for name, column in groups.items()}
    x = np.column_stack(list(fixed.values()))
    if np.linalg.matrix_rank(x) < x.shape[1]:
        raise MixedModelError("pairs do not connect the groups", "compare those that stood side by side")
    # Each group's own column of listeners' likings; the one that is left out has what the others lack.
    likings = np.column_stack([x[:, 1:], -x[:, 1:].sum(axis=1)]) if groups else np.zeros((n, 0))
    z = np.column_stack([np.ones(n), likings])
    kinds = [0] + [1] * likings.shape[1]
    names = [BIAS, TASTE, CLIPS] if groups else [BIAS, CLIPS]
    return y, fixed, Blocks(i, z, kinds, member, [max(kinds) + 1] * clips), names


def _reml(y: np.ndarray, fixed: Mapping[str, np.ndarray], blocks: Blocks, names: list[str]) -> PairedFit:
    x = np.column_stack(list(fixed.values()))
    n, p = x.shape
    if np.ptp(y) == 0:
        raise NoSpreadError("all answers are the same")
    if n <= p + 2:
        raise MixedModelError(f"{n} answers cannot carry {p} fixed effects and the random ones")
    rest = y - x @ np.linalg.lstsq(x, y, rcond=None)[0]
    if np.abs(rest).max() < 1e-9:
        raise NoSpreadError(f"{' and '.join(fixed)} explain every answer: no spread is left to test by")
    system = Linear(y, x, blocks)
    theta, _ = minimum(lambda theta: system.criterion(theta), blocks.start, blocks.bounds)
    _, beta, weighted, _ = system.solve(theta)
    sigma = math.sqrt(weighted / system.free)
    spread, slopes, uncertain = system.variance(theta, sigma)

    def degrees(c: np.ndarray) -> float:
        g = np.einsum("a,qab,b->q", c, slopes, c)
        below = g @ uncertain @ g
        return float(2 * (c @ spread @ c) ** 2 / below) if below > 0 else math.inf

    sds = dict(zip(names, map(float, sigma * np.asarray(theta)), strict=True))
    clips = blocks.spread.shape[1]
    return PairedFit(tuple(fixed), beta, spread, degrees, sds, n, int(blocks.listeners), clips)
