"""Objective measures of a generated clip against the clip it was trained on, and anchors to read them by.

Every measure takes float arrays [n] at one sampling rate in Hz, the training clip before the generated one;
lengths may differ. Both are brought to the same RMS level first, so loudness never counts. Distances are 0
for a clip against itself and have no upper end. Read them beside `anchors`, and judge them jointly: a copy
wins every distance and loses `copied_share`; noise wins `copied_share` and loses every distance.

`catalogue` lists all measures with their units and aims. `spectra` holds what they share; `distributions`,
`copying`, `rhythm`, `harmony`, `partials` and `artefacts` hold the measures. A measure that a clip is too
short for is None. Importing them does not import torch (only the anchor `imposed` does, when it is taken),
and the same arrays give the same values.
"""

import numpy as np

from caw.config import PRESETS
from caw.measures import artefacts, copying, distributions, harmony, partials, rhythm, spectra
from caw.measures.catalogue import measures
from caw.measures.copying import diversities
from caw.measures.spectra import AnalysedClip, MeasureError, TooShortError, as_clip

__all__ = [
    "SCALES",
    "AnalysedClip",
    "MeasureError",
    "TooShortError",
    "anchors",
    "as_clip",
    "diversities",
    "edges",
    "evaluate",
    "evaluate_alone",
    "tempo",
]

SCALES = PRESETS["fast"].scales  # Hz


def edges(scales, rate) -> list[float]:
    """Frequencies in Hz at which a clip at `rate` may have a seam: the Nyquist frequencies of its scales."""
    return [scale / 2 for scale in sorted(set(scales)) if artefacts.reaches(scale / 2, rate)]


def evaluate(real, fake, rate, *, scales=SCALES) -> dict[str, float | None]:
    """Every measure of one generated clip against its training clip.

    Parameters
    ----------
    real, fake : array [n] or AnalysedClip
        The training clip and the generated one.
    rate : float
        Sampling rate of both, in Hz.
    scales : sequence of int
        Sampling rates in Hz of the cascade that made the clip, for the measure of its edges.

    Returns
    -------
    dict
        Value by the measure's name, in the order of `catalogue.measures`, without `diversity`. A measure that
        a clip is too short for is None.

    Raises
    ------
    MeasureError
        For arrays that cannot be measured.

    Examples
    --------
    >>> import numpy as np
    >>> real, fake = np.random.default_rng(0).standard_normal((2, 32000))
    >>> scores = evaluate(real, fake, 16000)
    >>> scores["copied_share"], scores["match_4"]
    (0.0, None)
    >>> evaluate(real, real, 16000)["copied_share"]
    1.0
    """
    real, fake = as_clip(real, rate, "real"), as_clip(fake, rate, "fake")
    values = evaluate_alone(fake, rate)
    for seconds in distributions.PATCHES:
        patch = {"patch_seconds": seconds}
        values[f"frechet_{seconds:g}"] = _or_none(distributions.frechet, real, fake, rate, **patch)
        values[f"sliced_{seconds:g}"] = _or_none(distributions.sliced_wasserstein, real, fake, rate, **patch)
        values[f"coverage_{seconds:g}"] = _or_none(distributions.coverage, real, fake, rate, **patch)
    copied = copying.copying(real, fake, rate)
    values |= {"copied_share": copied["share"], "longest_run": copied["longest_run"]}
    for seconds in copying.MATCH_SECONDS:
        values[f"match_{seconds:g}"] = _or_none(copying.match, real, fake, rate, seconds=seconds)
    for seconds in copying.CORRELATION_SECONDS:
        values[f"correlation_{seconds:g}"] = _or_none(copying.correlation, real, fake, rate, seconds=seconds)
    values["onset_distance"] = _or_none(rhythm.onset_distance, real, fake, rate)
    values["tempo_error"] = _or_none(rhythm.tempo_error, real, fake, rate)
    values["chroma_distance"] = _or_none(harmony.chroma_distance, real, fake, rate)
    values["trans"] = _or_none(harmony.chord_transitions, real, fake, rate)
    values["same_mel"] = _or_none(copying.same_mel, real, fake, rate)
    values["same_onsets"] = _or_none(rhythm.same_onsets, real, fake, rate)
    values["same_chord"] = _or_none(harmony.same_chord, real, fake, rate)
    for hz in edges(scales, rate):
        values[f"edge_{hz:g}"] = _or_none(artefacts.edge, real, fake, rate, hz=hz)
    in_order = [measure.name for measure in measures(edges(scales, rate))]
    return {name: values[name] for name in in_order if name in values}


def evaluate_alone(x, rate) -> dict[str, float | None]:
    """The measures that look at one clip alone, by name, with the values that `evaluate` has for them."""
    x = as_clip(x, rate, "x")
    tracks, silent = partials.tracks(x, rate), artefacts.silence(x, rate)
    return {
        "pulse": _or_none(rhythm.pulse, x, rate),
        "bar_acf": _or_none(rhythm.bar_autocorrelation, x, rate),
        "tempo": tempo(x, rate),
        "sync": _or_none(rhythm.sync, x, rate),
        "attack_4k": _or_none(rhythm.attack, x, rate),
        "rough_mid": _or_none(partials.roughness, x, rate),
        "jitter_lo": _or_none(partials.jitter, tracks),
        "partial_mid": _or_none(partials.length, tracks, partials.MIDDLE),
        "partial_hi": _or_none(partials.length, tracks, partials.HIGH),
        "clicks": artefacts.clicks(x, rate),
        "silence": silent["share"],
        "longest_silence": silent["longest"],
    }


def anchors(real, rate, *, scales=SCALES) -> dict[str, dict[str, float | None]]:
    """The measures' values for clips whose quality is known, to read a generated clip's values by.

    Parameters
    ----------
    real : array [n] or AnalysedClip
        The training clip.
    rate : float
        Its sampling rate in Hz.
    scales : sequence of int
        As for `evaluate`.

    Returns
    -------
    dict
        Values as `evaluate` returns them, by anchor. An anchor that cannot be taken is empty.

        ``real``
            The real clip itself, by the measures that look at one clip alone.
        ``halves``
            Its second half against its first: what a perfect continuation may reach.
        ``imposed``
            White noise with the real clip's score (`caw.flow.score.shaped_noise`); needs torch.
        ``mosaic``
            The clip's own pieces in another order (`caw.mosaic`).
        ``noise``
            White noise.

    Raises
    ------
    MeasureError
        For an array that cannot be measured.

    Examples
    --------
    >>> import numpy as np
    >>> real = np.random.default_rng(1).standard_normal(16000)
    >>> taken = anchors(real, 16000)
    >>> list(taken)
    ['real', 'halves', 'imposed', 'mosaic', 'noise']
    >>> taken["noise"]["copied_share"]
    0.0
    """
    from caw import mosaic

    real = as_clip(real, rate, "real")
    middle = real.samples.size // 2
    first, second, halves = real.samples[:middle], real.samples[middle:], {}
    if middle >= spectra.SHORTEST * rate and first.any() and second.any():
        halves = evaluate(first, second, rate, scales=scales)

    def against(make) -> dict[str, float | None]:
        try:
            return evaluate(real, make(), rate, scales=scales)
        except (ImportError, mosaic.MosaicError):
            return {}

    def imposed() -> np.ndarray:
        from caw.flow import score

        return score.shaped_noise(real.samples, round(rate), seed=spectra.NOISE_SEED)

    seconds = real.samples.size / rate
    noise = np.random.default_rng(spectra.NOISE_SEED).standard_normal(real.samples.size)
    return {
        "real": evaluate_alone(real, rate),
        "halves": halves,
        "imposed": against(imposed),
        "mosaic": against(lambda: mosaic.generate(real.samples, round(rate), seconds)),
        "noise": evaluate(real, noise, rate, scales=scales),
    }


def tempo(x, rate) -> float | None:
    """Beats per minute of a clip, as `rhythm.tempo`; None for a clip too short for one."""
    return _or_none(rhythm.tempo, x, rate)


def _or_none(measure, *arrays, **options) -> float | None:
    try:
        return float(measure(*arrays, **options))
    except TooShortError:
        return None
