"""The one list of all measures of a generated clip: name, unit, which values are better, meaning, aim.

Tables, JSON, the study's report and the documentation take names, units and meanings from here.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

LESS, MORE, ZERO, HALVES, REAL = "less", "more", "0", "as halves", "as real"  # which value is better
CLEAR_PULSE = 0.25  # a real clip under it has no beat that could be kept


@dataclass(frozen=True)
class Measure:
    """One measure of a generated clip.

    better: which values are better: less, more, 0 (of either sign), as halves or as real (the anchors of that
    name), or "" where none is. The fields with defaults say when the aim of a measure is reached (`reached`).
    """

    name: str
    unit: str
    better: str
    meaning: str
    share: float | None = None  # as real: least share of the real clip's value
    within: float | None = None  # as real: greatest difference from the real clip; as halves: above them
    factor: float = 1.0  # less: greatest multiple of the halves' value
    most: float | None = None  # less: greatest value, whatever the halves' is
    least: float | None = None  # as real: the measure has no meaning for a real clip below it

    @property
    def aim(self) -> str:
        """The value to reach, in words; "" for a measure without an aim."""
        if self.better == REAL:
            return f"{self.share:g} of real" if self.share else f"within {self.within:g} of real"
        if self.better == LESS and self not in ARTEFACTS:
            if self.most is not None:
                return f"{self.most:g}"
            return f"{self.factor:g} x halves" if self.factor != 1 else "halves"
        if self.better == MORE and self in LIKENESS:
            return "halves"
        return f"halves + {self.within:g}" if self.better == HALVES and self.within else ""


LIKENESS = (
    Measure("frechet_0.13", "", LESS, "Frechet distance of log-mel patches of 0.13 s: timbre and attacks"),
    Measure("frechet_0.5", "", LESS, "Frechet distance of patches of 0.5 s: how notes follow each other"),
    Measure("sliced_0.13", "", LESS, "sliced Wasserstein distance of patches of 0.13 s: assumes no Gaussian"),
    Measure("sliced_0.5", "", LESS, "sliced Wasserstein distance of patches of 0.5 s"),
    Measure("coverage_0.13", "", MORE, "share of the real patches of 0.13 s that have a generated one near"),
    Measure("coverage_0.5", "", MORE, "share of the real patches of 0.5 s that have a generated one near"),
)
COPYING = (
    Measure("copied_share", "", HALVES, "share of windows of 128 ms whose waveform the real clip holds"),
    Measure("longest_run", "s", HALVES, "longest stretch that is one piece of the real clip's waveform"),
    Measure("match_0.25", "dB", HALVES, "how near 0.25 s of spectrogram come to the real clip; 0 is a copy"),
    Measure("match_1", "dB", HALVES, "how near 1 s of spectrogram comes to the real clip; 0 is a copy"),
    Measure("match_4", "dB", HALVES, "how near 4 s of spectrogram come to the real clip; 0 is a copy"),
    Measure(
        "correlation_1", "", HALVES, within=0.05,
        meaning="best correlation of 1 s of spectrogram with any of the real clip's; 1 is a copy",
    ),
    Measure("correlation_4", "", HALVES, "the same of 4 s", within=0.05),
    Measure("diversity", "", MORE, "1 less the share of windows that the given clips have in common"),
)  # fmt: skip
MUSIC = (
    Measure("pulse", "", REAL, "how clearly onsets come back within 0.25 to 1.5 s", 0.85, least=CLEAR_PULSE),
    Measure("bar_acf", "", REAL, "how clearly onsets come back within 1 to 6 s", 0.75, least=CLEAR_PULSE),
    Measure(
        "onset_distance", "", LESS, factor=1.3,
        meaning="difference of the onsets' autocorrelations: the feel of the rhythm",
    ),
    Measure("tempo", "BPM", "", "tempo of the generated clip, a guess among halves and doubles"),
    Measure(
        "tempo_error", "%", LESS, most=1.0,
        meaning="its distance from the real clip's; halves and doubles are the same",
    ),
    Measure("chroma_distance", "", LESS, "share of the pitch classes' weight that lies elsewhere, 0 to 1"),
    Measure("trans", "", LESS, "distance of the chords' transitions from beat to beat, 0 to 1"),
)  # fmt: skip
SOUND = (
    Measure("sync", "", REAL, "do the bands strike together: correlation of the rises of six", 0.85),
    Measure("attack_4k", "dB", REAL, "rise of the level above 4 kHz at onsets", 0.85),
    Measure(
        "rough_mid",
        "dB",
        REAL,
        within=2.0,
        meaning="flutter (12 to 60 Hz) over swell (0.5 to 8 Hz) of the sound from 0.5 to 2 kHz",
    ),
    Measure(
        "jitter_lo", "dB", REAL, "unsteadiness of held partials from 60 to 500 Hz, in 16 ms", within=0.15
    ),
    Measure("partial_mid", "ms", REAL, "length of partials from 0.5 to 2 kHz", 0.85),
    Measure("partial_hi", "ms", REAL, "length of partials from 2 to 6 kHz", 0.85),
)
VARIATION = (
    Measure("same_mel", "", "", "correlation with the real clip's spectrogram at the same moment"),
    Measure("same_onsets", "", "", "correlation with its onsets at the same moment"),
    Measure("same_chord", "", "", "share of its beats that have the same chord at the same moment"),
)
EDGE = Measure("edge", "dB", ZERO, "hole (-) or ridge (+) where two scales meet, less the real clip's")
ARTEFACTS = (
    Measure("clicks", "/min", LESS, "single samples or joints that jump out"),
    Measure("silence", "", HALVES, "share of frames of 50 ms over 40 dB below the clip's level"),
    Measure("longest_silence", "s", HALVES, "longest stretch of such frames"),
)


def measures(edges=()) -> list[Measure]:
    """All measures in their order, with one for each edge in Hz, named like edge_500."""
    seams = [
        replace(
            EDGE,
            name=f"{EDGE.name}_{hz:g}",
            meaning=EDGE.meaning.replace("scales meet", f"scales meet at {hz:g} Hz"),
        )
        for hz in edges
    ]
    return [*LIKENESS, *COPYING, *MUSIC, *SOUND, *VARIATION, *seams, *ARTEFACTS]


def measure(name: str) -> Measure:
    """The measure of a name, which may be edge_HZ for any HZ. Raises KeyError for an unknown name."""
    kind, _, hz = name.partition("_")
    by_name = {measure.name: measure for measure in measures([float(hz)] if kind == EDGE.name else ())}
    return by_name[name]


def reached(measure: Measure, value: float | None, anchors: Mapping[str, Mapping]) -> bool | None:
    """Whether a value reaches the measure's aim, or is as good as that of the real clip's halves.

    anchors: as `measures.anchors` returns them. None for a measure without an aim, and where a value that the
    answer needs is missing.
    """
    real, halves = (anchors.get(name, {}).get(measure.name) for name in ("real", "halves"))
    if value is None or not measure.aim:
        return None
    if measure.better == REAL:
        if real is None or (measure.least is not None and real < measure.least):
            return None
        if measure.share:
            return value >= min(measure.share * real, real if halves is None else halves)
        return abs(value - real) <= max(measure.within, 0 if halves is None else abs(halves - real))
    if measure.most is not None:
        return value <= measure.most
    if halves is None:
        return None
    if measure.better == MORE:
        return value >= halves
    return value <= (halves + measure.within if measure.better == HALVES else measure.factor * halves)


def passed_by_noise(anchors: Mapping[str, Mapping]) -> list[str]:
    """Names of the aims that noise shaped by the real clip's score reaches: for this clip they prove nothing.

    anchors: as `measures.anchors` returns them; the list is empty where they lack `imposed`.
    """
    shaped = anchors.get("imposed") or {}
    return [name for name, value in shaped.items() if reached(measure(name), value, anchors)]
