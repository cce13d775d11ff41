"""All measures of a generated clip against the clip it was trained on, and the anchors to read them by.

`catalogue` lists them; `caw.measures.yardstick` holds the first of them and the spectrogram that all share;
`distributions`, `matches`, `music`, `rhythm`, `harmony`, `partials` and `artefacts` hold the rest.
Conventions are the yardstick's: float arrays [n] at one rate, level does not count. A measure that a clip is
too short for is None. Nothing here imports torch, but one anchor as it is taken, and nothing is trained: the
same arrays give the same values.
"""

import numpy as np

from caw.config import PRESETS
from caw.measures import artefacts, distributions, harmony, matches, music, partials, rhythm, yardstick
from caw.measures.catalogue import measures

SCALES = PRESETS["fast"].scales  # Hz


def as_clip(x, rate, name: str) -> yardstick.Clip:
    """`x` with its spectrogram kept, so that it may be measured against many without being analysed again."""
    return x if isinstance(x, yardstick.Clip) else yardstick.Clip(x, rate, name=name)


def edges(scales, rate) -> list[float]:
    """Where a clip at `rate` may have a seam: the Nyquist frequencies in Hz of those scales (rates in Hz)."""
    return [scale / 2 for scale in sorted(set(scales)) if artefacts.reaches(scale / 2, rate)]


def evaluate(real, fake, rate, *, scales=SCALES) -> dict[str, float | None]:
    """Every measure of one generated clip by its name, in the catalogue's order, without `diversity`.

    real, fake: arrays [n] or `yardstick.Clip`, the training clip and the generated one. scales: rates in Hz
    of the cascade that made it, for the seams. Raises: YardstickError for arrays that cannot be measured.
    """
    real, fake = as_clip(real, rate, "real"), as_clip(fake, rate, "fake")
    found = alone(fake, rate)
    for seconds in yardstick.PATCHES:
        patch = {"patch_seconds": seconds}
        found[f"frechet_{seconds:g}"] = _taken(yardstick.frechet, real, fake, rate, **patch)
        found[f"sliced_{seconds:g}"] = _taken(distributions.sliced_wasserstein, real, fake, rate, **patch)
        found[f"coverage_{seconds:g}"] = _taken(distributions.coverage, real, fake, rate, **patch)
    copied = yardstick.copying(real, fake, rate)
    found |= {"copied_share": copied["share"], "longest_run": copied["longest_run"]}
    for seconds in matches.LENGTHS:
        found[f"match_{seconds:g}"] = _taken(matches.match, real, fake, rate, seconds=seconds)
    for seconds in matches.CORRELATED:
        found[f"correlation_{seconds:g}"] = _taken(matches.correlation, real, fake, rate, seconds=seconds)
    found["onset_distance"] = _taken(yardstick.onset_distance, real, fake, rate)
    found["tempo_error"] = _taken(music.tempo_error, real, fake, rate)
    found["chroma_distance"] = _taken(music.chroma_distance, real, fake, rate)
    found["trans"] = _taken(harmony.chord_transitions, real, fake, rate)
    found["same_mel"] = _taken(matches.same_mel, real, fake, rate)
    found["same_onsets"] = _taken(rhythm.same_onsets, real, fake, rate)
    found["same_chord"] = _taken(harmony.same_chord, real, fake, rate)
    for hz in edges(scales, rate):
        found[f"edge_{hz:g}"] = _taken(artefacts.edge, real, fake, rate, hz=hz)
    return {one.name: found[one.name] for one in measures(edges(scales, rate)) if one.name in found}


def alone(x, rate) -> dict[str, float | None]:
    """The measures that look at one clip alone, by name; `evaluate` says the same of it."""
    x = as_clip(x, rate, "x")
    tracks, silent = partials.tracks(x, rate), artefacts.silence(x, rate)
    return {
        "pulse": _taken(rhythm.pulse, x, rate),
        "bar_acf": _taken(rhythm.bar_autocorrelation, x, rate),
        "tempo": tempo(x, rate),
        "sync": _taken(rhythm.sync, x, rate),
        "attack_4k": _taken(rhythm.attack, x, rate),
        "rough_mid": _taken(partials.roughness, x, rate),
        "jitter_lo": _taken(partials.jitter, tracks),
        "partial_mid": _taken(partials.length, tracks, partials.MIDDLE),
        "partial_hi": _taken(partials.length, tracks, partials.HIGH),
        "clicks": artefacts.clicks(x, rate),
        "silence": silent["share"],
        "longest_silence": silent["longest"],
    }


def anchors(real, rate, *, scales=SCALES) -> dict[str, dict[str, float | None]]:
    """What the measures read for clips that are known, each as `evaluate`: dict of those that could be taken.

    real: the real clip itself, by the measures that look at one clip alone. halves: its second half against
    its first. imposed: white noise with the real clip's score (`caw.flow.score.shaped_noise`; without torch
    there is none). mosaic: the clip's own pieces in another order (`caw.mosaic`). noise: white noise. All are
    as long as the clip. An anchor that cannot be taken, as the halves of a clip of less than 1 s, is {}.
    """
    from caw import mosaic as mosaics

    real = as_clip(real, rate, "real")
    middle = real.samples.size // 2
    first, second, halves = real.samples[:middle], real.samples[middle:], {}
    if middle >= yardstick.SHORTEST * rate and first.any() and second.any():
        halves = evaluate(first, second, rate, scales=scales)

    def against(made) -> dict[str, float | None]:
        try:
            return evaluate(real, made(), rate, scales=scales)
        except (ImportError, mosaics.MosaicError):
            return {}

    def imposed() -> np.ndarray:
        from caw.flow import score

        return score.shaped_noise(real.samples, round(rate), seed=yardstick.NOISE_SEED)

    seconds = real.samples.size / rate
    noise = np.random.default_rng(yardstick.NOISE_SEED).standard_normal(real.samples.size)
    return {
        "real": alone(real, rate),
        "halves": halves,
        "imposed": against(imposed),
        "mosaic": against(lambda: mosaics.generate(real.samples, round(rate), seconds)),
        "noise": evaluate(real, noise, rate, scales=scales),
    }


def tempo(x, rate) -> float | None:
    """Beats per minute of a clip, as `music.tempo`; None for a clip too short for one."""
    return _taken(music.tempo, x, rate)


def diversities(fakes, rate) -> list[float | None]:
    """Of each of several clips, how little it shares with the others: 1 - the mean `copying` share.

    Over both orders of each pair, so that the mean of the list is `yardstick.diversity`. None for one alone.
    """
    fakes = list(fakes)
    if len(fakes) < 2:
        return [None] * len(fakes)
    shares = np.zeros((len(fakes), len(fakes)))
    for i, a in enumerate(fakes):
        for j, b in enumerate(fakes):
            if i != j:
                shares[i, j] = yardstick.copying(a, b, rate)["share"]
    return [float(one) for one in 1 - (shares.sum(axis=0) + shares.sum(axis=1)) / (2 * len(fakes) - 2)]


def _taken(measure, *arrays, **options) -> float | None:
    try:
        return float(measure(*arrays, **options))
    except yardstick.TooShortError:
        return None
