"""The mel scale and bands that are even on it, for all that looks at sound as it is heard.

The scale is 2595 log10(1 + f / 700) (O'Shaughnessy 1987, "Speech communication"), which others call HTK's.
librosa has the same, and a test holds this to it; it is not asked here because the rating server, whose
measures and pictures need it, goes without librosa. The measures are a fixed standard: what changes here
changes what has been measured.
"""

import numpy as np


def mel(hertz):
    """Hz on the mel scale."""
    return 2595 * np.log10(1 + np.asarray(hertz) / 700)


def even(low: float, high: float, count: int) -> np.ndarray:
    """`count` frequencies in Hz from `low` to `high`, both of them in it, evenly spaced on the mel scale."""
    return 700 * (10 ** (np.linspace(mel(low), mel(high), count) / 2595) - 1)


def triangles(edges: np.ndarray, bins: np.ndarray) -> np.ndarray:
    """Filters [bands, bins], each summing to 1 (one that holds no bin is 0 throughout).

    edges: Hz [bands + 2]; band k rises from edges[k] to edges[k + 1] and falls to edges[k + 2]. bins: Hz.
    """
    low, middle, high = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    filters = np.maximum(0, np.minimum((bins - low) / (middle - low), (high - bins) / (high - middle)))
    return filters / np.maximum(filters.sum(axis=1, keepdims=True), 1e-9)
