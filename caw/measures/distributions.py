"""How alike the patches of two clips are as clouds of points: Frechet and Wasserstein distance, coverage.

A patch is a stretch of the log-mel spectrogram (`caw.measures.spectra`), all bands; one starts every quarter
of its length. Distances are in units of the variance of the real clip's patches. For the sliced Wasserstein
distance and coverage a patch has 17 coordinates: its 16 principal components (axes of the real clip's
patches), and its distance from their span, so that sound where the real clip has none counts as well.
"""

import numpy as np
from scipy import linalg

from caw.measures.spectra import HOP, TooShortError, cached, frames_per_second, log_mel

DIMENSIONS = 16  # principal components kept of a patch
OVERLAP = 4  # patches start every quarter of their length
PATCHES = (0.13, 0.5)  # seconds: a note's attack; a beat
DIRECTIONS = 256  # lines that the clouds are projected on
DIRECTIONS_SEED = 0
NEIGHBOURS = 5  # Naeem et al. 2020
DISTANCES_AT_ONCE = 4_000_000  # distances held at a time


def frechet(real, fake, rate, *, patch_seconds=0.13) -> float:
    """Frechet distance between the log-mel patches of two clips, in units of the real patches' variance.

    Patches of patch_seconds are summed up by their mean m and covariance C, and the distance is
    |m_r - m_f|^2 + tr(C_r + C_f - 2 (C_r^1/2 C_f C_r^1/2)^1/2), divided by tr(C_r), as in Heusel et al. 2017
    (equation 6, the FID), with the spectrogram itself in place of a trained network. The covariance is full
    on the first 16 principal components of the real clip's patches and a multiple of the identity on the
    rest, so that hiss in a band where the real clip is always quiet counts as well.
    """
    real, fake, axes = centred_patches(real, fake, rate, patch_seconds)
    real_inside, fake_inside = real @ axes, fake @ axes
    apart = np.sum(fake.mean(axis=0) ** 2) - np.sum(fake_inside.mean(axis=0) ** 2)
    real_rest, fake_rest = (
        np.sqrt(max(0.0, whole.var(axis=0, ddof=1).sum() - inside.var(axis=0, ddof=1).sum()))
        for whole, inside in ((real, real_inside), (fake, fake_inside))
    )
    distance = _gaussian_distance(real_inside, fake_inside) + max(0.0, apart) + (real_rest - fake_rest) ** 2
    return float(distance / max(real.var(axis=0, ddof=1).sum(), 1e-12))


def sliced_wasserstein(real, fake, rate, *, patch_seconds=0.13) -> float:
    """Sliced Wasserstein distance between the patches of two clips, in units of the real patches' variance.

    The squared 2-Wasserstein distance between the clouds' projections on a line, averaged over 256 lines of
    fixed random directions (Rabin et al. 2012; Bonneel et al. 2015), times the number of coordinates: clouds
    that differ by a shift alone then read as in `frechet`, the squared shift. Unlike `frechet`, the measure
    assumes no Gaussian.
    """
    real, fake, variance = _coordinates(real, fake, rate, patch_seconds)
    directions = np.random.default_rng(DIRECTIONS_SEED).standard_normal((real.shape[1], DIRECTIONS))
    directions /= np.linalg.norm(directions, axis=0)
    squares = _wasserstein_squared(real @ directions, fake @ directions)
    return float(real.shape[1] * squares.mean() / variance)


def coverage(real, fake, rate, *, patch_seconds=0.13) -> float:
    """Share of the real clip's patches that have a generated patch near them, from 0 to 1.

    Near means within the distance of the patch's fifth nearest neighbour in the real clip (Naeem et al. 2020,
    "Reliable fidelity and diversity metrics for generative models", equation 9). Patches that overlap it in
    time are no neighbours, since they share its sound. As many patches as the real clip has, drawn from the
    same cloud, are expected to cover about .97 of it; a longer clip has more chances.
    """
    real, fake, _ = _coordinates(real, fake, rate, patch_seconds)
    count, apart = len(real), OVERLAP
    if count < 2 * apart + NEIGHBOURS:
        problem = f"real gives {count} patches of {patch_seconds:g} s"
        raise TooShortError(problem, f"give a clip with at least {2 * apart + NEIGHBOURS}")
    covered, rows = 0, max(1, DISTANCES_AT_ONCE // max(count, len(fake)))
    for first in range(0, count, rows):
        part = real[first : first + rows]
        places = np.arange(first, first + len(part))[:, None]
        within = _squared_distances(part, real)
        within[np.abs(places - np.arange(count)) < apart] = np.inf
        radius = np.partition(within, NEIGHBOURS - 1, axis=1)[:, NEIGHBOURS - 1]
        covered += np.count_nonzero(_squared_distances(part, fake).min(axis=1) <= radius)
    return covered / count


def patches(spectrogram: np.ndarray, rate: float, seconds: float) -> np.ndarray:
    """Patches [count, bands * frames] of a spectrogram [bands, frames], one every quarter of their length.

    Raises TooShortError where not even two fit side by side.
    """
    frames = max(1, round(seconds * frames_per_second(rate)))
    if spectrogram.shape[1] < 2 * frames:
        problem = f"{spectrogram.shape[1] * HOP:.2f} s of sound are too short for patches of {seconds:g} s"
        raise TooShortError(problem, f"give a clip of at least {2 * seconds:g} s")
    views = np.lib.stride_tricks.sliding_window_view(spectrogram, frames, axis=1)
    every = views[:, :: max(1, frames // OVERLAP)]
    return np.ascontiguousarray(every.transpose(1, 0, 2)).reshape(every.shape[1], -1)


def centred_patches(real, fake, rate, seconds: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Both clips' `patches` less the mean of the real ones, and the real ones' first principal axes."""

    def mean_and_axes() -> tuple[np.ndarray, np.ndarray]:
        of_real = patches(log_mel(real, rate), rate, seconds)
        mean = of_real.mean(axis=0)
        return mean, principal_axes(of_real - mean, min(DIMENSIONS, len(of_real) // 2))

    mean, axes = cached(real, ("axes", seconds), mean_and_axes)
    real, fake = (patches(log_mel(x, rate), rate, seconds) - mean for x in (real, fake))
    return real, fake, axes


def principal_axes(centred: np.ndarray, count: int) -> np.ndarray:
    """The first principal axes [features, count] of centred rows, by the smaller of the two Gram matrices."""
    count = max(1, min(count, *centred.shape))
    wide = centred.shape[1] > centred.shape[0]
    gram = (centred @ centred.T if wide else centred.T @ centred).astype(np.float64)
    _, vectors = linalg.eigh(gram, driver="evd")  # a part of them takes LAPACK 20 times longer on busy cores
    axes = centred.T @ vectors[:, -count:] if wide else vectors[:, -count:]
    return axes / np.maximum(np.linalg.norm(axes, axis=0), 1e-12)


def _gaussian_distance(a: np.ndarray, b: np.ndarray) -> float:
    cov_a, cov_b = (np.atleast_2d(np.cov(x, rowvar=False)) for x in (a, b))
    values, vectors = np.linalg.eigh(cov_a)
    root = (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T
    shared = np.sqrt(np.maximum(np.linalg.eigvalsh(root @ cov_b @ root), 0)).sum()
    apart = np.sum((a.mean(axis=0) - b.mean(axis=0)) ** 2)
    return max(0.0, float(apart + np.trace(cov_a) + np.trace(cov_b) - 2 * shared))


def _coordinates(real, fake, rate, seconds: float) -> tuple[np.ndarray, np.ndarray, float]:
    """The coordinates [patches, 17] of both clips, and the variance of the real one's patches."""
    real, fake, axes = centred_patches(real, fake, rate, seconds)
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
