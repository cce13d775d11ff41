"""How alike the patches of two clips are as clouds of points: sliced Wasserstein distance and coverage.

Patches are those of `yardstick.frechet`: log-mel, all bands, one every quarter of their length. A patch has
17 coordinates: its 16 principal components (axes of the real clip's patches), and how far it lies off them,
so that sound where the real clip has none counts as well.
"""

import numpy as np

from caw.measures import yardstick

DIRECTIONS = 256  # lines that the clouds are projected on
DIRECTIONS_SEED = 0
NEIGHBOURS = 5  # Naeem et al. 2020
AT_ONCE = 4_000_000  # distances held at a time


def sliced_wasserstein(real, fake, rate, *, patch_seconds=0.13) -> float:
    """Sliced Wasserstein distance between the patches of two clips, in units of the real patches' variance.

    The squared 2-Wasserstein distance between the clouds' projections on a line, averaged over 256 lines of
    fixed random directions (Rabin et al. 2012; Bonneel et al. 2015), times the number of coordinates: clouds
    that differ by a shift alone then read as in `yardstick.frechet`, the squared shift. Unlike it, the
    measure assumes no Gaussian.
    """
    real, fake, variance = _coordinates(real, fake, rate, patch_seconds)
    directions = np.random.default_rng(DIRECTIONS_SEED).standard_normal((real.shape[1], DIRECTIONS))
    directions /= np.linalg.norm(directions, axis=0)
    squares = _wasserstein_squared(real @ directions, fake @ directions)
    return float(real.shape[1] * squares.mean() / variance)


def coverage(real, fake, rate, *, patch_seconds=0.13) -> float:
    """Share of the real clip's patches that have a generated patch near them, from 0 to 1.

    Near is within the distance of the patch's fifth nearest neighbour in the real clip (Naeem et al. 2020,
    "Reliable fidelity and diversity metrics for generative models", equation 9). Patches that overlap it in
    time are no neighbours: they share its sound. A clip that draws from the same cloud as the real one, as
    many patches as it has, is expected at about .97; a longer one has more chances.
    """
    real, fake, _ = _coordinates(real, fake, rate, patch_seconds)
    count, apart = len(real), yardstick.OVERLAP
    if count < 2 * apart + NEIGHBOURS:
        told = f"real gives {count} patches of {patch_seconds:g} s"
        raise yardstick.TooShortError(f"{told}; give a clip with at least {2 * apart + NEIGHBOURS}")
    covered, rows = 0, max(1, AT_ONCE // max(count, len(fake)))
    for first in range(0, count, rows):
        part = real[first : first + rows]
        places = np.arange(first, first + len(part))[:, None]
        within = _squared_distances(part, real)
        within[np.abs(places - np.arange(count)) < apart] = np.inf
        radius = np.partition(within, NEIGHBOURS - 1, axis=1)[:, NEIGHBOURS - 1]
        covered += np.count_nonzero(_squared_distances(part, fake).min(axis=1) <= radius)
    return covered / count


def _coordinates(real, fake, rate, seconds: float) -> tuple[np.ndarray, np.ndarray, float]:
    """The coordinates [patches, 17] of both clips, and the variance of the real one's patches."""
    real, fake, axes = yardstick.centred_patches(real, fake, rate, seconds)
    both = []
    for patches in (real, fake):
        inside = patches @ axes
        off = np.sqrt(np.maximum(0, np.sum(patches**2, axis=1) - np.sum(inside**2, axis=1)))
        both.append(np.column_stack([inside, off]).astype(np.float64))
    return *both, max(float(real.var(axis=0, ddof=1).sum()), 1e-12)


def _wasserstein_squared(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Squared 2-Wasserstein distance of every column: between samples [n, columns] and [m, columns].

    Exact: on a line it is the mean squared difference of the quantile functions, which are steps.
    """
    a, b = np.sort(a, axis=0), np.sort(b, axis=0)
    steps = np.unique(np.concatenate([np.arange(1, len(a) + 1) / len(a), np.arange(1, len(b) + 1) / len(b)]))
    widths = np.diff(steps, prepend=0.0)
    middles = steps - widths / 2
    in_a, in_b = (np.minimum((middles * len(x)).astype(int), len(x) - 1) for x in (a, b))
    return np.array([widths @ (x[in_a] - y[in_b]) ** 2 for x, y in zip(a.T, b.T, strict=True)])


def _squared_distances(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    squares = np.sum(a**2, axis=1)[:, None] + np.sum(b**2, axis=1)
    return np.maximum(squares - 2 * a @ b.T, 0)
